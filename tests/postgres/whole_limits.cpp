// SPDX-License-Identifier: BSL-1.0
// tidepool - time limits of what is more than one statement: transactions, savepoints, resets, pings, listeners, pipelines, requests.
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "kit.hpp"
#include "support/asio.hpp"
#include "support/on_end.hpp"

using namespace tidepool_tests;
using tidepool::lease_end;

namespace {

asio::awaitable<void> must_be_well(pg::connection& c, int pid) {
  must(c.usable() && c.after_lease() == lease_end::clean, "clean");
  const auto same = co_await c.one<int>("select pg_backend_pid()");
  must(same == pid, "the same session");
}
asio::awaitable<void> make_table(pg::connection& c) { co_await c.script("create temp table done (i int)"); }
asio::awaitable<int> rows_in_table(pg::connection& c) { co_return co_await c.one<int>("select count(*)::int from done"); }

/// Bodies that take too long, each in another way.
using body = asio::awaitable<void> (*)(pg::transaction&);
asio::awaitable<void> in_a_statement(pg::transaction& t) {
  co_await t.exec("insert into done values (1)");
  co_await t.exec("select pg_sleep(60)");
}
asio::awaitable<void> elsewhere(pg::transaction& t) {
  co_await t.exec("insert into done values (1)");
  co_await pause(60s);
}
asio::awaitable<void> between_statements(pg::transaction& t) {
  for (;;) co_await t.exec("insert into done values (1)");
}
asio::awaitable<void> in_a_stream(pg::transaction& t) {
  co_await t.exec("insert into done values (1)");
  auto rows = co_await t.stream<int>("select case when i < 3 then i else (select 1 from pg_sleep(60)) end from generate_series(1, 4) i");
  for (auto row = co_await rows.next(); row; row = co_await rows.next()) continue;
}
asio::awaitable<void> in_a_savepoint(pg::transaction& t) {
  co_await t.exec("insert into done values (1)");
  co_await t.nested(in_a_statement);
}
asio::awaitable<void> swallowing(pg::transaction& t) {
  co_await t.exec("insert into done values (1)");
  try {
    co_await t.exec("select pg_sleep(60)");
  } catch (const tidepool::system_error&) {
  }
}

}  // namespace

TEST_CASE("given a transaction's limit, when it passes anywhere, then it is rolled back, the connection kept",
          "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  const std::vector<std::pair<const char*, body>> bodies = {{"statement", in_a_statement}, {"elsewhere", elsewhere},
                                                            {"many", between_statements},  {"stream", in_a_stream},
                                                            {"savepoint", in_a_savepoint}, {"swallowed", swallowing}};
  for (const auto& [name, what] : bodies) {
    INFO(name);
    auto task = [run_it = what]() -> asio::awaitable<std::string> {
      pg::options settings = patient();
      auto c = co_await pg::connection::connect(settings);
      const int pid = c.backend_pid();
      co_await make_table(c);
      auto first = c.transaction(pg::within(60ms), run_it);
      const auto by_argument = co_await error_of(std::move(first));
      must(by_argument.reason() == pg::errc::response_timeout && by_argument.code() == std::errc::timed_out, "the reason");
      co_await must_be_well(c, pid);
      auto second = c.transaction(run_it, {.within = 60ms});
      const auto by_option = co_await error_of(std::move(second));
      must(std::string(by_option.what()) == by_argument.what(), "both ways are the same");
      const auto rows = co_await rows_in_table(c);
      must(rows == 0, "nothing of it is there");
      co_await must_be_well(c, pid);
      co_return by_argument.what();
    };
    CHECK(run(task()) == "postgres: the transaction was not done within 60 ms: cancelled, and rolled back; the connection is kept");
  }
}

TEST_CASE("given a transaction's limit, when it is done in time, then it commits, its value is returned", "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    auto c = co_await connect();
    co_await make_table(c);
    auto work = [](pg::transaction& t) -> asio::awaitable<int> {
      co_await t.exec("insert into done values (1)");
      co_await pause(5ms);
      co_return 7;
    };
    const auto got = co_await c.transaction(pg::within(50s), work);
    const auto rows = co_await rows_in_table(c);
    must(rows == 1, "committed");
    co_return got;
  };
  CHECK(run(task()) == 7);
}

