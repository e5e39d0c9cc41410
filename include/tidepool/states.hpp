// SPDX-License-Identifier: BSL-1.0
// tidepool - the states of a pool and of its breaker, and how leases and connections end: for events, statistics, errors and policies.
#ifndef TIDEPOOL_STATES_HPP
#define TIDEPOOL_STATES_HPP

#include <cstddef>

#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Life cycle of a pool.
enum class pool_state {
  starting,   ///< not started, or `min_size` connections were not open yet; acquires are served as connections become ready
  healthy,    ///< serving
  degraded,   ///< serving, but the latest connect failed
  critical,   ///< no connection is alive and connecting fails
  suspended,  ///< acquires wait until `resume()`
  closing,    ///< acquires are refused; the pool waits for leases
  closed      ///< no connection is left
};

inline const char* to_string(pool_state state) noexcept {
  constexpr const char* names[] = {"starting", "healthy", "degraded", "critical", "suspended", "closing", "closed"};
  return names[static_cast<int>(state)];
}

/// State of a circuit breaker, see policy/breaker.hpp.
enum class breaker_state {
  closed,    ///< connecting is allowed
  open,      ///< connecting is refused until `retry_at`
  half_open  ///< one probe is under way
};

inline const char* to_string(breaker_state state) noexcept {
  switch (state) {
    case breaker_state::closed: return "closed";
    case breaker_state::open: return "open";
    case breaker_state::half_open: return "half-open";
  }
  return "?";
}

/// What to do with a connection at the end of its lease; see `after_lease` in connection.hpp.
enum class lease_end {
  clean,        ///< nothing to do: it can be handed out again at once
  needs_reset,  ///< usable after `reset()`; closed when the type has no `reset()`
  broken,       ///< to be destroyed
  retired,      ///< works, but has to be closed: it holds too much memory, for example
  unfinished,   ///< to be closed by `close()`, which ends the statement that still runs; its slot is free when the server has closed too
  outdated      ///< to be closed with every other connection made before now, as by `recycle()`: it is connected to the wrong server
};

/// Why a connection left the pool; in `destroyed_event` and `pool_stats::closed()`.
enum class close_reason {
  idle,          ///< idle for `idle_timeout`
  lifetime,      ///< older than `max_lifetime`
  max_uses,      ///< leased `max_uses` times
  retired,       ///< `after_lease()` returned `lease_end::retired`
  broken,        ///< found broken before a hand-out or at the end of a lease, or discarded by its holder
  invalid,       ///< validation failed
  reset_failed,  ///< the reset at return failed
  recycled,      ///< `recycle()`
  outdated,      ///< the servers changed: it, or another one made before, leads to a server of the wrong role or that went down as a whole
  shrunk,        ///< `resize()` or scaling
  abandoned,     ///< taken from a leaked lease at `abandon_timeout`
  reclaimed,     ///< `reclaim()` took it from its holder
  detached,      ///< the holder took it with `detach()`
  shutdown,      ///< the pool closed
  count_         ///< not a reason: the number of reasons
};
inline constexpr std::size_t close_reasons = static_cast<std::size_t>(close_reason::count_);

inline const char* to_string(close_reason reason) noexcept {
  constexpr const char* names[] = {"idle",     "lifetime", "max_uses", "retired",   "broken",    "invalid",  "reset_failed",
                                   "recycled", "outdated", "shrunk",   "abandoned", "reclaimed", "detached", "shutdown"};
  return reason == close_reason::count_ ? "?" : names[static_cast<int>(reason)];
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
