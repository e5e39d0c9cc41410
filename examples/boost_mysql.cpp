// SPDX-License-Identifier: BSL-1.0
// tidepool - a pool of Boost.MySQL's connections, on Boost.Asio: MySQL or MariaDB, from Boost 1.88. MYSQL_SOCKET is the server's socket,
// MYSQL_USER the user, who needs no password.
#include <boost/asio.hpp>
#include <boost/mysql.hpp>
#include <tidepool/pool.hpp>
#include <tidepool/run.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace asio = boost::asio;
namespace mysql = boost::mysql;

// All of any_connection, and what a pool asks for. A fatal error within execute() is known at once; one of the other functions, or one that
// Boost.MySQL does not take for fatal, when reset() fails at the end of the lease: no broken connection becomes idle.
class connection : public mysql::any_connection {
 public:
  using any_connection::any_connection;
  asio::awaitable<void> connect(const mysql::connect_params& to) { return checked(async_connect(to)); }
  asio::awaitable<mysql::results> execute(std::string_view sql) {
    mysql::results rows;
    auto done = checked(async_execute(sql, rows));
    co_await std::move(done);
    co_return rows;
  }
  asio::awaitable<void> ping() { return checked(async_ping()); }
  asio::awaitable<void> close() { return checked(async_close()); }
  asio::awaitable<void> reset() {  // also the character set, which the server forgets; one round trip
    mysql::pipeline_request both;
    both.add_reset_connection().add_set_character_set(mysql::utf8mb4_charset);
    std::vector<mysql::stage_response> answers;
    auto done = checked(async_run_pipeline(both, answers));
    co_await std::move(done);
  }
  bool usable() const noexcept { return !broken_; }

 private:
  template <class Operation>
  asio::awaitable<void> checked(Operation operation) try {
    broken_ = true;  // until it has ended: also when this coroutine is destroyed half-way
    co_await std::move(operation);
    broken_ = false;
  } catch (const mysql::error_with_diagnostics& failure) {
    broken_ = mysql::is_fatal_error(failure.code());
    throw;
  }
  bool broken_ = true;
};
using mysql_pool = tidepool::basic_pool<connection>;

asio::awaitable<connection> connect_mysql(mysql_pool::connect_context context) {
  const auto variable = [](const char* name) { return std::string(std::getenv(name) ? std::getenv(name) : ""); };
  mysql::connect_params to;
  to.server_address.emplace_unix_path(variable("MYSQL_SOCKET"));
  to.username = variable("MYSQL_USER");
  connection made(context.executor());
  co_await made.connect(to);
  co_return made;
}

asio::awaitable<int> use(mysql_pool& from) {
  auto lease = co_await from.acquire(std::chrono::seconds(3));
  const mysql::results rows = co_await lease->execute("SELECT 6 * 7");
  std::printf("%lld\n", static_cast<long long>(rows.rows().at(0).at(0).as_int64()));
  co_return 0;
}

int main() try {
  asio::io_context io;
  mysql_pool all(io, connect_mysql);
  return tidepool::run(io, all, use);
} catch (const std::exception& failure) {
  return std::fprintf(stderr, "boost_mysql: %s\n", failure.what()), 1;
}
