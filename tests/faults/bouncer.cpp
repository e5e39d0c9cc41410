// SPDX-License-Identifier: BSL-1.0
// tidepool - PgBouncer in front, in transaction mode: rows 22, 23.
#include <string>

#include "bouncer.hpp"
#include "checks.hpp"
#include "server.hpp"

using namespace tidepool_faults;

namespace {

std::string missing(edition which) {
  return which == edition::installed ? "PgBouncer is not installed" : "no newer PgBouncer was unpacked; tests/run.sh --long does";
}

setup load_of(const bouncer& front) {
  setup with;
  with.conninfo = front.conninfo;
  return with;
}

/// The pids that a session reports are PgBouncer's own invention, so only numbers can be compared.
void check_counts(rig& watched, const bouncer& front) {
  std::size_t ours = 0;
  std::size_t theirs = 1;
  for (int i = 0; i < 500 && ours != theirs; ++i) {
    const auto now = watched.stats();
    ours = now.total;
    theirs = front.clients();
    if (ours != theirs) wait_for(20ms);
  }
  CHECK(ours == theirs);
}

}  // namespace

TEST_CASE("row 22: given PgBouncer in transaction mode, when there is load, then nothing fails", "[faults]") {
  NEEDS_OWN_SERVER();
  const auto which = GENERATE(edition::installed, edition::newest);
  const std::string row = which == edition::installed ? "22" : "22b";
  const bouncer front(shared_server(), which);
  if (front.conninfo.empty()) SKIP_ROW(row, missing(which));
  const auto with = load_of(front);
  rig watched(with);
  const auto hit = clock::now();
  REQUIRE(watched.start(400));
  const auto m = watch(watched, hit, hit, 100ms);
  INFO(m.first_failure);
  CHECK(m.failed == 0);
  check_common(watched, m);
  check_counts(watched, front);
  report(row, m);
}

TEST_CASE("row 23: given PgBouncer, when it pauses, then callers wait and nothing else happens", "[faults]") {
  NEEDS_OWN_SERVER();
  const auto which = GENERATE(edition::installed, edition::newest);
  const std::string row = which == edition::installed ? "23a" : "23d";
  // PAUSE closes a server connection that is just being made, as a failed login; and after one PgBouncer makes no other for this long, 15 s
  // unless it is told, while its clients wait, plain ones too.
  const bouncer front(shared_server(), which, {"server_login_retry=0.2"});
  if (front.conninfo.empty()) SKIP_ROW(row, missing(which));
  auto with = load_of(front);
  with.acquire_timeout = 8000ms;
  with.query_timeout = 10000ms;
  with.validation_timeout = 5000ms;  // longer than the pause: a validation is a query, and queries wait
  rig watched(with);
  REQUIRE(watched.start());
  const auto before = watched.stats();
  const auto hit = clock::now();
  front.tell("PAUSE");
  wait_for(long_mode() ? 5s : 2s);
  front.tell("RESUME");
  const auto cure = clock::now();
  const auto m = watch(watched, hit, cure);
  check_recovery(m);
  INFO(m.first_failure);
  CHECK(m.failed == 0);
  // A connect is a query too, by now, and waits until its own limit; after a failure one at a time is made.
  CHECK(watched.stats().connects_started - before.connects_started <= 2 * with.max);
  check_common(watched, m);
  check_counts(watched, front);
  report(row, m, "PAUSE, RESUME");
}

TEST_CASE("row 23: given PgBouncer, when it reconnects to its server, then nothing fails", "[faults]") {
  LONG_ROW("23b");
  NEEDS_OWN_SERVER();
  const auto which = GENERATE(edition::installed, edition::newest);
  const std::string row = which == edition::installed ? "23b" : "23e";
  const bouncer front(shared_server(), which);
  if (front.conninfo.empty()) SKIP_ROW(row, missing(which));
  const auto with = load_of(front);
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  front.tell("RECONNECT");
  const auto m = watch(watched, hit, hit);
  INFO(m.first_failure);
  CHECK(m.failed == 0);
  check_common(watched, m);
  check_counts(watched, front);
  report(row, m, "RECONNECT");
}

TEST_CASE("row 23: given PgBouncer, when it restarts, then the pool connects anew", "[faults]") {
  NEEDS_OWN_SERVER();
  bouncer front(shared_server());
  if (front.conninfo.empty()) SKIP_ROW("23c", "PgBouncer is not installed");
  auto with = load_of(front);
  with.acquire_timeout = 5000ms;
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  front.stop();
  const auto cure = front.start();
  auto m = watch(watched, hit, cure);
  detect_from_hang_up(watched, m);
  check_recovery(m);
  CHECK(m.running <= with.max);
  CHECK(not_running(m) == 0);
  check_common(watched, m);
  check_counts(watched, front);
  report("23c", m, "restart");
}
