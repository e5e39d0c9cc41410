// SPDX-License-Identifier: BSL-1.0
// tidepool - every operation in every outcome against impatient callers, and the bugs of other pools that are none of one part alone.
#include "rig.hpp"

namespace {

using namespace tidepool_tests;

enum class outcome { ok, error, throws, slow, never };
constexpr outcome outcomes[] = {outcome::ok, outcome::error, outcome::throws, outcome::slow, outcome::never};

void plan(testing::behaviour& of, outcome what) {
  of.latency = 1ms;
  if (what == outcome::error) of.fails = 0.5;
  if (what == outcome::throws) of.throws = 0.5;
  if (what == outcome::slow) of.latency = 30ms;
  if (what == outcome::never) of.hangs = 0.5;
}

asio::awaitable<void> impatient(rig<>& r, way how) {
  for (int i = 0; i < 6; ++i) {
    auto one = r.ask(std::chrono::milliseconds(r.sim.choices().choose(40)), how);
    const auto leave = r.sim.choices().choose(60);
    for (std::uint32_t ms = 0; one->pending(); ++ms) {
      if (ms == leave) one->signal.emit(asio::cancellation_type::total);
      co_await testing::sleep_for(1ms);
    }
    if (!one->held) continue;
    if (r.sim.choices().choose(2) == 0) one->held->begin_transaction();
    co_await testing::sleep_for(std::chrono::milliseconds(r.sim.choices().choose(10)));
    one->held.release();
  }
}

TEST_CASE("given all outcomes of connect, ping, reset and close, when callers come and go, then all holds", "[X8][B045][B008]") {
  std::uint64_t seed = 0;
  for (const outcome connect : outcomes) {
    for (const outcome ping : outcomes) {
      for (const outcome reset : outcomes) {
        for (const outcome close : outcomes) {
          auto config = calm(0, 3);
          config.pre_ping = true;
          config.alive_bypass = 2ms;
          config.idle_timeout = 25ms;
          config.max_retries = 50;
          config.breaker_threshold = 100;
          config.retry_delay = config.max_retry_delay = 2ms;
          config.connect_timeout = config.validation_timeout = config.reset_timeout = config.close_timeout = 20ms;
          rig<> r(config, ++seed);
          plan(r.server.plan()[operation::connect], connect);
          plan(r.server.plan()[operation::ping], ping);
          plan(r.server.plan()[operation::reset], reset);
          plan(r.server.plan()[operation::close], close);
          for (int i = 0; i < 6; ++i)
            asio::co_spawn(r.sim.get_executor(), impatient(r, i % 2 ? way::callback : way::coroutine), asio::detached);
          bool within = true;
          while (r.sim.now() < simulation::default_start + 2s && r.sim.step()) {
            const pool_stats now = r.stats();
            within = within && now.total_connections <= 3 && now.active_connections <= 3;
          }
          r.server.plan() = testing::fault_plan();
          r.sim.run_for(1s);
          INFO("connect " << static_cast<int>(connect) << " ping " << static_cast<int>(ping) << " reset " << static_cast<int>(reset)
                          << " close " << static_cast<int>(close));
          REQUIRE(within);
          REQUIRE(r.stats().active_connections == 0);
          REQUIRE(r.stats().waiting == 0);
          REQUIRE(r.server.violations() == std::vector<std::string>{});
          auto last = r.ask(5s);
          r.sim.run_for(5s);
          REQUIRE(last->served());
          last->held.release();
          r.close_and_check();
          REQUIRE(r.server.counts().open == 0);
        }
      }
    }
  }
}

TEST_CASE("given 100 acquires at once, when all are cancelled or time out, then nothing is leased or waits", "[B015]") {
  const bool cancelled = GENERATE(false, true);
  rig<> r(calm(0, 5));
  r.server.plan()[operation::connect].latency = 1s;
  std::vector<rig<>::request_ptr> all;
  for (int i = 0; i < 100; ++i) all.push_back(r.ask(500ms, i % 2 ? way::callback : way::coroutine));
  r.sim.run_for(100ms);
  if (cancelled) {
    for (auto& one : all) one->signal.emit(asio::cancellation_type::total);
  }
  r.sim.run_for(10s);
  for (auto& one : all) CHECK(one->failed_with(cancelled ? errc::cancelled : errc::timeout));
  CHECK(r.stats().active_connections == 0);
  CHECK(r.stats().waiting == 0);
  CHECK(r.stats().idle_connections <= 5);
  CHECK(r.take());
}

TEST_CASE("given ten times the callers it can serve, when the load ends, then the pool is idle at once", "[B018]") {
  rig<> r(calm(0, 10));
  auto user = [&](way how) -> asio::awaitable<void> {
    for (int i = 0; i < 20; ++i) {
      auto one = r.ask(20ms, how);
      while (one->pending()) co_await testing::sleep_for(1ms);
      co_await testing::sleep_for(10ms);
    }
  };
  for (int i = 0; i < 100; ++i) asio::co_spawn(r.sim.get_executor(), user(i % 2 ? way::callback : way::coroutine), asio::detached);
  r.sim.run_for(1min);
  CHECK(r.stats().timeouts > 100);
  CHECK(r.stats().idle_connections == 10);
  CHECK(r.stats().connections_closed == 0);
}

TEST_CASE("given a caller with a connect under way, when both fail and cancel meet, then it ends once", "[B023]") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    auto config = calm(0, 1);
    config.max_retries = 0;
    rig<> r(config, seed);
    r.server.plan()[operation::connect].latency = 10ms;
    r.server.plan()[operation::connect].fails = 1;
    auto a = r.ask(1s, seed % 2 ? way::callback : way::coroutine);
    auto leave = [&]() -> asio::awaitable<void> {
      co_await testing::sleep_for(10ms);
      a->signal.emit(asio::cancellation_type::total);
    };
    asio::co_spawn(r.sim.get_executor(), leave(), asio::detached);
    r.sim.run_for(20ms);
    REQUIRE((a->failed_with(errc::cancelled) || a->failed_with(errc::connect_failed)));
    REQUIRE_FALSE(a->held);
    REQUIRE(r.stats().failed_checkouts == 1);
  }
}

