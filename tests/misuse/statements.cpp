// SPDX-License-Identifier: BSL-1.0
// tidepool - statements and parameters of a wrong form, and what the compiler says of them; see README.md.
#include <tidepool/postgres.hpp>

#include <vector>

namespace pg = tidepool::postgres;

// misuse: exec() gets a number as its statement
// says: the statement is a text or a prepared statement
asio::awaitable<void> use(pg::connection& db) { co_await db.exec(7); }

// misuse: exec() gets the parameter first
// says: the statement is a text or a prepared statement
asio::awaitable<void> use(pg::connection& db, std::vector<int> ids) { co_await db.exec(ids, "select $1"); }

// misuse: the time limit is a bare duration
// says: the time limit is written `within(200ms)`
asio::awaitable<void> use(pg::connection& db) { co_await db.exec(std::chrono::milliseconds(200), "select 1"); }

// misuse: one() gets a number as its statement
// says: the statement is a text or a prepared statement
asio::awaitable<void> use(pg::connection& db) {
  const int n = co_await db.one<int>(7);
  (void)n;
}

// misuse: a time limit stands alone
// says: the statement is a text or a prepared statement
asio::awaitable<void> use(pg::connection& db) { co_await db.exec(pg::within(std::chrono::milliseconds(200)), 7); }
