// SPDX-License-Identifier: BSL-1.0
// tidepool - one error in words, at compile time, for a type that cannot be sent or read. What comes after it compiles, so that nothing
// else is said.
// Before the guard: codec.hpp includes this file where its own declarations are complete.
#include "../../version.hpp"
#include "../codec.hpp"

#ifndef TIDEPOOL_POSTGRES_DETAIL_REQUIRE_CODEC_HPP
#define TIDEPOOL_POSTGRES_DETAIL_REQUIRE_CODEC_HPP

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

template <class T>
inline constexpr bool has_codec_to_send = encodable<T>;
template <class T>
inline constexpr bool has_codec_to_read = decodable<T>;

/// A sequence of `char` or `signed char`, also in another one.
template <class T>
inline constexpr bool of_ambiguous_bytes = false;
template <class T>
requires requires { typename sequence<T>::element; }
inline constexpr bool of_ambiguous_bytes<T> = ambiguous_byte<element_of<T>> || of_ambiguous_bytes<element_of<T>>;
template <class T>
inline constexpr bool clear_bytes = !of_ambiguous_bytes<T>;
template <class T>
inline constexpr bool of_fixed_length = !average_span<T>;

/// The errors that sending and reading have in common.
template <class T>
consteval bool require_clear_type() {
  static_assert(clear_bytes<T>,
                "a sequence of char or signed char is text, numbers or bytes, and only you know which: use std::string for text, "
                "std::byte or unsigned char for bytea, std::int16_t for an array of small numbers");
  static_assert(of_fixed_length<T>, "std::chrono::months and years are averages of no fixed length: use tidepool::postgres::interval");
  return clear_bytes<T> && of_fixed_length<T>;
}
template <class T>
consteval bool require_encoder() {
  if constexpr (requires { codec_for<T>::check(); }) codec_for<T>::check();  // what a codec says of itself
  if constexpr (!encodable<T> && require_clear_type<codec_type<T>>()) {
    static_assert(has_codec_to_send<T>, R"(this type cannot be a parameter, because it has no codec. Write one:
    template <> struct tidepool::postgres::codec<T> {
      static void encode(std::string& out, const T& value) { out += value.text(); }
      static T decode(std::string_view text) { return T(text); }
    };
an enum: derive the codec from enum_codec<T>; a struct as a composite: from composite_codec<T>;
std::variant, std::filesystem::path, addresses, ranges, numeric: include <tidepool/postgres/types.hpp>)");
  }
  return encodable<T>;
}
template <class T>
consteval bool require_decoder() {
  if constexpr (!decodable<T> && require_clear_type<typename unwrapped<T>::type>()) {
    static_assert(has_codec_to_read<T>, R"(a column cannot be read into this type, because it has no codec that reads. Write one:
    template <> struct tidepool::postgres::codec<T> {
      static void encode(std::string& out, const T& value) { out += value.text(); }
      static T decode(std::string_view text) { return T(text); }
    };
a view or a span: read what owns its data; an enum: derive the codec from enum_codec<T>; a struct in a column: from composite_codec<T>;
std::variant, std::filesystem::path, addresses, ranges, numeric: include <tidepool/postgres/types.hpp>)");
  }
  return decodable<T>;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
