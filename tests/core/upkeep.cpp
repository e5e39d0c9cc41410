// SPDX-License-Identifier: BSL-1.0
// tidepool - the core: age, wear, idleness, leaks and scaling.
#include "core_rig.hpp"

namespace {

using namespace tidepool_tests;
using rig = core_rig<>;

// --- age ----------------------------------------------------------------------------------------------------------------

TEST_CASE("given max_lifetime, when an idle connection reaches it, then it is closed; a leased one on return", "[H7]") {
  auto config = calm(2, 4);
  config.max_lifetime = 100s;
  config.lifetime_jitter = 0;
  rig r(config);
  auto& a = r.acquire();
  r.connect_all();
  r.advance(100s - 1ns);
  CHECK(r.stats().closing == 0);
  r.advance(1ns);
  CHECK(r.stats().closing == 1);
  CHECK(r.stats().active_connections == 1);
  CHECK(r.stats().connecting == 1);
  r.close_all();
  r.connect_all();
  const bool fast = GENERATE(false, true);
  fast ? r.give_back_fast(*a.got()) : r.give_back(a);
  r.close_all();
  CHECK(r.stats().closed(close_reason::lifetime) == 2);
  r.connect_all();
  CHECK(r.stats().idle_connections == 2);
  r.finish();
}

TEST_CASE("given an idle connection past its time, when no timer fired yet, then it is not handed out", "[H7]") {
  auto config = calm(0, 2);
  config.max_lifetime = 100s;
  rig r(config);
  r.fill(1);
  r.now += 101s;  // no tick
  CHECK_FALSE(r.try_take());
  auto& a = r.acquire();
  CHECK(a.waiting());
  CHECK(r.stats().closing == 1);
  CHECK(r.stats().connecting == 1);
  r.finish();
}

TEST_CASE("given a waiter, when the connection that comes back is too old, then the waiter gets a new one", "[H7]") {
  const bool fast = GENERATE(false, true);
  auto config = calm(0, 1);
  config.max_lifetime = 100s;
  rig r(config);
  auto& a = r.acquire();
  r.connect_ok();
  r.advance(200s);
  auto& w = r.acquire();
  fast ? r.give_back_fast(*a.got()) : r.give_back(a);
  CHECK(w.waiting());
  r.close_all();
  r.connect_ok();
  CHECK(w.served());
  r.finish();
}

TEST_CASE("given a lease past its connection's time, when it is returned by a clock behind, then it is retired", "[H7]") {
  auto config = calm(1, 1);
  config.max_lifetime = 1h;
  rig r(config);
  r.open();
  r.connect_all();
  auto* s = r.try_take();
  REQUIRE(s);
  r.advance(1h);
  REQUIRE(s->state == slot_state::leased);
  r.now -= 4ms;
  r.give_back_fast(*s);
  r.now += 4ms;
  r.advance(1s);
  CHECK(s->state == slot_state::closing);
  r.finish();
}

TEST_CASE("given many connections of one moment, when they grow old, then they retire within the jitter window", "[H8][B096][B097]") {
  const std::size_t floor = GENERATE(0u, 100u);
  auto config = calm(floor, 200);
  config.max_lifetime = 1000s;
  config.lifetime_jitter = 0.1;
  config.max_connecting = 100;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    rig r(config, seed);
    r.fill(100);
    const tick born = r.now;
    r.advance(900s - 1ns);
    CHECK(r.stats().closing == 0);
    std::size_t most = 0;
    for (int second = 0; second <= 100; ++second) {
      r.advance(1s);
      most = std::max(most, r.stats().closing);
      r.close_all();
      r.connect_all();
    }
    INFO("floor " << floor);
    CHECK(r.stats().closed(close_reason::lifetime) == 100);
    CHECK(r.now - born < 1002s);
    CHECK(most <= 10);  // the upper bound wins over the gap
    r.finish();
  }
}

