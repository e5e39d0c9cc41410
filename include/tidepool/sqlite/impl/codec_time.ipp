// SPDX-License-Identifier: BSL-1.0
// tidepool - dates and times as text: see lazy.hpp.
#ifndef TIDEPOOL_SQLITE_IMPL_CODEC_TIME_IPP
#define TIDEPOOL_SQLITE_IMPL_CODEC_TIME_IPP

#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "../../version.hpp"
#include "../codec_time.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail {

TIDEPOOL_LAZY_BODY std::string moment_text(const moment& when, int digits) {
  constexpr std::int64_t first = -719'528, last = 2'932'896;  // 0000-01-01, 9999-12-31
  if (when.days < first || when.days > last) throw error(errc::bad_parameter, "a date outside of SQLite's, the years 0 to 9999");
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(static_cast<int>(when.days)))};
  std::array<char, 48> out{};
  int size = std::snprintf(out.data(), out.size(), "%04d-%02u-%02u", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                           static_cast<unsigned>(date.day()));
  if (digits < 0) return {out.data(), static_cast<std::size_t>(size)};
  const auto seconds = when.nanos / 1'000'000'000;
  size += std::snprintf(out.data() + size, out.size() - static_cast<std::size_t>(size), " %02d:%02d:%02d", static_cast<int>(seconds / 3600),
                        static_cast<int>(seconds / 60 % 60), static_cast<int>(seconds % 60));
  if (digits > 0) {
    std::array<char, 16> fraction{};
    std::snprintf(fraction.data(), fraction.size(), ".%09d", static_cast<int>(when.nanos % 1'000'000'000));
    return std::string(out.data(), static_cast<std::size_t>(size)) + std::string(fraction.data(), static_cast<std::size_t>(digits) + 1);
  }
  return {out.data(), static_cast<std::size_t>(size)};
}

/// Reads "2024-02-29", then optionally " 12:34", ":56", ".789", and "Z" or "+02:00".
template <class = void>
class basic_moment_reader {
 public:
  explicit basic_moment_reader(std::string_view text) : text_(text) {}

  moment read() {
    const int year = number(4);
    expect('-');
    const int month = number(2);
    expect('-');
    const int day = number(2);
    const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok()) fail();
    moment out{std::chrono::sys_days(date).time_since_epoch().count(), 0};
    if (at_end()) return out;
    if (!accept('T')) expect(' ');
    const int hours = number(2);
    expect(':');
    const int minutes = number(2);
    int seconds = 0;
    if (accept(':')) {
      seconds = number(2);
      if (accept('.')) out.nanos = fraction();
    }
    if (hours > 23 || minutes > 59 || seconds > 59) fail();
    out.nanos += ((hours * 60 + minutes) * 60 + seconds) * std::int64_t{1'000'000'000};
    zone(out);
    if (!at_end()) fail();
    return out;
  }

 private:
  [[noreturn]] static void fail() { throw conversion_error("a date or time in ISO 8601, as SQLite's date functions write it"); }
  bool at_end() const noexcept { return at_ == text_.size(); }
  bool accept(char c) noexcept {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail();
  }
  int number(int digits) {
    int out = 0;
    for (; digits > 0; --digits, ++at_) {
      if (at_end() || text_[at_] < '0' || text_[at_] > '9') fail();
      out = out * 10 + (text_[at_] - '0');
    }
    return out;
  }
  std::int64_t fraction() {
    std::int64_t out = 0;
    int digits = 0;
    for (; !at_end() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      if (digits < 9) out = out * 10 + (text_[at_] - '0'), ++digits;
    }
    if (digits == 0) fail();
    for (; digits < 9; ++digits) out *= 10;
    return out;
  }
  void zone(moment& out) {
    if (accept('Z')) return;
    const bool east = accept('+');
    if (!east && !accept('-')) return;
    const int hours = number(2);
    expect(':');
    const int minutes = number(2);
    const std::int64_t span = (hours * 60 + minutes) * std::int64_t{60'000'000'000};
    out.nanos += east ? -span : span;
    while (out.nanos < 0) out.nanos += nanos_per_day, --out.days;
    while (out.nanos >= nanos_per_day) out.nanos -= nanos_per_day, ++out.days;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

TIDEPOOL_LAZY_BODY moment moment_of(const value& v) {
  switch (v.kind()) {
    case storage::text: return basic_moment_reader<>(v.text()).read();
    case storage::integer: {
      std::int64_t days = v.integer() / 86'400;
      std::int64_t rest = v.integer() % 86'400;
      if (rest < 0) rest += 86'400, --days;
      return {days, rest * 1'000'000'000};
    }
    case storage::real: {
      // Exact to the millisecond, as SQLite's own functions are.
      const double millis = (v.real() - 2'440'587.5) * 86'400'000.0;
      if (!(std::fabs(millis) < 4e15)) throw conversion_error("a Julian day");
      const auto whole = static_cast<std::int64_t>(std::llround(millis));
      std::int64_t days = whole / 86'400'000;
      std::int64_t rest = whole % 86'400'000;
      if (rest < 0) rest += 86'400'000, --days;
      return {days, rest * 1'000'000};
    }
    default: throw conversion_error("a date or time");
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail

#endif
