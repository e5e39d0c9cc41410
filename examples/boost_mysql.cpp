// SPDX-License-Identifier: BSL-1.0
// tidepool - a pool of Boost.MySQL's connections, on Boost.Asio: MySQL or MariaDB with Boost 1.87 or newer.
//
// Boost.MySQL brings the protocol; what its connection has to tell a pool is in the class below. MYSQL_SOCKET is the server's socket,
// MYSQL_USER and MYSQL_DATABASE say who asks for what.
#include <tidepool/pool.hpp>
#include <tidepool/run.hpp>

#include <boost/asio.hpp>
#include <boost/mysql/any_connection.hpp>
#include <boost/mysql/connect_params.hpp>
#include <boost/mysql/error_with_diagnostics.hpp>
#include <boost/mysql/is_fatal_error.hpp>
#include <boost/mysql/results.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace {

namespace asio = boost::asio;
namespace mysql = boost::mysql;
using namespace std::chrono_literals;

class connection {
 public:
  explicit connection(asio::any_io_executor executor) : inner_(std::move(executor)) {}

  asio::awaitable<void> connect(mysql::connect_params to) {
    const auto step = [&](mysql::diagnostics& said, auto token) { return inner_.async_connect(to, said, token); };
    co_await checked(step);
  }
  asio::awaitable<mysql::results> execute(std::string_view sql) {
    mysql::results out;
    const auto step = [&](mysql::diagnostics& said, auto token) { return inner_.async_execute(sql, out, said, token); };
    co_await checked(step);
    co_return out;
  }
  // What the pool asks for.
  asio::awaitable<void> ping() {
    const auto step = [&](mysql::diagnostics& said, auto token) { return inner_.async_ping(said, token); };
    co_await checked(step);
  }
  asio::awaitable<void> reset() {
    const auto step = [&](mysql::diagnostics& said, auto token) { return inner_.async_reset_connection(said, token); };
    co_await checked(step);
  }
  asio::awaitable<void> close() {
    const auto step = [&](mysql::diagnostics& said, auto token) { return inner_.async_close(said, token); };
    co_await checked(step);
  }
  bool usable() const noexcept { return !broken_; }

 private:
  template <class Step>
  asio::awaitable<void> checked(const Step& step) {
    mysql::diagnostics said;
    tidepool::error_code failed;
    broken_ = true;  // until it has ended: also when this coroutine is destroyed half-way
    co_await step(said, asio::redirect_error(asio::use_awaitable, failed));
    broken_ = failed && mysql::is_fatal_error(failed);
    if (failed) throw mysql::error_with_diagnostics(failed, said);
  }
  mysql::any_connection inner_;
  bool broken_ = true;
};
using pool = tidepool::basic_pool<connection>;

asio::awaitable<connection> connect_mysql(pool::connect_context context) {
  const auto variable = [](const char* name) { return std::string(std::getenv(name) ? std::getenv(name) : ""); };
  mysql::connect_params to;
  to.server_address.emplace_unix_path(variable("MYSQL_SOCKET"));
  to.username = variable("MYSQL_USER");
  to.database = variable("MYSQL_DATABASE");
  to.ssl = mysql::ssl_mode::disable;
  connection made(context.executor());
  co_await made.connect(std::move(to));
  co_return made;
}

asio::awaitable<int> use(pool& from) {
  auto lease = co_await from.acquire(3s);
  const mysql::results rows = co_await lease->execute("SELECT 6 * 7");
  std::printf("%lld\n", static_cast<long long>(rows.rows().at(0).at(0).as_int64()));
  co_return 0;
}

}  // namespace

int main() try {
  asio::io_context io;
  pool all(io, connect_mysql);
  return tidepool::run(io, all, use);
} catch (const std::exception& failure) {
  std::fprintf(stderr, "boost_mysql: %s\n", failure.what());
  return 1;
}
