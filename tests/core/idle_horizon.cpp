// SPDX-License-Identifier: BSL-1.0
// tidepool - what the pool learns from the deaths of idle connections: clusters are found, chance is not taken for one.
#include <tidepool/detail/core/idle_horizon.hpp>
#include <tidepool/detail/util/random.hpp>

#include <cmath>
#include <cstdint>

#include "core_rig.hpp"

namespace idle_horizon_tests {

using namespace tidepool_tests;
using tidepool::detail::idle_horizon;
using tidepool::detail::splitmix;

/// A pool's worth of deaths, a minute apart.
struct deaths {
  bool died(duration silence) { return horizon.died(silence, now += 1min); }
  idle_horizon horizon;
  tick now{1h};
};

TEST_CASE("given deaths after the same silence, when there are eight, then that is the horizon, told once") {
  deaths d;
  for (int i = 0; i < 7; ++i) CHECK_FALSE(d.died(350s + i * 1s));
  CHECK(d.horizon.horizon() == 0s);
  CHECK(d.horizon.limit() == no_limit);
  CHECK(d.died(357s));
  CHECK(d.horizon.horizon() == 350s);
  CHECK(d.horizon.limit() == 280s);
  for (int i = 0; i < 20; ++i) CHECK_FALSE(d.died(352s));
}

TEST_CASE("given an outage that ends all idle connections at once, then that is one death, not many") {
  deaths d;
  for (int outage = 0; outage < 7; ++outage) {
    d.now += 1h;
    for (int i = 0; i < 50; ++i) CHECK_FALSE(d.horizon.died(350s, d.now += 1ms));
  }
  CHECK(d.died(350s));
}

TEST_CASE("given deaths that are seen late, then a horizon is known only if shorter silences lived") {
  deaths seen_late;
  for (int i = 0; i < 30; ++i) CHECK_FALSE(seen_late.died(400s + i * 17s));
  deaths d;
  bool told = false;
  for (int i = 0; i < 9; ++i) {
    d.horizon.lived(200s);
    told |= d.died(400s + i * 17s);
  }
  CHECK(told);
  CHECK(d.horizon.horizon() >= 400s);
}

TEST_CASE("given connections that live longer than those that died, then nothing is told") {
  deaths d;
  for (int i = 0; i < 100; ++i) {
    CHECK_FALSE(d.died(350s));
    if (i % 4 == 0) d.horizon.lived(500s);
  }
  // Until the longer silences end.
  int more = 0;
  while (!d.died(350s)) REQUIRE(++more < 10);
}

TEST_CASE("given a horizon, when deaths come after another silence, then it moves") {
  deaths d;
  for (int i = 0; i < 8; ++i) d.died(350s);
  bool told = false;
  for (int i = 0; i < 8; ++i) told |= d.died(60s);
  CHECK(told);
  CHECK(d.horizon.horizon() == 60s);
  for (int i = 0; i < 40; ++i) d.horizon.lived(100s);
  for (int i = 0; i < 8; ++i) d.died(900s);
  CHECK(d.horizon.horizon() == 900s);
}

TEST_CASE("given silences below a second, then they say nothing") {
  deaths d;
  for (int i = 0; i < 100; ++i) CHECK_FALSE(d.died(999ms));
  CHECK(d.horizon.horizon() == 0s);
}

TEST_CASE("given deaths by chance, when a hundred thousand have come, then no horizon was told") {
  for (const bool exponential : {false, true}) {
    CAPTURE(exponential);
    splitmix random(7);
    deaths d;
    int told = 0;
    for (int i = 0; i < 100'000; ++i) {
      const double unit = random.unit();
      const double silence = exponential ? -300.0 * std::log(1.0 - unit) : 600.0 * unit;
      told += d.died(std::chrono::duration_cast<duration>(std::chrono::duration<double>(silence)));
    }
    CHECK(told == 0);
  }
}

TEST_CASE("given checks at one interval and deaths by chance in between, then no horizon is told") {
  splitmix random(9);
  deaths d;
  for (int i = 0; i < 100'000; ++i) {
    const duration silence = 30s + duration(static_cast<std::int64_t>(random.unit() * 15e9));
    if (random.unit() < 0.02) {
      REQUIRE_FALSE(d.died(silence));
    } else {
      d.horizon.lived(silence);
    }
  }
}

TEST_CASE("given a learned limit, when a connection is idle for so long, then it is replaced, at the floor too") {
  pool_config config = calm(1, 1);
  config.health_check_interval = 600s;
  core_rig<> r(config);
  r.open();
  r.connect_ok();
  for (int i = 0; i < 8; ++i) {
    CHECK(r.stats().idle_horizon == 0s);
    r.advance(600s);
    r.validated(r.first(slot_state::validating), false);
    r.connect_ok();
  }
  REQUIRE(r.stats().idle_horizon == 600s);
  r.advance(599s);
  CHECK(r.stats().idle_connections == 1);
  config.learn_idle_limit = true;
  r.reconfigure(config);
  r.advance(0s);
  CHECK(r.in(slot_state::closing).size() == 1);
  r.close_all();
  r.connect_ok();
  r.advance(479s);
  CHECK(r.stats().idle_connections == 1);
  r.advance(1s);
  CHECK(r.in(slot_state::closing).size() == 1);
  r.close_all();
  CHECK(r.stats().closed(close_reason::idle) == 2);
  r.connect_ok();
  CHECK(r.stats().idle_connections == 1);
}

}  // namespace idle_horizon_tests
