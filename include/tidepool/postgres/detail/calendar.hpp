// SPDX-License-Identifier: BSL-1.0
// tidepool - reads and writes dates and times of day in ISO style, in every year that PostgreSQL has.
// Before the guard: codec.hpp includes this file where its own declarations are complete.
#include "../../detail/util/linkage.hpp"
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
  TIDEPOOL_DECL explicit time_reader(std::string_view text);
  TIDEPOOL_DECL civil_date civil();
  /// Days since 1970.
  std::int64_t date() { return days_of(civil()); }
  /// Microseconds since midnight.
  TIDEPOOL_DECL std::int64_t time(std::int64_t last_hour);
  /// Seconds east of UTC: "+02", "-03:30", "+00:19:32".
  TIDEPOOL_DECL std::int64_t offset();
  void space() { expect(' '); }
  bool at_end() const { return at_ == text_.size(); }
  TIDEPOOL_DECL void finish() const;

 private:
  [[noreturn]] TIDEPOOL_DECL static void fail();
  TIDEPOOL_DECL bool accept(char c);
  TIDEPOOL_DECL void expect(char c);
  TIDEPOOL_DECL std::int64_t number(std::size_t least, std::size_t most);
  TIDEPOOL_DECL std::int64_t fraction();

  std::string_view text_;
  std::size_t at_ = 0;
  bool before_christ_ = false;
};

/// At least `width` digits.
TIDEPOOL_DECL void append_padded(std::string& out, std::uint64_t value, std::size_t width);
/// Without the era, which stands at the end.
TIDEPOOL_DECL void append_date(std::string& out, civil_date date);
/// "12:34:56.000001"; the hours may be many.
TIDEPOOL_DECL void append_time(std::string& out, std::uint64_t micros);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
