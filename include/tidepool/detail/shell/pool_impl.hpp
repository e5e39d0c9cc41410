// SPDX-License-Identifier: BSL-1.0
// tidepool - the shell around the core: the lock, the timer, and carrying out what the core decides.
//
// Every event follows one pattern: lock, tell the core, unlock, `perform()`. Nothing foreign runs under the lock.
#ifndef TIDEPOOL_DETAIL_SHELL_POOL_IMPL_HPP
#define TIDEPOOL_DETAIL_SHELL_POOL_IMPL_HPP

#include <functional>
#include <new>
#include <string>

#include "../../connect_context.hpp"
#include "../../pool_error.hpp"
#include "../../version.hpp"
#include "../core/pool_core.hpp"
#include "context_watch.hpp"
#include "failure.hpp"
#include "pool_entry.hpp"
#include "silence.hpp"
#include "stash.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

template <class Connection, class Traits>
class pool_impl final : public std::enable_shared_from_this<pool_impl<Connection, Traits>>, public context_watch::client {
 public:
  using entry = pool_entry<Connection, Traits>;
  using can = abilities<Connection, Traits>;
  using target_type = reached_t<Connection>;
  using core_type = pool_core<Traits, can::validate, can::check, can::validate && can::custom_validation>;
  using executor_type = typename Traits::executor_type;
  using op_executor = typename Traits::operation_executor;
  using clock = typename Traits::clock_type;
  using observer = typename Traits::observer;
  using connect_context = connect_context_of<Traits>;
  using connector = std::function<connect_result<Connection, Traits>(connect_context)>;
  using lock_type = std::unique_lock<typename Traits::mutex_type>;

  pool_impl(executor_type executor, connector connect, const pool_config& config, observer watcher)
      : config_(config),
        executor_(std::move(executor)),
        poster_(asio::require(executor_, asio::execution::blocking.never)),
        connect_(std::move(connect)),
        observer_(std::move(watcher)),
        health_(config_),
        core_(config_, Traits::random_seed()),
        no_answer_("no answer within the connect timeout of " +
                   std::to_string(std::chrono::duration<double>(config_.connect_timeout).count()) + " s"),
        timer_(std::in_place, executor_) {
    if constexpr (can::tells_waiting) silence_.server.reserve(silence_report::most_text);  // nothing is allocated under the lock
  }
  ~pool_impl() {
    if (watch_) watch_->remove(*this);
  }

  /// Second half of construction: needs the shared pointer.
  void attach() {
    // Services are shut down newest first. The strands' is made before the watch, so that the pool hears of the end before its operations
    // do.
    (void)asio::make_strand(executor_);
    auto& watch = asio::use_service<context_watch>(asio::query(executor_, asio::execution::context));
    watch.add(*this, this->weak_from_this());
    watch_ = &watch;
  }

  const pool_config& config() const noexcept { return config_; }
  const executor_type& executor() const noexcept { return executor_; }
  /// The executor that never runs anything inside the call.
  const auto& poster() const noexcept { return poster_; }

  // --- leases -----------------------------------------------------------------------------------------------------

  // The way past the lock is to be inlined; what follows where it ends is kept out of its way.

  /// An idle connection if there is one and nobody waits; null otherwise.
  entry* take(const source_location& where, bool stale_ok, std::unique_ptr<stack_trace>& trace) {
    if (entry* e = take_stashed(where)) return e;
    return take_idle(where, stale_ok, trace);
  }
  void release(entry& e) noexcept {
    // Of before the look at the connection, so that it is not stashed when the pool has looked at the idle ones meanwhile.
    const auto seen = stash_.now();
    // A timed lease comes back by the book.
    if (e.sampled_at == tick{} && stash_.was_open(seen) && unless_hung_up(e, after_lease(*e.connection)) == lease_end::clean &&
        stash_lease(e, seen))
      return;
    release_locked(e);
  }
  void discard(entry& e) noexcept {
    duration held(-1);
    if (e.sampled_at != tick{}) held = end_sample(e);
    const lease_end found = after_lease(*e.connection);
    const bool by_holder = found != lease_end::outdated && found != lease_end::broken;
    const bool as_found = found == lease_end::outdated || found == lease_end::unfinished;
    release_slowly(e, as_found ? found : lease_end::broken, held, by_holder);
  }
  /// Ends the lease in any case. Throws when the pool has taken the connection back already.
  Connection detach(entry& e);
  void label(entry& e, std::string_view text) noexcept {
    const lock_type lock(mutex_);
    e.label.assign(text);
  }

