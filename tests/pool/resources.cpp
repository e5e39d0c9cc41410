// SPDX-License-Identifier: BSL-1.0
// tidepool - what a pool says of what it uses: memory of its connections, threads of their driver, round trips it did without.
#include <cstddef>

#include "rig.hpp"

namespace {

using namespace tidepool_tests;

/// Tells how much memory it holds; must not be asked while somebody uses it.
struct weighed : fake_connection {
  using fake_connection::fake_connection;
  static inline std::size_t bytes = 0;
  static inline std::size_t asked = 0;
  std::size_t memory_bytes() const noexcept {
    ++asked;
    return bytes;
  }
  static std::size_t driver_threads() noexcept { return 3; }
};
static_assert(tidepool::has_memory_bytes<weighed> && tidepool::has_driver_threads<weighed>);
static_assert(!tidepool::has_memory_bytes<fake_connection> && !tidepool::has_driver_threads<fake_connection>);
using weighed_rig = rig<weighed, testing::simulated_traits<weighed>>;

TEST_CASE("given connections that tell their memory, then leases count as they were when idle") {
  weighed::bytes = 100;
  weighed_rig r(calm(3, 3));
  r.open();
  CHECK(r.stats().memory_bytes == 300);
  CHECK(r.stats().driver_threads == 3);
  weighed::bytes = 1000;
  CHECK(r.stats().memory_bytes == 3000);
  auto held = r.take();
  weighed::bytes = 5000;
  weighed::asked = 0;
  CHECK(r.stats().memory_bytes == 11'000);
  CHECK(weighed::asked == 2);
  held.release();
  CHECK(r.stats().memory_bytes == 15'000);
  auto gone = r.take();
  gone.discard();
  r.close_and_check();
  CHECK(r.stats().memory_bytes == 0);
}

TEST_CASE("given connections that tell nothing of themselves, then their memory and threads are zero") {
  rig r(calm(2, 2));
  r.open();
  CHECK(r.stats().memory_bytes == 0);
  CHECK(r.stats().driver_threads == 0);
}

TEST_CASE("given validation before hand-outs, when it is skipped, then that is counted") {
  auto config = calm(1, 1);
  config.pre_ping = true;
  config.alive_bypass = 500ms;
  rig r(config);
  r.open();
  for (int i = 0; i < 3; ++i) r.take().release();
  CHECK(r.stats().validations_skipped == 3);
  CHECK(r.stats().validations == 0);
  r.sim.run_for(1s);
  auto validated = r.take();
  CHECK(r.stats().validations == 1);
  CHECK(r.stats().validations_skipped == 3);
  auto next = r.asked();
  validated.release();  // straight to the caller who waits: the server has just answered
  r.settle();
  REQUIRE(next->served());
  CHECK(r.stats().validations_skipped == 4);
  next->held.release();

  // Without validation nothing is skipped.
  auto off = r.pool->config();
  off.pre_ping = off.test_on_borrow = false;
  r.pool->reconfigure(off);
  for (int i = 0; i < 5; ++i) r.take().release();
  CHECK(r.stats().validations_skipped == 4);
  CHECK(r.stats().total_checkouts == 10);
  auto on = r.pool->config();
  on.test_on_borrow = true;
  r.pool->reconfigure(on);
  CHECK(r.stats().validations_skipped == 4);
  r.sim.run_for(1s);
  auto unasked = r.pool->try_acquire();  // does not wait for one
  REQUIRE(unasked);
  CHECK(r.stats().validations_skipped == 5);
  unasked.release();
  r.close_and_check();
}

TEST_CASE("given leases in the stash, when hand-outs without validation are counted, then those are in it") {
  pool_config config = calm(1, 1);
  config.pre_ping = true;
  config.alive_bypass = 1h;
  rig<fake_connection, testing::simulated_traits<fake_connection>> r(config);
  r.open();
  for (int i = 0; i < 100; ++i) {
    auto lease = r.pool->try_acquire();
    REQUIRE(lease);
  }
  auto held = r.pool->try_acquire();
  CHECK(r.stats().total_checkouts == 101);
  CHECK(r.stats().validations_skipped == 101);
}

TEST_CASE("given no validation at all, when connections are handed out, then none is said to be skipped") {
  rig r(calm(1, 1));
  r.open();
  for (int i = 0; i < 3; ++i) r.take().release();
  CHECK(r.stats().validations_skipped == 0);
}

}  // namespace
