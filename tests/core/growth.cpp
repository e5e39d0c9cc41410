// SPDX-License-Identifier: BSL-1.0
// tidepool - the core: how many connections it opens, and when.
#include "core_rig.hpp"

namespace {

using namespace tidepool_tests;
using rig = core_rig<>;

TEST_CASE("given the growth table, when acquires arrive together, then only what is missing is opened", "[A5][B005]") {
  struct row {
    std::size_t min, max, min_idle, max_connecting;
    std::size_t idle, leased;  // before
    std::size_t acquires;      // that arrive
    std::size_t connects;      // wanted
  };
  const std::vector<row> table{
      // min max spare at-once | idle leased | acquires | connects
      {0, 10, 0, 10, 0, 0, 0, 0},  // nobody asks
      {0, 10, 0, 10, 0, 0, 1, 1},  //
      {0, 10, 0, 10, 0, 0, 3, 3},  // three at once: three connects, not one
      {0, 10, 0, 2, 0, 0, 3, 2},   // capped by max_connecting
      {0, 10, 0, 1, 0, 0, 9, 1},   //
      {0, 2, 0, 10, 0, 0, 5, 2},   // capped by max_size
      {5, 10, 0, 10, 0, 0, 1, 5},  // the floor covers the caller
      {5, 10, 0, 10, 0, 0, 5, 5},  //
      {5, 10, 0, 10, 0, 0, 7, 7},  // more callers than the floor
      {5, 10, 0, 3, 0, 0, 1, 3},   //
      {0, 10, 0, 10, 1, 0, 1, 0},  // an idle one serves
      {0, 10, 0, 10, 1, 0, 2, 1},  //
      {0, 10, 0, 10, 2, 3, 4, 2},  //
      {0, 5, 0, 10, 0, 5, 4, 0},   // full
      {0, 5, 0, 10, 0, 4, 4, 1},   //
      {4, 5, 0, 10, 0, 4, 0, 0},   // leased ones count for the floor
      {0, 10, 2, 10, 2, 0, 1, 1},  // spare ones are replaced
      {0, 10, 3, 10, 3, 0, 3, 3},  //
      {0, 4, 3, 10, 3, 0, 3, 1},   // within max_size
      {0, 10, 3, 2, 3, 0, 3, 2},   // within max_connecting
      {2, 10, 2, 10, 2, 2, 0, 0},  // both floors kept already
  };
  for (const row& t : table) {
    const bool fresh = t.idle + t.leased == 0;
    rig r(calm(fresh ? t.min : 0, t.max));
    std::vector<rig::caller*> holders;
    for (std::size_t i = 0; i < t.idle + t.leased; ++i) holders.push_back(&r.acquire());
    r.connect_all();
    for (std::size_t i = 0; i < t.idle; ++i) r.give_back(*holders[i]);
    r.config.max_connecting = t.max_connecting;
    r.config.min_idle = t.min_idle;
    r.resize(t.min, t.max);
    REQUIRE(r.stats().idle_connections == t.idle);
    REQUIRE(r.stats().active_connections == t.leased);
    REQUIRE(r.stats().total_connections == t.idle + t.leased);
    const std::size_t before = r.connects;
    for (std::size_t i = 0; i < t.acquires; ++i) r.acquire();
    if (t.acquires == 0) r.fire();
    INFO("min " << t.min << " max " << t.max << " spare " << t.min_idle << " at once " << t.max_connecting << " idle " << t.idle
                << " leased " << t.leased << " acquires " << t.acquires);
    CHECK(r.connects - before == t.connects);
    r.finish();
  }
}

TEST_CASE("given a floor, when the pool is opened, then so many connections are made, within max_connecting", "[C4][A1]") {
  auto config = calm(5, 20);
  config.max_connecting = 2;
  rig r(config);
  auto& opened = r.open();
  for (int made = 0; made < 5; ++made) {
    CHECK(opened.waiting());
    CHECK(r.stats().connecting == std::min<std::size_t>(2, 5 - static_cast<std::size_t>(made)));
    r.connect_ok();
  }
  CHECK(opened.done());
  CHECK(r.connects == 5);
  CHECK(r.stats().state == pool_state::healthy);
  r.finish();
}

TEST_CASE("given callers that left, when their connects finish, then the connections are kept and used", "[A13]") {
  rig r(calm(0, 10));
  auto& a = r.acquire();
  auto& b = r.acquire();
  CHECK(r.connects == 2);
  r.cancel(a);
  r.cancel(b);
  r.connect_all();
  CHECK(r.stats().idle_connections == 2);
  CHECK(r.acquire().served());
  CHECK(r.acquire().served());
  CHECK(r.connects == 2);
  r.finish();
}

TEST_CASE("given a connection that closes gracefully at max_size, then its place is free only once it is closed", "[B041]") {
  rig r(calm(0, 1));
  auto& a = r.acquire();
  r.connect_ok();
  r.recycle();
  r.give_back(a);
  auto& b = r.acquire();
  CHECK(r.stats().closing == 1);
  CHECK(r.connects == 1);
  r.closed(r.first(slot_state::closing));
  CHECK(r.connects == 2);
  r.connect_ok();
  CHECK(b.served());
  r.finish();
}

TEST_CASE("given spares to keep, when the last one of max_size is taken, then the floor stays within max_size", "[B038]") {
  auto config = calm(0, 3);
  config.min_idle = 2;
  rig r(config);
  r.acquire();
  r.acquire();
  r.acquire();
  r.acquire();
  r.connect_all();
  CHECK(r.stats().total_connections == 3);
  CHECK(r.stats().active_connections == 3);
  r.finish();
}

TEST_CASE("given spares to keep, when they are taken by the fast path, then the timer is set and replaces them") {
  auto config = calm(0, 10);
  config.min_idle = 2;
  rig r(config);
  r.open();
  r.connect_all();
  CHECK(r.stats().idle_connections == 2);
  REQUIRE(r.try_take());
  CHECK(r.armed == r.now);
  r.advance(0s);
  CHECK(r.stats().connecting == 1);
  r.connect_all();
  CHECK(r.stats().idle_connections == 2);
  r.finish();
}

TEST_CASE("given a failed connect when no spare was missing, when spares are taken, then connecting goes on", "[INV-14]") {
  auto config = calm(0, 4);
  config.min_idle = 1;
  rig r(config);
  r.fill(2);
  const auto take_all = [&] {
    std::vector<decltype(r)::entry*> out;
    while (auto* s = r.try_take()) out.push_back(s);
    return out;
  };
  auto leased = take_all();
  r.advance(0s);
  r.connect_fails();
  for (auto* s : leased) r.give_back_fast(*s);
  r.advance(1min);
  CHECK(r.stats().idle_connections == leased.size());
  CHECK(r.stats().connecting == 0);
  leased = take_all();
  r.advance(1min);
  CHECK(r.stats().connecting == 1);
  // Timers of their own would be one for each checkout while the server is away.
  r.connect_fails();
  REQUIRE(r.armed > r.now);
  r.finish();
}

TEST_CASE("given no limit worth the name, when one is asked for, then one is made", "[C9]") {
  auto config = calm(0, static_cast<std::size_t>(1) << 40);
  rig r(config);
  r.acquire();
  CHECK(r.connects == 1);
  r.finish();
}

TEST_CASE("given a pool not opened, when a caller asks, then it starts; asking open() again is harmless", "[C7]") {
  rig r(calm(2, 4));
  CHECK(r.stats().state == pool_state::starting);
  CHECK_FALSE(r.try_take());
  r.fire();
  CHECK(r.connects == 0);
  auto& a = r.acquire();
  CHECK(r.connects == 2);
  r.connect_all();
  CHECK(a.served());
  CHECK(r.open().done());
  CHECK(r.open().done());
  CHECK(r.connects == 2);
  r.finish();
}

TEST_CASE("given max_waiting 0, when a fresh pool is asked, then it opens what it can and refuses the rest", "[T9][B004]") {
  auto config = calm(2, 4);
  config.max_waiting = 0;
  rig r(config);
  auto& a = r.acquire();
  CHECK(a.waiting());
  r.connect_all();
  CHECK(a.served());
  CHECK(r.stats().idle_connections == 1);
  for (int i = 0; i < 3; ++i) r.acquire();
  r.connect_all();
  CHECK(r.acquire().failed_with(errc::queue_full));
  r.finish();
}

// --- waiting for returns ----------------------------------------------------------------------------------------------------

/// `n` connections that took 150 ms to connect, idle.
std::unique_ptr<rig> warmed(std::size_t n, std::size_t max) {
  auto r = std::make_unique<rig>(calm(n, max));
  r->config.max_connecting = max;
  auto& opened = r->open();
  r->advance(150ms);
  r->connect_all();
  REQUIRE(opened.done());
  return r;
}

TEST_CASE("given five connections, when a burst of short leases comes, then it is over before one is opened", "[field-growth]") {
  const bool fast = GENERATE(false, true);
  const auto r = warmed(5, 10);
  r->held_for = 2ms;
  for (int burst = 0; burst < 3; ++burst) {
    std::vector<rig::caller*> jobs;
    for (int i = 0; i < 50; ++i) jobs.push_back(fast ? &r->acquire_fast() : &r->acquire());
    for (std::size_t round = 0; round < 10; ++round) {
      r->advance(2ms);
      for (auto* s : r->in(slot_state::leased)) fast ? r->give_back_fast(*s) : r->give_back(*s);
    }
    for (const auto* job : jobs) CHECK(job->served());
    r->advance(1s);
  }
  CHECK(r->connects == 5);
  r->finish();
}

TEST_CASE("given leases that are kept, when others wait, then connects begin after one connect time at most", "[field-growth]") {
  const bool known = GENERATE(false, true);
  const auto r = warmed(2, 10);
  if (known) {
    r->held_for = 2ms;
    auto& a = r->acquire();
    r->give_back(a);
  }
  r->acquire();
  r->acquire();
  const tick asked = r->now;
  auto& w = r->acquire(1h);
  r->acquire(1h);
  CHECK(r->stats().connecting == 0);
  r->until_connecting();
  CHECK(r->now - asked == (known ? duration(150ms) : duration(150ms) / 8));
  CHECK(r->stats().connecting == 2);
  r->advance(150ms);
  r->connect_all();
  CHECK(w.served());
  r->finish();
}

TEST_CASE("given leases as long as a connect or longer, when others wait, then connects begin at once", "[field-growth]") {
  const auto r = warmed(2, 10);
  r->held_for = 1s;
  r->give_back(r->acquire());
  r->acquire();
  r->acquire();
  r->acquire();
  CHECK(r->stats().connecting == 1);
  r->finish();
}

TEST_CASE("given leases of 100 ms, when ten wait, then those wait whom returns serve within a connect time", "[field-growth]") {
  const auto r = warmed(2, 20);
  r->held_for = 100ms;
  r->give_back(r->acquire());
  for (int i = 0; i < 12; ++i) r->acquire();
  CHECK(r->stats().connecting == 10 - 3);  // 150 ms x 2 leases / 100 ms
  r->finish();
}

TEST_CASE("given two callers that take turns on one connection, when one always waits, then a second is opened", "[field-growth]") {
  const bool fast = GENERATE(false, true);
  const auto r = warmed(1, 10);
  r->held_for = 10ms;
  auto* holder = &r->acquire();
  const tick began = r->now;
  while (r->connects == 1 && r->now - began < 10s) {
    auto& next = fast ? r->acquire_fast() : r->acquire();
    r->advance(10ms);
    fast ? r->give_back_fast(*holder->got()) : r->give_back(*holder);
    holder = &next;
    if (!next.served()) break;
  }
  CHECK(r->connects == 2);
  CHECK(r->now - began <= 300ms);
  r->finish();
}

TEST_CASE("given growth put off, when the floor is raised or the pool suspended or closed, then nothing hangs", "[field-growth]") {
  const auto r = warmed(2, 10);
  r->acquire();
  r->acquire();
  auto& w = r->acquire(1h);
  CHECK(r->stats().connecting == 0);
  SECTION("floor") {
    r->resize(4, 10);
    CHECK(r->stats().connecting == 2);
  }
  SECTION("suspended") {
    r->suspend();
    r->advance(1min);
    CHECK(r->connects == 2);
    r->resume();  // it has waited long enough
    CHECK(r->stats().connecting == 1);
  }
  SECTION("closed") {
    r->close(1h);
    CHECK(w.failed_with(errc::closed));
  }
  SECTION("gone before") {
    r->cancel(w);
    r->advance(1h);
    CHECK(r->connects == 2);
    CHECK(r->armed == never);
  }
  r->finish();
}

TEST_CASE("given max_waiting and room, when callers ask, then those with a connect under way do not count", "[field-N4]") {
  auto config = calm(0, 3);
  config.max_waiting = GENERATE(0u, 2u);
  config.max_connecting = 1;
  rig r(config);
  const bool fast = GENERATE(false, true);
  const auto ask = [&]() -> rig::caller& { return fast ? r.acquire_fast() : r.acquire(); };
  std::vector<rig::caller*> all;
  for (std::size_t i = 0; i < 3 + config.max_waiting; ++i) {
    all.push_back(&ask());
    CHECK(all.back()->waiting());
  }
  CHECK(ask().failed_with(errc::queue_full));
  r.connect_all();
  for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i]->served() == (i < 3));
  CHECK(ask().failed_with(errc::queue_full));  // all are leased, and as many wait as may
  CHECK(r.connects == 3);
  r.finish();
}

