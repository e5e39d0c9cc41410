// SPDX-License-Identifier: BSL-1.0
// tidepool - connections whose peer closes them, and that tell their pool so: idle, leased, and on their way between the two.
#include <functional>
#include <map>
#include <new>
#include <utility>

#include "rig.hpp"
#include "support/stashing_traits.hpp"

namespace {

using namespace tidepool_tests;

/// A connection whose peer can be made to close it, by calling its function in `close_callbacks()`.
struct closable : fake_connection {
  using fake_connection::fake_connection;
  static std::map<std::uint64_t, std::function<void()>>& close_callbacks() {
    static std::map<std::uint64_t, std::function<void()>> all;
    return all;
  }
  void watch(std::function<void()> gone) {
    testing::checked_mutex::expect_unlocked("a connection is watched");
    if (gone) {
      close_callbacks()[id()] = std::move(gone);
    } else {
      close_callbacks().erase(id());
    }
  }
};

TEST_CASE("given connections that tell when the peer closed, when idle, then the dead are replaced unasked", "[H5]") {
  closable::close_callbacks().clear();
  rig<closable> r(calm(3, 5));
  r.open();
  auto held = r.take();
  CHECK(closable::close_callbacks().size() == 3);
  r.sim.run_for(1s);  // none of them is lost right after its connect
  r.server.kill_sessions();
  for (const auto& callback : std::map(closable::close_callbacks())) callback.second();
  r.sim.run_for(1s);
  // Found dead by a look, not by a round trip; the leased one is its holder's.
  CHECK(r.stats().closed(close_reason::invalid) == 2);
  CHECK(r.stats().active_connections == 1);
  CHECK(r.stats().idle_connections == 2);
  CHECK(r.events->count("health failed") == 2);
  // The peer may have closed while it was leased.
  held.release();
  CHECK(r.stats().closed(close_reason::broken) == 1);
  r.sim.run_for(1s);
  CHECK(r.stats().idle_connections == 3);
  // A callback without a reason has no effect.
  closable::close_callbacks().rbegin()->second();
  r.sim.run_for(1s);
  CHECK(r.stats().idle_connections == 3);
  // A detached connection is not watched any more.
  auto gone = r.take();
  const auto watched = closable::close_callbacks().size();
  const auto mine = gone.detach();
  CHECK(closable::close_callbacks().size() == watched - 1);
  r.close_and_check();
  r.pool.reset();
  for (const auto& callback : closable::close_callbacks()) callback.second();
  r.settle();
}

/// One whose peer closes it just when its pool has found it alive and is about to keep it.
struct closing_now : closable {
  using closable::closable;
  static std::function<void()>& being_kept() {
    static std::function<void()> hook;
    return hook;
  }
  virtual_clock::time_point last_round_trip() const noexcept {
    if (being_kept()) std::exchange(being_kept(), nullptr)();
    return closable::last_round_trip();
  }
};

/// The peer closes, and the pool has time to look.
template <class Rig, class Callback>
std::function<void()> closes_under(Rig& r, Callback callback) {
  return [&r, callback] {
    r.server.kill_sessions();
    callback();
    r.sim.run_for(1ms);
  };
}

TEST_CASE("given a lease on its way into the stash, when its peer closes, then it is found dead too", "[H5]") {
  closable::close_callbacks().clear();
  // Without an observer, which would have every lease timed, and none stashed.
  rig<closing_now, stashing<testing::simulated_traits<closing_now>>> r(calm(1, 1));
  r.open();
  for (std::uint64_t i = 1; i <= 3; ++i) {
    r.take().release();  // a connection's first lease is timed
    auto held = r.take();
    closing_now::being_kept() = closes_under(r, closable::close_callbacks().at(held->id()));
    held.release();
    REQUIRE_FALSE(closing_now::being_kept());
    r.sim.run_for(100ms);
    CHECK(r.stats().connections_closed == i);
  }
  r.close_and_check();
}

TEST_CASE("given a lease given back under the lock, when its peer closes just before, then it is found dead too", "[H5]") {
  closable::close_callbacks().clear();
  rig<closing_now> r(calm(1, 1));  // its observer has every lease timed, and so given back under the lock
  r.open();
  auto held = r.take();
  closing_now::being_kept() = closes_under(r, closable::close_callbacks().at(held->id()));
  held.release();
  REQUIRE_FALSE(closing_now::being_kept());
  r.sim.run_for(100ms);
  CHECK(r.stats().connections_closed == 1);
  r.close_and_check();
}

TEST_CASE("given a lease on its way into the stash, when a caller queues before it arrives, then it is served", "[INV-5][B003]") {
  closable::close_callbacks().clear();
  rig<closing_now, stashing<testing::simulated_traits<closing_now>>> r(calm(1, 1));
  r.open();
  r.take().release();  // a connection's first lease is timed
  auto held = r.take();
  rig<closing_now, stashing<testing::simulated_traits<closing_now>>>::request_ptr late;
  closing_now::being_kept() = [&] { late = r.ask(1h); };
  held.release();
  REQUIRE(late);
  r.settle();
  REQUIRE(late->served());
  late->held.release();
  r.close_and_check();
}

TEST_CASE("given a connection that cannot be watched, when it is made, then it serves like any other") {
  struct deaf : fake_connection {
    using fake_connection::fake_connection;
    void watch(std::function<void()> gone) {
      if (gone) throw std::bad_alloc();
    }
  };
  rig<deaf> r(calm(1, 1));
  r.open();
  CHECK(r.take()->usable());
  r.close_and_check();
}

TEST_CASE("given a connection that is still watched, when it is detached, then it leaves the pool all the same") {
  struct keeps_its_watch : fake_connection {
    using fake_connection::fake_connection;
    void watch(std::function<void()> gone) {
      if (!gone) throw std::bad_alloc();
    }
  };
  rig<keeps_its_watch> r(calm(1, 1));
  r.open();
  {
    auto held = r.take();
    const auto mine = held.detach();
    CHECK(mine.usable());
  }
  CHECK(r.stats().active_connections == 0);
  CHECK(r.stats().closed(close_reason::detached) == 1);
  r.close_and_check();
}

}  // namespace
