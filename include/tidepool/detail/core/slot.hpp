// SPDX-License-Identifier: BSL-1.0
// tidepool - one connection as the core sees it, and the table of its states.
#ifndef TIDEPOOL_DETAIL_CORE_SLOT_HPP
#define TIDEPOOL_DETAIL_CORE_SLOT_HPP

// state       list            connection                          goes to
// connecting  in_operation    a connector is at work              idle, leased; closing (too old, too many, recycled meanwhile); gone
// idle        idle            may be handed out                   leased; validating, checking; closing, destroying
// validating  in_operation    validated before it is handed out   leased, idle; closing; destroying (refused); gone
// checking    idle, in place  validated, it keeps its idle age    idle; destroying (refused); gone
// leased      leased or       a caller's; `held`, or `stashed`:   idle, leased (next waiter), resetting; closing, destroying;
//             reported        given back without the lock         gone (detached, or taken from its holder)
// resetting   in_operation    reset after its lease               idle, leased; closing; destroying (failed); gone
// closing     in_operation    is closed gracefully                destroying (the pool object goes); gone
// destroying  in_operation    ends at once                        gone
// gone        revoked, or     not the pool's any more             -
//             none
//
// An operation ends in `gone` where it fails to connect or to close, takes too long, or is under way when the pool closes. Where the pool
// object has gone, what would be closed is destroyed.
//
// Who writes a field: in every state but `leased` the thread that has the pool's lock. While a slot is leased its holder writes the group
// "the holder" below, without the lock; between the grant and the holder that is the thread that grants, and in the stash the thread that
// has taken the slot out by its exchange. Whether a lease is held or stashed is such a thing, and
// its holder changes it without the lock: `lease_place`, which is read from `checked_out` (`never` while it is stashed). One field for
// both, because of two the pool could see one new and the other old, and report a leak of a lease that was just taken.
// Who reads: under the lock everybody; of a leased slot only what is `relaxed`, and the rest when the lease has ended. The holder reads
// without the lock what no other thread changes while the slot is leased (`retire.at`, `label`, `id`, and `listed` until the grant is
// delivered), and `must_take_slow_path`; a thread that destroys a connection reads `reason` and `died_unserved`, which are settled by then.
// The last user of a slot that is `gone` reads all of it, and frees it.
#include <array>
#include <cstdint>

#include "../../bounded_string.hpp"
#include "../../events.hpp"
#include "../../source_location.hpp"
#include "../../states.hpp"
#include "../../time.hpp"
#include "../../version.hpp"
#include "../util/deadline_queue.hpp"
#include "../util/intrusive_list.hpp"
#include "../util/relaxed.hpp"
#include "slot_operation.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

enum class slot_state : std::uint8_t { connecting, idle, validating, checking, leased, resetting, closing, destroying, gone };
inline constexpr std::size_t slot_states = 9;

/// Where a lease is. Not a `slot_state`, because those change under the lock.
enum class lease_place : std::uint8_t { held, stashed };
constexpr lease_place place_of(tick checked_out) noexcept { return checked_out == never ? lease_place::stashed : lease_place::held; }

/// The table above: bit `to` of entry `from`.
inline constexpr std::array<std::uint16_t, slot_states> slot_transitions = [] {
  using enum slot_state;
  constexpr auto to = [](auto... states) { return static_cast<std::uint16_t>(((1u << static_cast<unsigned>(states)) | ...)); };
  std::array<std::uint16_t, slot_states> out{};
  const auto from = [&out](slot_state state) -> std::uint16_t& { return out[static_cast<std::size_t>(state)]; };
  from(connecting) = to(idle, leased, closing, gone);
  from(idle) = to(leased, validating, checking, closing, destroying);
  from(validating) = to(leased, idle, closing, destroying, gone);
  from(checking) = to(idle, destroying, gone);
  from(leased) = to(idle, leased, resetting, closing, destroying, gone);
  from(resetting) = to(idle, leased, closing, destroying, gone);
  from(closing) = to(destroying, gone);
  from(destroying) = to(gone);
  return out;
}();
constexpr bool may_become(slot_state from, slot_state to) noexcept {
  return (slot_transitions[static_cast<std::size_t>(from)] >> static_cast<unsigned>(to) & 1u) != 0;
}

