// SPDX-License-Identifier: BSL-1.0
// tidepool - what the tests of all drivers share: running a coroutine, catching its error, looking at descriptors.
#ifndef TIDEPOOL_TESTS_SUPPORT_DRIVER_KIT_HPP
#define TIDEPOOL_TESTS_SUPPORT_DRIVER_KIT_HPP

#include <dirent.h>

#include <chrono>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <tidepool/config.hpp>
#include <tidepool/detail/driver/asio_io.hpp>

#include "on_end.hpp"

namespace tidepool_tests {

namespace asio = tidepool::asio;
using namespace std::chrono_literals;

/// Longer than anything takes that works, shorter than a test run's patience.
inline constexpr auto hang = 150s;

/// A check within a coroutine, where Catch2's assertions may not stand.
inline void must(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

/// Runs one coroutine on a context of its own to its end, and the context until nothing is left in it.
inline void run(asio::awaitable<void> task) {
  asio::io_context context;
  std::exception_ptr failure;
  bool done = false;
  const on_end at_end = [&](std::exception_ptr e) {
    failure = e;
    done = true;
  };
  asio::co_spawn(context, std::move(task), at_end);
  context.run_for(hang);
  if (!done) throw std::runtime_error("the coroutine hangs");
  if (!context.stopped()) throw std::runtime_error("work is left when the coroutine has ended");
  if (failure) std::rethrow_exception(failure);
}
template <class T>
T run(asio::awaitable<T> task) {
  std::optional<T> value;
  auto keep = [](asio::awaitable<T> running, std::optional<T>& out) -> asio::awaitable<void> { out.emplace(co_await std::move(running)); };
  run(keep(std::move(task), value));
  return std::move(*value);
}

/// Runs one handler on a pool, and closes that.
template <class Pool, class Connector, class Work>
void run_with_pool(const Connector& server, const tidepool::pool_config& config, Work work) {
  run([](Connector to, tidepool::pool_config how, Work body) -> asio::awaitable<void> {
    Pool pool(co_await asio::this_coro::executor, std::move(to), how);
    std::exception_ptr failure;
    try {
      co_await body(pool);
    } catch (...) {
      failure = std::current_exception();
    }
    co_await pool.close(5s);
    if (failure) std::rethrow_exception(failure);
  }(server, config, std::move(work)));
}

/// The error of an operation that must fail with one.
template <class Error, class T>
asio::awaitable<Error> expect_error(asio::awaitable<T> operation) {
  std::optional<Error> caught;
  try {
    co_await std::move(operation);
  } catch (const Error& failure) {
    caught = failure;
  }
  if (!caught) throw std::runtime_error("an error was expected, and none came");
  co_return *caught;
}

inline asio::awaitable<void> pause(std::chrono::milliseconds span) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  timer.expires_after(span);
  co_await timer.async_wait(asio::use_awaitable);
}

inline int open_descriptors() {
  int count = 0;
  DIR* dir = ::opendir("/proc/self/fd");
  while (::readdir(dir) != nullptr) ++count;
  ::closedir(dir);
  return count;
}

}  // namespace tidepool_tests

#endif
