// SPDX-License-Identifier: BSL-1.0
// tidepool - a server that does not answer: time limits, cancellation, and what becomes of the connection.
#include <signal.h>

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include <tidepool/postgres/detail/execute.hpp>
#include <tidepool/postgres/detail/session.hpp>
#include <tidepool/postgres/detail/statement_cache.hpp>

#include "../support/on_end.hpp"
#include "fake_server.hpp"

using namespace tidepool_tests;
using tidepool::lease_end;

namespace {

/// The connection serves the next statement, in the same session.
asio::awaitable<void> must_be_well(pg::connection& c, int pid) {
  must(c.usable() && c.after_lease() == lease_end::clean, "clean");
  const auto same = co_await c.one<int>("select pg_backend_pid()");
  must(same == pid, "the same session");
}

}  // namespace

TEST_CASE("given a statement with a time limit, when it takes longer, then it is cancelled, the connection kept",
          "[postgres][server][field-L3]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<pg::error> {
    auto c = co_await connect();
    const int pid = c.backend_pid();
    const auto failure = co_await error_of(c.exec(pg::within(50ms), "select pg_sleep(60)"));
    co_await must_be_well(c, pid);
    co_await c.exec("select pg_sleep(0.15)");  // the limit was of that call alone
    co_return failure;
  };
  const stopwatch time;
  const auto failure = run(task());
  CHECK(failure.reason() == pg::errc::response_timeout);
  CHECK(failure.is("57014"));
  CHECK(failure.code() == std::errc::timed_out);
  CHECK_FALSE(failure.connection_lost());
  CHECK(std::string(failure.what()).find("within 50 ms") != std::string::npos);
  CHECK(time.seconds() < 30);
}

