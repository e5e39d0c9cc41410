// SPDX-License-Identifier: BSL-1.0
// tidepool - two operations at once on one connection: the second is refused in words, the first goes on.

#include <string>
#include <vector>

#include "kit.hpp"
#include "support/asio.hpp"

using namespace tidepool_tests;
using namespace asio::experimental::awaitable_operators;
using tidepool::lease_end;

namespace {

/// What a coroutine threw, in the words a user reads: those of the first exception where Asio tells of several.
asio::awaitable<std::string> said_by(asio::awaitable<void> work) {
  std::string said = "nothing";
  try {
    co_await std::move(work);
  } catch (const asio::multiple_exceptions& several) {
    said = several.what();
    try {
      std::rethrow_exception(several.first_exception());
    } catch (const std::exception& first) {
      said += std::string(": ") + first.what();
    }
  } catch (const std::exception& failure) {
    said = failure.what();
  }
  co_return said;
}

asio::awaitable<void> sleeps(pg::connection& c, double seconds) { co_await c.exec("select pg_sleep($1)", seconds); }
asio::awaitable<void> runs(pg::connection& c, std::string sql) { co_await c.exec(sql); }

const std::string advice =
    " on this connection, which serves one at a time: co_await the first before the second, send both in one pipeline(), or give each a "
    "lease of its own, in coroutines of their own";

}  // namespace

TEST_CASE("given two statements joined by &&, then the first is done, the second's error says what to do", "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::string> {
    auto c = co_await connect();
    const int pid = c.backend_pid();
    co_await c.script("create temp table done (i int)");
    auto both = [](pg::connection& on) -> asio::awaitable<void> {
      co_await (runs(on, "insert into done select 1 from pg_sleep(0.05)") && runs(on, "insert into done values (2)"));
    };
    auto said = co_await said_by(both(c));
    const auto rows = co_await c.all<int>("select i from done");
    must(rows == std::vector<int>{1}, "the first was done, the second was not");
    const auto same = co_await c.one<int>("select pg_backend_pid()");
    must(c.usable() && c.after_lease() == lease_end::clean && same == pid, "the connection is as good as before");
    co_return said;
  };
  CHECK(run(task()) == "postgres: exec() was started while exec() is running" + advice);
}

TEST_CASE("given a long first of two at once, when the second's error cancels it, then its error says why",
          "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::string> {
    auto c = co_await connect();
    const int pid = c.backend_pid();
    auto both = [](pg::connection& on) -> asio::awaitable<void> { co_await (sleeps(on, 60) && sleeps(on, 0)); };
    auto said = co_await said_by(both(c));
    const auto same = co_await c.one<int>("select pg_backend_pid()");
    must(same == pid, "the connection is kept");
    co_return said;
  };
  const auto said = run(task());
  INFO(said);
  CHECK(said.find("multiple exceptions: cancelled, on the server too; the connection is kept; meanwhile exec() was started while exec() is "
                  "running" +
                  advice) == 0);
}

TEST_CASE("given three statements at once, then the first is done and Asio tells of the others", "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::string> {
    auto c = co_await connect();
    auto all = [](pg::connection& on) -> asio::awaitable<void> { co_await (sleeps(on, 0.05) && sleeps(on, 0) && sleeps(on, 0)); };
    auto said = co_await said_by(all(c));
    must(c.usable(), "usable");
    co_return said;
  };
  CHECK(run(task()) == "multiple exceptions: postgres: exec() was started while exec() is running" + advice);
}

