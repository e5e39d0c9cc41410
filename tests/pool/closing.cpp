// SPDX-License-Identifier: BSL-1.0
// tidepool - close(): who is admitted, who is failed, who is waited for, and what is left.
#include "rig.hpp"

namespace {

using namespace tidepool_tests;

TEST_CASE("given idle ones, leases and waiters, when the pool closes, then idle ones close, all callers fail", "[L1]") {
  const way how = GENERATE(way::callback, way::coroutine);
  rig<> r(calm(2, 2));
  r.open();
  auto a = r.take();
  auto b = r.take();
  b.release();
  auto second = r.take();
  auto waiter = r.asked(10s, how);
  second.release();
  r.settle();
  REQUIRE(waiter->served());
  auto late = r.asked(10s, how);
  const auto began = r.sim.now();
  auto done = r.start_close(5s);
  r.settle();
  CHECK(late->failed_with(errc::closed));
  CHECK(late->ended == began);
  CHECK(r.pool->state() == pool_state::closing);
  CHECK_FALSE(r.pool->try_acquire());
  auto newcomer = r.asked(10s, how);
  r.settle();
  CHECK(newcomer->failed_with(errc::closed));
  CHECK(newcomer->ended == began);
  CHECK_FALSE(done->result);
  a.release();
  waiter->held.release();
  r.sim.run_for(100ms);
  CHECK(done->result == error_code());
  CHECK(r.pool->state() == pool_state::closed);
  CHECK(r.server.counts().open == 0);
  CHECK(r.stats().closed(close_reason::shutdown) == 2);
  CHECK(r.sim.pending_waits() == 0);
}

TEST_CASE("given a lease that is kept, when the grace is over, then its socket is shut and close() returns", "[L2]") {
  rig<> r(calm(1, 1));
  r.open();
  auto held = r.take();
  error_code seen;
  auto use = [&]() -> asio::awaitable<void> {
    try {
      co_await held->query(1);
    } catch (const tidepool::system_error& e) {
      seen = e.code();
    }
  };
  r.server.plan()[operation::query].hangs = 1;
  asio::co_spawn(r.sim.get_executor(), use(), asio::detached);
  const auto began = r.sim.now();
  auto done = r.start_close(3s);
  r.sim.run_for(10s);
  CHECK(done->result == error_code());
  CHECK(done->ended - began == 3s);
  CHECK(seen);  // the holder's own operation was ended
  CHECK_FALSE(held->open());
  CHECK(held);  // but its reference stays valid
  CHECK(r.server.counts().open == 0);
  held.release();
  r.settle();
  CHECK(r.events->count("destroyed") == 1);
  CHECK(r.stats().total_checkins == 1);
  CHECK(r.sim.pending_waits() == 0);
}

TEST_CASE("given no grace, when the pool closes, then leases are aborted at once", "[L2]") {
  rig<> r(calm(1, 1));
  auto held = r.take();
  auto done = r.start_close(0s);
  r.settle();
  CHECK(done->result == error_code());
  CHECK_FALSE(held->open());
  SECTION("released") { held.release(); }
  SECTION("discarded") { held.discard(); }
  SECTION("detached") {
    CHECK_THROWS_AS(held.detach(), tidepool::system_error);
    CHECK_FALSE(held);
  }
  SECTION("outliving the pool") {
    r.pool.reset();
    held.release();
  }
  CHECK(r.server.counts().open == 0);
}

TEST_CASE("given a close under way, when others close too, then all return together, the shortest grace counts", "[INV-11]") {
  rig<> r(calm(1, 1));
  auto held = r.take();
  const auto began = r.sim.now();
  // Each begins alone, and the shortest comes first, between the others, or last.
  const int shortest = GENERATE(0, 1, 2);
  const auto one_of = [&](int place, duration grace) {
    auto out = r.start_close(place == shortest ? began + 3s - r.sim.now() : grace);
    r.settle();
    r.sim.run_for(500ms);
    return out;
  };
  auto a = one_of(0, 10s);
  auto b = one_of(1, 40s);
  auto c = one_of(2, 60s);
  r.sim.run_for(60s);
  CHECK(a->result == error_code());
  CHECK(b->result == error_code());
  CHECK(c->result == error_code());
  CHECK(a->ended - began == 3s);
  CHECK(a->ended == b->ended);
  CHECK(b->ended == c->ended);
  auto again = r.start_close(1s);
  r.settle();
  CHECK(again->result == error_code());
  auto reopened = r.start_open();
  r.settle();
  CHECK(reopened->result == make_error_code(errc::closed));
}

TEST_CASE("given a closer that is cancelled, when the lease comes back, then the close goes on without it", "[INV-11]") {
  rig<> r(calm(1, 1));
  auto held = r.take();
  auto a = r.start_close(10s);
  auto b = r.start_close(10s);
  r.settle();
  a->signal.emit(asio::cancellation_type::total);
  r.settle();
  CHECK(a->result == make_error_code(errc::cancelled));
  CHECK_FALSE(b->result);
  held.release();
  r.sim.run_for(1s);
  CHECK(b->result == error_code());
}

TEST_CASE("given an operation that hangs in any stage, when the pool closes, then it ends within its bound", "[INV-8][B125]") {
  const auto what = GENERATE(operation::connect, operation::ping, operation::reset, operation::close);
  const bool ignores = GENERATE(false, true);
  auto config = calm(1, 2);
  config.pre_ping = true;
  config.alive_bypass = 0s;
  config.close_timeout = 2s;
  rig<> r(config);
  if (what != operation::connect) r.open();
  auto& plan = r.server.plan()[what];
  plan.hangs = 1;
  plan.cancel_ignored = ignores ? 1 : 0;
  std::shared_ptr<rig<>::request> a;
  if (what == operation::connect || what == operation::ping) a = r.ask(1h);
  if (what == operation::reset) {
    auto lease = r.take();
    lease->begin_transaction();
    lease.release();
  }
  r.sim.run_for(1ms);
  const auto began = r.sim.now();
  auto done = r.start_close(0s);
  r.sim.run_for(1h);
  CHECK(done->result == error_code());
  CHECK(done->ended - began == (what == operation::close ? 2s : 0s));
  if (a) CHECK(a->failed_with(errc::closed));
  CHECK(r.stats().total_connections == 0);
  if (what != operation::connect || !ignores) CHECK(r.server.counts().open == 0);
}

TEST_CASE("given every step of a busy pool, when it is closed there, then nothing is left and none waits on", "[INV-11][B125]") {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    auto config = calm(1, 3);
    config.pre_ping = true;
    config.alive_bypass = 1ms;
    config.idle_timeout = 40ms;
    config.max_lifetime = 100ms;
    config.health_check_interval = 10ms;
    rig<> r(config, seed);
    r.server.plan()[operation::connect].fails = 0.2;
    r.server.plan()[operation::ping].fails = 0.1;
    r.server.plan()[operation::reset].hangs = 0.1;
    r.server.plan()[operation::close].hangs = 0.1;
    auto user = [&](way how) -> asio::awaitable<void> {
      for (int i = 0; i < 20; ++i) {
        auto one = r.ask(50ms, how);
        while (one->pending()) co_await testing::sleep_for(1ms);
        if (one->held && i % 3 == 0) one->held->begin_transaction();
        co_await testing::sleep_for(std::chrono::milliseconds(r.sim.choices().choose(7)));
      }
    };
    for (int i = 0; i < 6; ++i) asio::co_spawn(r.sim.get_executor(), user(i % 2 ? way::callback : way::coroutine), asio::detached);
    const auto steps = r.sim.choices().choose(600);
    for (std::uint32_t i = 0; i < steps; ++i) r.sim.step();
    auto done = r.start_close(20ms);
    r.sim.run_for(1min);
    INFO("seed " << seed);
    REQUIRE(done->result == error_code());
    REQUIRE(r.stats().total_connections == 0);
    REQUIRE(r.server.counts().open == 0);
    REQUIRE(r.server.violations() == std::vector<std::string>{});
    REQUIRE(r.sim.pending_waits() == 0);
    REQUIRE(r.stats().connections_created == r.stats().connections_closed);
    REQUIRE(r.stats().total_checkouts == r.stats().total_checkins);
  }
}

