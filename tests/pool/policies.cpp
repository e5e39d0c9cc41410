// SPDX-License-Identifier: BSL-1.0
// tidepool - the pool with policies off, exchanged and mixed; with and without a mutex; suspend, resize and recycle at run time.
#include <tidepool/pool.hpp>

#include <type_traits>

#include "rig.hpp"

namespace {

using namespace tidepool_tests;

// --- off ----------------------------------------------------------------------------------------------------------------

template <class Connection>
struct bare_traits : testing::simulated_traits<Connection> {
  using mutex_type = tidepool::null_mutex;
  using health_policy = tidepool::no_health_check;
  using leak_policy = tidepool::no_leak_detection;
  using scaling_policy = tidepool::no_scaling;
  using lifetime_policy = tidepool::no_lifetime;
  using breaker_policy = tidepool::no_breaker;
  using observer = recorder;
};
static_assert(std::is_empty_v<tidepool::no_health_check> && std::is_empty_v<tidepool::no_leak_detection> &&
              std::is_empty_v<tidepool::no_scaling> && std::is_empty_v<tidepool::no_lifetime> && std::is_empty_v<tidepool::no_breaker> &&
              std::is_empty_v<tidepool::null_observer> && std::is_empty_v<tidepool::fifo_queue>);

TEST_CASE("given every policy off, when a pool is used for a day, then it pools and does nothing else") {
  pool_config config;
  config.min_size = 2;
  config.max_size = 4;
  config.idle_timeout = no_limit;
  config.max_uses = 3;
  config.abandon_timeout = 400s;
  rig<fake_connection, bare_traits<fake_connection>> r(config);
  r.open();
  auto a = r.take();
  const auto id = a.id();
  for (int i = 0; i < 10; ++i) {
    a.release();
    a = r.take();
    CHECK(a.id() == id);
  }
  r.sim.run_for(24h);
  CHECK(r.stats().validations == 0);
  CHECK(r.stats().leaks_detected == 0);
  CHECK(r.stats().connections_closed == 0);
  CHECK(a->open());
  a.release();
  r.close_and_check();
}

TEST_CASE("given no breaker, when connects fail without end, then callers fail by max_retries alone") {
  auto config = calm(0, 2);
  config.max_retries = 12;
  rig<fake_connection, bare_traits<fake_connection>> r(config);
  r.server.state(server_state::unreachable);
  auto a = r.ask(1h);
  r.sim.run_for(30min);
  CHECK(a->failed_with(errc::connect_failed));
  CHECK(r.stats().connection_errors == 13);
  CHECK(r.stats().breaker == tidepool::breaker_state::closed);
}

// --- exchanged ----------------------------------------------------------------------------------------------------------

struct doubling {
  static constexpr bool enabled = true;
  explicit doubling(const pool_config&) {}
  static duration interval() noexcept { return 10s; }
  static std::size_t target(const tidepool::scaling_sample& s) noexcept { return s.utilization > 0.5 ? s.size * 2 : 0; }
};
struct short_lived : tidepool::lifetime_recycling {
  using lifetime_recycling::lifetime_recycling;
  static bool worn_out(std::uint64_t uses) noexcept { return uses % 2 == 0; }
};
struct opens_at_first_failure {
  static constexpr bool enabled = true;
  explicit opens_at_first_failure(const pool_config&) {}
  tidepool::breaker_state state() const noexcept { return open_ ? tidepool::breaker_state::open : tidepool::breaker_state::closed; }
  tidepool::detail::tick retry_at() const noexcept { return again_; }
  bool allows(tidepool::detail::tick now, std::size_t connecting) const noexcept { return !open_ || (now >= again_ && connecting == 0); }
  void started() noexcept {}
  void succeeded() noexcept { open_ = false; }
  void failed(tidepool::detail::tick now) noexcept {
    open_ = true;
    again_ = tidepool::detail::later(now, 1h);
  }
  void undecided(tidepool::detail::tick) noexcept {}

