// SPDX-License-Identifier: BSL-1.0
// tidepool - what becomes of a caller: served, queued, refused, or back in its place when its connection proved dead.
#ifndef TIDEPOOL_DETAIL_CORE_CALLERS_HPP
#define TIDEPOOL_DETAIL_CORE_CALLERS_HPP

#include <algorithm>
#include <utility>

#include "../../version.hpp"
#include "slot_moves.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

// --- the end of a wait --------------------------------------------------------------------------------------------------

template <class Rules>
void finish(core_state<Rules>& c, core_waiter& w, errc error, core_actions& a) noexcept {
  c.waiters.remove(w);
  w.at = core_waiter::stage::done;
  w.error = error;
  a.explain |= w.explain && error != errc{};
  a.done.push_back(w);
}
/// An acquire that gets nothing.
template <class Rules>
void fail(core_state<Rules>& c, core_waiter& w, errc error, core_actions& a) noexcept {
  c.used.refused(error);
  a.failed = true;
  finish(c, w, error, a);
}
/// Makes `slot`, which is in no list, the lease of `w`.
template <class Rules>
void deliver(core_state<Rules>& c, core_waiter& w, core_slot& slot, tick now, bool from_idle) noexcept {
  w.direct = w.at == core_waiter::stage::fresh;
  c.waiters.remove(w);
  check_out(c, slot, now, w.where);
  w.slot = &slot;
  w.from_idle = from_idle;
  w.at = core_waiter::stage::done;
  w.error = errc{};
  c.used.served(w, now);
}
template <class Rules>
void grant(core_state<Rules>& c, core_waiter& w, core_slot& slot, tick now, bool from_idle, core_actions& a) noexcept {
  deliver(c, w, slot, now, from_idle);
  a.done.push_back(w);
}

// --- an acquire arrives -------------------------------------------------------------------------------------------------

template <class Rules>
void arrive(core_state<Rules>& c, core_waiter& w, tick now) noexcept {
  w.since = now;
  w.ticket = c.waiters.next_ticket();
  w.failures_seen = c.gate.total();
}
/// What is known when a caller asks, for `admit()`; the queue's bound and the gate aside. `slot`: the idle connection that is next, or
/// null.
template <class Rules>
admission_input admission_facts(const core_state<Rules>& c, const core_slot* slot, tick now, bool can_wait) noexcept {
  admission_input f;
  f.running = c.life.running();
  f.admits = c.life.admits();
  f.others_wait = !c.waiters.empty();
  f.idle_there = slot != nullptr;
  f.idle_fresh = slot && now < slot->fresh_until;
  f.can_wait = can_wait;
  return f;
}
template <class Rules>
void serve_or_queue(core_state<Rules>& c, core_waiter& w, tick now, tick deadline, core_actions& a) noexcept {
  arrive(c, w, now);
  w.deadline.at = deadline;
  core_slot* slot = c.life.admits() && c.waiters.empty() ? c.next_idle() : nullptr;
  while (slot && outlived(c, *slot, now)) {
    close_idle(c, *slot, close_reason::lifetime, now);
    slot = c.next_idle();
  }
  admission_input f = admission_facts(c, slot, now, deadline > now);
  f.queue_full = c.waiters.size() >= c.queue_limit();
  if (c.slots.open() == 0) f.hopeless = c.gate.refusal(now);
  const auto verdict = admit(f);
  switch (verdict.what) {
    case admission::serve:
      c.idle.erase(*slot);
      grant(c, w, *slot, now, true, a);
      break;
    case admission::queue: c.waiters.add(w, deadline); break;
    case admission::refuse:
      if (verdict.why == errc::queue_full) c.returns.refused();
      fail(c, w, verdict.why, a);
  }
}

// --- a granted connection proves dead --------------------------------------------------------------------------------------

/// What came of a grant is taken back; the connection is destroyed.
template <class Rules>
void undo_checkout(core_state<Rules>& c, core_slot& slot, tick now) noexcept {
  --slot.uses;
  if (slot.state == slot_state::gone) {  // taken back (close, leak) before it was delivered
    if (slot.linked()) c.revoked.erase(slot);
    if (slot.operation.let_go()) c.pending.ask(slot, slot_action::discard);
    return;
  }
  note_idle_death(c, slot, slot.listed, now);
  end_listing(c, slot, now);
  note_loss(c, slot, slot.uses, not_known, now);
  destroy(c, slot, close_reason::broken, now);
}
/// Of two callers: what a connection knows of its checkout stays with the caller.
inline void swap_grants(core_waiter& one, core_waiter& other) noexcept {
  std::swap(one.slot, other.slot);
  std::swap(one.from_idle, other.from_idle);
  std::swap(one.slot->listed, other.slot->listed);
  one.slot->checked_out = one.slot->listed;
  one.slot->where = one.where;
  other.slot->checked_out = other.slot->listed;
  other.slot->where = other.where;
}
/// Callers granted later each give theirs to the one before, so that none overtakes; the dead connection is left to the last, which is
/// returned.
inline core_waiter& last_in_line(core_waiter& found, core_actions& a) noexcept {
  core_waiter* last = &found;
  for (core_waiter* next = a.done.front(); next; next = a.done.after(*next)) {
    if (!next->slot || next->ticket < last->ticket) continue;
    swap_grants(*last, *next);
    last = next;
  }
  if (last != &found) {
    a.done.erase(*last);
    a.done.push_front(found);
  }
  return *last;
}
template <class Rules>
void put_back_in_line(core_state<Rules>& c, core_waiter& found, tick now, core_actions& a) noexcept {
  core_waiter& w = last_in_line(found, a);
  core_slot& slot = *w.slot;
  w.slot = nullptr;
  c.used.undone(w, slot.listed);
  undo_checkout(c, slot, now);
  // One that never queued has no place in the queue to go back to.
  errc refused{};
  if (w.direct && w.deadline.at <= now) {
    refused = errc::timeout;
  } else if (w.direct && c.waiters.size() >= c.queue_limit()) {
    refused = errc::queue_full;
  }
  w.direct = w.from_idle = false;
  c.waiters.put_in_order(w);
  if (w.cancelled) {
    refused = errc::cancelled;
  } else if (!c.life.running()) {
    refused = errc::closed;
  }
  if (refused != errc{}) fail(c, w, refused, a);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
