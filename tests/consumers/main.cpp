// SPDX-License-Identifier: BSL-1.0
// tidepool - what a user's first program looks like: a connection of its own, a pool, a lease.
#include <tidepool/instantiate.hpp>
#include <tidepool/pool.hpp>
#include <tidepool/version.hpp>

#include <cstdio>

namespace {

struct connection {
  int number = 0;
};

tidepool::asio::awaitable<void> use(tidepool::basic_pool<connection>& pool, int& got) {
  co_await pool.open();
  {
    auto lease = co_await pool.acquire();
    got = lease->number;
  }
  co_await pool.close(std::chrono::seconds(1));
}

}  // namespace

int main() {
  tidepool::asio::io_context io;
  auto connect = [made = 0](const auto&) mutable -> tidepool::asio::awaitable<connection> { co_return connection{++made}; };
  tidepool::pool_config config;
  config.min_size = 1;
  tidepool::basic_pool<connection> pool(io.get_executor(), connect, config);
  int got = 0;
  tidepool::asio::co_spawn(io, use(pool, got), tidepool::asio::detached);
  io.run();
  std::printf("tidepool %d.%d.%d, connection %d\n", TIDEPOOL_VERSION_MAJOR, TIDEPOOL_VERSION_MINOR, TIDEPOOL_VERSION_PATCH, got);
  return got == 1 ? 0 : 1;
}
