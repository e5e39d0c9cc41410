// SPDX-License-Identifier: BSL-1.0
// tidepool - the service's handlers on MySQL and MariaDB.
#ifndef TIDEPOOL_EXAMPLES_ON_MYSQL_HPP
#define TIDEPOOL_EXAMPLES_ON_MYSQL_HPP

#include <tidepool/mysql.hpp>

#include "handlers.hpp"

struct on_mysql {
  using error = tidepool::mysql::error;
  struct shared_error : error {};  // nothing is shared here
  using transaction = tidepool::mysql::transaction;
  using lease = tidepool::mysql::pool::lease;

  tidepool::mysql::pool& pool;
  const tidepool::statement_times* times = nullptr;  ///< of all statements, where they are counted

  auto read(tidepool::source_location where = tidepool::source_location::current()) { return pool.acquire(where); }
  auto write(tidepool::source_location where = tidepool::source_location::current()) { return pool.acquire(where); }
  tidepool::pool_stats stats() const { return pool.stats(); }
  std::vector<tidepool::pool_stats> all_stats() const { return {pool.stats()}; }

  static constexpr std::string_view system = "mysql";
  static constexpr const char* account = "select json_object('id', id, 'owner', owner, 'balance', balance) from accounts where id = ?";
  static constexpr const char* book =
      "insert into transfers (`key`, payer, payee, amount) values (?, ?, ?, ?) on duplicate key update payer = payer";
  static constexpr bool locks_rows = true;
  static constexpr const char* lock_both = "select id from accounts where id in (?, ?) order by id for update";
  static constexpr const char* take = "update accounts set balance = balance - ? where id = ?";
  static constexpr const char* give = "update accounts set balance = balance + ? where id = ?";
  static bool is_short_of_money(const error& failure) { return failure.is(4025) || failure.is(3819); }  // MariaDB's and MySQL's number
  static bool is_unknown_account(const error& failure) { return failure.is(1452); }
  static tidepool::asio::awaitable<void> sleep(lease& on, std::chrono::milliseconds time) {
    co_await on->exec("do sleep(?)", std::chrono::duration<double>(time).count());
  }

  bool is_shared() const { return false; }
  tidepool::asio::awaitable<std::optional<std::string>> shared_account(std::int64_t) { co_return std::nullopt; }
  tidepool::asio::awaitable<std::string> shared_stats() { co_return ""; }
  tidepool::asio::awaitable<std::string> shared_metrics() { co_return ""; }
};

#endif
