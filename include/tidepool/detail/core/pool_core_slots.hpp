// SPDX-License-Identifier: BSL-1.0
// tidepool - the core's dealings with connections, from the connect to the last goodbye. Included by pool_core.hpp.
#ifndef TIDEPOOL_DETAIL_CORE_POOL_CORE_SLOTS_HPP
#define TIDEPOOL_DETAIL_CORE_POOL_CORE_SLOTS_HPP

#include "../../version.hpp"
#include "pool_core.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

// --- connecting -----------------------------------------------------------------------------------------------------

TIDEPOOL_CORE(bool)::register_connect(core_slot& slot, tick now, core_actions& a) noexcept {
  --starting_;
  if (phase_ != phase::running) {
    gate_.abandoned(now);
    settle(now, a);
    return false;
  }
  slot.id = ++last_id_;
  slot.generation = generation_;
  slot.wave = gate_.wave();
  slot.born = now;
  slot.phase = op_phase::running;
  ++counts_[static_cast<std::size_t>(slot_state::connecting)];
  in_op_.push_back(slot);
  bounds_.insert(slot.bound, later(now, config_.connect_timeout));
  settle(now, a);
  return true;
}

TIDEPOOL_CORE(void)::connect_not_started(tick now, core_actions& a) noexcept {
  --starting_;
  ++totals_.connection_errors;
  gate_.failed(gate_.wave(), failure_kind::transient, now, random_);
  settle(now, a);
}

TIDEPOOL_CORE(void)::connected(core_slot& slot, tick now, core_actions& a) noexcept {
  end_op(slot);
  gate_.succeeded(now);
  ++totals_.connections_created;
  totals_.connect_time.record(now - slot.born);
  learn(usual_connect_, now - slot.born);
  slot.born = slot.last_ok = slot.idle_since = now;
  if constexpr (lifetime_policy::enabled) {
    slot.hard_limit = lifetime_.hard_limit(now);
    slot.retire.at = std::min(slot.hard_limit, lifetime_.soft_limit(now, random_.unit()));
  }
  set(slot, slot_state::validating);  // alive from here on; make_available moves it on at once
  if constexpr (scaling_policy::enabled) opened_.came(now);
  refresh(slot);
  if (gate_.doubtful()) slot.on_trial = slot.needs_full_return = slot.must_take_slow_path = true;
  make_available(slot, now, true, a);
  settle(now, a);
}

TIDEPOOL_CORE(void)::connect_failed(core_slot& slot, failure_kind kind, tick now, core_actions& a) noexcept {
  end_op(slot);
  ++totals_.connection_errors;
  gate_.failed(slot.wave, kind, now, random_);
  leave(slot, close_reason::broken, now);
  settle(now, a);
}

// --- validation, return, reset --------------------------------------------------------------------------------------

TIDEPOOL_CORE(void)::validated(core_slot& slot, bool ok, tick now, core_actions& a) noexcept {
  ++totals_.validations;
  if (!ok) ++totals_.validation_failures;
  const bool in_place = slot.background_check;
  end_op(slot);
  if (ok) {
    slot.last_ok = now;
    slot.answered = true;
    refresh(slot);
    note_service(slot, now);
  } else {
    note_loss(slot, slot.uses, tick{}, now);
  }
  if (in_place && ok) {
    set(slot, slot_state::idle);
    if (!slot.retire.linked) ages_.insert(slot.retire, slot.retire.at);
    if (slot.generation != generation_) close_idle(slot, generation_ended_, now);
  } else if (ok) {
    make_available(slot, now, true, a);
  } else {
    if (in_place) idle_.erase(slot);
    destroy(slot, close_reason::invalid, now);
  }
  settle(now, a);
}

TIDEPOOL_CORE(void)::returned(core_slot& slot, lease_end end, bool discarded, tick now, tick last_ok, duration held,
                              core_actions& a) noexcept {
  if (slot.leak_reported) {
    a.leak_returned = true;
    a.leak = report_of(slot, now);
    ++totals_.leaks_returned;
  }
  end_lease(slot, now, last_ok, held);
  if (end == lease_end::broken && !discarded) note_loss(slot, slot.uses - 1, last_ok, now);
  if (end == lease_end::clean || end == lease_end::outdated || end == lease_end::retired) note_service(slot, last_ok);
  unreport(slot);
  if (end == lease_end::outdated && slot.generation == generation_) outdate_all(close_reason::outdated, now);
  if (end == lease_end::broken) {
    destroy(slot, close_reason::broken, now);
  } else if (end == lease_end::unfinished) {
    close_gracefully(slot, close_reason::broken, now);
  } else if (phase_ != phase::running) {
    close_gracefully(slot, close_reason::shutdown, now);
  } else if (end == lease_end::outdated) {
    close_gracefully(slot, close_reason::outdated, now);
  } else if (end == lease_end::retired) {
    close_gracefully(slot, close_reason::retired, now);
  } else if (worn_out(slot)) {
    close_gracefully(slot, close_reason::max_uses, now);
  } else if (end == lease_end::needs_reset && slot.generation == generation_ && open_count() <= max_) {
    run_op(slot, slot_state::resetting, slot_action::reset, config_.reset_timeout, now);
  } else {
    slot.idle_since = now;
    make_available(slot, now, false, a);
  }
  settle(now, a);
}

