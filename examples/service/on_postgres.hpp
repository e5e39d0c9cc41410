// SPDX-License-Identifier: BSL-1.0
// tidepool - the service's handlers on PostgreSQL: accounts and transfers by a pool, reads through multiplexers where these are given.
#ifndef TIDEPOOL_EXAMPLES_ON_POSTGRES_HPP
#define TIDEPOOL_EXAMPLES_ON_POSTGRES_HPP

#include <tidepool/postgres.hpp>
#include <tidepool/postgres/multiplexers.hpp>

#include "handlers.hpp"

struct on_postgres {
  using error = tidepool::postgres::error;
  using shared_error = tidepool::postgres::multiplexer_error;
  using transaction = tidepool::postgres::transaction;
  using lease = tidepool::postgres::pool::lease;

  tidepool::postgres::pool& pool;
  tidepool::postgres::multiplexers* shared = nullptr;  ///< reads of one row go through these, where they are given
  const tidepool::statement_times* times = nullptr;    ///< of all statements, where they are counted

  auto read(tidepool::source_location where = tidepool::source_location::current()) { return pool.acquire(where); }
  auto write(tidepool::source_location where = tidepool::source_location::current()) { return pool.acquire(where); }
  tidepool::pool_stats stats() const { return pool.stats(); }
  std::vector<tidepool::pool_stats> all_stats() const { return {pool.stats()}; }

  static constexpr std::string_view system = "postgresql";
  static constexpr const char* account = "select row_to_json(a)::text from accounts a where id = $1";
  static constexpr const char* book =
      "insert into transfers (key, payer, payee, amount) values ($1, $2, $3, $4) on conflict (key) do nothing";
  static constexpr bool locks_rows = true;
  static constexpr const char* lock_both = "select from accounts where id in ($1, $2) order by id for no key update";
  static constexpr const char* take = "update accounts set balance = balance - $1 where id = $2";
  static constexpr const char* give = "update accounts set balance = balance + $1 where id = $2";
  static bool is_short_of_money(const error& failure) { return failure.is("23514"); }
  static bool is_unknown_account(const error& failure) { return failure.is("23503"); }
  static tidepool::asio::awaitable<void> sleep(lease& on, std::chrono::milliseconds time) {
    co_await on->exec("select pg_sleep($1)", std::chrono::duration<double>(time).count());
  }

  bool is_shared() const { return shared != nullptr; }
  auto shared_account(std::int64_t id) { return shared->read_opt<std::string>(account, id); }
  tidepool::asio::awaitable<std::string> shared_stats() {
    const auto stats = co_await shared->stats();
    co_return stats.to_json();
  }
  tidepool::asio::awaitable<std::string> shared_metrics() {
    const auto stats = co_await shared->stats();
    co_return to_prometheus(stats, pool.config().name.view());
  }
};

using bank = basic_bank<on_postgres>;

#endif
