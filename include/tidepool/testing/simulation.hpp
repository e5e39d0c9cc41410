// SPDX-License-Identifier: BSL-1.0
// tidepool - runs coroutines and handlers in virtual time, in an order that a seed decides.
#ifndef TIDEPOOL_TESTING_SIMULATION_HPP
#define TIDEPOOL_TESTING_SIMULATION_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../detail/util/asio.hpp"
#include "../detail/util/deadline_heap.hpp"
#include "../detail/util/intrusive_list.hpp"
#include "../source_location.hpp"
#include "../version.hpp"
#include "checked_mutex.hpp"
#include "choice_source.hpp"
#include "virtual_clock.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing {

namespace detail {

using tidepool::detail::deadline_heap;
using tidepool::detail::deadline_node;
using tidepool::detail::intrusive_list;
using tidepool::detail::list_hook;
using tidepool::detail::tick;
using tidepool::detail::tick_of;

/// A handler that may run now.
struct ready_task {
  using function = void (*)(ready_task*, bool call);
  function run;  // frees the task, and calls the handler if asked to
  std::uint32_t lane;
};

/// By this service a timer finds out whether the context of its executor is a simulation.
struct simulation_marker : asio::execution_context::service {
  static inline asio::execution_context::id id;
  using key_type = simulation_marker;
  explicit simulation_marker(asio::execution_context& owner) : service(owner) {}
  void shutdown() noexcept override {}
};

/// A wait of a virtual_timer.
struct timer_wait : list_hook {
  using function = void (*)(timer_wait*, error_code, bool call);
  function finish;  // frees the wait, and posts its handler if asked to
  deadline_node<timer_wait> deadline;

  explicit timer_wait(function f) : finish(f) { deadline.owner = this; }
};

/// The Asio service that a timer of this clock has made in its context.
template <class Clock>
using real_timer_service = asio::detail::deadline_timer_service<asio::detail::chrono_time_traits<Clock, asio::wait_traits<Clock>>>;

}  // namespace detail

/// What has sockets in a simulation: see `simulation::allow_io()`.
class simulated_io {
 public:
  /// Whether something works for it that time has to wait for: a thread, or the kernel.
  virtual bool under_way() const noexcept = 0;
  /// Before each step.
  virtual void enter() noexcept = 0;
  /// After each step.
  virtual void leave() noexcept = 0;

 protected:
  ~simulated_io() = default;
};

/// An execution context without threads and real time. `step()` runs one ready handler, chosen by the choice source among the 64 that have
/// been ready longest; when none is ready it moves the virtual clock to the next deadline of a `virtual_timer`. A wait of thirty minutes
/// takes no real time, and the same choices give the same run.
///
/// `get_executor()` works with `asio::co_spawn`, `asio::awaitable`, `asio::post`, strands and `asio::any_io_executor`. Timers have to be
/// `virtual_timer`s, in handlers `basic_pool::timer_type`: what waits in real time, as an `asio::steady_timer` or a socket does, would
/// never end here, and makes `step()` throw a std::logic_error that says so. Sockets are for peers within the test that answer at once, as
/// `fake_postgres` does; see `allow_io()`.
///
/// Made, used and destroyed on one thread; several threads may have one each. While it lives `virtual_clock` on its thread shows its time.
/// Destroying it destroys all pending handlers and coroutines without running them.
class simulation : public asio::io_context {
 public:
  using duration = virtual_clock::duration;
  using time_point = virtual_clock::time_point;

  /// Runs handlers of the simulation, never inside `execute`. Executors of different lanes differ; see `lane()`.
  class executor_type {
   public:
    simulation& query(asio::execution::context_t) const noexcept { return *owner_; }
    static constexpr asio::execution::blocking_t query(asio::execution::blocking_t) noexcept { return asio::execution::blocking.never; }
    template <class F>
    void execute(F&& f) const {
      owner_->add<std::decay_t<F>>(std::forward<F>(f), lane_);
    }
    friend bool operator==(const executor_type& a, const executor_type& b) noexcept { return a.owner_ == b.owner_ && a.lane_ == b.lane_; }
    friend bool operator!=(const executor_type& a, const executor_type& b) noexcept { return !(a == b); }

