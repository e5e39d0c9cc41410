// SPDX-License-Identifier: BSL-1.0
// tidepool - faults of our own process: rows 24, 25.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "checks.hpp"
#include "server.hpp"

using namespace tidepool_faults;

TEST_CASE("row 24: given load, when this process is frozen, then no connection is thrown away for it", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with;
  with.conninfo = db.conninfo();
  // All idle sockets are older than every limit afterwards, and so are all waits; statements had their answer long ago.
  with.query_timeout = 120000ms;
  with.min = with.max;  // so that nothing but a loss makes it connect
  rig watched(with);
  REQUIRE(watched.start());
  const auto before = watched.stats();
  const auto hit = clock::now();
  freeze_ourselves(long_mode() ? 60s : 3s);
  const auto cure = clock::now();
  const auto m = watch(watched, hit, cure);
  check_recovery(m);
  const auto after = watched.stats();
  // No mass eviction: what was alive is still used.
  CHECK(after.connects_started - before.connects_started <= 2);
  CHECK(after.closed - before.closed <= 2);
  INFO(m.first_failure);
  CHECK(watched.stop());
  CHECK(m.wrong == 0);
  CHECK(watched.difference(db).empty());
  auto shown = m;
  // The freeze itself is no fault of the loop's or of a deadline's.
  shown.gap_ms = static_cast<double>(watched.longest_gap(cure + 100ms).count());
  shown.latest_ms = std::max(0.0, static_cast<double>(watched.latest(cure + 100ms).count()));
  CHECK(shown.gap_ms < slack_ms());
  report("24a", shown,
         std::to_string(after.connects_started - before.connects_started) + " new connections; lateness and gap after the thaw");
}

TEST_CASE("row 24: given wall clock jumps, when there is load, then nothing happens", "[faults]") {
  LONG_ROW("24b");
  NEEDS_OWN_SERVER();
  const char* times = std::getenv("TIDEPOOL_FAULTS_TIME");
  if (times == nullptr) {
    // The clock of the machine is not ours to set. This test runs a second time under libfaketime, which shifts the wall clock alone.
    const auto library = run_program({"sh", "-c", "ls /usr/lib/*/faketime/libfaketimeMT.so.1 2>/dev/null | head -n 1"});
    if (library.output.empty()) SKIP_ROW("24b", "libfaketime is not installed");
    const std::string file = yard() + "/time";
    REQUIRE(run_program({"sh", "-c", "echo +0 >" + file}).status == 0);
    std::string self(4096, '\0');
    self.resize(static_cast<std::size_t>(::readlink("/proc/self/exe", self.data(), self.size())));
    const auto done = run_program({"env", "LD_PRELOAD=" + library.output, "FAKETIME_TIMESTAMP_FILE=" + file, "FAKETIME_NO_CACHE=1",
                                   "DONT_FAKE_MONOTONIC=1", "TIDEPOOL_FAULTS_TIME=" + file, self, "row 24: given wall clock jumps*"});
    INFO(done.output);
    CHECK(done.status == 0);
    return;
  }
  auto& db = shared_server();
  setup with;
  with.conninfo = db.conninfo();
  with.min = with.max;
  rig watched(with);
  REQUIRE(watched.start());
  const auto before = watched.stats();
  const auto hit = clock::now();
  const auto wall = ::time(nullptr);
  for (const std::string jump : {"+3600", "-3600", "+0"}) {
    REQUIRE(run_program({"sh", "-c", "echo " + jump + " >" + times}).status == 0);
    wait_for(700ms);
    if (jump == "+3600") CHECK(::time(nullptr) - wall > 3000);
  }
  const auto m = watch(watched, hit, hit, 300ms);
  CHECK(m.failed == 0);
  CHECK(watched.stats().connects_started == before.connects_started);
  CHECK(watched.stats().closed == before.closed);
  check_common(watched, m, db);
  report("24b", m, "one hour forward, two back, one forward");
}

TEST_CASE("row 25: given no file descriptor left, when the pool must connect, then it waits for one", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  setup with;
  with.conninfo = db.conninfo();
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  // Nothing can be opened from here on: the limit is below what is open already.
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = 3;
  // The servers are told first, as that takes descriptors of ours.
  const auto doomed = db.sessions(with.application);
  REQUIRE(!doomed.empty());
  const auto errors = watched.stats().connection_errors;
  ::setrlimit(RLIMIT_NOFILE, &none);
  for (const int pid : doomed) ::kill(pid, SIGTERM);  // children of our server's, asked for a moment ago
  wait_for(3s);
  const auto during = watched.stats();
  const auto why = watched.last_error();
  ::setrlimit(RLIMIT_NOFILE, &before);
  const auto cure = clock::now();
  const auto m = watch(watched, hit, cure);
  check_recovery(m);
  INFO(why << "; first failure: " << m.first_failure);
  CHECK(during.connection_errors > errors);
  CHECK(during.connection_errors - errors <= 30);  // no spinning
  CHECK(m.running <= with.max);
  check_common(watched, m, db);
  report("25", m, std::to_string(during.connection_errors - errors) + " connects in 3 s");
}
