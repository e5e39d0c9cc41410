// SPDX-License-Identifier: BSL-1.0
// tidepool - the limits of a MySQL or MariaDB server, asked for in one round trip, and what they say against the configuration.
#ifndef TIDEPOOL_MYSQL_DETAIL_LIMITS_HPP
#define TIDEPOOL_MYSQL_DETAIL_LIMITS_HPP

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

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

/// Variables of the session as the server tells them; what it does not have is missing.
template <class = void>
struct basic_server_limits {
  /// A missing one is zero, which means none.
  std::int64_t number(std::string_view name) const {
    std::int64_t out = 0;
    const auto at = values.find(name);
    if (at != values.end()) (void)std::from_chars(at->second.data(), at->second.data() + at->second.size(), out);
    return out;
  }
  std::chrono::seconds seconds(std::string_view name) const { return std::chrono::seconds(number(name)); }

  std::map<std::string, std::string, std::less<>> values = {};
};
using server_limits = basic_server_limits<>;

inline constexpr std::string_view limits_query =
    "show session variables where variable_name in ('max_connections', 'max_user_connections', 'wait_timeout', 'max_statement_time', "
    "'max_execution_time', 'idle_transaction_timeout')";

template <class = void>
inline std::vector<limit_finding> compare_limits(const server_limits& is, const options& settings, const pool_config& config) {
  tidepool::detail::driver::limit_rules rules(config);
  const auto wanted = std::to_string(config.max_size);
  const auto all = is.number("max_connections");
  const auto of_user = is.number("max_user_connections");
  if (all > 0) {
    rules.size("max_connections", all, "the server has " + std::to_string(all) + " connections for all its clients (max_connections)",
               "run: set global max_connections = " + wanted + ", and write it into the server's configuration");
  }
  if (of_user > 0) {
    rules.size("max_user_connections", of_user, "this account may have " + std::to_string(of_user) + " connections (max_user_connections)",
               "run: alter user ... with max_user_connections " + wanted);
  }
  rules.idle("wait_timeout", is.seconds("wait_timeout"),
             "run: set global wait_timeout = 28800, and write it into the server's configuration");
  const auto response = std::min(settings.response_timeout, config.response_timeout);
  // MariaDB's is in seconds and for every statement, MySQL's in milliseconds and for SELECT.
  rules.statement("max_statement_time", is.seconds("max_statement_time"), response, "raise max_statement_time");
  rules.statement("max_execution_time", std::chrono::milliseconds(is.number("max_execution_time")), response, "raise max_execution_time");
  rules.transaction("idle_transaction_timeout", is.seconds("idle_transaction_timeout"), "run: set global idle_transaction_timeout = 0");
  return rules.take();
}

template <class = void>
inline asio::awaitable<std::vector<limit_finding>> no_findings() {
  co_return std::vector<limit_finding>();
}
/// One round trip.
template <class = void>
inline asio::awaitable<std::vector<limit_finding>> find_limits(session_ptr s, pool_config config, duration limit) {
  auto ask = request::plain(limits_query, "lint()", limit);
  const bool touched = s->touched;
  const result answer = co_await perform(s, std::move(ask));
  s->touched = touched;  // it leaves nothing behind
  server_limits is;
  for (std::size_t i = 0; i < answer.size(); ++i) {
    is.values.emplace(answer[i][0].template as<std::string>(), answer[i][1].template as<std::string>());
  }
  co_return compare_limits(is, s->settings(), config);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
