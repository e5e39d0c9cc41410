// SPDX-License-Identifier: BSL-1.0
// tidepool - the limits of a PostgreSQL server, asked for in one round trip, and what they say against the configuration.
#ifndef TIDEPOOL_POSTGRES_DETAIL_LIMITS_HPP
#define TIDEPOOL_POSTGRES_DETAIL_LIMITS_HPP

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../config.hpp"
#include "../../detail/driver/lint_rules.hpp"
#include "../../version.hpp"
#include "perform.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// As the server tells them: what it does not have is missing. Times are in the unit of `pg_settings`.
template <class = void>
struct basic_server_limits {
  /// A missing one is zero, which means none for all that are times.
  std::int64_t number(std::string_view name, std::int64_t otherwise = 0) const {
    std::int64_t out = otherwise;
    const auto at = values.find(name);
    if (at != values.end()) (void)std::from_chars(at->second.data(), at->second.data() + at->second.size(), out);
    return out;
  }
  std::chrono::milliseconds milliseconds(std::string_view name) const { return std::chrono::milliseconds(number(name)); }
  bool is(std::string_view name) const {
    const auto at = values.find(name);
    return at != values.end() && at->second.starts_with('t');
  }
  /// As an identifier in SQL.
  std::string quoted(std::string_view name) const {
    const auto at = values.find(name);
    std::string out = "\"";
    for (const char c : at == values.end() ? std::string_view() : std::string_view(at->second)) out.append(c == '"' ? 2 : 1, c);
    return out + '"';
  }

  std::map<std::string, std::string, std::less<>> values = {};
  bool pooled = false;  ///< a pooler is in between
  bool local = false;   ///< no network is
};
using server_limits = basic_server_limits<>;

inline constexpr std::string_view limits_query =
    "select s.name, s.setting from pg_catalog.pg_settings s where s.name operator(pg_catalog.=) any (array['max_connections', "
    "'superuser_reserved_connections', 'reserved_connections', 'idle_session_timeout', 'idle_in_transaction_session_timeout', "
    "'statement_timeout', 'tcp_keepalives_idle']) "
    "union all select 'role', r.rolname::pg_catalog.text from pg_catalog.pg_roles r where r.rolname operator(pg_catalog.=) session_user "
    "union all select 'role limit', r.rolconnlimit::pg_catalog.text from pg_catalog.pg_roles r where r.rolname operator(pg_catalog.=) "
    "session_user "
    "union all select 'superuser', r.rolsuper::pg_catalog.text from pg_catalog.pg_roles r where r.rolname operator(pg_catalog.=) "
    "session_user "
    "union all select 'database', d.datname::pg_catalog.text from pg_catalog.pg_database d where d.datname operator(pg_catalog.=) "
    "pg_catalog.current_database() "
    "union all select 'database limit', d.datconnlimit::pg_catalog.text from pg_catalog.pg_database d where d.datname "
    "operator(pg_catalog.=) pg_catalog.current_database()";

