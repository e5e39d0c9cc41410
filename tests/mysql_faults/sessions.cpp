// SPDX-License-Identifier: BSL-1.0
// tidepool - faults of sessions and of what the server allows: rows M1, M2, M7, M8, M10, M11, M27.
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server.hpp"

using namespace tidepool_faults;

TEST_CASE("row M1: given an idle pool, when all its sessions are killed, then no request ever sees it", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with = load_on(db);
  with.callers = 4;  // never more than the idle connections
  with.think = 50ms;
  rig watched(with);
  REQUIRE(watched.start());
  // No connection is leased at the time of the fault: its statement would rightly fail.
  REQUIRE(watched.stop());
  REQUIRE(watched.difference(db).empty());
  const auto before = watched.backends();
  verdict m;
  m.hit = clock::now();
  db.kill_sessions(with.application);
  m.cure = clock::now();
  for (int i = 0; i < 40; ++i) {
    const auto r = watched.request_now(2000ms);
    ++m.requests;
    m.failed += r.how == ending::ok ? 0U : 1U;
    if (m.first_failure.empty()) m.first_failure = r.why;
    if (i == 0) m.recover_ms = std::chrono::duration<double, std::milli>(r.ended - m.cure).count();
    CHECK(before.count(r.backend) == 0);
  }
  detect_from_hang_up(watched, m);
  INFO(m.first_failure);
  CHECK(m.failed == 0);
  CHECK(m.detect_ms < 50 + slack_ms());
  CHECK(watched.difference(db).empty());
  CHECK(watched.stats().total >= with.min);
  m.gap_ms = static_cast<double>(watched.longest_gap(m.hit).count());
  report("M1", m);
}

TEST_CASE("row M2: given load, when sessions are killed all the time, then only what runs on them fails", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with = load_on(db);
  with.acquire_timeout = 8000ms;  // a slow machine takes long for so many logins
  rig watched(with);
  REQUIRE(watched.start());
  const auto before = watched.stats();
  const auto hit = clock::now();
  const int wanted = long_mode() ? 3000 : 50;
  int kills = 0;
  {
    const plain_session killer("root", db.socket());
    // Of those that have been there for a while: one that is killed while it logs in is a failed connect, which is another fault. And not
    // the last ones, where a machine takes longer for a login than for a kill.
    std::map<int, moment> seen;
    const auto until = hit + (long_mode() ? 300s : 15s);
    while (kills < wanted && clock::now() < until) {
      wait_for(10ms);
      std::map<int, moment> now;
      int oldest = 0;
      std::size_t old = 0;
      for (const auto& row : killer.ask("select id from information_schema.processlist where user = 'tidepool'")) {
        const int id = std::stoi(row.at(0));
        const auto known = seen.find(id);
        now[id] = known == seen.end() ? clock::now() : known->second;
        if (clock::now() - now[id] <= 50ms) continue;
        ++old;
        if (oldest == 0 || now[id] < now[oldest]) oldest = id;
      }
      seen = now;
      if (old <= 3) continue;
      try {
        killer.ask("kill " + std::to_string(oldest));
        ++kills;
      } catch (const std::runtime_error&) {
        // The pool had closed it meanwhile.
      }
    }
  }
  const auto cure = clock::now();
  auto m = watch(watched, hit, cure, 500ms);
  detect_from_hang_up(watched, m);
  check_recovery(m);
  CHECK(watched.stats().breaker == "closed");
  CHECK(m.running <= static_cast<std::uint64_t>(kills));
  INFO(m.first_refusal);
  CHECK(not_running(m) == 0);
  CHECK(kills > 10);
  // One connect for each kill, and what growth needs.
  CHECK(watched.stats().connects_started - before.connects_started <= static_cast<std::uint64_t>(kills) + with.max);
  check_all(watched, m, db);
  report("M2", m, std::to_string(kills) + " kills, " + std::to_string(watched.stats().created - before.created) + " new connections");
}

namespace {

/// All statements of the load wait for this lock while it lives.
struct ledger_lock {
  explicit ledger_lock(const server& db) : session("root", db.socket()) { session.ask("lock tables ledger write"); }
  plain_session session;
};

}  // namespace

TEST_CASE("row M7: given statements that hang, when callers give up, then they are killed, connections stay", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with = load_on(db);
  with.query_timeout = 400ms;
  with.cancel_timeout = hang;  // it takes a login
  with.acquire_timeout = 15000ms;
  with.min = with.max;  // so that nothing but a loss makes it connect
  rig watched(with);
  REQUIRE(watched.start());
  const auto before = watched.stats();
  const auto hit = clock::now();
  {
    const ledger_lock held(db);
    wait_for(1s);
  }
  const auto cure = clock::now();
  const auto m = watch(watched, hit, cure, 500ms);
  check_recovery(m);
  INFO(m.first_failure);
  CHECK(m.failed > 0);
  CHECK(not_running(m) == 0);
  CHECK(m.first_failure.find("cancelled, on the server too") != std::string::npos);
  CHECK(watched.stats().created == before.created);
  CHECK(watched.stats().closed == before.closed);
  check_all(watched, m, db);
  report("M7a", m, "by the callers' limit of 400 ms; no connection was lost");
}

