// SPDX-License-Identifier: BSL-1.0
// tidepool - the clock, the timer and the random numbers of the driver.
//
// A pool can be simulated, so it takes these from its Traits. libpq and sockets work in real time only, and so does the driver.
#ifndef TIDEPOOL_POSTGRES_DETAIL_REAL_TIME_HPP
#define TIDEPOOL_POSTGRES_DETAIL_REAL_TIME_HPP

#include <time.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "../../detail/driver/asio_io.hpp"
#include "../../time.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

using clock = std::chrono::steady_clock;
/// Asio's timers of another type share nothing with those of a program: a simulation tells by that which of the two it meets.
struct wait_traits : asio::wait_traits<clock> {};
using real_timer = asio::basic_waitable_timer<clock, wait_traits>;  // NOLINT(clock)
using random_engine = std::minstd_rand;
inline random_engine seeded_random() { return random_engine(std::random_device{}()); }  // NOLINT(clock)

/// Up to some milliseconds behind `clock::now()`, at a fifth of its cost.
inline clock::time_point coarse_now() noexcept {
#if defined(__linux__) && defined(CLOCK_MONOTONIC_COARSE)
  timespec now{};
  if (::clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0) {
    return clock::time_point(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
  }
#endif
  return clock::now();
}
/// `at + span` without an overflow; `no_limit` is never.
inline clock::time_point later(clock::time_point at, duration span) noexcept {
  if (span == no_limit) return clock::time_point::max();
  return at + std::chrono::duration_cast<clock::duration>(std::min<duration>(span, std::chrono::hours(24 * 365)));
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
