// SPDX-License-Identifier: BSL-1.0
// tidepool - makes an error as the driver throws it for a server's, for mocks and tests of code that handles errors.
#ifndef TIDEPOOL_POSTGRES_SERVER_ERROR_HPP
#define TIDEPOOL_POSTGRES_SERVER_ERROR_HPP

#include <string>
#include <string_view>
#include <utility>

#include "../version.hpp"
#include "error.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// What a server says in an error besides SQLSTATE and message. A plain value.
struct error_fields {
  std::string severity = "ERROR";  ///< "FATAL" ends the session: the error is then `connection_lost()`
  std::string detail{};
  std::string hint{};
  std::string schema{};
  std::string table{};
  std::string column{};
  std::string constraint{};
  std::string context{};
  std::string routine{};
  int position = 0;
};

/// `throw postgres::server_error("23505", "duplicate key value", {.constraint = "users_pkey"})`. For errors that are not the server's use
/// the constructor: `postgres::error(postgres::errc::connection_lost, "the cable")`.
template <class = void>
inline error server_error(std::string_view sqlstate, std::string_view message, const error_fields& more) {
  detail::diagnosis said;
  said.sqlstate = sqlstate;
  said.message = message;
  said.severity = more.severity;
  said.detail = more.detail;
  said.hint = more.hint;
  said.schema = more.schema;
  said.table = more.table;
  said.column = more.column;
  said.constraint = more.constraint;
  said.context = more.context;
  said.routine = more.routine;
  said.position = more.position;
  return {errc::server, "", std::move(said)};
}
template <class = void>
inline error server_error(std::string_view sqlstate, std::string_view message) {
  return server_error(sqlstate, message, error_fields());
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
