// SPDX-License-Identifier: BSL-1.0
// tidepool - the test bench of one run: the pool, its world, and what the run has recorded about both.
#ifndef TIDEPOOL_TESTS_SIMULATOR_BENCH_HPP
#define TIDEPOOL_TESTS_SIMULATOR_BENCH_HPP

#include <tidepool/pool.hpp>

#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <functional>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "plan.hpp"

namespace tidepool_sim {

using tidepool::errc;
using tidepool::error_code;
using tidepool::pool_config;
using tidepool::pool_state;
using tidepool::pool_stats;
using tidepool::testing::checked_mutex;
using tidepool::testing::simulation;
using tidepool::testing::virtual_clock;
using time_point = virtual_clock::time_point;

/// A broken rule. The run ends at the first one.
struct failure {
  std::string rule;
  std::string text;
};

/// Sums over runs.
struct tally {
  std::uint64_t runs = 0;
  std::uint64_t steps = 0;
  std::uint64_t checks = 0;
  std::uint64_t faults = 0;
  std::uint64_t acquires = 0;
  std::uint64_t grants = 0;
  std::uint64_t cancels = 0;
  std::uint64_t stashed = 0;  ///< leases given back past the lock
  tally& operator+=(const tally& o) {
    runs += o.runs;
    steps += o.steps;
    checks += o.checks;
    faults += o.faults;
    acquires += o.acquires;
    grants += o.grants;
    cancels += o.cancels;
    stashed += o.stashed;
    return *this;
  }
};

/// What all kinds of pools have in common for observers.
class bench_base {
 public:
  virtual ~bench_base() = default;
  virtual void saw_checkout(tidepool::connection_id id) = 0;
  virtual void saw_any_event() = 0;

  void fail(const char* rule, std::string text) {
    say("FAILED ", rule, ": ", text);
    if (!failed) failed = failure{rule, std::move(text)};
  }
  /// One check of one rule.
  void expect(bool holds, const char* rule, const char* text) {
    ++sums.checks;
    if (!holds) [[unlikely]]
      fail(rule, text);
  }

  /// With TIDEPOOL_SIM_VERBOSE set, a run tells what happens in it.
  template <class... Parts>
  void say(const Parts&... parts) {
    static const bool loud = std::getenv("TIDEPOOL_SIM_VERBOSE") != nullptr;
    if (!loud) [[likely]]
      return;
    std::ostringstream line;
    line << '[' << where() << "] ";
    (line << ... << parts);
    std::cerr << line.str() << '\n';
  }
  virtual std::string where() const = 0;
  virtual time_point now() const = 0;

  std::optional<failure> failed;
  tally sums;
  void connect_ended(bool in_vain) {
    if (last_connect_failed != in_vain) connects_differ_since = now();
    last_connect_failed = in_vain;
    if (in_vain) failed_last = now();
  }

  bool last_connect_failed = false;
  time_point failed_last{};            ///< when a connect failed last
  time_point connects_differ_since{};  ///< when connects began to end as the last one did
  bool lost_unserved = false;          ///< ever: a connect that then succeeded proves nothing
};

/// Records events, and at times calls the pool from inside. A pool stashes no lease whose end an observer wants to get.
template <bool Returns>
class basic_watcher {
 public:
  explicit basic_watcher(bench_base* to = nullptr) : bench_(to) {}

  void on_event(std::string_view, const tidepool::created_event& e) {
    told([&e](bench_base& b) {
      b.say("created ", e.id);
      b.connect_ended(false);
    });
  }
  void on_event(std::string_view, const tidepool::connect_failed_event& e) {
    told([&e](bench_base& b) {
      b.say("connect failed: ", e.error);
      b.connect_ended(true);
      b.lost_unserved |= e.error.find("before it served") != std::string_view::npos;
    });
  }
  void on_event(std::string_view, const tidepool::checkout_event& e) {
    told([&e](bench_base& b) {
      b.say("checkout of ", e.id);
      b.saw_checkout(e.id);
    });
  }
  template <class Event>
  requires(Returns || !std::is_same_v<Event, tidepool::checkin_event>) void on_event(std::string_view, const Event& e) {
    told([&e](bench_base& b) {
      static_cast<void>(e);
      if constexpr (requires { e.reason; }) {
        if constexpr (requires { e.id; }) b.say("destroyed ", e.id, ": ", to_string(e.reason));
        if constexpr (requires { e.to; }) b.say("state ", to_string(e.to));
      } else if constexpr (requires { e.held; }) {
        b.say("checkin of ", e.id);
      } else if constexpr (requires { e.error; }) {
        b.say("unhealthy: ", e.error);
      } else {
        b.say("event");
      }
    });
  }

