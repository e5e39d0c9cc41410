// SPDX-License-Identifier: BSL-1.0
// tidepool - reads and writes dates and times of day in ISO style, in every year that PostgreSQL has.
// Before the guard: codec.hpp includes this file where its own declarations are complete.
#include "../../version.hpp"
#include "../codec.hpp"

#ifndef TIDEPOOL_POSTGRES_DETAIL_CALENDAR_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CALENDAR_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// A day of the Gregorian calendar; year 0 is 1 BC. `std::chrono::year` has 16 bits, PostgreSQL's dates reach the year 5874897.
struct civil_date {
  std::int64_t year;
  unsigned month, day;
};
/// The server's first and last date, in days since 1970.
inline constexpr std::int64_t first_date = -2'440'588, last_date = 2'145'042'905;

// The well-known algorithms: years begin in March, so that the leap day is the last; 400 years have 146097 days.
constexpr civil_date civil_of(std::int64_t days) {
  days += 719'468;
  const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const auto of_era = static_cast<unsigned>(days - era * 146'097);
  const unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  const unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
  const unsigned march = (5 * of_year + 2) / 153;
  const unsigned month = march < 10 ? march + 3 : march - 9;
  return {era * 400 + year + (month <= 2 ? 1 : 0), month, of_year - (153 * march + 2) / 5 + 1};
}
constexpr std::int64_t days_of(civil_date date) {
  const std::int64_t year = date.month <= 2 ? date.year - 1 : date.year;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const auto of_era = static_cast<unsigned>(year - era * 400);
  const unsigned of_year = (153 * (date.month > 2 ? date.month - 3 : date.month + 9) + 2) / 5 + date.day - 1;
  return era * 146'097 + (of_era * 365 + of_era / 4 - of_era / 100 + of_year) - 719'468;
}

/// Parses what the server prints with `DateStyle ISO`; the driver sets that style when it connects.
class time_reader {
 public:
  explicit time_reader(std::string_view text) : text_(text) {
    if (text_.ends_with(" BC")) {
      text_.remove_suffix(3);
      before_christ_ = true;
    }
  }
  civil_date civil() {
    civil_date date{number(4, 7), 0, 0};
    expect('-');
    date.month = static_cast<unsigned>(number(2, 2));
    expect('-');
    date.day = static_cast<unsigned>(number(2, 2));
    if (before_christ_) date.year = 1 - date.year;
    if (date.month < 1 || date.month > 12) fail();
    const civil_date same = civil_of(days_of(date));
    if (same.month != date.month || same.day != date.day) fail();
    return date;
  }
  /// Days since 1970.
  std::int64_t date() { return days_of(civil()); }
  /// Microseconds since midnight.
  std::int64_t time(std::int64_t last_hour) {
    const std::int64_t hours = number(2, 2);
    expect(':');
    const std::int64_t minutes = number(2, 2);
    expect(':');
    const std::int64_t seconds = number(2, 2);
    const std::int64_t micros = accept('.') ? fraction() : 0;
    if (hours > last_hour || minutes > 59 || seconds > 59) fail();
    return ((hours * 60 + minutes) * 60 + seconds) * 1'000'000 + micros;
  }
  /// Seconds east of UTC: "+02", "-03:30", "+00:19:32".
  std::int64_t offset() {
    const bool west = accept('-');
    if (!west) expect('+');
    std::int64_t out = number(2, 2) * 3600;
    if (accept(':')) out += number(2, 2) * 60;
    if (accept(':')) out += number(2, 2);
    return west ? -out : out;
  }
  void space() { expect(' '); }
  bool at_end() const { return at_ == text_.size(); }
  void finish() const {
    if (!at_end()) fail();
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
  std::int64_t fraction() {
    const auto from = at_;
    std::int64_t micros = number(1, 6);
    for (auto digits = at_ - from; digits < 6; ++digits) micros *= 10;
    return micros;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool before_christ_ = false;
};

/// At least `width` digits.
inline void append_padded(std::string& out, std::uint64_t value, std::size_t width) {
  char digits[20];
  std::size_t size = 0;
  for (; value != 0 || size < width; value /= 10) digits[size++] = static_cast<char>('0' + value % 10);
  while (size > 0) out += digits[--size];
}
/// Without the era, which stands at the end.
inline void append_date(std::string& out, civil_date date) {
  append_padded(out, static_cast<std::uint64_t>(date.year > 0 ? date.year : 1 - date.year), 4);
  out += '-';
  append_padded(out, date.month, 2);
  out += '-';
  append_padded(out, date.day, 2);
}
/// "12:34:56.000001"; the hours may be many.
inline void append_time(std::string& out, std::uint64_t micros) {
  append_padded(out, micros / 3'600'000'000, 2);
  out += ':';
  append_padded(out, micros / 60'000'000 % 60, 2);
  out += ':';
  append_padded(out, micros / 1'000'000 % 60, 2);
  out += '.';
  append_padded(out, micros % 1'000'000, 6);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
