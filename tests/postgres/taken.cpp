// SPDX-License-Identifier: BSL-1.0
// tidepool - a connection that is taken from its holder: the error of the holder's statement says by whom, and why.
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "kit.hpp"
#include "recording_proxy.hpp"

using namespace tidepool_tests;

namespace {

tidepool::pool_config of_one() {
  tidepool::pool_config config;
  config.name = "taken";
  config.min_size = 0;
  config.max_size = 1;
  return config;
}

/// What the holder does with the connection that is taken away.
using use = asio::awaitable<void> (*)(pg::connection&);

asio::awaitable<void> runs_a_statement(pg::connection& c) { co_await c.exec("select pg_sleep(60)"); }
asio::awaitable<void> runs_a_limited_one(pg::connection& c) { co_await c.exec(pg::within(60s), "select pg_sleep(60)"); }
asio::awaitable<void> reads_a_stream(pg::connection& c) {
  auto rows = co_await c.stream<int>("select case when i < 3 then i else (select 1 from pg_sleep(60)) end from generate_series(1, 4) i");
  for (auto row = co_await rows.next(); row; row = co_await rows.next()) continue;
}
asio::awaitable<void> is_in_a_pipeline(pg::connection& c) {
  auto batch = c.pipeline(pg::pipeline_mode::atomic);
  batch.exec("select pg_sleep(60)");
  co_await batch.run();
}
asio::awaitable<void> is_in_a_transaction(pg::connection& c) {
  co_await c.transaction([](pg::transaction& t) -> asio::awaitable<void> { co_await pause(600ms), co_await t.exec("select 1"); });
}
asio::awaitable<void> is_before_commit(pg::connection& c) {
  co_await c.transaction([](pg::transaction& t) -> asio::awaitable<void> {
    co_await t.exec("select 1");
    co_await pause(600ms);
  });
}
/// It does nothing meanwhile, and begins a statement afterwards.
asio::awaitable<void> is_idle(pg::connection& c) {
  co_await pause(600ms);
  co_await c.exec("select 1");
}

/// The holder's error, with the place of the acquire cut off where that is this file.
std::string without_place(const std::string& said) {
  const auto at = said.find("; acquired at ");
  if (at == std::string::npos || said.find("taken.cpp:") == std::string::npos) return "no place in: " + said;
  const auto end = said.find(';', at + 1);
  return said.substr(0, at) + (end == std::string::npos ? "" : said.substr(end));
}

/// A time in a text is not the same in every run.
std::string without_times(std::string said) {
  for (auto at = said.find("held for "); at != std::string::npos; at = std::string::npos) {
    const auto end = said.find(", ", at);
    said.replace(at + 9, end - at - 9, "N");
  }
  return said;
}

/// Runs a holder and takes its connection; what it was told.
asio::awaitable<std::string> told_to_holder(use what, bool by_close, std::string server_of_test = server()) {
  const auto executor = co_await asio::this_coro::executor;
  auto config = of_one();
  if (!by_close) {
    config.leak_timeout = 100ms;
    config.abandon_timeout = 250ms;
  }
  pg::options settings(server_of_test);
  settings.peer_timeout = tidepool::no_limit;  // else the server looks after its clients, and ends what it runs for one that has gone
  pg::pool pool(executor, pg::connector(settings, config), config);
  std::string said;
  auto holder = [](pg::pool& from, use work, std::string& to) -> asio::awaitable<void> {
    auto lease = co_await from.acquire();
    auto using_it = work(*lease);
    auto failure = co_await error_of(std::move(using_it));
    to = failure.connection_lost() ? failure.what() : "not told as lost: " + std::string(failure.what());
  };
  asio::co_spawn(executor, holder(pool, what, said), asio::detached);
  while (pool.stats().active_connections == 0) co_await pause(1ms);
  if (by_close) {
    co_await pool.close(200ms);
  } else {
    auto next = co_await pool.acquire(30s);  // its place serves another
    const auto one = co_await next->one<int>("select 1");
    must(one == 1, "served");
  }
  while (said.empty()) co_await pause(1ms);
  must(by_close || pool.stats().leaks_reclaimed == 1, "reclaimed");
  co_await pool.close();
  co_return said;
}

/// Whether the server has ended all sessions of an `application_name`, after a long wait at the latest.
asio::awaitable<bool> is_gone(std::string name) {
  auto c = co_await connect();
  for (int look = 0; look < 3000; ++look) {
    const auto left = co_await c.one<int>("select count(*)::int from pg_stat_activity where application_name = $1", name);
    if (left == 0) co_return true;
    co_await pause(10ms);
  }
  co_return false;
}

struct row {
  const char* name;
  use what;
  std::string more = {};
};
const std::vector<row> uses = {{"statement", runs_a_statement},
                               {"limited statement", runs_a_limited_one},
                               {"stream", reads_a_stream},
                               {"pipeline", is_in_a_pipeline},
                               {"transaction", is_in_a_transaction},
                               {"commit", is_before_commit, "; before COMMIT was sent: nothing is committed"},
                               {"idle", is_idle}};

}  // namespace

