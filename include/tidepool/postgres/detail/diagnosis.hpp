// SPDX-License-Identifier: BSL-1.0
// tidepool - what is known about an error: the fields of the server's message, and what the driver adds to them.
#ifndef TIDEPOOL_POSTGRES_DETAIL_DIAGNOSIS_HPP
#define TIDEPOOL_POSTGRES_DETAIL_DIAGNOSIS_HPP

#include <libpq-fe.h>

#include <cstdlib>
#include <string>

#include "../../source_location.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// The fields of an error of the server, or of libpq. `message` and `detail` are raw; in `what()` they are escaped and cut.
struct diagnosis {
  std::string sqlstate, severity, message, detail, hint, schema, table, column, constraint, context;
  std::string routine;  ///< of the server's source that raised it; SQL can choose severity and SQLSTATE, but not this
  int position = 0;
  bool stale = false;  ///< see `error::stale()`
  // What this side adds: see error_text.hpp.
  std::string advice;             ///< what to do, where the driver knows it
  std::string excerpt;            ///< the piece of the statement around `position`
  std::string statement;          ///< see `error::statement()`
  source_location called_from{};  ///< see `error::called_from()`; line 0: not known

  template <class = void>
  static diagnosis of(const PGresult* result) {
    const auto field = [result](int code) {
      const char* text = PQresultErrorField(result, code);
      return std::string(text == nullptr ? "" : text);
    };
    diagnosis said;
    said.sqlstate = field(PG_DIAG_SQLSTATE);
    said.severity = field(PG_DIAG_SEVERITY_NONLOCALIZED);
    if (said.severity.empty()) said.severity = field(PG_DIAG_SEVERITY);  // poolers send this one only
    said.message = field(PG_DIAG_MESSAGE_PRIMARY);
    if (said.message.empty()) said.message = PQresultErrorMessage(result);
    said.detail = field(PG_DIAG_MESSAGE_DETAIL);
    said.hint = field(PG_DIAG_MESSAGE_HINT);
    said.schema = field(PG_DIAG_SCHEMA_NAME);
    said.table = field(PG_DIAG_TABLE_NAME);
    said.column = field(PG_DIAG_COLUMN_NAME);
    said.constraint = field(PG_DIAG_CONSTRAINT_NAME);
    said.context = field(PG_DIAG_CONTEXT);
    said.routine = field(PG_DIAG_SOURCE_FUNCTION);
    said.position = std::atoi(field(PG_DIAG_STATEMENT_POSITION).c_str());
    return said;
  }
  bool fatal() const { return severity == "FATAL" || severity == "PANIC"; }
  /// The last message of a backend whose server goes down as a whole, by a crash or an immediate stop. `RAISE WARNING` can have the same
  /// severity and SQLSTATE, so the routine decides.
  bool server_down() const { return severity == "WARNING" && (sqlstate == "57P01" || sqlstate == "57P02") && routine == "quickdie"; }
  /// The wait of a COMMIT for a synchronous standby was cancelled: it is committed on this server, and perhaps nowhere else.
  bool not_replicated() const { return severity == "WARNING" && routine == "SyncRepWaitForLSN"; }
  /// Ended by an operator (57P01 and the like). FATAL cannot come from SQL, so this is certain.
  bool told_to_end() const { return fatal() && sqlstate.starts_with("57P"); }
  /// The server refused a write because it, or the transaction, is read-only; not a foreign server behind it, and not a `RAISE`. An error
  /// without a routine counts too: not every server sends one.
  bool read_only() const { return sqlstate == "25006" && (routine.empty() || routine.starts_with("PreventCommand")); }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
