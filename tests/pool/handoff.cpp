// SPDX-License-Identifier: BSL-1.0
// tidepool - the most dangerous seam: a hand-off in the same instant as a cancellation, a timeout, or the end of the caller.
#include "rig.hpp"

namespace {

using namespace tidepool_tests;

TEST_CASE("given two waiters, when the first is cancelled at a release, then the connection is not lost", "[X4][B004]") {
  const way how = GENERATE(way::callback, way::coroutine);
  const bool cancel_first = GENERATE(false, true);
  const auto type = GENERATE(asio::cancellation_type::total, asio::cancellation_type::partial, asio::cancellation_type::terminal);
  rig<> r(calm(0, 1));
  auto held = r.take();
  auto a = r.asked(10s, how);
  auto b = r.asked(10s, how);
  if (cancel_first) a->signal.emit(type);
  held.release();
  if (!cancel_first) a->signal.emit(type);
  CHECK(a->pending());  // never inline
  CHECK(b->pending());
  r.settle();
  if (cancel_first) {
    CHECK(a->failed_with(errc::cancelled));
    CHECK(r.stats().cancelled == 1);
  } else {
    CHECK(a->served());  // the grant came first, and counts
    a->held.release();
    r.settle();
  }
  CHECK(b->served());
  b->held.release();
  CHECK(r.stats().idle_connections == 1);
  CHECK(r.stats().active_connections == 0);
  CHECK(r.stats().waiting == 0);
  r.close_and_check();
}

TEST_CASE("given nine waiters on three connections, when all are cancelled in reverse, then three are idle", "[B006][X6]") {
  const way how = GENERATE(way::callback, way::coroutine);
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    rig<> r(calm(3, 3), seed);
    r.open();
    std::vector<rig<>::request_ptr> all;
    for (int i = 0; i < 12; ++i) all.push_back(r.asked(10s, how));
    const auto steps = r.sim.choices().choose(20);
    for (std::uint32_t i = 0; i < steps; ++i) {
      if (!r.sim.quiet()) r.sim.step();
    }
    for (auto it = all.rbegin(); it != all.rend(); ++it) (*it)->signal.emit(asio::cancellation_type::total);
    r.settle();
    for (auto& one : all) {
      REQUIRE_FALSE(one->pending());
      one->held.release();
    }
    r.settle();
    REQUIRE(r.stats().idle_connections == 3);
    REQUIRE(r.stats().waiting == 0);
    REQUIRE(r.stats().total_checkouts + r.stats().failed_checkouts == 12);
    REQUIRE(r.take());
  }
}

TEST_CASE("given a held connection, when a waiter times out at the moment of the release, then nothing is lost", "[B001][T1]") {
  const way how = GENERATE(way::callback, way::coroutine);
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    rig<> r(calm(0, 1), seed);
    auto held = r.take();
    auto a = r.ask(1s, how);
    auto b = r.ask(5s, how);
    auto release = [&]() -> asio::awaitable<void> {
      co_await testing::sleep_for(1s);
      held.release();
    };
    asio::co_spawn(r.sim.get_executor(), release(), asio::detached);
    r.sim.run_for(2s);
    REQUIRE_FALSE(a->pending());
    if (a->served()) {
      a->held.release();
      r.settle();
    } else {
      REQUIRE(a->failed_with(errc::timeout));
    }
    REQUIRE(b->served());
    b->held.release();
    REQUIRE(r.stats().idle_connections == 1);
    REQUIRE(r.stats().connections_created == 1);
  }
}

TEST_CASE("given a granted lease on its way, when the caller is destroyed, then the connection goes back", "[B014]") {
  const way how = GENERATE(way::callback, way::coroutine);
  auto server_open = std::make_shared<testing::detail::world_core>();
  {
    rig<> r(calm(0, 1));
    server_open = r.server.core();
    auto held = r.take();
    auto a = r.asked(10s, how);
    held.release();
    CHECK(r.stats().active_connections == 1);
    r.pool.reset();
    // The simulation is destroyed with the delivery still queued.
  }
  CHECK(server_open->counts.open == 0);
}

TEST_CASE("given a waiter, when its connection is released inside a handler, then it runs after that handler", "[A10][B120]") {
  const way how = GENERATE(way::callback, way::coroutine);
  rig<> r(calm(0, 1));
  auto held = r.take();
  auto a = r.asked(10s, how);
  bool inline_seen = false;
  asio::post(r.sim.get_executor(), [&] {
    held.release();
    inline_seen = !a->pending();
  });
  r.settle();
  CHECK_FALSE(inline_seen);
  CHECK(a->served());
}

TEST_CASE("given an idle connection, when a callback asks for it, then it does not run inside the call", "[A10]") {
  rig<> r(calm(0, 1));
  r.take().release();
  auto a = r.ask(10s);
  CHECK(a->pending());
  r.settle();
  CHECK(a->served());
  auto timed_out = r.ask(0s);
  CHECK(timed_out->pending());
  r.settle();
  CHECK(timed_out->failed_with(errc::timeout));
}

TEST_CASE("given nothing idle, when a caller has no time, then it fails at once; only the floor connects", "[A9]") {
  const way how = GENERATE(way::callback, way::coroutine);
  rig<> r(calm(0, 1));
  auto a = r.asked(0s, how);
  r.settle();
  CHECK(a->failed_with(errc::timeout));
  CHECK(a->ended == simulation::default_start);
  CHECK(r.stats().connects_started == 0);
  CHECK_FALSE(r.pool->try_acquire());
}

TEST_CASE("given a pool that is not opened, when it is only ever tried, then the first try starts it", "[field-N9]") {
  rig<> r(calm(2, 4));
  CHECK(r.pool->state() == pool_state::starting);
  CHECK(r.stats().connects_started == 0);
  CHECK_FALSE(r.pool->try_acquire());
  r.sim.run_for(1s);
  CHECK(r.pool->state() == pool_state::healthy);
  CHECK(r.stats().connects_started == 2);  // the floor; the caller itself gets none
  auto lease = r.pool->try_acquire();
  CHECK(lease);
  CHECK(r.stats().direct == 1);
}

TEST_CASE("given a suspended pool that is not opened, when it is tried, then it starts with resume()", "[field-N9]") {
  rig<> r(calm(1, 1));
  r.pool->suspend();
  CHECK_FALSE(r.pool->try_acquire());
  r.sim.run_for(1s);
  CHECK(r.stats().connects_started == 0);
  r.pool->resume();
  r.sim.run_for(1s);
  CHECK(r.pool->try_acquire());
}

}  // namespace