 private:
  template <class Note>
  void told(Note note) {
    checked_mutex::expect_unlocked("an observer is called");
    if (!bench_) return;
    note(*bench_);
    bench_->saw_any_event();  // may throw
  }
  bench_base* bench_;
};
using watcher = basic_watcher<true>;
using quiet_watcher = basic_watcher<false>;

/// Two threads take turns by two of these. No std::binary_semaphore: where the system has no futex, as under Wine, all of those share one
/// queue, and a wake-up may go to the other waiter.
class turn {
 public:
  void release() {
    {
      const std::lock_guard lock(mutex_);
      mine_ = true;
    }
    changed_.notify_one();
  }
  void acquire() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return mine_; });
    mine_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool mine_ = false;
};

/// A real second thread, which runs one job at a time while the caller waits for it. So the stash, which depends on the thread, has two
/// threads, and the run still depends on its choices alone.
class second_thread {
 public:
  template <class Job>
  static void run(simulation& sim, Job job) {
    static second_thread one;
    if (std::this_thread::get_id() == one.thread_.get_id()) return job();
    const time_point now = sim.now();
    one.job_ = [&] {
      const virtual_clock::binding time(now);
      const tidepool::testing::thread_binding<simulation> self(sim);
      job();  // a call that does not throw
      one.fault_ = checked_mutex::take_fault();
    };
    one.wanted_.release();
    one.done_.acquire();
    if (one.fault_) throw std::logic_error(std::string(one.fault_) + " under a lock");
  }

 private:
  second_thread() : thread_([this] { serve(); }) {}
  ~second_thread() {
    job_ = nullptr;
    wanted_.release();
    thread_.join();
  }
  void serve() {
    for (wanted_.acquire(); job_; wanted_.acquire()) {
      job_();
      done_.release();
    }
  }
  std::function<void()> job_;
  const char* fault_ = nullptr;
  turn wanted_;
  turn done_;
  std::thread thread_;
};

/// One acquire that a task of the run has begun.
struct attempt {
  std::uint64_t ticket = 0;
  time_point began{};
  time_point deadline{};
  int completions = 0;
  bool inside = false;  ///< asked by an observer: perhaps within the call of an earlier caller, and queued before that
  bool queued = false;  ///< seen waiting when the previous instant was over
};

/// The user's connector: it calls the pool as observers do, and its exceptions are failed connects.
template <class Kind>
struct hooked_connector {
  typename Kind::connector connect;
  bench_base* bench;

  template <class Context>
  auto operator()(Context&& context) {
    checked_mutex::expect_unlocked("the connector is called");
    bench->saw_any_event();
    return connect(std::forward<Context>(context));
  }
};

template <class Kind>
class bench : public bench_base {
 public:
  using pool_type = tidepool::basic_pool<typename Kind::connection, typename Kind::traits>;
  using lease = typename pool_type::lease;

  /// A lease in the hands of the run.
  class holding {
   public:
    holding(bench& owner, lease&& from) : bench_(owner), held(std::move(from)) { bench_.begin(*this); }
    holding(const holding&) = delete;
    holding& operator=(const holding&) = delete;
    ~holding() {
      // Damage that the pool cannot see is told by the holder.
      const bool spoilt = !Kind::features.usable && !Kind::features.after_lease && held && held->session().out_of_step;
      bench_.end(*this);
      const auto inside = bench_.calling();
      const bool leased = static_cast<bool>(held);
      const std::uint64_t before = bench_.lockings();
      bench_.on_some_thread([&] { spoilt ? held.discard() : held.release(); });
      if (Kind::two_threads && leased && bench_.lockings() == before) ++bench_.sums.stashed;
    }
    /// To be called before it is given back otherwise.
    void ends() { bench_.end(*this); }

   private:
    friend class bench;
    bench& bench_;
    bool over_ = false;

   public:
    lease held;
  };

  static pool_config suited(pool_config drawn) {
    if constexpr (Kind::stashes) {  // what keeps a pool from stashing
      drawn.max_uses = no_limit;
      drawn.abandon_timeout = no_limit;
      drawn.min_idle = 0;
    }
    return drawn;
  }
  /// Everything is drawn.
  explicit bench(choice_source& c) : bench(c, suited(draw_config(c))) {
    sim->coarse_lag(c.pick<duration>({0s, 4ms, 1ms}));
    // Faults end connections before their leases are stashed: half of the runs do without.
    if (!Kind::stashes || c.choose(2) == 1) world->plan() = draw_faults(c, config);
    permanent_failures = world->plan().permanent > 0;
    calls_back = c.pick({0.0, 0.0, 0.05, 0.3});
  }
  /// A healthy world, and a configuration of one's own.
  bench(choice_source& c, const pool_config& wanted) : choices(c), config(wanted) {
    clock_start_ = simulation::default_start;
    last_time = clock_start_;
    sim.emplace(c, clock_start_);
    world.emplace(*sim);
    world->on_violation([this](const std::string& what) { fail("INV-2", what); });
    pool.emplace(sim->get_executor(), hooked_connector<Kind>{typename Kind::connector(*world), this}, config,
                 typename Kind::traits::observer(this));
    allowed_total = config.max_size;
  }
  ~bench() override {
    if (sim) last_time = sim->now();
    world->on_violation([](const std::string&) {});
  }

