// SPDX-License-Identifier: BSL-1.0
// tidepool - limits of time in tests that hold on slow and busy machines.
#ifndef TIDEPOOL_TESTS_SUPPORT_PACE_HPP
#define TIDEPOOL_TESTS_SUPPORT_PACE_HPP

#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>

namespace tidepool_tests {

/// How slow this machine is now, from 1 to 10: how many milliseconds it takes to start a program, which is 1 on a quick machine with
/// nothing else to do. A session of a server is a process, so that is what most limits of these tests wait for.
inline double slowness() {
  static const double factor = [] {
    using clock = std::chrono::steady_clock;
    double slowest = 1;
    for (int i = 0; i < 5; ++i) {
      const auto begun = clock::now();
      ::pid_t child = 0;
      char program[] = "/bin/true";
      char* const arguments[] = {program, nullptr};
      char* const environment[] = {nullptr};
      if (::posix_spawn(&child, program, nullptr, nullptr, arguments, environment) != 0) break;
      (void)::waitpid(child, nullptr, 0);
      slowest = std::max(slowest, std::chrono::duration<double, std::milli>(clock::now() - begun).count());
    }
    return std::min(slowest, 10.0);
  }();
  return factor;
}

/// A limit that is `quick` on a quick machine, and in proportion longer on another one. For a limit that must not pass too early: what it
/// is compared with has to be longer than ten times as much.
inline std::chrono::milliseconds paced(std::chrono::milliseconds quick) {
  return std::chrono::milliseconds(static_cast<std::chrono::milliseconds::rep>(static_cast<double>(quick.count()) * slowness()));
}

}  // namespace tidepool_tests

#endif
