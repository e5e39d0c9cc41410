// SPDX-License-Identifier: BSL-1.0
// tidepool - times, dates and intervals as text.
#ifndef TIDEPOOL_POSTGRES_IMPL_CODEC_TIME_IPP
#define TIDEPOOL_POSTGRES_IMPL_CODEC_TIME_IPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "../../version.hpp"
#include "../codec.hpp"
#include "../error.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {
namespace detail {

time_reader::time_reader(std::string_view text) : text_(text) {
  if (text_.ends_with(" BC")) {
    text_.remove_suffix(3);
    before_christ_ = true;
  }
}
civil_date time_reader::civil() {
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
std::int64_t time_reader::time(std::int64_t last_hour) {
  const std::int64_t hours = number(2, 2);
  expect(':');
  const std::int64_t minutes = number(2, 2);
  expect(':');
  const std::int64_t seconds = number(2, 2);
  const std::int64_t micros = accept('.') ? fraction() : 0;
  if (hours > last_hour || minutes > 59 || seconds > 59) fail();
  return ((hours * 60 + minutes) * 60 + seconds) * 1'000'000 + micros;
}
std::int64_t time_reader::offset() {
  const bool west = accept('-');
  if (!west) expect('+');
  std::int64_t out = number(2, 2) * 3600;
  if (accept(':')) out += number(2, 2) * 60;
  if (accept(':')) out += number(2, 2);
  return west ? -out : out;
}
void time_reader::fail() { throw conversion_error("a date or time in ISO style"); }
void time_reader::expect(char c) {
  if (!accept(c)) fail();
}
bool time_reader::accept(char c) {
  if (at_ >= text_.size() || text_[at_] != c) return false;
  ++at_;
  return true;
}
std::int64_t time_reader::number(std::size_t least, std::size_t most) {
  std::int64_t value = 0;
  std::size_t digits = 0;
  for (; digits < most && at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++digits) value = value * 10 + (text_[at_++] - '0');
  if (digits < least) fail();
  return value;
}
std::int64_t time_reader::fraction() {
  const auto from = at_;
  std::int64_t micros = number(1, 6);
  for (auto digits = at_ - from; digits < 6; ++digits) micros *= 10;
  return micros;
}
void time_reader::finish() const {
  if (!at_end()) fail();
}
void append_padded(std::string& out, std::uint64_t value, std::size_t width) {
  char digits[20];
  std::size_t size = 0;
  for (; value != 0 || size < width; value /= 10) digits[size++] = static_cast<char>('0' + value % 10);
  while (size > 0) out += digits[--size];
}
void append_date(std::string& out, civil_date date) {
  append_padded(out, static_cast<std::uint64_t>(date.year > 0 ? date.year : 1 - date.year), 4);
  out += '-';
  append_padded(out, date.month, 2);
  out += '-';
  append_padded(out, date.day, 2);
}
void append_time(std::string& out, std::uint64_t micros) {
  append_padded(out, micros / 3'600'000'000, 2);
  out += ':';
  append_padded(out, micros / 60'000'000 % 60, 2);
  out += ':';
  append_padded(out, micros / 1'000'000 % 60, 2);
  out += '.';
  append_padded(out, micros % 1'000'000, 6);
}

interval_parts interval_reader::read() {
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
void interval_reader::fail() { throw conversion_error("an interval"); }
bool interval_reader::accept(char c) {
  if (peek() != c) return false;
  ++at_;
  return true;
}
void interval_reader::expect(char c) {
  if (!accept(c)) fail();
}
bool interval_reader::accept(std::string_view word) {
  if (!text_.substr(at_).starts_with(word)) return false;
  at_ += word.size();
  return true;
}
std::uint64_t interval_reader::number() {
  std::uint64_t value = 0;
  std::size_t digits = 0;
  for (; peek() >= '0' && peek() <= '9' && digits < 19; ++digits) value = value * 10 + static_cast<std::uint64_t>(text_[at_++] - '0');
  if (digits == 0 || (peek() >= '0' && peek() <= '9')) fail();
  return value;
}
std::uint64_t interval_reader::fraction() {
  const auto from = at_;
  auto value = number();
  if (at_ - from > 6) fail();
  for (auto digits = at_ - from; digits < 6; ++digits) value *= 10;
  return value;
}
int interval_reader::sign() {
  if (accept('-')) return -1;
  (void)accept('+');
  return 1;
}
void interval_reader::add(std::int64_t& to, std::uint64_t count, std::int64_t unit, int direction) const {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  if (count > static_cast<std::uint64_t>(most / unit)) fail();
  const std::int64_t span = static_cast<std::int64_t>(count) * unit;
  const bool negative = (direction < 0) != ago_;
  if (negative ? to < -most - 1 + span : to > most - span) fail();
  to += negative ? -span : span;
}
void interval_reader::add_seconds(std::uint64_t whole, int direction) {
  add(out_.micros, whole, second, direction);
  if (accept('.')) add(out_.micros, fraction(), 1, direction);
}
void interval_reader::iso() {
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
void interval_reader::words() {
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
bool interval_reader::unit(std::uint64_t count, int direction) {
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
void append_interval(std::string& out, const interval_parts& value) {
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
std::int64_t add_days(std::int64_t micros, std::int64_t days) {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max(), day = 86'400'000'000;
  const std::int64_t span = days > most / day || days < -(most / day) ? 0 : days * day;
  if ((span == 0 && days != 0) || (span > 0 ? micros > most - span : micros < -most - 1 - span)) {
    throw conversion_error("within the 292271 years of a std::chrono::duration: read a postgres::interval");
  }
  return micros + span;
}

void append_time_of_day(std::string& out, std::int64_t micros) {
  if (micros < 0 || micros > 86'400'000'000) {
    throw error(errc::bad_parameter, "a time of day outside of 00:00 to 24:00: it is " + std::to_string(micros) + " us from midnight");
  }
  append_time(out, static_cast<std::uint64_t>(micros));
}
std::int64_t read_time_of_day(time_reader& reader) {
  const std::int64_t micros = reader.time(24);
  if (micros > 86'400'000'000) throw conversion_error("a time of day");
  return micros;
}
std::chrono::microseconds decode_time_of_day(std::string_view text) {
  time_reader reader(text);
  const std::int64_t micros = read_time_of_day(reader);
  if (!reader.at_end()) throw conversion_error("a time of day without a zone: read timetz as a postgres::time_of_day_at_offset");
  return std::chrono::microseconds(micros);
}
void append_timestamp(std::string& out, std::int64_t micros, std::string_view zone) {
  std::int64_t days = micros / micros_per_day;
  if (micros % micros_per_day < 0) --days;
  const civil_date date = civil_of(days);
  append_date(out, date);
  out += ' ';
  append_time(out, static_cast<std::uint64_t>(micros - days * micros_per_day));
  out += zone;
  if (date.year <= 0) out += " BC";
}

}  // namespace detail

void codec<interval>::encode(std::string& out, const interval& value) {
  if (value == interval::infinity()) {
    out += "infinity";
  } else if (value == interval::negative_infinity()) {
    out += "-infinity";
  } else {
    detail::append_interval(out, {value.months, value.days, value.microseconds.count()});
  }
}
interval codec<interval>::decode(std::string_view text) {
  if (text == "infinity") return interval::infinity();
  if (text == "-infinity") return interval::negative_infinity();
  const auto read = detail::interval_reader(text).read();
  return {static_cast<std::int32_t>(read.months), static_cast<std::int32_t>(read.days), std::chrono::microseconds(read.micros)};
}
void codec<time_of_day>::encode(std::string& out, time_of_day value) { detail::append_time_of_day(out, value.since_midnight.count()); }
time_of_day codec<time_of_day>::decode(std::string_view text) { return {detail::decode_time_of_day(text)}; }
void codec<time_of_day_at_offset>::encode(std::string& out, const time_of_day_at_offset& value) {
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
time_of_day_at_offset codec<time_of_day_at_offset>::decode(std::string_view text) {
  detail::time_reader reader(text);
  time_of_day_at_offset out;
  out.since_midnight = std::chrono::microseconds(detail::read_time_of_day(reader));
  out.offset = std::chrono::seconds(reader.offset());
  reader.finish();
  return out;
}
void codec<std::chrono::year_month_day>::encode(std::string& out, std::chrono::year_month_day value) {
  if (!value.ok()) throw error(errc::bad_parameter, "a date that is not in the calendar");
  codec<std::chrono::sys_days>::encode(out, std::chrono::sys_days(value));
}
std::chrono::year_month_day codec<std::chrono::year_month_day>::decode(std::string_view text) {
  if (text == "infinity" || text == "-infinity") {
    throw conversion_error("a finite date: std::chrono::year_month_day has no infinity, std::chrono::sys_days has");
  }
  detail::time_reader reader(text);
  const detail::civil_date date = reader.civil();
  reader.finish();
  if (date.year > 32767 || date.year < -32767) {
    throw conversion_error("within the years -32767 to 32767 of std::chrono::year: read std::chrono::sys_days");
  }
  return {std::chrono::year(static_cast<int>(date.year)), std::chrono::month(date.month), std::chrono::day(date.day)};
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
