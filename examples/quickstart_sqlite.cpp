// SPDX-License-Identifier: BSL-1.0
// tidepool - quick start: a SQLite database in this process, one writer and two readers. The first argument is the file.
#include <tidepool/sqlite.hpp>

#include <cstdio>

namespace sqlite = tidepool::sqlite;

asio::awaitable<void> visit(sqlite::database& db) {
  {
    auto writer = co_await db.write();  // waits for its turn; goes back at the end of the scope
    co_await writer->exec("create table if not exists visits (id integer primary key, at text default current_timestamp)");
    co_await writer->exec("insert into visits default values");
  }
  auto reader = co_await db.read();  // sees what was committed, and does not wait for a writer
  auto rows = co_await reader->exec("select id, at from visits order by id desc limit ?1", 3);
  for (auto [id, at] : rows.rows<int, std::string>()) std::printf("visit %d at %s\n", id, at.c_str());
}

int main(int argc, char** argv) try {
  asio::io_context io;
  sqlite::database db(io, argc > 1 ? argv[1] : "visits.db", 2);
  db.writers().log_to(tidepool::stderr_sink, tidepool::log_level::warning);
  tidepool::run(io, db, visit);  // opens the database, runs visit(db), closes it on every path, throws what failed
} catch (const std::exception& error) {
  std::fprintf(stderr, "quickstart_sqlite: %s\n", error.what());
  return 1;
}
