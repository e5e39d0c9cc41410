// SPDX-License-Identifier: BSL-1.0
// tidepool - composite values (row types) as plain structs.
#ifndef TIDEPOOL_POSTGRES_TYPES_COMPOSITE_HPP
#define TIDEPOOL_POSTGRES_TYPES_COMPOSITE_HPP

#include <cstddef>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../../detail/driver/aggregate.hpp"
#include "../../version.hpp"
#include "../codec.hpp"
#include "../detail/quoted_text.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// Base for the codec of a plain struct of 1 to 16 members that stands for one composite value, `select cast(row(1, 2) as address)`:
///
///     template <> struct tidepool::postgres::codec<address> : tidepool::postgres::composite_codec<address> {};
/// Members are the fields in their order, also structs with such a codec, arrays, and `std::optional` for NULL. From then on the struct is
/// one column: a row of several columns is read into a struct without a codec. As a parameter the statement says its type: `cast($1 as
/// address)`, or the column it goes to. The server does not name the types of fields: a bit string is read into an integer as decimal
/// digits, and a `std::vector<std::string>` of a type whose delimiter is no comma in wrong pieces, as with COPY.
template <class T>
struct composite_codec {
  static void encode(std::string& out, const T& value) {
    auto members = tidepool::detail::tie_members(value);
    out += '(';
    std::string word;
    const auto one = [&]<class M>(std::size_t place, const M& member) {
      if (place > 0) out += ',';
      if constexpr (detail::require_encoder<M>()) {
        if (detail::is_null(member)) return;
        word.clear();
        detail::encode_text<detail::codec_for<M>>(word, detail::strip_optional(member));
        detail::append_quoted(out, word);
      }
    };
    [&]<std::size_t... I>(std::index_sequence<I...>) { (one(I, std::get<I>(members)), ...); }
    (std::make_index_sequence<std::tuple_size_v<decltype(members)>>());
    out += ')';
  }

  static T decode(std::string_view text) {
    using members = decltype(tidepool::detail::tie_members(std::declval<T&>()));
    constexpr std::size_t count = std::tuple_size_v<members>;
    detail::quoted_reader in(text);
    const auto one = [&]<std::size_t I>(std::integral_constant<std::size_t, I>) {
      using M = std::remove_cvref_t<std::tuple_element_t<I, members>>;
      static_assert(!std::is_same_v<typename detail::unwrapped<M>::type, std::string_view>,
                    "a string_view in a composite would point to a text that is gone: use std::string");
      std::string word;
      bool present = false;
      if (!in.accept(I == 0 ? '(' : ',') || !in.word(word, present, ",)")) refuse(count);
      (void)detail::require_decoder<M>();
      return field<M>(word, present, I);
    };
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      T out{one(std::integral_constant<std::size_t, I>())...};
      if (!in.accept(')') || !in.at_end()) refuse(count);
      return out;
    }
    (std::make_index_sequence<count>());
  }

 private:
  [[noreturn]] static void refuse(std::size_t count) {
    throw conversion_error("a composite of " + std::to_string(count) + (count == 1 ? " field" : " fields"));
  }
  template <class M>
  static M field(std::string_view word, bool present, std::size_t place) {
    const auto name = [place] { return "field " + std::to_string(place + 1); };
    if (!present) {
      if constexpr (detail::may_be_null<M>) {
        return detail::null_value<M>();
      } else {
        throw error(errc::null_value, name() + " of the composite is NULL");
      }
    }
    try {
      return detail::decode_value<typename detail::unwrapped<M>::type>(word, 0);
    } catch (const error& failure) {
      throw error(failure.reason(), name() + " of the composite: " + std::string(failure.explanation()));
    }
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
