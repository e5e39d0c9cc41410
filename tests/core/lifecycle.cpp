// SPDX-License-Identifier: BSL-1.0
// tidepool - the core: return and reset, recycle, close, the pool's end, and who frees what when things overlap.
#include "core_rig.hpp"

namespace {

using namespace tidepool_tests;
using rig = core_rig<>;

// --- return -------------------------------------------------------------------------------------------------------------

TEST_CASE("given a lease that left a mess, when it ends, then the connection is reset before its next lease", "[R1][R4]") {
  rig r(calm(0, 1));
  auto& a = r.acquire();
  r.connect_ok();
  auto& w = r.acquire();
  r.give_back(a, lease_end::needs_reset);
  CHECK(w.waiting());
  CHECK(r.stats().resetting == 1);
  CHECK(r.orders() == std::vector<std::string>{"reset 1"});
  r.reset_done(r.first(slot_state::resetting), true);
  CHECK(w.served());
  CHECK(r.stats().resets == 1);
  r.finish();
}

TEST_CASE("given a reset that fails or never ends, when its bound is over, then the connection is replaced", "[R3][R6][T8][B046]") {
  const bool hangs = GENERATE(false, true);
  auto config = calm(0, 1);
  config.reset_timeout = 2s;
  rig r(config);
  auto& a = r.acquire();
  r.connect_ok();
  r.advance(2s);
  auto& w = r.acquire(60s);
  r.give_back(a, lease_end::needs_reset);
  auto& s = r.first(slot_state::resetting);
  if (hangs) {
    r.advance(2s);
    CHECK(s.shut);
    CHECK(s.cancelled);
    r.reset_done(s, true);
  } else {
    r.reset_done(s, false);
  }
  CHECK(r.stats().closed(close_reason::reset_failed) == 1);
  r.connect_ok();
  CHECK(w.served());
  r.finish();
}

TEST_CASE("given a lease that ends broken, when a caller waits, then it gets a new connection at once", "[R7][R8][B013]") {
  rig r(calm(0, 1));
  auto& a = r.acquire();
  r.connect_ok();
  r.advance(2s);  // no quick death after the connect, which would count as a failed one
  auto& w = r.acquire();
  r.give_back(a, lease_end::broken);
  CHECK(r.stats().closed(close_reason::broken) == 1);
  CHECK(r.freed.size() == 1);
  r.connect_ok();
  CHECK(w.served());
  r.finish();
}

TEST_CASE("given a lease, when its connection is detached, then it is outside the pool and its place is free", "[R12]") {
  rig r(calm(1, 1));
  auto& a = r.acquire();
  r.connect_ok();
  auto& w = r.acquire();
  r.detach(*a.got());
  CHECK(r.stats().closed(close_reason::detached) == 1);
  CHECK(r.stats().total_checkins == 1);
  r.connect_ok();
  CHECK(w.served());
  r.finish();
}

TEST_CASE("given a graceful close that never ends, when its bound is over, then the place is free, not before", "[B040]") {
  auto config = calm(0, 1);
  config.close_timeout = 2s;
  rig r(config);
  r.fill(1);
  r.recycle();
  auto& s = r.first(slot_state::closing);
  auto& w = r.acquire(60s);
  r.advance(2s - 1ns);
  CHECK(r.connects == 1);
  r.advance(1ns);
  CHECK(r.connects == 2);
  CHECK(s.cancelled);
  r.closed(s);
  r.connect_ok();
  CHECK(w.served());
  CHECK(r.stats().closed(close_reason::recycled) == 1);
  r.finish();
}

// --- recycle ------------------------------------------------------------------------------------------------------------

TEST_CASE("given connections in every state, when the pool is recycled, then none of them is handed out again", "[H11][INV-19]") {
  auto config = calm(0, 6);
  config.pre_ping = true;
  config.alive_bypass = 500ms;
  rig r(config);
  auto& leased = r.acquire();
  auto& resetting = r.acquire();
  auto& validating = r.acquire();
  auto& idle = r.acquire();
  r.connect_all();
  r.give_back(resetting, lease_end::needs_reset);
  r.give_back(validating);
  r.advance(1s);
  auto& waiter = r.acquire();  // validates one
  r.give_back(idle);
  auto& connecting = r.acquire();
  (void)connecting;
  r.recycle();
  auto& late = r.acquire();  // new connections only
  r.give_back(leased);
  if (!r.in(slot_state::resetting).empty()) r.reset_done(r.first(slot_state::resetting), true);
  while (!r.in(slot_state::validating).empty()) r.validated(r.first(slot_state::validating), true);
  const auto generation = r.stats().generation;
  for (int i = 0; i < 8; ++i) {
    r.close_all();
    r.connect_all();
  }
  CHECK(waiter.served());
  CHECK(late.served());
  for (auto* s : r.in(slot_state::leased)) CHECK(s->generation == generation);
  for (auto* s : r.in(slot_state::idle)) CHECK(s->generation == generation);
  r.finish();
}

TEST_CASE("given connections to a wrong server, when one comes back outdated, then all of its age go, once", "[INV-19]") {
  rig r(calm(0, 6));
  auto& first = r.acquire();
  auto& second = r.acquire();
  auto& third = r.acquire();
  auto& idle = r.acquire();
  r.connect_all();
  r.give_back(idle);
  const auto before = r.stats().generation;
  r.give_back(first, lease_end::outdated);
  CHECK(r.stats().generation == before + 1);
  CHECK(r.stats().closing == 2);  // itself and the idle one; leases stay with their holders
  CHECK(r.stats().active_connections == 2);
  auto& fresh = r.acquire();
  r.connect_all();
  CHECK(fresh.served());
  // Another one that met the same, and one that did not, are of the old generation and nothing more.
  r.give_back(second, lease_end::outdated);
  r.give_back(third);
  CHECK(r.stats().generation == before + 1);
  CHECK(r.stats().closing == 4);
  r.close_all();
  CHECK(r.stats().closed(close_reason::outdated) == 4);
  r.give_back(fresh);
  CHECK(r.stats().idle_connections == 1);
  // The new server may turn out wrong as well.
  auto& again = r.acquire();
  CHECK(again.served());
  r.give_back(again, lease_end::outdated);
  CHECK(r.stats().generation == before + 2);
  r.finish();
}

TEST_CASE("given a lease whose connection retires, when it ends, then only that one is closed, and counted", "[field-F7]") {
  rig r(calm(0, 4));
  auto& large = r.acquire();
  auto& other = r.acquire();
  r.connect_all();
  const auto before = r.stats().generation;
  r.give_back(large, lease_end::retired);
  r.give_back(other);
  CHECK(r.stats().closing == 1);
  CHECK(r.stats().idle_connections == 1);
  CHECK(r.stats().generation == before);
  r.close_all();
  CHECK(r.stats().closed(close_reason::retired) == 1);
  CHECK(r.stats().connections_closed == 1);
  r.finish();
}

TEST_CASE("given a connect under way, when the pool is recycled, then its connection is closed again") {
  rig r(calm(0, 2));
  auto& a = r.acquire();
  r.recycle();
  r.connect_ok();
  CHECK(a.waiting());
  CHECK(r.stats().closing == 1);
  r.connect_ok();
  CHECK(a.served());
  r.finish();
}

// --- close --------------------------------------------------------------------------------------------------------------

TEST_CASE("given callers and connections in every state, when the pool closes, then each is told at once", "[L1][INV-11]") {
  auto config = calm(0, 8);
  config.pre_ping = true;
  config.alive_bypass = 500ms;
  rig r(config);
  auto& holder = r.acquire();
  auto& resetting = r.acquire();
  auto& validating = r.acquire();
  r.connect_all();
  r.give_back(validating);
  r.advance(1s);
  auto& waiter = r.acquire();
  r.give_back(resetting, lease_end::needs_reset);
  r.acquire();
  auto& connecting = r.acquire();
  CHECK(r.stats().validating == 1);
  CHECK(r.stats().resetting == 1);
  CHECK(r.stats().connecting == 1);
  auto& closer = r.close(5s);
  CHECK(waiter.failed_with(errc::closed));
  CHECK(connecting.failed_with(errc::closed));
  CHECK(r.stats().validating + r.stats().resetting + r.stats().connecting == 0);
  CHECK(closer.waiting());
  CHECK(r.stats().state == pool_state::closing);
  CHECK(r.acquire().failed_with(errc::closed));
  CHECK_FALSE(r.try_take());
  r.give_back(holder);
  CHECK(r.stats().closing >= 1);
  r.close_all();
  CHECK(closer.done());
  CHECK(r.stats().state == pool_state::closed);
  CHECK(r.armed == never);
  r.finish();
}

TEST_CASE("given a lease out, when the grace is over, then it is aborted; all closers are answered together", "[L2]") {
  rig r(calm(0, 1));
  auto& a = r.acquire();
  r.connect_ok();
  auto& first = r.close(10s);
  r.advance(1s);
  auto& second = r.close(3s);
  r.advance(3s - 1ns);
  CHECK(first.waiting());
  r.advance(1ns);
  CHECK(first.done());
  CHECK(second.done());
  CHECK(a.got()->shut);
  CHECK(r.freed.empty());
  r.give_back(a);
  CHECK(r.freed.size() == 1);
  CHECK(r.close().done());
  r.finish();
}

TEST_CASE("given a closer who leaves, when the close is over, then only the other one is answered") {
  rig r(calm(0, 1));
  auto& a = r.acquire();
  r.connect_ok();
  auto& one = r.close(10s);
  auto& two = r.close(10s);
  r.cancel(one);
  CHECK(one.failed_with(errc::cancelled));
  r.give_back(a);
  r.close_all();
  CHECK(two.done());
  r.finish();
}

TEST_CASE("given a close under way, when the pool object ends, then graceful closes are cut, leases stay", "[L1]") {
  rig r(calm(0, 3));
  auto& a = r.acquire();
  r.acquire();
  r.connect_all();
  r.give_back(a);
  auto& closer = r.close(1h);
  CHECK(r.stats().closing == 1);
  r.shut_down();
  CHECK(closer.failed_with(errc::closed));
  CHECK(r.stats().closing == 0);
  CHECK(r.stats().active_connections == 1);
  CHECK_FALSE(r.first(slot_state::leased).shut);
  r.finish();
}

TEST_CASE("given no connection at all, when the pool closes in any state, then it is closed at once") {
  rig r(calm(2, 4));
  SECTION("fresh") {}
  SECTION("suspended") { r.suspend(); }
  SECTION("failing") {
    r.acquire(1s);
    r.connect_fails();
  }
  CHECK(r.close().done());
  CHECK(r.stats().state == pool_state::closed);
  r.resume();
  r.resize(3, 5);
  r.recycle();
  CHECK(r.connects <= 2);
  CHECK(r.stats().state == pool_state::closed);
  r.finish();
}

TEST_CASE("given a lease on its way into the stash, when the pool closes first, then it is closed as any other", "[INV-11]") {
  rig r(calm(0, 1));
  r.fill(1);
  auto* s = r.try_take();
  REQUIRE(s);
  REQUIRE(stash_slot<decltype(r.core)::rules>(tidepool::health_check(calm(0, 1)), *s, r.now, tick{}));
  s->held = false;
  auto& closer = r.close(10s);
  CHECK(closer.waiting());
  r.core.collect(*s, r.now, false);
  r.core.reconcile(r.now, r.acts);
  r.pump();
  CHECK(r.stats().closing == 1);
  r.close_all();
  CHECK(closer.done());
  CHECK(r.stats().closed(close_reason::shutdown) == 1);
  CHECK(r.stats().total_checkins == r.stats().total_checkouts);
  r.finish();
}

// --- who frees what -----------------------------------------------------------------------------------------------------

TEST_CASE("given an operation without its coroutine yet, when the core gives it up, then its slot is freed once") {
  auto config = calm(0, 1);
  rig r(config);
  auto& a = r.acquire();
  r.connect_ok();
  r.hold_starts = true;
  r.give_back(a, lease_end::needs_reset);
  REQUIRE(r.starting.size() == 1);
  r.close();
  CHECK(r.stats().total_connections == 0);
  CHECK_FALSE(r.begin(*r.starting[0]));
  CHECK(r.freed.size() == 1);
  r.hold_starts = false;
  r.finish();
}

TEST_CASE("given an operation that is only a pending action, when it is given up, then its slot is removed") {
  rig r(calm(0, 1));
  auto& a = r.acquire();
  r.connect_ok();
  r.manual = true;
  r.give_back(a, lease_end::needs_reset);
  r.core.close(nullptr, r.now, 0s, r.acts);
  r.manual = false;
  r.pump();
  CHECK(r.orders() == std::vector<std::string>{"discard 1"});
  CHECK(r.freed.size() == 1);
  r.finish();
}

TEST_CASE("given a lease that is being aborted, when its holder lets go of it, then the last of both frees it") {
  const bool before = GENERATE(false, true);
  rig r(calm(0, 1));
  auto& a = r.acquire();
  r.connect_ok();
  auto& s = *a.got();
  r.manual = true;
  r.core.close(nullptr, r.now, 0s, r.acts);  // abort_lease is in the list
  if (before) {
    s.held = false;
    CHECK_FALSE(r.core.let_go(s));  // the list still has it
    r.manual = false;
    r.pump();
    CHECK(r.orders() == std::vector<std::string>{"discard 1"});
  } else {
    const auto todo = r.core.next_action();
    CHECK(todo.what == slot_action::abort_lease);
    s.held = false;
    CHECK_FALSE(r.core.let_go(s));  // the socket is being shut
    CHECK(r.core.aborted(s));
    r.free(s);
    r.manual = false;
  }
  CHECK(r.freed.size() == 1);
  r.finish();
}

TEST_CASE("given an operation that is being cancelled, when it ends just then, then the last of both frees it") {
  const int moment = GENERATE(0, 1, 2);
  auto config = calm(0, 1);
  config.connect_timeout = 1s;
  rig r(config);
  r.acquire(1s);
  auto& s = r.first(slot_state::connecting);
  r.manual = true;
  leak_findings none;
  r.now += 1s;
  r.core.tick_at(r.now, r.acts, none);
  CHECK(s.state == slot_state::gone);
  s.op_running = false;
  if (moment == 0) {  // it ends before the cancel is taken from the list
    CHECK_FALSE(r.core.let_go(s));
    r.manual = false;
    r.pump();
    CHECK(r.orders().front() == "discard 1");
  } else {
    const auto todo = r.core.next_action();
    CHECK(todo.what == slot_action::cancel_op);
    if (moment == 1) {  // while the socket is shut
      CHECK_FALSE(r.core.let_go(s));
      CHECK(r.core.aborted(s));
    } else {  // after it
      CHECK_FALSE(r.core.aborted(s));
      CHECK(r.core.let_go(s));
    }
    r.free(s);
    r.manual = false;
    r.pump();
  }
  CHECK(r.freed.front() == 1);
  r.finish();
}

TEST_CASE("given pending actions of idle ones, when the pool object ends, then they are destroyed at once") {
  rig r(calm(0, 3));
  r.fill(3);
  r.manual = true;
  r.core.recycle(r.now, r.acts);  // three graceful closes in the list
  r.core.shut_down(r.now, r.acts);
  r.manual = false;
  r.pump();
  CHECK(r.orders() == std::vector<std::string>{"destroy 1", "destroy 2", "destroy 3"});
  CHECK(r.stats().state == pool_state::closed);
  r.finish();
}

TEST_CASE("given a pool, when it goes through its phases, then its gauges say so in each", "[M1]") {
  rig r(calm(1, 4));
  auto& a = r.acquire();
  CHECK(r.stats().connecting == 1);
  CHECK(r.stats().waiting == 1);
  CHECK(r.stats().state == pool_state::starting);
  r.connect_ok();
  CHECK(r.stats().active_connections == 1);
  CHECK(r.stats().state == pool_state::healthy);
  CHECK(r.stats().utilization() == 1.0);
  r.give_back(a);
  CHECK(r.stats().idle_connections == 1);
  r.suspend();
  CHECK(r.stats().state == pool_state::suspended);
  r.resume();
  auto& b = r.acquire();
  r.acquire(1h);
  r.connect_fails();
  CHECK(r.stats().state == pool_state::degraded);
  r.give_back(b, lease_end::broken);
  CHECK(r.stats().state == pool_state::critical);
  r.close();
  CHECK(r.stats().state == pool_state::closed);
  CHECK(r.stats().generation == 0);
  r.finish();
}

TEST_CASE("given acquires of every outcome, when they are counted, then sums and times agree", "[M2]") {
  auto config = calm(0, 1);
  config.max_waiting = 2;
  rig r(config);
  auto& a = r.acquire();
  r.connect_ok();
  r.give_back(a);
  auto* s = r.try_take();
  auto& b = r.acquire(1s);
  auto& c = r.acquire(10s);
  r.acquire();
  r.advance(1s);
  CHECK(b.failed_with(errc::timeout));
  r.advance(1s);
  r.give_back_fast(*s);
  REQUIRE(c.served());
  auto& d = r.acquire();
  r.cancel(d);
  const auto now = r.stats();
  CHECK(now.direct == 1);
  CHECK(now.waited == 2);
  CHECK(now.total_checkouts == 3);
  CHECK(now.timeouts == 1);
  CHECK(now.rejected_full == 1);
  CHECK(now.cancelled == 1);
  CHECK(now.failed_checkouts == 3);
  CHECK(now.max_checkout_time == 2s);
  CHECK(now.wait_time.count() == 3);
  CHECK(now.connect_time.count() == 1);
  r.finish();
}

TEST_CASE("given a state left and entered again before it is told, when changes are told, then this is none") {
  rig r(calm(0, 1));
  r.acquire();
  r.connect_ok();
  tidepool::detail::core_actions both;
  r.core.suspend(r.now, both);
  CHECK(both.state_changed);
  r.core.resume(r.now, both);
  CHECK_FALSE(both.state_changed);
  r.finish();
}

}  // namespace