  time_point now() const override { return sim ? sim->now() : time_point(); }
  std::string where() const override {
    if (!sim) return "-";
    const auto since = sim->now() - clock_start_;
    return std::to_string(sim->steps()) + " " + std::to_string(std::chrono::duration<double>(since).count());
  }
  std::string describe() const {
    const auto ms = [](duration d) { return d == no_limit ? std::string("-") : std::to_string(d / 1us) + "us"; };
    return std::string(Kind::name) + " size " + std::to_string(config.min_size) + ".." + std::to_string(config.max_size) + " idle " +
           std::to_string(config.min_idle) + " connecting " + std::to_string(config.max_connecting) + " bypass " + ms(config.alive_bypass) +
           " check " + ms(config.health_check_interval) + " lifetime " + ms(config.max_lifetime) + " idle " + ms(config.idle_timeout) +
           " leak " + ms(config.leak_timeout) + " abandon " + ms(config.abandon_timeout) + " lag " + ms(sim->coarse_lag()) + " connect " +
           ms(config.connect_timeout);
  }

  /// Runs while the pool is being called: no task may go on inside.
  auto calling() {
    struct guard {
      explicit guard(int& d) : depth(d) { ++depth; }
      guard(const guard&) = delete;
      ~guard() { --depth; }
      int& depth;
    };
    return guard(depth_);
  }
  static std::uint64_t lockings() {
    if constexpr (Kind::two_threads) return Kind::traits::mutex_type::times;
    return 0;
  }
  /// A call of the pool that hangs on the thread it comes from.
  template <class Call>
  void on_some_thread(Call call) {
    if constexpr (Kind::two_threads) {
      if (sim && choices.chance(1.0 / 6)) return second_thread::run(*sim, call);
    }
    call();
  }
  /// A task goes on.
  void resumed() {
    ++sums.checks;
    if (depth_ != 0) fail("INV-13", "a completion ran inside a call of the pool");
  }

  // --- acquires -------------------------------------------------------------------------------------------------------------------------
  attempt& started(duration timeout) {
    attempt& a = *attempts_.emplace_back(std::make_unique<attempt>());
    a.ticket = ++last_ticket_;
    a.inside = in_observer;
    const time_point now = sim->now();
    a.began = now;
    a.deadline = timeout >= time_point::max() - now ? time_point::max() : now + std::max(timeout, duration::zero());
    ++sums.acquires;
    ++acquires;
    return a;
  }
  void completed(attempt& a, bool granted) {
    if (++a.completions > 1) fail("INV-3", "an acquire completed twice");
    if (granted && !a.inside) grants_now_.push_back(a.ticket);
    std::erase_if(attempts_, [&a](const auto& p) { return p.get() == &a; });
  }
  /// It was cancelled before it reached the pool.
  void withdrawn(attempt& a) {
    --acquires;
    completed(a, false);
  }
  /// A report is of the time when the wait failed: connects that ended later are not in it.
  void explain(const attempt& a, const tidepool::pool_error& e) {
    const auto& r = e.report();
    ++sums.checks;
    if (e.code() == errc::connect_failed && r.last_connect_error.empty())
      fail("INV-22", "connecting failed, but the report does not say how");
    const bool as_now = connects_differ_since + sim->coarse_lag() < a.began + r.waited;
    // After a loss that counts as a failed connect, one that succeeds proves nothing.
    const bool doubtful = lost_unserved && !last_connect_failed;
    if (as_now && !doubtful && r.last_connect_error.empty() == last_connect_failed) {
      fail("INV-22", "last connect " + std::string(last_connect_failed ? "failed" : "succeeded") + ", but the report says '" +
                         r.last_connect_error + "'");
    }
    if (e.code() == errc::timeout && r.waited < duration::zero()) fail("INV-22", "waited for a negative time");
  }

  // --- what the run knows
  // -----------------------------------------------------------------------------------------------------------------
  void saw_checkout(tidepool::connection_id id) override {
    expect(!retired_.contains(id), "INV-19", "a connection from before recycle() was granted");
    if (closing) fail("INV-11", "a grant after close()");
  }
  void saw_any_event() override {
    if (!on_observed || in_observer || !pool || !sim || !choices.chance(calls_back)) return;
    struct inside {
      bool& flag;
      explicit inside(bool& f) : flag(f) { flag = true; }
      inside(const inside&) = delete;
      ~inside() { flag = false; }
    } const now(in_observer);
    on_observed();
  }

