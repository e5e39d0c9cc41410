// SPDX-License-Identifier: BSL-1.0
// tidepool - what observers are told, when, and what they may do; leak reports; log lines; statistics.
#include <tidepool/pool.hpp>

#include "rig.hpp"

namespace {

using namespace tidepool_tests;

TEST_CASE("given an observer, when a pool lives its life, then it is told of everything in order") {
  auto config = calm(1, 1);
  config.slow_acquire = 500ms;
  rig<> r(config);
  r.open();
  auto a = r.take();
  auto waiter = r.ask(5s);
  r.sim.run_for(1s);
  a.release();
  r.settle();
  waiter->held.discard();
  r.sim.run_for(1s);
  r.close_and_check();
  const std::vector<std::string> expected{"state starting to healthy: connections are there",
                                          "checkout 1",
                                          "checkin 1",
                                          "checkout 1",
                                          "checkin 1",
                                          "destroyed 1 broken",
                                          "created 2",
                                          "state healthy to closing: close() was called",
                                          "destroyed 2 shutdown",
                                          "state closing to closed: nothing is left"};
  std::size_t next = 0;
  for (const std::string& line : r.events->lines) next += next < expected.size() && line == expected[next];
  CHECK(next == expected.size());
  CHECK(r.events->has("created 1"));
  CHECK(r.events->count("slow acquire") == 1);
  CHECK(r.events->count("checkout") == r.stats().total_checkouts);
  CHECK(r.events->count("checkin") == r.stats().total_checkins);
}

TEST_CASE("given failing connects, when the breaker opens and closes, then failures and states are told") {
  auto config = calm(1, 1);
  config.breaker_threshold = 2;
  config.start = tidepool::start_mode::lazy;
  rig<> r(config);
  r.server.state(server_state::unreachable);
  r.open();
  r.sim.run_for(5s);
  r.server.state(server_state::up);
  r.sim.run_for(10s);
  CHECK(r.events->has("connect failed x1"));
  CHECK(r.events->has("connect failed x2"));
  CHECK(r.events->has("breaker closed to open"));
  CHECK(r.events->has("breaker half-open to closed"));
  CHECK(r.events->has("state starting to critical: no connection is alive and connecting fails"));
  CHECK(r.events->lines.back() == "state critical to healthy: connections are there");
}

TEST_CASE("given a validation that fails or is out of time, when it ends, then which and why is told") {
  const bool hangs = GENERATE(false, true);
  auto config = calm(0, 1);
  config.pre_ping = true;
  config.alive_bypass = 0s;
  rig<> r(config);
  r.take().release();
  (hangs ? r.server.plan()[operation::ping].hangs : r.server.plan()[operation::ping].fails) = 1;
  auto a = r.ask(30s);
  r.sim.run_for(10s);
  CHECK(a->served());
  CHECK(r.events->count("health failed 1") == 1);
  CHECK(r.events->count("destroyed 1 invalid") == 1);
}

TEST_CASE("given a lease held too long, when it is reported, then place, label, stack and return are told", "[H15]") {
  const bool stack = GENERATE(false, true);
  const way how = GENERATE(way::callback, way::coroutine);
  auto config = calm(0, 1);
  config.leak_detection = true;
  config.leak_timeout = 300s;
  config.track_stack_trace = stack;
#if __has_include(<execinfo.h>)
  const char* const told = stack ? "with stack" : "without stack";
#else  // on Windows
  const char* const told = "without stack";
#endif
  rig<> r(config);
  auto first = r.ask(1s, how);  // by a wait
  r.sim.run_for(1s);
  REQUIRE(first->served());
  first->held.label("nightly export");
  r.sim.run_for(300s);
  CHECK(r.events->count("leak detected 1 'nightly export'") == 1);
  CHECK(r.events->count(told) == 1);
  first->held.release();
  CHECK(r.events->count("leak returned 1 'nightly export'") == 1);
  auto second = r.ask(1s, how);  // from the idle ones
  r.settle();
  r.sim.run_for(1h);
  CHECK(r.events->count("leak detected 1 ''") == 1);
  CHECK(r.events->count(told) >= 2);
  CHECK(r.stats().leaked == 1);
}

#if __has_include(<execinfo.h>)  // elsewhere the stack is empty

namespace {

/// An address in the function that calls it.
[[gnu::noinline]] std::uintptr_t here() { return reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)); }