 private:
  bool open_ = false;
  tidepool::detail::tick again_{};
};
struct policy_traits : watched_traits<fake_connection> {
  using scaling_policy = doubling;
  using lifetime_policy = short_lived;
  using breaker_policy = opens_at_first_failure;
  using queue_policy = tidepool::fifo_queue_oldest_idle;
};

TEST_CASE("given policies of one's own, when the pool runs, then they decide, within its bounds") {
  rig<fake_connection, policy_traits> r(calm(2, 10));
  r.open();
  SECTION("scaling") {
    auto a = r.take();
    auto b = r.take();
    r.sim.run_for(10s + 100ms);
    CHECK(r.stats().total_connections == 4);
    a.release();
    b.release();
    r.sim.run_for(1min);
    CHECK(r.stats().total_connections == 2);
  }
  SECTION("wear") {
    auto a = r.take();
    auto b = r.take();
    const auto first = a.id();
    a.release();
    b.release();
    a = r.take();
    CHECK(a.id() == first);  // the one idle longest
    a.release();
    r.sim.run_for(1s);
    CHECK(r.stats().closed(close_reason::max_uses) == 1);
  }
  SECTION("breaker") {
    auto a = r.take();
    auto b = r.take();
    r.server.state(server_state::unreachable);
    a.discard();
    r.sim.run_for(1s);
    b.discard();
    r.sim.run_for(1s);
    auto c = r.ask(1h);
    r.settle();
    CHECK(c->failed_with(errc::circuit_open));
    r.server.state(server_state::up);
    r.sim.run_for(50min);
    CHECK(r.stats().total_connections == 0);
    r.sim.run_for(20min);
    CHECK(r.stats().idle_connections == 2);
  }
}

// --- with and without a mutex -------------------------------------------------------------------------------------------

template <class Connection>
struct unlocked_traits : watched_traits<Connection> {
  using mutex_type = tidepool::null_mutex;
};

template <class Traits>
std::vector<std::string> day_of(std::uint64_t seed) {
  pool_config config;
  config.min_size = 2;
  config.max_size = 4;
  config.health_check_interval = 5s;
  config.idle_timeout = 20s;
  config.max_lifetime = 60s;
  config.leak_timeout = 2s;
  config.scale_check_interval = 7s;
  rig<fake_connection, Traits> r(config, seed);
  auto plan = tidepool::detail::splitmix(seed);
  std::vector<typename rig<fake_connection, Traits>::lease> held;
  for (int i = 0; i < 300; ++i) {
    auto one = r.ask(std::chrono::milliseconds(plan() % 3000), plan() % 2 ? way::callback : way::coroutine);
    r.sim.run_for(std::chrono::milliseconds(plan() % 1000));
    if (one->held) held.push_back(std::move(one->held));
    while (!held.empty() && plan() % 3 > 0) {
      if (plan() % 10 == 0) {
        held.front().discard();
      } else if (plan() % 4 == 0) {
        held.front()->begin_transaction();
      }
      held.erase(held.begin());
    }
    r.sim.run_for(100ms);
    if (plan() % 40 == 0) r.pool->recycle();
  }
  held.clear();
  r.close_and_check();
  auto out = r.events->lines;
  out.push_back(r.stats().to_json());
  return out;
}

TEST_CASE("given one workload, when it runs with and without a mutex, then events and figures are the same", "[M4]") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const auto with = day_of<watched_traits<fake_connection>>(seed);
    const auto without = day_of<unlocked_traits<fake_connection>>(seed);
    INFO("seed " << seed);
    REQUIRE(with.size() > 300);
    // Equal moments may be served in another order, because strands cost a step; counts may not differ.
    auto a = with;
    auto b = without;
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    CHECK(a == b);
  }
}

struct memberless {};
struct unlocked : tidepool::default_traits<memberless> {
  using mutex_type = tidepool::null_mutex;
  using executor_type = asio::any_io_executor;
};

TEST_CASE("given null_mutex on a real io_context, when coroutines share two connections, then all are served", "[M4]") {
  asio::io_context context;
  auto connect = []() -> asio::awaitable<memberless> { co_return memberless{}; };
  tidepool::basic_pool<memberless, unlocked> pool(context, connect, calm(0, 2));
  int served = 0;
  auto body = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 50; ++i) {
      auto lease = co_await pool.acquire();
      ++served;
      co_await asio::post(asio::use_awaitable);
    }
  };
  for (int i = 0; i < 10; ++i) asio::co_spawn(context, body(), asio::detached);
  while (served < 500 && !context.stopped()) context.run_one();
  CHECK(served == 500);
  CHECK(pool.stats().connections_created == 2);
}

// --- levers -------------------------------------------------------------------------------------------------------------

TEST_CASE("given many callers at once, when the pool grows, then connects at once stay within max_connecting", "[A15][B098]") {
  auto config = calm(20, 50);
  config.max_connecting = 3;
  rig<> r(config);
  r.server.plan()[operation::connect].latency = 100ms;
  std::size_t most = 0;
  auto opened = r.start_open();
  std::vector<rig<>::request_ptr> all;
  for (int i = 0; i < 50; ++i) all.push_back(r.ask(1min));
  while (r.sim.now() < simulation::default_start + 5s && r.sim.step()) most = std::max(most, r.server.counts().connecting);
  CHECK(most == 3);
  CHECK(opened->result == error_code());
  for (auto& one : all) CHECK(one->served());
}

