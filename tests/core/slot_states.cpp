// SPDX-License-Identifier: BSL-1.0
// tidepool - the states of a connection: the table of what may follow what, and the census that counts them.
#include <tidepool/detail/core/census.hpp>

#include <deque>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace tidepool::detail;
std::vector<slot_state> every_state() {
  std::vector<slot_state> out;
  for (std::size_t i = 0; i < slot_states; ++i) out.push_back(static_cast<slot_state>(i));
  return out;
}

TEST_CASE("given the table of states, then each can be reached, each comes to its end, and none outlives it") {
  using enum slot_state;
  for (const slot_state to : every_state()) {
    bool reached = to == connecting;  // where a slot begins
    for (const slot_state from : every_state()) reached = reached || may_become(from, to);
    CHECK(reached);
    CHECK_FALSE(may_become(gone, to));
    CHECK_FALSE(may_become(to, connecting));
  }
  // Whatever it does, an established connection can be ended at once, or is ending; an attempt is given up.
  for (const slot_state from : {idle, validating, checking, leased, resetting, closing}) CHECK(may_become(from, destroying));
  CHECK(may_become(destroying, gone));
}

TEST_CASE("given a connection in use, then no state leads past its holder or its operation") {
  using enum slot_state;
  CHECK_FALSE(may_become(leased, validating));  // a holder has it
  CHECK_FALSE(may_become(leased, checking));
  CHECK_FALSE(may_become(checking, leased));  // it is in the hands of its check
  CHECK_FALSE(may_become(idle, resetting));   // what is idle is clean
  CHECK_FALSE(may_become(closing, idle));     // no way back
  CHECK_FALSE(may_become(destroying, closing));
  CHECK(may_become(leased, leased));  // from one caller to the next
}

TEST_CASE("given slots in every state, when they are counted, then each counts as what it is", "[INV-1]") {
  using enum slot_state;
  std::deque<core_slot> slots;
  census<true> counted;
  const auto add = [&](slot_state state) {
    core_slot& slot = slots.emplace_back();
    slot.state = state;
    counted.add(slot);
  };
  for (const slot_state state : every_state()) {
    if (state != gone) add(state);
  }
  add(leased);
  counted.connect_asked();
  CHECK(counted.idle() == 1);
  CHECK(counted.leased() == 2);
  CHECK(counted.live() == 6);        // idle, leased twice, validating, checking, resetting
  CHECK(counted.connecting() == 2);  // one asked for and not begun yet
  CHECK(counted.open() == 8);
  CHECK(counted.closing() == 2);
  CHECK(counted.total() == 10);
  counted.connect_answered();
  for (core_slot& slot : slots) {
    if (slot.state == leased) counted.transition(slot, idle);
  }
  CHECK(counted.idle() == 3);
  for (core_slot& slot : slots) {
    if (may_become(slot.state, destroying)) counted.transition(slot, destroying);
    counted.transition(slot, gone);
  }
  CHECK(counted.total() == 0);
}

}  // namespace
