// SPDX-License-Identifier: BSL-1.0
// tidepool - postgres::pool against a real server.
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <tidepool/detail/driver/hangup_watch.hpp>
#include <tidepool/instantiate.hpp>

#include "../support/on_end.hpp"
#include "fake_server.hpp"
#include "proxy.hpp"

using namespace tidepool_tests;
using tidepool::close_reason;

namespace {

tidepool::pool_config small(std::size_t min = 2, std::size_t max = 4) {
  tidepool::pool_config config;
  config.name = "tidepool_test";
  config.min_size = min;
  config.max_size = max;
  config.pre_ping = false;
  config.test_on_borrow = false;
  config.auto_scale = false;
  config.close_grace = 2s;
  config.retry_delay = 20ms;
  config.max_retry_delay = 200ms;
  return config;
}

/// How many sessions the server has of a pool's name.
asio::awaitable<int> sessions(pg::connection& watcher, std::string name = "tidepool_test") {
  return watcher.one<int>("select count(*)::int from pg_stat_activity where application_name = $1", name);
}

pg::connector ours(const tidepool::pool_config& config, std::string more = "") { return {patient(more), config}; }

}  // namespace

TEST_CASE("given a pool, when it is opened, used and closed, then the server sees exactly its sessions", "[postgres][pool][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    auto watcher = co_await connect();
    const auto config = small();
    pg::pool pool(co_await asio::this_coro::executor, ours(config), config);
    co_await pool.open();
    must(co_await sessions(watcher) == 2, "min_size sessions");
    int sum = 0;
    for (int i = 0; i < 10; ++i) {
      auto lease = co_await pool.acquire();
      sum += co_await lease->one<int>("select 1");
    }
    must(pool.stats().connections_created == 2, "no more than needed");
    co_await pool.close();
    must(co_await sessions(watcher) == 0, "none left when close() returns");
    co_return sum;
  };
  CHECK(run(task()) == 10);
}

TEST_CASE("given a port without a listener, when a server listens there later, then open() and callers waited",
          "[postgres][pool][server][field-L4]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    const auto here = co_await asio::this_coro::executor;
    auto config = small(1, 4);
    config.max_retries = 0;
    config.breaker_threshold = 1;
    const auto port = closed_port();
    pg::pool pool(here, ours(config, "host=127.0.0.1 sslmode=disable port=" + std::to_string(port)), config);
    std::optional<proxy> between;
    const auto listen = [&]() -> asio::awaitable<void> {
      co_await pause(300ms);
      between.emplace(server_port(), port);
    };
    asio::co_spawn(here, listen(), asio::detached);
    co_await pool.open();
    must(between.has_value(), "open() waited");
    must(pool.stats().connection_errors >= 2, "it looked more than once");
    {
      auto lease = co_await pool.acquire();  // otherwise it would be lost before it served a caller
      co_await lease->exec("select 1");
    }
    between.reset();
    int served = 0;
    const auto caller = [&]() -> asio::awaitable<void> {
      auto lease = co_await pool.acquire(20s);
      served += co_await lease->one<int>("select 1");
    };
    for (int i = 0; i < 8; ++i) asio::co_spawn(here, caller(), asio::detached);
    co_await pause(300ms);
    must(served == 0 && pool.stats().waiting == 8, "all wait");
    between.emplace(server_port(), port);
    for (int i = 0; i < 2000 && served < 8; ++i) co_await pause(5ms);
    must(served == 8, "all are served");
    must(pool.stats().failed_checkouts == 0 && pool.stats().breaker == tidepool::breaker_state::closed, "no caller was refused");
    co_await pool.close();
  };
  run(task());
}

namespace {

/// Refuses the servers of one port, as a check for lag does.
struct picky : tidepool::health_check {
  using health_check::health_check;
  static asio::awaitable<void> validate(pg::connection& c) {
    ++asked;
    if (c.peer().find(bad_port) != std::string_view::npos) {
      throw tidepool::connect_error(tidepool::failure_kind::wrong_role, "this replica lags");
    }
    co_return;
  }
  static inline std::string bad_port;
  static inline int asked = 0;
};
struct picky_traits : tidepool::default_traits<pg::connection> {
  using health_policy = picky;
};

}  // namespace

