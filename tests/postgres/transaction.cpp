// SPDX-License-Identifier: BSL-1.0
// tidepool - transactions, savepoints, retries, and connections lost on the way.
#include <memory>
#include <string>
#include <vector>

#include <tidepool/postgres/detail/transact.hpp>

#include "../support/on_end.hpp"
#include "kit.hpp"

using namespace tidepool_tests;

namespace {

asio::awaitable<int> rows_of_t(pg::connection& c) { return c.one<int>("select count(*)::int from t"); }

asio::awaitable<pg::connection> connect_with_table() {
  auto c = co_await connect();
  co_await c.script("create temp table t (i int)");
  co_return c;
}

}  // namespace

TEST_CASE("given a transaction, when its body returns, then it is committed and the value comes back", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    auto c = co_await connect_with_table();
    auto body = [](pg::transaction& t) -> asio::awaitable<std::string> {
      co_await t.exec("insert into t values ($1)", 1);
      co_return "done";
    };
    const std::string said = co_await c.transaction(body);
    if (said != "done" || c.in_transaction()) throw std::runtime_error("not committed");
    co_return co_await rows_of_t(c);
  };
  CHECK(run(task()) == 1);
}

TEST_CASE("given a transaction, when its body throws, then it is rolled back and the exception goes on", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    auto c = co_await connect_with_table();
    auto body = [](pg::transaction& t) -> asio::awaitable<void> {
      co_await t.exec("insert into t values (1)");
      throw std::out_of_range("mine");
    };
    bool mine = false;
    try {
      co_await c.transaction(body);
    } catch (const std::out_of_range&) {
      mine = true;
    }
    if (!mine || c.in_transaction() || !c.usable()) throw std::runtime_error("not rolled back");
    co_return co_await rows_of_t(c);
  };
  CHECK(run(task()) == 0);
}

TEST_CASE("given a body that swallows an error, when it returns, then the caller learns of no commit", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect_with_table();
    auto body = [](pg::transaction& t) -> asio::awaitable<void> {
      co_await t.exec("insert into t values (1)");
      (void)co_await error_of(t.exec("select 1/0"));
    };
    const auto failure = co_await error_of(c.transaction(body));
    const auto rows = co_await rows_of_t(c);
    if (failure.reason() != pg::errc::rolled_back || rows != 0) throw std::runtime_error("not told");
    auto ends = [](pg::transaction& t) -> asio::awaitable<void> { co_await t.script("commit"); };
    const auto ended = co_await error_of(c.transaction(ends));
    if (ended.reason() != pg::errc::bad_usage || !c.usable()) throw std::runtime_error("a COMMIT in the body went unnoticed");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given nested transactions, when the inner fails, then the outer keeps its own work", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    auto c = co_await connect_with_table();
    auto body = [](pg::transaction& t) -> asio::awaitable<void> {
      co_await t.exec("insert into t values (1)");
      auto fails = [](pg::transaction& inner) -> asio::awaitable<void> {
        co_await inner.exec("insert into t values (2)");
        co_await inner.exec("select 1/0");
      };
      const auto failure = co_await error_of(t.nested(fails));
      if (!failure.is("22012")) throw std::runtime_error("the wrong error");
      auto works = [](pg::transaction& inner) -> asio::awaitable<int> {
        auto deeper = [](pg::transaction& deep) -> asio::awaitable<int> {
          co_await deep.exec("insert into t values (3)");
          co_return 3;
        };
        co_return co_await inner.nested(deeper);
      };
      const int got = co_await t.nested(works);
      if (got != 3) throw std::runtime_error("the wrong value");
    };
    co_await c.transaction(body);
    co_return co_await c.one<int>("select sum(i)::int from t");
  };
  CHECK(run(task()) == 4);
}

TEST_CASE("given options, when a transaction begins, then the server follows them", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::string> {
    auto c = co_await connect();
    auto body = [](pg::transaction& t) -> asio::awaitable<std::string> {
      co_return co_await t.one<std::string>(
          "select current_setting('transaction_isolation') || ' ' || current_setting('transaction_read_only') || ' ' || "
          "current_setting('transaction_deferrable')");
    };
    co_return co_await c.transaction(body, {.level = pg::isolation::serializable, .read_only = true, .deferrable = true});
  };
  CHECK(run(task()) == "serializable on on");
}

