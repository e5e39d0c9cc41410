// SPDX-License-Identifier: BSL-1.0
// tidepool - reads intervals in the four styles of the server, and writes one that each of them takes.
// Before the guard: codec.hpp includes this file where its own declarations are complete.
#include "../../version.hpp"
#include "../codec.hpp"

#ifndef TIDEPOOL_POSTGRES_DETAIL_INTERVAL_TEXT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_INTERVAL_TEXT_HPP

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "calendar.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

struct interval_parts {
  std::int64_t months = 0, days = 0, micros = 0;
};

/// `intervalstyle`: postgres "1 year 2 mons -3 days +04:05:06.789", postgres_verbose "@ 1 year 2 mons -3 days 4 hours ... 6.789 secs ago",
/// sql_standard "+1-2 -3 +4:05:06.789", iso_8601 "P1Y2M-3DT4H5M6.789S". No text of one means something else in another.
class interval_reader {
 public:
  explicit interval_reader(std::string_view text) : text_(text) {}

  interval_parts read() {
    if (text_.starts_with('P')) {
      iso();
    } else {
      if (text_.starts_with("@ ")) text_.remove_prefix(2);
      ago_ = text_.ends_with(" ago");
      if (ago_) text_.remove_suffix(4);
      if (text_ != "0") words();
    }
    constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
    if (out_.months > most || out_.months < -most - 1 || out_.days > most || out_.days < -most - 1) fail();
    return out_;
  }

 private:
  static constexpr std::int64_t second = 1'000'000, minute = 60 * second, hour = 60 * minute;

  [[noreturn]] static void fail() { throw conversion_error("an interval"); }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail();
  }
  bool accept(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  std::uint64_t number() {
    std::uint64_t value = 0;
    std::size_t digits = 0;
    for (; peek() >= '0' && peek() <= '9' && digits < 19; ++digits) value = value * 10 + static_cast<std::uint64_t>(text_[at_++] - '0');
    if (digits == 0 || (peek() >= '0' && peek() <= '9')) fail();
    return value;
  }
  /// After a point: microseconds.
  std::uint64_t fraction() {
    const auto from = at_;
    auto value = number();
    if (at_ - from > 6) fail();
    for (auto digits = at_ - from; digits < 6; ++digits) value *= 10;
    return value;
  }
  /// -1 or 1.
  int sign() {
    if (accept('-')) return -1;
    (void)accept('+');
    return 1;
  }
  void add(std::int64_t& to, std::uint64_t count, std::int64_t unit, int direction) const {
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    if (count > static_cast<std::uint64_t>(most / unit)) fail();
    const std::int64_t span = static_cast<std::int64_t>(count) * unit;
    const bool negative = (direction < 0) != ago_;
    if (negative ? to < -most - 1 + span : to > most - span) fail();
    to += negative ? -span : span;
  }
  /// Seconds from "6" or "6.789".
  void add_seconds(std::uint64_t whole, int direction) {
    add(out_.micros, whole, second, direction);
    if (accept('.')) add(out_.micros, fraction(), 1, direction);
  }

  void iso() {
    ++at_;
    bool time = false;
    do {
      if (!time && accept('T')) time = true;
      const int direction = sign();
      const auto count = number();
      if (peek() == '.') {
        if (!time) fail();
        add_seconds(count, direction);
        expect('S');
      } else if (!time && accept('Y')) {
        add(out_.months, count, 12, direction);
      } else if (!time && accept('M')) {
        add(out_.months, count, 1, direction);
      } else if (!time && accept('D')) {
        add(out_.days, count, 1, direction);
      } else if (time && accept('H')) {
        add(out_.micros, count, hour, direction);
      } else if (time && accept('M')) {
        add(out_.micros, count, minute, direction);
      } else if (time && accept('S')) {
        add(out_.micros, count, second, direction);
      } else {
        fail();
      }
    } while (at_ < text_.size());
  }

  void words() {
    int day_sign = 1;  // sql_standard: the sign of the days is that of the time as well, unless the time has one
    do {
      const bool has_sign = peek() == '-' || peek() == '+';
      const int direction = has_sign ? sign() : day_sign;
      const auto count = number();
      if (accept(':')) {
        add(out_.micros, count, hour, direction);
        add(out_.micros, number(), minute, direction);
        expect(':');
        add_seconds(number(), direction);
      } else if (accept('-')) {
        add(out_.months, count, 12, direction);
        add(out_.months, number(), 1, direction);
      } else if (!unit(count, direction)) {
        if (peek() != ' ') fail();  // there the server prints no days without a time
        add(out_.days, count, 1, direction);
        day_sign = direction;
      }
    } while (accept(' '));
    if (at_ != text_.size()) fail();
  }
  bool unit(std::uint64_t count, int direction) {
    if (accept('.')) {
      add(out_.micros, count, second, direction);
      add(out_.micros, fraction(), 1, direction);
      if (!accept(" sec")) fail();
    } else if (accept(" year")) {
      add(out_.months, count, 12, direction);
    } else if (accept(" mon")) {
      add(out_.months, count, 1, direction);
    } else if (accept(" day")) {
      add(out_.days, count, 1, direction);
    } else if (accept(" hour")) {
      add(out_.micros, count, hour, direction);
    } else if (accept(" min")) {
      add(out_.micros, count, minute, direction);
    } else if (accept(" sec")) {
      add(out_.micros, count, second, direction);
    } else {
      return false;
    }
    (void)accept('s');
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool ago_ = false;
  interval_parts out_;
};

/// Each field has its sign where there are several: in the style sql_standard one in front would count for all.
inline void append_interval(std::string& out, const interval_parts& value) {
  const auto signed_number = [&out](std::int64_t number) {
    out += number < 0 ? '-' : '+';
    out += std::to_string(number < 0 ? -number : number);
  };
  if (value.months != 0 || value.days != 0) {
    signed_number(value.months);
    out += " mons ";
    signed_number(value.days);
    out += " days ";
    if (value.micros >= 0) out += '+';
  }
  if (value.micros < 0) out += '-';
  append_time(out,
              value.micros < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(value.micros) : static_cast<std::uint64_t>(value.micros));
}

/// A day is 24 hours.
inline std::int64_t add_days(std::int64_t micros, std::int64_t days) {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max(), day = 86'400'000'000;
  const std::int64_t span = days > most / day || days < -(most / day) ? 0 : days * day;
  if ((span == 0 && days != 0) || (span > 0 ? micros > most - span : micros < -most - 1 - span)) {
    throw conversion_error("within the 292271 years of a std::chrono::duration: read a postgres::interval");
  }
  return micros + span;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
