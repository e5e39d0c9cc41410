// SPDX-License-Identifier: BSL-1.0
// tidepool - the dispatcher's second half: lanes that are opened, turned, drained, given back, and lost, and what time brings.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_DISPATCHER_LANES_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_DISPATCHER_LANES_HPP

#include <algorithm>

#include "../../../version.hpp"
#include "dispatcher.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

inline void dispatcher::failed(lane& l, tick now) noexcept {
  l.state = lane_state::vacant;
  l.turns = false;
  ++counts_.lanes_failed;
  reopen_at_ = later(now, rules_.reopen_after);
  for (const auto& each : lanes_) {
    if (each->state == lane_state::opening || each->state == lane_state::ready || (each->state == lane_state::draining && each->turns))
      return;
  }
  reopen_at_ = tick{};
  for (const auto kind : {lane_kind::read, lane_kind::write}) {
    while (job* const first = queue(kind).front()) {
      if (first->number > l.asked_at_number) break;
      queue(kind).erase(*first);
      finish(*first, verdict::no_lane);
    }
  }
}

inline void dispatcher::drain(lane& l, tick now) noexcept {
  if (l.state != lane_state::ready && !(l.state == lane_state::draining && l.turns)) return;
  l.state = lane_state::draining;
  l.turns = false;
  settle(l, now);
}

inline void dispatcher::close(tick now) noexcept {
  closing_ = true;
  for (const auto kind : {lane_kind::read, lane_kind::write}) {
    while (job* const first = queue(kind).pop_front()) finish(*first, verdict::closed);
  }
  for (const auto& each : lanes_) drain(*each, now);
}

inline void dispatcher::tick_at(tick now) noexcept {
  looked_ = now;
  while (deadlines_.next() <= now) abandon(*deadlines_.top()->owner, verdict::late);
  for (const auto& each : lanes_) {
    lane& l = *each;
    if (l.state != lane_state::ready && l.state != lane_state::draining) continue;
    if (!l.idle()) {
      if (!l.told_stalled && stalled(l, now)) {
        l.told_stalled = true;
        l.reported_stalled = false;
        ++counts_.stalls;
      }
      ticket& head = l.awaits_answer() ? l.next_answer() : l.front();
      if (head.who == nullptr && now >= later(l.progress, rules_.give_up_after)) {
        fall(l);
        bury(l, now);
        continue;
      }
    }
    if (l.state != lane_state::ready) continue;
    const bool unused = l.idle() && queue(l.kind).empty() && now >= later(l.since, rules_.lane_idle);
    if (unused || now >= l.retire) drain(l, now);
  }
  for (const auto kind : {lane_kind::read, lane_kind::write}) {
    if (!queue(kind).empty()) consider_turning(kind, now);
  }
}

inline void dispatcher::put_back(job& j) noexcept {
  if (closing_) return finish(j, verdict::closed);
  auto& to = queue(j.kind);
  job* place = nullptr;
  for (job* at = to.front(); at != nullptr && at->number < j.number; at = to.after(*at)) place = at;
  if (place == nullptr) {
    to.push_front(j);
  } else {
    to.insert_after(*place, j);
  }
}

inline void dispatcher::bury(lane& l, tick now) noexcept {
  ++counts_.lanes_lost;
  l.state = lane_state::dead;
  l.turns = false;
  l.since = now;
  l.order = lane_order::kill;
  l.to_flush = false;
  while (!l.idle()) {
    const ticket done = l.pop();
    if (done.who == nullptr) continue;
    job& j = *done.who;
    j.on = nullptr;
    if (done.got == answer::failed) {
      ++counts_.failed;
      finish(j, verdict::answered);
    } else if (done.got == answer::skipped || done.got == answer::stale) {
      put_back(j);
    } else if (j.kind == lane_kind::write) {
      finish(j, verdict::unknown);
    } else if (++j.losses > rules_.most_losses) {
      finish(j, verdict::lost);
    } else {
      ++counts_.resent;
      put_back(j);
    }
  }
  l.clear();
}

inline void dispatcher::settle(lane& l, tick now) noexcept {
  if (!l.idle()) return;
  if (l.turns && !closing_) {
    l.kind = other(l.kind);
    l.since = now;
    l.state = lane_state::opening;
    l.order = lane_order::turn;
    l.asked_at_number = numbers_;
    ++counts_.lanes_turned;
  } else {
    l.order = lane_order::release;
    ++counts_.lanes_released;
  }
}

inline void dispatcher::want_lane(lane_kind kind, tick now) noexcept {
  lane* place = nullptr;
  for (const auto& each : lanes_) {
    if (each->state == lane_state::opening) {
      if (each->kind == kind) return consider_turning(kind, now);
    } else if (each->state == lane_state::vacant && each->order == lane_order::none && place == nullptr) {
      place = each.get();
    }
  }
  // The pause is for as long as other lanes serve.
  const bool pauses = now < reopen_at_ && !vacant();
  if (place == nullptr || pauses || closing_) return consider_turning(kind, now);
  place->kind = kind;
  place->state = lane_state::opening;
  place->order = lane_order::open;
  place->since = now;
  place->asked_at_number = numbers_;
}

inline void dispatcher::consider_turning(lane_kind kind, tick now) noexcept {
  if (closing_) return;
  lane* idle = nullptr;
  lane* least = nullptr;  // of those that are not stalled, if any
  bool turning = false;
  bool coming = false;
  bool any = false;
  bool full = true;    // those of this kind take no more
  bool stalls = true;  // all of them wait for a slow statement
  const auto before = [this, now](const lane& a, const lane& b) {
    const bool slow = stalled(a, now);
    return slow == stalled(b, now) ? a.depth() < b.depth() : !slow;
  };
  for (const auto& each : lanes_) {
    lane& l = *each;
    if (l.state == lane_state::draining && l.turns && other(l.kind) == kind) {
      if (!stalled(l, now)) return;
      turning = true;
    }
    if (l.kind == kind) {
      coming = coming || (l.state == lane_state::opening && (l.turns || now < later(l.since, rules_.stall_after)));
      if (l.state != lane_state::ready) continue;
      any = true;
      stalls = stalls && stalled(l, now);
      full = full && (stalled(l, now) || !fits(l, 0));
    } else if (l.state == lane_state::ready) {
      if (l.idle() && now >= later(l.since, rules_.stall_after)) idle = &l;
      if (least == nullptr || before(l, *least)) least = &l;
    }
  }
  if (coming) return;
  stalls = stalls && any && now >= later(queue(kind).front()->submitted, rules_.turn_after);
  lane* const chosen = !any || stalls ? least : full && queue(other(kind)).empty() ? idle : nullptr;
  if (chosen == nullptr || ((stalls || turning) && stalled(*chosen, now))) return;
  chosen->turns = true;
  chosen->state = lane_state::draining;
  settle(*chosen, now);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
