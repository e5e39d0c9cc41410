// SPDX-License-Identifier: BSL-1.0
// tidepool - what happens to the pool in a run: tasks that use it, and disturbances from outside.
#ifndef TIDEPOOL_TESTS_SIMULATOR_WORKLOAD_HPP
#define TIDEPOOL_TESTS_SIMULATOR_WORKLOAD_HPP

#include <list>
#include <stdexcept>

#include "../support/on_end.hpp"
#include "harness.hpp"

namespace tidepool_sim {

/// A user's own exception.
struct user_error : std::runtime_error {
  user_error() : std::runtime_error("a user's error") {}
};

template <class Kind>
class workload {
 public:
  using bench_type = bench<Kind>;
  using holding = typename bench_type::holding;
  using lease = typename bench_type::lease;

  explicit workload(bench_type& b, std::size_t tasks, std::size_t rounds) : b_(b) {
    for (std::size_t i = 0; i < tasks; ++i) tasks_.push_back(std::make_unique<task>(b.sim->lane()));
    for (const auto& t : tasks_) {
      t->running = true;
      const tidepool_tests::on_end at_end = [this, &t = *t](std::exception_ptr e) {
        t.running = false;
        ended(e);
      };
      asio::co_spawn(t->executor, live(*this, *t, rounds), asio::bind_cancellation_slot(t->signal.slot(), at_end));
    }
  }

  /// A task may be cancelled before it begins; nothing else gets out of it.
  void ended(const std::exception_ptr& e) {
    try {
      if (e) std::rethrow_exception(e);
    } catch (const tidepool::system_error& error) {
      b_.expect(error.code() == asio::error::operation_aborted, "INV-22", "a task ended with an error");
    } catch (const std::exception&) {
      b_.fail("INV-22", "a task ended with an exception");
    }
  }

  bool finished() const {
    for (const auto& t : tasks_) {
      if (t->running) return false;
    }
    return callbacks_.empty() && b_.kept.empty();
  }

  // --- trouble
  // ----------------------------------------------------------------------------------------------------------------------------

  /// Ends something that runs, with any of Asio's kinds of cancellation.
  void cancel_someone() {
    ++b_.sums.cancels;
    const auto any = static_cast<std::uint32_t>(tasks_.size() + callbacks_.size());
    const std::uint32_t whom = b_.choices.choose(any);
    const auto type = b_.choices.pick({asio::cancellation_type::terminal, asio::cancellation_type::partial, asio::cancellation_type::total,
                                       asio::cancellation_type::all});
    const auto inside = b_.calling();
    b_.say("cancel ", whom, " with ", static_cast<int>(type));
    if (whom < tasks_.size()) return tasks_[whom]->signal.emit(type);
    std::next(callbacks_.begin(), static_cast<std::ptrdiff_t>(whom - tasks_.size()))->emit(type);
  }

  /// Something happens to the server, to time, or to the pool.
  void disturb() {
    choice_source& c = b_.choices;
    auto& world = *b_.world;
    using tidepool::testing::server_state;
    const std::uint32_t what = c.choose(14);
    b_.say("disturb ", what);
    switch (what) {
      case 0: return cancel_someone();
      case 1: return cancel_someone();
      case 2: return cancel_someone();
      case 3:
        if (!b_.pool) return;  // the run is about to end, and its queries have to
        return world.state(c.pick({server_state::up, server_state::down, server_state::starting, server_state::hung, server_state::full,
                                   server_state::read_only, server_state::unreachable}));
      case 4: return world.state(server_state::up);
      case 5: return world.kill_sessions(c.pick({1.0, 0.5}));
      case 6: {
        const auto span = c.pick<duration>({100ms, 1ms, 2s, 20s});
        b_.sim->freeze(span);
        b_.frozen_until = b_.sim->now();
        return;
      }
      case 7: return change_pool(false);
      case 8: return change_pool(false);
      case 9: return change_pool(false);
      case 10: return take_without_waiting();
      case 11: return give_back_kept();
      case 12: return ask_by_callback(*tasks_[0], draw_timeout());
      default: return watch_close();
    }
  }

  /// Bounds, generations, suspension: also from inside observers.
  void change_pool(bool in_observer) {
    if (!b_.pool) return;
    choice_source& c = b_.choices;
    const auto inside = b_.calling();
    const std::uint32_t what = c.choose(8);
    b_.say("change the pool ", what);
    switch (what) {
      case 0: {
        const pool_stats s = b_.pool->stats();
        b_.expect(s.total_connections <= 16, "INV-1", "far too many connections");
        b_.sim->note(s.total_connections);
        return;
      }
      case 1: b_.pool->recycle(); return b_.recycled(in_observer);
      case 2: b_.suspended = true; return b_.pool->suspend();
      case 3:
      case 4: b_.suspended = false; return b_.pool->resume();
      case 7: return reconfigure();
      default: {
        const std::size_t most = std::max(b_.config.min_idle, c.pick<std::size_t>({2, 1, 4}));
        b_.allowed_total = std::max(b_.allowed_total, most);
        b_.waited_at_resize = std::max(b_.waited_at_resize, b_.pool->stats().waiting);
        b_.pool->resize(std::min(most, c.pick<std::size_t>({0, 1, 2})), most);
        return b_.resized();
      }
    }
  }

