// SPDX-License-Identifier: BSL-1.0
// tidepool - claims: under load 95 % of the checkouts take less than 1 ms and 99 % less than 5 ms; a connection takes less than 500 kB;
// nothing leaks; one pool holds 10,000 PostgreSQL connections.
//
//   headline CONNINFO [POOLER]    prints "CASE <TAB> metric <TAB> value"
//
// `checkout/LOAD`: 20 connections, a statement of 1 ms, callers that come at random times (Poisson) whether earlier ones are served or not;
// LOAD is the share of what 20 callers without a pause reach. A checkout is measured from the moment the caller was due.
// `memory`: heap of a connection that has run a statement, without and with TLS. `leaks`: 200 callers on 20 connections, of which some time
// out, throw, discard or are cancelled in mid-statement. `many`: 10,000 connections of one pool through POOLER, a PgBouncer: all leased at
// once, a statement on each. $SECONDS_A_CASE: how long each is measured.
#include <tidepool/postgres.hpp>

#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "many.hpp"
#include "measure.hpp"

namespace {

namespace postgres = tidepool::postgres;
using namespace benchmarks;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr std::size_t connections = 20;
constexpr std::size_t many = 10'000;

void print(const std::string& what, const char* metric, double value) {
  std::printf("%s\t%s\t%.3f\n", what.c_str(), metric, value);
  std::fflush(stdout);
}
void print_quantiles(const std::string& what, std::vector<double>& seen) {
  if (seen.empty()) return;
  std::sort(seen.begin(), seen.end());
  const auto at = [&](double q) { return seen[static_cast<std::size_t>(q * static_cast<double>(seen.size() - 1))]; };
  print(what, "checkouts", static_cast<double>(seen.size()));
  print(what, "p50_us", at(0.5));
  print(what, "p95_us", at(0.95));
  print(what, "p99_us", at(0.99));
  print(what, "p999_us", at(0.999));
  print(what, "max_us", seen.back());
}
double us(steady::duration d) { return std::chrono::duration<double, std::micro>(d).count(); }

postgres::options options_of(const std::string& conninfo, const char* name) {
  postgres::options out(conninfo);
  out.set("application_name", name);
  return out;
}
tidepool::pool_config fixed_size(std::size_t size) {
  tidepool::pool_config config;
  config.min_size = config.max_size = size;
  config.max_connecting = std::min<std::size_t>(size, 64);
  return config;
}

// --- checkout under load -----------------------------------------------------------------------------------------------------------

asio::awaitable<void> work(postgres::connection& c) { co_await c.script("select pg_sleep(0.001)"); }

asio::awaitable<void> without_a_pause(postgres::pool& pool, steady::time_point end, std::size_t& done, std::size_t& left) {
  while (steady::now() < end) {
    auto lease = co_await pool.acquire();
    co_await work(*lease);
    ++done;
  }
  --left;
}
asio::awaitable<void> caller(postgres::pool& pool, steady::time_point due, std::vector<double>& waits, std::size_t& left) {
  {
    auto lease = co_await pool.acquire();
    waits.push_back(us(steady::now() - due));
    co_await work(*lease);
  }
  --left;
}
asio::awaitable<void> until_none_is(const std::size_t& left) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  while (left > 0) {
    timer.expires_after(1ms);
    co_await timer.async_wait(asio::use_awaitable);
  }
}
asio::awaitable<void> arrivals(postgres::pool& pool, double a_second, std::vector<double>& waits) {
  const auto here = co_await asio::this_coro::executor;
  asio::steady_timer timer(here);
  std::mt19937_64 random(7);
  std::exponential_distribution<double> gap(a_second);
  std::size_t left = 0;
  const auto end = steady::now() + measured_for();
  for (auto due = steady::now(); due < end;
       due += std::chrono::duration_cast<steady::duration>(std::chrono::duration<double>(gap(random)))) {
    if (due > steady::now()) {
      timer.expires_at(due);
      co_await timer.async_wait(asio::use_awaitable);
    }
    ++left;
    asio::co_spawn(here, caller(pool, due, waits, left), rethrow);
  }
  co_await until_none_is(left);
}
void checkout(const std::string& conninfo) {
  asio::io_context io(1);
  postgres::pool pool(io, postgres::connector(options_of(conninfo, "checkout")), fixed_size(connections));
  run(io, pool.open());
  std::size_t done = 0;
  const auto saturate = [&](steady::duration time) -> double {
    done = 0;
    std::size_t left = connections;
    const auto begun = steady::now();
    for (std::size_t i = 0; i < connections; ++i) asio::co_spawn(io, without_a_pause(pool, begun + time, done, left), rethrow);
    run(io, until_none_is(left));
    return static_cast<double>(done) / std::chrono::duration<double>(steady::now() - begun).count();
  };
  (void)saturate(measured_for() / 4);
  const double full = saturate(measured_for());
  print("checkout/full", "qps", full);
  for (const char* load : {"0.30", "0.50", "0.70", "0.80", "0.90"}) {
    std::vector<double> waits;
    run(io, arrivals(pool, full * std::atof(load), waits));
    print_quantiles("checkout/" + std::string(load), waits);
  }
  run(io, pool.close());
}

