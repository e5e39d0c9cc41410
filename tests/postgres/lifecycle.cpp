// SPDX-License-Identifier: BSL-1.0
// tidepool - how a connection dies, is reset, aborted, cancelled, closed, and used from other threads.
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <tidepool/postgres/detail/address_memory.hpp>
#include <tidepool/postgres/detail/cancel_request.hpp>
#include <tidepool/postgres/detail/operation.hpp>
#include <tidepool/postgres/detail/session.hpp>

#include "fake_server.hpp"

using namespace tidepool_tests;
using tidepool::lease_end;

namespace {

asio::awaitable<bool> terminate(pg::connection& by, int pid) { return by.one<bool>("select pg_terminate_backend($1)", pid); }

/// Waits until a backend is gone from the server's own list.
asio::awaitable<bool> gone(pg::connection& watcher, int pid) {
  for (int i = 0; i < 1000; ++i) {
    const auto count = co_await watcher.one<int>("select count(*)::int from pg_stat_activity where pid = $1", pid);
    if (count == 0) co_return true;
    co_await pause(10ms);
  }
  co_return false;
}

}  // namespace

TEST_CASE("given an idle connection, when its backend is terminated, then usable() sees it and knows why", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<pg::error> {
    auto watcher = co_await connect();
    auto victim = co_await connect();
    const auto spoiled = co_await error_of(victim.exec("select 1/0"));
    must(victim.usable(), "usable before");
    must(co_await terminate(watcher, victim.backend_pid()), "terminated");
    must(co_await gone(watcher, victim.backend_pid()), "gone");
    for (int i = 0; i < 500 && victim.usable(); ++i) co_await pause(10ms);
    must(!victim.usable(), "unusable after");
    must(victim.after_lease() == lease_end::broken, "broken");
    co_return co_await error_of(victim.exec("select 1"));
  };
  const auto failure = run(task());
  CHECK(failure.connection_lost());
  CHECK(failure.sqlstate() == "57P01");
  CHECK(std::string(failure.what()).find("division") == std::string::npos);
}

TEST_CASE("given a session whose end came with an answer, when it is looked at, then it is not usable", "[postgres][field-5]") {
  // The socket stays open, so that nothing but what libpq has read already can tell.
  const auto talk = [](const std::string& said) {
    return asks_for_login(said) ? welcome() : done("SELECT 0") + ready() + error_response("57P01", "terminating connection");
  };
  fake_server server(talk, true);
  enum class look { usable, after_lease, neither };
  auto task = [&](look how) -> asio::awaitable<pg::error> {
    auto c = co_await pg::connection::connect(server.conninfo());
    must(c.usable() && c.after_lease() == lease_end::clean, "before");
    co_await c.exec("select");
    if (how == look::usable) must(!c.usable(), "usable()");
    if (how == look::after_lease) must(c.after_lease() == lease_end::broken, "after_lease()");
    const auto later = co_await error_of(c.exec("select"));
    must(!c.usable() && c.after_lease() == lease_end::broken, "after");
    co_return later;
  };
  for (const auto how : {look::usable, look::after_lease, look::neither}) {
    const auto failure = run(task(how));
    CHECK(failure.connection_lost());
    CHECK(failure.is("57P01"));
  }
}

TEST_CASE("given an earlier error, when the connection is lost without a word, then it is not quoted", "[postgres][server][field-F14]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::string> {
    auto c = co_await connect();
    co_await c.script("create temp table t (name text primary key); insert into t values ('secret')");
    const auto told = co_await error_of(c.exec("insert into t values ('secret')"));
    must(told.is("23505") && told.detail().find("secret") != std::string::npos, "told");
    c.context_gone();
    const auto lost = co_await error_of(c.exec("select 1"));
    must(lost.connection_lost(), "lost");
    co_return lost.what();
  };
  CHECK(run(task()) == "postgres: the connection was lost before this operation");
}