asio::awaitable<void> hold_for_ever(rig<>::pool_type& pool, rig<>::lease& held, std::uintptr_t& around) {
  around = here();
  held = co_await pool.acquire();
}

/// Whether a stack in words has a frame close to an address: of the same function, short as that is.
bool has_frame_near(const std::string& stack, std::uintptr_t address) {
  for (std::size_t at = stack.find("[0x"); at != std::string::npos; at = stack.find("[0x", at + 1)) {
    const std::uintptr_t frame = std::stoull(stack.substr(at + 1), nullptr, 16);
    if (frame > address && frame < address + 2048) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("given a coroutine that leaks, when its stack is told, then it is that coroutine's, waited or not", "[H15]") {
  const bool waits = GENERATE(false, true);
  auto config = calm(waits ? 0 : 1, 1);
  config.leak_detection = true;
  config.leak_timeout = 300s;
  config.track_stack_trace = true;
  rig<> r(config);
  if (!waits) r.open();
  rig<>::lease held;
  std::uintptr_t around = 0;
  asio::co_spawn(r.sim.get_executor(), hold_for_ever(*r.pool, held, around), asio::detached);
  r.sim.run_for(301s);
  REQUIRE(held);
  REQUIRE(r.events->last_stack != "");
  INFO(r.events->last_stack);
  CHECK(has_frame_near(r.events->last_stack, around));
}

TEST_CASE("given a leak told with its stack, when the next holder leaks by a callback, then it has its own", "[H15]") {
  auto config = calm(1, 1);
  config.leak_detection = true;
  config.leak_timeout = 300s;
  config.track_stack_trace = true;
  rig<> r(config);
  r.open();
  auto first = r.pool->try_acquire();
  r.sim.run_for(301s);
  const std::string stack_of_first = r.events->last_stack;
  REQUIRE(stack_of_first != "");
  first.release();
  auto second = r.ask();
  r.sim.run_for(301s);
  REQUIRE(second->served());
  CHECK(r.events->count("leak detected") == 2);
  CHECK(r.events->last_stack != "");
  CHECK(r.events->last_stack != stack_of_first);
}

#endif

TEST_CASE("given acquires at different places, when they leak, then each report names its own line", "[H15]") {
  auto config = calm(2, 2);
  config.leak_detection = true;
  rig<> r(config);
  r.open();
  auto a = r.pool->try_acquire();
  const auto line_of_a = __LINE__ - 1;
  std::optional<rig<>::lease> b;
  int line_of_b = 0;
  auto body = [&]() -> asio::awaitable<void> {
    line_of_b = __LINE__ + 1;
    auto got = co_await r.pool->acquire();
    b.emplace(std::move(got));
  };
  asio::co_spawn(r.sim.get_executor(), body(), asio::detached);
  r.sim.run_for(301s);
  CHECK(r.events->has("line " + std::to_string(line_of_a)));
  CHECK(r.events->has("line " + std::to_string(line_of_b)));
  CHECK(r.events->count("leak detected") == 2);
}

TEST_CASE("given abandon_timeout, when a leaked lease is reclaimed, then its place serves another", "[B076]") {
  auto config = calm(0, 1);
  config.leak_detection = true;
  config.leak_timeout = 10s;
  config.abandon_timeout = 20s;
  rig<> r(config);
  auto a = r.take();
  auto waiter = r.ask(1h);
  r.sim.run_for(21s);
  CHECK(r.events->count("leak detected 1") == 1);
  CHECK(r.events->count("leak reclaimed 1") == 1);
  CHECK(waiter->served());
  CHECK_FALSE(a->usable());
  a.release();
  CHECK(r.events->count("destroyed 1 abandoned") == 1);
  CHECK(r.stats().leaks_reclaimed == 1);
  CHECK(r.server.counts().open == 1);
}

TEST_CASE("given auto_scale, when the pool is busy and then is not, then the decisions are told and followed") {
  auto config = calm(2, 20);
  config.auto_scale = true;
  config.scale_check_interval = 10s;
  rig<> r(config);
  r.open();
  std::vector<rig<>::lease> held;
  for (int i = 0; i < 5; ++i) held.push_back(r.take());
  r.sim.run_for(20s + 100ms);
  CHECK(r.events->has("scaled 5 to 6"));
  CHECK(r.stats().total_connections > 5);
  held.clear();
  r.sim.run_for(5min);
  CHECK(r.stats().total_connections == 2);
  CHECK(r.stats().closed(close_reason::shrunk) >= 3);
  CHECK(r.events->has("scaled 3 to 2"));
}

TEST_CASE("given an observer that throws at every event, when the pool is used, then nothing is changed by it", "[INV-13]") {
  rig<> r(calm(1, 2));
  r.events->on_line = [](const std::string&) { throw std::runtime_error("observer"); };
  r.open();
  auto a = r.take();
  auto b = r.ask(5s);
  r.sim.run_for(1s);
  CHECK(b->served());
  a.release();
  b->held.discard();
  r.sim.run_for(1s);
  CHECK(r.stats().idle_connections == 1);
  r.close_and_check();
}

TEST_CASE("given an observer that calls the pool at each event, then it may do anything but destroy it", "[INV-13]") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    auto config = calm(1, 3);
    config.pre_ping = true;
    config.alive_bypass = 5ms;
    config.health_check_interval = 20ms;
    rig<> r(config, seed);
    r.server.plan()[operation::connect].fails = 0.2;
    r.server.plan()[operation::ping].fails = 0.2;
    int depth = 0;
    std::vector<rig<>::lease> hoard;
    r.events->on_line = [&](const std::string&) {
      if (depth > 2) return;
      ++depth;
      switch (r.sim.choices().choose(9)) {
        case 0: hoard.push_back(r.pool->try_acquire()); break;
        case 1:
          if (!hoard.empty()) hoard.pop_back();
          break;
        case 2: (void)r.pool->stats(); break;
        case 3: r.pool->recycle(); break;
        case 4: r.pool->resize(r.sim.choices().choose(2), 1 + r.sim.choices().choose(3)); break;
        case 5: r.pool->suspend(); break;
        case 6: r.pool->resume(); break;
        case 7: r.ask(5ms); break;
        default:
          if (!hoard.empty()) hoard.back().discard();
          break;
      }
      --depth;
    };
    for (int i = 0; i < 100; ++i) {
      auto one = r.ask(10ms, i % 2 ? way::callback : way::coroutine);
      r.sim.run_for(3ms);
      one->held.release();
    }
    r.events->on_line = nullptr;
    hoard.clear();
    r.pool->resume();
    r.server.plan()[operation::connect].fails = 0;
    r.server.plan()[operation::ping].fails = 0;
    r.sim.run_for(30s);
    INFO("seed " << seed);
    REQUIRE(r.take());
    REQUIRE(r.stats().connections_created == r.stats().connections_closed + r.stats().total_connections);
    REQUIRE(r.server.violations() == std::vector<std::string>{});
    r.close_and_check();
  }
}