  void recycled(bool from_inside) {
    // In an observer's call grants of the same event may still be on their way to it.
    if (from_inside) return;
    recycled_at_ = sim->now();
    for (const auto& [id, session] : connections_) retired_.insert(id);
  }
  /// Leases that were kept go back, the eldest first. Observers may add to them meanwhile.
  bool give_back_one() {
    if (kept.empty()) return false;
    const auto first = std::move(kept.front());
    kept.pop_front();
    return true;
  }
  void give_back_all() {
    while (give_back_one()) {
    }
  }
  void resized() {
    const pool_stats s = pool->stats();
    allowed_total = std::max(s.max_size, s.total_connections);
    ++resizes;
  }
  void closed(duration grace) {
    const time_point by = sim->now() + grace + config.close_timeout;
    close_by = closing ? std::min(close_by, by) : by;
    closing = true;
  }

  choice_source& choices;
  pool_config config;  ///< that the pool works by
  std::optional<simulation> sim;
  std::optional<tidepool::testing::world> world;
  std::optional<pool_type> pool;
  double calls_back = 0;
  std::function<void()> on_observed;
  bool in_observer = false;
  std::size_t opening = 0;  ///< open() under way: may close the pool
  bool closing = false;
  bool suspended = false;
  bool permanent_failures = false;  ///< after which the pool holds back for longer
  time_point close_by{};
  time_point last_time{};
  time_point frozen_until{};  ///< deadlines up to here may be met late
  time_point hungry_since = time_point::max();
  std::size_t allowed_total = 0;
  std::size_t waited_at_resize = 0;  ///< since the last look at the figures; an observer resizes in the middle of a step
  std::uint64_t resizes = 0;
  time_point reconfigured_at{};
  std::uint64_t asked_inside = 0;             ///< acquires from inside observers
  std::uint64_t given_back_inside = 0;        ///< leases
  std::uint64_t acquires = 0;                 ///< that reached the pool, try_acquire's successes included
  std::size_t held = 0;                       ///< leases in the hands of tasks
  std::deque<std::unique_ptr<holding>> kept;  ///< leases that outlive their task
  std::vector<typename Kind::connection> detached;

 private:
  template <class K>
  friend class inspector;

  void begin(holding& h) {
    ++sums.grants;
    ++held;
    holdings_.push_back(&h);
    auto& connection = *h.held;
    const auto& s = connection.session();
    const tidepool::connection_id id = h.held.id();
    const auto known = connections_.emplace(id, s.id);
    expect(known.first->second == s.id, "INV-2", "two connections with one number");
    connection.held(true);
    if (s.shut) {
      // Its socket was shut between the grant and now: by the end of close()'s grace, or because it was held for too long.
      expect(closing || config.abandon_timeout != no_limit, "INV-9", "a closed connection was granted");
      return;
    }
    expect(!s.out_of_step, "INV-10", "a connection with an unread answer was granted");
    expect(!s.condemned, "INV-10", "a connection was granted after its validation or reset had failed");
    const time_point granted = sim->now() - h.held.age();
    if (Kind::features.usable || Kind::features.after_lease) {
      expect(!(s.death_seen && s.dies_at < granted - sim->coarse_lag()), "INV-9", "a connection known to be dead was granted");
    }
    expect(granted <= recycled_at_ || s.connected_at >= recycled_at_, "INV-19", "a connection older than recycle() was granted");
    if (Kind::features.reset || Kind::features.after_lease) {
      expect(!s.dirtied_by_user, "INV-9", "a connection was granted with what its last user left behind");
    }
    if (Kind::ages && config.max_lifetime != no_limit && granted > reconfigured_at) {
      expect(granted - s.connected_at < config.max_lifetime, "INV-9", "a connection older than max_lifetime was granted");
    }
  }
  void end(holding& h) {
    if (h.over_) return;
    h.over_ = true;
    --held;
    std::erase(holdings_, &h);
    if (h.held) h.held->held(false);
  }
  std::deque<std::unique_ptr<attempt>> attempts_;
  std::vector<std::uint64_t> grants_now_;  // tickets of those served in this instant
  std::vector<holding*> holdings_;
  std::unordered_map<tidepool::connection_id, std::uint64_t> connections_;  // number -> session
  std::unordered_set<tidepool::connection_id> retired_;
  time_point recycled_at_{};
  std::uint64_t last_ticket_ = 0;
  int depth_ = 0;
  time_point clock_start_{};
  virtual_clock::binding after_sim_{last_time};  // the time when the simulation is gone
};

}  // namespace tidepool_sim

#endif
