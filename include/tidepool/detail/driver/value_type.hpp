// SPDX-License-Identifier: BSL-1.0
// tidepool - what the codecs of all drivers ask of a type.
#ifndef TIDEPOOL_DETAIL_DRIVER_VALUE_TYPE_HPP
#define TIDEPOOL_DETAIL_DRIVER_VALUE_TYPE_HPP

#include <concepts>
#include <cstddef>
#include <optional>
#include <string_view>
#include <type_traits>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

template <class T>
struct is_optional : std::false_type {};
template <class T>
struct is_optional<std::optional<T>> : std::true_type {};

template <class T>
struct unwrapped {
  using type = T;
};
template <class T>
struct unwrapped<std::optional<T>> {
  using type = T;
};

template <class T, class Char>
inline constexpr bool points_to = std::is_same_v<std::decay_t<T>, const Char*> || std::is_same_v<std::decay_t<T>, Char*>;

template <class T>
decltype(auto) strip_optional(const T& value) {
  if constexpr (is_optional<T>::value) {
    return *value;
  } else if constexpr (std::is_same_v<T, std::nullptr_t> || std::is_same_v<T, std::nullopt_t>) {
    return std::string_view();
  } else {
    return (value);
  }
}

template <class T>
concept byte = std::same_as<T, std::byte> || std::same_as<T, unsigned char>;
/// Types that may hold text, numbers or bytes: only the user knows which.
template <class T>
concept ambiguous_byte = std::same_as<T, char> || std::same_as<T, signed char>;

template <class T>
concept character =
    std::same_as<T, char> || std::same_as<T, wchar_t> || std::same_as<T, char8_t> || std::same_as<T, char16_t> || std::same_as<T, char32_t>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
