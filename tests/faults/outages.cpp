// SPDX-License-Identifier: BSL-1.0
// tidepool - faults of the whole server: rows 4, 5, 6, 9, 12.
#include <signal.h>

#include <string>

#include "checks.hpp"
#include "server.hpp"

using namespace tidepool_faults;

namespace {

/// The pool's connects while they are refused: one at a time, every 25 to 50 ms in this set-up.
void check_looks(std::uint64_t attempts, milliseconds down) {
  INFO(attempts << " connects in " << down.count() << " ms");
  CHECK(attempts <= 20 + static_cast<std::uint64_t>(down.count()) / 25);
}
/// And where a refusal is a failure like others: the shared back-off doubles from 50 ms to 2 s, with full jitter, and the breaker lets
/// one probe through every 2 s.
void check_attempts(std::uint64_t attempts, milliseconds down) {
  INFO(attempts << " connects in " << down.count() << " ms");
  CHECK(attempts <= 20 + static_cast<std::uint64_t>(down.count()) * 70 / 60000);
}

/// While the breaker is open an acquire fails at once and says why.
void check_fast_refusal(rig& watched) {
  const auto until = clock::now() + 20s;
  while (watched.stats().breaker != "open" && clock::now() < until) wait_for(2ms);
  REQUIRE(watched.stats().breaker == "open");
  const auto r = watched.request_now(2000ms);
  INFO(r.why);
  CHECK(r.how == ending::no_lease);
  CHECK(r.why.find("the circuit breaker is open") != std::string::npos);
}

/// The end of a row in which the server was away from `hit` to `cure`, and `errors` connects failed meanwhile.
void conclude_outage(const char* row, rig& watched, server& db, clock::time_point hit, clock::time_point cure, std::uint64_t errors) {
  auto m = watch(watched, hit, cure);
  detect_from_hang_up(watched, m);
  check_recovery(m);
  CHECK(m.detect_ms < 50 + slack_ms());
  check_common(watched, m, db);
  report(row, m,
         "away for " + std::to_string(std::chrono::duration_cast<std::chrono::seconds>(cure - hit).count()) + " s, " +
             std::to_string(errors) + " connects meanwhile");
}

}  // namespace

TEST_CASE("row 4: given load, when the server restarts, then waiting callers are served after it", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with;
  with.conninfo = db.conninfo();
  with.acquire_timeout = 5000ms;
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  db.stop("fast");
  const auto cure = db.start();
  auto m = watch(watched, hit, cure);
  detect_from_hang_up(watched, m);
  check_recovery(m);
  CHECK(m.running <= with.max);
  if (cure - hit < 4500ms) CHECK(not_running(m) == 0);
  CHECK(watched.stats().breaker == "closed");
  check_looks(watched.stats().connection_errors, std::chrono::duration_cast<milliseconds>(cure - hit));
  check_common(watched, m, db);
  report("4", m, "away for " + std::to_string(std::chrono::duration_cast<milliseconds>(cure - hit).count()) + " ms");
}

TEST_CASE("row 5: given load, when the server is away for long, then callers wait, attempts are steady", "[faults][field-L4]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with;
  with.conninfo = db.conninfo();
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  db.stop("immediate");
  wait_for(long_mode() ? 60s : 4s);
  const auto r = watched.request_now(700ms);
  CHECK(r.how == ending::no_lease);
  CHECK(r.granted - r.begun >= 690ms);
  INFO(r.why);
  CHECK((r.why.find("tries again") != std::string::npos || r.why.find("the next one is under way") != std::string::npos));
  CHECK(watched.stats().breaker == "closed");
  const auto errors = watched.stats().connection_errors;
  const auto cure = db.start();
  check_looks(errors, std::chrono::duration_cast<milliseconds>(cure - hit));
  conclude_outage("5", watched, db, hit, cure, errors);
}

TEST_CASE("row 5: given a refusal that counts, when the server is away, then attempts are few, failures fast", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with;
  with.conninfo = db.conninfo();
  with.wait_when_refused = false;
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  db.stop("immediate");
  check_fast_refusal(watched);
  wait_for(long_mode() ? 60s : 4s);
  const auto errors = watched.stats().connection_errors;
  const auto cure = db.start();
  check_attempts(errors, std::chrono::duration_cast<milliseconds>(cure - hit));
  conclude_outage("5b", watched, db, hit, cure, errors);
}

TEST_CASE("row 6: given load, when the postmaster is killed, then it is as any other outage", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with;
  with.conninfo = db.conninfo();
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  const auto postmaster = db.postmaster();
  db.signal(postmaster, SIGKILL);
  // A start would find it still running until it has been waited for.
  for (int i = 0; i < 2000 && ::kill(postmaster, 0) == 0; ++i) wait_for(5ms);
  const auto cure = db.start();
  auto m = watch(watched, hit, cure);
  detect_from_hang_up(watched, m);
  check_recovery(m);
  if (cure - hit < 1500ms) CHECK(not_running(m) == 0);
  CHECK(m.detect_ms < 50 + slack_ms());
  check_common(watched, m, db);
  report("6", m);
}

TEST_CASE("row 9: given load, when the whole server is stopped, then every acquire ends and no thread waits", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with;
  with.conninfo = db.conninfo();
  with.response_timeout = 600ms;  // not the callers' limits
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  db.freeze();
  wait_for(long_mode() ? 10s : 4s);
  const auto frozen = judge(watched, hit, hit);
  CHECK(frozen.detect_ms >= 0);
  CHECK(frozen.detect_ms < 600 + 300 + 500 + slack_ms());
  db.thaw();
  const auto cure = clock::now();
  const auto m = watch(watched, hit, cure, 3000ms);
  check_recovery(m);
  check_common(watched, m, db);
  report("9", m);
}

TEST_CASE("row 12: given a server that starts up, when connecting, then the pool waits for it", "[faults]") {
  NEEDS_OWN_SERVER();
  // A standby without hot_standby refuses every session with 57P03 until it is promoted, as a server in recovery does.
  auto& db = shared_server();
  const std::string dir = yard() + "/starting";
  const auto made = run_program({servers_script(), "standby", db.dir(), dir});
  REQUIRE(made.status == 0);
  server late("starting", made.output);
  late.admin("alter system set hot_standby = off");
  late.stop("fast");
  late.start();
  setup with;
  proxy net(late.port());
  net.listen_for("C57P03");
  with.conninfo = net.before(made.output);
  with.lazy = true;
  with.callers = 8;
  const auto hit = clock::now();
  rig watched(with);
  const bool none = watched.start(0);
  CHECK(none);
  while (watched.told().find("57P03") == std::string::npos && clock::now() < hit + 20s) wait_for(5ms);
  CHECK(watched.told().find("57P03") != std::string::npos);
  wait_for(1500ms);
  const auto errors = watched.stats().connection_errors;
  const auto cure = late.promote();
  REQUIRE(watched.await_successes(20));
  auto m = watch(watched, hit, cure, 500ms);
  detect_from_words(watched, net, m);
  check_recovery(m);
  // It answers, so the pool looks steadily, every 25 to 50 ms in this set-up, one connect at a time.
  CHECK(errors <= 20 + static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(cure - hit).count()) / 25);
  check_common(watched, m, late);
  report("12", m, std::to_string(errors) + " connects meanwhile");
}