TEST_CASE("given a response timeout, when any verb waits longer, then it is cancelled, the connection kept",
          "[postgres][server][field-L3]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    pg::options settings = patient();
    settings.response_timeout = paced(40ms);
    auto c = co_await pg::connection::connect(settings);
    const int pid = c.backend_pid();
    const auto late = [](const pg::error& e) { return e.reason() == pg::errc::response_timeout && e.is("57014"); };
    must(late(co_await error_of(c.exec("select pg_sleep(60)"))), "exec");
    must(late(co_await error_of(c.script("select 1; select pg_sleep(60); select 2"))), "script");
    must(late(co_await error_of(c.one<int>("select 1 from pg_sleep($1)", 60))), "one");
    co_await must_be_well(c, pid);

    // The first rows come; the next one does not.
    auto rows = co_await c.stream<int, std::string>(
        "select case when i < 3 then i else (select 1 from pg_sleep(60)) end, repeat('x', 20000) from generate_series(1, 4) i");
    std::optional<pg::error> none;
    for (int i = 0; i < 10 && !none; ++i) {
      try {
        (void)co_await rows.next();
      } catch (const pg::error& e) {
        none = e;
      }
    }
    must(none && none->reason() == pg::errc::response_timeout, "stream");
    co_await must_be_well(c, pid);

    must(late(co_await error_of(c.copy_out("copy (select pg_sleep(60)) to stdout"))), "copy out, before it begins");
    auto out = co_await c.copy_out(
        "copy (select case when i < 4 then i else (select 1 from pg_sleep(60)) end, repeat('x', 20000) from generate_series(1, 5) i) to "
        "stdout");
    std::optional<pg::error> line;
    for (int i = 0; i < 10 && !line; ++i) {
      try {
        (void)co_await out.next();
      } catch (const pg::error& e) {
        line = e;
      }
    }
    must(line && line->reason() == pg::errc::response_timeout, "copy out");
    co_await must_be_well(c, pid);

    // Its trigger waits when the data has ended.
    co_await c.script(
        "create temp table slow (i int); create function pg_temp.wait() returns trigger language plpgsql as "
        "$$ begin perform pg_sleep(60); return new; end $$; create trigger w before insert on slow for each row execute function "
        "pg_temp.wait()");
    auto in = co_await c.copy_in("copy slow from stdin");
    co_await in.row(1);
    must(late(co_await error_of(in.finish())), "copy in");
    auto count = co_await c.one<int>("select count(*)::int from slow");
    must(count == 0, "nothing of it");
    co_await must_be_well(c, pid);

    auto batch = c.pipeline(pg::pipeline_mode::atomic);
    auto a = batch.exec("select 1");
    auto b = batch.exec("select pg_sleep(60)");
    auto d = batch.exec("select 3");
    must(late(co_await error_of(batch.run())), "pipeline");
    auto each = c.pipeline(pg::pipeline_mode::independent);
    auto x = each.exec("select 1");
    auto y = each.exec("select pg_sleep(60)");
    auto z = each.exec("select 3");
    co_await each.run();
    must(x->one<int>() == 1 && z->one<int>() == 3, "the others are served");
    bool told = false;
    try {
      (void)y.get();
    } catch (const pg::error& e) {
      told = late(e);
    }
    must(told, "its own error");
    co_await must_be_well(c, pid);

    // A limit of one call is for that one alone.
    const auto longer = co_await c.prepare("select 1 from pg_sleep($1)");
    must(late(co_await error_of(c.exec(pg::within(paced(20ms)), longer, 60))), "prepared");
    co_await must_be_well(c, pid);
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a limit and a server that keeps sending, then only a limit of the whole statement ends it",
          "[postgres][server][field-L3]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    pg::options settings = patient();
    settings.response_timeout = 1500ms;
    auto c = co_await pg::connection::connect(settings);
    const std::string sql = "do $$ begin for i in 1..20 loop raise notice '%', repeat('x', 10000); perform pg_sleep(0.1); end loop; end $$";
    co_await c.script(sql);
    const auto failure = co_await error_of(c.script(pg::within(200ms), sql));
    must(failure.reason() == pg::errc::response_timeout && c.usable(), "the whole of it");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a statement that ends while it is cancelled, when its answer comes, then the caller gets it",
          "[postgres][server][field-L3]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect();
    const int pid = c.backend_pid();
    co_await c.script("create temp table kept (i int)");
    // Being cancelled does not keep it from its work. A second request may, on a machine that is slow in between: then once more.
    const std::string catches_the_cancel =
        "do $$ begin perform pg_sleep(60); exception when query_canceled then insert into kept values (1); end $$";
    const std::string raises_its_own =
        "do $$ begin perform pg_sleep(60); exception when query_canceled then raise division_by_zero; end $$";
    bool done = false;
    for (int i = 0; i < 20 && !done; ++i) {
      try {
        const auto answer = co_await c.exec(pg::within(paced(30ms)), catches_the_cancel);
        done = answer.command() == "DO";
      } catch (const pg::error& twice) {
        must(twice.is("57014"), twice.what());
      }
    }
    must(done, "done");
    bool own = false;
    for (int i = 0; i < 20 && !own; ++i) {
      const auto failure = co_await error_of(c.exec(pg::within(paced(30ms)), raises_its_own));
      own = failure.is("22012");
      must(own || failure.is("57014"), failure.what());
    }
    must(own, "the server's own error");
    const auto rows = co_await c.one<int>("select count(*)::int from kept");
    must(rows == 1, "and its work is there");
    co_await must_be_well(c, pid);
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a limit in a transaction, when it passes, then it is rolled back, the connection kept", "[postgres][server][field-L3]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect();
    const int pid = c.backend_pid();
    auto body = [](pg::transaction& t) -> asio::awaitable<void> {
      co_await t.script("create temp table gone (i int)");
      co_await t.exec(pg::within(paced(30ms)), "select pg_sleep(60)");
    };
    const auto failure = co_await error_of(c.transaction(body));
    must(failure.reason() == pg::errc::response_timeout, "told");
    const auto there = co_await c.one<bool>("select to_regclass('pg_temp.gone') is not null");
    must(!there, "rolled back");
    co_await must_be_well(c, pid);
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given limits that make no sense, when a call is made, then it says so", "[postgres][field-L3]") {
  CHECK_THROWS_AS(pg::within(0s), pg::error);
  CHECK_THROWS_AS(pg::within(-1s), pg::error);
  CHECK(pg::within(tidepool::no_limit).limit() == tidepool::no_limit);
}

TEST_CASE("given a cancelled coroutine, when the server ends its statement in time, then the connection is kept",
          "[postgres][server][field-L12]") {
  NEEDS_SERVER();
  asio::io_context context;
  stopped_how end;
  bool well = false;
  std::exception_ptr failure;
  asio::cancellation_signal signal;
  pg::connection c;
  auto sleeper = [&c](bool total) -> asio::awaitable<void> {
    if (total) co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    co_await c.exec("select pg_sleep(60)");
  };
  for (const bool total : {false, true}) {
    end = stopped_how();
    well = false;
    auto all = [&]() -> asio::awaitable<void> {
      c = co_await connect();
      const int pid = c.backend_pid();
      asio::co_spawn(context, sleeper(total), asio::bind_cancellation_slot(signal.slot(), end.handler()));
      co_await pause(50ms);
      signal.emit(total ? asio::cancellation_type::total : asio::cancellation_type::terminal);
      while (!end.done) co_await pause(1ms);
      co_await must_be_well(c, pid);
      well = true;
      c = pg::connection();
    };
    asio::co_spawn(context, all(), on_end([&](std::exception_ptr e) { failure = e; }));
    context.run_for(hang);
    context.restart();
    if (failure) std::rethrow_exception(failure);
    CHECK(well);
    CHECK(end.code == asio::error::operation_aborted);
    CHECK(end.text.find("the connection is kept") != std::string::npos);
  }
}

