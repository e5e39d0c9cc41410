// SPDX-License-Identifier: BSL-1.0
// tidepool - one run of the simulator from its first choice to its last, and its result.
#ifndef TIDEPOOL_TESTS_SIMULATOR_SCENARIO_HPP
#define TIDEPOOL_TESTS_SIMULATOR_SCENARIO_HPP

#include "inspector.hpp"
#include "kinds.hpp"
#include "workload.hpp"

namespace tidepool_sim {

struct outcome {
  std::optional<failure> failed;
  std::uint64_t trace = 0;
  tally sums;
};

/// How much there is to do in one run.
struct scale {
  std::uint32_t most_tasks = 6;
  std::uint32_t most_rounds = 5;
  bool trouble = true;
};

template <class Kind>
class scenario {
 public:
  scenario(choice_source& c, const scale& size)
      : c_(c),
        b_(c),
        w_(b_, size.most_tasks - c.choose(size.most_tasks), size.most_rounds - c.choose(size.most_rounds)),
        look_(b_, Kind::stashes ? c.pick<std::uint32_t>({3, 1, 20, 200}) : 1),
        trouble_left_(size.trouble ? c.pick({0, 4, 12, 40}) : 0) {
    b_.say("config: ", b_.describe());
    b_.on_observed = [this] { called_back(); };
  }

  outcome run() {
    try {
      perform();
    } catch (const std::logic_error& e) {
      b_.fail("INV-13", e.what());
    } catch (const std::runtime_error& e) {
      b_.fail("INV-8", e.what());
    }
    outcome out;
    if (b_.sim) end_of_context();
    out.failed = b_.failed;
    b_.sums.runs = 1;
    b_.sums.faults = b_.world->counts().faults;
    out.sums = b_.sums;
    out.trace = trace_;
    return out;
  }

 private:
  enum class ending { graceful, pool_first, context_first };
  static constexpr std::uint64_t most_steps = 20'000;

  void perform() {
    const auto how = c_.pick({ending::graceful, ending::pool_first, ending::context_first});
    const std::uint64_t cut = how == ending::graceful || c_.choose(4) == 3 ? 4000 : c_.choose(300);
    const time_point until = b_.sim->now() + 60s;
    while (b_.sim->steps() < cut && b_.sim->now() < until && !w_.finished() && advance()) {
    }
    if (b_.failed) return;
    b_.say("ending ", static_cast<int>(how));
    switch (how) {
      case ending::graceful: return graceful_end();
      case ending::pool_first: return end_of_pool();
      case ending::context_first: return end_of_context();
    }
  }

  /// One step, and everything there is to check. False when nothing is left to run, or a rule is broken.
  bool advance() {
    if (b_.sim->quiet()) look_.when_quiet();
    if (trouble_left_ > 0 && b_.sim->steps() >= next_trouble_) {
      --trouble_left_;
      next_trouble_ = b_.sim->steps() + c_.choose(30);
      w_.disturb();
    } else if (!b_.sim->step()) {
      return false;
    }
    look_.after_step();
    if (b_.sim->steps() > most_steps) b_.fail("INV-8", "it goes on for ever");
    return !b_.failed;
  }
  template <class Done>
  bool advance_until(time_point limit, Done done) {
    while (!done()) {
      if (b_.sim->now() > limit || !advance()) return done();
    }
    return true;
  }

  void called_back() {
    switch (c_.choose(8)) {
      case 4: return w_.give_back_inside();
      case 5: return w_.ask_inside();
      case 6: return w_.watch_close();
      case 7: throw user_error();
      case 2:
      case 3: return w_.change_pool(true);
      default: return w_.take_without_waiting();
    }
  }

  /// The server works and there are no more disturbances: now the pool has to recover completely.
  void heal() {
    end_queries();
    trouble_left_ = 0;
    b_.calls_back = 0;
    b_.world->plan() = {};
    b_.world->state(tidepool::testing::server_state::up);
    if (b_.pool) {
      b_.suspended = false;
      b_.pool->resume();
    }
  }
  /// Users' own queries end, as their driver's time limits would see to.
  void end_queries() {
    for (const auto* session : b_.world->core()->sessions) {
      if (session->held && session->running) session->running->server_died(false);
    }
  }
  bool all_done() {
    while (b_.give_back_one()) look_.after_step();
    return w_.finished();
  }

