// SPDX-License-Identifier: BSL-1.0
// tidepool - compiles for Windows: a program that has included <windows.h> first, a pool used in all usual ways, and signals.
#include <winsock2.h>

#include <windows.h>

#include <csignal>

#include <tidepool/pool.hpp>
#include <tidepool/prometheus.hpp>
#include <tidepool/testing.hpp>

namespace {

namespace asio = tidepool::asio;

struct session {
  asio::awaitable<void> ping() { co_return; }
};
using pool_type = tidepool::basic_pool<session>;

asio::awaitable<int> work(pool_type& pool) {
  auto lease = co_await pool.acquire();
  co_await lease->ping();
  co_return static_cast<int>(pool.stats().to_json().size());
}

}  // namespace

int use_pool_on_windows() {
  asio::io_context io;
  auto connect = []() -> asio::awaitable<session> { co_return session(); };
  tidepool::pool_config config = tidepool::pool_config::production();
  config.track_stack_trace = true;
  pool_type pool(io, connect, config);
  pool.async_acquire(std::chrono::seconds(1), [](tidepool::error_code, pool_type::lease) {});
  const auto ended = tidepool::run(io, pool, work, {.signals = {SIGINT, SIGTERM, SIGBREAK}, .threads = 2});
  return ended.value.value_or(0) + static_cast<int>(pool.describe().size());
}
