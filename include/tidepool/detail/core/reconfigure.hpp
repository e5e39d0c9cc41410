// SPDX-License-Identifier: BSL-1.0
// tidepool - another configuration for a pool at work: what hangs on its fields is set again.
//
// Bounds of what is under way, of waits and of operations, stay as they were. Limits of age are new for connections that exist too: at once
// where no holder has them, and for leases when they come back, because their holders read those limits without the lock.
#ifndef TIDEPOOL_DETAIL_CORE_RECONFIGURE_HPP
#define TIDEPOOL_DETAIL_CORE_RECONFIGURE_HPP

#include <algorithm>

#include "../../policy/form.hpp"
#include "../../version.hpp"
#include "core_state.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Limits by the latest configuration for a connection that no holder has, if they are by an earlier one.
template <class Rules>
void age_again(core_state<Rules>& c, core_slot& slot) noexcept {
  if (slot.aged_by == c.config_changes) return;
  slot.aged_by = c.config_changes;
  if constexpr (Rules::lifetime_policy::enabled) {
    slot.hard_limit = c.lifetime.hard_limit(slot.born);
    const tick retire = (std::min)(slot.hard_limit, c.lifetime.soft_limit(slot.born, c.random.unit()));
    if (slot.retire.linked) {
      c.ages.update(slot.retire, retire);
    } else {
      slot.retire.at = retire;
    }
  }
  c.refresh(slot);
}

/// All but the sizes.
template <class Rules>
void apply_config(core_state<Rules>& c, const pool_config& next, tick now) noexcept {
  c.set_config(next);
  c.gate.reconfigure(next, now);
  reconfigure_policy(c.health, next);
  reconfigure_policy(c.leak, next);
  reconfigure_policy(c.scaling, next);
  reconfigure_policy(c.lifetime, next);
  c.idle_limit = next.learn_idle_limit ? c.horizon.limit() : duration(no_limit);
  if (!c.life.running()) return;
  for (core_slot* slot = c.idle.front(); slot; slot = c.idle.after(*slot)) {
    age_again(c, *slot);
    if (!slot->retire.linked) c.ages.insert(slot->retire, slot->retire.at);
  }
  for (core_slot* slot = c.in_operation.front(); slot; slot = c.in_operation.after(*slot)) {
    if (slot->state == slot_state::validating || slot->state == slot_state::resetting) age_again(c, *slot);
  }
  for (const auto* list : {&c.leased, &c.reported}) {
    for (core_slot* slot = list->front(); slot; slot = list->after(*slot)) slot->must_settle_at_return = slot->must_take_slow_path = true;
  }
  if constexpr (Rules::can_check) c.due.change_rounds(now, c.health.interval());
  if constexpr (Rules::scaling_policy::enabled) {
    const duration interval = c.scaling.interval();
    c.due.next_scaling = interval == no_limit ? never : (std::min)(c.due.next_scaling, later(now, interval));
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
