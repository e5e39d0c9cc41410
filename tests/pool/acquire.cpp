// SPDX-License-Identifier: BSL-1.0
// tidepool - acquire with every completion token, on the caller's executor, with every cancellation type; leases; errors that explain.
#include <tidepool/pool.hpp>

#include <future>
#include <thread>

#include "rig.hpp"
#include "support/asio.hpp"
#include "support/on_end.hpp"

namespace {

using namespace tidepool_tests;

struct plain {
  int number = 0;
};
asio::awaitable<plain> make_plain() { co_return plain{7}; }
using plain_pool = tidepool::basic_pool<plain>;

// --- completion tokens --------------------------------------------------------------------------------------------------

TEST_CASE("given a callback with an executor of its own, when a lease is granted, then it runs on that executor", "[A10]") {
  asio::io_context pool_context;
  asio::io_context callers_context;
  plain_pool pool(pool_context, make_plain, calm(0, 1));
  bool called = false;
  bool there = false;
  const auto ask = [&] {
    called = there = false;
    pool.async_acquire(5s, asio::bind_executor(callers_context, [&](error_code ec, plain_pool::lease lease) {
                         called = !ec && lease;
                         there = callers_context.get_executor().running_in_this_thread() &&
                                 !pool_context.get_executor().running_in_this_thread();
                       }));
  };
  ask();
  while (pool.stats().active_connections == 0) pool_context.run_one();
  pool_context.poll();
  CHECK_FALSE(called);
  callers_context.run();
  CHECK(called);
  CHECK(there);
  callers_context.restart();
  ask();  // now from the idle connection
  CHECK_FALSE(called);
  callers_context.run();
  CHECK(called);
  CHECK(there);
}

TEST_CASE("given use_future and a pool on another thread, then the future gives a lease or throws the error") {
  asio::thread_pool context(1);
  plain_pool pool(context, make_plain, calm(0, 1));
  std::future<plain_pool::lease> first = pool.async_acquire(5s, asio::use_future);
  plain_pool::lease lease = first.get();
  CHECK(lease->number == 7);
  std::future<plain_pool::lease> second = pool.async_acquire(10ms, asio::use_future);
  error_code seen;
  try {
    static_cast<void>(second.get());
  } catch (const tidepool::system_error& e) {
    seen = e.code();
  }
  CHECK(seen == errc::timeout);
  CHECK(seen == std::errc::timed_out);
  lease.release();
  CHECK(pool.async_acquire(0s, asio::use_future).get());
}

TEST_CASE("given use_awaitable, as_tuple and redirect_error, when awaited, then each brings lease or error") {
  asio::io_context context;
  plain_pool pool(context, make_plain, calm(0, 1));
  int number = 0;
  error_code as_tuple_error;
  bool as_tuple_empty = false;
  error_code thrown;
  auto body = [&]() -> asio::awaitable<void> {
    plain_pool::lease lease = co_await pool.async_acquire(5s, asio::use_awaitable);
    number = lease->number;
    auto result = co_await pool.async_acquire(1ms, as_tuple(asio::use_awaitable));
    as_tuple_error = std::get<0>(result);
    as_tuple_empty = !std::get<1>(result);
    try {
      plain_pool::lease none = co_await pool.async_acquire(0s, asio::use_awaitable);
    } catch (const tidepool::system_error& e) {
      thrown = e.code();
    }
  };
  asio::co_spawn(context, body(), asio::detached);
  context.run();
  CHECK(number == 7);
  CHECK(as_tuple_error == errc::timeout);
  CHECK(as_tuple_empty);
  CHECK(thrown == errc::timeout);
}

#if TIDEPOOL_ASIO_HAS_DEFERRED
TEST_CASE("given deferred, when it is awaited or called later, then nothing happens before, all works after") {
  asio::io_context context;
  plain_pool pool(context, make_plain, calm(0, 1));
  auto later = pool.async_acquire(5s, asio::deferred);
  CHECK(pool.stats().connects_started == 0);
  bool called = false;
  std::move(later)([&](error_code ec, plain_pool::lease lease) { called = !ec && lease; });
  context.run();
  CHECK(called);
}
#endif

TEST_CASE("given awaitable operators, when two acquires race, then the loser is cancelled and loses nothing", "[X10]") {
  using namespace asio::experimental::awaitable_operators;
  asio::io_context context;
  plain_pool pool(context, make_plain, calm(0, 1));
  bool done = false;
  auto body = [&]() -> asio::awaitable<void> {
    plain_pool::lease lease = co_await pool.acquire();
    asio::basic_waitable_timer<std::chrono::steady_clock> timer(co_await asio::this_coro::executor);
    timer.expires_after(5ms);
    auto either = co_await (pool.acquire(10s) || timer.async_wait(asio::use_awaitable));
    done = either.index() == 1;
  };
  bool ended = false;
  asio::co_spawn(context, body(), on_end([&](std::exception_ptr) { ended = true; }));
  while (!ended) context.run_one();
  CHECK(done);
  CHECK(pool.stats().cancelled == 1);
  CHECK(pool.stats().idle_connections == 1);
  CHECK(pool.stats().waiting == 0);
}

// --- cancellation -------------------------------------------------------------------------------------------------------

TEST_CASE("given a waiter, when it is cancelled in any way, then it fails at once and the next takes its place", "[X9][X4]") {
  const way how = GENERATE(way::callback, way::coroutine);
  const auto type = GENERATE(asio::cancellation_type::total, asio::cancellation_type::partial, asio::cancellation_type::terminal,
                             asio::cancellation_type::all);
  rig<> r(calm(0, 1));
  auto held = r.take();
  auto a = r.asked(10s, how);
  auto b = r.asked(10s, how);
  r.sim.run_for(1s);
  const auto now = r.sim.now();
  a->signal.emit(type);
  r.settle();
  CHECK(a->failed_with(errc::cancelled));
  CHECK(*a->result == std::errc::operation_canceled);
  CHECK(a->ended == now);
  held.release();
  r.settle();
  CHECK(b->served());
  a->signal.emit(type);  // long after
  CHECK(r.stats().cancelled == 1);
}

TEST_CASE("given an acquire cancelled before it begins, when it begins, then it takes and opens nothing", "[X1]") {
  rig<> r(calm(0, 1));
  auto a = r.ask(10s, way::coroutine);
  a->signal.emit(asio::cancellation_type::terminal);
  r.settle();
  CHECK((a->pending() || a->result != error_code()));
  CHECK_FALSE(a->held);
  r.sim.run_for(1s);
  CHECK(r.stats().active_connections == 0);
  CHECK(r.stats().waiting == 0);
}

TEST_CASE("given a caller whose connect runs, when it is cancelled, then it ends at once, the connect goes on", "[X2]") {
  const way how = GENERATE(way::callback, way::coroutine);
  rig<> r(calm(0, 1));
  r.server.plan()[operation::connect].latency = 1s;
  auto a = r.asked(10s, how);
  r.sim.run_for(500ms);
  a->signal.emit(asio::cancellation_type::total);
  r.settle();
  CHECK(a->failed_with(errc::cancelled));
  CHECK(r.stats().connecting == 1);
  r.sim.run_for(1s);
  CHECK(r.stats().idle_connections == 1);
  CHECK(r.server.counts().connects == 1);
}

TEST_CASE("given a validation that hangs, when the caller is cancelled, then it ends then and nothing is lost", "[X7][B009][B010]") {
  const way how = GENERATE(way::callback, way::coroutine);
  auto config = calm(0, 1);
  config.pre_ping = true;
  config.alive_bypass = 0s;
  config.validation_timeout = 2s;
  rig<> r(config);
  r.take().release();
  r.server.plan()[operation::ping].hangs = 1;
  auto a = r.asked(30s, how);
  r.sim.run_for(1s);
  const auto now = r.sim.now();
  a->signal.emit(asio::cancellation_type::total);
  r.settle();
  CHECK(a->failed_with(errc::cancelled));
  CHECK(a->ended == now);
  r.sim.run_for(1s);
  CHECK(r.stats().closed(close_reason::invalid) == 1);
  r.server.plan()[operation::ping].hangs = 0;
  CHECK(r.take());
}

TEST_CASE("given a signal that is never used, when it is gone before the lease, then there is no trouble", "[X10]") {
  const way how = GENERATE(way::callback, way::coroutine);
  rig<> r(calm(0, 1));
  auto a = r.ask(10s, how);
  r.sim.run_for(1s);
  REQUIRE(a->served());
  auto lease = std::move(a->held);
  a.reset();
  CHECK(lease->open());
}

// --- leases -------------------------------------------------------------------------------------------------------------

TEST_CASE("given a lease, when it is moved, assigned or released twice, then its connection comes back once", "[R13][B124]") {
  rig<> r(calm(0, 2));
  auto a = r.take();
  const auto id = a.id();
  CHECK(id == 1);
  rig<>::lease b = std::move(a);
  CHECK_FALSE(a);
  CHECK(a.id() == 0);
  CHECK(a.age() == 0s);
  a.release();
  a.discard();
  a.label("nobody");
  CHECK_THROWS_AS(a.detach(), tidepool::system_error);
  CHECK(b.id() == id);
  auto c = r.take();
  b = std::move(c);  // gives the first one back
  CHECK(r.stats().active_connections == 1);
  b.release();
  b.release();
  CHECK(r.stats().total_checkins == 2);
  { auto d = r.take(); }
  CHECK(r.stats().active_connections == 0);
  auto& self = b;
  b = std::move(self);
  CHECK_FALSE(b);
}

TEST_CASE("given a lease, when it is detached, then the connection is the caller's, the floor is refilled", "[R12]") {
  rig<> r(calm(1, 1));
  r.open();
  auto a = r.take();
  CHECK(a.age() == 0s);
  r.sim.run_for(3s);
  CHECK(a.age() == 3s);
  fake_connection mine = a.detach();
  CHECK_FALSE(a);
  CHECK(mine.open());
  r.sim.run_for(1s);
  CHECK(r.stats().idle_connections == 1);
  CHECK(r.server.counts().open == 2);
  r.close_and_check();
  CHECK(mine.open());
  CHECK(r.events->has("destroyed 1 detached"));
}

TEST_CASE("given a lease that its holder discards, when it ends, then the connection is destroyed at once", "[R7]") {
  rig<> r(calm(0, 1));
  auto a = r.take();
  a.discard();
  r.settle();
  CHECK(r.server.counts().operations == 0);
  CHECK(r.server.counts().open == 0);
  CHECK(r.stats().closed(close_reason::broken) == 1);
  CHECK(r.take());
}

TEST_CASE("given a handler that throws, when that destroys its lease, then the connection is used again", "[R9]") {
  rig<> r(calm(0, 1));
  auto body = [&]() -> asio::awaitable<void> {
    auto lease = co_await r.pool->acquire();
    throw std::runtime_error("the user's own");
  };
  bool thrown = false;
  asio::co_spawn(r.sim.get_executor(), body(), on_end([&](std::exception_ptr e) { thrown = e != nullptr; }));
  r.sim.run_for(1s);
  CHECK(thrown);
  CHECK(r.stats().idle_connections == 1);
  CHECK(r.take().id() == 1);
}

TEST_CASE("given 100 tasks of 100 acquires on one connection, when all run, then all are served in order", "[A4][B113]") {
  rig<> r(calm(0, 1));
  std::size_t served = 0;
  auto task = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 100; ++i) {
      auto lease = co_await r.pool->acquire(1h);
      ++served;
      co_await testing::sleep_for(1ms);
    }
  };
  for (int i = 0; i < 100; ++i) asio::co_spawn(r.sim.get_executor(), task(), asio::detached);
  r.sim.run_for(1h);
  CHECK(served == 10'000);
  CHECK(r.server.counts().connects == 1);
  CHECK(r.stats().max_checkout_time <= 110ms);  // nobody is overtaken again and again
}

