// SPDX-License-Identifier: BSL-1.0
// tidepool - the handlers of the service, written once for all databases: each takes a connection where it needs one and gives it back by
// leaving the scope. What differs, above all the words of SQL, is in the class `Database`: on_postgres.hpp and its like.
#ifndef TIDEPOOL_EXAMPLES_HANDLERS_HPP
#define TIDEPOOL_EXAMPLES_HANDLERS_HPP

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tidepool/pool.hpp>
#include <tidepool/prometheus.hpp>
#include <tidepool/statement_times.hpp>
#include <utility>
#include <vector>

#include "http_message.hpp"

///     GET /accounts/7                  one row
///     PUT /transfers/KEY/7/8/100       moves money in a transaction; the same KEY again changes nothing
///     GET /slow/250                    a query of so many milliseconds
///     GET /ledger                      how many transfers are booked, and how many accounts do not agree with them
///     GET /healthz  /stats  /metrics   for load balancer, people, Prometheus; with --multiplex also /shared. The metrics are those of the
///                                      pools, of statements by their tag, and of the multiplexers
template <class Database>
class basic_bank {
 public:
  template <class... Args>
  explicit basic_bank(Args&&... args) : db_{std::forward<Args>(args)...} {}

  /// Answers one request. Any number at once, on any thread.
  tidepool::asio::awaitable<http::response> answer(const http::message& request);

 private:
  using path = std::vector<std::string_view>;
  using awaitable = tidepool::asio::awaitable<http::response>;
  class bad_request : public std::exception {};

  awaitable route(std::string_view method, path parts);
  awaitable account(std::int64_t id);
  awaitable transfer(std::string key, std::int64_t payer, std::int64_t payee, std::int64_t amount);
  awaitable slow(std::chrono::milliseconds time);
  awaitable ledger();
  awaitable shared_stats();
  awaitable metrics();
  http::response health();

  static http::response failure(int status, std::string_view what) { return {status, "{\"error\":\"" + std::string(what) + "\"}"}; }
  static std::int64_t number(std::string_view text);
  static path split(std::string_view target);

  Database db_;
  std::mutex mutex_;
  tidepool::pool_stats recent_;  // what "lately" in health() begins with
  std::chrono::steady_clock::time_point recent_since_;
};

template <class Database>
auto basic_bank<Database>::answer(const http::message& request) -> awaitable {
  try {
    co_return co_await route(request.method, split(request.target));
  } catch (const bad_request&) {
    co_return failure(400, "not a number");
  } catch (const tidepool::pool_error& error) {
    // No connection in time. what() tells operators why: it belongs into the log, not to the client.
    std::fprintf(stderr, "%s: %s\n", request.target.c_str(), error.what());
    co_return failure(503, error.code().message());
  } catch (const typename Database::shared_error& error) {
    co_return failure(503, error.code().message());
  } catch (const typename Database::error& error) {
    if (Database::is_short_of_money(error)) co_return failure(409, "not enough money");
    if (Database::is_unknown_account(error)) co_return failure(404, "no such account");
    std::fprintf(stderr, "%s: %s\n", request.target.c_str(), error.what());
    // When the connection is lost, the transfer may be done or not: the client may send it again, because the key makes that safe.
    co_return failure(error.connection_lost() || error.retryable() ? 503 : 500, error.code().message());
  }
}

