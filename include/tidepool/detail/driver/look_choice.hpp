// SPDX-License-Identifier: BSL-1.0
// tidepool - whether it pays to look for what comes next for a moment before one sleeps.
#ifndef TIDEPOOL_DETAIL_DRIVER_LOOK_CHOICE_HPP
#define TIDEPOOL_DETAIL_DRIVER_LOOK_CHOICE_HPP

#include <algorithm>
#include <chrono>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

using look_clock = std::chrono::steady_clock;
inline look_clock::time_point look_now() noexcept { return look_clock::now(); }  // NOLINT(clock): of the drivers

/// After each look that was in vain one, two, four ... up to 64 chances are let pass.
class look_choice {
 public:
  bool take_chance() noexcept {
    if (passed_over_ == 0) return true;
    --passed_over_;
    return false;
  }
  void ended(bool in_time) noexcept {
    in_vain_ = in_time ? 0 : std::min(std::max(in_vain_ * 2, 1U), 64U);
    passed_over_ = in_vain_;
  }

 private:
  unsigned in_vain_ = 0;
  unsigned passed_over_ = 0;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