  // --- callers ----------------------------------------------------------------------------------------------------

  // Once a waiter is done, on whatever thread, the last reference to this object may go: whoever has more to do than to let go of the lock
  // holds one.

  /// Counts from now; a timeout of zero or less does not wait at all.
  void enqueue(core_waiter& w, duration timeout) noexcept {
    std::shared_ptr<pool_impl> self;
    tick arm_at = never;
    {
      const lock_type lock(mutex_);
      close_stash();
      if (!core_.has_pending_actions()) {
        bool timed = true;
        tick now{};
        tick deadline{};
        if (samples_waits && timeout > duration::zero() && core_.queue_is_long()) {
          timed = core_.samples_next_wait();
          now = coarse_now<Traits>();
          deadline = later(now + tick(Traits::coarse_lag), timeout);  // it is behind, and nobody's time is to be up early
          if (timed) now = precise_now<Traits>();
        } else {
          now = precise_now<Traits>();
          deadline = later(now, timeout);
        }
        if (core_.try_queue(w, now, deadline, timed, arm_at) && arm_at == never) return;
      }
      self = this->shared_from_this();
    }
    if (arm_at != never) return arm(arm_at);
    pool_actions a;
    event(a, [&](tick now) { core_.enqueue(w, now, later(now, timeout), a); });
  }
  void cancel(core_waiter& w) noexcept {
    const auto self = this->shared_from_this();
    pool_actions a;
    event(a, [&](tick now) { core_.cancel(w, now, a); });
  }
  void open(core_waiter& w, duration patience) noexcept {
    const auto self = this->shared_from_this();
    pool_actions a;
    event(a, [&](tick now) { core_.open(w, now, later(now, patience), a); });
  }
  void close(core_waiter* w, duration grace) noexcept {
    const auto self = this->shared_from_this();
    pool_actions a;
    event(a, [&](tick now) { core_.close(w, now, grace, a); });
  }
  /// What happens to a connection between the grant and its holder.
  void checked_out(entry& e, duration waited) noexcept {
    e.sampled_at = tick{};
    if (times_every_lease || e.uses >= e.next_sample) begin_sample(e);
    tell([&] { return checkout_event{e.id, waited}; });
  }
  /// Where that is wanted. To be called by what the user calls: inside a coroutine of ours the stack shows the event loop alone.
  std::unique_ptr<stack_trace> capture() const noexcept {
    if (!config_.track_stack_trace) return nullptr;
    std::unique_ptr<stack_trace> out(new (std::nothrow) stack_trace);
    if (out) out->capture();
    return out;
  }
  void keep_trace(entry& e, std::unique_ptr<stack_trace> trace) noexcept {
    const lock_type lock(mutex_);
    e.trace.swap(trace);
  }

  // --- the pool ---------------------------------------------------------------------------------------------------