TEST_CASE("given two hosts, when a policy refuses one, then later connects go to the other first", "[postgres][pool][field-L5]") {
  fake_server lagging(after_login([](const std::string&) { return ""; }), true, false);
  fake_server current(after_login([](const std::string&) { return ""; }), true, false);
  auto task = [&]() -> asio::awaitable<void> {
    picky::bad_port = ":" + std::to_string(lagging.port());
    picky::asked = 0;
    const auto config = small(0, 4);
    pg::options settings("host=127.0.0.1,127.0.0.1 port=" + std::to_string(lagging.port()) + "," + std::to_string(current.port()) +
                         " user=u dbname=d sslmode=disable");
    settings.bad_host_memory = 1h;
    settings.close_timeout = 10ms;
    tidepool::basic_pool<pg::connection, picky_traits> pool(co_await asio::this_coro::executor, pg::connector(settings, config), config);
    for (int i = 0; i < 3; ++i) {
      auto lease = co_await pool.acquire(5s);
      must(lease->peer().find(std::to_string(current.port())) != std::string_view::npos, "the other one");
      lease.discard();
    }
    must(lagging.accepted() == 1 && current.accepted() == 3, "the refused one was dialled once");
    must(picky::asked >= 4, "each new connection was validated");
    co_await pool.close();
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given idle connections whose backends were terminated, when acquiring, then none gets a dead one",
          "[postgres][pool][server][field-5]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    auto watcher = co_await connect();
    const auto config = small(4, 4);
    pg::pool pool(co_await asio::this_coro::executor, ours(config), config);
    co_await pool.open();
    // The sessions, once the pool has four that are idle and alive: a replacement that is terminated during its login is no idle
    // connection that died, and one that died is idle until that was noticed.
    const auto all_alive = [&]() -> asio::awaitable<std::vector<int>> {
      const stopwatch time;
      for (;;) {
        const auto before = pool.stats();
        auto pids = co_await watcher.all<int>("select pid from pg_stat_activity where application_name = 'tidepool_test'");
        const auto after = pool.stats();
        const bool same = before.connections_created == after.connections_created && before.connections_closed == after.connections_closed;
        if (same && before.idle_connections == 4 && after.idle_connections == 4 && pids.size() == 4) co_return pids;
        if (time.seconds() > 20) throw std::runtime_error("not full again");
        co_await pause(1ms);
      }
    };
    int good = 0;
    for (int round = 0; round < 10; ++round) {
      const auto all = co_await all_alive();
      co_await watcher.exec("select pg_terminate_backend(pid) from unnest($1::int[]) pid", all);
      for (int left = 1; left > 0;) {
        left = co_await watcher.one<int>("select count(*)::int from pg_stat_activity where pid = any($1)", all);
      }
      auto lease = co_await pool.acquire();
      good += co_await lease->one<int>("select 1");
    }
    (void)co_await all_alive();
    const auto stats = pool.stats();
    must(stats.closed(close_reason::broken) + stats.closed(close_reason::invalid) == 40, "each closed as dead, and no other");
    co_await pool.close();
    co_return good;
  };
  CHECK(run(task()) == 10);
}

