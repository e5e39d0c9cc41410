// SPDX-License-Identifier: BSL-1.0
// tidepool - the pool as its callers see it: what is done without the lock, and the way in to the rest.
//
// A file that uses a pool compiles this alone. What needs the lock is virtual: `pool_impl` (pool_impl.hpp) is the one class that derives
// from it, and is compiled only where a pool is made, or where TIDEPOOL_INSTANTIATE_POOL says so.
//
//   take()       the end of the way without the lock is take_idle()
//   release()    and release_under_lock(); checkout.hpp tells both from top to bottom
#ifndef TIDEPOOL_DETAIL_SHELL_POOL_FRONT_HPP
#define TIDEPOOL_DETAIL_SHELL_POOL_FRONT_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "../../config.hpp"
#include "../../connect_context.hpp"
#include "../../fwd.hpp"
#include "../../inspection.hpp"
#include "../../stats.hpp"
#include "../../traits.hpp"
#include "../../version.hpp"
#include "../core/decisions.hpp"
#include "../core/reuse.hpp"
#include "../core/wait_queue.hpp"
#include "../util/attributes.hpp"
#include "../util/owning_ptr.hpp"
#include "../util/stack_trace.hpp"
#include "config_versions.hpp"
#include "connection_calls.hpp"
#include "context_client.hpp"
#include "pool_entry.hpp"
#include "span.hpp"
#include "stash.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

namespace detail {

class event_log;

template <class Connection, class Traits>
class pool_front : public context_client {
 public:
  using entry = pool_entry<Connection, Traits>;
  using can = abilities<Connection, Traits>;
  using target_type = reached_t<Connection>;
  using rules = core_rules<Traits, can::validate, can::check, can::validate && can::custom_validation>;
  using executor_type = typename Traits::executor_type;
  using clock = typename Traits::clock_type;
  using observer = typename Traits::observer;
  using tracer = tracer_of<Traits>;
  using span_type = span<Traits>;
  static constexpr bool has_tracer = is_traced<Traits>;
  using connect_context = connect_context_of<Traits>;
  using connector = std::function<connect_result<Connection, Traits>(connect_context)>;
  using mutex_type = typename Traits::mutex_type;
  using lease = basic_lease<Connection, Traits>;
  using recorder_type = typename recorder_of<Traits>::type;
  static constexpr bool records = recorder_type::enabled;
  template <class T>
  using awaitable = asio::awaitable<T, executor_type>;

  pool_front(const pool_front&) = delete;
  pool_front& operator=(const pool_front&) = delete;

  const pool_config& config() const noexcept { return versions_.latest().config; }
  const executor_type& executor() const noexcept { return executor_; }
  /// The executor that never runs anything inside the call.
  const auto& poster() const noexcept { return poster_; }

  // --- acquire and release --------------------------------------------------------------------------------------------

  /// The coroutine behind `pool.acquire()`, and the same where the caller's stack is kept.
  virtual awaitable<lease> acquire(duration timeout, source_location where) = 0;
  virtual awaitable<lease> acquire_traced(duration timeout, source_location where) = 0;
  /// A connection that is there: stashed by this thread, or idle while no caller waits. Null: there is none. `stale_ok`: one that is due
  /// for validation will do, because the caller does not wait.
  entry* take(const source_location& where, bool stale_ok) noexcept;
  /// The caller is served, queued or refused; counts from now. A timeout of zero or less does not wait at all.
  virtual void enqueue(core_waiter& w, duration timeout) noexcept = 0;
  virtual void cancel(core_waiter& w) noexcept = 0;
  void release(entry& e) noexcept;
  virtual void discard(entry& e) noexcept = 0;
  /// Ends the lease in any case. Throws when the pool has taken the connection back already.
  virtual Connection detach(entry& e) = 0;

  // --- other events of callers ----------------------------------------------------------------------------------------

