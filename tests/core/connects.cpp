// SPDX-License-Identifier: BSL-1.0
// tidepool - how many connects to begin, as a function of what is asked for, what is there, and what there is room for.
#include <tidepool/detail/core/growth.hpp>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using namespace tidepool::detail;

connects count(connect_demand demand, connect_supply there, connect_room room) { return connects_to_start(demand, there, room); }

TEST_CASE("given demands of several kinds, when connects are counted, then one connection serves all of them", "[INV-15]") {
  const connect_room wide{100, 100};
  CHECK(count({}, {}, wide).wanted == 0);
  CHECK(count({3, 0, 0}, {}, wide).now == 3);
  CHECK(count({0, 5, 0}, {2, 0}, wide).now == 3);     // the floor counts what is open
  CHECK(count({0, 0, 2}, {9, 0}, wide).now == 2);     // spares are missing whatever is open
  CHECK(count({3, 5, 2}, {2, 0}, wide).now == 3);     // the largest, not the sum
  CHECK(count({0, 5, 0}, {7, 0}, wide).wanted == 0);  // above the floor
}

TEST_CASE("given little room, when connects are counted, then neither max_size nor max_connecting is passed", "[INV-2][A15]") {
  CHECK(count({10, 0, 0}, {}, {4, 100}).now == 4);
  CHECK(count({10, 0, 0}, {}, {0, 100}).wanted == 0);
  const connects some = count({10, 0, 0}, {3, 3}, {20, 4});
  CHECK(some.now == 1);  // three attempts are in flight
  CHECK(some.wanted == 10);
  const connects none = count({10, 0, 0}, {6, 6}, {20, 4});
  CHECK(none.now == 0);
  CHECK(none.wanted == 10);  // so that the pool looks again
}

TEST_CASE("given leases that come back sooner than a connect, when callers wait, then connects are put off", "[field-growth]") {
  return_estimate e;
  const tick now(10s);
  CHECK(e.served_by_returns(4, now, 5, false, now) == 0);  // no connect has been seen yet
  e.connect_took(100ms);
  CHECK(e.served_by_returns(4, now, 0, false, now) == 0);  // no lease is out
  CHECK(e.served_by_returns(4, now, 5, false, now) == 4);  // hold time unknown: for an eighth of a connect
  CHECK(e.until() == now + 12'500us);
  e.lease_took(200ms);
  CHECK(e.served_by_returns(9, now, 4, false, now) == 2);  // 4 leases of 200 ms give back 2 within 100 ms
  CHECK(e.until() == now + 100ms);
  CHECK(e.served_by_returns(9, now, 4, true, now) == 0);  // the pool is full anyway
}

TEST_CASE("given returns that do not come, when a connect's time has passed, then nothing is put off any more", "[field-growth]") {
  return_estimate e;
  e.connect_took(100ms);
  e.lease_took(50ms);
  CHECK(e.served_by_returns(1, tick(10s), 1, false, tick(10s)) == 1);
  CHECK(e.served_by_returns(1, tick(10s), 1, false, tick(10s + 99ms)) == 1);
  CHECK(e.served_by_returns(1, tick(10s), 1, false, tick(10s + 100ms)) == 0);
  CHECK(e.until() == never);
  e.refused();
  CHECK(e.served_by_returns(1, tick(20s), 1, false, tick(20s)) == 0);  // a caller was refused: no waiting for returns
}

}  // namespace
