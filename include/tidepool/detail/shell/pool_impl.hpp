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
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "../../advice.hpp"
#include "../../config.hpp"
#include "../../lease.hpp"
#include "../../pool_error.hpp"
#include "../../stats.hpp"
#include "../../traits.hpp"
#include "../../version.hpp"
#include "../core/pool_core.hpp"
#include "../util/attributes.hpp"
#include "../util/owning_ptr.hpp"
#include "../util/stack_trace.hpp"
#include "../util/words.hpp"
#include "connection_calls.hpp"
#include "context_watch.hpp"
#include "event_guard.hpp"
#include "failure_snapshot.hpp"
#include "pool_entry.hpp"
#include "pool_front.hpp"
#include "pool_log.hpp"
#include "pool_timer.hpp"
#include "silence.hpp"
#include "stall_watch.hpp"
#include "stash.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Of the latest advice, for `stats()`.
struct advised_figures {
  std::size_t min_size = 0;
  std::size_t max_size = 0;
  duration expected_p99{};
};

template <class Connection, class Traits>
class pool_impl final : public pool_front<Connection, Traits>, public std::enable_shared_from_this<pool_impl<Connection, Traits>> {
  using front = pool_front<Connection, Traits>;

 public:
  using typename front::can;
  using typename front::clock;
  using typename front::connect_context;
  using typename front::connector;
  using typename front::entry;
  using typename front::executor_type;
  using typename front::lease;
  using typename front::mutex_type;
  using typename front::observer;
  using typename front::span_type;
  using typename front::target_type;
  using typename front::tracer;
  template <class T>
  using awaitable = asio::awaitable<T, executor_type>;
  using core_type = pool_core<Traits, can::validate, can::check, can::validate && can::custom_validation>;
  using op_executor = typename Traits::operation_executor;

  pool_impl(executor_type executor, connector connect, const pool_config& config, observer watcher, tracer to)
      : front(std::move(executor), config, std::move(watcher), std::move(to)),
        connect_(std::move(connect)),
        core_(front::config(), recorded_seed()),
        silence_(front::config()),
        timer_(executor_) {}
  ~pool_impl() {
    if (watch_) watch_->remove(*this);
  }
  /// Second half of construction: needs the shared pointer.
  void attach();

  // --- acquire and release (checkout.hpp) -----------------------------------------------------------------------------

  awaitable<lease> acquire(duration timeout, source_location where) override;
  awaitable<lease> acquire_traced(duration timeout, source_location where) override {
    return acquire_and_keep(timeout, where, captured_stack());  // not in the coroutine: see capture()
  }
  void enqueue(core_waiter& w, duration timeout) noexcept override;
  void discard(entry& e) noexcept override;
  Connection detach(entry& e) override;

  // --- other events of callers ----------------------------------------------------------------------------------------

  void cancel(core_waiter& w) noexcept override {
    event([&](tick now, pool_actions& a) { core_.cancel(w, now, a); });
  }
  awaitable<void> open(duration patience, source_location where) override {
    return wait(this->shared_from_this(), core_waiter::queue::open, patience, where);
  }
  awaitable<void> close(duration grace, source_location where) override {
    return wait(this->shared_from_this(), core_waiter::queue::close, grace, where);
  }
  void suspend() noexcept override {
    record_verb(recorded_verb::suspend);
    event([&](tick now, pool_actions& a) { core_.suspend(now, a); });
  }
  void resume() noexcept override {
    record_verb(recorded_verb::resume);
    event([&](tick now, pool_actions& a) { core_.resume(now, a); });
  }
  void resize(std::size_t min, std::size_t max) noexcept override {
    record_verb(recorded_verb::resize, min, max);
    event([&](tick now, pool_actions& a) { core_.resize(min, max, now, a); });
  }
  void recycle() noexcept override {
    record_verb(recorded_verb::recycle);
    event([&](tick now, pool_actions& a) { core_.recycle(now, a); });
  }
  void start_over(std::size_t min, std::size_t max, bool retire) noexcept override {
    record_verb(recorded_verb::resize, min, max);
    if (retire) record_verb(recorded_verb::recycle);
    event([&](tick now, pool_actions& a) { core_.start_over(min, max, retire, now, a); });
  }
  bool reclaim(connection_id id) noexcept override {
    bool found = false;
    event([&](tick now, pool_actions& a) { found = core_.reclaim(id, now, a); });
    return found;
  }
  void reconfigure(const pool_config& next) override;
  void shut_down() noexcept override {
    event([&](tick now, pool_actions& a) {
      core_.shut_down(now, a);
      if (!core_.finished()) self_ = this->shared_from_this();
    });
    timer_.stop();  // nothing has a deadline any more
  }

  // --- what looks or writes a word ------------------------------------------------------------------------------------

  lease_recall recall(const entry& e) const noexcept override {
    const lock_type lock(mutex_);
    return core_.recall(e, precise_now<Traits>());
  }
  void log_to(std::shared_ptr<event_log> log) noexcept override { log_.set(std::move(log)); }
  void set_log_level(log_level least) noexcept override { log_.set_level(least); }
  pool_stats stats() override;
  pool_inspection inspect(std::size_t most_leases, std::size_t most_callers) override;
  pool_advice advice() override;
  pool_state state() const noexcept override;
  void label(entry& e, std::string_view text) noexcept override {
    const lock_type lock(mutex_);
    e.label.assign(text);
  }
  void keep_trace(entry& e, owning_ptr<stack_trace> trace) noexcept override {
    const lock_type lock(mutex_);
    e.trace.swap(trace);
  }
  void keep_stack(entry& e) noexcept override { keep_trace(e, captured_stack()); }

