// SPDX-License-Identifier: BSL-1.0
// tidepool - spans of statements: by tag and prepared name, in the trace of the caller, with the reason where they fail; never a value.
#include <tidepool/instantiate.hpp>
#include <tidepool/statement_times.hpp>

#include "kit.hpp"
#include "support/span_log.hpp"

using namespace tidepool_tests;

namespace {

/// Runs `work(connection, spans)` on a connection that is traced.
template <class Work>
void with_spans(Work work, std::function<void(pg::options&)> change = {}) {
  run([](Work body, std::function<void(pg::options&)> adapt) -> asio::awaitable<void> {
    const auto spans = std::make_shared<span_log>();
    auto settings = patient();
    settings.tracing = spans;
    if (adapt) adapt(settings);
    auto c = co_await pg::connection::connect(settings);
    (void)spans->take();  // the login's
    co_await body(c, *spans);
    co_await c.close();
    must(spans->open() == 0, "each span ends");
  }(std::move(work), std::move(change)));
}
void must_be(span_log& spans, const std::string& lines) {
  const std::string seen = joined(spans.take());
  must(seen == lines, "seen: " + seen + "; expected: " + lines);
}

}  // namespace

TEST_CASE("given tracing, when statements run, then each is a span with its tag and name, and no value of it") {
  NEEDS_SERVER();
  with_spans([](pg::connection& c, span_log& spans) -> asio::awaitable<void> {
    co_await c.exec("create temporary table secrets (n int primary key, v text)");
    must_be(spans, "CREATE placed");
    co_await c.exec("insert into secrets values ($1, $2)", 1, "hidden");
    must_be(spans, "INSERT placed");
    co_await c.exec("  -- find it\n /* really */ select 'hidden' from secrets where v = $1", "hidden");
    must_be(spans, "SELECT placed");
    const auto prepared = co_await c.prepare("select v from secrets where n = $1");
    (void)spans.take();
    co_await c.exec(prepared, 1);
    must_be(spans, "EXECUTE prepared placed");
    co_await c.script("select 'hidden'; select 2");
    must_be(spans, "SELECT placed");
    co_await c.ping();
    must_be(spans, "PING");
  });
}

TEST_CASE("given tracing, when a statement fails, then its span says by which SQLSTATE") {
  NEEDS_SERVER();
  with_spans([](pg::connection& c, span_log& spans) -> asio::awaitable<void> {
    (void)co_await error_of(c.exec("select 1 / 0"));
    must_be(spans, "SELECT placed failed: 22012");
    (void)co_await error_of(c.exec("hidden"));
    must_be(spans, "OTHER placed failed: 42601");
    co_await c.exec("create temporary table once (n int unique)");
    co_await c.exec("insert into once values (12345)");
    (void)spans.take();
    (void)co_await error_of(c.exec("insert into once values (12345)"));
    must_be(spans, "INSERT placed failed: 23505");
    must(spans.texts().find("12345") == std::string::npos && spans.texts().find("hidden") == std::string::npos, spans.texts());
  });
}

TEST_CASE("given tracing, when statements are late or cancelled, then their spans say that") {
  NEEDS_SERVER();
  with_spans([](pg::connection& c, span_log& spans) -> asio::awaitable<void> {
    (void)co_await error_of(c.exec(pg::within(50ms), sleep_of(30s)));
    must_be(spans, "SELECT placed failed: response_timeout");
    auto stop = c.canceller();
    (void)co_await error_of(c.exec("select pg_cancel_backend(pg_backend_pid())"));
    must_be(spans, "SELECT placed failed: 57014");
  });
}

TEST_CASE("given tracing, when a transaction, a pipeline, a stream and COPY run, then each exchange is a span") {
  NEEDS_SERVER();
  with_spans([](pg::connection& c, span_log& spans) -> asio::awaitable<void> {
    const auto body = [](pg::transaction& t) -> asio::awaitable<void> {
      co_await t.exec("create temporary table numbers (n int)");
      co_await t.exec("insert into numbers select generate_series(1, 1000)");
    };
    co_await c.transaction(body);
    must_be(spans, "BEGIN, CREATE placed, INSERT placed, COMMIT");
    auto many = c.pipeline(pg::pipeline_mode::independent);
    (void)many.exec("select 1");
    (void)many.exec("select 2");
    co_await many.run();
    must_be(spans, "PIPELINE placed");
    auto rows = co_await c.stream<int>("select n from numbers");
    int seen = 0;
    for (;;) {
      const auto next = co_await rows.next();
      if (!next) break;
      ++seen;
    }
    must(seen == 1000, "rows");
    must_be(spans, "SELECT placed");
    auto left = co_await c.stream<int>("select n from numbers");
    (void)co_await left.next();
    must(spans.take().empty() && spans.open() == 1, "it is open");
    co_await left.close();
    must(spans.open() == 0, "it has ended");
    (void)spans.take();
    auto in = co_await c.copy_in("copy numbers from stdin");
    co_await in.write("7\n");
    co_await in.finish();
    must_be(spans, "COPY placed");
  });
}