  /// What INV-9 and others look at is in force from here on.
  void reconfigure() {
    choice_source& c = b_.choices;
    pool_config next = b_.config;
    next.max_lifetime = c.pick<duration>({no_limit, std::chrono::milliseconds(200), std::chrono::seconds(2)});
    next.idle_timeout = std::min<duration>(next.max_lifetime, c.pick<duration>({no_limit, std::chrono::milliseconds(100)}));
    next.health_check_interval = c.pick<duration>({no_limit, std::chrono::milliseconds(50), std::chrono::seconds(1)});
    next.max_uses = c.pick<std::size_t>({std::size_t(no_limit), 3});
    next.max_size = std::max(next.min_idle, c.pick<std::size_t>({2, 1, 4}));
    next.min_size = std::min(next.max_size, c.pick<std::size_t>({0, 1, 2}));
    b_.allowed_total = std::max(b_.allowed_total, next.max_size);
    b_.waited_at_resize = std::max(b_.waited_at_resize, b_.pool->stats().waiting);
    b_.config = next;
    b_.reconfigured_at = b_.sim->now();
    b_.pool->reconfigure(next);
    b_.resized();
  }

  void take_without_waiting() {
    if (!b_.pool) return;
    const auto inside = b_.calling();
    if (Kind::stashes) use_over_and_over();
    const bool asks = !b_.in_observer && (!Kind::stashes || b_.choices.choose(3) == 2);
    const std::size_t waiting = asks ? b_.pool->stats().waiting : 0;
    lease taken = take();
    if (!taken) return;
    b_.expect(waiting == 0, "INV-6", "try_acquire() overtook a waiting caller");
    b_.kept.push_back(std::make_unique<holding>(b_, std::move(taken)));
  }
  lease take() {
    lease taken;
    b_.on_some_thread([&] { taken = b_.pool->try_acquire(); });
    if (taken) {
      b_.say("taken ", taken.id());
      ++b_.acquires;
      ++b_.sums.acquires;
    }
    return taken;
  }
  /// Leases are stashed from the second use of a connection on.
  void use_over_and_over() {
    for (std::uint32_t times = b_.choices.choose(8); times > 0 && b_.pool; --times) {
      lease taken = take();
      if (!taken) return;
      const holding used(b_, std::move(taken));
    }
  }

  void give_back_kept() { b_.give_back_one(); }
  /// From an observer. It serves a caller that is just asking and for which a connect was begun while this lease was still held.
  void give_back_inside() {
    if (b_.give_back_one()) ++b_.given_back_inside;
  }
  /// From an observer. A caller that asks while a lease is on its way back is served by it, although a connect was begun for that caller.
  void ask_inside() {
    ++b_.asked_inside;
    ask_by_callback(*tasks_[0], draw_timeout());
  }

  /// Closes the pool at some time, and checks that the close takes no longer than it may.
  void watch_close() {
    if (!b_.pool || b_.choices.choose(4) != 3) return;
    const auto grace = b_.choices.template pick<duration>({b_.config.close_grace, 0s, 100ms, 10s});
    asio::co_spawn(b_.sim->lane(), close(*this, grace), asio::detached);
  }

  duration draw_timeout() { return b_.choices.template pick<duration>({1s, 10ms, 1ns, 0s, 100ms, 30s, no_limit}); }

 private:
  using executor_type = tidepool::testing::simulation::executor_type;
  struct task {
    explicit task(executor_type e) : executor(e) {}
    executor_type executor;
    asio::cancellation_signal signal;
    bool running = false;
  };

  static asio::awaitable<void> live(workload& self, task& t, std::size_t rounds) {
    choice_source& c = self.b_.choices;
    const bool all_kinds = c.choose(2) == 0;
    co_await asio::this_coro::throw_if_cancelled(false);
    for (std::size_t i = 0; i < rounds && !self.b_.failed; ++i) {
      // A cancelled coroutine stays cancelled until told otherwise.
      if (all_kinds) {
        co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
      } else {
        co_await asio::this_coro::reset_cancellation_state();
      }
      co_await asio::this_coro::throw_if_cancelled(c.choose(4) == 3);
      try {
        co_await round(self, t);
      } catch (const user_error&) {
      } catch (const tidepool::system_error&) {  // a query or a nap was cancelled
      }
      self.b_.resumed();
      co_await asio::this_coro::throw_if_cancelled(false);
    }
  }

  static asio::awaitable<void> round(workload& self, task& t) {
    choice_source& c = self.b_.choices;
    switch (c.choose(12)) {
      case 8: self.ask_by_callback(t, self.draw_timeout()); break;
      case 9: self.take_without_waiting(); break;
      case 10: co_await open(self); break;
      case 11: break;
      default: co_await use(self, t);
    }
    const auto pause = c.pick<duration>({0s, 1ms, 100ms, 3s});
    if (pause > 0s) co_await tidepool::testing::sleep_for(pause);
    self.b_.resumed();
  }