// --- memory ------------------------------------------------------------------------------------------------------------------------

asio::awaitable<void> use_all_at_once(postgres::pool& pool, std::size_t count, std::vector<double>* waits) {
  std::vector<postgres::pool::lease> held;
  for (std::size_t i = 0; i < count; ++i) {
    const auto begun = steady::now();
    held.push_back(co_await pool.acquire());
    if (waits) waits->push_back(us(steady::now() - begun));
  }
  const auto ask = [](postgres::connection& c, std::size_t& left) -> asio::awaitable<void> {
    co_await c.script("select 1");
    --left;
  };
  std::size_t left = count;
  const auto here = co_await asio::this_coro::executor;
  for (auto& lease : held) asio::co_spawn(here, ask(*lease, left), rethrow);
  co_await until_none_is(left);
}
void memory(const char* what, postgres::options settings) {
  constexpr std::size_t count = 40;
  asio::io_context io(1);
  postgres::pool pool(io, postgres::connector(std::move(settings)), fixed_size(count));
  const double before = heap_in_use();
  run(io, pool.open());
  run(io, use_all_at_once(pool, count, nullptr));
  print(what, "kb_a_connection", (heap_in_use() - before) / count / 1024);
  run(io, pool.close());
}

// --- leaks -------------------------------------------------------------------------------------------------------------------------

