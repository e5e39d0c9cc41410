// SPDX-License-Identifier: BSL-1.0
// tidepool - which types rows of SQLite are read into: see detail/driver/row_type.hpp.
#ifndef TIDEPOOL_SQLITE_DETAIL_ROW_TYPE_HPP
#define TIDEPOOL_SQLITE_DETAIL_ROW_TYPE_HPP

#include <string_view>
#include <type_traits>

#include "../../detail/driver/row_type.hpp"
#include "../../version.hpp"
#include "../codec.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail {

using tidepool::detail::type_words;

template <class T>
inline constexpr bool has_codec_to_read = decodable<T>;
template <class T>
inline constexpr bool has_codec_to_send = encodable<T>;

/// Errors in words, at compile time; what comes after them compiles, so that nothing else is said.
template <class T>
consteval bool require_decoder() {
  static_assert(has_codec_to_read<T>, R"(a column cannot be read into this type, because it has no codec that reads. Write one:
    template <> struct tidepool::sqlite::codec<T> {
      static void encode(parameter& out, const T& p) { out.text(p.text()); }
      static T decode(const value& v) { return T(v.text()); }
    };
bytes are std::vector<std::byte>; an enum: derive the codec from enum_codec<T>; a view or a span: read what owns its data)");
  return decodable<T>;
}
template <class T>
consteval bool require_encoder() {
  static_assert(has_codec_to_send<T>, R"(this type cannot be a parameter, because it has no codec. Write one:
    template <> struct tidepool::sqlite::codec<T> {
      static void encode(parameter& out, const T& p) { out.text(p.text()); }
      static T decode(const value& v) { return T(v.text()); }
    };
bytes are std::vector<std::byte> or std::span<const std::byte>; an enum: derive the codec from enum_codec<T>)");
  return encodable<T>;
}

struct codecs {
  template <class T>
  static constexpr bool reads = decodable<T>;
  template <class T>
  static constexpr bool refers = std::is_same_v<typename unwrapped<T>::type, std::string_view>;
  template <class T>
  static constexpr bool is_sequence = tidepool::detail::is_array<T>;
  template <class T>
  static consteval bool require() {
    return require_decoder<T>();
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail

#endif
