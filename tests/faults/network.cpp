// tidepool - faults of the network: rows 13, 14, 15, 16, 17, by a proxy on loopback and by nftables in a network of its own.
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
    std::string commands = "nft flush ruleset";
    if (!what.empty()) {
      commands += "; nft add table ip t; nft 'add chain ip t o { type filter hook output priority 0; }'";
      for (const char* end : {"dport", "sport"}) {
        commands += std::string("; nft 'add rule ip t o tcp ") + end + " " + std::to_string(port) + " " + what + "'";
      }
    }
    if (run_program({"sh", "-c", "PATH=$PATH:/usr/sbin:/sbin; " + commands}).status != 0) throw std::runtime_error("nft failed");
  }

 private:
  int before_;
  std::string reason_;
};

}  // namespace

TEST_CASE("row 13: given load, when the network swallows everything, then every acquire ends and the pool comes back", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  proxy net(db.port());
  setup with;
  with.conninfo = net.before(db.conninfo());
  with.query_timeout = 2000ms;
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
  // The goodbyes of this side get lost as well: only a server that looks after its clients forgets them.
  db.admin("alter system set tcp_keepalives_idle = 1");
  db.admin("alter system set tcp_keepalives_interval = 1");
  db.admin("alter system set tcp_keepalives_count = 2");
  db.admin("select pg_reload_conf()");
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
  with.query_timeout = 1500ms;
  with.connect_timeout = 2000ms;  // half for each
  rig watched(with);
  REQUIRE(watched.start());
  CHECK(second.accepted() == 0);
  const auto hit = clock::now();
  first.black_hole(true);
  const auto m = watch(watched, hit, hit, 5000ms);
  CHECK(second.accepted() > 0);
  CHECK(m.recover_ms >= 0);
  CHECK(m.recover_ms < 5000 + slack_ms);
  // The silent host is remembered: it is not asked again for each connection.
  CHECK(watched.stop());
  CHECK(m.wrong == 0);
  CHECK(m.latest_ms < 50 + slack_ms);
  CHECK(m.gap_ms < slack_ms);
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
  const auto m = watch(watched, hit, cure);
  check_recovery(m);
  CHECK(m.detect_ms < 10 + slack_ms);
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
  setup with;
  with.conninfo = db.conninfo();
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  alone.rule(db.port(), "reject with tcp reset");
  wait_for(1s);
  alone.rule(db.port(), "");
  const auto cure = clock::now();
  const auto m = watch(watched, hit, cure);
  check_recovery(m);
  CHECK(m.detect_ms < 10 + slack_ms);
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
  with.validation_timeout = 2000ms;  // more than a round trip, as anybody must set it
  rig watched(with);
  REQUIRE(watched.start());
  const auto before = watched.stats();
  const auto hit = clock::now();
  net.delay(long_mode() ? 200ms : 100ms);
  wait_for(5s);
  const auto m = watch(watched, hit, hit, 1000ms);
  INFO(m.first_failure);
  CHECK(m.failed == 0);
  CHECK(watched.stats().connects_started - before.connects_started <= with.max);
  check_common(watched, m, db);
  report("16", m, "a round trip takes " + std::string(long_mode() ? "400" : "200") + " ms");
}

TEST_CASE("row 17: given one-byte packets, when there is load, then nothing breaks", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  proxy net(db.port());
  setup with;
  with.conninfo = net.before(db.conninfo());
  with.callers = 8;
  rig watched(with);
  const auto hit = clock::now();
  net.chop(1);
  REQUIRE(watched.start());
  const auto m = watch(watched, hit, hit, 500ms);
  CHECK(m.failed == 0);
  check_common(watched, m, db);
  report("17a", m, "one-byte packets");
}