TEST_CASE("given a limited transaction whose body fails, then its own error is thrown, also after the limit",
          "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect();
    const int pid = c.backend_pid();
    co_await make_table(c);
    auto fails = [](pg::transaction& t) -> asio::awaitable<void> { co_await t.exec("select 1 / 0"); };
    auto failing = c.transaction(pg::within(50s), fails);
    const auto failure = co_await error_of(std::move(failing));
    must(failure.is("22012"), "the body's error");
    bool told = false;
    auto late = [](pg::transaction& t) -> asio::awaitable<void> {
      co_await t.exec("insert into done values (1)");
      bool cancelled = false;
      try {
        co_await pause(60s);
      } catch (const tidepool::system_error&) {
        cancelled = true;
      }
      if (cancelled) throw std::out_of_range("something else went wrong");
    };
    try {
      co_await c.transaction(pg::within(30ms), late);
    } catch (const std::out_of_range&) {
      told = true;
    }
    must(told, "it tells more than that it was cancelled");
    const auto rows = co_await rows_in_table(c);
    must(rows == 0, "rolled back");
    co_await must_be_well(c, pid);
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a limited transaction with retries, then the limit is for all runs together", "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  int runs = 0;
  auto task = [&runs]() -> asio::awaitable<pg::error> {
    auto c = co_await connect();
    auto conflicts = [&runs](pg::transaction& t) -> asio::awaitable<void> {
      ++runs;
      co_await t.exec("do $$ begin raise exception 'again' using errcode = '40001'; end $$");
    };
    auto trying = c.transaction(pg::within(300ms), conflicts, {.retries = 1'000'000, .retry_delay = 5ms, .max_retry_delay = 20ms});
    auto failure = co_await error_of(std::move(trying));
    must(c.usable(), "usable");
    co_return failure;
  };
  const stopwatch time;
  const auto failure = run(task());
  // It ends between two runs with the conflict, or within one.
  const bool either = failure.is("40001") || failure.reason() == pg::errc::response_timeout;
  CHECK(either);
  CHECK(runs > 1);
  CHECK(time.seconds() < 30);
}

TEST_CASE("given a limited transaction in its COMMIT when the limit passes, then the server's answer decides",
          "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  auto task = [](bool catches) -> asio::awaitable<std::string> {
    pg::options settings = patient();
    auto c = co_await pg::connection::connect(settings);
    const int pid = c.backend_pid();
    const std::string end = catches ? " exception when query_canceled then return new;" : "";
    co_await c.script(
        "create temp table slow (i int); create function pg_temp.slow() returns trigger language plpgsql as $$ begin perform pg_sleep(60); "
        "return new;" +
        end +
        " end $$; create constraint trigger s after insert on slow deferrable initially deferred for each row execute function "
        "pg_temp.slow()");
    auto inserts = [](pg::transaction& t) -> asio::awaitable<void> { co_await t.exec("insert into slow values (1)"); };
    std::string said = "done";
    try {
      co_await c.transaction(pg::within(60ms), inserts);
    } catch (const pg::error& failure) {
      said = failure.what();
      must(!failure.outcome_unknown(), "it is known");
    }
    const auto rows = co_await c.one<int>("select count(*)::int from slow");
    must(rows == (catches ? 1 : 0), "as it was told");
    co_await must_be_well(c, pid);
    co_return said;
  };
  CHECK(run(task(false)) == "postgres: the transaction was not done within 60 ms: cancelled, and rolled back; the connection is kept");
  CHECK(run(task(true)) == "done");
}

