// SPDX-License-Identifier: BSL-1.0
// tidepool - where a result comes from: its statement and the place of the call, for errors of reading it.
#ifndef TIDEPOOL_POSTGRES_DETAIL_RESULT_ORIGIN_HPP
#define TIDEPOOL_POSTGRES_DETAIL_RESULT_ORIGIN_HPP

#include <libpq-events.h>
#include <libpq-fe.h>

#include <cstring>
#include <new>
#include <string>

#include "../../source_location.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// What a result knows about its statement with `options::statement_in_errors`. It hangs on libpq's object as the data of an "event", so
/// that results cost nothing more without that option. In another shared object with hidden symbols it is not found, and not told.
struct result_origin {
  source_location from;
  const char* statement;
};
template <class = void>
inline int origin_event(PGEventId, void*, void*) noexcept {
  return 1;
}
template <class = void>
inline void keep_origins(PGconn* of) noexcept {
  (void)PQregisterEventProc(of, &origin_event<>, "tidepool", nullptr);
}
template <class = void>
inline void note_origin(PGresult* of, const std::string& statement, const source_location& from) noexcept {
  // Freed with the result.
  void* const room = PQresultAlloc(of, sizeof(result_origin) + statement.size() + 1);
  if (room == nullptr) return;
  char* const text = static_cast<char*>(room) + sizeof(result_origin);
  std::memcpy(text, statement.c_str(), statement.size() + 1);
  (void)PQresultSetInstanceData(of, &origin_event<>, new (room) result_origin{from, text});
}
template <class = void>
inline const result_origin* origin_of(const PGresult* result) noexcept {
  return result == nullptr ? nullptr : static_cast<const result_origin*>(PQresultInstanceData(result, &origin_event<>));
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
