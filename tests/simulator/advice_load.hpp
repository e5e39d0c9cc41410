// SPDX-License-Identifier: BSL-1.0
// tidepool - twenty workloads in virtual time, for what is advised on the size of their pools, and for what would have been best.
#ifndef TIDEPOOL_TESTS_SIMULATOR_ADVICE_LOAD_HPP
#define TIDEPOOL_TESTS_SIMULATOR_ADVICE_LOAD_HPP

#include <tidepool/advice.hpp>
#include <tidepool/pool.hpp>
#include <tidepool/testing.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "../support/on_end.hpp"

namespace tidepool_tests::advice_load {

using namespace std::chrono_literals;
namespace asio = tidepool::asio;
using tidepool::duration;
using tidepool::testing::virtual_clock;

enum class arrivals {
  poisson,
  batches,  ///< several callers at one moment: a geometric number
  groups,   ///< the same, of one size
  bursts,   ///< times of a higher rate
  day       ///< the rate goes up and down once
};
enum class holds { constant, exponential, log_normal, two_kinds };
inline const char* to_string(arrivals a) {
  constexpr const char* names[] = {"independent", "batches", "groups", "bursts", "a day"};
  return names[static_cast<int>(a)];
}
inline const char* to_string(holds h) {
  constexpr const char* names[] = {"constant", "exponential", "log-normal", "two kinds"};
  return names[static_cast<int>(h)];
}

struct workload {
  arrivals how;
  double rate;   ///< a second, on average; between bursts
  double shape;  ///< of batches and groups: how many; of bursts: times the rate; of a day: up and down by this share
  double burst;  ///< seconds that a burst lasts, on average; five times as long is between two
  holds hold;
  double mean_hold;  ///< seconds
  double goal;       ///< seconds
};
inline constexpr workload workloads[] = {
    {arrivals::poisson, 200, 0, 0, holds::constant, 0.05, 0.01},    {arrivals::poisson, 200, 0, 0, holds::exponential, 0.05, 0.01},
    {arrivals::poisson, 200, 0, 0, holds::log_normal, 0.05, 0.01},  {arrivals::poisson, 200, 0, 0, holds::two_kinds, 0.05, 0.01},
    {arrivals::poisson, 100, 0, 0, holds::exponential, 0.2, 0.1},   {arrivals::poisson, 400, 0, 0, holds::constant, 0.02, 0.001},
    {arrivals::poisson, 300, 0, 0, holds::log_normal, 0.2, 0.05},   {arrivals::batches, 200, 5, 0, holds::constant, 0.05, 0.02},
    {arrivals::batches, 200, 5, 0, holds::exponential, 0.05, 0.02}, {arrivals::batches, 150, 10, 0, holds::log_normal, 0.1, 0.05},
    {arrivals::batches, 150, 8, 0, holds::two_kinds, 0.08, 0.05},   {arrivals::groups, 200, 10, 0, holds::exponential, 0.05, 0.02},
    {arrivals::bursts, 80, 3, 10, holds::exponential, 0.1, 0.02},   {arrivals::bursts, 60, 4, 20, holds::constant, 0.1, 0.02},
    {arrivals::bursts, 80, 3, 15, holds::log_normal, 0.1, 0.05},    {arrivals::bursts, 80, 3, 15, holds::two_kinds, 0.1, 0.05},
    {arrivals::day, 150, 0.7, 0, holds::constant, 0.1, 0.02},       {arrivals::day, 150, 0.7, 0, holds::exponential, 0.1, 0.02},
    {arrivals::day, 150, 0.7, 0, holds::log_normal, 0.1, 0.02},     {arrivals::day, 150, 0.7, 0, holds::two_kinds, 0.1, 0.02}};

struct acquire {
  double at;
  double hold;
};

/// `seconds` of a workload, always the same.
class trace {
 public:
  trace(const workload& of, double seconds, std::uint64_t seed) : of_(of), seconds_(seconds), random_(seed) {
    double at = 0;
    while (at < seconds_) at = next(at);
  }
  const std::vector<acquire>& acquires() const noexcept { return acquires_; }

 private:
  double exponential() { return -std::log(1 - random_.unit()); }
  double normal() { return std::sqrt(2 * exponential()) * std::cos(6.283185307179586 * random_.unit()); }
  void call(double at) {
    double hold = of_.mean_hold;
    switch (of_.hold) {
      case holds::constant: break;
      case holds::exponential: hold *= exponential(); break;
      case holds::log_normal: hold *= std::exp(normal() - 0.5); break;
      case holds::two_kinds: hold *= random_.unit() < 0.9 ? 0.4 : 6.4; break;
    }
    acquires_.push_back({at, hold});
  }
  double next(double at) {
    switch (of_.how) {
      case arrivals::poisson:
        at += exponential() / of_.rate;
        call(at);
        return at;
      case arrivals::batches:
        at += exponential() * of_.shape / of_.rate;
        do call(at);
        while (random_.unit() < 1 - 1 / of_.shape);
        return at;
      case arrivals::groups:
        at += exponential() * of_.shape / of_.rate;
        for (int i = 0; i < static_cast<int>(of_.shape); ++i) call(at);
        return at;
      case arrivals::bursts: {
        if (at >= changes_) {
          bursting_ = !bursting_;
          changes_ = at + exponential() * of_.burst * (bursting_ ? 1 : 5);
        }
        const double then = at + exponential() / (bursting_ ? of_.rate * of_.shape : of_.rate);
        if (then > changes_) return changes_;
        call(then);
        return then;
      }
      case arrivals::day: {
        const double highest = of_.rate * (1 + of_.shape);
        at += exponential() / highest;
        const double rate = of_.rate * (1 + of_.shape * std::sin(6.283185307179586 * at / seconds_));
        if (random_.unit() < rate / highest) call(at);
        return at;
      }
    }
    return seconds_;
  }

