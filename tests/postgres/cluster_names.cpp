// SPDX-License-Identifier: BSL-1.0
// tidepool - a cluster whose hosts are names: addresses that change, several addresses of one name. One server at several addresses.
#include <tidepool/postgres/cluster.hpp>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "../support/on_end.hpp"
#include "kit.hpp"
#include "name_server.hpp"
#include "proxy.hpp"

namespace {

using namespace tidepool_tests;

/// The server at 127.0.0.2 and 127.0.0.3, at one port.
struct two_addresses {
  proxy one{server_port(), 0, "127.0.0.2"};
  proxy two{server_port(), one.port(), "127.0.0.3"};
  std::string at(int last) const { return "127.0.0." + std::to_string(last) + ":" + std::to_string(one.port()); }
  pg::options named(const std::string& name) const {
    return pg::options(server() + " host=" + name + " port=" + std::to_string(one.port()));
  }
};
pg::cluster_options by_name() {
  pg::cluster_options how;
  how.primary.name = "names";
  how.primary.min_size = how.replicas.min_size = 0;
  how.primary.max_size = 3;
  how.lookup_interval = 100ms;
  how.probe_interval = 200ms;
  how.hurried_interval = 50ms;
  how.abort_grace = 300ms;
  return how;
}
template <class Holds>
asio::awaitable<bool> soon(const Holds& holds) {
  for (int i = 0; i < 1000 && !holds(); ++i) co_await pause(10ms);
  co_return holds();
}
bool leads_to(const pg::connection& held, const std::string& where) { return held.peer().starts_with(where); }

}  // namespace

