// SPDX-License-Identifier: BSL-1.0
// tidepool - how a connection moves through the pool: its operations, where it goes when it is free, and its end.
#ifndef TIDEPOOL_DETAIL_CORE_SLOT_MOVES_HPP
#define TIDEPOOL_DETAIL_CORE_SLOT_MOVES_HPP

#include <algorithm>

#include "../../version.hpp"
#include "../util/attributes.hpp"
#include "core_state.hpp"
#include "decisions.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

// --- operations -------------------------------------------------------------------------------------------------------

/// For a slot in no list, or, `checking`, in its place among the idle.
template <class Rules>
void run_operation(core_state<Rules>& c, core_slot& slot, slot_state during, slot_action what, duration limit, tick now) noexcept {
  c.slots.transition(slot, during);
  if (during != slot_state::checking) c.in_operation.push_back(slot);
  c.bounds.insert(slot.bound, later(now, limit));
  c.pending.ask(slot, what);
}
/// It is in no list afterwards; one that was checked is still in its place among the idle.
template <class Rules>
void leave_operation(core_state<Rules>& c, core_slot& slot) noexcept {
  if (slot.state != slot_state::checking) c.in_operation.erase(slot);
  c.bounds.erase(slot.bound);
}
template <class Rules>
void end_operation(core_state<Rules>& c, core_slot& slot) noexcept {
  leave_operation(c, slot);
  slot.operation.ended();
}
template <class Rules>
void check_in_place(core_state<Rules>& c, core_slot& slot, tick now) noexcept {
  run_operation(c, slot, slot_state::checking, slot_action::validate, c.config().validation_timeout, now);
}

// --- the end of a connection --------------------------------------------------------------------------------------------

/// A connection proved dead: the sweep looks at the others.
template <class Rules>
void suspect(core_state<Rules>& c, tick now) noexcept {
  if constexpr (Rules::can_check) {
    if (c.health.interval() == no_limit) return;
    if (c.due.suspect(now, c.config().validation_timeout)) c.idle.start_sweep();
  }
}
/// It is not the pool's any more. For a slot in no list; its user at the moment frees it.
template <class Rules>
void mark_gone(core_state<Rules>& c, core_slot& slot, close_reason reason, tick now) noexcept {
  c.ages.erase(slot.retire);
  if (slot.state != slot_state::connecting) {
    // A thread that destroys it may look at its reason, which is not written anew then.
    if (slot.reason != reason) slot.reason = reason;
    c.used.closed(reason);
    const bool retired = slot.state == slot_state::closing || slot.state == slot_state::destroying;
    if (!retired) c.used.retired(now);
  }
  c.slots.transition(slot, slot_state::gone);
}
/// For a slot in no list: without a word to its server.
template <class Rules>
void destroy(core_state<Rules>& c, core_slot& slot, close_reason reason, tick now) noexcept {
  if (reason == close_reason::broken || reason == close_reason::invalid || reason == close_reason::reset_failed) suspect(c, now);
  slot.reason = reason;
  c.ages.erase(slot.retire);
  c.used.retired(now);
  run_operation(c, slot, slot_state::destroying, slot_action::destroy, no_limit, now);
}
/// For a slot in no list.
template <class Rules>
void close_gracefully(core_state<Rules>& c, core_slot& slot, close_reason reason, tick now) noexcept {
  if (c.life.orphan()) return destroy(c, slot, reason, now);
  slot.reason = reason;
  c.ages.erase(slot.retire);
  c.used.retired(now);
  run_operation(c, slot, slot_state::closing, slot_action::close, c.config().close_timeout, now);
}
template <class Rules>
void close_idle(core_state<Rules>& c, core_slot& slot, close_reason reason, tick now) noexcept {
  c.idle.erase(slot);
  close_gracefully(c, slot, reason, now);
}
/// Ends the wait for an operation; its coroutine finds out.
template <class Rules>
void give_up_operation(core_state<Rules>& c, core_slot& slot, close_reason reason, tick now) noexcept {
  if (slot.state == slot_state::connecting) c.gate.abandoned(now);
  leave_operation(c, slot);
  if (slot.state == slot_state::checking) c.idle.erase(slot);
  mark_gone(c, slot, reason, now);
  c.pending.ask(slot, slot_action::cancel_op);
}
/// The holder keeps a lease of a connection whose socket is shut down, and frees it in the end.
template <class Rules>
void revoke_lease(core_state<Rules>& c, core_slot& slot, close_reason reason, tick now) noexcept {
  end_listing(c, slot, now);
  slot.must_take_slow_path = true;
  mark_gone(c, slot, reason, now);
  c.revoked.push_back(slot);
  c.pending.ask(slot, slot_action::abort_lease);
}
/// A new generation: connections of the old one are closed now or when they come back.
template <class Rules>
void outdate_all(core_state<Rules>& c, close_reason why, tick now) noexcept {
  ++c.generation;
  c.generation_ended = why;
  for (core_slot* slot = c.leased.front(); slot; slot = c.leased.after(*slot)) slot->must_take_slow_path = true;
  while (core_slot* slot = c.idle.oldest()) close_idle(c, *slot, why, now);
}

