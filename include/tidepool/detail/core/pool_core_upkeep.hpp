// SPDX-License-Identifier: BSL-1.0
// tidepool - what the core does of its own accord: serve, grow, shrink, check, retire, report. Included by pool_core.hpp.
#ifndef TIDEPOOL_DETAIL_CORE_POOL_CORE_UPKEEP_HPP
#define TIDEPOOL_DETAIL_CORE_POOL_CORE_UPKEEP_HPP

#include "../../version.hpp"
#include "pool_core.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Ends every event: whatever the event made possible or impossible is drawn from the state here, and nowhere else.
TIDEPOOL_CORE(void)::settle(tick now, core_actions& a) noexcept {
  if (phase_ == phase::running) {
    answer_openers(now, a);
    serve(now, a);
    fail_hopeless(now, a);
    trim(now);
    grow(now, a);
    sweep(now);
  }
  if (stopped()) finish_closing(now, a);
  a.disarm = phase_ == phase::closed;
  a.pending_actions = first_action_ != nullptr;
  note_changes(a);
  const tick next = next_deadline(now);
  if (next < armed_at_) armed_at_ = a.arm_at = next;
}

// --- callers --------------------------------------------------------------------------------------------------------

TIDEPOOL_CORE(void)::serve(tick now, core_actions& a) noexcept {
  while (admits_ && !waiters_.empty()) {
    core_slot* slot = pick();
    if (!slot) return;
    if (outlived(*slot, now)) {
      close_idle(*slot, close_reason::lifetime, now);
    } else if (now < slot->fresh_until) {
      idle_.erase(*slot);
      grant(*waiters_.front(), *slot, now, true, a);
    } else if (count(slot_state::validating) - background_ < waiters_.size()) {
      idle_.erase(*slot);
      run_op(*slot, slot_state::validating, slot_action::validate, config_.validation_timeout, now);
    } else {
      return;
    }
  }
}

TIDEPOOL_CORE(void)::answer_openers(tick now, core_actions& a) noexcept {
  if (live() >= std::min(min_, max_)) {
    warm_ = true;
    while (core_waiter* w = openers_.front()) finish(*w, errc{}, a);
  }
  const bool hopeless = gate_.refusal(now) == errc::connect_failed || gate_.futile() > config_.max_retries;
  if (openers_.empty() || !(hopeless || gate_.passes())) return;
  core_waiter* next = nullptr;
  for (core_waiter* w = openers_.front(); w; w = next) {
    next = openers_.after(*w);
    if (hopeless || w->deadline.at <= now) finish(*w, errc::connect_failed, a);
  }
  if (!openers_.empty()) return;
  begin_close(now, a);
  close_deadline_ = later(now, config_.close_grace);
}

/// With no connection alive and none on its way, a wait that only a connect can end may be pointless.
TIDEPOOL_CORE(void)::fail_hopeless(tick now, core_actions& a) noexcept {
  if (waiters_.empty() || live() > 0 || connecting() > 0) return;
  const errc refused = gate_.refusal(now);
  while (core_waiter* w = waiters_.front()) {
    if (refused != errc{}) {
      fail(*w, refused, a);
    } else if (std::min<std::uint64_t>(gate_.total() - w->failures_seen, gate_.futile()) > config_.max_retries) {
      fail(*w, errc::connect_failed, a);
    } else {
      return;
    }
  }
}

// --- size -----------------------------------------------------------------------------------------------------------