TEST_CASE("given verbs of all kinds, when cancelled in the middle, then each leaves a sound connection", "[postgres][server][field-L12]") {
  NEEDS_SERVER();
  using body = asio::awaitable<void> (*)(pg::connection&);
  const std::vector<std::pair<const char*, body>> verbs = {
      {"script", [](pg::connection& c) -> asio::awaitable<void> { co_await c.script("select 1; select pg_sleep(60)"); }},
      {"stream",
       [](pg::connection& c) -> asio::awaitable<void> {
         auto rows =
             co_await c.stream<int>("select case when i < 3 then i else (select 1 from pg_sleep(60)) end from generate_series(1, 4) i");
         for (auto row = co_await rows.next(); row; row = co_await rows.next()) continue;
       }},
      {"copy out",
       [](pg::connection& c) -> asio::awaitable<void> {
         auto out = co_await c.copy_out("copy (select pg_sleep(60)) to stdout");
         (void)co_await out.next();
       }},
      {"copy in",
       [](pg::connection& c) -> asio::awaitable<void> {
         auto in = co_await c.copy_in("copy slow from stdin");
         co_await in.row(1);
         (void)co_await in.finish();
       }},
      {"copy in, in the middle of the data",
       [](pg::connection& c) -> asio::awaitable<void> {
         auto in = co_await c.copy_in("copy slow from stdin");
         const std::string block(100'000, '1');
         for (int i = 0; i < 1000; ++i) co_await in.write(block);
       }},
      {"pipeline",
       [](pg::connection& c) -> asio::awaitable<void> {
         auto batch = c.pipeline(pg::pipeline_mode::atomic);
         batch.exec("select 1");
         batch.exec("select pg_sleep(60)");
         batch.exec("select 1");
         co_await batch.run();
       }},
      {"independent pipeline",
       [](pg::connection& c) -> asio::awaitable<void> {
         auto batch = c.pipeline(pg::pipeline_mode::independent);
         batch.exec("select pg_sleep(60)");
         batch.exec("select pg_sleep(60)");
         co_await batch.run();
         co_await c.exec("select 1");
       }},
      {"a large statement",
       [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("select pg_sleep(60), $1", std::string(30'000'000, 'x')); }}};
  for (const auto& [name, what] : verbs) {
    INFO(name);
    asio::io_context context;
    stopped_how end;
    bool well = false;
    std::exception_ptr failure;
    asio::cancellation_signal signal;
    auto all = [&, run_it = what]() -> asio::awaitable<void> {
      pg::options settings = patient();
      auto c = co_await pg::connection::connect(settings);
      const int pid = c.backend_pid();
      co_await c.script(
          "create temp table slow (i text); create function pg_temp.wait() returns trigger language plpgsql as $$ begin "
          "perform pg_sleep(60); return new; end $$; create trigger w before insert on slow for each row execute function pg_temp.wait()");
      asio::co_spawn(context, run_it(c), asio::bind_cancellation_slot(signal.slot(), end.handler()));
      co_await pause(30ms);
      signal.emit(asio::cancellation_type::terminal);
      while (!end.done) co_await pause(1ms);
      co_await must_be_well(c, pid);
      well = true;
    };
    asio::co_spawn(context, all(), on_end([&](std::exception_ptr e) { failure = e; }));
    context.run_for(hang);
    CHECK(end.code == asio::error::operation_aborted);
    CHECK(well);
    std::string why;
    try {
      if (failure) std::rethrow_exception(failure);
    } catch (const std::exception& e) {
      why = e.what();
    }
    INFO(why << " / " << end.text);
    CHECK_FALSE(failure);
  }
}

TEST_CASE("given statements left in the middle, when leases end, then the server sees max_size at most",
          "[postgres][pool][server][field-5]") {
  NEEDS_SERVER();
  asio::io_context context;
  int most = 0;
  int rounds = 0;
  std::string extra;
  tidepool::pool_config config;
  config.name = "unfinished";
  config.min_size = 1;
  config.max_size = 2;
  config.close_timeout = 30s;  // not the limit, but the server's end is waited for
  pg::options settings = patient();
  settings.close_timeout = 30s;
  pg::pool pool(context, pg::connector(settings, config), config);
  std::exception_ptr failure;
  auto all = [&]() -> asio::awaitable<void> {
    auto watcher = co_await connect();
    co_await pool.open();
    for (; rounds < 12; ++rounds) {
      {
        auto first = co_await pool.acquire();
        auto second = co_await pool.acquire();
        // Asleep, and with more rows than the sockets hold.
        auto sleeper = co_await first->stream<int>("select 1 from pg_sleep(60)");
        auto rows = co_await second->stream<std::string>("select repeat('x', 10000) from generate_series(1, 100000)");
        if (rounds % 2 == 0) (void)co_await rows.next();
      }
      auto next = co_await pool.acquire(20s);
      auto other = co_await pool.acquire(20s);
      const auto seen = co_await watcher.one<int>("select count(*)::int from pg_stat_activity where application_name = 'unfinished'");
      most = std::max(most, seen);
      if (seen > 2 && extra.empty()) {
        extra = co_await watcher.one<std::string>(
            "select string_agg(concat_ws(' ', pid, state, backend_start, query_start, state_change, wait_event, left(query, 60)), '; ') "
            "from pg_stat_activity where application_name = 'unfinished'");
      }
    }
    co_await pool.close();
  };
  asio::co_spawn(context, all(), on_end([&](std::exception_ptr e) { failure = e; }));
  context.run_for(hang);
  if (failure) std::rethrow_exception(failure);
  INFO(extra);
  CHECK(rounds == 12);
  CHECK(most == 2);
  CHECK(pool.stats().closed(tidepool::close_reason::broken) == 24);
}

TEST_CASE("given a cancelled COMMIT, when it is answered all the same, then it is told as committed", "[postgres][server][field-L12]") {
  NEEDS_SERVER();
  asio::io_context context;
  stopped_how end;
  int rows = -1;
  std::exception_ptr failure;
  asio::cancellation_signal signal;
  auto all = [&]() -> asio::awaitable<void> {
    pg::options settings = patient();
    settings.statement_cache = 1;
    auto c = co_await pg::connection::connect(settings);
    const int pid = c.backend_pid();
    // The commit takes a while, and being cancelled does not keep it from its end.
    co_await c.script(
        "create temp table done (i int); create function pg_temp.slow() returns trigger language plpgsql as $$ begin perform pg_sleep(60); "
        "return new; exception when query_canceled then return new; end $$; "
        "create constraint trigger s after insert on done deferrable initially deferred for each row execute function pg_temp.slow()");
    auto work = [&c]() -> asio::awaitable<void> {
      auto body = [](pg::transaction& t) -> asio::awaitable<void> {
        co_await t.exec("select 1");
        co_await t.exec("insert into done values ($1)", 1);  // the cache has room for one: something is left to be closed
      };
      co_await c.transaction(body);
    };
    asio::co_spawn(context, work(), asio::bind_cancellation_slot(signal.slot(), end.handler()));
    auto watcher = co_await connect();
    const std::string asleep = "select exists (select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep')";
    for (bool commits = false; !commits; commits = co_await watcher.one<bool>(asleep, pid)) co_await pause(1ms);
    signal.emit(asio::cancellation_type::terminal);
    while (!end.done) co_await pause(1ms);
    rows = co_await c.one<int>("select count(*)::int from done");
    co_await must_be_well(c, pid);
  };
  asio::co_spawn(context, all(), on_end([&](std::exception_ptr e) { failure = e; }));
  context.run_for(hang);
  if (failure) std::rethrow_exception(failure);
  CHECK(end.text.empty());
  CHECK(rows == 1);
}

TEST_CASE("given a cached statement with a limit, when it is prepared first, then the limit is for both", "[postgres][server][field-L3]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    pg::options settings = patient();
    settings.statement_cache = 10;
    auto c = co_await pg::connection::connect(settings);
    const int pid = c.backend_pid();
    const auto failure = co_await error_of(c.exec(pg::within(paced(40ms)), "select pg_sleep($1)", 60));
    must(failure.reason() == pg::errc::response_timeout, "told");
    co_await must_be_well(c, pid);
    pg::transaction_options wanted;
    wanted.answer_within = paced(40ms);
    co_await c.script(
        "create temp table late (i int); create function pg_temp.late() returns trigger language plpgsql as $$ begin perform pg_sleep(60); "
        "return new; end $$; create constraint trigger l after insert on late deferrable initially deferred for each row execute function "
        "pg_temp.late()");
    auto body = [](pg::transaction& t) -> asio::awaitable<void> { co_await t.exec("insert into late values (1)"); };
    const auto commit = co_await error_of(c.transaction(body, wanted));
    must(commit.reason() == pg::errc::response_timeout && !commit.outcome_unknown(), "COMMIT was cancelled, and that is known");
    const auto rows = co_await c.one<int>("select count(*)::int from late");
    must(rows == 0, "nothing of it");
    co_await must_be_well(c, pid);
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a server process that dies when cancelled, then its coroutine can be cancelled as before",
          "[postgres][server][field-R21]") {
  NEEDS_SERVER();
  using body = asio::awaitable<void> (*)(pg::connection&);
  const std::vector<std::pair<const char*, body>> verbs = {
      {"exec", [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec(pg::within(paced(30ms)), "select pg_temp.dies()"); }},
      {"script", [](pg::connection& c) -> asio::awaitable<void> { co_await c.script(pg::within(paced(30ms)), "select pg_temp.dies()"); }},
      {"stream",
       [](pg::connection& c) -> asio::awaitable<void> {
         auto rows = co_await c.stream<int>(pg::within(paced(30ms)), "select pg_temp.dies()");
         (void)co_await rows.next();
       }},
      {"close of a stream",
       [](pg::connection& c) -> asio::awaitable<void> {
         auto rows = co_await c.stream<int>("select pg_temp.dies()");
         co_await rows.close();
       }},
      {"copy out",
       [](pg::connection& c) -> asio::awaitable<void> {
         (void)co_await c.copy_out(pg::within(paced(30ms)), "copy (select pg_temp.dies()) to stdout");
       }},
      {"copy in",
       [](pg::connection& c) -> asio::awaitable<void> {
         auto in = co_await c.copy_in(pg::within(paced(30ms)), "copy deadly from stdin");
         co_await in.row(1);
         (void)co_await in.finish();
       }},
      {"pipeline", [](pg::connection& c) -> asio::awaitable<void> {
         auto batch = c.pipeline(pg::pipeline_mode::atomic);
         batch.exec("select 1");
         batch.exec("select pg_temp.dies()");
         co_await batch.run(pg::within(paced(30ms)));
       }}};
  auto task = [](body what) -> asio::awaitable<std::string> {
    auto c = co_await connect();
    co_await c.script(
        "create function pg_temp.dies() returns int language plpgsql as $$ begin perform pg_sleep(60); return 1; exception when "
        "query_canceled then perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(60); return 2; end $$; "
        "create temp table deadly (i int); create function pg_temp.wait() returns trigger language plpgsql "
        "as $$ begin perform pg_temp.dies(); return new; end $$; create trigger w before insert on deadly for each row execute function "
        "pg_temp.wait()");
    std::string said = "nothing";
    try {
      co_await what(c);
    } catch (const pg::error& failure) {
      said = std::string(failure.sqlstate()) + (failure.connection_lost() ? ", lost" : "");
    }
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    co_return said + (throws ? "" : ", and its coroutine cannot be cancelled any more");
  };
  for (const auto& [name, what] : verbs) {
    INFO(name);
    std::string said = "57014";  // the cancel came before the function had begun: on a machine that others use
    for (int i = 0; i < 10 && said == "57014"; ++i) said = run(task(what));
    CHECK(said == "57P01, lost");
  }
}

TEST_CASE("given many statements to be forgotten by a slow server, when a call has a limit, then all share it", "[postgres][field-R02]") {
  std::atomic<int> closed{0};
  const fake_server slow(
      [&](const std::string& said) {
        if (asks_for_login(said)) return welcome();
        closed += said[0] == 'X' ? 0 : 1;  // not Terminate
        std::this_thread::sleep_for(40ms);
        return (said[0] == 'Q' ? done("DEALLOCATE") : protocol_message('3', "")) + ready();
      },
      true);
  auto task = [](std::string conninfo) -> asio::awaitable<bool> {
    auto c = co_await pg::connection::connect(conninfo);
    for (unsigned i = 0; i < 50; ++i) c.session()->prepared.close_later(pg::detail::statement_id("select", {i}, {}, {}));
    co_await pg::detail::close_dropped(c.session(), 500ms);
    must(c.usable(), "the connection is as good as before");
    co_return c.session()->prepared.has_closing();
  };
  CHECK(run(task(slow.conninfo())));
  CHECK(closed > 0);
  CHECK(closed < 30);
}
