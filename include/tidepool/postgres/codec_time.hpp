// SPDX-License-Identifier: BSL-1.0
// tidepool - timestamps and dates.
// Before the guard: codec.hpp includes this file where its own declarations are complete.
#include "codec.hpp"

#ifndef TIDEPOOL_POSTGRES_CODEC_TIME_HPP
#define TIDEPOOL_POSTGRES_CODEC_TIME_HPP

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <ratio>
#include <string>
#include <string_view>
#include <type_traits>

#include "../detail/util/linkage.hpp"
#include "../version.hpp"
#include "detail/calendar.hpp"
#include "detail/ticks.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {
namespace detail {

/// Whole days are dates, everything else is a timestamp.
template <class D>
concept whole_days =
    tick_span<D> && std::signed_integral<typename D::rep> && std::ratio_equal_v<typename D::period, std::chrono::days::period>;

inline constexpr std::int64_t micros_per_day = 86'400'000'000;

/// The first moment the server has. Its last one is past what 64 bits of microseconds since 1970 hold.
inline constexpr std::int64_t first_timestamp = first_date * micros_per_day;

TIDEPOOL_DECL void append_timestamp(std::string& out, std::int64_t micros, std::string_view zone);

template <class Point>
void encode_timestamp(std::string& out, Point at, std::string_view zone) {
  using D = typename Point::duration;
  if constexpr (has_infinity<D>) {
    for (const bool negative : {false, true}) {
      if (at.time_since_epoch() != infinite_ticks<D>(negative)) continue;
      out += negative ? "-infinity" : "infinity";
      return;
    }
  }
  const auto micros = to_micros(at.time_since_epoch(), rounding::down);
  // The server's own words would name neither the parameter nor the count.
  if (!micros || *micros < first_timestamp) {
    throw error(errc::bad_parameter, "a timestamp outside of PostgreSQL's, 4714-11-24 BC to 294247-01-10: its count is " +
                                         std::to_string(at.time_since_epoch().count()));
  }
  append_timestamp(out, *micros, zone);
}

template <class Point>
Point decode_timestamp(std::string_view text, bool zone) {
  using D = typename Point::duration;
  if (text == "infinity" || text == "-infinity") {
    if constexpr (has_infinity<D>) {
      return Point(infinite_ticks<D>(text[0] == '-'));
    } else {
      throw conversion_error("a finite time, and the C++ type has no infinity");
    }
  }
  time_reader reader(text);
  const std::int64_t days = reader.date();
  reader.space();
  std::int64_t micros = reader.time(23);
  if (zone) micros -= reader.offset() * 1'000'000;
  reader.finish();
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max(), most_days = most / micros_per_day;
  const bool fits = days >= -most_days && days <= most_days;
  const std::int64_t midnight = fits ? days * micros_per_day : 0;
  if (!fits || (micros > 0 ? midnight > most - micros : midnight < -most - micros)) {
    throw conversion_error("within the years to 294246 that 64 bits of microseconds hold");
  }
  return Point(from_micros<D>(midnight + micros));
}

/// date; see below.
template <class Point>
struct date_codec {
  static constexpr Oid oid = 1082;
  static constexpr Oid array_oid = 1182;
  using span = typename Point::duration;

  static void encode(std::string& out, Point value) {
    const auto count = value.time_since_epoch().count();
    if (value == Point::max()) {
      out += "infinity";
    } else if (value == Point::min()) {
      out += "-infinity";
    } else if (count < first_date || count > last_date) {
      throw error(errc::bad_parameter,
                  "a date outside of PostgreSQL's, 4714-11-24 BC to 5874897-12-31: it is " + std::to_string(count) + " days from 1970");
    } else {
      const civil_date date = civil_of(count);
      append_date(out, date);
      if (date.year <= 0) out += " BC";
    }
  }
  static Point decode(std::string_view text) {
    if (text == "infinity") return Point::max();
    if (text == "-infinity") return Point::min();
    time_reader reader(text);
    const std::int64_t days = reader.date();
    reader.finish();
    if (days > span::max().count() || days < span::min().count()) throw conversion_error("within the range of the C++ type");
    return Point(span(static_cast<typename span::rep>(days)));
  }
};

}  // namespace detail

/// timestamptz, for every unit. `max()` and `min()` are infinity and -infinity, in floating-point types the infinities are; a unit whose
/// count has less than 64 bits has none. What is finer than a microsecond is cut off when sent, because the server has no place for it:
/// the time that is stored is never later than the one that was given. A time that the unit cannot hold exactly is a conversion error.
/// Years before 4714 BC and after 294246 are `bad_parameter`.
template <detail::tick_span D>
struct codec<std::chrono::time_point<std::chrono::system_clock, D>> {
  using type = std::chrono::time_point<std::chrono::system_clock, D>;
  static constexpr Oid oid = 1184;
  static constexpr Oid array_oid = 1185;
  static void encode(std::string& out, type value) { detail::encode_timestamp(out, value, "+00"); }
  static type decode(std::string_view text) { return detail::decode_timestamp<type>(text, true); }
};
/// timestamp without time zone; the rest as above.
template <detail::tick_span D>
struct codec<std::chrono::time_point<std::chrono::local_t, D>> {
  using type = std::chrono::time_point<std::chrono::local_t, D>;
  static constexpr Oid oid = 1114;
  static constexpr Oid array_oid = 1115;
  static void encode(std::string& out, type value) { detail::encode_timestamp(out, value, ""); }
  static type decode(std::string_view text) { return detail::decode_timestamp<type>(text, false); }
};
/// date: `sys_days` and `local_days`, with infinity as above. Where the server makes a timestamptz of a date, it is midnight in the time
/// zone of the session: send `sys_seconds(days)` for midnight in UTC.
template <detail::whole_days D>
struct codec<std::chrono::time_point<std::chrono::system_clock, D>>
    : detail::date_codec<std::chrono::time_point<std::chrono::system_clock, D>> {};
template <detail::whole_days D>
struct codec<std::chrono::time_point<std::chrono::local_t, D>> : detail::date_codec<std::chrono::time_point<std::chrono::local_t, D>> {};

/// date; infinity has no `year_month_day` and is a conversion error, as are years that `std::chrono::year` does not have.
template <>
struct codec<std::chrono::year_month_day> {
  static constexpr Oid oid = 1082;
  static constexpr Oid array_oid = 1182;
  TIDEPOOL_DECL static void encode(std::string& out, std::chrono::year_month_day value);
  TIDEPOOL_DECL static std::chrono::year_month_day decode(std::string_view text);
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
