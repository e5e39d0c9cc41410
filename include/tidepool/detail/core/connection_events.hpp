// SPDX-License-Identifier: BSL-1.0
// tidepool - what the core hears of a connection: connected, validated, returned, reset, collected from the stash, closed.
#ifndef TIDEPOOL_DETAIL_CORE_CONNECTION_EVENTS_HPP
#define TIDEPOOL_DETAIL_CORE_CONNECTION_EVENTS_HPP

#include <algorithm>

#include "../../version.hpp"
#include "callers.hpp"
#include "reconfigure.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// For a slot in no list: to the caller at the head of the queue, which is true, to the idle ones, or away.
template <class Rules>
bool route_and_grant(core_state<Rules>& c, core_slot& slot, lease_end end, bool validated, tick now, core_actions& a) noexcept {
  const bool to_waiter = route_slot(c, slot, end, validated, now);
  if (to_waiter) grant(c, *c.waiters.front(), slot, now, false, a);
  return to_waiter;
}

// --- connecting -------------------------------------------------------------------------------------------------------

/// An attempt the shell was asked for begins. False: not wanted any more, and the slot is not the core's.
template <class Rules>
bool begin_connect(core_state<Rules>& c, core_slot& slot, tick now) noexcept {
  c.slots.connect_answered();
  if (!c.life.running()) {
    c.gate.abandoned(now);
    return false;
  }
  slot.id = ++c.last_id;
  slot.generation = c.generation;
  slot.wave = c.gate.wave();
  slot.born = now;
  slot.operation.begin();
  c.slots.add(slot);
  c.in_operation.push_back(slot);
  c.bounds.insert(slot.bound, later(now, c.config().connect_timeout));
  return true;
}
template <class Rules>
void enter_connected(core_state<Rules>& c, core_slot& slot, tick now, core_actions& a) noexcept {
  end_operation(c, slot);
  c.gate.succeeded(now);
  c.used.connected(now, now - slot.born);
  c.returns.connect_took(now - slot.born);
  slot.born = slot.last_ok = slot.idle_since = now;
  if constexpr (Rules::lifetime_policy::enabled) {
    slot.hard_limit = c.lifetime.hard_limit(now);
    slot.retire.at = (std::min)(slot.hard_limit, c.lifetime.soft_limit(now, c.random.unit()));
    slot.aged_by = c.config_changes;
  }
  c.refresh(slot);
  if (c.gate.doubtful()) slot.on_trial = slot.must_settle_at_return = slot.must_take_slow_path = true;
  route_and_grant(c, slot, lease_end::clean, true, now, a);
}

// --- validation and reset -----------------------------------------------------------------------------------------------

template <class Rules>
void end_validation(core_state<Rules>& c, core_slot& slot, bool ok, tick now, core_actions& a) noexcept {
  c.used.validated(ok);
  const bool in_place = slot.state == slot_state::checking;
  end_operation(c, slot);
  if (!ok) {
    note_idle_death(c, slot, now, now);
    note_loss(c, slot, slot.uses, not_known, now);
    if (in_place) c.idle.erase(slot);
    return destroy(c, slot, close_reason::invalid, now);
  }
  c.horizon.lived(now - silent_since(slot));
  slot.last_ok = now;
  slot.answered = true;
  c.refresh(slot);
  note_service(c, slot, now);
  if (!in_place) {
    if (route_and_grant(c, slot, lease_end::clean, true, now, a)) c.used.served_validated();
    return;
  }
  c.slots.transition(slot, slot_state::idle);
  if (!slot.retire.linked) c.ages.insert(slot.retire, slot.retire.at);
  if (slot.generation != c.generation) close_idle(c, slot, c.generation_ended, now);
}
template <class Rules>
void end_reset(core_state<Rules>& c, core_slot& slot, bool ok, tick now, core_actions& a) noexcept {
  end_operation(c, slot);
  c.used.reset();
  if (!ok) {
    note_loss(c, slot, slot.uses - 1, not_known, now);
    return destroy(c, slot, close_reason::reset_failed, now);
  }
  slot.idle_since = now;
  c.note_answer(slot, now);
  note_service(c, slot, now);
  route_and_grant(c, slot, lease_end::clean, true, now, a);
}

// --- leases come back -----------------------------------------------------------------------------------------------------

inline void forget_report(core_slot& slot) noexcept { slot.leak_reported = slot.must_settle_at_return = slot.on_trial = false; }

/// `discarded`: broken by the word of its holder alone.
template <class Rules>
void take_return(core_state<Rules>& c, core_slot& slot, lease_end end, bool discarded, tick now, tick last_ok, duration held,
                 core_actions& a) noexcept {
  if (slot.leak_reported) {
    a.leak_returned = true;
    a.leak = report_of(slot, now);
    c.used.leak_returned();
  }
  // Its server, which tells when it answers, has not answered anything that its holder said: it was dead before. For how long it was
  // silent in the stash is not known.
  const bool unanswered = last_ok != not_known && last_ok <= slot.listed && slot.listed == tick(slot.checked_out);
  if (end == lease_end::broken && !discarded && unanswered) note_idle_death(c, slot, slot.listed, now);
  end_lease(c, slot, now, last_ok, held);
  if (end == lease_end::broken && !discarded) note_loss(c, slot, slot.uses - 1, last_ok, now);
  if (end == lease_end::clean || end == lease_end::outdated || end == lease_end::retired) note_service(c, slot, last_ok);
  forget_report(slot);
  age_again(c, slot);
  if (end == lease_end::outdated && slot.generation == c.generation) outdate_all(c, close_reason::outdated, now);
  slot.idle_since = now;
  route_and_grant(c, slot, end, false, now, a);
}
template <class Rules>
void detach_lease(core_state<Rules>& c, core_slot& slot, tick now) noexcept {
  if (slot.leak_reported) c.used.leak_returned();
  end_lease(c, slot, now, not_known, not_timed);
  forget_report(slot);
  mark_gone(c, slot, close_reason::detached, now);
}
/// From the stash into the idle list, or away. `suspected`: it may be dead, and is looked at.
template <class Rules>
void take_from_stash(core_state<Rules>& c, core_slot& slot, tick now, bool suspected) noexcept {
  if (slot.state == slot_state::gone) {  // taken from its holder before it was stashed
    if (slot.linked()) c.revoked.erase(slot);
    if (slot.operation.let_go()) c.pending.ask(slot, slot_action::discard);
    return;
  }
  end_lease(c, slot, slot.stashed_at, not_known, not_timed);
  if (slot.leak_reported) c.used.leak_returned();
  forget_report(slot);
  age_again(c, slot);
  slot.idle_since = slot.stashed_at;
  c.slots.transition(slot, slot_state::idle);
  c.idle.insert(slot);
  if (!slot.retire.linked) c.ages.insert(slot.retire, slot.retire.at);
  if (c.life.stopped()) {
    close_idle(c, slot, close_reason::shutdown, now);
  } else if (slot.generation != c.generation) {
    close_idle(c, slot, c.generation_ended, now);
  } else if (Rules::can_check && suspected) {
    check_in_place(c, slot, now);
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
