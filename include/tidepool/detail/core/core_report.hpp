// SPDX-License-Identifier: BSL-1.0
// tidepool - what the core says of itself: its state and why, figures, and how connecting goes.
#ifndef TIDEPOOL_DETAIL_CORE_CORE_REPORT_HPP
#define TIDEPOOL_DETAIL_CORE_CORE_REPORT_HPP

#include <algorithm>

#include "../../version.hpp"
#include "core_state.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

template <class Rules>
pool_state state_of(const core_state<Rules>& c) noexcept {
  if (c.life.closed()) return pool_state::closed;
  if (c.life.stopped()) return pool_state::closing;
  if (c.life.suspended()) return pool_state::suspended;
  if (c.life.fresh()) return pool_state::starting;
  if (c.gate.streak() > 0) return c.slots.live() == 0 ? pool_state::critical : pool_state::degraded;
  return c.warm ? pool_state::healthy : pool_state::starting;
}

/// Why it is in this state, in words.
template <class Rules>
const char* state_reason(const core_state<Rules>& c) noexcept {
  switch (state_of(c)) {
    case pool_state::starting: return "opening";
    case pool_state::healthy: return "connections are there";
    case pool_state::suspended: return "suspended";
    case pool_state::closing: return "close() was called";
    case pool_state::closed: return "nothing is left";
    default: break;
  }
  const bool alive = c.slots.live() > 0;
  switch (c.gate.kind()) {
    case failure_kind::permanent: return alive ? "connecting fails for good" : "no connection is alive and connecting fails for good";
    case failure_kind::server_full: return alive ? "the server has no more room" : "no connection is alive and the server has no room";
    case failure_kind::starting: return alive ? "the server is starting up" : "no connection is alive and the server is starting up";
    case failure_kind::wrong_role:
      return alive ? "no further server has the wanted role" : "no connection is alive and no server has the wanted role";
    case failure_kind::refused: return alive ? "no server listens" : "no connection is alive and no server listens";
    default: return alive ? "connecting fails" : "no connection is alive and connecting fails";
  }
}

template <class Rules>
connect_outlook outlook_of(const core_state<Rules>& c, tick now) noexcept {
  connect_outlook out;
  out.failures_in_a_row = c.gate.streak();
  if (out.failures_in_a_row == 0) return out;
  out.kind = c.gate.kind();
  out.failing_for = now - c.gate.failing_since();
  if (!c.life.admits() || c.slots.connecting() > 0) return out;
  out.possible = (std::max)(c.gate.opens_at(0) - now, duration::zero());
  if (c.wants_connect) out.next_look = out.possible;
  return out;
}

template <class Rules>
pool_gauges gauges_of(const core_state<Rules>& c) noexcept {
  pool_gauges out;
  out.state = state_of(c);
  out.breaker = c.gate.state();
  out.active = c.slots.leased();
  out.idle = c.slots.idle();
  out.connecting = c.slots.connecting();
  out.validating = c.slots.count(slot_state::validating) + c.slots.count(slot_state::checking);
  out.resetting = c.slots.count(slot_state::resetting);
  out.closing = c.slots.closing();
  out.min_size = (std::min)(c.min, c.max);
  out.max_size = c.max;
  out.waiting = c.waiters.size();
  return out;
}

/// Leases handed out so far. What they did in the stash is added up when they end; of those that are out it is added here.
template <class Rules>
std::uint64_t checkouts_of(const core_state<Rules>& c) noexcept {
  std::uint64_t out = c.used.totals().direct + c.used.totals().waited;
  for (const auto* list : {&c.leased, &c.reported}) {
    for (const core_slot* s = list->front(); s; s = list->after(*s)) out += s->reuses - s->reuses_seen;
  }
  return out;
}

template <class Rules>
void write_snapshot(const core_state<Rules>& c, pool_stats& out) noexcept {
  out = c.used.totals();
  const pool_gauges now = gauges_of(c);
  out.name = c.config().name;
  out.state = now.state;
  out.breaker = now.breaker;
  out.total_connections = c.slots.total();
  out.active_connections = now.active;
  out.idle_connections = now.idle;
  out.connecting = now.connecting;
  out.validating = now.validating;
  out.resetting = now.resetting;
  out.closing = now.closing;
  out.waiting = now.waiting;
  out.leaked = c.reported.size();
  out.min_size = c.min;
  out.max_size = c.max;
  out.target_size = c.target;
  out.min_idle = c.config().min_idle;
  out.total_checkouts = checkouts_of(c);
  out.direct = out.total_checkouts - out.waited;
  out.validations_skipped = c.used.skipped(out.total_checkouts);
  out.total_checkins = out.total_checkouts - out.active_connections;
  out.failed_checkouts = out.timeouts + out.rejected_full + out.cancelled + out.refused_open + out.refused_connect + out.refused_closed;
  out.wait_time.record(duration::zero(), out.direct);
  out.avg_checkout_time = out.wait_time.mean();
  out.max_checkout_time = (out.wait_time.max)();
  out.idle_horizon = c.horizon.horizon();
  out.generation = c.generation;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
