// SPDX-License-Identifier: BSL-1.0
// tidepool - what a cluster decides: which host takes writes, which may be read, who gets a place there. No I/O, no clock, no thread.
//
// Events go in with the time they happened at; what the shell has to do stands in each host's `orders`, and callers are told by `complete`.
// A host is believed by its answers alone: it hands out nothing between the loss of its connection and its next answer.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_CLUSTER_CORE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_CLUSTER_CORE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "../../../time.hpp"
#include "../../../version.hpp"
#include "../../topology.hpp"
#include "host_table.hpp"
#include "lag_proof.hpp"
#include "probe_answer.hpp"
#include "routing.hpp"
#include "seat.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

class cluster_core {
 public:
  cluster_core(std::size_t hosts, const rules& limits, std::uint64_t seed, tick now)
      : hosts_(hosts, limits, seed, now), seat_(now), routing_(hosts_) {}
  cluster_core(const cluster_core&) = delete;
  cluster_core& operator=(const cluster_core&) = delete;

  std::size_t size() const noexcept { return hosts_.all.size(); }
  const host& at(std::size_t i) const noexcept { return hosts_.all[i]; }
  cluster_state state() const noexcept { return seat_.state(); }
  tick state_since() const noexcept { return seat_.since(); }
  std::size_t waiting() const noexcept { return routing_.writers() + routing_.readers(); }
  bool closed() const noexcept { return routing_.closed(); }
  std::uint32_t highest_timeline() const noexcept { return seat_.highest(); }
  /// The one that gets writes now.
  std::size_t primary() const noexcept { return hosts_.primary(); }
  /// How many connections callers want at a host.
  std::size_t wanted(std::size_t i) const noexcept { return at(i).in_use + (at(i).seated ? routing_.writers() : routing_.readers()); }
  /// Upper bound of what a standby is behind.
  duration lag(std::size_t i, tick now) const noexcept { return lag_proof::lag(at(i), now); }
  /// A standby that may be read at all.
  bool readable(std::size_t i) const noexcept { return routing::readable(at(i)); }
  bool fits(const waiter& w, std::size_t i, tick now) const noexcept { return routing::fits(w, at(i), now); }
  orders take_orders(std::size_t i) noexcept { return std::exchange(hosts_.all[i].todo, orders()); }

  void set_room(std::size_t i, std::size_t as_primary, std::size_t as_standby, tick now) noexcept {
    auto& x = hosts_.all[i];
    x.room_as_primary = as_primary;
    x.room_as_standby = as_standby;
    x.room = x.seated ? as_primary : as_standby;
    routing_.serve(now);
  }

  // --- hosts -------------------------------------------------------------------------------------------------------------

  /// Its number, which may be that of one that is gone.
  std::size_t add_host(tick now) { return hosts_.add(now); }
  /// It gives nothing more; leases are shut after a grace. Its number is given to another one when nothing is left of it.
  void remove_host(std::size_t i, tick now) noexcept {
    auto& x = hosts_.all[i];
    if (x.leaving) return;
    x.leaving = true;
    seat_.removed(hosts_.limits, x, now);
    x.abort_removed_at = later(now, hosts_.limits.removed_grace);
    go_down(x, host_state::unknown, now);
    x.permanent = false;
    settle(now);
  }
  /// Its probe has reached another server than before: nothing is known of that one, and what led to the old one is shut after a grace.
  void moved(std::size_t i, tick now) noexcept {
    auto& x = hosts_.all[i];
    if (x.leaving) return;
    x.abort_moved_at = std::min(x.abort_moved_at, later(now, hosts_.limits.grace));
    go_down(x, host_state::unknown, now);
    x.todo.recycle = true;
    x.fresh = not_known;
    settle(now);
  }

  // --- probes -----------------------------------------------------------------------------------------------------------

  void answered(std::size_t i, const probe_answer& said, tick now) noexcept {
    auto& x = hosts_.all[i];
    const bool was_trusted = x.trusted;
    if (ends_leaving(x)) return;
    hosts_.probe_ended(x, state() != cluster_state::one_primary, now);
    x.answered = x.began;
    x.trusted = true;
    x.suspect = x.permanent = false;
    x.pooled = said.pooled;
    x.abort_all_at = never;
    if (!was_trusted && x.good == 0 && x.was_down) x.up_since = now;
    ++x.good;
    const auto was = x.role;
    seat_.claims(hosts_.limits, x, said, now);
    if (!was_trusted || x.role != was) x.todo.resize = true;
    x.lsn = said.lsn;
    x.clock = said.clock;
    x.replayed_at = said.replayed_at;
    assess(now);
    if (x.takes_writes()) {
      proof_.learn(hosts_, x);
    } else if (const auto seat = primary(); seat != no_host) {
      proof_.freshen(x, at(seat), said.timeline);
    }
    settle(now);
  }

  void failed(std::size_t i, probe_failure why, tick now) noexcept {
    auto& x = hosts_.all[i];
    if (ends_leaving(x)) return;
    hosts_.probe_ended(x, state() != cluster_state::one_primary, now);
    x.permanent = why == probe_failure::permanent;
    if (why == probe_failure::full && x.trusted && now - x.answered <= hosts_.limits.full_for) return settle(now);
    if (why == probe_failure::lost && x.trusted) {
      x.trusted = false;
      x.suspect = true;
      x.bad = host_state::unknown;
      x.due = now;
      return settle(now);
    }
    if (why == probe_failure::silent) {
      fall_silent(x, now);
    } else {
      go_down(x, why == probe_failure::starting ? host_state::starting : host_state::unreachable, now);
    }
    settle(now);
  }

