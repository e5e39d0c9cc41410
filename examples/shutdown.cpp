// SPDX-License-Identifier: BSL-1.0
// tidepool - a pool that is closed on every path: the work ends, the work throws, or a signal interrupts it.
//
//   shutdown        does its work and ends
//   shutdown fail   throws in the middle of it
//   shutdown wait   works until SIGINT or SIGTERM
//
// examples/service does the same for a server, where "the work" is as many coroutines as there are clients.
#include <tidepool/pool.hpp>

#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
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

asio::awaitable<void> work(session_pool& pool, std::string how) {
  auto lease = co_await pool.acquire();
  std::printf("working\n");
  asio::steady_timer job(co_await asio::this_coro::executor, how == "wait" ? 24h : 100ms);
  co_await job.async_wait(asio::use_awaitable);
  if (how == "fail") throw std::runtime_error("the work failed");
}

asio::awaitable<void> run(session_pool& pool, std::string how) {
  std::exception_ptr failed;
  try {
    co_await pool.open();
    co_await work(pool, how);
  } catch (...) {
    failed = std::current_exception();  // kept: a handler must not contain a co_await
  }
  co_await asio::this_coro::reset_cancellation_state();  // otherwise a cancelled coroutine could not await the close
  co_await pool.close(5s);  // idle connections gracefully, five seconds for leases, then their sockets are shut
  if (failed) std::rethrow_exception(failed);
}

int main(int argc, char** argv) {
  asio::io_context io;
  tidepool::pool_config config;
  config.min_size = 2;
  session_pool pool(
      io, []() -> asio::awaitable<session> { co_return session(); }, config);

  int status = 0;
  bool stopping = false;
  asio::cancellation_signal stop;
  asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&](tidepool::error_code cancelled, int number) {
    if (cancelled) return;
    std::printf("signal %d\n", number);
    signals.clear();  // a second one ends the process at once
    stopping = true;
    stop.emit(asio::cancellation_type::terminal);
  });
  auto ended = [&](std::exception_ptr failed) {
    signals.cancel();
    try {
      if (failed && !stopping) std::rethrow_exception(failed);
    } catch (const std::exception& error) {
      std::printf("failed: %s\n", error.what());
      status = 1;
    }
  };
  asio::co_spawn(io, run(pool, argc > 1 ? argv[1] : ""), asio::bind_cancellation_slot(stop.slot(), ended));
  io.run();  // returns: a closed pool holds no timer and no work
  std::printf("the pool is %s\n", to_string(pool.state()));
  return status;
}
