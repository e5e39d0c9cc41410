// SPDX-License-Identifier: BSL-1.0
// tidepool - a cluster's core over random servers in virtual time: promotions, silences, restarts, lags, losses, and callers of all kinds.
//
// The servers are really there: each has a role, a timeline, a log, and a history of what it has replayed when. What holds after every
// step: a lease for writes goes to the host whose latest answer says that it is the primary, of no lower timeline than any seen, and to no
// other while two say so; a read within a bound goes to a host that really had, within that bound, what the primary had; nobody waits while
// a host that fits has room; a host has at most one probe; places are never given twice, and of
// a host that was removed, or whose name leads to another server, none until that one has answered. At the end, with a primary, nobody
// waits.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>

#include "cluster_rig.hpp"

namespace {

using namespace tidepool_tests;

/// What a host's server really is.
struct true_server {
  bool up = true;
  bool frozen = false;
  bool standby = true;
  bool read_only = false;
  std::uint32_t timeline = 1;
  std::uint64_t lsn = 100'000;
  std::chrono::milliseconds delay{};  ///< of what it replays
  bool removed = false;               ///< from the cluster
  bool replaced = false;              ///< its name leads to this one since the latest answer
  std::map<tick, std::uint64_t> log;  ///< of a primary: what there was when
};
struct asked_probe {
  tick made;     ///< when the server makes its answer
  tick arrives;  ///< when it is here
  std::optional<fleet::probe_answer> said = {};
  bool lost = false;
};

class cluster_model {
 public:
  cluster_model(std::uint64_t seed, std::size_t hosts)
      : random_(seed), rig_(hosts, 1 + seed % 3, {}, seed), servers_(hosts), probes_(hosts), answers_(hosts) {
    servers_[0].standby = false;
    servers_[0].log[rig_.now] = servers_[0].lsn;
    rig_.on_told = [this](fleet_caller& w) {
      if (w.how == verdict::granted) judge(w);
    };
  }
  std::string run(std::size_t steps) {
    for (std::size_t i = 0; i < steps && faults_.empty(); ++i) {
      step();
      work();
      check();
    }
    finish();
    return faults_;
  }

  std::size_t granted_writes = 0, granted_reads = 0, bounded_reads = 0, revoked = 0, fenced = 0, two = 0, aborted = 0, none = 0,
              removed = 0, added = 0, moved = 0;