TEST_CASE("row M7: given statements that hang, when the response timeout passes, then connections stay", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with = load_on(db);
  with.response_timeout = 300ms;
  with.cancel_timeout = hang;
  with.acquire_timeout = 15000ms;
  with.min = with.max;
  rig watched(with);
  REQUIRE(watched.start());
  const auto before = watched.stats();
  const auto hit = clock::now();
  {
    const ledger_lock held(db);
    wait_for(1s);
  }
  const auto cure = clock::now();
  const auto m = watch(watched, hit, cure, 500ms);
  check_recovery(m);
  INFO(m.first_failure);
  CHECK(m.failed > 0);
  CHECK(not_running(m) == 0);
  CHECK(m.first_failure.find("no answer from the server") != std::string::npos);
  CHECK(watched.stats().created == before.created);
  CHECK(watched.stats().closed == before.closed);
  check_all(watched, m, db);
  report("M7b", m, "by a response timeout of 300 ms; no connection was lost");
}

TEST_CASE("row M8: given wait_timeout, when the server ends idle sessions, then no request ever sees it", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  db.admin("set global wait_timeout = 1");
  setup with = load_on(db);
  with.callers = 4;
  with.think = 20ms;
  with.health_check_interval = 60s;  // which would keep them alive
  verdict m;
  std::uint64_t ended = 0;
  {
    rig watched(with);
    REQUIRE(watched.start(20));
    REQUIRE(watched.stop());
    m.hit = clock::now();
    for (int round = 0; round < (long_mode() ? 20 : 3); ++round) {
      // All have been ended and replaced; the server will not end one while a request is on its way to it.
      const auto goal = watched.stats().closed + with.min;
      const auto due = clock::now() + hang;
      const auto renewed = [&] { return watched.stats().closed >= goal && watched.stats().idle >= with.min; };
      while (!renewed() && clock::now() < due) wait_for(5ms);
      REQUIRE(renewed());
      for (int i = 0; i < 5; ++i) {
        const auto r = watched.request_now(2000ms);
        ++m.requests;
        m.failed += r.how == ending::ok ? 0U : 1U;
        if (m.first_failure.empty()) m.first_failure = r.why;
        m.recover_ms = std::max(m.recover_ms, std::chrono::duration<double, std::milli>(r.ended - r.begun).count());
      }
    }
    ended = watched.stats().closed;
    detect_from_hang_up(watched, m);
    m.gap_ms = static_cast<double>(watched.longest_gap(m.hit).count());
  }
  db.admin("set global wait_timeout = 28800");
  INFO(m.first_failure);
  CHECK(m.failed == 0);
  CHECK(ended >= with.min);
  CHECK(m.detect_ms < 50 + slack_ms());
  report("M8", m, std::to_string(ended) + " sessions ended after a second; recovery: the slowest request");
}

TEST_CASE("row M10: given a server without room, when the pool wants more, then it serves with what it has", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  proxy net(db.port());
  net.listen_for("Too many connections");
  setup with = load_on(db, db.url(net.port()));
  with.min = 2;
  with.statement =
      "insert into ledger values (?) returning sleep(0.015), token";  // more than three connections can do at once, now and then
  verdict m;
  db.admin("create user if not exists filler@localhost");
  db.admin("grant all on tidepool.* to filler@localhost");
  db.admin("set global max_connections = 10");
  std::vector<std::unique_ptr<plain_session>> others;
  while (others.size() < 7) others.push_back(std::make_unique<plain_session>("filler", db.socket()));
  const auto begin = clock::now();
  rig watched(with);
  const bool began = watched.start(300);
  // Room again.
  others.clear();
  db.admin("set global max_connections = 200");
  const auto cure = clock::now();
  REQUIRE(began);
  const auto before = watched.stats();
  CHECK(before.total <= 4);  // one connection is the administrator's, whose place others may take while it is not there
  CHECK(before.connection_errors > 0);
  CHECK(before.breaker == "closed");
  m = watch(watched, begin, cure, 2500ms);
  detect_from_words(watched, net, m);
  INFO(m.first_failure);
  CHECK(m.failed == 0);
  // Slow retries: with full jitter between 50 ms and 2 s they stay far below one for each request.
  CHECK(before.connection_errors < 100);
  CHECK(watched.stats().total > before.total);
  check_all(watched, m, db);
  report("M10", m, std::to_string(before.connection_errors) + " refused connects while full");
}

