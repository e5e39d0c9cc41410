// SPDX-License-Identifier: BSL-1.0
// tidepool - reads a row of any driver into a value, a tuple, a pair or a plain struct.
//
// A driver's types are known by its `Codecs`, a class with these static members:
//   template <class T> bool reads       whether a column can be read into T
//   template <class T> bool refers      whether such a T points into the result: a view
//   template <class T> bool is_sequence whether T, an aggregate, is read from one column all the same: std::array
//   template <class T> consteval bool require()   `reads<T>`, with an error of the compiler in words where it is false
#ifndef TIDEPOOL_DETAIL_DRIVER_ROW_TYPE_HPP
#define TIDEPOOL_DETAIL_DRIVER_ROW_TYPE_HPP

#include <array>
#include <cstddef>
#include <exception>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../../version.hpp"
#include "aggregate.hpp"
#include "type_words.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

template <class T>
inline constexpr bool is_array = false;
template <class T, std::size_t Size>
inline constexpr bool is_array<std::array<T, Size>> = true;

template <class T>
struct is_tuple : std::false_type {};
template <class... Ts>
struct is_tuple<std::tuple<Ts...>> : std::true_type {};
template <class A, class B>
struct is_tuple<std::pair<A, B>> : std::true_type {};

/// What is read member by member: a struct without constructors.
template <class T, class Codecs>
inline constexpr bool is_plain_struct = std::is_class_v<T>&& std::is_aggregate_v<T> && !Codecs::template is_sequence<T>;
template <class T, class Codecs>
concept row_struct = is_plain_struct<T, Codecs> && struct_misfit_of<T>
== struct_misfit::none;

/// A row, member by member.
template <class T>
struct columns_of {};
template <class... Ts>
struct columns_of<std::tuple<Ts...>> {
  template <class Codecs>
  static consteval bool require() {
    return (Codecs::template require<std::remove_cvref_t<Ts>>() && ...);
  }
};
template <class A, class B>
struct columns_of<std::pair<A, B>> : columns_of<std::tuple<A, B>> {};

/// False, with an error in words, where a row cannot be read into T because it, or a member of it, has no codec.
template <class T, class Codecs>
consteval bool require_row() {
  if constexpr (Codecs::template reads<T>) {
    return true;
  } else if constexpr (is_tuple<T>::value) {
    return columns_of<T>::template require<Codecs>();
  } else if constexpr (is_plain_struct<T, Codecs>) {
    constexpr auto found = struct_misfit_of<T>;
    static_assert(found != struct_misfit::count,
                  "a struct that rows are read into must have 1 to 16 members, none of them a reference: use std::tuple for more");
    static_assert(found != struct_misfit::base,
                  "a struct that rows are read into cannot have a base class: make that a member of a std::tuple, or repeat its members");
    static_assert(found != struct_misfit::reference,
                  "a struct that rows are read into cannot have a member that is a reference: it would refer to a value that is gone");
    static_assert(found != struct_misfit::array,
                  "a struct that rows are read into cannot have a member that is a C array: use std::array or std::vector");
    if constexpr (row_struct<T, Codecs>) {
      return columns_of<decltype(tie_members(std::declval<T&>()))>::template require<Codecs>();
    } else {
      return false;
    }
  } else {
    return Codecs::template require<T>();
  }
}

/// A type with a codec is read from one column, also where it is a struct or a tuple.
template <class T, class Codecs>
constexpr std::size_t row_width() {
  if constexpr (Codecs::template reads<T>) {
    return 1;
  } else if constexpr (is_tuple<T>::value) {
    return std::tuple_size_v<T>;
  } else if constexpr (require_row<T, Codecs>()) {
    return member_count<T>();
  } else {
    return 1;
  }
}

/// False for a view, also as a member: it would point into a result that is gone.
template <class T, class Codecs>
consteval bool owns() {
  if constexpr (Codecs::template reads<T>) {
    return !Codecs::template refers<T>;
  } else if constexpr (is_tuple<T>::value) {
    return []<std::size_t... I>(std::index_sequence<I...>) { return (owns<std::tuple_element_t<I, T>, Codecs>() && ...); }
    (std::make_index_sequence<std::tuple_size_v<T>>());
  } else if constexpr (row_struct<T, Codecs>) {
    using members = decltype(tie_members(std::declval<T&>()));
    return []<std::size_t... I>(std::index_sequence<I...>) {
      return (owns<std::remove_cvref_t<std::tuple_element_t<I, members>>, Codecs>() && ...);
    }
    (std::make_index_sequence<std::tuple_size_v<members>>());
  } else {
    return true;
  }
}

/// Calls `refuse(n, type_name)`, which throws, when `columns` is not n, the number that T takes.
template <class T, class Codecs, class Refuse>
void check_columns(std::size_t columns, const Refuse& refuse) {
  constexpr auto expected = row_width<T, Codecs>();
  if (columns != expected) refuse(expected, &type_words<T>);
}

/// After `check_columns`. `Row` names its `codecs`, and has `row[i].template as<T>()`.
template <class T, class Row>
T read_row(const Row& row) {
  using codecs = typename Row::codecs;
  if constexpr (codecs::template reads<T>) {
    return row[0].template as<T>();
  } else if constexpr (is_tuple<T>::value) {
    return [&row]<std::size_t... I>(std::index_sequence<I...>) { return T{row[I].template as<std::tuple_element_t<I, T>>()...}; }
    (std::make_index_sequence<std::tuple_size_v<T>>());
  } else if constexpr (row_struct<T, codecs>) {
    using members = decltype(tie_members(std::declval<T&>()));
    return [&row]<std::size_t... I>(std::index_sequence<I...>) {
      return T{row[I].template as<std::remove_cvref_t<std::tuple_element_t<I, members>>>()...};
    }
    (std::make_index_sequence<std::tuple_size_v<members>>());
  } else {
    (void)row;
    std::terminate();  // refused at compile time, in words
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
