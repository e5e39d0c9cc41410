// SPDX-License-Identifier: BSL-1.0
// tidepool - the result of a statement: its rows as tuples, structs or fields.
#ifndef TIDEPOOL_MYSQL_RESULT_HPP
#define TIDEPOOL_MYSQL_RESULT_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "../detail/driver/rows.hpp"
#include "../version.hpp"
#include "codec.hpp"
#include "detail/kept_rows.hpp"
#include "detail/row_type.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {

class row;

namespace detail {

/// See detail/driver/rows.hpp.
struct result_source {
  using pointer = const kept_rows*;
  using index = std::size_t;
  using row = mysql::row;
  static std::size_t rows(const kept_rows* of) noexcept { return of == nullptr ? 0 : of->count; }
  static std::size_t columns(const kept_rows* of) noexcept { return of == nullptr ? 0 : of->columns(); }
  template <class = void>
  [[noreturn]] static void throw_columns(const kept_rows* of, std::size_t wanted, std::string (*type)()) {
    detail::throw_columns(of, wanted, type);
  }
  template <class = void>
  [[noreturn]] static void throw_rows(const kept_rows* of, std::size_t rows, bool none_allowed) {
    detail::throw_rows(of, rows, none_allowed);
  }
};

template <class T>
T read_field(const kept_rows* from, std::size_t row, std::size_t column) {
  using type = typename unwrapped<T>::type;
  if constexpr (require_decoder<T>()) {
    const value v = from->at(row, column);
    // A zero date is no day, and what MySQL has where others have NULL.
    if (v.is_null() || (is_optional<T>::value && v.is_zero_date())) {
      if constexpr (is_optional<T>::value) {
        return std::nullopt;
      } else {
        throw_null(from, row, column, &type_words<type>);
      }
    }
    try {
      return codec<type>::decode(v);
    } catch (const error& failure) {
      throw_unreadable(from, row, column, &type_words<type>, failure);
    }
  } else {
    throw error(errc::conversion, "a type without a codec");  // refused at compile time, in words
  }
}

}  // namespace detail

/// One value of one row. Valid as long as its result.
class field {
 public:
  field(const detail::kept_rows* from, std::size_t row, std::size_t column) : from_(from), row_(row), column_(column) {}

  bool is_null() const noexcept { return raw().is_null(); }
  /// What kind of value it is.
  storage kind() const noexcept { return raw().kind(); }
  /// As it was received.
  value raw() const noexcept { return from_->at(row_, column_); }
  std::string_view name() const noexcept { return from_->names[column_]; }

  /// As a T, or a `std::optional<T>`. Throws `errc::null_value` or `errc::conversion`, naming row, column, its kind and T; the beginning of
  /// the value only with `options::statement_in_errors`.
  template <class T>
  T as() const {
    return detail::read_field<T>(from_, row_, column_);
  }

 private:
  const detail::kept_rows* from_;
  std::size_t row_;
  std::size_t column_;
};

/// One row. Valid as long as its result.
class row {
 public:
  /// For the code that reads rows into types.
  using codecs = detail::codecs;

  row(const detail::kept_rows* from, std::size_t index) : from_(from), index_(index) {}

  std::size_t size() const noexcept { return from_->columns(); }
  /// Throws `errc::columns` when there is no such column.
  template <class = void>
  field operator[](std::size_t column) const {
    if (column >= size()) detail::throw_no_column(from_, column);
    return {from_, index_, column};
  }
  template <class = void>
  field operator[](std::string_view name) const {
    for (std::size_t i = 0; i < size(); ++i) {
      if (name == from_->names[i]) return {from_, index_, i};
    }
    detail::throw_no_column(from_, name);
  }
  template <class = void>
  field operator[](const char* name) const {
    return (*this)[std::string_view(name)];
  }
  template <class = void>
  field operator[](int column) const {
    return (*this)[static_cast<std::size_t>(column)];
  }
  /// The whole row as one T: a scalar, a tuple or pair, or a plain struct, member by member in column order.
  template <class T>
  T as() const {
    (void)tidepool::detail::require_row<T, detail::codecs>();
    tidepool::detail::check_result_columns<T, detail::result_source>(from_);
    return tidepool::detail::read_row<T>(*this);
  }

