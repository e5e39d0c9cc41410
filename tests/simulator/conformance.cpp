// SPDX-License-Identifier: BSL-1.0
// tidepool - rows of tests/README.md that need a user's statements on a connection: transactions that fail, leases that are over, refills.
#include <tidepool/pool.hpp>
#include <tidepool/testing.hpp>

#include "../support/catch.hpp"

namespace tidepool_conformance {
namespace {

using namespace std::chrono_literals;
namespace testing = tidepool::testing;
namespace asio = tidepool::asio;
using connection = testing::fake_connection;
using pool_type = tidepool::basic_pool<connection, testing::simulated_traits<connection>>;

tidepool::pool_config sized(std::size_t min, std::size_t max) {
  tidepool::pool_config out;
  out.min_size = min;
  out.max_size = max;
  out.retry_delay = 10ms;
  out.max_retry_delay = 100ms;
  return out;
}

struct seen {
  int succeeded = 0;
  int failed = 0;
};

/// BEGIN, one statement; the transaction is left to the pool when the statement fails.
asio::awaitable<void> transaction(pool_type& pool, seen& out) {
  pool_type::lease lease = co_await pool.acquire(1s);
  try {
    lease->begin_transaction();
    (void)co_await lease->query(1);
    ++out.succeeded;
  } catch (const tidepool::system_error&) {
    ++out.failed;
  }
}

}  // namespace

TEST_CASE("given a BEGIN that fails, when the lease ends, then a sound connection is kept, a dead one replaced", "[R15]") {
  const bool fatal = GENERATE(false, true);
  testing::simulation sim(1);
  testing::world server(sim);
  pool_type pool(sim.get_executor(), server.connector(), sized(0, 1));
  seen out;
  asio::co_spawn(sim.get_executor(), transaction(pool, out), asio::detached);
  sim.run_for(100ms);
  REQUIRE(out.succeeded == 1);

  server.plan()[testing::operation::query].fails = 1;
  server.plan()[testing::operation::query].latency = 10ms;
  asio::co_spawn(sim.get_executor(), transaction(pool, out), asio::detached);
  sim.run_for(5ms);
  if (fatal) server.kill_sessions();
  sim.run_for(100ms);
  CHECK(out.failed == 1);
  CHECK(pool.stats().connections_closed == (fatal ? 1u : 0u));
  CHECK(pool.stats().resets == (fatal ? 1u : 2u));

  server.plan() = {};
  asio::co_spawn(sim.get_executor(), transaction(pool, out), asio::detached);
  sim.run_for(100ms);
  CHECK(out.succeeded == 2);
  CHECK(pool.stats().connections_created == (fatal ? 2u : 1u));
}

TEST_CASE("given transactions that fail one after the other, when many more come, then the pool has not shrunk", "[R16]") {
  testing::simulation sim(1);
  testing::world server(sim);
  pool_type pool(sim.get_executor(), server.connector(), sized(2, 2));
  seen out;
  server.plan()[testing::operation::query].fails = 1;
  for (int i = 0; i < 100; ++i) asio::co_spawn(sim.get_executor(), transaction(pool, out), asio::detached);
  sim.run_for(1s);
  CHECK(out.failed == 100);
  server.plan() = {};
  for (int i = 0; i < 100; ++i) asio::co_spawn(sim.get_executor(), transaction(pool, out), asio::detached);
  sim.run_for(1s);
  CHECK(out.succeeded == 100);
  const auto stats = pool.stats();
  CHECK(stats.idle_connections == 2);
  CHECK(stats.connections_created == 2);
  CHECK(stats.resets == 200);
}

TEST_CASE("given a lease that is over, when it is used, then it is empty, and nothing reaches the connection", "[R11][B093]") {
  const int how = GENERATE(0, 1, 2, 3);
  testing::simulation sim(1);
  testing::world server(sim);
  pool_type pool(sim.get_executor(), server.connector(), sized(1, 1));
  sim.run_for(1s);
  bool opened = false;
  auto open = [](pool_type& at, bool& done) -> asio::awaitable<void> {
    co_await at.open();
    done = true;
  };
  asio::co_spawn(sim.get_executor(), open(pool, opened), asio::detached);
  sim.run_for(1s);
  REQUIRE(opened);
  pool_type::lease lease = pool.try_acquire();
  REQUIRE(lease);
  pool_type::lease other;
  std::optional<connection> own;
  switch (how) {
    case 0: lease.release(); break;
    case 1: lease.discard(); break;
    case 2: own = lease.detach(); break;
    default: other = std::move(lease); break;
  }
  CHECK_FALSE(lease);
  CHECK(lease.id() == 0);
  CHECK(lease.age() == 0s);
  const auto before = pool.stats();
  lease.label("nobody");
  lease.release();
  lease.discard();
  CHECK_THROWS_AS(lease.detach(), tidepool::system_error);
  const auto after = pool.stats();
  CHECK(after.total_checkins == before.total_checkins);
  CHECK(after.total_connections == before.total_connections);
  CHECK(static_cast<bool>(other) == (how == 3));
}

TEST_CASE("given a refill that fails, when the server is back, then the floor is there again unasked", "[B057]") {
  const bool checked = GENERATE(false, true);  // whether it is the health check that finds the dead ones
  testing::simulation sim(1);
  testing::world server(sim);
  auto config = sized(3, 4);
  config.health_check_interval = checked ? tidepool::duration(1s) : tidepool::no_limit;
  config.max_lifetime = checked ? tidepool::duration(tidepool::no_limit) : tidepool::duration(2s);
  config.idle_timeout = tidepool::no_limit;
  if (!checked) config.idle_timeout = 2s;
  config.lifetime_jitter = 0;
  pool_type pool(sim.get_executor(), server.connector(), config);
  auto open = [](pool_type& at) -> asio::awaitable<void> { co_await at.open(); };
  asio::co_spawn(sim.get_executor(), open(pool), asio::detached);
  sim.run_for(500ms);
  REQUIRE(pool.stats().idle_connections == 3);

  server.state(testing::server_state::down);
  sim.run_for(10s);
  CHECK(pool.stats().idle_connections == 0);
  CHECK(pool.stats().connection_errors > 0);

  server.state(testing::server_state::up);
  sim.run_for(config.breaker_open_time + config.max_retry_delay + 1s);
  CHECK(pool.stats().idle_connections == 3);
  CHECK(pool.stats().breaker == tidepool::breaker_state::closed);
}

}  // namespace tidepool_conformance
