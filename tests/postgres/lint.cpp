// SPDX-License-Identifier: BSL-1.0
// tidepool - what a server's limits say against the configuration: the rules, and real servers that have such limits.
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "kit.hpp"
#include "rotating_pooler.hpp"
#include "tidepool/postgres/detail/limits.hpp"

using namespace tidepool_tests;

namespace {

using lint_limits = pg::detail::server_limits;

/// A server without a limit that contradicts `lint_config()`.
lint_limits lint_server() {
  lint_limits is;
  is.values = {{"max_connections", "100"},
               {"superuser_reserved_connections", "3"},
               {"reserved_connections", "0"},
               {"idle_session_timeout", "0"},
               {"idle_in_transaction_session_timeout", "0"},
               {"statement_timeout", "0"},
               {"tcp_keepalives_idle", "5"},
               {"role", "app"},
               {"role limit", "-1"},
               {"superuser", "false"},
               {"database", "shop"},
               {"database limit", "-1"}};
  return is;
}
tidepool::pool_config lint_config() {
  tidepool::pool_config config;
  config.response_timeout = 20s;
  return config;
}
std::vector<tidepool::limit_finding> lint_findings(const lint_limits& is, const tidepool::pool_config& config,
                                                   const pg::options& settings = pg::options("host=db")) {
  return pg::detail::compare_limits(is, settings, config);
}
/// The one finding that there has to be, or what there is instead.
tidepool::limit_finding lint_only(const std::vector<tidepool::limit_finding>& found) {
  if (found.size() == 1) return found[0];
  tidepool::limit_finding out;
  out.limit = std::to_string(found.size()) + " findings:";
  for (const auto& one : found) out.limit += " " + one.limit;
  return out;
}

/// Lines of a pool's log about limits.
struct lint_log {
  tidepool::log_sink sink() {
    return [this](tidepool::log_level, const std::string& line) {
      const std::lock_guard lock(mutex);
      if (line.find(": limits of ") != std::string::npos) lines.push_back(line);
    };
  }
  std::size_t count() {
    const std::lock_guard lock(mutex);
    return lines.size();
  }
  std::mutex mutex;
  std::vector<std::string> lines;
};

}  // namespace

TEST_CASE("given a server that fits, when its limits are compared, then there is no finding", "[postgres][lint]") {
  CHECK(lint_findings(lint_server(), lint_config()).empty());
  CHECK(lint_findings(lint_limits(), lint_config()).empty());  // one that tells nothing
  auto config = lint_config();
  config.max_size = 97;
  CHECK(lint_findings(lint_server(), config).empty());
}

TEST_CASE("given too few connections for max_size, then the finding says who has how many and what to do", "[postgres][lint]") {
  auto config = lint_config();
  config.max_size = 98;
  auto found = lint_only(lint_findings(lint_server(), config));
  CHECK(found.limit == "max_connections");
  CHECK(
      found.text ==
      "max_size is 98, but the server has 97 connections for this role and all other clients (max_connections = 100, 3 of them reserved)");
  CHECK(found.change == "set max_size to 97 or less, or max_connections to 101 or more in postgresql.conf, and restart the server");

  auto is = lint_server();
  is.values["superuser"] = "true";
  CHECK(lint_findings(is, config).empty());

  config.max_size = 50;
  is = lint_server();
  is.values["role limit"] = "20";
  is.values["role"] = "a\"b";
  found = lint_only(lint_findings(is, config));
  CHECK(found.limit == "rolconnlimit");
  CHECK(found.line() ==
        "max_size is 50, but role \"a\"\"b\" may have 20 connections: set max_size to 20 or less, or run: alter role \"a\"\"b\" connection "
        "limit 50");
  is.values["role limit"] = "50";
  CHECK(lint_findings(is, config).empty());

  is = lint_server();
  is.values["database limit"] = "0";
  found = lint_only(lint_findings(is, config));
  CHECK(found.limit == "datconnlimit");
  CHECK(found.change == "run: alter database \"shop\" connection limit 50");
}

