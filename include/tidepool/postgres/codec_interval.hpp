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

inline void append_time_of_day(std::string& out, std::int64_t micros) {
  if (micros < 0 || micros > 86'400'000'000) {
    throw error(errc::bad_parameter, "a time of day outside of 00:00 to 24:00: it is " + std::to_string(micros) + " us from midnight");
  }
  append_time(out, static_cast<std::uint64_t>(micros));
}
inline std::int64_t read_time_of_day(time_reader& reader) {
  const std::int64_t micros = reader.time(24);
  if (micros > 86'400'000'000) throw conversion_error("a time of day");
  return micros;
}
inline std::chrono::microseconds decode_time_of_day(std::string_view text) {
  time_reader reader(text);
  const std::int64_t micros = read_time_of_day(reader);
  if (!reader.at_end()) throw conversion_error("a time of day without a zone: read timetz as a postgres::time_of_day_at_offset");
  return std::chrono::microseconds(micros);
}

}  // namespace detail

/// interval, in every style of the server's.
template <>
struct codec<interval> {
  static constexpr Oid oid = 1186;
  static constexpr Oid array_oid = 1187;
  static void encode(std::string& out, const interval& value) {
    if (value == interval::infinity()) {
      out += "infinity";
    } else if (value == interval::negative_infinity()) {
      out += "-infinity";
    } else {
      detail::append_interval(out, {value.months, value.days, value.microseconds.count()});
    }
  }
  static interval decode(std::string_view text) {
    if (text == "infinity") return interval::infinity();
    if (text == "-infinity") return interval::negative_infinity();
    const auto read = detail::interval_reader(text).read();
    return {static_cast<std::int32_t>(read.months), static_cast<std::int32_t>(read.days), std::chrono::microseconds(read.micros)};
  }
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
  static void encode(std::string& out, time_of_day value) { detail::append_time_of_day(out, value.since_midnight.count()); }
  static time_of_day decode(std::string_view text) { return {detail::decode_time_of_day(text)}; }
};
/// timetz.
template <>
struct codec<time_of_day_at_offset> {
  static constexpr Oid oid = 1266;
  static constexpr Oid array_oid = 1270;
  static void encode(std::string& out, const time_of_day_at_offset& value) {
    const auto seconds = value.offset.count();
    if (seconds <= -16 * 3600 || seconds >= 16 * 3600) {
      throw error(errc::bad_parameter, "an offset from UTC of 16 hours or more: it is " + std::to_string(seconds) + " s");
    }
    detail::append_time_of_day(out, value.since_midnight.count());
    const auto size = static_cast<std::uint64_t>(seconds < 0 ? -seconds : seconds);
    out += seconds < 0 ? '-' : '+';
    detail::append_padded(out, size / 3600, 2);
    out += ':';
    detail::append_padded(out, size / 60 % 60, 2);
    out += ':';
    detail::append_padded(out, size % 60, 2);
  }
  static time_of_day_at_offset decode(std::string_view text) {
    detail::time_reader reader(text);
    time_of_day_at_offset out;
    out.since_midnight = std::chrono::microseconds(detail::read_time_of_day(reader));
    out.offset = std::chrono::seconds(reader.offset());
    reader.finish();
    return out;
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
