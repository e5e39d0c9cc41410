// SPDX-License-Identifier: BSL-1.0
// tidepool - a pool that is closed on every path: the work ends, the work throws, or a signal interrupts it.
//
//   shutdown        does its work and ends
//   shutdown fail   throws in the middle of it
//   shutdown wait   works until SIGINT or SIGTERM
//
// examples/service does the same for a server, where "the work" is as many coroutines as there are clients.
#include <tidepool/pool.hpp>

#include <asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <string>

using namespace std::chrono_literals;

/// A connection that connects to nothing, and is closed gracefully all the same.
struct session {
  asio::awaitable<void> close() {
    std::printf("closed gracefully\n");
    co_return;
  }
};
using session_pool = tidepool::basic_pool<session>;

asio::awaitable<std::string> work(session_pool& pool, std::string how) {
  auto lease = co_await pool.acquire();
  std::printf("working\n");
  asio::steady_timer job(co_await asio::this_coro::executor, how == "wait" ? 24h : 100ms);
  co_await job.async_wait(asio::use_awaitable);  // throws when a signal cancels the work
  if (how == "fail") throw std::runtime_error("the work failed");
  co_return "the work is done";
}

int main(int argc, char** argv) try {
  asio::io_context io;
  tidepool::pool_config config;
  config.min_size = 2;
  session_pool pool(
      io, []() -> asio::awaitable<session> { co_return session(); }, config);

  // The first signal cancels the work, which has five seconds to end, with its leases; a second one ends all at once.
  const auto result = tidepool::run(io, pool, work(pool, argc > 1 ? argv[1] : ""), {.signals = {SIGINT, SIGTERM}, .grace = 5s});
  if (result.value) std::printf("%s\n", result.value->c_str());
  if (result.signal) std::printf("stopped by signal %d%s\n", result.signal, result.cut_short ? ", in the middle of the work" : "");
  std::printf("the pool is %s\n", to_string(pool.state()));
} catch (const std::exception& error) {
  std::fprintf(stderr, "failed: %s\n", error.what());
  return 1;
}
