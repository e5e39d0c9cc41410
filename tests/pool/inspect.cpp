// SPDX-License-Identifier: BSL-1.0
// tidepool - inspect(): the pool at one moment as data and as JSON; reclaim(): a lease's connection is taken by its number.
#include "rig.hpp"

#include <thread>

namespace {

using namespace tidepool_tests;

using unwatched_rig = rig<fake_connection, testing::simulated_traits<fake_connection>>;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_CASE("given holders and callers, when a pool is inspected, then they are there, longest first", "[field-U5]") {
  pool_config config = calm(1, 3);
  config.leak_detection = true;
  config.leak_timeout = 5s;
  unwatched_rig r(config);
  auto first = r.take();
  first.label("nightly");
  r.sim.run_for(6s);
  auto second = r.take();
  auto third = r.take();
  auto waiting = r.ask(60s);
  r.sim.run_for(1s);
  auto later = r.ask(60s);
  r.sim.run_for(1s);
  const auto seen = r.pool->inspect();
  CHECK(seen.stats.active_connections == 3);
  CHECK(seen.reason == std::string("connections are there"));
  REQUIRE(seen.leases.size() == 3);
  CHECK(seen.leases[0].id == first.id());
  CHECK(seen.leases[0].held >= 8s);
  CHECK(seen.leases[0].label == "nightly");
  CHECK(seen.leases[0].reported);
  CHECK(seen.leases[0].acquired_at.line() > 0);
  CHECK(seen.leases[1].held >= 2s);
  CHECK(seen.leases[1].held < 3s);
  CHECK_FALSE(seen.leases[1].reported);
  REQUIRE(seen.callers.size() == 2);
  CHECK(seen.callers[0].waited == 2s);
  CHECK(seen.callers[1].waited == 1s);

  const auto few = r.pool->inspect(2, 1);
  CHECK(few.leases.size() == 2);
  CHECK(few.callers.size() == 1);
  CHECK(few.leases[0].id == first.id());
  CHECK(r.pool->inspect(0, 0).stats.waiting == 2);
  CHECK(seen.describe() == r.pool->describe());
  waiting->signal.emit(asio::cancellation_type::terminal);
  later->signal.emit(asio::cancellation_type::terminal);
  r.settle();
}

TEST_CASE("given leases in the stash, when a pool is inspected, then they are idle and nobody holds them", "[field-U5]") {
  unwatched_rig r(calm(2, 2));
  r.open();
  for (int i = 0; i < 20; ++i) (void)r.take();
  const auto seen = r.pool->inspect();
  CHECK(seen.leases.empty());
  CHECK(seen.stats.idle_connections == 2);
  CHECK(seen.stats.total_checkouts == 20);
}

TEST_CASE("given a server that is down, when a pool is inspected, then it says why and when it looks next", "[field-U5]") {
  pool_config config = calm(1, 3);
  config.wait_when_refused = false;
  config.breaker_threshold = 2;
  config.breaker_open_time = 20s;
  unwatched_rig r(config);
  r.open();
  CHECK(r.pool->inspect().last_connect_error.empty());
  auto held = r.take();
  r.server.state(server_state::down);
  held.discard();
  r.sim.run_for(10s);
  const auto down = r.pool->inspect();
  CHECK(down.stats.breaker == tidepool::breaker_state::open);
  CHECK(down.connect_failures >= 2);
  CHECK(down.connecting_fails_for > 0s);
  CHECK(down.next_connect <= 20s);
  CHECK_FALSE(down.last_connect_error.empty());
  CHECK(down.last_connect_error_age > 0s);
}

TEST_CASE("given labels with marks of JSON and HTML, when an inspection is JSON, then they are text in it", "[field-U5]") {
  tidepool::pool_inspection seen;
  seen.reason = "opening";
  CHECK(contains(seen.to_json(), R"("reason":"opening","leases":[],"callers":[],"connect_failures":0,"connecting_fails_for":0,)"
                                 R"("next_connect":null,"last_connect_error":"","last_connect_error_age":0,"silent_server":""})"));
  CHECK(contains(seen.to_json(), R"({"stats":{"name":"")"));
  tidepool::lease_report lease;
  lease.id = 7;
  lease.held = 1500ms;
  lease.waiting = 250ms;
  lease.label.assign("\"<b>\\\n");
  seen.leases = {lease, lease};
  seen.leases[1].reported = true;
  seen.callers.push_back({{}, 2s});
  seen.next_connect = 3s;
  const std::string json = seen.to_json();
  CHECK(contains(json, R"("leases":[{"connection":7,"held":1.5,"label":"\"<b>\\\u000a","file":)"));
  CHECK(contains(json, R"("waiting_for_server":0.25,"reported":false},{"connection":7)"));
  CHECK(contains(json, R"("reported":true}],"callers":[{"waited":2,"file":)"));
  CHECK(contains(json, R"("next_connect":3,)"));
}

TEST_CASE("given a lease, when it is reclaimed, then its place serves the next, and its holder is told") {
  rig<> r(calm(0, 1));
  auto held = r.take();
  auto waiter = r.ask(1h);
  r.settle();
  CHECK_FALSE(r.pool->reclaim(held.id() + 1));
  CHECK(held->usable());
  CHECK(r.pool->reclaim(held.id()));
  r.sim.run_while_not([&] { return !waiter->pending(); });
  CHECK(waiter->served());
  CHECK_FALSE(held->usable());
  CHECK_FALSE(r.pool->reclaim(held.id()));
  CHECK(r.stats().closed(close_reason::reclaimed) == 1);
  CHECK(r.stats().leaks_reclaimed == 0);
  CHECK_FALSE(r.events->has("leak "));
  CHECK_FALSE(r.events->has("destroyed "));
  SECTION("given back") { held.release(); }
  SECTION("discarded") { held.discard(); }
  SECTION("detached") {
    try {
      (void)held.detach();
      FAIL("it was detached");
    } catch (const tidepool::pool_error& e) {
      CHECK(e.code() == errc::closed);
      CHECK(e.report().taken_back == close_reason::reclaimed);
      CHECK(contains(e.what(), "because reclaim() was called for it"));
    }
  }
  CHECK(r.events->count("destroyed 1 reclaimed") == 1);
  CHECK(r.server.counts().open == 1);
  r.close_and_check();
}

TEST_CASE("given a lease that was reported as a leak, when it is reclaimed, then that is told and counted") {
  pool_config config = calm(0, 2);
  config.leak_detection = true;
  config.leak_timeout = 10s;
  rig<> r(config);
  auto held = r.take();
  r.sim.run_for(11s);
  REQUIRE(r.stats().leaked == 1);
  CHECK(r.pool->reclaim(held.id()));
  CHECK(r.events->count("leak reclaimed 1") == 1);
  CHECK(r.stats().leaked == 0);
  CHECK(r.stats().leaks_reclaimed == 1);
  held.release();
  CHECK(r.events->count("leak returned") == 0);
  CHECK(r.stats().leaks_returned == 0);
  r.close_and_check();
}

TEST_CASE("given connections that are idle or stashed, when their numbers are reclaimed, then nothing happens") {
  unwatched_rig r(calm(1, 1));
  r.open();
  const auto id = r.take().id();
  CHECK_FALSE(r.pool->reclaim(id));
  CHECK_FALSE(r.pool->reclaim(0));
  auto again = r.take();
  CHECK(again.id() == id);
  CHECK(again->usable());
  CHECK(r.stats().connections_closed == 0);
}

TEST_CASE("given a lease of a pool that is destroyed, when it was reclaimed before, then it ends as any other") {
  unwatched_rig r(calm(0, 1));
  auto held = r.take();
  CHECK(r.pool->reclaim(held.id()));
  r.pool.reset();
  CHECK_FALSE(held->usable());
  held.release();
  r.settle();
  CHECK(r.server.counts().open == 0);
}

struct unwatched {
  std::shared_ptr<std::atomic<int>> aborted = std::make_shared<std::atomic<int>>(0);
  bool usable() const noexcept { return *aborted == 0; }
  void abort() noexcept { ++*aborted; }
};

TEST_CASE("given threads that take and give back, when leases are reclaimed, then every count adds up") {
  using pool_type = tidepool::basic_pool<unwatched>;
  asio::io_context io;
  const auto connect = []() -> asio::awaitable<unwatched> { co_return unwatched(); };
  pool_config config = calm(4, 4);
  pool_type pool(io, connect, config);
  asio::co_spawn(io, pool.open(), asio::detached);
  while (pool.stats().idle_connections < 4) io.run_one();
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> taken{0}, reclaimed{0};
  const auto work = [&] {
    while (!stop) {
      if (auto lease = pool.try_acquire()) {
        ++taken;
        if (taken % 16 == 0) std::this_thread::yield();
      } else {
        std::this_thread::yield();
      }
    }
  };
  std::thread one(work), two(work);
  std::thread loop([&] { io.run(); });
  for (int round = 0; round < 200; ++round) {
    for (const auto& lease : pool.inspect().leases) reclaimed += pool.reclaim(lease.id) ? 1u : 0u;
    std::this_thread::yield();
  }
  stop = true;
  one.join();
  two.join();
  asio::co_spawn(io, pool.close(1s), asio::detached);
  loop.join();
  const auto stats = pool.stats();
  CHECK(stats.state == pool_state::closed);
  CHECK(stats.closed(close_reason::reclaimed) == reclaimed);
  CHECK(stats.total_checkouts == taken);
  CHECK(stats.total_checkouts == stats.total_checkins);
}

}  // namespace