TEST_CASE("given pauses of any length, when a transaction is retried, then they double up to the limit") {
  pg::transaction_options wanted;
  wanted.retry_delay = 1ms;
  wanted.max_retry_delay = 64ms;
  for (unsigned attempt = 0; attempt < 100; ++attempt) {
    const auto pause = pg::detail::retry_pause(wanted, attempt);
    CHECK(pause >= 0ms);
    CHECK(pause <= std::min<tidepool::duration>(64ms, 1ms * (1 << std::min(attempt, 6U))));
  }
  wanted.retry_delay = tidepool::duration::max() / 2;
  wanted.max_retry_delay = tidepool::duration::max();
  for (unsigned attempt = 0; attempt < 100; ++attempt) CHECK(pg::detail::retry_pause(wanted, attempt) >= 0ms);
}

TEST_CASE("given serialisation failures, when retries are allowed, then the body runs again until it succeeds", "[postgres][server]") {
  NEEDS_SERVER();
  int runs = 0;
  int tried = 0;
  auto task = [&]() -> asio::awaitable<void> {
    auto c = co_await connect();
    auto body = [&runs](pg::transaction& t) -> asio::awaitable<void> {
      ++runs;
      if (runs < 3) co_await t.script("do $$begin raise exception 'again' using errcode = '40001'; end$$");
    };
    co_await c.transaction(body, {.retries = 5, .retry_delay = 1ms});
    auto never = [&tried](pg::transaction& t) -> asio::awaitable<void> {
      ++tried;
      co_await t.script("do $$begin raise exception 'again' using errcode = '40P01'; end$$");
    };
    const auto failure = co_await error_of(c.transaction(never, {.retries = 2, .retry_delay = 1ms}));
    if (!failure.retryable() || !c.usable()) throw std::runtime_error("the wrong end");
  };
  run(task());
  CHECK(runs == 3);
  CHECK(tried == 3);
}

TEST_CASE("given a COMMIT that fails, when the body runs again, then what it had returned is gone", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::vector<long>> {
    auto c = co_await connect();
    co_await c.script(
        "create temp table t (i int);"
        "create function pg_temp.refuse() returns trigger language plpgsql as "
        "$$begin if new.i < 3 then raise exception 'again' using errcode = '40001'; end if; return null; end$$;"
        "create constraint trigger refuse after insert on t deferrable initially deferred for each row execute function pg_temp.refuse()");
    const auto value = std::make_shared<int>(0);
    std::vector<long> held;
    auto body = [&value, &held](pg::transaction& t) -> asio::awaitable<std::shared_ptr<int>> {
      held.push_back(value.use_count());
      co_await t.exec("insert into t values ($1)", ++*value);
      co_return value;
    };
    const auto got = co_await c.transaction(body, {.retries = 5, .retry_delay = 1ms});
    must(*got == 3, "committed at the third time");
    co_return held;
  };
  CHECK(run(task()) == std::vector<long>{1, 1, 1});
}

TEST_CASE("given two serialisable transactions that collide, when both retry, then both commit", "[postgres][server]") {
  NEEDS_SERVER();
  asio::io_context context;
  int runs = 0;
  int read = 0;
  int committed = 0;
  auto one = [&]() -> asio::awaitable<void> {
    auto c = co_await connect();
    auto body = [&runs, &read](pg::transaction& t) -> asio::awaitable<void> {
      ++runs;
      const int sum = co_await t.one<int>("select coalesce(sum(i), 0)::int from tidepool_collide");
      // Both have read before either writes.
      ++read;
      while (read < 2) co_await pause(1ms);
      co_await t.exec("insert into tidepool_collide values ($1)", sum + 1);
    };
    co_await c.transaction(body, {.level = pg::isolation::serializable, .retries = 20});
    ++committed;
  };
  auto all = [&]() -> asio::awaitable<void> {
    auto c = co_await connect();
    co_await c.script("drop table if exists tidepool_collide; create table tidepool_collide (i int)");
    asio::co_spawn(context, one(), asio::detached);
    asio::co_spawn(context, one(), asio::detached);
    while (committed < 2) co_await pause(10ms);
    co_await c.script("drop table tidepool_collide");
  };
  asio::co_spawn(context, all(), asio::detached);
  context.run_for(hang);
  CHECK(committed == 2);
  CHECK(runs > 2);
}

