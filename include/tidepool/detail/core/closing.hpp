// SPDX-License-Identifier: BSL-1.0
// tidepool - how a pool starts and how it ends.
#ifndef TIDEPOOL_DETAIL_CORE_CLOSING_HPP
#define TIDEPOOL_DETAIL_CORE_CLOSING_HPP

#include "../../version.hpp"
#include "callers.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

template <class Rules>
void start(core_state<Rules>& c, tick now) noexcept {
  if (!c.life.start()) return;
  c.load_seen_at = now;
  if constexpr (Rules::can_check) c.due.start_rounds(now, c.health.interval());
  if constexpr (Rules::scaling_policy::enabled) c.due.next_scaling = later(now, c.scaling.interval());
}

/// Everything that can be answered or closed at once is; leases and closes under way are waited for.
template <class Rules>
void begin_close(core_state<Rules>& c, tick now, core_actions& a) noexcept {
  c.life.begin_close();
  c.wants_connect = false;
  while (core_waiter* w = c.waiters.front()) fail(c, *w, errc::closed, a);
  while (core_waiter* w = c.waiters.opener()) finish(c, *w, errc::closed, a);
  while (core_slot* slot = c.idle.front()) {
    if (slot->state == slot_state::idle) {
      close_idle(c, *slot, close_reason::shutdown, now);
    } else {
      give_up_operation(c, *slot, close_reason::shutdown, now);
    }
  }
  core_slot* next = nullptr;
  for (core_slot* slot = c.in_operation.front(); slot; slot = next) {
    next = c.in_operation.after(*slot);
    const bool ends = slot->state == slot_state::closing || slot->state == slot_state::destroying;
    if (!ends) give_up_operation(c, *slot, close_reason::shutdown, now);
  }
}
/// How long leases are waited for from now on. The shortest time counts.
template <class Rules>
void limit_close(core_state<Rules>& c, duration grace, tick now) noexcept {
  const tick until = later(now, grace);
  if (until >= c.due.close_deadline) return;
  c.due.close_deadline = until;
  c.due.close_grace = grace;
}
/// The pool object goes away: what runs is given up, what has not begun becomes a plain end, and only holders of leases keep anything.
template <class Rules>
void abandon(core_state<Rules>& c, tick now, core_actions& a) noexcept {
  c.life.abandon();
  if (!c.life.stopped()) begin_close(c, now, a);
  core_slot* next = nullptr;
  for (core_slot* slot = c.in_operation.front(); slot; slot = next) {
    next = c.in_operation.after(*slot);
    if (slot->operation.reached() != slot_operation::phase::absent) {
      give_up_operation(c, *slot, slot->reason, now);
    } else if (slot->operation.hurry_close()) {
      c.slots.transition(*slot, slot_state::destroying);
      c.bounds.erase(slot->bound);
    }
  }
  while (core_waiter* w = c.waiters.closer()) finish(c, *w, errc::closed, a);
  c.due.close_deadline = never;
}
/// After the grace leases are taken from their holders; when nothing is left, close() is done.
template <class Rules>
void finish_closing(core_state<Rules>& c, tick now, core_actions& a) noexcept {
  if (now >= c.due.close_deadline) {
    while (core_slot* slot = c.reported.front()) revoke_lease(c, *slot, close_reason::shutdown, now);
    while (core_slot* slot = c.leased.front()) revoke_lease(c, *slot, close_reason::shutdown, now);
  }
  if (c.slots.total() > 0) return;
  c.life.finish();
  while (core_waiter* w = c.waiters.closer()) finish(c, *w, errc{}, a);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
