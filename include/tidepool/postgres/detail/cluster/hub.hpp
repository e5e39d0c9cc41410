// SPDX-License-Identifier: BSL-1.0
// tidepool - every event of a cluster: with the lock held tell the core; then, without it, do what it asks for.
//
// Under the lock leases' sockets are shut, because a lease that ends takes the lock first; nothing else is done there, and nothing is
// allocated. What has to be done stands in the hosts' nodes until then: two changes in the same moment are told as one.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_HUB_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_HUB_HPP

#include <algorithm>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../../detail/shell/pool_entry.hpp"
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
    cluster_topology out;
    auto seen = of_hosts<sighting>([&](auto& all) {
      const auto now = present();
      out.state = core_.state();
      out.in_state = now - core_.state_since();
      for (std::size_t i = 0; i < nodes_.size(); ++i) {
        const auto& n = nodes_[i];
        if (!core_.at(i).leaving) all.push_back({n.order, report_of(i, now), n.name, core_.at(i).trusted ? nullptr : n.error});
      }
      return true;
    });
    for (auto* each : in_order(*seen)) {
      each->report.host = text_of(each->name);
      each->report.error = text_of(each->error);
      out.hosts.push_back(std::move(each->report));
    }
    return out;
  }
  std::vector<pool_stats> stats() const {
    std::vector<pool_stats> out;
    for (const auto& db : pools()) out.push_back(db->stats());
    return out;
  }
  void log_to(const log_sink& out, log_level least) {
    for (const auto& db : pools()) db->log_to(out, least);
    auto sink = out ? std::make_shared<const log_sink>(out) : nullptr;
    const std::lock_guard lock(mutex_);
    log_.swap(sink);
    log_least_ = least;
  }

  // --- for leases -------------------------------------------------------------------------------------------------------

  void leaving(place<Pool>& p) noexcept override {
    const std::lock_guard lock(mutex_);
    if (p.linked()) nodes_[p.host].leases.erase(p);
    if (std::exchange(p.to_stop, false)) --nodes_[p.host].to_stop;
    p.held = nullptr;
  }
  void left(const place<Pool>& p) noexcept override {
    event([&](tick now) { core_.released(p.host, now); });
  }
  std::string_view host_of(const place<Pool>& p) const noexcept override {
    const std::lock_guard lock(mutex_);
    return *nodes_[p.host].name;  // stays while the host has leases
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
        observer_(watcher ? std::make_shared<const observer>(std::move(watcher)) : nullptr) {}

  template <class What>
  void event(What what) noexcept {
    const auto self = this->shared_from_this();
    bool more = false;
    std::optional<wake_chain> wakes;
    {
      const std::lock_guard lock(mutex_);
      const tick now = present();
      what(now);
      core_.tick_at(now);
      more = collect(now);
      if (!more) wakes.emplace(std::move(ready_));
    }
    if (!more) return wakes->set_all();
    carry_out();
    {
      const std::lock_guard lock(mutex_);
      wakes.emplace(std::move(ready_));
    }
    wakes->set_all();
    stop_statements();
    tell_changes();
  }
  /// The pool of a host that has changed gets the bounds of what it is now. `retire`: its connections lead to what it was before.
  void adapt(std::size_t i, Pool& db, bool retire = false) {
    shared_text name;
    bool primary = false;
    bool answers = false;
    std::size_t least = 0;
    std::size_t most = 0;
    bool turned = false;
    {
      const std::lock_guard lock(mutex_);
      const auto& x = core_.at(i);
      name = nodes_[i].name;
      primary = x.seated;
      answers = x.trusted || x.suspect;
      const bool standby = x.trusted && x.role == host::role::standby;
      if (primary) least = how_.primary.min_size;
      if (standby && reads_) least = how_.replicas.min_size;
      if (standby && how_.warm_standby) least = std::max(least, how_.primary.min_size);
      turned = std::exchange(nodes_[i].as_primary, primary) != primary;
      most = std::max<std::size_t>(x.room, 1);
    }
    least = std::min(least, most);
    // What scaling had opened for another load is not opened again, least of all where nobody answers.
    if (retire || turned || !answers) tidepool::detail::make_lease::maker_of(db)->start_over(least, most, retire);
    if (turned) {
      auto config = config_of(how_, text_of(name), primary);
      db.reconfigure(config);
    }
    db.resize(least, most);
    if (least > 0) (void)db.try_acquire();  // begins to open them
  }
  /// No more probes; those who wait are told.
  void stop() noexcept {
    event([&](tick) {
      stopped_ = true;
      core_.close();
    });
    wake_chain all;
    add_wakes(all);
    all.set_all();
  }
  /// Of the cluster's own coroutines.
  void add_wakes(wake_chain& to) const noexcept {
    const std::lock_guard lock(mutex_);
    for (const auto& n : nodes_) to.add(n.wakes);
    to.add(clock_wakes_);
    to.add(names_wake_);
  }
  std::shared_ptr<Pool> pool_at(std::size_t i) const {
    const std::lock_guard lock(mutex_);
    return nodes_[i].db;
  }
  std::vector<std::shared_ptr<Pool>> pools() const {
    struct member {
      std::size_t order = 0;
      std::shared_ptr<Pool> db{};
    };
    auto all = of_hosts<member>([this](auto& found) {
      for (const auto& n : nodes_) {
        if (n.db) found.push_back({n.order, n.db});
      }
      return true;
    });
    std::vector<std::shared_ptr<Pool>> out;
    for (const auto* each : in_order(*all)) out.push_back(each->db);
    return out;
  }
  /// What `add(vector)` has found under the lock, with room for one of each host; nothing where it returns false.
  template <class T, class Add>
  std::optional<std::vector<T>> of_hosts(Add add) const {
    std::vector<T> out;
    for (std::size_t room = 8;; room *= 2) {
      out.reserve(room);
      const std::lock_guard lock(mutex_);
      if (nodes_.size() > room) continue;
      if (add(out)) return out;
      return std::nullopt;
    }
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
    std::shared_ptr<const observer> watcher;
    std::shared_ptr<const log_sink> sink;
    const std::lock_guard lock(mutex_);
    watcher.swap(observer_);
    sink.swap(log_);
  }

  executor_type executor_;
  const cluster_options how_;
  const std::string number_ = new_number();  ///< of this instance

  mutable typename Pool::traits_type::mutex_type mutex_;
  std::deque<node<Pool>> nodes_;
  cluster_core core_;
  wake_chain ready_;  ///< what is to be set after this event: that of a caller who was told something, say
  bool stopped_ = false;
  bool reads_ = false;
  tick armed_ = never;  ///< when the core is told next that time has passed
  std::shared_ptr<wake_event> clock_wakes_ = std::make_shared<wake_event>();
  std::shared_ptr<wake_event> names_wake_ = std::make_shared<wake_event>();

 private:
  /// A host for a topology, its texts aside.
  struct sighting {
    std::size_t order = 0;
    host_report report{};
    shared_text name{};
    shared_text error{};
  };
  template <class T>
  static std::vector<T*> in_order(std::vector<T>& of) {
    std::vector<T*> out;
    for (auto& each : of) out.push_back(&each);
    std::sort(out.begin(), out.end(), [](const T* a, const T* b) { return a->order < b->order; });
    return out;
  }

  /// With the lock held. True: there is more to do than to set `ready_`.
  bool collect(tick now) noexcept {
    bool more = core_.state() != told_;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      auto& n = nodes_[i];
      const auto& x = core_.at(i);
      const auto asked = core_.take_orders(i);
      if (asked.probe) {
        n.ordered = true;
        ready_.add(n.wakes);
      }
      if (asked.abort_all || asked.abort_writes || asked.abort_moved) {
        n.shut_for = report_of(i, now);
        n.due.abort_all = n.due.abort_all || asked.abort_all;
        n.due.abort_moved = n.due.abort_moved || asked.abort_moved;
        n.due.abort_writes = n.due.abort_writes || asked.abort_writes;
        for (place<Pool>* p = n.leases.front(); p != nullptr; p = n.leases.after(*p)) {
          if (asked.abort_all || (asked.abort_writes && p->at_primary) || (asked.abort_moved && p->moved)) p->to_shut = true;
        }
      }
      if (asked.cancel) {
        for (place<Pool>* p = n.leases.front(); p != nullptr; p = n.leases.after(*p)) {
          const bool waits = p->held->waiting_since() != std::chrono::steady_clock::time_point();
          if (waits && !std::exchange(p->to_stop, true)) ++n.to_stop;
        }
      }
      n.due.recycle = n.due.recycle || asked.recycle;
      n.due.resize = n.due.resize || asked.resize;
      n.standing.set(x.takes_writes(), core_.readable(i), x.fresh);
      more = more || n.due.any() || n.to_stop > 0 || x.state != n.told;
    }
    if (core_.next() < armed_) ready_.add(clock_wakes_);
    return more;
  }
  /// Shuts leases, and makes pools fit for what their hosts are now.
  void carry_out() noexcept {
    for (std::size_t i = 0;; ++i) {
      orders asked;
      shared_text name;
      host_report seen;
      bool removed = false;
      std::shared_ptr<Pool> db;
      {
        const std::lock_guard lock(mutex_);
        if (i == nodes_.size()) return;
        auto& n = nodes_[i];
        asked = std::exchange(n.due, orders());
        if (!asked.any()) continue;
        name = n.name;
        seen = n.shut_for;
        removed = core_.at(i).leaving;
        db = n.db;
      }
      if (asked.abort_all || asked.abort_writes || asked.abort_moved) shut_leases(i, text_of_shut(name, seen, asked, removed));
      if (!db || !(asked.recycle || asked.resize)) continue;
      try {
        adapt(i, *db, asked.recycle);
      } catch (const std::exception&) {  // no memory: the next change tries again
      }
    }
  }
  static std::string text_of_shut(const shared_text& name, host_report& seen, const orders& asked, bool removed) noexcept {
    try {
      seen.host = text_of(name);
      std::string why = removed ? seen.host + " was removed from the cluster" : host_in_words(seen);
      if (asked.abort_moved) why = seen.host + " leads to another server now";
      return why + ": this lease was shut";
    } catch (const std::exception&) {  // no memory
      return {};
    }
  }
  void shut_leases(std::size_t i, const std::string& why) noexcept {
    const std::lock_guard lock(mutex_);
    auto& n = nodes_[i];
    for (place<Pool>* p = n.leases.front(); p != nullptr; p = n.leases.after(*p)) {
      if (std::exchange(p->to_shut, false)) p->held->abort(why);
    }
  }
  /// Of leases whose host is silent.
  void stop_statements() noexcept {
    for (std::size_t i = 0;;) {
      canceller one;
      {
        const std::lock_guard lock(mutex_);
        if (i == nodes_.size()) return;
        auto& n = nodes_[i];
        if (n.to_stop == 0) {
          ++i;
          continue;
        }
        // The list goes round, so that each is looked at once.
        place<Pool>& p = *n.leases.pop_front();
        n.leases.push_back(p);
        if (!std::exchange(p.to_stop, false)) continue;
        --n.to_stop;
        one = p.stop;
      }
      send_stop(std::move(one));
    }
  }
  void tell_changes() noexcept {
    for (std::size_t i = 0;; ++i) {
      state_change change;
      shared_text name;
      shared_text error;
      {
        const std::lock_guard lock(mutex_);
        if (i >= nodes_.size()) break;
        auto& n = nodes_[i];
        change.host = i;
        change.to = core_.at(i).state;
        change.from = std::exchange(n.told, change.to);
        name = n.name;
        error = n.error;
      }
      if (change.from != change.to) tell(change, name, error);
    }
    state_change change;
    {
      const std::lock_guard lock(mutex_);
      change.after = core_.state();
      change.before = std::exchange(told_, change.after);
    }
    if (change.before != change.after) tell(change, nullptr, nullptr);
  }
  void send_stop(canceller stop) noexcept {
    try {
      auto work = [](canceller what) -> asio::awaitable<void> { (void)co_await what.cancel(); };
      asio::co_spawn(executor_, work(std::move(stop)), asio::detached);
    } catch (const std::exception&) {  // no memory: it will be shut
    }
  }
  void tell(state_change& what, const shared_text& host, const shared_text& error) noexcept {
    try {
      std::shared_ptr<const observer> watcher;
      std::shared_ptr<const log_sink> log;
      log_level least{};
      {
        const std::lock_guard lock(mutex_);
        watcher = observer_;
        log = log_;
        least = log_least_;
      }
      const std::string name = text_of(host);
      what.error = text_of(error);
      if (log && what.level() >= least) (*log)(what.level(), what.line(how_.primary.name.view(), name));
      if (watcher) (*watcher)(what.event(name));
    } catch (...) {  // an observer's trouble is not the cluster's
    }
  }
  /// With the lock held, and without texts.
  host_report report_of(std::size_t i, tick now) const noexcept {
    const auto& x = core_.at(i);
    host_report r;
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
    return r;
  }

  std::shared_ptr<const observer> observer_;
  std::shared_ptr<const log_sink> log_;
  log_level log_least_ = log_level::info;
  cluster_state told_ = cluster_state::no_primary;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