  void suspend() noexcept {
    pool_actions a;
    event(a, [&](tick now) { core_.suspend(now, a); });
  }
  void resume() noexcept {
    pool_actions a;
    event(a, [&](tick now) { core_.resume(now, a); });
  }
  void resize(std::size_t min, std::size_t max) {
    pool_actions a;
    event(a, [&](tick now) { core_.resize(min, max, now, a); });
  }
  void recycle() noexcept {
    pool_actions a;
    event(a, [&](tick now) { core_.recycle(now, a); });
  }
  pool_stats stats() {
    pool_stats out;
    bool owed = false;
    {
      const lock_type lock(mutex_);
      collect();
      core_.snapshot(out);
      owed = core_.has_pending_actions();
      if constexpr (can::tells_waiting) {
        const silence_report& found = silence();
        out.silent = found.leases;
        out.longest_silence = found.longest;
        out.state = seen(out.state);
      }
    }
    if (owed) reconcile();
    return out;
  }
  pool_state state() const noexcept {
    const lock_type lock(mutex_);
    if constexpr (can::tells_waiting) silence();
    return seen(core_.state());
  }
  /// The pool object goes away. Leases keep this alive until the last one is back.
  void shut_down() noexcept {
    pool_actions a;
    event(a, [&](tick now) {
      core_.shut_down(now, a);
      if (!core_.finished()) self_ = this->shared_from_this();
    });
    disarm();  // nothing has a deadline any more
  }
  void context_shutdown() noexcept override;

 private:
  static constexpr bool times_every_lease = observes<observer, checkin_event>;
  static constexpr bool names_servers =
      observes<observer, created_event> || observes<observer, destroyed_event> || observes<observer, health_failed_event>;
  static constexpr bool samples_waits = has_coarse_clock<Traits>;
  using timer_type = typename timer_of<Traits>::type;
  class running_op;

  /// The pattern of every event. The caller keeps this object alive.
  template <class Event>
  void event(pool_actions& a, Event what) noexcept {
    {
      const lock_type lock(mutex_);
      close_stash();
      what(precise_now<Traits>());
      a.pending_actions |= core_.has_pending_actions();  // of what `close_stash()` found, where the event itself settled nothing
      if (a.explain) look(a);
      open_stash();
    }
    perform(a);
  }

  void outdate(std::uint64_t generation) noexcept {
    pool_actions a;
    event(a, [&](tick now) { core_.outdated(generation, now, a); });
  }

  // --- peers that hang up (pool_ops.hpp) ----------------------------------------------------------------------------

  void watch(entry& e) noexcept;
  void peer_hung_up() noexcept;
  void look_at_hung_up() noexcept;
  static bool hung_up(const entry& e) noexcept {
    if constexpr (can::watch) return e.bell && e.bell->load(std::memory_order_acquire);
    return false;
  }
  static lease_end unless_hung_up(const entry& e, lease_end end) noexcept {
    return end != lease_end::outdated && hung_up(e) ? lease_end::broken : end;
  }

  // --- servers that do not answer -----------------------------------------------------------------------------------

  /// Under the lock. Only for a connection that tells when it waits.
  const silence_report& silence() const noexcept {
    const tick now = precise_now<Traits>();
    if (now - silence_.at < silence_report::fresh) return silence_;
    silence_.at = now;
    silence_.leases = silence_.out = 0;
    silence_.longest = duration::zero();
    const duration threshold = silence_threshold(config_);
    const entry* worst = nullptr;
    (void)core_.find_lease([&](core_slot& slot) {
      if (slot.state != slot_state::leased) return false;
      const entry& e = static_cast<entry&>(slot);
      const duration waits = waiting_for<clock>(e.target(), now);
      ++silence_.out;
      if (waits >= threshold) ++silence_.leases;
      if (waits >= threshold && waits > silence_.longest) {
        silence_.longest = waits;
        worst = &e;
      }
      return false;
    });
    if constexpr (requires(const target_type& c) { std::string_view(c.peer()); }) {
      if (worst) silence_.server.assign(std::string_view(worst->target()->peer()).substr(0, silence_report::most_text));
    }
    return silence_;
  }
  /// A pool whose leases wait for a silent server serves nobody, whatever the core knows.
  pool_state seen(pool_state known) const noexcept {
    if constexpr (can::tells_waiting) {
      const bool silent = silence_.leases > 0 && silence_.leases * 2 >= silence_.out;
      if (silent && known == pool_state::healthy) return pool_state::degraded;
    }
    return known;
  }
  void add_waiting(const core_slot& slot, lease_report& to, tick now) const noexcept {
    if constexpr (can::tells_waiting) {
      const entry& e = static_cast<const entry&>(slot);
      if (slot.state == slot_state::leased) to.waiting = waiting_for<clock>(e.target(), now);
    }
  }

