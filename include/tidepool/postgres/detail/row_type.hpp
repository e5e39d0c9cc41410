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

/// What is read member by member: a struct without constructors.
template <class T>
inline constexpr bool is_plain_struct = std::is_class_v<T>&& std::is_aggregate_v<T> && !is_nested<T>::value;
template <class T>
concept row_struct = is_plain_struct<T> && struct_misfit_of<T>
== struct_misfit::none;

/// A row, member by member.
template <class T>
struct columns_of {};
template <class... Ts>
struct columns_of<std::tuple<Ts...>> {
  static consteval bool require() { return (require_decoder<std::remove_cvref_t<Ts>>() && ...); }
};
template <class A, class B>
struct columns_of<std::pair<A, B>> : columns_of<std::tuple<A, B>> {};

/// False, with an error in words, where a row cannot be read into T because it, or a member of it, has no codec.
template <class T>
consteval bool require_row() {
  if constexpr (decodable<T>) {
    return true;
  } else if constexpr (is_tuple<T>::value) {
    return columns_of<T>::require();
  } else if constexpr (is_plain_struct<T>) {
    constexpr auto found = struct_misfit_of<T>;
    static_assert(found != struct_misfit::count,
                  "a struct that rows are read into must have 1 to 16 members, none of them a reference: use std::tuple for more");
    static_assert(found != struct_misfit::base,
                  "a struct that rows are read into cannot have a base class: make that a member of a std::tuple, or repeat its members");
    static_assert(found != struct_misfit::reference,
                  "a struct that rows are read into cannot have a member that is a reference: it would refer to a value that is gone");
    static_assert(found != struct_misfit::array,
                  "a struct that rows are read into cannot have a member that is a C array: use std::array or std::vector");
    if constexpr (row_struct<T>) {
      return columns_of<decltype(tie_members(std::declval<T&>()))>::require();
    } else {
      return false;
    }
  } else {
    return require_decoder<T>();
  }
}

/// A type with a codec is read from one column, also where it is a struct or a tuple.
template <class T>
constexpr std::size_t row_width() {
  if constexpr (decodable<T>) {
    return 1;
  } else if constexpr (is_tuple<T>::value) {
    return std::tuple_size_v<T>;
  } else if constexpr (require_row<T>()) {
    return member_count<T>();
  } else {
    return 1;
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
  } else if constexpr (row_struct<T>) {
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
  } else if constexpr (row_struct<T>) {
    using members = decltype(tie_members(std::declval<T&>()));
    return [&row]<std::size_t... I>(std::index_sequence<I...>) {
      return T{row[I].template as<std::remove_cvref_t<std::tuple_element_t<I, members>>>()...};
    }
    (std::make_index_sequence<std::tuple_size_v<members>>());
  } else {
    (void)row;
    throw conversion_error("a type of rows");  // refused at compile time, in words
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
