// SPDX-License-Identifier: BSL-1.0
// tidepool - what is counted: outcomes of callers, leases in the stash, and how busy connections are.
#include <tidepool/detail/core/usage.hpp>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using namespace tidepool::detail;
using tidepool::duration;
using tidepool::errc;

tick after_start(duration time) { return tick(1h + time); }

TEST_CASE("given callers, when each is served or refused, then each counts once, and an undone grant not at all") {
  usage<true> used;
  core_waiter direct;
  direct.direct = true;
  core_waiter waited;
  waited.since = after_start(0s);
  used.served(direct, after_start(1s));
  used.served(waited, after_start(3s));
  used.served_directly();
  CHECK(used.totals().direct == 2);
  CHECK(used.totals().waited == 1);
  CHECK(used.totals().wait_time.sum() == 3s);
  used.undone(waited, after_start(3s));
  used.undone(direct, after_start(1s));
  used.direct_undone();
  CHECK(used.totals().direct == 0);
  CHECK(used.totals().waited == 0);
  CHECK(used.totals().wait_time.count() == 0);
  for (const errc why : {errc::timeout, errc::queue_full, errc::cancelled, errc::circuit_open, errc::connect_failed, errc::closed}) {
    used.refused(why);
  }
  const auto& t = used.totals();
  CHECK(t.timeouts + t.rejected_full + t.cancelled + t.refused_open + t.refused_connect + t.refused_closed == 6);
  CHECK(t.timeouts == 1);
  CHECK(t.rejected_full == 1);
  CHECK(t.refused_connect == 1);
}

TEST_CASE("given a lease that was in the stash, when it is counted, then reuses count once, its rest not") {
  usage<true> used;
  core_slot slot;
  used.connected(after_start(0s), 5ms);
  CHECK(used.utilization(after_start(0s), 1, 0) == 0.0);
  used.lease_began(after_start(0s));
  slot.reuses = 3;
  slot.unused = duration(6s);
  used.count_reuses(slot);
  used.count_reuses(slot);  // nothing new
  CHECK(used.totals().direct == 3);
  CHECK(used.utilization(after_start(8s), 1, 1) == Approx(0.25).margin(0.01));  // 2 of 8 seconds
  used.lease_ended(after_start(12s));
  CHECK(used.utilization(after_start(16s), 1, 0) == Approx(0.5).margin(0.01));
  used.retired(after_start(16s));
  CHECK(used.utilization(after_start(20s), 0, 0) == 0.0);
}

}  // namespace
