// SPDX-License-Identifier: BSL-1.0
// tidepool - the core: failing connects, back-off, waves, the breaker, permanent failures and hopeless waits.
#include "core_rig.hpp"

namespace {

using namespace tidepool_tests;
struct unbroken : core_traits {
  using breaker_policy = tidepool::no_breaker;
};
using rig = core_rig<>;
using unbroken_rig = core_rig<unbroken>;

TEST_CASE("given a connect that fails once, when the next one works in time, then the caller is served", "[T6]") {
  rig r(calm(0, 1));
  auto& a = r.acquire(10s);
  r.connect_fails();
  CHECK(a.waiting());
  CHECK(r.stats().state == pool_state::critical);
  CHECK(r.stats().connecting == 0);
  r.advance(1s);
  CHECK(r.stats().connecting == 1);
  r.connect_ok();
  CHECK(a.served());
  CHECK(r.stats().connection_errors == 1);
  r.finish();
}

TEST_CASE("given connects that keep failing, when retried, then pauses double up to the longest, half at random", "[H10][INV-15]") {
  auto config = calm(1, 1);
  config.max_retries = 100;
  config.retry_delay = 1s;
  config.max_retry_delay = 10s;
  std::vector<std::vector<duration>> seen(7);
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    unbroken_rig r(config, seed);
    r.open();
    for (auto& pauses : seen) {
      r.connect_fails();
      CHECK(r.in(slot_state::connecting).empty());
      const tick failed = r.now;
      r.until_connecting();
      pauses.push_back(r.now - failed);
    }
    r.finish();
  }
  const std::vector<duration> longest{1s, 2s, 4s, 8s, 10s, 10s, 10s};
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const auto [least, most] = std::minmax_element(seen[i].begin(), seen[i].end());
    INFO("failure " << i + 1);
    CHECK(*least >= longest[i] / 2);
    CHECK(*most <= longest[i]);
    CHECK(*most - *least > longest[i] / 4);  // there is jitter
  }
}

TEST_CASE("given connects of one moment, when all fail, then that is one failure, and one attempt follows", "[B022]") {
  auto config = calm(0, 10);
  config.max_connecting = 4;
  rig r(config);
  std::vector<rig::caller*> all;
  for (int i = 0; i < 6; ++i) all.push_back(&r.acquire(60s));
  CHECK(r.stats().connecting == 4);
  for (int i = 0; i < 4; ++i) r.connect_fails();
  CHECK(r.stats().connection_errors == 4);
  CHECK(r.core.failures_in_a_row() == 1);
  for (auto* w : all) CHECK(w->waiting());
  r.advance(1s);
  CHECK(r.stats().connecting == 1);
  r.connect_ok();
  CHECK(all[0]->served());
  CHECK(r.stats().connecting == 4);  // healed: full speed
  r.finish();
}

TEST_CASE("given a connect of an earlier wave, when it fails late, then back-off and a success stay as they are") {
  auto config = calm(0, 10);
  rig r(config);
  r.acquire(60s);
  r.acquire(60s);
  auto all = r.in(slot_state::connecting);
  REQUIRE(all.size() == 2);
  r.connect_fails(*all[0]);
  r.advance(1s);
  const auto probe = r.in(slot_state::connecting);
  REQUIRE(probe.size() == 1);  // the late one is still there, and one at a time is the rule
  r.connect_fails(*all[1]);
  CHECK(r.core.failures_in_a_row() == 1);
  r.advance(1s);
  r.connect_ok();
  CHECK(r.core.failures_in_a_row() == 0);
  CHECK(r.stats().state != pool_state::degraded);
  r.finish();
}

TEST_CASE("given max_retries, when one more than that failed and nothing is alive, then the caller fails", "[B030][INV-22]") {
  const std::size_t retries = GENERATE(0u, 1u, 3u);
  auto config = calm(0, 2);
  config.max_retries = retries;
  unbroken_rig r(config);
  auto& a = r.acquire(1h);
  auto& b = r.acquire(1h);
  for (std::size_t i = 0; i < retries; ++i) {
    while (!r.in(slot_state::connecting).empty()) r.connect_fails();
    REQUIRE(a.waiting());
    r.until_connecting();
  }
  while (!r.in(slot_state::connecting).empty()) r.connect_fails();
  CHECK(a.failed_with(errc::connect_failed));
  CHECK(b.failed_with(errc::connect_failed));
  CHECK(r.stats().refused_connect == 2);
  auto& late = r.acquire(1h);  // its failures count from its own arrival
  CHECK(late.waiting());
  r.finish();
}

