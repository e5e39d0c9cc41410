// SPDX-License-Identifier: BSL-1.0
// tidepool - dates and times, which SQLite keeps as text, integers or reals: by choice.
// Before the guard: codec.hpp includes this file where its own declarations are complete.
#include "codec.hpp"

#ifndef TIDEPOOL_SQLITE_CODEC_TIME_HPP
#define TIDEPOOL_SQLITE_CODEC_TIME_HPP

#include <chrono>
#include <cstdint>
#include <limits>
#include <ratio>
#include <string>
#include <string_view>
#include <type_traits>

#include "../detail/util/lazy.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {

/// A point in time that is kept as an integer, the number of D since 1970: `unix_time(std::chrono::system_clock::now())` of seconds,
/// milliseconds, ...; a `std::chrono::sys_time` is kept as text.
template <class D = std::chrono::seconds>
struct unix_time {
  std::chrono::sys_time<D> at{};

  unix_time() = default;
  explicit unix_time(std::chrono::sys_time<D> when) : at(when) {}
  friend bool operator==(const unix_time&, const unix_time&) = default;
};

namespace detail {

/// Days since 1970 and the time of the day, as SQLite's date functions write and read them.
struct moment {
  std::int64_t days = 0;
  std::int64_t nanos = 0;  ///< since midnight
};
/// `digits` of the fraction of a second; -1: the date alone. Throws `bad_parameter` outside of the years 0 to 9999.
TIDEPOOL_LAZY std::string moment_text(const moment& when, int digits);
/// Of a text, an integer (seconds since 1970) or a real (Julian day).
TIDEPOOL_LAZY moment moment_of(const value& v);

inline constexpr std::int64_t nanos_per_day = 86'400'000'000'000;

template <class Period>
constexpr int fraction_digits() {
  if constexpr (std::ratio_greater_equal_v<Period, std::chrono::days::period>) return -1;
  if constexpr (std::ratio_greater_equal_v<Period, std::ratio<1>>) return 0;
  if constexpr (std::ratio_greater_equal_v<Period, std::milli>) return 3;
  if constexpr (std::ratio_greater_equal_v<Period, std::micro>) return 6;
  return 9;
}

template <class Point>
moment moment_from(Point when) {
  const auto days = std::chrono::floor<std::chrono::days>(when.time_since_epoch());
  const auto rest = when.time_since_epoch() - days;
  return {days.count(), std::chrono::duration_cast<std::chrono::nanoseconds>(rest).count()};
}
template <class Point>
Point moment_to(const moment& when) {
  using span = typename Point::duration;
  // The widest: a double for the check, because days of nanoseconds do not fit.
  const double about = (static_cast<double>(when.days) * 86400.0 + static_cast<double>(when.nanos) / 1e9) *
                       static_cast<double>(span::period::den) / static_cast<double>(span::period::num);
  if (about > 9.2e18 || about < -9.2e18 || about > static_cast<double>(span::max().count()) ||
      about < static_cast<double>(span::min().count())) {
    throw conversion_error("within the range of the C++ type");
  }
  const auto days = std::chrono::duration<std::int64_t, std::chrono::days::period>(when.days);
  return Point(std::chrono::floor<span>(days) + std::chrono::floor<span>(std::chrono::nanoseconds(when.nanos)));
}

}  // namespace detail

/// A point in time: "2024-02-29 12:34:56", with as many digits of the second as the type has, in UTC; whole days: "2024-02-29". Read from
/// text (with 'T', "Z" or an offset too), from an integer (seconds since 1970), and from a real (a Julian day). What is finer than the type
/// is cut towards the past.
template <class D>
requires std::integral<typename D::rep>
struct codec<std::chrono::sys_time<D>> {
  static void encode(parameter& out, std::chrono::sys_time<D> given) {
    out.text(detail::moment_text(detail::moment_from(given), detail::fraction_digits<typename D::period>()));
  }
  static std::chrono::sys_time<D> decode(const value& v) { return detail::moment_to<std::chrono::sys_time<D>>(detail::moment_of(v)); }
};
/// "2024-02-29".
template <>
struct codec<std::chrono::year_month_day> {
  template <class = void>
  static void encode(parameter& out, std::chrono::year_month_day given) {
    if (!given.ok()) throw error(errc::bad_parameter, "a day that is not in the calendar");
    codec<std::chrono::sys_days>::encode(out, std::chrono::sys_days(given));
  }
  template <class = void>
  static std::chrono::year_month_day decode(const value& v) {
    return std::chrono::year_month_day(codec<std::chrono::sys_days>::decode(v));
  }
};
/// As an integer: how many D.
template <class D>
requires std::integral<typename D::rep>
struct codec<unix_time<D>> {
  static void encode(parameter& out, unix_time<D> given) { codec<typename D::rep>::encode(out, given.at.time_since_epoch().count()); }
  static unix_time<D> decode(const value& v) { return unix_time<D>(std::chrono::sys_time<D>(D(codec<typename D::rep>::decode(v)))); }
};
/// A duration, as the number of its ticks.
template <class Rep, class Period>
requires std::integral<Rep>
struct codec<std::chrono::duration<Rep, Period>> {
  using span = std::chrono::duration<Rep, Period>;
  static void encode(parameter& out, span given) { codec<Rep>::encode(out, given.count()); }
  static span decode(const value& v) { return span(codec<Rep>::decode(v)); }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

#if TIDEPOOL_HEADER_ONLY
#include "impl/codec_time.ipp"
#endif

#endif