TEST_CASE("given an observer that closes the pool in any event, then the pool is closed and nothing hangs", "[INV-13]") {
  for (const std::string at : {"created", "checkout", "checkin", "state", "connect failed", "destroyed", "health failed"}) {
    auto config = calm(1, 2);
    config.pre_ping = true;
    config.alive_bypass = 0s;
    config.start = tidepool::start_mode::lazy;
    rig<> r(config, 3);
    r.server.plan()[operation::connect].fails = 0.3;
    r.server.plan()[operation::ping].fails = 0.3;
    std::shared_ptr<rig<>::outcome> closed;
    r.events->on_line = [&](const std::string& line) {
      if (!closed && line.find(at) == 0) closed = r.start_close(10ms);
    };
    std::vector<rig<>::request_ptr> all;
    for (int i = 0; i < 30; ++i) {
      all.push_back(r.ask(1s, i % 2 ? way::callback : way::coroutine));
      r.sim.run_for(5ms);
      all.back()->held.release();
    }
    r.sim.run_for(5s);
    INFO("at " << at);
    REQUIRE(closed);
    CHECK(closed->result == error_code());
    for (auto& one : all) CHECK_FALSE(one->pending());
    CHECK(r.pool->state() == pool_state::closed);
  }
}

// --- log lines ----------------------------------------------------------------------------------------------------------

