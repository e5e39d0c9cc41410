// SPDX-License-Identifier: BSL-1.0
// tidepool - bytea and uuid.
// Before the guard: codec.hpp includes this file where its own declarations are complete.
#include "codec.hpp"

#ifndef TIDEPOOL_POSTGRES_CODEC_BINARY_HPP
#define TIDEPOOL_POSTGRES_CODEC_BINARY_HPP

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "../detail/util/linkage.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// A type of its own, because an array of 16 bytes is a bytea.
struct uuid : std::array<std::byte, 16> {};

namespace detail {

// For each byte of a bytea, so they are inline in both modes.
inline int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}
inline void append_hex(std::string& out, std::byte value) {
  constexpr char digits[] = "0123456789abcdef";
  out += digits[std::to_integer<unsigned>(value) >> 4U];
  out += digits[std::to_integer<unsigned>(value) & 15U];
}
/// -1 unless both are hexadecimal digits.
inline int hex_byte(char high, char low) {
  const int h = hex_digit(high);
  const int l = hex_digit(low);
  return h < 0 || l < 0 ? -1 : h * 16 + l;
}

template <byte B>
std::vector<B> decode_bytea(std::string_view text, Oid type) {
  // The text of another type may look like one of the two forms of bytea and mean other bytes.
  if (type != 0 && type != type_oid::bytea) throw conversion_error("a bytea: read text as std::string");
  std::vector<B> out;
  if (text.starts_with("\\x")) {
    text.remove_prefix(2);
    if (text.size() % 2 != 0) throw conversion_error("a bytea");
    out.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) {
      const int value = hex_byte(text[i], text[i + 1]);
      if (value < 0) throw conversion_error("a bytea");
      out.push_back(static_cast<B>(value));
    }
    return out;
  }
  // bytea_output = escape: "\\" is a backslash, "\ooo" a byte in octal.
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out.push_back(static_cast<B>(text[i]));
    } else if (text.substr(i, 2) == "\\\\") {
      out.push_back(static_cast<B>('\\'));
      ++i;
    } else {
      out.push_back(static_cast<B>(octal_byte(text.substr(i + 1, 3))));
      i += 3;
    }
  }
  return out;
}

/// Sent in binary form: half the size of the text form, and no byte needs escaping.
struct bytea_parameter {
  static constexpr Oid oid = type_oid::bytea;
  static constexpr Oid array_oid = 1001;
  static constexpr bool binary = true;
  template <class Bytes>
  static std::span<const std::byte> bytes(const Bytes& value) {
    return std::as_bytes(std::span(value));
  }
  template <class Bytes>
  static void encode(std::string& out, const Bytes& value) {
    const auto raw = bytes(value);
    out.append(reinterpret_cast<const char*>(raw.data()), raw.size());
  }
  template <class Bytes>
  static void encode_text(std::string& out, const Bytes& value) {
    out += "\\x";
    for (const std::byte b : bytes(value)) append_hex(out, b);
  }
};

}  // namespace detail

/// bytea; an array of bytes is one of exactly that length.
template <detail::byte B>
struct codec<std::vector<B>> : detail::bytea_parameter {
  static std::vector<B> decode(std::string_view text, Oid type = 0) { return detail::decode_bytea<B>(text, type); }
};
template <detail::byte B, std::size_t N>
struct codec<std::array<B, N>> : detail::bytea_parameter {
  static std::array<B, N> decode(std::string_view text, Oid type = 0) {
    const auto bytes = detail::decode_bytea<B>(text, type);
    if (bytes.size() != N) throw conversion_error("a bytea of " + std::to_string(N) + " bytes");
    std::array<B, N> out{};
    for (std::size_t i = 0; i < N; ++i) out[i] = bytes[i];
    return out;
  }
};
/// bytea, as a parameter only.
template <class B, std::size_t N>
requires detail::byte<std::remove_const_t<B>>
struct codec<std::span<B, N>> : detail::bytea_parameter {
};

/// uuid. Names its type, because sent as text a bytea column would take its digits.
template <>
struct codec<uuid> {
  static constexpr Oid oid = 2950;
  static constexpr Oid array_oid = 2951;
  TIDEPOOL_DECL static void encode(std::string& out, const uuid& value);
  TIDEPOOL_DECL static uuid decode(std::string_view text);
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
