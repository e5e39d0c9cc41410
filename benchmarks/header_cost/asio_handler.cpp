// SPDX-License-Identifier: BSL-1.0
// tidepool - the handler on a connection made on the spot: what a file costs that uses Asio and no pool.
#include "asio_headers.hpp"

#include "handler.hpp"

struct no_pool {
  asio::awaitable<std::unique_ptr<connection>> acquire() { co_return std::make_unique<connection>(); }
};
void start(asio::io_context& io, no_pool& pool) { asio::co_spawn(io, handle(pool), asio::detached); }
