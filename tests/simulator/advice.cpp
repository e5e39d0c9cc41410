// SPDX-License-Identifier: BSL-1.0
// tidepool - the advised size against the best one, in virtual time.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "advice_load.hpp"
#include "support/catch.hpp"

namespace advice_tests {

using namespace tidepool_tests::advice_load;

/// Observed in a pool that is larger than any of them needs.
constexpr std::size_t ample = 100;

TEST_CASE("given independent callers, batches or a day, then 15 % more than advised is enough, 15 % less is not") {
  for (const std::size_t which : {1u, 7u, 18u}) {
    CAPTURE(which);
    workload of = workloads[which];
    of.rate /= 2;
    const trace calls(of, 60, 7 + which);
    const duration goal = of_seconds(of.goal);
    const auto advice = pool_run::of(calls, ample, goal, 100ms).advice;
    REQUIRE(advice.known);
    CHECK(std::abs(advice.mean_leases - static_cast<double>(calls.acquires().size()) / 60 * of.mean_hold) < 0.25 * advice.mean_leases);
    const auto size = static_cast<double>(advice.max_size);
    const auto above = pool_run::of(calls, static_cast<std::size_t>(std::ceil(size / 0.85)), goal, 1h);
    CHECK(above.good(goal));
    const auto below = pool_run::of(calls, static_cast<std::size_t>(std::floor(size / 1.15)), goal, 1h);
    CHECK_FALSE(below.good(goal));
  }
}

TEST_CASE("given twenty workloads, when the best size is found, then the advised one is within 15 % of it", "[advice-table]") {
  if (std::getenv("TIDEPOOL_LONG") == nullptr) SUCCEED("in a long run");
  if (std::getenv("TIDEPOOL_LONG") == nullptr) return;
  std::printf(
      "| arrivals | a second | hold | mean | goal | best | advised | off | expected p99 | measured there "
      "|\n|---|---|---|---|---|---|---|---|---|---|\n");
  std::uint64_t seed = 1000;
  for (const workload& of : workloads) {
    const trace calls(of, 600, ++seed);
    const duration goal = of_seconds(of.goal);
    const auto advice = pool_run::of(calls, ample, goal, 1s).advice;
    REQUIRE(advice.known);
    const std::size_t best = best_size(calls, goal, advice.max_size);
    const double off = static_cast<double>(advice.max_size) / static_cast<double>(best) - 1;
    const auto there = pool_run::of(calls, advice.max_size, goal, 1h);
    const auto ms = [](duration d) { return std::chrono::duration<double, std::milli>(d).count(); };
    std::printf("| %s | %.0f | %s | %.0f ms | %.0f ms | %zu | %zu | %+.0f %% | %.1f ms | %.1f ms |\n", to_string(of.how), advice.arrivals,
                to_string(of.hold), of.mean_hold * 1e3, of.goal * 1e3, best, advice.max_size, off * 100, ms(advice.around[3].p99_wait),
                ms(there.p99));
    std::fflush(stdout);
    CHECK(std::abs(off) <= 0.15);
  }
}

}  // namespace advice_tests
