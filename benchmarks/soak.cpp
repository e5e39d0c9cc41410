// SPDX-License-Identifier: BSL-1.0
// tidepool - claims: one pool handles 10,000 connections in use at once; below 500 kB a connection; under that load 95 % of the checkouts
// take less than 1 ms and 99 % less than 5 ms; no connection leaks and no statement is lost, for as long as one likes to look.
//
//   soak POOLER [SECONDS [ARRIVALS [CONNECTIONS]]]    prints "soak <TAB> metric <TAB> value"; exit status 1: something was lost
//
// POOLER is a PgBouncer that takes so many clients. First all connections are leased at once, and each asks. Then callers come at random
// times (Poisson, ARRIVALS a second) whether earlier ones are served or not, and hold a connection for a random time, so that nine of ten
// connections are leased on average. Each caller asks at the start and at the end of its lease for a number of its own. Of a thousand
// callers one throws, one discards its connection, and one is cancelled in mid-statement. A checkout is measured from the moment its caller
// was due.
#include <tidepool/postgres.hpp>

#include <asio/steady_timer.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "many.hpp"

namespace {

namespace postgres = tidepool::postgres;
using namespace benchmarks;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

struct settings {
  std::string pooler;
  std::chrono::seconds length = 60s;
  double arrivals = 1000;  ///< a second
  std::size_t connections = 10'000;
};

double heap_kb() { return heap_in_use() / 1024; }
double resident_kb() {
  std::ifstream in("/proc/self/statm");
  double all = 0, resident = 0;
  in >> all >> resident;
  return resident * 4;
}
void print(const std::string& metric, double value) {
  std::printf("soak\t%s\t%.3f\n", metric.c_str(), value);
  std::fflush(stdout);
}
asio::awaitable<void> pause(steady::duration time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

/// Every checkout, to the microsecond; those of a tenth of a second and more are told apart by the longest alone.
class distribution {
 public:
  void record(steady::duration took) {
    const auto us =
        static_cast<std::size_t>(std::max<std::int64_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count(), 0));
    ++buckets_[std::min(us, buckets_.size() - 1)];
    ++count_;
    longest_ = std::max(longest_, us);
  }
  std::uint64_t count() const { return count_; }
  /// The time that this share does not exceed, in microseconds.
  double at(double share) const {
    std::uint64_t seen = 0;
    for (std::size_t us = 0; us < buckets_.size(); ++us) {
      seen += buckets_[us];
      if (static_cast<double>(seen) >= share * static_cast<double>(count_))
        return static_cast<double>(us + 1 == buckets_.size() ? longest_ : us + 1);
    }
    return 0;
  }
  /// Per cent of all that took no more.
  double within(std::size_t us) const {
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < std::min(us, buckets_.size()); ++i) seen += buckets_[i];
    return count_ ? 100 * static_cast<double>(seen) / static_cast<double>(count_) : 0;
  }
  double longest() const { return static_cast<double>(longest_); }

