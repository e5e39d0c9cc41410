// SPDX-License-Identifier: BSL-1.0
// tidepool - transactions of SQLite, and what ends an operation: limits, cancellation, abort, locks.
#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "../support/on_end.hpp"
#include "kit.hpp"

using namespace tidepool_tests;

namespace {

/// Runs `work(connection)` on a file with a table `t (i)`.
template <class Work>
void on_file(Work work, void (*change)(lite::options&) = nullptr) {
  const folder here;
  lite::options how(here / "test.db");
  if (change != nullptr) change(how);
  run([](Work body, lite::options settings) -> asio::awaitable<void> {
    auto c = co_await lite::connection::connect(std::move(settings));
    co_await c.exec("create table t (i integer)");
    co_await body(c);
  }(std::move(work), how));
}
asio::awaitable<lite::connection> beside(lite::connection& c) {
  lite::options how{std::string(c.peer())};
  how.busy_timeout = 0s;
  return lite::connection::connect(how);
}

}  // namespace

TEST_CASE("given a transaction, when its body returns or throws, then it is committed or rolled back") {
  on_file([](lite::connection& c) -> asio::awaitable<void> {
    auto body = [](lite::transaction& tx) -> asio::awaitable<int> {
      co_await tx.exec("insert into t values (1)");
      auto inner = [](lite::transaction& nested) -> asio::awaitable<void> {
        co_await nested.exec("insert into t values (2)");
        throw std::runtime_error("not this");
      };
      bool thrown = false;
      try {
        co_await tx.nested(inner);
      } catch (const std::runtime_error&) {
        thrown = true;
      }
      must(thrown, "thrown on");
      co_return co_await tx.one<int>("select count(*) from t");
    };
    const int inside = co_await c.transaction(body);
    must(inside == 1, "the savepoint was undone");
    auto fails = [](lite::transaction& tx) -> asio::awaitable<void> {
      co_await tx.exec("insert into t values (3)");
      throw std::logic_error("no");
    };
    bool thrown = false;
    try {
      co_await c.transaction(fails);
    } catch (const std::logic_error&) {
      thrown = true;
    }
    const int count = co_await c.one<int>("select count(*) from t");
    must(thrown && count == 1 && !c.in_transaction(), "rolled back");
  });
}

TEST_CASE("given a transaction that SQLite rolled back, when the body goes on, then nothing runs outside of it") {
  on_file([](lite::connection& c) -> asio::awaitable<void> {
    auto body = [](lite::transaction& tx) -> asio::awaitable<void> {
      co_await tx.exec("insert into t values (1)");
      const auto late = co_await error_of(tx.exec(lite::within(50ms), std::string("insert into t ") + endless));
      must(late.reason() == lite::errc::response_timeout, late.what());
      const auto refused = co_await error_of(tx.exec("insert into t values (2)"));
      must(refused.reason() == lite::errc::rolled_back, refused.what());
    };
    const auto swallowed = co_await error_of(c.transaction(body));
    must(swallowed.reason() == lite::errc::rolled_back, swallowed.what());
    const int count = co_await c.one<int>("select count(*) from t");
    must(count == 0, "nothing is there");
  });
}

TEST_CASE("given a full database, when a transaction writes, then the error says so and the connection goes on") {
  on_file([](lite::connection& c) -> asio::awaitable<void> {
    co_await c.exec("pragma max_page_count = 8");
    auto body = [](lite::transaction& tx) -> asio::awaitable<void> { co_await tx.exec("insert into t values (zeroblob(1000000))"); };
    const auto full = co_await error_of(c.transaction(body));
    must(full.is(SQLITE_FULL) && !full.connection_lost() && !full.retryable(), full.what());
    must(std::string_view(full.what()).find("is full") != std::string_view::npos, full.what());
    co_await c.exec("insert into t values (1)");
  });
}

TEST_CASE("given a lock of another connection, when a write waits for it, then busy_timeout is the bound") {
  on_file(
      [](lite::connection& c) -> asio::awaitable<void> {
        auto other = co_await beside(c);
        co_await other.exec("begin immediate");
        auto body = [](lite::transaction& tx) -> asio::awaitable<void> { co_await tx.exec("insert into t values (1)"); };
        const auto locked = co_await error_of(c.transaction(body, {.retries = 2}));
        must(locked.reason() == lite::errc::locked && locked.retryable() && locked.is(SQLITE_BUSY), locked.what());
        co_await other.exec("commit");
        co_await c.transaction(body);
      },
      [](lite::options& how) { how.busy_timeout = 20ms; });
}