TEST_CASE("given a name that leads elsewhere now, then the probe follows it, and no connection stays behind", "[postgres][server]") {
  NEEDS_SERVER();
  const two_addresses both;
  name_server::here().set("moving.cluster", {"127.0.0.2"});
  auto task = [&]() -> asio::awaitable<void> {
    pg::cluster db(co_await asio::this_coro::executor, both.named("moving.cluster"), by_name());
    auto held = co_await db.primary();
    auto idle = co_await db.primary();
    must(leads_to(*held, both.at(2)) && leads_to(*idle, both.at(2)), "the first address");
    idle.release();
    const auto asked = name_server::here().count("moving.cluster");
    // The old address goes on answering, as that of a managed server does for a while.
    name_server::here().set("moving.cluster", {"127.0.0.3"});
    bool there = false;
    for (int i = 0; i < 1000 && !there; ++i) {
      auto next = co_await db.primary();
      there = leads_to(*next, both.at(3));
      next.release();
      co_await pause(10ms);
    }
    must(there, "the new address");
    must(name_server::here().count("moving.cluster") > asked, "it was looked up again");
    for (int i = 0; i < 3; ++i) {
      auto next = co_await db.primary();
      must(leads_to(*next, both.at(3)), "and nothing else");
    }
    bool shut = false;
    std::string why;
    for (int i = 0; i < 500 && !shut; ++i) {
      co_await pause(10ms);
      try {
        (void)co_await held->exec("select 1");
      } catch (const pg::error& failure) {
        shut = true;
        why = failure.what();
      }
    }
    must(shut && why.find("leads to another server now") != std::string::npos, why);
    held.release();
    co_await db.close(2s);
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a name of two addresses, then its pool connects to the one that the probe has reached", "[postgres][server]") {
  NEEDS_SERVER();
  const two_addresses both;
  name_server::here().set("twofold.cluster", {"127.0.0.2", "127.0.0.3"});
  auto task = [&]() -> asio::awaitable<void> {
    pg::cluster db(co_await asio::this_coro::executor, both.named("twofold.cluster"), by_name());
    std::vector<pg::cluster_lease> all;
    for (int i = 0; i < 3; ++i) all.push_back(co_await db.primary());
    const auto first = std::string(all[0]->peer());
    // Another order, as name servers have it.
    name_server::here().set("twofold.cluster", {"127.0.0.3", "127.0.0.2"});
    co_await pause(300ms);
    all[2].discard();
    all[2] = co_await db.primary();
    for (const auto& each : all) must(each->peer() == first, "one server");
    must(db.topology().hosts.size() == 1, "one host");
    all.clear();
    co_await db.close(2s);
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given each address of a name as a host, then hosts come and go with the addresses", "[postgres][server]") {
  NEEDS_SERVER();
  const two_addresses both;
  name_server::here().set("headless.cluster", {"127.0.0.3"});
  auto task = [&]() -> asio::awaitable<void> {
    auto how = by_name();
    how.each_address = true;
    pg::cluster db(co_await asio::this_coro::executor, both.named("headless.cluster"), how);
    must(db.topology().hosts.empty(), "nobody is known yet");
    auto lease = co_await db.primary();
    must(lease.host() == both.at(3) + " (headless.cluster)", std::string(lease.host()));
    lease.release();
    name_server::here().set("headless.cluster", {"127.0.0.2", "127.0.0.3"});
    const auto two = [&] { return db.topology().hosts.size() == 2; };
    const auto one = [&] { return db.topology().hosts.size() == 1; };
    const auto alike = [&] { return db.topology().state == pg::cluster_state::two_primaries; };
    const bool come = co_await soon(two);
    must(come, "another host");
    // It is one server, so both say that they are the primary.
    const bool both_claim = co_await soon(alike);
    must(both_claim, "two primaries");
    name_server::here().set("headless.cluster", {"127.0.0.2"});
    const bool gone = co_await soon(one);
    must(gone, "and one went");
    auto last = co_await db.primary();
    must(last.host() == both.at(2) + " (headless.cluster)", std::string(last.host()));
    last.release();
    // A name server that fails takes nobody away.
    name_server::here().set("headless.cluster", {});
    co_await pause(400ms);
    must(db.topology().hosts.size() == 1, "what was known stays");
    co_await db.close(2s);
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given hosts that were set later, when the address of their name changes, then the cluster follows", "[postgres][server]") {
  NEEDS_SERVER();
  const two_addresses both;
  name_server::here().set("later.cluster", {"127.0.0.3"});
  auto task = [&]() -> asio::awaitable<void> {
    pg::cluster db(co_await asio::this_coro::executor, both.named("127.0.0.2"), by_name());
    auto lease = co_await db.primary();
    must(leads_to(*lease, both.at(2)), "the first host");
    lease.release();
    db.set_hosts(both.named("later.cluster"));
    lease = co_await db.primary();
    must(leads_to(*lease, both.at(3)), "the second host");
    lease.release();
    name_server::here().set("later.cluster", {"127.0.0.2"});
    bool there = false;
    for (int i = 0; i < 1000 && !there; ++i) {
      lease = co_await db.primary();
      there = leads_to(*lease, both.at(2));
      lease.release();
      co_await pause(10ms);
    }
    must(there, "the new address");
    co_await db.close(2s);
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given each address of a name as a host, when hosts are set, then that is refused", "[postgres]") {
  asio::io_context io;
  auto how = by_name();
  how.each_address = true;
  pg::cluster db(io, pg::options("host=some.cluster dbname=shop"), how);
  CHECK_THROWS_WITH(db.set_hosts(pg::options("host=127.0.0.1")), has_text("each_address"));
}

TEST_CASE("given limits of the role and of the database, then the budget that instances share is within them", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    const auto here = co_await asio::this_coro::executor;
    const pg::options of_admin(server());
    pg::connection admin = co_await pg::connection::connect(of_admin);
    (void)co_await admin.exec("drop database if exists narrow_database");
    (void)co_await admin.exec("drop role if exists narrow_role");
    (void)co_await admin.exec("create role narrow_role login connection limit 7");
    (void)co_await admin.exec("create database narrow_database owner narrow_role connection limit 5");
    pg::cluster_options how;
    how.primary.name = "narrow";
    how.primary.min_size = how.replicas.min_size = 0;
    how.primary.max_size = how.replicas.max_size = 20;
    how.share_connections = true;
    how.share_part = 1.0;
    how.probe_interval = 100ms;
    const auto most_at = [&](std::string database) -> asio::awaitable<std::size_t> {
      pg::cluster db(here, pg::options(server() + " user=narrow_role dbname=" + database), how);
      { auto first = co_await db.primary(); }
      std::size_t room = 20;
      for (int i = 0; i < 500 && room == 20; ++i) {
        co_await pause(10ms);
        room = db.topology().hosts[0].room;
      }
      std::vector<pg::cluster_lease> all;
      for (int i = 0; i < 500; ++i) {
        co_await pause(10ms);
        try {
          all.push_back(co_await db.primary(2s));
        } catch (const pg::cluster_error&) {
          break;
        }
      }
      const auto count = all.size();
      must(db.stats()[0].connection_errors == 0, "no connect was refused");
      all.clear();
      co_await db.close(1s);
      co_return count;
    };
    const std::string usual(of_admin.get("dbname")), narrow("narrow_database");
    const auto by_role = co_await most_at(usual);
    const auto by_database = co_await most_at(narrow);
    (void)co_await admin.exec("drop database narrow_database with (force)");
    (void)co_await admin.exec("drop role narrow_role");
    // One is the probe's.
    must(by_role <= 6 && by_role >= 4, "by the role: " + std::to_string(by_role));
    must(by_database <= 4 && by_database >= 2, "by the database: " + std::to_string(by_database));
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a cluster on two threads, when its hosts are exchanged all the time, then callers are served", "[postgres][server]") {
  NEEDS_SERVER();
  const two_addresses both;
  asio::io_context io;
  auto how = by_name();
  how.probe_interval = 20ms;
  how.primary.close_grace = 200ms;
  const auto hosts = [&](const std::string& which) {
    return pg::options(server() + " host=" + which + " port=" + std::to_string(both.one.port()));
  };
  pg::cluster db(io, hosts("127.0.0.2"), how);
  std::atomic<int> served{0}, failed{0}, left{6};
  auto use = [&](int who) -> asio::awaitable<void> {
    for (int i = 0; i < 30; ++i) {
      try {
        auto lease = co_await db.primary(20s);
        const int number = co_await lease->one<int>("select $1::int", i);
        if (number == i) ++served;
      } catch (const tidepool::system_error&) {
        ++failed;
      }
      if (who == 0) db.set_hosts(hosts(i % 2 == 0 ? "127.0.0.3" : "127.0.0.2"));
      if (who == 1) (void)db.topology().text();
    }
  };
  for (int who = 0; who < 6; ++who) {
    const on_end at_end = [&](const std::exception_ptr& failure) {
      if (failure) failed += 1000;
      if (--left == 0) asio::co_spawn(io, db.close(5s), tidepool::rethrow);
    };
    asio::co_spawn(io, use(who), at_end);
  }
  std::thread other([&] { io.run(); });
  io.run();
  other.join();
  CHECK(served + failed == 180);
  CHECK(served >= 120);
  CHECK(db.topology().hosts.size() == 1);
}
