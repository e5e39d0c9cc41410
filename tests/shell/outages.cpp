// tidepool - servers that refuse, fill up, start, lose their role, or drop new connections: how soon the pool is back, and who is refused.
#include "rig.hpp"

namespace {

using namespace tidepool_tests;

TEST_CASE("given a server that starts up, when it is ready, then nobody was refused and callers are served at once", "[field-L4]") {
  auto config = calm(2, 4);
  config.max_retries = 0;
  config.breaker_threshold = 1;
  rig r(config);
  r.open();
  r.server.state(server_state::starting);
  std::vector<rig<>::request_ptr> callers;
  for (int i = 0; i < 40; ++i) {
    callers.push_back(r.ask(5s, i % 2 ? way::callback : way::coroutine));
    r.sim.run_for(100ms);
  }
  for (const auto& c : callers) CHECK(c->pending());
  CHECK(r.stats().state == pool_state::critical);
  CHECK(r.events->has("critical: no connection is alive and the server is starting up"));
  const auto ready = virtual_clock::now();
  r.server.state(server_state::up);
  r.sim.run_while_not([&] { return !callers.front()->pending(); });
  REQUIRE(callers.front()->served());
  CHECK(callers.front()->ended - ready <= 300ms);
  for (const auto& c : callers) {
    r.sim.run_while_not([&] { return !c->pending(); });
    REQUIRE(c->served());
    c->held.release();
  }
  CHECK(r.stats().failed_checkouts == 0);
  CHECK(r.server.counts().connects <= 60);  // one at a time, every 100 to 200 ms
  r.close_and_check();
}

TEST_CASE("given a full server, when open() is called, then it waits for room as long as it was told to", "[field-L13]") {
  auto config = calm(2, 4);
  config.max_retries = 0;
  rig r(config);
  r.server.state(server_state::full);
  const auto began = virtual_clock::now();
  SECTION("by default for acquire_timeout") {
    auto opened = r.start_open();
    r.sim.run_while_not([&] { return opened->result.has_value(); });
    CHECK(*opened->result == errc::connect_failed);
    CHECK(opened->ended - began == 10s);
    CHECK(r.pool->state() == pool_state::closed);
  }
  SECTION("room in time") {
    auto opened = r.start_open();
    r.sim.run_for(5s);
    r.server.state(server_state::up);
    r.sim.run_while_not([&] { return opened->result.has_value(); });
    CHECK(*opened->result == error_code());
    r.close_and_check();
  }
}

// --- validation of one's own ------------------------------------------------------------------------------------------------

/// Condemns by a fixed answer, which the test changes.
struct verdict {
  static inline int calls = 0;
  static inline bool good = true;
  static inline tidepool::failure_kind kind = tidepool::failure_kind::transient;
};
struct own_check : tidepool::health_check {
  using health_check::health_check;
  static asio::awaitable<void> validate(fake_connection& c) {
    ++verdict::calls;
    co_await c.ping();
    if (!verdict::good) throw tidepool::connect_error(verdict::kind, "not as it should be");
  }
};
struct own_traits : watched_traits<fake_connection> {
  using health_policy = own_check;
};

TEST_CASE("given a validation that refuses new connections, when somebody asks, then nobody gets one; the pool backs off", "[field-L5]") {
  verdict::calls = 0;
  verdict::good = false;
  verdict::kind = GENERATE(tidepool::failure_kind::transient, tidepool::failure_kind::wrong_role);
  auto config = calm(0, 4);
  config.max_retries = no_limit;
  config.breaker_threshold = no_limit;
  rig<fake_connection, own_traits> r(config);
  auto a = r.ask(1h);
  r.sim.run_for(60s);
  CHECK(a->pending());
  CHECK(r.stats().connections_created == 0);
  CHECK(r.events->has("connect failed x1: not as it should be"));
  const bool steady = verdict::kind == tidepool::failure_kind::wrong_role;
  CHECK(verdict::calls >= (steady ? 250 : 7));
  CHECK(verdict::calls <= (steady ? 610 : 15));
  verdict::good = true;
  r.sim.run_while_not([&] { return !a->pending(); });
  CHECK(a->served());
  a->held.release();
  r.close_and_check();
}

TEST_CASE("given leases without a pause, when their connection turns bad by the policy's word, then it is replaced soon", "[field-L5]") {
  verdict::calls = 0;
  verdict::good = true;
  auto config = calm(0, 1);
  config.pre_ping = true;
  rig<fake_connection, own_traits> r(config);
  auto held = r.take();
  const auto first = held.id();
  int validated = 0;
  for (int i = 0; i < 200; ++i) {
    auto next = r.ask(1h);
    r.sim.run_for(20ms);
    held.release();
    r.sim.run_while_not([&] { return !next->pending(); });
    REQUIRE(next->served());
    held = std::move(next->held);
    validated = verdict::calls;
  }
  CHECK(validated >= 7);  // 4 s under load, one each 500 ms
  CHECK(held.id() == first);
  verdict::good = false;
  auto next = r.ask(1h);
  r.sim.run_for(600ms);
  held.release();
  r.sim.run_for(100ms);
  CHECK(next->pending());
  CHECK(r.stats().closed(close_reason::invalid) == 1);
  verdict::good = true;
  r.sim.run_while_not([&] { return !next->pending(); });
  REQUIRE(next->served());
  CHECK(next->held.id() != first);
  next->held.release();
  r.close_and_check();
}

}  // namespace
