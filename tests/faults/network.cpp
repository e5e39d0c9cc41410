// SPDX-License-Identifier: BSL-1.0
// tidepool - faults of the network: rows 13 to 16, by a proxy on loopback and by nftables in a network of its own.
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fcntl.h>

#include <string>

#include "checks.hpp"
#include "proxy.hpp"

using namespace tidepool_faults;

namespace {

/// While it lives, this thread and all it starts are in a network that consists of a loopback interface.
class own_network {
 public:
  own_network() : before_(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) {
    if (before_ < 0 || ::unshare(CLONE_NEWNET) != 0) {
      reason_ = "no network namespace of one's own is allowed here";
      return;
    }
    const int any = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    request.ifr_name[0] = 'l';
    request.ifr_name[1] = 'o';
    request.ifr_flags = IFF_UP;
    if (::ioctl(any, SIOCSIFFLAGS, &request) != 0) reason_ = "the loopback interface cannot be started";
    ::close(any);
    if (reason_.empty() && run_program({"sh", "-c", "PATH=$PATH:/usr/sbin:/sbin nft list ruleset"}).status != 0) {
      reason_ = "nftables is not installed, or the kernel has none";
    }
  }
  ~own_network() {
    (void)::setns(before_, CLONE_NEWNET);
    ::close(before_);
  }
  own_network(const own_network&) = delete;
  own_network& operator=(const own_network&) = delete;

  const std::string& reason() const { return reason_; }
  /// What happens to every packet from and to this port: "drop", "reject with tcp reset", or nothing.
  void rule(unsigned port, const std::string& what) const {
    // One call: all rules come into force together.
    std::string rules = "flush ruleset\n";
    if (!what.empty()) {
      rules += "add table ip t\nadd chain ip t o { type filter hook output priority 0; }\n";
      // A RST is itself a packet of this port, so answers go only to what is sent to it.
      const bool one_way = what != "drop";
      rules += "add rule ip t o tcp dport " + std::to_string(port) + " " + what + "\n";
      if (!one_way) rules += "add rule ip t o tcp sport " + std::to_string(port) + " " + what + "\n";
    }
    if (run_program({"sh", "-c", "printf '%s' '" + rules + "' | PATH=$PATH:/usr/sbin:/sbin nft -f -"}).status != 0) {
      throw std::runtime_error("nft failed");
    }
  }

 private:
  int before_;
  std::string reason_;
};

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
