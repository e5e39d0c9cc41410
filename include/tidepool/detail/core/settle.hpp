// SPDX-License-Identifier: BSL-1.0
// tidepool - the end of an event: what it made possible or impossible for others is drawn from the state here.
#ifndef TIDEPOOL_DETAIL_CORE_SETTLE_HPP
#define TIDEPOOL_DETAIL_CORE_SETTLE_HPP

#include <algorithm>
#include <cstdint>

#include "../../version.hpp"
#include "callers.hpp"
#include "closing.hpp"
#include "core_report.hpp"
#include "upkeep.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Gives idle connections to those who wait, the first in line first; what is due for validation is validated before.
template <class Rules>
void serve(core_state<Rules>& c, tick now, core_actions& a) noexcept {
  while (c.life.admits() && !c.waiters.empty()) {
    core_slot* slot = c.next_idle();
    if (!slot) return;
    if (outlived(c, *slot, now)) {
      close_idle(c, *slot, close_reason::lifetime, now);
    } else if (now < slot->fresh_until) {
      c.idle.erase(*slot);
      grant(c, *c.waiters.front(), *slot, now, true, a);
    } else if (c.slots.count(slot_state::validating) < c.waiters.size()) {
      c.idle.erase(*slot);
      run_operation(c, *slot, slot_state::validating, slot_action::validate, c.config().validation_timeout, now);
    } else {
      return;  // one validation a caller is enough
    }
  }
}

/// `open()` ends when `min_size` connections are there, or when connecting has become pointless, which closes the pool.
template <class Rules>
void answer_openers(core_state<Rules>& c, tick now, core_actions& a) noexcept {
  if (c.slots.live() >= (std::min)(c.min, c.max)) {
    c.warm = true;
    while (core_waiter* w = c.waiters.opener()) finish(c, *w, errc{}, a);
  }
  const bool hopeless = c.gate.refusal(now) == errc::connect_failed || c.gate.futile() > c.config().max_retries;
  if (!c.waiters.opener() || !(hopeless || c.gate.passes())) return;
  core_waiter* next = nullptr;
  for (core_waiter* w = c.waiters.opener(); w; w = next) {
    next = c.waiters.opener_after(*w);
    if (hopeless || w->deadline.at <= now) finish(c, *w, errc::connect_failed, a);
  }
  if (c.waiters.opener()) return;
  begin_close(c, now, a);
  limit_close(c, c.config().close_grace, now);
}

/// With no connection alive and none on its way, a wait that only a connect can end may be pointless.
template <class Rules>
void fail_hopeless(core_state<Rules>& c, tick now, core_actions& a) noexcept {
  if (c.waiters.empty() || c.slots.open() > 0) return;
  const errc refused = c.gate.refusal(now);
  while (core_waiter* w = c.waiters.front()) {
    if (refused != errc{}) {
      fail(c, *w, refused, a);
    } else if (std::min<std::uint64_t>(c.gate.total() - w->failures_seen, c.gate.futile()) > c.config().max_retries) {
      fail(c, *w, errc::connect_failed, a);
    } else {
      return;
    }
  }
}

/// Opens what waiting callers and the floors are short of; whatever is being connected, validated or reset is counted on.
template <class Rules>
void grow(core_state<Rules>& c, tick now, core_actions& a) noexcept {
  c.wants_connect = false;
  if (!c.life.admits()) return c.returns.stop();
  const std::size_t coming = c.slots.connecting() + c.slots.count(slot_state::validating) + c.slots.count(slot_state::checking) +
                             c.slots.count(slot_state::resetting);
  connect_demand demand;
  demand.callers = missing(c.waiters.size(), coming);
  const tick first = c.waiters.empty() ? now : c.waiters.front()->since;
  demand.callers -= c.returns.served_by_returns(demand.callers, first, c.slots.leased(), c.slots.total() >= c.max, now);
  demand.floor = (std::max)(c.min, c.target);
  demand.spares = c.spares_missing();
  // After a failure one attempt at a time, until one succeeds.
  const bool careful = c.gate.streak() > 0 || c.gate.state() != breaker_state::closed;
  const connect_room room{missing(c.max, c.slots.total()), careful ? 1 : c.config().max_connecting};
  connects next = connects_to_start(demand, {c.slots.open(), c.slots.connecting()}, room);
  c.wants_connect = next.wanted > 0;
  while (next.now-- > 0 && c.gate.may_start(now, c.slots.connecting())) {
    c.gate.started();
    c.slots.connect_asked();
    c.used.connect_started();
    ++a.connects;
    c.returns.connecting();
  }
}

