// tidepool - what the pool tells an observer, and the words for it.
#ifndef TIDEPOOL_EVENTS_HPP
#define TIDEPOOL_EVENTS_HPP

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "detail/bounded_string.hpp"
#include "detail/source_location.hpp"
#include "policy/breaker.hpp"
#include "time.hpp"

namespace tidepool {

/// Counts up over a pool's life; never used twice.
using connection_id = std::uint64_t;

/// Life cycle of a pool.
enum class pool_state {
  starting,   ///< `min_size` connections were not there yet
  healthy,    ///< serving
  degraded,   ///< serving, but connecting fails
  critical,   ///< no connection is alive and connecting fails
  suspended,  ///< acquires wait until `resume()`
  closing,    ///< no more acquires; leases are awaited
  closed      ///< nothing is left
};

inline const char* to_string(pool_state state) noexcept {
  constexpr const char* names[] = {"starting", "healthy", "degraded", "critical", "suspended", "closing", "closed"};
  return names[static_cast<int>(state)];
}

/// Why a connection left the pool.
enum class close_reason {
  idle,          ///< idle for `idle_timeout`
  lifetime,      ///< older than `max_lifetime`
  max_uses,      ///< leased `max_uses` times
  broken,        ///< found dead at hand-out, at return or by the holder's `discard()`
  invalid,       ///< validation failed
  reset_failed,  ///< the reset at return failed
  recycled,      ///< `recycle()`
  shrunk,        ///< `resize()` or scaling
  abandoned,     ///< taken from a leaked lease
  detached,      ///< the holder took it with `detach()`
  shutdown,      ///< the pool closed
  count_         ///< not a reason: how many there are
};
inline constexpr std::size_t close_reasons = static_cast<std::size_t>(close_reason::count_);

inline const char* to_string(close_reason reason) noexcept {
  constexpr const char* names[] = {"idle",     "lifetime", "max_uses",  "broken",   "invalid", "reset_failed",
                                   "recycled", "shrunk",   "abandoned", "detached", "shutdown"};
  return reason == close_reason::count_ ? "?" : names[static_cast<int>(reason)];
}

/// One lease as reports show it. The label is what the holder said of himself, cut to 47 bytes.
struct lease_report {
  connection_id id = 0;
  source_location acquired_at{};
  duration held{};
  bounded_string<47> label{};
};

struct created_event {
  connection_id id;
  duration connect_time;
};
struct destroyed_event {
  connection_id id;
  close_reason reason;
  duration age;
};
struct checkout_event {
  connection_id id;
  duration waited;
};
struct checkin_event {
  connection_id id;
  duration held;
};
struct connect_failed_event {
  std::string_view error;
  std::size_t failures_in_a_row;
};
struct health_failed_event {
  connection_id id;
  std::string_view error;
};
struct leak_event {
  enum class kind { detected, returned, reclaimed };
  kind what;
  lease_report lease;
  std::string_view stack;  ///< one symbol a line; empty unless `track_stack_trace`
};
struct scaled_event {
  std::size_t from;
  std::size_t to;
  double utilization;
};
struct breaker_event {
  breaker_state from;
  breaker_state to;
};
struct state_event {
  pool_state from;
  pool_state to;
  std::string_view reason;
};
struct slow_acquire_event {
  duration waited;
  source_location where;
};

}  // namespace tidepool

#endif