#ifdef __linux__
TEST_CASE("given idle connections, when some backends end, then only these are replaced, at once and unasked", "[postgres][pool][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto watcher = co_await connect();
    auto config = small(4, 4);
    config.health_check_interval = 1h;
    std::string reason;
    auto settings = patient();
    settings.on_notice = [&](const pg::notice& said) { reason = said.sqlstate; };
    pg::pool pool(co_await asio::this_coro::executor, pg::connector(settings, config), config);
    co_await pool.open();
    const auto all = co_await watcher.all<int>("select pid from pg_stat_activity where application_name = 'tidepool_test'");
    must(all.size() == 4, "four");
    co_await watcher.exec("select pg_terminate_backend($1)", all[0]);
    co_await watcher.exec("select pg_terminate_backend($1)", all[1]);
    const stopwatch time;
    while (pool.stats().connections_created < 6 || pool.stats().idle_connections < 4) {
      co_await pause(1ms);
      if (time.seconds() > 10) throw std::runtime_error("nobody saw it");
    }
    must(pool.stats().closed(close_reason::invalid) == 2 && pool.stats().connections_closed == 2, "no mass kill");
    must(reason == "57P01", "the server's last words were read");
    const auto now = co_await watcher.all<int>("select pid from pg_stat_activity where application_name = 'tidepool_test'");
    must(std::count(now.begin(), now.end(), all[2]) == 1 && std::count(now.begin(), now.end(), all[3]) == 1, "the others live");
    // A leased one that dies meanwhile is of no interest until it comes back, and is not handed on then.
    {
      auto lease = co_await pool.acquire();
      const int pid = lease->backend_pid();
      co_await watcher.exec("select pg_terminate_backend($1)", pid);
      co_await pause(50ms);
      must(pool.stats().active_connections == 1 && pool.stats().connections_closed == 2, "it is the holder's");
    }
    must(pool.stats().closed(close_reason::broken) == 1, "seen at its return");
    // A detached connection is not watched by the pool any more.
    auto lease = co_await pool.acquire();
    auto mine = lease.detach();
    co_await watcher.exec("select pg_terminate_backend($1)", mine.backend_pid());
    co_await pool.close();
    must(asio::use_service<tidepool::detail::hangup_watch>((co_await asio::this_coro::executor).context()).set()->size() == 0,
         "nothing is watched any more");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a watched pool, when it or its context goes first, then nothing is left open", "[postgres][pool][server]") {
  NEEDS_SERVER();
  const int before = open_descriptors();
  for (const bool context_first : {false, true}) {
    auto context = std::make_unique<asio::io_context>();
    const auto config = small(3, 3);
    auto pool = std::make_unique<pg::pool>(*context, ours(config), config);
    std::optional<pg::pool::lease> held;
    auto hold = [](pg::pool& from, std::optional<pg::pool::lease>& out) -> asio::awaitable<void> { out = co_await from.acquire(); };
    asio::co_spawn(*context, hold(*pool, held), asio::detached);
    for (int i = 0; i < 1000 && (!held || pool->stats().idle_connections < 2); ++i) context->run_for(10ms);
    REQUIRE(held);
    REQUIRE(pool->stats().idle_connections == 2);
    if (context_first) {
      context.reset();
      pool.reset();
      held.reset();
    } else {
      pool.reset();
      context->run_for(10ms);
      held.reset();
      context.reset();
    }
  }
  CHECK(settled_descriptors(before) == before);
}

TEST_CASE("given idle connections on several threads, when backends die, then pool and server agree at the end",
          "[postgres][pool][server]") {
  NEEDS_SERVER();
  asio::io_context context;
  auto config = small(8, 8);
  config.health_check_interval = 1h;
  pg::pool pool(context, ours(config), config);
  int left = -1;
  std::size_t idle = 0;
  auto storm = [&]() -> asio::awaitable<void> {
    auto c = co_await connect();
    co_await pool.open();
    for (int i = 0; i < 100; ++i) {
      co_await c.exec(
          "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tidepool_test' order by random() limit 3");
      co_await pause(2ms);
    }
    for (int i = 0; i < 1000; ++i) {
      idle = pool.stats().idle_connections;
      left = co_await sessions(c);
      if (idle == 8 && left == 8) break;
      co_await pause(10ms);
    }
    co_await pool.close();
  };
  asio::co_spawn(context, storm(), asio::detached);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { context.run_for(hang); });
  for (auto& thread : threads) thread.join();
  CHECK(idle == 8);
  CHECK(left == 8);
}
#endif

