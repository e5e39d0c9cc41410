// SPDX-License-Identifier: BSL-1.0
// tidepool - what the pool does of its own accord: it checks, retires, shrinks, scales, reports leaks, and ends what takes too long.
#ifndef TIDEPOOL_DETAIL_CORE_UPKEEP_HPP
#define TIDEPOOL_DETAIL_CORE_UPKEEP_HPP

#include <algorithm>

#include "../../version.hpp"
#include "slot_moves.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// At once; a sweep must not take the pool away from its users.
inline constexpr std::size_t checks_at_once = 4;

/// Checks idle connections, the one that is idle for longest first, while no caller waits.
template <class Rules>
void sweep(core_state<Rules>& c, tick now) noexcept {
  if constexpr (Rules::can_check) {
    while (c.idle.sweeping() && c.waiters.empty() && c.slots.count(slot_state::checking) < checks_at_once) {
      core_slot* slot = c.idle.sweep_next();
      const bool checked = slot->last_ok > c.due.suspected_at() && now < later(slot->last_ok, c.health.interval() / 2);
      if (slot->state == slot_state::idle && !checked) check_in_place(c, *slot, now);
    }
  }
}
template <class Rules>
void start_due_sweep(core_state<Rules>& c, tick now) noexcept {
  if constexpr (Rules::can_check) {
    if (now < c.due.next_round()) return;
    if (c.due.round_due(now, c.health.interval()) || !c.idle.sweeping()) c.idle.start_sweep();
  }
}

/// Nothing is known any more of idle connections: they are checked, and each is validated before it is handed out.
template <class Rules>
void distrust_idle(core_state<Rules>& c, tick now) noexcept {
  if constexpr (Rules::can_check) {
    if (!c.life.running()) return;
    suspect(c, now);
    if (!Rules::can_validate && !Rules::own_validation) return;
    if (c.health.interval() == no_limit && c.health.fresh_until(now) == never) return;  // switched off
    for (core_slot* slot = c.idle.front(); slot; slot = c.idle.after(*slot)) slot->fresh_until = (tick::min)();
  }
}

/// Closes idle connections above `max_size`.
template <class Rules>
void trim(core_state<Rules>& c, tick now) noexcept {
  while (c.surplus()) {
    core_slot* slot = c.idle.oldest();
    if (!slot) return;
    close_idle(c, *slot, close_reason::shrunk, now);
  }
}
/// Closes what was idle for `idle_timeout`, down to the floors.
template <class Rules>
void reap_idle(core_state<Rules>& c, tick now) noexcept {
  while (c.slots.live() > c.min && c.slots.idle() > c.config().min_idle) {
    core_slot* slot = c.idle.oldest();
    if (later(slot->idle_since, c.config().idle_timeout) > now) return;
    close_idle(c, *slot, close_reason::idle, now);
    c.target = std::clamp(c.slots.open(), c.min, c.target);
  }
}
/// Closes what was idle for four fifths of the time after which idle connections die, those of the floors too.
template <class Rules>
void keep_young(core_state<Rules>& c, tick now) noexcept {
  while (core_slot* slot = c.idle.oldest()) {
    if (later(slot->idle_since, c.idle_limit) > now) return;
    close_idle(c, *slot, close_reason::idle, now);
  }
}
/// Closes idle connections whose age is due; others are looked at when they come back.
template <class Rules>
void retire_old(core_state<Rules>& c, tick now) noexcept {
  while (c.ages.next() <= now) {
    core_slot& slot = *c.ages.top()->owner;
    if (slot.state != slot_state::idle) {
      c.ages.erase(slot.retire);
    } else if (outlived(c, slot, now)) {
      close_idle(c, slot, close_reason::lifetime, now);
    }
  }
}