  virtual awaitable<void> open(duration patience, source_location where) = 0;
  virtual awaitable<void> close(duration grace, source_location where) = 0;
  virtual void suspend() noexcept = 0;
  virtual void resume() noexcept = 0;
  virtual void resize(std::size_t min, std::size_t max) noexcept = 0;
  virtual void recycle() noexcept = 0;
  /// New bounds, and nothing of what scaling has decided; `retire`: with connections made from now on.
  virtual void start_over(std::size_t min, std::size_t max, bool retire) noexcept = 0;
  virtual bool reclaim(connection_id id) noexcept = 0;
  /// Throws where the connections cannot do what it asks for; that it is sound is known.
  virtual void reconfigure(const pool_config& next) = 0;
  /// The pool object goes away. Leases keep this alive until the last one is back.
  virtual void shut_down() noexcept = 0;

  // --- the flight recorder, where the Traits have one -------------------------------------------------------------------

  recorder_type& flight_recorder() noexcept { return recorder_; }
  /// A caller got this one at once.
  void record_taken([[maybe_unused]] const entry& e, [[maybe_unused]] duration timeout, [[maybe_unused]] bool tried,
                    [[maybe_unused]] const source_location& where) noexcept {
    if constexpr (records) recorder_.taken(e.id, timeout, tried, where, e.checked_out);
  }
  void record_missed([[maybe_unused]] const source_location& where) noexcept {
    if constexpr (records) recorder_.missed(where, precise_now<Traits>());
  }
  /// What the recorder holds now.
  auto recorded(recording_reason why) const;
  /// Hands a recording out on the pool's executor; one that nobody asked for only if no other was made for that reason of late.
  static void record_out(const std::shared_ptr<pool_front>& self, recording_reason why) noexcept;

  // --- what looks or writes a word ------------------------------------------------------------------------------------

  /// Null: no log.
  virtual void log_to(std::shared_ptr<event_log> log) noexcept = 0;
  virtual void set_log_level(log_level least) noexcept = 0;
  virtual pool_stats stats() = 0;
  virtual pool_inspection inspect(std::size_t most_leases, std::size_t most_callers) = 0;
  virtual pool_advice advice() = 0;
  virtual pool_state state() const noexcept = 0;
  virtual void label(entry& e, std::string_view text) noexcept = 0;
  /// For holders of the library's own, which keep a lease for long. Takes the lock once.
  virtual lease_recall recall(const entry& e) const noexcept = 0;
  virtual void keep_trace(entry& e, owning_ptr<stack_trace> trace) noexcept = 0;
  /// That of the caller.
  virtual void keep_stack(entry& e) noexcept = 0;
  /// For Traits with a tracer: the coroutine behind `pool.acquire()` in a span.
  static awaitable<lease> acquire_in_span(std::shared_ptr<pool_front> pool, trace_context parent, duration timeout, source_location where,
                                          owning_ptr<stack_trace> trace);
  /// An acquire begins.
  void begin(span_type& of, const trace_context& parent, const source_location& where) noexcept {
    of.begin(tracer_, trace_start{trace_step::acquire, parent, config().name.view(), 0, where, {}, {}, {}});
  }

  /// The stack of the caller, where that is wanted. To be called by what the user calls: inside a coroutine of the pool's the stack shows
  /// the event loop alone.
  owning_ptr<stack_trace> capture() const noexcept { return config().track_stack_trace ? captured_stack() : owning_ptr<stack_trace>(); }

 protected:
  static constexpr bool times_every_lease = observes<observer, checkin_event>;
  using stash_type = std::conditional_t<std::is_same_v<mutex_type, null_mutex>, single_stash<core_slot>, stash<core_slot>>;

  pool_front(executor_type executor, const pool_config& config, observer watcher, tracer to)
      : versions_(config),
        executor_(std::move(executor)),
        poster_(asio::require(executor_, asio::execution::blocking.never)),
        observer_(std::move(watcher)),
        recorder_(config),
        tracer_(std::move(to)),
        health_(config) {}
  ~pool_front() = default;

  virtual entry* take_idle(const source_location& where, bool stale_ok) noexcept = 0;
  virtual void release_under_lock(entry& e) noexcept = 0;
  /// The stash did not keep it, or must not hand it out: it is idle again, and a caller may be waiting for it.
  virtual void take_back(entry& e) noexcept = 0;
  virtual void begin_sample(entry& e) noexcept = 0;

