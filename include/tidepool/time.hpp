// tidepool - durations, and "no limit" as a value of its own.
#ifndef TIDEPOOL_TIME_HPP
#define TIDEPOOL_TIME_HPP

#include <chrono>
#include <concepts>
#include <cstddef>
#include <limits>

namespace tidepool {

/// Every duration of the pool; any `std::chrono` duration converts to it.
using duration = std::chrono::nanoseconds;

/// Says "unlimited" where a duration or a count is asked for. Zero never means unlimited.
struct no_limit_t {
  constexpr operator duration() const noexcept { return duration::max(); }
  /// To `std::size_t` and nothing it converts to: `duration(no_limit)` would else be made from a number, and be -1.
  template <std::same_as<std::size_t> T>
  constexpr operator T() const noexcept {
    return std::numeric_limits<std::size_t>::max();
  }

  friend constexpr bool operator==(duration value, no_limit_t) noexcept { return value == duration::max(); }
  friend constexpr bool operator==(std::size_t value, no_limit_t) noexcept { return value == std::numeric_limits<std::size_t>::max(); }
};
inline constexpr no_limit_t no_limit{};

namespace detail {

/// A point of the pool's clock as nanoseconds since that clock's epoch: the core names no clock.
using tick = std::chrono::nanoseconds;
inline constexpr tick never = tick::max();

/// `at + span` that stops at `never`.
constexpr tick later(tick at, duration span) noexcept {
  if (span == never || at == never) return never;
  if (span > duration::zero() && at > never - span) return never;
  return at + span;
}

}  // namespace detail
}  // namespace tidepool

#endif