TEST_CASE("given leases that read much, when they end, then only a large row costs its connection", "[postgres][pool][server][field-F7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    const auto config = small(1, 1);
    pg::pool pool(co_await asio::this_coro::executor, ours(config), config);
    for (int i = 0; i < 3; ++i) {
      auto lease = co_await pool.acquire();
      const auto rows = co_await lease->exec("select n, 'some text of a row' from generate_series(1, 20000) n");
      must(PQresultMemorySize(rows.native()) > std::size_t{1} << 20U, "much");
    }
    must(pool.stats().connections_created == 1, "kept");
    {
      auto lease = co_await pool.acquire();
      co_await lease->exec("select repeat('x', 2000000)");
    }
    {
      auto lease = co_await pool.acquire();
      must(pool.stats().connections_created == 2, "another");
    }
    must(pool.stats().closed(close_reason::retired) == 1 && pool.stats().closed(close_reason::broken) == 0, "counted by its own reason");
    co_await pool.close();
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a lease left in a transaction, when it ends, then the next holder finds a clean connection", "[postgres][pool][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    const auto config = small(1, 1);
    pg::pool pool(co_await asio::this_coro::executor, ours(config), config);
    int pid = 0;
    {
      auto lease = co_await pool.acquire();
      pid = lease->backend_pid();
      co_await lease->script("begin; create temp table left_over (i int)");
    }
    {
      auto lease = co_await pool.acquire();
      must(lease->backend_pid() == pid && !lease->in_transaction(), "the same connection, rolled back");
      const auto exists = co_await lease->one<bool>("select to_regclass('pg_temp.left_over') is not null");
      must(!exists, "nothing was left");
    }
    must(pool.stats().resets == 1, "one reset, where it was needed");
    co_await pool.close();
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given reset level full, when leases end, then session state never reaches the next holder", "[postgres][pool][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    const auto config = small(1, 1);
    pg::options settings = patient();
    settings.reset = pg::reset_level::full;
    pg::pool pool(co_await asio::this_coro::executor, pg::connector(settings, config), config);
    for (int i = 0; i < 3; ++i) {
      auto lease = co_await pool.acquire();
      const auto tenant = co_await lease->one<std::string>("select coalesce(current_setting('app.tenant', true), '')");
      must(tenant.empty(), "somebody else's tenant");
      co_await lease->script("set app.tenant = 'secret'; create temp table mine (i int); listen c; select pg_advisory_lock(1)");
    }
    must(pool.stats().connections_created == 1, "one connection for all");
    co_await pool.close();
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a wrong password, when acquiring, then it fails at once with the reason, not the password", "[postgres][pool][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::string> {
    auto c = co_await connect();
    co_await c.script(
        "drop role if exists tidepool_pool_role; create role tidepool_pool_role login password 'right' in role needs_password");
    auto config = small(0, 2);
    config.start = tidepool::start_mode::lazy;
    pg::pool pool(co_await asio::this_coro::executor, ours(config, "user=tidepool_pool_role password=tops3cret"), config);
    std::string said;
    try {
      auto lease = co_await pool.acquire(30s);
    } catch (const tidepool::pool_error& failure) {
      if (failure.code() == tidepool::errc::connect_failed) said = failure.what();
    }
    co_await pool.close();
    co_await c.script("drop role tidepool_pool_role");
    co_return said;
  };
  const stopwatch watch;
  const auto said = run(task());
  CHECK(watch.seconds() < 20);
  CHECK(said.find("28P01") != std::string::npos);
  CHECK(said.find("tops3cret") == std::string::npos);
}

TEST_CASE("given a role with few sessions, when the pool wants more, then it keeps serving with what it has", "[postgres][pool][server]") {
  NEEDS_SERVER();
  int served = 0;
  auto task = [&]() -> asio::awaitable<void> {
    auto c = co_await connect();
    co_await c.script("drop role if exists tidepool_few; create role tidepool_few login connection limit 2");
    auto config = small(0, 6);
    config.acquire_timeout = 30s;
    config.start = tidepool::start_mode::lazy;
    pg::pool pool(co_await asio::this_coro::executor, ours(config, "user=tidepool_few"), config);
    int running = 12;
    auto user = [&]() -> asio::awaitable<void> {
      for (int i = 0; i < 5; ++i) {
        auto lease = co_await pool.acquire();
        served += co_await lease->one<int>("select 1 from pg_sleep(0.005)");
      }
      --running;
    };
    for (int i = 0; i < 12; ++i) asio::co_spawn(co_await asio::this_coro::executor, user(), asio::detached);
    while (running > 0) co_await pause(10ms);
    co_await pool.close();
    co_await c.script("drop role tidepool_few");
  };
  run(task());
  CHECK(served == 60);
}

TEST_CASE("given a silent server, when acquiring, then the acquire ends by its deadline and close() by its own", "[postgres][pool]") {
  fake_server silent([](const std::string&) { return ""; });
  auto task = [&]() -> asio::awaitable<bool> {
    auto config = small(0, 2);
    config.start = tidepool::start_mode::lazy;
    config.connect_timeout = 300ms;
    config.acquire_timeout = 200ms;
    pg::pool pool(co_await asio::this_coro::executor, pg::connector(pg::options(silent.conninfo()), config), config);
    bool timed_out = false;
    try {
      auto lease = co_await pool.acquire();
    } catch (const tidepool::pool_error& failure) {
      timed_out = failure.code() == tidepool::errc::timeout;
    }
    co_await pool.close(100ms);
    co_return timed_out;
  };
  const stopwatch watch;
  CHECK(run(task()));
  CHECK(watch.seconds() < 30);
}

TEST_CASE("given a validation query, when it fails, then the connection is not handed out", "[postgres][pool][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto config = small(1, 1);
    config.test_on_borrow = true;
    config.alive_bypass = 0s;
    config.validation_query = "select 1 / (current_setting('app.broken', true) is distinct from 'yes')::int";
    pg::pool pool(co_await asio::this_coro::executor, ours(config), config);
    int pid = 0;
    {
      auto lease = co_await pool.acquire();
      pid = lease->backend_pid();
      co_await lease->script("set app.broken = 'yes'");
    }
    co_await pause(20ms);  // the pool's cheap clock may lag by some milliseconds
    auto lease = co_await pool.acquire();
    must(lease->backend_pid() != pid, "another connection");
    must(pool.stats().validation_failures == 1, "counted");
    lease.release();
    co_await pool.close();
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a cancelled statement, when its lease ends, then the connection goes, its slot is used again",
          "[postgres][pool][server]") {
  NEEDS_SERVER();
  asio::io_context context;
  std::exception_ptr failure;
  int served = 0;
  auto task = [&]() -> asio::awaitable<void> {
    const auto config = small(1, 1);
    pg::pool pool(context, ours(config), config);
    co_await pool.open();
    auto sleeper = [&]() -> asio::awaitable<void> {
      auto lease = co_await pool.acquire();
      co_await lease->exec("select pg_sleep(60)");
    };
    for (int i = 0; i < 5; ++i) {
      asio::cancellation_signal signal;
      bool ended = false;
      asio::co_spawn(context, sleeper(), asio::bind_cancellation_slot(signal.slot(), on_end([&](std::exception_ptr) { ended = true; })));
      co_await pause(30ms);
      signal.emit(asio::cancellation_type::terminal);
      while (!ended) co_await pause(1ms);
      auto lease = co_await pool.acquire();
      served += co_await lease->one<int>("select 1");
    }
    co_await pool.close();
  };
  asio::co_spawn(context, task(), on_end([&](std::exception_ptr e) { failure = e; }));
  context.run_for(hang);
  if (failure) std::rethrow_exception(failure);
  CHECK(served == 5);
}

TEST_CASE("given a lease that is abandoned, when its time is over, then its slot serves others", "[postgres][pool][server]") {
  NEEDS_SERVER();
  const auto end =
      abandon_a_lease<pg::pool, pg::error>([](const tidepool::pool_config& config) { return ours(config); }, "select pg_sleep(60)");
  CHECK(end.served == 1);
  REQUIRE(end.holder.has_value());
  CHECK(end.holder->connection_lost());
}

TEST_CASE("given threads, kills and a small pool, when many work, then only statements of killed backends fail",
          "[postgres][pool][server]") {
  NEEDS_SERVER();
  asio::io_context context;
  std::atomic<int> good{0};
  std::atomic<int> lost{0};
  std::atomic<int> other{0};
  std::atomic<int> running{24};
  auto config = small(4, 8);
  config.acquire_timeout = 30s;
  pg::pool pool(context, ours(config), config);
  auto user = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 60; ++i) {
      try {
        auto lease = co_await pool.acquire();
        auto body = [](pg::transaction& t) -> asio::awaitable<int> { co_return co_await t.one<int>("select 1 from pg_sleep(0.001)"); };
        good += co_await lease->transaction(body);
      } catch (const pg::error& failure) {
        if (failure.connection_lost()) {
          ++lost;
        } else {
          ++other;
        }
      } catch (const std::exception&) {
        ++other;
      }
    }
    --running;
  };
  int left = -1;
  auto killer = [&]() -> asio::awaitable<void> {
    auto c = co_await connect();
    // One each time another twenty are done: as many on a machine where a login takes long.
    for (int next = 20; running > 0; co_await pause(2ms)) {
      if (good + lost < next) continue;
      next = good + lost + 20;
      co_await c.exec(
          "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tidepool_test' order by random() limit 1");
    }
    co_await pool.close();
    const stopwatch time;
    do {  // the server is not done yet with a login that was given up
      left = co_await sessions(c);
    } while (left > 0 && time.seconds() < 10);
  };
  for (int i = 0; i < 24; ++i) asio::co_spawn(context, user(), asio::detached);
  asio::co_spawn(context, killer(), asio::detached);
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) threads.emplace_back([&] { context.run_for(hang); });
  for (auto& thread : threads) thread.join();
  CHECK(running == 0);
  CHECK(good + lost == 24 * 60);
  CHECK(other == 0);
  CHECK(good > lost);
  CHECK(left == 0);
}

