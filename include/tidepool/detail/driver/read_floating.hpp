// SPDX-License-Identifier: BSL-1.0
// tidepool - std::from_chars for floating-point numbers, also where the standard library has none: libc++.
#ifndef TIDEPOOL_DETAIL_DRIVER_READ_FLOATING_HPP
#define TIDEPOOL_DETAIL_DRIVER_READ_FLOATING_HPP

#include <charconv>
#include <concepts>
#include <string_view>
#include <system_error>

#if !defined(__cpp_lib_to_chars)
#include <cerrno>
#include <clocale>
#include <cstdlib>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#if defined(__APPLE__)
#include <xlocale.h>
#endif
#endif

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver {

#if defined(__cpp_lib_to_chars)

template <std::floating_point T>
std::errc read_floating(std::string_view text, T& value) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failure != std::errc() || end == text.data() + text.size() ? failure : std::errc::invalid_argument;
}

#else

/// The whole text is the number, as `std::from_chars` reads it: no blanks, no plus sign, no hexadecimal digits, and a point in every
/// locale.
template <std::floating_point T>
std::errc read_floating(std::string_view text, T& value) {
  static const ::locale_t c_locale = ::newlocale(LC_ALL_MASK, "C", nullptr);
  const std::string copy(text);  // with a zero behind it
  const auto first = copy.find_first_not_of('-');
  if (first > 1 || copy.find_first_of("xX") != copy.npos || copy.find_first_of("+ \t\n\v\f\r") == first) return std::errc::invalid_argument;
  const int before = std::exchange(errno, 0);
  char* end = nullptr;
  if constexpr (std::is_same_v<T, float>) {
    value = ::strtof_l(copy.c_str(), &end, c_locale);
  } else if constexpr (std::is_same_v<T, double>) {
    value = ::strtod_l(copy.c_str(), &end, c_locale);
  } else {
    value = ::strtold_l(copy.c_str(), &end, c_locale);
  }
  const int failure = std::exchange(errno, before);
  if (copy.empty() || end != copy.c_str() + copy.size()) return std::errc::invalid_argument;
  // It is set for numbers that lost digits, too.
  const bool out =
      failure == ERANGE && (value == T(0) || value > std::numeric_limits<T>::max() || value < std::numeric_limits<T>::lowest());
  return out ? std::errc::result_out_of_range : std::errc();
}

#endif

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver

#endif
