// SPDX-License-Identifier: BSL-1.0
// tidepool - statements of the PostgreSQL driver that are not awaited, and what the compiler warns of; see README.md.
#include <tidepool/postgres.hpp>

#pragma GCC diagnostic error "-Wunused-result"

namespace postgres = tidepool::postgres;

// misuse: a statement that is not awaited
// says: ignoring return value of
asio::awaitable<void> work(postgres::pool::lease& db) {
  co_await db->exec("update t set n = 1");  // what exec() returns may be dropped
  db->exec("update t set n = 2");
}

// misuse: a row of COPY that is not awaited
// says: ignoring return value of
void work(postgres::copy_writer& in) { in.row(1, "one"); }

// misuse: a pipeline that is not awaited
// says: ignoring return value of
void work(postgres::connection& db) {
  auto batch = db.pipeline(postgres::pipeline_mode::atomic);
  batch.exec("update t set n = 1");  // so may what a pipeline's exec() returns
  batch.run();
}
