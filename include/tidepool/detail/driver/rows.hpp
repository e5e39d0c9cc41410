// SPDX-License-Identifier: BSL-1.0
// tidepool - what the results of all drivers have in common: all rows, one, or none or one, as values of T.
//
// A driver's results are known by their `Source`, a class with these members:
//   using pointer                              to the rows of one statement; null: there are none
//   using row, index                           a row is made of a pointer and an index; names its `codecs`
//   static index rows(pointer); static std::size_t columns(pointer)
//   static void throw_columns(pointer, wanted, type), throw_rows(pointer, count, none_allowed)
#ifndef TIDEPOOL_DETAIL_DRIVER_ROWS_HPP
#define TIDEPOOL_DETAIL_DRIVER_ROWS_HPP

#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../../version.hpp"
#include "../util/asio.hpp"
#include "row_type.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

template <class T, class Source>
void check_result_columns(typename Source::pointer from) {
  check_columns<T, typename Source::row::codecs>(
      Source::columns(from), [from](std::size_t wanted, std::string (*type)()) { Source::throw_columns(from, wanted, type); });
}

/// Rows of one result as values of T, read as they are reached.
template <class T, class Source>
class basic_row_range {
 public:
  using pointer_type = typename Source::pointer;
  using index_type = typename Source::index;

  class iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = T;

    iterator() = default;
    iterator(pointer_type from, index_type index) : from_(from), index_(index) {}
    T operator*() const { return read_row<T>(typename Source::row(from_, index_)); }
    iterator& operator++() {
      ++index_;
      return *this;
    }
    iterator operator++(int) {
      auto old = *this;
      ++index_;
      return old;
    }
    friend bool operator==(const iterator&, const iterator&) = default;

   private:
    pointer_type from_{};
    index_type index_ = 0;
  };

  explicit basic_row_range(pointer_type from) : from_(from) {}
  iterator begin() const { return {from_, 0}; }
  iterator end() const { return {from_, from_ == pointer_type{} ? index_type{} : Source::rows(from_)}; }

 private:
  pointer_type from_;
};

/// False, with an error in words, where rows cannot be read into values that outlive their result.
template <class T, class Source>
consteval bool require_owning_row() {
  using codecs = typename Source::row::codecs;
  constexpr bool keeps = owns<T, codecs>();
  static_assert(keeps, "a string_view would point into a result that is gone: use std::string");
  return require_row<T, codecs>() && keeps;
}

template <class Source>
std::size_t count_rows(typename Source::pointer from) {
  return from == typename Source::pointer{} ? 0 : static_cast<std::size_t>(Source::rows(from));
}
template <class T, class Source>
std::vector<T> all_rows(typename Source::pointer from) {
  std::vector<T> out;
  if (from == typename Source::pointer{}) return out;
  check_result_columns<T, Source>(from);
  out.reserve(count_rows<Source>(from));
  for (auto&& value : basic_row_range<T, Source>(from)) out.push_back(std::move(value));
  return out;
}
template <class T, class Source>
T one_row(typename Source::pointer from) {
  const std::size_t count = count_rows<Source>(from);
  if (count != 1) Source::throw_rows(from, count, false);
  check_result_columns<T, Source>(from);
  return read_row<T>(typename Source::row(from, 0));
}
template <class T, class Source>
std::optional<T> opt_row(typename Source::pointer from) {
  const std::size_t count = count_rows<Source>(from);
  if (count > 1) Source::throw_rows(from, count, true);
  check_result_columns<T, Source>(from);
  if (count == 0) return std::nullopt;
  return read_row<T>(typename Source::row(from, 0));
}

// The verbs of a connection. These coroutines are free functions that own what they need, because the object they are called on may be
// moved meanwhile.
template <class T, class Result>
asio::awaitable<std::vector<T>> all_of(asio::awaitable<Result> running) {
  const Result got = co_await std::move(running);
  co_return got.template all<T>();
}
template <class T, class Result>
asio::awaitable<T> one_of(asio::awaitable<Result> running) {
  const Result got = co_await std::move(running);
  co_return got.template one<T>();
}
template <class T, class Result>
asio::awaitable<std::optional<T>> opt_of(asio::awaitable<Result> running) {
  const Result got = co_await std::move(running);
  co_return got.template opt<T>();
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