TEST_CASE("given a lease out, when connects keep failing, then a waiter waits for that lease instead of failing", "[R8]") {
  auto config = calm(0, 2);
  config.max_retries = 1;
  rig r(config);
  auto& holder = r.acquire();
  r.connect_ok();
  auto& w = r.acquire(1h);
  for (int i = 0; i < 4; ++i) {
    if (!r.in(slot_state::connecting).empty()) r.connect_fails();
    r.advance(10s);
  }
  CHECK(w.waiting());
  CHECK(r.stats().state == pool_state::degraded);
  r.give_back(holder);
  CHECK(w.served());
  r.finish();
}

TEST_CASE("given a permanent failure, when callers need a connect, then they fail at once until it is retried") {
  rig r(calm(0, 3));
  auto& a = r.acquire(1h);
  r.connect_fails(failure_kind::permanent);
  CHECK(a.failed_with(errc::connect_failed));
  CHECK(r.acquire(1h).failed_with(errc::connect_failed));
  CHECK(r.connects == 1);
  r.advance(5s);
  auto& b = r.acquire(1h);
  CHECK(b.waiting());
  r.connect_ok();
  CHECK(b.served());
  CHECK(r.acquire(1h).waiting());
  r.finish();
}

TEST_CASE("given connections that work, when a connect fails for good, then they keep serving") {
  rig r(calm(0, 3));
  auto& a = r.acquire();
  r.connect_ok();
  auto& b = r.acquire(1h);
  r.connect_fails(failure_kind::permanent);
  CHECK(b.waiting());
  r.give_back(a);
  CHECK(b.served());
  r.finish();
}

TEST_CASE("given failures in a row, when they reach the threshold, then the breaker opens, then probes once") {
  auto config = calm(0, 4);
  config.max_retries = 100;
  config.breaker_threshold = 3;
  config.breaker_open_time = 2s;
  rig r(config);
  auto& a = r.acquire(1h);
  for (int i = 0; i < 3; ++i) {
    r.connect_fails();
    if (i < 2) r.advance(10s);
  }
  CHECK(r.stats().breaker == breaker_state::open);
  CHECK(a.failed_with(errc::circuit_open));
  CHECK(r.acquire(1h).failed_with(errc::circuit_open));
  CHECK(r.stats().refused_open == 2);
  r.advance(2s - 1ns);
  CHECK(r.acquire(1h).failed_with(errc::circuit_open));
  r.advance(1ns);
  auto& b = r.acquire(1h);
  auto& c = r.acquire(1h);
  CHECK(r.stats().breaker == breaker_state::half_open);
  CHECK(r.stats().connecting == 1);
  const bool heals = GENERATE(false, true);
  if (heals) {
    r.connect_ok();
    CHECK(r.stats().breaker == breaker_state::closed);
    CHECK(b.served());
    r.connect_ok();
    CHECK(c.served());
  } else {
    r.connect_fails();
    CHECK(r.stats().breaker == breaker_state::open);
    CHECK(b.failed_with(errc::circuit_open));
    CHECK(c.failed_with(errc::circuit_open));
  }
  r.finish();
}

TEST_CASE("given an open breaker and a floor, when its time is over, then the pool probes until it is healthy", "[INV-14]") {
  auto config = calm(2, 4);
  config.max_retries = 100;
  rig r(config);
  r.acquire(1s);
  for (int i = 0; i < 30; ++i) {
    while (!r.in(slot_state::connecting).empty()) r.connect_fails();
    r.advance(1s);
  }
  CHECK(r.stats().breaker != breaker_state::closed);
  r.advance(config.breaker_open_time);
  REQUIRE(r.stats().connecting == 1);
  r.connect_all();
  CHECK(r.stats().idle_connections == 2);
  CHECK(r.stats().breaker == breaker_state::closed);
  CHECK(r.stats().state == pool_state::healthy);
  r.finish();
}

