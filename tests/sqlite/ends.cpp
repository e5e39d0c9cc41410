// SPDX-License-Identifier: BSL-1.0
// tidepool - the end of what runs, at every point: cancelled, its connection, pool or execution context gone.
#include <string>
#include <thread>

#include "../support/on_end.hpp"
#include "kit.hpp"

using namespace tidepool_tests;

namespace {

/// What a connection is after an operation: ready for the next one, or it needs a reset, which works. What was told as done is.
asio::awaitable<void> must_go_on(lite::connection& c, int most, bool succeeded) {
  must(c.after_lease() != tidepool::lease_end::broken, "broken: " + c.why_broken());
  if (c.after_lease() == tidepool::lease_end::needs_reset) co_await c.reset();
  must(c.usable(), "not usable");
  const int count = co_await c.one<int>("select count(*) from t");
  must(count == (succeeded ? most : 0), (succeeded ? "told as done: " : "told as cancelled: ") + std::to_string(count));
  co_await c.exec("delete from t");
}
/// Cancels `work(connection)` after each number of handlers, until it ends by itself before.
template <class Work>
void cancel_everywhere(Work work, int most) {
  const folder here;
  const auto prepare = [](std::string path) -> asio::awaitable<lite::connection> {
    auto made = co_await lite::connection::connect(path);
    co_await made.exec("create table t (i)");
    co_return made;
  };
  auto c = run(prepare(here / "test.db"));
  bool cut = true;
  for (int point = 0; cut; ++point) {
    REQUIRE(point < 200);
    asio::io_context io;
    asio::cancellation_signal stop;
    stopped_how end;
    asio::co_spawn(io, work(c), asio::bind_cancellation_slot(stop.slot(), end.handler()));
    for (int i = 0; i < point && !end.done; ++i) io.run_one_for(10s);
    cut = !end.done;
    stop.emit(asio::cancellation_type::terminal);
    io.run_for(30s);
    REQUIRE(end.done);
    CHECK((!end.code || end.code == asio::error::operation_aborted));
    run(must_go_on(c, most, !end.code));
  }
}

constexpr const char* many = "with recursive n(i) as (select 1 union all select i + 1 from n limit 3000) select i from n";

}  // namespace

TEST_CASE("given operations, when they are cancelled at every point, then nothing is done by halves") {
  SECTION("a transaction with a savepoint") {
    cancel_everywhere(
        [](lite::connection& c) -> asio::awaitable<void> {
          auto body = [](lite::transaction& tx) -> asio::awaitable<void> {
            co_await tx.exec("insert into t values (1)");
            auto inner = [](lite::transaction& nested) -> asio::awaitable<void> { co_await nested.exec("insert into t values (2)"); };
            co_await tx.nested(inner);
          };
          co_await c.transaction(body, {.retries = 2});
        },
        2);
  }
  SECTION("a transaction with a time limit, as a whole and within") {
    cancel_everywhere(
        [](lite::connection& c) -> asio::awaitable<void> {
          auto body = [](lite::transaction& tx) -> asio::awaitable<void> {
            co_await tx.exec("insert into t values (1)");
            auto inner = [](lite::transaction& nested) -> asio::awaitable<void> { co_await nested.exec("insert into t values (2)"); };
            co_await tx.nested(lite::within(20s), inner);
          };
          co_await c.transaction(lite::within(20s), body);
        },
        2);
  }
  SECTION("a stream, a prepared statement, a function, a reset and a ping") {
    cancel_everywhere(
        [](lite::connection& c) -> asio::awaitable<void> {
          auto rows = co_await c.stream<int>(many);
          for (auto row = co_await rows.next(); row; row = co_await rows.next()) {
          }
          const auto prepared = co_await c.prepare("select ?1");
          co_await c.exec(prepared, 1);
          co_await c.run([](sqlite3*) {});
          co_await c.reset();
          co_await c.ping();
        },
        0);
  }
  SECTION("a backup") {
    cancel_everywhere(
        [](lite::connection& c) -> asio::awaitable<void> {
          lite::backup_options how;
          how.pages_per_step = 1;
          co_await c.backup(std::string(c.peer()) + ".copy", how);
        },
        0);
  }
}

