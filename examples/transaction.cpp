// SPDX-License-Identifier: BSL-1.0
// tidepool - transactions: all or nothing, savepoints by nesting, another try after a deadlock. DATABASE_URL says where the server is.
#include <tidepool/postgres.hpp>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace postgres = tidepool::postgres;

struct account {
  int id;
  std::int64_t balance;
};

asio::awaitable<std::int64_t> transfer(postgres::connection& c, int from, int to, std::int64_t amount) {
  // On GCC 12 a lambda with captures needs a name before the co_await.
  auto body = [=](postgres::transaction& t) -> asio::awaitable<std::int64_t> {
    const auto left =
        co_await t.one<std::int64_t>("update accounts set balance = balance - $2 where id = $1 returning balance", from, amount);
    if (left < 0) throw std::runtime_error("not enough money");  // whatever leaves the body by an exception is rolled back
    auto note = [=](postgres::transaction& inner) -> asio::awaitable<void> {
      co_await inner.exec("insert into notes values ($1, $2)", from, amount);  // fails for every second note of an account
    };
    try {
      co_await t.nested(note);  // a savepoint: what fails in here leaves the rest of the transaction as it is
    } catch (const postgres::error& failure) {
      if (!failure.is("23505")) throw;
      std::printf("  no second note: %s\n", failure.what());
    }
    co_await t.exec("update accounts set balance = balance + $2 where id = $1", to, amount);
    co_return left;
  };
  // Runs again when the server says that it was the victim of a deadlock or of a serialisation failure.
  co_return co_await c.transaction(body, {.level = postgres::isolation::serializable, .retries = 5});
}

asio::awaitable<void> transfers(postgres::pool& pool) {
  auto lease = co_await pool.acquire();
  co_await lease->script(
      "create temporary table accounts (id int primary key, balance bigint not null);"
      "create temporary table notes (account int primary key, amount bigint);"
      "insert into accounts values (1, 100), (2, 0)");
  for (const std::int64_t amount : {30, 20, 90}) {
    try {
      const auto left = co_await transfer(*lease, 1, 2, amount);
      std::printf("moved %lld, left %lld\n", static_cast<long long>(amount), static_cast<long long>(left));
    } catch (const std::runtime_error& failure) {
      if (dynamic_cast<const postgres::error*>(&failure)) throw;
      std::printf("moved nothing: %s\n", failure.what());
    }
  }
  const auto all = co_await lease->all<account>("select id, balance from accounts order by id");
  for (const auto& a : all) std::printf("account %d has %lld\n", a.id, static_cast<long long>(a.balance));
}

int main() try {
  asio::io_context io;
  postgres::pool pool(io, postgres::connector(std::getenv("DATABASE_URL")));
  tidepool::run(io, pool, transfers);
} catch (const std::exception& error) {
  std::fprintf(stderr, "transaction: %s\n", error.what());
  return 1;
}
