// SPDX-License-Identifier: BSL-1.0
// tidepool - the service's handlers on SQLite: one writer, several readers, no server.
#ifndef TIDEPOOL_EXAMPLES_ON_SQLITE_HPP
#define TIDEPOOL_EXAMPLES_ON_SQLITE_HPP

#include <thread>
#include <tidepool/sqlite.hpp>

#include "handlers.hpp"

struct on_sqlite {
  using error = tidepool::sqlite::error;
  struct shared_error : error {};  // nothing is shared here
  using transaction = tidepool::sqlite::transaction;
  using lease = tidepool::sqlite::database::lease;

  tidepool::sqlite::database& db;
  const tidepool::statement_times* times = nullptr;  ///< of all statements, where they are counted

  auto read(tidepool::source_location where = tidepool::source_location::current()) { return db.read(where); }
  auto write(tidepool::source_location where = tidepool::source_location::current()) { return db.write(where); }
  /// Of the writer: that is where a service waits.
  tidepool::pool_stats stats() const { return db.writers().stats(); }
  std::vector<tidepool::pool_stats> all_stats() const { return {db.writers().stats(), db.readers().stats()}; }

  static constexpr std::string_view system = "sqlite";
  static constexpr const char* account = "select json_object('id', id, 'owner', owner, 'balance', balance) from accounts where id = ?1";
  static constexpr const char* book =
      "insert into transfers (key, payer, payee, amount) values (?1, ?2, ?3, ?4) on conflict (key) do nothing";
  static constexpr bool locks_rows = false;  // the transaction began IMMEDIATE
  static constexpr const char* lock_both = nullptr;
  static constexpr const char* take = "update accounts set balance = balance - ?1 where id = ?2";
  static constexpr const char* give = "update accounts set balance = balance + ?1 where id = ?2";
  static bool is_short_of_money(const error& failure) { return failure.is(SQLITE_CONSTRAINT_CHECK); }
  static bool is_unknown_account(const error& failure) { return failure.is(SQLITE_CONSTRAINT_FOREIGNKEY); }
  static auto sleep(lease& on, std::chrono::milliseconds time) {
    return on->run([time](sqlite3*) { std::this_thread::sleep_for(time); });
  }

  bool is_shared() const { return false; }
  tidepool::asio::awaitable<std::optional<std::string>> shared_account(std::int64_t) { co_return std::nullopt; }
  tidepool::asio::awaitable<std::string> shared_stats() { co_return ""; }
  tidepool::asio::awaitable<std::string> shared_metrics() { co_return ""; }

  /// 1000 accounts, where the file is new.
  static tidepool::asio::awaitable<void> create(tidepool::sqlite::connection& on) {
    co_await on.script(R"(
      create table if not exists accounts (
        id integer primary key,
        owner text not null,
        balance integer not null check (balance >= 0)
      ) strict;
      create table if not exists transfers (
        key text primary key,  -- chosen by the client: asking twice moves the money once
        payer integer not null references accounts,
        payee integer not null references accounts,
        amount integer not null check (amount > 0),
        at text not null default current_timestamp
      ) strict, without rowid;
      create index if not exists payers on transfers (payer, amount);
      create index if not exists payees on transfers (payee, amount);
      insert into accounts
        with recursive n(i) as (select 1 union all select i + 1 from n limit 1000)
        select i, 'customer ' || i, 1000000 from n where not exists (select 1 from accounts);
    )");
  }
};

#endif
