// SPDX-License-Identifier: BSL-1.0
// tidepool - faults of the network: rows 13 to 16, by a proxy on loopback and by nftables in a network of its own.
#include <string>

#include "checks.hpp"
#include "own_network.hpp"
#include "proxy.hpp"
#include "server.hpp"

using namespace tidepool_faults;

namespace {

/// Terminate messages of this side are lost as well: only a server that checks its clients ends their sessions soon.
void look_after_clients(const server& db) {
  for (const char* setting : {"tcp_keepalives_idle = 1", "tcp_keepalives_interval = 1", "tcp_keepalives_count = 2"}) {
    db.admin(std::string("alter system set ") + setting);
  }
  db.admin("select pg_reload_conf()");
}

}  // namespace

TEST_CASE("row 13: given load, when the network drops everything, then each acquire ends, the pool recovers", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  proxy net(db.port());
  setup with;
  with.conninfo = net.before(db.conninfo());
  with.response_timeout = 600ms;  // not the callers' limits
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  net.black_hole(true);
  wait_for(long_mode() ? 15s : 4s);
  net.black_hole(false);
  const auto cure = clock::now();
  const auto m = watch(watched, hit, cure);
  check_recovery(m);
  CHECK(m.detect_ms >= 0);
  CHECK(m.detect_ms < 600 + 300 + slack_ms());
  check_common(watched, m, db);
  report("13a", m);
}

TEST_CASE("row 13: given load, when packets are dropped, then the kernel's limits and ours end everything", "[faults]") {
  LONG_ROW("13b");
  NEEDS_OWN_SERVER();
  const own_network alone;
  if (!alone.reason().empty()) {
    SKIP_ROW("13b", alone.reason());
  }
  server db("dropping");
  look_after_clients(db);
  setup with;
  with.conninfo = db.conninfo();
  with.query_timeout = 20000ms;  // not our limit but tcp_user_timeout and keepalive end what is under way
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  alone.rule(db.port(), "drop");
  wait_for(6s);
  const auto during = judge(watched, hit, hit);
  alone.rule(db.port(), "");
  const auto cure = clock::now();
  const auto m = watch(watched, hit, cure, 2500ms);
  check_recovery(m);
  CHECK(during.detect_ms >= 0);
  CHECK(m.running <= with.max);
  check_common(watched, m, db);
  report("13b", m);
}

TEST_CASE("row 14: given two hosts, when the first falls silent, then the second serves", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  proxy first(db.port());
  proxy second(db.port());
  setup with;
  with.conninfo = db.conninfo() + " host=127.0.0.1,127.0.0.1 port=" + std::to_string(first.port()) + "," + std::to_string(second.port());
  with.response_timeout = 600ms;  // not the callers' limits
  with.connect_timeout = 2000ms;  // half for each
  rig watched(with);
  REQUIRE(watched.start());
  CHECK(second.accepted() == 0);
  const auto hit = clock::now();
  first.black_hole(true);
  const auto m = watch(watched, hit, hit, 5000ms);
  CHECK(second.accepted() > 0);
  CHECK(m.recover_ms >= 0);
  CHECK(m.recover_ms < 600 + 300 + 1000 + 2 * slack_ms());
  // The silent host is remembered: it is not asked again for each connection.
  CHECK(watched.stop());
  CHECK(m.wrong == 0);
  CHECK(m.latest_ms < 50 + slack_ms());
  CHECK(m.gap_ms < slack_ms());
  first.black_hole(false);
  CHECK(watched.difference(db).empty());
  report("14", m, "nothing is cured: recovery from the fault on");
}

TEST_CASE("row 15: given load, when every connection is reset, then it is seen at once", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  proxy net(db.port());
  setup with;
  with.conninfo = net.before(db.conninfo());
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  net.reset_everything(true);
  wait_for(1s);
  net.reset_everything(false);
  const auto cure = clock::now();
  auto m = watch(watched, hit, cure);
  detect_from_hang_up(watched, m);
  check_recovery(m);
  CHECK(m.detect_ms < 10 + slack_ms());
  CHECK(m.running <= with.max);
  check_common(watched, m, db);
  report("15a", m, "for 1 s, by the proxy");
}

TEST_CASE("row 15: given load, when the network answers every packet with RST, then it is seen at once", "[faults]") {
  LONG_ROW("15b");
  NEEDS_OWN_SERVER();
  const own_network alone;
  if (!alone.reason().empty()) {
    SKIP_ROW("15b", alone.reason());
  }
  server db("resetting");
  look_after_clients(db);
  setup with;
  with.conninfo = db.conninfo();
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  alone.rule(db.port(), "reject with tcp reset");
  wait_for(1s);
  alone.rule(db.port(), "");
  const auto cure = clock::now();
  auto m = watch(watched, hit, cure);
  detect_from_hang_up(watched, m);
  check_recovery(m);
  CHECK(m.detect_ms < 10 + slack_ms());
  check_common(watched, m, db);
  report("15b", m, "for 1 s, by nftables");
}

TEST_CASE("row 16: given a slow network, when there is load, then nothing breaks", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  proxy net(db.port());
  setup with;
  with.conninfo = net.before(db.conninfo());
  with.callers = 12;
  with.connect_timeout = 5000ms;     // a connect takes three round trips
  with.validation_timeout = 2000ms;  // it has to be more than a round trip
  rig watched(with);
  REQUIRE(watched.start());
  const auto before = watched.stats();
  const auto hit = clock::now();
  net.delay(long_mode() ? 200ms : 100ms);
  wait_for(long_mode() ? 5s : 3s);
  const auto m = watch(watched, hit, hit, 1000ms);
  INFO(m.first_failure);
  CHECK(m.failed == 0);
  CHECK(watched.stats().connects_started - before.connects_started <= with.max);
  check_common(watched, m, db);
  report("16", m, "a round trip takes " + std::string(long_mode() ? "400" : "200") + " ms");
}