TIDEPOOL_CORE(void)::collect(core_slot& slot, tick now, bool suspected) noexcept {
  if (slot.state == slot_state::gone) {
    if (let_go(slot)) queue_action(slot, slot_action::discard);
    return;
  }
  end_lease(slot, slot.stashed_at, tick{}, duration(-1));
  if (slot.leak_reported) ++totals_.leaks_returned;
  unreport(slot);
  slot.idle_since = slot.stashed_at;
  set(slot, slot_state::idle);
  idle_.insert(slot);
  if (!slot.retire.linked) ages_.insert(slot.retire, slot.retire.at);
  if (stopped()) {
    close_idle(slot, close_reason::shutdown, now);
  } else if (slot.generation != generation_) {
    close_idle(slot, generation_ended_, now);
  } else if (CanCheck && suspected) {
    check_in_place(slot, now);
  }
}

TIDEPOOL_CORE(void)::reset_done(core_slot& slot, bool ok, tick now, core_actions& a) noexcept {
  end_op(slot);
  ++totals_.resets;
  if (ok) {
    slot.idle_since = now;
    note_answer(slot, now);
    note_service(slot, now);
    make_available(slot, now, true, a);
  } else {
    note_loss(slot, slot.uses - 1, tick{}, now);
    destroy(slot, close_reason::reset_failed, now);
  }
  settle(now, a);
}

// For a slot in no list: to the head waiter, else to the idle ones, or away.
TIDEPOOL_CORE(void)::make_available(core_slot& slot, tick now, bool validated, core_actions& a) noexcept {
  if (slot.generation != generation_) return close_gracefully(slot, generation_ended_, now);
  if (open_count() > max_) return close_gracefully(slot, close_reason::shrunk, now);
  if (outlived(slot, now)) return close_gracefully(slot, close_reason::lifetime, now);
  if (!slot.retire.linked) ages_.insert(slot.retire, slot.retire.at);
  core_waiter* head = admits_ ? waiters_.front() : nullptr;
  if (head && (validated || now < slot.fresh_until)) return grant(*head, slot, now, false, a);
  set(slot, slot_state::idle);
  idle_.insert(slot);
}

/// Its age forbids another hand-out. Postpones the retirement where the gap to the previous one says so.
TIDEPOOL_CORE(bool)::outlived(core_slot& slot, tick now) noexcept {
  if constexpr (lifetime_policy::enabled) {
    if (now < slot.retire.at) return false;
    // What is left shares the time that is left, or those not replaced at once would bunch at the limit.
    const duration left = (slot.hard_limit - now) / static_cast<duration::rep>(open_count());
    const tick spaced = later(last_retirement_, std::min(lifetime_.gap(open_count()), left));
    if (now >= slot.hard_limit || now >= spaced) {
      last_retirement_ = now;
      return true;
    }
    ages_.update(slot.retire, std::min(slot.hard_limit, spaced));
    refresh(slot);
  }
  return false;
}

// --- detaching, closing ---------------------------------------------------------------------------------------------

TIDEPOOL_CORE(void)::detach(core_slot& slot, tick now, core_actions& a) noexcept {
  if (slot.leak_reported) ++totals_.leaks_returned;
  end_lease(slot, now, tick{}, duration(-1));
  unreport(slot);
  leave(slot, close_reason::detached, now);
  settle(now, a);
}

TIDEPOOL_CORE(void)::closed(core_slot& slot, tick now, core_actions& a) noexcept {
  end_op(slot);
  leave(slot, slot.reason, now);
  settle(now, a);
}

/// For a slot in no list.
TIDEPOOL_CORE(void)::close_gracefully(core_slot& slot, close_reason reason, tick now) noexcept {
  if (orphan_) return destroy(slot, reason, now);
  slot.reason = reason;
  ages_.erase(slot.retire);
  if constexpr (scaling_policy::enabled) opened_.left(now);
  run_op(slot, slot_state::closing, slot_action::close, config_.close_timeout, now);
}

/// For a slot in no list.
TIDEPOOL_CORE(void)::destroy(core_slot& slot, close_reason reason, tick now) noexcept {
  if (reason == close_reason::broken || reason == close_reason::invalid || reason == close_reason::reset_failed) suspect(now);
  slot.reason = reason;
  ages_.erase(slot.retire);
  if constexpr (scaling_policy::enabled) opened_.left(now);
  run_op(slot, slot_state::closing, slot_action::destroy, never, now);
}