TEST_CASE("given a server that ends idle sessions, then the finding is there where no check comes in time", "[postgres][lint]") {
  auto is = lint_server();
  auto config = lint_config();
  config.health_check_interval = 30s;
  is.values["idle_session_timeout"] = "45001";  // a check comes within one and a half intervals
  CHECK(lint_findings(is, config).empty());
  is.values["idle_session_timeout"] = "45000";
  const auto found = lint_only(lint_findings(is, config));
  CHECK(found.limit == "idle_session_timeout");
  CHECK_THAT(found.text, has_text("idle for 45 s") && has_text("validated every 30 s"));
  CHECK_THAT(found.change, has_text("set health_check_interval to 22.5 s or less"));

  config.health_check_interval = tidepool::no_limit;
  is.values["idle_session_timeout"] = "86400000";
  CHECK_THAT(lint_only(lint_findings(is, config)).text, has_text("not validated"));
  // All are closed earlier.
  config.min_size = 0;
  CHECK(lint_findings(is, config).empty());
  config.min_idle = 1;
  CHECK(lint_findings(is, config).size() == 1);
}

TEST_CASE("given limits of statements and transactions, then findings say which of two limits never acts", "[postgres][lint]") {
  auto is = lint_server();
  auto config = lint_config();
  is.values["statement_timeout"] = "20000";
  auto found = lint_only(lint_findings(is, config));
  CHECK(found.limit == "statement_timeout");
  CHECK_THAT(found.line(), has_text("response_timeout is 20 s") && has_text("alter role \"app\" set statement_timeout = 40000"));
  config.response_timeout = 19s;
  CHECK(lint_findings(is, config).empty());
  config.response_timeout = tidepool::no_limit;
  CHECK(lint_findings(is, config).empty());
  pg::options settings("host=db");
  settings.response_timeout = 30s;
  CHECK(lint_only(lint_findings(is, config, settings)).limit == "statement_timeout");

  is = lint_server();
  is.values["idle_in_transaction_session_timeout"] = "60000";
  found = lint_only(lint_findings(is, lint_config()));
  CHECK(found.limit == "idle_in_transaction_session_timeout");
  CHECK_THAT(found.line(), has_text("leak_timeout is 5 min") && has_text("set leak_timeout to 60 s or less"));
  config = lint_config();
  config.leak_timeout = 60s;
  CHECK(lint_findings(is, config).empty());
  config.leak_detection = false;
  config.leak_timeout = 300s;
  CHECK(lint_findings(is, config).empty());

  // The option that is not in force, because something else was chosen for the role.
  settings = pg::options("host=db");
  settings.idle_in_transaction_timeout = 30s;
  found = lint_only(lint_findings(is, config, settings));
  CHECK_THAT(found.text, has_text("idle_in_transaction_timeout is 30 s, but the session has 60 s"));
  is.values["idle_in_transaction_session_timeout"] = "30000";
  CHECK(lint_findings(is, config, settings).empty());
}

TEST_CASE("given keepalives that notice nothing, then findings say so, but not of a local socket", "[postgres][lint]") {
  auto is = lint_server();
  is.values["tcp_keepalives_idle"] = "7200";
  pg::options settings("host=db");
  CHECK(lint_findings(is, lint_config(), settings).empty());
  settings.peer_timeout = tidepool::no_limit;
  CHECK_THAT(lint_only(lint_findings(is, lint_config(), settings)).line(), has_text("2 h") && has_text("options::peer_timeout"));
  is.local = true;
  CHECK(lint_findings(is, lint_config(), settings).empty());

  auto config = lint_config();
  config.response_timeout = tidepool::no_limit;
  CHECK(lint_only(lint_findings(lint_server(), config, pg::options("host=db keepalives=0"))).limit == "keepalives");
  CHECK(lint_findings(lint_server(), lint_config(), pg::options("host=db keepalives=0")).empty());
}

TEST_CASE("given a pooler in between, then the server's sizes do not count, but what the driver cannot do", "[postgres][lint]") {
  auto is = lint_server();
  is.pooled = true;
  is.values["role limit"] = "1";
  is.values["idle_session_timeout"] = "1000";
  auto config = lint_config();
  config.max_size = 1000;
  CHECK(lint_findings(is, config).empty());
  pg::options settings("host=db");
  settings.statement_cache = 64;
  CHECK_THAT(lint_only(lint_findings(is, config, settings)).line(),
             has_text("statement_cache is 64") && has_text("pooler_tracks_statements"));
  settings.pooler_tracks_statements = true;
  CHECK(lint_findings(is, config, settings).empty());
  settings.idle_in_transaction_timeout = 10s;
  CHECK_THAT(lint_only(lint_findings(is, config, settings)).text, has_text("behind a pooler the driver sets nothing"));
}