  /// A task that holds a lease already must not wait for ever: two of them could wait for each other.
  static asio::awaitable<void> use(workload& self, task& t, bool nested = false) {
    auto& b = self.b_;
    if (!b.pool) co_return;
    const bool patient = !nested && b.choices.choose(3) == 0;
    const duration timeout = nested ? 1s : patient ? b.config.acquire_timeout : self.draw_timeout();
    attempt& a = b.started(timeout);
    b.say("acquire ", a.ticket, " timeout ", timeout.count());
    lease taken;
    bool reached = true;
    try {
      if (patient) {
        taken = co_await b.pool->acquire();
      } else {
        taken = co_await b.pool->acquire(timeout);
      }
    } catch (const tidepool::pool_error& e) {
      b.explain(a, e);
      b.sim->note(static_cast<std::uint64_t>(e.code().value()));
    } catch (const tidepool::system_error& e) {
      reached = false;
      b.expect(e.code() == asio::error::operation_aborted, "INV-22", "an acquire failed with an error of its own");
    }
    b.resumed();
    b.say("acquire ", a.ticket, taken ? " granted" : " failed");
    if (!reached) {
      b.withdrawn(a);
      co_return;
    }
    b.completed(a, static_cast<bool>(taken));
    if (!taken) co_return;
    auto h = std::make_unique<holding>(b, std::move(taken));
    co_await hold(self, t, std::move(h));
  }

  static asio::awaitable<void> hold(workload& self, task& t, std::unique_ptr<holding> h) {
    auto& b = self.b_;
    choice_source& c = b.choices;
    if (c.choose(4) == 3) h->held->begin_transaction();
    if (c.choose(3) == 0 && h->held->open()) {
      const std::uint64_t token = b.sim->steps() + 1;
      const std::uint64_t answer = co_await h->held->query(token);
      b.resumed();
      b.expect(answer == token, "INV-10", "an answer to another caller's query");
    }
    const auto span = c.pick<duration>({0s, 1ms, 20ms, 300ms, 2s, 8s});
    if (span > 0s) co_await tidepool::testing::sleep_for(span);
    b.resumed();
    const std::uint32_t how = c.choose(8);
    b.say("lease of ", h->held.id(), " ends ", how);
    switch (how) {
      case 1: {
        h->ends();
        const auto inside = b.calling();
        b.on_some_thread([&] { h->held.release(); });
        b.expect(!h->held, "INV-2", "a lease holds its connection after release()");
        break;
      }
      case 2: {
        h->ends();
        const auto inside = b.calling();
        h->held.discard();
        break;
      }
      case 3: {
        h->ends();
        const auto inside = b.calling();
        b.detached.push_back(h->held.detach());
        if (b.detached.size() > 4) b.detached.erase(b.detached.begin());
        break;
      }
      case 4: {
        auto elsewhere = std::make_shared<std::unique_ptr<holding>>(std::move(h));
        asio::post(b.sim->lane(), [elsewhere] { elsewhere->reset(); });
        break;
      }
      case 5: b.kept.push_back(std::move(h)); break;
      case 6: throw user_error();
      case 7: {  // nested: holds one and wants another
        co_await use(self, t, true);
        break;
      }
      default: break;
    }
  }

  static asio::awaitable<void> open(workload& self) {
    auto& b = self.b_;
    if (!b.pool) co_return;
    ++b.opening;
    try {
      co_await b.pool->open();
    } catch (const tidepool::system_error&) {  // it cannot connect, is closed, or the task was cancelled
    }
    --b.opening;
    b.resumed();
  }

  static asio::awaitable<void> close(workload& self, duration grace) {
    auto& b = self.b_;
    if (!b.pool) co_return;
    b.say("close, grace ", grace.count());
    b.closed(grace);
    try {
      co_await b.pool->close(grace);
    } catch (const tidepool::system_error&) {  // the pool object went away
    }
    b.resumed();
  }

  /// The other way to ask; the lease is kept.
  void ask_by_callback(task& t, duration timeout) {
    if (!b_.pool) return;
    attempt& a = b_.started(timeout);
    b_.say("acquire ", a.ticket, " by callback, timeout ", timeout.count());
    const auto signal = callbacks_.emplace(callbacks_.end());
    auto done = [this, &a, signal](error_code failed, lease taken) {
      callbacks_.erase(signal);
      b_.resumed();
      b_.expect(static_cast<bool>(failed) != static_cast<bool>(taken), "INV-3", "neither, or both, of a lease and an error");
      b_.completed(a, !failed);
      if (taken) b_.kept.push_back(std::make_unique<holding>(b_, std::move(taken)));
    };
    const auto inside = b_.calling();
    b_.pool->async_acquire(timeout, asio::bind_executor(t.executor, asio::bind_cancellation_slot(signal->slot(), std::move(done))));
  }

  bench_type& b_;
  std::vector<std::unique_ptr<task>> tasks_;
  std::list<asio::cancellation_signal> callbacks_;  // of the acquires by callback that have not completed
};

}  // namespace tidepool_sim

#endif
