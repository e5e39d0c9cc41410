// SPDX-License-Identifier: BSL-1.0
// tidepool - what the driver's options are checked for, and by which name the server shows a pool's connections.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "kit.hpp"

using namespace tidepool_tests;

TEST_CASE("given options with a time that cannot be, when they are checked, then the error names it", "[postgres][connect]") {
  using member = tidepool::duration pg::options::*;
  const std::vector<std::pair<const char*, member>> times = {{"address_timeout", &pg::options::address_timeout},
                                                             {"response_timeout", &pg::options::response_timeout},
                                                             {"cancel_timeout", &pg::options::cancel_timeout},
                                                             {"close_timeout", &pg::options::close_timeout},
                                                             {"bad_host_memory", &pg::options::bad_host_memory},
                                                             {"peer_timeout", &pg::options::peer_timeout},
                                                             {"idle_in_transaction_timeout", &pg::options::idle_in_transaction_timeout}};
  for (const auto& [name, time] : times) {
    const std::string field(name);
    INFO(field);
    pg::options settings("host=db");
    CHECK_NOTHROW(settings.check());
    for (const tidepool::duration wrong : {tidepool::duration(-1), tidepool::duration(0)}) {
      settings.*time = wrong;
      // Nothing is remembered then.
      if (field == "bad_host_memory" && wrong == 0s) {
        CHECK_NOTHROW(settings.check());
        continue;
      }
      std::string said;
      try {
        const pg::connector from(settings);
      } catch (const pg::error& failure) {
        said = failure.reason() == pg::errc::bad_options ? failure.what() : "another error";
      }
      CHECK_THAT(said, has_text(field + (field == "bad_host_memory" ? " is below zero" : " has to be above zero")));
    }
    settings.*time = tidepool::no_limit;
    CHECK_NOTHROW(settings.check());
  }
}

TEST_CASE("given a pool with a name, when it connects, then the server shows it, unless told another",
          "[postgres][pool][server][field-U10]") {
  NEEDS_SERVER();
  auto shown = [](std::string more, std::string name, bool with_config) -> asio::awaitable<std::string> {
    tidepool::pool_config config;
    if (!name.empty()) config.name = name;
    config.min_size = 1;
    const pg::connector plain(server() + " " + more);
    const pg::connector adapted(pg::options(server() + " " + more), config);
    pg::pool pool(co_await asio::this_coro::executor, with_config ? adapted : plain, config);
    std::string said;
    {
      auto lease = co_await pool.acquire();
      said = co_await lease->one<std::string>("select application_name from pg_stat_activity where pid = pg_backend_pid()");
    }
    co_await pool.close();
    co_return said;
  };
  for (const bool with_config : {false, true}) {
    INFO(with_config);
    CHECK(run(shown("", "orders", with_config)) == "orders");
    CHECK(run(shown("", "", with_config)) == "tidepool");
    CHECK(run(shown("application_name=shop", "orders", with_config)) == "shop");
    CHECK(run(shown("fallback_application_name=shop", "orders", with_config)) == "shop");
    ::setenv("PGAPPNAME", "by the environment", 1);
    CHECK(run(shown("", "orders", with_config)) == "by the environment");
    ::unsetenv("PGAPPNAME");
  }
  // Connections of no pool.
  auto alone = []() -> asio::awaitable<std::string> {
    auto c = co_await connect();
    co_return co_await c.one<std::string>("show application_name");
  };
  CHECK(run(alone()) == "tidepool");
}

TEST_CASE("given a pool with response_timeout, when its connector is of a URL, then connections keep to it",
          "[postgres][pool][server][field-L3]") {
  NEEDS_SERVER();
  auto waited = [](tidepool::duration own, tidepool::duration of_the_pool) -> asio::awaitable<std::string> {
    tidepool::pool_config config;
    config.min_size = 1;
    config.response_timeout = of_the_pool;
    pg::options settings = patient();
    settings.response_timeout = own;
    pg::pool pool(co_await asio::this_coro::executor, pg::connector(settings), config);
    std::string said = "answered";
    {
      auto lease = co_await pool.acquire();
      try {
        co_await lease->exec("select pg_sleep(1)");
      } catch (const pg::error& failure) {
        said = failure.reason() == pg::errc::response_timeout ? "late" : failure.what();
      }
    }
    co_await pool.close();
    co_return said;
  };
  CHECK(run(waited(tidepool::no_limit, 100ms)) == "late");
  CHECK(run(waited(100ms, 30s)) == "late");  // the shorter one
  CHECK(run(waited(tidepool::no_limit, tidepool::no_limit)) == "answered");
}

#if defined(TCP_USER_TIMEOUT)
TEST_CASE("given an idle connection and the defaults, then it outlives two lost probes of its peer", "[postgres][server]") {
  NEEDS_SERVER();
  struct probes {
    int idle = 0, interval = 0, user_timeout = 0;
  };
  auto asked = []() -> asio::awaitable<probes> {
    auto c = co_await connect();
    const auto value = [&c](int name) {
      int out = 0;
      socklen_t size = sizeof out;
      must(::getsockopt(PQsocket(c.native()), IPPROTO_TCP, name, &out, &size) == 0, "the socket tells its options");
      return out;
    };
    probes out;
    out.idle = value(TCP_KEEPIDLE);
    out.interval = value(TCP_KEEPINTVL);
    out.user_timeout = value(TCP_USER_TIMEOUT);
    co_return out;
  };
  const probes seen = run(asked());
  CHECK(seen.idle > 0);
  // Linux looks at the limit whenever a probe is due: at the second and third it must not be over yet, and soon afterwards it is.
  CHECK((seen.idle + 2 * seen.interval) * 1000 < seen.user_timeout);
  CHECK((seen.idle + 3 * seen.interval) * 1000 >= seen.user_timeout);
}
#endif

TEST_CASE("given one URL for a pool and its driver, then each takes its options, and says what is wrong", "[postgres]") {
  asio::io_context io;
  const pg::pool pool =
      pg::pool::from_url(io, "postgres://app@127.0.0.1:1/shop?pool_max_size=7&sslmode=disable&acquire_timeout=3s&pool_min_size=0");
  CHECK(pool.config().max_size == 7);
  CHECK(pool.config().acquire_timeout == 3s);
  tidepool::pool_config base;
  base.name = "orders";
  base.max_size = 3;
  const pg::pool changed = pg::pool::from_url(io, "postgres://app@127.0.0.1:1/shop?pool_min_size=1", base);
  CHECK(changed.config().name == "orders");
  CHECK(changed.config().max_size == 3);
  CHECK(changed.config().min_size == 1);
  CHECK_THROWS_AS(pg::pool::from_url(io, "postgres://127.0.0.1/shop?pool_max_sizes=7"), std::invalid_argument);
  CHECK_THROWS_AS(pg::pool::from_url(io, "postgres://127.0.0.1/shop?max_sizes=7"), pg::error);
  const char* unset = nullptr;
  CHECK_THROWS_AS(pg::pool::from_url(io, unset), std::invalid_argument);
}