TEST_CASE("given connections of one moment, when two would retire nearly together, then one waits for the gap", "[H8]") {
  auto config = calm(10, 20);
  config.max_lifetime = 1000s;
  config.lifetime_jitter = 0.1;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    rig r(config, seed);
    r.fill(10);
    const tick limit = r.now + 1000s;
    r.advance(899s);
    tick last = r.now - 100s;
    std::uint64_t retired = 0;
    while (retired < 10) {
      r.advance(100ms);
      r.close_all();
      r.connect_all();
      const auto closed = r.stats().closed(close_reason::lifetime);
      if (limit - r.now < 10s) break;  // the limit itself wins over the gap
      if (closed == retired) continue;
      REQUIRE(closed == retired + 1);
      retired = closed;
      // A tenth of the jitter window, or of the time that is left where that is less.
      CHECK(r.now - last + 100ms >= std::min<duration>(10s, (limit - r.now) / 10));
      last = r.now;
    }
    CHECK(retired >= 5);
    r.finish();
  }
}

TEST_CASE("given fifty expiries in one instant, when callers wait, then connects follow the demand", "[B039]") {
  auto config = calm(0, 50);
  config.max_lifetime = 100s;
  rig r(config);
  r.fill(50);
  r.advance(100s);
  CHECK(r.stats().closing == 50);
  const auto before = r.connects;
  r.acquire();
  r.acquire();
  CHECK(r.connects == before);  // at max_size while they are being closed
  r.close_all();
  CHECK(r.connects == before + 2);
  r.finish();
}

TEST_CASE("given limits at the edges, when hours pass, then nothing is closed that should not be", "[B102][B105]") {
  const auto lifetime = GENERATE(duration(no_limit), duration(no_limit) - 1ns, duration(1h) * 24 * 365 * 100);
  auto config = calm(1, 3);
  config.max_lifetime = lifetime;
  config.idle_timeout = lifetime;
  config.lifetime_jitter = 0.1;
  rig r(config);
  r.fill(3);
  r.advance(24h * 365);
  CHECK(r.stats().connections_closed == 0);
  CHECK(r.try_take());
  r.finish();
}

TEST_CASE("given a process that was frozen, when it wakes, then connects start max_connecting at a time", "[B101]") {
  auto config = calm(10, 20);
  config.max_lifetime = 600s;
  config.idle_timeout = 300s;
  rig r(config);
  r.open();
  r.connect_all();
  r.now += 12min;
  r.armed = never;
  r.fire();
  CHECK(r.stats().connecting <= config.max_connecting);
  while (r.stats().total_connections != 10 || r.stats().connecting + r.stats().closing > 0) {
    CHECK(r.stats().connecting <= config.max_connecting);
    r.close_all();
    r.connect_all();
  }
  CHECK(r.stats().idle_connections == 10);
  r.finish();
}

struct worn_when_even : tidepool::lifetime_recycling {
  using lifetime_recycling::lifetime_recycling;
  static bool worn_out(std::uint64_t uses) noexcept { return uses % 2 == 0; }
};
struct even_traits : core_traits {
  using lifetime_policy = worn_when_even;
};

TEST_CASE("given a policy that finds no use worn out, when a connection is new, then it is not asked") {
  core_rig<even_traits> r(calm(0, 1));
  auto& first = r.acquire();
  r.connect_ok();
  REQUIRE(first.served());
  r.give_back(first);  // used once
  CHECK(r.stats().idle_connections == 1);
  auto& second = r.acquire();
  REQUIRE(second.served());
  r.give_back(second);  // used twice
  CHECK(r.stats().closing == 1);
  r.close_all();
  CHECK(r.stats().closed(close_reason::max_uses) == 1);
}

TEST_CASE("given max_uses, when a connection has been leased so often, then it is closed on return") {
  const bool fast = GENERATE(false, true);
  auto config = calm(0, 1);
  config.max_uses = 3;
  rig r(config);
  auto& a = r.acquire();
  r.connect_ok();
  auto* s = a.got();
  for (int i = 1; i < 3; ++i) {
    fast ? r.give_back_fast(*s) : r.give_back(*s);
    REQUIRE(r.try_take() == s);
  }
  auto& w = r.acquire();
  fast ? r.give_back_fast(*s) : r.give_back(*s);
  CHECK(w.waiting());
  CHECK(r.stats().closing == 1);
  r.close_all();
  CHECK(r.stats().closed(close_reason::max_uses) == 1);
  r.connect_ok();
  CHECK(w.served());
  r.finish();
}

