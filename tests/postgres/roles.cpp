// SPDX-License-Identifier: BSL-1.0
// tidepool - which kind of server a connection leads to, asked and never believed; poolers in between; what a session is given.
#include <string>

#include "fake_server.hpp"
#include "rotating_pooler.hpp"

using namespace tidepool_tests;
using tidepool::lease_end;

namespace {

/// Answers every statement by a refusal of writes.
std::string refuse_writes(const std::string& said) {
  if (said[0] == 'X') return "";
  return spoken('E', "ERROR", "25006", "cannot execute INSERT in a read-only transaction") + protocol_message('Z', "I");
}

std::string value_of(const std::string& setting, pg::options settings) {
  auto task = [&]() -> asio::awaitable<std::string> {
    auto c = co_await pg::connection::connect(settings);
    co_return co_await c.one<std::string>("select current_setting($1)", setting);
  };
  return run(task());
}

}  // namespace

TEST_CASE("given a report of a primary, when the server itself says standby, then it is not taken for one", "[postgres][field-L1]") {
  fake_kind demoted;
  demoted.standby = true;  // and the report says it is not: a pooler repeats its first login
  fake_server server(after_login(refuse_writes, demoted), true, false);
  auto task = [&](std::string more) -> asio::awaitable<pg::error> {
    co_return co_await error_of(pg::connection::connect(server.conninfo() + more));
  };
  for (const char* wanted : {" target_session_attrs=read-write", " target_session_attrs=primary"}) {
    const auto failure = run(task(wanted));
    INFO(failure.what());
    CHECK(std::string(failure.what()).find("target_session_attrs") != std::string::npos);
  }
}

TEST_CASE("given a primary demoted behind a pooler, when a write is refused or it is pinged, then it is left", "[postgres][field-L1]") {
  std::atomic<bool> standby{false};
  fake_kind primary;
  primary.pooler = true;
  fake_kind demoted = primary;
  demoted.standby = true;
  const auto before = after_login(refuse_writes, primary);
  const auto after = after_login(refuse_writes, demoted);
  fake_server server([&](const std::string& said) { return standby ? after(said) : before(said); }, true, false);
  auto task = [&]() -> asio::awaitable<void> {
    const pg::options wanted(server.conninfo() + " target_session_attrs=read-write");
    auto written = co_await pg::connection::connect(wanted);
    auto pinged = co_await pg::connection::connect(wanted);
    must(written.behind_pooler(), "seen");
    // A refused write alone is no proof: a transaction of the user's may be read-only.
    const auto first = co_await error_of(written.script("insert"));
    must(first.is("25006") && !written.usable() && written.after_lease() == lease_end::needs_reset, "asked before it is used again");
    co_await written.reset();
    must(written.usable() && written.after_lease() == lease_end::clean, "still the primary");
    standby = true;
    const auto second = co_await error_of(written.script("insert"));
    must(second.is("25006"), "refused");
    co_await written.reset();
    must(!written.usable() && written.after_lease() == lease_end::outdated, "proved");
    co_await pinged.ping();
    must(!pinged.usable() && pinged.after_lease() == lease_end::outdated, "found by the ping");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a pool behind a pooler, when one finds the primary demoted, then all of its age go", "[postgres][field-L1]") {
  std::atomic<bool> standby{false};
  fake_kind primary;
  primary.pooler = true;
  fake_kind demoted = primary;
  demoted.standby = true;
  const auto before = after_login(refuse_writes, primary);
  const auto after = after_login(refuse_writes, demoted);
  auto task = [&](bool by_ping) -> asio::awaitable<void> {
    standby = false;
    fake_server server([&](const std::string& said) { return standby ? after(said) : before(said); }, true, false);
    tidepool::pool_config config;
    config.min_size = config.max_size = 4;
    config.health_check_interval = by_ping ? std::chrono::nanoseconds(20ms) : std::chrono::nanoseconds(1h);
    config.pre_ping = false;
    pg::pool pool(co_await asio::this_coro::executor, pg::connector(server.conninfo() + " target_session_attrs=read-write"), config);
    co_await pool.open();
    while (pool.stats().idle_connections < 4) co_await pause(1ms);
    standby = true;
    if (!by_ping) {
      auto lease = co_await pool.acquire();
      const auto refused = co_await error_of(lease->script("insert"));
      must(refused.is("25006"), "refused");
    }
    const stopwatch time;
    while (pool.stats().total_connections > 0 && time.seconds() < 20) co_await pause(1ms);
    must(pool.stats().total_connections == 0, "none is kept");
    must(pool.stats().generation == 1, "all of one age, once");
    co_await pool.close();
  };
  CHECK_NOTHROW(run(task(false)));
  CHECK_NOTHROW(run(task(true)));
}

TEST_CASE("given a replica that is promoted, when it is pinged where a standby is wanted, then it alone is left", "[postgres][field-L1]") {
  std::atomic<bool> standby{true};
  fake_kind replica;
  replica.standby = true;
  const auto before = after_login(refuse_writes, replica);
  const auto after = after_login(refuse_writes);
  fake_server server([&](const std::string& said) { return standby ? before(said) : after(said); }, true, false);
  auto task = [&]() -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(server.conninfo() + " target_session_attrs=standby");
    co_await c.ping();
    must(c.usable(), "a replica");
    standby = false;
    co_await c.ping();
    must(!c.usable() && c.after_lease() == lease_end::broken, "others may be replicas still");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a standby not asked for, when it refuses a write, then the error says what to ask for", "[postgres][field-L9]") {
  fake_kind standby;
  standby.standby = true;
  standby.reports = std::string("in_hot_standby\0on", 17);
  fake_server server(after_login(refuse_writes, standby), true, false);
  auto task = [&]() -> asio::awaitable<std::string> {
    auto c = co_await pg::connection::connect(server.conninfo());
    const auto failure = co_await error_of(c.script("insert"));
    must(c.after_lease() == lease_end::clean, "any server will do");
    co_return failure.what();
  };
  CHECK(run(task()).find("target_session_attrs=read-write") != std::string::npos);
}

TEST_CASE("given no pooler, when connecting, then none is seen", "[postgres][server][field-L2]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<bool> {
    auto c = co_await connect();
    co_return c.behind_pooler();
  };
  CHECK_FALSE(run(task()));
}

