// SPDX-License-Identifier: BSL-1.0
// tidepool - what surrounds a cluster's core: the lock, the pools of its hosts, the coroutines that probe them, and callers who wait.
//
// Every event follows one pattern, as in the pool: with the lock held tell the core; then, without it, do what it asks for. Under the lock
// leases' sockets are shut, because a lease that ends takes the lock first; nothing else is done there.
// Before the guard: cluster.hpp includes this file where its own declarations are complete.
#include "../../cluster.hpp"

#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_SHELL_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_SHELL_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../../detail/shell/context_watch.hpp"
#include "../../../detail/util/cancellation.hpp"
#include "../../../detail/util/system_seed.hpp"
#include "../../../detail/util/words.hpp"
#include "../../../version.hpp"
#include "cluster_core.hpp"
#include "host_words.hpp"
#include "probe.hpp"
#include "wake_event.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

using tidepool::detail::in_words;

inline tick present() noexcept { return tidepool::detail::tick_of(clock::now()); }
inline clock::time_point time_of(tick at) noexcept {
  return clock::time_point(std::chrono::duration_cast<clock::duration>(at.time_since_epoch()));
}

/// A host with its pool.
struct node {
  std::string name;
  std::shared_ptr<const options> asked_by;  ///< of the probes
  std::shared_ptr<pool> db;                 ///< null when the cluster object is gone
  bool as_primary = false;                  ///< what the pool is configured for
  bool ordered = false;                     ///< a probe
  std::shared_ptr<wake_event> wakes = std::make_shared<wake_event>();
  std::string error{};
  std::optional<budget_core> budget{};
  std::size_t bound = 0;  ///< that its pool has of it
  std::size_t lacks = 0;  ///< to be told with the next probe, as the next
  bool hungry = false;
  tidepool::detail::intrusive_list<place> leases{};
  host_state told{};
};

/// An acquire in a host's pool, which its caller may leave.
struct attempt {
  explicit attempt(const asio::any_io_executor& here) : strand(asio::make_strand(here)) {}
  std::mutex mutex;
  bool done = false;
  bool left = false;
  pool::lease lease{};
  std::optional<pool_error> failure{};
  asio::strand<asio::any_io_executor> strand;  ///< of the signal
  asio::cancellation_signal signal{};
};

