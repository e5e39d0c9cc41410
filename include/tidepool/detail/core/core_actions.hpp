// SPDX-License-Identifier: BSL-1.0
// tidepool - what an event of the core asks of the shell, and what the core tells about itself.
#ifndef TIDEPOOL_DETAIL_CORE_CORE_ACTIONS_HPP
#define TIDEPOOL_DETAIL_CORE_CORE_ACTIONS_HPP

#include <array>
#include <cstddef>

#include "../../error.hpp"
#include "../../events.hpp"
#include "../../version.hpp"
#include "slot.hpp"
#include "wait_queue.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// How connecting goes, for reports.
struct connect_outlook {
  std::size_t failures_in_a_row = 0;  ///< zero: the rest means nothing
  failure_kind kind{};                ///< of the latest
  duration failing_for{};
  duration next_look = no_limit;  ///< until the next attempt may start; `no_limit`: one is under way, or none is wanted
  duration possible = no_limit;   ///< the same, also where none is wanted yet; `no_limit`: one is under way, or the pool does not connect
};

/// Connects that failed in a row: see `connect_failed_event`.
struct failure_row {
  std::size_t length = 0;
  std::size_t alike = 1;
  std::size_t together = 1;
  duration lasted{};
  bool news = true;
};

/// What an event of the core asks of the shell, besides the actions of slots, which the core keeps in a list of its own. Nothing here
/// allocates; everything is carried out after the lock is gone.
struct core_actions {
  intrusive_list<core_waiter> done;
  std::size_t connects = 0;
  bool pending_actions = false;  ///< `next_action()` has something
  bool explain = false;          ///< one in `done` failed, and wants to know why
  bool failed = false;           ///< one in `done` is an acquire that failed
  tick arm_at = never;
  std::size_t connect_timed_out = 0;  ///< which of those in flight together it was, the first one where several did; 0: none
  bool disarm = false;                ///< closed: no timer is needed ever again

  bool state_changed = false;
  pool_state state_from{};
  pool_state state_to{};
  const char* state_why = "";
  bool breaker_changed = false;
  breaker_state breaker_from{};
  breaker_state breaker_to{};
  bool scaled = false;
  scaled_event scale{};
  bool horizon_moved = false;
  idle_horizon_event horizon{};
  bool leak_returned = false;
  bool leak_reclaimed = false;  ///< by hand
  lease_report leak;
};

/// A lease whose connection is taken from its holder.
struct taken_lease {
  lease_report lease;
  close_reason why = close_reason::shutdown;  ///< or `abandoned`, or `reclaimed`
  duration limit{};                           ///< `abandon_timeout`, or the grace of the close
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
  std::size_t min_size = 0;
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

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
