// SPDX-License-Identifier: BSL-1.0
// tidepool - the time integral of a count, for one addition at each change.
#ifndef TIDEPOOL_DETAIL_UTIL_INTEGRAL_HPP
#define TIDEPOOL_DETAIL_UTIL_INTEGRAL_HPP

#include <cstdint>

#include "../../time.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// With n things counted at time t, the integral is n * t, minus the sum of the times at which they were added, plus the sum of the times
/// at which they were removed. Only differences are used, so arithmetic modulo 2^64 is exact. In steps of 1,024 ns that holds for 300,000
/// years of all things together between two reads; nanoseconds would allow ten days of ten thousand things.
class count_integral {
 public:
  void came(tick now) noexcept { offset_ -= ticks(now); }
  void left(tick now) noexcept { offset_ += ticks(now); }
  /// Corrects the integral: one thing was counted for this long although it was not there.
  void absent(duration time) noexcept { offset_ -= ticks(time); }
  /// Nanoseconds times things since the previous call.
  double take(tick now, std::size_t count) noexcept {
    const std::uint64_t value = offset_ + ticks(now) * count;
    const auto grown = static_cast<std::int64_t>(value - taken_);
    taken_ = value;
    return grown > 0 ? static_cast<double>(grown) * step : 0.0;  // a coarse clock may lag behind a fine one
  }

 private:
  static constexpr double step = 1'024;
  static std::uint64_t ticks(duration time) noexcept { return static_cast<std::uint64_t>(time.count() >> 10); }
  static std::uint64_t ticks(tick at) noexcept { return ticks(at.time_since_epoch()); }

  std::uint64_t offset_ = 0;
  std::uint64_t taken_ = 0;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