TEST_CASE("given a pooler, when connecting, then the session is set nothing, unless it is its own by promise", "[postgres][field-L11]") {
  fake_kind pooled;
  pooled.pooler = true;
  // Each setting is asked for only where the process is the one of the login.
  std::atomic<bool> compared{false};
  const auto login = after_login([](const std::string&) { return ""; }, pooled);
  const auto count = [](const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
  };
  const auto note = [&](const std::string& said) {
    const auto given = count(said, "set_config(");
    if (given > 3 && count(said, "case when pg_catalog.pg_backend_pid() operator(pg_catalog.=) (") == given) compared = true;
    return login(said);
  };
  auto connected = [](pg::options settings) -> asio::awaitable<bool> {
    auto c = co_await pg::connection::connect(settings);
    co_return c.behind_pooler();
  };
  fake_server server(note, true, false);
  CHECK(run(connected(server.conninfo())));
  CHECK(compared);
  fake_server own(after_login([](const std::string&) { return ""; }), true, false);
  pg::options promised(own.conninfo());
  promised.session_pooler = true;
  CHECK_FALSE(run(connected(promised)));
}

TEST_CASE("given a transaction pooler, when a session begins, then nothing of it is left for other clients",
          "[postgres][server][field-L11]") {
  NEEDS_SERVER();
  rotating_pooler pooler(server_port(), 2);
  auto task = [&]() -> asio::awaitable<void> {
    auto settings = through(pooler.port());
    auto ours = co_await pg::connection::connect(settings);
    must(ours.behind_pooler(), "not noticed");
    for (int i = 0; i < 4; ++i) {
      const auto limit = co_await ours.one<std::string>("select current_setting('tcp_user_timeout')");
      must(limit == "0", "left behind");
    }
    pg::listener inbox(pg::connector(settings), {"jobs"});
    const auto refused = co_await error_of(inbox.next());
    must(refused.reason() == pg::errc::bad_usage, refused.what());
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a listener behind a pooler, when it connects, then it is refused unless promised its own", "[postgres][field-L11]") {
  fake_kind pooled;
  pooled.pooler = true;
  fake_server server(after_login([](const std::string&) { return ""; }, pooled), true, false);
  auto task = [&]() -> asio::awaitable<pg::error> {
    pg::listener inbox{pg::connector(server.conninfo()), {"jobs"}};
    co_return co_await error_of(inbox.next());
  };
  const auto failure = run(task());
  INFO(failure.what());
  CHECK(failure.reason() == pg::errc::bad_usage);
  CHECK(std::string(failure.what()).find("session_pooler") != std::string::npos);
}

TEST_CASE("given extra_float_digits = 0, when doubles are read, also after a reset, then they are exact", "[postgres][server][field-R06]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect("options='-c extra_float_digits=0'");
    for (const auto level : {pg::reset_level::rollback, pg::reset_level::light, pg::reset_level::full}) {
      const double sent = 0.1 + 0.2;
      const auto back = co_await c.one<double>("select $1::float8", sent);
      must(back == sent, "exact");
      co_await c.reset(level);
      const auto again = co_await c.one<double>("select $1::float8", sent);
      must(again == sent, "exact after the reset");
    }
  };
  CHECK_NOTHROW(run(task()));
  pg::options as_found(server() + " options='-c extra_float_digits=0'");
  as_found.exact_doubles = false;
  CHECK(value_of("extra_float_digits", as_found) == "0");
}

