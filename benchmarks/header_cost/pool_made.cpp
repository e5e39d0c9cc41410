// SPDX-License-Identifier: BSL-1.0
// tidepool - the one file of a program that makes the pool: all of it is instantiated here.
#include <tidepool/pool.hpp>

#include "handler.hpp"

using pool_type = tidepool::basic_pool<connection>;
asio::awaitable<connection> dial() { co_return connection(); }
asio::awaitable<void> run(asio::io_context& io) {
  pool_type pool(io, dial);
  co_await pool.open();
  co_await handle(pool);
  co_await pool.close();
}
void start(asio::io_context& io) { asio::co_spawn(io, run(io), asio::detached); }