TEST_CASE("given a suspended pool, when it is resumed, then waiters go on in order; leases are not touched", "[H14]") {
  rig<> r(calm(1, 1));
  r.open();
  auto a = r.take();
  r.pool->suspend();
  auto b = r.ask(10s, way::callback);
  auto c = r.ask(1s, way::coroutine);
  r.sim.run_for(2s);
  CHECK(c->failed_with(errc::timeout));
  CHECK_THAT(c->text, has_text("suspended"));
  a.release();
  r.settle();
  CHECK(b->pending());
  CHECK_FALSE(r.pool->try_acquire());
  CHECK(r.pool->state() == pool_state::suspended);
  r.pool->resume();
  r.settle();
  CHECK(b->served());
  CHECK(r.pool->state() == pool_state::healthy);
}

TEST_CASE("given new credentials, when the pool is recycled, then all later leases use them, none is cut", "[H11][H16]") {
  simulation sim(1);
  int credentials = 1;
  struct session {
    int logged_in_as = 0;
  };
  auto connect = [&]() -> asio::awaitable<session> { co_return session{credentials}; };
  using pool_type = tidepool::basic_pool<session, testing::simulated_traits<session>>;
  pool_type pool(sim.get_executor(), connect, calm(2, 2));
  pool_type::lease a;
  pool.async_acquire(1s, [&](error_code, pool_type::lease got) { a = std::move(got); });
  sim.run_for(1s);
  REQUIRE(a);
  credentials = 2;
  pool.recycle();
  CHECK(a->logged_in_as == 1);
  int b = 0;
  pool.async_acquire(1s, [&](error_code, pool_type::lease got) { b = got ? got->logged_in_as : 0; });
  sim.run_for(1s);
  CHECK(b == 2);
  a.release();
  sim.run_for(1s);
  pool.async_acquire(1s, [&](error_code, pool_type::lease got) { b = got ? got->logged_in_as : 0; });
  sim.run_for(1s);
  CHECK(b == 2);
  CHECK(pool.stats().closed(close_reason::recycled) == 2);
}

TEST_CASE("given connections that grow old in turn, when days pass, then the floor is kept, none is too old", "[H7][B097]") {
  auto config = calm(5, 8);
  config.max_lifetime = 30min;
  config.lifetime_jitter = 0.1;
  rig<> r(config);
  r.open();
  for (int minute = 0; minute < 24 * 60; ++minute) {
    r.sim.run_for(1min);
    auto a = r.take(100ms);
    REQUIRE(r.sim.now() - a->session().connected_at <= 30min);
    REQUIRE(r.stats().total_connections - r.stats().connecting - r.stats().closing >= 4);
  }
  CHECK(r.stats().closed(close_reason::lifetime) > 200);
}

TEST_CASE("given a spike, when it is over and scaling is on, then the pool comes back to its floor", "[B104]") {
  pool_config config;
  config.min_size = 2;
  config.max_size = 30;
  rig<> r(config);
  r.open();
  std::vector<rig<>::lease> held;
  for (int i = 0; i < 30; ++i) held.push_back(r.take());
  CHECK(r.stats().total_connections == 30);
  held.clear();
  for (int second = 0; second < 600; ++second) {
    r.take().release();
    r.sim.run_for(1s);
  }
  CHECK(r.stats().total_connections == 2);
}

TEST_CASE("given a process frozen for 12 minutes, when it wakes, then the pool serves and rebuilds in parts", "[B100][B101]") {
  pool_config config;
  config.min_size = 8;
  config.max_size = 10;
  rig<> r(config);
  r.open();
  r.sim.freeze(12min);
  auto a = r.ask(5s);
  std::size_t most = 0;
  const auto until = r.sim.now() + 10s;
  while (r.sim.now() < until && r.sim.step()) most = std::max(most, r.server.counts().connecting);
  CHECK(a->served());
  CHECK(most <= config.max_connecting);
  CHECK(r.stats().total_connections >= 8);
}

TEST_CASE("given every profile, when a pool is made from it, then it works") {
  for (const auto& make : {pool_config::development, pool_config::production, pool_config::high_load, pool_config::low_latency,
                           pool_config::high_throughput, pool_config::reliable}) {
    rig<> r(make());
    r.open();
    CHECK(r.stats().idle_connections >= r.pool->config().min_size);
    auto a = r.take();
    r.sim.run_for(2h);
    CHECK(a->open());
    a.release();
    r.close_and_check();
  }
}

}  // namespace