TEST_CASE("given a running statement, when its backend is terminated, then the error has the reason", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<pg::error> {
    auto watcher = co_await connect();
    auto victim = co_await connect();
    const int pid = victim.backend_pid();
    std::optional<pg::error> seen;
    auto sleeper = [&]() -> asio::awaitable<void> { seen = co_await error_of(victim.exec("select pg_sleep(60)")); };
    asio::co_spawn(co_await asio::this_coro::executor, sleeper(), asio::detached);
    co_await pause(50ms);
    must(co_await terminate(watcher, pid), "terminated");
    while (!seen) co_await pause(5ms);
    must(victim.after_lease() == lease_end::broken, "broken");
    co_return *seen;
  };
  const auto failure = run(task());
  CHECK(failure.sqlstate() == "57P01");
  CHECK(failure.severity() == "FATAL");
  CHECK(failure.connection_lost());
  CHECK_FALSE(failure.retryable());
}

TEST_CASE("given two connections, when one's socket number is used again, then the other is not disturbed", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    int sum = 0;
    auto watcher = co_await connect();
    for (int i = 0; i < 20; ++i) {
      auto first = co_await connect();
      must(co_await terminate(watcher, first.backend_pid()), "terminated");
      const auto lost = co_await error_of(first.exec("select 1"));
      must(lost.connection_lost() && lost.is("57P01"), "lost, and why");
      auto second = co_await connect();
      { auto late = std::move(first); }
      sum += co_await second.one<int>("select 1 from pg_sleep(0.01)");
    }
    co_return sum;
  };
  CHECK(run(task()) == 20);
}

TEST_CASE("given an open transaction, when the lease ends, then a rollback is asked for, and only then", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect();
    must(c.after_lease() == lease_end::clean, "clean");
    co_await c.script("begin; create temp table t (i int)");
    must(c.after_lease() == lease_end::needs_reset && !c.usable(), "in a transaction");
    (void)co_await error_of(c.exec("select 1/0"));
    must(c.after_lease() == lease_end::needs_reset, "in a failed transaction");
    co_await c.ping();
    co_await c.reset();
    must(c.after_lease() == lease_end::clean && c.usable(), "clean again");
    (void)co_await error_of(c.exec("select * from t"));

    pg::options settings = patient();
    settings.reset = pg::reset_level::none;
    auto unreset = co_await pg::connection::connect(settings);
    co_await unreset.script("begin");
    must(unreset.after_lease() == lease_end::broken, "never handed on inside a transaction");
    settings.reset = pg::reset_level::full;
    auto full = co_await pg::connection::connect(settings);
    must(full.after_lease() == lease_end::clean, "untouched");
    co_await full.exec("select 1");
    must(full.after_lease() == lease_end::needs_reset, "touched");
    co_await full.reset();
    must(full.after_lease() == lease_end::clean, "wiped");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given reset levels, when a session is reset, then exactly what each promises is forgotten", "[postgres][server]") {
  NEEDS_SERVER();
  // What one lease leaves behind, as letters: Guc, Role, Temp table, advisory Lock, listen (N), prepared Statement, Cursor.
  auto task = [](pg::reset_level level) -> asio::awaitable<std::string> {
    auto c = co_await connect();
    auto other = co_await connect();
    co_await other.script(
        "do $$begin if not exists (select from pg_roles where rolname = 'tidepool_plain') then create role tidepool_plain; end if; end$$");
    const auto lock = c.backend_pid();
    co_await c.exec("select pg_advisory_lock($1)", lock);
    co_await c.script("set work_mem = '123kB'; create temp table left_behind as select 1; listen tidepool_channel");
    co_await c.script("begin; declare cur cursor with hold for select 1; commit; set role tidepool_plain");
    const auto prepared = co_await c.prepare("select 7");
    co_await c.reset(level);
    std::string left;
    const auto setting = co_await c.one<bool>("select current_setting('work_mem') = '123kB'");
    if (setting) left += 'G';
    const auto role = co_await c.one<bool>("select current_user = 'tidepool_plain'");
    if (role) left += 'R';
    const auto table = co_await c.one<bool>("select to_regclass('pg_temp.left_behind') is not null");
    if (table) left += 'T';
    const auto free = co_await other.one<bool>("select pg_try_advisory_lock($1)", lock);
    if (!free) left += 'L';
    const auto listens = co_await c.one<bool>("select count(*) > 0 from pg_listening_channels()");
    if (listens) left += 'N';
    const auto statements = co_await c.one<bool>("select count(*) > 0 from pg_prepared_statements");
    if (statements) left += 'S';
    const auto cursors = co_await c.one<bool>("select count(*) > 0 from pg_cursors where name = 'cur'");
    if (cursors) left += 'C';
    co_return left;
  };
  CHECK(run(task(pg::reset_level::none)) == "GRTLNSC");
  CHECK(run(task(pg::reset_level::rollback)) == "GRTLNSC");
  CHECK(run(task(pg::reset_level::light)) == "S");
  CHECK(run(task(pg::reset_level::full)).empty());
}