TEST_CASE("row 17: given a connection, when it is cut at any byte, then it ends in success or a clean error, soon", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  proxy net(db.port());
  verdict m;
  m.recover_ms = 0;
  const auto step = long_mode() ? 1U : 23U;
  for (const way direction : {way::to_client, way::to_server}) {
    // As long as the talk of one connect, one query, and the goodbye.
    for (std::size_t at = 0; at < 700; at += step) {
      setup with;
      with.conninfo = net.before(db.conninfo());
      with.lazy = true;
      with.callers = 0;
      with.min = 0;
      with.max = 1;
      with.statement = "select 4711";
      net.cut_next(direction, at);
      rig watched(with);
      REQUIRE(watched.start(0));
      const auto cut = watched.request_now(2000ms);
      // Whatever happened, the next one works: it is a new connection, without a fault. What outlived the first request may hit the
      // cut in the second.
      auto next = watched.request_now(2000ms);
      if (cut.how == ending::ok && next.how == ending::lost) next = watched.request_now(2000ms);
      ++m.requests;
      if (cut.how != ending::ok) {
        ++m.failed;
        ++m.running;
      }
      INFO("cut after " << at << ": " << cut.why << "; then " << next.why);
      CHECK(cut.how != ending::wrong);
      CHECK(cut.how != ending::late);
      CHECK(cut.granted - cut.begun < 2000ms + 50ms + milliseconds(static_cast<int>(slack_ms)));
      CHECK(next.how == ending::ok);
      m.recover_ms = std::max(m.recover_ms, std::chrono::duration<double, std::milli>(next.ended - next.begun).count());
      m.gap_ms = std::max(m.gap_ms, static_cast<double>(watched.longest_gap(moment()).count()));
    }
  }
  report("17b", m, std::string("cut at every ") + (long_mode() ? "byte" : "23rd byte") + ", both ways; recovery: the slowest next request");
}

TEST_CASE("row 17: given a connection, when any byte of it is wrong, then nothing hangs and the next one works", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  proxy net(db.port());
  verdict m;
  m.recover_ms = 0;
  const auto step = long_mode() ? 1U : 29U;
  std::uint64_t undetected = 0;
  for (const bool tls : {false, true}) {
    for (const way direction : {way::to_client, way::to_server}) {
      for (std::size_t at = 0; at < (tls ? 2900U : 600U); at += tls ? step * 5 : step) {
        setup with;
        with.conninfo = net.before(db.conninfo()) + (tls ? " sslmode=require" : "");
        with.lazy = true;
        with.callers = 0;
        with.min = 0;
        with.max = 1;
        with.query_timeout = 700ms;
        with.statement = "select 4711";
        net.corrupt_next(direction, at, static_cast<unsigned char>(at % 2 == 0 ? 0x01 : 0x80));
        rig watched(with);
        REQUIRE(watched.start(0));
        const auto hurt = watched.request_now(2000ms);
        ++m.requests;
        if (hurt.how != ending::ok) ++m.failed;
        if (hurt.how == ending::wrong) ++undetected;
        // A byte of a name in the start-up packet can make it a permanent refusal; the next connect is asked for by a new acquire.
        auto next = watched.request_now(2000ms);
        for (int again = 0; again < 2 && next.how != ending::ok; ++again) next = watched.request_now(2000ms);
        INFO((tls ? "TLS, " : "plain, ") << "byte " << at << ": " << hurt.why << "; then " << next.why);
        CHECK(hurt.ended - hurt.begun < 2000ms + 700ms + milliseconds(static_cast<int>(slack_ms)));
        CHECK(next.how == ending::ok);
        // Only TLS can tell a wrong digit from a right one.
        if (tls) CHECK(hurt.how != ending::wrong);
        m.recover_ms = std::max(m.recover_ms, std::chrono::duration<double, std::milli>(next.ended - next.begun).count());
        m.gap_ms = std::max(m.gap_ms, static_cast<double>(watched.longest_gap(moment()).count()));
      }
    }
  }
  m.running = m.failed;
  report("17c", m, "one wrong byte; " + std::to_string(undetected) + " wrong answers in plain text, none under TLS");
}