  // --- events from elsewhere (pool_events.hpp) ------------------------------------------------------------------------

  void on_timer() noexcept;
  void on_peer_closed() noexcept;
  void context_shutdown() noexcept override;

 private:
  using front::broken_if_peer_closed;
  using front::checked_out;
  using front::executor_;
  using front::health_;
  using front::observer_;
  using front::peer_closed;
  using front::poster_;
  using front::recorder_;
  using front::records;
  using front::stash_;
  using front::times_every_lease;
  using front::tracer_;
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
  awaitable<lease> acquire_and_keep(duration timeout, source_location where, owning_ptr<stack_trace> trace);
  static awaitable<void> wait(std::shared_ptr<pool_impl> self, core_waiter::queue what, duration span, source_location where);
  entry* take_idle(const source_location& where, bool stale_ok) noexcept override;
  void enqueue_slowly(closed_stash& held, core_waiter& w, duration timeout) noexcept;
  void complete(core_waiter& w, pool_actions& a) noexcept;
  void deliver(core_waiter& w) noexcept;
  void tell_slow_acquire(const core_waiter& w, duration waited) noexcept;
  void take_back(entry& e) noexcept override;
  void release_under_lock(entry& e) noexcept override;
  void release_slowly(entry& e, lease_end end, duration held, bool discarded = false) noexcept;
  void begin_sample(entry& e) noexcept override;
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
  bool asks_for_limits() noexcept;
  asio::awaitable<bool, op_executor> tell_limits(entry& e);
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

  // --- the flight recorder; nothing of this is compiled where there is none ------------------------------------------------

  std::uint64_t recorded_seed() {
    const std::uint64_t seed = Traits::random_seed();
    if constexpr (records) recorder_.seed(seed);
    return seed;
  }
  void record_verb([[maybe_unused]] recorded_verb what, [[maybe_unused]] std::uint64_t subject = 0,
                   [[maybe_unused]] std::uint64_t value = 0) noexcept {
    if constexpr (records) recorder_.verb(what, subject, value, precise_now<Traits>());
  }
  void record_work(const entry& e, slot_action what) noexcept;
  void record_work_end(const entry& e, work_end how) noexcept;
  void record_given_up(const entry& e) noexcept;
  template <class Event>
  void record(const Event& e) noexcept;
  void record_out(recording_reason why) noexcept;

  // pool_events.hpp
  void watch_peer(entry& e) noexcept;
  void look_at_closed_peers() noexcept;
  bool advice_is_due(tick now) noexcept;
  void tell_advice() noexcept;
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
  void add_resources(pool_stats& out) noexcept;

  connector connect_;

  mutable mutex_type mutex_;
  core_type core_;
  bool may_stash_ = core_.may_stash();
  TIDEPOOL_NO_UNIQUE_ADDRESS mutable silence_watch_for<Connection, Traits> silence_;
  std::string last_error_;  ///< of the latest connect, empty after a success
  tick last_error_at_{};
  pool_log<mutex_type> log_;
  failure_counter failures_;
  flood_counter slow_;
  flood_counter unhealthy_;
  std::uint64_t asked_before_ = 0;  ///< acquires by `unused_since_`
  tick unused_since_ = never;
  bool told_unused_ = false;
  tick next_advice_ = never;
  std::uint64_t advised_at_ = 0;  ///< acquires by the latest advice
  advised_figures advised_;
  bool told_limits_ = false;  ///< those of the server, or a connect is about to
  bool context_gone_ = false;
  std::atomic<bool> look_posted_{false};
  context_watch* watch_ = nullptr;
  std::shared_ptr<pool_impl> self_;

  stall_watch<Traits> stalls_;
  pool_timer<Traits, pool_impl> timer_;  ///< has a lock of its own
};

template <class Connection, class Traits>
void check_query(const pool_config& config) {
  using can [[maybe_unused]] = abilities<Connection, Traits>;
  if constexpr (Traits::health_policy::enabled && !can::custom_validation && !can::query) {
    if (!config.validation_query.empty())
      throw std::invalid_argument("pool_config: validation_query is set, but this connection type has no ping(std::string_view) to run it");
  }
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::reconfigure(const pool_config& next) {
  check_query<Connection, Traits>(next);
  record_verb(recorded_verb::reconfigure);
  owning_ptr<config_versions::version> made(new config_versions::version(next));
  const pool_config& after = made->config;
  const pool_config* before = nullptr;
  event([&](tick now, pool_actions& a) {
    before = &this->config();
    this->versions_.publish(std::move(made));
    core_.reconfigure(after, now, a);
    reconfigure_policy(health_, after);
    silence_.reconfigure(after);
    may_stash_ = core_.may_stash();
    told_limits_ = false;
  });
  if (!tells<reconfigured_event>()) return;
  try {
    const std::string changes = config_changes(*before, after);
    if (!changes.empty()) tell([&] { return reconfigured_event{*before, after, changes}; });
  } catch (...) {  // no memory for the text
  }
}

template <class Connection, class Traits>
std::shared_ptr<pool_front<Connection, Traits>> pool_maker<Connection, Traits>::compiled_by_TIDEPOOL_INSTANTIATE_POOL(
    typename front::executor_type executor, typename front::connector connect, const pool_config& config, typename front::observer watcher,
    typename front::tracer to) {
  check_config(config);
  check_query<Connection, Traits>(config);
  auto out =
      std::make_shared<pool_impl<Connection, Traits>>(std::move(executor), std::move(connect), config, std::move(watcher), std::move(to));
  out->attach();
  return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#include "checkout.hpp"
#include "operation_end.hpp"
#include "operations.hpp"
#include "perform.hpp"
#include "pool_events.hpp"
#include "reports.hpp"

#endif
