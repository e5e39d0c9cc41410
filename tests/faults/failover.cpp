// SPDX-License-Identifier: BSL-1.0
// tidepool - a primary and its streaming standby change places: rows 20, 21.
#include <signal.h>

#include <string>

#include "bouncer.hpp"
#include "checks.hpp"
#include "pair.hpp"
#include "server.hpp"

using namespace tidepool_faults;

TEST_CASE("row 20: given a primary that is killed, when its standby is promoted, then the pool writes there", "[faults]") {
  NEEDS_OWN_SERVER();
  pair_of_servers both("kill");
  auto with = both.load();
  with.acquire_timeout = 15000ms;  // longer than a promotion takes on a slow machine
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  const auto postmaster = both.first.postmaster();
  both.first.signal(postmaster, SIGKILL);
  const auto cure = both.second->promote();
  auto m = watch(watched, hit, cure, 2500ms);
  detect_from_hang_up(watched, m);
  check_recovery(m);
  CHECK(m.running <= 8);
  CHECK(not_running(m) == 0);
  check_common(watched, m, *both.second);
  report("20a", m, "promotion took " + std::to_string(std::chrono::duration_cast<milliseconds>(cure - hit).count()) + " ms");
}

TEST_CASE("row 20: given a primary that falls silent, when its standby is promoted, then the pool writes there", "[faults]") {
  LONG_ROW("20b");
  NEEDS_OWN_SERVER();
  pair_of_servers both("mute");
  auto with = both.load();
  with.response_timeout = 600ms;  // not the callers' limits
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  both.first.freeze();
  const auto cure = both.second->promote();
  const auto m = watch(watched, hit, cure, 6000ms);
  // Not the 2.5 s of other rows: sockets of the silent host are still open, and each must be found out.
  CHECK(m.recover_ms >= 0);
  CHECK(m.recover_ms < 6000 + slack_ms());
  check_common(watched, m, *both.second);
  both.first.thaw();
  report("20b", m, "the old primary stays silent");
}

TEST_CASE("row 21: given a primary that turns read-only, when writes fail, then the pool leaves it", "[faults]") {
  NEEDS_OWN_SERVER();
  pair_of_servers both("turn");
  rig watched(both.load());
  REQUIRE(watched.start());
  const auto hit = clock::now();
  both.second->promote();
  // Its sessions live on: nothing but the refusal of a write shows it.
  both.first.admin("alter system set default_transaction_read_only = on");
  both.first.admin("select pg_reload_conf()");
  const auto cure = clock::now();
  const auto m = watch(watched, hit, cure, 2500ms);
  check_recovery(m);
  CHECK(m.failed <= 8);
  check_common(watched, m);
  // A connection that was not used for a write yet may still lead to the old primary; its first write fails and ends it.
  const auto everywhere = [&] {
    auto all = both.second->sessions("faults");
    all.merge(both.first.sessions("faults"));
    return all;
  };
  CHECK(watched.difference(everywhere).empty());
  report("21a", m, "goal: at most 2");
}

TEST_CASE("row 21: given a switch-over, when the old primary is back as standby, then none writes to it", "[faults]") {
  LONG_ROW("21b");
  NEEDS_OWN_SERVER();
  pair_of_servers both("swap");
  auto with = both.load();
  with.acquire_timeout = 5000ms;
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  both.first.stop("fast");
  const auto cure = both.second->promote();
  // pg_rewind wants a checkpoint of the new time line.
  both.second->admin("checkpoint");
  const auto back = run_program({servers_script(), "demote", both.first.dir(), both.second->dir()});
  REQUIRE(back.status == 0);
  auto m = watch(watched, hit, cure, 1500ms);
  detect_from_hang_up(watched, m);
  check_recovery(m);
  CHECK(m.running <= 8);
  CHECK(both.first.admin("select pg_is_in_recovery()").at(0).at(0) == "t");
  CHECK(both.first.sessions("faults").empty());
  check_common(watched, m, *both.second);
  report("21b", m, "away for " + std::to_string(std::chrono::duration_cast<milliseconds>(cure - hit).count()) + " ms");
}

TEST_CASE("row 21: given PgBouncer before each server, when they swap roles, then the pool leaves the old one", "[faults][field-L1]") {
  const std::string row = GENERATE("21c", "21d", "21e");
  const std::string mode = row == "21d" ? "session" : "transaction";
  const auto which = row == "21e" ? edition::newest : edition::installed;
  LONG_ROW(row);
  NEEDS_OWN_SERVER();
  if (which == edition::newest && newest_bouncer().empty()) SKIP_ROW(row, "no newer PgBouncer was unpacked");
  pair_of_servers both("bounced_" + row);
  const std::vector<std::string> settings{"pool_mode = " + mode, "default_pool_size = 20"};
  const bouncer front(both.first, which, settings, "bouncer_" + row + "1");
  if (front.conninfo.empty()) SKIP_ROW(row, "PgBouncer is not installed");
  const bouncer other(*both.second, which, settings, "bouncer_" + row + "2");
  const auto port_of = [](const std::string& conninfo) {
    const auto at = conninfo.find("port=") + 5;
    return conninfo.substr(at, conninfo.find(' ', at) - at);
  };
  auto with = both.load();
  with.conninfo = front.conninfo + " host=127.0.0.1,127.0.0.1 port=" + port_of(front.conninfo) + "," + port_of(other.conninfo) +
                  " target_session_attrs=read-write";
  with.acquire_timeout = 5000ms;
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  both.first.stop("fast");
  const auto cure = both.second->promote();
  both.second->admin("checkpoint");
  const auto back = run_program({servers_script(), "demote", both.first.dir(), both.second->dir()});
  REQUIRE(back.status == 0);
  // PgBouncer keeps its clients, leads them to the standby, and repeats what the primary reported at its first login.
  const auto m = watch(watched, hit, cure, 3000ms);
  CHECK(m.recover_ms >= 0);
  CHECK(m.recover_ms < 2500 + slack_ms());
  check_common(watched, m);
  report(row, m, std::string(which == edition::newest ? "newest " : "") + "PgBouncer in " + mode + " mode");
}