TEST_CASE("given a transaction that has only begun, when another one begins, then that is locked out at once") {
  on_file([](lite::connection& c) -> asio::awaitable<void> {
    auto other = co_await beside(c);
    auto body = [&](lite::transaction&) -> asio::awaitable<void> {
      const auto locked = co_await error_of(other.exec("begin immediate"));
      must(locked.reason() == lite::errc::locked, locked.what());
    };
    co_await c.transaction(body);
  });
}

TEST_CASE("given a lock of another connection, when it is given up, then the write that waited is done") {
  on_file([](lite::connection& c) -> asio::awaitable<void> {
    auto other = co_await beside(c);
    co_await other.exec("begin immediate");
    bool written = false;
    auto write = [&]() -> asio::awaitable<void> {
      co_await c.exec("insert into t values (1)");
      written = true;
    };
    const auto executor = co_await asio::this_coro::executor;
    asio::co_spawn(executor, write(), asio::detached);
    co_await pause(60ms);
    must(!written, "it waits");
    co_await other.exec("commit");
    for (int i = 0; i < 500 && !written; ++i) co_await pause(10ms);
    must(written, "it is done");
  });
}

TEST_CASE("given deferred transactions that read, then write, when one is late, then it may be repeated") {
  on_file([](lite::connection& c) -> asio::awaitable<void> {
    auto other = co_await beside(c);
    int runs = 0;
    auto body = [&](lite::transaction& tx) -> asio::awaitable<void> {
      const int seen = co_await tx.one<int>("select count(*) from t");
      if (++runs == 1) co_await other.exec("insert into t values (1)");
      co_await tx.exec("insert into t values (?1)", 10 + seen);
    };
    co_await c.transaction(body, {.lock = lite::locking::deferred, .retries = 3});
    const int last = co_await c.one<int>("select max(i) from t");
    must(runs == 2 && last == 11, "run again on what the other wrote");
    const auto before = std::exchange(runs, 0);
    const auto failed = co_await error_of(c.transaction(body, {.lock = lite::locking::deferred}));
    must(before == 2 && failed.sqlite_code() == SQLITE_BUSY_SNAPSHOT && failed.retryable(), failed.what());
  });
}

TEST_CASE("given a statement without end, when its time is over, then it is interrupted and the connection kept") {
  on_file([](lite::connection& c) -> asio::awaitable<void> {
    const auto late = co_await error_of(c.exec(lite::within(30ms), endless));
    must(late.reason() == lite::errc::response_timeout && !late.connection_lost(), late.what());
    must(c.usable(), "usable");
    const auto in_run = co_await error_of(c.run(lite::within(30ms), [](sqlite3* db) {
      if (sqlite3_exec(db, endless, nullptr, nullptr, nullptr) == SQLITE_INTERRUPT) throw lite::error(lite::errc::database, "interrupted");
    }));
    must(in_run.explanation() == "interrupted", in_run.what());
    auto body = [](lite::transaction& tx) -> asio::awaitable<void> { co_await tx.exec(endless); };
    const auto whole = co_await error_of(c.transaction(lite::within(30ms), body));
    must(whole.reason() == lite::errc::response_timeout && !c.in_transaction(), whole.what());
    const int one = co_await c.one<int>("select 1");
    must(one == 1, "it goes on");
  });
}

TEST_CASE("given a statement that runs or waits for a lock, when its caller is cancelled, then it ends") {
  const bool waits = GENERATE(false, true);
  on_file(
      [waits](lite::connection& c) -> asio::awaitable<void> {
        auto other = co_await beside(c);
        if (waits) co_await other.exec("begin immediate");
        asio::cancellation_signal stop;
        stopped_how end;
        auto work = [&]() -> asio::awaitable<void> { co_await c.exec(waits ? "insert into t values (1)" : endless); };
        const auto executor = co_await asio::this_coro::executor;
        asio::co_spawn(executor, work(), asio::bind_cancellation_slot(stop.slot(), end.handler()));
        co_await pause(30ms);
        must(!end.done && c.waiting_since() != std::chrono::steady_clock::time_point(), "it runs");
        stop.emit(asio::cancellation_type::terminal);
        for (int i = 0; i < 500 && !end.done; ++i) co_await pause(10ms);
        must(end.done && end.code == asio::error::operation_aborted, "cancelled");
        must(c.usable() && c.waiting_since() == std::chrono::steady_clock::time_point(), "kept");
        (void)co_await c.one<int>("select 1");
      },
      [](lite::options& how) { how.busy_timeout = 50s; });
}

