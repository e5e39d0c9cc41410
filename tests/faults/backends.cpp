// SPDX-License-Identifier: BSL-1.0
// tidepool - faults of server processes and of what the server allows: rows 1, 2, 3, 7, 8, 10, 11.
#include <signal.h>

#include <atomic>
#include <string>

#include "checks.hpp"
#include "server.hpp"

using namespace tidepool_faults;

TEST_CASE("row 1: given an idle pool, when all its backends are terminated, then no request ever sees it", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with;
  with.conninfo = db.conninfo();
  with.callers = 4;  // never more than the idle connections
  with.think = 50ms;
  rig watched(with);
  REQUIRE(watched.start());
  // No connection is leased at the time of the fault: its statement would rightly fail.
  REQUIRE(watched.stop());
  REQUIRE(watched.difference(db).empty());
  const auto before = watched.backends();
  const auto hit = clock::now();
  db.terminate_all(with.application);
  const auto cure = clock::now();
  verdict m;
  m.detect_ms = m.recover_ms = -1;
  for (int i = 0; i < 40; ++i) {
    const auto r = watched.request_now(2000ms);
    ++m.requests;
    m.failed += r.how == ending::ok ? 0U : 1U;
    if (m.first_failure.empty()) m.first_failure = r.why;
    if (i == 0) m.recover_ms = std::chrono::duration<double, std::milli>(r.ended - cure).count();
    CHECK(before.count(r.backend) == 0);
  }
  m.hit = hit;
  detect_from_hang_up(watched, m);
  INFO(m.first_failure);
  CHECK(m.failed == 0);
  CHECK(m.detect_ms < 50 + slack_ms());
  CHECK(watched.difference(db).empty());
  CHECK(watched.stats().total >= with.min);
  m.gap_ms = static_cast<double>(watched.longest_gap(hit).count());
  report("1", m);
}

TEST_CASE("row 2: given load, when backends are terminated all the time, then only what runs on them fails", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with;
  with.conninfo = db.conninfo();
  rig watched(with);
  REQUIRE(watched.start());
  const auto before = watched.stats();
  const auto hit = clock::now();
  const int kills = long_mode() ? 3000 : 300;
  // One session that kills a random backend of ours every 10 ms; not the last ones, where a machine takes longer for a login.
  db.admin("do $$ begin for i in 1.." + std::to_string(kills) +
           " loop perform pg_stat_clear_snapshot(); perform pg_terminate_backend(pid) from (select pid, count(*) over () as there"
           " from pg_stat_activity where application_name = 'faults' order by random() limit 1) as one where there > 3;"
           " perform pg_sleep(0.01); end loop; end $$");
  const auto cure = clock::now();
  auto m = watch(watched, hit, cure);
  detect_from_hang_up(watched, m);
  check_recovery(m);
  CHECK(watched.stats().breaker == "closed");
  CHECK(m.running <= static_cast<std::uint64_t>(kills));
  CHECK(not_running(m) == 0);
  // One connect for each kill, and what growth needs.
  CHECK(watched.stats().connects_started - before.connects_started <= static_cast<std::uint64_t>(kills) + with.max);
  check_common(watched, m, db);
  report("2", m, std::to_string(kills) + " kills, " + std::to_string(watched.stats().created - before.created) + " new connections");
}

TEST_CASE("row 3: given load, when one backend crashes and the server restarts all, then the pool refills", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with;
  with.conninfo = db.conninfo();
  rig watched(with);
  REQUIRE(watched.start());
  const auto victims = db.sessions(with.application);
  REQUIRE(!victims.empty());
  const auto hit = clock::now();
  const pid_t victim = *victims.begin();
  db.signal(victim, SIGKILL);
  // The server takes sessions until it has noticed.
  while (::kill(victim, 0) == 0 || !db.accepts()) wait_for(2ms);
  const auto cure = clock::now();
  auto m = watch(watched, hit, cure);
  detect_from_hang_up(watched, m);
  check_recovery(m);
  CHECK(m.running <= with.max);
  CHECK(not_running(m) == 0);
  check_common(watched, m, db);
  report("3", m);
}

TEST_CASE("row 7: given a backend that stops in a request, when the limit passes, then its slot serves others", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with;
  with.conninfo = db.conninfo();
  with.query_timeout = 1000ms;
  rig watched(with);
  REQUIRE(watched.start());
  // The one that runs a statement is held by a caller.
  std::string found;
  for (int i = 0; i < 2000 && found.empty(); ++i) {
    const auto active = db.admin("select pid from pg_stat_activity where application_name = 'faults' and state = 'active' limit 1");
    if (!active.empty()) found = active[0][0];
  }
  REQUIRE(!found.empty());
  const pid_t victim = std::stoi(found);
  const auto hit = clock::now();
  db.signal(victim, SIGSTOP);
  const auto m = watch(watched, hit, hit, 2500ms);
  // A stopped process does not answer a graceful close; the pool must have closed the connection all the same.
  CHECK(watched.stats().total <= with.max);
  db.signal(victim, SIGCONT);
  CHECK(m.failed <= 1);
  // The caller's limit, the time to cancel, which has no effect, and the limit of a graceful close.
  CHECK(m.recover_ms < 1000 + 500 + 500 + 2 * slack_ms());
  check_common(watched, m, db);
  report("7", m, m.failed == 0 ? "the backend was idle by then: row 8" : "");
}

