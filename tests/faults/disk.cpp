// SPDX-License-Identifier: BSL-1.0
// tidepool - a disk that is full: row 19.
#include <string>

#include "checks.hpp"
#include "server.hpp"

using namespace tidepool_faults;

TEST_CASE("row 19: given a full disk, when writes fail, then connections stay and reads go on", "[faults]") {
  LONG_ROW("19");
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  // A file system of 4 MB for one table; the guard of the servers unmounts it, should this program die.
  const std::string dir = db.dir() + "/small";
  const auto mounted = run_program({"sh", "-c",
                                    "mkdir -p " + dir + " && mount -t tmpfs -o size=4m,mode=700 tmpfs " + dir +
                                        " 2>/dev/null && chown $(stat -c %u " + db.dir() + "/data) " + dir});
  if (mounted.status != 0) {
    SKIP_ROW("19", "no file system may be mounted here");
  }
  db.admin("create tablespace small location '" + dir + "'");
  db.admin("create table filled (what text) tablespace small");
  {
    setup with;
    with.conninfo = db.conninfo();
    with.callers = 16;
    with.statement = "insert into filled select repeat('x', 1000) from generate_series(1, 40)";
    with.writes = true;
    rig watched(with);
    REQUIRE(watched.start(10));
    const auto until = clock::now() + hang;
    while (watched.last_error().find("53100") == std::string::npos && clock::now() < until) wait_for(5ms);
    CHECK(watched.last_error().find("53100") != std::string::npos);
    const auto hit = clock::now();
    const auto before = watched.stats();
    wait_for(1s);
    // Reads are as good as ever.
    const auto read = watched.request_now(2000ms, "select count(*) from filled");
    CHECK(read.how == ending::ok);
    REQUIRE(run_program({"mount", "-o", "remount,size=200m", dir}).status == 0);
    const auto cure = clock::now();
    auto m = watch(watched, hit, cure, 20ms);
    m.detect_ms = -1;
    check_recovery(m);
    CHECK(m.running == m.failed);
    // An error of the statement is no fault of the connection's.
    CHECK(watched.stats().closed == before.closed);
    CHECK(watched.stats().connects_started - before.connects_started <= with.max);
    check_common(watched, m, db);
    report("19", m, "");
  }
  db.admin("drop table filled");
  db.admin("drop tablespace small");
  CHECK(run_program({"umount", dir}).status == 0);
}