  void graceful_end() {
    heal();
    look_.after_step();
    if (!advance_until(b_.sim->now() + 10min, [this] { return all_done(); })) {
      return b_.fail("INV-14", "the server is well, and a task does not get through");
    }
    const pool_config& config = b_.config;
    const time_point settled = b_.sim->now() + config.max_retry_delay + config.breaker_open_time + config.connect_timeout + 11s;
    if (!b_.closing && config.max_lifetime == no_limit) {
      advance_until(settled, [] { return false; });
      // A periodic check may have found a connection dead in the last moment.
      advance_until(b_.sim->now() + config.connect_timeout, [this] { return b_.pool->stats().connecting == 0; });
    }
    if (b_.failed) return;
    if (!b_.closing && config.max_lifetime == no_limit) {
      const pool_stats s = b_.pool->stats();
      b_.say("settled: idle ", s.idle_connections, " active ", s.active_connections, " connecting ", s.connecting, " closing ", s.closing,
             " min ", s.min_size, " target ", s.target_size, " started ", s.connects_started, " breaker ", to_string(s.breaker));
      const std::size_t alive = s.idle_connections + s.active_connections + s.validating;
      const bool started = s.connects_started > 0 || s.state != pool_state::starting;
      b_.expect(s.waiting == 0 && s.active_connections == 0, "INV-14", "still busy when all is done");
      b_.expect(!started || alive >= s.min_size, "INV-14", "fewer connections than min_size long after the server came back");
      // With enough connections alive there is nothing a probe could be made for.
      const bool enough = alive >= std::max(s.min_size, s.target_size) && s.idle_connections + s.validating >= s.min_idle;
      b_.expect(s.connects_started == 0 || enough || s.breaker == tidepool::breaker_state::closed, "INV-14",
                "the breaker is open though connecting works");
    }
    bool over = false;
    const time_point limit = b_.sim->now() + config.close_grace + config.close_timeout;
    auto close = [](scenario& self, bool& done) -> asio::awaitable<void> {
      self.b_.closed(self.b_.config.close_grace);
      co_await self.b_.pool->close();
      done = true;
    };
    asio::co_spawn(b_.sim->get_executor(), close(*this, over), asio::detached);
    if (!advance_until(limit, [&over] { return over; }) && !b_.failed) return b_.fail("INV-11", "close() does not return");
    if (b_.failed) return;
    const pool_stats s = b_.pool->stats();
    b_.expect(s.total_connections == 0 && s.state == pool_state::closed, "INV-11", "close() returned and something is left");
    nothing_left();
    end_of_context();
  }

  void end_of_pool() {
    destroy_pool();
    look_.after_step();
    b_.world->plan() = {};
    b_.world->state(tidepool::testing::server_state::up);
    end_queries();
    if (!advance_until(b_.sim->now() + 10min, [this] { return all_done(); })) {
      return b_.fail("INV-18", "the pool is gone, and a task waits for it");
    }
    nothing_left();
    end_of_context();
  }

  /// No timer, no handler and no connection is left, except operations that ignore cancellation.
  void nothing_left() {
    while (!b_.failed && b_.sim->step()) {
      if (b_.sim->steps() > 2 * most_steps) return b_.fail("INV-11", "timers run though nothing is left");
    }
    const auto& counts = b_.world->counts();
    b_.expect(b_.sim->pending_waits() == counts.running, "INV-11", "a timer is left");
    if (Kind::features.abort) {
      std::size_t open = 0;
      for (const auto* session : b_.world->core()->sessions) open += session->connected || !session->cancelled;
      b_.expect(open == b_.detached.size(), "INV-11", "a connection is left");
    }
  }

  void end_of_context() {
    trace_ = b_.sim->trace();
    b_.sums.steps += b_.sim->steps();
    b_.last_time = b_.sim->now();
    b_.on_observed = nullptr;
    const bool leases_first = c_.choose(2) == 1;
    if (leases_first) b_.give_back_all();
    b_.sim.reset();
    const bool pool_first = c_.choose(2) == 1;
    if (pool_first) destroy_pool();
    b_.give_back_all();
    destroy_pool();
    b_.expect(b_.held == 0, "INV-4", "a lease outlived its task");
    b_.detached.clear();
    b_.expect(b_.world->counts().open == 0, "INV-11", "a socket outlived everything");
    b_.expect(b_.world->counts().running == 0, "INV-11", "an operation outlived its context");
    if (const char* fault = checked_mutex::take_fault()) b_.fail("INV-13", fault);
  }
  void destroy_pool() {
    const auto inside = b_.calling();
    b_.closing = true;
    b_.on_observed = nullptr;
    b_.pool.reset();
  }

  choice_source& c_;
  bench<Kind> b_;
  workload<Kind> w_;
  inspector<Kind> look_;
  int trouble_left_;
  std::uint64_t next_trouble_ = 0;
  std::uint64_t trace_ = 0;
};

/// A run of the kind that the first choice says.
inline outcome run_any(choice_source& c, const scale& size = {}) {
  const auto run = [&]<class Kind>(std::type_identity<Kind>) {
    const auto one = std::make_unique<scenario<Kind>>(c, size);
    return one->run();
  };
  switch (c.choose(10)) {
    case 5: return run(std::type_identity<lone_kind>());
    case 6: return run(std::type_identity<bare_kind>());
    case 7: return run(std::type_identity<plain_kind>());
    case 8: return run(std::type_identity<quick_kind>());
    case 9: return run(std::type_identity<quick_lone_kind>());
    default: return run(std::type_identity<full_kind>());
  }
}

}  // namespace tidepool_sim

#endif