  // --- the stash ----------------------------------------------------------------------------------------------

  using stash_type = std::conditional_t<std::is_same_v<typename Traits::mutex_type, null_mutex>, single_stash<core_slot>, stash<core_slot>>;

  entry* take_stashed(const source_location& where) noexcept {
    if (!stash_.is_open()) return nullptr;
    entry* e = static_cast<entry*>(stash_.take());
    if (!e) return nullptr;
    if (usable(*e->connection) && core_.take_stashed(*e, coarse_now<Traits>(), where)) {
      checked_out(*e, duration::zero());
      return e;
    }
    take_back(*e);
    return nullptr;
  }
  bool stash_lease(entry& e, stash_epoch::epoch seen) noexcept {
    auto* const place = stash_.place();
    if (!place || !core_.stash(e, coarse_now<Traits>(), last_round_trip(*e.connection))) return false;
    if (!stash_.put(*place, e, seen)) take_back(e);
    return true;
  }
  void take_back(entry& e) noexcept;
  entry* take_idle(const source_location& where, bool stale_ok, std::unique_ptr<stack_trace>& trace);
  void release_locked(entry& e) noexcept;
  /// All under the lock. `collect()` shows the core what is stashed; `close_stash()` also keeps it so until `open_stash()`. A stash that is
  /// closed has nothing to collect: who is about to stash there takes it back, and tells the core, which then looks for somebody who waits.
  void collect() noexcept {
    if (stash_.is_open()) collect_all();
  }
  void collect_all() noexcept {
    // Its bell may have rung when it was neither idle nor in the stash, unseen by `look_at_hung_up()`.
    stash_.collect([this](core_slot& slot) { core_.collect(slot, precise_now<Traits>(), hung_up(static_cast<entry&>(slot))); });
  }
  /// Collecting may have left something to do.
  void reconcile() noexcept {
    const auto self = this->shared_from_this();
    pool_actions a;
    event(a, [&](tick now) { core_.reconcile(now, a); });
  }
  /// At the end of each step, under the lock and with the stash closed: how the pool is when somebody fails.
  void look(pool_actions& a) noexcept;
  /// The first caller starts the pool, also one that does not wait.
  void begin() noexcept {
    const auto self = this->shared_from_this();
    pool_actions a;
    event(a, [&](tick now) { core_.begin(now, a); });
  }
  void close_stash() noexcept {
    if (!stash_.is_open()) return;
    stash_.close();
    collect_all();
  }
  void open_stash() noexcept {
    if (may_stash_ && !stash_.is_open() && core_.stashing()) stash_.open();
  }
  template <class Make>
  void tell(Make make) noexcept {
    using event_type = decltype(make());
    if constexpr (observes<observer, event_type>) {
      try {
        observer_.on_event(config_.name.view(), make());
      } catch (...) {  // an observer's trouble is not the pool's
      }
    }
  }
  static tick last_round_trip(const Connection& c) noexcept {
    if constexpr (has_last_round_trip<target_type, typename clock::time_point>) {
      const target_type* peer = reach(c);
      if (!peer) return tick{};
      return std::chrono::duration_cast<tick>(typename clock::time_point(peer->last_round_trip()).time_since_epoch());
    }
    return tick{};
  }
  /// One lease stands for those between it and the one timed before: each of the first, then ever fewer.
  [[gnu::noinline]] static void begin_sample(entry& e) noexcept {
    std::uint64_t gap = Traits::hold_sampling;
    if constexpr (Traits::hold_sampling_ramp > 0) gap = std::clamp<std::uint64_t>(e.uses / Traits::hold_sampling_ramp, 1, gap);
    e.sample_weight = times_every_lease ? 1 : e.uses - std::exchange(e.last_sample, e.uses);
    e.next_sample = e.uses + gap;
    e.sampled_at = precise_now<Traits>();
  }
  duration end_sample(entry& e) noexcept {
    const duration held = precise_now<Traits>() - e.sampled_at;
    tell([&] { return checkin_event{e.id, held}; });
    return held;
  }
  void release_slowly(entry& e, lease_end end, duration held, bool discarded = false) noexcept;

