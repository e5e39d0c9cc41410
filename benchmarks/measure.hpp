// SPDX-License-Identifier: BSL-1.0
// tidepool - what the benchmarks share that ask a server.
#ifndef TIDEPOOL_BENCHMARKS_MEASURE_HPP
#define TIDEPOOL_BENCHMARKS_MEASURE_HPP

#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>

/// How long each case is measured.
inline std::chrono::nanoseconds measured_for() {
  const char* said = std::getenv("SECONDS_A_CASE");
  return std::chrono::nanoseconds(static_cast<std::int64_t>((said ? std::atof(said) : 1.0) * 1e9));
}
/// Of this process so far.
inline double cpu_us() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto us = [](const timeval& t) { return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec); };
  return us(used.ru_utime) + us(used.ru_stime);
}

#endif