// --- whether it served ----------------------------------------------------------------------------------------------------

/// It is lost. Soon after its connect, and before it served a caller, that is a failed connect, or connecting to something that takes
/// logins and then hangs up would go on without a pause. `earlier`: leases before; `answered`: the server's last answer if that is known.
template <class Rules>
void note_loss(core_state<Rules>& c, core_slot& slot, std::uint64_t earlier, tick answered, tick now) noexcept {
  const bool served = c.has_served(slot) || (earlier > 0 && answered == not_known);
  if (served || now >= later(slot.born, c.config().retry_delay)) return;
  slot.died_unserved = c.gate.died_unserved(slot.wave, now, c.random);
}
/// It came back, or answered.
template <class Rules>
void note_service(core_state<Rules>& c, const core_slot& slot, tick answered) noexcept {
  if (slot.on_trial && (answered == not_known || c.has_served(slot))) c.gate.proved();
}

// --- a connection is free ---------------------------------------------------------------------------------------------------

/// Its age forbids another hand-out. Postpones the retirement where the gap to the previous one says so.
template <class Rules>
bool outlived(core_state<Rules>& c, core_slot& slot, tick now) noexcept {
  if constexpr (Rules::lifetime_policy::enabled) {
    if (now < slot.retire.at) return false;
    // What is left shares the time that is left, or those not replaced at once would bunch at the limit.
    const std::size_t open = c.slots.open();
    const duration left = (slot.hard_limit - now) / static_cast<duration::rep>(open);
    const tick spaced = later(c.due.last_retirement, (std::min)(c.lifetime.gap(open), left));
    if (now >= slot.hard_limit || now >= spaced) {
      c.due.last_retirement = now;
      return true;
    }
    c.ages.update(slot.retire, (std::min)(slot.hard_limit, spaced));
    c.refresh(slot);
  }
  return false;
}
/// What is known of a connection that is free, for `where_to()`; its age and its wear aside.
template <class Rules>
TIDEPOOL_ALWAYS_INLINE inline routing_input routing_facts(const core_state<Rules>& c, const core_slot& slot, lease_end end,
                                                          bool fresh) noexcept {
  routing_input f;
  f.end = end;
  f.running = c.life.running();
  f.admits = c.life.admits();
  f.current = slot.generation == c.generation;
  f.surplus = c.surplus();
  f.caller_waits = !c.waiters.empty();
  f.fresh = fresh;
  return f;
}
/// For a slot in no list. `validated`: it comes from a connect, a validation or a reset, not from its holder. Returns whether the caller at
/// the head of the queue is to have it.
template <class Rules>
bool route_slot(core_state<Rules>& c, core_slot& slot, lease_end end, bool validated, tick now) noexcept {
  routing_input f = routing_facts(c, slot, end, true);
  if (!validated) f.worn_out = c.worn_out(slot);  // asked at the end of a lease alone: a new connection was not used at all
  route next = where_to(f, c.generation_ended);
  if (next.to == destination::waiter || next.to == destination::idle) {
    // Its age is looked at only where that decides: the look may count as a retirement.
    f.too_old = outlived(c, slot, now);
    f.fresh = validated || now < slot.fresh_until;
    next = where_to(f, c.generation_ended);
  }
  switch (next.to) {
    case destination::destroy: destroy(c, slot, next.why, now); break;
    case destination::close: close_gracefully(c, slot, next.why, now); break;
    case destination::reset: run_operation(c, slot, slot_state::resetting, slot_action::reset, c.config().reset_timeout, now); break;
    case destination::waiter:
    case destination::idle:
      if (!slot.retire.linked) c.ages.insert(slot.retire, slot.retire.at);
      if (next.to == destination::waiter) return true;
      c.slots.transition(slot, slot_state::idle);
      c.idle.insert(slot);
  }
  return false;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
