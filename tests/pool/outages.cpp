// SPDX-License-Identifier: BSL-1.0
// tidepool - servers that refuse, fill up, start, lose their role, or drop new connections: how soon the pool is back, and who is refused.
#include "rig.hpp"

namespace {

using namespace tidepool_tests;

struct outage {
  server_state state;
  const char* told;
};

TEST_CASE("given a server that starts up or does not listen, when it is ready, then no caller was refused", "[field-L4]") {
  const auto now = GENERATE(outage{server_state::starting, "the server is starting up"}, outage{server_state::down, "no server listens"});
  auto config = calm(2, 4);
  config.max_retries = 0;
  config.breaker_threshold = 1;
  rig r(config);
  r.open();
  r.sim.run_for(2s);  // or they would be lost before they served anybody
  r.server.state(now.state);
  std::vector<rig<>::request_ptr> callers;
  for (int i = 0; i < 40; ++i) {
    callers.push_back(r.ask(5s, i % 2 ? way::callback : way::coroutine));
    r.sim.run_for(100ms);
  }
  for (const auto& c : callers) CHECK(c->pending());
  CHECK(r.stats().state == pool_state::critical);
  CHECK(r.stats().breaker == tidepool::breaker_state::closed);
  CHECK(r.events->has("critical: no connection is alive and " + std::string(now.told)));
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

TEST_CASE("given a connector that throws a plain refusal, then open() and callers wait until the server listens", "[field-L4]") {
  const bool waits = GENERATE(true, false);
  const auto code = GENERATE(make_error_code(tidepool::generic_errc::connection_refused), error_code(asio::error::connection_refused));
  const bool standard = GENERATE(false, true);  // with Boost.Asio two kinds of exceptions
  auto config = calm(1, 4);
  config.max_retries = 1;
  config.wait_when_refused = waits;
  simulation sim(1);
  testing::world server(sim);
  bool listens = false;
  const auto connector = [&, inner = server.connector()](const auto& context) {
    if (!listens && standard) throw std::system_error(code);
    if (!listens) throw tidepool::system_error(code);
    return inner(context);
  };
  tidepool::basic_pool<fake_connection, testing::simulated_traits<fake_connection>> pool(sim.get_executor(), connector, config);
  std::optional<error_code> opened;
  asio::co_spawn(
      sim.get_executor(),
      [](auto& it, auto& result) -> asio::awaitable<void> {
        try {
          co_await it.open();
          result = error_code();
        } catch (const tidepool::system_error& e) {
          result = e.code();
        }
      }(pool, opened),
      asio::detached);
  sim.run_for(9s);
  INFO(code);
  CHECK(opened.has_value() == !waits);
  listens = true;
  sim.run_for(300ms);
  REQUIRE(opened.has_value());
  CHECK(*opened == (waits ? error_code() : make_error_code(errc::connect_failed)));
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

/// The result of `own_check::validate()`, set by the test.
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

TEST_CASE("given a validation that refuses new connections, then callers get none and the pool backs off", "[field-L5]") {
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

/// Counts how often it is told that the policy refused it.
struct rejectable : fake_connection {
  using fake_connection::fake_connection;
  void rejected() noexcept {
    testing::checked_mutex::expect_unlocked("a connection is told that it was refused");
    CHECK(open());
    ++times;
  }
  static inline int times = 0;
};
struct rejecting_traits : watched_traits<rejectable> {
  using health_policy = own_check;
};

TEST_CASE("given usable connections that a policy refuses, when it does, then each is told before its close", "[field-L5]") {
  rejectable::times = 0;
  verdict::good = false;
  verdict::kind = tidepool::failure_kind::wrong_role;
  auto config = calm(0, 1);
  config.pre_ping = true;
  rig<rejectable, rejecting_traits> r(config);
  auto a = r.ask(1h);
  r.sim.run_for(1s);
  CHECK(a->pending());
  CHECK(rejectable::times >= 3);  // each new one
  CHECK(static_cast<std::uint64_t>(rejectable::times) == r.stats().connection_errors);
  verdict::good = true;
  r.sim.run_while_not([&] { return !a->pending(); });
  REQUIRE(a->served());
  a->held.release();
  rejectable::times = 0;
  r.sim.run_for(1s);
  SECTION("before a hand-out") {
    verdict::good = false;
    auto b = r.ask(100ms);
    r.sim.run_for(50ms);
    verdict::good = true;
    CHECK(rejectable::times >= 1);
    CHECK(r.stats().closed(close_reason::invalid) == 1);
    r.sim.run_for(1s);
    if (b->served()) b->held.release();
  }
  SECTION("but not one that has died: its connector will find out") {
    r.server.kill_sessions();
    auto b = r.ask(5s);
    r.sim.run_while_not([&] { return !b->pending(); });
    REQUIRE(b->served());
    CHECK(rejectable::times == 0);
    b->held.release();
  }
  r.close_and_check();
}

/// A policy that waits for something else than the connection, and never gets it.
struct waits_elsewhere : tidepool::health_check {
  using health_check::health_check;
  static asio::awaitable<void> validate(fake_connection&) { co_await testing::sleep_for(24h); }
};
struct waiting_traits : watched_traits<rejectable> {
  using health_policy = waits_elsewhere;
};

TEST_CASE("given a policy that never answers, when the pool ends its wait, then no connection counts as refused", "[field-L5]") {
  rejectable::times = 0;
  auto config = calm(0, 1);
  config.connect_timeout = 1s;
  config.max_retries = no_limit;
  config.breaker_threshold = no_limit;
  rig<rejectable, waiting_traits> r(config);
  auto a = r.ask(1h);
  SECTION("by its timeout") { r.sim.run_for(10s); }
  SECTION("by its close") { r.sim.run_for(500ms); }
  r.pool.reset();
  r.sim.run_for(1s);
  CHECK(a->failed_with(errc::closed));
  CHECK(rejectable::times == 0);
}

TEST_CASE("given connects without an answer, when they time out, then the event tells how many were alike", "[field-L4]") {
  auto config = calm(0, 1);
  config.connect_timeout = 1s;
  config.max_retries = no_limit;
  config.breaker_threshold = no_limit;
  rig r(config);
  r.server.state(server_state::hung);
  auto a = r.ask(1h);
  r.sim.run_for(20s);
  const auto failures = r.events->count("connect failed x");
  REQUIRE(failures >= 3);
  CHECK(r.events->last_alike == failures);
  r.server.state(server_state::up);
  r.sim.run_while_not([&] { return !a->pending(); });
  REQUIRE(a->served());
  a->held.release();
  r.close_and_check();
}

TEST_CASE("given leases without a pause, when a policy calls their connection bad, then it is replaced soon", "[field-L5]") {
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

// --- connections that die before they serve ---------------------------------------------------------------------------------

TEST_CASE("given a server that hangs up at the first statement, then connects are few and callers know", "[field-L7]") {
  auto config = calm(0, 10);
  config.max_retries = config.breaker_threshold = no_limit;
  rig r(config);
  r.server.plan()[operation::query].fails = 1;
  const auto use = [&] {
    asio::co_spawn(
        r.sim.get_executor(),
        [](rig<>& it) -> asio::awaitable<void> {
          try {
            auto lease = co_await it.pool->acquire(100ms);
            try {
              co_await lease->query(1);
            } catch (const tidepool::system_error&) {
              lease->abort();  // it is gone
              throw;
            }
          } catch (const tidepool::system_error&) {
          }
        }(r),
        asio::detached);
  };
  for (int i = 0; i < 600; ++i) {
    use();
    r.sim.run_for(100ms);
  }
  CHECK(r.server.counts().connects <= 20);  // in a minute
  CHECK(r.server.counts().connects >= 7);
  CHECK(r.pool->state() == pool_state::critical);
  CHECK(r.events->has("connect failed x2: connection "));
  CHECK(r.events->has(" was lost before it served anybody: found broken at its return"));
  auto refused = r.ask(0s, way::coroutine);
  r.settle();
  CHECK(refused->text.find("was lost before it served anybody") != std::string::npos);
  r.server.plan()[operation::query].fails = 0;
  auto a = r.take(20s);
  CHECK(r.pool->state() == pool_state::degraded);  // so far it has only been connected
  asio::co_spawn(
      r.sim.get_executor(), [](auto& lease) -> asio::awaitable<void> { co_await lease->query(2); }(a), asio::detached);
  r.sim.run_for(10ms);
  a.release();
  CHECK(r.pool->state() != pool_state::degraded);
  r.close_and_check();
}

// --- who and why ------------------------------------------------------------------------------------------------------------

/// Has `peer()` and `why_broken()`.
struct named_connection : fake_connection {
  using fake_connection::fake_connection;
  std::string peer() const { return "db" + std::to_string(id() % 2) + ":5432"; }
  std::string why_broken() const { return open() ? std::string(reason) : std::string("reset by peer"); }
  tidepool::lease_end after_lease() const noexcept { return end ? *end : fake_connection::after_lease(); }
  std::optional<tidepool::lease_end> end;
  const char* reason = "";
};
/// Records the server and the cause of each event.
struct cause_recorder {
  std::shared_ptr<std::vector<std::string>> said = std::make_shared<std::vector<std::string>>();
  void on_event(std::string_view, const tidepool::created_event& e) const { said->push_back("+ " + std::string(e.server)); }
  void on_event(std::string_view, const tidepool::destroyed_event& e) const {
    said->push_back("- " + std::string(e.server) + " " + to_string(e.reason) + ": " + std::string(e.cause));
  }
  void on_event(std::string_view, const tidepool::health_failed_event& e) const {
    said->push_back("? " + std::string(e.server) + ": " + std::string(e.error));
  }
};
template <class Connection>
struct cause_recorder_traits : testing::simulated_traits<Connection> {
  using observer = cause_recorder;
};

template <class Connection = named_connection>
struct caused_end {
  using pool_type = tidepool::basic_pool<Connection, cause_recorder_traits<Connection>>;
  explicit caused_end(const pool_config& config)
      : pool(sim.get_executor(), testing::basic_fake_connector<Connection>(server), config, recorded) {}
  typename pool_type::lease take() {
    typename pool_type::lease out;
    pool.async_acquire(10s, [&out](error_code, auto got) { out = std::move(got); });
    sim.run_while_not([&] { return static_cast<bool>(out); });
    return out;
  }
  std::vector<std::string> news() {
    sim.run_for(10ms);
    return std::exchange(*recorded.said, {});
  }
  simulation sim{1};
  testing::world server{sim};
  cause_recorder recorded;
  pool_type pool;
};
using server_news = std::vector<std::string>;

TEST_CASE("given connections that end, when an observer is told, then it hears server and cause", "[field-L10]") {
  auto config = calm(0, 2);
  config.health_check_interval = 30s;
  config.reset_timeout = config.validation_timeout = 5ms;
  caused_end<> f(config);
  auto a = f.take();
  CHECK(f.news() == server_news{"+ db1:5432"});
  f.sim.run_for(5s);
  SECTION("discarded") {
    a.discard();
    CHECK(f.news() == server_news{"- db1:5432 broken: discarded by its holder"});
  }
  SECTION("broken, as it knows") {
    a->abort();
    a.release();
    CHECK(f.news() == server_news{"- db1:5432 broken: reset by peer"});
  }
  SECTION("broken, and it does not know why") {
    a->end = tidepool::lease_end::broken;
    a.release();
    CHECK(f.news() == server_news{"- db1:5432 broken: found broken at its return"});
  }
  SECTION("found dead before a hand-out") {
    a.release();
    f.server.kill_sessions();
    a = f.take();
    CHECK(f.news() == server_news{"- db1:5432 broken: found broken before it was handed out", "+ db0:5432"});
  }
  SECTION("a reset that fails") {
    f.server.plan()[operation::reset].fails = 1;
    a->begin_transaction();
    a.release();
    const auto said = f.news();
    REQUIRE(said.size() == 1);
    CHECK(said[0].find("- db1:5432 reset_failed: ") == 0);
    CHECK(said[0].size() > std::string("- db1:5432 reset_failed: ").size());
  }
  SECTION("a reset that never ends") {
    f.server.plan()[operation::reset].hangs = 1;
    a->begin_transaction();
    a.release();
    CHECK(f.news() == server_news{"- db1:5432 reset_failed: no answer within the reset timeout"});
  }
  SECTION("a check that fails, or never ends") {
    const bool hangs = GENERATE(false, true);
    (hangs ? f.server.plan()[operation::ping].hangs : f.server.plan()[operation::ping].fails) = 1;
    a.release();
    f.sim.run_for(30s);
    const auto said = f.news();
    REQUIRE(said.size() == 2);
    CHECK(said[0].find("? db1:5432: ") == 0);
    CHECK(said[1].find("- db1:5432 invalid: ") == 0);
    CHECK(said[0].substr(11) == said[1].substr(19));
    if (hangs) CHECK(said[1] == "- db1:5432 invalid: no answer within the validation timeout");
  }
  SECTION("nothing wrong with it") {
    a.release();
    f.pool.recycle();
    CHECK(f.news() == server_news{"- db1:5432 recycled: "});
  }
}

TEST_CASE("given a server that lost its role, when its connections go, then the reason is not recycle()", "[field-L10][field-survivor]") {
  auto config = calm(0, 3);
  caused_end<> f(config);
  auto a = f.take();
  auto b = f.take();
  auto c = f.take();
  b.release();
  f.news();
  f.sim.run_for(5s);
  a->end = tidepool::lease_end::outdated;
  const bool discards = GENERATE(false, true);
  if (GENERATE(false, true)) a->reason = "a write was refused";
  const std::string found = *a->reason ? a->reason : "its server is of the wrong role, or went down";
  discards ? a.discard() : a.release();  // its holder has seen an error, and need not know what it means for others
  c.release();
  auto said = f.news();
  std::sort(said.begin(), said.end());
  server_news expected{"- db0:5432 outdated: another connection found that the servers changed",
                       "- db1:5432 outdated: another connection found that the servers changed", "- db1:5432 outdated: " + found};
  std::sort(expected.begin(), expected.end());
  CHECK(said == expected);
  CHECK(f.pool.stats().closed(close_reason::outdated) == 3);
  CHECK(f.pool.stats().closed(close_reason::recycled) == 0);
}

TEST_CASE("given a log, when connections come and go, then its lines name server and cause", "[field-L10]") {
  std::vector<std::string> said;
  tidepool::log_observer log([&](tidepool::log_observer::level, const std::string& line) { said.push_back(line); });
  log.on_event("shop", tidepool::created_event{7, 2ms, "db1:5432"});
  log.on_event("shop", tidepool::created_event{8, 2ms, {}});
  log.on_event("shop", tidepool::destroyed_event{7, close_reason::broken, 1s, "db1:5432", "reset by peer"});
  log.on_event("shop", tidepool::destroyed_event{8, close_reason::idle, 1s, {}, {}});
  log.on_event("shop", tidepool::health_failed_event{9, "no", "db2"});
  CHECK(said == server_news{"shop: connection 7 to db1:5432 created in 2.000 ms", "shop: connection 8 created in 2.000 ms",
                            "shop: connection 7 to db1:5432 destroyed: broken, age 1.000 s: reset by peer",
                            "shop: connection 8 destroyed: idle, age 1.000 s", "shop: connection 9 to db2 failed its health check: no"});
}

}  // namespace
