// SPDX-License-Identifier: BSL-1.0
// tidepool - the load on the pool under test: callers, their log, and the loop they run on. What it calls of the driver is included before:
// watched_postgres.hpp, or ../mysql_faults/watched_mysql.hpp.
#ifndef TIDEPOOL_TESTS_FAULTS_LOAD_HPP
#define TIDEPOOL_TESTS_FAULTS_LOAD_HPP

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "watched_pool.hpp"

namespace tidepool_faults {

/// Cancels what runs in a coroutine when its time is over.
struct limiter {
  explicit limiter(asio::any_io_executor executor) : timer(std::move(executor)) {}
  asio::cancellation_signal signal;
  asio::steady_timer timer;
  bool over = false;
  bool fired = false;
};

struct rig::inside {
  explicit inside(setup with)
      : wanted(std::move(with)),
        config(config_of(wanted)),
        connections(std::make_unique<pool>(io, connector_of(wanted, config, hang_ups), config, event_log_observer(events))) {}

  asio::awaitable<void> caller(int number) {
    asio::steady_timer timer(io);
    // Spread over the first pause.
    timer.expires_after(wanted.think * number / std::max(wanted.callers, 1));
    co_await timer.async_wait(asio::use_awaitable);
    while (!stopping) {
      const auto done = co_await one(wanted.acquire_timeout, wanted.statement, wanted.writes);
      {
        const std::lock_guard lock(mutex);
        if (done.how == ending::ok) ++successes;
        log.push_back(done);
      }
      timer.expires_after(wanted.think);
      co_await timer.async_wait(asio::use_awaitable);
    }
    --running;
  }

  asio::awaitable<request_log> one(milliseconds timeout, std::string statement, bool write) {
    static std::atomic<std::uint64_t> tokens{0};
    request_log out;
    out.token = ++tokens;
    out.begun = clock::now();
    pool::lease lease;
    try {
      lease = co_await connections->acquire(timeout);
    } catch (const tidepool::pool_error& failure) {
      out.how = ending::no_lease;
      out.why = failure.what();
    }
    out.granted = clock::now();
    if (lease) {
      out.backend = session_number(*lease);
      const auto limit = std::make_shared<limiter>(io.get_executor());
      limit->timer.expires_after(wanted.query_timeout);
      limit->timer.async_wait([limit](std::error_code) {
        if (limit->over) return;
        limit->fired = true;
        limit->signal.emit(asio::cancellation_type::terminal);
      });
      try {
        auto token = asio::bind_cancellation_slot(limit->signal.slot(), asio::use_awaitable);
        const std::string due = write ? std::string() : answer_due(statement, out.token);
        auto task = run_statement(*lease, std::move(statement), out.token);
        const std::string answer = co_await asio::co_spawn(io, std::move(task), token);
        if (!due.empty() && answer != due) {
          out.how = ending::wrong;
          out.why = "answer " + answer;
        }
      } catch (const driver_error& failure) {
        out.how = failure.connection_lost() ? ending::lost : ending::refused;
        out.why = failure.what();
      } catch (const std::system_error& failure) {
        out.how = ending::late;
        out.why = failure.what();
      }
      limit->over = true;
      limit->timer.cancel();
    }
    out.ended = clock::now();
    if (out.how != ending::ok) {
      const std::lock_guard lock(mutex);
      last = out.why;
    }
    co_return out;
  }

  asio::awaitable<void> tick() {
    asio::steady_timer timer(io);
    auto before = clock::now();
    const starvation starved;
    auto starved_before = starved.so_far();
    for (;;) {
      timer.expires_after(1ms);
      co_await timer.async_wait(asio::use_awaitable);
      const auto now = clock::now();
      const auto starved_now = starved.so_far();
      const auto gap = now - before - 1ms - std::chrono::nanoseconds(starved_now - starved_before);
      if (gap > 2ms) {
        const std::lock_guard lock(mutex);
        gaps.emplace_back(now, gap);
      }
      before = now;
      starved_before = starved_now;
    }
  }

  asio::awaitable<void> open() {
    try {
      co_await connections->open();
    } catch (const std::exception& failure) {
      const std::lock_guard lock(mutex);
      last = failure.what();
    }
    opened = true;
  }

  /// Runs something on the loop and waits for its value.
  template <class F>
  auto on_loop(F what) {
    std::packaged_task<decltype(what())()> task(std::move(what));
    auto value = task.get_future();
    asio::post(io, [&task] { task(); });
    return value.get();
  }

  setup wanted;
  tidepool::pool_config config;
  asio::io_context io{1};
  std::shared_ptr<event_log> events = std::make_shared<event_log>();
  std::shared_ptr<hang_up_log> hang_ups = std::make_shared<hang_up_log>();
  std::unique_ptr<pool> connections;
  std::thread thread;
  std::atomic<bool> stopping{false};
  std::atomic<bool> opened{false};
  std::atomic<int> running{0};
  mutable std::mutex mutex;
  std::vector<request_log> log;
  std::vector<std::pair<moment, clock::duration>> gaps;
  std::uint64_t successes = 0;
  std::string last;
  bool closed = false;
};

}  // namespace tidepool_faults

#endif
