// SPDX-License-Identifier: BSL-1.0
// tidepool - the errors of reading a result: which row, column and type, and, by choice, which value and statement.
#ifndef TIDEPOOL_POSTGRES_DETAIL_READ_ERROR_HPP
#define TIDEPOOL_POSTGRES_DETAIL_READ_ERROR_HPP

#include <libpq-events.h>
#include <libpq-fe.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <string_view>

#include "../../source_location.hpp"
#include "../../version.hpp"
#include "../error.hpp"
#include "type_words.hpp"
#include "types.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

// --- where a result comes from ------------------------------------------------------------------------------------------

/// What a result knows about its statement with `options::statement_in_errors`. It hangs on libpq's object as the data of an "event", so
/// that results cost nothing more without that option. In another shared object with hidden symbols it is not found, and not told.
struct result_origin {
  source_location from;
  const char* statement;
};
inline int origin_event(PGEventId, void*, void*) noexcept { return 1; }
inline void keep_origins(PGconn* of) noexcept { (void)PQregisterEventProc(of, &origin_event, "tidepool", nullptr); }
inline void note_origin(PGresult* of, const std::string& statement, const source_location& from) noexcept {
  // Freed with the result.
  void* const room = PQresultAlloc(of, sizeof(result_origin) + statement.size() + 1);
  if (room == nullptr) return;
  char* const text = static_cast<char*>(room) + sizeof(result_origin);
  std::memcpy(text, statement.c_str(), statement.size() + 1);
  (void)PQresultSetInstanceData(of, &origin_event, new (room) result_origin{from, text});
}
inline const result_origin* origin_of(const PGresult* result) noexcept {
  return result == nullptr ? nullptr : static_cast<const result_origin*>(PQresultInstanceData(result, &origin_event));
}

/// The error of a result, with its statement and the place of the call where they are known.
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
inline std::string value_name(const PGresult* of, std::uint64_t row, int column) {
  return "row " + std::to_string(row) + ", column " + std::to_string(column + 1) + " \"" + printable(PQfname(of, column), 64) + "\" (" +
         type_name(PQftype(of, column)) + ")";
}
[[noreturn, gnu::cold, gnu::noinline]] inline void throw_null(const PGresult* of, std::uint64_t row, int column, std::string (*type)()) {
  const auto wanted = type();
  throw_about(of, errc::null_value, value_name(of, row, column) + " is NULL, and " + wanted + " takes none",
              "read it as std::optional<" + wanted + ">");
}
/// A value that a codec has refused. The value itself may be a secret, so it is told only with `options::statement_in_errors`.
[[noreturn, gnu::cold, gnu::noinline]] inline void throw_unreadable(const PGresult* of, std::uint64_t row, int column,
                                                                    std::string_view value, std::string (*type)(), const error& why) {
  std::string text = "cannot read " + value_name(of, row, column) + " as " + type() + ": " + std::string(why.explanation());
  if (origin_of(of) != nullptr) text += ": \"" + printable(value, 40) + "\"";
  throw_about(of, why.reason(), text, {});
}

// --- rows and columns ---------------------------------------------------------------------------------------------------

/// "3 columns (id, name, mail)".
inline std::string columns_text(const PGresult* of) {
  constexpr int most = 8;
  const int count = PQnfields(of);
  if (count == 0) return "no columns";
  std::string out = std::to_string(count) + (count == 1 ? " column (" : " columns (");
  for (int i = 0; i < count && i < most; ++i) out += (i == 0 ? "" : ", ") + printable(PQfname(of, i), 40);
  return out + (count > most ? ", ...)" : ")");
}
/// The command has no rows at all, as an INSERT without RETURNING.
inline std::string without_rows(const PGresult* of) {
  if (PQresultStatus(of) != PGRES_COMMAND_OK) return {};
  return "the statement returns no rows (" + printable(PQcmdStatus(const_cast<PGresult*>(of)), 40) + ")";
}
[[noreturn, gnu::cold, gnu::noinline]] inline void throw_columns(const PGresult* of, std::size_t wanted, std::string (*type)()) {
  if (const auto none = without_rows(of); !none.empty()) throw_about(of, errc::columns, none, "use exec(), or add RETURNING to it");
  throw_about(of, errc::columns, "the result has " + columns_text(of) + ", and " + type() + " takes " + std::to_string(wanted),
              "select as many as the type has members, in their order");
}
[[noreturn, gnu::cold, gnu::noinline]] inline void throw_rows(const PGresult* of, std::size_t rows, bool none_allowed) {
  if (const auto none = without_rows(of); !none.empty()) throw_about(of, errc::rows, none, "use exec(), or add RETURNING to it");
  const std::string wants = none_allowed ? "opt() takes one row or none" : "one() takes exactly one row";
  throw_about(of, errc::rows, wants + ", and there " + (rows == 0 ? "is none" : "are " + std::to_string(rows)),
              rows == 0 ? "opt() takes no row too" : "all() takes any number; or narrow the condition, or add LIMIT 1");
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