TEST_CASE("given a server without room, when connects fail, then the pool backs off, the breaker stays closed") {
  auto config = calm(0, 4);
  config.max_retries = 100;
  config.breaker_threshold = 2;
  rig r(config);
  auto& a = r.acquire(1h);
  for (int i = 0; i < 6; ++i) {
    r.connect_fails(failure_kind::server_full);
    CHECK(r.stats().connecting == 0);
    r.advance(10s);
  }
  CHECK(r.stats().breaker == breaker_state::closed);
  CHECK(a.waiting());
  r.connect_ok();
  CHECK(a.served());
  r.finish();
}

TEST_CASE("given a reason that passes by itself, when it lasts, then callers wait and are served after it", "[field-L4]") {
  const auto kind = GENERATE(failure_kind::server_full, failure_kind::starting, failure_kind::wrong_role, failure_kind::refused);
  auto config = calm(0, 4);
  config.max_retries = 0;
  config.breaker_threshold = 1;
  rig r(config);
  auto& a = r.acquire(1h);
  auto& impatient = r.acquire(30s);
  while (!r.in(slot_state::connecting).empty()) r.connect_fails(kind);
  std::size_t looks = 0;
  while (r.now < tick(1h + 40s)) {
    r.until_connecting();
    CHECK(r.stats().connecting == 1);  // one at a time
    r.connect_fails(kind);
    ++looks;
  }
  CHECK(a.waiting());
  CHECK(impatient.failed_with(errc::timeout));
  CHECK(r.acquire(1h).waiting());
  CHECK(r.stats().state == pool_state::critical);
  CHECK(r.stats().breaker == breaker_state::closed);
  if (kind == failure_kind::server_full) {
    CHECK(looks <= 14);
  } else {
    CHECK(looks >= 190);
    CHECK(looks <= 410);
  }
  CHECK(r.core.outlook(r.now).kind == kind);
  CHECK(r.core.outlook(r.now).failing_for == r.now - tick(1h));
  CHECK(r.core.outlook(r.now).next_look <= (kind == failure_kind::server_full ? duration(10s) : duration(200ms)));
  r.until_connecting();
  r.connect_ok();
  CHECK(a.served());
  CHECK(r.core.outlook(r.now).failures_in_a_row == 0);
  r.finish();
}

TEST_CASE("given the reason of an outage, when the state changes, then its words say which it is", "[field-L4]") {
  const auto said = [](failure_kind kind) {
    rig r(calm(0, 1));
    r.acquire(1h);
    r.connect_fails(kind);
    const std::string out = r.core.state_reason();
    r.finish();
    return out;
  };
  CHECK(said(failure_kind::transient) == "no connection is alive and connecting fails");
  CHECK(said(failure_kind::permanent) == "no connection is alive and connecting fails for good");
  CHECK(said(failure_kind::server_full) == "no connection is alive and the server has no room");
  CHECK(said(failure_kind::starting) == "no connection is alive and the server is starting up");
  CHECK(said(failure_kind::wrong_role) == "no connection is alive and no server has the wanted role");
  CHECK(said(failure_kind::refused) == "no connection is alive and no server listens");
}

TEST_CASE("given open() and a full server, when it gets room in time, then it succeeds; else the pool closes", "[field-L13]") {
  const auto kind = GENERATE(failure_kind::server_full, failure_kind::starting, failure_kind::wrong_role, failure_kind::refused);
  auto config = calm(1, 4);
  config.max_retries = 0;
  rig r(config);
  auto& patient = r.open(1min);
  auto& short_lived = r.open(20s);
  const tick began = r.now;
  const auto fail_until = [&](tick end) {
    while (r.now < end) {
      while (!r.in(slot_state::connecting).empty()) r.connect_fails(kind);
      r.advance(std::min(end - r.now, duration(50ms)));
    }
  };
  fail_until(began + 19s);
  CHECK(short_lived.waiting());
  fail_until(began + 20s);
  CHECK(short_lived.failed_with(errc::connect_failed));
  REQUIRE(patient.waiting());  // the pool goes on for the other
  SECTION("room in time") {
    r.until_connecting();
    r.connect_ok();
    CHECK(patient.done());
    CHECK(r.stats().state == pool_state::healthy);
  }
  SECTION("none") {
    fail_until(began + 1min);
    CHECK(patient.failed_with(errc::connect_failed));
    CHECK(r.stats().state == pool_state::closed);
  }
  r.finish();
}

