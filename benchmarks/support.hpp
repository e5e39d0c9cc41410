// SPDX-License-Identifier: BSL-1.0
// tidepool - shared by the benchmarks: a connection that does nothing, pools with single features switched off, and a loop to run them.
#ifndef TIDEPOOL_BENCHMARKS_SUPPORT_HPP
#define TIDEPOOL_BENCHMARKS_SUPPORT_HPP

#include <benchmark/benchmark.h>
#include <asio/steady_timer.hpp>
#include <tidepool/pool.hpp>

#include <cstdint>
#include <exception>
#include <string_view>

namespace tidepool_benchmarks {

namespace asio = tidepool::asio;
using io_executor = asio::io_context::executor_type;

/// A connection that does nothing; it has `usable()` because every real one has it.
struct nothing {
  std::uint64_t uses = 0;
  bool usable() const noexcept { return true; }
};

/// Default policies on a concrete executor, as a service would use for speed.
struct defaults : tidepool::default_traits<nothing> {
  using executor_type = io_executor;
};
struct any_executor : tidepool::default_traits<nothing> {};
struct one_thread : defaults {
  using mutex_type = tidepool::null_mutex;
};
struct without_health : defaults {
  using health_policy = tidepool::no_health_check;
};
struct without_leaks : defaults {
  using leak_policy = tidepool::no_leak_detection;
};
struct without_scaling : defaults {
  using scaling_policy = tidepool::no_scaling;
};
struct without_lifetime : defaults {
  using lifetime_policy = tidepool::no_lifetime;
};
struct without_breaker : defaults {
  using breaker_policy = tidepool::no_breaker;
};
struct bare : one_thread {
  using health_policy = tidepool::no_health_check;
  using leak_policy = tidepool::no_leak_detection;
  using scaling_policy = tidepool::no_scaling;
  using lifetime_policy = tidepool::no_lifetime;
  using breaker_policy = tidepool::no_breaker;
};

struct only_health : bare {
  using health_policy = tidepool::health_check;
};
struct only_leaks : bare {
  using leak_policy = tidepool::leak_detection;
};
struct only_scaling : bare {
  using scaling_policy = tidepool::utilization_scaling;
};
struct only_lifetime : bare {
  using lifetime_policy = tidepool::lifetime_recycling;
};
struct only_breaker : bare {
  using breaker_policy = tidepool::circuit_breaker;
};
struct every_lease_timed : defaults {
  static constexpr std::uint64_t hold_sampling = 1;
};
/// An observer that counts checkouts and check-ins.
struct counter {
  std::uint64_t* seen;
  void on_event(std::string_view, const tidepool::checkout_event&) noexcept { ++*seen; }
  void on_event(std::string_view, const tidepool::checkin_event&) noexcept { ++*seen; }
};
struct watched : defaults {
  using observer = counter;
};

inline tidepool::pool_config fixed_size(std::size_t size) {
  tidepool::pool_config config;
  config.min_size = config.max_size = size;
  config.max_connecting = size;
  config.auto_scale = false;
  return config;
}

inline asio::awaitable<nothing> connect_nothing() { co_return nothing{}; }

/// A context like that of a service: it always has a pending timer or socket, so its loop makes a system call from time to time. A pool has
/// such a timer, so the baseline needs one too.
struct waiting_context {
  asio::io_context io{1};
  asio::steady_timer due{io, std::chrono::hours(24)};
  waiting_context() {
    due.async_wait([](tidepool::error_code) {});
  }
};

/// Runs one coroutine to its end on a context that has other work (a pool's timer) as well.
template <class Executor>
void run(asio::io_context& io, asio::awaitable<void, Executor> work) {
  asio::co_spawn(Executor(io.get_executor()), std::move(work), [&io](std::exception_ptr failed) {
    if (failed) std::rethrow_exception(failed);
    io.stop();
  });
  io.restart();
  io.run();
}

template <class Traits>
struct opened_pool {
  using pool_type = tidepool::basic_pool<nothing, Traits>;
  asio::io_context io{1};
  pool_type pool;

  explicit opened_pool(const tidepool::pool_config& config, typename Traits::observer watcher = {})
      : pool(io, connect_nothing, config, watcher) {
    run(io, pool.open());
  }
};

}  // namespace tidepool_benchmarks

#endif
