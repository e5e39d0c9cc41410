// SPDX-License-Identifier: BSL-1.0
// tidepool - calls of the client library that do not block: each returns what is to be waited for, 0 when it has ended.
#ifndef TIDEPOOL_MYSQL_DETAIL_CLIENT_CALLS_HPP
#define TIDEPOOL_MYSQL_DETAIL_CLIENT_CALLS_HPP

#include <string_view>

#include "../../version.hpp"
#include "session.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

namespace calls {

template <class = void>
inline int prepare(session& s, MYSQL_STMT* of, std::string_view sql) {
  s.in_call = of;
  return s.start([&] { return mysql_stmt_prepare_start(&s.number, of, sql.data(), static_cast<unsigned long>(sql.size())); },
                 [](session& on, int events) { return mysql_stmt_prepare_cont(&on.number, on.in_call, events); });
}
template <class = void>
inline int execute(session& s, MYSQL_STMT* of) {
  s.in_call = of;
  return s.start([&] { return mysql_stmt_execute_start(&s.number, of); },
                 [](session& on, int events) { return mysql_stmt_execute_cont(&on.number, on.in_call, events); });
}
template <class = void>
inline int store(session& s, MYSQL_STMT* of) {
  s.in_call = of;
  return s.start([&] { return mysql_stmt_store_result_start(&s.number, of); },
                 [](session& on, int events) { return mysql_stmt_store_result_cont(&on.number, on.in_call, events); });
}
template <class = void>
inline int fetch(session& s, MYSQL_STMT* of) {
  s.in_call = of;
  return s.start([&] { return mysql_stmt_fetch_start(&s.number, of); },
                 [](session& on, int events) { return mysql_stmt_fetch_cont(&on.number, on.in_call, events); });
}
template <class = void>
inline int next_set(session& s, MYSQL_STMT* of) {
  s.in_call = of;
  return s.start([&] { return mysql_stmt_next_result_start(&s.number, of); },
                 [](session& on, int events) { return mysql_stmt_next_result_cont(&on.number, on.in_call, events); });
}
template <class = void>
inline int close(session& s, MYSQL_STMT* of) {
  s.in_call = of;
  return s.start([&] { return mysql_stmt_close_start(&s.flag, of); },
                 [](session& on, int events) { return mysql_stmt_close_cont(&on.flag, on.in_call, events); });
}
template <class = void>
inline int query(session& s, std::string_view sql) {
  return s.start([&] { return mysql_real_query_start(&s.number, s.my(), sql.data(), static_cast<unsigned long>(sql.size())); },
                 [](session& on, int events) { return mysql_real_query_cont(&on.number, on.my(), events); });
}
template <class = void>
inline int store_text(session& s) {
  return s.start([&] { return mysql_store_result_start(&s.stored, s.my()); },
                 [](session& on, int events) { return mysql_store_result_cont(&on.stored, on.my(), events); });
}
template <class = void>
inline int next_text(session& s) {
  return s.start([&] { return mysql_next_result_start(&s.number, s.my()); },
                 [](session& on, int events) { return mysql_next_result_cont(&on.number, on.my(), events); });
}
template <class = void>
inline int several(session& s, bool on) {
  return s.start(
      [&] {
        return mysql_set_server_option_start(&s.number, s.my(), on ? MYSQL_OPTION_MULTI_STATEMENTS_ON : MYSQL_OPTION_MULTI_STATEMENTS_OFF);
      },
      [](session& to, int events) { return mysql_set_server_option_cont(&to.number, to.my(), events); });
}
template <class = void>
inline int ping(session& s) {
  return s.start([&] { return mysql_ping_start(&s.number, s.my()); },
                 [](session& on, int events) { return mysql_ping_cont(&on.number, on.my(), events); });
}
template <class = void>
inline int renew(session& s) {
  return s.start([&] { return mysql_reset_connection_start(&s.number, s.my()); },
                 [](session& on, int events) { return mysql_reset_connection_cont(&on.number, on.my(), events); });
}

}  // namespace calls

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