TEST_CASE("given a connector that ignores cancellation, when a caller waits, then it ends at its deadline", "[B017][INV-7]") {
  const way how = GENERATE(way::callback, way::coroutine);
  rig<> r(calm(0, 1));
  r.server.plan()[operation::connect].hangs = 1;
  r.server.plan()[operation::connect].cancel_ignored = 1;
  auto a = r.ask(700ms, how);
  r.sim.run_for(1min);
  CHECK(a->failed_with(errc::timeout));
  CHECK(a->ended - simulation::default_start == 700ms);
}

TEST_CASE("given connections that leave in every way, when they are counted, then the pool counts the same", "[B016][B021]") {
  auto config = calm(0, 8);
  config.max_uses = 4;
  rig<> r(config);
  std::vector<fake_connection> mine;
  for (int i = 0; i < 60; ++i) {
    auto a = r.take();
    auto b = r.take();
    if (i % 7 == 0) mine.push_back(a.detach());
    if (i % 5 == 0) b.discard();
    if (i % 11 == 0) r.pool->recycle();
    if (i % 13 == 0) a = rig<>::lease();
    a.release();
    b.release();
    r.sim.run_for(10ms);
    REQUIRE(r.server.counts().open == r.stats().total_connections + mine.size());
  }
}

TEST_CASE("given a check of idle connections that throws, when time goes on, then the next one is made", "[B108]") {
  auto config = calm(2, 2);
  config.health_check_interval = 30s;
  rig<> r(config);
  r.open();
  r.server.plan()[operation::ping].throws = 1;
  r.sim.run_for(31s);
  CHECK(r.stats().closed(close_reason::invalid) == 2);
  r.server.plan()[operation::ping].throws = 0;
  r.sim.run_for(5min);
  CHECK(r.stats().idle_connections == 2);
  CHECK(r.stats().validations >= 2 + 2 * 8);
  CHECK(r.stats().validation_failures == 2);
}

TEST_CASE("given a set-up that fails after the connect, when it throws, then nothing of the connection is left", "[K3][B052]") {
  simulation sim(1);
  testing::world server(sim);
  const auto connector = server.connector();
  using pool_type = tidepool::basic_pool<fake_connection, watched_traits<fake_connection>>;
  int set_up = 0;
  auto connect = [&](pool_type::connect_context context) -> asio::awaitable<fake_connection> {
    fake_connection made = co_await connector(context);
    ++set_up;
    if (set_up == 1) throw std::runtime_error("no such schema");
    co_return made;
  };
  pool_type pool(sim.get_executor(), connect, calm(0, 1));
  std::optional<error_code> result;
  pool.async_acquire(10s, [&](error_code ec, pool_type::lease) { result = ec; });
  sim.run_for(10s);
  CHECK(result == error_code());
  CHECK(set_up == 2);  // once a connection
  CHECK(server.counts().open == 1);
}

struct counter {
  int value = 0;
};

TEST_CASE("given a type without reset(), when its state is changed in a lease, then the next holder finds it so", "[R5]") {
  simulation sim(1);
  auto connect = []() -> asio::awaitable<counter> { co_return counter{}; };
  using pool_type = tidepool::basic_pool<counter, testing::simulated_traits<counter>>;
  pool_type pool(sim.get_executor(), connect, calm(0, 1));
  int seen = 0;
  for (int i = 0; i < 3; ++i) {
    pool.async_acquire(1s, [&](error_code, pool_type::lease lease) { seen = ++lease->value; });
    sim.run_for(1s);
  }
  CHECK(seen == 3);
}

}  // namespace