TEST_CASE("given wait_when_refused off, when connects are refused, then max_retries and breaker end the wait", "[field-L4]") {
  auto config = calm(1, 4);
  config.wait_when_refused = false;
  config.max_retries = 2;
  config.breaker_threshold = 4;
  rig r(config);
  auto& opened = r.open(1h);
  auto& a = r.acquire(1h);
  for (int i = 0; i < 3; ++i) {
    CHECK(a.waiting());
    r.connect_fails(failure_kind::refused);
    if (i < 2) r.until_connecting();
  }
  CHECK(opened.failed_with(errc::connect_failed));
  CHECK(a.failed_with(errc::closed));
  r.finish();
}

TEST_CASE("given a server that timed out, when it refuses from then on, then the breaker closes, callers wait", "[field-L4]") {
  auto config = calm(0, 4);
  config.max_retries = 100;
  config.breaker_threshold = 2;
  rig r(config);
  auto& a = r.acquire(1h);
  r.connect_fails(failure_kind::transient);
  r.until_connecting();
  r.connect_fails(failure_kind::transient);
  CHECK(a.failed_with(errc::circuit_open));
  CHECK(r.stats().breaker == breaker_state::open);
  auto& early = r.acquire(1h);
  CHECK(early.failed_with(errc::circuit_open));
  r.advance(config.breaker_open_time);
  auto& b = r.acquire(1h);
  r.until_connecting();
  r.connect_fails(failure_kind::refused);
  CHECK(r.stats().breaker == breaker_state::closed);
  CHECK(b.waiting());
  CHECK(r.core.outlook(r.now).next_look <= 200ms);
  r.until_connecting();
  r.connect_ok();
  CHECK(b.served());
  r.finish();
}

TEST_CASE("given open() past its patience, when the reason is one that passes, then it gives up; not before", "[field-L13]") {
  auto config = calm(2, 4);
  config.max_connecting = 1;
  rig r(config);
  auto& opened = r.open(1s);
  r.advance(5s);  // a slow connect is no failure
  CHECK(opened.waiting());
  r.connect_ok();
  CHECK(opened.waiting());
  r.connect_fails(failure_kind::server_full);
  CHECK(opened.failed_with(errc::connect_failed));
  r.close_all();
  r.finish();
}

TEST_CASE("given logins that work, when connections die in their first lease, then the pool backs off", "[field-L7]") {
  auto config = calm(0, 4);
  config.max_retries = config.breaker_threshold = no_limit;
  const bool told = GENERATE(false, true);  // whether the connection knows when its server last answered
  rig r(config);
  for (int i = 0; i < 20; ++i) r.acquire(1h);
  while (r.now < tick(1h + 60s)) {
    while (!r.in(slot_state::connecting).empty()) r.connect_ok();
    for (auto* s : r.in(slot_state::leased)) {
      r.now += 1ms;
      r.give_back(*s, lease_end::broken, told ? s->born - 1us : tick{});
    }
    r.acquire(1h);
    r.advance(10ms);
  }
  CHECK(r.connects <= 4 + 15);  // at first as many as are wanted, then one after each pause
  CHECK(r.connects >= 4 + 6);
  CHECK(r.core.failures_in_a_row() >= 6);
  CHECK(r.stats().state == pool_state::critical);
  // One that serves ends it.
  r.until_connecting();
  r.connect_ok();
  CHECK(r.core.failures_in_a_row() >= 6);
  CHECK(r.stats().connecting == 0);  // one after the other until then
  auto& s = r.first(slot_state::leased);
  r.give_back_fast(s, lease_end::clean, told ? s.born + 1ms : tick{});
  CHECK(r.core.failures_in_a_row() == 0);
  r.until_connecting();
  CHECK(r.stats().connecting == 3);
  r.finish();
}

TEST_CASE("given connections that die before they serve, when callers ask, then breaker and max_retries refuse", "[field-L7]") {
  auto config = calm(0, 1);
  const bool by_breaker = GENERATE(false, true);
  config.max_retries = by_breaker ? std::size_t{no_limit} : 2;
  config.breaker_threshold = by_breaker ? 3 : std::size_t{no_limit};
  rig r(config);
  auto& w = r.acquire(1h);
  r.connect_ok();
  auto& last = r.acquire(1h);
  r.give_back(w, lease_end::broken);
  for (int i = 0; i < 2; ++i) {
    auto& next = r.acquire(1h);
    r.until_connecting();
    r.connect_ok();
    r.give_back(r.first(slot_state::leased), lease_end::broken);
    if (i == 1) CHECK(next.failed_with(by_breaker ? errc::circuit_open : errc::connect_failed) == by_breaker);
  }
  CHECK(last.served());  // it counts its own failures only
  CHECK(r.stats().breaker == (by_breaker ? breaker_state::open : breaker_state::closed));
  r.finish();
}