  // pool_perform.hpp: what the core asked for
  void perform(pool_actions& a) noexcept;
  void complete(core_waiter& w, pool_actions& a) noexcept;
  void deliver(core_waiter& w) noexcept;
  void tell_changes(pool_actions& a) noexcept;
  void carry_out(typename core_type::pending_action todo, std::shared_ptr<op_state<Traits>> op, pool_actions& a) noexcept;
  void overran(entry& e) noexcept;
  void note_unserved(entry& e, std::string_view server, std::string_view cause) noexcept;
  static std::string_view cause_of(const entry& e) noexcept;
  void destroy(entry& e, pool_actions& a) noexcept;
  void delete_entry(entry* e) noexcept;
  void abort(entry& e, const std::shared_ptr<op_state<Traits>>& op) noexcept;
  void arm(tick at) noexcept;
  void disarm() noexcept;
  void on_timer() noexcept;

  // pool_ops.hpp: coroutines on connections
  void start_connect(pool_actions& a) noexcept;
  void start_op(entry& e, slot_action what) noexcept;
  void spawn(entry& e, slot_action what) noexcept;
  auto validate_by_policy(entry& e) {
    if constexpr (validates<typename Traits::health_policy, Connection>) {
      return health_.validate(*e.connection);
    } else {
      return health_.validate(*e.target());
    }
  }
  template <class Event, class Report>
  void end_op(entry& e, Event what, Report report) noexcept;
  void op_failed(entry& e, slot_action what, failure_kind kind, std::string error) noexcept;
  void connect_succeeded(entry& e) noexcept;
  class loss;
  static asio::awaitable<void, op_executor> run_connect(running_op op);
  static asio::awaitable<void, op_executor> run_validate(running_op op);
  static asio::awaitable<void, op_executor> run_reset(running_op op);
  static asio::awaitable<void, op_executor> run_close(running_op op);

  const pool_config config_;
  executor_type executor_;
  std::decay_t<decltype(asio::require(std::declval<const executor_type&>(), asio::execution::blocking.never))> poster_;
  connector connect_;
  [[no_unique_address]] observer observer_;
  [[no_unique_address]] typename Traits::health_policy health_;  ///< a second one, for `validate()` outside the lock

  mutable typename Traits::mutex_type mutex_;
  core_type core_;
  stash_type stash_;
  const bool may_stash_ = core_.may_stash();
  mutable silence_report silence_;
  std::string last_error_;  ///< of the latest connect, empty after a success
  tick last_error_at_{};
  const std::string no_answer_;  ///< `last_error_` of a connect that ran out of time
  bool context_gone_ = false;
  std::atomic<bool> look_posted_{false};
  context_watch* watch_ = nullptr;
  std::shared_ptr<pool_impl> self_;

  typename Traits::mutex_type timer_mutex_;  ///< I/O objects are not thread-safe; taken after nothing, held over nothing
  std::optional<timer_type> timer_;
  tick timer_at_ = never;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#include "pool_leases.hpp"
#include "pool_ops.hpp"
#include "pool_perform.hpp"

#endif
