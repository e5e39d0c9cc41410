// SPDX-License-Identifier: BSL-1.0
// tidepool - values that are more than a copy: see lazy.hpp.
#ifndef TIDEPOOL_MYSQL_IMPL_CODEC_IPP
#define TIDEPOOL_MYSQL_IMPL_CODEC_IPP

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

#include "../../detail/driver/read_floating.hpp"
#include "../../version.hpp"
#include "../codec.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {

TIDEPOOL_LAZY_BODY void parameter::refuse_size() { throw error(errc::bad_parameter, "larger than 1 GB"); }

namespace detail {

template <class T>
T number_of_decimal(std::string_view digits) {
  const auto point = digits.find('.');
  if (point != std::string_view::npos && digits.find_first_not_of('0', point + 1) != std::string_view::npos) {
    throw conversion_error("an integer: it has a fraction");
  }
  digits = digits.substr(0, point);
  T out{};
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
  if (failure == std::errc::result_out_of_range || (std::is_unsigned_v<T> && digits.starts_with('-'))) {
    throw conversion_error("within the range of a " + std::to_string(8 * sizeof(T)) + "-bit integer");
  }
  if (failure != std::errc() || end != digits.data() + digits.size()) throw conversion_error("a decimal number");
  return out;
}
TIDEPOOL_LAZY_BODY std::int64_t integer_of_decimal(std::string_view digits) { return number_of_decimal<std::int64_t>(digits); }
TIDEPOOL_LAZY_BODY std::uint64_t natural_of_decimal(std::string_view digits) { return number_of_decimal<std::uint64_t>(digits); }
TIDEPOOL_LAZY_BODY double real_of_decimal(std::string_view digits) {
  double out = 0;
  if (const auto failure = tidepool::detail::driver::read_floating(digits, out); failure != std::errc())
    throw conversion_error("a decimal number");
  return out;
}

}  // namespace detail

TIDEPOOL_LAZY_BODY std::string uuid::text() const {
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(36);
  for (std::size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    const auto byte = static_cast<unsigned>(bytes[i]);
    out += digits[byte >> 4U];
    out += digits[byte & 15U];
  }
  return out;
}
TIDEPOOL_LAZY_BODY uuid uuid::parse(std::string_view text) {
  uuid out;
  std::size_t nibbles = 0;
  for (const char c : text) {
    if (c == '-') continue;
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (digit < 0 || nibbles == 32) throw conversion_error("a UUID");
    out.bytes[nibbles / 2] |= static_cast<std::byte>(nibbles % 2 == 0 ? digit << 4 : digit);
    ++nibbles;
  }
  if (nibbles != 32) throw conversion_error("a UUID");
  return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#endif
