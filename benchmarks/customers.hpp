// SPDX-License-Identifier: BSL-1.0
// tidepool - what the benchmarks of statements share: how answers are counted, and the customers of a pool of 8 connections.
#ifndef TIDEPOOL_BENCHMARKS_CUSTOMERS_HPP
#define TIDEPOOL_BENCHMARKS_CUSTOMERS_HPP

#include <libpq-fe.h>
#include <tidepool/postgres.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "measure.hpp"

namespace benchmarks {

namespace asio = tidepool::asio;
namespace postgres = tidepool::postgres;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

inline constexpr int connections = 8;
inline bool prepared = true;
inline bool tracked = false;  ///< through a pooler that tracks prepared statements
inline constexpr const char* texts[] = {"select 1", "select balance from accounts where id = $1::int4"};
inline constexpr const char* names[] = {"select1", "read"};

/// Counts from the end of the warm-up to the end of the measurement. What was begun before that has no wait that counts.
class tally {
 public:
  tally() : warm_(steady::now() + std::max<std::chrono::nanoseconds>(measured_for() / 4, 300ms)), end_(warm_ + measured_for()) {
    waits_.reserve(1 << 20);
  }

  /// False: stop.
  bool finished(steady::time_point begun) {
    const auto now = steady::now();
    if (now >= end_) {
      if (stopped_ == steady::time_point()) {
        stopped_ = now;
        cpu_ = cpu_us() - cpu_;
      }
      return false;
    }
    if (now >= warm_) {
      if (count_++ == 0) {
        started_ = now;
        cpu_ = cpu_us();
      }
      if (begun >= warm_) waits_.push_back(static_cast<std::uint32_t>(std::min<std::int64_t>((now - begun).count() / 10, UINT32_MAX)));
    }
    return true;
  }
  void print(const std::string& what) {
    const double seconds = std::chrono::duration<double>(stopped_ - started_).count();
    const auto count = static_cast<double>(count_);
    std::sort(waits_.begin(), waits_.end());
    if (waits_.empty()) throw std::runtime_error(what + ": nothing was measured");
    const auto at = [&](double q) {
      return static_cast<double>(waits_[static_cast<std::size_t>(q * static_cast<double>(waits_.size() - 1))]) / 100;
    };
    std::printf("%s\tqps\t%.0f\n%s\tcpu_us\t%.3f\n", what.c_str(), count / seconds, what.c_str(), cpu_ / count);
    std::printf("%s\tp50_us\t%.1f\n%s\tp99_us\t%.1f\n%s\tp999_us\t%.1f\n", what.c_str(), at(0.5), what.c_str(), at(0.99), what.c_str(),
                at(0.999));
    std::fflush(stdout);
  }

 private:
  steady::time_point warm_, end_, started_{}, stopped_{};
  std::uint64_t count_ = 0;
  double cpu_ = 0;
  std::vector<std::uint32_t> waits_;  // of 10 ns
};

/// The next id that a customer asks for.
inline int next_id(unsigned& seed) {
  seed = seed * 1664525u + 1013904223u;
  return static_cast<int>(seed % 100000u) + 1;
}
inline postgres::options options_of(const std::string& conninfo) {
  postgres::options out(conninfo);
  out.statement_cache = prepared ? 16 : 0;
  out.pooler_tracks_statements = tracked;
  return out;
}
inline asio::awaitable<void> ask(postgres::connection& c, int query, unsigned& seed) {
  if (query == 0) {
    co_await c.one<int>(texts[0]);
  } else {
    co_await c.one<int>(texts[1], next_id(seed));
  }
}
inline asio::awaitable<void> customer(postgres::pool& pool, int query, tally& seen, unsigned seed) {
  for (;;) {
    const auto begun = steady::now();
    auto lease = co_await pool.acquire();
    co_await ask(*lease, query, seed);
    lease.release();
    if (!seen.finished(begun)) co_return;
  }
}
inline void rethrow(std::exception_ptr failed) {
  if (failed) std::rethrow_exception(failed);
}
inline std::string label(const char* way, int query, const std::string& via, int concurrency) {
  return std::string(way) + '/' + names[query] + '/' + via + '/' + std::to_string(concurrency);
}
inline tidepool::pool_config eight_connections() {
  tidepool::pool_config config;
  config.min_size = config.max_size = config.max_connecting = connections;
  return config;
}
inline void through_pool(const std::string& conninfo, const std::string& via, int query, int concurrency) {
  asio::io_context io(1);
  postgres::pool pool(io, postgres::connector(options_of(conninfo)), eight_connections());
  asio::co_spawn(io, pool.open(), [&](std::exception_ptr failed) {
    rethrow(failed);
    io.stop();
  });
  io.run();
  io.restart();
  tally seen;
  int left = concurrency;
  for (int i = 0; i < concurrency; ++i) {
    asio::co_spawn(io, customer(pool, query, seen, static_cast<unsigned>(i)), [&](std::exception_ptr failed) {
      rethrow(failed);
      if (--left == 0) asio::co_spawn(io, pool.close(), rethrow);
    });
  }
  io.run();
  seen.print(label("pool", query, via, concurrency));
}
inline void expect(bool good, PGconn* pg) {
  if (!good) throw std::runtime_error(PQerrorMessage(pg));
}

}  // namespace benchmarks

#endif
