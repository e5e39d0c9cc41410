// SPDX-License-Identifier: BSL-1.0
// tidepool - the time integral of a count, at the price of one addition per change.
#ifndef TIDEPOOL_DETAIL_UTIL_INTEGRAL_HPP
#define TIDEPOOL_DETAIL_UTIL_INTEGRAL_HPP

#include <cstdint>

#include "../../time.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// With n things counted at time t, the integral is n * t less the sum of the moments they came, plus the sum of the moments they
/// left. Only differences are used, so arithmetic modulo 2^64 is exact; in steps of 1,024 ns it is so for 300,000 years of all things
/// together between two looks, where nanoseconds would allow for ten days of ten thousand.
class count_integral {
 public:
  void came(tick now) noexcept { offset_ -= ticks(now); }
  void left(tick now) noexcept { offset_ += ticks(now); }
  /// One of the things was not there after all for so long.
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
  static std::uint64_t ticks(tick t) noexcept { return static_cast<std::uint64_t>(t.count() >> 10); }

  std::uint64_t offset_ = 0;
  std::uint64_t taken_ = 0;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
