// SPDX-License-Identifier: BSL-1.0
// tidepool - characters, bytes, UTF-8, wide integers and arrays as text.
#ifndef TIDEPOOL_POSTGRES_IMPL_CODEC_IPP
#define TIDEPOOL_POSTGRES_IMPL_CODEC_IPP

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "../../version.hpp"
#include "../codec.hpp"
#include "../error.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {
namespace detail {

unsigned char octal_byte(std::string_view digits) {
  unsigned value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '7') throw conversion_error("a byte in octal digits");
    value = value * 8 + static_cast<unsigned>(c - '0');
  }
  if (digits.size() != 3 || value > 255) throw conversion_error("a byte in octal digits");
  return static_cast<unsigned char>(value);
}
bool is_utf8(std::string_view text) noexcept {
  const auto byte = [&text](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned first = byte(i);
    if (first < 0x80U) {
      ++i;
      continue;
    }
    const std::size_t more = first >= 0xF0U ? 3 : first >= 0xE0U ? 2 : 1;
    if (first < 0xC2U || first > 0xF4U || text.size() - i <= more) return false;
    const unsigned least = first == 0xE0U ? 0xA0U : first == 0xF0U ? 0x90U : 0x80U;
    const unsigned most = first == 0xEDU ? 0x9FU : first == 0xF4U ? 0x8FU : 0xBFU;
    if (byte(i + 1) < least || byte(i + 1) > most) return false;
    for (std::size_t j = 2; j <= more; ++j) {
      if ((byte(i + j) & 0xC0U) != 0x80U) return false;
    }
    i += more + 1;
  }
  return true;
}
void array_reader::fail() { throw conversion_error("an array"); }
void array_reader::wrong_length(std::size_t wanted) {
  throw conversion_error("an array of exactly " + std::to_string(wanted) + " elements");
}
void array_reader::expect(char c) {
  if (!accept(c)) fail();
}
int array_reader::bound() {
  int value = 0;
  const auto rest = text_.substr(at_);
  const auto [end, failure] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (failure != std::errc()) fail();
  at_ += static_cast<std::size_t>(end - rest.data());
  return value;
}
std::vector<std::size_t> array_reader::bounds(std::vector<int>& lower_bounds) {
  std::vector<std::size_t> lengths;
  if (!accept('[')) return lengths;
  // Bounds are printed where one does not start at 1: then those of all dimensions, in front.
  do {
    const auto lower = bound();
    expect(':');
    const auto upper = bound();
    expect(']');
    if (upper < lower) fail();
    lower_bounds.push_back(lower);
    lengths.push_back(static_cast<std::size_t>(std::int64_t{upper} - lower + 1));
  } while (accept('['));
  expect('=');
  return lengths;
}
bool array_reader::next_word() {
  word_.clear();
  const bool quoted = accept('"');
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (quoted ? c == '"' : c == delimiter_ || c == '}') break;
    if (c == '{' && !quoted) throw conversion_error("an array of that many dimensions");
    // The server quotes an element that holds one of these: this array has another delimiter, or it is none.
    if (!quoted && std::string_view("\"\\ \t\n\v\f\r").find(c) != std::string_view::npos) fail();
    if (c == '\\' && ++at_ >= text_.size()) fail();
    word_ += text_[at_++];
  }
  if (quoted) {
    expect('"');
    return true;
  }
  if (word_.empty()) fail();
  return word_ != "NULL";
}
void array_reader::add_length(std::vector<std::size_t>& lengths, std::size_t level, std::size_t length) {
  if (lengths.size() == level) {
    lengths.push_back(length);
  } else if (lengths[level] != length) {
    fail();
  }
}
void array_reader::finish(const std::vector<std::size_t>& printed, const std::vector<std::size_t>& found) const {
  if (at_ != text_.size() || (!printed.empty() && printed != found)) fail();
}

