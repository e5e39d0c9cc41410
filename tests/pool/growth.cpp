// SPDX-License-Identifier: BSL-1.0
// tidepool - growth in a running pool: bursts, queues without room, and what lies in the stash.
#include "rig.hpp"

#include "../support/stashing_traits.hpp"

namespace {

using namespace tidepool_tests;

asio::awaitable<void> job(rig<>& r, duration span, int& done) {
  auto lease = co_await r.pool->acquire();
  co_await testing::sleep_for(span);
  lease.release();
  ++done;
}

TEST_CASE("given five connections and connects of 150 ms, when 50 jobs of 2 ms come, then none is opened", "[field-growth]") {
  auto config = calm(5, 10);
  rig<> r(config);
  r.server.plan()[operation::connect].latency = 150ms;
  r.open();
  int done = 0;
  for (int burst = 1; burst <= 3; ++burst) {
    for (int i = 0; i < 50; ++i) asio::co_spawn(r.sim.get_executor(), job(r, 2ms, done), asio::detached);
    r.sim.run_while_not([&] { return done == 50 * burst; });
    r.sim.run_for(1s);
  }
  CHECK(r.server.counts().connects == 5);
  // Jobs that outlast a connect do grow it.
  for (int i = 0; i < 10; ++i) asio::co_spawn(r.sim.get_executor(), job(r, 10s, done), asio::detached);
  r.sim.run_for(1s);
  CHECK(r.server.counts().connects == 10);
  r.sim.run_while_not([&] { return done == 160; });
  r.close_and_check();
}

TEST_CASE("given no place in the queue and nothing leased, when a caller asks, then a connection is opened", "[field-N4]") {
  auto config = calm(0, 3);
  config.max_waiting = 0;
  rig<> r(config);
  std::vector<rig<>::request_ptr> all;
  for (int i = 0; i < 4; ++i) all.push_back(r.asked(10s, i % 2 ? way::callback : way::coroutine));
  r.settle();
  CHECK(all[3]->failed_with(errc::queue_full));
  r.sim.run_for(1s);
  for (int i = 0; i < 3; ++i) CHECK(all[static_cast<std::size_t>(i)]->served());
  CHECK(r.server.counts().connects == 3);
  for (auto& one : all) one->held.release();
  r.close_and_check();
}

// --- surplus that lies in the stash -------------------------------------------------------------------------------------

using stashing_traits = stashing<testing::simulated_traits<fake_connection>>;

TEST_CASE("given surplus that lies in the stash, when it is not used for idle_timeout, then it is closed", "[field-survivor]") {
  struct lone : stashing_traits {
    using mutex_type = tidepool::null_mutex;
  };
  const auto check = [](auto& r) {
    for (int i = 0; i < 20; ++i) r.take().release();
    CHECK(r.server.counts().open == 1);
    {
      auto held = r.take();
      r.sim.run_for(15s);  // whatever time the pool wanted to look at it has passed
    }
    // From here on the pool is not asked for anything, which would take it out of the stash.
    r.sim.run_for(9s);
    CHECK(r.server.counts().open == 1);
    r.sim.run_for(20s);
    CHECK(r.server.counts().open == 0);
  };
  auto config = calm(0, 4);
  config.idle_timeout = 10s;
  {
    rig<fake_connection, stashing_traits> r(config);
    check(r);
  }
  {
    rig<fake_connection, lone> r(config);
    check(r);
  }
}

TEST_CASE("given a lease in the stash, when its time is over, then it is retired though none asks", "[field-survivor]") {
  auto config = calm(1, 4);
  config.max_lifetime = config.idle_timeout = 1min;
  config.lifetime_jitter = 0;
  rig<fake_connection, stashing_traits> r(config);
  for (int i = 0; i < 20; ++i) r.take().release();
  CHECK(r.server.counts().connects == 1);
  r.sim.run_for(59s);
  CHECK(r.server.counts().connects == 1);
  r.sim.run_for(2s);
  CHECK(r.server.counts().connects == 2);
  CHECK(r.server.counts().open == 1);
}

}  // namespace
