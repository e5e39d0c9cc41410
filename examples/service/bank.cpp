// SPDX-License-Identifier: BSL-1.0
// tidepool - the handlers of the service: each takes a connection where it needs one and gives it back by leaving the scope.
#include "bank.hpp"

#include <charconv>
#include <optional>
#include <tidepool/prometheus.hpp>

namespace postgres = tidepool::postgres;
using http::response;

namespace {

response failure(int status, std::string_view what) { return {status, "{\"error\":\"" + std::string(what) + "\"}"}; }

class bad_request : public std::exception {};

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || value < 0) throw bad_request();
  return value;
}

std::vector<std::string_view> split(std::string_view target) {
  std::vector<std::string_view> parts;
  target = target.substr(0, target.find('?'));
  while (!target.empty()) {
    target.remove_prefix(1);  // the slash
    const auto end = std::min(target.find('/'), target.size());
    parts.push_back(target.substr(0, end));
    target.remove_prefix(end);
  }
  return parts;
}

}  // namespace

tidepool::asio::awaitable<response> bank::answer(const http::message& request) {
  try {
    co_return co_await route(request.method, split(request.target));
  } catch (const bad_request&) {
    co_return failure(400, "not a number");
  } catch (const tidepool::pool_error& error) {
    // No connection in time. what() tells operators why: it belongs into the log, not to the client.
    std::fprintf(stderr, "%s: %s\n", request.target.c_str(), error.what());
    co_return failure(503, error.code().message());
  } catch (const postgres::multiplexer_error& error) {
    co_return failure(503, error.code().message());
  } catch (const postgres::error& error) {
    if (error.is("23514")) co_return failure(409, "not enough money");
    if (error.is("23503")) co_return failure(404, "no such account");
    std::fprintf(stderr, "%s: %s\n", request.target.c_str(), error.what());
    // When the connection is lost, the transfer may be done or not: the client may send it again, because the key makes that safe.
    co_return failure(error.connection_lost() || error.retryable() ? 503 : 500, error.code().message());
  }
}

tidepool::asio::awaitable<response> bank::route(std::string_view method, path parts) {
  const std::string_view what = parts.empty() ? std::string_view() : parts[0];
  const bool get = method == "GET";
  if (get && what == "accounts" && parts.size() == 2) return account(number(parts[1]));
  if (get && what == "slow" && parts.size() == 2) return slow(std::chrono::milliseconds(std::min<std::int64_t>(number(parts[1]), 60'000)));
  if (method == "PUT" && what == "transfers" && parts.size() == 5) {
    return transfer(std::string(parts[1]), number(parts[2]), number(parts[3]), number(parts[4]));
  }
  const auto ready = [](response known) -> tidepool::asio::awaitable<response> { co_return known; };
  if (get && what == "healthz") return ready(health());
  if (get && what == "stats") return ready({200, pool_.stats().to_json()});
  if (get && what == "metrics") return ready({200, tidepool::to_prometheus(pool_.stats()), "text/plain; version=0.0.4"});
  if (get && what == "shared" && shared_ != nullptr) return shared_stats();
  return ready(failure(404, "no such page"));
}

tidepool::asio::awaitable<response> bank::shared_stats() {
  const auto stats = co_await shared_->stats();
  co_return response(200, stats.to_json());
}

tidepool::asio::awaitable<response> bank::account(std::int64_t id) {
  if (shared_ != nullptr) {
    // It is repeated on another connection by itself.
    auto row = co_await shared_->read_opt<std::string>("select row_to_json(a)::text from accounts a where id = $1", id);
    co_return row ? response(200, std::move(*row)) : failure(404, "no such account");
  }
  for (bool again = false;; again = true) {
    try {
      auto lease = co_await pool_.acquire();
      auto row = co_await lease->opt<std::string>("select row_to_json(a)::text from accounts a where id = $1", id);
      co_return row ? response(200, std::move(*row)) : failure(404, "no such account");
    } catch (const postgres::error& error) {
      // The server went away meanwhile. A read may be repeated on another connection.
      if (again || !error.connection_lost()) throw;
    }
  }
}

tidepool::asio::awaitable<response> bank::transfer(std::string key, std::int64_t payer, std::int64_t payee, std::int64_t amount) {
  auto lease = co_await pool_.acquire();
  lease.label("transfer " + key);
  auto move_money = [&](postgres::transaction& tx) -> tidepool::asio::awaitable<bool> {
    auto booked = co_await tx.exec("insert into transfers (key, payer, payee, amount) values ($1, $2, $3, $4) on conflict (key) do nothing",
                                   key, payer, payee, amount);
    if (booked.affected() == 0) co_return false;
    // Rows are always locked in the same order, so that two transfers never wait for each other.
    co_await tx.exec("select from accounts where id in ($1, $2) order by id for no key update", payer, payee);
    co_await tx.exec("update accounts set balance = balance - $2 where id = $1", payer, amount);
    co_await tx.exec("update accounts set balance = balance + $2 where id = $1", payee, amount);
    co_return true;
  };
  const bool moved = co_await lease->transaction(move_money, {.retries = 3});
  co_return response(200, moved ? "{\"done\":\"now\"}" : "{\"done\":\"before\"}");
}

tidepool::asio::awaitable<response> bank::slow(std::chrono::milliseconds time) {
  auto lease = co_await pool_.acquire();
  lease.label("slow query");
  co_await lease->exec("select pg_sleep($1)", std::chrono::duration<double>(time).count());
  co_return response(200, "{\"slept_ms\":" + std::to_string(time.count()) + "}");
}

response bank::health() {
  const auto now = std::chrono::steady_clock::now();
  auto stats = pool_.stats();
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