TEST_CASE("given a limited transaction whose caller is cancelled, then it ends as one without a limit does",
          "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  for (const body what : {body(in_a_statement), body(elsewhere)}) {
    auto task = [what]() -> asio::awaitable<std::string> {
      const auto executor = co_await asio::this_coro::executor;
      auto c = co_await connect();
      const int pid = c.backend_pid();
      co_await make_table(c);
      asio::cancellation_signal signal;
      std::string said;
      auto work = [what](pg::connection& on) -> asio::awaitable<void> { co_await on.transaction(pg::within(50s), what); };
      const on_end at_end = [&said](std::exception_ptr e) {
        try {
          if (e) std::rethrow_exception(e);
          said = "done";
        } catch (const tidepool::system_error& failure) {
          said = failure.code() == asio::error::operation_aborted ? "aborted" : failure.what();
        }
      };
      asio::co_spawn(executor, work(c), asio::bind_cancellation_slot(signal.slot(), at_end));
      co_await pause(40ms);
      signal.emit(asio::cancellation_type::terminal);
      while (said.empty()) co_await pause(1ms);
      must(c.after_lease() == lease_end::needs_reset, "open until its reset");
      co_await c.reset();
      const auto rows = co_await rows_in_table(c);
      must(rows == 0, "rolled back");
      co_await must_be_well(c, pid);
      co_return said;
    };
    CHECK(run(task()) == "aborted");
  }
}

TEST_CASE("given a limited savepoint, when its time is over, then the transaction goes on", "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::string> {
    auto c = co_await connect();
    const int pid = c.backend_pid();
    co_await make_table(c);
    std::string said;
    auto outer = [&said](pg::transaction& t) -> asio::awaitable<void> {
      co_await t.exec("insert into done values (1)");
      auto inner = t.nested(pg::within(40ms), in_a_statement);
      const auto late = co_await error_of(std::move(inner));
      said = late.what();
      must(late.reason() == pg::errc::response_timeout, "the reason");
      co_await t.nested(pg::within(50s),
                        [](pg::transaction& u) -> asio::awaitable<void> { co_await u.exec("insert into done values (3)"); });
    };
    co_await c.transaction(outer);
    const auto rows = co_await c.all<int>("select i from done");
    must(rows == std::vector<int>{1, 3}, "all but the late one");
    co_await must_be_well(c, pid);
    co_return said;
  };
  CHECK(run(task()) == "postgres: the savepoint was not done within 40 ms: cancelled, and rolled back; the connection is kept");
}

TEST_CASE("given answer_within, when a savepoint's statement is not answered in time, then that is bounded too",
          "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<pg::error> {
    auto c = co_await connect();
    co_await c.script(
        "create temp table late (i int unique deferrable initially deferred); create function pg_temp.late() returns trigger language "
        "plpgsql as $$ begin perform pg_sleep(60); return new; end $$; create constraint trigger l after insert on late deferrable "
        "initially deferred for each row execute function pg_temp.late()");
    auto inner = [](pg::transaction& t) -> asio::awaitable<void> { co_await t.exec("insert into late values (1)"); };
    auto outer = [inner](pg::transaction& t) -> asio::awaitable<void> { co_await t.nested(inner); };
    auto committing = c.transaction(outer, {.answer_within = 60ms});
    auto failure = co_await error_of(std::move(committing));
    must(c.usable(), "usable");
    co_return failure;
  };
  CHECK(run(task()).reason() == pg::errc::response_timeout);
}

TEST_CASE("given limits of reset() and ping(), when they pass, then the words say so, the connection is kept",
          "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::vector<std::string>> {
    std::vector<std::string> said;
    pg::options settings = patient();
    bool slow = false;
    settings.on_reset = [&slow](pg::connection& c) -> asio::awaitable<void> {
      if (slow) co_await c.exec("select pg_sleep(60)");
    };
    auto c = co_await pg::connection::connect(settings);
    const int pid = c.backend_pid();
    co_await c.ping(pg::within(50s));
    co_await c.reset(pg::within(50s));
    co_await c.reset(pg::within(50s), pg::reset_level::full);
    said.emplace_back((co_await error_of(c.ping(pg::within(30ms), "select pg_sleep(60)"))).what());
    const auto after_ping = co_await c.one<int>("select pg_backend_pid()");
    slow = true;
    const auto late = co_await error_of(c.reset(pg::within(30ms)));
    said.emplace_back(late.what());
    must(!c.usable(), "it refuses statements");
    const auto refused = co_await error_of(c.exec("select 1"));
    must(refused.reason() == pg::errc::needs_reset, "needs_reset");
    slow = false;
    co_await c.reset();
    const auto after_reset = co_await c.one<int>("select pg_backend_pid()");
    must(c.usable() && after_ping == pid && after_reset == pid, "the same session");
    co_return said;
  };
  const auto said = run(task());
  REQUIRE(said.size() == 2);
  CHECK(said[0] == "postgres: ping() was not done within 30 ms: cancelled, the connection is kept");
  CHECK(said[1] == "postgres: reset() was not done within 30 ms: cancelled, the connection is kept");
}

