// tidepool - bytea and uuid.
#ifndef TIDEPOOL_POSTGRES_CODEC_BINARY_HPP
#define TIDEPOOL_POSTGRES_CODEC_BINARY_HPP

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec.hpp"

namespace tidepool::postgres {

using uuid = std::array<std::byte, 16>;

namespace detail {

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

inline std::vector<std::byte> decode_bytea(std::string_view text) {
  std::vector<std::byte> out;
  if (text.starts_with("\\x")) {
    text.remove_prefix(2);
    if (text.size() % 2 != 0) throw conversion_error("a bytea");
    out.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) {
      const int value = hex_byte(text[i], text[i + 1]);
      if (value < 0) throw conversion_error("a bytea");
      out.push_back(static_cast<std::byte>(value));
    }
    return out;
  }
  // bytea_output = escape: "\\" is a backslash, "\ooo" a byte in octal.
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out.push_back(static_cast<std::byte>(text[i]));
    } else if (text.substr(i, 2) == "\\\\") {
      out.push_back(std::byte{'\\'});
      ++i;
    } else {
      if (i + 3 >= text.size()) throw conversion_error("a bytea");
      int value = 0;
      for (std::size_t k = i + 1; k <= i + 3; ++k) {
        if (text[k] < '0' || text[k] > '7') throw conversion_error("a bytea");
        value = value * 8 + (text[k] - '0');
      }
      if (value > 255) throw conversion_error("a bytea");
      out.push_back(static_cast<std::byte>(value));
      i += 3;
    }
  }
  return out;
}

/// Sent as it is: half the size of the text form, and no byte needs escaping.
struct bytea_parameter {
  static constexpr Oid oid = 17;
  static constexpr bool binary = true;
  static void encode(std::string& out, std::span<const std::byte> value) {
    out.append(reinterpret_cast<const char*>(value.data()), value.size());
  }
};

}  // namespace detail

/// bytea.
template <>
struct codec<std::vector<std::byte>> : detail::bytea_parameter {
  static std::vector<std::byte> decode(std::string_view text) { return detail::decode_bytea(text); }
};
/// bytea, as a parameter only.
template <>
struct codec<std::span<const std::byte>> : detail::bytea_parameter {};
template <>
struct codec<std::span<std::byte>> : detail::bytea_parameter {};

/// uuid.
template <>
struct codec<uuid> {
  static void encode(std::string& out, const uuid& value) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
      detail::append_hex(out, value[i]);
    }
  }
  static uuid decode(std::string_view text) {
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
};

}  // namespace tidepool::postgres

#endif
