// SPDX-License-Identifier: BSL-1.0
// tidepool - Traits: the clock, mutex, timer, executors and policies of a pool, chosen at compile time.
#ifndef TIDEPOOL_TRAITS_HPP
#define TIDEPOOL_TRAITS_HPP

#include <chrono>
#include <concepts>
#include <cstdint>
#include <mutex>

#include "detail/util/asio.hpp"
#include "detail/util/attributes.hpp"
#include "detail/util/system_seed.hpp"
#include "policy/breaker.hpp"
#include "policy/health.hpp"
#include "policy/leak.hpp"
#include "policy/lifetime.hpp"
#include "policy/no_recorder.hpp"
#include "policy/observer.hpp"
#include "policy/queue.hpp"
#include "policy/scaling.hpp"
#include "tracing.hpp"
#include "version.hpp"

#if defined(__linux__)
#include <time.h>
#endif

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// A mutex that does nothing, for pools that are used from one thread only.
struct null_mutex {
  void lock() noexcept {}
  void unlock() noexcept {}
  bool try_lock() noexcept { return true; }
};

/// The defaults. Derive from this and declare again what has to be different:
///
///     struct my_traits : tidepool::default_traits<my_connection> {
///       using mutex_type = tidepool::null_mutex;
///     };
template <class Connection>
struct default_traits {
  using connection_type = Connection;
  /// The executor of the pool's timer and operations, and of the coroutines that call `acquire()`. A concrete executor type saves about 40
  /// ns for each hand-off. A pool releases an `any_io_executor` when its context is destroyed; with another type that holds a strand no
  /// lease may outlive the context.
  using executor_type = asio::any_io_executor;
  /// The executor of the awaitables that the connector and the connection's operations return.
  using operation_executor = asio::any_io_executor;
  using clock_type = std::chrono::steady_clock;
  /// `null_mutex` for programs that use the pool from one thread only.
  using mutex_type = std::mutex;

  using health_policy = health_check;
  using leak_policy = leak_detection;
  using scaling_policy = utilization_scaling;
  using lifetime_policy = lifetime_recycling;
  using queue_policy = fifo_queue;
  using breaker_policy = circuit_breaker;
  using observer = null_observer;
  /// `recorder` (policy/recorder.hpp) keeps the last events, for a look at what went wrong.
  using recorder_policy = no_recorder;
  /// Gets spans of what the pool does; see tracing.hpp. Traits may lack it.
  using tracer = null_tracer;

  /// The first leases of a connection are timed for `pool_stats::hold_time`; later one of this many, which then counts as this many. Timing
  /// costs two reads of the clock.
  static constexpr std::uint64_t hold_sampling = 64;
  /// How soon the share falls: after n leases one of n / `hold_sampling_ramp` is timed; 0: at once. A timed lease takes the slow path (the
  /// lock) when it ends, see `stash.hpp`.
  static constexpr std::uint64_t hold_sampling_ramp = 16;

  /// How far `coarse_now()` may be behind `clock_type`.
  static constexpr std::chrono::nanoseconds coarse_lag = std::chrono::milliseconds(10);
  /// A cheap clock for un-contended checkouts and long queues, by default cheap on Linux only. Ignored when it is not of `clock_type`.
  TIDEPOOL_ALWAYS_INLINE static std::chrono::steady_clock::time_point coarse_now() noexcept {
#if defined(__linux__) && defined(CLOCK_MONOTONIC_COARSE)
    timespec now{};
    if (::clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0) {  // NOLINT(clock): the default of Traits
      return std::chrono::steady_clock::time_point(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
    }
#endif
    return std::chrono::steady_clock::now();  // NOLINT(clock): the default of Traits
  }
  /// For how long the machine has been asleep so far, where `clock_type` stands still meanwhile; zero where nobody knows, by default
  /// anywhere but on Linux. A pool asks when its timer fires, see `stall_event`.
  static duration suspended() noexcept {
#if defined(__linux__) && defined(CLOCK_BOOTTIME)
    const auto read = [](clockid_t which) {
      timespec at{};
      (void)::clock_gettime(which, &at);  // NOLINT(clock): the default of Traits
      return std::chrono::seconds(at.tv_sec) + std::chrono::nanoseconds(at.tv_nsec);
    };
    for (int tries = 0; tries < 8; ++tries) {
      const auto before = read(CLOCK_MONOTONIC);
      const auto with_sleep = read(CLOCK_BOOTTIME);
      if (read(CLOCK_MONOTONIC) - before < std::chrono::milliseconds(1)) return with_sleep - before;  // else it was interrupted
    }
#endif
    return {};
  }
  /// The seed of a pool's random numbers (jitter).
  static std::uint64_t random_seed() { return detail::seed_of_system(); }
  // Optional: `using timer_type = ...;` with a constructor from executor_type, `expires_at(time_point)`, `async_wait(void(error_code))`,
  // `cancel()`. Default: asio::basic_waitable_timer<clock_type>.
};

namespace detail {

template <class Traits>
tick precise_now() noexcept {
  return tick_of(Traits::clock_type::now());
}
template <class Traits>
inline constexpr bool has_coarse_clock = requires(typename Traits::clock_type::time_point t) {
  t = Traits::coarse_now();
};
template <class Traits>
TIDEPOOL_ALWAYS_INLINE inline tick coarse_now() noexcept {
  if constexpr (has_coarse_clock<Traits>) {
    return tick_of(Traits::coarse_now());
  }
  return precise_now<Traits>();
}
/// Rounds up to the clock's resolution: a timer that fires too early would be set to the same time again.
template <class Traits>
typename Traits::clock_type::time_point time_of(tick at) noexcept {
  return typename Traits::clock_type::time_point(std::chrono::ceil<typename Traits::clock_type::duration>(at.time_since_epoch()));
}

template <class Traits>
struct timer_of {
  using clock = typename Traits::clock_type;
  using type = asio::basic_waitable_timer<clock, asio::wait_traits<clock>, typename Traits::executor_type>;
};
template <class Traits>
requires requires { typename Traits::timer_type; }
struct timer_of<Traits> {
  using type = typename Traits::timer_type;
};

}  // namespace detail

/// An executor of Asio: the type of an executor, not of a context.
template <class E>
concept executor_form = asio::execution::is_executor<E>::value;
/// A clock: `now()`, which is static, returns its `time_point`.
template <class C>
concept clock_form = requires {
  typename C::duration;
  { C::now() } -> std::same_as<typename C::time_point>;
};
/// What `std::unique_lock` can lock.
template <class M>
concept mutex_form = std::default_initializable<M> && requires(M& m) {
  m.lock();
  m.unlock();
};
/// A timer in the form of Asio's.
template <class T, class Executor, class Clock>
concept timer_form = std::constructible_from<T, const Executor&> &&
    requires(T& t, typename Clock::time_point at, void (*done)(error_code)) {
  t.expires_at(at);
  t.async_wait(done);
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
