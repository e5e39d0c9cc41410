// SPDX-License-Identifier: BSL-1.0
// tidepool - a consistent snapshot of a pool: gauges, counters, distributions.
#ifndef TIDEPOOL_STATS_HPP
#define TIDEPOOL_STATS_HPP

#include <array>
#include <cstdint>
#include <string>

#include "detail/util/linkage.hpp"
#include "detail/util/smaller.hpp"
#include "events.hpp"
#include "histogram.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Taken under the pool's lock at one time: gauges add up, counters never decrease. A plain value of about 8 kB.
struct pool_stats {
  bounded_string<63> name{};  ///< `pool_config::name`
  pool_state state{};
  breaker_state breaker{};

  // --- gauges -----------------------------------------------------------------------------------------------------
  std::size_t total_connections = 0;   ///< all of the below
  std::size_t active_connections = 0;  ///< leased
  std::size_t idle_connections = 0;
  std::size_t connecting = 0;
  std::size_t validating = 0;
  std::size_t resetting = 0;
  std::size_t closing = 0;   ///< being closed; they count against `max_size` until they are gone
  std::size_t waiting = 0;   ///< callers in the queue
  std::size_t leaked = 0;    ///< leases reported as leaked and not given back yet
  std::size_t silent = 0;    ///< leases that have waited for their server's answer for 5 s, or half the `response_timeout`
  std::size_t min_size = 0;  ///< the bounds at present; `resize()` moves them
  std::size_t max_size = 0;
  std::size_t target_size = 0;  ///< what scaling aims at
  std::size_t min_idle = 0;
  /// What the connections hold of this process's memory, as far as their type tells (`memory_bytes()`); a lease counts as its connection
  /// was when it was last idle at a `stats()`, or new. Zero where the type does not tell.
  std::size_t memory_bytes = 0;
  std::size_t driver_threads = 0;  ///< that the driver runs in this process now, for all pools of this type (`driver_threads()`)

  // --- acquires, by outcome ---------------------------------------------------------------------------------------
  std::uint64_t direct = 0;            ///< served at once
  std::uint64_t waited = 0;            ///< served after a wait
  std::uint64_t timeouts = 0;          ///< `errc::timeout`
  std::uint64_t rejected_full = 0;     ///< `errc::queue_full`
  std::uint64_t cancelled = 0;         ///< `errc::cancelled`
  std::uint64_t refused_open = 0;      ///< `errc::circuit_open`
  std::uint64_t refused_connect = 0;   ///< `errc::connect_failed`
  std::uint64_t refused_closed = 0;    ///< `errc::closed`
  std::uint64_t total_checkouts = 0;   ///< direct + waited
  std::uint64_t total_checkins = 0;    ///< leases that ended in any way
  std::uint64_t failed_checkouts = 0;  ///< the sum of the six above, cancelled ones included; an empty `try_acquire()` is no failure

  // --- connections ------------------------------------------------------------------------------------------------
  std::uint64_t connects_started = 0;
  std::uint64_t connections_created = 0;
  std::uint64_t connection_errors = 0;  ///< failed connects
  std::uint64_t validations = 0;        ///< before a hand-out and in the background
  std::uint64_t validation_failures = 0;
  /// Leases handed out without the round trip that `pre_ping` or `test_on_borrow` asks for: the server had answered within `alive_bypass`,
  /// the connection was new, or the caller does not wait. Counts while one of the two is on.
  std::uint64_t validations_skipped = 0;
  std::uint64_t resets = 0;  ///< at the end of a lease
  std::array<std::uint64_t, close_reasons> closed_by_reason{};
  /// How many were closed for this reason.
  std::uint64_t closed(close_reason reason) const noexcept { return closed_by_reason[static_cast<std::size_t>(reason)]; }
  std::uint64_t connections_closed = 0;  ///< the sum over all reasons

  // --- leaks ------------------------------------------------------------------------------------------------------
  std::uint64_t leaks_detected = 0;   ///< leases held for `leak_timeout`
  std::uint64_t leaks_returned = 0;   ///< of these, given back
  std::uint64_t leaks_reclaimed = 0;  ///< of these, lost their connection at `abandon_timeout`

  std::uint64_t stalls = 0;  ///< times that a timer fired `stall_threshold` late, or the machine slept for so long
  duration idle_horizon{};   ///< connections that were idle for longer were found dead, see `idle_horizon_event`; zero: none is known

  // --- the latest hourly advice (`advice_event`); zeros: there was none ----------------------------------------------
  std::size_t advised_min_size = 0;
  std::size_t advised_max_size = 0;
  duration expected_p99{};  ///< wait that is expected of the present size in 99 of 100 acquires

  // --- distributions ----------------------------------------------------------------------------------------------
  histogram wait_time;     ///< from acquire to lease, of all checkouts; those served at once count as zero
  histogram hold_time;     ///< from lease to return, of a sample of leases (`Traits::hold_sampling`)
  histogram connect_time;  ///< of successful connects

  /// Mean and longest time an acquire took.
  duration avg_checkout_time{};
  duration max_checkout_time{};

  duration longest_silence{};  ///< of the leases counted in `silent`

  std::uint64_t generation = 0;  ///< counts `recycle()` calls, and first connections of a generation that came back `outdated`

  /// Leased share of the open connections, 0..1: scaling uses this. A small pool that may still grow is often at 1.
  double utilization() const noexcept { return share(total_connections); }
  /// Leased share of `max_size`, 0..1: alerts and `assess()` use this. At 1 the next caller has to wait for the end of a lease.
  double saturation() const noexcept { return share(max_size); }
  /// One JSON object on one line; durations in seconds. Allocates the text; does not use the pool.
  TIDEPOOL_DECL std::string to_json() const;

 private:
  double share(std::size_t of) const noexcept {
    return of ? detail::smaller_of(1.0, static_cast<double>(active_connections) / static_cast<double>(of)) : 0.0;
  }
};

/// The health of a pool, for a load balancer.
enum class health_status { healthy, degraded, unhealthy };
inline const char* to_string(health_status status) noexcept {
  constexpr const char* names[] = {"healthy", "degraded", "unhealthy"};
  return names[static_cast<int>(status)];
}
/// What `assess()` says.
struct health_verdict {
  health_status status;
  const char* reason;  ///< static text; empty when healthy
};

/// Judges a snapshot by these rules, the worst first:
/// - unhealthy when the pool is critical, closing or closed;
/// - unhealthy when more than `max_failed` acquires failed since `before`, a snapshot of some seconds ago. Without it all since the start
/// of
///   the pool count. Acquires that their callers cancelled do not count;
/// - degraded when half of the leases wait for a silent server, when connecting fails while connections are alive, when the pool is
/// suspended, and when more than 95 % of `max_size` is leased.
///   A pool that may still grow is not degraded for being busy. A degraded pool serves: take only an unhealthy one out of rotation.
TIDEPOOL_DECL health_verdict assess(const pool_stats& now, const pool_stats& before = {}, std::uint64_t max_failed = 100) noexcept;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#if TIDEPOOL_HEADER_ONLY
#include "impl/stats.ipp"
#endif

#endif