 private:
  std::vector<std::uint64_t> buckets_ = std::vector<std::uint64_t>(100'000);
  std::uint64_t count_ = 0;
  std::size_t longest_ = 0;
};

struct tally {
  distribution checkouts;
  std::uint64_t arrived = 0, inside = 0;
  std::uint64_t asked = 0, answered = 0;
  std::uint64_t refused = 0;                              ///< acquires that failed
  std::uint64_t lost = 0;                                 ///< statements that failed, or got another one's answer
  std::uint64_t threw = 0, discarded = 0, cancelled = 0;  ///< on purpose
  std::uint64_t numbers = 0;
  double length = 0;  ///< of the arrivals, in seconds
  std::size_t leased_at_the_end = 0;
};
struct own_trouble : std::runtime_error {
  using std::runtime_error::runtime_error;
};

asio::awaitable<void> ask(postgres::connection& c, tally& seen) {
  const auto number = static_cast<std::int64_t>(++seen.numbers);
  ++seen.asked;
  const auto answer = co_await c.one<std::int64_t>("select $1::int8", number);
  ++(answer == number ? seen.answered : seen.lost);
}
asio::awaitable<void> ask_slowly(postgres::connection& c) { co_await c.script("select pg_sleep(0.2)"); }

asio::awaitable<void> visit(postgres::pool& pool, steady::time_point due, steady::duration hold, std::uint64_t number, tally& seen) {
  auto lease = co_await pool.acquire();
  seen.checkouts.record(steady::now() - due);
  co_await ask(*lease, seen);
  co_await pause(hold);
  co_await ask(*lease, seen);
  switch (number % 1000) {
    case 1: throw own_trouble("the caller's own");
    case 2:
      lease.discard();
      ++seen.discarded;
      break;
    case 3: {
      // Whatever comes of it: under load the server may be too slow for the cancel request.
      try {
        auto work = ask_slowly(*lease);
        co_await tidepool::complete_within(10ms, std::move(work));
      } catch (const std::system_error&) {
        ++seen.cancelled;
      }
      break;
    }
    default: break;
  }
}
asio::awaitable<void> customer(postgres::pool& pool, steady::time_point due, steady::duration hold, std::uint64_t number, tally& seen) {
  ++seen.inside;
  std::string trouble;
  try {
    co_await visit(pool, due, hold, number, seen);
  } catch (const own_trouble&) {
    ++seen.threw;
  } catch (const tidepool::pool_error& failed) {
    ++seen.refused;
    trouble = failed.what();
  } catch (const std::system_error& failed) {
    ++seen.lost;
    trouble = failed.what();
  }
  if (!trouble.empty() && seen.lost + seen.refused <= 5) std::fprintf(stderr, "soak: %s\n", trouble.c_str());
  --seen.inside;
}

class callers {
 public:
  callers(postgres::pool& pool, const settings& how, std::size_t connections, tally& seen)
      : pool_(pool), how_(how), usual_(static_cast<std::size_t>(0.9 * static_cast<double>(connections))), seen_(seen) {}

  /// First as many as are inside on average; from when they are, others for this time; until the last one has left.
  asio::awaitable<void> come(steady::duration length) {
    const auto here = co_await asio::this_coro::executor;
    asio::steady_timer timer(here);
    tally first;  // they are no load like the others
    const double pace = 2000;
    const auto together = steady::now() + std::chrono::duration_cast<steady::duration>(seconds(static_cast<double>(usual_) / pace));
    for (std::size_t i = 0; i < usual_; ++i) {
      if (i % 20 == 0) co_await pause(10ms);
      asio::co_spawn(here, customer(pool_, steady::now(), together - steady::now() + rest_of_hold(), 0, first), rethrow);
    }
    while (first.answered < usual_) co_await pause(10ms);
    std::exponential_distribution<double> gap(how_.arrivals);
    begun_ = steady::now();
    const auto end = begun_ + length;
    for (auto due = begun_; due < end; due += std::chrono::duration_cast<steady::duration>(seconds(gap(random_)))) {
      if (due > steady::now()) {
        timer.expires_at(due);
        co_await timer.async_wait(asio::use_awaitable);
      }
      const auto number = ++seen_.arrived;
      asio::co_spawn(here, customer(pool_, due, hold(), number, seen_), rethrow);
      tell_each_minute();
    }
    seen_.length = std::chrono::duration<double>(steady::now() - begun_).count();
    seen_.leased_at_the_end = pool_.stats().active_connections;
    while (seen_.inside + first.inside > 0) co_await pause(10ms);
    seen_.asked += first.asked;
    seen_.answered += first.answered;
    seen_.lost += first.lost;
    seen_.refused += first.refused;
    co_await pause(2s);  // until what was discarded has been replaced
  }

