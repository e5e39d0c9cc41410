// SPDX-License-Identifier: BSL-1.0
// tidepool - the policies: scaling, lifetime, leaks, health, queue, breaker.
#include <tidepool/policy/breaker.hpp>
#include <tidepool/policy/health.hpp>
#include <tidepool/policy/leak.hpp>
#include <tidepool/policy/lifetime.hpp>
#include <tidepool/policy/queue.hpp>
#include <tidepool/policy/scaling.hpp>

#include <type_traits>

#include "support/catch.hpp"

namespace {

using namespace tidepool;
using namespace std::chrono_literals;
using detail::never;
using detail::tick;

static_assert(std::is_empty_v<no_health_check> && std::is_empty_v<no_leak_detection> && std::is_empty_v<no_scaling> &&
                  std::is_empty_v<no_lifetime> && std::is_empty_v<no_breaker>,
              "a policy that is off adds no bytes");
static_assert(!no_health_check::enabled && !no_leak_detection::enabled && !no_scaling::enabled && !no_lifetime::enabled &&
              !no_breaker::enabled);
static_assert(health_check::enabled && leak_detection::enabled && utilization_scaling::enabled && lifetime_recycling::enabled &&
              circuit_breaker::enabled);
static_assert(fifo_queue::newest_first && !fifo_queue_oldest_idle::newest_first);

// --- scaling ---------------------------------------------------------------------------------------------------------

struct scaling_row {
  double utilization;
  std::size_t size, min_size, max_size, target;
};

TEST_CASE("given utilisation and size, when the target is read, then it moves by a fifth, within bounds") {
  const utilization_scaling policy{pool_config{}};
  const scaling_row row = GENERATE(
      // between the thresholds, or at one: no change
      scaling_row{0.5, 10, 5, 20, 10}, scaling_row{0.8, 10, 5, 20, 10}, scaling_row{0.3, 10, 5, 20, 10},
      // above: a fifth up
      scaling_row{0.81, 10, 5, 20, 12}, scaling_row{1.0, 15, 5, 20, 18}, scaling_row{1.0, 100, 5, 200, 120},
      // at least one
      scaling_row{0.9, 1, 0, 20, 2}, scaling_row{0.9, 4, 0, 20, 5}, scaling_row{0.9, 9, 0, 20, 10},
      // never above the maximum
      scaling_row{0.9, 19, 5, 20, 20}, scaling_row{0.9, 20, 5, 20, 20}, scaling_row{0.9, 30, 5, 20, 20},
      // below: a fifth down
      scaling_row{0.29, 10, 5, 20, 8}, scaling_row{0.0, 100, 5, 200, 80},
      // at least one
      scaling_row{0.1, 4, 0, 20, 3}, scaling_row{0.1, 1, 0, 20, 0}, scaling_row{0.0, 0, 0, 20, 0},
      // never below the minimum
      scaling_row{0.1, 6, 5, 20, 5}, scaling_row{0.1, 5, 5, 20, 5}, scaling_row{0.1, 3, 5, 20, 5});
  CAPTURE(row.utilization, row.size, row.min_size, row.max_size);
  CHECK(policy.target({row.utilization, row.size, row.min_size, row.max_size}) == row.target);
}

TEST_CASE("given other thresholds, when the target is asked for, then they decide") {
  pool_config c;
  c.scale_up_threshold = 0.5;
  c.scale_down_threshold = 0.1;
  const utilization_scaling policy{c};
  CHECK(policy.target({0.6, 10, 5, 20}) == 12);
  CHECK(policy.target({0.2, 10, 5, 20}) == 10);
  CHECK(policy.target({0.05, 10, 5, 20}) == 8);
}

TEST_CASE("given the interval of scaling, when auto-scaling is on or off, then it is the configured one or none") {
  pool_config c;
  c.scale_check_interval = 3s;
  CHECK(utilization_scaling{c}.interval() == 3s);
  c.auto_scale = false;
  CHECK(utilization_scaling{c}.interval() == no_limit);
}

// --- lifetime --------------------------------------------------------------------------------------------------------

TEST_CASE("given a connection's birth, when limits are drawn, then jitter is subtracted, the hard limit stays") {
  pool_config c;
  c.max_lifetime = 1000s;
  c.lifetime_jitter = 0.1;
  const lifetime_recycling policy{c};
  const tick born{50s};
  CHECK(policy.hard_limit(born) == tick(1050s));
  CHECK(policy.soft_limit(born, 0.0) == tick(1050s));
  CHECK(policy.soft_limit(born, 0.5) == tick(1000s));
  for (const double unit : {0.0, 0.1, 0.9, 0.999999}) {
    CHECK(policy.soft_limit(born, unit) <= policy.hard_limit(born));
    CHECK(policy.soft_limit(born, unit) > born + 900s - 1ms);
  }
}

TEST_CASE("given no jitter, when the limits are drawn, then both are the same and there is no gap") {
  pool_config c;
  c.lifetime_jitter = 0;
  const lifetime_recycling policy{c};
  CHECK(policy.soft_limit(tick(0s), 0.7) == policy.hard_limit(tick(0s)));
  CHECK(policy.gap(10) == 0s);
}

TEST_CASE("given connections born in one instant, when they retire by age, then the gap shares out the jitter") {
  pool_config c;
  c.max_lifetime = 1000s;
  c.lifetime_jitter = 0.1;
  const lifetime_recycling policy{c};
  CHECK(policy.gap(1) == 100s);
  CHECK(policy.gap(20) == 5s);
  CHECK(policy.gap(0) == 100s);
}

TEST_CASE("given no limit on age or uses, when a connection gets old, then it never retires") {
  pool_config c;
  c.max_lifetime = no_limit;
  const lifetime_recycling policy{c};
  CHECK(policy.hard_limit(tick(5s)) == never);
  CHECK(policy.soft_limit(tick(5s), 0.5) == never);
  CHECK(policy.gap(3) == 0s);
  CHECK_FALSE(policy.worn_out(~std::uint64_t{0}));
}

TEST_CASE("given a limit on uses, when it is reached, then the connection is worn out") {
  pool_config c;
  c.max_uses = 3;
  const lifetime_recycling policy{c};
  CHECK_FALSE(policy.worn_out(2));
  CHECK(policy.worn_out(3));
  CHECK(policy.worn_out(4));
}

// --- leaks -----------------------------------------------------------------------------------------------------------

TEST_CASE("given leak detection on or off, when its times are read, then they are as configured or none") {
  pool_config c;
  c.leak_timeout = 7s;
  CHECK(leak_detection{c}.report_after() == 7s);
  CHECK(leak_detection{c}.reclaim_after() == no_limit);
  c.abandon_timeout = 9s;
  CHECK(leak_detection{c}.reclaim_after() == 9s);
  c.leak_detection = false;
  CHECK(leak_detection{c}.report_after() == no_limit);
  CHECK(leak_detection{c}.reclaim_after() == no_limit);
}

// --- health ----------------------------------------------------------------------------------------------------------

TEST_CASE("given a server that answered lately, when freshness is read, then it lasts for the bypass window") {
  pool_config c;
  c.alive_bypass = 500ms;
  CHECK(health_check{c}.fresh_until(tick(10s)) == tick(10'500ms));
  c.alive_bypass = 0s;
  CHECK(health_check{c}.fresh_until(tick(10s)) < tick(0s));  // whatever clock is looked at
  c.alive_bypass = no_limit;
  CHECK(health_check{c}.fresh_until(tick(10s)) == never);
}

TEST_CASE("given validation before hand-out, when pre_ping and test_on_borrow vary, then either is enough") {
  pool_config c;
  c.pre_ping = GENERATE(false, true);
  c.test_on_borrow = GENERATE(false, true);
  const bool validates = c.pre_ping || c.test_on_borrow;
  CHECK((health_check{c}.fresh_until(tick(10s)) == never) == !validates);
  CHECK(health_check{c}.interval() == c.health_check_interval);
}

// --- breaker ---------------------------------------------------------------------------------------------------------

circuit_breaker breaker_of(std::size_t threshold, duration open_time) {
  pool_config c;
  c.breaker_threshold = threshold;
  c.breaker_open_time = open_time;
  return circuit_breaker(c);
}

TEST_CASE("given a closed breaker, when fewer connects fail in a row than its threshold, then it stays closed") {
  circuit_breaker b = breaker_of(3, 10s);
  CHECK(b.state() == breaker_state::closed);
  b.failed(tick(1s));
  b.failed(tick(2s));
  CHECK(b.state() == breaker_state::closed);
  CHECK(b.allows(tick(2s), 7));
  b.succeeded();
  b.failed(tick(3s));
  b.failed(tick(4s));
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("given a closed breaker, when the threshold is reached, then it is open until its time is over") {
  circuit_breaker b = breaker_of(3, 10s);
  for (const duration t : {1s, 2s, 3s}) b.failed(tick(t));
  CHECK(b.state() == breaker_state::open);
  CHECK(b.retry_at() == tick(13s));
  CHECK_FALSE(b.allows(tick(13s) - 1ns, 0));
  CHECK(b.allows(tick(13s), 0));
  CHECK_FALSE(b.allows(tick(13s), 1));
}

TEST_CASE("given an open breaker whose time is over, when one probe starts, then it alone decides") {
  circuit_breaker b = breaker_of(2, 10s);
  b.failed(tick(0s));
  b.failed(tick(0s));
  b.started();
  CHECK(b.state() == breaker_state::half_open);
  CHECK_FALSE(b.allows(tick(11s), 1));
  SECTION("it succeeds") {
    b.succeeded();
    CHECK(b.state() == breaker_state::closed);
    CHECK(b.allows(tick(11s), 5));
    b.failed(tick(12s));
    CHECK(b.state() == breaker_state::closed);
  }
  SECTION("it fails") {
    b.failed(tick(11s));
    CHECK(b.state() == breaker_state::open);
    CHECK(b.retry_at() == tick(21s));
    CHECK_FALSE(b.allows(tick(20s), 0));
  }
  SECTION("it ends without a verdict") {
    b.undecided(tick(11s));
    CHECK(b.state() == breaker_state::open);
    CHECK(b.retry_at() > tick(11s));
    CHECK(b.allows(b.retry_at(), 0));
  }
}

TEST_CASE("given a closed breaker, when attempts start or end without a verdict, then nothing changes") {
  circuit_breaker b = breaker_of(1, 10s);
  b.started();
  b.undecided(tick(1s));
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("given a breaker without a threshold, when any number of connects fails, then it stays closed") {
  circuit_breaker b = breaker_of(no_limit, 10s);
  for (int i = 0; i < 1'000; ++i) b.failed(tick(1s * i));
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("given the states of a breaker, when they are put in words, then each has its own") {
  CHECK(std::string(to_string(breaker_state::closed)) == "closed");
  CHECK(std::string(to_string(breaker_state::open)) == "open");
  CHECK(std::string(to_string(breaker_state::half_open)) == "half-open");
}

}  // namespace
