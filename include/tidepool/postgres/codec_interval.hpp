// SPDX-License-Identifier: BSL-1.0
// tidepool - intervals and durations, and times of day.
// Before the guard: codec.hpp includes this file where its own declarations are complete.
#include "codec.hpp"

#ifndef TIDEPOOL_POSTGRES_CODEC_INTERVAL_HPP
#define TIDEPOOL_POSTGRES_CODEC_INTERVAL_HPP

#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "../detail/util/linkage.hpp"
#include "../version.hpp"
#include "detail/calendar.hpp"
#include "detail/interval_text.hpp"
#include "detail/ticks.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// An interval as the server has it: months, days and microseconds are kept apart, because neither a month nor a day has a fixed length.
/// `{1, 0, 90min}`. Compares field by field: to the server, 1 month equals 30 days.
struct interval {
  std::int32_t months = 0;
  std::int32_t days = 0;
  std::chrono::microseconds microseconds{0};

  /// PostgreSQL 17 and newer; an older server refuses it.
  static constexpr interval infinity() {
    return {std::numeric_limits<std::int32_t>::max(), std::numeric_limits<std::int32_t>::max(), std::chrono::microseconds::max()};
  }
  /// The same.
  static constexpr interval negative_infinity() {
    return {std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::min(), std::chrono::microseconds::min()};
  }
  friend constexpr bool operator==(const interval&, const interval&) = default;
};

/// A time of day, from 00:00 to 24:00; `std::chrono::hh_mm_ss` is one that cannot be compared.
struct time_of_day {
  std::chrono::microseconds since_midnight{0};
  friend constexpr bool operator==(const time_of_day&, const time_of_day&) = default;
  // Durations have no `<=>` in libc++ before version 15.
  friend constexpr std::strong_ordering operator<=>(const time_of_day& a, const time_of_day& b) {
    return a.since_midnight.count() <=> b.since_midnight.count();
  }
};
/// A time of day at an offset from UTC, positive in the east: timetz. Compares field by field.
struct time_of_day_at_offset {
  std::chrono::microseconds since_midnight{0};
  std::chrono::seconds offset{0};
  friend constexpr bool operator==(const time_of_day_at_offset&, const time_of_day_at_offset&) = default;
};

namespace detail {

/// `std::chrono::months` and `years` are averages, 30.436875 and 365.2425 days: an interval of them would not be a month or a year.
template <class D>
concept average_span = tick_span<D> &&(std::ratio_equal_v<typename D::period, std::chrono::months::period> ||
                                       std::ratio_equal_v<typename D::period, std::chrono::years::period>);
template <class D>
concept fixed_span = tick_span<D> && !average_span<D>;

TIDEPOOL_DECL void append_time_of_day(std::string& out, std::int64_t micros);
TIDEPOOL_DECL std::int64_t read_time_of_day(time_reader& reader);
TIDEPOOL_DECL std::chrono::microseconds decode_time_of_day(std::string_view text);

}  // namespace detail

/// interval, in every style of the server's.
template <>
struct codec<interval> {
  static constexpr Oid oid = 1186;
  static constexpr Oid array_oid = 1187;
  TIDEPOOL_DECL static void encode(std::string& out, const interval& value);
  TIDEPOOL_DECL static interval decode(std::string_view text);
};
/// interval: hours, minutes and seconds; what is finer than a microsecond is cut off when sent. An interval with months is a conversion
/// error, because it has no fixed length, and so is what the unit cannot hold exactly; a day counts as 24 hours, as in differences of
/// timestamps. `std::chrono::months` and `years` are refused at compile time: send a `postgres::interval`.
template <detail::fixed_span D>
struct codec<D> {
  static constexpr Oid oid = 1186;
  static constexpr Oid array_oid = 1187;
  static void encode(std::string& out, D value) {
    const auto micros = detail::to_micros(value, detail::rounding::to_zero);
    if (!micros) {
      throw error(errc::bad_parameter, "a duration beyond the 292271 years of an interval: its count is " + std::to_string(value.count()));
    }
    detail::append_interval(out, {0, 0, *micros});
  }
  static D decode(std::string_view text) {
    if (text == "infinity" || text == "-infinity") throw conversion_error("a finite interval: read a postgres::interval");
    const auto read = detail::interval_reader(text).read();
    if (read.months != 0) {
      throw conversion_error("of a fixed length, because a month has none: read a postgres::interval, or select extract(epoch from ...)");
    }
    return detail::from_micros<D>(detail::add_days(read.micros, read.days));
  }
};

/// time: 00:00 to 24:00, others are `bad_parameter`; what is finer than a microsecond is cut off when sent.
template <class D>
struct codec<std::chrono::hh_mm_ss<D>> {
  static constexpr Oid oid = 1083;
  static constexpr Oid array_oid = 1183;
  static void encode(std::string& out, const std::chrono::hh_mm_ss<D>& value) {
    // A span that overflows is no time of day either.
    detail::append_time_of_day(out, detail::to_micros(value.to_duration(), detail::rounding::down).value_or(-1));
  }
  static std::chrono::hh_mm_ss<D> decode(std::string_view text) {
    return std::chrono::hh_mm_ss<D>(detail::from_micros<D>(detail::decode_time_of_day(text).count()));
  }
};
template <>
struct codec<time_of_day> {
  static constexpr Oid oid = 1083;
  static constexpr Oid array_oid = 1183;
  TIDEPOOL_DECL static void encode(std::string& out, time_of_day value);
  TIDEPOOL_DECL static time_of_day decode(std::string_view text);
};
/// timetz.
template <>
struct codec<time_of_day_at_offset> {
  static constexpr Oid oid = 1266;
  static constexpr Oid array_oid = 1270;
  TIDEPOOL_DECL static void encode(std::string& out, const time_of_day_at_offset& value);
  TIDEPOOL_DECL static time_of_day_at_offset decode(std::string_view text);
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