   private:
    friend class simulation;
    executor_type(simulation& owner, std::uint32_t lane) noexcept : owner_(&owner), lane_(lane) {}
    simulation* owner_;
    std::uint32_t lane_;
  };

  /// The time at the start: one day after the clock's epoch.
  static constexpr time_point default_start{std::chrono::hours(24)};

  /// Decides by `choice_source::random(seed)`.
  explicit simulation(std::uint64_t seed = 1, time_point start = default_start)
      : asio::io_context(1), owned_(choice_source::random(seed)), choices_(&*owned_), now_(start) {
    asio::use_service<detail::simulation_marker>(*this);
  }
  /// Decides by `choices`, which must outlive it.
  explicit simulation(choice_source& choices, time_point start = default_start) : asio::io_context(1), choices_(&choices), now_(start) {
    asio::use_service<detail::simulation_marker>(*this);
  }

  ~simulation() {
    shutdown();
    drop_all();
    destroy();
    drop_all();
  }

  /// The simulation that runs a handler on this thread, else the one made last on it; null when there is none.
  static simulation* current() noexcept { return thread_binding<simulation>::current(); }

  executor_type get_executor() noexcept { return {*this, 0}; }
  /// An executor of a lane of its own: what runs on one lane is one actor for `choice_source::pct`.
  executor_type lane() noexcept { return {*this, ++lanes_}; }

  time_point now() const noexcept { return now_; }
  /// Draws every choice of the simulation.
  choice_source& choices() noexcept { return *choices_; }
  /// How far `simulated_traits::coarse_now()` is behind.
  duration coarse_lag() const noexcept { return coarse_lag_; }
  void coarse_lag(duration lag) noexcept { coarse_lag_ = lag; }

  // --- running ------------------------------------------------------------------------------------------------------------------------

  /// Runs one ready handler, or moves the time to the next deadline. False when there is neither. Throws the exceptions of handlers, and
  /// `std::logic_error` for the faults that `checked_mutex` found, and when something waits in real time.
  bool step() { return step((time_point::max)()); }

