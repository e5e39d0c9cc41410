// SPDX-License-Identifier: BSL-1.0
// tidepool - log_to(): the log of any pool, set and changed while it runs; acquires that fail, and a pool that nobody uses, are told.
#include <atomic>
#include <stdexcept>
#include <thread>

#include "rig.hpp"

namespace {

using namespace tidepool_tests;
using tidepool::log_level;

/// A pool without an observer, as everybody has it.
using plain_rig = rig<fake_connection, testing::simulated_traits<fake_connection>>;

/// What a sink was given.
struct log_lines {
  std::vector<std::pair<log_level, std::string>> all;

  tidepool::log_sink sink() {
    return [this](log_level level, const std::string& text) {
      testing::checked_mutex::expect_unlocked("a log sink is called");
      all.emplace_back(level, text);
    };
  }
  std::size_t count(const std::string& part) const {
    std::size_t n = 0;
    for (const auto& line : all) n += line.second.find(part) != std::string::npos;
    return n;
  }
  bool has(log_level level, const std::string& part) const {
    for (const auto& line : all) {
      if (line.first == level && line.second.find(part) != std::string::npos) return true;
    }
    return false;
  }
};

TEST_CASE("given a pool without an observer, when it has a sink, then it says what happens, until it has none", "[field-U5]") {
  pool_config config = calm(1, 1);
  config.name = "shop";
  config.leak_detection = true;
  config.leak_timeout = 1s;
  config.breaker_threshold = 2;
  config.wait_when_refused = false;
  log_lines seen;
  plain_rig r(config);
  r.pool->log_to(seen.sink());
  r.open();
  CHECK(seen.has(log_level::info, "shop: connection 1 created"));
  auto held = r.take();
  held.label("nightly");
  r.sim.run_for(2s);
  CHECK(seen.has(log_level::warning, "possible leak: lease of connection 1"));
  CHECK(seen.count("label nightly") == 1);
  r.server.state(server_state::down);
  held.discard();
  r.sim.run_for(5s);
  CHECK(seen.has(log_level::info, "connection 1 destroyed: broken"));
  CHECK(seen.has(log_level::warning, "connect failed"));
  CHECK(seen.has(log_level::warning, "breaker closed -> open"));
  CHECK(seen.has(log_level::error, "state healthy -> critical"));
  CHECK(seen.count("checkout") == 0);
  const auto before = seen.all.size();
  r.pool->log_to(nullptr);
  r.sim.run_for(5s);
  r.close_and_check();
  CHECK(seen.all.size() == before);
}

TEST_CASE("given a level, when events happen, then only lines of that level and above come", "[field-U5]") {
  log_lines seen;
  plain_rig r(calm(1, 1));
  r.pool->log_to(seen.sink(), log_level::error);
  r.open();
  CHECK(seen.all.empty());
  r.pool->log_to(seen.sink(), log_level::warning);
  auto held = r.take();
  auto late = r.ask(50ms);
  r.sim.run_for(1s);
  REQUIRE(late->failed_with(errc::timeout));
  REQUIRE(seen.all.size() == 1);
  CHECK(seen.all[0].first == log_level::warning);
}

TEST_CASE("given an acquire that fails, when there is a sink, then a line says why, and from where", "[field-U5]") {
  log_lines seen;
  const way how = GENERATE(way::callback, way::coroutine);
  plain_rig r(calm(1, 1));
  r.pool->log_to(seen.sink(), log_level::debug);
  auto held = r.take();
  held.label("report");
  SECTION("in time") {
    auto late = r.asked(50ms, how);
    r.sim.run_for(1s);
    REQUIRE(late->failed_with(errc::timeout));
    REQUIRE(seen.count("acquire failed") == 1);
    CHECK(seen.has(log_level::warning, "acquire failed: "));
    CHECK(seen.has(log_level::warning, "report"));  // who holds it
    CHECK(seen.has(log_level::warning, "rig.hpp:"));
  }
  SECTION("cancelled by its caller: no trouble of the pool's") {
    auto late = r.asked(10s, how);
    late->signal.emit(asio::cancellation_type::terminal);
    r.settle();
    REQUIRE(late->failed_with(errc::cancelled));
    CHECK(seen.has(log_level::debug, "acquire failed: "));
    CHECK_FALSE(seen.has(log_level::warning, "acquire failed"));
  }
  SECTION("refused by a closed pool") {
    held.release();
    r.close_and_check();
    auto late = r.asked(10s, how);
    r.settle();
    REQUIRE(late->failed_with(errc::closed));
    CHECK(seen.has(log_level::warning, "acquire failed: "));
  }
  SECTION("but not for an empty try_acquire(), an open() or a close() that fails") {
    CHECK_FALSE(r.pool->try_acquire());
    auto closed = r.start_close(10s);
    r.settle();
    closed->signal.emit(asio::cancellation_type::terminal);
    auto opened = r.start_open();
    r.settle();
    REQUIRE(opened->result == errc::closed);
    CHECK(seen.count("acquire failed") == 0);
  }
}

TEST_CASE("given connects in flight together, when they fail, then the log has one line of them", "[field-U5]") {
  log_lines seen;
  plain_rig r(calm(4, 4));
  r.server.state(server_state::unreachable);
  r.pool->log_to(seen.sink(), log_level::debug);
  r.ask(1h);
  r.sim.run_for(1ms);
  std::size_t warnings = 0;
  for (const auto& [level, text] : seen.all)
    warnings += level == log_level::warning && text.find("connect failed (1 in a row)") != text.npos;
  CHECK(warnings == 1);
  CHECK(seen.count("connect failed (1 in a row)") == 4);
}

TEST_CASE("given connects in flight together, when they time out one after the other, then the log has one line", "[field-U5]") {
  log_lines seen;
  pool_config config = calm(0, 4);
  config.connect_timeout = 1s;
  plain_rig r(config);
  r.server.state(server_state::hung);
  r.pool->log_to(seen.sink(), log_level::debug);
  for (int i = 0; i < 4; ++i) {
    r.ask(1h);
    r.sim.run_for(1ms);
  }
  r.sim.run_for(1s);
  std::size_t warnings = 0;
  for (const auto& [level, text] : seen.all) warnings += level == log_level::warning && text.find("connect failed") != text.npos;
  CHECK(warnings == 1);
  CHECK(seen.count("connect failed (1 in a row): no answer within the connect timeout of 1 s") == 4);
}

TEST_CASE("given a name with two blanks, when an acquire fails, then its line begins with it, once", "[field-U5]") {
  log_lines seen;
  pool_config config = calm(1, 1);
  config.name = "my  shop";
  plain_rig r(config);
  auto held = r.take();
  r.pool->log_to(seen.sink());
  r.ask(0s);
  r.settle();
  REQUIRE(seen.all.size() == 1);
  CHECK(seen.all[0].second.find("my  shop: acquire failed: no connection at once") == 0);
  CHECK(r.pool->describe().find("pool \"my shop\": healthy") == 0);
}

TEST_CASE("given many acquires that fail, when they do within 10 s, then the 1st, 2nd, 4th and so on are told", "[field-U5]") {
  log_lines seen;
  plain_rig r(calm(1, 1));
  r.pool->log_to(seen.sink(), log_level::warning);
  auto held = r.take();
  for (int i = 0; i < 100; ++i) r.ask(0s);
  r.settle();
  CHECK(r.stats().timeouts == 100);
  CHECK(seen.count("acquire failed") == 7);
  CHECK(seen.count("acquire failed (64 within 10 s)") == 1);
  r.sim.run_for(11s);
  r.ask(0s);
  r.settle();
  CHECK(seen.count("acquire failed: ") == 2);  // other ten seconds, another first
}

/// Takes the new events, beside the log.
struct failures_seen {
  struct log {
    std::vector<errc> why;
    std::vector<std::string> texts;
    std::size_t last_alike = 0;
    unsigned line = 0;
  };
  std::shared_ptr<log> to = std::make_shared<log>();
  void on_event(std::string_view, const tidepool::acquire_failed_event& e) {
    to->why.push_back(e.why);
    to->texts.push_back(e.report.text());
    to->last_alike = e.alike;
    to->line = static_cast<unsigned>(e.where.line());
  }
};
struct failures_traits : testing::simulated_traits<fake_connection> {
  using observer = failures_seen;
};

TEST_CASE("given an observer, when there is a sink as well, then both are told; without a sink the observer is", "[field-U5]") {
  log_lines seen;
  testing::simulation sim;
  testing::world server(sim);
  const failures_seen watcher;
  pool_config config = calm(0, 1);
  config.max_waiting = 0;
  tidepool::basic_pool<fake_connection, failures_traits> pool(sim.get_executor(), server.connector(), config, watcher);
  const bool logs = GENERATE(true, false);
  if (logs) pool.log_to(seen.sink());
  std::vector<decltype(pool)::lease> held;
  const auto ask = [&] {
    pool.async_acquire(
        1s, asio::bind_executor(sim.get_executor(), [&](error_code, decltype(pool)::lease lease) { held.push_back(std::move(lease)); }));
  };
  ask();
  sim.run_for(1s);
  ask();
  ask();
  sim.run_for(1s);
  CHECK(watcher.to->why == std::vector{errc::queue_full, errc::queue_full});
  CHECK(watcher.to->last_alike == 2);
  CHECK(watcher.to->line > 0);
  REQUIRE(watcher.to->texts.size() == 2);
  CHECK_THAT(watcher.to->texts[0], has_text("leased"));
  CHECK(seen.count("acquire failed") == (logs ? 2u : 0u));
}

TEST_CASE("given a sink that throws, or sets another one, when a line comes, then pool and new sink work", "[field-U5]") {
  log_lines seen;
  plain_rig r(calm(1, 1));
  SECTION("throws") {
    r.pool->log_to([](log_level, const std::string&) { throw std::runtime_error("the disk is full"); });
    r.open();
    CHECK(r.pool->state() == pool_state::healthy);
  }
  SECTION("replaces itself, and is not destroyed before it returns") {
    const auto mine = std::make_shared<int>(7);
    const std::weak_ptr<int> watch = mine;
    int alive_after = 0;
    r.pool->log_to([&r, &seen, &alive_after, watch, kept = mine](log_level, const std::string&) {
      r.pool->log_to(seen.sink());
      alive_after = watch.expired() ? 0 : *kept;
      (void)r.pool->stats();
    });
    r.open();
    CHECK(alive_after == 7);
    CHECK(mine.use_count() == 1);
    CHECK(seen.count("state starting -> healthy") == 1);
  }
  SECTION("outlived by a lease") {
    r.pool->log_to(seen.sink());
    auto held = r.take();
    r.pool.reset();
    const auto before = seen.all.size();
    held.release();
    r.settle();
    CHECK(seen.all.size() == before);
  }
}

TEST_CASE("given an open pool that nobody uses, when a minute has passed, then it says so once", "[field-U2]") {
  log_lines seen;
  pool_config config = calm(1, 2);
  config.health_check_interval = 10s;
  plain_rig r(config);
  r.pool->log_to(seen.sink());
  r.open();
  SECTION("from its opening on") {
    r.sim.run_for(1h);
    CHECK(seen.count("unused: nothing was acquired for 60 s, and no lease is out.") == 1);
    CHECK(seen.count("close() it to end the program") == 1);
    (void)r.take();
    r.sim.run_for(1h);
    CHECK(seen.count("unused") == 1);
  }
  SECTION("after its last use") {
    for (int i = 0; i < 20; ++i) {
      (void)r.take();
      r.sim.run_for(30s);
    }
    CHECK(seen.count("unused") == 0);
    r.sim.run_for(75s);
    CHECK(seen.count("unused") == 1);
  }
  SECTION("but not while a lease is out or a caller waits") {
    auto held = r.take();
    auto other = r.take();
    auto waits = r.asked(2h);
    r.sim.run_for(1h);
    CHECK(seen.count("unused") == 0);
  }
  SECTION("nor when acquires fail") {
    r.pool->suspend();
    for (int i = 0; i < 20; ++i) {
      (void)r.ask(1s);
      r.sim.run_for(30s);
    }
    CHECK(seen.count("unused") == 0);
  }
  SECTION("nor when it is closed") {
    r.close_and_check();
    r.sim.run_for(1h);
    CHECK(seen.count("unused") == 0);
  }
}

TEST_CASE("given a server that is down, then its first failure, summaries and the end are told", "[field-L4]") {
  log_lines seen;
  auto config = calm(0, 1);
  config.max_retries = config.breaker_threshold = no_limit;
  plain_rig r(config);
  r.server.state(server_state::unreachable);
  r.pool->log_to(seen.sink(), log_level::warning);
  std::vector<plain_rig::request_ptr> callers;
  for (int second = 0; second < 95; ++second) {
    callers.push_back(r.ask(1s));
    r.sim.run_for(1s);
  }
  for (const auto& line : seen.all) UNSCOPED_INFO(line.second);
  const auto told = seen.count("connect failed (");
  CHECK(told >= 4);
  CHECK(told <= 5);
  CHECK(seen.count("connect failed (1 in a row): ") == 1);
  CHECK(seen.count(" in a row in 1") == 1);  // after some ten seconds
  const auto failures = r.stats().connection_errors;
  CHECK(failures > told);
  r.server.state(server_state::up);
  auto served = r.ask(1h);
  r.sim.run_while_not([&] { return !served->pending(); });
  for (const auto& line : seen.all) UNSCOPED_INFO(line.second);
  CHECK(seen.has(log_level::warning, ": connecting works again after "));
  served->held.release();
  r.close_and_check();
}

TEST_CASE("given a log, when its level is changed at run time, then lines of that level come", "[field-U5]") {
  log_lines seen;
  plain_rig r(calm(0, 2));
  r.pool->set_log_level(log_level::debug);  // there is none yet
  r.pool->log_to(seen.sink(), log_level::error);
  auto first = r.take();
  CHECK(seen.all.empty());
  r.pool->set_log_level(log_level::info);
  auto second = r.take();
  CHECK(seen.has(log_level::info, "connection 2 created"));
  CHECK(seen.all.size() == 1);
}

TEST_CASE("given a hundred slow acquires at once, when there is a log, then it has seven lines of them", "[field-U5]") {
  log_lines seen;
  auto config = calm(1, 1);
  config.slow_acquire = 1s;
  plain_rig r(config);
  r.pool->log_to(seen.sink(), log_level::warning);
  auto held = r.take();
  std::vector<plain_rig::request_ptr> callers;
  for (int i = 0; i < 100; ++i) callers.push_back(r.ask(1h));
  r.sim.run_for(2s);
  held.release();
  for (auto& caller : callers) {
    r.settle();
    REQUIRE(caller->served());
    caller->held.release();
  }
  r.settle();
  CHECK(seen.count("slow acquire") == 7);
  CHECK(seen.count("slow acquire (64 within 10 s): 2.000 s at ") == 1);
}

struct unused_session {};

TEST_CASE("given threads that use a pool, when sinks come and go, then each line has a whole sink", "[field-U5]") {
  asio::io_context io;
  pool_config config = calm(0, 2);
  auto connect = [n = std::make_shared<std::atomic<int>>(0)]() -> asio::awaitable<unused_session> {
    if (++*n % 3 == 0) throw std::runtime_error("every third connect");
    co_return unused_session();
  };
  config.retry_delay = config.max_retry_delay = 1ms;
  tidepool::basic_pool<unused_session> pool(io, connect, config);
  std::atomic<bool> over = false;
  std::atomic<int> told = 0;
  std::atomic<int> bad = 0;
  const auto use = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 200 && !over; ++i) {
      try {
        auto lease = co_await pool.acquire(1ms);
        lease.discard();
      } catch (const tidepool::system_error&) {
      }
    }
    over = true;
  };
  for (int i = 0; i < 4; ++i) asio::co_spawn(io, use(), tidepool::rethrow);
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) threads.emplace_back([&] { io.run(); });
  std::thread changer([&] {
    for (int i = 0; !over; ++i) {
      auto mine = std::make_shared<std::string>("sink " + std::to_string(i));
      pool.log_to([&, mine](log_level, const std::string& text) {
        ++told;
        if (mine->substr(0, 5) != "sink " || text.empty()) ++bad;
      });
      if (i % 8 == 7) pool.log_to(nullptr);
    }
  });
  changer.join();
  asio::co_spawn(io, pool.close(), tidepool::rethrow);
  for (auto& thread : threads) thread.join();
  io.restart();
  io.run();
  CHECK(told > 0);
  CHECK(bad == 0);
}

}  // namespace
