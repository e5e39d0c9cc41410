// SPDX-License-Identifier: BSL-1.0
// tidepool - event loops and machines that stand still, and idle connections that die of their idleness.
#include <string>
#include <vector>

#include "rig.hpp"

namespace stall_tests {

using namespace tidepool_tests;

/// The machine's sleep, as the test says.
struct sleeper {
  static inline duration slept{};
};
template <class Connection>
struct sleepy_traits : watched_traits<Connection> {
  static duration suspended() noexcept { return sleeper::slept; }
};

pool_config checked(std::size_t size) {
  pool_config c = calm(size, size);
  c.health_check_interval = 30s;
  return c;
}

TEST_CASE("given a loop that stood still, when its timer fires late, then that is told with how late", "[B101]") {
  for (const bool told : {true, false}) {
    CAPTURE(told);
    pool_config config = checked(1);
    config.stall_threshold = told ? duration(1s) : duration(no_limit);
    rig<> r(config);
    r.open();
    r.sim.run_for(95s);
    CHECK_FALSE(r.events->has("stall"));
    r.sim.freeze(60s);  // the timer was due 35 s ago
    r.sim.run_for(1s);
    CHECK(r.events->count("stall: late 3500") == told);
    CHECK(r.events->count(" ms, slept 0 ms") == told);
    CHECK(r.stats().stalls == told);
    r.sim.run_for(1h);
    CHECK(r.events->count("stall") == told);
  }
}

TEST_CASE("given a timer that is late by less than the threshold, then nothing is told") {
  pool_config config = checked(1);
  config.stall_threshold = 200ms;
  rig<> r(config);
  r.open();
  r.sim.run_for(29s);
  r.sim.freeze(1100ms);
  r.sim.run_for(10s);
  CHECK_FALSE(r.events->has("stall"));
}

TEST_CASE("given a deadline that reconfigure() puts into the past, then a timer for it is no stall") {
  pool_config config = checked(1);
  config.leak_detection = true;
  config.leak_timeout = 1h;
  rig<> r(config);
  r.open();
  auto held = r.take();
  r.sim.run_for(30min);
  config.leak_timeout = 1min;
  r.pool->reconfigure(config);
  r.sim.run_for(1s);
  CHECK(r.events->has("leak detected"));
  CHECK_FALSE(r.events->has("stall"));
}

TEST_CASE("given a machine that slept, then that is told, and idle connections are validated first", "[B100]") {
  sleeper::slept = 5h;  // before the pool was made
  pool_config config = checked(3);
  rig<fake_connection, sleepy_traits<fake_connection>> r(config);
  r.open();
  r.sim.run_for(30s);
  CHECK_FALSE(r.events->has("stall"));
  r.server.plan().unseen_death = 1;
  r.server.kill_sessions();
  sleeper::slept += 2h;
  r.sim.run_for(30s);
  CHECK(r.events->count("stall: late 0 ms, slept 7200000 ms") == 1);
  auto lease = r.take();
  CHECK_FALSE(lease->session().is_dead());
  CHECK(r.stats().closed(close_reason::invalid) == 3);
  r.sim.run_for(10min);
  CHECK(r.stats().stalls == 1);
}

TEST_CASE("given no round trip at hand-out, when the loop stood still, then a dead one is not handed out", "[B100]") {
  for (const bool stalls : {true, false}) {
    CAPTURE(stalls);
    pool_config config = calm(8, 8);  // of which four are checked at once
    config.health_check_interval = 1h;
    config.auto_scale = true;  // its timer
    if (!stalls) config.stall_threshold = no_limit;
    rig<> r(config);
    r.open();
    r.sim.run_for(29s);
    r.server.plan().unseen_death = 1;
    r.server.kill_sessions();
    r.sim.freeze(10s);
    r.settle();
    auto asked = r.ask(5s);
    r.sim.run_while_not([&] { return !asked->pending(); });
    REQUIRE(asked->served());
    CHECK(asked->held->session().is_dead() != stalls);
  }
}

TEST_CASE("given a pool without any validation, when the loop stood still, then it stays so") {
  rig<> r(calm(2, 2));
  r.open();
  auto timed_out = std::vector<rig<>::lease>();
  timed_out.push_back(r.take());
  timed_out.push_back(r.take());
  auto waits = r.ask(10s);
  r.settle();
  r.sim.freeze(20s);
  r.sim.run_for(1s);
  CHECK(waits->failed_with(errc::timeout));
  CHECK(r.events->count("stall: late 1000") == 1);
  timed_out.clear();
  r.take().release();
  CHECK(r.stats().validations == 0);
}

// --- silence ----------------------------------------------------------------------------------------------------------

/// What drops connections that are silent for too long, as a firewall does; it looks every second.
template <class Rig>
void firewall(Rig& r, duration drops_after, duration span) {
  const auto until = r.sim.now() + span;
  while (r.sim.now() < until) {
    r.sim.run_for(1s);
    for (auto* s : r.server.core()->sessions) {
      if (!s->connected || s->is_dead() || r.sim.now() - std::max(s->last_round_trip, s->connected_at) < drops_after) continue;
      s->dies_at = r.sim.now();
    }
  }
}

/// Callers at all kinds of distances, in seconds.
constexpr int distances[] = {100, 290, 500, 700, 120, 900, 400, 800, 300, 600, 1000, 450, 650, 200, 550, 750, 330, 950, 480, 620};

TEST_CASE("given a firewall that drops after 350 s, when checks come less often, then the pool says so, once") {
  pool_config config = calm(2, 4);
  config.pre_ping = true;
  config.health_check_interval = 20min;
  rig<> r(config);
  r.open();
  r.server.plan().unseen_death = 1;
  for (const int pause : distances) {
    firewall(r, 350s, std::chrono::seconds(pause));
    r.take().release();
  }
  CHECK(r.events->count("idle horizon") == 1);
  CHECK(r.stats().idle_horizon >= 350s);
  CHECK(r.stats().idle_horizon <= 500s);
  CHECK_FALSE(r.events->has("kept"));
}

TEST_CASE("given learn_idle_limit, when the horizon is known, then no dropped connection is met any more") {
  pool_config config = calm(2, 4);
  config.pre_ping = true;
  config.health_check_interval = 20min;
  config.learn_idle_limit = true;
  rig<> r(config);
  r.open();
  r.server.plan().unseen_death = 1;
  const auto ask_all = [&] {
    for (const int pause : distances) {
      firewall(r, 350s, std::chrono::seconds(pause));
      r.take().release();
    }
  };
  ask_all();
  CHECK(r.events->count("kept") == 1);
  const auto dropped = r.stats().closed(close_reason::invalid);
  CHECK(dropped >= 8);
  ask_all();
  CHECK(r.stats().closed(close_reason::invalid) == dropped);
  CHECK(r.stats().closed(close_reason::idle) > 20);
  CHECK(r.stats().idle_connections >= 2);
}

TEST_CASE("given sessions that a server ends at random, when many have died, then no horizon is told") {
  pool_config config = calm(4, 8);
  config.pre_ping = true;
  config.health_check_interval = 60s;
  rig<> r(config, 11);
  r.open();
  r.server.plan().unseen_death = 0.5;
  for (int i = 0; i < 3000; ++i) {
    r.sim.run_for(duration(1s) * (1 + i * 37 % 90));
    r.server.kill_sessions(0.1);
    r.take().release();
  }
  CHECK(r.stats().closed(close_reason::invalid) + r.stats().closed(close_reason::broken) > 500);
  CHECK_FALSE(r.events->has("idle horizon"));
  CHECK(r.stats().idle_horizon == 0s);
}

}  // namespace stall_tests