TEST_CASE("given on_reset, when a lease that used its connection ends, then it runs, at every level", "[postgres][server]") {
  NEEDS_SERVER();
  int runs = 0;
  auto task = [&]() -> asio::awaitable<void> {
    pg::options settings = patient();
    settings.on_reset = [&runs](pg::connection& c) -> asio::awaitable<void> {
      ++runs;
      co_await c.script("reset work_mem");
    };
    auto c = co_await pg::connection::connect(settings);
    must(c.after_lease() == lease_end::clean, "untouched");
    co_await c.script("set work_mem = '123kB'");
    must(c.after_lease() == lease_end::needs_reset, "touched");
    co_await c.reset();
    must(runs == 1 && c.after_lease() == lease_end::clean, "reset");
    const auto kept = co_await c.one<bool>("select current_setting('work_mem') = '123kB'");
    must(!kept, "forgotten");
    co_await c.reset(pg::reset_level::full);
    must(runs == 2, "at every level");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a running statement, when another thread aborts it, then it fails soon, as all that follows", "[postgres][server]") {
  NEEDS_SERVER();
  std::optional<pg::error> running;
  std::optional<pg::error> later;
  auto task = [&]() -> asio::awaitable<void> {
    auto c = co_await connect();
    std::thread other([&c] {
      std::this_thread::sleep_for(100ms);
      c.abort();
    });
    running = co_await error_of(c.exec("select pg_sleep(60)"));
    other.join();
    later = co_await error_of(c.ping());
    must(!c.usable() && c.after_lease() == lease_end::broken, "broken");
  };
  const stopwatch watch;
  run(task());
  CHECK(watch.seconds() < 30);
  CHECK(running->reason() == pg::errc::connection_lost);
  CHECK(std::string(running->what()).find("aborted") != std::string::npos);
  CHECK(later->connection_lost());
}

TEST_CASE("given close(), when it returns, then the server has let the session go", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    auto watcher = co_await connect();
    int left = 0;
    for (int i = 0; i < 20; ++i) {
      auto c = co_await connect(i % 2 == 0 ? "" : "sslmode=prefer");
      const int pid = c.backend_pid();
      co_await c.close();
      must(!c, "closed");
      left += co_await watcher.one<int>("select count(*)::int from pg_stat_activity where pid = $1", pid);
      co_await c.close();
    }
    co_return left;
  };
  CHECK(run(task()) == 0);
}

TEST_CASE("given connections made, used, killed and dropped, when all is over, then no descriptor is left", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto watcher = co_await connect();
    for (int i = 0; i < 30; ++i) {
      auto c = co_await connect();
      const auto kill = i % 3 == 0;
      if (kill) co_await terminate(watcher, c.backend_pid());
      if (kill) (void)co_await error_of(c.exec("select 1"));
      if (i % 3 == 1) co_await c.close();
    }
  };
  run(task());
  const int before = open_descriptors();
  run(task());
  CHECK(settled_descriptors(before) == before);
}