  /// The server refused a write of a lease that was writable when it was granted. True: that lease is not to be used again.
  bool refused_write(std::size_t i, tick now) noexcept {
    auto& x = hosts_.all[i];
    if (!x.seated) return false;
    ++x.refused_writes;
    hosts_.want_probe(x, now);
    return true;
  }

  /// Somebody will soon need a younger proof of what the host is behind.
  void want_proof(std::size_t i, tick now) noexcept {
    hosts_.want_fresh(hosts_.all[i], now);
    if (const auto seat = primary(); seat != no_host) hosts_.want_fresh(hosts_.all[seat], now);
  }
  /// There was no connection to be had at a host that is believed.
  void doubt(std::size_t i, tick now) noexcept { hosts_.want_probe(hosts_.all[i], now); }

  // --- callers ----------------------------------------------------------------------------------------------------------

  /// For the first time, or again after `revoked` or `lost_place()`: then it keeps its place in the queue.
  void ask(waiter& w, tick now) noexcept { routing_.ask(w, now); }
  /// Its connection is there.
  void got(waiter& w) noexcept { routing_.got(w); }
  /// There is no connection to be had there: the place is given back.
  void lost_place(waiter& w, tick now) noexcept { routing_.give_up(w, now); }
  /// It waits no longer, whatever it waited for.
  void give_up(waiter& w, tick now) noexcept { routing_.give_up(w, now); }
  /// A lease ended.
  void released(std::size_t i, tick now) noexcept { routing_.released(i, now); }
  void close() noexcept { routing_.close(); }

  // --- time -------------------------------------------------------------------------------------------------------------

  /// To be called after each event too: it begins the probes that the event asked for.
  void tick_at(tick now) noexcept {
    bool changed = false;
    for (auto& x : hosts_.all) {
      if (x.in_flight) {
        if (!x.told_silent && !x.leaving && now >= later(x.began, hosts_.limits.timeout)) {
          x.told_silent = true;
          fall_silent(x, now);
          changed = true;
        }
      }
      if (now >= x.abort_all_at) {
        x.abort_all_at = x.abort_writes_at = never;
        x.todo.abort_all = true;
      }
      if (now >= x.abort_writes_at) {
        x.abort_writes_at = never;
        x.todo.abort_writes = true;
      }
      if (now >= x.abort_moved_at) {
        x.abort_moved_at = never;
        x.todo.abort_moved = true;
      }
      if (now >= x.abort_removed_at) {
        x.abort_removed_at = never;
        x.todo.abort_all = true;
      }
      if (seat::is_candidate(x) && !x.accepted && now >= later(x.claim_seen, hosts_.limits.hurried)) changed = true;
      if (state_of(x, now) != x.state) changed = true;
    }
    if (now >= seat_.gone_until()) changed = true;
    if (changed) settle(now);
    if (closed()) return;
    for (auto& x : hosts_.all) {
      if (x.in_flight || x.leaving || now < x.due) continue;
      x.in_flight = true;
      x.again = x.told_silent = false;
      x.began = now;
      x.todo.probe = true;
    }
  }
  /// When `tick_at()` has something to do next.
  tick next() const noexcept {
    tick at = seat_.gone_until();
    for (const auto& x : hosts_.all) {
      if (x.in_flight) {
        if (!x.told_silent && !x.leaving) at = std::min(at, later(x.began, hosts_.limits.timeout));
      } else if (!closed() && !x.leaving) {
        at = std::min(at, x.due);
      }
      at = std::min({at, x.abort_all_at, x.abort_writes_at, x.abort_moved_at, x.abort_removed_at});
      if (seat::is_candidate(x) && !x.accepted) at = std::min(at, later(x.claim_seen, hosts_.limits.hurried));
    }
    return at;
  }

 private:
  /// What a host that was removed meanwhile says does not matter.
  static bool ends_leaving(host& x) noexcept {
    if (x.leaving) x.in_flight = false;
    return x.leaving;
  }
  void fall_silent(host& x, tick now) noexcept {
    if (!x.trusted && x.bad == host_state::silent) return;
    x.todo.cancel = true;
    x.abort_all_at = std::min(x.abort_all_at, later(now, hosts_.limits.grace));
    go_down(x, host_state::silent, now);
  }
  void go_down(host& x, host_state how, tick) noexcept {
    const bool news = x.trusted || x.suspect || x.bad != how;
    x.trusted = x.suspect = x.accepted = x.follows = false;
    x.bad = how;
    x.good = 0;
    x.was_down = true;
    x.claimed = x.claim_seen = never;
    if (!news) return;
    x.todo.resize = true;
    if (how != host_state::silent) x.todo.recycle = true;
    routing_.revoke(x, false);
  }
  void assess(tick now) noexcept {
    const auto gained = [this](const host& x) noexcept {
      proof_.primary_changed(hosts_, x);
      proof_.learn(hosts_, x);
    };
    seat_.assess(hosts_, now, gained, [this](host& x) noexcept { routing_.revoke(x, true); });
  }
  host_state state_of(const host& x, tick now) const noexcept {
    if (!x.trusted) return x.bad;
    if (x.role == host::role::primary) return x.fenced ? host_state::fenced : host_state::primary;
    if (x.role == host::role::read_only) return host_state::read_only;
    return lag_proof::lag(x, now) > hosts_.limits.lagging_after ? host_state::lagging : host_state::standby;
  }
  void settle(tick now) noexcept {
    assess(now);
    for (auto& x : hosts_.all) {
      const auto state = state_of(x, now);
      if (state == x.state) continue;
      x.state = state;
      x.since = now;
    }
    if (routing_.none_lets_us_in()) routing_.tell_all(verdict::refused);
    routing_.serve(now);
  }

  host_table hosts_;
  seat seat_;
  lag_proof proof_;
  routing routing_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
