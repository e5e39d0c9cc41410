// SPDX-License-Identifier: BSL-1.0
// tidepool - the service on SQLite: one connection writes, the others read; the database is a file, and there is no server.
#include "on_sqlite.hpp"

#include "service.hpp"

namespace {

namespace sqlite = tidepool::sqlite;

void serve(const settings& how) {
  if (how.multiplex) throw std::runtime_error("--multiplex is for PostgreSQL");
  asio::io_context io(static_cast<int>(how.threads));
  sqlite::options place(how.url.empty() ? "bank.db" : how.url);
  place.synchronous = sqlite::sync::full;  // what was confirmed outlasts a power cut as well
  const auto times = std::make_shared<tidepool::statement_times>();
  place.tracing = times;
  place.busy_timeout = std::chrono::seconds(2);
  sqlite::database db(io, place, std::max<std::size_t>(how.connections, 2) - 1, how.pool());
  const tidepool::recent_lines lines;
  db.writers().log_to(lines.sink(write_log));
  db.readers().log_to(lines.sink(write_log));
  basic_bank<on_sqlite> ours(db, times.get());
  pool_page page({watched_pool::of(db.writers(), false), watched_pool::of(db.readers())}, lines, how.control_token);
  const auto work = [&]() -> asio::awaitable<void> {
    {
      auto lease = co_await db.write();
      co_await on_sqlite::create(*lease);
    }
    co_await serve_http(io, how, ours, page);
  };
  tidepool::run(io, db, work, until_told(how));
  print_summary(db.writers().stats());
  print_summary(db.readers().stats());
}

const database_kind registered("sqlite", serve);

}  // namespace
