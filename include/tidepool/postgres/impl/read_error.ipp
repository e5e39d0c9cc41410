// SPDX-License-Identifier: BSL-1.0
// tidepool - the errors of reading a result: see lazy.hpp.
#ifndef TIDEPOOL_POSTGRES_IMPL_READ_ERROR_IPP
#define TIDEPOOL_POSTGRES_IMPL_READ_ERROR_IPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "../../version.hpp"
#include "../detail/read_error.hpp"
#include "../detail/result_origin.hpp"
#include "../detail/text.hpp"
#include "../detail/types.hpp"
#include "../error.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// The error of a result, with its statement and the place of the call where they are known.
template <class = void>
[[noreturn, gnu::cold]] inline void throw_about(const PGresult* of, errc reason, const std::string& text, std::string advice) {
  diagnosis said;
  said.advice = std::move(advice);
  if (const auto* origin = origin_of(of)) {
    said.statement = origin->statement;
    said.called_from = origin->from;
  }
  throw error(reason, text, std::move(said));
}

// --- values -------------------------------------------------------------------------------------------------------------

/// One value in the words of a log: "row 3, column 2 "name" (text)". Rows and columns count from 1.
template <class = void>
inline std::string value_name(const PGresult* of, std::uint64_t row, int column) {
  return "row " + std::to_string(row) + ", column " + std::to_string(column + 1) + " \"" + printable(PQfname(of, column), 64) + "\" (" +
         type_name(PQftype(of, column)) + ")";
}
TIDEPOOL_LAZY_BODY void throw_null(const PGresult* of, std::uint64_t row, int column, std::string (*type)()) {
  const auto wanted = type();
  throw_about(of, errc::null_value, value_name(of, row, column) + " is NULL, and " + wanted + " takes none",
              "read it as std::optional<" + wanted + ">");
}
/// A value that a codec has refused. The value itself may be a secret, so it is told only with `options::statement_in_errors`.
TIDEPOOL_LAZY_BODY void throw_unreadable(const PGresult* of, std::uint64_t row, int column, std::string_view value, std::string (*type)(),
                                         const error& why) {
  std::string text = "cannot read " + value_name(of, row, column) + " as " + type() + ": " + std::string(why.explanation());
  if (origin_of(of) != nullptr) text += ": \"" + printable(value, 40) + "\"";
  throw_about(of, why.reason(), text, {});
}

// --- rows and columns ---------------------------------------------------------------------------------------------------

/// "3 columns (id, name, mail)".
template <class = void>
inline std::string columns_text(const PGresult* of) {
  constexpr int most = 8;
  const int count = PQnfields(of);
  if (count == 0) return "no columns";
  std::string out = std::to_string(count) + (count == 1 ? " column (" : " columns (");
  for (int i = 0; i < count && i < most; ++i) out += (i == 0 ? "" : ", ") + printable(PQfname(of, i), 40);
  return out + (count > most ? ", ...)" : ")");
}
/// The command has no rows at all, as an INSERT without RETURNING.
template <class = void>
inline std::string without_rows(const PGresult* of) {
  if (PQresultStatus(of) != PGRES_COMMAND_OK) return {};
  return "the statement returns no rows (" + printable(PQcmdStatus(const_cast<PGresult*>(of)), 40) + ")";
}
TIDEPOOL_LAZY_BODY void throw_columns(const PGresult* of, std::size_t wanted, std::string (*type)()) {
  if (const auto none = without_rows(of); !none.empty()) throw_about(of, errc::columns, none, "use exec(), or add RETURNING to it");
  throw_about(of, errc::columns, "the result has " + columns_text(of) + ", and " + type() + " takes " + std::to_string(wanted),
              "select as many as the type has members, in their order");
}
TIDEPOOL_LAZY_BODY void throw_rows(const PGresult* of, std::size_t rows, bool none_allowed) {
  if (const auto none = without_rows(of); !none.empty()) throw_about(of, errc::rows, none, "use exec(), or add RETURNING to it");
  const std::string wants = none_allowed ? "opt() takes one row or none" : "one() takes exactly one row";
  throw_about(of, errc::rows, wants + ", and there " + (rows == 0 ? "is none" : "are " + std::to_string(rows)),
              rows == 0 ? "opt() takes no row too" : "all() takes any number; or narrow the condition, or add LIMIT 1");
}

TIDEPOOL_LAZY_BODY void throw_no_column(const PGresult* of, std::size_t index) {
  throw_about(of, errc::columns, "no column with the index " + std::to_string(index) + ": the result has " + columns_text(of),
              "indexes count from 0");
}
TIDEPOOL_LAZY_BODY void throw_no_column(const PGresult* of, std::string_view name) {
  throw_about(of, errc::columns, "no column \"" + printable(name, 64) + "\": the result has " + columns_text(of), {});
}
TIDEPOOL_LAZY_BODY void throw_no_row(const PGresult* of, std::size_t index, std::size_t size) {
  throw_about(of, errc::rows, "no row with the index " + std::to_string(index) + ": the result has " + std::to_string(size),
              "indexes count from 0");
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