TEST_CASE("given growth that is put off, when a caller is refused as one too many, then it is put off no longer", "[field-N4]") {
  const auto r = warmed(1, 2);
  r->config.max_waiting = 0;
  r->acquire();
  auto& w = r->acquire();
  CHECK(w.waiting());
  CHECK(r->stats().connecting == 0);
  CHECK(r->acquire().failed_with(errc::queue_full));
  CHECK(r->stats().connecting == 1);
  r->finish();
}

TEST_CASE("given leases out, when max_size goes down and up, then the surplus is closed on return", "[B037]") {
  rig r(calm(0, 4));
  std::vector<rig::caller*> all;
  for (int i = 0; i < 4; ++i) all.push_back(&r.acquire());
  r.connect_all();
  r.resize(0, 2);
  CHECK(r.stats().active_connections == 4);
  auto& w = r.acquire();
  r.give_back(*all[0]);
  CHECK(w.waiting());
  r.give_back(*all[1]);
  CHECK(w.waiting());
  CHECK(r.stats().closing == 2);
  r.close_all();
  CHECK(r.stats().closed(close_reason::shrunk) == 2);
  r.give_back(*all[2]);
  CHECK(w.served());
  r.resize(0, 1);
  r.give_back(*all[3]);
  r.close_all();
  CHECK(r.stats().total_connections == 1);
  r.resize(3, 5);
  CHECK(r.stats().connecting == 2);
  r.connect_all();
  r.resize(0, 1);  // idle surplus goes at once
  r.close_all();
  CHECK(r.stats().total_connections == 1);
  r.finish();
}

TEST_CASE("given a connect under way, when max_size shrinks below it, then the new connection is closed again") {
  rig r(calm(0, 4));
  r.acquire();
  r.acquire();
  r.resize(0, 1);
  r.connect_all();
  CHECK(r.stats().active_connections == 1);
  CHECK(r.stats().closing == 1);
  r.finish();
}

TEST_CASE("given a suspended pool, when callers come, then they wait and nothing is opened until it is resumed", "[H14]") {
  rig r(calm(2, 4));
  r.suspend();
  auto& a = r.acquire(1s);
  auto& b = r.acquire(10s);
  CHECK(r.stats().state == pool_state::suspended);
  CHECK(r.connects == 0);
  CHECK_FALSE(r.try_take());
  r.advance(2s);
  CHECK(a.failed_with(errc::timeout));
  CHECK(b.waiting());
  r.resume();
  r.connect_ok();
  CHECK(b.served());
  r.suspend();
  r.give_back(b);
  CHECK(r.stats().idle_connections >= 1);
  auto& c = r.acquire(5s);
  CHECK(c.waiting());
  r.resume();
  CHECK(c.served());
  r.finish();
}

}  // namespace
