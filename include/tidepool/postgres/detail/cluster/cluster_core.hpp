// SPDX-License-Identifier: BSL-1.0
// tidepool - what a cluster decides: which host takes writes, which may be read, who gets a place there. No I/O, no clock, no thread.
//
// Events go in with the time they happened at; what the shell has to do stands in each host's `orders`, and callers are told by `complete`.
// A host is believed by its answers alone: it hands out nothing between the loss of its connection and its next answer.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_CLUSTER_CORE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_CLUSTER_CORE_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "../../../detail/util/intrusive_list.hpp"
#include "../../../detail/util/random.hpp"
#include "../../../time.hpp"
#include "../../../version.hpp"
#include "../../read_options.hpp"
#include "../../topology.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

using tidepool::detail::later;
using tidepool::detail::never;
using tidepool::detail::not_known;
using tidepool::detail::tick;

struct rules {
  duration interval = std::chrono::seconds(1);        ///< between probes of a host
  duration hurried = std::chrono::milliseconds(250);  ///< the same while there is no primary
  duration timeout = std::chrono::seconds(1);         ///< without an answer for that long a host is silent
  duration grace = std::chrono::seconds(2);           ///< from the loss of its place until a host's leases are shut
  duration lagging_after = std::chrono::seconds(10);
  duration spacing = std::chrono::milliseconds(20);  ///< between probes that callers wait for
  duration full_for = std::chrono::seconds(5);       ///< a full server that cannot be asked is believed for that long
};

/// What a server says of itself.
struct probe_answer {
  bool standby = false;
  bool read_only = false;
  bool pooled = false;
  std::uint32_t timeline = 0;    ///< of a primary; of a standby that of its latest checkpoint, or 0
  std::uint64_t lsn = 0;         ///< a primary's end of log; what a standby has replayed; 0: not known
  std::int64_t clock = 0;        ///< in microseconds
  std::int64_t replayed_at = 0;  ///< of the latest commit that a standby has replayed, by the primary's clock; 0: not known
};

enum class probe_failure {
  lost,         ///< a connection that had worked ended: asked again at once
  unreachable,  ///< connecting failed, or the server cannot be asked
  silent,       ///< no answer in time
  starting,
  full,      ///< it has no room for another connection
  permanent  ///< wrong password, no such database
};

enum class verdict {
  waiting,
  granted,  ///< a place on `host`; `got()` or `lost_place()` follows
  revoked,  ///< the host lost its place before the connection was there: the place is given back
  unfit,    ///< no replica is within the bound, and the caller wants to hear of it at once
  refused,  ///< no host lets us in, for a reason that does not pass by itself
  closed
};

inline constexpr std::size_t no_host = static_cast<std::size_t>(-1);

/// A caller: in the queue, or on the way to its connection.
struct waiter : tidepool::detail::list_hook {
  bool writes = true;
  duration max_lag = no_limit;
  std::uint64_t not_before = 0;
  read_fallback fallback = read_fallback::primary;
  tick asked{};  ///< the latest time of `ask()`
  std::uint64_t ticket = 0;
  verdict how = verdict::waiting;
  std::size_t host = no_host;
  bool counts = false;                           ///< it holds a place
  bool at_primary = false;                       ///< a place that the host has as the primary
  void (*complete)(waiter&) noexcept = nullptr;  ///< `how` is set; called inside the core, once for each `ask()`
};

/// What the shell has to do for a host.
struct orders {
  bool probe = false;         ///< ask it now
  bool cancel = false;        ///< cancel what its leases wait for
  bool abort_all = false;     ///< shut its leases
  bool abort_writes = false;  ///< shut those that it gave as the primary
  bool recycle = false;       ///< idle connections lead to what it was before
  bool resize = false;        ///< its role has changed, and so have the bounds of its pool
  bool any() const noexcept { return probe || cancel || abort_all || abort_writes || recycle || resize; }
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
  unsigned good = 0;     ///< answers in a row
  tick claimed = never;  ///< since then it says that it is a primary: what others said before does not contradict
  tick claim_seen = never;
  tick up_since = not_known;
  std::uint32_t timeline = 0;
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
  tidepool::detail::intrusive_list<waiter> on_their_way;
  // --- for the shell
  host_state state = host_state::unknown;
  tick since{};
  orders todo;

