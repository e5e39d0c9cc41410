// SPDX-License-Identifier: BSL-1.0
// tidepool - what it costs to cancel statements, in connections, by each way there is. The reference has this as a table.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kit.hpp"
#include "support/asio.hpp"
#include "support/on_end.hpp"

using namespace tidepool_tests;

namespace {

constexpr int users = 8;
constexpr int rounds = 25;  // of each user: 200 cancelled statements for each way

/// How a statement is cancelled: ends when that is done. `n` varies the moment: before the server has begun, in the middle, as it ends.
using way = asio::awaitable<void> (*)(pg::pool& pool, int n);

std::string sleeping(int n) { return "select pg_sleep(" + std::to_string(n % 3 == 0 ? 60.0 : n % 5 / 1000.0) + ")"; }
std::chrono::milliseconds moment(int n) { return std::chrono::milliseconds(1 + n % 4); }
asio::awaitable<void> ignoring(asio::awaitable<void> work) {
  try {
    co_await std::move(work);
  } catch (const std::exception&) {
  }
}
asio::awaitable<void> runs(pg::connection& c, std::string sql) { co_await c.exec(sql); }

/// Spawns work, cancels it after a moment (none for some), and waits for its end.
asio::awaitable<void> spawned_and_cancelled(asio::awaitable<void> work, int n, asio::cancellation_type how) {
  const auto executor = co_await asio::this_coro::executor;
  asio::cancellation_signal signal;
  bool done = false;
  asio::co_spawn(executor, std::move(work),
                 asio::bind_cancellation_slot(signal.slot(), on_end([&done](std::exception_ptr) { done = true; })));
  if (n % 4 != 0) co_await pause(moment(n));
  signal.emit(how);
  while (!done) co_await pause(1ms);
}

asio::awaitable<void> by_within(pg::pool& pool, int n) {
  auto db = co_await pool.acquire();
  auto statement = db->exec(pg::within(moment(n)), sleeping(n));
  try {
    co_await std::move(statement);
  } catch (const pg::error& failure) {
    must(failure.reason() == pg::errc::response_timeout, failure.what());
  }
}
asio::awaitable<void> by_response_timeout(pg::pool& pool, int) {  // of the options, 20 ms
  auto db = co_await pool.acquire();
  const auto failure = co_await error_of(db->exec("select pg_sleep(60)"));
  must(failure.reason() == pg::errc::response_timeout, failure.what());
}
asio::awaitable<void> by_signal(pg::pool& pool, int n) {
  auto db = co_await pool.acquire();
  co_await spawned_and_cancelled(runs(*db, sleeping(n)), n, asio::cancellation_type::terminal);
}
asio::awaitable<void> a_whole_handler(pg::pool& pool, int n) {
  auto handler = [](pg::pool& from, int number) -> asio::awaitable<void> {
    auto db = co_await from.acquire();
    co_await db->exec(sleeping(number));
  };
  co_await spawned_and_cancelled(handler(pool, n), n, asio::cancellation_type::terminal);
}
asio::awaitable<void> by_a_timer_beside(pg::pool& pool, int n) {
  using namespace asio::experimental::awaitable_operators;
  auto db = co_await pool.acquire();
  auto statement = runs(*db, sleeping(n));
  auto timer = pause(moment(n));
  co_await (std::move(statement) || std::move(timer));
}
asio::awaitable<void> by_complete_within(pg::pool& pool, int n) {
  auto request = [](pg::pool& from, int number) -> asio::awaitable<void> {
    auto db = co_await from.acquire();
    co_await db->exec(sleeping(number));
  };
  auto limited = tidepool::complete_within(moment(n), request(pool, n));
  co_await ignoring(std::move(limited));
}
asio::awaitable<void> by_canceller(pg::pool& pool, int n) {
  const auto executor = co_await asio::this_coro::executor;
  auto db = co_await pool.acquire();
  const auto stop = db->canceller();
  bool done = false;
  asio::co_spawn(executor, runs(*db, sleeping(n)), on_end([&done](std::exception_ptr) { done = true; }));
  if (n % 4 != 0) co_await pause(moment(n));
  (void)co_await stop.stop(30s);
  while (!done) co_await pause(1ms);
}
asio::awaitable<void> by_closing_a_stream(pg::pool& pool, int n) {
  auto db = co_await pool.acquire();
  auto rows = co_await db->stream<std::string>("select repeat('x', 10000) from generate_series(1, 100000)");
  for (int i = 0; i < n % 4; ++i) (void)co_await rows.next();
  co_await rows.close();
}
asio::awaitable<void> by_closing_a_copy(pg::pool& pool, int n) {
  auto db = co_await pool.acquire();
  auto out = co_await db->copy_out("copy (select repeat('x', 10000) from generate_series(1, 100000)) to stdout");
  for (int i = 0; i < n % 4; ++i) (void)co_await out.next();
  co_await out.close();
}
asio::awaitable<void> in_a_pipeline(pg::pool& pool, int n) {
  auto db = co_await pool.acquire();
  auto batch = db->pipeline(pg::within(moment(n)), pg::pipeline_mode::atomic);
  batch.exec("select 1");
  batch.exec(sleeping(n));
  co_await ignoring(batch.run());
}
asio::awaitable<void> a_whole_transaction(pg::pool& pool, int n) {
  auto db = co_await pool.acquire();
  auto body = [n](pg::transaction& t) -> asio::awaitable<void> { co_await t.exec(sleeping(n)); };
  auto work = db->transaction(pg::within(moment(n)), body);
  co_await ignoring(std::move(work));
}
asio::awaitable<void> a_cancelled_transaction(pg::pool& pool, int n) {
  auto handler = [](pg::pool& from, int number) -> asio::awaitable<void> {
    auto db = co_await from.acquire();
    auto body = [number](pg::transaction& t) -> asio::awaitable<void> {
      co_await t.exec("select 1");
      co_await t.exec(sleeping(number));
    };
    co_await db->transaction(body);
  };
  co_await spawned_and_cancelled(handler(pool, n), n, asio::cancellation_type::terminal);
}

/// Each user cancels by this way, and in between asks for an answer of its own.
struct figures {
  std::uint64_t connections = 0;  ///< made for all of it
  int answers = 0;
  int wrong = 0;
  std::string trouble;
};
figures cancel_by(way how) {
  asio::io_context context;
  figures out;
  tidepool::pool_config config;
  config.name = "cancelling";
  config.min_size = 0;
  config.max_size = users;
  config.auto_scale = false;
  config.acquire_timeout = 50s;
  config.reset_timeout = 50s;
  pg::options settings = patient();
  if (how == &by_response_timeout) settings.response_timeout = 20ms;
  pg::pool pool(context, pg::connector(settings, config), config);
  int left = users;
  auto user = [&](int number) -> asio::awaitable<void> {
    for (int i = 0; i < rounds; ++i) {
      const int token = number * 1000 + i;
      co_await how(pool, number + i);
      auto db = co_await pool.acquire();
      const auto answer = co_await db->one<int>(pg::within(40s), "select $1::int", token);
      ++(answer == token ? out.answers : out.wrong);
    }
  };
  auto warm = [&]() -> asio::awaitable<void> {
    std::vector<pg::pool::lease> all;
    for (int i = 0; i < users; ++i) all.push_back(co_await pool.acquire());
  };
  const on_end end = [&](std::exception_ptr failure) {
    try {
      if (failure) std::rethrow_exception(failure);
    } catch (const std::exception& e) {
      out.trouble = e.what();
    }
    if (--left > 0) return;
    out.connections = pool.stats().connections_created;
    asio::co_spawn(context, pool.close(), asio::detached);
  };
  const on_end at_end = [&](std::exception_ptr failed) {
    if (failed) return end(failed);
    for (int i = 0; i < users; ++i) asio::co_spawn(context, user(i + 1), end);
  };
  asio::co_spawn(context, warm(), at_end);
  context.run_for(hang);
  return out;
}

}  // namespace