TEST_CASE("given a transaction whose caller is cancelled, when the connection is reset, then it is rolled back") {
  on_file([](lite::connection& c) -> asio::awaitable<void> {
    asio::cancellation_signal stop;
    bool ended = false;
    auto work = [&]() -> asio::awaitable<void> {
      auto body = [](lite::transaction& tx) -> asio::awaitable<void> {
        co_await tx.exec("insert into t values (1)");
        co_await pause(50s);
      };
      co_await c.transaction(body);
    };
    const auto executor = co_await asio::this_coro::executor;
    asio::co_spawn(executor, work(), asio::bind_cancellation_slot(stop.slot(), on_end([&](std::exception_ptr) { ended = true; })));
    co_await pause(30ms);
    stop.emit(asio::cancellation_type::terminal);
    for (int i = 0; i < 500 && !ended; ++i) co_await pause(10ms);
    must(ended && c.in_transaction() && c.after_lease() == tidepool::lease_end::needs_reset, "left open");
    const auto refused = co_await error_of(c.exec("select 1"));
    must(refused.reason() == lite::errc::needs_reset, refused.what());
    co_await c.reset();
    const int count = co_await c.one<int>("select count(*) from t");
    must(count == 0, "rolled back");
  });
}

TEST_CASE("given a statement that runs, when another thread aborts it, then it fails with the reason") {
  on_file([](lite::connection& c) -> asio::awaitable<void> {
    std::thread elsewhere([&c] {
      std::this_thread::sleep_for(30ms);
      c.abort("taken back for the test");
    });
    const auto failed = co_await error_of(c.exec(endless));
    elsewhere.join();
    must(failed.connection_lost() && failed.explanation() == "taken back for the test", failed.what());
    must(!c.usable() && c.after_lease() == tidepool::lease_end::broken && c.why_broken() == "taken back for the test", "broken");
    const auto later = co_await error_of(c.exec("select 1"));
    must(later.connection_lost(), later.what());
  });
}

TEST_CASE("given a statement that runs, when its context is destroyed, then it is interrupted and nothing leaks") {
  const folder here;
  bool destroyed = false;
  struct witness {
    bool& of;
    ~witness() { of = true; }
  };
  {
    asio::io_context context;
    auto work = [&]() -> asio::awaitable<void> {
      const witness w{destroyed};
      auto c = co_await lite::connection::connect(here / "test.db");
      co_await c.exec(endless);
    };
    asio::co_spawn(context, work(), asio::detached);
    context.run_for(50ms);
  }
  CHECK(destroyed);
}

TEST_CASE("given a database in use, when it is backed up, then step by step, told, and whole") {
  const folder here;
  on_file([&here](lite::connection& c) -> asio::awaitable<void> {
    co_await c.exec("insert into t with recursive n(i) as (select 1 union all select i + 1 from n limit 20000) select i from n");
    int steps = 0;
    lite::backup_progress last{-1, 0};
    const auto owned = std::make_shared<int>(0);
    const auto tell = [&, owned](const lite::backup_progress& far) {
      ++steps;
      last = far;
      ++*owned;
    };
    co_await c.backup(here / "copy.db", lite::backup_options(16, tell));  // a temporary: GCC 12 destroys an aggregate twice
    must(*owned == steps && owned.use_count() == 2, "what is told");
    must(steps > 2 && last.remaining == 0 && last.total > 32, "progress");
    auto copy = co_await lite::connection::connect(here / "copy.db");
    const int count = co_await copy.one<int>("select count(*) from t");
    const auto sound = co_await copy.one<std::string>("pragma integrity_check");
    must(count == 20000 && sound == "ok", "whole");
    const auto failed = co_await error_of(c.backup(here / "missing/copy.db"));
    must(failed.is(SQLITE_CANTOPEN) && !failed.connection_lost() && c.usable(), failed.what());
    lite::backup_options how;
    how.on_progress = [](const lite::backup_progress&) { throw std::runtime_error("enough"); };
    bool thrown = false;
    try {
      co_await c.backup(here / "copy.db", how);
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    must(thrown && c.usable(), "ended by the caller");
  });
}
