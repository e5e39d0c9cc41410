// SPDX-License-Identifier: BSL-1.0
// tidepool - everything the core knows, and the questions it can be asked. What is done with it is in the headers beside this one.
#ifndef TIDEPOOL_DETAIL_CORE_CORE_STATE_HPP
#define TIDEPOOL_DETAIL_CORE_CORE_STATE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "../../config.hpp"
#include "../../policy/scaling.hpp"
#include "../../version.hpp"
#include "../util/attributes.hpp"
#include "../util/random.hpp"
#include "census.hpp"
#include "connect_gate.hpp"
#include "core_actions.hpp"
#include "growth.hpp"
#include "idle_horizon.hpp"
#include "idle_list.hpp"
#include "life_cycle.hpp"
#include "load_record.hpp"
#include "reuse.hpp"
#include "schedule.hpp"
#include "usage.hpp"
#include "wait_queue.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

template <class Rules>
struct core_state {
  using queue_policy = typename Rules::queue_policy;

  core_state(const pool_config& c, std::uint64_t seed)
      : config_(&c),
        min{c.min_size},
        max{c.max_size},
        target(c.min_size),
        random(seed),
        gate(c),
        health(c),
        leak(c),
        scaling(c),
        lifetime(c) {}

  /// The latest. Earlier ones live as long as the pool, so nobody has to let go of one.
  const pool_config& config() const noexcept { return *config_; }
  void set_config(const pool_config& next) noexcept {
    config_ = &next;
    ++config_changes;
  }

  // --- questions ------------------------------------------------------------------------------------------------------

  /// How many callers may wait: those for whom there is a place in the pool, or one on its way, do not count for `max_waiting`.
  std::size_t queue_limit() const noexcept {
    const std::size_t taken = slots.leased() + slots.closing();
    const std::size_t room = life.admits() && max > taken ? max - taken : 0;
    return config().max_waiting + (std::min)(room, std::size_t(no_limit) - config().max_waiting);
  }
  /// Idle connections that `min_idle` asks for and that are not there or on their way.
  std::size_t spares_missing() const noexcept {
    return missing(config().min_idle, slots.idle() + slots.count(slot_state::checking) + slots.connecting());
  }
  bool surplus() const noexcept { return slots.open() > max; }
  /// The idle connection that is next, or null.
  core_slot* next_idle() const noexcept {
    if constexpr (queue_policy::newest_first) return idle.newest();
    return idle.oldest();
  }
  bool worn_out(const core_slot& slot) const noexcept {
    if constexpr (Rules::lifetime_policy::enabled) return lifetime.worn_out(slot.uses);
    return false;
  }
  /// Before a hand-out, unless the server answered of late.
  bool asks_validation() const noexcept {
    if constexpr (Rules::can_validate) return health.fresh_until(tick{}) != never;
    return false;
  }
  static bool has_served(const core_slot& slot) noexcept {
    if constexpr (Rules::own_validation) return slot.answered;
    return slot.last_ok > slot.born;
  }
  /// See reuse.hpp.
  tick fresh_until(tick last_ok) const noexcept { return detail::fresh_until<Rules>(health, last_ok); }
  void refresh(core_slot& slot) const noexcept { slot.fresh_until = (std::min)(slot.retire.at, fresh_until(slot.last_ok)); }
  void note_answer(core_slot& slot, tick at) const noexcept { detail::note_answer<Rules>(health, slot, at); }

  // --- what there is, the hot path's first ------------------------------------------------------------------------------

  life_cycle life;
  bool warm = false;           ///< `min_size` connections were there once
  bool wants_connect = false;  ///< only the gate, or an attempt in flight, holds it back
  census<Rules::checked> slots;
  schedule due;
  idle_list idle;
  wait_queue waiters;
  intrusive_list<core_slot> leased;  ///< in order of checkout
  std::uint64_t generation = 0;
  close_reason generation_ended = close_reason::recycled;  ///< why the latest one did
  const pool_config* config_;
  std::uint32_t config_changes = 0;
  std::size_t min;
  std::size_t max;
  std::size_t target;
  usage<Rules::scaling_policy::enabled> used;

  intrusive_list<core_slot> reported;      ///< leases known to the observer as leaked
  intrusive_list<core_slot> revoked;       ///< gone, and not let go of by their holders yet
  intrusive_list<core_slot> in_operation;  ///< connecting, validating before a hand-out, resetting, closing
  deadline_queue<core_slot> bounds;        ///< of operations
  deadline_heap<core_slot> ages;
  detail::pending_actions pending;
  connection_id last_id = 0;
  return_estimate returns;
  pool_state seen_state = pool_state::starting;
  breaker_state seen_breaker = breaker_state::closed;
  splitmix random;
  connect_gate<typename Rules::breaker_policy> gate;
  idle_horizon horizon;
  duration idle_limit = no_limit;  ///< learned, and to be kept to
  bool horizon_moved = false;      ///< and nobody was told yet
  std::unique_ptr<load_record> load = std::make_unique<load_record>();
  tick load_seen_at = never;
  std::uint64_t asked_before = 0;  ///< acquires by then
  TIDEPOOL_NO_UNIQUE_ADDRESS typename Rules::health_policy health;
  TIDEPOOL_NO_UNIQUE_ADDRESS typename Rules::leak_policy leak;
  TIDEPOOL_NO_UNIQUE_ADDRESS typename Rules::scaling_policy scaling;
  TIDEPOOL_NO_UNIQUE_ADDRESS typename Rules::lifetime_policy lifetime;
};

// --- silence ----------------------------------------------------------------------------------------------------------

/// Since when no word was exchanged with its server, as far as that is known, for one that is idle or was until now.
inline tick silent_since(const core_slot& slot) noexcept { return (std::max)(slot.last_ok, slot.idle_since); }
/// An idle connection was found dead, at `at`.
template <class Rules>
void note_idle_death(core_state<Rules>& c, const core_slot& slot, tick at, tick now) noexcept {
  if (!c.horizon.died(at - silent_since(slot), now)) return;
  c.horizon_moved = true;
  c.idle_limit = c.config().learn_idle_limit ? c.horizon.limit() : duration(no_limit);
}

// --- leases -----------------------------------------------------------------------------------------------------------

/// A slot in no list becomes a lease.
template <class Rules>
void check_out(core_state<Rules>& c, core_slot& slot, tick now, const source_location& where) noexcept {
  c.slots.transition(slot, slot_state::leased);
  c.leased.push_back(slot);
  ++slot.uses;
  slot.checked_out = slot.listed = now;
  slot.where = where;
  c.used.lease_began(now);
}
/// Takes a leased slot out of its list; the caller says what becomes of it. Writes nothing that its holder may touch without the lock.
template <class Rules>
TIDEPOOL_ALWAYS_INLINE inline void end_listing(core_state<Rules>& c, core_slot& slot, tick now) noexcept {
  (slot.leak_reported ? c.reported : c.leased).erase(slot);
  c.used.count_reuses(slot);
  c.used.lease_ended(now);
}
/// The same when its holder has let go of it. `held`: `not_timed`, or for how long.
template <class Rules>
TIDEPOOL_ALWAYS_INLINE inline void end_lease(core_state<Rules>& c, core_slot& slot, tick now, tick last_ok, duration held) noexcept {
  end_listing(c, slot, now);
  slot.must_take_slow_path = false;
  if (held >= duration::zero()) {
    c.used.lease_timed(held, slot.sample_weight);
    c.returns.lease_took(held);
  }
  if (!slot.label.empty()) slot.label.clear();
  c.note_answer(slot, last_ok);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
