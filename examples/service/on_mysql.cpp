// SPDX-License-Identifier: BSL-1.0
// tidepool - the service on MySQL and MariaDB: one pool.
#include "on_mysql.hpp"

#include "service.hpp"

namespace {

namespace mysql = tidepool::mysql;

void serve(const settings& how) {
  if (how.multiplex) throw std::runtime_error("--multiplex is for PostgreSQL");
  asio::io_context io(static_cast<int>(how.threads));
  const auto times = std::make_shared<tidepool::statement_times>();
  mysql::options place(how.url);
  place.tracing = times;
  mysql::pool pool(io, mysql::connector(place), how.pool());
  const tidepool::recent_lines lines;
  pool.log_to(lines.sink(write_log));
  basic_bank<on_mysql> ours(pool, times.get());
  pool_page page({watched_pool::of(pool)}, lines, how.control_token);
  tidepool::run(io, pool, serve_http(io, how, ours, page), until_told(how));
  print_summary(pool.stats());
}

const database_kind registered("mysql", serve);

}  // namespace