TEST_CASE("given 200 statements cancelled by each way, then none costs a connection or hits another",
          "[postgres][pool][server][field-U7]") {
  NEEDS_SERVER();
  const std::vector<std::pair<const char*, way>> ways = {{"within()", by_within},
                                                         {"response_timeout", by_response_timeout},
                                                         {"cancellation signal", by_signal},
                                                         {"cancellation of a handler", a_whole_handler},
                                                         {"|| with a timer", by_a_timer_beside},
                                                         {"complete_within()", by_complete_within},
                                                         {"canceller", by_canceller},
                                                         {"close() of a stream", by_closing_a_stream},
                                                         {"close() of copy_out()", by_closing_a_copy},
                                                         {"pipeline with a limit", in_a_pipeline},
                                                         {"transaction with a limit", a_whole_transaction},
                                                         {"cancelled transaction", a_cancelled_transaction}};
  for (const auto& [name, how] : ways) {
    INFO(name);
    const auto got = cancel_by(how);
    INFO(got.trouble);
    CHECK(got.connections == users);
    CHECK(got.answers == users * rounds);
    CHECK(got.wrong == 0);
    CHECK(got.trouble.empty());
  }
}

TEST_CASE("given a lease given back while its statement is cancelled, then that one connection is the price",
          "[postgres][pool][server][field-U7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::uint64_t> {
    const auto executor = co_await asio::this_coro::executor;
    tidepool::pool_config config;
    config.min_size = 0;
    config.max_size = 1;
    pg::pool pool(executor, pg::connector(server(), config), config);
    for (int i = 0; i < 5; ++i) {
      auto db = co_await pool.acquire(30s);
      asio::cancellation_signal signal;
      std::string said;
      auto work = [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("select pg_sleep(60)"); };
      const on_end at_end = [&said](std::exception_ptr e) {
        try {
          if (e) std::rethrow_exception(e);
          said = "done";
        } catch (const std::exception& failure) {
          said = failure.what();
        }
      };
      asio::co_spawn(executor, work(*db), asio::bind_cancellation_slot(signal.slot(), at_end));
      co_await pause(5ms);
      signal.emit(asio::cancellation_type::terminal);
      if (i % 2 == 0) co_await pause(0ms);
      db.release();
      db = co_await pool.acquire(30s);
      const auto answer = co_await db->one<int>("select $1::int", i);
      must(answer == i, "its own answer");
      while (said.empty()) co_await pause(1ms);
      const bool lost = said == "postgres: the connection was destroyed, or its lease given back, while an operation was running";
      const bool ended = said.find("cancelled, on the server too") == 0;
      must(lost || ended, said);
    }
    const auto made = pool.stats().connections_created;
    co_await pool.close();
    co_return made;
  };
  CHECK(run(task()) <= 6);
}
