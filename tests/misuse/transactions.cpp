// SPDX-License-Identifier: BSL-1.0
// tidepool - bodies of transactions of a wrong form, and what the compiler says of them; see README.md.
#include <tidepool/postgres.hpp>

#include <memory>
#include <string>

namespace pg = tidepool::postgres;

// misuse: the body of a transaction returns no awaitable
// says: the body returns no awaitable: write `-> asio::awaitable<void>`
asio::awaitable<void> use(pg::connection& db) {
  co_await db.transaction([](pg::transaction& t) { (void)t.exec("delete from orders"); });
}

// misuse: the body of a transaction takes another type
// says: the body is called with a `transaction&`
asio::awaitable<void> use(pg::connection& db) {
  co_await db.transaction([](pg::connection& t) -> asio::awaitable<void> { co_await t.exec("delete from orders"); });
}

// misuse: the body of a transaction takes nothing
// says: the body is called with a `transaction&`
asio::awaitable<void> use(pg::connection& db) {
  co_await db.transaction([&db]() -> asio::awaitable<void> { co_await db.exec("delete from orders"); });
}

// misuse: the body of a transaction is of another executor
// says: the body's awaitable belongs to another executor type
asio::awaitable<void> use(pg::connection& db) {
  co_await db.transaction([](pg::transaction&) -> asio::awaitable<void, asio::io_context::executor_type> { co_return; });
}

// misuse: the body of a transaction cannot be copied
// says: pass std::ref(body) or std::move(body)
asio::awaitable<void> use(pg::connection& db) {
  auto body = [note = std::make_unique<int>(1)](pg::transaction& t) -> asio::awaitable<void> { co_await t.exec("select $1", *note); };
  co_await db.transaction(body);
}

// misuse: the body of a transaction is an awaitable
// says: the body is called with a `transaction&`
asio::awaitable<void> body(pg::connection&);
asio::awaitable<void> use(pg::connection& db) { co_await db.transaction(body(db)); }

// misuse: the body of a nested transaction returns no awaitable
// says: the body returns no awaitable: write `-> asio::awaitable<void>`
asio::awaitable<void> use(pg::transaction& t) {
  co_await t.nested([](pg::transaction&) { return 1; });
}

// misuse: a lambda with captures is a temporary
// only: gcc 12
// says: name the lambda first
asio::awaitable<void> use(pg::connection& db, std::string name) {
  co_await db.transaction([name](pg::transaction& t) -> asio::awaitable<void> { co_await t.exec("select $1", name); });
}
