// SPDX-License-Identifier: BSL-1.0
// tidepool - TLS that cannot be had as asked for: row 18.
#include <string>

#include "checks.hpp"
#include "proxy.hpp"
#include "server.hpp"

using namespace tidepool_faults;

namespace {

setup tls_load(const std::string& conninfo, const std::string& more) {
  setup with;
  with.conninfo = conninfo + " " + more;
  with.lazy = true;
  with.callers = 0;
  with.min = 0;
  return with;
}

/// Gives the server a certificate that is valid for these names and times.
bool certify_server(const server& db, const std::string& names, const std::string& times) {
  if (!certify(db.dir(), names, times)) return false;
  db.admin("select pg_reload_conf()");
  wait_for(300ms);
  return true;
}

/// What must be so with every refusal: soon, with words, and never a session without TLS.
void check_refused(const server& db, const setup& with, verdict& m, const std::string& words) {
  rig watched(with);
  REQUIRE(watched.start(0));
  const auto r = watched.request_now(1000ms);
  INFO(r.why << "; told: " << watched.told());
  ++m.requests;
  m.failed += r.how == ending::no_lease ? 1U : 0U;
  CHECK(r.how == ending::no_lease);
  CHECK(r.why.find(words) != std::string::npos);
  CHECK(watched.first_failure(moment()) != moment::max());
  m.detect_ms = std::max(m.detect_ms, std::chrono::duration<double, std::milli>(watched.first_failure(r.begun) - r.begun).count());
  m.latest_ms = std::max(m.latest_ms, std::chrono::duration<double, std::milli>(r.granted - r.begun - 1000ms).count());
  m.gap_ms = std::max(m.gap_ms, static_cast<double>(watched.longest_gap(moment()).count()));
  CHECK(m.latest_ms < 50 + slack_ms());
  CHECK(db.sessions(with.application).empty());
}

}  // namespace

TEST_CASE("row 18: given TLS that is not as asked for, when connecting, then it is refused, never left out", "[faults]") {
  NEEDS_OWN_SERVER();
  server db("tls");
  if (run_program({"test", "-f", db.dir() + "/server.crt"}).status != 0) {
    SKIP_ROW("18", "openssl is not installed");
  }
  verdict m;
  const std::string verify = "sslmode=verify-full sslrootcert=" + db.dir() + "/server.crt";
  {
    // The certificate that initdb's script made is good, so what fails below fails for its own reason.
    rig watched(tls_load(db.conninfo(), verify));
    REQUIRE(watched.start(0));
    const auto r = watched.request_now(5000ms);
    INFO(r.why);
    REQUIRE(r.how == ending::ok);
    m.recover_ms = std::chrono::duration<double, std::milli>(r.ended - r.begun).count();
  }
  SECTION("all of it") {
    check_refused(db, tls_load(db.conninfo(), verify + " host=elsewhere.example hostaddr=127.0.0.1"), m, "elsewhere.example");
    {
      proxy middle(db.port());
      middle.answer_tls_request("N");
      check_refused(db, tls_load(middle.before(db.conninfo()), "sslmode=require"), m, "SSL");
      // Says yes, and then an alert of the protocol: handshake_failure.
      middle.answer_tls_request("S", std::string("\x15\x03\x03\x00\x02\x02\x28", 7));
      check_refused(db, tls_load(middle.before(db.conninfo()), "sslmode=require"), m, "alert");
      // Says yes, and then nothing TLS knows.
      middle.answer_tls_request("S", "this is no TLS at all, and never was, nor will it be");
      check_refused(db, tls_load(middle.before(db.conninfo()), "sslmode=require"), m, "SSL");
      // Cleartext behind the yes (CVE-2021-23222): an error message that a man in the middle made up.
      middle.answer_tls_request(std::string("SE\0\0\0\x10SFATAL\0C28P01\0\0", 20));
      check_refused(db, tls_load(middle.before(db.conninfo()), "sslmode=require"), m, "");
    }
    REQUIRE(certify_server(db, "DNS:localhost,IP:127.0.0.1", "-startdate 20200101000000Z -enddate 20210101000000Z"));
    check_refused(db, tls_load(db.conninfo(), verify), m, "certificate verify failed");
    REQUIRE(certify_server(db, "DNS:other.example", "-days 30"));
    check_refused(db, tls_load(db.conninfo(), verify), m, "127.0.0.1");
    m.running = 0;
    report("18", m, "wrong name, 'N', alert, noise, text behind the yes, expired; recovery: a connect with the good certificate");
  }
}
