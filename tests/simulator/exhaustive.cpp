// tidepool - small cases in every order: up to three tasks, the first ten or twelve decisions in all combinations.
#include "explore.hpp"

#include "../support/catch.hpp"

using namespace tidepool_sim;

namespace {

using kind = full_kind;
using small_bench = bench<kind>;

/// What one of these cases is about: it gets the bench and starts its tasks.
using script = void (*)(small_bench&);

struct small_case {
  const char* name;
  script start;
  std::size_t max_size = 1;
  bool warm = true;        ///< a connection lies idle at the start
  std::size_t depth = 12;  ///< decisions that take every value; ten where twelve would be hundreds of thousands of orders
};

asio::awaitable<void> use(small_bench& b, duration timeout, duration span) {
  if (!b.pool) co_return;
  attempt& a = b.started(timeout);
  small_bench::lease taken;
  try {
    taken = co_await b.pool->acquire(timeout);
  } catch (const std::system_error&) {  // timeout, cancelled, closed: the inspector knows whether that is right
  }
  b.resumed();
  b.completed(a, static_cast<bool>(taken));
  if (!taken) co_return;
  const auto h = std::make_unique<small_bench::holding>(b, std::move(taken));
  if (span > 0s) co_await tidepool::testing::sleep_for(span);
  b.resumed();
}

void spawn(small_bench& b, duration timeout, duration span) { asio::co_spawn(b.sim->lane(), use(b, timeout, span), asio::detached); }

/// The same, cancelled by another task at whatever moment that runs.
void spawn_cancelled(small_bench& b, duration timeout, duration span, asio::cancellation_type type) {
  const auto signal = std::make_shared<asio::cancellation_signal>();
  auto body = [](small_bench& at, duration limit, duration held) -> asio::awaitable<void> {
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    co_await use(at, limit, held);
  };
  asio::co_spawn(b.sim->lane(), body(b, timeout, span), asio::bind_cancellation_slot(signal->slot(), [signal](std::exception_ptr) {}));
  asio::post(b.sim->lane(), [signal, type] { signal->emit(type); });
}

const small_case cases[] = {
    {"three tasks, one connection",
     [](small_bench& b) {
       for (int i = 0; i < 3; ++i) spawn(b, 1s, 0s);
     }},
    {"a cancel in the instant of a hand-off",
     [](small_bench& b) {
       spawn(b, 1s, 0s);
       spawn_cancelled(b, 1s, 0s, asio::cancellation_type::total);
       spawn(b, 1s, 0s);
     }},
    {"a timeout in the instant of a hand-off",
     [](small_bench& b) {
       spawn(b, 1s, 10ms);
       spawn(b, 10ms, 0s);
       spawn(b, 1s, 0s);
     }},
    {"no connection yet, and the first caller gives up",
     [](small_bench& b) {
       spawn_cancelled(b, 1s, 0s, asio::cancellation_type::terminal);
       spawn(b, 1s, 0s);
     },
     2, false, 10},
    {"the first connect fails",
     [](small_bench& b) {
       b.world->state(tidepool::testing::server_state::down);
       asio::post(b.sim->lane(), [&b] { b.world->state(tidepool::testing::server_state::up); });
       spawn(b, 1s, 0s);
       spawn(b, 1s, 0s);
     },
     2, false, 10},
    {"the idle connection is dead",
     [](small_bench& b) {
       asio::post(b.sim->lane(), [&b] { b.world->kill_sessions(); });
       spawn(b, 1s, 0s);
       spawn(b, 1s, 0s);
     }},
    {"the pool is recycled in between",
     [](small_bench& b) {
       spawn(b, 1s, 0s);
       spawn(b, 1s, 0s);
       asio::post(b.sim->lane(), [&b] {
         b.pool->recycle();
         b.recycled(false);
       });
     }},
    {"the pool is resized in between",
     [](small_bench& b) {
       spawn(b, 1s, 0s);
       spawn(b, 1s, 0s);
       asio::post(b.sim->lane(), [&b] {
         b.pool->resize(0, 1);
         b.resized();
       });
     },
     2},
    {"suspended and resumed in between",
     [](small_bench& b) {
       spawn(b, 1s, 0s);
       spawn(b, 1s, 0s);
       asio::post(b.sim->lane(), [&b] {
         b.pool->suspend();
         b.suspended = true;
       });
       asio::post(b.sim->lane(), [&b] {
         b.pool->resume();
         b.suspended = false;
       });
     }},
    {"the pool is closed in between",
     [](small_bench& b) {
       spawn(b, 1s, 0s);
       spawn(b, 1s, 0s);
       auto close = [](small_bench& at) -> asio::awaitable<void> {
         at.closed(0s);
         co_await at.pool->close(0s);
       };
       asio::co_spawn(b.sim->lane(), close(b), asio::detached);
     },
     1, true, 10},
    {"the pool object goes away in between",
     [](small_bench& b) {
       spawn(b, 1s, 0s);
       spawn(b, 1s, 0s);
       asio::post(b.sim->lane(), [&b] {
         b.closing = true;
         b.close_by = time_point::max();
         b.pool.reset();
       });
     }},
};

std::optional<failure> run(const small_case& what, choice_source& c) {
  pool_config config;
  config.min_size = 0;
  config.max_size = what.max_size;
  config.acquire_timeout = 1s;
  config.start = tidepool::start_mode::lazy;
  config.retry_delay = 1ms;
  c.pause(true);  // no choice is spent on preparations
  small_bench b(c, config);
  inspector<kind> look(b);
  if (what.warm) {
    auto warm_up = [](small_bench& at) -> asio::awaitable<void> { co_await use(at, 1s, 0s); };
    asio::co_spawn(b.sim->get_executor(), warm_up(b), asio::detached);
    b.sim->run_for(10ms);
  }
  c.pause(false);
  look.begin();
  what.start(b);
  const time_point until = b.sim->now() + 5s;
  while (!b.failed && b.sim->now() < until) {
    if (b.sim->quiet()) look.when_quiet();
    if (b.failed || !b.sim->step()) break;
    look.after_step();
  }
  if (b.held != 0) b.fail("INV-4", "a lease is left");
  b.last_time = b.sim->now();
  b.sim.reset();
  b.pool.reset();
  if (b.world->counts().open != 0) b.fail("INV-11", "a socket is left");
  return b.failed;
}

}  // namespace

TEST_CASE("given up to three tasks, when the first ten or twelve decisions take every combination, then no invariant breaks") {
  for (const small_case& what : cases) {
    auto c = choice_source::exhaustive(what.depth);
    std::size_t runs = 0;
    std::optional<failure> broken;
    record values;
    do {
      broken = run(what, c);
      values = c.values();
      ++runs;
    } while (!broken && c.next());
    INFO(what.name << ": " << (broken ? broken->rule + ": " + broken->text : "") << "\n  choices " << tidepool::testing::to_text(values));
    CHECK_FALSE(broken);
    CHECK(runs > 10);
    std::printf("%s: %zu orders\n", what.name, runs);
  }
}
