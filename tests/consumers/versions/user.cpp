// SPDX-License-Identifier: BSL-1.0
// tidepool - one use of the pool, compiled against two versions of its headers: its FUNCTION tells what it saw of its own version.
#include "user.hpp"

#include <tidepool/pool.hpp>

#include <chrono>
#include <exception>

namespace {

namespace asio = tidepool::asio;

struct connection {
  bool usable() const noexcept { return true; }
};

asio::awaitable<void> use(tidepool::basic_pool<connection>& pool, seen& out) {
  co_await pool.open();
  for (int i = 0; i < 100; ++i) {
    auto lease = co_await pool.acquire();
    ++out.leases;
  }
  out.counted = pool.stats().total_checkouts;
  co_await pool.close(std::chrono::seconds(1));
}

}  // namespace

seen FUNCTION() {
  seen out;
  out.version = TIDEPOOL_VERSION_STRING;
  out.histogram_size = sizeof(tidepool::histogram);
  asio::io_context io;
  tidepool::pool_config config;
  config.min_size = 1;
  config.max_size = 2;
  tidepool::basic_pool<connection> pool(
      io, []() -> asio::awaitable<connection> { co_return connection{}; }, config);
  asio::co_spawn(io, use(pool, out), [&out](std::exception_ptr failure) { out.failed = failure != nullptr; });
  io.run();
  return out;
}
