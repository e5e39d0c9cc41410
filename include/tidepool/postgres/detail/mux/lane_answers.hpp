// SPDX-License-Identifier: BSL-1.0
// tidepool - where a lane's connection tells what it has received.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_LANE_ANSWERS_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_LANE_ANSWERS_HPP

#include "../../../version.hpp"
#include "dispatcher.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

template <class Call>
struct lane_answers {
  dispatcher& of;
  lane& on;
  tick now;

  /// The statement whose answer comes next, or null where nobody waits for it any more.
  Call* next() noexcept { return static_cast<Call*>(of.next_of(on)); }
  /// The statement of a group that is about to end, where it is its only one.
  Call* only() noexcept { return on.front().ends_group ? static_cast<Call*>(on.front().who) : nullptr; }
  /// False: the lane is out of step.
  bool answered(answer what) noexcept { return of.answered(on, what, now); }
  bool synced(bool failed) noexcept { return of.synced(on, failed, now); }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