template <class Database>
auto basic_bank<Database>::route(std::string_view method, path parts) -> awaitable {
  const std::string_view what = parts.empty() ? std::string_view() : parts[0];
  const bool get = method == "GET";
  if (get && what == "accounts" && parts.size() == 2) return account(number(parts[1]));
  if (get && what == "slow" && parts.size() == 2) return slow(std::chrono::milliseconds(std::min<std::int64_t>(number(parts[1]), 60'000)));
  if (method == "PUT" && what == "transfers" && parts.size() == 5) {
    return transfer(std::string(parts[1]), number(parts[2]), number(parts[3]), number(parts[4]));
  }
  const auto ready = [](http::response known) -> awaitable { co_return known; };
  if (get && what == "ledger") return ledger();
  if (get && what == "healthz") return ready(health());
  if (get && what == "stats") return ready({200, db_.stats().to_json()});
  if (get && what == "metrics") return metrics();
  if (get && what == "shared" && db_.is_shared()) return shared_stats();
  return ready(failure(404, "no such page"));
}

template <class Database>
auto basic_bank<Database>::shared_stats() -> awaitable {
  co_return http::response(200, co_await db_.shared_stats());
}

template <class Database>
auto basic_bank<Database>::metrics() -> awaitable {
  std::string text = tidepool::to_prometheus(db_.all_stats());
  if (db_.times) text += tidepool::to_prometheus(*db_.times, Database::system);
  if (db_.is_shared()) text += co_await db_.shared_metrics();
  co_return http::response(200, std::move(text), "text/plain; version=0.0.4");
}

template <class Database>
auto basic_bank<Database>::account(std::int64_t id) -> awaitable {
  if (db_.is_shared()) {
    // It is repeated on another connection by itself.
    auto row = co_await db_.shared_account(id);
    co_return row ? http::response(200, std::move(*row)) : failure(404, "no such account");
  }
  for (bool again = false;; again = true) {
    try {
      auto lease = co_await db_.read();
      auto row = co_await lease->template opt<std::string>(Database::account, id);
      co_return row ? http::response(200, std::move(*row)) : failure(404, "no such account");
    } catch (const typename Database::error& error) {
      // The server went away meanwhile. A read may be repeated on another connection.
      if (again || !error.connection_lost()) throw;
    }
  }
}

template <class Database>
auto basic_bank<Database>::transfer(std::string key, std::int64_t payer, std::int64_t payee, std::int64_t amount) -> awaitable {
  auto lease = co_await db_.write();
  lease.label("transfer " + key);
  auto move_money = [&](typename Database::transaction& tx) -> tidepool::asio::awaitable<bool> {
    // Rows are always locked in the same order, so that two transfers never wait for each other; SQLite has one writer.
    if constexpr (Database::locks_rows) co_await tx.exec(Database::lock_both, payer, payee);
    auto booked = co_await tx.exec(Database::book, key, payer, payee, amount);
    if (booked.affected() == 0) co_return false;  // an earlier request with this key was booked
    co_await tx.exec(Database::take, amount, payer);
    co_await tx.exec(Database::give, amount, payee);
    co_return true;
  };
  const bool moved = co_await lease->transaction(move_money, {.retries = 3});
  co_return http::response(200, moved ? "{\"done\":\"now\"}" : "{\"done\":\"before\"}");
}

template <class Database>
auto basic_bank<Database>::slow(std::chrono::milliseconds time) -> awaitable {
  auto lease = co_await db_.read();
  lease.label("slow query");
  co_await Database::sleep(lease, time);
  co_return http::response(200, "{\"slept_ms\":" + std::to_string(time.count()) + "}");
}

template <class Database>
auto basic_bank<Database>::ledger() -> awaitable {
  auto lease = co_await db_.read();
  const auto booked = co_await lease->template one<std::int64_t>("select count(*) from transfers");
  const auto wrong = co_await lease->template one<std::int64_t>(
      "select count(*) from accounts a where balance <> 1000000 - coalesce((select sum(amount) from transfers where payer = a.id), 0) "
      "+ coalesce((select sum(amount) from transfers where payee = a.id), 0)");
  co_return http::response(200, "{\"booked\":" + std::to_string(booked) + ",\"wrong\":" + std::to_string(wrong) + "}");
}

template <class Database>
http::response basic_bank<Database>::health() {
  const auto now = std::chrono::steady_clock::now();
  auto stats = db_.stats();
  std::unique_lock lock(mutex_);
  const auto verdict = tidepool::assess(stats, recent_);
  if (now - recent_since_ > std::chrono::seconds(10)) {
    recent_ = stats;
    recent_since_ = now;
  }
  lock.unlock();
  // A degraded service still serves: only an unhealthy one is to be taken out.
  return {verdict.status == tidepool::health_status::unhealthy ? 503 : 200,
          std::string("{\"status\":\"") + tidepool::to_string(verdict.status) + "\",\"reason\":\"" + verdict.reason + "\"}"};
}

template <class Database>
std::int64_t basic_bank<Database>::number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || value < 0) throw bad_request();
  return value;
}

template <class Database>
auto basic_bank<Database>::split(std::string_view target) -> path {
  path parts;
  target = target.substr(0, target.find('?'));
  while (!target.empty()) {
    target.remove_prefix(1);  // the slash
    const auto end = std::min(target.find('/'), target.size());
    parts.push_back(target.substr(0, end));
    target.remove_prefix(end);
  }
  return parts;
}

#endif
