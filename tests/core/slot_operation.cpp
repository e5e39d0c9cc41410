// SPDX-License-Identifier: BSL-1.0
// tidepool - the machine of one slot's operation, and the list of what is to be done for slots.
#include <tidepool/detail/core/slot.hpp>

#include <vector>

#include "support/catch.hpp"

namespace {

using namespace tidepool::detail;
using operation_phase = slot_operation::phase;

TEST_CASE("given an operation, when all goes well, then its phases follow each other", "[INV-8]") {
  const slot_action what = GENERATE(slot_action::validate, slot_action::reset, slot_action::close);
  slot_operation op;
  CHECK(op.ask(what));
  CHECK(op.asked() == what);
  CHECK(op.reached() == operation_phase::absent);
  CHECK(op.take() == what);
  CHECK(op.asked() == slot_action::none);
  CHECK(op.reached() == operation_phase::starting);
  CHECK(op.started());
  CHECK(op.reached() == operation_phase::running);
  op.ending();
  CHECK(op.reached() == operation_phase::starting);  // a cancel leaves the slot alone now
  op.ended();
  CHECK(op.reached() == operation_phase::absent);
  CHECK_FALSE(op.overran());
}

TEST_CASE("given an operation given up before it has begun, then a cancel is noted and it never runs") {
  slot_operation op;
  op.ask(slot_action::validate);
  REQUIRE(op.take() == slot_action::validate);
  CHECK(op.ask(slot_action::cancel_op));
  CHECK(op.take() == slot_action::none);  // nothing to cancel yet
  CHECK_FALSE(op.started());              // the caller frees the slot
}

TEST_CASE("given an operation that was given up, when it runs, then the last user of the slot frees it") {
  slot_operation op;
  op.begin();
  op.ask(slot_action::cancel_op);
  SECTION("its coroutine ends before the cancel is taken") {
    CHECK_FALSE(op.let_go());  // the thread that was to shut the socket down frees it
    CHECK(op.take() == slot_action::discard);
  }
  SECTION("its coroutine ends while the socket is shut down") {
    CHECK(op.take() == slot_action::cancel_op);
    CHECK_FALSE(op.let_go());
    CHECK(op.aborted());
  }
  SECTION("its coroutine ends after that") {
    CHECK(op.take() == slot_action::cancel_op);
    CHECK_FALSE(op.aborted());
    CHECK(op.let_go());
  }
}

TEST_CASE("given a lease that is taken from its holder, when it ends, then the last user of the slot frees it") {
  slot_operation op;
  op.ask(slot_action::abort_lease);
  SECTION("the holder lets go first") {
    CHECK_FALSE(op.let_go());
    CHECK(op.take() == slot_action::discard);
  }
  SECTION("the holder lets go last") {
    CHECK(op.take() == slot_action::abort_lease);
    CHECK_FALSE(op.aborted());
    CHECK(op.let_go());
  }
}

TEST_CASE("given a graceful close that has not begun, when it has to be quick, then it becomes a plain end") {
  slot_operation op;
  CHECK_FALSE(op.hurry_close());
  op.ask(slot_action::close);
  CHECK(op.hurry_close());
  CHECK(op.take() == slot_action::destroy);
  CHECK(op.reached() == operation_phase::absent);  // no coroutine
  op.ask(slot_action::close);
  REQUIRE(op.take() == slot_action::close);
  CHECK_FALSE(op.hurry_close());  // it has begun
}

TEST_CASE("given several slots, when actions are asked for, then they come in order, the newest of each") {
  core_slot a, b, c;
  pending_actions list;
  CHECK(list.empty());
  list.ask(a, slot_action::close);
  list.ask(b, slot_action::validate);
  list.ask(a, slot_action::destroy);  // in its old place
  CHECK_FALSE(list.empty());
  auto next = list.next();
  CHECK(next.slot == &a);
  CHECK(next.what == slot_action::destroy);
  list.ask(c, slot_action::reset);
  list.ask(a, slot_action::discard);  // anew
  std::vector<core_slot*> order;
  for (next = list.next(); next.what != slot_action::none; next = list.next()) order.push_back(next.slot);
  CHECK(order == std::vector<core_slot*>{&b, &c, &a});
  CHECK(list.empty());
}

TEST_CASE("given a cancel that has only to be noted, when actions are taken, then the next one follows") {
  core_slot a, b;
  pending_actions list;
  list.ask(a, slot_action::validate);
  REQUIRE(list.next().what == slot_action::validate);
  list.ask(a, slot_action::cancel_op);
  list.ask(b, slot_action::close);
  const auto next = list.next();
  CHECK(next.slot == &b);
  CHECK(next.what == slot_action::close);
  CHECK(list.next().what == slot_action::none);
}

}  // namespace
