// SPDX-License-Identifier: BSL-1.0
// tidepool - faults of the network, of single bytes and of TLS: rows M13 to M18.
#include <string>

#include "../faults/own_network.hpp"
#include "server.hpp"

using namespace tidepool_faults;

TEST_CASE("row M13: given load, when the network drops everything, then each acquire ends, the pool recovers", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  proxy net(db.port());
  setup with = load_on(db, db.url(net.port()));
  with.response_timeout = 600ms;  // not the callers' limits
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  net.black_hole(true);
  wait_for(long_mode() ? 15s : 3s);
  net.black_hole(false);
  const auto cure = clock::now();
  const auto m = watch(watched, hit, cure);
  check_recovery(m);
  CHECK(m.detect_ms >= 0);
  CHECK(m.detect_ms < 600 + 300 + slack_ms());
  check_all(watched, m, db);
  report("M13a", m);
}

TEST_CASE("row M13: given load, when packets are dropped, then the response timeout ends everything", "[faults]") {
  LONG_ROW("M13b");
  NEEDS_OWN_SERVER();
  const own_network alone;
  if (!alone.reason().empty()) {
    SKIP_ROW("M13b", alone.reason());
  }
  server db("dropping");
  db.admin("set global wait_timeout = 2");  // the goodbyes of this side are lost as well
  setup with = load_on(db);
  with.response_timeout = 600ms;
  with.health_check_interval = 500ms;
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
  check_all(watched, m, db);
  report("M13b", m);
}

TEST_CASE("row M14: given two hosts, when the first falls silent, then the second serves", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  proxy first(db.port());
  proxy second(db.port());
  setup with = load_on(
      db, "mysql://tidepool@127.0.0.1:" + std::to_string(first.port()) + ",127.0.0.1:" + std::to_string(second.port()) + "/tidepool");
  with.response_timeout = 600ms;  // not the callers' limits
  with.connect_timeout = 2000ms;  // half for each
  rig watched(with);
  REQUIRE(watched.start());
  CHECK(second.accepted() == 0);
  const auto hit = clock::now();
  first.black_hole(true);
  auto m = watch(watched, hit, hit, 3500ms);
  CHECK(second.accepted() > 0);
  CHECK(m.recover_ms >= 0);
  CHECK(m.recover_ms < 600 + 300 + 1000 + 2 * slack_ms());
  CHECK(watched.stop());
  first.black_hole(false);
  check_all(watched, m, db);
  report("M14", m, "nothing is cured: recovery from the fault on");
}

TEST_CASE("row M15: given load, when every connection is reset, then it is seen at once", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  proxy net(db.port());
  const setup with = load_on(db, db.url(net.port()));
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  net.reset_everything(true);
  wait_for(1s);
  net.reset_everything(false);
  const auto cure = clock::now();
  auto m = watch(watched, hit, cure, 1s);
  detect_from_hang_up(watched, m);
  check_recovery(m);
  CHECK(m.detect_ms < 10 + slack_ms());
  CHECK(m.running <= with.max);
  check_all(watched, m, db);
  report("M15a", m, "for 1 s, by the proxy");
}

TEST_CASE("row M15: given load, when the network answers every packet with RST, then it is seen at once", "[faults]") {
  LONG_ROW("M15b");
  NEEDS_OWN_SERVER();
  const own_network alone;
  if (!alone.reason().empty()) {
    SKIP_ROW("M15b", alone.reason());
  }
  server db("resetting");
  const setup with = load_on(db);
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
  db.admin("set global wait_timeout = 2");  // for sessions whose end the server has not been told
  check_common(watched, m);
  const auto wrong = ledger_fault(watched, {&db});
  INFO(wrong);
  CHECK(wrong.empty());
  report("M15b", m, "for 1 s, by nftables");
}

TEST_CASE("row M16: given a slow network, when there is load, then nothing breaks", "[faults]") {
  LONG_ROW("M16");
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  proxy net(db.port());
  setup with = load_on(db, db.url(net.port()));
  with.callers = 12;
  with.connect_timeout = 5000ms;     // a connect takes several round trips
  with.validation_timeout = 2000ms;  // it has to be more than a round trip
  rig watched(with);
  REQUIRE(watched.start());
  const auto before = watched.stats();
  const auto hit = clock::now();
  net.delay(200ms);
  wait_for(5s);
  const auto m = watch(watched, hit, hit, 1000ms);
  INFO(m.first_failure);
  CHECK(m.failed == 0);
  CHECK(watched.stats().connects_started - before.connects_started <= with.max);
  check_all(watched, m, db);
  report("M16", m, "a round trip takes 400 ms");
}

