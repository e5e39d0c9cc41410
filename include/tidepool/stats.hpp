// tidepool - one self-consistent picture of a pool: gauges, counters, distributions.
#ifndef TIDEPOOL_STATS_HPP
#define TIDEPOOL_STATS_HPP

#include <array>
#include <cstdint>
#include <string>

#include "detail/histogram.hpp"
#include "events.hpp"

namespace tidepool {

/// Taken under the pool's lock in one go: gauges add up, counters never go back. A plain value.
struct pool_stats {
  bounded_string<63> name{};
  pool_state state{};
  breaker_state breaker{};

  // --- gauges -----------------------------------------------------------------------------------------------------
  std::size_t total_connections = 0;  ///< all of the below
  std::size_t active_connections = 0;
  std::size_t idle_connections = 0;
  std::size_t connecting = 0;
  std::size_t validating = 0;
  std::size_t resetting = 0;
  std::size_t closing = 0;
  std::size_t waiting = 0;  ///< callers in the queue
  std::size_t leaked = 0;   ///< leases reported as leaked and still out
  std::size_t min_size = 0;
  std::size_t max_size = 0;
  std::size_t target_size = 0;  ///< what scaling aims at
  std::size_t min_idle = 0;

  // --- acquires, by outcome ---------------------------------------------------------------------------------------
  std::uint64_t direct = 0;  ///< served at once
  std::uint64_t waited = 0;  ///< served after a wait
  std::uint64_t timeouts = 0;
  std::uint64_t rejected_full = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t refused_open = 0;  ///< breaker open
  std::uint64_t refused_connect = 0;
  std::uint64_t refused_closed = 0;
  std::uint64_t total_checkouts = 0;   ///< direct + waited
  std::uint64_t total_checkins = 0;    ///< leases that ended, whatever became of the connection
  std::uint64_t failed_checkouts = 0;  ///< all that failed, cancelled ones included

  // --- connections ------------------------------------------------------------------------------------------------
  std::uint64_t connects_started = 0;
  std::uint64_t connections_created = 0;
  std::uint64_t connection_errors = 0;  ///< failed connects
  std::uint64_t validations = 0;
  std::uint64_t validation_failures = 0;
  std::uint64_t resets = 0;
  std::array<std::uint64_t, close_reasons> closed_by_reason{};
  std::uint64_t closed(close_reason reason) const noexcept { return closed_by_reason[static_cast<std::size_t>(reason)]; }
  std::uint64_t connections_closed = 0;  ///< the sum over all reasons

  // --- leaks ------------------------------------------------------------------------------------------------------
  std::uint64_t leaks_detected = 0;
  std::uint64_t leaks_returned = 0;
  std::uint64_t leaks_reclaimed = 0;

  // --- distributions ----------------------------------------------------------------------------------------------
  histogram wait_time;     ///< from acquire to lease, of all checkouts; those served at once count as zero
  histogram hold_time;     ///< from lease to return, of a sample of leases (`Traits::hold_sampling`)
  histogram connect_time;  ///< of successful connects

  /// Mean and longest time an acquire took.
  duration avg_checkout_time{};
  duration max_checkout_time{};

  std::uint64_t generation = 0;  ///< counts `recycle()` calls, and first connections of a generation that came back `outdated`

  /// Leased share of the open connections, 0..1.
  double utilization() const noexcept {
    return total_connections ? static_cast<double>(active_connections) / static_cast<double>(total_connections) : 0.0;
  }
  /// One JSON object; durations in seconds.
  std::string to_json() const;
};

/// What a load balancer wants to know.
enum class health_status { healthy, degraded, unhealthy };
inline const char* to_string(health_status status) noexcept {
  constexpr const char* names[] = {"healthy", "degraded", "unhealthy"};
  return names[static_cast<int>(status)];
}
struct health_verdict {
  health_status status;
  const char* reason;
};

/// The usual rules: unhealthy when the pool is critical, closing or closed, or when more than `max_failed` checkouts failed since `before`
/// (a snapshot of some seconds ago; without it failures since the start of the pool count, for ever); degraded when suspended, when
/// connecting fails, or when more than 95 % of the connections are leased.
inline health_verdict assess(const pool_stats& now, const pool_stats& before = {}, std::uint64_t max_failed = 100) noexcept {
  switch (now.state) {
    case pool_state::critical: return {health_status::unhealthy, "pool critical"};
    case pool_state::closing:
    case pool_state::closed: return {health_status::unhealthy, "pool closed"};
    default: break;
  }
  if (now.failed_checkouts - before.failed_checkouts > max_failed) return {health_status::unhealthy, "high error rate"};
  if (now.state == pool_state::degraded) return {health_status::degraded, "connecting fails"};
  if (now.state == pool_state::suspended) return {health_status::degraded, "suspended"};
  if (now.utilization() > 0.95) return {health_status::degraded, "high utilization"};
  return {health_status::healthy, ""};
}

}  // namespace tidepool

#include "detail/stats_json.hpp"

#endif