 private:
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>((random_() >> 32U) * bound >> 32U); }
  bool chance(std::size_t percent) { return below(100) < percent; }
  void fault(const std::string& what) {
    if (faults_.empty()) faults_ = what;
  }
  std::size_t true_primary() const {
    std::size_t best = no_host;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      if (servers_[i].up && !servers_[i].standby && (best == no_host || servers_[i].timeline > servers_[best].timeline)) best = i;
    }
    return best;
  }

  // --- the servers
  void advance() {
    const auto p = true_primary();
    if (p == no_host || servers_[p].frozen) return;
    auto& primary = servers_[p];
    if (writing_) primary.lsn += 100 + below(10'000);
    if (primary.lsn % 8192 <= 40) primary.lsn += 50;  // no record ends in the header of a page
    primary.log[rig_.now] = primary.lsn;
    latest_ = p;
    for (auto& each : servers_) {
      if (!each.standby || !each.up || each.frozen) continue;
      const auto until = primary.log.upper_bound(rig_.now - each.delay);
      if (until == primary.log.begin()) continue;
      each.lsn = std::max(each.lsn, std::prev(until)->second);
      each.timeline = primary.timeline;
    }
  }
  /// Since when the host lacks what the primary has: its true lag.
  std::chrono::nanoseconds true_lag(std::size_t i) const {
    const auto p = true_primary();
    if (p == no_host) return 0ms;
    for (auto at = servers_[p].log.rbegin(); at != servers_[p].log.rend(); ++at) {
      if (at->second <= servers_[i].lsn) {
        const auto after = at.base();
        return after == servers_[p].log.end() ? std::chrono::nanoseconds(0) : rig_.now - after->first;
      }
    }
    return std::chrono::hours(1);
  }
  void promote(std::size_t i) {
    auto& x = servers_[i];
    if (!x.up || x.frozen || !x.standby) return;
    std::uint32_t highest = highest_;  // also of one that is gone
    for (const auto& each : servers_) highest = std::max(highest, each.timeline);
    x.standby = false;
    x.timeline = highest + (chance(60) ? 1 : 0);  // or by mistake, so that there are two
    if (latest_ != i) x.log = servers_[latest_].log;
    std::erase_if(x.log, [&](const auto& entry) { return entry.second > x.lsn; });
    x.log[rig_.now] = x.lsn;
    for (auto& each : servers_) {
      if (each.standby) each.lsn = std::min(each.lsn, x.lsn);  // what it never had is rewound
    }
  }

  // --- what happens
  void step() {
    switch (below(22)) {
      case 0:
      case 1:
      case 2:
      case 3: rig_.write(); break;
      case 4:
      case 5:
      case 6:
      case 7: {
        const auto bound = chance(30) ? std::chrono::nanoseconds(tidepool::no_limit) : std::chrono::milliseconds(50 + below(3000));
        rig_.ask(false, bound, static_cast<read_fallback>(below(3)), chance(20) ? servers_[below(servers_.size())].lsn : 0);
        break;
      }
      case 8:
      case 9:
      case 10:
      case 11: end_one(); break;
      case 12: {  // an outage of one
        auto& x = servers_[below(servers_.size())];
        if (x.removed) break;
        if (chance(40))
          x.frozen = !x.frozen;
        else if (chance(50))
          x.up = !x.up;
        else if (!x.standby)
          x.read_only = !x.read_only;
        break;
      }
      case 13: {
        if (!chance(15)) break;
        promote(below(servers_.size()));
        break;
      }
      case 14: {  // one that was superseded is made a standby
        const auto p = true_primary();
        for (std::size_t i = 0; i < servers_.size() && p != no_host; ++i) {
          if (i == p || servers_[i].standby || servers_[i].timeline > servers_[p].timeline || chance(50)) continue;
          servers_[i].standby = true;
          servers_[i].read_only = false;
          servers_[i].lsn = std::min(servers_[i].lsn, servers_[p].log.begin()->second);
          servers_[i].timeline = servers_[p].timeline;
        }
        break;
      }
      case 15: servers_[below(servers_.size())].delay = std::chrono::milliseconds(below(chance(50) ? 30 : 4000)); break;
      case 16: writing_ = !writing_; break;
      case 17: {
        const auto i = below(servers_.size());
        (void)rig_.core.refused_write(i, rig_.now);
        rig_.core.tick_at(rig_.now);
        break;
      }
      case 18: {
        auto& p = probes_[below(probes_.size())];
        if (p) p->lost = true;
        break;
      }
      case 19: change_hosts(); break;
      case 20: {
        auto& x = servers_[below(servers_.size())];
        if (chance(10) && !x.removed) replace(x);
        break;
      }
      default: break;
    }
    const auto until = rig_.now + std::chrono::milliseconds(below(chance(10) ? 900 : 60));
    while (rig_.now < until && faults_.empty()) {
      rig_.now += 1ms;
      if (rig_.core.next() <= rig_.now) rig_.core.tick_at(rig_.now);
      if (rig_.core.next() <= rig_.now) fault("the core asks for the same moment again");
      if (rig_.now.time_since_epoch() % 7ms == 0ns) advance();
      work();
    }
  }
  /// Another server, which has what a standby of the present primary may have.
  void replace(true_server& x) {
    const auto p = true_primary();
    true_server other;
    other.replaced = true;
    other.log = x.log;  // of the latest primary: that it was there stays true
    if (p != no_host) {
      other.lsn = servers_[p].log.begin()->second;
      other.timeline = servers_[p].timeline;
    }
    x = other;
  }
  void change_hosts() {
    const auto members =
        static_cast<std::size_t>(std::count_if(servers_.begin(), servers_.end(), [](const auto& x) { return !x.removed; }));
    if (chance(30) && members > 1) {
      const auto i = below(servers_.size());
      if (servers_[i].removed) return;
      servers_[i].removed = true;
      servers_[i].up = false;
      answers_[i].reset();
      rig_.core.remove_host(i, rig_.now);
      rig_.core.tick_at(rig_.now);
      ++removed;
    } else if (chance(50) && members < 5) {
      const auto i = rig_.core.add_host(rig_.now);
      if (i < servers_.size() && !servers_[i].removed) return fault("the place of a host was given to another");
      if (i < servers_.size() && rig_.core.at(i).in_use > 0) return fault("a new host has leases");
      if (i == servers_.size()) {
        servers_.emplace_back();
        probes_.emplace_back();
        answers_.emplace_back();
      }
      replace(servers_[i]);
      servers_[i].replaced = false;
      rig_.core.set_room(i, 2, 2, rig_.now);
      rig_.core.tick_at(rig_.now);
      ++added;
    }
  }
  /// Answers probes, and carries the orders out.
  void work() {
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      const auto todo = rig_.orders(i);
      if (todo.probe) {
        if (probes_[i]) fault("two probes of one host");
        const auto made = rig_.now + std::chrono::milliseconds(1 + below(5));
        probes_[i] = asked_probe{made, made + std::chrono::milliseconds(below(5))};
      }
      if (todo.abort_all || todo.abort_writes) ++aborted;
      auto& p = probes_[i];
      auto& x = servers_[i];
      if (!p || rig_.now < p->made) continue;
      if (x.up && !x.frozen && !p->said) p->said = answer_of(i);
      if (rig_.now < p->arrives) continue;
      if (x.frozen && x.up && !p->said) {
        // The shell gives up a little after the core has.
        if (rig_.core.at(i).told_silent && chance(2)) failed(i, probe_failure::silent);
        continue;
      }
      if (!x.up) {
        failed(i, answers_[i] ? probe_failure::lost : chance(20) ? probe_failure::starting : probe_failure::unreachable);
      } else if (p->lost) {
        failed(i, probe_failure::lost);
      } else {
        answer(i);
      }
    }
    for (auto& w : rig_.callers) {
      if (w->how != verdict::revoked) continue;
      ++revoked;
      rig_.core.ask(*w, rig_.now);
      rig_.core.tick_at(rig_.now);
    }
  }
  void failed(std::size_t i, probe_failure why) {
    probes_[i].reset();
    answers_[i].reset();
    rig_.core.failed(i, why, rig_.now);
    rig_.core.tick_at(rig_.now);
  }
  fleet::probe_answer answer_of(std::size_t i) const {
    const auto& x = servers_[i];
    fleet::probe_answer said;
    said.standby = x.standby;
    said.read_only = x.read_only || x.standby;
    said.timeline = x.timeline;
    said.lsn = x.lsn;
    return said;
  }
  void answer(std::size_t i) {
    const auto said = *probes_[i]->said;
    probes_[i].reset();
    if (rig_.core.at(i).leaving) return failed(i, probe_failure::lost);
    if (std::exchange(servers_[i].replaced, false)) {
      answers_[i].reset();
      rig_.core.moved(i, rig_.now);
      rig_.core.tick_at(rig_.now);
      ++moved;
    }
    answers_[i] = said;
    if (!said.standby) highest_ = std::max(highest_, said.timeline);
    rig_.core.answered(i, said, rig_.now);
    rig_.core.tick_at(rig_.now);
  }
  void end_one() {
    if (rig_.callers.empty()) return;
    auto& w = *rig_.callers[below(rig_.callers.size())];
    if (ended_.contains(&w)) return;
    if (w.how == verdict::granted) {
      if (w.counts && chance(20)) {
        rig_.core.lost_place(w, rig_.now);
        rig_.core.ask(w, rig_.now);
        rig_.core.tick_at(rig_.now);
        return;
      }
      rig_.release(w);
      ended_.insert(&w);
    } else if (w.how == verdict::waiting && chance(20)) {
      rig_.core.give_up(w, rig_.now);
      rig_.core.tick_at(rig_.now);
      ended_.insert(&w);
    }
  }

  // --- what holds
  void check() {
    std::vector<std::size_t> leased(servers_.size());
    if (rig_.core.state() == cluster_state::two_primaries) ++two;
    if (rig_.core.state() == cluster_state::no_primary) ++none;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      if (rig_.core.at(i).fenced) ++fenced;
    }
    for (auto& each : rig_.callers) {
      auto& w = *each;
      if (w.how == verdict::granted && !ended_.contains(&w)) ++leased[w.host];
      if (w.how == verdict::waiting && !ended_.contains(&w)) check_waiting(w);
    }
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      if (rig_.core.at(i).in_use != leased[i]) fault("places do not add up");
      if (leased[i] > rig_.core.at(i).room) fault("more leases than there is room for");
    }
  }
  /// In the moment of the grant.
  void judge(const fleet_caller& w) {
    const auto& said = answers_[w.host];
    const std::string about = " (host " + std::to_string(w.host) + ")";
    if (!said) return fault("a place on a host that is not believed" + about);
    if (w.writes || w.at_primary) {
      if (w.writes) ++granted_writes;
      if (said->standby || said->read_only) fault("a write went to a host that is no primary" + about);
      if (said->timeline < highest_) fault("a write went to a lower timeline" + about);
      for (std::size_t i = 0; i < answers_.size(); ++i) {
        const auto& other = answers_[i];
        if (i == w.host || !other || other->standby || other->read_only || rig_.core.at(i).told_silent) continue;
        if (other->timeline >= said->timeline) fault("a write went to one of two primaries" + about);
      }
      return;
    }
    ++granted_reads;
    if (!said->standby) fault("a read went to a host that is no standby" + about);
    if (said->lsn < w.not_before) fault("a read went to a host that has not replayed its token" + about);
    // A promotion that no probe has shown yet cannot be known.
    if (w.max_lag == tidepool::no_limit || rig_.core.primary() != true_primary()) return;
    ++bounded_reads;
    if (true_lag(w.host) > w.max_lag)
      fault("a read beyond its bound" + about + ": " + picture(w) + ", true lag " + std::to_string(true_lag(w.host) / 1ms));
  }
  void check_waiting(const fleet_caller& w) {
    const auto seat = rig_.core.primary();
    if (w.writes) {
      if (seat != no_host && rig_.core.at(seat).has_room()) fault("a writer waits while the primary has room");
      return;
    }
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      if (rig_.core.fits(w, i, rig_.now) && rig_.core.at(i).has_room()) fault("a reader waits while a replica that fits has room");
    }
  }
  std::size_t standbys() const {
    return static_cast<std::size_t>(std::count_if(servers_.begin(), servers_.end(), [](const auto& x) { return x.standby && !x.removed; }));
  }
  /// It waits, and for something that can come.
  bool hopes(const fleet_caller& w) const {
    const bool in_vain = !w.writes && w.fallback == read_fallback::wait && (standbys() == 0 || w.not_before > 0);
    return w.how == verdict::waiting && !ended_.contains(&w) && !in_vain;
  }
  std::string picture(const fleet_caller& w) const {
    std::string out =
        w.writes ? "to write"
                 : "to read within " + std::to_string(w.max_lag / 1ms) + " ms, fallback " + std::to_string(static_cast<int>(w.fallback));
    out += std::string(", ") + tidepool::postgres::to_string(rig_.core.state());
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      const auto& x = rig_.core.at(i);
      out += std::string("; ") + to_string(x.state) + " " + std::to_string(x.timeline) + " " + std::to_string(x.lsn) + " in use " +
             std::to_string(x.in_use) + " of " + std::to_string(x.room) + ", good " + std::to_string(x.good) + ", truly " +
             (servers_[i].standby ? "standby " : "primary ") + std::to_string(servers_[i].timeline) + " " + std::to_string(servers_[i].lsn);
    }
    return out;
  }
  void finish() {
    for (auto& x : servers_) {
      if (x.removed) continue;
      x.up = true;
      x.frozen = x.read_only = false;
      x.delay = 0ms;
    }
    // One that another had superseded before that one was removed is none.
    if (const auto p = true_primary(); p != no_host && servers_[p].timeline < highest_) servers_[p].standby = true;
    for (std::size_t i = 0; i < servers_.size() && true_primary() == no_host; ++i) promote(i);
    for (int round = 0; round < 20'000 && faults_.empty(); ++round) {
      const auto p = true_primary();
      for (std::size_t i = 0; i < servers_.size(); ++i) {
        if (i == p || servers_[i].standby) continue;
        servers_[i].standby = true;
        servers_[i].lsn = std::min(servers_[i].lsn, servers_[p].lsn);
      }
      rig_.now += 1ms;
      advance();
      if (rig_.core.next() <= rig_.now) rig_.core.tick_at(rig_.now);
      work();
      bool waits = false;
      for (auto& w : rig_.callers) {
        if (w->how == verdict::granted && !ended_.contains(w.get())) {
          rig_.release(*w);
          ended_.insert(w.get());
        }
        waits = waits || hopes(*w);
      }
      if (!waits) break;
    }
    for (auto& w : rig_.callers) {
      if (hopes(*w)) fault("somebody waits at the end: " + picture(*w));
    }
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      if (rig_.core.at(i).in_use != 0) fault("places are left at the end");
    }
  }

  tidepool::detail::splitmix random_;
  cluster_rig rig_;
  std::vector<true_server> servers_;
  std::vector<std::optional<asked_probe>> probes_;
  std::vector<std::optional<fleet::probe_answer>> answers_;  ///< the latest, while the host is believed
  std::set<const fleet_caller*> ended_;
  std::size_t latest_ = 0;  ///< primary that wrote
  std::uint32_t highest_ = 0;
  bool writing_ = true;
  std::string faults_;
};

}  // namespace

TEST_CASE("given random servers and callers, then no lease goes where it may not, and nobody waits for nothing") {
  const std::uint64_t seeds = std::getenv("TIDEPOOL_LONG") != nullptr ? 1000 : 50;
  std::size_t writes = 0, reads = 0, bounded = 0, revoked = 0, fenced = 0, two = 0, aborted = 0, none = 0, removed = 0, added = 0,
              moved = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    cluster_model one(seed, 1 + seed % 5);
    const auto found = one.run(250);
    INFO("seed " << seed);
    REQUIRE(found == "");
    writes += one.granted_writes;
    reads += one.granted_reads;
    bounded += one.bounded_reads;
    revoked += one.revoked;
    fenced += one.fenced;
    two += one.two;
    aborted += one.aborted;
    none += one.none;
    removed += one.removed;
    added += one.added;
    moved += one.moved;
  }
  // Everything has happened.
  for (const auto count : {writes, reads, bounded, revoked, fenced, two, aborted, none, removed, added, moved}) CHECK(count > 0);
}