/// Of so many callers for whom no connection is on its way, those who are to wait for a lease to come back rather than for a connect.
///
/// A burst of short leases is over before a connect would be. With n leases out that are held for h on average one comes back every h / n,
/// so that within the time c of a connect c * n / h callers are served: so many connects are put off. With h unknown (no lease has come
/// back yet) all are, for an eighth of c.
///
/// The estimate may be wrong (leases nobody gives back), and it is blind to a queue that is short and never empty. So growth is put off
/// for c at most, counted from the arrival of whoever is first, or of the first caller it was put off for: if somebody is without a
/// connection then, connects begin. Nothing is put off without leases out, before the first connect, or below `min_size` and `min_idle`.
TIDEPOOL_CORE(std::size_t)::served_by_returns(std::size_t asked, tick now) noexcept {
  const std::size_t leases = count(slot_state::leased);
  if (asked == 0 && now < put_off_until_ && put_off_until_ != never) return 0;  // looked at then
  tick since = std::min(std::exchange(put_off_since_, never), now);
  put_off_until_ = never;
  if (asked == 0 || leases == 0 || usual_connect_ <= duration::zero() || total() >= max_) return 0;
  since = std::min(since, waiters_.front()->since);
  std::size_t served = asked;
  tick until = later(since, usual_connect_ / 8);
  if (usual_hold_ >= duration::zero()) {
    until = later(since, usual_connect_);
    const double hold = std::max(1.0, static_cast<double>(usual_hold_.count()));
    const double within = static_cast<double>(usual_connect_.count()) * static_cast<double>(leases) / hold;
    if (within < static_cast<double>(asked)) served = static_cast<std::size_t>(within);
  }
  if (served == 0) return 0;
  put_off_since_ = since;
  if (now >= until) return 0;  // from now on, until one begins
  put_off_until_ = until;
  return served;
}

/// Opens what waiting callers and the floors are short of; whatever is being connected, validated or reset is counted on.
TIDEPOOL_CORE(void)::grow(tick now, core_actions& a) noexcept {
  wants_connect_ = false;
  if (!admits_) {
    put_off_since_ = put_off_until_ = never;
    return;
  }
  const auto missing = [](std::size_t wanted, std::size_t there) { return wanted > there ? wanted - there : 0; };
  const std::size_t coming = connecting() + count(slot_state::validating) + count(slot_state::resetting);
  std::size_t need = missing(waiters_.size(), coming);
  need -= served_by_returns(need, now);
  need = std::max(need, missing(std::max(min_, target_), open_count()));
  need = std::max(need, spares_missing());
  need = std::min(need, missing(max_, total()));
  if (need == 0) return;
  wants_connect_ = true;
  // After a failure one attempt at a time, until one succeeds.
  const bool careful = gate_.streak() > 0 || gate_.state() != breaker_state::closed;
  need = std::min(need, missing(careful ? 1 : config_.max_connecting, connecting()));
  while (need-- > 0 && gate_.may_start(now, connecting())) {
    gate_.started();
    ++starting_;
    ++totals_.connects_started;
    ++a.connects;
    if (put_off_until_ == never) put_off_since_ = never;
  }
}

TIDEPOOL_CORE(void)::trim(tick now) noexcept {
  while (open_count() > max_) {
    core_slot* slot = idle_.oldest();
    if (!slot) return;
    close_idle(*slot, close_reason::shrunk, now);
  }
}

TIDEPOOL_CORE(void)::scale(tick now, core_actions& a) noexcept {
  if constexpr (scaling_policy::enabled) {
    if (now < next_scale_) return;
    next_scale_ = later(now, scaling_.interval());
    scaling_sample sample;
    for (core_slot* slot = leased_.front(); slot; slot = leased_.after(*slot)) fold(*slot);
    const double open_time = opened_.take(now, live());
    const double busy_time = busy_.take(now, count(slot_state::leased));
    sample.utilization = open_time > 0 ? std::min(busy_time / open_time, 1.0) : 0.0;
    sample.size = live();
    sample.min_size = min_;
    sample.max_size = max_;
    target_ = std::clamp(scaling_.target(sample), min_, max_);
    if (target_ != sample.size) {
      a.scaled = true;
      a.scale = {sample.size, target_, sample.utilization};
    }
    while (live() > target_ && count(slot_state::idle) > config_.min_idle) {
      core_slot* slot = idle_.oldest();
      if (!slot) break;
      close_idle(*slot, close_reason::shrunk, now);
    }
  }
}

