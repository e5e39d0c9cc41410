// SPDX-License-Identifier: BSL-1.0
// tidepool - another configuration for a pool at work, each option of it.
#include <tidepool/pool.hpp>

#include <stdexcept>
#include <string>
#include <vector>

#include "rig.hpp"
#include "support/stashing_traits.hpp"

namespace {

using namespace tidepool_tests;

template <class Rig, class Change>
void change(Rig& r, Change how) {
  pool_config next = r.pool->config();
  how(next);
  r.pool->reconfigure(next);
}

/// How many connections were destroyed for this reason.
template <class Rig>
int retired(Rig& r, const std::string& reason) {
  int n = 0;
  for (const auto& line : r.events->lines) n += line.find("destroyed") == 0 && line.find(" " + reason) != std::string::npos ? 1 : 0;
  return n;
}

TEST_CASE("given faults, a name, a start mode, when reconfigured, then all are told, and nothing changes") {
  auto config = calm(1, 2);
  config.name = "orders";
  rig<> r(config);
  r.open();
  auto next = config;
  next.name = "others";
  next.start = tidepool::start_mode::lazy;
  next.max_size = 9;
  next.min_size = 10;
  next.leak_timeout = -1s;
  std::string said;
  try {
    r.pool->reconfigure(next);
  } catch (const std::invalid_argument& failure) {
    said = failure.what();
  }
  CHECK(said.find("min_size is 10: must not exceed max_size (9)") != std::string::npos);
  CHECK(said.find("leak_timeout is -1 s") != std::string::npos);
  CHECK(said.find("name is 'others': cannot change in a pool that exists") != std::string::npos);
  CHECK(said.find("start is lazy: cannot change in a pool that exists") != std::string::npos);
  CHECK(r.pool->config().to_string() == config.to_string());
  CHECK(r.stats().max_size == 2);
  CHECK_FALSE(r.events->has("reconfigured"));
}

TEST_CASE("given a change, when reconfigured, then observers and the log hear of it, old references live") {
  rig<> r(calm(1, 2));
  std::vector<std::string> lines;
  r.pool->log_to([&](tidepool::log_level, const std::string& line) { lines.push_back(line); });
  const pool_config& before = r.pool->config();
  r.open();
  change(r, [](pool_config& c) {
    c.max_size = 5;
    c.leak_timeout = 1min;
    c.max_waiting = 3;
  });
  CHECK(r.events->count("reconfigured: max_size 2 -> 5, max_waiting none -> 3, leak_timeout 5m -> 1m") == 1);
  bool logged = false;
  for (const auto& line : lines) logged = logged || line.find("reconfigured: max_size 2 -> 5") != std::string::npos;
  CHECK(logged);
  CHECK(r.pool->config().max_size == 5);
  CHECK(before.max_size == 2);
  change(r, [](pool_config&) {});
  CHECK(r.events->count("reconfigured") == 1);
  r.events->on_line = [&](const std::string& line) {  // never under the lock
    if (line.find("reconfigured: min_size") == 0) change(r, [](pool_config& c) { c.min_size = 1; });
  };
  change(r, [](pool_config& c) { c.min_size = 3; });
  CHECK(r.events->count("reconfigured: min_size 3 -> 1") == 1);
  r.close_and_check();
}

TEST_CASE("given callers that wait, when max_size grows, then they are served; when it shrinks, the rest goes") {
  const way how = GENERATE(way::callback, way::coroutine);
  rig<> r(calm(0, 1));
  auto a = r.take();
  auto b = r.asked(10s, how);
  r.sim.run_for(100ms);
  CHECK(b->pending());
  change(r, [](pool_config& c) { c.max_size = 2; });
  r.sim.run_for(100ms);
  CHECK(b->served());
  change(r, [](pool_config& c) { c.max_size = 1; });
  a.release();
  r.sim.run_for(100ms);
  CHECK(r.stats().total_connections == 1);
  change(r, [](pool_config& c) {
    c.max_size = 4;
    c.min_idle = 2;
  });
  r.sim.run_for(1s);
  CHECK(r.stats().idle_connections == 2);
  CHECK(r.stats().min_idle == 2);
}

TEST_CASE("given time limits and a queue, when changed, then they are for the next callers") {
  rig<> r(calm(0, 1));
  auto held = r.take();
  const auto old = r.asked(5s);
  change(r, [](pool_config& c) {
    c.acquire_timeout = 100ms;
    c.max_waiting = 1;
  });
  std::string said;
  auto late = [&]() -> asio::awaitable<void> {
    try {
      auto lease = co_await r.pool->acquire();
    } catch (const tidepool::pool_error& failure) {
      said = make_error_code(failure.code() == errc::queue_full ? errc::queue_full : errc::timeout).message();
    }
  };
  asio::co_spawn(r.sim.get_executor(), late(), asio::detached);
  r.sim.run_for(10ms);
  CHECK(said == make_error_code(errc::queue_full).message());
  change(r, [](pool_config& c) { c.max_waiting = 9; });
  asio::co_spawn(r.sim.get_executor(), late(), asio::detached);
  r.sim.run_for(200ms);
  CHECK(said == make_error_code(errc::timeout).message());
  CHECK(old->pending());
  r.sim.run_for(5s);
  CHECK(old->failed_with(errc::timeout));
}

TEST_CASE("given old connections, when max_lifetime shrinks, then idle ones go now, leased ones at their return") {
  const bool stashes = GENERATE(false, true);
  rig<> r(calm(3, 3));
  r.open();
  r.sim.run_for(60s);
  auto a = r.take();
  const auto held = a->id();
  if (stashes) {  // it was in the stash before
    a.release();
    a = r.take();
  }
  change(r, [](pool_config& c) {
    c.max_lifetime = 20s;
    c.idle_timeout = 20s;
    c.lifetime_jitter = 0;
  });
  r.sim.run_for(1s);
  CHECK(retired(r, "lifetime") == 2);
  CHECK(a->open());
  a.release();
  r.sim.run_for(1s);
  CHECK(retired(r, "lifetime") == 3);
  CHECK(r.stats().idle_connections == 3);
  a = r.take();
  CHECK(a->id() != held);
  a.release();
  change(r, [](pool_config& c) { c.max_lifetime = no_limit; });
  r.sim.run_for(100s);
  CHECK(retired(r, "lifetime") == 3);
}

TEST_CASE("given a stashed connection, when its age or uses are limited, then it goes as any other") {
  rig<fake_connection, stashing<testing::simulated_traits<fake_connection>>> r(calm(0, 1));
  const auto closed = [&](close_reason why) { return r.stats().closed_by_reason[static_cast<std::size_t>(why)]; };
  for (int i = 0; i < 20; ++i) r.take().release();
  r.sim.run_for(60s);
  change(r, [](pool_config& c) {
    c.max_lifetime = c.idle_timeout = 20s;
    c.lifetime_jitter = 0;
  });
  r.sim.run_for(1s);
  CHECK(closed(close_reason::lifetime) == 1);
  for (int i = 0; i < 20; ++i) r.take().release();
  change(r, [](pool_config& c) {
    c.max_lifetime = c.idle_timeout = no_limit;
    c.max_uses = 3;
  });
  for (int i = 0; i < 9; ++i) r.take().release();
  r.sim.run_for(1s);
  CHECK(closed(close_reason::max_uses) == 3);
}

TEST_CASE("given idle connections, when idle_timeout or max_uses shrinks, then those above the floor go") {
  rig<> r(calm(1, 3));
  r.open();
  {
    auto a = r.take();
    auto b = r.take();
    auto c = r.take();
  }
  r.sim.run_for(60s);
  CHECK(r.stats().idle_connections == 3);
  change(r, [](pool_config& c) { c.idle_timeout = 5s; });
  r.sim.run_for(1s);
  CHECK(r.stats().idle_connections == 1);
  change(r, [](pool_config& c) { c.max_uses = 3; });
  for (int i = 0; i < 6; ++i) r.take().release();
  r.sim.run_for(1s);
  CHECK(retired(r, "max_uses") >= 1);
}

TEST_CASE("given a pool without checks, when switched on, then they begin, at hand-out and in the background") {
  rig<> r(calm(2, 2));
  r.open();
  r.sim.run_for(60s);
  const auto pings = [&] { return r.server.counts().operations; };
  CHECK(pings() == 0);
  change(r, [](pool_config& c) { c.health_check_interval = 1s; });
  r.sim.run_for(3s);
  CHECK(pings() >= 4);
  change(r, [](pool_config& c) { c.health_check_interval = no_limit; });
  r.sim.run_for(3s);
  const auto seen = pings();
  r.sim.run_for(60s);
  CHECK(pings() == seen);
  change(r, [](pool_config& c) {
    c.pre_ping = true;
    c.alive_bypass = 500ms;
  });
  r.take().release();
  CHECK(pings() == seen + 1);
  r.take().release();
  CHECK(pings() == seen + 1);
}

TEST_CASE("given leases, when leak detection is switched on, then they are reported and taken back in time") {
  rig<> r(calm(0, 2));
  auto a = r.take();
  r.sim.run_for(10s);
  change(r, [](pool_config& c) {
    c.leak_detection = true;
    c.leak_timeout = 5s;
  });
  r.sim.run_for(10ms);
  CHECK(r.events->count("leak detected") == 1);
  change(r, [](pool_config& c) { c.abandon_timeout = 20s; });
  r.sim.run_for(9s);
  CHECK(r.events->count("leak reclaimed") == 0);
  r.sim.run_for(2s);
  CHECK(r.events->count("leak reclaimed") == 1);
  auto b = r.take();
  b.release();
  change(r, [](pool_config& c) {
    c.leak_detection = false;
    c.abandon_timeout = no_limit;
  });
  auto c = r.take();
  r.sim.run_for(100s);
  CHECK(r.events->count("leak detected") == 1);
}

TEST_CASE("given a server that is away, when back-off and breaker change, then the next attempts obey") {
  auto config = calm(1, 1);
  config.start = tidepool::start_mode::lazy;
  config.retry_delay = config.max_retry_delay = 1h;
  config.breaker_threshold = no_limit;
  config.wait_when_refused = false;
  config.max_retries = 1000;
  rig<> r(config);
  r.server.plan()[operation::connect].fails = 1;
  auto opening = r.start_open();
  r.sim.run_for(10s);
  CHECK(r.events->count("connect failed") == 1);
  change(r, [](pool_config& c) { c.retry_delay = c.max_retry_delay = 100ms; });
  r.sim.run_for(1s);
  CHECK(r.events->count("connect failed") >= 5);
  CHECK_FALSE(r.events->has("breaker closed to open"));
  change(r, [](pool_config& c) { c.breaker_threshold = 1; });
  r.sim.run_for(1s);
  CHECK(r.events->has("breaker closed to open"));
}

TEST_CASE("given scaling that is off, when it is switched on and off, then it begins, and ends") {
  rig<> r(calm(1, 10));
  r.open();
  auto a = r.take();
  r.sim.run_for(60s);
  CHECK(r.events->count("scaled") == 0);
  change(r, [](pool_config& c) {
    c.auto_scale = true;
    c.scale_check_interval = 1s;
  });
  r.sim.run_for(3s);
  const auto seen = r.events->count("scaled");
  CHECK(seen >= 1);
  change(r, [](pool_config& c) { c.auto_scale = false; });
  r.sim.run_for(60s);
  CHECK(r.events->count("scaled") == seen);
}

TEST_CASE("given a connector that knows what fits, when reconfigured or resized, then it is asked first") {
  struct alone : testing::basic_fake_connector<fake_connection> {
    using testing::basic_fake_connector<fake_connection>::basic_fake_connector;
    void check(const pool_config& c) const {
      if (c.max_size != 1) throw std::invalid_argument("one connection, no more");
    }
  };
  simulation sim(1);
  testing::world server(sim);
  tidepool::basic_pool<fake_connection, testing::simulated_traits<fake_connection>> pool(sim.get_executor(), alone(server), calm(0, 1));
  auto next = pool.config();
  next.max_size = 2;
  CHECK_THROWS_AS(pool.reconfigure(next), std::invalid_argument);
  CHECK_THROWS_AS(pool.resize(0, 2), std::invalid_argument);
  CHECK(pool.config().max_size == 1);
  CHECK(pool.stats().max_size == 1);
}

/// Counts what it is told.
struct own_leaks : tidepool::leak_detection {
  using leak_detection::leak_detection;
  void reconfigure(const pool_config& c) noexcept {
    leak_detection::reconfigure(c);
    ++told;
  }
  static inline int told = 0;
};
struct reconfigured_traits : testing::simulated_traits<fake_connection> {
  using leak_policy = own_leaks;
};

TEST_CASE("given a policy of one's own, when a pool is reconfigured, then it hears of it") {
  own_leaks::told = 0;
  rig<fake_connection, reconfigured_traits> r(calm(0, 1));
  change(r, [](pool_config& c) { c.leak_timeout = 7s; });
  CHECK(own_leaks::told == 1);
}

}  // namespace
