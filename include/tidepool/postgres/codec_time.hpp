// SPDX-License-Identifier: BSL-1.0
// tidepool - timestamps and dates.
#ifndef TIDEPOOL_POSTGRES_CODEC_TIME_HPP
#define TIDEPOOL_POSTGRES_CODEC_TIME_HPP

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "../version.hpp"
#include "codec.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {
namespace detail {

/// Parses a timestamp in the form of `DateStyle ISO`; the driver sets that style when it connects.
class time_reader {
 public:
  explicit time_reader(std::string_view text) : text_(text) {
    if (text_.ends_with(" BC")) {
      text_.remove_suffix(3);
      before_christ_ = true;
    }
  }
  std::chrono::sys_days date() {
    if (text_ == "infinity" || text_ == "-infinity") throw conversion_error("a finite date: std::chrono::year_month_day has no infinity");
    int year = static_cast<int>(number(4, 7));
    expect('-');
    const auto month = static_cast<unsigned>(number(2, 2));
    expect('-');
    const auto day = static_cast<unsigned>(number(2, 2));
    if (before_christ_) year = 1 - year;
    // `year` has 16 bits; PostgreSQL's dates reach the year 5874897.
    if (year > 32767 || year < -32767) throw conversion_error("within the years -32767 to 32767 of std::chrono::year");
    const std::chrono::year_month_day made{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
    if (!made.ok()) fail();
    return made;
  }
  std::chrono::microseconds time() {
    const auto hours = std::chrono::hours(number(2, 2));
    expect(':');
    const auto minutes = std::chrono::minutes(number(2, 2));
    expect(':');
    const auto seconds = std::chrono::seconds(number(2, 2));
    std::int64_t micros = 0;
    if (accept('.')) {
      const auto from = at_;
      micros = number(1, 6);
      for (auto digits = at_ - from; digits < 6; ++digits) micros *= 10;
    }
    if (hours.count() > 23 || minutes.count() > 59 || seconds.count() > 59) fail();
    return hours + minutes + seconds + std::chrono::microseconds(micros);
  }
  /// "+02", "-03:30", "+00:19:32".
  std::chrono::seconds offset() {
    const bool west = accept('-');
    if (!west) expect('+');
    std::chrono::seconds out = std::chrono::hours(number(2, 2));
    if (accept(':')) out += std::chrono::minutes(number(2, 2));
    if (accept(':')) out += std::chrono::seconds(number(2, 2));
    return west ? -out : out;
  }
  void space() { expect(' '); }
  void finish() const {
    if (at_ != text_.size()) fail();
  }

 private:
  [[noreturn]] static void fail() { throw conversion_error("a date or time in ISO style"); }
  bool accept(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail();
  }
  std::int64_t number(std::size_t least, std::size_t most) {
    std::int64_t value = 0;
    std::size_t digits = 0;
    for (; digits < most && at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++digits)
      value = value * 10 + (text_[at_++] - '0');
    if (digits < least) fail();
    return value;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool before_christ_ = false;
};

inline void append_date(std::string& out, std::chrono::sys_days days, std::string_view tail) {
  const std::chrono::year_month_day date(days);
  const int year = static_cast<int>(date.year());
  std::array<char, 32> buffer;
  const int size = std::snprintf(buffer.data(), buffer.size(), "%04d-%02u-%02u", year > 0 ? year : 1 - year,
                                 static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
  out.append(buffer.data(), static_cast<std::size_t>(size));
  out += tail;
  if (year <= 0) out += " BC";
}
inline std::string time_of_day(std::chrono::microseconds since_midnight, const char* zone) {
  const std::chrono::hh_mm_ss time(since_midnight);
  std::array<char, 40> buffer;
  const int size = std::snprintf(buffer.data(), buffer.size(), " %02d:%02d:%02d.%06d%s", static_cast<int>(time.hours().count()),
                                 static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()),
                                 static_cast<int>(time.subseconds().count()), zone);
  return {buffer.data(), static_cast<std::size_t>(size)};
}

template <class Clock>
void append_timestamp(std::string& out, std::chrono::time_point<Clock, std::chrono::microseconds> at, const char* zone) {
  using point = std::chrono::time_point<Clock, std::chrono::microseconds>;
  if (at == point::max()) {
    out += "infinity";
  } else if (at == point::min()) {
    out += "-infinity";
  } else {
    const auto since = at.time_since_epoch();
    const auto days = std::chrono::floor<std::chrono::days>(since);
    // A time_point reaches ten times as far as `year`, which would overflow and send a wrong date.
    constexpr std::chrono::sys_days first = std::chrono::year::min() / std::chrono::January / 1;
    constexpr std::chrono::sys_days last = std::chrono::year::max() / std::chrono::December / 31;
    if (days < first.time_since_epoch() || days > last.time_since_epoch()) {
      throw error(errc::bad_parameter, "a timestamp beyond the years -32767 to 32767");
    }
    append_date(out, std::chrono::sys_days(days), time_of_day(since - days, zone));
  }
}
template <class Clock>
std::chrono::time_point<Clock, std::chrono::microseconds> read_timestamp(std::string_view text, bool zone) {
  using point = std::chrono::time_point<Clock, std::chrono::microseconds>;
  if (text == "infinity") return point::max();
  if (text == "-infinity") return point::min();
  time_reader reader(text);
  const auto date = reader.date();
  reader.space();
  const auto time = reader.time();
  const auto offset = zone ? reader.offset() : std::chrono::seconds(0);
  reader.finish();
  return point(std::chrono::microseconds(date.time_since_epoch()) + time - offset);
}

}  // namespace detail

/// timestamptz, exact; `max()` and `min()` are infinity and -infinity. Years -32767 to 32767, others are `bad_parameter`.
template <>
struct codec<std::chrono::sys_time<std::chrono::microseconds>> {
  using type = std::chrono::sys_time<std::chrono::microseconds>;
  static constexpr Oid oid = 1184;
  static constexpr Oid array_oid = 1185;
  static void encode(std::string& out, type value) { detail::append_timestamp(out, value, "+00"); }
  static type decode(std::string_view text) { return detail::read_timestamp<std::chrono::system_clock>(text, true); }
};
/// timestamp without time zone.
template <>
struct codec<std::chrono::local_time<std::chrono::microseconds>> {
  using type = std::chrono::local_time<std::chrono::microseconds>;
  static constexpr Oid oid = 1114;
  static constexpr Oid array_oid = 1115;
  static void encode(std::string& out, type value) { detail::append_timestamp(out, value, ""); }
  static type decode(std::string_view text) { return detail::read_timestamp<std::chrono::local_t>(text, false); }
};
/// date; infinity has no `year_month_day` and is a conversion error.
template <>
struct codec<std::chrono::year_month_day> {
  static constexpr Oid oid = 1082;
  static constexpr Oid array_oid = 1182;
  static void encode(std::string& out, std::chrono::year_month_day value) {
    if (!value.ok()) throw error(errc::bad_parameter, "a date that is not in the calendar");
    detail::append_date(out, value, {});
  }
  static std::chrono::year_month_day decode(std::string_view text) {
    detail::time_reader reader(text);
    const std::chrono::year_month_day date = reader.date();
    reader.finish();
    return date;
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
