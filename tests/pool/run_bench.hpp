// SPDX-License-Identifier: BSL-1.0
// tidepool - a pool on a real io_context, for the tests of run().
#ifndef TIDEPOOL_TESTS_RUN_BENCH_HPP
#define TIDEPOOL_TESTS_RUN_BENCH_HPP

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>

#include "rig.hpp"

namespace tidepool_tests {

/// Two signals that nothing else uses, and one that cannot be caught.
#if defined(_WIN32)
inline constexpr int first_signal = SIGTERM;
inline constexpr int second_signal = SIGBREAK;
inline constexpr int no_signal = 9;
/// How many threads may raise one: on Windows a handler is in force for one signal, and until Asio's sets itself again, a second one would
/// end the process.
inline constexpr int signal_threads = 1;
#else
inline constexpr int first_signal = SIGUSR1;
inline constexpr int second_signal = SIGUSR2;
inline constexpr int no_signal = SIGKILL;
inline constexpr int signal_threads = 2;
#endif

/// Counts what is open; the pool closes it.
struct counted_session {
  explicit counted_session(std::shared_ptr<std::atomic<int>> open) : open_(std::move(open)) { ++*open_; }
  counted_session(counted_session&&) = default;
  counted_session& operator=(counted_session&&) = default;
  ~counted_session() {
    if (open_) --*open_;
  }
  asio::awaitable<void> close() { co_return; }

 private:
  std::shared_ptr<std::atomic<int>> open_;
};
using run_pool = tidepool::basic_pool<counted_session>;

/// A pool on a real io_context, because run() is about that.
template <class Pool = run_pool>
struct bench {
  std::shared_ptr<std::atomic<int>> open = std::make_shared<std::atomic<int>>(0);
  std::shared_ptr<std::atomic<bool>> refused = std::make_shared<std::atomic<bool>>(false);
  asio::io_context io;
  Pool pool;

  explicit bench(const pool_config& config = calm(1, 2)) : pool(io, connector(), config) {}
  auto connector() {
    return [count = open, no = refused]() -> asio::awaitable<counted_session> {
      if (*no) throw tidepool::connect_error(tidepool::failure_kind::permanent, "wrong password");
      co_return counted_session(count);
    };
  }
  void check_closed() {
    CHECK(pool.state() == pool_state::closed);
    CHECK(*open == 0);
  }
};

inline asio::awaitable<void> sleep_for(duration span) {
  asio::basic_waitable_timer<std::chrono::steady_clock> timer(co_await asio::this_coro::executor, span);
  co_await timer.async_wait(asio::use_awaitable);
}

inline asio::awaitable<int> use(run_pool& pool) {
  auto lease = co_await pool.acquire();
  co_return static_cast<int>(lease.id());
}
inline asio::awaitable<void> just_use(run_pool& pool) { co_await use(pool); }

}  // namespace tidepool_tests

#endif
