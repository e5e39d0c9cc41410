// SPDX-License-Identifier: BSL-1.0
// tidepool - the real pool in the simulator with seeds that no run has seen before. TIDEPOOL_SIM_SECONDS: for how long; default 20.
#include <random>

#include "explore.hpp"

#include "../support/catch.hpp"

using namespace tidepool_sim;

TEST_CASE("given fresh seeds, when the pool is simulated for a while, then no invariant breaks") {
  const char* text = std::getenv("TIDEPOOL_SIM_SECONDS");
  const std::chrono::duration<double> limit(text ? std::strtod(text, nullptr) : 20.0);
  std::random_device device;
  std::uint64_t seed = (std::uint64_t{device()} << 32) + device();
  const auto begin = std::chrono::steady_clock::now();
  const auto passed = [&begin] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin); };
  tally sums;
  std::optional<std::string> broken;
  for (int round = 0; !broken && passed() < limit; ++round) {
    const std::uint64_t until = sums.runs + 100;
    broken =
        explore(round % 2 == 0 ? mode::random : mode::pct, seed, sums, [&](const tally& t) { return t.runs < until && passed() < limit; });
    seed += 100;
  }
  std::printf("simulated: %s\n", to_text(sums, passed().count()).c_str());
  INFO(broken.value_or(""));
  CHECK_FALSE(broken);
  CHECK(sums.steps > 0);
}
