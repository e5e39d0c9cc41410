// SPDX-License-Identifier: BSL-1.0
// tidepool - a lease that is given back and taken again by its thread without the lock: what is asked and written of its slot.
#ifndef TIDEPOOL_DETAIL_CORE_REUSE_HPP
#define TIDEPOOL_DETAIL_CORE_REUSE_HPP

#include <cstdint>

#include "../../source_location.hpp"
#include "../../time.hpp"
#include "../../version.hpp"
#include "../util/attributes.hpp"
#include "../util/smaller.hpp"
#include "slot.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Traits that want each change of a slot's state checked against the table, also where asserts are off.
template <class Traits>
concept checks_transitions = requires {
  requires Traits::checks_transitions;
};

/// What is fixed for a kind of pool. `CanValidate`: a round trip can be made. `CanCheck`: a connection can at least be looked at.
/// `OwnValidation`: the health policy brings its own, which an answer to a caller's statement does not replace.
template <class Traits, bool CanValidate, bool CanCheck, bool OwnValidation>
struct core_rules {
  using health_policy = typename Traits::health_policy;
  using leak_policy = typename Traits::leak_policy;
  using scaling_policy = typename Traits::scaling_policy;
  using lifetime_policy = typename Traits::lifetime_policy;
  using queue_policy = typename Traits::queue_policy;
  using breaker_policy = typename Traits::breaker_policy;
  static constexpr bool can_validate = CanValidate;
  static constexpr bool can_check = CanCheck;
  static constexpr bool own_validation = OwnValidation;
  static constexpr bool checked = checks_transitions<Traits>;
};

/// Until when a connection that answered at `last_ok` may be handed out without a look, its age aside.
template <class Rules>
tick fresh_until(const typename Rules::health_policy& health, tick last_ok) noexcept {
  if constexpr (Rules::own_validation) {
    // Also without validation before a hand-out: a connection in use all the time is never idle when the sweep comes by.
    return smaller_of(health.fresh_until(last_ok), later(last_ok, health.interval()));
  } else if constexpr (Rules::can_validate) {
    return health.fresh_until(last_ok);
  }
  return never;
}
/// Its server answered at `at`, if that is known. By the holder, too.
template <class Rules>
void note_answer(const typename Rules::health_policy& health, core_slot& slot, tick at) noexcept {
  if constexpr (Rules::own_validation) {
    slot.answered |= at > slot.born;
  } else if (at > slot.last_ok) {
    slot.last_ok = at;
    slot.fresh_until = smaller_of(slot.retire.at, fresh_until<Rules>(health, at));
  }
}

/// By the holder, without the lock. False: this lease is to come back by `returned()` or its like.
template <class Rules>
bool stash_slot(const typename Rules::health_policy& health, core_slot& slot, tick now, tick last_ok) noexcept {
  if (now >= slot.retire.at || slot.must_take_slow_path || !slot.label.empty()) return false;
  note_answer<Rules>(health, slot, last_ok);
  slot.stashed_at = now;
  slot.checked_out = never;
  return true;
}
/// By the thread that took it out of the stash, without the lock. False: it is not for handing out unseen.
TIDEPOOL_ALWAYS_INLINE inline bool take_stashed_slot(core_slot& slot, tick now, const source_location& from) noexcept {
  if (now >= slot.fresh_until || slot.must_take_slow_path) return false;
  slot.checked_out = now;
  slot.where = from;
  slot.reuses = std::uint64_t(slot.reuses) + 1;
  slot.unused = duration(slot.unused) + (now - slot.stashed_at);
  ++slot.uses;
  return true;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
