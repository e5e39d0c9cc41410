// SPDX-License-Identifier: BSL-1.0
// tidepool - every event of a cluster: with the lock held tell the core; then, without it, do what it asks for.
//
// Under the lock leases' sockets are shut, because a lease that ends takes the lock first; nothing else is done there.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_HUB_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_HUB_HPP

#include <algorithm>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../../policy/observer.hpp"
#include "../../../version.hpp"
#include "../../cluster_lease.hpp"
#include "../../cluster_options.hpp"
#include "../../topology.hpp"
#include "cluster_core.hpp"
#include "host_settings.hpp"
#include "host_words.hpp"
#include "node.hpp"
#include "present.hpp"
#include "state_change.hpp"
#include "wake_event.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

template <class Pool>
class cluster_hub : public cluster_base<Pool>, public std::enable_shared_from_this<cluster_hub<Pool>> {
 public:
  using executor_type = typename Pool::executor_type;
  using observer = std::function<void(const cluster_event&)>;

  executor_type executor() const { return executor_; }

  cluster_topology topology() const {
    const std::lock_guard lock(mutex_);
    return topology_locked();
  }
  std::vector<pool_stats> stats() const {
    std::vector<pool_stats> out;
    for (const auto& db : pools()) out.push_back(db->stats());
    return out;
  }
  void log_to(const log_sink& out, log_level least) {
    for (const auto& db : pools()) db->log_to(out, least);
    const std::lock_guard lock(mutex_);
    log_ = out ? std::make_shared<const log_sink>(out) : nullptr;
    log_least_ = least;
  }

  // --- for leases -------------------------------------------------------------------------------------------------------

  void leaving(place<Pool>& p) noexcept override {
    const std::lock_guard lock(mutex_);
    if (p.linked()) nodes_[p.host].leases.erase(p);
    p.held = nullptr;
  }
  void left(const place<Pool>& p) noexcept override {
    event([&](tick now) { core_.released(p.host, now); });
  }
  std::string_view host_of(const place<Pool>& p) const noexcept override {
    const std::lock_guard lock(mutex_);
    return nodes_[p.host].name;  // stays while the host has leases
  }
  void want_proof(const place<Pool>& p) noexcept override {
    event([&](tick now) { core_.want_proof(p.host, now); });
  }
  bool replica_within(duration max_lag) noexcept override {
    bool found = false;
    event([&](tick now) {
      waiter any;
      any.max_lag = max_lag;
      for (std::size_t i = 0; i < core_.size(); ++i) {
        const auto& x = core_.at(i);
        if (!core_.readable(i)) continue;
        if (core_.fits(any, i, now)) {
          found = found || x.has_room();
        } else if (now - x.answered > max_lag / 2) {
          core_.want_proof(i, now);
        }
      }
    });
    return found;
  }
  const cluster_options& options_of() const noexcept override { return how_; }

 protected:
  cluster_hub(executor_type executor, const cluster_options& how, observer watcher)
      : executor_(std::move(executor)),
        how_(how),
        core_(0, rules_of(how), Pool::traits_type::random_seed(), present()),
        observer_(std::move(watcher)) {}