TEST_CASE("row 7: given a backend that stops, when there is a response timeout, then it is told as silent", "[faults][field-L3]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with;
  with.conninfo = db.conninfo();
  with.response_timeout = 400ms;
  rig watched(with);
  REQUIRE(watched.start());
  std::string found;
  for (int i = 0; i < 2000 && found.empty(); ++i) {
    const auto active = db.admin("select pid from pg_stat_activity where application_name = 'faults' and state = 'active' limit 1");
    if (!active.empty()) found = active[0][0];
  }
  REQUIRE(!found.empty());
  const auto hit = clock::now();
  db.signal(std::stoi(found), SIGSTOP);
  const auto m = watch(watched, hit, hit, 2000ms);
  db.signal(std::stoi(found), SIGCONT);
  CHECK(m.failed <= 1);
  if (m.failed == 1) CHECK(m.first_failure.find("has been silent for") != std::string::npos);
  CHECK(m.recover_ms < 400 + 200 + 500 + 2 * slack_ms());
  check_common(watched, m, db);
}

TEST_CASE("row 8: given a backend that stops while idle, when a caller would get it, then it gets another one", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with;
  with.conninfo = db.conninfo();
  with.callers = 2;
  with.alive_bypass = 0ms;
  rig watched(with);
  REQUIRE(watched.start(10));
  REQUIRE(watched.stop());
  const auto idle = watched.backends();
  REQUIRE(!idle.empty());
  // The connection that comes first at the next acquire.
  const auto first = watched.request_now(2000ms);
  REQUIRE(first.how == ending::ok);
  // The pool's clock for such questions has a tick of some milliseconds; what answered within it counts as alive.
  wait_for(20ms);
  const auto hit = clock::now();
  db.signal(first.backend, SIGSTOP);
  verdict m;
  for (int i = 0; i < 20; ++i) {
    const auto r = watched.request_now(2000ms);
    ++m.requests;
    m.failed += r.how == ending::ok ? 0U : 1U;
    if (m.first_failure.empty()) m.first_failure = r.why;
    const auto took = std::chrono::duration<double, std::milli>(r.ended - r.begun).count();
    m.recover_ms = std::max(m.recover_ms, took);
  }
  const auto failed = watched.first_failure(hit);
  if (failed != moment::max()) m.detect_ms = std::chrono::duration<double, std::milli>(failed - hit).count();
  m.gap_ms = static_cast<double>(watched.longest_gap(hit).count());
  db.signal(first.backend, SIGCONT);
  INFO(m.first_failure);
  CHECK(m.failed == 0);
  CHECK(failed != moment::max());
  CHECK(m.recover_ms < 250 + 2 * slack_ms());
  CHECK(watched.difference(db).empty());
  report("8", m, "recovery: the slowest request");
}

TEST_CASE("row 10: given a server without room, when the pool wants more, then it serves with what it has", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  db.admin("drop role if exists crowded");
  db.admin("create role crowded login connection limit 3");
  proxy net(db.port());
  net.listen_for("C53300");
  setup with;
  with.conninfo = net.before(db.conninfo()) + " user=crowded";
  with.min = 2;
  with.statement = "select pg_sleep(0.015), 4711";  // more than three connections can do at once, now and then
  const auto begin = clock::now();
  rig watched(with);
  REQUIRE(watched.start(400));
  const auto hit = begin;
  // Room again.
  db.admin("alter role crowded connection limit -1");
  const auto cure = clock::now();
  const auto before = watched.stats();
  CHECK(before.total <= 3);
  CHECK(before.connection_errors > 0);
  CHECK(before.breaker == "closed");
  auto m = watch(watched, hit, cure, 3000ms);
  detect_from_words(watched, net, m);
  INFO(m.first_failure);
  CHECK(m.failed == 0);
  // Slow retries: with full jitter between 50 ms and 2 s they stay far below one for each request.
  CHECK(before.connection_errors < 100);
  CHECK(watched.stats().total > 3);
  check_common(watched, m, db);
  report("10", m, std::to_string(before.connection_errors) + " refused connects while full");
}

TEST_CASE("row 10: given a server without room, when acquiring, then the error says that it is full", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  db.admin("drop role if exists shut_out");
  db.admin("create role shut_out login connection limit 0");
  setup with;
  with.conninfo = db.conninfo() + " user=shut_out";
  with.lazy = true;
  with.callers = 0;
  rig watched(with);
  REQUIRE(watched.start(0));
  const auto r = watched.request_now(500ms);
  INFO(r.why);
  CHECK(r.how == ending::no_lease);
  CHECK(r.why.find("53300") != std::string::npos);
  CHECK(r.ended - r.begun < 500ms + 50ms + milliseconds(static_cast<int>(slack_ms())));
  CHECK(watched.stats().breaker == "closed");
}

TEST_CASE("row 11: given a rotated password, when the pool must connect anew, then it asks for the new one", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  db.admin("drop role if exists rotated");
  db.admin("create role rotated login password 'old' in role needs_password");
  std::atomic<bool> is_new{false};
  std::atomic<int> asked{0};
  proxy net(db.port());
  net.listen_for("C28P01");
  setup with;
  with.conninfo = net.before(db.conninfo()) + " user=rotated";
  with.password = [&] {
    ++asked;
    return std::string(is_new ? "new" : "old");
  };
  with.min = with.max;  // growth would ask with the old one
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  db.admin("alter role rotated password 'new'");
  REQUIRE(watched.await_successes(100));
  // Sessions live on; only a new one is refused, and it does not hurt the others.
  auto m = judge(watched, hit, hit);
  CHECK(m.failed == 0);
  const auto victims = db.sessions(with.application);
  const auto refused = clock::now();
  db.admin("select pg_terminate_backend(" + std::to_string(*victims.begin()) + ")");
  wait_for(1500ms);
  const auto during = judge(watched, refused, refused);
  CHECK(during.failed <= 1);
  CHECK(watched.told().find("28P01") != std::string::npos);
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
  check_common(watched, m, db);
  report("11", m, "recovery: to full size");
}
