// SPDX-License-Identifier: BSL-1.0
// tidepool - the pool's dealings with connections: connectors that throw, operations that hang, what a connection is asked and when.
#include <functional>

#include "../support/on_end.hpp"
#include "rig.hpp"

namespace {

using namespace tidepool_tests;

// --- connectors ---------------------------------------------------------------------------------------------------------

struct untold {
  int number = 0;
};
struct untold_traits : testing::simulated_traits<untold> {
  using observer = recorder;
};
using untold_pool = tidepool::basic_pool<untold, untold_traits>;

TEST_CASE("given a connector that fails in any way, when it is called, then its place is free again", "[B032][B048]") {
  enum class fault { at_once, after_a_wait, no_exception_class, never };
  const auto how = GENERATE(fault::at_once, fault::after_a_wait, fault::no_exception_class, fault::never);
  simulation sim(1);
  auto config = calm(0, 1);
  config.connect_timeout = 3s;
  config.max_retries = 5;
  const recorder watcher;
  int calls = 0;
  struct connector {
    fault how;
    int* calls;
    asio::awaitable<untold> operator()() const {
      ++*calls;
      if (*calls <= 2 && how == fault::at_once) throw std::runtime_error("no way");
      return later(how, *calls);
    }
    static asio::awaitable<untold> later(fault how, int call) {
      co_await testing::sleep_for(call <= 2 && how == fault::never ? duration(24h) : duration(1ms));
      if (call <= 2 && how == fault::after_a_wait) throw std::runtime_error("no way");
      if (call <= 2 && how == fault::no_exception_class) throw 42;
      co_return untold{call};
    }
  };
  untold_pool pool(sim.get_executor(), connector{how, &calls}, config, watcher);
  untold_pool::lease lease;
  pool.async_acquire(1h, [&](error_code, untold_pool::lease got) { lease = std::move(got); });
  sim.run_for(1min);
  REQUIRE(lease);
  CHECK(lease->number == 3);
  CHECK(pool.stats().connection_errors == 2);
  CHECK(pool.stats().total_connections == 1);
  CHECK(watcher.events()->count("connect failed x1") == 1);
  CHECK(watcher.events()->count("connect failed x2") == 1);
  const std::vector<std::string> words{"no way", "no way", "unknown exception", "no answer within the connect timeout of 3 s"};
  CHECK(watcher.events()->has(words[static_cast<std::size_t>(how)]));
}

TEST_CASE("given a connect that timed out, when another succeeds meanwhile, then no later error repeats it", "[INV-22]") {
  /// Stands for another thread that comes in wherever the lock is free.
  struct gap_mutex : testing::checked_mutex {
    static std::function<void()>& in_gap() {
      static thread_local std::function<void()> what;
      return what;
    }
    void unlock() noexcept {
      checked_mutex::unlock();
      if (in_gap()) in_gap()();
    }
  };
  struct gap_traits : watched_traits<untold> {
    using mutex_type = gap_mutex;
  };
  simulation sim(1);
  auto config = calm(0, 2);
  config.connect_timeout = 3s;
  int calls = 0;
  // The second answers a little after the time of the first is up, the others never do.
  auto connect = [&calls]() -> asio::awaitable<untold> {
    const int call = ++calls;
    co_await testing::sleep_for(call == 2 ? duration(2001ms) : duration(24h));
    co_return untold{call};
  };
  using pool_type = tidepool::basic_pool<untold, gap_traits>;
  const recorder watcher;
  pool_type pool(sim.get_executor(), connect, config, watcher);
  pool_type::lease lease;
  pool.async_acquire(1h, [&](error_code, pool_type::lease got) { lease = std::move(got); });
  sim.run_for(1s);
  pool.async_acquire(1h, [](error_code, const pool_type::lease&) {});
  bool inside = false;
  bool was_inside = false;
  gap_mutex::in_gap() = [&] {
    if (std::exchange(inside, true)) return;
    if (!was_inside && pool.stats().connection_errors == 1) {
      was_inside = true;
      sim.run_for(1ms);
    }
    inside = false;
  };
  sim.run_for(2100ms);
  gap_mutex::in_gap() = nullptr;
  REQUIRE(was_inside);
  REQUIRE(lease);
  CHECK(watcher.events()->has("no answer within the connect timeout of 3"));
  std::string text;
  auto body = [&]() -> asio::awaitable<void> {
    try {
      auto another = co_await pool.acquire(100ms);
    } catch (const tidepool::pool_error& e) {
      text = e.what();
    }
  };
  asio::co_spawn(sim.get_executor(), body(), asio::detached);
  sim.run_for(1s);
  CHECK_THAT(text, has_text("no connection within 100 ms"));
  CHECK(text.find("no answer within") == std::string::npos);
}

TEST_CASE("given a connector that says a failure is permanent, then callers fail at once with its words") {
  simulation sim(1);
  int calls = 0;
  auto connect = [&]() -> asio::awaitable<untold> {
    ++calls;
    throw tidepool::connect_error(tidepool::failure_kind::permanent, "password authentication failed");
    co_return untold{};
  };
  untold_pool pool(sim.get_executor(), connect, calm(0, 1));
  std::string text;
  error_code code;
  auto body = [&]() -> asio::awaitable<void> {
    try {
      auto lease = co_await pool.acquire(1h);
    } catch (const tidepool::pool_error& e) {
      text = e.what();
      code = e.code();
    }
  };
  asio::co_spawn(sim.get_executor(), body(), asio::detached);
  sim.run_for(1s);
  CHECK(code == errc::connect_failed);
  CHECK_THAT(text, has_text("password authentication failed"));
  CHECK(calls == 1);
}

TEST_CASE("given a connector that takes the context, then executor, deadline, attempt and name are there") {
  simulation sim(1);
  auto config = calm(0, 1);
  config.name = "main";
  config.connect_timeout = 7s;
  std::vector<unsigned> attempts;
  bool right = true;
  auto connect = [&](untold_pool::connect_context context) -> asio::awaitable<untold> {
    attempts.push_back(context.attempt());
    right = right && context.deadline() == sim.now() + 7s && context.pool_name() == "main" && context.executor() == sim.get_executor();
    if (attempts.size() < 3) throw std::runtime_error("not yet");
    co_return untold{};
  };
  untold_pool pool(sim.get_executor(), connect, config);
  bool served = false;
  pool.async_acquire(1h, [&](error_code ec, untold_pool::lease) { served = !ec; });
  sim.run_for(1min);
  CHECK(served);
  CHECK(right);
  CHECK(attempts == std::vector<unsigned>{1, 2, 3});
}

TEST_CASE("given a caller with little time, when its connect runs, then it has the connect timeout's time", "[X3]") {
  simulation sim(1);
  auto config = calm(0, 1);
  config.connect_timeout = 7s;
  duration left{};
  auto connect = [&](untold_pool::connect_context context) -> asio::awaitable<untold> {
    left = context.deadline() - sim.now();
    co_await testing::sleep_for(3s);
    co_return untold{};
  };
  untold_pool pool(sim.get_executor(), connect, config);
  error_code code;
  pool.async_acquire(1s, [&](error_code ec, untold_pool::lease) { code = ec; });
  sim.run_for(5s);
  CHECK(code == errc::timeout);
  CHECK(left == 7s);
  CHECK(pool.stats().idle_connections == 1);
}

TEST_CASE("given a server that is away, when open() fails fast, then it throws the cause; lazily it recovers", "[C5]") {
  const bool lazy = GENERATE(false, true);
  auto config = calm(2, 2);
  config.max_retries = 2;
  if (lazy) config.start = tidepool::start_mode::lazy;
  rig<> r(config);
  r.server.state(server_state::unreachable);
  auto opened = r.start_open();
  r.sim.run_for(30s);
  if (lazy) {
    CHECK(opened->result == error_code());
    CHECK(r.pool->state() == pool_state::critical);
    r.server.state(server_state::up);
    r.sim.run_for(30s);
    CHECK(r.pool->state() == pool_state::healthy);
    CHECK(r.stats().idle_connections == 2);
  } else {
    CHECK(opened->result == make_error_code(errc::connect_failed));
    CHECK_THAT(opened->text, has_text(error_code(asio::error::network_unreachable).message()));
    CHECK(r.pool->state() == pool_state::closed);
    CHECK(r.sim.pending_waits() == 0);
  }
}

TEST_CASE("given an open() that is cancelled, when the server comes up, then the pool is open all the same", "[C5]") {
  rig<> r(calm(1, 2));
  r.server.plan()[operation::connect].latency = 2s;
  auto opened = r.start_open();
  r.sim.run_for(1s);
  opened->signal.emit(asio::cancellation_type::total);
  r.settle();
  CHECK(opened->result == make_error_code(errc::cancelled));
  r.sim.run_for(5s);
  CHECK(r.pool->state() == pool_state::healthy);
}

TEST_CASE("given a server that hangs and heals, when callers wait, then each attempt ends and they are served", "[T5][T6]") {
  auto config = calm(0, 2);
  config.connect_timeout = 2s;
  config.max_retries = 10;
  rig<> r(config);
  r.server.state(server_state::hung);
  auto a = r.ask(60s);
  auto b = r.ask(60s);
  r.sim.run_for(5s);
  CHECK(r.stats().connection_errors >= 2);
  CHECK(r.server.counts().connecting <= 1);
  r.server.state(server_state::up);
  r.sim.run_for(20s);
  CHECK(a->served());
  CHECK(b->served());
}

// --- bounds -------------------------------------------------------------------------------------------------------------

TEST_CASE("given a bypass of zero and a clock that lags, when it answered just now, then it is validated", "[H3]") {
  auto config = calm(1, 1);
  config.pre_ping = true;
  config.alive_bypass = 0s;
  rig<> r(config);
  r.sim.coarse_lag(4ms);
  r.open();
  for (std::uint64_t n = 1; n <= 3; ++n) {
    auto lease = r.take();
    CHECK(r.stats().validations == n);
  }
  r.close_and_check();
}

TEST_CASE("given an operation that ignores cancellation, when its bound is over, then socket and place are free", "[INV-8][B063][B064]") {
  const auto what = GENERATE(operation::ping, operation::reset, operation::close);
  auto config = calm(0, 1);
  config.pre_ping = true;
  config.alive_bypass = 0s;
  config.validation_timeout = config.reset_timeout = config.close_timeout = 2s;
  rig<> r(config);
  auto first = r.take();
  r.server.plan()[what].hangs = 1;
  r.server.plan()[what].cancel_ignored = 1;
  if (what == operation::reset) first->begin_transaction();
  first.release();
  if (what == operation::close) r.pool->recycle();
  auto a = r.ask(30s);
  r.sim.run_for(2s + 100ms);
  CHECK(a->served());
  CHECK(a->held.id() == 2);
  CHECK(r.server.counts().open == 1);
  r.server.plan()[what].hangs = 0;
  a->held.release();
  r.close_and_check();
}

// --- what a connection is asked -----------------------------------------------------------------------------------------

TEST_CASE("given idle connections whose death shows, when one is asked for, then none of them is handed out", "[H1][H2]") {
  const way how = GENERATE(way::callback, way::coroutine);
  rig<> r(calm(3, 5));
  r.open();
  r.server.kill_sessions();
  auto a = r.ask(5s, how);
  r.sim.run_for(1s);
  REQUIRE(a->served());
  CHECK(a->held.id() > 3);
  CHECK(a->held->usable());
  CHECK(r.stats().closed(close_reason::broken) == 3);
  CHECK_FALSE(r.server.counts().open == 4);
}

TEST_CASE("given a death not visible and no validation, when handed out, then the user meets the error once", "[H2]") {
  rig<> r(calm(1, 1));
  r.server.plan().unseen_death = 1;
  r.open();
  r.server.kill_sessions();
  auto a = r.take();
  error_code seen;
  auto use = [&]() -> asio::awaitable<void> {
    try {
      co_await a->query(1);
    } catch (const tidepool::system_error& e) {
      seen = e.code();
    }
  };
  asio::co_spawn(r.sim.get_executor(), use(), asio::detached);
  r.sim.run_for(1s);
  CHECK(seen);
  a.discard();
  CHECK(r.take().id() == 2);
}

TEST_CASE("given a lease that leaves a transaction open, when it ends, then it is reset; a clean one is not", "[R1][R4]") {
  rig<> r(calm(0, 1));
  auto a = r.take();
  a.release();
  r.settle();
  CHECK(r.server.counts().operations == 0);
  a = r.take();
  a->begin_transaction();
  auto waiter = r.ask(5s);
  a.release();
  r.sim.run_for(1s);
  CHECK(waiter->served());
  CHECK(waiter->held.id() == 1);
  CHECK_FALSE(waiter->held->session().dirty);
  CHECK(r.stats().resets == 1);
}

TEST_CASE("given a reset that fails, when a dirty lease ends, then the connection is replaced", "[R3][R6][B095]") {
  rig<> r(calm(0, 1));
  const bool throws = GENERATE(false, true);
  (throws ? r.server.plan()[operation::reset].throws : r.server.plan()[operation::reset].fails) = 1;
  auto a = r.take();
  a->begin_transaction();
  a.release();
  r.sim.run_for(1s);
  CHECK(r.stats().closed(close_reason::reset_failed) == 1);
  CHECK(r.take().id() == 2);
}

TEST_CASE("given a query given up half-way, when its lease ends, then the connection is destroyed", "[R2][R8]") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    rig<> r(calm(0, 1), seed);
    r.server.plan()[operation::query].latency = 1s;
    auto a = r.take();
    asio::cancellation_signal signal;
    auto use = [&]() -> asio::awaitable<void> { co_await a->query(1); };
    asio::co_spawn(r.sim.get_executor(), use(), asio::bind_cancellation_slot(signal.slot(), on_end([](std::exception_ptr) {})));
    r.sim.run_for(std::chrono::milliseconds(r.sim.choices().choose(1000)));
    signal.emit(asio::cancellation_type::terminal);
    r.sim.run_for(1ms);
    a.release();
    auto b = r.take();
    std::uint64_t answer = 0;
    auto next = [&]() -> asio::awaitable<void> { answer = co_await b->query(2); };
    asio::co_spawn(r.sim.get_executor(), next(), asio::detached);
    r.sim.run_for(5s);
    REQUIRE(answer == 2);
  }
}