TEST_CASE("given a connection that served, is old or is discarded, when it dies, then connecting goes on", "[field-L7]") {
  rig r(calm(0, 1));
  auto& a = r.acquire(1h);
  r.connect_ok();
  SECTION("it answered") { r.give_back(*a.got(), lease_end::broken, r.now + 1ms); }
  SECTION("it has been leased before") {
    r.give_back(a);
    auto& b = r.acquire();
    r.give_back(b, lease_end::broken);
  }
  SECTION("it is older than retry_delay") {
    r.advance(1s);
    r.give_back(a, lease_end::broken);
  }
  SECTION("by its holder's word alone") {
    r.discarded = true;
    r.give_back(a, lease_end::broken);
  }
  CHECK(r.stats().closed(close_reason::broken) == 1);
  CHECK(r.core.failures_in_a_row() == 0);
  r.acquire();
  CHECK(r.stats().connecting == 1);
  r.finish();
}

TEST_CASE("given a new connection, when its first validation or reset fails, then that is a failed connect", "[field-L7]") {
  auto config = calm(0, 1);
  config.pre_ping = true;
  config.alive_bypass = 0s;
  config.max_retries = no_limit;
  config.retry_delay = config.max_retry_delay = 10s;  // a validation that overruns is soon enough
  rig r(config);
  auto& a = r.acquire(1h);
  r.connect_ok();
  REQUIRE(a.served());
  SECTION("reset") {
    r.give_back(a, lease_end::needs_reset);
    r.reset_done(r.first(slot_state::resetting), false);
  }
  SECTION("reset without an end") {
    r.give_back(a, lease_end::needs_reset);
    r.advance(config.reset_timeout);
  }
  SECTION("found dead before its first hand-out") { r.bounce(a); }
  SECTION("validation") {
    r.discarded = true;
    r.give_back(a, lease_end::broken);
    auto& b = r.acquire(1ms);
    r.advance(1ms);
    CHECK(b.failed_with(errc::timeout));
    r.connect_ok();
    auto& c = r.acquire(1h);
    const bool hangs = GENERATE(false, true);
    hangs ? r.advance(config.validation_timeout) : r.validated(r.first(slot_state::validating), false);
    CHECK(c.waiting());
  }
  CHECK(r.core.failures_in_a_row() == 1);
  CHECK(r.stats().connecting == 0);
  r.finish();
}

TEST_CASE("given doubt whether connections live, when one lasts unused, then the doubt ends by itself", "[field-L7]") {
  auto config = calm(1, 2);
  rig r(config);
  auto& a = r.acquire(1h);
  r.connect_ok();
  r.give_back(a, lease_end::broken);
  r.until_connecting();
  r.connect_ok();
  CHECK(r.stats().state == pool_state::degraded);
  r.advance(config.max_retry_delay);
  CHECK(r.stats().state == pool_state::healthy);
  CHECK(r.armed == never);
  r.finish();
}

TEST_CASE("given a connect that never ends, when its bound is over, then its slot is free, its result dropped", "[T5][INV-8]") {
  auto config = calm(0, 1);
  config.connect_timeout = 3s;
  rig r(config);
  auto& a = r.acquire(1h);
  auto& hung = r.first(slot_state::connecting);
  r.advance(3s - 1ns);
  CHECK(r.stats().connecting == 1);
  r.advance(1ns);
  CHECK(hung.cancelled);
  CHECK(hung.state == slot_state::gone);
  CHECK(r.stats().total_connections == 0);
  CHECK(r.stats().connection_errors == 1);
  r.advance(1s);
  CHECK(r.stats().connecting == 1);  // the next attempt does not wait for the hung one
  r.connect_ok(hung);
  CHECK(r.freed == std::vector<tidepool::connection_id>{1});
  CHECK(a.waiting());
  r.connect_ok();
  CHECK(a.served());
  r.finish();
}

TEST_CASE("given a first connect that hangs, when a second one works, then the first caller is served by it", "[B055][B056]") {
  rig r(calm(0, 2));
  auto& a = r.acquire(1s);
  auto& b = r.acquire(5s);
  auto all = r.in(slot_state::connecting);
  r.connect_ok(*all[1]);
  CHECK(a.served());
  CHECK(b.waiting());
  r.give_back(a);
  CHECK(b.served());
  r.finish();
}

