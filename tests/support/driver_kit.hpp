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

/// How a coroutine ended that was started with `handler()`, which must not outlive this.
struct stopped_how {
  bool done = false;
  std::string text{};
  tidepool::error_code code{};

  on_end handler() {
    return [this](std::exception_ptr failure) {
      done = true;
      try {
        if (failure) std::rethrow_exception(failure);
      } catch (const tidepool::system_error& e) {
        code = e.code();
        text = e.what();
      }
    };
  }
};

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

/// One lease of a pool of one connection is abandoned within `endless`, a statement; another caller then waits for its place.
template <class Error>
struct abandoned_lease {
  std::optional<Error> holder{};  ///< what that statement ended with
  int served = 0;                 ///< what the other one read by `select 1`
};
template <class Pool, class Error, class MakeConnector>
abandoned_lease<Error> abandon_a_lease(MakeConnector connector, std::string endless) {
  abandoned_lease<Error> out;
  const auto task = [&]() -> asio::awaitable<void> {
    tidepool::pool_config config;
    config.min_size = 0;
    config.max_size = 1;
    config.acquire_timeout = std::chrono::seconds(30);
    config.leak_timeout = std::chrono::milliseconds(100);
    config.abandon_timeout = std::chrono::milliseconds(200);
    const auto executor = co_await asio::this_coro::executor;
    Pool pool(executor, connector(config), config);
    const auto leak = [&]() -> asio::awaitable<void> {
      auto lease = co_await pool.acquire();
      out.holder = co_await expect_error<Error>(lease->exec(endless));
    };
    asio::co_spawn(executor, leak(), asio::detached);
    co_await pause(50ms);
    auto lease = co_await pool.acquire(30s);
    out.served = co_await lease->template one<int>("select 1");
    lease.release();
    co_await pool.close();
  };
  run(task());
  return out;
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