namespace {

/// Records the reasons and causes of connections that end.
struct end_recorder {
  std::shared_ptr<std::vector<std::string>> said = std::make_shared<std::vector<std::string>>();
  void on_event(std::string_view, const tidepool::destroyed_event& e) const {
    said->push_back(std::string(to_string(e.reason)) + ": " + std::string(e.cause));
  }
};
struct end_recorder_traits : tidepool::default_traits<pg::connection> {
  using observer = end_recorder;
};

}  // namespace

TEST_CASE("given a backend that is terminated, when its connection goes, then the event has the server's reason",
          "[postgres][pool][server][field-L10]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::vector<std::string>> {
    auto watcher = co_await connect();
    const auto config = small(0, 1);
    const end_recorder ends;
    tidepool::basic_pool<pg::connection, end_recorder_traits> pool(co_await asio::this_coro::executor, ours(config), config, ends);
    {
      auto lease = co_await pool.acquire();
      co_await watcher.exec("select pg_terminate_backend($1)", lease->backend_pid());
      auto statement = lease->exec("select 1");
      co_await error_of(std::move(statement));
    }
    {
      auto lease = co_await pool.acquire();
      lease.discard();
    }
    {
      auto lease = co_await pool.acquire();
      lease->abort();
    }
    co_await pool.close();
    co_return *ends.said;
  };
  const auto said = run(task());
  REQUIRE(said.size() == 3);
  CHECK(said[0].find("broken: ") == 0);
  CHECK(said[0].find("57P01") != std::string::npos);
  CHECK(said[1] == "broken: discarded by its holder");
  CHECK(said[2] == "broken: the connection was aborted");
}

TEST_CASE("given logins that work and sessions that end at once, when the pool is used, then connects are few",
          "[postgres][pool][server][field-L7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::uint64_t> {
    auto config = small(0, 4);
    config.retry_delay = 100ms;
    config.max_retry_delay = 1s;
    config.max_retries = config.breaker_threshold = tidepool::no_limit;
    pg::pool pool(co_await asio::this_coro::executor, ours(config), config);
    const stopwatch time;
    while (time.seconds() < 1) {
      try {
        auto lease = co_await pool.acquire(20ms);
        ::shutdown(PQsocket(lease->native()), SHUT_RDWR);  // without a word: an operator's order would be an answer
        co_await lease->exec("select 1");
      } catch (const tidepool::system_error&) {
      }
    }
    const auto connects = pool.stats().connects_started;
    co_await pool.close();
    co_return connects;
  };
  const auto connects = run(task());
  CHECK(connects >= 2);
  CHECK(connects <= 15);
}
