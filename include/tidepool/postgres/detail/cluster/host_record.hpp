// SPDX-License-Identifier: BSL-1.0
// tidepool - what a cluster's core knows of one host, and what it wants to be done for it.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_HOST_RECORD_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_HOST_RECORD_HPP

#include <cstddef>
#include <cstdint>

#include "../../../detail/util/intrusive_list.hpp"
#include "../../../time.hpp"
#include "../../../version.hpp"
#include "../../topology.hpp"
#include "rules.hpp"
#include "waiter.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

/// What the shell has to do for a host.
struct orders {
  bool probe = false;         ///< ask it now
  bool cancel = false;        ///< cancel what its leases wait for
  bool abort_all = false;     ///< shut its leases
  bool abort_writes = false;  ///< shut those that it gave as the primary
  bool recycle = false;       ///< idle connections lead to what it was before
  bool abort_moved = false;   ///< shut those that lead to where it was before
  bool resize = false;        ///< its role has changed, and so have the bounds of its pool
  bool any() const noexcept { return probe || cancel || abort_all || abort_writes || abort_moved || recycle || resize; }
};

struct host {
  // --- probes
  bool in_flight = false;
  bool told_silent = false;   ///< of the probe in flight
  bool again = false;         ///< somebody waits for a probe that begins later than this one
  tick began = not_known;     ///< of the latest probe
  tick due{};                 ///< the next one
  tick outcome = not_known;   ///< the beginning of the latest probe that has ended, well or not
  tick answered = not_known;  ///< the same of those that were answered
  // --- what it is
  enum class role { none, primary, read_only, standby } role = role::none;
  host_state bad = host_state::unknown;  ///< while it is not trusted
  bool trusted = false;                  ///< its latest probe was answered
  bool suspect = false;                  ///< its connection was lost, and it is asked again
  bool permanent = false;
  bool accepted = false;  ///< as the primary: no other host contradicts
  bool seated = false;    ///< it is the one that gets writes
  bool fenced = false;
  bool pooled = false;
  bool was_down = false;
  bool leaving = false;  ///< it was removed: it gives nothing more, and is asked nothing
  unsigned good = 0;     ///< answers in a row
  tick claimed = never;  ///< since then it says that it is a primary: what others said before does not contradict
  tick claim_seen = never;
  tick up_since = not_known;
  std::uint32_t timeline = 0;
  std::uint32_t proves = 0;  ///< the highest timeline that this host has been seen on
  std::uint64_t lsn = 0;
  std::int64_t clock = 0;
  std::int64_t replayed_at = 0;
  // --- how far a standby is
  bool follows = false;             ///< it replays the log of the present primary
  std::uint64_t lsn_at_change = 0;  ///< when that one came
  tick fresh = not_known;           ///< it has all that the primary had then
  tick as_standby = not_known;      ///< it was one then
  // --- leases
  std::size_t in_use = 0;
  std::size_t room = 0;  ///< in its present role
  std::size_t room_as_primary = 0;
  std::size_t room_as_standby = 0;
  std::uint64_t refused_writes = 0;
  tick abort_all_at = never;
  tick abort_writes_at = never;
  tick abort_moved_at = never;
  tick abort_removed_at = never;
  tidepool::detail::intrusive_list<waiter> on_their_way;
  // --- for the shell
  host_state state = host_state::unknown;
  tick since{};
  orders todo;

  /// Nothing is left of one that was removed.
  bool vacant() const noexcept { return leaving && !in_flight && in_use == 0; }
  bool has_room() const noexcept { return in_use < room; }
  bool takes_writes() const noexcept { return seated && trusted; }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