TEST_CASE("given a running statement, when its context is destroyed, then the connection is gone too", "[postgres][server]") {
  NEEDS_SERVER();
  run([]() -> asio::awaitable<void> { co_await connect(); }());
  const int before = open_descriptors();
  for (int i = 0; i < 3; ++i) {
    asio::io_context context;
    auto task = []() -> asio::awaitable<void> {
      auto c = co_await connect();
      auto body = [](pg::transaction& t) -> asio::awaitable<void> { co_await t.exec("select pg_sleep(60)"); };
      co_await c.transaction(body);
    };
    asio::co_spawn(context, task(), asio::detached);
    context.run_for(100ms);
  }
  CHECK(settled_descriptors(before) == before);
}

TEST_CASE("given a connection of one context, when it is used from threads of another, then it works there", "[postgres][server]") {
  NEEDS_SERVER();
  asio::io_context home;
  asio::io_context away;
  auto keep = asio::make_work_guard(home);
  std::thread home_thread([&] { home.run(); });
  std::atomic<int> sum{0};
  std::atomic<bool> right_thread{true};
  std::thread::id here;
  auto user = [&]() -> asio::awaitable<void> {
    auto shared = std::make_shared<const pg::options>(server());
    auto bad = std::make_shared<pg::detail::address_memory>();
    auto c = co_await pg::connection::connect(home.get_executor(), shared, bad);
    for (int i = 0; i < 50; ++i) {
      sum += co_await c.one<int>("select 1");
      if (std::this_thread::get_id() != here) right_thread = false;
    }
    co_await c.close();
  };
  here = std::this_thread::get_id();
  for (int i = 0; i < 4; ++i) asio::co_spawn(away, user(), asio::detached);
  away.run_for(hang);
  keep.reset();
  home_thread.join();
  CHECK(sum == 200);
  CHECK(right_thread);
}

TEST_CASE("given one context on several threads, when connections move between them, then all succeed", "[postgres][server]") {
  NEEDS_SERVER();
  asio::io_context context;
  std::atomic<int> sum{0};
  std::atomic<int> aborted{0};
  auto user = [&](int number) -> asio::awaitable<void> {
    auto c = co_await connect();
    for (int i = 0; i < 40; ++i) sum += co_await c.one<int>("select 1");
    auto body = [](pg::transaction& t) -> asio::awaitable<int> { co_return co_await t.one<int>("select 1"); };
    for (int i = 0; i < 10; ++i) sum += co_await c.transaction(body);
    if (number % 2 == 0) {
      c.abort();
      const auto failure = co_await error_of(c.ping());
      aborted += failure.connection_lost() ? 1 : 0;
    } else {
      co_await c.close();
    }
  };
  for (int i = 0; i < 8; ++i) asio::co_spawn(context, user(i), asio::detached);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { context.run_for(hang); });
  for (auto& thread : threads) thread.join();
  CHECK(sum == 8 * 50);
  CHECK(aborted == 4);
}

TEST_CASE("given a statement, when its canceller stops it, even before it began, then it fails with 57014", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = [](bool slow_to_begin) -> asio::awaitable<std::string> {
    auto c = co_await connect(slow_to_begin ? "" : "sslmode=prefer");
    const auto stop = c.canceller();
    // A request that overtakes three megabytes of text finds nothing to cancel.
    const std::string sql = "select pg_sleep(60) " + std::string(slow_to_begin ? 3'000'000 : 0, ' ');
    std::optional<pg::error> seen;
    auto sleeper = [&]() -> asio::awaitable<void> { seen = co_await error_of(c.exec(sql)); };
    asio::co_spawn(co_await asio::this_coro::executor, sleeper(), asio::detached);
    if (!slow_to_begin) co_await pause(50ms);
    while (c.session()->cancels->activity % 2 == 0) co_await pause(0ms);
    const bool stopped = co_await stop.stop(50s);
    must(stopped, "stopped");
    while (!seen) co_await pause(1ms);
    must(c.after_lease() == lease_end::clean && c.usable(), "clean");
    const bool nothing = co_await stop.stop();
    must(nothing, "nothing to stop");
    const auto one = co_await c.one<int>("select 1");
    must(one == 1, "alive");
    co_return std::string(seen->sqlstate());
  };
  for (int i = 0; i < 5; ++i) CHECK(run(task(i % 2 == 0)) == "57014");
}