TEST_CASE("given a graceful close that fails, when the pool closes, then it is closed all the same", "[L6]") {
  rig<> r(calm(3, 3));
  r.open();
  r.server.plan()[operation::close].fails = 0.5;
  r.server.plan()[operation::close].throws = 0.5;
  r.close_and_check();
  CHECK(r.server.counts().open == 0);
}

TEST_CASE("given a pool that is slow to close, when another one is made, then it works at once", "[L7]") {
  rig<> r(calm(1, 1));
  r.open();
  r.server.plan()[operation::close].hangs = 1;
  auto done = r.start_close(0s);
  r.settle();
  CHECK_FALSE(done->result);
  rig<>::pool_type second(r.sim.get_executor(), r.server.connector(), calm(0, 1));
  std::optional<error_code> result;
  second.async_acquire(10s, [&](error_code ec, rig<>::lease) { result = ec; });
  r.sim.run_for(100ms);
  CHECK(result == error_code());
  CHECK_FALSE(done->result);
}

TEST_CASE("given a pool that never opened, when it closes, then it is closed at once and refuses callers", "[B125]") {
  const way how = GENERATE(way::callback, way::coroutine);
  rig<> r(calm(5, 5));
  r.close_and_check();
  auto a = r.asked(1s, how);
  r.settle();
  CHECK(a->failed_with(errc::closed));
  CHECK(r.stats().connects_started == 0);
}

TEST_CASE("given an open() that waits, when the pool closes, then open() fails with closed", "[B125]") {
  rig<> r(calm(2, 2));
  r.server.plan()[operation::connect].hangs = 1;
  auto opened = r.start_open();
  r.settle();
  CHECK_FALSE(opened->result);
  r.close_and_check();
  CHECK(opened->result == make_error_code(errc::closed));
}

}  // namespace