TEST_CASE("given 25,000 waiters on three connections, when they come back, then all are served", "[A8]") {
  rig<> r(calm(3, 3));
  r.open();
  std::size_t served = 0;
  for (int i = 0; i < 25'000; ++i) {
    r.pool->async_acquire(1h, asio::bind_executor(r.sim.get_executor(), [&](error_code ec, rig<>::lease) { served += !ec; }));
  }
  r.sim.run_for(1s);
  CHECK(served == 25'000);
  CHECK(r.server.counts().connects == 3);
}

// --- errors -------------------------------------------------------------------------------------------------------------

TEST_CASE("given an exhausted pool, when an acquire times out, then the error tells of the leases, and where", "[T10][T3]") {
  auto config = calm(0, 1);
  config.name = "orders";
  config.acquire_timeout = 2s;
  rig<> r(config);
  auto held = r.take();
  held.label("report job");
  r.sim.run_for(5s);
  std::string text;
  std::optional<tidepool::error_report> report;
  error_code code;
  unsigned line = 0;
  auto body = [&]() -> asio::awaitable<void> {
    try {
      line = tidepool::source_location::current().line() + 1;
      auto lease = co_await r.pool->acquire();
    } catch (const tidepool::pool_error& e) {
      text = e.what();
      report = e.report();
      code = e.code();
    }
  };
  asio::co_spawn(r.sim.get_executor(), body(), asio::detached);
  auto other = r.ask(1h);
  r.sim.run_for(3s);
  REQUIRE(report);
  CHECK(code == errc::timeout);
  CHECK(report->pool == "orders");
  CHECK(report->waited == 2s);
  CHECK(report->active == 1);
  CHECK(report->max_size == 1);
  CHECK(report->waiting == 1);
  CHECK(report->state == pool_state::healthy);
  REQUIRE(report->holders.size() == 1);
  CHECK(report->holders[0].label == "report job");
  CHECK(report->holders[0].held == 7s);
  CHECK(report->last_connect_error.empty());
  CHECK(report->limit == 2s);
  CHECK(report->where.line() == line);
  CHECK(std::string(report->bottleneck()) == "every connection is leased");
  CHECK_THAT(text, has_text("pool \"orders\": no connection within 2 s, asked for at acquire.cpp:" + std::to_string(line)));
  CHECK_THAT(text, has_text("held longest: #1 for 7 s from rig.hpp:"));
  CHECK_THAT(text, has_text("(report job)"));
}

TEST_CASE("given failing connects, when a caller fails, then the error has the last one; a success clears it", "[T10][B111][INV-22]") {
  auto config = calm(0, 2);
  config.max_retries = 0;
  rig<> r(config);
  r.server.state(server_state::unreachable);
  auto a = r.ask(10s, way::coroutine);
  r.sim.run_for(1s);
  CHECK(a->failed_with(errc::connect_failed));
  CHECK(*a->result == std::errc::not_connected);
  CHECK_THAT(a->text, has_text(": " + error_code(asio::error::network_unreachable).message() + " ("));
  r.server.state(server_state::up);
  r.sim.run_for(5s);
  auto x = r.take();
  auto y = r.take();
  auto b = r.ask(1s, way::coroutine);
  r.sim.run_for(2s);
  CHECK(b->failed_with(errc::timeout));
  CHECK(b->text.find(error_code(asio::error::network_unreachable).message()) == std::string::npos);
}

TEST_CASE("given a full queue, when one more comes, then its error is at once, of its own kind, names the pool", "[T9]") {
  auto config = calm(0, 1);
  config.max_waiting = 1;
  config.name = "narrow";
  rig<> r(config);
  auto held = r.take();
  auto a = r.ask(10s);
  auto b = r.ask(10s, way::coroutine);
  r.settle();
  CHECK(a->pending());
  CHECK(b->failed_with(errc::queue_full));
  CHECK(b->ended == r.sim.now());
  CHECK_THAT(b->text, has_text("pool \"narrow\": no connection, the queue is full"));
  CHECK_THAT(b->text, has_text("1 other waits"));
}

TEST_CASE("given an exception, when it is copied, then code, text and report are the same") {
  tidepool::error_report report;
  report.pool = "p";
  report.breaker = tidepool::breaker_state::open;
  const tidepool::pool_error original(errc::circuit_open, report);
  const tidepool::pool_error copy = original;
  CHECK(copy.code() == errc::circuit_open);
  CHECK(std::string(copy.what()) == original.what());
  CHECK(copy.report().pool == "p");
  CHECK_THAT(std::string(copy.what()), has_text("the circuit breaker is open"));
}

// --- configuration ------------------------------------------------------------------------------------------------------

TEST_CASE("given a configuration with several faults, when a pool is made, then the error names them all", "[C1][C2]") {
  asio::io_context context;
  pool_config config;
  config.max_size = 0;
  config.min_size = 3;
  config.connect_timeout = 0s;
  config.scale_up_threshold = 0.1;
  std::string text;
  try {
    plain_pool pool(context, make_plain, config);
  } catch (const std::invalid_argument& e) {
    text = e.what();
  }
  CHECK_THAT(text, has_text("max_size"));
  CHECK_THAT(text, has_text("min_size"));
  CHECK_THAT(text, has_text("connect_timeout"));
  CHECK_THAT(text, has_text("scale_down_threshold"));
}

TEST_CASE("given a pool, when it is resized to nonsense, then that is refused and the old bounds stay", "[C2]") {
  rig<> r(calm(1, 3));
  CHECK_THROWS_AS(r.pool->resize(4, 3), std::invalid_argument);
  CHECK_THROWS_AS(r.pool->resize(0, 0), std::invalid_argument);
  CHECK_THROWS_AS(r.pool->resize(static_cast<std::size_t>(-1), 3), std::invalid_argument);
  CHECK(r.stats().max_size == 3);
  r.pool->resize(0, 7);
  CHECK(r.stats().max_size == 7);
  CHECK(r.pool->config().max_size == 3);
}

TEST_CASE("given one configuration for two pools, when one pool or it is changed, then the other keeps its own", "[C8]") {
  auto config = calm(0, 3);
  rig<> a(config);
  rig<> b(config);
  a.pool->resize(1, 1);
  config.max_size = 99;
  CHECK(b.stats().max_size == 3);
  CHECK(b.pool->config().max_size == 3);
}

TEST_CASE("given times that may be zero, when they are, then zero means not at all, never for ever", "[C3]") {
  auto config = calm(0, 1);
  config.acquire_timeout = 0s;
  config.close_grace = 0s;
  rig<> r(config);
  error_code seen;
  auto body = [&]() -> asio::awaitable<void> {
    try {
      auto lease = co_await r.pool->acquire();
    } catch (const tidepool::system_error& e) {
      seen = e.code();
    }
  };
  asio::co_spawn(r.sim.get_executor(), body(), asio::detached);
  r.settle();
  CHECK(seen == errc::timeout);
  auto held = r.take();
  bool closed = false;
  auto close = [&]() -> asio::awaitable<void> {
    co_await r.pool->close();
    closed = true;
  };
  asio::co_spawn(r.sim.get_executor(), close(), asio::detached);
  r.settle();
  CHECK(closed);
}

TEST_CASE("given a max_size without measure, when a pool is made, then it costs no more than a small one", "[C9]") {
  rig<> r(calm(0, std::numeric_limits<std::size_t>::max() / 4));
  CHECK(r.take());
  CHECK(r.server.counts().connects == 1);
}

TEST_CASE("given a caller whose thread is busy, when its wait has failed, then its error is of that moment", "[field-N8]") {
  asio::io_context mine;
  asio::io_context theirs;
  auto connect = []() -> asio::awaitable<plain> { co_return plain{}; };
  tidepool::basic_pool<plain> pool(mine, connect, calm(0, 1));
  auto lease = pool.async_acquire(10s, asio::use_future);
  while (pool.stats().active_connections == 0) mine.run_one();
  auto held = lease.get();
  held.label("the night's work");
  std::optional<tidepool::error_report> report;
  auto ask = [&]() -> asio::awaitable<void> {
    try {
      auto never = co_await pool.acquire(20ms);
    } catch (const tidepool::pool_error& e) {
      report = e.report();
    }
  };
  const auto asked = std::chrono::steady_clock::now();
  asio::co_spawn(theirs, ask(), asio::detached);
  theirs.poll();
  REQUIRE(pool.stats().waiting == 1);
  mine.restart();
  while (pool.stats().timeouts == 0) mine.run_one();
  const auto failed = std::chrono::steady_clock::now();
  held.release();  // all that happens from here on is not in it
  pool.suspend();
  std::this_thread::sleep_for(30ms);
  theirs.restart();
  theirs.run();
  REQUIRE(report);
  CHECK(report->why == errc::timeout);
  CHECK(report->active == 1);
  CHECK(report->idle == 0);
  CHECK(report->state != pool_state::suspended);
  REQUIRE(report->holders.size() == 1);
  CHECK(report->holders[0].label.view() == "the night's work");
  CHECK(report->waited <= failed - asked);
  CHECK(std::string(report->bottleneck()) == "every connection is leased");
}

TEST_CASE("given a caller failed by the pool's end, when it is cancelled before it runs, then it fails once", "[field-N8]") {
  asio::io_context mine;
  asio::io_context theirs;
  auto pool = std::make_unique<plain_pool>(mine, make_plain, calm(0, 1));
  pool->suspend();
  asio::cancellation_signal signal;
  std::optional<error_code> result;
  auto ask = [&]() -> asio::awaitable<void> {
    try {
      auto never = co_await pool->acquire(10s);
    } catch (const tidepool::system_error& e) {
      result = e.code();
    }
  };
  asio::co_spawn(theirs, ask(), asio::bind_cancellation_slot(signal.slot(), asio::detached));
  theirs.poll();
  REQUIRE(pool->stats().waiting == 1);
  pool.reset();
  signal.emit(asio::cancellation_type::terminal);
  theirs.run();
  REQUIRE(result);
  CHECK(*result == errc::closed);
}

}  // namespace
