// SPDX-License-Identifier: BSL-1.0
// tidepool - what the rig needs to know of the PostgreSQL driver.
#ifndef TIDEPOOL_TESTS_FAULTS_WATCHED_POSTGRES_HPP
#define TIDEPOOL_TESTS_FAULTS_WATCHED_POSTGRES_HPP

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <tidepool/postgres.hpp>

#include "watched_pool.hpp"

namespace tidepool_faults {

namespace pg = tidepool::postgres;
using connection = pg::connection;
using driver_error = pg::error;
using pool = tidepool::basic_pool<connection, watched_traits<connection>>;

inline int session_number(const connection& c) { return c.backend_pid(); }

/// The answer that a statement without rows, or one of no caller's, has not.
inline std::string answer_due(const std::string& sql, std::uint64_t) { return sql.find("4711") != std::string::npos ? "4711" : ""; }
inline asio::awaitable<std::string> run_statement(connection& c, std::string sql, std::uint64_t) {
  const auto got = co_await c.exec(sql);
  std::string out;
  if (got.size() > 0) out = got[0][got[0].size() - 1].text();
  co_return out;
}

inline pg::connector connector_of(const setup& wanted, const tidepool::pool_config& config, const std::shared_ptr<hang_up_log>& hang_ups) {
  pg::options options(wanted.conninfo + (wanted.as_delivered ? "" : wanted.sockets) + " application_name=" + wanted.application);
  if (!wanted.as_delivered) options.cancel_timeout = 500ms;
  if (wanted.response_timeout > 0ms) {
    options.response_timeout = wanted.response_timeout;
    options.cancel_timeout = wanted.response_timeout / 2;
  }
  options.on_connect = [hang_ups](pg::connection& c) { return note_socket(hang_ups, PQsocket(c.native())); };
  if (wanted.reset_full) options.reset = pg::reset_level::full;
  if (wanted.password) {
    options.credential_provider = [ask = wanted.password]() -> asio::awaitable<pg::credentials> {
      pg::credentials now("", ask());
      co_return now;
    };
  }
  return {std::move(options), config};
}

}  // namespace tidepool_faults

#endif