TEST_CASE("given an operation that has ended, when its caller is cancelled later, then the next holder is not", "[sqlite-S15]") {
  const folder here;
  auto config = tidepool::pool_config::embedded();
  config.min_size = config.max_size = 1;
  with_pool(here / "test.db", config, [](lite::pool& pool) -> asio::awaitable<void> {
    const auto strand = co_await asio::this_coro::executor;
    asio::cancellation_signal stop;
    bool first_ended = false;
    auto first = [&]() -> asio::awaitable<void> {
      {
        auto lease = co_await pool.acquire();
        co_await lease->exec("select 1");
      }
      co_await pause(50s);
    };
    asio::co_spawn(strand, first(), asio::bind_cancellation_slot(stop.slot(), on_end([&](std::exception_ptr) { first_ended = true; })));
    co_await pause(20ms);
    auto lease = co_await pool.acquire();
    bool ended = false;
    std::int64_t counted = 0;
    auto second = [&]() -> asio::awaitable<void> {
      counted = co_await lease->one<std::int64_t>(
          "with recursive n(i) as (select 1 union all select i + 1 from n limit 500000) select max(i) from n");
      ended = true;
    };
    asio::co_spawn(strand, second(), asio::detached);
    co_await pause(5ms);
    stop.emit(asio::cancellation_type::terminal);
    for (int i = 0; i < 2000 && !ended; ++i) co_await pause(10ms);
    must(first_ended && counted == 500000, "undisturbed");
  });
}

TEST_CASE("given a function for run() that leaves statements open, when it throws, then they are reset") {
  const folder here;
  run([](std::string path) -> asio::awaitable<void> {
    auto c = co_await lite::connection::connect(path);
    co_await c.script("create table t (i); insert into t values (1), (2)");
    bool thrown = false;
    try {
      co_await c.run([](sqlite3* db) {
        sqlite3_stmt* open = nullptr;
        sqlite3_prepare_v2(db, "select i from t", -1, &open, nullptr);
        sqlite3_step(open);
        throw 42;
      });
    } catch (int number) {
      thrown = number == 42;
    }
    must(thrown && c.usable(), "thrown on");
    co_await c.exec("insert into t values (3)");
    auto other = co_await lite::connection::connect(path);
    const auto checkpoint = co_await other.one<std::tuple<int, int, int>>("pragma wal_checkpoint(truncate)");
    const auto [busy, log, done] = checkpoint;
    must(busy == 0 && log == 0 && done == 0, "the log was copied and cut");
    co_await c.run([](sqlite3* db) { sqlite3_exec(db, "begin; delete from t", nullptr, nullptr, nullptr); });
    must(c.in_transaction() && c.after_lease() == tidepool::lease_end::needs_reset, "a transaction that was left open");
    co_await c.reset();
    const int count = co_await c.one<int>("select count(*) from t");
    must(count == 3, "rolled back");
  }(here / "test.db"));
}

TEST_CASE("given a busy handler that was replaced, when a later wait for a lock is cancelled, then it ends") {
  const folder here;
  run([](std::string path) -> asio::awaitable<void> {
    auto c = co_await lite::connection::connect(path);
    auto other = co_await lite::connection::connect(path);
    co_await c.exec("create table t (i)");
    co_await other.exec("begin immediate");
    co_await c.exec("pragma busy_timeout = 100000");
    co_await c.run([](sqlite3* db) { sqlite3_progress_handler(db, 0, nullptr, nullptr); });
    const auto late = co_await error_of(c.exec(lite::within(50ms), "insert into t values (1)"));
    must(late.reason() == lite::errc::response_timeout && c.usable(), late.what());
    const auto endless_one = co_await error_of(c.exec(lite::within(50ms), endless));
    must(endless_one.reason() == lite::errc::response_timeout, endless_one.what());
  }(here / "test.db"));
}

TEST_CASE("given a lease whose operation runs, when it is given back, then the connection is closed") {
  const folder here;
  auto config = tidepool::pool_config::embedded();
  config.min_size = config.max_size = 1;
  with_pool(here / "test.db", config, [](lite::pool& pool) -> asio::awaitable<void> {
    std::string told;
    bool ended = false;
    {
      auto lease = co_await pool.acquire();
      asio::co_spawn(co_await asio::this_coro::executor, lease->exec(endless), [&](std::exception_ptr failure, const lite::result&) {
        ended = true;
        try {
          if (failure) std::rethrow_exception(failure);
        } catch (const std::exception& error) {
          told = error.what();
        }
      });
      co_await pause(20ms);
    }
    for (int i = 0; i < 500 && !ended; ++i) co_await pause(10ms);
    must(told.find("while an operation of it was running") != std::string::npos, told);
    auto lease = co_await pool.acquire();
    (void)co_await lease->one<int>("select 1");
    must(pool.stats().closed(tidepool::close_reason::broken) == 1, "replaced");
  });
}

