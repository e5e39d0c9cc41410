// SPDX-License-Identifier: BSL-1.0
// tidepool - a small seedable generator for jitter and shuffles, without <random>, which every file would read.
// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014): SplitMix64.
#ifndef TIDEPOOL_DETAIL_UTIL_RANDOM_HPP
#define TIDEPOOL_DETAIL_UTIL_RANDOM_HPP

#include <cstdint>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

class splitmix {
 public:
  using result_type = std::uint64_t;
  static constexpr result_type(min)() noexcept { return 0; }
  static constexpr result_type(max)() noexcept { return ~result_type{0}; }

  explicit splitmix(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t operator()() noexcept {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, 1).
  double unit() noexcept { return static_cast<double>((*this)() >> 11) * 0x1.0p-53; }
  /// Uniform from 0 to `most`, as evenly as a double can.
  std::int64_t up_to(std::int64_t most) noexcept { return static_cast<std::int64_t>(unit() * (static_cast<double>(most) + 1)); }

 private:
  std::uint64_t state_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
