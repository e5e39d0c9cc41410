// SPDX-License-Identifier: BSL-1.0
// tidepool - text as char8_t, and integers of 128 bits.
// Before the guard: codec.hpp includes this file where its own declarations are complete.
#include "codec.hpp"

#ifndef TIDEPOOL_POSTGRES_CODEC_WIDE_HPP
#define TIDEPOOL_POSTGRES_CODEC_WIDE_HPP

#include <cstddef>
#include <string>
#include <string_view>

#include "../version.hpp"
#include "detail/utf8.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// Text in UTF-8. What is not UTF-8 is `bad_parameter`, and when it is read a conversion error: `client_encoding` has to be UTF8, which is
/// the driver's default. A view is a parameter only.
template <>
struct codec<std::u8string_view> {
  static void encode(std::string& out, std::u8string_view value) {
    const std::string_view text(reinterpret_cast<const char*>(value.data()), value.size());
    if (!detail::is_utf8(text)) throw error(errc::bad_parameter, "a text of char8_t that is not UTF-8");
    out += text;
  }
};
template <>
struct codec<std::u8string> {
  static void encode(std::string& out, const std::u8string& value) { codec<std::u8string_view>::encode(out, value); }
  static std::u8string decode(std::string_view text) {
    if (!detail::is_utf8(text)) throw conversion_error("UTF-8: client_encoding has to be UTF8");
    return {reinterpret_cast<const char8_t*>(text.data()), text.size()};
  }
};

#if defined(__SIZEOF_INT128__)
namespace detail {

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

inline void append_wide(std::string& out, uint128 value) {
  char digits[39];
  std::size_t size = 0;
  do {
    digits[size++] = static_cast<char>('0' + static_cast<int>(value % 10));
    value /= 10;
  } while (value != 0);
  while (size > 0) out += digits[--size];
}
/// At most `most`.
inline uint128 read_wide(std::string_view digits, uint128 most) {
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

/// For numeric, and all integers.
template <>
struct codec<detail::uint128> {
  static void encode(std::string& out, detail::uint128 value) { detail::append_wide(out, value); }
  static detail::uint128 decode(std::string_view text, Oid type = 0) {
    if (detail::is_bits(type)) throw conversion_error("an integer: read bits as std::string");
    if (text.starts_with('-')) throw conversion_error("within the range of an unsigned integer");
    return detail::read_wide(text, ~detail::uint128{0});
  }
};
template <>
struct codec<detail::int128> {
  static void encode(std::string& out, detail::int128 value) {
    if (value < 0) out += '-';
    const auto bits = static_cast<detail::uint128>(value);
    detail::append_wide(out, value < 0 ? detail::uint128{0} - bits : bits);
  }
  static detail::int128 decode(std::string_view text, Oid type = 0) {
    if (detail::is_bits(type)) throw conversion_error("an integer: read bits as std::string");
    const bool negative = text.starts_with('-');
    const auto most = (~detail::uint128{0} >> 1U) + (negative ? 1U : 0U);
    const auto size = detail::read_wide(text.substr(negative ? 1 : 0), most);
    return static_cast<detail::int128>(negative ? detail::uint128{0} - size : size);
  }
};
#endif

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