  const workload& of_;
  double seconds_;
  tidepool::detail::splitmix random_;
  double changes_ = 0;
  bool bursting_ = true;
  std::vector<acquire> acquires_;
};

inline duration of_seconds(double s) { return std::chrono::duration_cast<duration>(std::chrono::duration<double>(s)); }

/// What a pool of one size did with a workload.
struct outcome {
  duration p99{};
  std::uint64_t failed = 0;
  std::uint64_t acquires = 0;
  tidepool::pool_advice advice;
  bool good(duration goal) const { return p99 <= goal && failed == 0; }
};

/// The whole pool, in virtual time. `looks`: how often it looks at its load.
class pool_run {
 public:
  using connection = tidepool::testing::fake_connection;
  using pool_type = tidepool::basic_pool<connection, tidepool::testing::simulated_traits<connection>>;

  static outcome of(const trace& calls, std::size_t size, duration goal, duration looks) {
    pool_run run(calls, size, goal, looks);
    return run.result();
  }

 private:
  pool_run(const trace& calls, std::size_t size, duration goal, duration looks)
      : calls_(calls), sim_(1), server_(sim_), pool_(sim_.get_executor(), server_.connector(), config(size, goal, looks)) {
    bool opened = false;
    asio::co_spawn(sim_.get_executor(), pool_.open(), on_end([&](std::exception_ptr) { opened = true; }));
    sim_.run_while_not([&] { return opened; });
    asio::co_spawn(sim_.get_executor(), arrive(), asio::detached);
    sim_.run_while_not([&] { return arrived_ && ended_ == calls_.acquires().size(); });
  }
  static tidepool::pool_config config(std::size_t size, duration goal, duration looks) {
    tidepool::pool_config c;
    c.min_size = c.max_size = size;
    c.pre_ping = c.test_on_borrow = false;
    c.health_check_interval = tidepool::no_limit;
    c.max_lifetime = c.idle_timeout = tidepool::no_limit;
    c.leak_detection = false;
    c.slow_acquire = tidepool::no_limit;
    c.wait_goal = goal;
    c.scale_check_interval = c.advice_interval = looks;
    return c;
  }
  static asio::awaitable<void> wait_until(virtual_clock::time_point at) {
    tidepool::testing::virtual_timer timer(co_await asio::this_coro::executor);
    timer.expires_at(at);
    co_await timer.async_wait(asio::use_awaitable);
  }
  asio::awaitable<void> arrive() {
    const auto start = virtual_clock::now();
    for (const acquire& one : calls_.acquires()) {
      const auto at = start + of_seconds(one.at);
      if (at > virtual_clock::now()) co_await wait_until(at);
      asio::co_spawn(sim_.get_executor(), use(of_seconds(one.hold)), asio::detached);
    }
    arrived_ = true;
  }
  asio::awaitable<void> use(duration hold) {
    const auto asked = virtual_clock::now();
    try {
      const auto lease = co_await pool_.acquire();
      waits_.push_back(virtual_clock::now() - asked);
      co_await wait_until(virtual_clock::now() + hold);
    } catch (const tidepool::pool_error&) {
      ++failed_;
    }
    ++ended_;
  }
  outcome result() {
    outcome out;
    out.failed = failed_;
    out.acquires = ended_;
    const auto rank = waits_.begin() + static_cast<std::ptrdiff_t>((waits_.size() - 1) * 99 / 100);
    std::nth_element(waits_.begin(), rank, waits_.end());
    out.p99 = *rank;
    out.advice = pool_.advice();
    return out;
  }

  const trace& calls_;
  tidepool::testing::simulation sim_;
  tidepool::testing::world server_;
  pool_type pool_;
  std::vector<duration> waits_;
  std::uint64_t failed_ = 0;
  std::uint64_t ended_ = 0;
  bool arrived_ = false;
};

/// The smallest size whose p99 wait is at most the goal, and in which no caller times out: found by halving, as waits fall with the size.
inline std::size_t best_size(const trace& calls, duration goal, std::size_t start) {
  const auto good = [&](std::size_t size) { return pool_run::of(calls, size, goal, 1h).good(goal); };
  std::size_t bad = 0;
  std::size_t enough = start;
  while (!good(enough)) {
    bad = enough;
    enough += enough / 4 + 1;
  }
  if (bad == 0) {  // near the start first
    for (std::size_t step = 1; step < enough && bad == 0; step *= 2) {
      if (good(enough - step)) {
        enough -= step;
      } else {
        bad = enough - step;
      }
    }
  }
  while (enough - bad > 1) {
    const std::size_t half = bad + (enough - bad) / 2;
    (good(half) ? enough : bad) = half;
  }
  return enough;
}

}  // namespace tidepool_tests::advice_load

#endif