TIDEPOOL_CORE(void)::reap_idle(tick now) noexcept {
  while (live() > min_ && count(slot_state::idle) > config_.min_idle) {
    core_slot* slot = idle_.oldest();
    if (later(slot->idle_since, config_.idle_timeout) > now) return;
    close_idle(*slot, close_reason::idle, now);
    target_ = std::clamp(open_count(), min_, target_);
  }
}

// --- health and age -------------------------------------------------------------------------------------------------

TIDEPOOL_CORE(void)::sweep(tick now) noexcept {
  if constexpr (CanCheck) {
    while (idle_.sweeping() && waiters_.empty() && background_ < background_checks) {
      core_slot* slot = idle_.sweep_next();
      const bool checked = slot->last_ok > suspected_at_ && now < later(slot->last_ok, health_.interval() / 2);
      if (slot->state == slot_state::idle && !checked) check_in_place(*slot, now);
    }
  }
}

template <class Traits, bool CanValidate, bool CanCheck, bool OwnValidation>
template <class Test>
void pool_core<Traits, CanValidate, CanCheck, OwnValidation>::look_at(Test test, tick now, core_actions& a) noexcept {
  if constexpr (CanCheck) {
    if (phase_ != phase::running) return;
    for (core_slot* slot = idle_.front(); slot; slot = idle_.after(*slot)) {
      if (slot->state == slot_state::idle && test(*slot)) check_in_place(*slot, now);
    }
    settle(now, a);
  }
}

TIDEPOOL_CORE(void)::check_in_place(core_slot& slot, tick now) noexcept {
  slot.background_check = true;
  ++background_;
  run_op(slot, slot_state::validating, slot_action::validate, config_.validation_timeout, now);
}

/// Connections die together: one dead connection makes the sweep look at the others now, once per `validation_timeout` at most; a death in
/// between has its round when that is over.
TIDEPOOL_CORE(void)::suspect(tick now) noexcept {
  if constexpr (CanCheck) {
    if (health_.interval() == no_limit) return;
    const tick again = suspected_at_ == tick{} ? now : later(last_round_, config_.validation_timeout);
    suspected_at_ = now;
    if (now < again) {
      next_sweep_ = std::min(next_sweep_, again);
    } else {
      last_round_ = now;
      idle_.start_sweep();
    }
  }
}

TIDEPOOL_CORE(void)::retire_old(tick now) noexcept {
  while (ages_.next() <= now) {
    core_slot& slot = *ages_.top()->owner;
    if (slot.state != slot_state::idle) {
      ages_.erase(slot.retire);  // looked at when it comes back
    } else if (outlived(slot, now)) {
      close_idle(slot, close_reason::lifetime, now);
    }
  }
}

TIDEPOOL_CORE(void)::expire_ops(tick now, core_actions& a) noexcept {
  while (bounds_.next() <= now) {
    core_slot& slot = *bounds_.top()->owner;
    slot.overran = true;
    switch (slot.state) {
      case slot_state::connecting:
        ++totals_.connection_errors;
        a.connect_timed_out = true;
        gate_.failed(slot.wave, failure_kind::transient, now, random_);
        give_up_op(slot, close_reason::broken, now);
        break;
      case slot_state::validating:
        ++totals_.validations;
        ++totals_.validation_failures;
        note_loss(slot, slot.uses, tick{}, now);
        give_up_op(slot, close_reason::invalid, now);
        break;
      case slot_state::resetting:
        ++totals_.resets;
        note_loss(slot, slot.uses - 1, tick{}, now);
        give_up_op(slot, close_reason::reset_failed, now);
        break;
      default: give_up_op(slot, slot.reason, now); break;
    }
  }
}