TEST_CASE("given a connection that dies in COMMIT, when the error is caught, then the outcome is unknown", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<pg::error> {
    auto c = co_await connect();
    co_await c.script(
        "create temp table t (i int);"
        "create function pg_temp.die() returns trigger language plpgsql as "
        "$$begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(5); return null; end$$;"
        "create constraint trigger die after insert on t deferrable initially deferred for each row execute function pg_temp.die()");
    auto body = [](pg::transaction& t) -> asio::awaitable<void> { co_await t.exec("insert into t values (1)"); };
    auto failure = co_await error_of(c.transaction(body));
    if (c.usable() || c.after_lease() != tidepool::lease_end::broken) throw std::runtime_error("still usable");
    co_return failure;
  };
  const auto failure = run(task());
  CHECK(failure.outcome_unknown());
  CHECK(failure.connection_lost());
  CHECK(failure.sqlstate() == "57P01");
}

TEST_CASE("given a transaction in progress, when another is begun on the connection, then it is refused", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<pg::errc> {
    auto c = co_await connect();
    auto body = [&c](pg::transaction& t) -> asio::awaitable<pg::errc> {
      auto inner = [](pg::transaction&) -> asio::awaitable<void> { co_return; };
      const auto failure = co_await error_of(c.transaction(inner));
      co_await t.exec("select 1");
      co_return failure.reason();
    };
    co_return co_await c.transaction(body);
  };
  CHECK(run(task()) == pg::errc::bad_usage);
}

TEST_CASE("given a statement of the connection, when a body runs, then it is part of the transaction", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    auto c = co_await connect_with_table();
    auto body = [&c](pg::transaction&) -> asio::awaitable<void> {
      co_await c.exec("insert into t values (1)");
      throw std::out_of_range("mine");
    };
    try {
      co_await c.transaction(body);
    } catch (const std::out_of_range&) {
    }
    co_return co_await rows_of_t(c);
  };
  CHECK(run(task()) == 0);
}

TEST_CASE("given a cancelled body, when the transaction ends, then the connection needs a reset first", "[postgres][server]") {
  NEEDS_SERVER();
  asio::io_context context;
  pg::connection c;
  bool cancelled = false;
  bool checked = false;
  asio::cancellation_signal signal;
  auto work = [&]() -> asio::awaitable<void> {
    auto body = [](pg::transaction& t) -> asio::awaitable<void> {
      co_await t.exec("insert into t values (1)");
      co_await pause(60s);
    };
    co_await c.transaction(body);
  };
  auto all = [&]() -> asio::awaitable<void> {
    c = co_await connect_with_table();
    asio::co_spawn(context, work(),
                   asio::bind_cancellation_slot(signal.slot(), on_end([&](std::exception_ptr e) { cancelled = e != nullptr; })));
    co_await pause(100ms);
    signal.emit(asio::cancellation_type::terminal);
    while (!cancelled) co_await pause(5ms);
    const auto refused = co_await error_of(c.exec("select 1"));
    if (refused.reason() != pg::errc::needs_reset || c.usable()) throw std::runtime_error("not refused");
    if (c.after_lease() != tidepool::lease_end::needs_reset) throw std::runtime_error("not to be reset");
    co_await c.reset();
    const int rows = co_await rows_of_t(c);
    checked = rows == 0 && c.usable() && c.after_lease() == tidepool::lease_end::clean;
  };
  std::exception_ptr failure;
  asio::co_spawn(context, all(), on_end([&](std::exception_ptr e) { failure = e; }));
  context.run_for(hang);
  if (failure) std::rethrow_exception(failure);
  CHECK(checked);
}