TEST_CASE("given a statement cache, when a statement is prepared and used, then both are spans, with its name") {
  NEEDS_SERVER();
  with_spans(
      [](pg::connection& c, span_log& spans) -> asio::awaitable<void> {
        for (int i = 0; i < 2; ++i) co_await c.exec("select $1::int + 1", 41);
        must_be(spans, "PREPARE prepared placed, SELECT prepared placed, SELECT prepared placed");
      },
      [](pg::options& settings) { settings.statement_cache = 10; });
}

namespace {
struct traced_orders : tidepool::default_traits<pg::connection> {
  using tracer = tidepool::shared_tracer;
};
}  // namespace

TEST_CASE("given a pool and its driver with one tracing, when a handler passes its trace, then all is in that") {
  NEEDS_SERVER();
  const auto spans = std::make_shared<span_log>();
  auto settings = patient();
  settings.tracing = spans;
  asio::io_context io;
  using pool_type = tidepool::basic_pool<pg::connection, traced_orders>;
  tidepool::pool_config config;
  config.min_size = 1;
  pool_type pool(io, pg::connector(settings), config, {}, spans);
  tidepool::run(io, pool, [&spans](pool_type& db) -> asio::awaitable<void> {
    (void)spans->take();
    const auto mine = trace_number(7);
    {
      auto lease = co_await db.acquire(mine);
      co_await lease->exec("select 1");
    }
    must_be(*spans, "acquire in 7 placed, SELECT in 7 placed");
    auto lease = co_await db.acquire();
    co_await lease->exec("select 1");
    must_be(*spans, "acquire placed, SELECT placed");
  });
  const auto last = joined(spans->take());
  CHECK(last.find("close") != std::string::npos);
  CHECK(spans->open() == 0);
}

TEST_CASE("given statement_times, when statements run, then each tag has a histogram, sampled or not") {
  NEEDS_SERVER();
  const auto spans = std::make_shared<span_log>();
  const auto times = std::make_shared<tidepool::statement_times>(std::make_shared<tidepool::sampled_tracing>(spans, 1'000'000));
  run([](std::shared_ptr<tidepool::statement_times> to, span_log& traced) -> asio::awaitable<void> {
    auto settings = patient();
    settings.tracing = to;
    auto c = co_await pg::connection::connect(settings);
    const auto before = to->read().empty() ? 0 : to->read()[0].times.count();
    for (int i = 0; i < 10; ++i) co_await c.exec("select 1");
    (void)co_await error_of(c.exec("select 1 / 0"));
    co_await c.exec("create temporary table t (n int)");
    std::uint64_t selects = 0, failed = 0, creates = 0;
    for (const auto& one : to->read()) {
      if (one.tag == "SELECT") selects = one.times.count(), failed = one.failed;
      if (one.tag == "CREATE") creates = one.times.count();
    }
    must(selects - before >= 11 && selects - before <= 12, "selects: " + std::to_string(selects));
    must(failed == 1 && creates == 1, "failed, created");
    must(traced.take().size() <= 1, "one of a million is passed on");
    const std::string text = to_prometheus(*to, "postgresql");
    must(text.find("# TYPE db_client_operation_duration_seconds histogram") != text.npos, text);
    must(text.find(
             "db_client_operation_duration_seconds_bucket{db_system_name=\"postgresql\",db_operation_name=\"CREATE\",le=\"+Inf\"} 1\n") !=
             text.npos,
         text);
    must(text.find("db_client_operation_tidepool_failures_total{db_system_name=\"postgresql\",db_operation_name=\"SELECT\"} 1\n") !=
             text.npos,
         text);
  }(times, *spans));
}

TEST_CASE("given a connection, when it has received a large row, then its memory says so") {
  NEEDS_SERVER();
  run([]() -> asio::awaitable<void> {
    auto c = co_await connect();
    const auto before = c.memory_bytes();
    must(before > 30'000 && before < 200'000, "plain: " + std::to_string(before));
    co_await c.exec("select repeat('x', 300000)");
    const auto after = c.memory_bytes();
    must(after >= before + 300'000 && after <= before + 600'000, "grown: " + std::to_string(after));
    co_await c.exec("select repeat('x', 10) from generate_series(1, 50000)");
    must(c.memory_bytes() == after, "many small rows are no large message: " + std::to_string(c.memory_bytes()));
    must(pg::connection::driver_threads() < 10, "threads");
    co_await c.close();
    must(c.memory_bytes() == 0, "closed");
  }());
}
