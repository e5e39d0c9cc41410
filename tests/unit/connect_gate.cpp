// SPDX-License-Identifier: BSL-1.0
// tidepool - when the pool may connect.
#include <tidepool/detail/core/connect_gate.hpp>

#include <vector>

#include "support/catch.hpp"

namespace {

using namespace tidepool;
using namespace std::chrono_literals;
using detail::connect_gate;
using detail::never;
using detail::splitmix;
using detail::tick;

pool_config config() {
  pool_config c;
  c.retry_delay = 1s;
  c.max_retry_delay = 8s;
  c.breaker_threshold = 3;
  c.breaker_open_time = 20s;
  return c;
}

/// One attempt on its own that fails.
template <class Gate>
void fail(Gate& gate, tick now, splitmix& random, failure_kind kind = failure_kind::transient) {
  gate.started();
  gate.failed(gate.wave(), kind, now, random);
}

TEST_CASE("given a new gate, when it is asked, then a connect may start at once and none is refused") {
  const connect_gate<circuit_breaker> gate(config());
  CHECK(gate.may_start(tick(0s), 0));
  CHECK(gate.may_start(tick(0s), 3));
  CHECK(gate.opens_at(0) <= tick(0s));
  CHECK(gate.refusal(tick(0s)) == errc{});
  CHECK(gate.streak() == 0);
  CHECK(gate.total() == 0);
  CHECK(gate.state() == breaker_state::closed);
}

TEST_CASE("given failures in a row, when the next pause is drawn, then it doubles, at least half is certain") {
  splitmix random(1);
  connect_gate<no_breaker> gate(config());
  tick now{0s};
  for (const duration full : {1s, 2s, 4s, 8s, 8s, 8s}) {
    fail(gate, now, random);
    const duration pause = gate.opens_at(0) - now;
    CHECK(pause >= full / 2);
    CHECK(pause <= full);
    CHECK_FALSE(gate.may_start(gate.opens_at(0) - 1ns, 0));
    CHECK(gate.may_start(gate.opens_at(0), 0));
    now = gate.opens_at(0);
  }
  CHECK(gate.streak() == 6);
  gate.succeeded(tick(0s));
  CHECK(gate.streak() == 0);
  CHECK(gate.may_start(now, 0));
  fail(gate, now, random);
  CHECK(gate.opens_at(0) - now <= 1s);
}

TEST_CASE("given pools that fail in one instant, when pauses are drawn, then they do not retry in step") {
  std::vector<tick> at;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    splitmix random(seed);
    connect_gate<no_breaker> gate(config());
    fail(gate, tick(0s), random);
    at.push_back(gate.opens_at(0));
  }
  std::sort(at.begin(), at.end());
  CHECK(std::unique(at.begin(), at.end()) == at.end());
}

TEST_CASE("given attempts in flight together, when all of them fail, then they count as one failure") {
  splitmix random(2);
  connect_gate<circuit_breaker> gate(config());
  const auto wave = gate.wave();
  for (int i = 0; i < 4; ++i) gate.started();
  gate.failed(wave, failure_kind::transient, tick(1s), random);
  const tick opens = gate.opens_at(3);
  for (int i = 0; i < 3; ++i) gate.failed(wave, failure_kind::transient, tick(1s + i * 100ms), random);
  CHECK(gate.streak() == 1);
  CHECK(gate.total() == 1);
  CHECK(gate.opens_at(0) == opens);
  CHECK(gate.state() == breaker_state::closed);
  CHECK(gate.wave() != wave);
}

TEST_CASE("given waves of failures, when one attempt succeeds, then all starts over but the total") {
  splitmix random(3);
  connect_gate<circuit_breaker> gate(config());
  fail(gate, tick(0s), random);
  fail(gate, tick(2s), random);
  gate.started();
  gate.succeeded(tick(0s));
  CHECK(gate.streak() == 0);
  CHECK(gate.total() == 2);
  CHECK(gate.may_start(tick(2s), 0));
  fail(gate, tick(3s), random);
  fail(gate, tick(5s), random);
  CHECK(gate.state() == breaker_state::closed);
}

