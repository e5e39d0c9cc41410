// SPDX-License-Identifier: BSL-1.0
// tidepool - the service's handlers on a primary and its replicas: the SQL is that of on_postgres.hpp; reads go to the replicas.
#ifndef TIDEPOOL_EXAMPLES_ON_CLUSTER_HPP
#define TIDEPOOL_EXAMPLES_ON_CLUSTER_HPP

#include <tidepool/postgres/cluster.hpp>

#include "on_postgres.hpp"

struct on_cluster {
  using error = on_postgres::error;
  using shared_error = tidepool::postgres::cluster_error;  ///< no connection in time
  using transaction = on_postgres::transaction;
  using lease = tidepool::postgres::cluster::lease;

  tidepool::postgres::cluster& servers;
  const tidepool::statement_times* times = nullptr;  ///< of all statements, where they are counted

  /// An account may be as old as a failover takes, so that reads go on meanwhile.
  auto read(tidepool::source_location where = tidepool::source_location::current()) {
    return servers.replica({.max_lag = std::chrono::seconds(30)}, where);
  }
  auto write(tidepool::source_location where = tidepool::source_location::current()) { return servers.primary(where); }
  std::vector<tidepool::pool_stats> all_stats() const { return servers.stats(); }
  /// Of the primary's pool; of the first one where there is no primary.
  tidepool::pool_stats stats() const {
    const auto seen = servers.topology();
    const auto all = servers.stats();
    for (const auto& each : all) {
      if (seen.primary() != nullptr && each.name.view().ends_with(seen.primary()->host)) return each;
    }
    return all.at(0);
  }

  static constexpr std::string_view system = on_postgres::system;
  static constexpr const char* account = on_postgres::account;
  static constexpr const char* book = on_postgres::book;
  static constexpr bool locks_rows = on_postgres::locks_rows;
  static constexpr const char* lock_both = on_postgres::lock_both;
  static constexpr const char* take = on_postgres::take;
  static constexpr const char* give = on_postgres::give;
  static bool is_short_of_money(const error& failure) { return on_postgres::is_short_of_money(failure); }
  static bool is_unknown_account(const error& failure) { return on_postgres::is_unknown_account(failure); }
  static tidepool::asio::awaitable<void> sleep(lease& on, std::chrono::milliseconds time) {
    co_await on->exec("select pg_sleep($1)", std::chrono::duration<double>(time).count());
  }

  bool is_shared() const { return false; }
  tidepool::asio::awaitable<std::optional<std::string>> shared_account(std::int64_t) { co_return std::nullopt; }
  tidepool::asio::awaitable<std::string> shared_stats() { co_return "{}"; }
  tidepool::asio::awaitable<std::string> shared_metrics() { co_return ""; }
};

#endif
