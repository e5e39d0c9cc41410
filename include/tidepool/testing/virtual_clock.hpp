// SPDX-License-Identifier: BSL-1.0
// tidepool - a clock whose time changes only when a test moves it.
#ifndef TIDEPOOL_TESTING_VIRTUAL_CLOCK_HPP
#define TIDEPOOL_TESTING_VIRTUAL_CLOCK_HPP

#include <chrono>

#include "../version.hpp"
#include "thread_binding.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing {

/// A chrono clock. `now()` has to be static, so the time comes from the calling thread: it is the time that is bound to the thread, or the
/// epoch when none is. A `simulation` binds its time to the thread that made it, as long as it lives, and before all others while it runs a
/// handler. Simulations of two threads do not affect each other.
struct virtual_clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<virtual_clock, duration>;
  static constexpr bool is_steady = true;

  /// The time that `now()` returns on the thread it is bound to.
  using binding = thread_binding<const time_point>;

  static time_point now() noexcept {
    const time_point* source = binding::current();
    return source ? *source : time_point{};
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing

#endif
