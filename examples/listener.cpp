// SPDX-License-Identifier: BSL-1.0
// tidepool - LISTEN and NOTIFY: a listener that survives the loss of its connection. DATABASE_URL says where the server is.
#include <tidepool/postgres.hpp>

#include <cstdio>
#include <cstdlib>

namespace postgres = tidepool::postgres;

asio::awaitable<void> work(postgres::listener& inbox, postgres::pool& pool) {
  int connected = 0;
  for (;;) {
    const auto got = co_await inbox.next();
    if (!got) {
      // The connection is new: what was sent before this moment is not repeated, so this is when to look into the tables.
      std::printf("listening\n");
      auto lease = co_await pool.acquire();
      if (++connected == 1) {
        co_await lease->exec("select pg_notify('jobs', 'paint the fence')");
        co_await lease->exec("select pg_terminate_backend($1)", inbox.backend_pid());  // for the sake of the example
      } else {
        co_await lease->exec("select pg_notify('jobs', 'done')");
      }
      continue;
    }
    std::printf("%s: %s\n", got->channel.c_str(), got->payload.c_str());
    if (got->payload == "done") break;
  }
  co_await inbox.close();
}

int main() try {
  const postgres::connector connector(std::getenv("DATABASE_URL"));
  asio::io_context io;
  postgres::pool pool(io, connector);
  postgres::listener inbox(connector, {"jobs"});
  tidepool::run(io, pool, work(inbox, pool));
} catch (const std::exception& error) {
  std::fprintf(stderr, "listener: %s\n", error.what());
  return 1;
}
