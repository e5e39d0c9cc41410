// SPDX-License-Identifier: BSL-1.0
// tidepool - std::variant: any of several types, chosen by the value that is sent, and by the type of the column that is read.
#ifndef TIDEPOOL_POSTGRES_TYPES_VARIANT_HPP
#define TIDEPOOL_POSTGRES_TYPES_VARIANT_HPP

#include <array>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "../../version.hpp"
#include "../codec.hpp"
#include "numeric.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {
namespace detail {

/// How well a C++ type fits a column of the server's type; 0: not at all.
enum class fit { none, anything, wider, same };

/// A codec says it by itself with `static bool reads(Oid type)`, or by the `oid` it sends.
template <class T>
fit fit_of(Oid type) {
  using C = codec<T>;
  constexpr auto one_of = [](Oid given, auto... all) { return ((given == static_cast<Oid>(all)) || ...); };
  const bool integer = one_of(type, 20, 21, 23), real = one_of(type, 700, 701);
  if constexpr (requires {
                  { C::reads(type) } -> std::same_as<bool>;
                }) {
    return C::reads(type) ? fit::same : fit::none;
  } else if constexpr (std::same_as<T, bool>) {
    return type == 16 ? fit::same : fit::none;
  } else if constexpr (std::integral<T> && !character<T>) {
    const bool size = (type == 21 && sizeof(T) == 2) || (type == 23 && sizeof(T) == 4) || (type == 20 && sizeof(T) == 8);
    return size && std::is_signed_v<T> ? fit::same : integer || type == 26 ? fit::wider : fit::none;
  } else if constexpr (std::floating_point<T>) {
    return (type == 700 && sizeof(T) == 4) || (type == 701 && sizeof(T) == 8) ? fit::same : real ? fit::wider : fit::none;
  } else if constexpr (std::same_as<T, numeric>) {
    return type == 1700 ? fit::same : integer ? fit::wider : fit::none;
  } else if constexpr (std::same_as<T, json>) {
    return type == type_oid::json || type == type_oid::jsonb ? fit::same : fit::none;
  } else if constexpr (std::same_as<T, std::string>) {
    return one_of(type, 25, 1043, 1042, 19, 705) ? fit::same : fit::anything;
  } else if constexpr (codec_oid<C>() != 0) {
    return type == codec_oid<C>() ? fit::same : fit::none;
  } else {
    return fit::none;
  }
}

}  // namespace detail

/// Sent is the alternative that the variant holds, with its type. Read is, by the type of the column, the first alternative that fits best:
/// one of just that type (int4: `std::int32_t`; timestamptz: `sys_time`; a codec's `oid`, or what its `static bool reads(Oid)` says), else
/// a number of another size, else a `std::string`, which takes everything as text; if there is none, that is a conversion error.
/// `std::monostate` is NULL. COPY, fields of composites and arrays of types that are not built in do not name their types: there only
/// `std::monostate` and `std::string` can be read.
template <class... Ts>
struct codec<std::variant<Ts...>> {
  using type = std::variant<Ts...>;

  static bool is_null(const type& value) {
    return value.valueless_by_exception() || std::visit([](const auto& held) { return null_held(held); }, value);
  }
  static type null() requires(std::same_as<Ts, std::monostate> || ...) { return std::monostate(); }
  static Oid oid_of(const type& value) {
    return std::visit(
        []<class T>(const T&) -> Oid {
          if constexpr (std::same_as<T, std::monostate>) {
            return 0;
          } else {
            return detail::codec_oid<detail::codec_for<T>>();
          }
        },
        value);
  }
  static void encode(std::string& out, const type& value) {
    std::visit(
        [&out]<class T>(const T& held) {
          if constexpr (!std::same_as<T, std::monostate>) {
            if constexpr (detail::require_encoder<T>()) detail::encode_text<detail::codec_for<T>>(out, detail::strip_optional(held));
          }
        },
        value);
  }
  static type decode(std::string_view text, Oid oid = 0) {
    std::size_t best = 0, index = 0;
    auto found = detail::fit::none;
    const auto look = [&]<class T>(std::type_identity<T>) {
      if constexpr (!std::same_as<T, std::monostate>) {
        const auto fits = detail::fit_of<typename detail::unwrapped<T>::type>(oid);
        if (fits > found) {
          found = fits;
          best = index;
        }
      }
      ++index;
    };
    (look(std::type_identity<Ts>()), ...);
    if (found == detail::fit::none) throw conversion_error("of a type that an alternative of the variant reads");
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      using reader = type (*)(std::string_view, Oid);
      constexpr std::array<reader, sizeof...(Ts)> all{&read<I>...};
      return all[best](text, oid);
    }
    (std::index_sequence_for<Ts...>());
  }

 private:
  template <class T>
  static bool null_held(const T& held) {
    if constexpr (std::same_as<T, std::monostate>) {
      return true;
    } else {
      return detail::is_null(held);
    }
  }
  template <std::size_t I>
  static type read(std::string_view text, Oid oid) {
    using T = std::variant_alternative_t<I, type>;
    if constexpr (std::same_as<T, std::monostate>) {
      return std::monostate();
    } else {
      static_assert(!std::same_as<T, std::string_view>, "a string_view in a variant cannot be read: use std::string");
      return type(std::in_place_index<I>, detail::decode_value<typename detail::unwrapped<T>::type>(text, oid));
    }
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
