// SPDX-License-Identifier: BSL-1.0
// tidepool - a handler that asks a PostgreSQL server.
#include <tidepool/postgres.hpp>

asio::awaitable<int> handle(tidepool::postgres::pool& pool) {
  auto lease = co_await pool.acquire();
  co_return co_await lease->one<int>("select balance from accounts where id = $1", 1);
}
void start(asio::io_context& io, tidepool::postgres::pool& pool) { asio::co_spawn(io, handle(pool), asio::detached); }
