// SPDX-License-Identifier: BSL-1.0
// tidepool - the clock, the timer and the random numbers of the driver.
//
// A pool can be simulated, so it takes these from its Traits. libpq and sockets work in real time only; limits and pauses of the driver are
// virtual where a scripted server answers in a simulation.
#ifndef TIDEPOOL_DETAIL_DRIVER_REAL_TIME_HPP
#define TIDEPOOL_DETAIL_DRIVER_REAL_TIME_HPP

#include <time.h>

#include <algorithm>
#include <chrono>

#include "../../time.hpp"
#include "../../version.hpp"
#include "../util/random.hpp"
#include "../util/system_seed.hpp"
#include "asio_io.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver {

/// The time of a simulation, on the thread that runs it. For the testing kit.
class time_source {
 public:
  virtual std::chrono::steady_clock::time_point now() const noexcept = 0;
  /// A timer of the driver is set to `at`: Asio has to look at its timers then.
  virtual void wake_at(std::chrono::steady_clock::time_point at) = 0;

 protected:
  ~time_source() = default;
};
/// Null where time is real.
inline constinit thread_local time_source* simulated_time = nullptr;

/// Steady time, or a simulation's: limits and pauses of the driver go by this.
struct clock {
  using duration = std::chrono::steady_clock::duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::steady_clock::time_point;
  static constexpr bool is_steady = true;
  static time_point now() noexcept { return simulated_time == nullptr ? real_now() : simulated_time->now(); }
  /// Real time also in a simulation; for what is only reported.
  static time_point real_now() noexcept { return std::chrono::steady_clock::now(); }  // NOLINT(clock): of the driver
};

template <class = void>
inline splitmix seeded_random() {
  return splitmix(seed_of_system());
}

/// Up to some milliseconds behind `clock::real_now()`, at a fifth of its cost.
inline clock::time_point coarse_now() noexcept {
#if defined(__linux__) && defined(CLOCK_MONOTONIC_COARSE)
  timespec now{};
  if (::clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0) {  // NOLINT(clock): of the driver
    return clock::time_point(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
  }
#endif
  return clock::real_now();
}
/// `at + span` without an overflow; `no_limit` is never.
inline clock::time_point later(clock::time_point at, duration span) noexcept {
  if (span == no_limit) return clock::time_point::max();
  return at + std::chrono::duration_cast<clock::duration>(std::min<duration>(span, std::chrono::hours(24 * 365)));
}

/// A timer of that clock.
template <class = void>
class basic_real_timer : public asio::basic_waitable_timer<clock> {
 public:
  using asio::basic_waitable_timer<clock>::basic_waitable_timer;
  void expires_at(time_point at) {
    if (simulated_time != nullptr) simulated_time->wake_at(at);
    asio::basic_waitable_timer<clock>::expires_at(at);
  }
  void expires_after(tidepool::duration span) { expires_at(later(clock::now(), span)); }
};
using real_timer = basic_real_timer<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver

#endif
