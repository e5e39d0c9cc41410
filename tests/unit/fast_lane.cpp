// SPDX-License-Identifier: BSL-1.0
// tidepool - the fast lane's parts that need no pool: the numbers of threads, and the lane of one thread.
#include <tidepool/detail/shell/fast_lane.hpp>

#include <thread>

#include "support/catch.hpp"

namespace {

using tidepool::detail::fast_lane;
using tidepool::detail::single_lane;
using tidepool::detail::thread_number;

TEST_CASE(
    "given many threads one after the other, when each asks for its number, then there is one for each, as the dead give theirs back") {
  for (unsigned i = 0; i < 3 * thread_number::most; ++i) {
    unsigned mine = thread_number::none;
    bool the_same = false;
    std::thread([&] {
      mine = thread_number::mine();
      the_same = mine == thread_number::mine();
    }).join();
    REQUIRE(mine < thread_number::most);
    CHECK(the_same);
  }
}

TEST_CASE("given a lane of one thread, when it is shut between a look and the parking, then it refuses; what it keeps is collected once") {
  struct slot {
  } one;
  single_lane<slot> lane;
  CHECK_FALSE(lane.open());
  lane.admit();
  REQUIRE(lane.open());
  const auto seen = lane.now();
  lane.shut();
  CHECK_FALSE(lane.open());
  lane.admit();
  REQUIRE(lane.room());
  CHECK_FALSE(lane.park(*lane.room(), one, seen));
  REQUIRE(lane.room());
  REQUIRE(lane.park(*lane.room(), one, lane.now()));
  CHECK_FALSE(lane.room());
  int collected = 0;
  lane.collect([&](slot& found) { collected += &found == &one; });
  lane.collect([&](slot&) { ++collected; });
  CHECK(collected == 1);
  CHECK(lane.take() == nullptr);
}

TEST_CASE("given a full place in the lane, when another is parked there all the same, then it is refused and none is lost", "[field-R05]") {
  struct slot {
  } first, second;
  fast_lane<slot> lane;
  lane.admit();
  auto* const room = lane.room();
  REQUIRE(room);
  REQUIRE(lane.park(*room, first, lane.now()));
  CHECK_FALSE(lane.room());
  CHECK_FALSE(lane.park(*room, second, lane.now()));
  CHECK(lane.take() == &first);
  CHECK(lane.take() == nullptr);
  CHECK(lane.park(*room, second, lane.now()));
  CHECK(lane.take() == &second);
}

}  // namespace
