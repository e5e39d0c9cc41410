// SPDX-License-Identifier: BSL-1.0
// tidepool - draws the pool's configuration and the fault plan of one run of the simulator.
#ifndef TIDEPOOL_TESTS_SIMULATOR_PLAN_HPP
#define TIDEPOOL_TESTS_SIMULATOR_PLAN_HPP

#include <tidepool/config.hpp>
#include <tidepool/testing.hpp>

namespace tidepool_sim {

using namespace std::chrono_literals;
using tidepool::duration;
using tidepool::no_limit;
using tidepool::testing::choice_source;

/// Every number is small, and the time limits are close to one another, so that all events can meet.
inline tidepool::pool_config draw_config(choice_source& c) {
  tidepool::pool_config out;
  out.max_size = c.pick<std::size_t>({2, 1, 3, 4});
  out.min_size = std::min(out.max_size, c.pick<std::size_t>({0, 1, 2, 3}));
  out.min_idle = std::min(out.max_size, c.pick<std::size_t>({0, 0, 1, 2}));
  out.max_connecting = c.pick<std::size_t>({4, 1, 2});
  out.max_waiting = c.pick<std::size_t>({no_limit, no_limit, 2, 1, 0});
  out.start = c.pick({tidepool::start_mode::lazy, tidepool::start_mode::fail_fast});

  out.acquire_timeout = c.pick<duration>({10s, 1s, 100ms, 0s, no_limit});
  out.connect_timeout = c.pick<duration>({1s, 100ms, 5s});
  out.validation_timeout = c.pick<duration>({1s, 100ms});
  out.reset_timeout = c.pick<duration>({1s, 100ms});
  out.close_timeout = c.pick<duration>({1s, 100ms});
  out.close_grace = c.pick<duration>({5s, 100ms, 0s});
  out.slow_acquire = c.pick<duration>({1s, 0s, no_limit});

  out.max_lifetime = c.pick<duration>({no_limit, 10s, 1s});
  out.idle_timeout = std::min(out.max_lifetime, c.pick<duration>({no_limit, 1s, 100ms}));
  out.lifetime_jitter = c.pick({0.1, 0.0, 0.5});
  out.max_uses = c.pick<std::size_t>({no_limit, no_limit, 1, 3});

  out.pre_ping = c.choose(2) == 0;
  out.test_on_borrow = c.choose(2) == 0;
  out.alive_bypass = c.pick<duration>({500ms, 0s, 10ms, no_limit});
  out.health_check_interval = c.pick<duration>({30s, 1s, 100ms, no_limit});

  out.max_retries = c.pick<std::size_t>({3, 0, 1, 100});
  out.retry_delay = c.pick<duration>({100ms, 1ms, 1s});
  out.max_retry_delay = std::max(out.retry_delay, c.pick<duration>({1s, 100ms}));
  out.breaker_threshold = c.pick<std::size_t>({5, 1, 2, 1000});
  out.breaker_open_time = c.pick<duration>({1s, 100ms});

  out.auto_scale = c.choose(2) == 0;
  out.scale_check_interval = c.pick<duration>({1s, 100ms});
  out.leak_detection = c.choose(2) == 0;
  out.leak_timeout = c.pick<duration>({5s, 100ms, no_limit});
  if (out.leak_detection && out.leak_timeout != no_limit && c.choose(2) == 1) {
    out.abandon_timeout = out.leak_timeout + c.pick<duration>({1s, 1ns});
  }
  out.track_stack_trace = false;
  out.wait_when_refused = c.choose(2) == 0;
  return out;
}

/// One kind of operation. The seed decides the probability of each fault, so some runs have few faults and some have many.
inline tidepool::testing::behaviour draw_behaviour(choice_source& c, duration limit) {
  const auto share = [&c] { return c.pick({0.0, 0.0, 0.0, 0.05, 0.2, 0.5}); };
  tidepool::testing::behaviour out;
  out.latency = c.pick<duration>({1ms, 0s, 20ms});
  if (c.choose(4) == 0) return out;
  out.slow = share();
  out.slow_latency = c.pick<duration>({limit * 10, limit / 2});
  out.on_the_edge = share();
  out.edge = limit;
  out.fails = share();
  out.throws = share();
  out.hangs = share();
  out.cancel_late = share();
  out.cancel_ignored = share();
  out.cancel_succeeds = share();
  out.dirties = share();
  out.dies = share();
  out.dies_within = c.pick<duration>({100ms, 5s});
  return out;
}

inline tidepool::testing::fault_plan draw_faults(choice_source& c, const tidepool::pool_config& config) {
  using tidepool::testing::operation;
  tidepool::testing::fault_plan out;
  if (c.choose(8) == 0) return out;
  out[operation::connect] = draw_behaviour(c, config.connect_timeout);
  out[operation::ping] = draw_behaviour(c, config.validation_timeout);
  out[operation::reset] = draw_behaviour(c, config.reset_timeout);
  out[operation::close] = draw_behaviour(c, config.close_timeout);
  out[operation::query] = draw_behaviour(c, 100ms);
  out.permanent = c.pick({0.0, 0.1, 0.5});
  out.no_room = c.pick({0.0, 0.1, 0.5});
  out.wrong_role = c.pick({0.0, 0.1, 0.5});
  out.unseen_death = c.pick({0.0, 0.5, 1.0});
  out.mute_death = c.pick({0.0, 0.3});
  out.refused = c.pick({0.0, 0.1, 0.5});
  return out;
}

}  // namespace tidepool_sim

#endif
