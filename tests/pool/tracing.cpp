// SPDX-License-Identifier: BSL-1.0
// tidepool - tracing: each step of the pool begins and ends once, within the trace of its caller, never under the lock.
#include <tidepool/tracing.hpp>

#include <cstdint>
#include <stdexcept>

#include "rig.hpp"

namespace {

using namespace tidepool_tests;
using tidepool::trace_context;
using tidepool::trace_end;
using tidepool::trace_start;
using tidepool::trace_step;

/// Keeps the spans as lines of text: "acquire of 7 ok: 3 2ms".
struct spans_kept {
  std::vector<std::string> began;
  std::vector<std::string> ended;
  std::vector<trace_context> open;
  std::uint8_t last = 0;
  bool samples = true;
  bool throws = false;

  std::size_t count(const std::vector<std::string>& of, const std::string& part) const {
    std::size_t n = 0;
    for (const auto& line : of) n += line.find(part) != std::string::npos;
    return n;
  }
};
trace_context trace_of(std::uint8_t number) {
  trace_context out;
  out.trace_id[0] = number;
  out.flags = 1;
  return out;
}

/// The tracer of these pools.
class spans_tracer {
 public:
  spans_tracer() : kept_(std::make_shared<spans_kept>()) {}
  const std::shared_ptr<spans_kept>& kept() const noexcept { return kept_; }
  std::optional<trace_context> start(const trace_start& what) {
    testing::checked_mutex::expect_unlocked("a span begins");
    if (kept_->throws) throw std::runtime_error("no room");
    if (!kept_->samples) return std::nullopt;
    kept_->began.push_back(std::string(what.pool) + ": " + to_string(what.step) + " in " + std::to_string(what.parent.trace_id[0]) +
                           " of " + std::to_string(what.id) + (what.where.line() > 0 ? " with place" : ""));
    trace_context made = what.parent;
    made.trace_id[0] = made.empty() ? 200 : made.trace_id[0];
    made.span_id[0] = ++kept_->last;
    kept_->open.push_back(made);
    return made;
  }
  void end(const trace_context& span, const trace_end& how) {
    testing::checked_mutex::expect_unlocked("a span ends");
    const auto same = [&](const trace_context& one) { return one.span_id == span.span_id; };
    REQUIRE(std::erase_if(kept_->open, same) == 1);
    kept_->ended.push_back(std::string(to_string(how.step)) + (how.error.empty() ? " ok" : " failed: " + std::string(how.error)) + " of " +
                           std::to_string(how.id) + " after " +
                           std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(how.took).count()) + " ms");
    if (kept_->throws) throw std::runtime_error("no room");
  }

 private:
  std::shared_ptr<spans_kept> kept_;
};
/// Remembers in which trace its statements would be.
struct traced_fake : fake_connection {
  using fake_connection::fake_connection;
  static inline int trace = -1;
  static inline int span_number = -1;
  void trace_in(const trace_context& parent) noexcept {
    trace = parent.trace_id[0];
    span_number = parent.span_id[0];
  }
};
struct spans_traits : testing::simulated_traits<traced_fake> {
  using tracer = spans_tracer;
};
static_assert(tidepool::tracer_form<spans_tracer> && tidepool::tracer_form<tidepool::null_tracer> &&
              tidepool::tracer_form<tidepool::shared_tracer> && !tidepool::tracer_form<int>);
static_assert(tidepool::has_trace_in<traced_fake>);

struct traced_pool {
  explicit traced_pool(const pool_config& config) : server(sim), pool(make(config)) {}
  std::unique_ptr<tidepool::basic_pool<traced_fake, spans_traits>> make(const pool_config& config) {
    return std::make_unique<tidepool::basic_pool<traced_fake, spans_traits>>(
        sim.get_executor(), testing::basic_fake_connector<traced_fake>(server), config, tidepool::null_observer(), to);
  }
  using lease = tidepool::basic_pool<traced_fake, spans_traits>::lease;
  struct answer {
    std::optional<error_code> result;
    lease held;
    asio::cancellation_signal signal;
  };
  std::shared_ptr<answer> ask(std::uint8_t trace, duration timeout, way how) {
    auto out = std::make_shared<answer>();
    const auto parent = trace_of(trace);
    if (how == way::callback) {
      pool->async_acquire(
          parent, timeout,
          asio::bind_cancellation_slot(out->signal.slot(), asio::bind_executor(sim.get_executor(), [out](error_code e, lease l) {
                                         out->result = e;
                                         out->held = std::move(l);
                                       })));
    } else {
      asio::co_spawn(sim.get_executor(), acquire(out, parent, timeout), asio::bind_cancellation_slot(out->signal.slot(), asio::detached));
    }
    return out;
  }
  asio::awaitable<void> acquire(std::shared_ptr<answer> out, trace_context parent, duration timeout) {
    try {
      out->held = co_await pool->acquire(parent, timeout);
      out->result = error_code();
    } catch (const tidepool::pool_error& failed) {
      out->result = failed.code();
    }
  }

