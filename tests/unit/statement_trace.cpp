// SPDX-License-Identifier: BSL-1.0
// tidepool - the tag of a statement, its span, and what statement_times counts.
#include <tidepool/detail/driver/statement_trace.hpp>
#include <tidepool/statement_times.hpp>

#include <string>

#include "support/catch.hpp"
#include "support/span_log.hpp"

namespace {

using namespace tidepool;
using namespace std::chrono_literals;
using detail::driver::statement_trace;
using detail::driver::tag_of;
using tidepool_tests::has_text;
using tidepool_tests::span_log;

TEST_CASE("given a statement, when its tag is asked for, then it is the word it begins with, or OTHER") {
  CHECK(tag_of("select 1") == "SELECT");
  CHECK(tag_of("\n\t InSeRt into t values (1)") == "INSERT");
  CHECK(tag_of("(select 1) union (select 2)") == "SELECT");
  CHECK(tag_of("; ;commit") == "COMMIT");
  CHECK(tag_of("-- a comment\nupdate t set a = 1") == "UPDATE");
  CHECK(tag_of("/* one */ /* two */delete from t") == "DELETE");
  CHECK(tag_of("with x as (select 1) select * from x") == "WITH");
  CHECK(tag_of("begin;insert into t values (1)") == "BEGIN");
  CHECK(tag_of("") == "PING");
  CHECK(tag_of("  ") == "PING");
  CHECK(tag_of("selection") == "OTHER");
  CHECK(tag_of("4711") == "OTHER");
  CHECK(tag_of("secret_of_somebody") == "OTHER");
  CHECK(tag_of("-- nothing but a comment") == "OTHER");
  CHECK(tag_of("/* not closed") == "OTHER");
}

TEST_CASE("given a traced connection, when a statement begins and ends, then its span has both, once") {
  const auto spans = std::make_shared<span_log>();
  const statement_trace::time_point begun{5s};
  statement_trace trace(spans);
  trace.within(tidepool_tests::trace_number(7));
  trace.begin(begun, "SELECT", "s1", {}, "db1:5432");
  trace.begin(begun, "BEGIN", {}, {}, {});  // a part of it
  CHECK(spans->open() == 1);
  trace.end(begun + 3ms, true);
  trace.end(begun + 9ms, true);
  CHECK(spans->take() == std::vector<std::string>{"SELECT prepared in 7"});
  trace.begin(begun, "INSERT", {}, {}, {});
  trace.failed("23505");
  trace.failed("connection_lost");  // that follows from it
  trace.end(begun + 1ms, true);
  CHECK(spans->take() == std::vector<std::string>{"INSERT in 7 failed: 23505"});
  trace.begin(begun, "UPDATE", {}, {}, {});
  trace.end(begun + 1ms, false);
  CHECK(spans->take() == std::vector<std::string>{"UPDATE in 7 failed: not finished"});
  CHECK(detail::driver::statement_trace_for(nullptr) == nullptr);
}

TEST_CASE("given a traced connection, when it is destroyed in a statement, then the span ends") {
  const auto spans = std::make_shared<span_log>();
  {
    statement_trace trace(spans);
    trace.begin({}, "SELECT", {}, {}, {});
  }
  CHECK(spans->open() == 0);
}

void run_statement(tracing& to, duration took, std::string_view tag, std::string_view error = {}) {
  const auto span = to.start({trace_step::statement, {}, {}, 0, {}, {}, tag, {}});
  if (span) to.end(*span, {trace_step::statement, took, error, 0, tag});
}

TEST_CASE("given statements of two tags, when they are counted, then each has its times and failures") {
  const auto next = std::make_shared<span_log>();
  const bool passes = GENERATE(true, false);
  statement_times times(passes ? next : nullptr);
  for (int i = 0; i < 100; ++i) run_statement(times, 3ms, "SELECT");
  run_statement(times, 40ms, "INSERT", "23505");
  const auto acquire = times.start({trace_step::acquire, {}, {}, 0, {}, {}, {}, {}});
  CHECK(acquire.has_value() == passes);  // that is no statement
  if (acquire) times.end(*acquire, {trace_step::acquire, 1ms, {}, 0, {}});
  const auto all = times.read();
  REQUIRE(all.size() == 2);
  CHECK(all[0].tag == "SELECT");
  CHECK(all[0].times.count() == 100);
  CHECK(all[0].failed == 0);
  CHECK(all[1].tag == "INSERT");
  CHECK(all[1].failed == 1);
  CHECK(next->take().size() == (passes ? 102u : 0u));
  const std::string text = to_prometheus(times, "mysql");
  CHECK_THAT(text, has_text("# TYPE db_client_operation_duration_seconds histogram\n"));
  CHECK_THAT(text, has_text("db_client_operation_duration_seconds_count{db_system_name=\"mysql\",db_operation_name=\"SELECT\"} 100\n"));
  CHECK_THAT(text, has_text("db_client_operation_tidepool_failures_total{db_system_name=\"mysql\",db_operation_name=\"INSERT\"} 1\n"));
}

/// Samples nothing.
struct blind final : tracing {
  int ended = 0;
  std::optional<trace_context> start(const trace_start&) noexcept override { return std::nullopt; }
  void end(const trace_context&, const trace_end&) noexcept override { ++ended; }
};

TEST_CASE("given a tracing that samples nothing, when statements are counted before it, then all are") {
  const auto next = std::make_shared<blind>();
  statement_times times(next);
  for (int i = 0; i < 10; ++i) run_statement(times, 3ms, "SELECT");
  REQUIRE(times.read().size() == 1);
  CHECK(times.read()[0].times.count() == 10);
  CHECK(next->ended == 0);
}

}  // namespace
