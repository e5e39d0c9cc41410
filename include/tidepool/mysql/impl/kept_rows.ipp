// SPDX-License-Identifier: BSL-1.0
// tidepool - the errors of reading a result: see lazy.hpp.
#ifndef TIDEPOOL_MYSQL_IMPL_KEPT_ROWS_IPP
#define TIDEPOOL_MYSQL_IMPL_KEPT_ROWS_IPP

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "../../detail/driver/text.hpp"
#include "../../version.hpp"
#include "../detail/kept_rows.hpp"
#include "../error.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

template <class = void>
[[noreturn]] inline void throw_about(const kept_rows* of, errc reason, const std::string& text, std::string advice) {
  diagnosis said;
  said.advice = std::move(advice);
  if (of != nullptr) {
    said.statement = of->statement;
    said.called_from = of->called_from;
  }
  throw error(reason, text, std::move(said));
}

template <class = void>
inline const char* kind_name(storage kind) noexcept {
  constexpr const char* names[] = {"NULL",  "integer", "unsigned integer", "float", "double", "decimal", "text",
                                   "bytes", "date",    "datetime",         "time"};
  return names[static_cast<std::size_t>(kind)];
}
/// "row 3, column 2 "name" (text)". Rows and columns count from 1.
template <class = void>
inline std::string value_name(const kept_rows& of, std::size_t row, std::size_t column) {
  return "row " + std::to_string(of.before + row + 1) + ", column " + std::to_string(column + 1) + " \"" +
         tidepool::detail::printable(of.names[column], 64) + "\" (" + kind_name(of.at(row, column).kind()) + ")";
}
TIDEPOOL_LAZY_BODY void throw_null(const kept_rows* of, std::size_t row, std::size_t column, std::string (*type)()) {
  const auto wanted = type();
  throw_about(of, errc::null_value, value_name(*of, row, column) + ": " + wanted + " takes no NULL",
              "read it as std::optional<" + wanted + ">");
}
/// The value itself may be a secret, so it is told only with `options::statement_in_errors`.
TIDEPOOL_LAZY_BODY void throw_unreadable(const kept_rows* of, std::size_t row, std::size_t column, std::string (*type)(),
                                         const error& why) {
  std::string text = "cannot read " + value_name(*of, row, column) + " as " + type() + ": " + std::string(why.explanation());
  if (!of->statement.empty()) {
    const value v = of->at(row, column);
    switch (v.kind()) {
      case storage::integer: text += ": " + std::to_string(v.integer()); break;
      case storage::natural: text += ": " + std::to_string(v.natural()); break;
      case storage::single:
      case storage::real: text += ": " + std::to_string(v.real()); break;
      case storage::decimal:
      case storage::text: text += ": \"" + tidepool::detail::printable(v.text(), 40) + "\""; break;
      case storage::bytes: text += ": " + std::to_string(v.text().size()) + " bytes"; break;
      default: break;
    }
  }
  throw_about(of, why.reason(), text, {});
}

template <class = void>
inline std::string columns_text(const kept_rows* of) {
  constexpr std::size_t most = 8;
  const auto count = of == nullptr ? 0 : of->columns();
  if (count == 0) return "no columns";
  std::string out = std::to_string(count) + (count == 1 ? " column (" : " columns (");
  for (std::size_t i = 0; i < count && i < most; ++i) out += (i == 0 ? "" : ", ") + tidepool::detail::printable(of->names[i], 40);
  return out + (count > most ? ", ...)" : ")");
}
template <class = void>
inline void refuse_without_rows(const kept_rows* of, errc reason) {
  if (of != nullptr && of->no_rows)
    throw_about(of, reason, "the statement returns no rows", "use exec(), or add RETURNING to it where the server has it");
}
TIDEPOOL_LAZY_BODY void throw_columns(const kept_rows* of, std::size_t wanted, std::string (*type)()) {
  refuse_without_rows(of, errc::columns);
  throw_about(of, errc::columns, "the result has " + columns_text(of) + ", and " + type() + " takes " + std::to_string(wanted),
              "select as many as the type has members, in their order");
}
TIDEPOOL_LAZY_BODY void throw_rows(const kept_rows* of, std::size_t rows, bool none_allowed) {
  refuse_without_rows(of, errc::rows);
  const std::string wants = none_allowed ? "opt() takes one row or none" : "one() takes exactly one row";
  throw_about(of, errc::rows, wants + ", and there " + (rows == 0 ? "is none" : "are " + std::to_string(rows)),
              rows == 0 ? "opt() takes no row too" : "all() takes any number; or narrow the condition, or add LIMIT 1");
}
TIDEPOOL_LAZY_BODY void throw_no_column(const kept_rows* of, std::size_t index) {
  throw_about(of, errc::columns, "no column with the index " + std::to_string(index) + ": the result has " + columns_text(of),
              "indexes count from 0");
}
TIDEPOOL_LAZY_BODY void throw_no_column(const kept_rows* of, std::string_view name) {
  throw_about(of, errc::columns, "no column \"" + tidepool::detail::printable(name, 64) + "\": the result has " + columns_text(of), {});
}
TIDEPOOL_LAZY_BODY void throw_no_row(std::size_t index, std::size_t size) {
  throw_about(nullptr, errc::rows, "no row with the index " + std::to_string(index) + ": the result has " + std::to_string(size),
              "indexes count from 0");
}

TIDEPOOL_LAZY_BODY void throw_no_set(std::size_t index, std::size_t size) {
  throw_about(nullptr, errc::rows, "no result set with the index " + std::to_string(index) + ": there are " + std::to_string(size),
              "indexes count from 0");
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
