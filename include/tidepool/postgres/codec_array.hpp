// SPDX-License-Identifier: BSL-1.0
// tidepool - PostgreSQL arrays as std::vector, std::array and, sent only, std::span; nested ones are dimensions.
// Before the guard: codec.hpp includes this file where its own declarations are complete.
#include "codec.hpp"

#ifndef TIDEPOOL_POSTGRES_CODEC_ARRAY_HPP
#define TIDEPOOL_POSTGRES_CODEC_ARRAY_HPP

#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "../version.hpp"
#include "detail/array_text.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// An array with the lower bounds of its dimensions, which a plain vector drops: written back it is the same array. `Delimiter` is the
/// character between its elements where neither the server's type nor the element's codec names one.
template <class T, char Delimiter = '\0'>
struct bounded_array {
  bounded_array() = default;  // no aggregate: GCC 12 destroys those twice in a `co_await` expression
  explicit bounded_array(std::vector<T> elements, std::vector<int> bounds = std::vector<int>())
      : values(std::move(elements)), lower_bounds(std::move(bounds)) {}
  std::vector<T> values;
  /// One for each dimension; none: all are 1. An empty array has none.
  std::vector<int> lower_bounds;
  friend bool operator==(const bounded_array&, const bounded_array&) = default;
};

namespace detail {

template <class T>
struct is_bounded : std::false_type {};
template <class T, char D>
struct is_bounded<bounded_array<T, D>> : std::true_type {};

// PostgreSQL has no arrays of arrays: a nested one is a dimension, and a dimension is never NULL.
template <class T>
concept scalar_element = !is_nested<typename unwrapped<T>::type>::value && !is_bounded<typename unwrapped<T>::type>::value;
template <class T>
concept sendable_element = encodable<T> &&(is_nested<T>::value || (scalar_element<T> && has_text_form<codec_for<T>, codec_type<T>>));
template <class T>
concept readable_element = decodable<T> &&
    (is_nested<T>::value || (scalar_element<T> && !std::same_as<typename unwrapped<T>::type, std::string_view>));

/// The OID of a parameter's array type, where the element's codec names it.
template <class T>
struct array_parameter {};
template <class T>
requires requires { codec_for<T>::array_oid; }
struct array_parameter<T> {
  static constexpr Oid oid = codec_for<T>::array_oid;
  static constexpr Oid array_oid = oid;
};

}  // namespace detail

/// An array; `std::optional` elements may be NULL. Nested sequences are dimensions and must be of equal lengths. Lower bounds other
/// than 1 are dropped: see `bounded_array`. `where id = any($1)` takes one.
/// Elements of a type the driver does not know, of an extension or your own, cannot be read as `std::string`, because their delimiter need
/// not be a comma: select them `::text[]`, read them into a C++ type with a codec, or name the delimiter, as in
/// `bounded_array<std::string, ','>`. COPY names no types: there the delimiter is assumed to be a comma.
template <class T>
requires(!detail::byte<T> && !detail::ambiguous_byte<T>) struct codec<std::vector<T>> : detail::array_parameter<T> {
  static void encode(std::string& out, const std::vector<T>& values) requires detail::sendable_element<T> {
    detail::append_array(out, values, detail::sent_delimiter<T>('\0'));
  }
  static std::vector<T> decode(std::string_view text, Oid type = 0) requires detail::readable_element<T> {
    return detail::read_array<std::vector<T>>(text, type, '\0').values;
  }
};
/// An array of exactly N elements; another number is a conversion error.
template <class T, std::size_t N>
requires(!detail::byte<T> && !detail::ambiguous_byte<T>) struct codec<std::array<T, N>> : detail::array_parameter<T> {
  static void encode(std::string& out, const std::array<T, N>& values) requires detail::sendable_element<T> {
    detail::append_array(out, values, detail::sent_delimiter<T>('\0'));
  }
  static std::array<T, N> decode(std::string_view text, Oid type = 0) requires detail::readable_element<T> {
    return detail::read_array<std::array<T, N>>(text, type, '\0').values;
  }
};
/// An array, as a parameter only.
template <class T, std::size_t N>
requires(!detail::byte<std::remove_const_t<T>> && !detail::ambiguous_byte<std::remove_const_t<T>>) struct codec<std::span<T, N>>
    : detail::array_parameter<std::remove_const_t<T>> {
  using element = std::remove_const_t<T>;
  static void encode(std::string& out, std::span<T, N> values) requires detail::sendable_element<element> {
    detail::append_array(out, values, detail::sent_delimiter<element>('\0'));
  }
};
template <class T, char Delimiter>
requires(!detail::byte<T> && !detail::ambiguous_byte<T>) struct codec<bounded_array<T, Delimiter>> : detail::array_parameter<T> {
  using type = bounded_array<T, Delimiter>;
  static void encode(std::string& out, const type& value) requires detail::sendable_element<T> {
    if (!value.values.empty()) detail::append_bounds(out, value.values, value.lower_bounds);
    detail::append_array(out, value.values, detail::sent_delimiter<T>(Delimiter));
  }
  static type decode(std::string_view text, Oid oid = 0) requires detail::readable_element<T> {
    auto read = detail::read_array<std::vector<T>>(text, oid, Delimiter);
    return type(std::move(read.values), std::move(read.lower_bounds));
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