TEST_CASE("given a holder whose queries are answered, when it returns, then their time counts for alive_bypass", "[H3][B084]") {
  auto config = calm(0, 1);
  config.pre_ping = true;
  config.alive_bypass = 500ms;
  rig<> r(config);
  auto a = r.take();
  r.sim.run_for(10s);
  SECTION("held without a query") {
    a.release();
    CHECK(r.take());
    CHECK(r.stats().validations == 1);
  }
  SECTION("used a moment ago") {
    auto use = [&]() -> asio::awaitable<void> { co_await a->query(1); };
    asio::co_spawn(r.sim.get_executor(), use(), asio::detached);
    r.sim.run_for(100ms);
    a.release();
    CHECK(r.take());
    CHECK(r.stats().validations == 0);
  }
}

constexpr testing::fake_features nothing{false, false, false, false, false, false, false};
constexpr testing::fake_features reset_only{false, true, false, false, false, false, false};
constexpr testing::fake_features ping_only{true, false, false, false, false, false, false};

TEST_CASE("given a type that can only be moved, when it is pooled, then all that needs no help of it works") {
  using bare = testing::basic_fake_connection<nothing>;
  auto config = pool_config();
  config.min_size = 1;
  config.max_size = 2;
  rig<bare> r(config);
  r.open();
  auto a = r.take();
  auto b = r.ask(10s);
  auto c = r.ask(1s);
  r.sim.run_for(2s);
  CHECK(b->served());
  CHECK(c->failed_with(errc::timeout));
  a.release();
  b->held.release();
  r.sim.run_for(1h);
  CHECK(r.stats().validations == 0);
  r.close_and_check();
  CHECK(r.server.counts().open == 0);
}

