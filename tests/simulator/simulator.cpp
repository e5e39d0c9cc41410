// SPDX-License-Identifier: BSL-1.0
// tidepool - the real pool in the simulator: fixed seeds, each of them twice, and replay.
#include <ctime>

#include "explore.hpp"

#include "../fuzz/corpus.hpp"
#include "../support/catch.hpp"

using namespace tidepool_sim;

TEST_CASE("given 1000 fixed seeds a mode, when the pool is simulated, then no invariant breaks") {
  const auto how = GENERATE(mode::random, mode::pct);
  tally sums;
  const auto broken = explore(how, 1, sums, [](const tally& t) { return t.runs < 1000; });
  INFO(broken.value_or(""));
  CHECK_FALSE(broken);
  CHECK(sums.grants > 1000);
  // Only where the place of a lease can be changed without the lock.
  if (tidepool::detail::relaxed<tidepool::source_location>::free) CHECK(sums.stashed > 10);
}

TEST_CASE("given a seed, when it is run twice, then both runs are the same, and so is the replay of its record") {
  const auto how = GENERATE(mode::random, mode::pct);
  std::vector<std::uint64_t> traces;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    record values;
    const outcome one = run_seed(how, seed, &values);
    const outcome two = run_seed(how, seed);
    const outcome three = replay(values);
    INFO(to_string(how) << ":" << seed);
    REQUIRE(one.trace == two.trace);
    REQUIRE(one.sums.steps == two.sums.steps);
    REQUIRE(one.trace == three.trace);
    traces.push_back(one.trace);
  }
  std::sort(traces.begin(), traces.end());
  CHECK(std::unique(traces.begin(), traces.end()) - traces.begin() > 180);
}

TEST_CASE("given a run from the environment or the first seed, when it is replayed, then no invariant breaks", "[replay]") {
  outcome out;
  if (const char* text = std::getenv("TIDEPOOL_SIM_REPLAY")) {
    out = replay(tidepool::testing::record_from_text(text));
  } else {
    const char* seed = std::getenv("TIDEPOOL_SIM_SEED");
    const std::string from = seed ? seed : "random:1";
    const auto how = from.substr(0, 3) == "pct" ? mode::pct : mode::random;
    out = run_seed(how, std::strtoull(from.substr(from.find(':') + 1).c_str(), nullptr, 10));
  }
  INFO((out.failed ? out.failed->rule + ": " + out.failed->text : ""));
  CHECK_FALSE(out.failed);
  CHECK(out.sums.checks > 0);
}

TEST_CASE("given choice logs that a fuzzer found, when they are played, then no invariant breaks") {
  std::string current;
  const std::size_t files = tidepool_tests::replay_corpus("choice_log", current, [&](const std::uint8_t* data, std::size_t size) {
    auto choices = choice_source::from_bytes(data, size);
    const outcome out = run_any(choices);
    INFO(current << ": " << (out.failed ? out.failed->rule + ": " + out.failed->text : ""));
    REQUIRE_FALSE(out.failed);
  });
  CHECK(files > 10);
}

TEST_CASE("given many seeds in one process, when the pool is simulated for long, then no invariant breaks", "[long]") {
  // TIDEPOOL_SIM_STEPS: as many steps, however long they take. TIDEPOOL_LONG: a thousand million of them in an optimised build, four
  // minutes in others. Else a few seconds.
#ifdef NDEBUG
  constexpr std::uint64_t many = 1'000'000'000;
#else
  constexpr std::uint64_t many = 0;
#endif
  const bool long_run = std::getenv("TIDEPOOL_LONG") != nullptr;
  const std::uint64_t steps = setting("TIDEPOOL_SIM_STEPS", long_run ? many : 0);
  const auto limit = steps ? std::chrono::seconds::max() : long_run ? 240s : 3s;
  const auto begin = std::chrono::steady_clock::now();
  tally sums;
  std::uint64_t seed = 1'000'000;
  std::optional<std::string> broken;
  auto told = begin;
  // Of the processor: on a busy machine the clock on the wall says little.
  const std::clock_t cpu = std::clock();
  const auto seconds = [&cpu] { return static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC; };
  while (!broken && (steps ? sums.steps < steps : std::chrono::steady_clock::now() - begin < limit)) {
    const std::uint64_t until = sums.runs + 500;
    broken = explore(seed % 1000 == 0 ? mode::random : mode::pct, seed, sums, [&](const tally& t) { return t.runs < until; });
    seed += 500;
    if (steps && std::chrono::steady_clock::now() - told > 60s) {
      told = std::chrono::steady_clock::now();
      std::printf("%s\n", to_text(sums, seconds()).c_str());
      std::fflush(stdout);
    }
  }
  std::printf("simulated: %s\n", to_text(sums, seconds()).c_str());
  INFO(broken.value_or(""));
  CHECK_FALSE(broken);
  CHECK(sums.steps > 0);
}
