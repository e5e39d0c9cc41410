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

asio::awaitable<void> run(postgres::pool& pool) {
  co_await pool.open();  // opens `min_size` connections, or throws with the reason
  co_await greet(pool);
  co_await pool.close();
}

int main() try {
  const char* url = std::getenv("DATABASE_URL");
  tidepool::pool_config config;
  config.min_size = 2;
  config.max_size = 10;

  asio::io_context io;
  postgres::pool pool(io, postgres::connector(url ? url : ""), config);
  asio::co_spawn(io, run(pool), [](std::exception_ptr failed) {
    if (failed) std::rethrow_exception(failed);
  });
  io.run();  // returns when the pool is closed and nothing is left to do
} catch (const std::exception& error) {
  std::fprintf(stderr, "quickstart: %s\n", error.what());
  return 1;
}
