// SPDX-License-Identifier: BSL-1.0
// tidepool - which host gets writes: the one that alone says that it is the primary, of the highest timeline that counts.
//
// A timeline counts for as long as a host that has been seen on it is one of the cluster's, and for a while after its removal: a name may
// be gone for a moment, and an old primary come back in that moment. After that nobody knows of the higher timeline any more: what was
// restored from a backup may be of a lower one.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_SEAT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_SEAT_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../../../time.hpp"
#include "../../../version.hpp"
#include "../../topology.hpp"
#include "host_table.hpp"
#include "probe_answer.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

class seat {
 public:
  explicit seat(tick now) noexcept : since_(now) {}

  cluster_state state() const noexcept { return state_; }
  tick since() const noexcept { return since_; }
  std::uint32_t highest() const noexcept { return highest_; }
  static bool is_candidate(const host& x) noexcept { return x.trusted && x.role == host::role::primary && !x.fenced; }

  /// From its answer: what it says that it is, and since when.
  void claims(const rules& limits, host& x, const probe_answer& said, tick now) noexcept {
    const auto role = said.standby ? host::role::standby : said.read_only ? host::role::read_only : host::role::primary;
    const bool same_claim = x.role == role && x.claimed != never && x.timeline == said.timeline;
    x.role = role;
    if (role == host::role::primary) {
      if (!same_claim) {
        // A slow answer may have been made at any time since: by a host that was frozen, say, now that it goes on.
        x.claimed = now - x.began <= limits.hurried / 2 ? x.began : now;
        x.claim_seen = now;
        x.accepted = false;
        x.fresh = not_known;
        x.follows = false;
      }
      // A new timeline proves a promotion: nobody else has to be asked.
      if (said.timeline > highest_ && highest_ != 0) x.accepted = true;
    } else {
      x.claimed = x.claim_seen = never;
      x.accepted = false;
    }
    if (role == host::role::standby) {
      x.as_standby = x.began;
      x.proves = std::max(x.proves, std::min(said.timeline, highest_));
    } else {
      x.timeline = said.timeline;
      x.proves = std::max(x.proves, said.timeline);
      highest_ = std::max(highest_, said.timeline);  // one that takes no writes now supersedes others all the same
    }
  }
  /// It is none of the hosts any more.
  void removed(const rules& limits, const host& x, tick now) noexcept {
    if (x.proves == 0) return;
    gone_ = std::max(gone_, x.proves);
    gone_until_ = later(now, limits.removed_bars);
  }
  /// When what removed hosts were seen on counts no more.
  tick gone_until() const noexcept { return gone_until_; }
  /// Who gets writes, by what all have said. `gained(host)` and `lost(host)` are told of each that gets the seat, or leaves it.
  template <class Gained, class Lost>
  void assess(host_table& hosts, tick now, const Gained& gained, const Lost& lost) noexcept {
    if (now >= gone_until_) {
      gone_ = 0;
      gone_until_ = never;
    }
    highest_ = gone_;
    for (const auto& x : hosts.all) {
      if (!x.leaving) highest_ = std::max(highest_, x.proves);
    }
    std::size_t candidates = 0;
    for (auto& x : hosts.all) {
      const bool fenced = x.trusted && x.role == host::role::primary && x.timeline != 0 && x.timeline < highest_;
      if (fenced && !x.fenced) x.abort_all_at = std::min(x.abort_all_at, later(now, hosts.limits.grace));
      x.fenced = fenced;
      if (is_candidate(x)) ++candidates;
    }
    bool found = false;
    for (auto& x : hosts.all) {
      const bool fit = is_candidate(x) && accept(hosts, x, now) && candidates == 1;
      // One whose connection was lost is asked again at once: until then it keeps its place, and hands out nothing.
      const bool kept = x.seated && x.suspect && candidates == 0;
      if (fit || kept) found = true;
      if (kept) continue;
      if (x.seated == fit) continue;
      x.seated = fit;
      x.room = fit ? x.room_as_primary : x.room_as_standby;
      x.todo.resize = true;
      if (fit) {
        x.abort_writes_at = never;
        gained(x);
      } else {
        x.todo.recycle = true;
        x.abort_writes_at = std::min(x.abort_writes_at, later(now, hosts.limits.grace));
        lost(x);
      }
    }
    const auto state = found ? cluster_state::one_primary : candidates > 1 ? cluster_state::two_primaries : cluster_state::no_primary;
    if (state == state_) return;
    if (state_ == cluster_state::one_primary) {
      for (auto& x : hosts.all) {
        if (!x.in_flight) x.due = std::min(x.due, std::max(now, later(x.began, hosts.limits.hurried)));
      }
    }
    state_ = state;
    since_ = now;
  }

 private:
  /// A primary that comes back may have been superseded: it is believed when each of the others has been asked after it was, or cannot be
  /// asked; and in any case after a moment.
  static bool accept(host_table& hosts, host& x, tick now) noexcept {
    if (x.accepted) return true;
    bool confirmed = true;
    for (auto& y : hosts.all) {
      if (&y == &x || y.leaving) continue;
      const bool asked = y.outcome != not_known && (!y.trusted || y.outcome >= x.claimed);
      if (asked && !y.suspect) continue;
      confirmed = false;
      hosts.want_probe(y, now);
    }
    x.accepted = confirmed || now >= later(x.claim_seen, hosts.limits.hurried);
    return x.accepted;
  }

  std::uint32_t highest_ = 0;  ///< timeline that counts
  std::uint32_t gone_ = 0;     ///< the same of hosts that were removed
  tick gone_until_ = never;
  cluster_state state_ = cluster_state::no_primary;
  tick since_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
