// SPDX-License-Identifier: BSL-1.0
// tidepool - destroying things in every order: the pool, the context, leases, waiters, operations.
#include <tidepool/detail/driver/asio_io.hpp>
#include <tidepool/pool.hpp>

#include <thread>

#include "rig.hpp"

namespace {

using namespace tidepool_tests;

TEST_CASE("given leases, waiters and operations, when the pool is destroyed, then waiters fail, leases live on", "[L1]") {
  const way how = GENERATE(way::callback, way::coroutine);
  rig<> r(calm(2, 3));
  r.open();
  auto a = r.take();
  auto b = r.take();
  r.server.plan()[operation::connect].hangs = 1;
  auto waiter = r.asked(10s, how);  // needs a connect, which hangs
  r.sim.run_for(1s);                // and which is begun when no lease has come back by then
  CHECK(r.stats().connecting == 1);
  r.pool.reset();
  CHECK(waiter->pending());
  r.settle();
  CHECK(waiter->failed_with(errc::closed));
  CHECK(r.server.counts().connecting == 0);
  CHECK(a->open());
  std::uint64_t answer = 0;
  auto use = [&]() -> asio::awaitable<void> { answer = co_await a->query(7); };
  asio::co_spawn(r.sim.get_executor(), use(), asio::detached);
  r.sim.run_for(1s);
  CHECK(answer == 7);
  a.release();
  CHECK(r.server.counts().open == 1);
  b.release();
  CHECK(r.server.counts().open == 0);
  r.settle();
  CHECK(r.sim.pending_waits() == 0);
}

TEST_CASE("given a lease held for ever, when the pool is destroyed, then no timer of it is left", "[B109]") {
  auto config = calm(1, 2);
  config.health_check_interval = 30s;
  config.idle_timeout = 60s;
  rig<> r(config);
  r.open();
  auto a = r.take();
  r.pool.reset();
  r.settle();
  CHECK(r.sim.pending_waits() == 0);
  a.release();
  CHECK(r.server.counts().open == 0);
}

TEST_CASE("given an acquire that is not awaited yet, when the pool is destroyed first, then it can be dropped", "[INV-18]") {
  rig<> r(calm(0, 1));
  {
    auto never_begun = r.pool->acquire(1s);
    r.pool.reset();
  }
  CHECK(r.server.counts().connects == 0);
}

TEST_CASE("given each operation under way, when the pool is destroyed, then each is cancelled and freed", "[INV-18]") {
  const auto what = GENERATE(operation::connect, operation::ping, operation::reset, operation::close);
  const bool ignores = GENERATE(false, true);
  auto config = calm(1, 1);
  config.pre_ping = true;
  config.alive_bypass = 0s;
  auto core = std::shared_ptr<testing::detail::world_core>();
  {
    rig<> r(config);
    core = r.server.core();
    if (what != operation::connect) r.open();
    auto& plan = r.server.plan()[what];
    plan.hangs = 1;
    plan.cancel_ignored = ignores ? 1 : 0;
    std::shared_ptr<rig<>::request> a;
    if (what == operation::connect || what == operation::ping) a = r.ask(10s);
    if (what == operation::reset) {
      auto lease = r.take();
      lease->begin_transaction();
      lease.release();
    }
    if (what == operation::close) r.pool->recycle();
    r.sim.run_for(1ms);
    const auto now = r.stats();
    CHECK(now.connecting + now.validating + now.resetting + now.closing >= 1);
    r.pool.reset();
    r.sim.run_for(1h);
    if (a) CHECK(a->failed_with(errc::closed));
    if (what != operation::connect || !ignores) {
      CHECK(core->counts.open == 0);
      CHECK(r.sim.pending_waits() == 0);
    }
  }
  CHECK(core->counts.open == 0);
}

TEST_CASE("given leases and waiters, when the context goes first, then leases and pool may end after it", "[INV-18]") {
  const way how = GENERATE(way::callback, way::coroutine);
  const bool pool_first = GENERATE(false, true);
  auto sim = std::make_unique<simulation>(1);
  testing::world server(*sim);
  using pool_type = tidepool::basic_pool<fake_connection, watched_traits<fake_connection>>;
  auto config = calm(1, 1);
  auto pool = std::make_unique<pool_type>(sim->get_executor(), server.connector(), config);
  pool_type::lease held;
  pool->async_acquire(1s, [&](error_code, pool_type::lease got) { held = std::move(got); });
  sim->run_for(1s);
  REQUIRE(held);
  bool destroyed = false;
  struct flag {
    bool* set;
    explicit flag(bool& b) : set(&b) {}
    flag(flag&& o) noexcept : set(std::exchange(o.set, nullptr)) {}
    ~flag() {
      if (set) *set = true;
    }
  };
  if (how == way::callback) {
    pool->async_acquire(1s, [f = flag(destroyed)](error_code, pool_type::lease) {});
  } else {
    auto body = [](pool_type& from, flag) -> asio::awaitable<void> { static_cast<void>(co_await from.acquire(1s)); };
    asio::co_spawn(sim->get_executor(), body(*pool, flag(destroyed)), asio::detached);
    sim->run_for(0s);
  }
  sim.reset();
  CHECK(destroyed);
  if (pool_first) pool.reset();
  held.release();
  CHECK(server.counts().open == 0);
  if (pool) {
    CHECK(pool->state() == pool_state::closed);
    CHECK_FALSE(pool->try_acquire());
  }
}

// --- real io_contexts ---------------------------------------------------------------------------------------------------

/// The least a connection can be.
struct number {
  int number = 0;
};
asio::awaitable<number> make_number() { co_return number{7}; }

TEST_CASE("given a lease, when the io_context and the pool are destroyed before it, then giving it back is safe", "[INV-18]") {
  const int order = GENERATE(0, 1, 2);
  tidepool::basic_pool<number>::lease held;
  auto context = std::make_unique<asio::io_context>();
  asio::any_io_executor executor = context->get_executor();
  if (GENERATE(false, true)) executor = asio::make_strand(*context);
  auto pool = std::make_unique<tidepool::basic_pool<number>>(std::exchange(executor, {}), make_number, calm(0, 1));
  pool->async_acquire(5s, [&](error_code, tidepool::basic_pool<number>::lease got) { held = std::move(got); });
  while (!held) context->run_one();
  if (order == 0) pool.reset();
  context.reset();
  if (order == 1) pool.reset();
  CHECK(held->number == 7);
  held.release();
  pool.reset();
  CHECK_FALSE(held);
}

TEST_CASE("given a pool whose io_context is gone, when it is asked, then only handlers bound elsewhere are told") {
  using pool_type = tidepool::basic_pool<number>;
  asio::io_context other;
  auto context = std::make_unique<asio::io_context>();
  pool_type pool(*context, make_number, calm(0, 1));
  context.reset();
  error_code told;
  pool.async_acquire(1s, asio::bind_executor(other, [&](error_code failed, pool_type::lease) { told = failed; }));
  bool called = false;
  auto alive = std::make_shared<int>();
  const std::weak_ptr<int> watched = alive;
  pool.async_acquire(1s, [&called, alive = std::move(alive)](error_code, pool_type::lease) { called = true; });
  CHECK(watched.expired());
  other.run();
  CHECK(told == errc::closed);
  CHECK_FALSE(called);
}

/// One with an I/O object, which must not outlive its context.
struct with_socket {
  std::unique_ptr<asio::steady_timer> socket;
  void context_gone() noexcept { socket.reset(); }
};

TEST_CASE("given a connection taken back, when the io_context goes first, then the connection is closed", "[INV-18]") {
  using pool_type = tidepool::basic_pool<with_socket>;
  const bool abandoned = GENERATE(false, true);
  auto config = calm(0, 1);
  if (abandoned) {
    config.leak_detection = true;
    config.leak_timeout = 1ms;
    config.abandon_timeout = 2ms;
  }
  pool_type::lease held;
  auto context = std::make_unique<asio::io_context>();
  auto make = [&]() -> asio::awaitable<with_socket> { co_return with_socket{std::make_unique<asio::steady_timer>(*context)}; };
  auto pool = std::make_unique<pool_type>(*context, make, config);
  pool->async_acquire(5s, [&](error_code, pool_type::lease got) { held = std::move(got); });
  while (!held) context->run_one();
  if (abandoned) {
    while (pool->stats().leaks_reclaimed == 0) context->run_one();
  } else {
    asio::co_spawn(*context, pool->close(0s), asio::detached);
    context->run();
    CHECK(pool->state() == pool_state::closed);
    pool.reset();
  }
  REQUIRE(held->socket);
  context.reset();
  CHECK_FALSE(held->socket);
  held.release();
}

TEST_CASE("given a real io_context, when the pool closes, then run() returns; when idle, it waits for the timer", "[L4][B109]") {
  asio::io_context context;
  auto config = calm(2, 2);
  config.idle_timeout = no_limit;
  config.health_check_interval = 1h;
  tidepool::basic_pool<number> pool(context, make_number, config);
  bool done = false;
  auto body = [&]() -> asio::awaitable<void> {
    co_await pool.open();
    auto lease = co_await pool.acquire();
    lease.release();
    co_await pool.close();
    done = true;
  };
  asio::co_spawn(context, body(), asio::detached);
  context.run();
  CHECK(done);
  CHECK(pool.state() == pool_state::closed);
}

TEST_CASE("given coroutines inside acquire and with leases, when the context is destroyed, then nothing is left", "[INV-18]") {
  using pool_type = tidepool::basic_pool<number>;
  auto context = std::make_unique<asio::io_context>();
  auto pool = std::make_unique<pool_type>(*context, make_number, calm(0, 1));
  int frames = 0;
  auto body = [](pool_type& from, int& alive) -> asio::awaitable<void> {
    struct counter {
      explicit counter(int& n) : n_(n) { ++n_; }
      ~counter() { --n_; }
      int& n_;
    };
    counter count(alive);
    auto lease = co_await from.acquire(1h);
    asio::basic_waitable_timer<std::chrono::steady_clock> timer(co_await asio::this_coro::executor);
    timer.expires_after(1h);
    co_await timer.async_wait(asio::use_awaitable);
  };
  for (int i = 0; i < 3; ++i) asio::co_spawn(*context, body(*pool, frames), asio::detached);
  while (pool->stats().active_connections == 0) context->run_one();
  CHECK(frames == 3);
  CHECK(pool->stats().waiting == 2);
  SECTION("the context first") { context.reset(); }
  SECTION("the pool first") {
    pool.reset();
    context.reset();
  }
  CHECK(frames == 0);
}

}  // namespace