TEST_CASE("given a server that is not quite PostgreSQL, when a session begins, then the first query is left out", "[postgres][field-R06]") {
  std::atomic<int> digits_set{0};
  const auto strange = [&](const std::string& said) -> std::string {
    if (asks_for_login(said)) return welcome();
    if (asks_for_kind(said))
      return spoken('E', "ERROR", "42883", "function pg_is_in_recovery() does not exist") + protocol_message('Z', "I");
    if (said.find("extra_float_digits to 3") != std::string::npos) ++digits_set;
    return protocol_message('C', std::string("SET\0", 4)) + protocol_message('Z', "I");
  };
  fake_server server(strange, true, false);
  auto task = [&]() -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(server.conninfo());
    co_await c.script("something");
    must(c.behind_pooler(), "it cannot be told");
    const auto failure = co_await error_of(pg::connection::connect(server.conninfo() + " target_session_attrs=primary"));
    must(failure.is("42883"), failure.what());
  };
  CHECK_NOTHROW(run(task()));
  CHECK(digits_set == 2);
}

TEST_CASE("given a server without limits, when connecting, then it is told when to give up a dead client", "[postgres][server][field-L8]") {
  NEEDS_SERVER();
  pg::options settings = patient();
  settings.peer_timeout = 9s;
  settings.idle_in_transaction_timeout = 61s;
  auto task = [&]() -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(settings);
    for (const auto level : {pg::reset_level::rollback, pg::reset_level::light, pg::reset_level::full}) {
      co_await c.reset(level);
      const auto found = co_await c.one<std::string>(
          "select concat_ws(' ', current_setting('tcp_user_timeout'), current_setting('tcp_keepalives_idle'),"
          " current_setting('tcp_keepalives_interval'), current_setting('tcp_keepalives_count'),"
          " current_setting('client_connection_check_interval', true), current_setting('idle_in_transaction_session_timeout'))");
      if (c.server_version() >= 140000) must(found == "9000 3 2 3 3s 61s", found);
    }
  };
  CHECK_NOTHROW(run(task()));
  settings.peer_timeout = tidepool::no_limit;
  CHECK(value_of("tcp_user_timeout", settings) == "0");
  // A setting that was chosen stays.
  pg::options chosen(server() + " options='-c tcp_user_timeout=77000 -c tcp_keepalives_idle=60'");
  CHECK(value_of("tcp_user_timeout", chosen) == "77000");
  CHECK(value_of("tcp_keepalives_idle", chosen) == "60");
}

TEST_CASE("given rounded doubles through a pooler, when connecting, then it is refused with what to do", "[postgres][field-R06]") {
  fake_server server(
      [](const std::string& said) {
        if (!asks_for_kind(said)) return after_login([](const std::string&) { return ""; })(said);
        std::vector<const char*> values(20, nullptr);
        values[0] = values[1] = values[2] = "f";
        values[3] = "0";
        return row_message(values);
      },
      true, false);
  pg::options settings(server.conninfo());
  auto task = [&]() -> asio::awaitable<pg::error> { co_return co_await error_of(pg::connection::connect(settings)); };
  const auto failure = run(task());
  INFO(failure.what());
  CHECK(std::string(failure.what()).find("alter role") != std::string::npos);
  settings.exact_doubles = false;
  auto taken = [&]() -> asio::awaitable<void> { co_await pg::connection::connect(settings); };
  CHECK_NOTHROW(run(taken()));
}

TEST_CASE("given a DateStyle of the role's own, when a session is reset, then dates are read in one style",
          "[postgres][server][field-R06]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect("options='-c datestyle=german'");
    for (const auto level : {pg::reset_level::rollback, pg::reset_level::light, pg::reset_level::full}) {
      co_await c.reset(level);
      const auto found = co_await c.one<std::string>("select current_setting('datestyle')");
      must(found.starts_with("ISO"), "one style");
    }
  };
  CHECK_NOTHROW(run(task()));
}
