// SPDX-License-Identifier: BSL-1.0
// tidepool - what the MySQL tests share: the server's address, running a coroutine, catching its error.
#ifndef TIDEPOOL_TESTS_MYSQL_KIT_HPP
#define TIDEPOOL_TESTS_MYSQL_KIT_HPP

#include <dirent.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include <tidepool/detail/driver/asio_io.hpp>
#include <tidepool/mysql.hpp>

#include "../support/catch.hpp"

/// First line of every test that needs a server. Skipping happens for this one reason only.
#define NEEDS_SERVER()                                                                                      \
  if (tidepool_tests::my_server().empty()) {                                                                \
    WARN("skipped: TIDEPOOL_TEST_MYSQL_DIR, the folder of a server of mariadb_server.sh, names no server"); \
    return;                                                                                                 \
  }                                                                                                         \
  static_assert(true)

namespace tidepool_tests {

namespace asio = tidepool::asio;
namespace my = tidepool::mysql;
using namespace std::chrono_literals;

/// Longer than anything takes that works, shorter than a test run's patience.
inline constexpr auto my_hang = 60s;

/// See tests/support/mariadb_server.sh.
inline std::string my_dir() {
  const char* said = std::getenv("TIDEPOOL_TEST_MYSQL_DIR");
  return said == nullptr ? "" : said;
}
/// The URL of the server, by TCP; empty where there is none.
inline std::string my_server() {
  std::ifstream file(my_dir() + "/port");
  std::string port;
  return file >> port ? "mysql://tidepool@127.0.0.1:" + port + "/tidepool" : "";
}
/// The administrator's, over the local socket.
inline my::options my_root() { return {"mysql://root@/mysql?socket=" + my_dir() + "/socket"}; }

/// A check within a coroutine, where Catch2's assertions may not stand.
inline void my_must(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

/// Runs one coroutine on a context of its own to its end, and the context until nothing is left in it.
inline void my_run(asio::awaitable<void> task) {
  asio::io_context context;
  std::exception_ptr failure;
  bool done = false;
  asio::co_spawn(context, std::move(task), [&](std::exception_ptr e) {
    failure = e;
    done = true;
  });
  context.run_for(my_hang);
  if (!done) throw std::runtime_error("the coroutine hangs");
  if (!context.stopped()) throw std::runtime_error("work is left when the coroutine has ended");
  if (failure) std::rethrow_exception(failure);
}
template <class T>
T my_run(asio::awaitable<T> task) {
  std::optional<T> value;
  auto keep = [](asio::awaitable<T> running, std::optional<T>& out) -> asio::awaitable<void> { out.emplace(co_await std::move(running)); };
  my_run(keep(std::move(task), value));
  return std::move(*value);
}
/// Runs `body(connection&)` on a new connection, and closes that.
template <class Body>
void my_with(my::options how, Body body) {
  my_run([](my::options to, Body work) -> asio::awaitable<void> {
    auto c = co_await my::connection::connect(std::move(to));
    co_await work(c);
    co_await c.close();
  }(std::move(how), std::move(body)));
}
template <class Body>
void my_with(Body body) {
  my_with(my::options(my_server()), std::move(body));
}

/// The error of an operation that must fail with one.
template <class T>
asio::awaitable<my::error> my_error_of(asio::awaitable<T> operation) {
  std::optional<my::error> caught;
  try {
    co_await std::move(operation);
  } catch (const my::error& failure) {
    caught = failure;
  }
  if (!caught) throw std::runtime_error("an error was expected, and none came");
  co_return *caught;
}

inline asio::awaitable<void> my_pause(std::chrono::milliseconds span) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  timer.expires_after(span);
  co_await timer.async_wait(asio::use_awaitable);
}

/// A name that no other test of this run has: they run beside each other, on one server.
inline std::string my_name(const std::string& of) {
  static std::atomic<unsigned> count{0};
  return "t_" + of + "_" + std::to_string(::getpid()) + "_" + std::to_string(++count);
}

inline int my_descriptors() {
  int count = 0;
  DIR* dir = ::opendir("/proc/self/fd");
  while (::readdir(dir) != nullptr) ++count;
  ::closedir(dir);
  return count;
}

}  // namespace tidepool_tests

#endif
