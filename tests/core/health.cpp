// SPDX-License-Identifier: BSL-1.0
// tidepool - the core: validation before a hand-out and in the background.
#include "core_rig.hpp"

namespace {

using namespace tidepool_tests;
using rig = core_rig<>;

pool_config checked(std::size_t min, std::size_t max) {
  auto c = calm(min, max);
  c.pre_ping = true;
  c.alive_bypass = 500ms;
  return c;
}
TEST_CASE("given alive_bypass, when a connection is asked for within it, then it costs no round trip; later one", "[H3][H4][B084]") {
  rig r(checked(0, 1));
  auto& a = r.acquire();
  r.connect_ok();
  CHECK(a.served());  // a fresh connection is not validated
  CHECK(r.orders().empty());
  r.advance(10s);
  r.give_back(a);  // held long: giving back is no sign of life
  auto& b = r.acquire();
  CHECK(b.waiting());
  CHECK(r.orders() == std::vector<std::string>{"validate 1"});
  CHECK(r.stats().validating == 1);
  r.validated(r.first(slot_state::validating), true);
  CHECK(b.served());
  r.advance(400ms);
  r.give_back(b);
  CHECK(r.acquire().served());
  CHECK(r.orders().empty());
  CHECK(r.stats().validations == 1);
  r.finish();
}

TEST_CASE("given a server that answered just now, when its connection comes back, then it needs no validation") {
  const bool fast = GENERATE(false, true);
  rig r(checked(0, 1));
  auto& a = r.acquire();
  r.connect_ok();
  r.advance(10s);
  auto& waiter = r.acquire();
  fast ? r.give_back_fast(*a.got(), lease_end::clean, r.now - 100ms) : r.give_back(*a.got(), lease_end::clean, r.now - 100ms);
  CHECK(waiter.served());
  CHECK(r.orders().empty());
  r.advance(10s);
  auto& next = r.acquire();
  fast ? r.give_back_fast(*waiter.got(), lease_end::clean, r.now - 600ms) : r.give_back(*waiter.got(), lease_end::clean, r.now - 600ms);
  CHECK(next.waiting());
  CHECK(r.orders() == std::vector<std::string>{"validate 1"});
  r.validated(r.first(slot_state::validating), true);
  CHECK(next.served());
  r.finish();
}

TEST_CASE("given a policy's own validation, when connections are always in use, then each is validated in time", "[field-L5]") {
  const bool fast = GENERATE(false, true);
  const bool pre_ping = GENERATE(false, true);
  auto config = checked(0, 1);
  config.pre_ping = pre_ping;
  config.health_check_interval = 30s;
  core_rig<core_traits, true, true> r(config);
  auto* holder = &r.acquire();
  r.connect_ok();  // validated as part of the connect
  CHECK(holder->served());
  for (int i = 0; i < 1000; ++i) {  // 100 s of load: somebody always waits, and the server answers all the time
    auto& next = r.acquire();
    r.advance(100ms);
    fast ? r.give_back_fast(*holder->got(), lease_end::clean, r.now) : r.give_back(*holder->got(), lease_end::clean, r.now);
    if (next.waiting()) r.validated(r.first(slot_state::validating), true);
    REQUIRE(next.served());
    holder = &next;
  }
  const auto expected = pre_ping ? 200u : 3u;
  CHECK(r.stats().validations >= expected - 1);
  CHECK(r.stats().validations <= expected + 1);
  r.finish();
}

TEST_CASE("given a policy's own validation, when an idle one is asked for, then answers do not replace it", "[field-L5]") {
  core_rig<core_traits, true, true> r(checked(0, 1));
  r.fill(1);
  r.advance(400ms);
  auto* s = r.try_take(false);
  REQUIRE(s);
  r.give_back_fast(*s, lease_end::clean, r.now);  // it answered just now
  r.advance(100ms);
  CHECK_FALSE(r.try_take(false));
  auto& a = r.acquire();
  CHECK(a.waiting());
  r.validated(r.first(slot_state::validating), true);
  CHECK(a.served());
  r.give_back(a);
  CHECK(r.try_take(false));
  r.give_back(r.first(slot_state::leased));
  r.finish();
}

TEST_CASE("given idle connections that died, when one is asked for, then all are destroyed and a new one serves", "[H1]") {
  rig r(checked(0, 3));
  r.fill(3);
  r.advance(1s);
  auto& a = r.acquire(10s);
  for (int i = 0; i < 3; ++i) {
    REQUIRE(r.stats().validating == 1);  // as many as callers, not all
    r.validated(r.first(slot_state::validating), false);
  }
  CHECK(a.waiting());
  CHECK(r.stats().closed(close_reason::invalid) == 3);
  CHECK(r.stats().validation_failures == 3);
  r.connect_ok();
  CHECK(a.served());
  r.finish();
}

TEST_CASE("given a validation that never ends, when its bound is over, then the caller gets another connection", "[T7][B068][INV-8]") {
  auto config = checked(0, 1);
  config.validation_timeout = 2s;
  rig r(config);
  r.fill(1);
  r.advance(1s);
  auto& a = r.acquire(10s);
  auto& hung = r.first(slot_state::validating);
  r.advance(2s);
  CHECK(hung.state == slot_state::gone);
  CHECK(hung.shut);
  CHECK(r.stats().closed(close_reason::invalid) == 1);
  CHECK(r.stats().connecting == 1);
  r.connect_ok();
  CHECK(a.served());
  r.validated(hung, true);  // too late
  CHECK(r.stats().total_connections == 1);
  r.finish();
}

TEST_CASE("given a caller that leaves during a validation, when it ends, then the connection keeps its idle age", "[X7][B008][B009]") {
  rig r(checked(0, 2));
  r.fill(2);
  r.advance(1s);
  auto& a = r.acquire(5s);
  auto& s = r.first(slot_state::validating);
  const tick since = s.idle_since;
  const bool timeout = GENERATE(false, true);
  if (timeout) {
    r.advance(5s);
    CHECK(a.failed_with(errc::timeout));
  } else {
    r.cancel(a);
    CHECK(a.failed_with(errc::cancelled));
  }
  if (s.state == slot_state::validating) {
    r.validated(s, true);
    CHECK(s.state == slot_state::idle);
    CHECK(s.idle_since == since);
    CHECK(r.stats().idle_connections == 2);
  }
  r.finish();
}

TEST_CASE("given a stale idle connection, when the caller cannot wait, then it gets the connection as it is") {
  rig r(checked(0, 1));
  r.fill(1);
  r.advance(1h);
  SECTION("try_take") {
    CHECK_FALSE(r.try_take(false));
    CHECK(r.try_take(true));
  }
  SECTION("no time") { CHECK(r.acquire(0s).served()); }
  r.finish();
}

TEST_CASE("given alive_bypass 0, when a connection was just validated, then it is validated again, but once") {
  auto config = checked(0, 1);
  config.alive_bypass = 0s;
  rig r(config);
  r.fill(1);
  auto& a = r.acquire();
  CHECK(r.stats().validating == 1);
  r.validated(r.first(slot_state::validating), true);
  CHECK(a.served());
  r.give_back(a);
  CHECK(r.stats().idle_connections == 1);
  CHECK(r.orders() == std::vector<std::string>{"validate 1"});
  r.finish();
}

TEST_CASE("given health_check_interval, when it passes, then a few idle ones are validated and keep their order", "[H5]") {
  auto config = calm(0, 10);
  config.health_check_interval = 30s;
  rig r(config);
  r.fill(6);
  std::map<tidepool::connection_id, tick> since;
  for (const auto& [id, s] : r.slots) since[id] = s->idle_since;
  r.advance(30s);
  CHECK(r.stats().validating == 4);
  while (!r.in(slot_state::validating).empty()) r.validated(r.first(slot_state::validating), true);
  CHECK(r.stats().validations == 6);
  CHECK(r.stats().idle_connections == 6);
  for (const auto& [id, s] : r.slots) CHECK(since[id] == s->idle_since);
  const auto newest = r.try_take()->id;
  CHECK(newest == 6);
  r.orders();
  r.advance(30s);
  CHECK(r.orders().size() == 4);
  r.finish();
}

TEST_CASE("given a suspended pool and a waiter, when the interval passes, then checks wait until it is served", "[H5]") {
  auto config = calm(0, 3);
  config.health_check_interval = 30s;
  rig r(config);
  r.fill(3);
  r.suspend();
  auto& w = r.acquire(1h);
  r.advance(40s);
  CHECK(w.waiting());
  CHECK(r.stats().validating == 0);
  r.resume();
  REQUIRE(w.served());
  CHECK(r.stats().validating == 2);
  r.finish();
}

TEST_CASE("given no interval, when hours pass, then nothing is validated", "[H5]") {
  rig r(calm(0, 3));
  r.fill(3);
  r.advance(24h);
  CHECK(r.stats().validations == 0);
  CHECK(r.armed == never);
  r.finish();
}

TEST_CASE("given an idle connection found dead in the background, when the floor needs it, then it is replaced", "[H5][INV-14]") {
  auto config = calm(2, 4);
  config.health_check_interval = 30s;
  rig r(config);
  r.open();
  r.connect_all();
  r.advance(30s);
  REQUIRE(r.stats().validating == 2);
  r.validated(r.first(slot_state::validating), false);
  CHECK(r.stats().connecting == 1);
  r.connect_ok();
  r.validated(r.first(slot_state::validating), true);
  CHECK(r.stats().idle_connections == 2);
  CHECK(r.stats().closed(close_reason::invalid) == 1);
  r.finish();
}

TEST_CASE("given a background check, when its connection is surplus or the pool closes, then it is gone") {
  auto config = calm(0, 4);
  config.health_check_interval = 30s;
  rig r(config);
  r.fill(1);
  r.advance(30s);
  auto& s = r.first(slot_state::validating);
  SECTION("recycled") {
    r.recycle();
    r.validated(s, true);
    CHECK(r.stats().closing == 1);
    r.close_all();
    CHECK(r.stats().closed(close_reason::recycled) == 1);
  }
  SECTION("closed") {
    auto& closed = r.close();
    CHECK(closed.done());
    CHECK(s.cancelled);
    r.validated(s, true);
    CHECK(r.stats().state == pool_state::closed);
  }
  SECTION("never ending") {
    r.advance(5s);
    CHECK(s.state == slot_state::gone);
    CHECK(r.stats().closed(close_reason::invalid) == 1);
    r.validated(s, false);
  }
  CHECK(r.stats().total_connections == 0);
  r.finish();
}

TEST_CASE("given idle connections whose peers closed, when the core is told, then only these are validated", "[H5]") {
  rig r(checked(6, 8));
  r.open();
  for (int i = 0; i < 3; ++i) r.connect_all();
  REQUIRE(r.stats().idle_connections == 6);
  auto& holder = r.acquire();
  const auto odd = [](const core_slot& s) { return s.id % 2 == 1; };
  const auto told = [&] {
    r.core.look_at(odd, r.now, r.acts);
    r.pump();
  };
  told();
  const std::size_t looked_at = holder.got()->id % 2 == 1 ? 2 : 3;
  CHECK(r.stats().validating == looked_at);  // the leased one is its holder's
  told();
  CHECK(r.stats().validating == looked_at);  // not twice
  // Others serve meanwhile; the dead go and are replaced, one that lives stays.
  auto& next = r.acquire();
  CHECK(next.served());
  CHECK(next.got()->id % 2 == 0);
  r.validated(r.first(slot_state::validating), true);
  while (!r.in(slot_state::validating).empty()) r.validated(r.first(slot_state::validating), false);
  CHECK(r.stats().closed(close_reason::invalid) == looked_at - 1);
  r.connect_all();
  r.close_all();
  r.give_back(holder);
  r.give_back(next);
  r.close();
  told();  // too late
  CHECK(r.stats().validating == 0);
  r.finish();
}

TEST_CASE("given a connection found dead, when others were checked just before, then they are validated too", "[field-survivor]") {
  auto config = calm(4, 4);
  config.health_check_interval = 30s;
  rig r(config);
  r.open();
  r.connect_all();
  r.advance(30s);
  while (!r.in(slot_state::validating).empty()) r.validated(r.first(slot_state::validating), true);
  r.advance(100ms);
  r.orders();
  auto& a = r.acquire();
  r.give_back(a, lease_end::broken);  // the server has just gone, say
  CHECK(r.stats().validating == 3);
  r.finish();
}

TEST_CASE("given connections that die one by one, when each is found, then rounds of checks keep a pause", "[field-survivor]") {
  auto config = calm(6, 6);
  config.health_check_interval = 1h;
  config.validation_timeout = 5s;
  rig r(config);
  r.open();
  while (!r.in(slot_state::connecting).empty()) r.connect_all();
  r.advance(1min);
  std::vector<rig::entry*> held;
  for (int i = 0; i < 3; ++i) held.push_back(r.acquire().got());
  const auto check_all = [&] {
    std::size_t n = 0;
    for (; !r.in(slot_state::validating).empty(); ++n) r.validated(r.first(slot_state::validating), true);
    return n;
  };
  r.give_back(*held[0], lease_end::broken);
  r.connect_all();
  CHECK(check_all() == 3);  // those that are idle
  r.advance(1s);
  r.give_back(*held[1], lease_end::broken);
  r.connect_all();
  CHECK(r.stats().validating == 0);  // not again so soon
  r.advance(2s);
  r.give_back(*held[2], lease_end::broken);
  r.advance(1ms);
  r.connect_all();
  CHECK(r.stats().validating == 0);
  r.advance(2s - 1ms - 1ns);
  CHECK(r.stats().validating == 0);
  r.advance(1ns);
  CHECK(check_all() == 5);  // but then: all that were fine before the last death; its replacement came after it
  r.advance(59min);
  CHECK(check_all() == 0);
  r.finish();
}

TEST_CASE("given a background check that hangs, when a caller comes, then another idle connection serves it") {
  auto config = checked(0, 2);
  config.health_check_interval = 30s;
  rig r(config);
  r.fill(2);
  r.advance(30s);
  REQUIRE(r.stats().validating == 2);
  r.validated(*r.in(slot_state::validating)[0], true);  // the other one hangs
  r.advance(1s);
  auto& a = r.acquire(10s);
  CHECK(r.stats().validating == 2);
  r.validated(*r.in(slot_state::validating)[0], true);
  CHECK(a.served());
  r.finish();
}

TEST_CASE("given a sweep under way, when a caller waits, then it pauses, and goes on when none does") {
  auto config = calm(0, 8);
  config.health_check_interval = 30s;
  rig r(config);
  r.fill(8);
  r.advance(29s);
  // Everything is taken but what the sweep holds, so that somebody has to wait.
  r.advance(1s);
  REQUIRE(r.stats().validating == 4);
  std::vector<rig::entry*> taken;
  while (auto* s = r.try_take()) taken.push_back(s);
  CHECK(taken.size() == 4);
  auto& a = r.acquire();
  auto& b = r.acquire();
  CHECK(a.waiting());
  r.validated(r.first(slot_state::validating), true);
  CHECK(a.served());
  r.give_back(*taken[0]);
  CHECK(b.served());
  r.validated(r.first(slot_state::validating), true);
  CHECK(r.stats().idle_connections == 1);
  r.finish();
}

TEST_CASE("given a validation that always fails, when a caller waits, then each step is bounded", "[B058][B115]") {
  rig r(checked(0, 2));
  r.fill(2);
  r.advance(1s);
  auto& a = r.acquire(3s);
  for (int i = 0; i < 2; ++i) r.validated(r.first(slot_state::validating), false);
  r.connect_fails();
  r.advance(3s);
  CHECK(a.failed_with(errc::timeout));
  CHECK(r.orders().size() <= 8);
  r.finish();
}

}  // namespace
