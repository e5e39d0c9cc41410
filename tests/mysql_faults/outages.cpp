// SPDX-License-Identifier: BSL-1.0
// tidepool - faults of the whole server, of two servers, and of our own process: rows M4 to M6, M9, M20, M21, M24, M25.
#include <signal.h>
#include <sys/resource.h>

#include <string>

#include "server.hpp"

using namespace tidepool_faults;

namespace {

std::string seconds_of(clock::duration span) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(span).count()) + " s";
}
std::string ms_of(clock::duration span) { return std::to_string(std::chrono::duration_cast<milliseconds>(span).count()) + " ms"; }

/// The pool's connects while they are refused: one at a time, every 25 to 50 ms in this set-up.
void check_looks(std::uint64_t attempts, milliseconds down) {
  INFO(attempts << " connects in " << down.count() << " ms");
  CHECK(attempts <= 20 + static_cast<std::uint64_t>(down.count()) / 25);
}

}  // namespace

TEST_CASE("row M4: given load, when the server restarts, then waiting callers are served after it", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with = load_on(db);
  with.acquire_timeout = 30s;
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  db.stop();
  const auto cure = db.start();
  auto m = watch(watched, hit, cure, 1s);
  detect_from_hang_up(watched, m);
  check_recovery(m);
  INFO(m.first_failure);
  // The server lets statements end before it goes down, so a caller may meet it with more than one.
  CHECK(m.running <= 2 * with.max);
  if (cure - hit < 25s) CHECK(not_running(m) == 0);
  CHECK(watched.stats().breaker == "closed");
  check_looks(watched.stats().connection_errors, std::chrono::duration_cast<milliseconds>(cure - hit));
  check_all(watched, m, db);
  report("M4", m, "away for " + ms_of(cure - hit));
}

TEST_CASE("row M5: given load, when the server is away for long, then callers wait, attempts are steady", "[faults]") {
  LONG_ROW("M5");
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  const setup with = load_on(db);
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  db.crash();
  wait_for(60s);
  const auto r = watched.request_now(700ms);
  CHECK(r.how == ending::no_lease);
  CHECK(r.granted - r.begun >= 690ms);
  INFO(r.why);
  CHECK((r.why.find("tries again") != std::string::npos || r.why.find("the next one is under way") != std::string::npos));
  CHECK(watched.stats().breaker == "closed");
  const auto errors = watched.stats().connection_errors;
  const auto cure = db.start();
  check_looks(errors, std::chrono::duration_cast<milliseconds>(cure - hit));
  auto m = watch(watched, hit, cure);
  detect_from_hang_up(watched, m);
  check_recovery(m);
  CHECK(m.detect_ms < 50 + slack_ms());
  check_all(watched, m, db);
  report("M5", m, "away for " + seconds_of(cure - hit) + ", " + std::to_string(errors) + " connects meanwhile");
}

TEST_CASE("row M5: given a refusal that counts, when the server is away, then attempts are few, failures fast", "[faults]") {
  LONG_ROW("M5b");
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with = load_on(db);
  with.wait_when_refused = false;
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  db.crash();
  while (watched.stats().breaker != "open" && clock::now() < hit + 20s) wait_for(2ms);
  const auto r = watched.request_now(2000ms);
  CHECK(r.how == ending::no_lease);
  CHECK(r.why.find("the circuit breaker is open") != std::string::npos);
  wait_for(60s);
  const auto errors = watched.stats().connection_errors;
  const auto cure = db.start();
  CHECK(errors <= 20 + 70 * static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(cure - hit).count()) / 60000);
  auto m = watch(watched, hit, cure);
  detect_from_hang_up(watched, m);
  check_recovery(m);
  check_all(watched, m, db);
  report("M5b", m, "away for " + seconds_of(cure - hit) + ", " + std::to_string(errors) + " connects meanwhile");
}

TEST_CASE("row M6: given load, when the server is killed and comes back, then nothing confirmed is lost", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with = load_on(db);
  with.acquire_timeout = 30s;
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  db.crash();
  const auto cure = db.start();
  auto m = watch(watched, hit, cure, 1s);
  detect_from_hang_up(watched, m);
  check_recovery(m);
  INFO(m.first_failure);
  CHECK(m.running <= with.max);
  if (cure - hit < 25s) CHECK(not_running(m) == 0);
  CHECK(m.detect_ms < 50 + slack_ms());
  check_all(watched, m, db);
  report("M6", m, "away for " + ms_of(cure - hit));
}

TEST_CASE("row M9: given load, when the whole server is stopped, then every acquire ends and no thread waits", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with = load_on(db);
  with.response_timeout = 600ms;  // not the callers' limits
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  db.freeze();
  wait_for(long_mode() ? 10s : 3s);
  const auto frozen = judge(watched, hit, hit);
  CHECK(frozen.detect_ms >= 0);
  CHECK(frozen.detect_ms < 600 + 300 + 500 + slack_ms());
  db.thaw();
  const auto cure = clock::now();
  const auto m = watch(watched, hit, cure, long_mode() ? 3000ms : 1500ms);
  check_recovery(m);
  check_all(watched, m, db);
  report("M9", m);
}