// --- idleness -----------------------------------------------------------------------------------------------------------

TEST_CASE("given a spike, when a trickle follows, then the pool shrinks to its floors, oldest first", "[B104][B106]") {
  auto config = calm(2, 10);
  config.min_idle = 1;
  config.idle_timeout = 60s;
  rig r(config);
  r.fill(10);
  for (int second = 0; second < 600; ++second) {
    auto* s = r.try_take();
    if (s) r.give_back_fast(*s);
    r.advance(1s);
    r.close_all();
    REQUIRE(r.stats().total_connections - r.stats().connecting >= 2);
  }
  CHECK(r.stats().idle_connections == 2);
  CHECK(r.stats().closed(close_reason::idle) == 8);
  CHECK(r.slots.count(10) == 1);  // the warm one is still there
  r.finish();
}

TEST_CASE("given spare ones to keep, when the others are leased, then idle ones within min_idle stay") {
  auto config = calm(1, 10);
  config.min_idle = 2;
  config.idle_timeout = 60s;
  rig r(config);
  r.fill(6);
  REQUIRE(r.try_take());
  REQUIRE(r.try_take());
  r.advance(10min);
  CHECK(r.stats().idle_connections == 2);
  r.finish();
}

TEST_CASE("given an idle connection, when it is taken just before its time, then it starts anew", "[R17]") {
  auto config = calm(0, 2);
  config.idle_timeout = 60s;
  rig r(config);
  r.fill(1);
  r.advance(59s);
  auto* s = r.try_take();
  REQUIRE(s);
  r.give_back_fast(*s);
  r.advance(59s);
  CHECK(r.stats().idle_connections == 1);
  r.advance(1s);
  CHECK(r.stats().closing == 1);
  r.finish();
}

// --- leaks --------------------------------------------------------------------------------------------------------------

pool_config leaky() {
  auto c = calm(0, 20);
  c.leak_detection = true;
  c.leak_timeout = 300s;
  return c;
}

TEST_CASE("given leases held too long, when each reaches leak_timeout, then it is reported once; its return too", "[H15]") {
  const bool fast = GENERATE(false, true);
  rig r(leaky());
  r.fill(3);
  auto* a = fast ? r.try_take() : r.acquire().got();
  r.advance(10s);
  auto* b = fast ? r.try_take() : r.acquire().got();
  r.advance(290s - 1ns);
  CHECK(r.leaks.empty());
  r.advance(1ns);
  REQUIRE(r.leaks.size() == 1);
  CHECK(r.leaks[0].slot == a);
  CHECK(r.leaks[0].lease.held == 300s);
  r.advance(10s);
  REQUIRE(r.leaks.size() == 2);
  CHECK(r.leaks[1].slot == b);
  r.advance(1h);
  CHECK(r.leaks.size() == 2);
  CHECK(r.stats().leaked == 2);
  r.give_back_fast(*b);
  CHECK(r.stats().leaks_returned == 1);
  CHECK(r.stats().leaked == 1);
  REQUIRE(r.try_take() == b);  // a lease of its own
  r.advance(300s);
  CHECK(r.leaks.size() == 3);
  CHECK(r.stats().leaks_detected == 3);
  r.detach(*a);
  CHECK(r.stats().leaks_returned == 2);
  r.finish();
}

TEST_CASE("given more leaks in one moment than a report holds, when the timer fires, then all are reported", "[H15]") {
  rig r(leaky());
  r.fill(20);
  while (r.try_take()) {
  }
  r.advance(300s);
  CHECK(r.leaks.size() == 20);
  r.finish();
}

TEST_CASE("given abandon_timeout, when a leaked lease reaches it, then its socket is shut and its place free", "[B076]") {
  auto config = leaky();
  config.max_size = 1;
  config.abandon_timeout = 600s;
  rig r(config);
  r.fill(1);
  auto* s = r.try_take();
  REQUIRE(s);
  auto& w = r.acquire(no_limit);
  r.advance(600s);
  CHECK(s->shut);
  CHECK(s->state == slot_state::gone);
  CHECK(r.stats().leaks_reclaimed == 1);
  CHECK(r.stats().closed(close_reason::abandoned) == 1);
  r.connect_ok();
  CHECK(w.served());
  CHECK(r.freed.empty());
  r.give_back(*s);
  CHECK(r.freed.size() == 1);
  CHECK(r.stats().total_checkins == 2);
  r.finish();
}

