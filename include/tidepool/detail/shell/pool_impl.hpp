// SPDX-License-Identifier: BSL-1.0
// tidepool - the shell around the core: the lock, the stash, the timer, and carrying out what the core decides.
//
// Every event follows one pattern: with the lock held and the stash closed (`event_guard`) tell the core; then, without the lock, carry out
// what it asks for (`perform()`). Nothing of Asio's runs under the lock,
// no connector, no operation, no observer, no completion. What is asked there of users' types must be quick and is noexcept: the policies'
// figures, the clock, and a connection's `waiting_since()` and `peer()`.
//
// What needs no event takes the lock alone:
//   acquire of an idle connection, a release to the idle ones or to the next caller (checkout.hpp): they decide nothing but their own case
//   `stats()`, `state()`                        look; what `stats()` collects from the stash is told to the core by an event afterwards
//   `label()`, `keep_trace()`, a lost connection's words, the timer that could not be set: write what only reports or the timer read
//   the next action, the beginning and the end of an operation or an abort (perform.hpp, operations.hpp): steps between two events
//
// The class is in one piece, because all of it is about one lock; its functions are in files of their own:
//   checkout.hpp      acquire and release, from top to bottom
//   perform.hpp       actions: what the core asks for
//   operations.hpp    the coroutines on connections: connect, validate, reset, close; operation_end.hpp: how each ends
//   pool_events.hpp   events that no caller causes: the timer, a peer that closed its connection, the end of the context
//   reports.hpp       what observers and errors are told
#ifndef TIDEPOOL_DETAIL_SHELL_POOL_IMPL_HPP
#define TIDEPOOL_DETAIL_SHELL_POOL_IMPL_HPP

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "../../connect_context.hpp"
#include "../../pool_error.hpp"
#include "../../stats.hpp"
#include "../../traits.hpp"
#include "../../version.hpp"
#include "../core/pool_core.hpp"
#include "../util/stack_trace.hpp"
#include "connection_calls.hpp"
#include "context_watch.hpp"
#include "description.hpp"
#include "event_guard.hpp"
#include "failure.hpp"
#include "pool_entry.hpp"
#include "pool_log.hpp"
#include "pool_timer.hpp"
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
  using mutex_type = typename Traits::mutex_type;

  pool_impl(executor_type executor, connector connect, const pool_config& config, observer watcher)
      : config_(config),
        executor_(std::move(executor)),
        poster_(asio::require(executor_, asio::execution::blocking.never)),
        connect_(std::move(connect)),
        observer_(std::move(watcher)),
        health_(config_),
        core_(config_, Traits::random_seed()),
        silence_(config_),
        no_answer_("no answer within the connect timeout of " + in_words(config_.connect_timeout)),
        timer_(executor_) {}
  ~pool_impl() {
    if (watch_) watch_->remove(*this);
  }
  /// Second half of construction: needs the shared pointer.
  void attach();

  const pool_config& config() const noexcept { return config_; }
  const executor_type& executor() const noexcept { return executor_; }
  /// The executor that never runs anything inside the call.
  const auto& poster() const noexcept { return poster_; }

  // --- acquire and release (checkout.hpp) -----------------------------------------------------------------------------

  /// A connection that is there: stashed by this thread, or idle while no caller waits. Null: there is none. `stale_ok`: one that is due
  /// for validation will do, because the caller does not wait.
  entry* take(const source_location& where, bool stale_ok, std::unique_ptr<stack_trace>& trace) noexcept;
  /// The caller is served, queued or refused; counts from now. A timeout of zero or less does not wait at all.
  void enqueue(core_waiter& w, duration timeout) noexcept;
  void release(entry& e) noexcept;
  void discard(entry& e) noexcept;
  /// Ends the lease in any case. Throws when the pool has taken the connection back already.
  Connection detach(entry& e);

  // --- other events of callers ----------------------------------------------------------------------------------------

  void cancel(core_waiter& w) noexcept {
    event([&](tick now, pool_actions& a) { core_.cancel(w, now, a); });
  }
  void open(core_waiter& w, duration patience) noexcept {
    event([&](tick now, pool_actions& a) { core_.open(w, now, later(now, patience), a); });
  }
  void close(core_waiter* w, duration grace) noexcept {
    event([&](tick now, pool_actions& a) { core_.close(w, now, grace, a); });
  }
  void suspend() noexcept {
    event([&](tick now, pool_actions& a) { core_.suspend(now, a); });
  }
  void resume() noexcept {
    event([&](tick now, pool_actions& a) { core_.resume(now, a); });
  }
  void resize(std::size_t min, std::size_t max) noexcept {
    event([&](tick now, pool_actions& a) { core_.resize(min, max, now, a); });
  }
  void recycle() noexcept {
    event([&](tick now, pool_actions& a) { core_.recycle(now, a); });
  }
  /// The pool object goes away. Leases keep this alive until the last one is back.
  void shut_down() noexcept {
    event([&](tick now, pool_actions& a) {
      core_.shut_down(now, a);
      if (!core_.finished()) self_ = this->shared_from_this();
    });
    timer_.stop();  // nothing has a deadline any more
  }

  // --- what looks or writes a word ------------------------------------------------------------------------------------

  /// Null: no log.
  void log_to(std::shared_ptr<event_log> log) noexcept { log_.set(std::move(log)); }
  pool_stats stats();
  std::string describe();
  pool_state state() const noexcept;
  void label(entry& e, std::string_view text) noexcept {
    const lock_type lock(mutex_);
    e.label.assign(text);
  }
  /// The stack of the caller, where that is wanted.
  std::unique_ptr<stack_trace> capture() const noexcept;
  void keep_trace(entry& e, std::unique_ptr<stack_trace> trace) noexcept {
    const lock_type lock(mutex_);
    e.trace.swap(trace);
  }

  // --- events from elsewhere (pool_events.hpp) ------------------------------------------------------------------------

  void on_timer() noexcept;
  void on_peer_closed() noexcept;
  void context_shutdown() noexcept override;

 private:
  static constexpr bool times_every_lease = observes<observer, checkin_event>;
  static constexpr bool names_servers =
      observes<observer, created_event> || observes<observer, destroyed_event> || observes<observer, health_failed_event>;
  /// Whether anybody wants to hear of it now.
  template <class Event>
  bool tells() const noexcept {
    return observes<observer, Event> || (is_logged<Event> && log_.is_on());
  }
  static constexpr bool samples_waits = has_coarse_clock<Traits>;
  static constexpr std::size_t most_error_text = 512;  ///< that is kept of a connect error
  using lock_type = std::unique_lock<mutex_type>;
  using stash_type = std::conditional_t<std::is_same_v<mutex_type, null_mutex>, single_stash<core_slot>, stash<core_slot>>;
  using closed_stash = stash_guard<pool_impl>;
  using guard = event_guard<pool_impl>;
  friend closed_stash;
  friend guard;
  class running_op;
  class lost_connection;

  /// The pattern of every event. Carrying out what it asks for may be the last use of this object, so it is held meanwhile.
  template <class What>
  void event(What what) noexcept {
    const auto self = this->shared_from_this();
    pool_actions a;
    {
      const guard held(*this, a);
      what(precise_now<Traits>(), a);
    }
    perform(a);
  }
  /// Nothing happened but what collecting from the stash has left to do.
  void reconcile() noexcept {
    event([&](tick now, pool_actions& a) { core_.reconcile(now, a); });
  }

  // --- the stash under the lock ---------------------------------------------------------------------------------------

  /// Empties it and keeps it empty. From here on a release that was about to stash takes its lease back, and tells the core.
  void close_stash() noexcept {
    if (!stash_.is_open()) return;
    stash_.close();
    collect_stash();
  }
  void open_stash() noexcept {
    if (may_stash_ && !stash_.is_open() && core_.stashing()) stash_.open();
  }
  /// Tells the core of what is in it. That may queue actions: for a connection that is too old, say.
  void collect_stash() noexcept {
    // A connection is neither idle nor in the stash for a moment on its way there: `look_at_closed_peers()` may have missed it then.
    stash_.collect([this](core_slot& slot) { core_.collect(slot, precise_now<Traits>(), peer_closed(static_cast<entry&>(slot))); });
  }
  /// The end of each event, with the lock held and the stash closed.
  void note_event(pool_actions& a) noexcept {
    a.pending_actions |= core_.has_pending_actions();  // of what `close_stash()` found, where the event itself did not look at that
    if (a.explain || (a.failed && tells<acquire_failed_event>())) explain_failures(a);
  }

  // checkout.hpp
  entry* take_stashed(const source_location& where) noexcept;
  entry* take_idle(const source_location& where, bool stale_ok, std::unique_ptr<stack_trace>& trace) noexcept;
  void enqueue_slowly(closed_stash& held, core_waiter& w, duration timeout) noexcept;
  void complete(core_waiter& w, pool_actions& a) noexcept;
  void deliver(core_waiter& w) noexcept;
  void tell_slow_acquire(const core_waiter& w, duration waited) noexcept;
  void checked_out(entry& e, duration waited) noexcept;
  bool stash_lease(entry& e, stash_epoch::epoch seen) noexcept;
  void take_back(entry& e) noexcept;
  void release_under_lock(entry& e) noexcept;
  void release_slowly(entry& e, lease_end end, duration held, bool discarded = false) noexcept;
  static void begin_sample(entry& e) noexcept;
  duration end_sample(entry& e) noexcept;

  // perform.hpp
  void perform(pool_actions& a) noexcept;
  void carry_out(typename core_type::pending_action todo, std::shared_ptr<op_state<Traits>> op, pool_actions& a) noexcept;
  void destroy(entry& e, pool_actions& a) noexcept;
  void take_from_holder(entry& e) noexcept;
  void abort(entry& e, const std::shared_ptr<op_state<Traits>>& op, std::string_view why) noexcept;
  void free_entry(entry* e) noexcept;
  void arm(tick at) noexcept;

  // operations.hpp
  void start_connect(pool_actions& a) noexcept;
  void start_op(entry& e, slot_action what) noexcept;
  void spawn(entry& e, slot_action what) noexcept;
  static asio::awaitable<void, op_executor> run_connect(running_op op);
  static asio::awaitable<void, op_executor> run_validate(running_op op);
  static asio::awaitable<void, op_executor> run_reset(running_op op);
  static asio::awaitable<void, op_executor> run_close(running_op op);
  auto validate_by_policy(entry& e) {
    if constexpr (validates<typename Traits::health_policy, Connection>) {
      return health_.validate(*e.connection);
    } else {
      return health_.validate(*e.target());
    }
  }

  // operation_end.hpp
  template <class Event, class Report>
  void end_op(entry& e, Event what, Report report) noexcept;
  void connect_succeeded(entry& e) noexcept;
  void op_failed(entry& e, slot_action what, failure_kind kind, std::string error) noexcept;
  void connect_failed(entry& e, failure_kind kind, const std::string& error) noexcept;

  // pool_events.hpp
  void watch_peer(entry& e) noexcept;
  void look_at_closed_peers() noexcept;
  static bool peer_closed(const entry& e) noexcept {
    if constexpr (can::watch) return e.peer_closed.is_set();
    return false;
  }
  static lease_end broken_if_peer_closed(const entry& e, lease_end end) noexcept {
    return end != lease_end::outdated && peer_closed(e) ? lease_end::broken : end;
  }
  /// A connection of this generation was found to lead to the wrong server.
  void outdate(std::uint64_t generation) noexcept {
    event([&](tick now, pool_actions& a) { core_.outdated(generation, now, a); });
  }

  // reports.hpp
  template <class Make>
  void tell(Make make) noexcept;
  template <class Make>
  void tell_log(Make& make) noexcept;
  void tell_failure(const core_waiter& w, pool_actions& a) noexcept;
  duration unused_for(tick now) noexcept;
  void tell_changes(pool_actions& a) noexcept;
  void explain_failures(pool_actions& a) noexcept;
  void report_overrun(entry& e) noexcept;
  void report_unserved(entry& e, std::string_view server, std::string_view cause) noexcept;
  static std::string_view cause_of(const entry& e) noexcept;

  const pool_config config_;
  executor_type executor_;
  std::decay_t<decltype(asio::require(std::declval<const executor_type&>(), asio::execution::blocking.never))> poster_;
  connector connect_;
  [[no_unique_address]] observer observer_;
  [[no_unique_address]] typename Traits::health_policy health_;  ///< a second one, for `validate()` outside the lock

  mutable mutex_type mutex_;
  core_type core_;
  stash_type stash_;
  const bool may_stash_ = core_.may_stash();
  [[no_unique_address]] mutable silence_watch_for<Connection, Traits> silence_;
  std::string last_error_;  ///< of the latest connect, empty after a success
  tick last_error_at_{};
  pool_log<mutex_type> log_;
  failure_counter failures_;
  std::uint64_t asked_before_ = 0;  ///< acquires by `unused_since_`
  tick unused_since_ = never;
  bool told_unused_ = false;
  const std::string no_answer_;  ///< `last_error_` of a connect that ran out of time
  bool context_gone_ = false;
  std::atomic<bool> look_posted_{false};
  context_watch* watch_ = nullptr;
  std::shared_ptr<pool_impl> self_;

  pool_timer<Traits, pool_impl> timer_;  ///< has a lock of its own
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#include "checkout.hpp"
#include "operation_end.hpp"
#include "operations.hpp"
#include "perform.hpp"
#include "pool_events.hpp"
#include "reports.hpp"

#endif
