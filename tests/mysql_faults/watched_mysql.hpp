// SPDX-License-Identifier: BSL-1.0
// tidepool - what the rig needs to know of the MySQL driver.
#ifndef TIDEPOOL_TESTS_MYSQL_FAULTS_WATCHED_MYSQL_HPP
#define TIDEPOOL_TESTS_MYSQL_FAULTS_WATCHED_MYSQL_HPP

#include <mysql.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <tidepool/mysql.hpp>

#include "../faults/watched_pool.hpp"

namespace tidepool_faults {

namespace my = tidepool::mysql;
using connection = my::connection;
using driver_error = my::error;
using pool = tidepool::basic_pool<connection, watched_traits<connection>>;

inline int session_number(const connection& c) { return static_cast<int>(c.thread_id()); }

/// A statement with a parameter is given the request's token, and its last column repeats that.
inline std::string answer_due(const std::string& sql, std::uint64_t token) {
  return sql.find('?') != std::string::npos ? std::to_string(token) : std::string();
}
inline asio::awaitable<std::string> run_statement(connection& c, std::string sql, std::uint64_t token) {
  if (answer_due(sql, token).empty()) {
    (void)co_await c.exec(sql);
    co_return std::string();
  }
  const auto got = co_await c.exec(sql, token);
  std::string out = "without a row";
  if (got.size() == 1) out = std::to_string(got[0][got.columns() - 1].template as<std::uint64_t>());
  co_return out;
}

/// `setup::conninfo` is a URL.
inline my::connector connector_of(const setup& wanted, const tidepool::pool_config& config, const std::shared_ptr<hang_up_log>& hang_ups) {
  my::options options(wanted.conninfo);
  options.cancel_timeout = 500ms;
  if (wanted.response_timeout > 0ms) {
    options.response_timeout = wanted.response_timeout;
    options.cancel_timeout = wanted.response_timeout / 2;
  }
  if (wanted.cancel_timeout > 0ms) options.cancel_timeout = wanted.cancel_timeout;
  options.on_connect = [hang_ups](connection& c) { return note_socket(hang_ups, static_cast<int>(mysql_get_socket(c.native()))); };
  if (wanted.reset_full) options.reset = my::reset_level::full;
  if (wanted.password) {
    options.credential_provider = [ask = wanted.password]() -> asio::awaitable<my::credentials> {
      my::credentials now("", ask());
      co_return now;
    };
  }
  return {std::move(options), config};
}

}  // namespace tidepool_faults

#endif