/// Ends operations whose bound has passed: they count as failed.
template <class Rules>
void expire_operations(core_state<Rules>& c, tick now, core_actions& a) noexcept {
  while (c.bounds.next() <= now) {
    core_slot& slot = *c.bounds.top()->owner;
    slot.operation.overrun();
    switch (slot.state) {
      case slot_state::connecting:
        c.used.connect_failed();
        c.gate.failed(slot.wave, failure_kind::transient, now, c.random);
        if (a.connect_timed_out == 0) a.connect_timed_out = c.gate.together();
        give_up_operation(c, slot, close_reason::broken, now);
        break;
      case slot_state::validating:
      case slot_state::checking:
        c.used.validated(false);
        note_idle_death(c, slot, slot.bound.at - c.config().validation_timeout, now);
        note_loss(c, slot, slot.uses, not_known, now);
        give_up_operation(c, slot, close_reason::invalid, now);
        break;
      case slot_state::resetting:
        c.used.reset();
        note_loss(c, slot, slot.uses - 1, not_known, now);
        give_up_operation(c, slot, close_reason::reset_failed, now);
        break;
      default: give_up_operation(c, slot, slot.reason, now); break;  // a close that does not end: for the reason it has
    }
  }
}

template <class Rules>
void find_leaks(core_state<Rules>& c, tick now, leak_findings& leaks) noexcept {
  if constexpr (Rules::leak_policy::enabled) {
    const auto due = [now](const core_slot* slot, duration after) { return slot && later(slot->listed, after) <= now; };
    while (!leaks.full() && due(c.leased.front(), c.leak.report_after())) {
      core_slot& slot = *c.leased.front();
      c.leased.erase(slot);
      const tick actual = slot.checked_out;  // one look: its holder may stash it meanwhile
      if (actual > slot.listed) {            // given back and taken again in the stash: to its proper place
        slot.listed = (std::min)(actual, now);
        core_slot* older = c.leased.back();
        while (older && older->listed > slot.listed) older = c.leased.before(*older);
        older ? c.leased.insert_after(*older, slot) : c.leased.push_front(slot);
        continue;
      }
      slot.must_take_slow_path = true;
      c.reported.push_back(slot);
      slot.leak_reported = slot.must_settle_at_return = true;
      c.used.leak_detected();
      leaks.items[leaks.count++] = {&slot, leak_event::kind::detected, report_of(slot, now)};
    }
    while (!leaks.full() && due(c.reported.front(), c.leak.reclaim_after())) {
      core_slot& slot = *c.reported.front();
      c.used.leak_reclaimed();
      leaks.items[leaks.count++] = {&slot, leak_event::kind::reclaimed, report_of(slot, now)};
      revoke_lease(c, slot, close_reason::abandoned, now);
    }
  }
}

/// For advice on the size, when something else has woken the pool.
template <class Rules>
void look_at_load(core_state<Rules>& c, tick now) noexcept {
  if (now < later(c.load_seen_at, c.config().advice_interval)) return;
  for (core_slot* slot = c.leased.front(); slot; slot = c.leased.after(*slot)) c.used.count_reuses(*slot);
  load_window window;
  window.seconds = std::chrono::duration<float>(now - c.load_seen_at).count();
  window.arrivals = static_cast<std::uint32_t>(c.used.asked() - c.asked_before);
  window.in_system = static_cast<std::uint32_t>(c.slots.leased() + c.waiters.size());
  c.load->add(window, c.max);
  c.asked_before = c.used.asked();
  c.load_seen_at = now;
}

/// Asks the scaling policy for a new target, and shrinks to it; `grow()` does the rest.
template <class Rules>
void scale(core_state<Rules>& c, tick now, core_actions& a) noexcept {
  if constexpr (Rules::scaling_policy::enabled) {
    if (now < c.due.next_scaling) return;
    c.due.next_scaling = later(now, c.scaling.interval());
    scaling_sample sample;
    for (core_slot* slot = c.leased.front(); slot; slot = c.leased.after(*slot)) c.used.count_reuses(*slot);
    sample.utilization = c.used.utilization(now, c.slots.live(), c.slots.leased());
    sample.size = c.slots.live();
    sample.min_size = c.min;
    sample.max_size = c.max;
    c.target = std::clamp(c.scaling.target(sample), c.min, c.max);
    if (c.target != sample.size) {
      a.scaled = true;
      a.scale = {sample.size, c.target, sample.utilization};
    }
    while (c.slots.live() > c.target && c.slots.idle() > c.config().min_idle) {
      core_slot* slot = c.idle.oldest();
      if (!slot) break;
      close_idle(c, *slot, close_reason::shrunk, now);
    }
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