TIDEPOOL_CORE(void)::find_leaks(tick now, leak_findings& leaks) noexcept {
  if constexpr (leak_policy::enabled) {
    const auto due = [now](const core_slot* slot, duration after) { return slot && later(slot->listed, after) <= now; };
    while (!leaks.full() && due(leased_.front(), leak_.report_after())) {
      core_slot& slot = *leased_.front();
      leased_.erase(slot);
      const tick actual = slot.checked_out;
      if (actual > slot.listed) {  // given back and taken again in the stash: to its proper place
        slot.listed = std::min(actual, now);
        core_slot* older = leased_.back();
        while (older && older->listed > slot.listed) older = leased_.before(*older);
        older ? leased_.insert_after(*older, slot) : leased_.push_front(slot);
        continue;
      }
      slot.must_take_slow_path = true;
      reported_.push_back(slot);
      slot.leak_reported = slot.needs_full_return = true;
      ++totals_.leaks_detected;
      leaks.items[leaks.count++] = {&slot, leak_event::kind::detected, report_of(slot, now)};
    }
    while (!leaks.full() && due(reported_.front(), leak_.reclaim_after())) {
      core_slot& slot = *reported_.front();
      ++totals_.leaks_reclaimed;
      leaks.items[leaks.count++] = {&slot, leak_event::kind::reclaimed, report_of(slot, now)};
      take_from_holder(slot, close_reason::abandoned, now);
    }
  }
}

// --- time -----------------------------------------------------------------------------------------------------------

TIDEPOOL_CORE(void)::tick_at(tick now, core_actions& a, leak_findings& leaks) noexcept {
  armed_at_ = never;
  while (waits_.next() <= now) {
    core_waiter& w = *waits_.top()->owner;
    if (w.in == core_waiter::queue::acquire) {
      fail(w, errc::timeout, a);
    } else {
      waits_.erase(w.deadline);  // what it means for an opener hangs on why there is nothing yet: `answer_openers()`
    }
  }
  expire_ops(now, a);
  if (gate_.doubt_ends() <= now) gate_.proved();
  if (phase_ == phase::running) {
    retire_old(now);
    reap_idle(now);
    find_leaks(now, leaks);
    scale(now, a);
    if (now >= next_sweep_) {
      if constexpr (CanCheck) next_sweep_ = later(now, health_.interval());
      if (suspected_at_ > last_round_) {
        last_round_ = now;
        idle_.start_sweep();
      }
      if (!idle_.sweeping()) idle_.start_sweep();
    }
  }
  settle(now, a);
}

TIDEPOOL_CORE(tick)::next_deadline(tick now) const noexcept {
  tick next = std::min(waits_.next(), bounds_.next());
  if (stopped()) return leased_.empty() && reported_.empty() ? next : std::min(next, close_deadline_);
  if (phase_ != phase::running) return next;
  next = std::min({next, ages_.next(), next_sweep_, next_scale_, gate_.doubt_ends(), put_off_until_});
  if (wants_connect_ && connecting() == 0) next = std::min(next, gate_.opens_at(0));
  if (live() > min_ && count(slot_state::idle) > config_.min_idle) {
    next = std::min(next, later(idle_.oldest()->idle_since, config_.idle_timeout));
  }
  // A lease may have ended in the stash, where its idleness is seen when the stash is next collected.
  if (!leased_.empty() && live() > min_) next = std::min(next, later(now, config_.idle_timeout));
  if constexpr (leak_policy::enabled) {
    if (const core_slot* slot = leased_.front()) next = std::min(next, later(slot->listed, leak_.report_after()));
    if (const core_slot* slot = reported_.front()) next = std::min(next, later(slot->listed, leak_.reclaim_after()));
  }
  return next;
}

TIDEPOOL_CORE(void)::note_changes(core_actions& a) noexcept {
  const pool_state now_in = state();
  if (now_in != seen_state_) {
    if (!a.state_changed) a.state_from = seen_state_;
    a.state_to = seen_state_ = now_in;
    a.state_why = state_reason();
    a.state_changed = a.state_from != a.state_to;  // there and back again is no news
  }
  const breaker_state breaker = gate_.state();
  if (breaker != seen_breaker_) {
    if (!a.breaker_changed) a.breaker_from = seen_breaker_;
    a.breaker_to = seen_breaker_ = breaker;
    a.breaker_changed = a.breaker_from != a.breaker_to;
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
