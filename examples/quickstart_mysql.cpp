// SPDX-License-Identifier: BSL-1.0
// tidepool - quick start: a pool of MySQL or MariaDB connections. DATABASE_URL says where: mysql://user:password@host/database.
#include <tidepool/mysql.hpp>

#include <cstdio>
#include <cstdlib>

namespace mysql = tidepool::mysql;

asio::awaitable<void> greet(mysql::pool& pool) {
  auto lease = co_await pool.acquire();  // waits if needed; the connection goes back at the end of the lease's scope
  auto rows = co_await lease->exec("select 1, concat('hello ', 1) union select ?, concat('hello ', ?)", 2, 2);
  for (auto [number, text] : rows.rows<int, std::string>()) std::printf("%d: %s\n", number, text.c_str());
}

int main() try {
  asio::io_context io;
  mysql::pool pool(io, mysql::connector(std::getenv("DATABASE_URL")), {.min_size = 2, .max_size = 10});
  pool.log_to(tidepool::stderr_sink, tidepool::log_level::warning);  // failures and leaks, as they happen
  tidepool::run(io, pool, greet);  // opens the pool, runs greet(pool), closes the pool on every path, throws what failed
} catch (const std::exception& error) {
  std::fprintf(stderr, "quickstart_mysql: %s\n", error.what());
  return 1;
}