TEST_CASE("given callers granted in one moment, when some connections are dead, then the order is kept", "[A6]") {
  const auto dead = GENERATE(0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u);  // which of three
  CAPTURE(dead);
  rig<fake_connection> r(calm(3, 3));
  r.open();
  r.sim.run_for(1s);
  r.pool->suspend();
  std::vector<rig<fake_connection>::request_ptr> callers;
  for (int i = 0; i < 3; ++i) callers.push_back(r.ask(10s));
  r.settle();
  std::size_t alive = 3;
  const auto sessions = r.server.core()->sessions;  // a copy, as the dead leave it
  for (auto* session : sessions) {
    if ((dead >> (session->id - 1) & 1) == 0) continue;
    session->close_socket();
    --alive;
  }
  r.pool->resume();
  r.settle();
  for (std::size_t i = 0; i < 3; ++i) CHECK(callers[i]->pending() == (i >= alive));
  r.sim.run_for(1s);
  for (const auto& one : callers) {
    REQUIRE(one->served());
    one->held.release();
  }
  CHECK(r.stats().waited == 3);
  r.close_and_check();
}

TEST_CASE("given a type with reset() and no after_lease(), when a lease ends, then it is always reset") {
  rig<testing::basic_fake_connection<reset_only>> r(calm(0, 1));
  r.take().release();
  r.sim.run_for(1s);
  CHECK(r.stats().resets == 1);
  CHECK(r.stats().idle_connections == 1);
}