TEST_CASE("given a pipeline made with a limit, when an answer takes longer, then it is cancelled", "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<pg::error> {
    auto c = co_await connect();
    const int pid = c.backend_pid();
    auto batch = c.pipeline(pg::within(40ms), pg::pipeline_mode::atomic);
    batch.exec("select pg_sleep(60)");
    auto failure = co_await error_of(batch.run());
    co_await must_be_well(c, pid);
    co_return failure;
  };
  CHECK(run(task()).reason() == pg::errc::response_timeout);
}

TEST_CASE("given a listener with a limit, when nothing comes, then it says so and loses nothing", "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::string> {
    auto sender = co_await connect();
    pg::listener inbox{pg::connector(server()), {"limited"}};
    const auto fresh = co_await inbox.next(pg::within(50s));
    must(!fresh, "a new connection");
    const int pid = inbox.backend_pid();
    const auto late = co_await error_of(inbox.next(pg::within(30ms)));
    must(late.reason() == pg::errc::response_timeout, "the reason");
    co_await sender.exec("select pg_notify('limited', 'one')");
    const auto got = co_await inbox.next(pg::within(50s));
    must(got && got->payload == "one" && inbox.backend_pid() == pid, "the same connection");
    co_await inbox.close();
    co_return late.what();
  };
  CHECK(run(task()) == "postgres: no notification within 30 ms; the listener goes on as before");
}

TEST_CASE("given a request with a limit, when it passes in any part, then the connection stays in the pool",
          "[postgres][pool][server][field-U7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    const auto executor = co_await asio::this_coro::executor;
    tidepool::pool_config config;
    config.min_size = 0;
    config.max_size = 1;
    pg::options settings = patient();
    pg::pool pool(executor, pg::connector(settings, config), config);
    auto request = [](pg::pool& from, std::string sql, std::chrono::milliseconds then) -> asio::awaitable<int> {
      auto db = co_await from.acquire();
      const auto got = co_await db->one<int>(sql);
      co_await pause(then);
      co_return got;
    };
    auto ok = request(pool, "select 5", 0ms);
    const auto five = co_await tidepool::complete_within(50s, std::move(ok));
    must(five == 5, "in time");
    const auto timed_out = [](asio::awaitable<int> work) -> asio::awaitable<std::string> {
      std::string said = "nothing";
      try {
        (void)co_await tidepool::complete_within(50ms, std::move(work));
      } catch (const tidepool::system_error& failure) {
        said = failure.code() == std::errc::timed_out && failure.code() == tidepool::errc::not_in_time ? said_by(failure) : "another code";
      }
      co_return said;
    };
    const std::string words = "not done within 50 ms, and cancelled: the time limit has passed";
    auto said = co_await timed_out(request(pool, "select 1 from pg_sleep(60)", 0ms));
    must(said == words, "in a statement: " + said);
    said = co_await timed_out(request(pool, "select 1", 60'000ms));
    must(said == words, "elsewhere: " + said);
    auto held = co_await pool.acquire();
    said = co_await timed_out(request(pool, "select 1", 0ms));
    must(said == words, "in the acquire: " + said);
    held.release();
    auto failing = request(pool, "select 1 / 0", 0ms);
    const auto failure = co_await error_of(tidepool::complete_within(50s, std::move(failing)));
    must(failure.is("22012"), "its own error");
    must(pool.stats().connections_created == 1, "one connection for all");
    co_await pool.close();
  };
  CHECK_NOTHROW(run(task()));
}