TEST_CASE("given a lease held too long, when abandon_timeout takes its connection, then the holder is told so",
          "[postgres][pool][server][field-U7]") {
  NEEDS_SERVER();
  for (const row& each : uses) {
    INFO(each.name);
    const auto said = run(told_to_holder(each.what, false));
    const std::string begin = std::string(each.name) == "pipeline" ? "postgres: " : "postgres: ";
    CHECK(without_times(without_place(said)).find(begin + "the pool took this connection back: held for N, abandon_timeout is 250 ms") ==
          0);
    CHECK(without_place(said).find(each.more) != std::string::npos);
  }
}

TEST_CASE("given a lease that outlives the grace of close(), then its holder is told by whom and after what",
          "[postgres][pool][server][field-U7]") {
  NEEDS_SERVER();
  for (const row& each : uses) {
    INFO(each.name);
    const auto said = run(told_to_holder(each.what, true));
    CHECK(without_times(without_place(said))
              .find("postgres: the pool took this connection back: held for N, closed by pool.close() after its grace of 200 ms") == 0);
    CHECK(without_place(said).find(each.more) != std::string::npos);
  }
}

TEST_CASE("given a statement whose connection is taken back, then the server is asked to end it", "[postgres][pool][server][field-U7]") {
  NEEDS_SERVER();
  for (std::size_t i = 0; i < 5; ++i) {  // those that have a statement on the server, and one that close() takes
    const row& each = uses[i % 4];
    INFO(each.name);
    const auto name = "taken_" + std::to_string(::getpid()) + "_" + std::to_string(i);
    (void)run(told_to_holder(each.what, i == 4, server() + " application_name=" + name));
    const bool ended = run(is_gone(name));
    CHECK(ended);
  }
}

TEST_CASE("given a statement of on_connect that takes too long, then the server is asked to end it, too", "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  const auto name = "on_connect_" + std::to_string(::getpid());
  auto task = [&]() -> asio::awaitable<pg::error> {
    pg::options settings = patient("application_name=" + name);
    settings.peer_timeout = tidepool::no_limit;
    settings.address_timeout = 500ms;
    settings.on_connect = [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("select pg_sleep(60)"); };
    auto failure = co_await error_of(pg::connection::connect(settings));
    co_return failure;
  };
  CHECK(run(task()).reason() == pg::errc::connect_timeout);
  CHECK(run(is_gone(name)));
}

TEST_CASE("given a stream whose connection is shut while rows are here, then the server is asked once to end it",
          "[postgres][server][field-U7]") {
  NEEDS_SERVER();
  recording_proxy wire(server_port());
  auto task = [&]() -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(through(wire.port()));
    auto rows = co_await c.stream<std::string>("select repeat('x', 4000) from generate_series(1, 100000)");
    co_await pause(300ms);  // as many as the socket takes: each wait for the next ones ends at once
    c.abort();
    bool lost = false;
    try {
      for (auto row = co_await rows.next(); row; row = co_await rows.next()) continue;
    } catch (const pg::error& failure) {
      lost = failure.connection_lost();
    }
    must(lost, "not told as lost");
  };
  CHECK_NOTHROW(run(task()));
  const std::string request("\x04\xd2\x16\x2e", 4);  // begins with this code
  std::size_t asked = 0;
  for (int look = 0; look < 100 && asked < 2; ++look) {
    const auto heard = wire.heard();
    asked = 0;
    for (auto at = heard.find(request); at != std::string::npos; at = heard.find(request, at + 1)) ++asked;
    std::this_thread::sleep_for(5ms);
  }
  CHECK(asked == 1);
}

TEST_CASE("given a lease whose pool is destroyed, then its holder keeps the connection", "[postgres][pool][server][field-U7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    const auto executor = co_await asio::this_coro::executor;
    const auto config = of_one();
    std::optional<pg::pool> pool(std::in_place, executor, pg::connector(server(), config), config);
    auto lease = co_await pool->acquire();
    pool.reset();
    co_return co_await lease->one<int>("select 1");
  };
  CHECK(run(task()) == 1);
}

TEST_CASE("given recycle(), resize() and suspend(), when a lease is out, then its holder goes on undisturbed",
          "[postgres][pool][server][field-U7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    const auto executor = co_await asio::this_coro::executor;
    const auto config = of_one();
    pg::pool pool(executor, pg::connector(server(), config), config);
    auto lease = co_await pool.acquire();
    auto holder = [](pg::connection& c, int& to) -> asio::awaitable<void> { to = co_await c.one<int>("select 7 from pg_sleep(0.05)"); };
    int got = 0;
    asio::co_spawn(executor, holder(*lease, got), asio::detached);
    co_await pause(10ms);
    pool.recycle();
    pool.resize(0, 1);
    pool.suspend();
    while (got == 0) co_await pause(1ms);
    lease.release();
    co_await pool.close();
    co_return got;
  };
  CHECK(run(task()) == 7);
}