TEST_CASE("given leases, when one is reclaimed by its number, then its socket is shut and its place free") {
  auto config = leaky();
  config.min_size = 0;
  config.max_size = 1;
  rig r(config);
  r.fill(1);
  auto* s = r.try_take();
  REQUIRE(s);
  auto& w = r.acquire(no_limit);
  const bool reported = GENERATE(false, true);
  if (reported) r.advance(300s);
  CHECK_FALSE(r.reclaim(s->id + 1));
  CHECK(r.reclaim(s->id));
  CHECK_FALSE(r.reclaim(s->id));
  CHECK(s->shut);
  CHECK(s->state == slot_state::gone);
  CHECK(r.stats().leaks_detected == (reported ? 1 : 0));
  CHECK(r.stats().leaks_reclaimed == (reported ? 1 : 0));
  CHECK(r.stats().closed(close_reason::reclaimed) == 1);
  r.connect_ok();
  CHECK(w.served());
  CHECK(r.freed.empty());
  r.give_back(*s);
  CHECK(r.freed.size() == 1);
  r.finish();
}

TEST_CASE("given leak_detection off, when hours pass, then there is no timer for it and no report") {
  auto config = calm(0, 2);
  rig r(config);
  r.fill(1);
  REQUIRE(r.try_take());
  r.advance(24h);
  CHECK(r.leaks.empty());
  CHECK(r.armed == never);
  r.finish();
}

// --- scaling ------------------------------------------------------------------------------------------------------------

TEST_CASE("given utilisation over an interval, when it is checked, then the target moves by a fifth") {
  struct row {
    std::size_t min, max, size, leased;
    std::size_t target;
  };
  const std::vector<row> table{
      {2, 20, 10, 9, 12},   // above 80 %
      {2, 20, 10, 8, 10},   // just 80 %: stays
      {2, 20, 10, 5, 10},   //
      {2, 20, 10, 2, 8},    // below 30 %
      {2, 20, 4, 4, 5},     // at least one
      {2, 20, 3, 0, 2},     //
      {3, 20, 3, 0, 3},     // not below the floor
      {2, 10, 10, 10, 10},  // not above the cap
      {2, 20, 20, 0, 16},   //
  };
  for (const row& t : table) {
    auto config = calm(0, t.max);
    config.auto_scale = true;
    config.scale_check_interval = 10s;
    rig r(config);
    r.fill(t.size);
    r.resize(t.min, t.max);
    for (std::size_t i = 0; i < t.leased; ++i) r.try_take();
    r.advance(10s);
    INFO("size " << t.size << " leased " << t.leased);
    CHECK(r.stats().target_size == t.target);
    CHECK(r.stats().total_connections - r.stats().closing >= std::min(t.size, t.target));
    if (t.target > t.size) CHECK(r.stats().connecting == t.target - t.size);
    if (t.target < t.size) CHECK(r.stats().closing == t.size - t.target);
    r.finish();
  }
}

TEST_CASE("given scaling off, when the floor is lowered, then nothing is opened for the old one") {
  rig r(calm(4, 8));
  r.open();
  r.connect_all();
  CHECK(r.stats().idle_connections == 4);
  r.resize(1, 8);
  CHECK(r.stats().target_size == 1);
  for (auto* s = r.try_take(); s; s = r.try_take()) r.detach(*s);
  CHECK(r.stats().connecting == 1);
  r.finish();
}

TEST_CASE("given a target above the size, when demand comes, then growth beyond the target still works at once") {
  auto config = calm(1, 10);
  config.auto_scale = true;
  rig r(config);
  std::vector<rig::caller*> all;
  for (int i = 0; i < 8; ++i) all.push_back(&r.acquire());
  r.connect_all();
  for (auto* w : all) CHECK(w->served());
  r.finish();
}

}  // namespace