  TIDEPOOL_ALWAYS_INLINE entry* take_stashed(const source_location& where) noexcept;
  void checked_out(entry& e, duration waited) noexcept;
  struct not_recorded {};
  using recorded_at = std::conditional_t<records, tick, not_recorded>;
  /// Returns when; without a recorder it reads no clock.
  recorded_at record_returned([[maybe_unused]] entry& e, [[maybe_unused]] lease_over how) noexcept {
    if constexpr (records) {
      const tick now = precise_now<Traits>();
      recorder_.returned(e.id, how, last_round_trip<clock>(*e.connection), now);
      return now;
    } else {
      return {};
    }
  }
  bool stash_lease(entry& e, stash_epoch::epoch seen, recorded_at recorded) noexcept;
  /// Where time is recorded, it is by the precise clock.
  TIDEPOOL_ALWAYS_INLINE static tick checkout_now() noexcept {
    if constexpr (records) return precise_now<Traits>();
    return coarse_now<Traits>();
  }
  static bool peer_closed(const entry& e) noexcept {
    if constexpr (can::watch) return e.peer_closed.is_set();
    return false;
  }
  static lease_end broken_if_peer_closed(const entry& e, lease_end end) noexcept {
    return end != lease_end::outdated && peer_closed(e) ? lease_end::broken : end;
  }
  /// Never under the lock: an observer may call the pool.
  template <class Make>
  void tell_observer(Make& make) noexcept {
    if constexpr (observes<observer, decltype(make())>) {
      try {
        observer_.on_event(config().name.view(), make());
      } catch (...) {  // an observer's trouble is not the pool's
      }
    }
  }