struct logging_traits : testing::simulated_traits<fake_connection> {
  using observer = tidepool::log_observer;
};

TEST_CASE("given the log observer, when things happen, then each is one line with the pool's name, at its level") {
  simulation sim(1);
  testing::world server(sim);
  std::vector<std::string> lines;
  using level = tidepool::log_observer::level;
  std::map<level, std::size_t> levels;
  auto config = calm(1, 1);
  config.name = "orders";
  config.leak_detection = true;
  config.leak_timeout = 10s;
  config.start = tidepool::start_mode::lazy;
  tidepool::log_observer log(
      [&](level how, const std::string& line) {
        lines.push_back(line);
        ++levels[how];
      },
      level::debug);
  using pool_type = tidepool::basic_pool<fake_connection, logging_traits>;
  pool_type pool(sim.get_executor(), server.connector(), config, log);
  server.state(server_state::unreachable);
  pool_type::lease lease;
  pool.async_acquire(1h, [&](error_code, pool_type::lease got) { lease = std::move(got); });
  sim.run_for(500ms);
  server.state(server_state::up);
  sim.run_for(5s);
  REQUIRE(lease);
  lease.label("import");
  sim.run_for(20s);
  lease.release();
  const auto has = [&](const std::string& text) {
    return std::any_of(lines.begin(), lines.end(), [&](const std::string& l) { return l.find(text) != std::string::npos; });
  };
  for (const std::string& line : lines) CHECK(line.rfind("orders: ", 0) == 0);
  CHECK(has("connect failed (1 in a row): "));
  CHECK(has("connection 2 created in 1.000 ms"));
  CHECK(has("state starting -> critical"));
  CHECK(has("state critical -> healthy"));
  CHECK(has("checkout of 2 after "));
  CHECK(has("possible leak: lease of connection 2 held 1"));
  CHECK(has("label import"));
  CHECK(has("leaked lease came back: connection 2"));
  CHECK(levels[level::error] == 1);
  CHECK(levels[level::debug] == 2);
}

// --- statistics ---------------------------------------------------------------------------------------------------------

TEST_CASE("given a busy pool, when statistics are read at each step, then they add up and never go back", "[M1][M2][B044]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    auto config = calm(1, 4);
    config.pre_ping = true;
    config.alive_bypass = 2ms;
    rig<> r(config, seed);
    r.server.plan()[operation::connect].fails = 0.1;
    r.server.plan()[operation::ping].fails = 0.1;
    r.server.plan()[operation::reset].fails = 0.2;
    auto user = [&](way how) -> asio::awaitable<void> {
      for (int i = 0; i < 20; ++i) {
        auto one = r.ask(20ms, how);
        while (one->pending()) co_await testing::sleep_for(1ms);
        if (one->held && i % 4 == 0) one->held->begin_transaction();
        co_await testing::sleep_for(2ms);
      }
    };
    for (int i = 0; i < 8; ++i) asio::co_spawn(r.sim.get_executor(), user(i % 2 ? way::callback : way::coroutine), asio::detached);
    pool_stats before;
    while (r.sim.now() < simulation::default_start + 200ms && r.sim.step()) {
      const pool_stats now = r.stats();
      INFO("seed " << seed);
      REQUIRE(now.total_connections ==
              now.active_connections + now.idle_connections + now.connecting + now.validating + now.resetting + now.closing);
      REQUIRE(now.total_connections <= now.max_size);
      REQUIRE(now.connections_created + now.connecting == now.connections_closed + now.total_connections);
      REQUIRE(now.total_checkouts == now.direct + now.waited);
      REQUIRE(now.total_checkouts - now.total_checkins == now.active_connections);
      REQUIRE(now.total_checkouts >= before.total_checkouts);
      REQUIRE(now.failed_checkouts >= before.failed_checkouts);
      REQUIRE(now.connections_created >= before.connections_created);
      REQUIRE(now.connections_closed >= before.connections_closed);
      before = now;
    }
    REQUIRE(r.server.violations() == std::vector<std::string>{});
  }
}

}  // namespace