TEST_CASE("given an operation of each kind, when a second one starts, then the words name both and a way out",
          "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  using verb = asio::awaitable<void> (*)(pg::connection&);
  struct row {
    const char* name;
    verb first, second;
    std::string said;
  };
  const verb exec = [](pg::connection& c) { return runs(c, "select 2"); };
  const verb sleep = [](pg::connection& c) { return sleeps(c, 0.03); };
  const std::vector<row> table = {
      {"script", [](pg::connection& c) -> asio::awaitable<void> { co_await c.script("select pg_sleep(0.03)"); }, exec,
       "exec() was started while script() is running" + advice},
      {"prepare", sleep, [](pg::connection& c) -> asio::awaitable<void> { (void)co_await c.prepare("select 1"); },
       "prepare() was started while exec() is running" + advice},
      {"pipeline",
       [](pg::connection& c) -> asio::awaitable<void> {
         auto batch = c.pipeline(pg::pipeline_mode::atomic);
         batch.exec("select pg_sleep(0.03)");
         co_await batch.run();
       },
       exec, "exec() was started while pipeline() is running" + advice},
      {"a pipeline second", sleep,
       [](pg::connection& c) -> asio::awaitable<void> {
         auto batch = c.pipeline(pg::pipeline_mode::independent);
         batch.exec("select 1");
         co_await batch.run();
       },
       "pipeline() was started while exec() is running" + advice},
      {"ping", sleep, [](pg::connection& c) -> asio::awaitable<void> { co_await c.ping(); },
       "ping() was started while exec() is running" + advice},
      {"reset", sleep, [](pg::connection& c) -> asio::awaitable<void> { co_await c.reset(pg::reset_level::light); },
       "reset() was started while exec() is running" + advice},
      {"stream second", sleep, [](pg::connection& c) -> asio::awaitable<void> { (void)co_await c.stream<int>("select 1"); },
       "stream() was started while exec() is running" + advice},
      {"copy_in second", sleep, [](pg::connection& c) -> asio::awaitable<void> { (void)co_await c.copy_in("copy t from stdin"); },
       "copy_in() was started while exec() is running" + advice},
      {"a transaction second", sleep,
       [](pg::connection& c) -> asio::awaitable<void> {
         co_await c.transaction([](pg::transaction& t) -> asio::awaitable<void> { co_await t.exec("select 1"); });
       },
       "transaction() was started while exec() is running" + advice},
      {"a transaction first",
       [](pg::connection& c) -> asio::awaitable<void> {
         co_await c.transaction([](pg::transaction& t) -> asio::awaitable<void> { co_await t.exec("select pg_sleep(0.03)"); });
       },
       exec,
       "exec() was started while transaction() is running on this connection, which serves one at a time: co_await it in the transaction's "
       "body, or after it, or give each a lease of its own, in coroutines of their own"},
  };
  for (const auto& each : table) {
    INFO(each.name);
    auto task = [&each]() -> asio::awaitable<std::string> {
      auto c = co_await connect();
      const int pid = c.backend_pid();
      auto both = [](pg::connection& on, verb first, verb second) -> asio::awaitable<void> { co_await (first(on) && second(on)); };
      auto said = co_await said_by(both(c, each.first, each.second));
      const auto same = co_await c.one<int>("select pg_backend_pid()");
      must(same == pid && c.after_lease() == lease_end::clean, "the connection is as good as before");
      co_return said;
    };
    CHECK(run(task()) == "postgres: " + each.said);
  }
}

TEST_CASE("given a stream or COPY that is open, when another statement starts, then it is refused at once",
          "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::vector<std::string>> {
    std::vector<std::string> said;
    auto c = co_await connect();
    co_await c.script("create temp table t (i int)");
    {
      auto rows = co_await c.stream<int>("select generate_series(1, 3)");
      const auto failure = co_await error_of(c.exec("select 1"));
      must(failure.reason() == pg::errc::busy, "busy");
      said.emplace_back(failure.what());
      int sum = 0;
      for (auto i = co_await rows.next(); i; i = co_await rows.next()) sum += *i;
      must(sum == 6, "the stream goes on");
    }
    {
      auto in = co_await c.copy_in("copy t from stdin");
      said.emplace_back((co_await error_of(c.script("select 1"))).what());
      co_await in.row(1);
      const auto rows = co_await in.finish();
      must(rows == 1, "the COPY goes on");
    }
    {
      auto out = co_await c.copy_out("copy t to stdout");
      said.emplace_back((co_await error_of(c.ping())).what());
      co_await out.close();
    }
    must(c.usable(), "usable");
    co_return said;
  };
  const stopwatch time;
  const auto said = run(task());
  REQUIRE(said.size() == 3);
  CHECK(
      said[0] ==
      "postgres: exec() was started while stream() is open on this connection, which serves one at a time: read it to its end or co_await "
      "its close() first, or give each a lease of its own, in coroutines of their own");
  CHECK(said[1] ==
        "postgres: script() was started while copy_in() is open on this connection, which serves one at a time: co_await its finish() or "
        "abort() first, or give each a lease of its own, in coroutines of their own");
  CHECK(said[2] ==
        "postgres: ping() was started while copy_out() is open on this connection, which serves one at a time: read it to its end or "
        "co_await its close() first, or give each a lease of its own, in coroutines of their own");
  CHECK(time.seconds() < 30);
}

