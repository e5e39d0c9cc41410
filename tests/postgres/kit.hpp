// SPDX-License-Identifier: BSL-1.0
// tidepool - what the PostgreSQL tests share: the server's address, running a coroutine, catching its error.
#ifndef TIDEPOOL_TESTS_POSTGRES_KIT_HPP
#define TIDEPOOL_TESTS_POSTGRES_KIT_HPP

#include <dirent.h>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include <tidepool/detail/driver/asio_io.hpp>
#include <tidepool/postgres.hpp>

#include "../support/catch.hpp"

/// First line of every test that needs a server. Skipping happens for this one reason only.
#define NEEDS_SERVER()                                                               \
  if (tidepool_tests::server().empty()) {                                            \
    WARN("skipped: TIDEPOOL_TEST_PG, a conninfo of a server for tests, is not set"); \
    return;                                                                          \
  }                                                                                  \
  static_assert(true)

namespace tidepool_tests {

namespace asio = tidepool::asio;
namespace pg = tidepool::postgres;
using namespace std::chrono_literals;

/// Longer than anything takes that works, shorter than a test run's patience.
inline constexpr auto hang = 60s;

/// Sanitizers keep freed memory: bounds on it mean nothing then.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
inline constexpr bool sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool sanitized = false;
#endif

inline std::string server() {
  const char* said = std::getenv("TIDEPOOL_TEST_PG");
  return said == nullptr ? "" : said;
}

/// Where it listens.
inline unsigned server_port() { return static_cast<unsigned>(std::stoul(std::string(pg::options(server()).get("port")))); }

/// A check within a coroutine, where Catch2's assertions may not stand.
inline void must(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

/// Runs one coroutine on a context of its own to its end, and the context until nothing is left in it.
inline void run(asio::awaitable<void> task) {
  asio::io_context context;
  std::exception_ptr failure;
  bool done = false;
  asio::co_spawn(context, std::move(task), [&](std::exception_ptr e) {
    failure = e;
    done = true;
  });
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
template <class Work>
void with_pool(const pg::connector& server, const tidepool::pool_config& config, Work work) {
  run([](pg::connector to, tidepool::pool_config how, Work body) -> asio::awaitable<void> {
    pg::pool pool(co_await asio::this_coro::executor, std::move(to), how);
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

inline asio::awaitable<pg::connection> connect(std::string more = "") { return pg::connection::connect(server() + " " + more); }

/// The error of an operation that must fail with one.
template <class T>
asio::awaitable<pg::error> error_of(asio::awaitable<T> operation) {
  std::optional<pg::error> caught;
  try {
    co_await std::move(operation);
  } catch (const pg::error& failure) {
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
/// The number of open descriptors, once it is back at `expected`, or what it is after a long wait: peers in this process and
/// cancels in the background close theirs a little later.
inline int settled_descriptors(int expected) {
  // Five looks in a row: a cancel in the background may be about to open its socket.
  int open = open_descriptors();
  for (int i = 0, alike = 0; i < 1000 && alike < 5; ++i) {
    std::this_thread::sleep_for(10ms);
    open = open_descriptors();
    alike = open == expected ? alike + 1 : 0;
  }
  return open;
}

/// How many seconds a `run()` took, for bounds on hangs.
class stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace tidepool_tests

#endif