  spans_tracer to;
  std::shared_ptr<spans_kept> spans = to.kept();
  testing::simulation sim;
  testing::world server;
  std::unique_ptr<tidepool::basic_pool<traced_fake, spans_traits>> pool;
};

TEST_CASE("given a tracer, when a caller acquires in a trace, then connect and acquire are spans, its own in it") {
  const way how = GENERATE(way::callback, way::coroutine);
  auto config = calm(0, 1);
  config.name = "shop";
  traced_pool r(config);
  auto got = r.ask(7, 10s, how);
  r.sim.run_for(1s);
  REQUIRE(got->held);
  CHECK(r.spans->began == std::vector<std::string>{"shop: acquire in 7 of 0 with place", "shop: connect in 0 of 1"});
  CHECK(r.spans->ended == std::vector<std::string>{"connect ok of 0 after 1 ms", "acquire ok of 1 after 1 ms"});
  CHECK(traced_fake::trace == 7);
  got->held.release();
  auto plain = r.pool->try_acquire();
  REQUIRE(plain);
  CHECK(traced_fake::trace == 0);  // no caller's trace
  CHECK(r.spans->open.empty());
}

TEST_CASE("given a tracer, when an acquire fails, then its span says why, once, however it ends") {
  const way how = GENERATE(way::callback, way::coroutine);
  auto config = calm(1, 1);
  config.max_waiting = 1;
  traced_pool r(config);
  auto holder = r.ask(1, 10s, how);
  r.sim.run_for(1s);
  REQUIRE(holder->held);
  auto late = r.ask(2, 50ms, how);
  r.sim.run_for(10ms);
  auto full = r.ask(3, 10s, how);
  r.sim.run_for(1s);
  CHECK(late->result == make_error_code(errc::timeout));
  CHECK(full->result == make_error_code(errc::queue_full));
  auto cancelled = r.ask(4, 10s, how);
  r.sim.run_for(1ms);
  cancelled->signal.emit(asio::cancellation_type::terminal);
  r.sim.run_for(1ms);
  CHECK(cancelled->result == make_error_code(errc::cancelled));
  auto closed = r.ask(5, 10s, how);
  r.sim.run_for(1ms);
  r.pool.reset();
  r.sim.run_for(1s);
  CHECK(closed->result == make_error_code(errc::closed));
  CHECK(r.spans->count(r.spans->ended, "acquire failed: timeout of 0 after 50 ms") == 1);
  CHECK(r.spans->count(r.spans->ended, "acquire failed: queue_full of 0 after 0 ms") == 1);
  CHECK(r.spans->count(r.spans->ended, "acquire failed: cancelled of 0 after 1 ms") == 1);
  CHECK(r.spans->count(r.spans->ended, "acquire failed: closed of 0 after 1 ms") == 1);
  CHECK(r.spans->count(r.spans->ended, "acquire failed") == 4);
  CHECK(r.spans->open.empty());
}

TEST_CASE("given a tracer, when the pool validates, resets and closes, then each is a span of its own") {
  auto config = calm(1, 1);
  config.pre_ping = true;
  traced_pool r(config);
  auto first = r.ask(1, 10s, way::callback);
  r.sim.run_for(1s);
  REQUIRE(first->held);
  CHECK(r.spans->count(r.spans->began, "validate") == 0);
  first->held->begin_transaction();
  first->held.release();
  r.sim.run_for(10s);
  CHECK(r.spans->count(r.spans->began, "pool: reset in 0 of 1") == 1);
  CHECK(r.spans->count(r.spans->ended, "reset ok of 0 after 1 ms") == 1);
  CHECK(traced_fake::trace == 200);  // the reset's
  auto second = r.ask(2, 10s, way::callback);
  r.sim.run_for(1s);
  REQUIRE(second->held);
  CHECK(r.spans->count(r.spans->began, "pool: validate in 0 of 1") == 1);
  CHECK(r.spans->count(r.spans->ended, "validate ok of 0 after 1 ms") == 1);
  CHECK(traced_fake::trace == 2);
  second->held.release();
  r.pool->recycle();
  r.sim.run_for(1s);
  CHECK(r.spans->count(r.spans->began, "pool: close in 0 of 1") == 1);
  CHECK(r.spans->count(r.spans->ended, "close ok of 0 after 1 ms") == 1);
  CHECK(r.spans->open.empty());
}

