// SPDX-License-Identifier: BSL-1.0
// tidepool - the core's life cycle, bounds at run time and reports. Included by pool_core.hpp.
#ifndef TIDEPOOL_DETAIL_CORE_POOL_CORE_LIFECYCLE_HPP
#define TIDEPOOL_DETAIL_CORE_POOL_CORE_LIFECYCLE_HPP

#include "../../version.hpp"
#include "pool_core.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

TIDEPOOL_CORE(void)::start(tick now) noexcept {
  if (phase_ != phase::fresh) return;
  phase_ = phase::running;
  admits_ = !suspended_;
  if constexpr (CanCheck) next_sweep_ = later(now, health_.interval());
  if constexpr (scaling_policy::enabled) next_scale_ = later(now, scaling_.interval());
}

TIDEPOOL_CORE(void)::open(core_waiter& w, tick now, tick deadline, core_actions& a) noexcept {
  start(now);
  w.in = core_waiter::queue::open;
  w.since = now;
  if (phase_ != phase::running) return finish(w, errc::closed, a);
  if (config_.start == start_mode::lazy) {
    finish(w, errc{}, a);
  } else {
    w.at = core_waiter::stage::waiting;
    openers_.push_back(w);
    waits_.insert(w.deadline, deadline);
  }
  settle(now, a);
}

TIDEPOOL_CORE(void)::close(core_waiter* w, tick now, duration grace, core_actions& a) noexcept {
  if (!stopped()) begin_close(now, a);
  close_deadline_ = std::min(close_deadline_, later(now, grace));
  if (w) {
    w->in = core_waiter::queue::close;
    w->since = now;
    w->at = core_waiter::stage::waiting;
    closers_.push_back(*w);
  }
  settle(now, a);
}

TIDEPOOL_CORE(void)::begin_close(tick now, core_actions& a) noexcept {
  phase_ = phase::closing;
  admits_ = wants_connect_ = false;
  while (core_waiter* w = waiters_.front()) fail(*w, errc::closed, a);
  while (core_waiter* w = openers_.front()) finish(*w, errc::closed, a);
  while (core_slot* slot = idle_.front()) {
    if (slot->state == slot_state::idle) {
      close_idle(*slot, close_reason::shutdown, now);
    } else {
      give_up_op(*slot, close_reason::shutdown, now);
    }
  }
  core_slot* next = nullptr;
  for (core_slot* slot = in_op_.front(); slot; slot = next) {
    next = in_op_.after(*slot);
    if (slot->state != slot_state::closing) give_up_op(*slot, close_reason::shutdown, now);
  }
}

TIDEPOOL_CORE(void)::shut_down(tick now, core_actions& a) noexcept {
  orphan_ = true;
  if (!stopped()) begin_close(now, a);
  core_slot* next = nullptr;
  for (core_slot* slot = in_op_.front(); slot; slot = next) {
    next = in_op_.after(*slot);
    if (slot->phase != op_phase::none) {
      give_up_op(*slot, slot->reason, now);
    } else if (slot->action == slot_action::close) {
      slot->action = slot_action::destroy;
      bounds_.erase(slot->bound);
    }
  }
  while (core_waiter* w = closers_.front()) finish(*w, errc::closed, a);
  close_deadline_ = never;
  settle(now, a);
}

TIDEPOOL_CORE(void)::finish_closing(tick now, core_actions& a) noexcept {
  if (now >= close_deadline_) {
    while (core_slot* slot = reported_.front()) take_from_holder(*slot, close_reason::shutdown, now);
    while (core_slot* slot = leased_.front()) take_from_holder(*slot, close_reason::shutdown, now);
  }
  if (total() == 0) phase_ = phase::closed;
  if (phase_ == phase::closed) {
    while (core_waiter* w = closers_.front()) finish(*w, errc{}, a);
  }
}

TIDEPOOL_CORE(void)::suspend(tick now, core_actions& a) noexcept {
  suspended_ = true;
  admits_ = false;
  settle(now, a);
}

TIDEPOOL_CORE(void)::resume(tick now, core_actions& a) noexcept {
  suspended_ = false;
  admits_ = phase_ == phase::running;
  settle(now, a);
}

TIDEPOOL_CORE(void)::resize(std::size_t min, std::size_t max, tick now, core_actions& a) noexcept {
  if (target_ <= min_) target_ = min;  // the floor, and no decision of scaling's
  min_ = min;
  max_ = max;
  target_ = std::clamp(target_, min_, max_);
  settle(now, a);
}