TEST_CASE("row M10: given a server without room, when acquiring, then the error says that it is full", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  db.admin("create or replace user shut_out@localhost with max_user_connections 1");
  db.admin("grant all on tidepool.* to shut_out@localhost");
  const plain_session only("shut_out", db.socket());
  setup with = load_on(db, db.url(0, "shut_out"));
  with.lazy = true;
  with.callers = 0;
  rig watched(with);
  REQUIRE(watched.start(0));
  const auto limit = tidepool_tests::paced(500ms);
  const auto r = watched.request_now(limit);
  INFO(r.why);
  CHECK(r.how == ending::no_lease);
  CHECK(r.why.find("1226") != std::string::npos);
  CHECK(r.ended - r.begun < limit + 50ms + milliseconds(static_cast<int>(slack_ms())));
  CHECK(watched.stats().breaker == "closed");
}

TEST_CASE("row M11: given a rotated password, when the pool must connect anew, then it asks for the new one", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  db.admin("create or replace user rotated@localhost identified by 'old'");
  db.admin("grant all on tidepool.* to rotated@localhost");
  std::atomic<bool> is_new{false};
  std::atomic<int> asked{0};
  proxy net(db.port());
  net.listen_for("Access denied");
  setup with = load_on(db, db.url(net.port(), "rotated"));
  with.application = "rotated";
  with.password = [&] {
    ++asked;
    return std::string(is_new ? "new" : "old");
  };
  with.min = with.max;  // growth would ask with the old one
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  db.admin("alter user rotated@localhost identified by 'new'");
  REQUIRE(watched.await_successes(100));
  // Sessions live on; only a new one is refused, and it does not hurt the others.
  auto m = judge(watched, hit, hit);
  CHECK(m.failed == 0);
  const auto victims = db.sessions(with.application);
  REQUIRE(!victims.empty());
  const auto refused = clock::now();
  db.admin("kill " + std::to_string(*victims.begin()));
  const auto denied = [&] { return watched.told().find("1045") != std::string::npos; };
  while (!denied() && clock::now() < refused + hang) wait_for(5ms);
  wait_for(500ms);
  const auto during = judge(watched, refused, refused);
  CHECK(during.failed <= 1);
  CHECK(denied());
  const int before = asked;
  is_new = true;
  const auto cure = clock::now();
  const auto open = [&] {
    const auto now = watched.stats();
    return now.active + now.idle;
  };
  while (open() < with.max && clock::now() < cure + hang) wait_for(5ms);
  const auto recovered = std::chrono::duration<double, std::milli>(clock::now() - cure).count();
  CHECK(asked > before);
  CHECK(recovered < 5000 + slack_ms());
  m = judge(watched, hit, hit);
  m.recover_ms = recovered;
  detect_from_words(watched, net, m);
  check_all(watched, m, db);
  report("M11", m, "recovery: to full size");
}

TEST_CASE("row M27: given load, when large results come or are cut, then others go on, buffers are given up", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  proxy net(db.port());
  setup with = load_on(db, db.url(net.port()));
  with.callers = 16;
  with.query_timeout = 20000ms;
  rig watched(with);
  REQUIRE(watched.start());
  const auto before = watched.stats();
  const auto hit = clock::now();
  std::uint64_t large = 0;
  for (int i = 0; i < (long_mode() ? 20 : 4); ++i) {
    const auto r = watched.request_now(5000ms, "select repeat('x', 4000000) from seq_1_to_5");
    INFO(r.why);
    CHECK(r.how == ending::ok);
    ++large;
  }
  // Connections whose buffer has grown retire.
  const auto until = clock::now() + hang;
  while (watched.stats().closed - before.closed < large && clock::now() < until) wait_for(5ms);
  CHECK(watched.stats().closed - before.closed >= large);
  const auto m = watch(watched, hit, hit, 300ms);
  INFO(m.first_failure);
  CHECK(m.failed == 0);
  check_all(watched, m, db);
  // And one that ends in the middle of it.
  setup one = load_on(db, db.url(net.port()));
  one.callers = 0;
  one.query_timeout = 20000ms;
  one.min = 0;
  one.max = 1;
  one.lazy = true;
  net.cut_next(way::to_client, 9'000'000);
  rig alone(one);
  REQUIRE(alone.start(0));
  const auto cut = alone.request_now(5000ms, "select repeat('x', 4000000) from seq_1_to_5");
  INFO(cut.why);
  CHECK(cut.how == ending::lost);
  CHECK(alone.request_now(5000ms).how == ending::ok);
  report("M27", m, std::to_string(large) + " results of 20 MB beside the load, and one that was cut after 9 MB");
}
