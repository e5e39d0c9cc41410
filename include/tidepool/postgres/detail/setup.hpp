// SPDX-License-Identifier: BSL-1.0
// tidepool - the first query of a session: which process serves it, which kind of server it is, and the settings it gets.
//
// Parameters that are reported at login cannot be relied on: a pooler in between repeats those of its own first login, perhaps to another
// server.
#ifndef TIDEPOOL_POSTGRES_DETAIL_SETUP_HPP
#define TIDEPOOL_POSTGRES_DETAIL_SETUP_HPP

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../version.hpp"
#include "perform.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// The kind of a server, by its answer to `role_query`.
struct server_role {
  bool standby = false;
  bool read_only = false;  ///< also a primary whose default_transaction_read_only is on

  bool fits(session_attrs wanted) const noexcept {
    switch (wanted) {
      case session_attrs::read_write: return !standby && !read_only;
      case session_attrs::read_only: return standby || read_only;
      case session_attrs::primary: return !standby;
      case session_attrs::standby: return standby;
      default: return true;
    }
  }
};

/// One setting that a session gets, unless a pooler is in between: there it would stay behind for other clients.
struct session_setting {
  std::string name, value;
  std::string where;  ///< SQL condition: true where the setting still has its default, so that one that was chosen stays
};

/// The same list, in the same order, for the whole life of a session. `extra_float_digits` has to be right; a limit is set only where the
/// server has none.
template <class = void>
inline std::vector<session_setting> settings_for(const options& wanted, int server_version) {
  std::vector<session_setting> out;
  const auto where = [](const char* name, const char* present) {
    return "pg_catalog.current_setting('" + std::string(name) + "') operator(pg_catalog.=) '" + present + "'";
  };
  const auto whole = [](auto span) { return std::to_string(std::max<std::intmax_t>(1, span.count())); };
  using std::chrono::ceil;
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  constexpr duration longest = std::chrono::hours(24);
  if (wanted.exact_doubles) {
    const std::string needed = server_version >= 120000 ? "1" : "3";
    out.push_back({"extra_float_digits", needed,
                   "pg_catalog.current_setting('extra_float_digits')::pg_catalog.int4 operator(pg_catalog.<) " + needed});
  }
  if (wanted.peer_timeout != no_limit) {
    const auto lost = std::min<duration>(wanted.peer_timeout, longest);
    // 7200 s is the kernel's default, so nothing was chosen. This one is set last, because it changes what the conditions look at.
    const auto untouched = where("tcp_keepalives_idle", "7200");
    out.push_back({"tcp_keepalives_count", "3", untouched});
    out.push_back({"tcp_keepalives_interval", whole(ceil<seconds>(lost / 5)), untouched});
    out.push_back({"tcp_keepalives_idle", whole(ceil<seconds>(lost / 3)), untouched});
    if (server_version >= 120000) out.push_back({"tcp_user_timeout", whole(ceil<milliseconds>(lost)), where("tcp_user_timeout", "0")});
    if (server_version >= 140000) {
      const char* name = "client_connection_check_interval";
      out.push_back({name, whole(ceil<milliseconds>(lost / 3)), where(name, "0")});
    }
  }
  if (wanted.idle_in_transaction_timeout != no_limit && server_version >= 90600) {
    const char* name = "idle_in_transaction_session_timeout";
    out.push_back({name, whole(ceil<milliseconds>(std::min<duration>(wanted.idle_in_transaction_timeout, longest))), where(name, "0")});
  }
  return out;
}

/// Dates are read in ISO style. Most servers use it already, and report it; poolers keep it right for each client.
template <class = void>
inline bool has_iso_dates(PGconn* connection) noexcept {
  const char* style = PQparameterStatus(connection, "DateStyle");
  return style != nullptr && std::string_view(style).starts_with("ISO");
}

template <class = void>
inline std::string set_config(std::string_view name, std::string_view value) {
  return "pg_catalog.set_config('" + std::string(name) + "', '" + std::string(value) + "', false)";
}