TIDEPOOL_CORE(void)::recycle(tick now, core_actions& a) noexcept {
  outdate_all(close_reason::recycled, now);
  settle(now, a);
}

/// A new generation: connections of the old one are closed now or when they come back.
TIDEPOOL_CORE(void)::outdate_all(close_reason why, tick now) noexcept {
  ++generation_;
  generation_ended_ = why;
  for (core_slot* slot = leased_.front(); slot; slot = leased_.after(*slot)) slot->must_take_slow_path = true;
  while (core_slot* slot = idle_.oldest()) close_idle(*slot, why, now);
}

TIDEPOOL_CORE(pool_state)::state() const noexcept {
  switch (phase_) {
    case phase::closed: return pool_state::closed;
    case phase::closing: return pool_state::closing;
    default: break;
  }
  if (suspended_) return pool_state::suspended;
  if (phase_ == phase::fresh) return pool_state::starting;
  if (gate_.streak() > 0) return live() == 0 ? pool_state::critical : pool_state::degraded;
  return warm_ ? pool_state::healthy : pool_state::starting;
}

TIDEPOOL_CORE(const char*)::state_reason() const noexcept {
  switch (state()) {
    case pool_state::starting: return "opening";
    case pool_state::healthy: return "connections are there";
    case pool_state::suspended: return "suspended";
    case pool_state::closing: return "close() was called";
    case pool_state::closed: return "nothing is left";
    default: break;
  }
  const bool alive = live() > 0;
  switch (gate_.kind()) {
    case failure_kind::permanent: return alive ? "connecting fails for good" : "no connection is alive and connecting fails for good";
    case failure_kind::server_full: return alive ? "the server has no more room" : "no connection is alive and the server has no room";
    case failure_kind::starting: return alive ? "the server is starting up" : "no connection is alive and the server is starting up";
    case failure_kind::wrong_role:
      return alive ? "no further server has the wanted role" : "no connection is alive and no server has the wanted role";
    case failure_kind::refused: return alive ? "no server listens" : "no connection is alive and no server listens";
    default: return alive ? "connecting fails" : "no connection is alive and connecting fails";
  }
}

TIDEPOOL_CORE(connect_outlook)::outlook(tick now) const noexcept {
  connect_outlook out;
  out.failures_in_a_row = gate_.streak();
  if (out.failures_in_a_row == 0) return out;
  out.kind = gate_.kind();
  out.failing_for = now - gate_.failing_since();
  const tick next = wants_connect_ && connecting() == 0 ? gate_.opens_at(0) : never;
  if (next != never) out.next_look = std::max(next - now, duration::zero());
  return out;
}

TIDEPOOL_CORE(pool_gauges)::gauges() const noexcept {
  return {state(),
          gate_.state(),
          count(slot_state::leased),
          count(slot_state::idle),
          connecting(),
          count(slot_state::validating),
          count(slot_state::resetting),
          count(slot_state::closing),
          max_,
          waiters_.size()};
}

TIDEPOOL_CORE(void)::snapshot(pool_stats& out) const noexcept {
  out = totals_;
  out.name = config_.name;
  out.state = state();
  out.breaker = gate_.state();
  out.total_connections = total();
  out.active_connections = count(slot_state::leased);
  out.idle_connections = count(slot_state::idle);
  out.connecting = connecting();
  out.validating = count(slot_state::validating);
  out.resetting = count(slot_state::resetting);
  out.closing = count(slot_state::closing);
  out.waiting = waiters_.size();
  out.leaked = reported_.size();
  out.min_size = min_;
  out.max_size = max_;
  out.target_size = target_;
  out.min_idle = config_.min_idle;
  for (const core_slot* s = leased_.front(); s; s = leased_.after(*s)) out.direct += s->reuses - s->reuses_seen;
  for (const core_slot* s = reported_.front(); s; s = reported_.after(*s)) out.direct += s->reuses - s->reuses_seen;
  out.total_checkouts = out.direct + out.waited;
  out.total_checkins = out.total_checkouts - out.active_connections;
  out.failed_checkouts = out.timeouts + out.rejected_full + out.cancelled + out.refused_open + out.refused_connect + out.refused_closed;
  out.wait_time.record(duration::zero(), out.direct);
  out.avg_checkout_time = out.wait_time.mean();
  out.max_checkout_time = out.wait_time.max();
  out.generation = generation_;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