TEST_CASE("given a permanent failure, when a caller needs a connect, then it is refused for a while") {
  splitmix random(4);
  connect_gate<circuit_breaker> gate(config());
  fail(gate, tick(10s), random, failure_kind::permanent);
  CHECK(gate.refusal(tick(10s)) == errc::connect_failed);
  CHECK_FALSE(gate.may_start(tick(14s), 0));
  CHECK(gate.opens_at(0) == tick(15s));
  CHECK(gate.may_start(tick(15s), 0));
  CHECK(gate.refusal(tick(15s)) == errc{});
}

TEST_CASE("given a permanent failure of an attempt from an earlier wave, when it arrives, then it still refuses") {
  splitmix random(5);
  connect_gate<circuit_breaker> gate(config());
  const auto wave = gate.wave();
  gate.started();
  gate.started();
  gate.failed(wave, failure_kind::transient, tick(0s), random);
  gate.failed(wave, failure_kind::permanent, tick(1s), random);
  CHECK(gate.total() == 1);
  CHECK(gate.refusal(tick(2s)) == errc::connect_failed);
}

TEST_CASE("given a permanent failure, when another attempt succeeds after all, then none is refused any more") {
  splitmix random(6);
  connect_gate<circuit_breaker> gate(config());
  fail(gate, tick(0s), random, failure_kind::permanent);
  gate.succeeded(tick(0s));
  CHECK(gate.refusal(tick(0s)) == errc{});
  CHECK(gate.may_start(tick(0s), 0));
}

TEST_CASE("given failures up to the threshold, when the breaker opens, then one probe may start later") {
  splitmix random(7);
  connect_gate<circuit_breaker> gate(config());
  for (const duration t : {0s, 10s, 20s}) fail(gate, tick(t), random);
  CHECK(gate.state() == breaker_state::open);
  CHECK(gate.refusal(tick(21s)) == errc::circuit_open);
  CHECK_FALSE(gate.may_start(tick(39s), 0));
  CHECK(gate.opens_at(0) == tick(40s));
  CHECK(gate.opens_at(1) == never);
  CHECK(gate.refusal(tick(40s)) == errc{});
  REQUIRE(gate.may_start(tick(40s), 0));
  gate.started();
  CHECK(gate.state() == breaker_state::half_open);
  CHECK_FALSE(gate.may_start(tick(41s), 1));
  CHECK(gate.refusal(tick(41s)) == errc{});
  SECTION("the probe fails") {
    gate.failed(gate.wave(), failure_kind::transient, tick(41s), random);
    CHECK(gate.state() == breaker_state::open);
    CHECK(gate.refusal(tick(41s)) == errc::circuit_open);
    CHECK(gate.opens_at(0) == tick(61s));
  }
  SECTION("the probe succeeds") {
    gate.succeeded(tick(0s));
    CHECK(gate.state() == breaker_state::closed);
    CHECK(gate.may_start(tick(41s), 3));
  }
  SECTION("the pool gives the probe up") {
    gate.abandoned(tick(41s));
    CHECK(gate.state() == breaker_state::open);
    CHECK(gate.opens_at(0) > tick(41s));
    CHECK_FALSE(gate.may_start(gate.opens_at(0) - 1ns, 0));
    CHECK(gate.may_start(gate.opens_at(0), 0));
  }
  SECTION("the probe is answered, though not with a connection") {
    gate.failed(gate.wave(), GENERATE(failure_kind::server_full, failure_kind::starting, failure_kind::wrong_role, failure_kind::refused),
                tick(41s), random);
    CHECK(gate.state() == breaker_state::closed);
    CHECK(gate.refusal(tick(41s)) == errc{});
    CHECK(gate.opens_at(0) > tick(41s));
    CHECK(gate.opens_at(0) <= tick(49s));
  }
}