template <class = void>
inline std::string setup_query(session& s, const std::vector<session_setting>& settings) {
  constexpr std::string_view own = "pg_catalog.pg_backend_pid() operator(pg_catalog.=) ";
  const auto pid =
      s.settings().session_pooler ? std::string("pg_catalog.pg_backend_pid()") : "(" + std::to_string(PQbackendPID(s.pg())) + ")";
  std::string sql = "select pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only'), ";
  sql.append(own).append(pid).append(", pg_catalog.current_setting('extra_float_digits')");
  for (const auto& setting : settings) {
    sql.append(", case when ").append(own).append(pid).append(" then case when ").append(setting.where).append(" then ");
    sql.append(set_config(setting.name, setting.value)).append(" end end");
  }
  if (!has_iso_dates(s.pg())) sql.append(", ").append(set_config("datestyle", "ISO"));
  return sql;
}

inline constexpr std::string_view role_query = "select pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')";

template <class = void>
inline server_role role_of(const result& answer) {
  server_role role;
  role.standby = answer[0][0].text() == "t";
  role.read_only = role.standby || answer[0][1].text() == "on";
  return role;
}

/// Through a pooler the setting would stay behind for others, and might be missing for the next statement: it has to be set on the server.
template <class = void>
inline void refuse_rounded_doubles(const session& s, std::string_view digits) {
  const int needed = PQserverVersion(s.pg()) >= 120000 ? 1 : 3;
  int found = needed;
  (void)std::from_chars(digits.data(), digits.data() + digits.size(), found);
  if (found >= needed) return;
  throw connect_error(errc::bad_options, "behind a pooler extra_float_digits is " + std::to_string(found) +
                                             ", so doubles would be read rounded: set it to " + std::to_string(needed) +
                                             " for the role (alter role ... set extra_float_digits), or clear options.exact_doubles");
}

/// Asks which kind of server this is now, and notes what follows for the session. A server that has to be writable and is a standby was
/// demoted: all connections made before lead there too. A setting of the session can make it read-only as well: that is about this
/// connection alone.
template <class>
inline asio::awaitable<void> ask_role(session_ptr s) {
  const result answer = co_await perform(s, request::simple(role_query, "ping()"), operation::allow::always);
  const auto role = role_of(answer);
  const auto wanted = s->settings().target();
  s->role_unconfirmed = false;
  s->standby = role.standby;
  s->wrong_role = !role.fits(wanted);
  if (s->wrong_role && role.standby) s->outdated = true;
}

/// Begins a session, in one round trip: asks for the server's kind and whether the process that answers is the one of the login, and where
/// it is, sets the settings. A server that is not quite PostgreSQL and cannot answer that is asked for its kind alone, where that matters.
template <class = void>
inline asio::awaitable<server_role> set_up(session_ptr s) {
  const auto settings = settings_for(s->settings(), PQserverVersion(s->pg()));
  result answer;
  try {
    answer = co_await perform(s, request::simple(setup_query(*s, settings)));
  } catch (const error& failure) {
    if (failure.connection_lost()) throw;
  }
  if (answer.size() == 1 && answer.columns() >= 4 + settings.size()) {
    s->pooled = answer[0][2].text() != "t";
    for (std::size_t i = 0; i < settings.size(); ++i) {
      if (!answer[0][4 + i].is_null()) s->settings_given |= 1U << i;
    }
    if (s->pooled && s->settings().exact_doubles) refuse_rounded_doubles(*s, answer[0][3].text());
    co_return role_of(answer);
  }
  s->pooled = true;  // not known, so the careful assumption
  if (!has_iso_dates(s->pg())) co_await perform(s, request::simple("set datestyle to iso"));
  if (s->settings().exact_doubles) {
    try {
      co_await perform(s, request::simple("set extra_float_digits to 3"));
    } catch (const error& failure) {
      if (failure.connection_lost()) throw;  // else it has no such setting
    }
  }
  if (s->settings().target() == session_attrs::any) co_return server_role{};
  answer = co_await perform(s, request::simple(role_query));
  co_return role_of(answer);
}

/// SQL that sets the settings again after they were reset; empty where there are none.
template <class = void>
inline std::string restore_query(session& s) {
  if (s.settings_given == 0) return {};
  const auto settings = settings_for(s.settings(), PQserverVersion(s.pg()));
  std::string sql;
  for (std::size_t i = 0; i < settings.size(); ++i) {
    if ((s.settings_given >> i & 1U) == 0) continue;
    sql.append(sql.empty() ? "select " : ", ").append(set_config(settings[i].name, settings[i].value));
  }
  return sql;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
