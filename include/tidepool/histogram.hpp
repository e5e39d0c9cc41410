// SPDX-License-Identifier: BSL-1.0
// tidepool - a fixed histogram of durations: eight buckets per power of two, so a quantile is off by 12.5 % at most.
// Source: the log-linear buckets of HdrHistogram (G. Tene). No lock and no allocation; not thread safe.
#ifndef TIDEPOOL_HISTOGRAM_HPP
#define TIDEPOOL_HISTOGRAM_HPP

#include <array>
#include <bit>
#include <cstdint>

#include "detail/util/linkage.hpp"
#include "detail/util/smaller.hpp"
#include "detail/util/wide.hpp"
#include "time.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Counts durations from nanoseconds to hours in 2.4 kB.
class histogram {
 public:
  /// Counts a value, once or several times.
  void record(duration value) noexcept { record(value, 1); }
  void record(duration value, std::uint64_t times) noexcept {
    const auto ns = static_cast<std::uint64_t>(detail::larger_of<duration::rep>(value.count(), 0));
    buckets_[index(ns)] += times;
    count_ += times;
    sum_ += detail::wide::product(ns, times);
    max_ = detail::larger_of(max_, ns);
  }

  /// Removes a recorded value; `max()` does not change.
  void forget(duration value, std::uint64_t times = 1) noexcept {
    const auto ns = static_cast<std::uint64_t>(detail::larger_of<duration::rep>(value.count(), 0));
    buckets_[index(ns)] -= times;
    count_ -= times;
    sum_ -= detail::wide::product(ns, times);
  }
  std::uint64_t count() const noexcept { return count_; }
  /// Stops at `duration::max()`, which is 292 years: a thousand leases that are always held reach it in 107 days.
  duration sum() const noexcept { return length(sum_.capped()); }
  /// The same without that limit.
  double sum_seconds() const noexcept { return sum_.number() * 1e-9; }
  duration(max)() const noexcept { return length(max_); }
  duration mean() const noexcept { return count_ ? length(sum_.over(count_)) : duration::zero(); }

  /// The smallest bucket bound that at least the share `q` (0..1) of all values does not exceed; zero when empty.
  TIDEPOOL_DECL duration quantile(double q) const noexcept;
  /// How many values are at most `bound`, to the resolution of the buckets.
  TIDEPOOL_DECL std::uint64_t at_most(duration bound) const noexcept;

  /// Adds what another has counted.
  TIDEPOOL_DECL histogram& operator+=(const histogram& other) noexcept;

 private:
  static constexpr unsigned sub_bits = 3;  // eight buckets per octave
  static constexpr unsigned octaves = 37;  // 2^(3+37) ns is 18 minutes; the last bucket takes longer ones
  static constexpr std::size_t size = (octaves + 1) << sub_bits;

  static duration length(std::uint64_t ns) noexcept {
    return duration(static_cast<duration::rep>(detail::smaller_of(ns, static_cast<std::uint64_t>((duration::max)().count()))));
  }

  static std::size_t index(std::uint64_t ns) noexcept {
    if (ns < (1u << sub_bits)) return static_cast<std::size_t>(ns);
    const unsigned octave = static_cast<unsigned>(std::bit_width(ns)) - 1 - sub_bits;
    const std::size_t i = ((std::size_t{octave} + 1) << sub_bits) + ((ns >> octave) & ((1u << sub_bits) - 1));
    return detail::smaller_of(i, size - 1);
  }
  static std::uint64_t upper(std::size_t i) noexcept {
    if (i < (1u << sub_bits)) return i;
    if (i == size - 1) return ~std::uint64_t{0};
    const unsigned octave = static_cast<unsigned>(i >> sub_bits) - 1;
    return ((std::uint64_t{(1u << sub_bits) + (i & ((1u << sub_bits) - 1))} + 1) << octave) - 1;
  }

  std::array<std::uint64_t, size> buckets_{};
  std::uint64_t count_ = 0;
  detail::wide sum_;
  std::uint64_t max_ = 0;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#if TIDEPOOL_HEADER_ONLY
#include "impl/histogram.ipp"
#endif

#endif