TEST_CASE("given the kinds of failures, when each repeats, then pause and breaker are as in the table", "[field-L4]") {
  struct row {
    failure_kind kind;
    duration least, most;  // of the pause after ten
    breaker_state breaker;
    std::size_t futile;
    errc refusal;
  };
  const std::vector<row> table{
      {failure_kind::transient, 4s, 8s, breaker_state::open, 10, errc::circuit_open},
      {failure_kind::permanent, 5s, 8s, breaker_state::open, 10, errc::connect_failed},
      {failure_kind::server_full, 4s, 8s, breaker_state::closed, 0, errc{}},
      {failure_kind::starting, 100ms, 200ms, breaker_state::closed, 0, errc{}},
      {failure_kind::wrong_role, 100ms, 200ms, breaker_state::closed, 0, errc{}},
      {failure_kind::refused, 100ms, 200ms, breaker_state::closed, 0, errc{}},
  };
  for (const row& t : table) {
    splitmix random(3);
    auto c = config();
    c.breaker_open_time = 1s;  // so that the back-off is the longer one
    connect_gate<circuit_breaker> gate(c);
    connect_gate<no_breaker> alone(c);
    tick now{0s};
    for (int i = 0; i < 10; ++i) {
      now += 60s;
      fail(gate, now, random, t.kind);
      fail(alone, now, random, t.kind);
    }
    INFO("kind " << static_cast<int>(t.kind));
    CHECK(alone.opens_at(0) - now >= t.least);
    CHECK(alone.opens_at(0) - now <= t.most);
    CHECK(gate.state() == t.breaker);
    CHECK(gate.futile() == t.futile);
    CHECK(gate.total() == t.futile);
    CHECK(gate.streak() == 10);
    CHECK(gate.refusal(now) == t.refusal);
    CHECK(gate.kind() == t.kind);
    CHECK(gate.alike() == 10);
    CHECK(gate.failing_since() == tick(60s));
  }
}

TEST_CASE("given wait_when_refused off, when connects are refused, then each is a failure like a timeout", "[field-L4]") {
  auto c = config();
  c.wait_when_refused = false;
  splitmix random(3);
  splitmix same(3);
  connect_gate<circuit_breaker> gate(c);
  connect_gate<circuit_breaker> other(c);
  for (int i = 0; i < 5; ++i) {
    fail(gate, tick(60s * i), random, failure_kind::refused);
    fail(other, tick(60s * i), same, failure_kind::transient);
    CHECK(gate.opens_at(0) == other.opens_at(0));
    CHECK(gate.state() == other.state());
    CHECK(gate.futile() == other.futile());
    CHECK_FALSE(gate.passes());
    CHECK(gate.kind() == failure_kind::refused);  // for reports
  }
  CHECK(gate.state() == breaker_state::open);
}

TEST_CASE("given failures of several kinds in a row, then those of the latest kind are counted too", "[field-L4]") {
  splitmix random(3);
  connect_gate<circuit_breaker> gate(config());
  const auto counts = [&](failure_kind kind) {
    fail(gate, tick(0s), random, kind);
    return std::pair(gate.streak(), gate.alike());
  };
  CHECK(counts(failure_kind::transient) == std::pair<std::size_t, std::size_t>(1, 1));
  CHECK(counts(failure_kind::refused) == std::pair<std::size_t, std::size_t>(2, 1));
  CHECK(counts(failure_kind::refused) == std::pair<std::size_t, std::size_t>(3, 2));
  CHECK(counts(failure_kind::starting) == std::pair<std::size_t, std::size_t>(4, 1));
  gate.succeeded(tick(0s));
  CHECK(counts(failure_kind::starting) == std::pair<std::size_t, std::size_t>(1, 1));
}

TEST_CASE("given attempts in flight together, when they fail, then they count as one, and each has its number") {
  splitmix random(3);
  connect_gate<circuit_breaker> gate(config());
  for (std::size_t round = 1; round <= 2; ++round) {
    const auto wave = gate.wave();
    for (std::size_t i = 1; i <= 3; ++i) {
      gate.started();
      gate.failed(wave, failure_kind::transient, tick(0s), random);
      CHECK(gate.streak() == round);
      CHECK(gate.together() == i);
    }
  }
}