/// The earliest of all deadlines.
template <class Rules>
tick next_deadline(const core_state<Rules>& c, tick now) noexcept {
  tick next = (std::min)(c.waiters.next_deadline(), c.bounds.next());
  if (c.life.stopped()) return c.leased.empty() && c.reported.empty() ? next : (std::min)(next, c.due.close_deadline);
  if (!c.life.running()) return next;
  next = (std::min)({next, c.ages.next(), c.due.next_round(), c.due.next_scaling, c.gate.doubt_ends(), c.returns.until()});
  if (c.wants_connect && c.slots.connecting() == 0) next = (std::min)(next, c.gate.opens_at(0));
  if (c.slots.live() > c.min && c.slots.idle() > c.config().min_idle) {
    next = (std::min)(next, later(c.idle.oldest()->idle_since, c.config().idle_timeout));
  }
  if (c.idle_limit != no_limit) {
    if (const core_slot* slot = c.idle.oldest()) next = (std::min)(next, later(slot->idle_since, c.idle_limit));
    if (!c.leased.empty()) next = (std::min)(next, later(now, c.idle_limit));
  }
  // A lease may have ended in the stash, where its idleness is seen when the stash is next collected.
  if (!c.leased.empty() && c.slots.live() > c.min) next = (std::min)(next, later(now, c.config().idle_timeout));
  if constexpr (Rules::leak_policy::enabled) {
    if (const core_slot* slot = c.leased.front()) next = (std::min)(next, later(slot->listed, c.leak.report_after()));
    if (const core_slot* slot = c.reported.front()) next = (std::min)(next, later(slot->listed, c.leak.reclaim_after()));
  }
  return next;
}

/// States as observers are told of them: there and back again within one event is no news.
template <class Rules>
void note_changes(core_state<Rules>& c, core_actions& a) noexcept {
  const pool_state state = state_of(c);
  if (state != c.seen_state) {
    if (!a.state_changed) a.state_from = c.seen_state;
    a.state_to = c.seen_state = state;
    a.state_why = state_reason(c);
    a.state_changed = a.state_from != a.state_to;
  }
  if (c.horizon_moved) {
    c.horizon_moved = false;
    a.horizon_moved = true;
    a.horizon = {c.horizon.horizon(), c.horizon.limit(), c.config().learn_idle_limit};
  }
  const breaker_state breaker = c.gate.state();
  if (breaker != c.seen_breaker) {
    if (!a.breaker_changed) a.breaker_from = c.seen_breaker;
    a.breaker_to = c.seen_breaker = breaker;
    a.breaker_changed = a.breaker_from != a.breaker_to;
  }
}

template <class Rules>
void settle(core_state<Rules>& c, tick now, core_actions& a) noexcept {
  if (c.life.running()) {
    answer_openers(c, now, a);
    serve(c, now, a);
    fail_hopeless(c, now, a);
    trim(c, now);
    grow(c, now, a);
    sweep(c, now);
  }
  if (c.life.stopped()) finish_closing(c, now, a);
  a.disarm = c.life.closed();
  a.pending_actions = !c.pending.empty();
  note_changes(c, a);
  c.due.arm(next_deadline(c, now), a.arm_at);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