/// `sampled_at` of a lease whose time is not taken.
inline constexpr tick not_sampled{};

/// What an un-contended checkout touches comes first.
struct core_slot : list_hook {
  // --- the pool, under its lock
  slot_state state = slot_state::connecting;
  close_reason reason = close_reason::broken;
  slot_operation operation;
  bool leak_reported = false;
  bool must_settle_at_return =
      false;                   ///< comes back by `returned()`, not by the quick returns; `must_take_slow_path` forbids the stash only
  bool on_trial = false;       ///< made while it was in doubt whether new connections live
  bool died_unserved = false;  ///< lost soon after its connect, before it served a caller: a failed connect
  std::uint32_t wave = 0;      ///< of connect attempts, see connect_gate
  std::uint64_t generation = 0;
  // --- the pool writes it, the holder reads it
  relaxed<bool> must_take_slow_path;  ///< not to be stashed; and if it is, not to be handed out from there
  // --- the holder, without the lock
  bool answered = false;      ///< its server did since the connect; kept only with a validation of the policy's own
  std::uint32_t aged_by = 0;  ///< the pool's, under its lock: which configuration its age limits are of, see reconfigure.hpp
  std::uint64_t uses = 0;
  relaxed<tick> checked_out;
  relaxed<std::uint64_t> reuses;  ///< checkouts from the stash ever
  relaxed<duration> unused;       ///< time stashed ever
  tick stashed_at{};
  tick fresh_until{};             ///< may be handed out without a look until then
  tick last_ok{};                 ///< when its server last answered; with a validation of the policy's own, when it last passed that
  tick sampled_at = not_sampled;  ///< precise clock at checkout of a sampled lease, else `not_sampled`
  std::uint64_t next_sample = 0;
  std::uint64_t last_sample = 0;
  std::uint64_t sample_weight = 1;
  relaxed<source_location> where;
  // --- the pool, under its lock
  std::uint64_t reuses_seen = 0;  ///< of `reuses`, accounted for
  duration unused_seen{};
  tick listed{};  ///< sort key of the list of leases: the checkout as the pool knows it; older than `checked_out` after a reuse
  tick idle_since{};
  deadline_node<core_slot> bound;   ///< of the running operation
  deadline_node<core_slot> retire;  ///< next look at its age
  core_slot* next_pending = nullptr;
  connection_id id = 0;
  tick born{};  ///< of the connection; of the attempt while connecting
  tick hard_limit = never;
  bounded_string<47> label;

  core_slot() { bound.owner = retire.owner = this; }
  core_slot(const core_slot&) = delete;
  core_slot& operator=(const core_slot&) = delete;
};

/// The lease of a slot as reports show it.
inline lease_report report_of(const core_slot& slot, tick now) noexcept {
  const tick since = slot.checked_out;
  const bool counts = place_of(since) == lease_place::held && since < now;
  return {slot.id, slot.where, counts ? now - since : duration::zero(), slot.label, duration::zero(), slot.leak_reported};
}

/// The slots for which the shell has something to do, in order.
class pending_actions {
 public:
  struct action {
    core_slot* slot = nullptr;
    slot_action what = slot_action::none;
  };

  bool empty() const noexcept { return first_ == nullptr; }
  void ask(core_slot& slot, slot_action what) noexcept {
    if (!slot.operation.ask(what)) return;
    slot.next_pending = nullptr;
    (last_ ? last_->next_pending : first_) = &slot;
    last_ = &slot;
  }
  /// The next one; `none` when all is done.
  action next() noexcept {
    while (core_slot* slot = first_) {
      first_ = slot->next_pending;
      if (!first_) last_ = nullptr;
      const slot_action what = slot->operation.take();
      if (what != slot_action::none) return {slot, what};
    }
    return {};
  }

 private:
  core_slot* first_ = nullptr;
  core_slot* last_ = nullptr;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
