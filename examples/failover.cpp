// SPDX-License-Identifier: BSL-1.0
// tidepool - failover: several servers, of which one takes writes. DATABASE_URL names them: host=db1,db2 port=5432,5432 ...
// Writes from time to time, and prints which server took the write, and what the pool did when that server went away or became read-only.
// Try it with a primary and its standby: stop the one, promote the other. The number of writes is the first argument, default 20.
#include <tidepool/postgres.hpp>

#include <asio/steady_timer.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace postgres = tidepool::postgres;

/// Says what goes on in the pool.
struct reporter {
  void on_event(std::string_view, const tidepool::destroyed_event& e) {
    std::printf("  pool: connection %llu closed: %s\n", static_cast<unsigned long long>(e.id), tidepool::to_string(e.reason));
  }
  void on_event(std::string_view, const tidepool::connect_failed_event& e) {
    std::printf("  pool: %.*s\n", static_cast<int>(e.error.size()), e.error.data());
  }
};
struct reporting_traits : tidepool::default_traits<postgres::connection> {
  using observer = reporter;
};
using reporting_pool = tidepool::basic_pool<postgres::connection, reporting_traits>;

asio::awaitable<void> write(reporting_pool& pool, int writes) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (int i = 1; i <= writes; ++i) {
    std::string failed;
    try {
      auto lease = co_await pool.acquire();
      // A write of any kind; this one leaves nothing behind.
      auto write = [](postgres::transaction& t) -> asio::awaitable<std::string> {
        co_await t.script("create table tidepool_failover_example (i int); drop table tidepool_failover_example");
        co_return co_await t.one<std::string>("select coalesce(host(inet_server_addr()) || ':' || inet_server_port(), 'local')");
      };
      const auto server = co_await lease->transaction(write);
      std::printf("write %d: %s\n", i, server.c_str());
    } catch (const postgres::error& failure) {
      // When the connection is lost during COMMIT, it may be committed or not: `outcome_unknown()` is then true.
      failed = failure.outcome_unknown() ? "outcome unknown" : failure.what();
    } catch (const tidepool::pool_error& failure) {
      failed = failure.what();
    }
    if (!failed.empty()) std::printf("write %d: %s\n", i, failed.c_str());
    timer.expires_after(std::chrono::milliseconds(250));
    co_await timer.async_wait(asio::use_awaitable);
  }
}

int main(int argc, char** argv) try {
  tidepool::pool_config config;
  config.connect_timeout = std::chrono::seconds(4);  // shared by all servers of the list
  config.acquire_timeout = std::chrono::seconds(10);
  postgres::options settings(std::getenv("DATABASE_URL"));
  settings.set("target_session_attrs", "read-write");  // a standby, and a primary that was demoted, is passed over
  settings.bad_host_memory = std::chrono::seconds(10);

  asio::io_context io;
  reporting_pool pool(io, postgres::connector(settings, config), config);
  tidepool::run(io, pool, write(pool, argc > 1 ? std::atoi(argv[1]) : 20));
} catch (const std::exception& error) {
  std::fprintf(stderr, "failover: %s\n", error.what());
  return 1;
}