TEST_CASE("given a server with limits, when it is linted, then they are found as they are", "[postgres][lint][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto admin = co_await connect();
    const std::string role = "lint_" + std::to_string(admin.backend_pid());
    co_await admin.script("create role " + role + " login connection limit 2; alter role " + role +
                          " set statement_timeout = '10s'; alter role " + role + " set idle_in_transaction_session_timeout = '7s'");
    std::string failed;
    try {
      pg::options settings = patient();
      settings.set("user", role);
      auto limited = co_await pg::connection::connect(settings);
      tidepool::pool_config config = lint_config();
      config.max_size = 10'000;
      std::string found;
      for (int server_has = 0; server_has < 2; ++server_has) {
        found.clear();
        const auto all = co_await pg::lint(limited, config);
        for (const auto& one : all) found += one.limit + " ";
        config.max_size = 3;
        if (server_has == 0) must(found == "max_connections rolconnlimit statement_timeout idle_in_transaction_session_timeout ", found);
      }
      must(found == "rolconnlimit statement_timeout idle_in_transaction_session_timeout ", found);
      must(limited.usable() && limited.after_lease() == tidepool::lease_end::clean, "the connection is as before");
      // The administrator is a superuser, whom no reservation and no limit of a role concerns.
      config.max_size = 3;
      const auto none = co_await pg::lint(admin, config);
      must(none.empty(), "a finding for the superuser");
      co_await limited.close();
    } catch (const std::exception& e) {
      failed = e.what();
    }
    co_await admin.script("drop role " + role);
    must(failed.empty(), failed);
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a pool with a log, when it connects, then findings are told once, and after a change again",
          "[postgres][lint][server][pool]") {
  NEEDS_SERVER();
  lint_log log;
  auto task = [&]() -> asio::awaitable<void> {
    tidepool::pool_config config = lint_config();
    config.min_size = 2;
    config.max_size = 10'000;
    pg::pool pool(co_await asio::this_coro::executor, pg::connector(patient()), config);
    pool.log_to(log.sink());
    co_await pool.open();
    must(log.count() == 1, std::to_string(log.count()) + " lines");
    must(log.lines[0].find("max_size is 10000, but the server has ") != std::string::npos, log.lines[0]);
    must(log.lines[0].find("pool: limits of 127.0.0.1:") == 0, log.lines[0]);
    pool.recycle();
    { auto lease = co_await pool.acquire(); }
    must(log.count() == 1, "told again by another connection");
    config.max_size = 9'000;
    pool.reconfigure(config);
    pool.recycle();
    { auto lease = co_await pool.acquire(); }
    for (int i = 0; i < 500 && log.count() < 2; ++i) co_await pause(10ms);
    must(log.count() == 2, "not told again");
    co_await pool.close(5s);
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given no log, or the option off, when a pool connects, then the server is not asked", "[postgres][lint][server][pool]") {
  NEEDS_SERVER();
  for (const bool logged : {false, true}) {
    lint_log log;
    auto task = [&]() -> asio::awaitable<void> {
      auto settings = patient();
      settings.lint = !logged;
      auto watcher = co_await connect();
      const std::string name = "lint " + std::to_string(watcher.backend_pid());
      settings.set("application_name", name);
      tidepool::pool_config config = lint_config();
      config.min_size = 1;
      config.max_size = 10'000;
      pg::pool pool(co_await asio::this_coro::executor, pg::connector(settings), config);
      if (logged) pool.log_to(log.sink());
      co_await pool.open();
      const auto latest = co_await watcher.one<std::string>("select query from pg_stat_activity where application_name = $1", name);
      must(latest.find("max_connections") == std::string::npos, latest);
      must(log.count() == 0, "a finding");
      co_await pool.close(5s);
    };
    CHECK_NOTHROW(run(task()));
  }
}

TEST_CASE("given a pooler in between, when the server is linted through it, then it is noticed", "[postgres][lint][server]") {
  NEEDS_SERVER();
  rotating_pooler pooler(server_port(), 2);
  auto task = [&]() -> asio::awaitable<void> {
    auto settings = through(pooler.port());
    settings.statement_cache = 8;
    auto c = co_await pg::connection::connect(settings);
    auto config = lint_config();
    config.max_size = 10'000;
    const auto found = co_await pg::lint(c, config);
    must(found.size() == 1 && found[0].limit == "statement_cache", std::to_string(found.size()));
    co_await c.close();
  };
  CHECK_NOTHROW(run(task()));
}