TEST_CASE("row M17: given one-byte packets, when there is load, then nothing breaks", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  proxy net(db.port());
  setup with = load_on(db, db.url(net.port()));
  with.callers = 8;
  with.connect_timeout = 5000ms;
  rig watched(with);
  const auto hit = clock::now();
  net.chop(1);
  REQUIRE(watched.start());
  const auto m = watch(watched, hit, hit, 300ms);
  INFO(m.first_failure);
  CHECK(m.failed == 0);
  check_all(watched, m, db);
  report("M17a", m, "one-byte packets");
}

namespace {

/// One connection at most, and one request at a time.
setup single(const server& db, const std::string& url) {
  setup with = load_on(db, url);
  with.lazy = true;
  with.callers = 0;
  with.min = 0;
  with.max = 1;
  with.statement = "insert into ledger values (?) returning token";
  return with;
}
double ms_between(moment from, moment to) { return std::chrono::duration<double, std::milli>(to - from).count(); }

}  // namespace

TEST_CASE("row M17: given a connection, when it is cut at any byte, then it ends in success or a clean error", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  proxy net(db.port());
  verdict m;
  m.recover_ms = 0;
  const auto step = long_mode() ? 1U : 23U;
  for (const std::string mode : {"disabled", "required"}) {
    const setup with = single(db, db.url(net.port()) + "?ssl-mode=" + mode);
    // As many bytes as one connect, one statement and the goodbye take; with TLS every fifth of them.
    const bool tls = mode == "required";
    for (std::size_t place = 0; place < 2 * (tls ? 2800U : 600U); place += tls ? step * 5 : step) {
      const way direction = place % 2 == 0 ? way::to_client : way::to_server;
      const std::size_t at = place / 2;
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
      INFO("ssl-mode=" << mode << ", cut after " << at << ": " << cut.why << "; then " << next.why);
      CHECK(cut.how != ending::wrong);
      CHECK(cut.how != ending::late);
      CHECK(cut.granted - cut.begun < 2000ms + 50ms + milliseconds(static_cast<int>(slack_ms())));
      CHECK(next.how == ending::ok);
      // What was confirmed is there, and nothing twice.
      const auto count = db.admin("select count(*) from ledger where token = " + std::to_string(cut.token))[0][0];
      CHECK((count == "1" || (count == "0" && cut.how != ending::ok)));
      m.recover_ms = std::max(m.recover_ms, ms_between(next.begun, next.ended));
      m.gap_ms = std::max(m.gap_ms, static_cast<double>(watched.longest_gap(moment()).count()));
    }
  }
  report("M17b", m,
         std::string("cut at every ") + (long_mode() ? "byte" : "23rd byte") +
             ", both ways, of TLS every fifth of those; recovery: the slowest next request");
}

TEST_CASE("row M17: given a connection, when any byte of it is wrong, then nothing hangs and the next one works", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  proxy net(db.port());
  verdict m;
  m.recover_ms = 0;
  const auto step = long_mode() ? 1U : 41U;
  std::uint64_t undetected = 0;
  for (const bool tls : {false, true}) {
    setup with = single(db, db.url(net.port()) + (tls ? "?ssl-mode=required" : ""));
    with.query_timeout = 300ms;
    for (const way direction : {way::to_client, way::to_server}) {
      for (std::size_t at = 0; at < (tls ? 2500U : 500U); at += tls ? step * 5 : step) {
        net.corrupt_next(direction, at, static_cast<unsigned char>(at % 2 == 0 ? 0x01 : 0x80));
        rig watched(with);
        REQUIRE(watched.start(0));
        const auto hurt = watched.request_now(2000ms);
        ++m.requests;
        if (hurt.how != ending::ok) ++m.failed;
        if (hurt.how == ending::wrong) ++undetected;
        // A wrong letter in the name of the user or of the data base, or of how to log in, is refused for good, and the pool rightly waits
        // before it asks again.
        if (hurt.why.find("does not pass by itself") != std::string::npos) continue;
        auto next = watched.request_now(2000ms);
        for (int again = 0; again < 2 && next.how != ending::ok; ++again) next = watched.request_now(2000ms);
        // What the server said of a prepared statement lives as long as the connection, and only TLS sees that it is wrong.
        if (!tls && next.how != ending::ok && next.backend == hurt.backend) continue;
        INFO((tls ? "TLS, " : "plain, ") << (direction == way::to_client ? "to client" : "to server") << ", byte " << at << ": " << hurt.why
                                         << "; then " << next.why);
        CHECK(hurt.ended - hurt.begun < 2000ms + 300ms + 500ms + milliseconds(static_cast<int>(slack_ms())));
        CHECK(next.how == ending::ok);
        // Only TLS can tell a wrong digit from a right one.
        if (tls) CHECK(hurt.how != ending::wrong);
        m.recover_ms = std::max(m.recover_ms, ms_between(next.begun, next.ended));
        m.gap_ms = std::max(m.gap_ms, static_cast<double>(watched.longest_gap(moment()).count()));
      }
    }
  }
  m.running = m.failed;
  report("M17c", m, "one wrong byte; " + std::to_string(undetected) + " wrong answers in plain text, none under TLS");
}