TEST_CASE("given a database in use, when it or its context is destroyed at any point, then it is whole") {
  const folder here;
  const std::string path = here / "test.db";
  for (int point = 0; point < 60; ++point) {
    asio::io_context io;
    std::optional<lite::database> db(std::in_place, io, path, 2);
    auto write = [&](int number) -> asio::awaitable<void> {
      if (!db) co_return;
      auto lease = co_await db->write();
      co_await lease->exec("create table if not exists t (i)");
      auto body = [&](lite::transaction& tx) -> asio::awaitable<void> {
        co_await tx.exec("insert into t values (?1)", number);
        co_await tx.exec("insert into t values (?1)", number);
      };
      co_await lease->transaction(body);
    };
    auto read = [&]() -> asio::awaitable<void> {
      if (!db) co_return;
      auto lease = co_await db->read();
      auto rows = co_await lease->stream<int>(many);
      for (auto row = co_await rows.next(); row; row = co_await rows.next()) {
      }
    };
    for (int i = 0; i < 3; ++i) asio::co_spawn(io, write(i), asio::detached);
    asio::co_spawn(io, read(), asio::detached);
    for (int i = 0; i < point; ++i) io.run_one_for(20ms);
    if (point % 2 == 0) {
      db.reset();
      io.run_for(std::chrono::milliseconds(point % 3));
    }
  }
  run([](std::string of) -> asio::awaitable<void> {
    auto c = co_await lite::connection::connect(of);
    const auto sound = co_await c.one<std::string>("pragma integrity_check");
    must(sound == "ok", sound);
    const int odd = co_await c.one<int>("select count(*) % 2 from t");
    must(odd == 0, "a transaction by halves");
  }(path));
}

TEST_CASE("given hooks, when they fail or clean the session, then the next holder finds a clean one", "[sqlite-S2]") {
  const folder here;
  lite::options how(here / "test.db");
  int resets = 0;
  how.on_reset = [&](lite::connection& c) -> asio::awaitable<void> {
    if (++resets == 2) throw std::runtime_error("no reset today");
    co_await c.exec("drop table if exists temp.mine");
  };
  auto config = tidepool::pool_config::embedded();
  config.min_size = config.max_size = 1;
  with_pool(how, config, [](lite::pool& pool) -> asio::awaitable<void> {
    {
      auto lease = co_await pool.acquire();
      co_await lease->exec("create temporary table mine (secret)");
    }
    {
      auto lease = co_await pool.acquire();
      const int left = co_await lease->one<int>("select count(*) from sqlite_temp_schema");
      must(left == 0, "dropped");
    }
    auto lease = co_await pool.acquire();
    (void)co_await lease->one<int>("select 1");
    must(pool.stats().connections_created == 2, "one whose hook failed was replaced");
  });
  how.on_connect = [](lite::connection&) -> asio::awaitable<void> { throw std::runtime_error("no connection today"); };
  bool thrown = false;
  try {
    (void)run(lite::connection::connect(how));
  } catch (const std::runtime_error& failure) {
    thrown = std::string_view(failure.what()) == "no connection today";
  }
  CHECK(thrown);
}

TEST_CASE("given a connection that had queries, when it is closed, then the planner's figures are kept") {
  const folder here;
  const auto figures = [&here](bool optimize) {
    lite::options how(here / (optimize ? "with.db" : "without.db"));
    how.optimize = optimize;
    return run([](lite::options settings) -> asio::awaitable<int> {
      {
        auto c = co_await lite::connection::connect(settings);
        co_await c.script("create table t (i); create index t_i on t (i)");
        co_await c.exec("insert into t with recursive n(i) as (select 1 union all select i + 1 from n limit 500) select i from n");
        (void)co_await c.one<int>("select count(*) from t where i = 7");
        co_await c.close();
      }
      auto again = co_await lite::connection::connect(settings);
      co_return co_await again.one<int>("select count(*) from sqlite_schema where name = 'sqlite_stat1'");
    }(how));
  };
  CHECK(figures(true) == 1);
  CHECK(figures(false) == 0);
}

TEST_CASE("given a backup, when it is to the database itself or is cancelled, then nothing is lost") {
  const folder here;
  run([](std::string path, std::string copy) -> asio::awaitable<void> {
    auto c = co_await lite::connection::connect(path);
    co_await c.script("create table t (i, filler)");
    co_await c.exec(
        "insert into t with recursive n(i) as (select 1 union all select i + 1 from n limit 200) select i, zeroblob(3000) from n");
    const auto refused = co_await error_of(c.backup(path));
    must(refused.reason() == lite::errc::bad_parameter, refused.what());
    co_await c.backup(copy);
    co_await c.exec("delete from t");
    lite::backup_options how;
    how.pages_per_step = 8;
    how.on_progress = [](const lite::backup_progress&) { throw std::runtime_error("enough"); };
    try {
      co_await c.backup(copy, how);
    } catch (const std::runtime_error&) {
    }
    auto other = co_await lite::connection::connect(copy);
    const int count = co_await other.one<int>("select count(*) from t");
    must(count == 200 && c.usable(), "the copy is as it was");
  }(here / "test.db", here / "copy.db"));
}