  config_versions versions_;
  executor_type executor_;
  std::decay_t<decltype(asio::require(std::declval<const executor_type&>(), asio::execution::blocking.never))> poster_;
  TIDEPOOL_NO_UNIQUE_ADDRESS observer observer_;
  TIDEPOOL_NO_UNIQUE_ADDRESS recorder_type recorder_;
  TIDEPOOL_NO_UNIQUE_ADDRESS tracer tracer_;
  /// For what is done without the lock: its `validate()`, and where it has none, so that nothing changes it, its `fresh_until()`.
  TIDEPOOL_NO_UNIQUE_ADDRESS typename Traits::health_policy health_;
  stash_type stash_;
};

// `inline` here asks for no more than that: the way without the lock is to be inlined, and what follows where it ends is kept out of it.

template <class Connection, class Traits>
inline auto pool_front<Connection, Traits>::take(const source_location& where, bool stale_ok) noexcept -> entry* {
  if (entry* e = take_stashed(where)) return e;
  return take_idle(where, stale_ok);
}

/// The stash is open only while no caller waits, so none is overtaken.
template <class Connection, class Traits>
inline auto pool_front<Connection, Traits>::take_stashed(const source_location& where) noexcept -> entry* {
  if (!stash_.is_open()) return nullptr;
  entry* e = static_cast<entry*>(stash_.take());
  if (!e) return nullptr;
  if (usable(*e->connection) && take_stashed_slot(*e, checkout_now(), where)) {
    checked_out(*e, duration::zero());
    return e;
  }
  take_back(*e);  // dead, or due for something: the core sees to it
  return nullptr;
}

/// What happens to a connection between the grant and its holder.
template <class Connection, class Traits>
inline void pool_front<Connection, Traits>::checked_out(entry& e, duration waited) noexcept {
  e.sampled_at = not_sampled;
  if (times_every_lease || e.uses >= e.next_sample) begin_sample(e);
  const auto event = [&] { return checkout_event{e.id, waited}; };
  tell_observer(event);
}

template <class Connection, class Traits>
inline void pool_front<Connection, Traits>::release(entry& e) noexcept {
  // Read before the look at the connection: if the pool looks at all idle connections between that look and the stashing, it has closed
  // the stash, and this epoch is over.
  const auto seen = stash_.now();
  const recorded_at recorded = record_returned(e, lease_over::released);
  const bool timed = e.sampled_at != not_sampled;  // its time is recorded under the lock
  if (!timed && stash_.was_open(seen) && broken_if_peer_closed(e, after_lease(*e.connection)) == lease_end::clean &&
      stash_lease(e, seen, recorded))
    return;
  release_under_lock(e);
}

/// False: this lease has to be given back under the lock: it must take the slow path, or this thread's place in the stash is full.
/// `recorded`: by the recorder, whose time will do.
template <class Connection, class Traits>
inline bool pool_front<Connection, Traits>::stash_lease(entry& e, stash_epoch::epoch seen, [[maybe_unused]] recorded_at recorded) noexcept {
  auto* const place = stash_.place();
  const auto now = [&] {
    if constexpr (records) {
      return recorded;
    } else {
      return coarse_now<Traits>();
    }
  };
  if (!place || !stash_slot<rules>(health_, e, now(), last_round_trip<clock>(*e.connection))) return false;
  if (!stash_.put(*place, e, seen)) take_back(e);
  return true;
}

template <class Connection, class Traits>
auto pool_front<Connection, Traits>::recorded(recording_reason why) const {
  // First the time, then the events: those that come while it copies are for the next one.
  const tick now = precise_now<Traits>();
  auto made = recorder_.copy(now);
  made.pool = std::string(config().name.view());
  made.configuration = config().to_string();
  made.reason = why;
  if constexpr (std::is_same_v<clock, std::chrono::steady_clock>) {
    using wall = std::chrono::system_clock;  // NOLINT(clock): for people, who look for it in their logs
    made.unix_time = std::chrono::duration_cast<duration>(wall::now().time_since_epoch()).count();
  }
  made.validates = can::validate;
  made.says_goodbye = has_close<target_type>;
  return made;
}

template <class Connection, class Traits>
void pool_front<Connection, Traits>::record_out(const std::shared_ptr<pool_front>& self, recording_reason why) noexcept {
  const pool_config& now = self->config();
  recorder_type& recorder = self->recorder_;
  if (!recorder.has_sink() && now.recorder_path.empty()) return;
  if (why != recording_reason::request && !recorder.is_due(why, precise_now<Traits>(), now.recorder_interval)) return;
  try {
    asio::post(self->executor_, [weak = std::weak_ptr<pool_front>(self), why] {
      const auto pool = weak.lock();
      if (!pool) return;
      try {
        pool->recorder_.hand_out(pool->recorded(why), pool->config().recorder_path.view());
      } catch (...) {  // a sink's trouble is not the pool's, nor is a full disk
      }
    });
  } catch (...) {  // no memory, or its context is gone
  }
}

/// Starts its span when it is awaited. On its own frame, so that `acquire()` has none of this.
template <class Connection, class Traits>
auto pool_front<Connection, Traits>::acquire_in_span(std::shared_ptr<pool_front> pool, trace_context parent, duration timeout,
                                                     source_location where, owning_ptr<stack_trace> trace) -> awaitable<lease> {
  span_type step;
  pool->begin(step, parent, where);
  lease got;
  std::exception_ptr failed;
  try {
    got = co_await pool->acquire(timeout, where);
  } catch (const system_error& failure) {
    failed = std::current_exception();
    step.end(to_string(static_cast<errc>(failure.code().value())));
  } catch (...) {
    failed = std::current_exception();
    step.end("exception");
  }
  if (failed) std::rethrow_exception(failed);
  entry& held = *make_lease::held_by(got);
  if (trace) pool->keep_trace(held, std::move(trace));
  trace_in(held.target(), parent);
  step.end({}, held.id);
  co_return got;
}

/// Makes a pool. A class, so that TIDEPOOL_INSTANTIATE_POOL can name it; its one function is defined in pool_impl.hpp. The name of that
/// is what the linker says where no file has compiled it.
template <class Connection, class Traits = default_traits<Connection>>
struct pool_maker {
  using front = pool_front<Connection, Traits>;
  static std::shared_ptr<front> compiled_by_TIDEPOOL_INSTANTIATE_POOL(typename front::executor_type executor,
                                                                      typename front::connector connect, const pool_config& config,
                                                                      typename front::observer watcher, typename front::tracer to);
};

}  // namespace detail
}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
