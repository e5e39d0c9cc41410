// SPDX-License-Identifier: BSL-1.0
// tidepool - the histogram of durations.
#include <tidepool/histogram.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "support/catch.hpp"

namespace {

using tidepool::duration;
using tidepool::histogram;
using namespace std::chrono_literals;

TEST_CASE("given an empty histogram, when it is read, then all is zero") {
  const histogram h;
  CHECK(h.count() == 0);
  CHECK(h.sum() == 0ns);
  CHECK(h.mean() == 0ns);
  CHECK(h.max() == 0ns);
  CHECK(h.quantile(0.5) == 0ns);
  CHECK(h.at_most(1h) == 0);
}

TEST_CASE("given values below eight nanoseconds, when quantiles are asked for, then they are exact") {
  histogram h;
  for (int n = 0; n < 8; ++n) h.record(duration(n));
  CHECK(h.quantile(0) == 0ns);
  CHECK(h.quantile(0.5) == 3ns);
  CHECK(h.quantile(1) == 7ns);
  CHECK(h.at_most(3ns) == 4);
  CHECK(h.count() == 8);
  CHECK(h.sum() == 28ns);
  CHECK(h.mean() == 3ns);
}

TEST_CASE("given one value of any size, when it is recorded, then each quantile is that, sums are exact") {
  const auto ns = GENERATE(duration::rep{0}, 1, 7, 8, 9, 15, 16, 17, 1'000, 999'999, 1'000'000'000, (duration::rep{1} << 40) - 1,
                           duration::rep{1} << 40, duration::rep{1} << 55);
  histogram h;
  h.record(duration(ns));
  CHECK(h.quantile(0).count() == ns);
  CHECK(h.quantile(0.5).count() == ns);
  CHECK(h.quantile(0.999).count() == ns);
  CHECK(h.quantile(1).count() == ns);
  CHECK(h.max().count() == ns);
  CHECK(h.sum().count() == ns);
  CHECK(h.at_most(duration(ns)) == 1);
}

TEST_CASE("given values all over the range, when quantiles are read, then they are at most 12.5 % above") {
  std::mt19937_64 random(11);
  std::uniform_real_distribution<double> exponent(0, 40);
  std::vector<duration::rep> values;
  histogram h;
  for (int i = 0; i < 20'000; ++i) {
    const auto ns = static_cast<duration::rep>(std::exp2(exponent(random)));
    values.push_back(ns);
    h.record(duration(ns));
  }
  std::sort(values.begin(), values.end());
  for (const double q : {0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0}) {
    CAPTURE(q);
    const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(values.size())));
    const duration::rep exact = values[rank - 1];
    CHECK(h.quantile(q).count() >= exact);
    CHECK(static_cast<double>(h.quantile(q).count()) <= static_cast<double>(exact) * 1.125);
  }
}

TEST_CASE("given few values, when a high quantile is read, then that share of the values does not exceed it") {
  histogram h;
  for (int n = 0; n < 9; ++n) h.record(1us);
  h.record(1s);
  CHECK(h.quantile(0.9) < 2us);
  CHECK(h.quantile(0.95) == 1s);
  CHECK(h.quantile(0.99) == 1s);
}

TEST_CASE("given a share outside 0 to 1, when a quantile is asked for, then it is that of the nearest end") {
  histogram h;
  h.record(1ns);
  h.record(5ns);
  CHECK(h.quantile(-1) == 1ns);
  CHECK(h.quantile(2) == 5ns);
}

TEST_CASE("given quantiles in rising order, when they are read, then they never fall or exceed the maximum") {
  std::mt19937 random(3);
  histogram h;
  for (int i = 0; i < 1'000; ++i) h.record(duration(random() % 5'000'000));
  duration before{};
  for (int i = 0; i <= 1'000; ++i) {
    const duration now = h.quantile(i / 1'000.0);
    REQUIRE(now >= before);
    before = now;
  }
  CHECK(before == h.max());
}

TEST_CASE("given a negative duration, when it is recorded, then it counts as zero") {
  histogram h;
  h.record(-5s);
  CHECK(h.count() == 1);
  CHECK(h.sum() == 0ns);
  CHECK(h.max() == 0ns);
  CHECK(h.at_most(-1s) == 1);
}

TEST_CASE("given a value recorded many times at once, when it is read, then it weighs as much as that many") {
  histogram one_by_one, at_once;
  for (int i = 0; i < 100; ++i) one_by_one.record(3ms);
  at_once.record(3ms, 100);
  one_by_one.record(7s);
  at_once.record(7s);
  CHECK(at_once.count() == 101);
  CHECK(at_once.sum() == one_by_one.sum());
  CHECK(at_once.quantile(0.5) == one_by_one.quantile(0.5));
  CHECK(at_once.at_most(1s) == 100);
}

TEST_CASE("given two histograms, when they are added, then the sum is as if one had seen all") {
  histogram all, left, right;
  for (int i = 1; i < 500; ++i) {
    all.record(i * 1us);
    (i % 3 ? left : right).record(i * 1us);
  }
  left += right;
  CHECK(left.count() == all.count());
  CHECK(left.sum() == all.sum());
  CHECK(left.max() == all.max());
  for (const double q : {0.1, 0.5, 0.9, 0.99}) CHECK(left.quantile(q) == all.quantile(q));
}

TEST_CASE("given counts up to bounds, when the bounds rise, then the counts never fall and end at all values") {
  histogram h;
  for (int i = 0; i < 2'000; ++i) h.record(duration(i * i));
  std::uint64_t before = 0;
  for (duration bound{1}; bound < 1h; bound *= 2) {
    const std::uint64_t now = h.at_most(bound);
    CHECK(now >= before);
    const auto exact = static_cast<double>(std::min<std::uint64_t>(2'000, static_cast<std::uint64_t>(std::sqrt(bound.count())) + 1));
    CHECK(static_cast<double>(now) >= exact);
    CHECK(static_cast<double>(now) <= exact * 1.125 + 1);
    before = now;
  }
  CHECK(before == 2'000);
}

TEST_CASE("given ten years of ten thousand leases, when their times are added, then nothing wraps", "[field-R10]") {
  constexpr std::uint64_t leases = 10'000ull * 24 * 365 * 10;  // of an hour each, one after the other
  histogram h;
  h.record(1h, leases);
  CHECK(h.count() == leases);
  CHECK(h.mean() == 1h);
  CHECK(h.sum() == duration::max());
  CHECK(h.sum_seconds() == Approx(3600.0 * static_cast<double>(leases)));
  h.forget(1h, leases - 3);
  CHECK(h.sum() == 3h);
  CHECK(h.sum_seconds() == Approx(3 * 3600.0));

  histogram more;
  more.record(2h, leases);
  more += h;
  CHECK(more.sum_seconds() == Approx(7200.0 * static_cast<double>(leases)));
  more.record(duration::max(), std::numeric_limits<std::uint32_t>::max());
  CHECK(more.max() == duration::max());
  CHECK(more.mean() > 2h);
  CHECK(more.mean() <= duration::max());
}

}  // namespace