  template <class What>
  void event(What what) noexcept {
    const auto self = this->shared_from_this();
    todo next;
    {
      const std::lock_guard lock(mutex_);
      const tick now = present();
      what(now);
      core_.tick_at(now);
      collect(next, now);
    }
    perform(next);
  }
  /// The pool of a host that has changed gets the bounds of what it is now.
  void adapt(std::size_t i, Pool& db) {
    std::string name;
    bool primary = false;
    std::size_t least = 0;
    std::size_t most = 0;
    bool turned = false;
    {
      const std::lock_guard lock(mutex_);
      const auto& x = core_.at(i);
      name = nodes_[i].name;
      primary = x.seated;
      const bool standby = x.trusted && x.role == host::role::standby;
      if (primary) least = how_.primary.min_size;
      if (standby && reads_) least = how_.replicas.min_size;
      if (standby && how_.warm_standby) least = std::max(least, how_.primary.min_size);
      turned = std::exchange(nodes_[i].as_primary, primary) != primary;
      most = std::max<std::size_t>(x.room, 1);
    }
    if (turned) {
      auto config = config_of(how_, name, primary);
      db.reconfigure(config);
    }
    db.resize(std::min(least, most), most);
    if (least > 0) (void)db.try_acquire();  // begins to open them
  }
  /// No more probes; those who wait are told.
  void stop() noexcept {
    event([&](tick) {
      stopped_ = true;
      core_.close();
    });
    std::vector<std::shared_ptr<wake_event>> all;
    add_wakes(all);
    for (const auto& each : all) each->set();
  }
  /// Of the cluster's own coroutines.
  void add_wakes(std::vector<std::shared_ptr<wake_event>>& to) const {
    const std::lock_guard lock(mutex_);
    for (const auto& n : nodes_) to.push_back(n.wakes);
    to.push_back(clock_wakes_);
    to.push_back(names_wake_);
  }
  std::shared_ptr<Pool> pool_at(std::size_t i) const {
    const std::lock_guard lock(mutex_);
    return nodes_[i].db;
  }
  std::vector<std::shared_ptr<Pool>> pools() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<Pool>> out;
    std::vector<const node<Pool>*> order;
    for (const auto& n : nodes_) {
      if (n.db) order.push_back(&n);
    }
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->order < b->order; });
    for (const auto* n : order) out.push_back(n->db);
    return out;
  }
  /// The place of a host, while it is one.
  std::size_t index_of(std::uint64_t tenure) const noexcept {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].tenure == tenure && !core_.at(i).leaving) return i;
    }
    return no_host;
  }
  std::pair<std::shared_ptr<const log_sink>, log_level> log() const {
    const std::lock_guard lock(mutex_);
    return {log_, log_least_};
  }
  /// Nobody hears of changes any more.
  void forget_listeners() noexcept {
    const std::lock_guard lock(mutex_);
    observer_ = {};
    log_.reset();
  }

  executor_type executor_;
  const cluster_options how_;
  const std::string number_ = new_number();  ///< of this instance

  mutable std::mutex mutex_;
  std::deque<node<Pool>> nodes_;
  cluster_core core_;
  std::vector<std::shared_ptr<wake_event>> ready_;  ///< of callers that were told something within this event
  bool stopped_ = false;
  bool reads_ = false;
  tick armed_ = never;  ///< when the core is told next that time has passed
  std::shared_ptr<wake_event> clock_wakes_ = std::make_shared<wake_event>();
  std::shared_ptr<wake_event> names_wake_ = std::make_shared<wake_event>();

 private:
  struct todo {
    std::vector<std::pair<std::size_t, orders>> hosts;
    std::vector<std::shared_ptr<wake_event>> wake_events;
    std::vector<state_change> changes;
    std::vector<canceller> stops;
  };
  void collect(todo& next, tick) {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      auto& n = nodes_[i];
      const auto asked = core_.take_orders(i);
      if (asked.probe) {
        n.ordered = true;
        next.wake_events.push_back(n.wakes);
      }
      if (asked.abort_all || asked.abort_writes || asked.abort_moved) abort_leases(i, asked);
      if (asked.cancel) {
        for (place<Pool>* p = n.leases.front(); p != nullptr; p = n.leases.after(*p)) {
          if (p->held->waiting_since() != std::chrono::steady_clock::time_point()) next.stops.push_back(p->stop);
        }
      }
      if (asked.recycle || asked.resize) next.hosts.emplace_back(i, asked);
      const auto& x = core_.at(i);
      n.standing.set(x.takes_writes(), core_.readable(i), x.fresh);
      const auto state = x.state;
      if (state != n.told) next.changes.push_back({i, std::exchange(n.told, state), state, {}, {}, n.error});
    }
    const auto state = core_.state();
    if (state != told_) next.changes.push_back({no_host, {}, {}, std::exchange(told_, state), state, {}});
    next.wake_events.insert(next.wake_events.end(), ready_.begin(), ready_.end());
    ready_.clear();
    if (core_.next() < armed_) next.wake_events.push_back(clock_wakes_);
  }
  void abort_leases(std::size_t i, const orders& asked) {
    const auto& x = core_.at(i);
    auto& n = nodes_[i];
    host_report told;
    told.host = n.name;
    told.state = x.state;
    told.in_state = present() - x.since;
    told.timeline = x.timeline;
    told.lag = core_.lag(i, present());
    std::string why = x.leaving ? n.name + " was removed from the cluster" : host_in_words(told);
    if (asked.abort_moved) why = n.name + " leads to another server now";
    why += ": this lease was shut";
    for (place<Pool>* p = n.leases.front(); p != nullptr; p = n.leases.after(*p)) {
      if (asked.abort_all || (asked.abort_writes && p->at_primary) || (asked.abort_moved && p->moved)) p->held->abort(why);
    }
  }
  void perform(todo& next) noexcept {
    for (auto& [i, asked] : next.hosts) {
      const auto db = pool_at(i);
      if (!db) continue;
      if (asked.recycle) db->recycle();
      if (asked.resize) {
        try {
          adapt(i, *db);
        } catch (const std::exception&) {  // no memory: the next change tries again
        }
      }
    }
    for (auto& each : next.wake_events) each->set();
    for (auto& each : next.stops) send_stop(std::move(each));
    for (const auto& each : next.changes) tell(each);
  }
  void send_stop(canceller stop) noexcept {
    try {
      auto work = [](canceller what) -> asio::awaitable<void> { (void)co_await what.cancel(); };
      asio::co_spawn(executor_, work(std::move(stop)), asio::detached);
    } catch (const std::exception&) {  // no memory: it will be shut
    }
  }
  void tell(const state_change& what) noexcept {
    try {
      observer watcher;
      std::shared_ptr<const log_sink> log;
      log_level least{};
      std::string name;
      {
        const std::lock_guard lock(mutex_);
        watcher = observer_;
        log = log_;
        least = log_least_;
        if (what.host != no_host) name = nodes_[what.host].name;
      }
      if (log && what.level() >= least) (*log)(what.level(), what.line(how_.primary.name.view(), name));
      if (watcher) watcher(what.event(name));
    } catch (...) {  // an observer's trouble is not the cluster's
    }
  }
  cluster_topology topology_locked() const {
    const auto now = present();
    cluster_topology out;
    out.state = core_.state();
    out.in_state = now - core_.state_since();
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (!core_.at(i).leaving) order.push_back(i);
    }
    std::sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) { return nodes_[a].order < nodes_[b].order; });
    for (const auto i : order) {
      const auto& x = core_.at(i);
      host_report r;
      r.host = nodes_[i].name;
      r.state = x.state;
      r.in_state = now - x.since;
      if (x.answered != not_known) r.answered = now - x.answered;
      r.timeline = x.timeline;
      r.lsn = x.lsn;
      r.lag = x.role == host::role::standby ? core_.lag(i, now) : duration(no_limit);
      r.behind_pooler = x.pooled;
      r.leases = x.in_use;
      r.room = x.room;
      r.refused_writes = x.refused_writes;
      if (!x.trusted) r.error = nodes_[i].error;
      out.hosts.push_back(std::move(r));
    }
    return out;
  }

  observer observer_;
  std::shared_ptr<const log_sink> log_;
  log_level log_least_ = log_level::info;
  cluster_state told_ = cluster_state::no_primary;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