TEST_CASE("given a tracer, when connects and validations fail or hang, then their spans end with the reason") {
  auto config = calm(1, 1);
  config.pre_ping = true;
  config.max_retries = config.breaker_threshold = no_limit;
  config.connect_timeout = 3s;
  traced_pool r(config);
  r.server.state(server_state::unreachable);
  auto got = r.ask(1, 1h, way::callback);
  r.sim.run_for(100ms);
  CHECK(r.spans->count(r.spans->ended, "connect failed: Network is unreachable of 0 after 1 ms") == 1);
  r.server.state(server_state::hung);
  r.sim.run_for(20s);
  CHECK(r.spans->count(r.spans->ended, "connect failed: ") >= 2);
  r.server.state(server_state::up);
  r.sim.run_for(20s);
  REQUIRE(got->held);
  got->held.release();
  r.sim.run_for(10s);
  r.server.state(server_state::hung);
  auto next = r.ask(2, 30s, way::callback);
  r.sim.run_for(1min);
  CHECK(r.spans->count(r.spans->ended, "validate failed: ") == 1);
  r.pool.reset();
  r.sim.run_for(1min);
  CHECK(r.spans->open.empty());
}

TEST_CASE("given a tracer that samples nothing, or throws, then the pool works as without one") {
  traced_pool r(calm(0, 2));
  r.spans->throws = GENERATE(true, false);
  r.spans->samples = false;
  auto got = r.ask(1, 10s, way::coroutine);
  auto other = r.ask(2, 10s, way::callback);
  r.sim.run_for(1s);
  REQUIRE(got->held);
  REQUIRE(other->held);
  CHECK(r.spans->began.empty());
  CHECK(r.spans->ended.empty());
}

TEST_CASE("given a simulation that ends while callers wait, then their spans end with it") {
  std::shared_ptr<spans_kept> spans;
  {
    const way how = GENERATE(way::callback, way::coroutine);
    traced_pool r(calm(1, 1));
    spans = r.spans;
    auto held = r.ask(1, 10s, how);
    r.sim.run_for(1s);
    auto waits = r.ask(2, 1h, how);
    r.sim.run_for(1s);
    REQUIRE(spans->open.size() == 1);
    held->held.release();
    r.pool.reset();
    r.sim.run_for(1s);
  }
  CHECK(spans->open.empty());
}

/// Gives each span a number.
struct numbering final : tidepool::tracing {
  int started = 0, ended = 0;
  std::optional<trace_context> start(const trace_start& what) noexcept override {
    ++started;
    return what.parent;
  }
  void end(const trace_context&, const trace_end&) noexcept override { ++ended; }
};

TEST_CASE("given spans to be sampled, then those of sampled traces are, and of others one of so many") {
  const auto kept = std::make_shared<numbering>();
  tidepool::sampled_tracing sampled(kept, 10);
  const auto run = [&](const trace_context& parent, int times) {
    const int before = kept->started;
    for (int i = 0; i < times; ++i) {
      const auto span = sampled.start({trace_step::acquire, parent, {}, 0, {}, {}, {}, {}});
      if (span) sampled.end(*span, {trace_step::acquire, 1ms, {}, 0, {}});
    }
    return kept->started - before;
  };
  CHECK(run(trace_context(), 100) == 10);
  CHECK(run(trace_of(1), 100) == 100);
  auto unsampled = trace_of(2);
  unsampled.flags = 0;
  CHECK(run(unsampled, 100) == 0);
  CHECK(kept->ended == kept->started);
  CHECK(run(trace_context(), 1) == 1);
}

struct shared_traits : testing::simulated_traits<fake_connection> {
  using tracer = tidepool::shared_tracer;
};

TEST_CASE("given a tracer that is chosen at run time, then it gets the spans, and without one there are none") {
  const auto kept = GENERATE(true, false) ? std::make_shared<numbering>() : nullptr;
  testing::simulation sim;
  testing::world server(sim);
  using pool_type = tidepool::basic_pool<fake_connection, shared_traits>;
  pool_type pool(sim.get_executor(), server.connector(), calm(1, 1), {}, kept);
  pool_type::lease lease;
  pool.async_acquire(1h, asio::bind_executor(sim.get_executor(), [&](error_code, pool_type::lease got) { lease = std::move(got); }));
  sim.run_for(1s);
  REQUIRE(lease);
  if (kept) CHECK(kept->started == 2);
  if (kept) CHECK(kept->ended == 2);
}

TEST_CASE("given a pool without a tracer, when a caller passes a trace, then it is served as any other") {
  rig<fake_connection, testing::simulated_traits<fake_connection>> r(calm(1, 1));
  std::optional<error_code> result;
  r.pool->async_acquire(trace_of(1), 1s, asio::bind_executor(r.sim.get_executor(), [&](error_code e, auto) { result = e; }));
  r.sim.run_for(1s);
  CHECK(result == error_code());
}

}  // namespace
