// SPDX-License-Identifier: BSL-1.0
// tidepool - 128-bit sums: ten thousand connections add 10^13 nanoseconds a second, too much for 64 bits.
#ifndef TIDEPOOL_DETAIL_UTIL_WIDE_HPP
#define TIDEPOOL_DETAIL_UTIL_WIDE_HPP

#include <cstdint>
#include <limits>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// A number of 128 bits, modulo 2^128.
class wide {
 public:
  constexpr wide() noexcept = default;
  constexpr explicit wide(std::uint64_t value) noexcept : low_(value) {}
  static constexpr wide product(std::uint64_t a, std::uint64_t b) noexcept {
    if ((a | b) >> 32 == 0) return wide(a * b);
    constexpr std::uint64_t half = 0xffffffff;
    const std::uint64_t low = (a & half) * (b & half);
    const std::uint64_t cross = (a >> 32) * (b & half) + (low >> 32);  // at most (2^32 - 1) * 2^32
    const std::uint64_t other = (a & half) * (b >> 32) + (cross & half);
    wide out;
    out.low_ = (other << 32) | (low & half);
    out.high_ = (a >> 32) * (b >> 32) + (cross >> 32) + (other >> 32);
    return out;
  }

  constexpr wide& operator+=(wide other) noexcept {
    low_ += other.low_;
    high_ += other.high_ + (low_ < other.low_ ? 1 : 0);
    return *this;
  }
  constexpr wide& operator-=(wide other) noexcept {
    high_ -= other.high_ + (low_ < other.low_ ? 1 : 0);
    low_ -= other.low_;
    return *this;
  }
  friend constexpr wide operator-(wide a, wide b) noexcept { return a -= b; }
  friend constexpr wide operator+(wide a, wide b) noexcept { return a += b; }

  constexpr double number() const noexcept { return static_cast<double>(high_) * 18446744073709551616.0 + static_cast<double>(low_); }
  /// The largest number of 64 bits for larger ones.
  constexpr std::uint64_t capped() const noexcept { return high_ == 0 ? low_ : (std::numeric_limits<std::uint64_t>::max)(); }
  /// A quotient that fits into 64 bits.
  constexpr std::uint64_t over(std::uint64_t divisor) const noexcept {
    std::uint64_t rest = high_ % divisor;
    std::uint64_t out = 0;
    for (int bit = 63; bit >= 0; --bit) {
      const bool carry = rest >> 63 != 0;
      rest = (rest << 1) | ((low_ >> bit) & 1);
      out <<= 1;
      if (carry || rest >= divisor) {
        rest -= divisor;
        out |= 1;
      }
    }
    return out;
  }

 private:
  std::uint64_t high_ = 0;
  std::uint64_t low_ = 0;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