 private:
  const detail::kept_rows* from_;
  std::size_t index_;
};

/// Rows of one result as values of T, read as they are reached: for a range-based `for`.
template <class T>
using row_range = tidepool::detail::basic_row_range<T, detail::result_source>;

/// Owns the rows of one statement. Copies share them; reading it needs no connection, and several threads may read.
class result {
 public:
  result() = default;
  explicit result(std::shared_ptr<const detail::kept_rows> rows) : rows_(std::move(rows)) {}

  std::size_t size() const noexcept { return rows_ ? rows_->count : 0; }
  bool empty() const noexcept { return size() == 0; }
  std::size_t columns() const noexcept { return rows_ ? rows_->columns() : 0; }
  /// As the statement has it, or its alias; empty where there is no such column.
  std::string_view column_name(std::size_t column) const noexcept {
    return column < columns() ? std::string_view(rows_->names[column]) : std::string_view();
  }
  /// Rows inserted, updated (those that the statement changed; with `options::found_rows` those that it found) or deleted; of a statement
  /// that returns rows their number.
  std::uint64_t affected() const noexcept { return rows_ ? rows_->affected : 0; }
  /// What an INSERT gave to an AUTO_INCREMENT column: the first where it has several rows; 0: nothing.
  std::uint64_t last_insert_id() const noexcept { return rows_ ? rows_->last_id : 0; }
  /// How many warnings the statement has left, for `SHOW WARNINGS`.
  unsigned warnings() const noexcept { return rows_ ? rows_->warnings : 0; }
  /// How many result sets the statement has returned, this one and those behind it: a procedure returns one for each of its SELECTs, and
  /// one without rows at its end.
  std::size_t sets() const noexcept {
    std::size_t count = 0;
    for (const auto* at = rows_.get(); at != nullptr; at = at->next.get()) ++count;
    return count;
  }
  /// The one that is `index` result sets behind this one; throws `errc::rows` when there is none. Shares the rows.
  template <class = void>
  result set(std::size_t index) const {
    auto at = rows_;
    for (std::size_t i = 0; i < index && at; ++i) at = std::shared_ptr<const detail::kept_rows>(at, at->next.get());
    if (!at) detail::throw_no_set(index, sets());
    return result(std::move(at));
  }
  /// Throws `errc::rows` when there is no such row.
  template <class = void>
  row operator[](std::size_t index) const {
    if (index >= size()) detail::throw_no_row(index, size());
    return {rows_.get(), index};
  }

  /// `for (auto [id, name] : r.rows<std::int64_t, std::string>())`; one type gives values, several give tuples; a struct
  /// gives structs. Throws `errc::columns` at once when the number of columns is another. `std::string_view` works here:
  /// it points into the result.
  template <class T, class... Ts>
  auto rows() const& {
    using element = std::conditional_t<sizeof...(Ts) == 0, T, std::tuple<T, Ts...>>;
    (void)tidepool::detail::require_row<element, detail::codecs>();
    if (rows_) tidepool::detail::check_result_columns<element, detail::result_source>(rows_.get());
    return row_range<element>(rows_.get());
  }
  template <class T, class... Ts>
  auto rows() const&& = delete;  // the rows would outlive the result: give it a name first

  /// All rows.
  template <class T>
  std::vector<T> all() const {
    (void)tidepool::detail::require_owning_row<T, detail::result_source>();
    return tidepool::detail::all_rows<T, detail::result_source>(rows_.get());
  }
  /// Exactly one row; else `errc::rows`.
  template <class T>
  T one() const {
    (void)tidepool::detail::require_owning_row<T, detail::result_source>();
    return tidepool::detail::one_row<T, detail::result_source>(rows_.get());
  }
  /// No row or one; else `errc::rows`.
  template <class T>
  std::optional<T> opt() const {
    (void)tidepool::detail::require_owning_row<T, detail::result_source>();
    return tidepool::detail::opt_row<T, detail::result_source>(rows_.get());
  }

 private:
  std::shared_ptr<const detail::kept_rows> rows_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#endif