 private:
  using seconds = std::chrono::duration<double>;
  double mean_hold() const { return static_cast<double>(usual_) / how_.arrivals; }
  steady::duration hold() {
    std::uniform_real_distribution<double> any(0, 2 * mean_hold());
    return std::chrono::duration_cast<steady::duration>(seconds(any(random_)));
  }
  /// Of those who would be inside already.
  steady::duration rest_of_hold() {
    std::uniform_real_distribution<double> any(0, 1);
    return std::chrono::duration_cast<steady::duration>(seconds(2 * mean_hold() * (1 - std::sqrt(1 - any(random_)))));
  }
  void tell_each_minute() {
    const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(steady::now() - begun_).count();
    if (minutes <= told_) return;
    told_ = minutes;
    const auto stats = pool_.stats();
    std::fprintf(stderr, "soak: minute %lld, %zu leased, %llu checkouts, p95 %.0f us, p99 %.0f us, heap %.0f kB, lost %llu, refused %llu\n",
                 static_cast<long long>(minutes), stats.active_connections, static_cast<unsigned long long>(seen_.checkouts.count()),
                 seen_.checkouts.at(0.95), seen_.checkouts.at(0.99), heap_kb(), static_cast<unsigned long long>(seen_.lost),
                 static_cast<unsigned long long>(seen_.refused));
  }

