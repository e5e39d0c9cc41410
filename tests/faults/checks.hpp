// SPDX-License-Identifier: BSL-1.0
// tidepool - what must be true in every row of the fault table.
#ifndef TIDEPOOL_TESTS_FAULTS_CHECKS_HPP
#define TIDEPOOL_TESTS_FAULTS_CHECKS_HPP

#include <algorithm>
#include <string>
#include <thread>

#include "../support/catch.hpp"
#include "../support/pace.hpp"
#include "proxy.hpp"
#include "rig.hpp"

/// Ends a test whose row this machine cannot run, and says so, also in the table.
#define SKIP_ROW(row, reason)                          \
  do {                                                 \
    tidepool_faults::report_skipped(row, reason);      \
    WARN("skipped row " << (row) << ": " << (reason)); \
    return;                                            \
  } while (false)

/// First line of a test that is left out of the short form of the suite.
#define LONG_ROW(row) \
  if (!tidepool_faults::long_mode()) SKIP_ROW(row, "short form; TIDEPOOL_LONG=1 runs it")

namespace tidepool_faults {

/// What a busy machine may add to a bound; figures are reported as measured.
inline double slack_ms() { return 1000 * tidepool_tests::slowness(); }

inline void wait_for(milliseconds span) { std::this_thread::sleep_for(span); }

/// Ends the load and checks what holds in every row: every caller ended, none later than its deadline, no call blocked the loop, no
/// caller got another one's answer, and the pool and the server count the same sessions. `m` comes from judge().
inline void check_common(rig& watched, const verdict& m) {
  INFO("first failure: " << m.first_failure);
  CHECK(watched.stop());
  CHECK(m.wrong == 0);
  CHECK(m.latest_ms < 50 + slack_ms());
  CHECK(m.gap_ms < slack_ms());
}
template <class Server>
void check_common(rig& watched, const verdict& m, const Server& at) {
  check_common(watched, m);
  CHECK(watched.difference(at).empty());
}
/// For faults that end connections: detection counts from the moment the first of them had ended. A caller may have read the reason before.
/// Where the pool closes them before the watching thread runs, the kernel has forgotten them; the time since the fault stands then.
inline void detect_from_hang_up(const rig& watched, verdict& m) {
  const auto first = watched.first_failure(m.hit);
  CHECK(first != moment::max());
  const auto ended = watched.first_hang_up(m.hit);
  if (ended != moment::max()) m.detect_ms = std::max(0.0, std::chrono::duration<double, std::milli>(first - ended).count());
}
/// For faults that the server tells in words, through a proxy: from the moment they came.
inline void detect_from_words(const rig& watched, const proxy& net, verdict& m) {
  const auto said = net.heard();
  REQUIRE(said != moment::max());
  const auto first = watched.first_failure(said);
  CHECK(first != moment::max());
  m.detect_ms = std::chrono::duration<double, std::milli>(first - said).count();
}
/// Recovery within the 2.5 s that every row allows.
inline void check_recovery(const verdict& m) {
  INFO("recovered after " << m.recover_ms << " ms; first failure: " << m.first_failure);
  CHECK(m.recover_ms >= 0);
  CHECK(m.recover_ms < 2500 + slack_ms());
}
/// Failed without having had a connection.
inline std::uint64_t not_running(const verdict& m) { return m.failed - m.running; }

/// Lets the load run on until the fault has no more to say, then judges.
inline verdict watch(rig& watched, moment hit, moment cure, milliseconds span = 1500ms) {
  wait_for(span);
  CHECK(watched.await_successes(20));
  return judge(watched, hit, cure);
}

}  // namespace tidepool_faults

#endif
