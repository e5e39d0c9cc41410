// SPDX-License-Identifier: BSL-1.0
// tidepool - dates, times of the day and points in time.
// Before the guard: codec.hpp includes this file where its own declarations are complete.
#include "codec.hpp"

#ifndef TIDEPOOL_MYSQL_CODEC_TIME_HPP
#define TIDEPOOL_MYSQL_CODEC_TIME_HPP

#include <chrono>
#include <concepts>
#include <cstdint>
#include <string>

#include "../detail/util/lazy.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {
namespace detail {

/// Microseconds since 1970, of what the server prints. Throws a conversion error for a zero date, or one with a zero in it.
TIDEPOOL_LAZY std::int64_t micros_of(const value& v, storage wanted);
/// Throws `bad_parameter` outside of the years 1 to 9999.
TIDEPOOL_LAZY civil_time civil_of(std::int64_t days, std::int64_t micros);
/// Throws `bad_parameter` beyond TIME's 838:59:59.
TIDEPOOL_LAZY void encode_time(parameter& out, std::int64_t micros, bool fits);

inline constexpr std::int64_t micros_per_day = 86'400'000'000;

/// Whole days are dates, everything else is a DATETIME.
template <class D>
inline constexpr bool whole_days = std::is_same_v<D, std::chrono::days>;

template <class Point>
void encode_point(parameter& out, Point given) {
  using D = typename Point::duration;
  const auto days = std::chrono::floor<std::chrono::days>(given.time_since_epoch());
  const auto rest = std::chrono::floor<std::chrono::microseconds>(given.time_since_epoch() - days);
  const auto civil = civil_of(std::int64_t{days.count()}, std::int64_t{rest.count()});
  if constexpr (whole_days<D>) {
    out.date(civil);
  } else {
    out.datetime(civil);
  }
}
template <class Point>
Point decode_point(const value& v) {
  using D = typename Point::duration;
  const std::chrono::microseconds micros(micros_of(v, whole_days<D> ? storage::date : storage::datetime));
  if constexpr (std::ratio_less_v<typename D::period, std::micro>) {
    if (micros > std::chrono::duration_cast<std::chrono::microseconds>(D::max()) ||
        micros < std::chrono::duration_cast<std::chrono::microseconds>(D::min())) {
      throw conversion_error("within the range of the C++ type");
    }
  }
  return Point(std::chrono::floor<D>(micros));
}

}  // namespace detail

/// DATETIME and TIMESTAMP; of whole days (`std::chrono::sys_days`) a DATE. In UTC: the driver sets the session's `time_zone` to it
/// (`options::utc`), which decides what a TIMESTAMP is shown as; a DATETIME is what was stored. To the microsecond; what is finer is cut
/// towards the past, in both directions. A zero date is a conversion error, and none as `std::optional`.
template <class D>
requires std::integral<typename D::rep>
struct codec<std::chrono::sys_time<D>> {
  static void encode(parameter& out, std::chrono::sys_time<D> given) { detail::encode_point(out, given); }
  static std::chrono::sys_time<D> decode(const value& v) { return detail::decode_point<std::chrono::sys_time<D>>(v); }
};
/// The same without a time zone, which is what a DATETIME is.
template <class D>
requires std::integral<typename D::rep>
struct codec<std::chrono::local_time<D>> {
  static void encode(parameter& out, std::chrono::local_time<D> given) { detail::encode_point(out, given); }
  static std::chrono::local_time<D> decode(const value& v) { return detail::decode_point<std::chrono::local_time<D>>(v); }
};
/// DATE.
template <>
struct codec<std::chrono::year_month_day> {
  template <class = void>
  static void encode(parameter& out, std::chrono::year_month_day given) {
    if (!given.ok()) throw error(errc::bad_parameter, "a day that is not in the calendar");
    detail::encode_point(out, std::chrono::sys_days(given));
  }
  template <class = void>
  static std::chrono::year_month_day decode(const value& v) {
    return std::chrono::year_month_day(detail::decode_point<std::chrono::sys_days>(v));
  }
};
/// TIME, which has a sign and up to 838 hours; to the microsecond, what is finer is cut towards the past.
template <class Rep, class Period>
requires std::integral<Rep>
struct codec<std::chrono::duration<Rep, Period>> {
  using span = std::chrono::duration<Rep, Period>;  ///< what is sent and read
  static void encode(parameter& out, span given) {
    constexpr std::chrono::hours most(1000);
    const bool fits = given <= most && given >= -most;
    detail::encode_time(out, fits ? std::int64_t{std::chrono::floor<std::chrono::microseconds>(given).count()} : 0, fits);
  }
  static span decode(const value& v) {
    if (v.kind() != storage::time) throw conversion_error("a TIME");
    const auto out = std::chrono::floor<std::chrono::duration<std::int64_t, Period>>(std::chrono::microseconds(v.micros()));
    if (!std::in_range<Rep>(out.count())) throw conversion_error("within the range of the C++ type");
    return span(static_cast<Rep>(out.count()));
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#if TIDEPOOL_HEADER_ONLY
#include "impl/codec_time.ipp"
#endif

#endif
