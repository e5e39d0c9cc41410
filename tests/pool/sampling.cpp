// SPDX-License-Identifier: BSL-1.0
// tidepool - what is timed by sample: waits in a long queue, and leases of a connection that is used over and over.
#include "rig.hpp"
#include "support/stashing_traits.hpp"

namespace {

using namespace tidepool_tests;

/// Without an observer, which would have every lease timed.
using usual_traits = testing::simulated_traits<fake_connection>;
using plain_rig = rig<fake_connection, usual_traits>;

TEST_CASE("given a long queue, when each caller waits its turn, then the sampled waits stand for all of them") {
  plain_rig r(calm(1, 1));
  r.open();
  auto held = r.take();
  std::vector<plain_rig::request_ptr> all;
  for (int i = 0; i < 1000; ++i) all.push_back(r.ask(1h));
  for (auto& one : all) {
    r.sim.run_for(1ms);
    held.release();
    r.settle();
    REQUIRE(one->served());
    held = std::move(one->held);
  }
  const auto stats = r.stats();
  CHECK(stats.waited == 1000);
  CHECK(stats.wait_time.count() >= 1000 - 8 + stats.direct);
  CHECK(stats.wait_time.count() <= 1000 + 8 + stats.direct);
  CHECK(stats.wait_time.quantile(0.5) > 430ms);
  CHECK(stats.wait_time.quantile(0.5) < 580ms);
  CHECK(stats.wait_time.max() >= 1000ms);
  CHECK(stats.wait_time.max() <= 1000ms + usual_traits::coarse_lag);
  held.release();
  r.close_and_check();
}

TEST_CASE("given a long queue and a clock that lags, when none is served, then each fails late by the lag", "[T1]") {
  const auto lag = GENERATE(duration(0), duration(1ms), duration(4ms));
  const auto limit = usual_traits::coarse_lag;
  plain_rig r(calm(1, 1));
  r.sim.coarse_lag(lag);
  r.open();
  auto held = r.take();
  const auto begin = virtual_clock::now();
  std::vector<plain_rig::request_ptr> all;
  for (int i = 0; i < 300; ++i) all.push_back(r.ask(50ms, i % 2 == 0 ? way::callback : way::coroutine));
  r.sim.run_for(50ms + limit);
  for (const auto& one : all) {
    REQUIRE(one->failed_with(errc::timeout));
    REQUIRE(one->ended >= begin + 50ms);
  }
  // Who does not wait at all is told so at once.
  for (int i = 0; i < 100; ++i) all.push_back(r.ask(1h));
  const auto hasty = r.ask(0s);
  r.settle();
  CHECK(hasty->failed_with(errc::timeout));
  CHECK(r.stats().timeouts == 301);
  held.release();
  r.settle();
  for (auto& one : all) one->held.release();
  r.close_and_check();
}

TEST_CASE("given one connection, when it is leased often, then early leases are timed, later ones sampled") {
  plain_rig r(calm(1, 1));
  r.open();
  const auto use = [&r](int times, duration each) {
    for (int i = 0; i < times; ++i) {
      auto lease = r.pool->try_acquire();
      REQUIRE(lease);
      r.sim.run_for(each);
    }
  };
  use(16, 2ms);
  CHECK(r.stats().hold_time.count() == 16);
  CHECK(r.stats().hold_time.mean() == 2ms);
  use(10000, 2ms);
  const auto stats = r.stats();
  CHECK(stats.total_checkouts == 10016);
  CHECK(stats.hold_time.count() <= 10016);
  CHECK(stats.hold_time.count() > 10016 - usual_traits::hold_sampling);
  CHECK(stats.hold_time.mean() == 2ms);
  r.close_and_check();
}

/// Whose leases are stashed from the second on.
using stashing_rig = rig<fake_connection, tidepool_tests::stashing<usual_traits>>;

TEST_CASE("given a lease that would be stashed, when the pool is recycled, then it is not handed out again", "[INV-19]") {
  stashing_rig r(calm(0, 2));
  r.open();
  r.take().release();
  auto held = r.take();
  const auto old = held.id();
  r.pool->recycle();
  held.release();
  auto next = r.pool->try_acquire();
  if (next) CHECK(next.id() != old);
  r.sim.run_for(1s);
  CHECK(r.stats().closed(close_reason::recycled) == 1);
  next.release();
  r.close_and_check();
}

TEST_CASE("given a stashed lease, when its last answer is too old, then it is validated before it is handed out", "[H1]") {
  auto config = calm(0, 1);
  config.pre_ping = config.test_on_borrow = true;
  config.alive_bypass = 1s;
  stashing_rig r(config);
  r.open();
  r.take().release();
  r.take().release();
  CHECK(r.stats().validations == 0);
  r.pool->try_acquire().release();
  r.sim.run_for(2s);
  r.take().release();
  CHECK(r.stats().validations == 1);
  r.close_and_check();
}

// --- time works on what is stashed, whether or not anybody asks for it ----------------------------------------------------

TEST_CASE("given a stashed lease that is not asked for, when its time is up, then it is closed as an idle one", "[field-S5]") {
  auto config = calm(0, 2);
  auto reason = close_reason::idle;
  SECTION("idle for too long") { config.idle_timeout = 10s; }
  SECTION("too old") {
    config.max_lifetime = 10s;
    config.lifetime_jitter = 0;
    reason = close_reason::lifetime;
  }
  stashing_rig r(config);
  r.open();
  r.take().release();
  r.take().release();
  REQUIRE(r.server.counts().open == 1);
  r.sim.run_for(60s);
  CHECK(r.server.counts().open == 0);  // seen without a look at the pool, which would collect what is stashed
  CHECK(r.stats().closed(reason) == 1);
  r.close_and_check();
}

TEST_CASE("given a stashed lease that is not asked for, when checks are due, then it is validated", "[field-S5]") {
  auto config = calm(0, 1);
  config.health_check_interval = 5s;
  stashing_rig r(config);
  r.open();
  r.take().release();
  r.take().release();
  r.sim.run_for(60s);
  const auto seen = r.stats().validations;
  CHECK(seen >= 10);
  CHECK(seen <= 13);
  r.server.plan()[operation::ping].fails = 1;
  r.sim.run_for(6s);
  CHECK(r.server.counts().open == 0);
  CHECK(r.stats().closed(close_reason::invalid) == 1);
}

TEST_CASE("given stashed leases above a new bound, when none is asked for, then the surplus is closed at once", "[field-S5]") {
  stashing_rig r(calm(0, 4));
  r.open();
  {
    auto a = r.take();
    auto b = r.take();
    auto c = r.take();
  }
  r.take().release();
  r.pool->resize(0, 1);
  r.sim.run_for(1s);
  CHECK(r.server.counts().open == 1);
  CHECK(r.stats().closed(close_reason::shrunk) == 2);
  r.close_and_check();
}

}  // namespace