TEST_CASE("given a silent server, when a statement is stopped, then that ends in time, the connection is lost", "[postgres]") {
  fake_server silent(after_login([](const std::string&) { return ""; }), true);
  auto task = [&]() -> asio::awaitable<void> {
    pg::options settings(silent.conninfo());
    settings.cancel_timeout = 100ms;
    auto c = co_await pg::connection::connect(settings);
    const auto stop = c.canceller();
    std::optional<pg::error> seen;
    auto sleeper = [&]() -> asio::awaitable<void> { seen = co_await error_of(c.exec("select 1")); };
    asio::co_spawn(co_await asio::this_coro::executor, sleeper(), asio::detached);
    co_await pause(10ms);
    const stopwatch time;
    const bool taken = co_await stop.cancel();
    must(!taken && time.seconds() < 5, "in its time");
    must(c.session()->cancels->in_flight == 1, "it may still get there");
    c.abort();
    while (!seen) co_await pause(1ms);
    must(seen->connection_lost() && c.after_lease() == lease_end::broken, "the connection is not used again");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a silent server and patient cancels, when a statement has a limit, then the limit holds", "[postgres][field-R02]") {
  fake_server silent(after_login([](const std::string&) { return ""; }), true);
  auto task = [&]() -> asio::awaitable<void> {
    pg::options settings(silent.conninfo());
    settings.cancel_timeout = 30s;
    auto c = co_await pg::connection::connect(settings);
    const auto stop = c.canceller();
    std::optional<pg::error> seen;
    auto sleeper = [&]() -> asio::awaitable<void> { seen = co_await error_of(c.exec("select 1")); };
    asio::co_spawn(co_await asio::this_coro::executor, sleeper(), asio::detached);
    co_await pause(5ms);
    const stopwatch time;
    const bool ended = co_await stop.stop(100ms);
    must(!ended && time.seconds() < 10, "in its time");
    c.abort();
    while (!seen) co_await pause(1ms);
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a cancel request under way, when the lease ends, then the connection is not handed on", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect();
    must(c.usable() && c.after_lease() == lease_end::clean, "before");
    c.session()->cancels->in_flight = 1;
    must(!c.usable() && c.after_lease() == lease_end::broken, "meanwhile");
    c.session()->cancels->in_flight = 0;
    must(c.usable() && c.after_lease() == lease_end::clean, "after");
  };
  CHECK_NOTHROW(run(task()));
}

/// Ends operations while another thread sets out to cancel them.
void race_for_cancels(pg::connection& c) {
  const auto record = c.session()->cancels;
  // Both sides meet twice a round: before the race, and before its traces go.
  std::atomic<int> met{0};
  const auto meet = [&met](int count) {
    ++met;
    while (met < count) std::this_thread::yield();
  };
  std::atomic<bool> to_be_sent{false};
  std::atomic<std::uint64_t> running{0};
  std::atomic<bool> over{false};
  std::thread other([&] {
    for (int i = 0; !over; ++i) {
      meet(6 * i + 2);
      const auto mark = pg::detail::cancel_mark::while_runs(running, record);
      to_be_sent = mark.has_value();
      meet(6 * i + 4);
      meet(6 * i + 6);
    }
  });
  int handed_on = 0;
  int sent = 0;
  int both = 0;
  const stopwatch time;
  for (int i = 0; !over; ++i) {
    std::optional<pg::detail::operation> statement(std::in_place, *c.session());
    statement->finished();
    running = record->activity.load();
    meet(6 * i + 2);
    statement.reset();
    const bool clean = c.after_lease() == lease_end::clean;
    meet(6 * i + 4);
    handed_on += clean ? 1 : 0;
    sent += to_be_sent ? 1 : 0;
    both += clean && to_be_sent ? 1 : 0;
    // Thousands of rounds on a quiet machine; a busy one gives the processor away at every look.
    over = i == 20000 || time.seconds() > 1;
    meet(6 * i + 6);
  }
  other.join();
  INFO(handed_on << " handed on, " << sent << " sent");
  CHECK(both == 0);
  CHECK(record->in_flight == 0);
}

TEST_CASE("given an operation that ends while it is to be cancelled, then no later one gets the cancel", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect();
    race_for_cancels(c);
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a server turned read-only, when a write fails on a read-write target, then it retires", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect("target_session_attrs=read-write");
    auto any = co_await connect();
    for (auto* each : {&c, &any}) {
      co_await each->script("set default_transaction_read_only to on");
      const auto failure = co_await error_of(each->exec("create table never (i int)"));
      must(failure.is("25006"), "read-only");
    }
    must(c.after_lease() == lease_end::needs_reset && !c.usable(), "to be asked");
    co_await c.reset();
    must(c.after_lease() == lease_end::broken && !c.usable(), "read-only");
    must(any.after_lease() == lease_end::clean, "any server will do");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a read-only transaction, when its write is refused, then the server is not blamed", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect("target_session_attrs=read-write");
    pg::transaction_options reading;
    reading.read_only = true;
    auto body = [](pg::transaction& t) -> asio::awaitable<void> { co_await t.script("create table never (i int)"); };
    const auto failure = co_await error_of(c.transaction(body, reading));
    must(failure.is("25006") && c.after_lease() == lease_end::clean && c.usable(), "of the driver");
    co_await c.script("begin read only");
    const auto again = co_await error_of(c.script("create table never (i int)"));
    must(again.is("25006") && c.after_lease() == lease_end::needs_reset, "of the user");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given an idle connection, when its server turned read-only and it is pinged, then it is not usable", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect("target_session_attrs=read-write");
    auto any = co_await connect();
    for (auto* each : {&c, &any}) {
      co_await each->script("set default_transaction_read_only to on");
      co_await each->ping();
    }
    must(!c.usable() && c.after_lease() == lease_end::broken, "read-only");
    must(any.usable() && any.after_lease() == lease_end::clean, "any server will do");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a server's warning that it goes down, when it arrives, then connections of its age retire", "[postgres][field-F10]") {
  for (const std::string state : {"57P01", "57P02", "57P03"}) {
    fake_server server(
        [&](const std::string& said) {
          return asks_for_login(said) ? welcome() : spoken('N', "WARNING", state, "terminating", "quickdie") + done("SELECT 0") + ready();
        },
        true);
    auto task = [&]() -> asio::awaitable<bool> {
      auto c = co_await pg::connection::connect(server.conninfo());
      co_await c.exec("select");
      co_return c.after_lease() == lease_end::outdated;
    };
    CHECK(run(task()) == (state != "57P03"));
  }
}

TEST_CASE("given a session ended with FATAL 40001, then it is lost and its transaction is not run again", "[postgres][field-R07]") {
  // As servers do, as poolers do with one severity only, and with the socket left open, so that nothing but the word tells.
  for (const bool both : {true, false}) {
    const auto talk = [both](const std::string& said) -> std::string {
      if (asks_for_login(said)) return welcome();
      if (said.find("conflict") == std::string::npos) return protocol_message('C', std::string("BEGIN\0", 6)) + ready('T');
      const std::string words("Mterminating connection due to conflict with recovery\0\0", 55);
      return protocol_message('E',
                              std::string("SFATAL\0", 7) + (both ? std::string("VFATAL\0", 7) : "") + std::string("C40001\0", 7) + words);
    };
    fake_server server(talk, true);
    int runs = 0;
    auto task = [&]() -> asio::awaitable<pg::error> {
      auto c = co_await pg::connection::connect(server.conninfo());
      pg::transaction_options wanted;
      wanted.retries = 3;
      auto body = [&runs](pg::transaction& t) -> asio::awaitable<void> {
        ++runs;
        co_await t.exec("select conflict");
      };
      const auto failure = co_await error_of(c.transaction(body, wanted));
      must(c.after_lease() == lease_end::broken && !c.usable(), "the connection is not used again");
      co_return failure;
    };
    const auto failure = run(task());
    CHECK(runs == 1);
    CHECK(failure.connection_lost());
    CHECK(failure.is("40001"));
    CHECK_FALSE(failure.retryable());
  }
}

TEST_CASE("given a refused write, when it was no refusal of the server's own, then the server is not doubted", "[postgres][field-F10]") {
  for (const std::string routine :
       {"exec_stmt_raise", "pgfdw_report_error", "PreventCommandIfReadOnly", "PreventCommandDuringRecovery", ""}) {
    const auto talk = [routine](const std::string& said) {
      return asks_for_login(said) ? welcome() : spoken('E', "ERROR", "25006", "cannot do that", routine) + ready();
    };
    fake_server server(talk, true);
    auto task = [&]() -> asio::awaitable<bool> {
      auto c = co_await pg::connection::connect(server.conninfo() + " target_session_attrs=read-write");
      const auto failure = co_await error_of(c.exec("insert"));
      must(failure.is("25006") && !failure.connection_lost(), "refused");
      co_return c.after_lease() == lease_end::clean;
    };
    INFO(routine);
    CHECK(run(task()) == (routine == "exec_stmt_raise" || routine == "pgfdw_report_error"));
  }
}

TEST_CASE("given a RAISE with codes of a server going down, full or read-only, then only its statement fails",
          "[postgres][server][field-F10]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect("target_session_attrs=read-write");
    for (const std::string state : {"57P01", "57P02", "57P03", "53300", "28000", "3D000", "25006"}) {
      co_await c.script("do $$ begin raise warning 'going down' using errcode = '" + state + "'; end $$");
      must(c.after_lease() == lease_end::clean && c.usable(), "a warning");
      const auto raised = co_await error_of(c.script("do $$ begin raise 'no' using errcode = '" + state + "'; end $$"));
      must(raised.is(state) && raised.consequence() == pg::consequence::none, "an error");
      must(c.after_lease() == lease_end::clean && c.usable(), "the connection is as good as before");
    }
  };
  CHECK_NOTHROW(run(task()));
}

