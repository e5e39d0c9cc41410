// SPDX-License-Identifier: BSL-1.0
// tidepool - enumerations: by their names, or, where that is chosen, by their numbers.
// Before the guard: codec.hpp includes this file where its own declarations are complete.
#include "codec.hpp"

#ifndef TIDEPOOL_POSTGRES_CODEC_ENUM_HPP
#define TIDEPOOL_POSTGRES_CODEC_ENUM_HPP

#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {
namespace detail {

/// No name and no value twice, and no name that is empty.
template <class E>
consteval bool names_are_distinct() {
  for (std::size_t i = 0; i < std::size(codec<E>::names); ++i) {
    if (codec<E>::names[i].second.empty()) return false;
    for (std::size_t j = 0; j < i; ++j) {
      if (codec<E>::names[i].first == codec<E>::names[j].first || codec<E>::names[i].second == codec<E>::names[j].second) return false;
    }
  }
  return true;
}
template <class E>
std::string number_of(E value) {
  return std::to_string(static_cast<std::underlying_type_t<E>>(value));
}

}  // namespace detail

/// Base for the codec of an enumeration that is sent and read by the names of its values, as a type made by `create type ... as enum` has
/// them, or as text:
///
///     template <> struct tidepool::postgres::codec<mood> : tidepool::postgres::enum_codec<mood> {
///       static constexpr std::pair<mood, std::string_view> names[] = {{mood::sad, "sad"}, {mood::happy, "happy"}};
///     };
/// Two equal names or values, or an empty name, do not compile. A value without a name is `bad_parameter`, another name a conversion error.
template <class E>
struct enum_codec {
  static consteval void check() { static_assert(detail::names_are_distinct<E>(), "`names` has a name or a value twice, or an empty name"); }
  static void encode(std::string& out, E value) {
    check();
    for (const auto& [entry, name] : codec<E>::names) {
      if (entry == value) {
        out += name;
        return;
      }
    }
    throw error(errc::bad_parameter, "an enumeration's value " + detail::number_of(value) + " has no name in its codec");
  }
  static E decode(std::string_view text) {
    check();
    for (const auto& [entry, name] : codec<E>::names) {
      if (name == text) return entry;
    }
    throw conversion_error("a known name of the enumeration");
  }
};

/// Base for the codec of an enumeration that is stored as an integer:
///
///     template <> struct tidepool::postgres::codec<level> : tidepool::postgres::enum_number_codec<level> {
///       static constexpr level values[] = {level::low, level::high};
///     };
/// A number that is not among `values` is a conversion error, and `bad_parameter` when it is sent. Without `values` every number of the
/// underlying type is taken.
template <class E>
struct enum_number_codec {
  using number = std::underlying_type_t<E>;  ///< what is sent and read
  static void encode(std::string& out, E value) {
    if (!known(value))
      throw error(errc::bad_parameter, "an enumeration's value " + detail::number_of(value) + " is not one of its codec's");
    codec<number>::encode(out, static_cast<number>(value));
  }
  static E decode(std::string_view text, Oid type = 0) {
    const auto value = static_cast<E>(codec<number>::decode(text, type));
    if (!known(value)) throw conversion_error("a known number of the enumeration");
    return value;
  }

 private:
  static bool known(E value) {
    if constexpr (requires { codec<E>::values; }) {
      for (const E entry : codec<E>::values) {
        if (entry == value) return true;
      }
      return false;
    } else {
      return true;
    }
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