TEST_CASE("given a connection lost before it served, then there is doubt until one serves or lasts", "[field-L7]") {
  splitmix random(3);
  connect_gate<circuit_breaker> gate(config());
  gate.started();
  gate.succeeded(tick(0s));
  CHECK_FALSE(gate.doubtful());
  const auto wave = gate.wave();
  CHECK(gate.died_unserved(wave, tick(1s), random));
  CHECK_FALSE(gate.died_unserved(wave, tick(1s), random));  // of the same wave
  CHECK(gate.doubtful());
  CHECK(gate.doubt_ends() == never);
  CHECK(gate.streak() == 1);
  CHECK_FALSE(gate.may_start(tick(1s), 0));
  gate.started();
  gate.succeeded(tick(3s));
  CHECK(gate.streak() == 1);
  CHECK_FALSE(gate.may_start(tick(3s), 0));  // it has to be seen first what becomes of this one
  CHECK(gate.may_start(tick(4s), 0));
  CHECK(gate.doubt_ends() == tick(3s + 8s));
  SECTION("others succeed as well") {
    gate.succeeded(tick(5s));
    CHECK(gate.doubt_ends() == tick(3s + 8s));
    gate.proved();  // by time
  }
  SECTION("one serves") { gate.proved(); }
  SECTION("it is lost as well") {
    CHECK(gate.died_unserved(gate.wave(), tick(4s), random));
    CHECK(gate.streak() == 2);
    CHECK(gate.doubt_ends() == never);
    CHECK(gate.opens_at(0) - tick(4s) >= 1s);  // the back-off goes on
    CHECK(gate.died_unserved(gate.wave(), tick(10s), random));
    CHECK(gate.state() == breaker_state::open);
    gate.started();
    gate.succeeded(tick(40s));
    CHECK(gate.state() != breaker_state::closed);
    gate.proved();
  }
  CHECK(gate.streak() == 0);
  CHECK(gate.state() == breaker_state::closed);
  CHECK_FALSE(gate.doubtful());
  CHECK(gate.may_start(tick(5s), 0));
}

TEST_CASE("given a short retry_delay, when no server fits, then looks are no rarer, with jitter", "[field-L4]") {
  auto c = config();
  c.retry_delay = 20ms;
  std::vector<duration> pauses;
  const auto kind = GENERATE(failure_kind::starting, failure_kind::wrong_role, failure_kind::refused);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    splitmix random(seed);
    connect_gate<circuit_breaker> gate(c);
    fail(gate, tick(0s), random, kind);
    pauses.push_back(gate.opens_at(0) - tick(0s));
    CHECK(pauses.back() >= 10ms);
    CHECK(pauses.back() <= 20ms);
  }
  std::sort(pauses.begin(), pauses.end());
  CHECK(std::unique(pauses.begin(), pauses.end()) == pauses.end());
}

TEST_CASE("given timeouts, when a host then refuses, then failures in a row and back-off start over", "[field-L4]") {
  splitmix random(3);
  connect_gate<circuit_breaker> gate(config());
  fail(gate, tick(0s), random);
  fail(gate, tick(2s), random);
  fail(gate, tick(10s), random, GENERATE(failure_kind::starting, failure_kind::refused));
  CHECK(gate.futile() == 0);
  CHECK(gate.streak() == 3);
  fail(gate, tick(20s), random);
  CHECK(gate.opens_at(0) - tick(20s) <= 1s);
  CHECK(gate.state() == breaker_state::closed);
}

TEST_CASE("given a full server, when connects fail, then the pool backs off, the breaker stays closed") {
  splitmix random(8);
  connect_gate<circuit_breaker> gate(config());
  for (int i = 0; i < 10; ++i) fail(gate, tick(10s * i), random, failure_kind::server_full);
  CHECK(gate.state() == breaker_state::closed);
  CHECK(gate.streak() == 10);
  CHECK_FALSE(gate.may_start(tick(90s), 0));
  CHECK(gate.refusal(tick(90s)) == errc{});
}

TEST_CASE("given no breaker, when any number of connects fails, then only the back-off counts") {
  splitmix random(9);
  connect_gate<no_breaker> gate(config());
  for (int i = 0; i < 50; ++i) fail(gate, tick(10s * i), random);
  CHECK(gate.state() == breaker_state::closed);
  CHECK(gate.refusal(tick(490s)) == errc{});
  CHECK(gate.opens_at(0) <= tick(498s));
}

TEST_CASE("given failures in a row, then news are the first, each new kind, and one when their time has doubled", "[field-L4]") {
  splitmix random(1);
  connect_gate<no_breaker> gate(config());
  std::vector<int> news;
  for (int second = 0; second < 3000; ++second) {
    fail(gate, tick(std::chrono::seconds(second)), random, second == 3 || second == 5 ? failure_kind::refused : failure_kind::transient);
    if (gate.news()) news.push_back(second);
  }
  CHECK(news == std::vector{0, 3, 10, 20, 40, 80, 160, 320, 640, 1240, 1840, 2440});
  gate.succeeded(tick(3000s));
  fail(gate, tick(3001s), random);
  CHECK(gate.news());
  fail(gate, tick(3002s), random);
  CHECK_FALSE(gate.news());
}

}  // namespace
