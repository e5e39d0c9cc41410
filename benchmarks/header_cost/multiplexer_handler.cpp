// SPDX-License-Identifier: BSL-1.0
// tidepool - the same handler through a multiplexer.
#include <tidepool/postgres/multiplexer.hpp>

asio::awaitable<int> handle(tidepool::postgres::multiplexer& shared) {
  co_return co_await shared.read_one<int>("select balance from accounts where id = $1", 1);
}
void start(asio::io_context& io, tidepool::postgres::multiplexer& shared) { asio::co_spawn(io, handle(shared), asio::detached); }
