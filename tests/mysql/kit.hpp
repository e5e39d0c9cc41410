// SPDX-License-Identifier: BSL-1.0
// tidepool - what the MySQL tests share: the server's address, running a coroutine, catching its error.
#ifndef TIDEPOOL_TESTS_MYSQL_KIT_HPP
#define TIDEPOOL_TESTS_MYSQL_KIT_HPP

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

#include <tidepool/mysql.hpp>

#include "../support/catch.hpp"
#include "../support/driver_kit.hpp"

/// First line of every test that needs a server. Skipping happens for this one reason only.
#define NEEDS_SERVER()                                                                                      \
  if (tidepool_tests::my_server().empty()) {                                                                \
    WARN("skipped: TIDEPOOL_TEST_MYSQL_DIR, the folder of a server of mariadb_server.sh, names no server"); \
    return;                                                                                                 \
  }                                                                                                         \
  static_assert(true)

namespace tidepool_tests {

namespace my = tidepool::mysql;

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

/// A cancel has its time, also on a machine that others use.
inline my::options my_patient() {
  my::options how(my_server());
  how.cancel_timeout = std::chrono::seconds(20);
  return how;
}

/// Runs `body(connection&)` on a new connection, and closes that.
template <class Body>
void my_with(my::options how, Body body) {
  run([](my::options to, Body work) -> asio::awaitable<void> {
    auto c = co_await my::connection::connect(std::move(to));
    co_await work(c);
    co_await c.close();
  }(std::move(how), std::move(body)));
}
template <class Body>
void my_with(Body body) {
  my_with(my_patient(), std::move(body));
}

template <class T>
asio::awaitable<my::error> error_of(asio::awaitable<T> operation) {
  return expect_error<my::error>(std::move(operation));
}

/// A name that no other test of this run has: they run beside each other, on one server.
inline std::string my_name(const std::string& of) {
  static std::atomic<unsigned> count{0};
  return "t_" + of + "_" + std::to_string(::getpid()) + "_" + std::to_string(++count);
}

}  // namespace tidepool_tests

#endif
