// SPDX-License-Identifier: BSL-1.0
// tidepool - a clock that stands still until a test moves it.
#ifndef TIDEPOOL_TESTING_VIRTUAL_CLOCK_HPP
#define TIDEPOOL_TESTING_VIRTUAL_CLOCK_HPP

#include <chrono>

#include "../version.hpp"
#include "thread_binding.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing {

/// A chrono clock. Its `now()` is static, as chrono asks, so the time has to be found from the thread: it is that of the time source
/// bound to the calling thread, or the epoch when none is. A `simulation` binds its own time to the thread that made it, for as long as it
/// lives, and on top of all others while it runs a handler. Two threads with a simulation each do not see one another.
struct virtual_clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<virtual_clock, duration>;
  static constexpr bool is_steady = true;

  /// What `now()` reads on the thread it is bound to.
  using binding = thread_binding<const time_point>;

  static time_point now() noexcept {
    const time_point* source = binding::current();
    return source ? *source : time_point{};
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing

#endif