TEST_CASE("given a dead host and connects that fail after 15 s, when three ask of two, then all end in time", "[B030]") {
  auto config = calm(0, 2);
  config.connect_timeout = 20s;
  rig r(config);
  std::vector<rig::caller*> all;
  for (int i = 0; i < 3; ++i) all.push_back(&r.acquire(60s));
  for (int second = 0; second < 60; ++second) {
    for (auto* s : r.in(slot_state::connecting)) {
      if (r.now - s->born >= 15s) r.connect_fails(*s);
    }
    r.advance(1s);
  }
  for (auto* w : all) CHECK_FALSE(w->waiting());
  r.finish();
}

TEST_CASE("given many failed connects, when the server heals, then the pool is as before", "[B031]") {
  auto config = calm(2, 3);
  config.max_retries = 1000;
  rig r(config);
  r.acquire(1s);
  for (int i = 0; i < 20; ++i) {
    while (!r.in(slot_state::connecting).empty()) r.connect_fails();
    CHECK(r.stats().total_connections == 0);
    r.until_connecting();
  }
  r.connect_all();
  CHECK(r.stats().idle_connections == 2);
  auto& a = r.acquire();
  CHECK(a.served());
  r.finish();
}

TEST_CASE("given connects that cannot begin, when memory is there again, then the pool recovers") {
  rig r(calm(0, 1));
  r.refuse_connects = 1;
  auto& a = r.acquire(10s);
  CHECK(r.stats().connection_errors == 1);
  CHECK(r.stats().connecting == 0);
  r.advance(1s);
  r.connect_ok();
  CHECK(a.served());
  r.finish();
}

TEST_CASE("given a floor that cannot be opened, when open() fails fast, then it closes after max_retries", "[C5]") {
  auto config = calm(2, 4);
  config.max_retries = 2;
  const bool lazy = GENERATE(false, true);
  if (lazy) config.start = tidepool::start_mode::lazy;
  rig r(config);
  auto& opened = r.open();
  CHECK(opened.completions == (lazy ? 1 : 0));
  for (int i = 0; i < 3; ++i) {
    while (!r.in(slot_state::connecting).empty()) r.connect_fails();
    r.advance(10s);
  }
  if (lazy) {
    CHECK(opened.done());
    CHECK(r.stats().state == pool_state::critical);
    r.connect_all();
    CHECK(r.stats().state == pool_state::healthy);
  } else {
    CHECK(opened.failed_with(errc::connect_failed));
    CHECK(r.stats().state == pool_state::closed);
    CHECK(r.acquire().failed_with(errc::closed));
  }
  r.finish();
}

TEST_CASE("given a permanent failure, when open() waits, then it fails at the first one", "[C5]") {
  auto config = calm(2, 4);
  config.max_connecting = 1;
  rig r(config);
  auto& opened = r.open();
  r.connect_fails(failure_kind::permanent);
  CHECK(opened.failed_with(errc::connect_failed));
  CHECK(r.stats().state == pool_state::closed);
  r.finish();
}

TEST_CASE("given two that wait for open(), when one leaves, then the other still learns that the floor is there", "[C6]") {
  rig r(calm(1, 4));
  auto& a = r.open();
  auto& b = r.open();
  r.cancel(a);
  CHECK(a.failed_with(errc::cancelled));
  r.connect_ok();
  CHECK(b.done());
  r.finish();
}

TEST_CASE("given connects slower than callers' deadlines, when a crowd comes, then connects are few, all kept", "[B022][B049]") {
  auto config = calm(0, 10);
  rig r(config);
  for (int wave = 0; wave < 20; ++wave) {
    for (int i = 0; i < 50; ++i) r.acquire(60ms);
    r.advance(50ms);
    for (auto* s : r.in(slot_state::connecting)) {
      if (r.now - s->born >= 50ms) r.connect_ok(*s);
    }
    r.advance(30ms);
    for (auto* s : r.in(slot_state::leased)) r.give_back(*s);
  }
  CHECK(r.connects <= 10);
  CHECK(r.stats().connections_created == r.connects - r.stats().connecting);
  CHECK(r.stats().connections_closed == 0);
  r.finish();
}

}  // namespace