/// Behind a pooler the server's limits of connections are the pooler's, and the session's settings another client's.
template <class = void>
inline std::vector<limit_finding> compare_limits(const server_limits& is, const options& settings, const pool_config& config) {
  using tidepool::detail::in_words;
  tidepool::detail::driver::limit_rules rules(config);
  const std::string alter_role = "alter role " + is.quoted("role");
  const auto wanted = std::to_string(config.max_size);
  if (!is.pooled) {
    const auto all = is.number("max_connections");
    const auto kept = is.number("superuser_reserved_connections") + is.number("reserved_connections");
    const auto left = is.is("superuser") ? all : all - kept;
    if (all > 0) {
      const auto more = std::to_string(static_cast<std::uint64_t>(config.max_size) + static_cast<std::uint64_t>(all - left));
      rules.size("max_connections", left,
                 "the server has " + std::to_string(left) + " connections for this role and all other clients (max_connections = " +
                     std::to_string(all) + (left < all ? ", " + std::to_string(kept) + " of them reserved)" : ")"),
                 "max_connections to " + more + " or more in postgresql.conf, and restart the server");
    }
    if (const auto most = is.number("role limit", -1); most >= 0 && !is.is("superuser")) {
      rules.size("rolconnlimit", most, "role " + is.quoted("role") + " may have " + std::to_string(most) + " connections",
                 "run: " + alter_role + " connection limit " + wanted);
    }
    if (const auto most = is.number("database limit", -1); most >= 0 && !is.is("superuser")) {
      rules.size("datconnlimit", most, "database " + is.quoted("database") + " may have " + std::to_string(most) + " connections",
                 "run: alter database " + is.quoted("database") + " connection limit " + wanted);
    }
    rules.idle("idle_session_timeout", is.milliseconds("idle_session_timeout"), "run: " + alter_role + " set idle_session_timeout = 0");
    constexpr std::int64_t hour = 3600;
    if (const auto idle = is.number("tcp_keepalives_idle"); !is.local && settings.peer_timeout == no_limit && idle >= hour) {
      rules.add("tcp_keepalives_idle",
                "the server looks after " + in_words(std::chrono::seconds(idle)) +
                    " whether its client is still there, and keeps transaction and locks of one that vanished until then",
                "set options::peer_timeout to 15 s, say, or tcp_keepalives_idle in postgresql.conf");
    }
  } else if (settings.statement_cache > 0 && !settings.pooler_tracks_statements && !settings.session_pooler) {
    rules.add("statement_cache",
              "statement_cache is " + std::to_string(settings.statement_cache) + ", but behind this pooler nothing is kept prepared",
              "set options::pooler_tracks_statements where the pooler has max_prepared_statements, options::session_pooler where its "
              "pool_mode is session, or statement_cache to 0");
  }
  const auto response = std::min(settings.response_timeout, config.response_timeout);
  rules.statement("statement_timeout", is.milliseconds("statement_timeout"), response,
                  "run: " + alter_role + " set statement_timeout = " + std::to_string(response / std::chrono::milliseconds(1) * 2));
  const auto idle = is.milliseconds("idle_in_transaction_session_timeout");
  const std::string lift = "run: " + alter_role + " set idle_in_transaction_session_timeout = ";
  const auto asked = settings.idle_in_transaction_timeout;
  // The session has it where nothing else was chosen for the role, the database or the server.
  if (asked != no_limit && asked <= std::chrono::hours(24) && idle != std::chrono::ceil<std::chrono::milliseconds>(asked)) {
    const auto stays = idle == idle.zero() ? std::string("the session has none") : "the session has " + in_words(idle);
    rules.add("idle_in_transaction_session_timeout",
              "options::idle_in_transaction_timeout is " + in_words(asked) + ", but " + stays +
                  (is.pooled ? ", because behind a pooler the driver sets nothing" : ", as its server, database or role says"),
              lift + std::to_string(std::chrono::ceil<std::chrono::milliseconds>(asked).count()));
  }
  rules.transaction("idle_in_transaction_session_timeout", idle, lift + "0");
  if (!is.local && settings.get("keepalives") == "0" && response == no_limit) {
    rules.add("keepalives",
              "keepalives is 0 and response_timeout has no limit, so a server that vanished is never noticed by who waits for it",
              "take keepalives=0 out of the connection string, or set response_timeout");
  }
  return rules.take();
}

template <class = void>
inline bool is_local_socket(PGconn* pg) noexcept {
  const char* const host = PQhost(pg);
  return host == nullptr || *host == '/' || *host == '@';
}

template <class = void>
inline asio::awaitable<std::vector<limit_finding>> no_findings() {
  co_return std::vector<limit_finding>();
}
/// One round trip.
template <class = void>
inline asio::awaitable<std::vector<limit_finding>> find_limits(session_ptr s, pool_config config, duration limit) {
  auto ask = request::simple(limits_query, "lint()");
  ask.limit = limit;
  const bool touched = s->touched;
  const result answer = co_await perform(s, std::move(ask));
  s->touched = touched;  // it leaves nothing behind
  server_limits is;
  for (std::size_t i = 0; i < answer.size(); ++i) {
    if (!answer[i][1].is_null()) is.values.emplace(answer[i][0].text(), answer[i][1].text());
  }
  is.pooled = s->pooled;
  is.local = is_local_socket(s->pg());
  co_return compare_limits(is, s->settings(), config);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
