// SPDX-License-Identifier: BSL-1.0
// tidepool - what the core and the shell hand each other: slots, waiters, and lists of things to do.
#ifndef TIDEPOOL_DETAIL_CORE_CORE_TYPES_HPP
#define TIDEPOOL_DETAIL_CORE_CORE_TYPES_HPP

#include <array>
#include <cstdint>

#include "../../error.hpp"
#include "../../events.hpp"
#include "../../version.hpp"
#include "../util/deadline_queue.hpp"
#include "../util/intrusive_list.hpp"
#include "../util/relaxed.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

enum class slot_state : std::uint8_t {
  connecting,
  validating,
  idle,
  leased,
  resetting,
  closing,
  gone  ///< no longer the pool's: whoever holds it destroys it
};
inline constexpr std::size_t slot_states = 7;

/// What the shell is to do for a slot, outside the lock.
enum class slot_action : std::uint8_t {
  none,
  validate,
  reset,
  close,        ///< say close gracefully, within its bound
  destroy,      ///< no goodbye
  cancel_op,    ///< its operation overran: shut the socket and cancel
  abort_lease,  ///< its lease overran: shut the socket
  discard       ///< free it; nobody else holds it
};

/// How far the coroutine of a slot's operation is.
enum class op_phase : std::uint8_t { none, starting, running };

/// One physical connection as the core sees it. The first line is what an un-contended checkout touches.
struct core_slot : list_hook {
  slot_state state = slot_state::connecting;
  slot_action action = slot_action::none;  ///< in the core's list of things to do unless `none`
  op_phase phase = op_phase::none;
  close_reason reason = close_reason::broken;
  bool background_check = false;  ///< validating in its place in the idle list
  bool leak_reported = false;
  bool needs_full_return = false;     ///< its return is to be seen by `returned()`
  bool on_trial = false;              ///< made while it was in doubt whether new connections live
  bool died_unserved = false;         ///< lost soon after its connect, before it served anybody: a failed connect
  bool answered = false;              ///< its server did since the connect; kept only with a validation of the policy's own
  bool overran = false;               ///< its operation took too long
  bool cancel_wanted = false;         ///< its operation is to end before it began
  bool aborting = false;              ///< the shell is shutting its socket
  bool left_behind = false;           ///< whoever held it is through; who aborts it, or was going to, frees it
  std::uint32_t wave = 0;             ///< of connect attempts, see connect_gate
  relaxed<bool> must_take_slow_path;  ///< not to be stashed, and if it is, not to be handed out from there
  std::uint64_t generation = 0;
  std::uint64_t uses = 0;
  relaxed<tick> checked_out;      ///< `never` while it is stashed
  relaxed<std::uint64_t> reuses;  ///< checkouts from the stash ever
  relaxed<duration> unused;       ///< time stashed ever
  std::uint64_t reuses_seen = 0;  ///< of these, accounted for
  duration unused_seen{};
  tick stashed_at{};
  tick listed{};       ///< `checked_out` as the order of checkouts knows it
  tick fresh_until{};  ///< may be handed out without a look until then
  tick idle_since{};
  tick last_ok{};     ///< when its server last answered; with a validation of the policy's own, when it last passed that
  tick sampled_at{};  ///< precise clock at checkout of a sampled lease, else zero
  std::uint64_t next_sample = 0;
  std::uint64_t last_sample = 0;
  std::uint64_t sample_weight = 1;
  relaxed<source_location> where;

  deadline_node<core_slot> bound;   ///< of the running operation
  deadline_node<core_slot> retire;  ///< next look at its age
  core_slot* next_action = nullptr;
  connection_id id = 0;
  tick born{};  ///< of the connection; of the attempt while connecting
  tick hard_limit = never;
  bounded_string<47> label;

  core_slot() { bound.owner = retire.owner = this; }
  core_slot(const core_slot&) = delete;
  core_slot& operator=(const core_slot&) = delete;
};

/// One caller in a queue: of acquires, of `open()` or of `close()`.
struct core_waiter : list_hook {
  using completion = void (*)(core_waiter*) noexcept;

  enum class stage : std::uint8_t { fresh, waiting, done };
  enum class queue : std::uint8_t { acquire, open, close };
  stage at = stage::fresh;
  queue in = queue::acquire;
  bool from_idle = false;  ///< the granted connection lay idle: ask `usable()` first
  bool direct = false;     ///< granted without a wait
  bool cancelled = false;  ///< cancelled after the grant, which counts if the grant comes to nothing
  bool explain = false;    ///< a failure is to be explained: the pool is looked at when it happens
  errc error{};            ///< zero: success
  completion complete = nullptr;
  core_slot* slot = nullptr;
  tick since{};
  std::uint32_t weight = 1;  ///< in the histogram of waits; zero: `since` is of the coarse clock
  std::uint64_t ticket = 0;  ///< order of arrival
  std::uint64_t failures_seen = 0;
  deadline_node<core_waiter> deadline;
  source_location where{};

  core_waiter() { deadline.owner = this; }
  core_waiter(const core_waiter&) = delete;
  core_waiter& operator=(const core_waiter&) = delete;
};

/// How connecting goes, for reports.
struct connect_outlook {
  std::size_t failures_in_a_row = 0;  ///< zero: the rest means nothing
  failure_kind kind{};                ///< of the latest
  duration failing_for{};
  duration next_look = no_limit;  ///< until the next attempt may start; `no_limit`: one is under way, or none is wanted
};

/// What an event of the core asks of the shell, besides the actions of slots, which the core queues itself. Nothing here allocates;
/// everything is carried out after the lock is gone.
struct core_actions {
  intrusive_list<core_waiter> done;
  std::size_t connects = 0;
  bool pending_actions = false;  ///< `next_action()` has something
  bool explain = false;          ///< one in `done` failed, and wants to know why
  tick arm_at = never;
  bool connect_timed_out = false;
  bool disarm = false;  ///< closed: no timer is needed ever again

  bool state_changed = false;
  pool_state state_from{};
  pool_state state_to{};
  const char* state_why = "";
  bool breaker_changed = false;
  breaker_state breaker_from{};
  breaker_state breaker_to{};
  bool scaled = false;
  scaled_event scale{};
  bool leak_returned = false;
  lease_report leak;
};

/// How many connections are in which state, for the explanation of a failure.
struct pool_gauges {
  pool_state state{};
  breaker_state breaker{};
  std::size_t active = 0;
  std::size_t idle = 0;
  std::size_t connecting = 0;
  std::size_t validating = 0;
  std::size_t resetting = 0;
  std::size_t closing = 0;
  std::size_t max_size = 0;
  std::size_t waiting = 0;
};

/// Leases found overdue by one tick; more than fit are found by the next, at once.
struct leak_findings {
  struct finding {
    core_slot* slot = nullptr;
    leak_event::kind what{};
    lease_report lease;
  };
  std::array<finding, 8> items;
  std::size_t count = 0;
  bool full() const noexcept { return count == items.size(); }
};

inline lease_report report_of(const core_slot& slot, tick now) noexcept {
  const tick since = slot.checked_out;
  return {slot.id, slot.where, since < now ? now - since : duration::zero(), slot.label};
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