  bool has_room() const noexcept { return in_use < room; }
  bool takes_writes() const noexcept { return seated && trusted; }
};

class cluster_core {
 public:
  cluster_core(std::size_t hosts, const rules& limits, std::uint64_t seed, tick now)
      : rules_(limits), hosts_(hosts), random_(seed), state_since_(now) {
    for (auto& x : hosts_) x.due = x.since = now;
  }
  cluster_core(const cluster_core&) = delete;
  cluster_core& operator=(const cluster_core&) = delete;

  std::size_t size() const noexcept { return hosts_.size(); }
  const host& at(std::size_t i) const noexcept { return hosts_[i]; }
  cluster_state state() const noexcept { return state_; }
  tick state_since() const noexcept { return state_since_; }
  std::size_t waiting() const noexcept { return writers_.size() + readers_.size(); }
  bool closed() const noexcept { return closed_; }
  std::uint32_t highest_timeline() const noexcept { return highest_; }
  /// The one that gets writes now.
  std::size_t primary() const noexcept {
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      if (hosts_[i].takes_writes()) return i;
    }
    return no_host;
  }
  /// How many connections callers want at a host.
  std::size_t wanted(std::size_t i) const noexcept {
    const auto& x = hosts_[i];
    return x.in_use + (x.seated ? writers_.size() : 0) + (x.seated ? 0 : readers_.size());
  }
  /// Upper bound of what a standby is behind.
  duration lag(std::size_t i, tick now) const noexcept { return lag(hosts_[i], now); }
  /// A standby that may be read at all.
  bool readable(std::size_t i) const noexcept { return readable(hosts_[i]); }
  bool fits(const waiter& w, std::size_t i, tick now) const noexcept { return fits(w, hosts_[i], now); }
  orders take_orders(std::size_t i) noexcept { return std::exchange(hosts_[i].todo, orders()); }

  void set_room(std::size_t i, std::size_t as_primary, std::size_t as_standby, tick now) noexcept {
    hosts_[i].room_as_primary = as_primary;
    hosts_[i].room_as_standby = as_standby;
    hosts_[i].room = hosts_[i].seated ? as_primary : as_standby;
    serve(now);
  }

  // --- probes -----------------------------------------------------------------------------------------------------------

  void answered(std::size_t i, const probe_answer& said, tick now) noexcept {
    auto& x = hosts_[i];
    const bool was_trusted = x.trusted;
    ended(x, now);
    x.answered = x.began;
    x.trusted = true;
    x.suspect = x.permanent = false;
    x.pooled = said.pooled;
    x.abort_all_at = never;
    if (!was_trusted && x.good == 0 && x.was_down) x.up_since = now;
    ++x.good;
    const auto role = said.standby ? host::role::standby : said.read_only ? host::role::read_only : host::role::primary;
    const bool same_claim = x.role == role && x.claimed != never && x.timeline == said.timeline;
    x.role = role;
    if (role == host::role::primary) {
      if (!same_claim) {
        // A slow answer may have been made at any time since: by a host that was frozen, say, now that it goes on.
        x.claimed = now - x.began <= rules_.hurried / 2 ? x.began : now;
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
    } else {
      x.timeline = said.timeline;
      highest_ = std::max(highest_, said.timeline);  // one that takes no writes now supersedes others all the same
    }
    x.lsn = said.lsn;
    x.clock = said.clock;
    x.replayed_at = said.replayed_at;
    assess(now);
    if (x.takes_writes()) {
      learn(x);
    } else {
      freshen(x, said.timeline);
    }
    settle(now);
  }

  void failed(std::size_t i, probe_failure why, tick now) noexcept {
    auto& x = hosts_[i];
    ended(x, now);
    x.permanent = why == probe_failure::permanent;
    if (why == probe_failure::full && x.trusted && now - x.answered <= rules_.full_for) return settle(now);
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
    auto& x = hosts_[i];
    if (!x.seated) return false;
    ++x.refused_writes;
    want_probe(x, now);
    return true;
  }

  /// There was no connection to be had at a host that is believed.
  void doubt(std::size_t i, tick now) noexcept { want_probe(hosts_[i], now); }

  // --- callers ----------------------------------------------------------------------------------------------------------

  /// For the first time, or again after `revoked` or `lost_place()`: then it keeps its place in the queue.
  void ask(waiter& w, tick now) noexcept {
    w.how = verdict::waiting;
    w.host = no_host;
    w.asked = now;
    if (w.ticket == 0) w.ticket = ++tickets_;
    if (closed_) return tell(w, verdict::closed);
    if (none_lets_us_in()) return tell(w, verdict::refused);
    auto& line = w.writes ? writers_ : readers_;
    if (w.writes) {
      const auto seat = primary();
      if (line.empty() && seat != no_host && hosts_[seat].has_room()) return grant(w, seat);
    } else if (serve_read(w, now)) {
      return;
    }
    waiter* before = line.back();
    while (before != nullptr && before->ticket > w.ticket) before = line.before(*before);
    if (before == nullptr) {
      line.push_front(w);
    } else {
      line.insert_after(*before, w);
    }
  }
  /// Its connection is there.
  void got(waiter& w) noexcept {
    hosts_[w.host].on_their_way.erase(w);
    w.counts = false;
  }
  /// There is no connection to be had there: the place is given back.
  void lost_place(waiter& w, tick now) noexcept { give_up(w, now); }
  /// It waits no longer, whatever it waited for.
  void give_up(waiter& w, tick now) noexcept {
    if (w.counts) {
      auto& x = hosts_[w.host];
      x.on_their_way.erase(w);
      w.counts = false;
      --x.in_use;
      serve(now);
    } else if (w.linked()) {
      (w.writes ? writers_ : readers_).erase(w);
    }
  }
  /// A lease ended.
  void released(std::size_t i, tick now) noexcept {
    --hosts_[i].in_use;
    serve(now);
  }
  void close() noexcept {
    closed_ = true;
    tell_all(verdict::closed);
  }

  // --- time -------------------------------------------------------------------------------------------------------------

  /// To be called after each event too: it begins the probes that the event asked for.
  void tick_at(tick now) noexcept {
    bool changed = false;
    for (auto& x : hosts_) {
      if (x.in_flight) {
        if (!x.told_silent && now >= later(x.began, rules_.timeout)) {
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
      if (is_candidate(x) && !x.accepted && now >= later(x.claim_seen, rules_.hurried)) changed = true;
      if (state_of(x, now) != x.state) changed = true;
    }
    if (changed) settle(now);
    if (closed_) return;
    for (auto& x : hosts_) {
      if (x.in_flight || now < x.due) continue;
      x.in_flight = true;
      x.again = x.told_silent = false;
      x.began = now;
      x.todo.probe = true;
    }
  }
  /// When `tick_at()` has something to do next.
  tick next() const noexcept {
    tick at = never;
    for (const auto& x : hosts_) {
      if (x.in_flight) {
        if (!x.told_silent) at = std::min(at, later(x.began, rules_.timeout));
      } else if (!closed_) {
        at = std::min(at, x.due);
      }
      at = std::min({at, x.abort_all_at, x.abort_writes_at});
      if (is_candidate(x) && !x.accepted) at = std::min(at, later(x.claim_seen, rules_.hurried));
    }
    return at;
  }

 private:
  using queue = tidepool::detail::intrusive_list<waiter>;
  struct mark {
    tick at = not_known;  ///< the beginning of the primary's probe
    std::uint64_t lsn = 0;
  };

  // --- probes -----------------------------------------------------------------------------------------------------------

  /// A probe has ended; when is the next one?
  void ended(host& x, tick now) noexcept {
    x.in_flight = false;
    x.outcome = x.began;
    const auto pause = state_ == cluster_state::one_primary ? rules_.interval : rules_.hurried;
    const auto spread = std::chrono::duration_cast<duration>(pause * (0.9 + 0.2 * random_.unit()));
    x.due = std::max(now, later(x.began, spread));
    if (std::exchange(x.again, false)) want_probe(x, now);
  }
  void want_probe(host& x, tick now) noexcept {
    if (x.in_flight) {
      x.again = true;
      return;
    }
    const tick soonest = x.began == not_known ? now : std::max(now, later(x.began, rules_.spacing));
    x.due = std::min(x.due, soonest);
  }
  void fall_silent(host& x, tick now) noexcept {
    if (!x.trusted && x.bad == host_state::silent) return;
    x.todo.cancel = true;
    x.abort_all_at = std::min(x.abort_all_at, later(now, rules_.grace));
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
    revoke(x, false);
  }

  // --- who is the primary -----------------------------------------------------------------------------------------------

  bool is_candidate(const host& x) const noexcept { return x.trusted && x.role == host::role::primary && !x.fenced; }

  void assess(tick now) noexcept {
    std::size_t candidates = 0;
    for (auto& x : hosts_) {
      const bool fenced = x.trusted && x.role == host::role::primary && x.timeline != 0 && x.timeline < highest_;
      if (fenced && !x.fenced) x.abort_all_at = std::min(x.abort_all_at, later(now, rules_.grace));
      x.fenced = fenced;
      if (is_candidate(x)) ++candidates;
    }
    bool found = false;
    for (auto& x : hosts_) {
      const bool fit = is_candidate(x) && accept(x, now) && candidates == 1;
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
        primary_changed(x);
        learn(x);
      } else {
        x.todo.recycle = true;
        x.abort_writes_at = std::min(x.abort_writes_at, later(now, rules_.grace));
        revoke(x, true);
      }
    }
    const auto state = found ? cluster_state::one_primary : candidates > 1 ? cluster_state::two_primaries : cluster_state::no_primary;
    if (state == state_) return;
    if (state_ == cluster_state::one_primary) {
      for (auto& x : hosts_) {
        if (!x.in_flight) x.due = std::min(x.due, std::max(now, later(x.began, rules_.hurried)));
      }
    }
    state_ = state;
    state_since_ = now;
  }
  /// A primary that comes back may have been superseded: it is believed when each of the others has been asked after it was, or cannot be
  /// asked; and in any case after a moment.
  bool accept(host& x, tick now) noexcept {
    if (x.accepted) return true;
    bool confirmed = true;
    for (auto& y : hosts_) {
      if (&y == &x) continue;
      const bool asked = y.outcome != not_known && (!y.trusted || y.outcome >= x.claimed);
      if (asked && !y.suspect) continue;
      confirmed = false;
      want_probe(y, now);
    }
    x.accepted = confirmed || now >= later(x.claim_seen, rules_.hurried);
    return x.accepted;
  }

  // --- how far standbys are ---------------------------------------------------------------------------------------------

  /// The headers of a page hold no records: its beginning, and the place behind them, are the same for a standby.
  static std::uint64_t rounded(std::uint64_t lsn) noexcept { return lsn % 8192 <= 40 ? lsn - lsn % 8192 : lsn; }

  void primary_changed(const host& now_primary) noexcept {
    marks_ = {};
    mark_count_ = 0;
    clock_at_ = not_known;
    const bool promoted = now_primary.timeline != seated_timeline_;
    seated_timeline_ = now_primary.timeline;
    for (auto& x : hosts_) {
      x.follows = false;
      x.lsn_at_change = x.lsn;
      // It may have been the primary for as long as it was not asked, and what was said of the one before it proves nothing for that time.
      if (promoted) x.fresh = std::min(x.fresh, now_primary.as_standby);
    }
  }
  const mark& newest() const noexcept { return marks_[(mark_count_ - 1) % marks_.size()]; }

  /// From the latest answer of the primary.
  void learn(const host& x) noexcept {
    if (x.lsn != 0) marks_[mark_count_++ % marks_.size()] = {x.answered, rounded(x.lsn)};
    if (x.clock != 0) {
      clock_ = x.clock;
      clock_at_ = x.answered;
    }
    for (auto& y : hosts_) freshen(y, 0);
  }
  /// What the log and the clock of the primary prove of a standby.
  void freshen(host& x, std::uint32_t timeline) noexcept {
    if (!x.trusted || x.role != host::role::standby) return;
    const auto seat = primary();
    if (seat == no_host) return;
    const bool same_end = mark_count_ > 0 && rounded(x.lsn) == newest().lsn;
    const bool same_line = timeline != 0 && timeline == hosts_[seat].timeline;
    if (x.lsn > x.lsn_at_change || same_end || same_line) x.follows = true;
    if (!x.follows) return;
    for (std::size_t back = 0; back < std::min(mark_count_, marks_.size()); ++back) {
      const auto& m = marks_[(mark_count_ - 1 - back) % marks_.size()];
      if (rounded(x.lsn) < m.lsn) continue;
      x.fresh = std::max(x.fresh, m.at);
      break;
    }
    if (clock_at_ == not_known || x.replayed_at == 0) return;
    // The clock showed `clock_` at `clock_at_` or a little later. Commits are logged a little after the time they bear.
    const auto behind = std::chrono::microseconds(clock_ - x.replayed_at) + std::chrono::milliseconds(10);
    x.fresh = std::max(x.fresh, std::min(later(clock_at_, -duration(behind)), x.answered));
  }
  static duration lag(const host& x, tick now) noexcept {
    if (x.fresh == not_known) return no_limit;
    return std::max(now - x.fresh, duration::zero());
  }

  // --- serving ----------------------------------------------------------------------------------------------------------

  bool readable(const host& x) const noexcept { return x.trusted && x.role == host::role::standby && x.good >= (x.was_down ? 2U : 1U); }
  bool fits(const waiter& w, const host& x, tick now) const noexcept {
    return readable(x) && x.lsn >= w.not_before && (w.max_lag == no_limit || lag(x, now) <= w.max_lag);
  }
  /// A host that has come back gets load by and by: a tenth a second.
  double load(const host& x, tick now) const noexcept {
    double share = 1;
    if (x.up_since != not_known) {
      const auto up = std::chrono::duration<double>(now - x.up_since).count();
      share = std::clamp(0.1 * (1 + up), 0.1, 1.0);
    }
    return static_cast<double>(x.in_use + 1) / (static_cast<double>(x.room) * share);
  }
  /// The less loaded of two random ones among those that have room.
  std::size_t choose(const waiter& w, tick now, bool& fit_without_room) noexcept {
    std::size_t count = 0;
    for (const auto& x : hosts_) {
      if (!fits(w, x, now)) continue;
      if (x.has_room()) {
        ++count;
      } else {
        fit_without_room = true;
      }
    }
    if (count == 0) return no_host;
    std::size_t first = random_() % count;
    std::size_t second = count == 1 ? 0 : random_() % (count - 1);
    if (count > 1 && second >= first) ++second;
    std::size_t best = no_host;
    std::size_t n = 0;
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      const auto& x = hosts_[i];
      if (!fits(w, x, now) || !x.has_room()) continue;
      const bool drawn = n == first || n == second;
      ++n;
      if (drawn && (best == no_host || load(x, now) < load(hosts_[best], now))) best = i;
    }
    return best;
  }
  /// False: it has to wait.
  bool serve_read(waiter& w, tick now) noexcept {
    bool only_full = false;
    const auto chosen = choose(w, now, only_full);
    const auto seat = primary();
    if (chosen != no_host) {
      auto& x = hosts_[chosen];
      // Asked again before its answer is too old for the next caller.
      if (w.max_lag != no_limit && lag(x, now) > w.max_lag / 2) {
        want_probe(x, now);
        if (seat != no_host) want_probe(hosts_[seat], now);
      }
      grant(w, chosen);
      return true;
    }
    if (only_full) return false;
    bool may_change = false;
    const auto ask_now = [&](host& x) {
      if (x.outcome == not_known || x.outcome < w.asked) {
        may_change = true;
        want_probe(x, now);
      } else if (!x.in_flight) {
        // Somebody waits: a proof is at best as young as the pause between probes.
        x.due = std::min(x.due, later(x.began, std::clamp(w.max_lag / 4, rules_.spacing, rules_.hurried)));
      }
    };
    for (auto& x : hosts_) {
      const bool unknown_yet = x.outcome == not_known;
      if (unknown_yet || readable(x)) ask_now(x);
    }
    if (seat != no_host && w.max_lag != no_limit) ask_now(hosts_[seat]);
    if (may_change) return false;
    if (w.fallback == read_fallback::fail) {
      if (w.linked()) readers_.erase(w);
      tell(w, verdict::unfit);
      return true;
    }
    if (w.fallback == read_fallback::primary && seat != no_host && hosts_[seat].has_room() && writers_.empty()) {
      grant(w, seat);
      return true;
    }
    return false;
  }
  void serve(tick now) noexcept {
    if (const auto seat = primary(); seat != no_host) {
      while (!writers_.empty() && hosts_[seat].has_room()) {
        grant(*writers_.front(), seat);
      }
    }
    for (waiter* w = readers_.front(); w != nullptr;) {
      waiter* const next = readers_.after(*w);
      serve_read(*w, now);
      w = next;
    }
  }
  void grant(waiter& w, std::size_t i) noexcept {
    auto& x = hosts_[i];
    if (w.linked()) (w.writes ? writers_ : readers_).erase(w);
    ++x.in_use;
    w.host = i;
    w.counts = true;
    w.at_primary = x.seated;
    x.on_their_way.push_back(w);
    tell(w, verdict::granted);
  }
  void tell(waiter& w, verdict how) noexcept {
    w.how = how;
    w.complete(w);
  }
  void tell_all(verdict how) noexcept {
    for (auto* each : {&writers_, &readers_}) {
      while (waiter* w = each->pop_front()) tell(*w, how);
    }
  }
  void revoke(host& x, bool writes_only) noexcept {
    for (waiter* w = x.on_their_way.front(); w != nullptr;) {
      waiter* const next = x.on_their_way.after(*w);
      if (w->at_primary || !writes_only) {
        x.on_their_way.erase(*w);
        w->counts = false;
        --x.in_use;
        tell(*w, verdict::revoked);
      }
      w = next;
    }
  }
  bool none_lets_us_in() const noexcept {
    return std::all_of(hosts_.begin(), hosts_.end(), [](const host& x) { return x.permanent; });
  }
  host_state state_of(const host& x, tick now) const noexcept {
    if (!x.trusted) return x.bad;
    if (x.role == host::role::primary) return x.fenced ? host_state::fenced : host_state::primary;
    if (x.role == host::role::read_only) return host_state::read_only;
    return lag(x, now) > rules_.lagging_after ? host_state::lagging : host_state::standby;
  }
  void settle(tick now) noexcept {
    assess(now);
    for (auto& x : hosts_) {
      const auto state = state_of(x, now);
      if (state == x.state) continue;
      x.state = state;
      x.since = now;
    }
    if (none_lets_us_in()) tell_all(verdict::refused);
    serve(now);
  }

  rules rules_;
  std::vector<host> hosts_;
  tidepool::detail::splitmix random_;
  queue writers_;
  queue readers_;
  std::uint64_t tickets_ = 0;
  std::uint32_t highest_ = 0;
  std::uint32_t seated_timeline_ = 0;
  cluster_state state_ = cluster_state::no_primary;
  tick state_since_;
  bool closed_ = false;
  std::array<mark, 32> marks_{};
  std::size_t mark_count_ = 0;
  std::int64_t clock_ = 0;
  tick clock_at_ = not_known;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
