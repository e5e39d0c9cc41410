// SPDX-License-Identifier: BSL-1.0
// tidepool - the requests of the service: accounts and transfers in PostgreSQL, and the health and metrics of its pool.
#ifndef TIDEPOOL_EXAMPLES_BANK_HPP
#define TIDEPOOL_EXAMPLES_BANK_HPP

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <tidepool/pool.hpp>
#include <tidepool/postgres.hpp>
#include <tidepool/postgres/multiplexers.hpp>
#include <vector>

#include "http_message.hpp"

///     GET /accounts/7                  one row
///     PUT /transfers/KEY/7/8/100       moves money in a transaction; the same KEY again changes nothing
///     GET /slow/250                    a query of so many milliseconds
///     GET /healthz  /stats  /metrics   for load balancer, people, Prometheus; with --multiplex also /shared
class bank {
 public:
  /// Reads of one row go through `shared`, where that is given.
  explicit bank(tidepool::postgres::pool& pool, tidepool::postgres::multiplexers* shared = nullptr) : pool_(pool), shared_(shared) {}

  /// Answers one request. Any number at once, on any thread.
  tidepool::asio::awaitable<http::response> answer(const http::message& request);

 private:
  using path = std::vector<std::string_view>;

  tidepool::asio::awaitable<http::response> route(std::string_view method, path parts);
  tidepool::asio::awaitable<http::response> account(std::int64_t id);
  tidepool::asio::awaitable<http::response> transfer(std::string key, std::int64_t payer, std::int64_t payee, std::int64_t amount);
  tidepool::asio::awaitable<http::response> slow(std::chrono::milliseconds time);
  http::response health();

  tidepool::asio::awaitable<http::response> shared_stats();

  tidepool::postgres::pool& pool_;
  tidepool::postgres::multiplexers* shared_;
  std::mutex mutex_;
  tidepool::pool_stats recent_;  // what "lately" in health() begins with
  std::chrono::steady_clock::time_point recent_since_;
};

#endif