struct outcome {
  std::size_t served = 0, timed_out = 0, threw = 0, discarded = 0, cancelled = 0;
};
asio::awaitable<void> clumsy(postgres::pool& pool, unsigned kind, outcome& seen, const bool& stop, std::size_t& left) {
  while (!stop) {
    try {
      auto lease = co_await pool.acquire(kind == 1 ? 2ms : 10s);
      co_await work(*lease);
      if (kind == 2) throw std::runtime_error("the caller's own");
      if (kind == 3 && seen.discarded * 50 < seen.served) {
        lease.discard();
        ++seen.discarded;
      }
      ++seen.served;
    } catch (const tidepool::pool_error&) {
      ++seen.timed_out;
    } catch (const std::runtime_error&) {
      ++seen.threw;
    }
  }
  --left;
}
asio::awaitable<void> interrupted(postgres::pool& pool, outcome& seen, const bool& stop, std::size_t& left) {
  const auto here = co_await asio::this_coro::executor;
  while (!stop) {
    asio::cancellation_signal signal;
    asio::steady_timer timer(here);
    bool ended = false;
    const auto victim = [&pool, &seen]() -> asio::awaitable<void> {
      auto lease = co_await pool.acquire();
      co_await lease->script("select pg_sleep(0.02)");
      ++seen.served;
    };
    asio::co_spawn(here, victim, asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr failed) {
                     if (failed) ++seen.cancelled;
                     ended = true;
                     timer.cancel();
                   }));
    timer.expires_after(15ms);
    tidepool::error_code woken;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
    if (!ended) signal.emit(asio::cancellation_type::terminal);
    while (!ended) {
      timer.expires_after(1h);
      co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
    }
  }
  --left;
}
void leaks(const std::string& conninfo) {
  asio::io_context io(1);
  postgres::pool pool(io, postgres::connector(options_of(conninfo, "leaks")), fixed_size(connections));
  run(io, pool.open());
  outcome seen;
  const auto storm = [&](steady::duration time) {
    bool stop = false;
    std::size_t left = 200;
    for (unsigned i = 0; i < 196; ++i) asio::co_spawn(io, clumsy(pool, i % 10, seen, stop, left), rethrow);
    for (unsigned i = 0; i < 4; ++i) asio::co_spawn(io, interrupted(pool, seen, stop, left), rethrow);
    const auto watch = [&]() -> asio::awaitable<void> {
      asio::steady_timer timer(co_await asio::this_coro::executor, time);
      co_await timer.async_wait(asio::use_awaitable);
      stop = true;
      co_await until_none_is(left);
      timer.expires_after(700ms);  // until what was discarded has been replaced
      co_await timer.async_wait(asio::use_awaitable);
    };
    run(io, watch());
  };
  storm(measured_for());
  const double heap = heap_in_use();
  storm(10 * measured_for());
  const double grown = heap_in_use() - heap;
  std::size_t sessions = 0;
  const auto count_sessions = [](std::string where, std::size_t& out) -> asio::awaitable<void> {
    auto c = co_await postgres::connection::connect(options_of(where, "counting"));
    out = static_cast<std::size_t>(co_await c.one<std::int64_t>("select count(*) from pg_stat_activity where application_name = 'leaks'"));
    co_await c.close();
  };
  run(io, count_sessions(conninfo, sessions));
  const auto stats = pool.stats();
  print("leaks", "checkouts", static_cast<double>(stats.total_checkouts));
  print("leaks", "timed_out", static_cast<double>(seen.timed_out));
  print("leaks", "threw", static_cast<double>(seen.threw));
  print("leaks", "discarded", static_cast<double>(seen.discarded));
  print("leaks", "cancelled", static_cast<double>(seen.cancelled));
  print("leaks", "leases_lost", static_cast<double>(stats.total_checkouts - stats.total_checkins));
  print("leaks", "heap_kb_grown", grown / 1024);
  print("leaks", "sessions_too_many", static_cast<double>(sessions) - static_cast<double>(stats.total_connections));
  run(io, pool.close());
  run(io, count_sessions(conninfo, sessions));
  print("leaks", "sessions_after_close", static_cast<double>(sessions));
}

// --- 10,000 connections ------------------------------------------------------------------------------------------------------------

void ten_thousand(const std::string& pooler) {
  const std::size_t count = most_connections(many);
  asio::io_context io(1);
  auto config = fixed_size(count);
  config.connect_timeout = 60s;
  auto settings = options_of(pooler, "many");
  settings.address_timeout = 60s;
  postgres::pool pool(io, postgres::connector(std::move(settings)), config);
  const double before = heap_in_use();
  auto begun = steady::now();
  run(io, pool.open(10min));
  print("many", "connections", static_cast<double>(pool.stats().total_connections));
  print("many", "connect_us_each", us(steady::now() - begun) / static_cast<double>(count));
  std::vector<double> waits;
  begun = steady::now();
  run(io, use_all_at_once(pool, count, &waits));
  print("many", "all_leased_and_asked_ms", us(steady::now() - begun) / 1e3);
  print("many", "kb_a_connection", (heap_in_use() - before) / static_cast<double>(count) / 1024);
  print_quantiles("many", waits);
  const auto stats = pool.stats();
  print("many", "failed", static_cast<double>(stats.failed_checkouts + stats.connection_errors + stats.connections_closed));
  run(io, pool.close());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: %s CONNINFO [POOLER]\n", argv[0]);
    return 2;
  }
  try {
    checkout(argv[1]);
    memory("memory/plain", options_of(argv[1], "memory"));
    auto encrypted = options_of(argv[1], "memory");
    encrypted.set("host", "127.0.0.1").set("sslmode", "require");
    memory("memory/tls", std::move(encrypted));
    leaks(argv[1]);
    if (argc == 3) ten_thousand(argv[2]);
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "headline: %s\n", failed.what());
    return 1;
  }
}
