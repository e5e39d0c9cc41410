// SPDX-License-Identifier: BSL-1.0
// tidepool - the real driver and a pool of it in a simulation: a scripted server's latencies are virtual time. Needs no server.
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include "../support/on_end.hpp"
#include "kit.hpp"

#include <tidepool/testing/postgres.hpp>

namespace {

using namespace tidepool_tests;
namespace testing = tidepool::testing;
using pool_type = testing::simulated_pool;

tidepool::pool_config small_config() {
  tidepool::pool_config config;
  config.min_size = 1;
  config.max_size = 2;
  return config;
}

/// Runs one handler in the simulation, to its end.
void finish(testing::simulation& sim, asio::awaitable<void> work) {
  std::exception_ptr failure;
  bool done = false;
  const on_end at_end = [&](std::exception_ptr e) {
    failure = e;
    done = true;
  };
  asio::co_spawn(sim.get_executor(), std::move(work), at_end);
  const bool ended = sim.run_while_not([&] { return done; });
  REQUIRE(ended);
  if (failure) std::rethrow_exception(failure);
}

asio::awaitable<int> count(pool_type& pool, std::chrono::milliseconds patience) {
  auto lease = co_await pool.acquire(patience);
  co_return co_await lease->one<int>("select count(*) from jobs");
}

}  // namespace

TEST_CASE("given a server that takes half an hour, when a handler asks it, then no real time passes", "[field-U9]") {
  const stopwatch watch;
  testing::simulation sim(1);
  testing::fake_postgres db(sim);
  db.allow("select count(*) from jobs").latency(30min).returns({{5}});
  pool_type pool(sim.get_executor(), db.connector(), small_config());
  const auto began = sim.now();
  auto work = [](pool_type& from) -> asio::awaitable<void> {
    const int jobs = co_await count(from, 1s);
    must(jobs == 5, "the answer");
  };
  finish(sim, work(pool));
  CHECK(sim.now() - began >= 30min);
  CHECK(sim.now() - began < 31min);
  CHECK(watch.seconds() < 30);
  CHECK_NOTHROW(db.verify());
}

TEST_CASE("given two connections that are busy, when a third caller waits, then its timeout is virtual", "[field-U9]") {
  testing::simulation sim(2);
  testing::fake_postgres db(sim);
  db.allow("select count(*) from jobs").latency(10s).returns({{5}});
  pool_type pool(sim.get_executor(), db.connector(), small_config());
  std::vector<std::string> ends;
  const on_end_of<int> note = [&](std::exception_ptr failure, int) { ends.push_back(failure ? "failed" : "done"); };
  asio::co_spawn(sim.get_executor(), count(pool, 1s), note);
  asio::co_spawn(sim.get_executor(), count(pool, 1s), note);
  sim.run_for(1s);
  asio::co_spawn(sim.get_executor(), count(pool, 3s), note);
  sim.run_for(4s);
  CHECK(ends == std::vector<std::string>{"failed"});
  sim.run_for(10s);
  CHECK(ends == std::vector<std::string>{"failed", "done", "done"});
}

TEST_CASE("given an outage in a simulation, when the server is back, then the pool serves again", "[field-U9]") {
  testing::simulation sim(3);
  testing::fake_postgres db(sim);
  db.allow("select count(*) from jobs").returns({{5}});
  db.connect_latency(200ms);
  pool_type pool(sim.get_executor(), db.connector(), small_config());
  int served = 0, failed = 0;
  const on_end_of<int> note = [&](std::exception_ptr failure, int) { ++(failure ? failed : served); };
  asio::co_spawn(sim.get_executor(), count(pool, 1s), note);
  sim.run_for(1min);
  CHECK(served == 1);
  db.stop();
  sim.run_for(1min);
  asio::co_spawn(sim.get_executor(), count(pool, 1s), note);
  sim.run_for(1min);
  CHECK(failed == 1);
  db.start();
  sim.run_for(2min);
  asio::co_spawn(sim.get_executor(), count(pool, 1s), note);
  sim.run_for(1s);
  CHECK(served == 2);
}

TEST_CASE("given one seed, when the same handlers run twice, then the runs are the same", "[field-U9]") {
  const auto trace = [] {
    testing::simulation sim(7);
    testing::fake_postgres db(sim);
    db.allow("select count(*) from jobs").latency(3ms).returns({{5}});
    pool_type pool(sim.get_executor(), db.connector(), small_config());
    for (int i = 0; i < 20; ++i) asio::co_spawn(sim.get_executor(), count(pool, 1s), asio::detached);
    sim.run_for(10s);
    std::string sessions;
    for (const auto& each : db.asked()) sessions += std::to_string(each.session);
    return std::to_string(sim.trace()) + " " + sessions;
  };
  CHECK(trace() == trace());
}

TEST_CASE("given a scripted server in a simulation, when a steady_timer is awaited, then the run ends in words", "[field-U9]") {
  testing::simulation sim(1);
  testing::fake_postgres db(sim);
  pool_type pool(sim.get_executor(), db.connector(), small_config());
  finish(sim, pool.open());
  asio::co_spawn(sim.get_executor(), pause(1s), asio::detached);
  std::string said;
  try {
    sim.run_for(1h);
  } catch (const std::logic_error& failure) {
    said = failure.what();
  }
  CHECK(said.find("asio::steady_timer waits in real time") != std::string::npos);
}

TEST_CASE("given a silent server in a simulation, when a call has a time limit, then that is virtual time", "[field-U9]") {
  testing::simulation sim(1);
  testing::fake_postgres db(sim);
  db.expect("silent").never_answers();
  db.expect("late").latency(2min);
  db.expect("soon").latency(100ms).returns({{1}});
  pool_type pool(sim.get_executor(), db.connector(), small_config());
  auto work = [](pool_type& from) -> asio::awaitable<void> {
    auto lease = co_await from.acquire(1s);
    for (const char* sql : {"silent", "late"}) {
      const auto began = testing::virtual_clock::now();
      const auto failure = co_await error_of(lease->exec(pg::within(1min), sql));
      const auto took = testing::virtual_clock::now() - began;
      must(failure.reason() == pg::errc::response_timeout, "the time limit");
      must(took >= 1min && took < 70s, "in virtual time");
    }
    const int one = co_await lease->one<int>(pg::within(1s), "soon");
    must(one == 1, "the connection is kept");
  };
  const stopwatch watch;
  finish(sim, work(pool));
  CHECK(watch.seconds() < 30);
  CHECK(db.asked().at(0).answer == "57014");
}

TEST_CASE("given a transaction in a simulation, when it is retried, then its pauses are virtual time", "[field-U9]") {
  testing::simulation sim(1);
  testing::fake_postgres db(sim);
  db.expect("update t").times(4);
  db.expect("commit").times(3).fails("40001", "could not serialize access");
  pool_type pool(sim.get_executor(), db.connector(), small_config());
  auto work = [](pool_type& from) -> asio::awaitable<void> {
    auto lease = co_await from.acquire(1s);
    auto body = [](pg::transaction& tx) -> asio::awaitable<void> { co_await tx.exec("update t"); };
    co_await lease->transaction(body, {.retries = 5, .retry_delay = 1h, .max_retry_delay = 5h});
  };
  const auto began = sim.now();
  const stopwatch watch;
  finish(sim, work(pool));
  CHECK(sim.now() - began > 1s);  // jitter may make one of three short, not all
  CHECK(watch.seconds() < 30);
  CHECK_NOTHROW(db.verify());
}
