// SPDX-License-Identifier: BSL-1.0
// tidepool - the list of idle connections and its sweep.
#include <tidepool/detail/core/idle_list.hpp>

#include <deque>
#include <vector>

#include "support/catch.hpp"

namespace {

using tidepool::detail::core_slot;
using tidepool::detail::idle_list;
using tidepool::detail::slot_state;
using tidepool::detail::tick;
using namespace std::chrono_literals;

/// Slots with ids from 1 that became idle at the given moments, inserted in that order.
struct fixture {
  explicit fixture(const std::vector<tidepool::duration>& idle_since) {
    for (const tidepool::duration since : idle_since) {
      core_slot& s = slots.emplace_back();
      s.id = slots.size();
      s.state = slot_state::idle;
      s.idle_since = tick(since);
      list.insert(s);
    }
  }
  core_slot& operator[](std::size_t id) { return slots[id - 1]; }
  std::vector<tidepool::connection_id> sweep() {
    std::vector<tidepool::connection_id> out;
    while (const core_slot* s = list.sweep_next()) out.push_back(s->id);
    return out;
  }
  std::deque<core_slot> slots;
  idle_list list;
};
using ids = std::vector<tidepool::connection_id>;

TEST_CASE("given connections returned in turn, when newest or oldest is asked for, then it is last or first") {
  fixture f({10ns, 20ns, 30ns});
  CHECK_FALSE(f.list.empty());
  CHECK(f.list.newest()->id == 3);
  CHECK(f.list.oldest()->id == 1);
  CHECK(f.list.front()->id == 3);
}

TEST_CASE("given an empty list, when anything is asked, then there is nothing to take or to sweep") {
  idle_list list;
  CHECK(list.empty());
  CHECK(list.newest() == nullptr);
  CHECK(list.oldest() == nullptr);
  CHECK(list.front() == nullptr);
  list.start_sweep();
  CHECK_FALSE(list.sweeping());
  CHECK(list.sweep_next() == nullptr);
}

TEST_CASE("given a connection that kept its idle age, when it is inserted again, then it takes its old place") {
  fixture f({10ns, 20ns, 30ns});
  f.list.erase(f[2]);
  f.list.insert(f[2]);
  f.list.start_sweep();
  CHECK(f.sweep() == ids{1, 2, 3});
  f.list.erase(f[1]);
  f.list.insert(f[1]);
  CHECK(f.list.oldest()->id == 1);
}

TEST_CASE("given equal idle ages, when one more is inserted, then it counts as the newest") {
  fixture f({10ns, 10ns, 10ns});
  CHECK(f.list.newest()->id == 3);
  CHECK(f.list.oldest()->id == 1);
}

TEST_CASE("given connections under a background check, when one is taken, then they are stepped over") {
  fixture f({10ns, 20ns, 30ns, 40ns});
  f[4].state = f[1].state = slot_state::checking;
  CHECK(f.list.newest()->id == 3);
  CHECK(f.list.oldest()->id == 2);
  f[2].state = f[3].state = slot_state::checking;
  CHECK(f.list.newest() == nullptr);
  CHECK(f.list.oldest() == nullptr);
  CHECK_FALSE(f.list.empty());
}

TEST_CASE("given a sweep, when nothing else happens, then it goes once from the oldest to the newest") {
  fixture f({10ns, 20ns, 30ns});
  CHECK_FALSE(f.list.sweeping());
  f.list.start_sweep();
  CHECK(f.list.sweeping());
  CHECK(f.sweep() == ids{1, 2, 3});
  CHECK_FALSE(f.list.sweeping());
}

TEST_CASE("given a sweep under way, when connections are taken, then it meets every other one exactly once") {
  fixture f({10ns, 20ns, 30ns, 40ns});
  f.list.start_sweep();
  SECTION("the next one to look at is taken") {
    f.list.erase(f[1]);
    CHECK(f.sweep() == ids{2, 3, 4});
  }
  SECTION("one already looked at is taken") {
    CHECK(f.list.sweep_next()->id == 1);
    f.list.erase(f[1]);
    CHECK(f.sweep() == ids{2, 3, 4});
  }
  SECTION("one further on is taken") {
    f.list.erase(f[3]);
    CHECK(f.sweep() == ids{1, 2, 4});
  }
  SECTION("several are taken, the last one among them") {
    CHECK(f.list.sweep_next()->id == 1);
    f.list.erase(f[2]);
    f.list.erase(f[4]);
    CHECK(f.sweep() == ids{3});
  }
  SECTION("all are taken") {
    for (std::size_t id : {4u, 1u, 2u, 3u}) f.list.erase(f[id]);
    CHECK_FALSE(f.list.sweeping());
    CHECK(f.list.sweep_next() == nullptr);
  }
  SECTION("one that was looked at goes back to its place") {
    CHECK(f.list.sweep_next()->id == 1);
    CHECK(f.list.sweep_next()->id == 2);
    f.list.erase(f[2]);
    f.list.insert(f[2]);
    CHECK(f.sweep() == ids{3, 4});
  }
}

}  // namespace