TEST_CASE("given two calls at once on a stream or COPY, then the second is refused, what it holds is sound",
          "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::vector<std::string>> {
    std::vector<std::string> said;
    auto c = co_await connect();
    const int pid = c.backend_pid();
    co_await c.script("create temp table t (i text)");
    {
      auto rows = co_await c.stream<int>("select 1 from pg_sleep(0.05)");
      auto next = [](pg::row_stream<int>& of) -> asio::awaitable<void> { (void)co_await of.next(); };
      auto both = [next](pg::row_stream<int>& of) -> asio::awaitable<void> { co_await (next(of) || next(of)); };
      co_await both(rows);
      said.push_back("first served");
      co_await rows.close();
    }
    {
      auto in = co_await c.copy_in("copy t from stdin");
      const std::string block(4'000'000, 'x');
      auto both = [](pg::copy_writer& to, const std::string& what) -> asio::awaitable<void> {
        auto one = to.write(what);
        auto other = to.write("y\n");
        co_await (std::move(one) || std::move(other));
      };
      co_await both(in, block + "\n");
      const auto rows = co_await in.finish();
      said.push_back(std::to_string(rows) + " rows");
    }
    {
      auto out = co_await c.copy_out(
          "copy (select repeat('x', 20000) from generate_series(1, 2) union all select 'y' from pg_sleep(0.2)) to stdout");
      (void)co_await out.next();
      auto next = [](pg::copy_reader& of) -> asio::awaitable<void> { (void)co_await of.next(); };
      std::string refused = "nothing";
      auto late = [next](pg::copy_reader& of, std::string& to) -> asio::awaitable<void> { to = co_await said_by(next(of)); };
      auto both = [next, late](pg::copy_reader& of, std::string& to) -> asio::awaitable<void> { co_await (next(of) && late(of, to)); };
      co_await both(out, refused);
      said.push_back(refused);
      co_await out.close();
    }
    const auto same = co_await c.one<int>("select pg_backend_pid()");
    must(same == pid, "the same session");
    co_return said;
  };
  const auto said = run(task());
  REQUIRE(said.size() == 3);
  CHECK(said[0] == "first served");
  CHECK(said[1] == "2 rows");
  CHECK(said[2] == "postgres: a copy_out() is used by two calls at once: co_await the first before the second");
}

TEST_CASE("given a cached statement's first use, when a second starts, then both steps of the first run", "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::string> {
    pg::options settings = patient();
    settings.statement_cache = 8;
    auto c = co_await pg::connection::connect(settings);
    auto both = [](pg::connection& on) -> asio::awaitable<void> { co_await (sleeps(on, 0.03) && sleeps(on, 0.01)); };
    co_return co_await said_by(both(c));
  };
  CHECK(run(task()) == "postgres: exec() was started while exec() is running" + advice);
}

TEST_CASE("given a connection in use, when close() or its end comes, then the statement's error says so", "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  auto task = [](int how) -> asio::awaitable<std::string> {
    auto c = co_await connect();
    const auto executor = co_await asio::this_coro::executor;
    std::string said;
    auto work = [](pg::connection& on, std::string& to) -> asio::awaitable<void> {
      auto statement = on.exec(pg::within(60s), "select pg_sleep(60)");
      auto failure = co_await error_of(std::move(statement));
      must(failure.connection_lost(), "lost");
      to = failure.what();
    };
    asio::co_spawn(executor, work(c, said), asio::detached);
    co_await pause(20ms);
    if (how == 0) co_await c.close();
    if (how == 1) c = pg::connection();
    if (how == 2) c.abort("the operator ended it");
    while (said.empty()) co_await pause(1ms);
    if (how == 2) {
      const auto again = co_await error_of(c.exec("select 1"));
      must(again.what() == said, "later ones say it too");
    }
    co_return said;
  };
  CHECK(run(task(0)) == "postgres: the connection was closed by close() while an operation was running");
  CHECK(run(task(1)) == "postgres: the connection was destroyed, or its lease given back, while an operation was running");
  CHECK(run(task(2)) == "postgres: the operator ended it");
}

TEST_CASE("given a stream that was destroyed half-way, when a statement follows, then its error says so", "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::string> {
    auto c = co_await connect();
    { auto rows = co_await c.stream<int>("select generate_series(1, 100000)"); }
    const auto failure = co_await error_of(c.exec("select 1"));
    must(failure.connection_lost(), "lost");
    co_return failure.what();
  };
  CHECK(run(task()) == "postgres: the connection cannot be used any more: its stream() was destroyed before its end");
}