bool halves_at_commas(std::string_view text) {
  const auto from = text.find('{');
  if (from == std::string_view::npos || !text.ends_with('}')) return false;
  text = text.substr(from + 1, text.size() - from - 2);
  const auto comma = text.find(',');
  if (comma == std::string_view::npos) return false;
  const auto first = text.substr(0, comma);
  const auto last = text.substr(text.rfind(',') + 1);
  constexpr std::string_view open = "([", shut = ")]";
  return first.find_first_of(open) == 0 && first.find_first_of(shut) == std::string_view::npos && !last.empty() &&
         shut.find(last.back()) != std::string_view::npos && last.find_first_of(open) == std::string_view::npos;
}

}  // namespace detail

char codec<char>::decode(std::string_view text, Oid type) {
  if (text.size() == 1) return text[0];
  if (type == detail::type_oid::single_char) {
    if (text.empty()) return '\0';
    if (text.size() == 4 && text[0] == '\\') return static_cast<char>(detail::octal_byte(text.substr(1)));
  }
  throw conversion_error("one character");
}
void codec<uuid>::encode(std::string& out, const uuid& value) {
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    detail::append_hex(out, value[i]);
  }
}
uuid codec<uuid>::decode(std::string_view text) {
  uuid out{};
  std::size_t filled = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '-') {
      ++i;
      continue;
    }
    const int value = i + 1 < text.size() ? detail::hex_byte(text[i], text[i + 1]) : -1;
    if (value < 0 || filled == out.size()) throw conversion_error("a uuid");
    out[filled++] = static_cast<std::byte>(value);
    i += 2;
  }
  if (filled != out.size()) throw conversion_error("a uuid");
  return out;
}
void codec<std::u8string_view>::encode(std::string& out, std::u8string_view value) {
  const std::string_view text(reinterpret_cast<const char*>(value.data()), value.size());
  if (!detail::is_utf8(text)) throw error(errc::bad_parameter, "a text of char8_t that is not UTF-8");
  out += text;
}
void codec<std::u8string>::encode(std::string& out, const std::u8string& value) { codec<std::u8string_view>::encode(out, value); }
std::u8string codec<std::u8string>::decode(std::string_view text) {
  if (!detail::is_utf8(text)) throw conversion_error("UTF-8: client_encoding has to be UTF8");
  return {reinterpret_cast<const char8_t*>(text.data()), text.size()};
}

#if defined(__SIZEOF_INT128__)
namespace detail {

void append_wide(std::string& out, uint128 value) {
  char digits[39];
  std::size_t size = 0;
  do {
    digits[size++] = static_cast<char>('0' + static_cast<int>(value % 10));
    value /= 10;
  } while (value != 0);
  while (size > 0) out += digits[--size];
}
uint128 read_wide(std::string_view digits, uint128 most) {
  if (digits.empty()) throw conversion_error("an integer");
  uint128 value = 0;
  bool fits = true;
  for (const char c : digits) {
    if (c < '0' || c > '9') throw conversion_error("an integer");
    const auto digit = static_cast<uint128>(c - '0');
    fits = fits && value <= (most - digit) / 10;
    if (fits) value = value * 10 + digit;
  }
  if (!fits) throw conversion_error("within the range of a 128-bit integer");
  return value;
}

}  // namespace detail

void codec<detail::uint128>::encode(std::string& out, detail::uint128 value) { detail::append_wide(out, value); }
detail::uint128 codec<detail::uint128>::decode(std::string_view text, Oid type) {
  if (detail::is_bits(type)) throw conversion_error("an integer: read bits as std::string");
  if (text.starts_with('-')) throw conversion_error("within the range of an unsigned integer");
  return detail::read_wide(text, ~detail::uint128{0});
}
void codec<detail::int128>::encode(std::string& out, detail::int128 value) {
  if (value < 0) out += '-';
  const auto bits = static_cast<detail::uint128>(value);
  detail::append_wide(out, value < 0 ? detail::uint128{0} - bits : bits);
}
detail::int128 codec<detail::int128>::decode(std::string_view text, Oid type) {
  if (detail::is_bits(type)) throw conversion_error("an integer: read bits as std::string");
  const bool negative = text.starts_with('-');
  const auto most = (~detail::uint128{0} >> 1U) + (negative ? 1U : 0U);
  const auto size = detail::read_wide(text.substr(negative ? 1 : 0), most);
  return static_cast<detail::int128>(negative ? detail::uint128{0} - size : size);
}
#endif

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
