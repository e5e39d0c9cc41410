// SPDX-License-Identifier: BSL-1.0
// tidepool - quick start: a pool of PostgreSQL connections. DATABASE_URL says where; without it, libpq's PG* variables.
#include <tidepool/postgres.hpp>

#include <cstdio>
#include <cstdlib>

namespace postgres = tidepool::postgres;

asio::awaitable<void> greet(postgres::pool& pool) {
  auto lease = co_await pool.acquire();  // waits if needed; the connection goes back at the end of the lease's scope
  auto rows = co_await lease->exec("select n, 'hello ' || n from generate_series(1, $1) n", 3);
  for (auto [number, text] : rows.rows<int, std::string>()) std::printf("%d: %s\n", number, text.c_str());
}

int main() try {
  asio::io_context io;
  postgres::pool pool(io, postgres::connector(std::getenv("DATABASE_URL")), {.min_size = 2, .max_size = 10});
  pool.log_to(tidepool::stderr_sink, tidepool::log_level::warning);  // failures and leaks, as they happen
  tidepool::run(io, pool, greet);  // opens the pool, runs greet(pool), closes the pool on every path, throws what failed
} catch (const std::exception& error) {
  std::fprintf(stderr, "quickstart: %s\n", error.what());
  return 1;
}
