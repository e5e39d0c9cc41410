// SPDX-License-Identifier: BSL-1.0
// tidepool - bytes that come one by one, too few, or wrong: row 17.
#include <string>

#include "checks.hpp"
#include "proxy.hpp"
#include "server.hpp"

using namespace tidepool_faults;

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

TEST_CASE("row 17: given a connection, when it is cut at any byte, then it ends in success or a clean error", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  proxy net(db.port());
  verdict m;
  m.recover_ms = 0;
  const auto step = long_mode() ? 1U : 23U;
  for (const way direction : {way::to_client, way::to_server}) {
    // As many bytes as one connect, one query and Terminate take.
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
      CHECK(cut.granted - cut.begun < 2000ms + 50ms + milliseconds(static_cast<int>(slack_ms())));
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
        // A wrong letter in the name of the role or of the database is refused for good, and the pool rightly waits before it asks again.
        if (hurt.why.find("FATAL 28") != std::string::npos || hurt.why.find("FATAL 3D000") != std::string::npos) continue;
        auto next = watched.request_now(2000ms);
        for (int again = 0; again < 2 && next.how != ending::ok; ++again) next = watched.request_now(2000ms);
        INFO((tls ? "TLS, " : "plain, ") << "byte " << at << ": " << hurt.why << "; then " << next.why);
        CHECK(hurt.ended - hurt.begun < 2000ms + 700ms + milliseconds(static_cast<int>(slack_ms())));
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
