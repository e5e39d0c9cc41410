// SPDX-License-Identifier: BSL-1.0
// tidepool - the core's dealings with callers: serve, queue, refuse, cancel. Included by pool_core.hpp.
#ifndef TIDEPOOL_DETAIL_CORE_POOL_CORE_CALLERS_HPP
#define TIDEPOOL_DETAIL_CORE_POOL_CORE_CALLERS_HPP

#include "../../version.hpp"
#include "pool_core.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

TIDEPOOL_CORE(void)::enqueue(core_waiter& w, tick now, tick deadline, core_actions& a) noexcept {
  start(now);
  w.since = now;
  w.deadline.at = deadline;
  w.ticket = ++last_ticket_;
  w.failures_seen = gate_.total();
  if (phase_ != phase::running) return fail(w, errc::closed, a);
  if (admits_ && waiters_.empty()) {
    // A caller that cannot wait takes a connection that is due for validation, as `try_take` does.
    core_slot* slot = pick();
    while (slot && outlived(*slot, now)) {
      close_idle(*slot, close_reason::lifetime, now);
      slot = pick();
    }
    if (slot && (now < slot->fresh_until || deadline <= now)) {
      idle_.erase(*slot);
      grant(w, *slot, now, true, a);
      return settle(now, a);
    }
  }
  if (deadline <= now) {
    fail(w, errc::timeout, a);
    return settle(now, a);
  }
  errc refused{};
  if (waiters_.size() >= queue_limit()) {
    refused = errc::queue_full;
    put_off_since_ = tick::min();  // who is refused is demand as well: no waiting for returns
  } else if (live() == 0 && connecting() == 0) {
    refused = gate_.refusal(now);
  }
  if (refused != errc{}) {
    fail(w, refused, a);
    return settle(now, a);
  }
  w.at = core_waiter::stage::waiting;
  waiters_.push_back(w);
  waits_.insert(w.deadline, deadline);
  settle(now, a);
}

TIDEPOOL_CORE(void)::cancel(core_waiter& w, tick now, core_actions& a) noexcept {
  w.cancelled = true;
  if (w.at != core_waiter::stage::waiting) return;
  w.in == core_waiter::queue::acquire ? fail(w, errc::cancelled, a) : finish(w, errc::cancelled, a);
  settle(now, a);
}

TIDEPOOL_CORE(void)::bounce(core_waiter& found, tick now, core_actions& a) noexcept {
  // Those granted later each hand theirs to the one before, so that nobody overtakes; the dead one is left to the last.
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
  core_waiter& w = *last;
  core_slot& slot = *w.slot;
  w.slot = nullptr;
  if (w.direct) {
    --totals_.direct;
  } else {
    --totals_.waited;
    totals_.wait_time.forget(slot.listed - w.since, w.weight);
  }
  undo_checkout(slot, now);
  // One that never queued has no place in the queue to go back to.
  errc refused{};
  if (w.direct && w.deadline.at <= now) {
    refused = errc::timeout;
  } else if (w.direct && waiters_.size() >= queue_limit()) {
    refused = errc::queue_full;
  }
  w.direct = w.from_idle = false;
  w.at = core_waiter::stage::waiting;
  core_waiter* ahead = nullptr;
  for (core_waiter* o = waiters_.front(); o && o->ticket < w.ticket; o = waiters_.after(*o)) ahead = o;
  ahead ? waiters_.insert_after(*ahead, w) : waiters_.push_front(w);
  waits_.insert(w.deadline, w.deadline.at);
  if (w.cancelled) {
    refused = errc::cancelled;
  } else if (phase_ != phase::running) {
    refused = errc::closed;
  }
  if (refused != errc{}) fail(w, refused, a);
  settle(now, a);
}

/// Of two callers: what a connection knows of its checkout stays with the caller.
TIDEPOOL_CORE(void)::swap_grants(core_waiter& one, core_waiter& other) noexcept {
  std::swap(one.slot, other.slot);
  std::swap(one.from_idle, other.from_idle);
  std::swap(one.slot->listed, other.slot->listed);
  one.slot->checked_out = one.slot->listed;
  one.slot->where = one.where;
  other.slot->checked_out = other.slot->listed;
  other.slot->where = other.where;
}

TIDEPOOL_CORE(void)::reject(core_slot& slot, tick now, core_actions& a) noexcept {
  --totals_.direct;
  undo_checkout(slot, now);
  settle(now, a);
}

TIDEPOOL_CORE(void)::undo_checkout(core_slot& slot, tick now) noexcept {
  --slot.uses;
  if (slot.state == slot_state::gone) {  // taken back (close, leak) before it was delivered
    if (let_go(slot)) queue_action(slot, slot_action::discard);
    return;
  }
  strike_off(slot, now);
  note_loss(slot, slot.uses, tick{}, now);
  destroy(slot, close_reason::broken, now);
}

/// Makes `slot`, which is in no list, the lease of `w`.
TIDEPOOL_CORE(void)::deliver(core_waiter& w, core_slot& slot, tick now, bool from_idle) noexcept {
  w.direct = w.at == core_waiter::stage::fresh;
  remove(w);
  check_out(slot, now, w.where);
  w.slot = &slot;
  w.from_idle = from_idle;
  w.at = core_waiter::stage::done;
  w.error = errc{};
  if (w.direct) {
    ++totals_.direct;
  } else {
    ++totals_.waited;
    totals_.wait_time.record(now - w.since, w.weight);
  }
}

TIDEPOOL_CORE(void)::grant(core_waiter& w, core_slot& slot, tick now, bool from_idle, core_actions& a) noexcept {
  deliver(w, slot, now, from_idle);
  a.done.push_back(w);
}

TIDEPOOL_CORE(void)::remove(core_waiter& w) noexcept {
  if (w.at != core_waiter::stage::waiting) return;
  switch (w.in) {
    case core_waiter::queue::acquire:
      waiters_.erase(w);
      waits_.erase(w.deadline);
      break;
    case core_waiter::queue::open:
      openers_.erase(w);
      waits_.erase(w.deadline);
      break;
    case core_waiter::queue::close: closers_.erase(w); break;
  }
}

TIDEPOOL_CORE(void)::finish(core_waiter& w, errc error, core_actions& a) noexcept {
  remove(w);
  w.at = core_waiter::stage::done;
  w.error = error;
  a.explain |= w.explain && error != errc{};
  a.done.push_back(w);
}

TIDEPOOL_CORE(void)::fail(core_waiter& w, errc error, core_actions& a) noexcept {
  switch (error) {
    case errc::timeout: ++totals_.timeouts; break;
    case errc::queue_full: ++totals_.rejected_full; break;
    case errc::cancelled: ++totals_.cancelled; break;
    case errc::circuit_open: ++totals_.refused_open; break;
    case errc::connect_failed: ++totals_.refused_connect; break;
    default: ++totals_.refused_closed; break;
  }
  finish(w, error, a);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
