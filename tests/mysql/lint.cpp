// SPDX-License-Identifier: BSL-1.0
// tidepool - what a server's limits say against the configuration: the rules, and a real server that has such limits.
#include <exception>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "kit.hpp"
#include "tidepool/mysql/detail/limits.hpp"

using namespace tidepool_tests;

namespace {

std::string my_lint(std::map<std::string, std::string, std::less<>> variables, const tidepool::pool_config& config) {
  my::detail::server_limits is;
  is.values = std::move(variables);
  std::string out;
  for (const auto& one : my::detail::compare_limits(is, my::options(), config)) out += one.limit + ": " + one.line() + "\n";
  return out;
}

}  // namespace

TEST_CASE("given limits of MySQL, then each finding names both sides and the line to change", "[lint]") {
  tidepool::pool_config config;
  config.max_size = 151;
  config.response_timeout = 10s;
  CHECK(my_lint({{"max_connections", "151"}, {"max_user_connections", "0"}, {"wait_timeout", "28800"}, {"max_statement_time", "0.000000"}},
                config)
            .empty());
  config.max_size = 152;
  CHECK(
      my_lint({{"max_connections", "151"}}, config) ==
      "max_connections: max_size is 152, but the server has 151 connections for all its clients (max_connections): set max_size to 151 or "
      "less, or run: set global max_connections = 152, and write it into the server's configuration\n");
  CHECK_THAT(my_lint({{"max_connections", "500"}, {"max_user_connections", "10"}}, config),
             has_text("max_user_connections: max_size is 152, but this account may have 10 connections") &&
                 has_text("with max_user_connections 152"));
  CHECK(my_lint({{"wait_timeout", "46"}}, config).empty());
  CHECK_THAT(my_lint({{"wait_timeout", "45"}}, config), has_text("idle for 45 s (wait_timeout)"));
  CHECK(my_lint({{"max_statement_time", "10.500000"}}, config).find("max_statement_time: response_timeout is 10 s") == 0);
  CHECK(my_lint({{"max_execution_time", "10000"}}, config).find("max_execution_time: response_timeout is 10 s") == 0);
  CHECK(my_lint({{"max_execution_time", "10001"}}, config).empty());
  CHECK_THAT(my_lint({{"idle_transaction_timeout", "60"}}, config), has_text("leak_timeout is 5 min"));
}

TEST_CASE("given an account with limits, when it is linted, then they are found, and by a pool told once", "[lint]") {
  NEEDS_SERVER();
  std::mutex mutex;
  std::vector<std::string> lines;
  auto task = [&]() -> asio::awaitable<void> {
    auto admin = co_await my::connection::connect(my_root());
    const std::string user = my_name("lint");
    co_await admin.exec("create user " + user + " with max_user_connections 3");
    std::string failed;
    try {
      my::options settings{my_server()};
      settings.user = user;
      settings.database = "";
      tidepool::pool_config config;
      config.min_size = 2;
      config.max_size = 4;
      auto c = co_await my::connection::connect(settings);
      const auto found = co_await my::lint(c, config);
      must(found.size() == 1 && found[0].limit == "max_user_connections", std::to_string(found.size()) + " findings");
      must(c.usable() && c.after_lease() == tidepool::lease_end::clean, "the connection is as before");
      co_await c.close();
      for (const bool on : {true, false}) {
        settings.lint = on;
        my::pool pool(co_await asio::this_coro::executor, my::connector(settings), config);
        pool.log_to([&](tidepool::log_level, const std::string& line) {
          const std::lock_guard lock(mutex);
          if (line.find(": limits of ") != std::string::npos) lines.push_back(line);
        });
        co_await pool.open();
        co_await pool.close(5s);
      }
    } catch (const std::exception& e) {
      failed = e.what();
    }
    co_await admin.exec("drop user " + user);
    must(failed.empty(), failed);
    co_await admin.close();
  };
  CHECK_NOTHROW(run(task()));
  REQUIRE(lines.size() == 1);
  CHECK_THAT(lines[0], has_text("max_size is 4, but this account may have 3 connections"));
}