TEST_CASE("given a connection type with ping() alone, when it lies idle, then it is pinged once per interval", "[H5]") {
  auto config = calm(1, 1);
  config.health_check_interval = 30s;
  rig<testing::basic_fake_connection<ping_only>> r(config);
  r.open();
  r.sim.run_for(5min + 15s);
  CHECK(r.stats().validations == 10);
  CHECK(r.stats().validation_failures == 0);
}

// --- other ways to validate ---------------------------------------------------------------------------------------------

struct talker {
  std::vector<std::string>* heard = nullptr;
  talker() = default;
  explicit talker(std::vector<std::string>& h) : heard(&h) {}
  asio::awaitable<void> ping() {
    heard->push_back("ping");
    co_return;
  }
  asio::awaitable<void> ping(std::string_view query) {
    heard->push_back(std::string(query));
    co_return;
  }
};

TEST_CASE("given validation_query, when test_on_borrow is on, then the driver runs it instead of its own ping") {
  struct row {
    bool on_borrow;
    const char* query;
    std::string expected;
  };
  for (const row& t : std::vector<row>{{true, "select 1", "select 1"}, {false, "select 1", "ping"}, {true, "", "ping"}}) {
    simulation sim(1);
    std::vector<std::string> heard;
    auto config = calm(0, 1);
    config.pre_ping = true;
    config.test_on_borrow = t.on_borrow;
    config.validation_query = t.query;
    config.alive_bypass = 0s;
    auto connect = [&]() -> asio::awaitable<talker> { co_return talker(heard); };
    using pool_type = tidepool::basic_pool<talker, testing::simulated_traits<talker>>;
    pool_type pool(sim.get_executor(), connect, config);
    for (int i = 0; i < 2; ++i) {
      pool.async_acquire(1s, [](error_code, pool_type::lease) {});
      sim.run_for(1s);
    }
    CHECK(heard == std::vector<std::string>{t.expected});
  }
}

