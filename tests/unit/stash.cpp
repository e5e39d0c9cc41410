// SPDX-License-Identifier: BSL-1.0
// tidepool - the stash's parts that need no pool: the numbers of threads, and the stash of one thread.
#include <tidepool/detail/shell/stash.hpp>

#include <thread>

#include "support/catch.hpp"

namespace {

using tidepool::detail::single_stash;
using tidepool::detail::stash;
using tidepool::detail::thread_number;

TEST_CASE("given threads one after another, when each asks for its number, then numbers are used again") {
  const unsigned here = thread_number::mine();
  for (unsigned i = 0; i < 3 * thread_number::most; ++i) {
    unsigned mine = thread_number::none;
    bool the_same = false;
    std::thread([&] {
      mine = thread_number::mine();
      the_same = mine == thread_number::mine();
    }).join();
    REQUIRE(mine < thread_number::most);
    CHECK(the_same);
    CHECK(mine != here);
  }
}

TEST_CASE("given a stash of one thread, when it closes between look and put, then it refuses the put") {
  struct slot {
  } one;
  single_stash<slot> leases;
  CHECK_FALSE(leases.is_open());
  leases.open();
  REQUIRE(leases.is_open());
  const auto seen = leases.now();
  leases.close();
  CHECK_FALSE(leases.is_open());
  leases.open();
  REQUIRE(leases.place());
  CHECK_FALSE(leases.put(*leases.place(), one, seen));
  REQUIRE(leases.place());
  REQUIRE(leases.put(*leases.place(), one, leases.now()));
  CHECK_FALSE(leases.place());
  int collected = 0;
  leases.collect([&](slot& found) { collected += &found == &one; });
  leases.collect([&](slot&) { ++collected; });
  CHECK(collected == 1);
  CHECK(leases.take() == nullptr);
}

TEST_CASE("given a full place in the stash, when another is put there, then it is refused, none is lost", "[field-R05]") {
  struct slot {
  } first, second;
  stash<slot> leases;
  leases.open();
  auto* const place = leases.place();
  REQUIRE(place);
  REQUIRE(leases.put(*place, first, leases.now()));
  CHECK_FALSE(leases.place());
  CHECK_FALSE(leases.put(*place, second, leases.now()));
  CHECK(leases.take() == &first);
  CHECK(leases.take() == nullptr);
  CHECK(leases.put(*place, second, leases.now()));
  CHECK(leases.take() == &second);
}

TEST_CASE("given two registries of thread numbers, when both have a number, then one of them may stash by it", "[field-R05]") {
  struct slot {
  } one;
  const int books[2] = {};
  stash<slot> leases;
  leases.open();
  auto* const place = leases.place({7, &books[0]});
  REQUIRE(place);
  CHECK_FALSE(leases.place({7, &books[1]}));  // a shared object's own numbers: another thread may have this place
  CHECK(leases.place({8, &books[1]}));
  REQUIRE(leases.put(*place, one, leases.now()));
  CHECK_FALSE(leases.place({7, &books[0]}));
  leases.collect([&](slot& found) { CHECK(&found == &one); });
  CHECK(leases.place({7, &books[0]}) == place);
}

}  // namespace
