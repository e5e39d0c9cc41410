// SPDX-License-Identifier: BSL-1.0
// tidepool - many faults one after the other, at random: row 26. TIDEPOOL_SOAK_SECONDS makes it longer, TIDEPOOL_SEED repeats one.
#include <signal.h>

#include <cstdlib>
#include <random>
#include <string>

#include "checks.hpp"
#include "proxy.hpp"
#include "server.hpp"

using namespace tidepool_faults;

TEST_CASE("row 26: given faults of all kinds at random, when they are over, then nothing is lost", "[faults]") {
  LONG_ROW("26");
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  proxy net(db.port());
  const char* said = std::getenv("TIDEPOOL_SEED");
  const auto seed = said != nullptr ? static_cast<std::uint32_t>(std::strtoul(said, nullptr, 10)) : std::random_device{}();
  const char* span = std::getenv("TIDEPOOL_SOAK_SECONDS");
  const auto until = clock::now() + std::chrono::seconds(span != nullptr ? std::atol(span) : 120);
  INFO("TIDEPOOL_SEED=" << seed);
  std::minstd_rand random(seed);
  const auto pick = [&](int least, int most) { return std::uniform_int_distribution<int>(least, most)(random); };

  setup with;
  with.conninfo = net.before(db.conninfo());
  with.query_timeout = 1500ms;
  rig watched(with);
  REQUIRE(watched.start());
  const auto hit = clock::now();
  int faults = 0;
  double slowest = 0;
  while (clock::now() < until) {
    ++faults;
    const int kind = pick(0, 8);
    INFO("TIDEPOOL_SEED=" << seed << ", fault " << faults << " of kind " << kind);
    const milliseconds length(pick(10, 2500));
    switch (kind) {
      case 0: db.terminate_all(with.application); break;
      case 1: {
        const auto sessions = db.sessions(with.application);
        if (sessions.empty()) break;
        db.signal(*sessions.begin(), SIGKILL);
        // The server takes sessions until it has noticed.
        while (::kill(*sessions.begin(), 0) == 0) wait_for(1ms);
        break;
      }
      case 2:
        db.stop(pick(0, 1) == 0 ? "fast" : "immediate");
        wait_for(length);
        db.start();
        break;
      case 3:
        db.freeze();
        wait_for(length);
        db.thaw();
        break;
      case 4:
        net.black_hole(true);
        wait_for(length);
        net.black_hole(false);
        break;
      case 5:
        net.reset_everything(true);
        wait_for(length / 4);
        net.reset_everything(false);
        break;
      case 6:
        net.delay(milliseconds(pick(1, 60)));
        wait_for(length);
        net.delay(0ms);
        break;
      case 7:
        net.corrupt_next(pick(0, 1) == 0 ? way::to_client : way::to_server, static_cast<std::size_t>(pick(0, 500)), 0x40);
        db.terminate_all(with.application);
        break;
      default:
        for (int i = 0; i < 5; ++i) {
          net.cut_next(pick(0, 1) == 0 ? way::to_client : way::to_server, static_cast<std::size_t>(pick(0, 500)));
          db.terminate_all(with.application);
          wait_for(50ms);
        }
    }
    while (!db.accepts()) wait_for(5ms);
    const auto cure = clock::now();
    const bool back = watched.await_successes(1, 20s);
    CHECK(back);
    slowest = std::max(slowest, std::chrono::duration<double, std::milli>(clock::now() - cure).count());
    CHECK(watched.stats().total <= with.max);
    wait_for(milliseconds(pick(0, 300)));
  }
  wait_for(3s);
  auto m = judge(watched, hit, clock::now() - 2s);
  // The only wrong answers a pool may pass on are those that were changed on the way; row 17 is about them.
  m.wrong = 0;
  m.recover_ms = slowest;
  CHECK(slowest < 2500 + 2 * slack_ms());
  check_common(watched, m, db);
  m.detect_ms = -1;
  report("26", m, std::to_string(faults) + " faults, seed " + std::to_string(seed) + "; recovery: the slowest");
}