struct suspicious : tidepool::health_check {
  using health_check::health_check;
  asio::awaitable<void> validate(fake_connection& c) const {
    if (c.id() % 2 == 1 && !trusting) throw std::runtime_error("odd connections are not trusted");
    co_return;
  }
  static inline bool trusting = false;
};
struct suspicious_traits : watched_traits<fake_connection> {
  using health_policy = suspicious;
};

TEST_CASE("given a custom validation, when it refuses a connection, then that one is replaced, the reason told", "[K1]") {
  auto config = calm(0, 1);
  config.test_on_borrow = true;
  config.alive_bypass = 0s;
  rig<fake_connection, suspicious_traits> r(config);
  suspicious::trusting = true;
  r.take().release();
  suspicious::trusting = false;
  auto a = r.take();
  CHECK(a->id() == 2);
  CHECK(r.events->has("health failed 1: odd connections are not trusted"));
  CHECK(r.stats().closed(close_reason::invalid) == 1);
  a.discard();
  a = r.take();
  CHECK(a->id() == 4);  // what is condemned at once was never a connection
  CHECK(r.events->has("connect failed x1: odd connections are not trusted"));
  CHECK(r.stats().connection_errors == 1);
  a.release();
  CHECK(r.take()->id() == 4);
}

TEST_CASE("given a validation that always fails, when a caller waits, then it ends in time, connects are few", "[T11][B058]") {
  auto config = calm(0, 2);
  config.pre_ping = true;
  config.alive_bypass = 0s;
  rig<> r(config);
  r.server.plan()[operation::ping].fails = 1;
  auto a = r.take();
  auto b = r.take();
  a.release();
  b.release();
  const auto before = r.server.counts().connects;
  auto c = r.ask(1s);
  r.sim.run_for(2s, 10'000);
  CHECK_FALSE(c->pending());
  CHECK(r.server.counts().connects - before <= 2);
}

}  // namespace
