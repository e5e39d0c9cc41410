// SPDX-License-Identifier: BSL-1.0
// tidepool - many runs: seeds, modes, replay, and the smallest record that still shows a failure.
#ifndef TIDEPOOL_TESTS_SIMULATOR_EXPLORE_HPP
#define TIDEPOOL_TESTS_SIMULATOR_EXPLORE_HPP

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "scenario.hpp"

#if !defined(_WIN32)  // no sanitizers, no weak symbols, and no SIGBUS
extern "C" void __sanitizer_set_death_callback(void (*)()) __attribute__((weak));
#endif

namespace tidepool_sim {

enum class mode { random, pct };
inline const char* to_string(mode m) { return m == mode::random ? "random" : "pct"; }

inline choice_source source_of(mode m, std::uint64_t seed) {
  return m == mode::random ? choice_source::random(seed) : choice_source::pct(seed, 2 + seed % 4, 400);
}

using record = std::vector<std::uint32_t>;

inline outcome replay(const record& values) {
  choice_source c = choice_source::replay(values);
  return run_any(c);
}

/// On a crash prints the seed of the run, with which it can be repeated.
class crash_note {
 public:
  crash_note(mode m, std::uint64_t seed) {
    std::snprintf(text_, sizeof text_, "\nsimulator: crashed; again with TIDEPOOL_SIM_SEED=%s:%llu tidepool_test_simulator '[replay]'\n",
                  to_string(m), static_cast<unsigned long long>(seed));
    install();
  }
  ~crash_note() { text_[0] = '\0'; }
  crash_note(const crash_note&) = delete;
  crash_note& operator=(const crash_note&) = delete;

 private:
  static void tell() {
    if (text_[0] != '\0' && ::write(2, text_, static_cast<unsigned>(std::strlen(text_))) < 0) text_[0] = '\0';
  }
  static void on_crash(int number) {
    tell();
    std::signal(number, SIG_DFL);
    std::raise(number);
  }
  static void install() {
    static const bool once = [] {
#if !defined(_WIN32)
      if (__sanitizer_set_death_callback) {
        __sanitizer_set_death_callback(&tell);
        return true;
      }
      std::signal(SIGBUS, &on_crash);
#endif
      for (const int what : {SIGSEGV, SIGABRT, SIGFPE, SIGILL}) std::signal(what, &on_crash);
      return true;
    }();
    static_cast<void>(once);
  }
  static inline char text_[160] = "";
};

inline outcome run_seed(mode m, std::uint64_t seed, record* values = nullptr) {
  const crash_note note(m, seed);
  choice_source c = source_of(m, seed);
  outcome out = run_any(c);
  if (values) *values = c.values();
  return out;
}

/// A number from the environment.
inline std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// Drops the tail, drops and zeroes ranges, lowers single values, as long as the same rule breaks. Bounded: it runs the simulation
/// `attempts` times at most; TIDEPOOL_SIM_SHRINK says how often, if not 4000 times.
inline record shrink(record best, const std::string& rule, std::size_t attempts = setting("TIDEPOOL_SIM_SHRINK", 4000)) {
  const auto still = [&](const record& candidate) {
    if (attempts == 0 || candidate == best) return false;
    --attempts;
    const outcome o = replay(candidate);
    if (!o.failed || o.failed->rule != rule) return false;
    best = candidate;
    return true;
  };
  for (bool better = true; better && attempts > 0;) {
    better = false;
    while (!best.empty() && best.back() == 0) best.pop_back();
    for (std::size_t width = std::max<std::size_t>(best.size() / 2, 1); width > 0; width /= 2) {
      for (std::size_t at = best.size(); at > 0 && attempts > 0;) {
        at = at > width ? at - width : 0;
        if (at >= best.size()) continue;
        const std::size_t end = std::min(at + width, best.size());
        record without = best;
        without.erase(without.begin() + static_cast<std::ptrdiff_t>(at), without.begin() + static_cast<std::ptrdiff_t>(end));
        record zeroed = best;
        std::fill(zeroed.begin() + static_cast<std::ptrdiff_t>(at), zeroed.begin() + static_cast<std::ptrdiff_t>(end), 0);
        better = still(without) || still(zeroed) || better;
      }
    }
    for (std::size_t i = 0; i < best.size() && attempts > 0; ++i) {
      for (std::uint32_t lower = 0; lower < std::min<std::uint32_t>(best[i], 4); ++lower) {
        record candidate = best;
        candidate[i] = lower;
        if (still(candidate)) {
          better = true;
          break;
        }
      }
    }
  }
  return best;
}

/// The report of a failed run: rule, seed, and a command that runs its shortest version.
inline std::string story(mode m, std::uint64_t seed) {
  record values;
  const outcome first = run_seed(m, seed, &values);
  if (!first.failed) return "it did not fail again: the run depends on something besides its choices";
  const record least = shrink(values, first.failed->rule);
  const outcome last = replay(least);
  return first.failed->rule + ": " + first.failed->text + "\n  seed " + to_string(m) + ":" + std::to_string(seed) + ", " +
         std::to_string(values.size()) + " choices; shrunk: " + (last.failed ? last.failed->text : "") +
         "\n  TIDEPOOL_SIM_VERBOSE=1 TIDEPOOL_SIM_REPLAY='" + tidepool::testing::to_text(least) + "' tidepool_test_simulator '[replay]'";
}

/// Runs seeds until `more(sums)` returns false. Returns the report of the first failure, or nothing.
template <class More>
std::optional<std::string> explore(mode m, std::uint64_t first_seed, tally& sums, More more) {
  for (std::uint64_t seed = first_seed; more(sums); ++seed) {
    const outcome out = run_seed(m, seed);
    sums += out.sums;
    if (out.failed) return story(m, seed);
  }
  return std::nullopt;
}

inline std::string to_text(const tally& t, double seconds) {
  char out[256];
  std::snprintf(
      out, sizeof out,
      "%llu schedules, %llu steps (%.0f/s), %llu checks, %llu faults, %llu acquires, %llu grants, %llu cancellations, %llu stashed",
      static_cast<unsigned long long>(t.runs), static_cast<unsigned long long>(t.steps),
      seconds > 0 ? static_cast<double>(t.steps) / seconds : 0.0, static_cast<unsigned long long>(t.checks),
      static_cast<unsigned long long>(t.faults), static_cast<unsigned long long>(t.acquires), static_cast<unsigned long long>(t.grants),
      static_cast<unsigned long long>(t.cancels), static_cast<unsigned long long>(t.stashed));
  return out;
}

}  // namespace tidepool_sim

#endif