  postgres::pool& pool_;
  const settings& how_;
  std::size_t usual_;
  tally& seen_;
  std::mt19937_64 random_{7};
  steady::time_point begun_{};
  std::int64_t told_ = 0;
};

/// All connections leased at the same time, each with a statement under way.
asio::awaitable<void> all_at_once(postgres::pool& pool, std::size_t count, tally& seen) {
  std::vector<postgres::pool::lease> held;
  for (std::size_t i = 0; i < count; ++i) held.push_back(co_await pool.acquire());
  std::size_t left = count;
  const auto ask_once = [&left, &seen](postgres::connection& c) -> asio::awaitable<void> {
    co_await ask(c, seen);
    --left;
  };
  const auto here = co_await asio::this_coro::executor;
  for (auto& lease : held) asio::co_spawn(here, ask_once(*lease), rethrow);
  while (left > 0) co_await pause(1ms);
}

/// What PgBouncer says of its clients, besides the one that asks.
double clients_at(const std::string& pooler) {
  const std::unique_ptr<PGconn, decltype(&PQfinish)> console(PQconnectdb((pooler + " dbname=pgbouncer").c_str()), PQfinish);
  const std::unique_ptr<PGresult, decltype(&PQclear)> lists(PQexec(console.get(), "show lists"), PQclear);
  for (int row = 0; row < PQntuples(lists.get()); ++row) {
    if (std::string(PQgetvalue(lists.get(), row, 0)) == "used_clients") return std::atof(PQgetvalue(lists.get(), row, 1)) - 1;
  }
  throw std::runtime_error(std::string("PgBouncer does not tell its clients: ") + PQerrorMessage(console.get()));
}

bool soak(const settings& how) {
  const std::size_t count = most_connections(how.connections);
  asio::io_context io(1);
  auto config = tidepool::pool_config::production();
  config.name = "soak";
  config.max_lifetime = 30min;  // so that an hour sees the end of each
  config.min_size = config.max_size = count;
  config.max_connecting = 64;
  config.connect_timeout = 60s;
  auto at = postgres::options(how.pooler);
  // Connections that have been idle since the same moment probe at the same moment. Linux keeps 1,000 packets of the loopback in line
  // (net.core.netdev_max_backlog), loses the probes of the others, and then takes their peers for dead.
  at.set("application_name", "soak").set("keepalives", "0");
  at.address_timeout = 60s;
  postgres::pool pool(io, postgres::connector(std::move(at)), config);
  pool.log_to(tidepool::stderr_sink, tidepool::log_level::warning);
  tally seen;
  const double heap_before = heap_kb(), resident_before = resident_kb();
  auto begun = steady::now();
  const auto since = [&begun] { return std::chrono::duration<double, std::milli>(steady::now() - begun).count(); };
  run(io, pool.open(10min));
  print("connections", static_cast<double>(pool.stats().total_connections));
  print("opened_ms", since());
  begun = steady::now();
  run(io, all_at_once(pool, count, seen));
  print("all_leased_and_asked_ms", since());
  print("heap_kb_a_connection", (heap_kb() - heap_before) / static_cast<double>(count));
  print("resident_kb_a_connection", (resident_kb() - resident_before) / static_cast<double>(count));
  print("clients_of_the_pooler", clients_at(how.pooler));

  // Once briefly, so that what is allocated once is.
  std::fprintf(stderr, "soak: warm-up\n");
  tally warm;
  callers few(pool, how, count, warm);
  run(io, few.come(1s));
  const double heap_warm = heap_kb();
  std::fprintf(stderr, "soak: %lld s\n", static_cast<long long>(how.length.count()));
  const auto before = pool.stats();
  callers all(pool, how, count, seen);
  run(io, all.come(how.length));
  const auto stats = pool.stats();
  const auto number = [](std::uint64_t n) { return static_cast<double>(n); };
  print("seconds", seen.length);
  print("leased_at_the_end", static_cast<double>(seen.leased_at_the_end));
  print("checkouts", number(stats.total_checkouts - before.total_checkouts));
  print("measured", number(seen.checkouts.count()));
  for (const auto& [name, share] :
       {std::pair("p50_us", 0.5), std::pair("p95_us", 0.95), std::pair("p99_us", 0.99), std::pair("p999_us", 0.999)}) {
    print(name, seen.checkouts.at(share));
  }
  print("longest_us", seen.checkouts.longest());
  for (const std::size_t us : {10u, 20u, 50u, 100u, 200u, 500u, 1000u, 2000u, 5000u, 10000u, 50000u}) {
    print("percent_within_" + std::to_string(us) + "_us", seen.checkouts.within(us));
  }
  print("statements", number(seen.asked));
  print("statements_lost", number(std::max(seen.asked - seen.answered, seen.lost)));
  print("acquires_refused", number(seen.refused));
  print("threw", number(seen.threw));
  print("discarded", number(seen.discarded));
  print("cancelled", number(seen.cancelled));
  print("leases_lost", number(stats.total_checkouts - stats.total_checkins));
  print("connections_at_the_end", number(stats.total_connections));
  print("connections_replaced", number(stats.connections_created - before.connections_created));
  print("replaced_for_their_age", number(stats.closed(tidepool::close_reason::lifetime)));
  print("connects_failed", number(stats.connection_errors));
  print("heap_kb_grown", heap_kb() - heap_warm);
  print("clients_of_the_pooler_at_the_end", clients_at(how.pooler));
  run(io, pool.close());
  double left = clients_at(how.pooler);
  for (int i = 0; left > 0 && i < 50; ++i) {  // it hears of them one by one
    run(io, pause(100ms));
    left = clients_at(how.pooler);
  }
  print("clients_of_the_pooler_after_close", left);
  return seen.lost == 0 && seen.asked == seen.answered && seen.refused == 0 && stats.total_checkouts == stats.total_checkins && left <= 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 5) {
    std::fprintf(stderr, "usage: %s POOLER [SECONDS [ARRIVALS [CONNECTIONS]]]\n", argv[0]);
    return 2;
  }
  try {
    settings how;
    how.pooler = argv[1];
    if (argc > 2) how.length = std::chrono::seconds(std::atoll(argv[2]));
    if (argc > 3) how.arrivals = std::atof(argv[3]);
    if (argc > 4) how.connections = static_cast<std::size_t>(std::atoll(argv[4]));
    if (how.length <= 0s || how.arrivals <= 0 || how.connections == 0) throw std::invalid_argument("times and counts are positive");
    return soak(how) ? 0 : 1;
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "soak: %s\n", failed.what());
    return 1;
  }
}