namespace {

setup secured(const server& db, const std::string& more, unsigned port = 0, const std::string& host = "127.0.0.1") {
  return single(db, "mysql://tidepool@" + host + ":" + std::to_string(port == 0 ? db.port() : port) + "/tidepool?" + more);
}

/// What must be so with every refusal: soon, with words, and never a session without TLS.
void check_refused(const server& db, const setup& with, verdict& m, const std::string& words) {
  rig watched(with);
  REQUIRE(watched.start(0));
  const auto limit = tidepool_tests::paced(1000ms);
  const auto r = watched.request_now(limit);
  INFO(r.why << "; told: " << watched.told());
  ++m.requests;
  m.failed += r.how == ending::no_lease ? 1U : 0U;
  CHECK(r.how == ending::no_lease);
  CHECK(r.why.find(words) != std::string::npos);
  CHECK(watched.first_failure(moment()) != moment::max());
  m.detect_ms = std::max(m.detect_ms, ms_between(r.begun, watched.first_failure(r.begun)));
  m.latest_ms = std::max(m.latest_ms, ms_between(r.begun + limit, r.granted));
  m.gap_ms = std::max(m.gap_ms, static_cast<double>(watched.longest_gap(moment()).count()));
  CHECK(m.latest_ms < 50 + slack_ms());
  CHECK(db.sessions(with.application).empty());
}

}  // namespace

TEST_CASE("row M18: given TLS that is not as asked for, when connecting, then it is refused, never left out", "[faults]") {
  NEEDS_OWN_SERVER();
  server& db = shared_server();
  if (run_program({"test", "-f", db.dir() + "/server.crt"}).status != 0) {
    SKIP_ROW("M18", "openssl is not installed");
  }
  const auto certify_server = [&db](const std::string& names, const std::string& times) {
    if (!certify(db.dir(), names, times)) return false;
    db.admin("flush ssl");
    return true;
  };
  verdict m;
  const std::string verify = "ssl-mode=verify-full&ssl-ca=" + db.dir() + "/server.crt";
  {
    // The certificate that the server's script made is good, so what fails below fails for its own reason.
    rig watched(secured(db, verify, 0, "localhost"));
    REQUIRE(watched.start(0));
    const auto r = watched.request_now(5000ms);
    INFO(r.why);
    REQUIRE(r.how == ending::ok);
    m.recover_ms = ms_between(r.begun, r.ended);
  }
  // It is for `localhost`.
  check_refused(db, secured(db, verify), m, "");
  {
    proxy middle(db.port());
    // The flag that offers TLS, in the greeting: behind a version that begins with "5.5.5-", its end, number, eight bytes and a zero.
    const auto version = 6 + db.admin("select version()")[0][0].size();
    middle.corrupt_next(way::to_client, 4 + 1 + version + 1 + 4 + 8 + 1 + 1, 0x08);
    check_refused(db, secured(db, "ssl-mode=required", middle.port()), m, "has no TLS");
    // Alerts of the protocol, then what TLS does not know, in the place of the server's answer.
    middle.answer_tls_request(std::string("\x15\x03\x03\x00\x02\x02\x28", 7));
    check_refused(db, secured(db, "ssl-mode=required", middle.port()), m, "alert handshake failure");
    middle.answer_tls_request("this is no TLS at all, and never was, nor will it be");
    check_refused(db, secured(db, "ssl-mode=required", middle.port()), m, "2026");
  }
  REQUIRE(certify_server("DNS:localhost", "-startdate 20200101000000Z -enddate 20210101000000Z"));
  check_refused(db, secured(db, verify, 0, "localhost"), m, "2026");
  REQUIRE(certify_server("DNS:other.example", "-days 30"));
  check_refused(db, secured(db, verify, 0, "localhost"), m, "2026");
  REQUIRE(certify_server("DNS:localhost", "-days 30"));
  m.running = 0;
  report("M18", m, "wrong name, no offer, alert, noise, expired; recovery: a connect with the good certificate");
}