TIDEPOOL_CORE(void)::close_idle(core_slot& slot, close_reason reason, tick now) noexcept {
  idle_.erase(slot);
  close_gracefully(slot, reason, now);
}

/// It is not the pool's any more. For a slot in no list; whoever uses it at the moment frees it.
TIDEPOOL_CORE(void)::leave(core_slot& slot, close_reason reason, tick now) noexcept {
  ages_.erase(slot.retire);
  if (slot.state != slot_state::connecting) {
    slot.reason = reason;
    ++totals_.closed_by_reason[static_cast<std::size_t>(reason)];
    ++totals_.connections_closed;
    if constexpr (scaling_policy::enabled) {
      if (slot.state != slot_state::closing) opened_.left(now);
    }
  }
  --counts_[static_cast<std::size_t>(slot.state)];
  slot.state = slot_state::gone;
}

/// Ends the wait for an operation; its coroutine finds out.
TIDEPOOL_CORE(void)::give_up_op(core_slot& slot, close_reason reason, tick now) noexcept {
  if (slot.state == slot_state::connecting) gate_.abandoned(now);
  if (slot.background_check) idle_.erase(slot);
  const op_phase reached = slot.phase;
  end_op(slot);
  slot.phase = reached;  // its coroutine is still there
  leave(slot, reason, now);
  queue_action(slot, slot_action::cancel_op);
}

/// The holder keeps a lease of a connection whose socket is shut, and frees it in the end.
TIDEPOOL_CORE(void)::take_from_holder(core_slot& slot, close_reason reason, tick now) noexcept {
  strike_off(slot, now);
  slot.must_take_slow_path = true;
  leave(slot, reason, now);
  taken_back_.push_back(slot);
  queue_action(slot, slot_action::abort_lease);
}

// --- what the shell is to do ----------------------------------------------------------------------------------------

TIDEPOOL_CORE(void)::run_op(core_slot& slot, slot_state during, slot_action what, duration limit, tick now) noexcept {
  set(slot, during);
  if (!slot.background_check) in_op_.push_back(slot);
  bounds_.insert(slot.bound, later(now, limit));
  queue_action(slot, what);
}

TIDEPOOL_CORE(void)::end_op(core_slot& slot) noexcept {
  if (slot.background_check) {
    slot.background_check = false;
    --background_;
  } else {
    in_op_.erase(slot);
  }
  bounds_.erase(slot.bound);
  slot.phase = op_phase::none;
}

TIDEPOOL_CORE(void)::queue_action(core_slot& slot, slot_action what) noexcept {
  const bool queued = slot.action != slot_action::none;
  slot.action = what;
  if (queued) return;  // the newer one replaces it: its operation has not begun
  slot.next_action = nullptr;
  (last_action_ ? last_action_->next_action : first_action_) = &slot;
  last_action_ = &slot;
}

TIDEPOOL_CORE(auto)::next_action() noexcept -> pending_action {
  while (core_slot* slot = first_action_) {
    first_action_ = slot->next_action;
    if (!first_action_) last_action_ = nullptr;
    slot_action what = slot->action;
    slot->action = slot_action::none;
    switch (what) {
      case slot_action::validate:
      case slot_action::reset:
      case slot_action::close: slot->phase = op_phase::starting; break;
      case slot_action::cancel_op:
        if (slot->phase == op_phase::starting) {
          slot->cancel_wanted = true;
          continue;
        }
        [[fallthrough]];
      case slot_action::abort_lease:
        if (slot->left_behind || (what == slot_action::cancel_op && slot->phase == op_phase::none)) {
          what = slot_action::discard;
        } else {
          slot->aborting = true;
        }
        break;
      default: break;
    }
    return {slot, what};
  }
  return {};
}

TIDEPOOL_CORE(bool)::op_started(core_slot& slot) noexcept {
  if (slot.cancel_wanted) return false;
  slot.phase = op_phase::running;
  return true;
}

TIDEPOOL_CORE(bool)::op_ending(core_slot& slot) noexcept {
  if (slot.state == slot_state::gone) return false;
  slot.phase = op_phase::starting;  // a cancel then leaves the slot alone
  return true;
}

TIDEPOOL_CORE(bool)::let_go(core_slot& slot) noexcept {
  if (slot.linked()) taken_back_.erase(slot);  // gone, it is in no other list
  slot.phase = op_phase::none;
  slot.left_behind = slot.aborting || slot.action != slot_action::none;
  return !slot.left_behind;
}

TIDEPOOL_CORE(bool)::aborted(core_slot& slot) noexcept {
  slot.aborting = false;
  return slot.left_behind;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