template <class>
class basic_cluster_shell final : public cluster_base,
                                  public tidepool::detail::context_client,
                                  public std::enable_shared_from_this<basic_cluster_shell<void>> {
 public:
  using shell_ptr = std::shared_ptr<basic_cluster_shell>;

  basic_cluster_shell(asio::any_io_executor executor, const options& settings, const cluster_options& how, cluster::observer watcher)
      : executor_(std::move(executor)),
        how_(how),
        observer_(std::move(watcher)),
        nodes_(settings.endpoints().size()),
        core_(nodes_.size(), rules_of(how), tidepool::detail::seed_of_system(), present()) {
    const auto endpoints = settings.endpoints();
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const auto& e = endpoints[i];
      auto& n = nodes_[i];
      n.name = e.text();
      if (e.port.empty()) n.name += ":5432";
      if (how.share_connections) {
        n.bound = std::max(how.primary.max_size, how.replicas.max_size);
        n.budget.emplace(n.bound, how.share_part);
      }
      options asked = settings_of(settings, e);
      if (how.share_connections) asked.set("application_name", shared_name() + number_ + "?0");
      asked.on_connect = {};
      asked.on_reset = {};
      asked.tracing = {};
      asked.address_timeout = std::min(asked.address_timeout, how.probe_timeout);
      asked.response_timeout = no_limit;
      asked.cancel_timeout = std::chrono::milliseconds(100);
      asked.close_timeout = std::chrono::milliseconds(100);
      asked.bad_host_memory = duration::zero();
      n.asked_by = std::make_shared<const options>(std::move(asked));
      core_.set_room(i, how.primary.max_size, how.replicas.max_size, present());
    }
  }
  ~basic_cluster_shell() override {
    if (watch_ != nullptr) watch_->remove(*this);
  }
  /// Second half of construction: needs the shared pointer.
  void attach(const options& settings) {
    const auto endpoints = settings.endpoints();
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      options with = settings_of(settings, endpoints[i]);
      with.on_refused_write = [weak = this->weak_from_this(), i] {
        const auto self = weak.lock();
        return self && self->refused_write(i);
      };
      const auto config = config_of(i, false);
      if (!how_.share_connections) {
        nodes_[i].db = std::make_shared<pool>(executor_, connector(std::move(with)), config);
        continue;
      }
      auto watched = [inner = connector(std::move(with)), weak = this->weak_from_this(), i](const pool::connect_context& context) {
        return connect(inner, context, weak, i);
      };
      nodes_[i].db = std::make_shared<pool>(executor_, std::move(watched), config);
    }
    (void)asio::make_strand(executor_);  // see pool_impl::attach()
    auto& watch = asio::use_service<tidepool::detail::context_watch>(asio::query(executor_, asio::execution::context));
    watch.add(*this, this->weak_from_this());
    watch_ = &watch;
  }

  const cluster_options& how() const noexcept { return how_; }
  asio::any_io_executor executor() const { return executor_; }

  // --- for callers ------------------------------------------------------------------------------------------------------

  static asio::awaitable<void> open(shell_ptr self, source_location where) {
    const auto& config = self->how_.primary;
    self->start();
    if (config.start == start_mode::lazy) co_return;
    std::exception_ptr failure;
    try {
      const auto first = co_await acquire(self, true, read_options(), std::max(config.acquire_timeout, config.connect_timeout), where);
    } catch (...) {
      failure = std::current_exception();
    }
    if (!failure) co_return;
    if (tidepool::detail::is_cancellation(failure)) std::rethrow_exception(failure);
    co_await close(self, duration::zero(), where);
    std::rethrow_exception(failure);
  }

  static asio::awaitable<cluster_lease> acquire(shell_ptr self, bool writes, read_options wanted, duration limit, source_location where) {
    self->start();
    if (!writes) self->begin_to_read();
    const auto until = later(clock::now(), limit);
    const asio::any_io_executor here = co_await asio::this_coro::executor;
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);
    caller me(self);
    me.asked.writes = writes;
    me.asked.max_lag = wanted.max_lag;
    me.asked.not_before = wanted.not_before.lsn;
    me.asked.fallback = wanted.fallback;
    std::optional<real_timer> timer;
    ending end;
    cluster_lease out;
    while (!out && end.kind == ending::none) {
      if (!self->enqueue(me)) {
        end = {ending::failed, make_error_code(tidepool::errc::queue_full), "max_waiting callers wait already"};
        break;
      }
      std::shared_ptr<attempt> running;
      pool::lease granted;
      for (;;) {
        const auto how = self->verdict_of(me);
        if (how == verdict::granted && !running) {
          const auto db = self->pool_of(me);
          if (db) granted = take_idle(*db, where);
          if (granted) break;
          running = begin(me, db, here, until, where);
        }
        if (running && done(*running)) break;
        if (how != verdict::waiting && how != verdict::granted) break;
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) {
          end = {ending::failed, make_error_code(tidepool::errc::cancelled), "cancelled by its caller"};
          break;
        }
        if (clock::now() >= until) {
          end = {ending::failed, make_error_code(tidepool::errc::timeout), {}};
          break;
        }
        if (until != clock::time_point::max() && !timer) {
          timer.emplace(here);
          timer->expires_at(until);
          timer->async_wait([weak = std::weak_ptr<wake_event>(me.wakes)](error_code failed) {
            const auto alive = weak.lock();
            if (!failed && alive) alive->set();
          });
        }
        const auto opens = me.wakes->next();
        co_await wake_event::gate::wait(opens);
        me.wakes->reset();
      }
      std::optional<pool_error> failure;
      if (running) {
        const std::lock_guard lock(running->mutex);
        granted = std::move(running->lease);
        failure = std::move(running->failure);
      }
      if (granted) {
        out = self->hand_out(me, std::move(granted));
        if (out) end = ending();
        continue;
      }
      leave(running);
      if (end.kind == ending::none) end = self->judge(me, failure);
      if (end.kind == ending::none && failure) {
        // The host answers, and its pool has no connection: the host is asked again now, and this caller does not go round and round.
        self->no_connection(me);
        real_timer pause(here);
        pause.expires_at(std::min(until, later(clock::now(), std::chrono::milliseconds(50))));
        error_code ignored;
        co_await pause.async_wait(asio::redirect_error(tidepool::detail::await_token, ignored));
      }
    }
    timer.reset();
    co_await asio::this_coro::throw_if_cancelled(throws);
    if (!out) self->fail(writes, end, limit, where);
    co_return out;
  }

  static asio::awaitable<void> close(shell_ptr self, duration grace, source_location where) {
    const auto until = later(clock::now(), grace);
    self->stop();
    for (std::size_t i = 0; i < self->nodes_.size(); ++i) {
      const auto db = self->pool_at(i);
      if (!db) continue;
      const bool bounded = until != clock::time_point::max();
      const duration left = bounded ? std::max<duration>(until - clock::now(), duration::zero()) : duration(no_limit);
      co_await db->close(left, where);
    }
  }

  static asio::awaitable<log_position> position(connection& of) {
    const auto lsn = co_await of.template one<std::string>(
        "select pg_catalog.pg_wal_lsn_diff(case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()"
        " else pg_catalog.pg_current_wal_insert_lsn() end, '0/0')::pg_catalog.text");
    log_position out;
    out.lsn = number_of<std::uint64_t>(lsn);
    co_return out;
  }

  cluster_topology topology() const {
    const std::lock_guard lock(mutex_);
    return topology_locked();
  }
  std::vector<pool_stats> stats() const {
    std::vector<pool_stats> out;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (const auto db = pool_at(i)) out.push_back(db->stats());
    }
    return out;
  }
  void log_to(const log_sink& out, log_level least) {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (const auto db = pool_at(i)) db->log_to(out, least);
    }
    const std::lock_guard lock(mutex_);
    log_ = out ? std::make_shared<const log_sink>(out) : nullptr;
    log_least_ = least;
  }

  // --- for leases -------------------------------------------------------------------------------------------------------

  void leaving(place& p) noexcept override {
    const std::lock_guard lock(mutex_);
    if (p.linked()) nodes_[p.host].leases.erase(p);
    p.held = nullptr;
  }
  void left(const place& p) noexcept override {
    event([&](tick now) { core_.released(p.host, now); });
  }
  std::string_view host_of(const place& p) const noexcept override { return nodes_[p.host].name; }

  /// The cluster object goes away. Leases keep this alive until the last one is back.
  void shut_down() noexcept override {
    stop();
    std::vector<std::shared_ptr<pool>> pools;
    {
      const std::lock_guard lock(mutex_);
      for (auto& n : nodes_) pools.push_back(std::move(n.db));
      observer_ = {};
      log_.reset();
    }
  }
  /// The context is being destroyed, and every coroutine on it.
  void context_shutdown() noexcept override {
    watch_ = nullptr;
    stop();
    std::vector<std::shared_ptr<wake_event>> wake_events;
    {
      const std::lock_guard lock(mutex_);
      for (caller* c = callers_.front(); c != nullptr; c = callers_.after(*c)) wake_events.push_back(c->wakes);
      for (auto& n : nodes_) wake_events.push_back(n.wakes);
      wake_events.push_back(clock_wakes_);
    }
    for (auto& each : wake_events) each->destroy_waiter();
    executor_ = asio::any_io_executor();
  }

 private:
  /// In the frame of a caller's coroutine.
  struct caller : tidepool::detail::list_hook {
    struct in_core : waiter {
      caller* of = nullptr;
    };
    explicit caller(shell_ptr of) : owner(std::move(of)) {
      asked.of = this;
      asked.complete = [](waiter& w) noexcept {
        caller& self = *static_cast<in_core&>(w).of;
        self.owner->ready_.push_back(self.wakes);
      };
      owner->add(*this);
    }
    caller(const caller&) = delete;
    caller& operator=(const caller&) = delete;
    ~caller() { owner->remove(*this); }

    shell_ptr owner;
    in_core asked{};
    std::shared_ptr<wake_event> wakes = std::make_shared<wake_event>();
  };
  /// How an acquire ends without a lease.
  struct ending {
    enum what { none, failed };
    ending() = default;
    ending(what is, error_code code, std::string words) : kind(is), why(code), text(std::move(words)) {}
    what kind = none;
    error_code why{};
    std::string text{};
  };

  static rules rules_of(const cluster_options& how) {
    rules out;
    out.interval = how.probe_interval;
    out.hurried = how.hurried_interval;
    out.timeout = how.probe_timeout;
    out.grace = how.abort_grace;
    out.lagging_after = how.lagging_after;
    return out;
  }
  options settings_of(const options& all, const endpoint& only) const {
    options out = all;
    out.set("host", only.host).set("hostaddr", only.hostaddr).set("port", only.port);
    out.set("target_session_attrs", "any").set("load_balance_hosts", "");
    if (out.get("fallback_application_name").empty() && how_.primary.name.view() != pool_config().name.view()) {
      out.set("fallback_application_name", std::string(how_.primary.name.view()));
    }
    if (how_.share_connections) out.set("application_name", shared_name() + number_);
    return out;
  }
  std::string shared_name() const { return std::string(how_.primary.name.view().substr(0, 40)) + "#"; }
  static std::string new_number() {
    std::string out;
    for (auto left = tidepool::detail::seed_of_system(); out.size() < 8; left /= 16) out += "0123456789abcdef"[left % 16];
    return out;
  }
  /// Tells of a server without room.
  static asio::awaitable<connection> connect(connector inner, pool::connect_context context, std::weak_ptr<basic_cluster_shell> to,
                                             std::size_t i) {
    std::exception_ptr failure;
    bool full = false;
    try {
      auto work = inner(context);
      connection made = co_await std::move(work);
      co_return made;
    } catch (const connect_error& failed) {
      full = failed.kind() == failure_kind::server_full;
      failure = std::current_exception();
    }
    if (const auto self = to.lock(); self && full) self->server_full(i);
    std::rethrow_exception(failure);
  }
  /// A pool connects only to a host that answers, so it need not be careful.
  pool_config config_of(std::size_t i, bool as_primary) const {
    pool_config out = as_primary ? how_.primary : how_.replicas;
    const std::string name = std::string(how_.primary.name.view()) + " " + nodes_[i].name;
    out.name = std::string_view(name).substr(0, 63);
    out.start = start_mode::lazy;
    out.max_waiting = no_limit;
    out.breaker_threshold = no_limit;
    out.max_retry_delay = std::min<duration>(out.max_retry_delay, std::chrono::milliseconds(250));
    out.retry_delay = std::min<duration>(out.retry_delay, std::chrono::milliseconds(100));
    out.min_size = out.min_idle = 0;
    return out;
  }

  // --- events -----------------------------------------------------------------------------------------------------------

  struct told_change {
    std::size_t host = no_host;
    host_state from{}, to{};
    cluster_state before{}, after{};
    std::string error{};
  };
  struct todo {
    std::vector<std::pair<std::size_t, orders>> hosts;
    std::vector<std::shared_ptr<wake_event>> wake_events;
    std::vector<told_change> changes;
    std::vector<canceller> stops;
  };

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
  void collect(todo& next, tick) {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      auto& n = nodes_[i];
      const auto asked = core_.take_orders(i);
      if (asked.probe) {
        n.ordered = true;
        next.wake_events.push_back(n.wakes);
      }
      if (asked.abort_all || asked.abort_writes) abort_leases(i, asked.abort_all);
      if (asked.cancel) {
        for (place* p = n.leases.front(); p != nullptr; p = n.leases.after(*p)) {
          if (p->held->waiting_since() != std::chrono::steady_clock::time_point()) next.stops.push_back(p->stop);
        }
      }
      if (asked.recycle || asked.resize) next.hosts.emplace_back(i, asked);
      const auto state = core_.at(i).state;
      if (state != n.told) next.changes.push_back({i, std::exchange(n.told, state), state, {}, {}, n.error});
    }
    const auto state = core_.state();
    if (state != told_) next.changes.push_back({no_host, {}, {}, std::exchange(told_, state), state, {}});
    next.wake_events.insert(next.wake_events.end(), ready_.begin(), ready_.end());
    ready_.clear();
    if (core_.next() < armed_) next.wake_events.push_back(clock_wakes_);
  }
  void abort_leases(std::size_t i, bool all) {
    const auto& x = core_.at(i);
    auto& n = nodes_[i];
    host_report told;
    told.host = n.name;
    told.state = x.state;
    told.in_state = present() - x.since;
    told.timeline = x.timeline;
    told.lag = core_.lag(i, present());
    const std::string why = host_in_words(told) + ": this lease was shut";
    for (place* p = n.leases.front(); p != nullptr; p = n.leases.after(*p)) {
      if (all || p->at_primary) p->held->abort(why);
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
  /// The pool of a host that has changed gets the bounds of what it is now.
  void adapt(std::size_t i, pool& db) {
    bool primary = false;
    std::size_t least = 0;
    std::size_t most = 0;
    bool turned = false;
    {
      const std::lock_guard lock(mutex_);
      const auto& x = core_.at(i);
      primary = x.seated;
      const bool standby = x.trusted && x.role == host::role::standby;
      if (primary) least = how_.primary.min_size;
      if (standby && reads_) least = how_.replicas.min_size;
      if (standby && how_.warm_standby) least = std::max(least, how_.primary.min_size);
      turned = std::exchange(nodes_[i].as_primary, primary) != primary;
      most = std::max<std::size_t>(x.room, 1);
    }
    if (turned) {
      auto config = config_of(i, primary);
      db.reconfigure(config);
    }
    db.resize(std::min(least, most), most);
    if (least > 0) (void)db.try_acquire();  // begins to open them
  }
  void send_stop(canceller stop) noexcept {
    try {
      auto work = [](canceller what) -> asio::awaitable<void> { (void)co_await what.cancel(); };
      asio::co_spawn(executor_, work(std::move(stop)), asio::detached);
    } catch (const std::exception&) {  // no memory: it will be shut
    }
  }
  void tell(const told_change& what) noexcept {
    try {
      cluster::observer watcher;
      std::shared_ptr<const log_sink> log;
      log_level least{};
      {
        const std::lock_guard lock(mutex_);
        watcher = observer_;
        log = log_;
        least = log_least_;
      }
      const bool host = what.host != no_host;
      cluster_event e;
      if (host) {
        e.host = nodes_[what.host].name;
        e.from = what.from;
        e.to = what.to;
        e.error = what.error;
      }
      e.before = what.before;
      e.after = what.after;
      if (log) {
        const bool bad = host ? what.to == host_state::unreachable || what.to == host_state::silent || what.to == host_state::fenced
                              : what.after != cluster_state::one_primary;
        const auto level = bad ? log_level::warning : log_level::info;
        std::string line(how_.primary.name.view());
        line += host ? ": host " + std::string(e.host) + " " + to_string(e.from) + " -> " + to_string(e.to)
                     : std::string(": cluster ") + to_string(e.before) + " -> " + to_string(e.after);
        if (!e.error.empty() && bad) line += ": " + tidepool::detail::one_line(e.error);
        if (level >= least) (*log)(level, line);
      }
      if (watcher) watcher(e);
    } catch (...) {  // an observer's trouble is not the cluster's
    }
  }

  // --- the budget -------------------------------------------------------------------------------------------------------

  /// With the lock held. True: the pool gets other bounds.
  bool set_bound(std::size_t i, tick now) {
    auto& n = nodes_[i];
    const auto bound = n.budget->cap();
    if (bound == n.bound) return false;
    n.bound = bound;
    core_.set_room(i, std::min(bound, how_.primary.max_size), std::min(bound, how_.replicas.max_size), now);
    return true;
  }
  void bounds_changed(std::size_t i) noexcept {
    const auto db = pool_at(i);
    if (!db) return;
    try {
      adapt(i, *db);
    } catch (const std::exception&) {  // no memory: with the next probe
    }
  }
  void server_full(std::size_t i) noexcept {
    const auto db = pool_at(i);
    if (!db) return;
    const auto stats = db->stats();
    bool changed = false;
    event([&](tick now) {
      nodes_[i].budget->full(stats.total_connections - stats.connecting);
      changed = set_bound(i, now);
    });
    if (changed) bounds_changed(i);
  }
  /// With the lock held, after a probe.
  bool counted(std::size_t i, const budget_view& view, tick now) {
    auto& n = nodes_[i];
    n.budget->seen(view);
    const bool changed = set_bound(i, now);
    n.lacks = n.budget->lack(core_.wanted(i), view.mine);
    n.hungry = n.budget->hungry(core_.wanted(i));
    return changed;
  }

  // --- callers ----------------------------------------------------------------------------------------------------------

  void add(caller& c) {
    const std::lock_guard lock(mutex_);
    callers_.push_back(c);
    ready_.reserve(callers_.size());
  }
  /// Gives back what it has not handed out.
  void remove(caller& c) noexcept {
    event([&](tick now) {
      core_.give_up(c.asked, now);
      callers_.erase(c);
    });
  }
  /// False: too many wait.
  bool enqueue(caller& me) {
    bool room = true;
    event([&](tick now) {
      const auto most = how_.primary.max_waiting;
      room = me.asked.ticket != 0 || most == no_limit || core_.waiting() < most;
      if (!room) return;
      core_.give_up(me.asked, now);  // a place whose pool had no connection
      core_.ask(me.asked, now);
    });
    return room;
  }
  verdict verdict_of(const caller& me) const {
    const std::lock_guard lock(mutex_);
    return me.asked.how;
  }
  std::shared_ptr<pool> pool_of(const caller& me) const {
    const std::lock_guard lock(mutex_);
    return me.asked.host == no_host ? nullptr : nodes_[me.asked.host].db;
  }
  std::shared_ptr<pool> pool_at(std::size_t i) const {
    const std::lock_guard lock(mutex_);
    return nodes_[i].db;
  }
  /// An idle connection that needs no validation.
  static pool::lease take_idle(const pool& db, const source_location& where) {
    const auto front = tidepool::detail::make_lease::maker_of(db);
    return tidepool::detail::make_lease::of<pool::lease>(front->take(where, false));
  }
  static std::shared_ptr<attempt> begin(caller& me, const std::shared_ptr<pool>& db, const asio::any_io_executor& here,
                                        clock::time_point until, const source_location& where) {
    auto out = std::make_shared<attempt>(here);
    if (!db) {
      out->done = true;
      return out;
    }
    const bool bounded = until != clock::time_point::max();
    const duration left = bounded ? std::max<duration>(until - clock::now(), std::chrono::milliseconds(1)) : duration(no_limit);
    auto ended = [out, wakes = me.wakes](std::optional<pool_error> failed, pool::lease got) {
      pool::lease unwanted;
      {
        const std::lock_guard lock(out->mutex);
        out->done = true;
        (out->left ? unwanted : out->lease) = std::move(got);
        if (!out->left) out->failure = std::move(failed);
      }
      wakes->set();
    };
    db->async_acquire(left, asio::bind_cancellation_slot(out->signal.slot(), asio::bind_executor(out->strand, std::move(ended))), where);
    return out;
  }
  static bool done(attempt& a) {
    const std::lock_guard lock(a.mutex);
    return a.done;
  }
  /// Its caller does not want it any more.
  static void leave(const std::shared_ptr<attempt>& a) {
    if (!a) return;
    pool::lease unwanted;
    {
      const std::lock_guard lock(a->mutex);
      a->left = true;
      unwanted = std::move(a->lease);
      if (a->done) return;
    }
    asio::post(a->strand, [a] { a->signal.emit(asio::cancellation_type::terminal); });
  }
  /// Empty where the host lost its place in this moment: then the lease goes back to its pool, and the caller asks again.
  cluster_lease hand_out(caller& me, pool::lease granted) {
    auto p = std::make_unique<place>();
    p->host = me.asked.host;
    p->stop = granted->canceller();
    p->owner = this->shared_from_this();
    bool still = false;
    event([&](tick) {
      still = me.asked.how == verdict::granted && me.asked.counts;
      if (!still) return;
      p->at_primary = me.asked.at_primary;
      p->held = &*granted;
      core_.got(me.asked);
      nodes_[p->host].leases.push_back(*p);
    });
    return still ? cluster_lease(std::move(granted), std::move(p)) : cluster_lease();
  }
  /// What the end of a wait means.
  ending judge(const caller& me, const std::optional<pool_error>& failure) const {
    switch (verdict_of(me)) {
      case verdict::closed: return {ending::failed, make_error_code(tidepool::errc::closed), "the cluster is closed"};
      case verdict::refused: return {ending::failed, make_error_code(tidepool::errc::connect_failed), "no host lets this program in"};
      case verdict::unfit:
        return {ending::failed, make_error_code(generic_errc::resource_unavailable_try_again), "no replica is within the bound"};
      default: break;
    }
    if (!failure) return {};
    if (failure->code() == tidepool::errc::closed)
      return {ending::failed, make_error_code(tidepool::errc::closed), "the cluster is closed"};
    const bool for_good = failure->code() == tidepool::errc::connect_failed && failure->report().connect_failure == failure_kind::permanent;
    if (for_good) return {ending::failed, make_error_code(tidepool::errc::connect_failed), failure->report().text("; ")};
    return {};
  }
  void no_connection(caller& me) noexcept {
    event([&](tick now) {
      if (me.asked.host != no_host) core_.doubt(me.asked.host, now);
    });
  }
  [[noreturn]] void fail(bool writes, const ending& how, duration limit, const source_location& where) const {
    auto seen = topology();
    std::string text =
        "cluster \"" + std::string(how_.primary.name.view()) + "\": no " + (writes ? "writable connection" : "connection to read");
    if (how.why == tidepool::errc::timeout) text += limit <= duration::zero() ? " at once" : " within " + in_words(limit);
    if (const auto at = tidepool::detail::place(where); !at.empty()) text += ", asked for at " + at;
    text += ": ";
    if (!how.text.empty()) text += how.text + "; ";
    text += seen.text();
    throw cluster_error(how.why, text, std::move(seen));
  }
  bool refused_write(std::size_t i) noexcept {
    bool retire = false;
    event([&](tick now) { retire = core_.refused_write(i, now); });
    return retire;
  }
  cluster_topology topology_locked() const {
    const auto now = present();
    cluster_topology out;
    out.state = core_.state();
    out.in_state = now - core_.state_since();
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
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

  // --- probes -----------------------------------------------------------------------------------------------------------

  void start() {
    {
      const std::lock_guard lock(mutex_);
      if (started_ || stopped_) return;
      started_ = true;
    }
    const auto self = this->shared_from_this();
    asio::co_spawn(executor_, keep_time(self), asio::detached);
    for (std::size_t i = 0; i < nodes_.size(); ++i) asio::co_spawn(executor_, keep_asking(self, i), asio::detached);
  }
  /// From the first read on, pools of standbys keep their floor.
  void begin_to_read() {
    std::vector<std::size_t> all;
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(reads_, true)) return;
    }
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (const auto db = pool_at(i)) adapt(i, *db);
    }
  }
  /// No more probes; those who wait are told.
  void stop() noexcept {
    event([&](tick) {
      stopped_ = true;
      core_.close();
    });
    for (auto& n : nodes_) n.wakes->set();
    clock_wakes_->set();
  }
  /// Lets the core know when time has passed.
  static asio::awaitable<void> keep_time(shell_ptr self) {
    real_timer timer(co_await asio::this_coro::executor);
    for (;;) {
      tick at{};
      {
        const std::lock_guard lock(self->mutex_);
        if (self->stopped_) co_return;
        at = self->armed_ = self->core_.next();
      }
      const auto wakes = self->clock_wakes_;
      if (at != never) {
        timer.expires_at(time_of(at));
        timer.async_wait([weak = std::weak_ptr<wake_event>(wakes)](error_code failed) {
          const auto alive = weak.lock();
          if (!failed && alive) alive->set();
        });
      }
      const auto opens = wakes->next();
      co_await wake_event::gate::wait(opens);
      wakes->reset();
      timer.cancel();
      self->event([](tick) {});
    }
  }
  /// Asks one host, whenever the core wants to know.
  static asio::awaitable<void> keep_asking(shell_ptr self, std::size_t i) {
    // In this frame alone: it ends with the context, and its socket has to.
    const auto line = std::make_shared<probe_line>();
    line->settings = self->nodes_[i].asked_by;
    line->timeout = self->how_.probe_timeout;
    if (self->how_.share_connections) {
      line->shared = self->shared_name();
      line->number = self->number_;
    }
    for (;;) {
      bool ordered = false;
      {
        const std::lock_guard lock(self->mutex_);
        if (self->stopped_) break;
        ordered = std::exchange(self->nodes_[i].ordered, false);
        line->lacks = self->nodes_[i].lacks;
        line->hungry = self->nodes_[i].hungry;
      }
      if (!ordered) {
        const auto opens = self->nodes_[i].wakes->next();
        co_await wake_event::gate::wait(opens);
        self->nodes_[i].wakes->reset();
        continue;
      }
      probe_result told;
      try {
        auto work = probe(line);
        told = co_await std::move(work);
      } catch (const std::exception& failure) {  // no memory
        told.error = failure.what();
      }
      bool bounds = false;
      self->event([&](tick now) {
        if (told.view) bounds = self->counted(i, *told.view, now);
        self->nodes_[i].error = std::move(told.error);
        if (told.good) {
          self->core_.answered(i, told.said, now);
        } else {
          if (told.why == probe_failure::full && self->nodes_[i].budget) self->nodes_[i].budget->full(self->core_.at(i).in_use);
          self->core_.failed(i, told.why, now);
        }
      });
      if (bounds) self->bounds_changed(i);
    }
  }

  asio::any_io_executor executor_;
  const cluster_options how_;
  const std::string number_ = new_number();  ///< of this instance
  tidepool::detail::context_watch* watch_ = nullptr;

  mutable std::mutex mutex_;
  cluster::observer observer_;
  std::shared_ptr<const log_sink> log_;
  log_level log_least_ = log_level::info;
  std::vector<node> nodes_;
  cluster_core core_;
  cluster_state told_ = cluster_state::no_primary;
  tidepool::detail::intrusive_list<caller> callers_;
  std::vector<std::shared_ptr<wake_event>> ready_;  ///< of callers that were told something within this event
  bool started_ = false;
  bool stopped_ = false;
  bool reads_ = false;
  tick armed_ = never;  ///< when `keep_time()` looks next
  std::shared_ptr<wake_event> clock_wakes_ = std::make_shared<wake_event>();
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
