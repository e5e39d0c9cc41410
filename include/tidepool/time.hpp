// SPDX-License-Identifier: BSL-1.0
// tidepool - durations, and "no limit" as a value of its own.
#ifndef TIDEPOOL_TIME_HPP
#define TIDEPOOL_TIME_HPP

#include <chrono>
#include <concepts>
#include <cstddef>
#include <limits>
#include <ratio>
#include <utility>

#include "detail/util/attributes.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Every duration of the pool; any `std::chrono` duration converts to it.
using duration = std::chrono::nanoseconds;

/// Means "unlimited" as a duration or a count. Zero never means unlimited.
struct no_limit_t {
  constexpr operator duration() const noexcept { return (duration::max)(); }
  /// Converts to `std::size_t` exactly: otherwise `duration(no_limit)` would be made from a number, and be -1.
  template <std::same_as<std::size_t> T>
  constexpr operator T() const noexcept {
    return (std::numeric_limits<std::size_t>::max)();
  }

  friend constexpr bool operator==(duration value, no_limit_t) noexcept { return value == (duration::max)(); }
  friend constexpr bool operator==(std::size_t value, no_limit_t) noexcept { return value == (std::numeric_limits<std::size_t>::max)(); }
};
inline constexpr no_limit_t no_limit{};

/// A duration as an argument. The standard's conversion from a coarser unit overflows, so that `hours::max()` becomes minus one hour;
/// this one stops at the longest duration, `no_limit`, and at the shortest.
class time_limit : public duration {
 public:
  constexpr time_limit() noexcept : duration(duration::zero()) {}
  constexpr time_limit(no_limit_t) noexcept : duration((duration::max)()) {}
  template <class Rep, class Period>
  requires std::convertible_to<std::chrono::duration<Rep, Period>, duration>
  constexpr time_limit(std::chrono::duration<Rep, Period> value) noexcept : duration(saturated(value)) {}

 private:
  template <class Rep, class Period>
  static constexpr duration saturated(std::chrono::duration<Rep, Period> value) noexcept {
    using ratio = std::ratio_divide<Period, duration::period>;  // a whole number, because the conversion is lossless
    if constexpr (std::integral<Rep>) {
      if (std::cmp_greater(value.count(), (duration::max)().count() / ratio::num)) return (duration::max)();
      if (std::cmp_less(value.count(), (duration::min)().count() / ratio::num)) return (duration::min)();
    }
    return value;
  }
};

namespace detail {

/// Stands for the pool's clock, whatever that is: the core names no clock, and cannot read one.
struct clock_of_pool {
  using duration = tidepool::duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<clock_of_pool>;
  static constexpr bool is_steady = true;
};
using tick = clock_of_pool::time_point;
inline constexpr tick never = (tick::max)();
/// A point in time that is not known: a connection does not tell when its server answered, say.
inline constexpr tick not_known{};

/// What a point in time of another clock is for the core.
template <class Clock, class Span>
constexpr tick tick_of(std::chrono::time_point<Clock, Span> at) noexcept {
  return tick(std::chrono::duration_cast<duration>(at.time_since_epoch()));
}

/// `at + span` that stops at `never`, and at the beginning of time.
TIDEPOOL_ALWAYS_INLINE constexpr tick later(tick at, duration span) noexcept {
  if (span == no_limit || at == never) return never;
  if (span > duration::zero() && at > never - span) return never;
  if (span < duration::zero() && at < (tick::min)() - span) return (tick::min)();
  return at + span;
}

}  // namespace detail

/// A point in time by the pool's clock, as policies get and give it. No span of time converts to it, nor it to one.
using detail::tick;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
