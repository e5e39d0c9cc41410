// SPDX-License-Identifier: BSL-1.0
// tidepool - reads a row into a value, a tuple, a pair or a plain struct.
#ifndef TIDEPOOL_POSTGRES_DETAIL_ROW_TYPE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_ROW_TYPE_HPP

#include <cstddef>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../../version.hpp"
#include "../codec.hpp"
#include "aggregate.hpp"
#include "type_words.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

template <class T>
struct is_tuple : std::false_type {};
template <class... Ts>
struct is_tuple<std::tuple<Ts...>> : std::true_type {};
template <class A, class B>
struct is_tuple<std::pair<A, B>> : std::true_type {};

/// A type with a codec is read from one column, also where it is a struct or a tuple.
template <class T>
constexpr std::size_t row_width() {
  if constexpr (decodable<T>) {
    return 1;
  } else if constexpr (is_tuple<T>::value) {
    return std::tuple_size_v<T>;
  } else {
    static_assert(std::is_aggregate_v<T>,
                  "a row cannot be read into this type: use a type with a tidepool::postgres::codec, a std::tuple, a std::pair, or a "
                  "struct without constructors whose members are the columns in order");
    return member_count<T>();
  }
}

/// False for a view, also as a member: it would point into a result that is gone.
template <class T>
consteval bool owns() {
  if constexpr (decodable<T>) {
    return !std::is_same_v<typename unwrapped<T>::type, std::string_view>;
  } else if constexpr (is_tuple<T>::value) {
    return []<std::size_t... I>(std::index_sequence<I...>) { return (owns<std::tuple_element_t<I, T>>() && ...); }
    (std::make_index_sequence<std::tuple_size_v<T>>());
  } else if constexpr (std::is_aggregate_v<T>) {
    using members = decltype(tie_members(std::declval<T&>()));
    return []<std::size_t... I>(std::index_sequence<I...>) {
      return (owns<std::remove_cvref_t<std::tuple_element_t<I, members>>>() && ...);
    }
    (std::make_index_sequence<std::tuple_size_v<members>>());
  } else {
    return true;
  }
}
template <class T>
inline constexpr bool owns_data = owns<T>();

/// Calls `refuse(n, type_name)`, which throws, when `columns` is not n, the number that T takes.
template <class T, class Refuse>
void check_columns(std::size_t columns, const Refuse& refuse) {
  constexpr auto expected = row_width<T>();
  if (columns != expected) refuse(expected, &type_words<T>);
}

/// After `check_columns`.
template <class T, class Row>
T read_row(const Row& row) {
  if constexpr (decodable<T>) {
    return row[0].template as<T>();
  } else if constexpr (is_tuple<T>::value) {
    return [&row]<std::size_t... I>(std::index_sequence<I...>) { return T{row[I].template as<std::tuple_element_t<I, T>>()...}; }
    (std::make_index_sequence<std::tuple_size_v<T>>());
  } else {
    T out{};
    auto members = tie_members(out);
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      ((std::get<I>(members) = row[I].template as<std::remove_cvref_t<std::tuple_element_t<I, decltype(members)>>>()), ...);
    }
    (std::make_index_sequence<std::tuple_size_v<decltype(members)>>());
    return out;
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
