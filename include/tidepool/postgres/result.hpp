// SPDX-License-Identifier: BSL-1.0
// tidepool - the result of a statement: its rows as tuples, structs or fields.
#ifndef TIDEPOOL_POSTGRES_RESULT_HPP
#define TIDEPOOL_POSTGRES_RESULT_HPP

#include <libpq-fe.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../detail/driver/rows.hpp"
#include "../detail/util/owning_ptr.hpp"
#include "../version.hpp"
#include "codec.hpp"
#include "detail/read_error.hpp"
#include "detail/row_type.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

class row;

namespace detail {

/// See detail/driver/rows.hpp.
struct result_source {
  using pointer = const PGresult*;
  using index = int;
  using row = postgres::row;
  static int rows(const PGresult* of) noexcept { return PQntuples(of); }
  static std::size_t columns(const PGresult* of) noexcept { return static_cast<std::size_t>(PQnfields(of)); }
  template <class = void>
  [[noreturn]] static void throw_columns(const PGresult* of, std::size_t wanted, std::string (*type)()) {
    detail::throw_columns(of, wanted, type);
  }
  template <class = void>
  [[noreturn]] static void throw_rows(const PGresult* of, std::size_t rows, bool none_allowed) {
    detail::throw_rows(of, rows, none_allowed);
  }
};

struct by_clear {
  static void end(PGresult* result) noexcept { PQclear(result); }
};
using result_handle = tidepool::detail::owning_ptr<PGresult, by_clear>;

template <class = void>
inline std::uint64_t affected_rows(const PGresult* of) noexcept {
  const std::string_view text = PQcmdTuples(const_cast<PGresult*>(of));
  std::uint64_t count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  return count;
}

/// `number`: of the row, for errors; counts from 1.
template <class T>
[[gnu::always_inline]] inline T read_field(const PGresult* from, int row, int column, std::uint64_t number) {
  (void)require_decoder<T>();
  using type = typename unwrapped<T>::type;
  const std::string_view value(PQgetvalue(from, row, column), static_cast<std::size_t>(PQgetlength(from, row, column)));
  // NULL has an empty text, so most values need no further check.
  if (value.empty() && PQgetisnull(from, row, column) == 1) {
    if constexpr (may_be_null<T>) {
      return null_value<T>();
    } else {
      throw_null(from, number, column, &type_words<type>);
    }
  }
  Oid oid = 0;
  if constexpr (takes_type<type>) oid = PQftype(from, column);
  try {
    return decode_value<type>(value, oid);
  } catch (const error& failure) {
    throw_unreadable(from, number, column, value, &type_words<type>, failure);
  }
}
}  // namespace detail

/// One value of one row. Valid as long as its result.
class field {
 public:
  field(const PGresult* from, int row, int column) : from_(from), row_(row), column_(column) {}

  bool is_null() const noexcept { return PQgetisnull(from_, row_, column_) == 1; }
  /// As the server sent it; empty for NULL.
  std::string_view text() const noexcept {
    return {PQgetvalue(from_, row_, column_), static_cast<std::size_t>(PQgetlength(from_, row_, column_))};
  }
  std::string_view name() const noexcept { return PQfname(from_, column_); }

  /// As a T, or a `std::optional<T>`. Throws `errc::null_value` or `errc::conversion`, naming row, column, the server's type and T; the
  /// beginning of the value only with `options::statement_in_errors`.
  template <class T>
  T as() const {
    return detail::read_field<T>(from_, row_, column_, static_cast<std::uint64_t>(row_) + 1);
  }

 private:
  const PGresult* from_;
  int row_;
  int column_;
};

/// One row. Valid as long as its result.
class row {
 public:
  /// For the code that reads rows into types.
  using codecs = detail::codecs;

  row(const PGresult* from, int index) : from_(from), index_(index) {}

  std::size_t size() const noexcept { return static_cast<std::size_t>(PQnfields(from_)); }
  /// Throws `errc::columns` when there is no such column.
  template <class = void>
  field operator[](std::size_t column) const {
    if (column >= size()) detail::throw_no_column(from_, column);
    return {from_, index_, static_cast<int>(column)};
  }
  template <class = void>
  field operator[](std::string_view name) const {
    for (std::size_t i = 0; i < size(); ++i) {
      if (name == PQfname(from_, static_cast<int>(i))) return {from_, index_, static_cast<int>(i)};
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
  const PGresult* from_;
  int index_;
};

/// Rows of one result as values of T, read as they are reached: for a range-based `for`.
template <class T>
using row_range = tidepool::detail::basic_row_range<T, detail::result_source>;

/// Owns what libpq returned for one statement. Move-only; reading it needs no connection, and several threads may read.
class result {
 public:
  result() = default;
  explicit result(detail::result_handle handle) : handle_(std::move(handle)) {}

  std::size_t size() const noexcept { return handle_ ? static_cast<std::size_t>(PQntuples(handle_.get())) : 0; }
  bool empty() const noexcept { return size() == 0; }
  std::size_t columns() const noexcept { return handle_ ? static_cast<std::size_t>(PQnfields(handle_.get())) : 0; }
  std::string_view column_name(std::size_t column) const noexcept {
    const char* name = handle_ ? PQfname(handle_.get(), static_cast<int>(column)) : nullptr;
    return name == nullptr ? std::string_view() : std::string_view(name);
  }
  /// "INSERT 0 1", "SELECT 3", "COMMIT".
  std::string_view command() const noexcept { return handle_ ? std::string_view(PQcmdStatus(handle_.get())) : std::string_view(); }
  /// Rows inserted, updated, deleted, moved, fetched or selected; 0 for other commands.
  template <class = void>
  std::uint64_t affected() const noexcept {
    return handle_ ? detail::affected_rows(handle_.get()) : 0;
  }
  /// Throws `errc::rows` when there is no such row.
  template <class = void>
  row operator[](std::size_t index) const {
    if (index >= size()) detail::throw_no_row(handle_.get(), index, size());
    return {handle_.get(), static_cast<int>(index)};
  }

  /// `for (auto [id, name] : r.rows<std::int64_t, std::string>())`; one type gives values, several give tuples; a struct
  /// gives structs. Throws `errc::columns` at once when the number of columns is another. `std::string_view` works here:
  /// it points into the result.
  template <class T, class... Ts>
  auto rows() const& {
    using element = std::conditional_t<sizeof...(Ts) == 0, T, std::tuple<T, Ts...>>;
    (void)tidepool::detail::require_row<element, detail::codecs>();
    if (handle_) tidepool::detail::check_result_columns<element, detail::result_source>(handle_.get());
    return row_range<element>(handle_.get());
  }
  template <class T, class... Ts>
  auto rows() const&& = delete;  // the rows would outlive the result: give it a name first

  /// All rows.
  template <class T>
  std::vector<T> all() const {
    (void)tidepool::detail::require_owning_row<T, detail::result_source>();
    return tidepool::detail::all_rows<T, detail::result_source>(handle_.get());
  }
  /// Exactly one row; else `errc::rows`.
  template <class T>
  T one() const {
    (void)tidepool::detail::require_owning_row<T, detail::result_source>();
    return tidepool::detail::one_row<T, detail::result_source>(handle_.get());
  }
  /// No row or one; else `errc::rows`.
  template <class T>
  std::optional<T> opt() const {
    (void)tidepool::detail::require_owning_row<T, detail::result_source>();
    return tidepool::detail::opt_row<T, detail::result_source>(handle_.get());
  }

  const PGresult* native() const noexcept { return handle_.get(); }

 private:
  detail::result_handle handle_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