  /// As `step()`, but time does not pass `limit`.
  bool step(time_point limit) {
    const io_scope io(io_users_.empty() ? nullptr : io_users_.back());
    collect_due();
    if (ready_count() == 0 && !poll_io()) {
      if (timers_.empty() || timers_.next() > detail::tick_of(limit)) return false;
      now_ = time_point(timers_.next().time_since_epoch());
      note(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
      collect_due();
      if (ready_count() == 0) return true;  // the handler belongs to another context
    }
    run_one();
    return true;
  }

  /// Steps until nothing is left to run. Throws `std::runtime_error` after `max_steps`: some code loops without end.
  std::size_t run(std::size_t max_steps = 10'000'000) { return run_until((time_point::max)(), max_steps); }

  /// Runs everything up to and including the time `limit`, and leaves the clock there.
  std::size_t run_until(time_point limit, std::size_t max_steps = 10'000'000) {
    std::size_t done = 0;
    while (step(limit)) {
      if (++done >= max_steps) throw std::runtime_error("simulation: still busy after " + std::to_string(done) + " steps");
    }
    if (limit != (time_point::max)() && limit > now_) now_ = limit;
    return done;
  }
  /// The same for the time `span` from now.
  std::size_t run_for(duration span, std::size_t max_steps = 10'000'000) { return run_until(now_ + span, max_steps); }

  /// Steps until `done()` returns true; it is called before every step. False when nothing is left to run, or after `max_steps`.
  template <class Predicate>
  bool run_while_not(Predicate done, std::size_t max_steps = 10'000'000) {
    for (std::size_t i = 0; i < max_steps; ++i) {
      if (done()) return true;
      if (!step()) return done();
    }
    return false;
  }

  /// Moves the time although handlers may be ready, as for a process that was frozen or got no processor time.
  void freeze(duration span) {
    now_ += span;
    note(static_cast<std::uint64_t>(span.count()));
  }

  /// From now on sockets may wait here, because their peers are in the same test and answer at once. Before time passes, all that the
  /// kernel has for them is taken, and while `io.under_way()` it is waited for, in real time and at most two seconds.
  void allow_io(simulated_io& io) { io_users_.push_back(&io); }
  /// Ends what `allow_io()` began.
  void forbid_io(simulated_io& io) noexcept { std::erase(io_users_, &io); }

  /// Whether no handler is ready.
  bool quiet() {
    collect_due();
    take_foreign();
    return ready_count() == 0;
  }

  // --- looking --------------------------------------------------------------------------------------------------------------------------

  /// Handlers run so far.
  std::uint64_t steps() const noexcept { return steps_; }
  /// Handlers that wait for their turn.
  std::size_t ready_count() const noexcept { return ready_.size() - head_; }
  /// Waits of timers that have not ended.
  std::size_t pending_waits() const noexcept { return waits_.size(); }
  /// A hash of everything that happened: equal for equal runs.
  std::uint64_t trace() const noexcept { return trace_; }
  /// Adds a value of the test to `trace()`.
  void note(std::uint64_t what) noexcept {
    trace_ ^= what;
    trace_ *= 1099511628211u;
    trace_ ^= trace_ >> 29;
  }

 private:
  friend class virtual_timer;
  using asio::io_context::poll;
  using asio::io_context::restart;
  using asio::io_context::stopped;
  static constexpr std::size_t window = 64;

  struct io_scope {
    explicit io_scope(simulated_io* io) noexcept : user(io) {
      if (user) user->enter();
    }
    io_scope(const io_scope&) = delete;
    io_scope& operator=(const io_scope&) = delete;
    ~io_scope() {
      if (user) user->leave();
    }
    simulated_io* user;
  };

  template <class F>
  struct task final : detail::ready_task {
    task(F&& f, std::uint32_t l) : ready_task{&task::perform, l}, body(std::move(f)) {}
    task(const F& f, std::uint32_t l) : ready_task{&task::perform, l}, body(f) {}
    static void perform(ready_task* base, bool call) {
      auto* self = static_cast<task*>(base);
      F body(std::move(self->body));
      delete self;
      if (call) std::move(body)();
    }
    F body;
  };

  template <class F, class Arg>
  void add(Arg&& f, std::uint32_t lane) {
    checked_mutex::expect_unlocked("a handler is posted");
    auto* const made = new task<F>(std::forward<Arg>(f), lane);
    if (std::this_thread::get_id() == thread_ || current() == this) {
      ready_.push_back(made);
      return;
    }
    const std::lock_guard lock(foreign_mutex_);
    foreign_.push_back(made);
    any_foreign_.store(true, std::memory_order_release);
  }

  /// Takes what sockets and threads have brought. False: there is nothing, and nothing to wait for.
  bool poll_io() {
    for (int looks = 0;; ++looks) {
      restart();
      asio::io_context::poll();
      take_foreign();
      if (ready_count() > 0) return true;
      if (io_users_.empty() || looks == 2000 || !io_users_.back()->under_way()) break;
      restart();
      if (asio::io_context::run_one_for(std::chrono::milliseconds(1)) == 0) std::this_thread::yield();
    }
    refuse_real_waits();
    return false;
  }
  void take_foreign() {
    if (!any_foreign_.load(std::memory_order_acquire)) return;
    const std::lock_guard lock(foreign_mutex_);
    ready_.insert(ready_.end(), foreign_.begin(), foreign_.end());
    foreign_.clear();
    any_foreign_.store(false, std::memory_order_relaxed);
  }
  void refuse_real_waits() {
    const char* what = nullptr;
    if (io_users_.empty()) {
      // poll() has stopped the context unless some operation is pending.
      if (!stopped()) what = "an operation of an asio::steady_timer, a socket, a resolver or a signal_set";
    } else if (asio::has_service<detail::real_timer_service<std::chrono::steady_clock>>(*this)) {  // NOLINT(clock): it is refused
      what = "an asio::steady_timer";
    } else if (asio::has_service<detail::real_timer_service<std::chrono::system_clock>>(*this)) {  // NOLINT(clock)
      what = "an asio::system_timer";
    }
    if (what == nullptr) return;
    throw std::logic_error(std::string("simulation: ") + what +
                           " waits in real time, which does not pass here, so it would never end: use the pool's timer_type "
                           "(basic_pool::timer_type, here testing::virtual_timer) in place of asio::steady_timer, and "
                           "testing::fake_connection or testing::fake_postgres in place of sockets");
  }

  void collect_due() {
    while (!timers_.empty() && timers_.next() <= detail::tick_of(now_)) end_wait(*timers_.top()->owner, {}, true);
  }
  void end_wait(detail::timer_wait& wait, error_code result, bool call) {
    timers_.erase(wait.deadline);
    waits_.erase(wait);
    wait.finish(&wait, result, call);
  }

  void run_one() {
    const std::size_t first = head_;
    const auto count = static_cast<std::uint32_t>((std::min)(ready_count(), window));
    const std::uint32_t i = choices_->schedule(count, [&](std::uint32_t n) { return ready_[first + n]->lane; });
    detail::ready_task* chosen = ready_[first + i];
    for (std::size_t n = first + i; n > first; --n) ready_[n] = ready_[n - 1];
    if (++head_ == ready_.size()) {
      ready_.clear();
      head_ = 0;
    } else if (head_ > 4096 && head_ > ready_.size() / 2) {
      ready_.erase(ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
    }
    ++steps_;
    note((std::uint64_t{count} << 32) + i);
    const virtual_clock::binding time(now_);
    const thread_binding<simulation> self(*this);
    chosen->run(chosen, true);
    if (const char* fault = checked_mutex::take_fault()) throw std::logic_error(std::string(fault) + " under a lock");
  }

  // The destructor of a handler may post others: go on until nothing is left.
  void drop_all() {
    for (take_foreign(); ready_count() > 0 || !waits_.empty(); take_foreign()) {
      while (detail::timer_wait* wait = waits_.front()) end_wait(*wait, {}, false);
      const std::vector<detail::ready_task*> tasks(ready_.begin() + static_cast<std::ptrdiff_t>(head_), ready_.end());
      ready_.clear();
      head_ = 0;
      for (detail::ready_task* t : tasks) t->run(t, false);
    }
  }

  std::optional<choice_source> owned_;
  choice_source* choices_;
  time_point now_;
  duration coarse_lag_{};
  std::vector<detail::ready_task*> ready_;  // from head_ on, oldest first
  std::size_t head_ = 0;
  detail::deadline_heap<detail::timer_wait> timers_;
  detail::intrusive_list<detail::timer_wait> waits_;
  const std::thread::id thread_ = std::this_thread::get_id();
  std::mutex foreign_mutex_;
  std::vector<detail::ready_task*> foreign_;  // posted by other threads
  std::atomic<bool> any_foreign_{false};
  std::vector<simulated_io*> io_users_;
  std::uint32_t lanes_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t trace_ = 1469598103934665603u;
  virtual_clock::binding time_binding_{now_};
  thread_binding<simulation> self_binding_{*this};
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

// A simulation is an io_context, of which run() would wait in real time for ever: this says so.
struct run_options;
template <class Pool, class Work, class... Where>
void run(testing::simulation&, Pool&, Work&&, Where&&...) {
  static_assert(sizeof(Pool) == 0,
                "tidepool::run() waits in real time: in a simulation start the work by `asio::co_spawn(sim.get_executor(), ...)`, and call "
                "`sim.run()`");
}
template <class Pool, class Work>
void run(testing::simulation& sim, Pool& pool, Work&& work, const run_options&, source_location where = source_location::current()) {
  run(sim, pool, work, where);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
