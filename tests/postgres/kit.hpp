// SPDX-License-Identifier: BSL-1.0
// tidepool - what the PostgreSQL tests share: the server's address, running a coroutine, catching its error.
#ifndef TIDEPOOL_TESTS_POSTGRES_KIT_HPP
#define TIDEPOOL_TESTS_POSTGRES_KIT_HPP

#include <chrono>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include <tidepool/postgres.hpp>

#include "../support/catch.hpp"
#include "../support/driver_kit.hpp"
#include "../support/pace.hpp"

/// First line of every test that needs a server. Skipping happens for this one reason only.
#define NEEDS_SERVER()                                                               \
  if (tidepool_tests::server().empty()) {                                            \
    WARN("skipped: TIDEPOOL_TEST_PG, a conninfo of a server for tests, is not set"); \
    return;                                                                          \
  }                                                                                  \
  static_assert(true)

namespace tidepool_tests {

namespace pg = tidepool::postgres;

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

template <class Work>
void with_pool(const pg::connector& server, const tidepool::pool_config& config, Work work) {
  run_with_pool<pg::pool>(server, config, std::move(work));
}

/// Options for the tests' server, which is not taken for silent where a busy machine is late with a cancel.
inline pg::options patient(const std::string& more = "") {
  pg::options settings(server() + " " + more);
  settings.cancel_timeout = 20s;
  return settings;
}

inline asio::awaitable<pg::connection> connect(std::string more = "") { return pg::connection::connect(patient(more)); }

/// A statement that takes `span`.
inline std::string sleep_of(std::chrono::milliseconds span) { return "select pg_sleep(" + std::to_string(span.count()) + " / 1000.0)"; }

template <class T>
asio::awaitable<pg::error> error_of(asio::awaitable<T> operation) {
  return expect_error<pg::error>(std::move(operation));
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
