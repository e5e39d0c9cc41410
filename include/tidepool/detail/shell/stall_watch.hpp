// SPDX-License-Identifier: BSL-1.0
// tidepool - tells that the event loop stood still, or the machine.
#ifndef TIDEPOOL_DETAIL_SHELL_STALL_WATCH_HPP
#define TIDEPOOL_DETAIL_SHELL_STALL_WATCH_HPP

#include <algorithm>

#include "../../events.hpp"
#include "../../time.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Asked when a timer fires, under the pool's lock.
template <class Traits>
class stall_watch {
 public:
  /// A timer that was due at `due` fires.
  stall_event look(tick due, tick now) noexcept {
    const duration slept = slept_so_far();
    const stall_event seen{(std::max)(now, due) - due, (std::max)(slept, slept_) - slept_};
    slept_ = (std::max)(slept_, slept);
    return seen;
  }
  static bool is_stall(const stall_event& seen, duration threshold) noexcept {
    return threshold != no_limit && (std::max)(seen.late, seen.suspended) >= threshold;
  }

 private:
  static duration slept_so_far() noexcept {
    if constexpr (requires { duration(Traits::suspended()); }) return Traits::suspended();
    return {};
  }

  duration slept_ = slept_so_far();
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
