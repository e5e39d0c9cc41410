// SPDX-License-Identifier: BSL-1.0
// tidepool - the errors of the driver are made, and what their numbers mean: see lazy.hpp.
#ifndef TIDEPOOL_MYSQL_IMPL_ERROR_IPP
#define TIDEPOOL_MYSQL_IMPL_ERROR_IPP

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../../detail/driver/text.hpp"
#include "../../detail/util/words.hpp"
#include "../../version.hpp"
#include "../error.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {

namespace detail {

TIDEPOOL_LAZY_BODY bool diagnosis::ends_session() const noexcept {
  switch (number) {
    case 1053:  // server shutdown in progress
    case 1152:  // aborted connection
    case 1153:  // packet larger than max_allowed_packet: the server closes
    case 1154:
    case 1156:  // packets out of order
    case 1157:
    case 1158:  // reading a packet
    case 1159:
    case 1160:  // writing a packet
    case 1161:
    case 1184:  // aborted connection
    case 1927:  // killed (MariaDB)
    case 2006:  // server has gone away
    case 2012:
    case 2013:               // lost during a query
    case 2014:               // commands out of sync
    case 2027:               // malformed packet
    case 2055:               // lost, with a system error
    case 3169:               // killed (MySQL)
    case 4031: return true;  // ended by the server because of inactivity (MySQL)
    default: return false;
  }
}
TIDEPOOL_LAZY_BODY bool diagnosis::read_only() const noexcept {
  // 1290 is about any option that forbids the statement, so its text counts, which quotes the option's name in every language.
  const auto names = [this](std::string_view option) { return message.find(option) != std::string::npos; };
  return number == 1836 || (number == 1290 && (names("read-only") || names("read_only")));
}

}  // namespace detail

TIDEPOOL_LAZY_BODY error::error(errc code, std::string_view text) : error(code, text, mysql::detail::diagnosis{}) {}
TIDEPOOL_LAZY_BODY error::error(errc code, std::string_view text, mysql::detail::diagnosis said)
    : system_error(make_error_code(code)), said_(explain(code, text, std::move(said))) {}

TIDEPOOL_LAZY_BODY std::shared_ptr<const error::contents> error::explain(errc code, std::string_view text,
                                                                         mysql::detail::diagnosis&& said) {
  using tidepool::detail::printable;
  std::string words(text);
  if (!said.message.empty()) {
    if (!words.empty()) words += ": ";
    if (said.number != 0) words += std::to_string(said.number) + " ";
    if (!said.sqlstate.empty()) words += "(" + printable(said.sqlstate, 5) + ") ";
    words += printable(said.message, 400);
  }
  if (!said.advice.empty()) words += "; " + said.advice;
  if (!said.statement.empty()) words += "; statement: " + said.statement;
  if (const auto place = tidepool::detail::place(said.called_from); !place.empty()) words += "; called at " + std::string(place);
  if (words.empty()) words = make_error_code(code).message();
  const auto out = std::make_shared<contents>();
  static_cast<mysql::detail::diagnosis&>(*out) = std::move(said);
  out->text.append(prefix).append(words);
  return out;
}

TIDEPOOL_LAZY_BODY bool error::retryable() const noexcept {
  if (reason() != errc::server || said_->ends_session()) return false;
  switch (number()) {
    case 1020:               // record has changed since last read
    case 1205:               // lock wait timeout
    case 1213:               // deadlock
    case 3101:               // conflict at the commit of a group
    case 3572: return true;  // NOWAIT met a lock
    case 1180: return said_->message.find("149") != std::string::npos;
    default: return stale();
  }
}

TIDEPOOL_LAZY_BODY mysql::consequence error::consequence() const noexcept {
  switch (number()) {
    case 1040:
    case 1203:
    case 1226: return mysql::consequence::server_full;
    case 1044:
    case 1045:
    case 1130:
    case 1698:
    case 1862:
    case 3118:
    case 4151: return mysql::consequence::permanent;
    case 1049: return reason() == errc::server ? mysql::consequence::none : mysql::consequence::permanent;
    case 1053: return mysql::consequence::all_suspect;
    default: break;
  }
  if (said_->read_only()) return mysql::consequence::all_suspect;
  return connection_lost() ? mysql::consequence::connection : mysql::consequence::none;
}

TIDEPOOL_LAZY_BODY connect_error::connect_error(errc code, std::string_view text, mysql::detail::diagnosis said)
    : error(code, text, std::move(said)), kind_(told()) {}
TIDEPOOL_LAZY_BODY connect_error::connect_error(errc code, std::string_view text, mysql::detail::diagnosis said, failure_kind kind)
    : error(code, text, std::move(said)), kind_(kind) {}

TIDEPOOL_LAZY_BODY failure_kind connect_error::told() const noexcept {
  if (reason() == errc::bad_options || reason() == errc::tls_refused) return failure_kind::permanent;
  switch (number()) {
    case 1040:  // too many connections
    case 1203:  // of this user
    case 1226: return failure_kind::server_full;
    case 1053: return failure_kind::starting;
    case 1044:  // no right to the database
    case 1045:  // access denied
    case 1049:  // no such database
    case 1130:  // this host may not connect
    case 1251:  // no such authentication
    case 1275:
    case 1698:  // access denied, without a password
    case 1862:  // password expired
    case 2054:  // authentication methods
    case 2059:  // an authentication plugin cannot be loaded
    case 2061:  // it failed
    case 3118:  // account locked
    case 4151:
    case 5010: return failure_kind::permanent;  // of the client library: a plugin that is not allowed
    default: return failure_kind::transient;
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#endif
