// SPDX-License-Identifier: BSL-1.0
// tidepool - the time integral of a count.
#include <tidepool/detail/util/integral.hpp>

#include <random>

#include "support/catch.hpp"

namespace {

using tidepool::detail::count_integral;
using tidepool::detail::tick;
using namespace std::chrono_literals;

constexpr tidepool::duration grain(1'024);  // what it counts in

TEST_CASE("given nothing that came, when the integral is taken, then it is zero") {
  count_integral integral;
  CHECK(integral.take(tick(5s), 0) == 0.0);
  CHECK(integral.take(tick(10s), 0) == 0.0);
}

TEST_CASE("given one thing, when it stays, comes or leaves within an interval, then only its time there counts") {
  count_integral integral;
  integral.came(tick(10 * grain));
  CHECK(integral.take(tick(30 * grain), 1) == 20.0 * 1'024);
  CHECK(integral.take(tick(35 * grain), 1) == 5.0 * 1'024);
  CHECK(integral.take(tick(35 * grain), 1) == 0.0);
  integral.left(tick(45 * grain));
  CHECK(integral.take(tick(100 * grain), 0) == 10.0 * 1'024);
  CHECK(integral.take(tick(200 * grain), 0) == 0.0);
}

TEST_CASE("given clock readings of a machine up for long, when many came and left, then differences are exact") {
  const tick start{9'000'000'000'000'000'000ns};
  count_integral integral;
  for (int i = 0; i < 1'000; ++i) integral.came(start);
  CHECK(integral.take(start + grain, 1'000) == 1'000.0 * 1'024);
  for (int i = 0; i < 999; ++i) integral.left(start + 2 * grain);
  CHECK(integral.take(start + 3 * grain, 1) == 1'001.0 * 1'024);
}

TEST_CASE("given random comings and goings, when the area is added up in steps, then the integral is the same") {
  std::mt19937 random(5);
  count_integral integral;
  tick now{1'000 * grain};
  std::size_t count = 0;
  double area = 0;
  for (int i = 0; i < 10'000; ++i) {
    const tick::rep passed = static_cast<tick::rep>(random() % 1'000) * grain.count();
    area += static_cast<double>(passed) * static_cast<double>(count);
    now += tidepool::duration(passed);
    if (count == 0 || random() % 2) {
      integral.came(now);
      ++count;
    } else {
      integral.left(now);
      --count;
    }
    if (random() % 10 == 0) {
      REQUIRE(integral.take(now, count) == area);
      area = 0;
    }
  }
}

TEST_CASE("given a clock that lags behind, when the integral is taken, then it is zero and not negative") {
  count_integral integral;
  integral.came(tick(100 * grain));
  CHECK(integral.take(tick(90 * grain), 1) == 0.0);
  CHECK(integral.take(tick(110 * grain), 1) >= 10.0 * 1'024);
}

TEST_CASE("given 10,000 things and a year between two reads, when the integral is taken, then it is exact", "[field-R10]") {
  const tick start{1h};
  count_integral integral;
  for (int i = 0; i < 10'000; ++i) integral.came(start);
  const double year = static_cast<double>(tidepool::duration(24h * 365).count());
  CHECK(integral.take(start + 24h * 365, 10'000) == Approx(10'000 * year));
  CHECK(integral.take(start + 24h * 366, 10'000) == Approx(10'000 * year / 365));
}

TEST_CASE("given a clock whose epoch lies ahead, when things come and go, then the integral is their time") {
  count_integral integral;
  integral.came(tick(-20 * grain));
  integral.came(tick(-10 * grain));
  CHECK(integral.take(tick(-5 * grain), 2) == 20.0 * 1'024);
  integral.left(tick(5 * grain));
  CHECK(integral.take(tick(10 * grain), 1) == 25.0 * 1'024);
}

}  // namespace
