// SPDX-License-Identifier: BSL-1.0
// tidepool - who waits for a place at a host, and who gets one where.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_ROUTING_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_ROUTING_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "../../../detail/util/intrusive_list.hpp"
#include "../../../time.hpp"
#include "../../../version.hpp"
#include "../../read_options.hpp"
#include "host_table.hpp"
#include "lag_proof.hpp"
#include "waiter.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

/// Writers and readers wait in a queue each, first come, first served.
class routing {
 public:
  explicit routing(host_table& hosts) noexcept : hosts_(hosts) {}

  std::size_t writers() const noexcept { return writers_.size(); }
  std::size_t readers() const noexcept { return readers_.size(); }
  bool closed() const noexcept { return closed_; }
  /// A standby that may be read at all.
  static bool readable(const host& x) noexcept { return x.trusted && x.role == host::role::standby && x.good >= (x.was_down ? 2U : 1U); }
  static bool fits(const waiter& w, const host& x, tick now) noexcept {
    return readable(x) && x.lsn >= w.not_before && (w.max_lag == no_limit || lag_proof::lag(x, now) <= w.max_lag);
  }

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
      const auto seat = hosts_.primary();
      if (line.empty() && seat != no_host && hosts_.all[seat].has_room()) return grant(w, seat);
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
    hosts_.all[w.host].on_their_way.erase(w);
    w.counts = false;
  }
  /// It waits no longer, whatever it waited for.
  void give_up(waiter& w, tick now) noexcept {
    if (w.counts) {
      auto& x = hosts_.all[w.host];
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
    --hosts_.all[i].in_use;
    serve(now);
  }
  void close() noexcept {
    closed_ = true;
    tell_all(verdict::closed);
  }
  /// What has changed may be what somebody waits for.
  void serve(tick now) noexcept {
    if (const auto seat = hosts_.primary(); seat != no_host) {
      while (!writers_.empty() && hosts_.all[seat].has_room()) {
        grant(*writers_.front(), seat);
      }
    }
    for (waiter* w = readers_.front(); w != nullptr;) {
      waiter* const next = readers_.after(*w);
      serve_read(*w, now);
      w = next;
    }
  }
  /// The host has lost its place: callers on their way to their connections ask again.
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
    bool any = false;
    for (const auto& x : hosts_.all) {
      if (x.leaving) continue;
      if (!x.permanent) return false;
      any = true;
    }
    return any;
  }
  void tell_all(verdict how) noexcept {
    for (auto* each : {&writers_, &readers_}) {
      while (waiter* w = each->pop_front()) tell(*w, how);
    }
  }

 private:
  using queue = tidepool::detail::intrusive_list<waiter>;

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
    for (const auto& x : hosts_.all) {
      if (!fits(w, x, now)) continue;
      if (x.has_room()) {
        ++count;
      } else {
        fit_without_room = true;
      }
    }
    if (count == 0) return no_host;
    std::size_t first = hosts_.random() % count;
    std::size_t second = count == 1 ? 0 : hosts_.random() % (count - 1);
    if (count > 1 && second >= first) ++second;
    std::size_t best = no_host;
    std::size_t n = 0;
    for (std::size_t i = 0; i < hosts_.all.size(); ++i) {
      const auto& x = hosts_.all[i];
      if (!fits(w, x, now) || !x.has_room()) continue;
      const bool drawn = n == first || n == second;
      ++n;
      if (drawn && (best == no_host || load(x, now) < load(hosts_.all[best], now))) best = i;
    }
    return best;
  }
  /// False: it has to wait.
  bool serve_read(waiter& w, tick now) noexcept {
    bool only_full = false;
    const auto chosen = choose(w, now, only_full);
    const auto seat = hosts_.primary();
    if (chosen != no_host) {
      auto& x = hosts_.all[chosen];
      // Asked again before its answer is too old for the next caller.
      if (w.max_lag != no_limit && lag_proof::lag(x, now) > w.max_lag / 2) {
        hosts_.want_probe(x, now);
        if (seat != no_host) hosts_.want_probe(hosts_.all[seat], now);
      }
      grant(w, chosen);
      return true;
    }
    if (only_full) return false;
    bool may_change = false;
    const auto ask_now = [&](host& x) {
      if (x.outcome == not_known || x.outcome < w.asked) {
        may_change = true;
        hosts_.want_probe(x, now);
      } else if (!x.in_flight) {
        // Somebody waits: a proof is at best as young as the pause between probes.
        x.due = std::min(x.due, later(x.began, std::clamp(w.max_lag / 4, hosts_.limits.spacing, hosts_.limits.hurried)));
      }
    };
    for (auto& x : hosts_.all) {
      const bool unknown_yet = x.outcome == not_known && !x.leaving;
      if (unknown_yet || readable(x)) ask_now(x);
    }
    if (seat != no_host && w.max_lag != no_limit) ask_now(hosts_.all[seat]);
    if (may_change) return false;
    if (w.fallback == read_fallback::fail) {
      if (w.linked()) readers_.erase(w);
      tell(w, verdict::unfit);
      return true;
    }
    if (w.fallback == read_fallback::primary && seat != no_host && hosts_.all[seat].has_room() && writers_.empty()) {
      grant(w, seat);
      return true;
    }
    return false;
  }
  void grant(waiter& w, std::size_t i) noexcept {
    auto& x = hosts_.all[i];
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

  host_table& hosts_;
  queue writers_;
  queue readers_;
  std::uint64_t tickets_ = 0;
  bool closed_ = false;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