#ifdef __linux__
TEST_CASE("given a watched connection, when its server hangs up, then that is told once, during the watch", "[postgres][server][field-5]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::string> {
    auto watcher = co_await connect();
    int told = 0;
    int unwanted = 0;
    auto victim = co_await connect();
    auto other = co_await connect();
    victim.watch([&told] { ++told; });
    other.watch([&unwanted] { ++unwanted; });
    other.watch({});
    for (auto* each : {&victim, &other}) {
      must(co_await terminate(watcher, each->backend_pid()), "terminated");
      must(co_await gone(watcher, each->backend_pid()), "gone");
    }
    for (int i = 0; i < 1000 && told == 0; ++i) co_await pause(1ms);
    // The connection is still there, and its socket still has the end of the stream to tell.
    for (int i = 0; i < 20; ++i) co_await pause(1ms);
    co_return std::to_string(told) + " " + std::to_string(unwanted);
  };
  CHECK(run(task()) == "1 0");
}
#endif

TEST_CASE("given ping, when the server does or does not answer, then it says so; a query may stand in for it", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect();
    const auto before = c.last_round_trip();
    co_await pause(2ms);
    co_await c.ping();
    must(c.last_round_trip() > before, "the clock went on");
    co_await c.ping("select 1");
    const auto bad = co_await error_of(c.ping("select 1/0"));
    must(bad.is("22012") && c.usable(), "a failing query fails the ping only");
    must(c.backend_pid() > 0 && c.server_version() > 90000 && !c.parameter("server_version").empty(), "facts are known");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given an empty connection, when it is used, then it is an error and no crash", "[postgres]") {
  pg::connection none;
  CHECK_FALSE(none.usable());
  CHECK(none.after_lease() == lease_end::broken);
  CHECK_FALSE(none);
  none.abort();
  none.context_gone();
  CHECK_THROWS_AS(none.exec("select 1"), pg::error);
  CHECK_NOTHROW(run(none.close()));
}