namespace {

server& other_server() {
  static server one("b");
  return one;
}

/// Two servers, the second of which takes no writes yet. They do not replicate: what was confirmed has to be in one of them.
struct pair_of_servers {
  pair_of_servers() : first(shared_server()), second(other_server()) {
    first.admin("set global read_only = 0");
    second.admin("set global read_only = 1");
  }
  pair_of_servers(const pair_of_servers&) = delete;
  pair_of_servers& operator=(const pair_of_servers&) = delete;
  ~pair_of_servers() {
    if (first.pid() == 0) first.start();
    first.thaw();
    first.admin("set global read_only = 0");
  }
  setup load() const {
    setup out = load_on(first, "mysql://tidepool@127.0.0.1:" + std::to_string(first.port()) +
                                   ",127.0.0.1:" + std::to_string(second.port()) + "/tidepool?writable=true");
    out.acquire_timeout = 30s;
    return out;
  }
  /// The second takes writes from now on.
  moment promote() const {
    second.admin("set global read_only = 0");
    return clock::now();
  }
  void conclude(const char* row, rig& watched, const verdict& m, const std::string& remark) const {
    check_recovery(m);
    INFO(m.first_failure << "; " << m.first_refusal);
    CHECK(m.running <= 8);
    CHECK(not_running(m) == 0);
    check_common(watched, m, second);
    first.thaw();
    const auto wrong = ledger_fault(watched, {&first, &second});
    INFO(wrong);
    CHECK(wrong.empty());
    report(row, m, remark);
  }

  server& first;
  server& second;
};

}  // namespace

TEST_CASE("row M20: given two hosts, when the first is killed and the second promoted, then that one serves", "[faults]") {
  NEEDS_OWN_SERVER();
  const pair_of_servers both;
  rig watched(both.load());
  REQUIRE(watched.start());
  const auto hit = clock::now();
  both.first.crash();
  wait_for(300ms);
  const auto cure = both.promote();
  auto m = watch(watched, hit, cure, 1s);
  detect_from_hang_up(watched, m);
  both.first.start({"--read-only"});
  both.conclude("M20a", watched, m, "promoted after " + ms_of(cure - hit));
}

TEST_CASE("row M20: given two hosts, when the first falls silent, the second is promoted, then that one serves", "[faults]") {
  NEEDS_OWN_SERVER();
  const pair_of_servers both;
  setup with = both.load();
  with.response_timeout = 600ms;
  with.connect_timeout = 2000ms;  // half for each
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  both.first.freeze();
  wait_for(1s);
  const auto cure = both.promote();
  const auto m = watch(watched, hit, cure, 2500ms);
  both.conclude("M20b", watched, m, "the old primary stays silent");
}

TEST_CASE("row M21: given two hosts, when the first turns read-only (1290), then the second serves", "[faults]") {
  NEEDS_OWN_SERVER();
  const pair_of_servers both;
  rig watched(both.load());
  REQUIRE(watched.start());
  const auto hit = clock::now();
  both.first.admin("set global read_only = 1");
  const auto cure = both.promote();
  const auto m = watch(watched, hit, cure, 1s);
  CHECK(m.failed > 0);
  CHECK(m.first_failure.find("1290") != std::string::npos);
  both.conclude("M21a", watched, m, "sessions stay alive");
}

TEST_CASE("row M21: given two hosts, when they change places by a restart, then the new primary serves", "[faults]") {
  LONG_ROW("M21b");
  NEEDS_OWN_SERVER();
  const pair_of_servers both;
  rig watched(both.load());
  REQUIRE(watched.start());
  const auto hit = clock::now();
  both.first.stop();
  const auto cure = both.promote();
  both.first.start({"--read-only"});
  auto m = watch(watched, hit, cure, 1s);
  detect_from_hang_up(watched, m);
  both.conclude("M21b", watched, m, "away for " + ms_of(cure - hit));
}

TEST_CASE("row M24: given load, when this process is frozen, then no connection is thrown away for it", "[faults]") {
  LONG_ROW("M24");
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with = load_on(db);
  // All idle sockets are older than every limit afterwards, and so are all waits; statements had their answer long ago.
  with.query_timeout = 120000ms;
  with.min = with.max;  // so that nothing but a loss makes it connect
  rig watched(with);
  REQUIRE(watched.start());
  const auto before = watched.stats();
  const auto hit = clock::now();
  freeze_ourselves(60s);
  const auto cure = clock::now();
  auto m = watch(watched, hit, cure);
  check_recovery(m);
  const auto after = watched.stats();
  CHECK(after.connects_started - before.connects_started <= 2);
  CHECK(after.closed - before.closed <= 2);
  // The freeze itself is no fault of the loop's or of a deadline's.
  m.detect_ms = -1;
  m.gap_ms = static_cast<double>(watched.longest_gap(cure + 100ms).count());
  m.latest_ms = std::max(0.0, static_cast<double>(watched.latest(cure + 100ms).count()));
  check_all(watched, m, db);
  report("M24", m, std::to_string(after.connects_started - before.connects_started) + " new connections; lateness and gap after the thaw");
}

TEST_CASE("row M25: given no file descriptor left, when the pool must connect, then it waits for one", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  const setup with = load_on(db);
  rig watched(with);
  REQUIRE(watched.start());
  const auto errors = watched.stats().connection_errors;
  // Connected before, as that takes a descriptor of ours.
  const plain_session killer("root", db.socket());
  const auto hit = clock::now();
  // Nothing can be opened from here on: the limit is below what is open already.
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = 3;
  ::setrlimit(RLIMIT_NOFILE, &none);
  killer.ask("kill user " + with.application);
  wait_for(1500ms);
  const auto during = watched.stats();
  const auto why = watched.last_error();
  ::setrlimit(RLIMIT_NOFILE, &before);
  const auto cure = clock::now();
  const auto m = watch(watched, hit, cure, 1s);
  check_recovery(m);
  INFO(why << "; first failure: " << m.first_failure);
  CHECK(during.connection_errors > errors);
  CHECK(during.connection_errors - errors <= 30);  // no spinning
  CHECK(m.running <= with.max);
  check_all(watched, m, db);
  report("M25", m, std::to_string(during.connection_errors - errors) + " connects in 1.5 s");
}
