// SPDX-License-Identifier: BSL-1.0
// tidepool - the multiplexer's dispatcher, rule by rule.
#include "mux_rig.hpp"

namespace {

using namespace tidepool_tests;

mux::rules small(std::size_t lanes = 4, std::size_t depth = 8) {
  mux::rules out;
  out.max_lanes = lanes;
  out.max_depth = depth;
  return out;
}

}  // namespace

TEST_CASE("given no lane, when statements come, then lanes are opened one a turn, up to the cap") {
  mux_rig rig(small(3));
  for (int i = 0; i < 10; ++i) rig.write();
  rig.turn();
  CHECK(rig.orders() == std::vector{std::pair{lane_order::open, std::size_t{0}}});
  rig.turn();
  CHECK(rig.orders().empty());  // one is on its way
  rig.d.ready(rig.d.lane_at(0), rig.now, never);
  rig.settle();
  CHECK(rig.lanes(lane_kind::write) == 3);
  rig.answer_all();
  rig.settle();
  rig.answer_all();
  for (const auto& each : rig.all) CHECK(each->how == mux::verdict::answered);
}

TEST_CASE("given idle lanes, when statements come, then each has a lane of its own before any has two") {
  mux_rig rig(small(4));
  rig.open(0, 4);
  std::vector<asked*> load;
  for (int i = 0; i < 6; ++i) load.push_back(&rig.write());
  rig.turn();
  std::map<mux::lane*, int> depth;
  for (const auto* each : load) ++depth[each->on];
  CHECK(depth.size() == 4);
  for (const auto& [lane, count] : depth) CHECK(count <= 2);
}

TEST_CASE("given statements of one turn, when they are sent, then there is one flush a lane, and Syncs by kind") {
  mux_rig rig(small(2, 16));
  rig.open(1, 1);
  const auto before = rig.d.counts();
  const auto flushes = rig.flushes;
  for (int i = 0; i < 5; ++i) rig.read();
  for (int i = 0; i < 5; ++i) rig.write();
  rig.turn();
  CHECK(rig.flushes - flushes == 2);
  CHECK(rig.d.counts().syncs - before.syncs == 1 + 5);
  CHECK(rig.d.counts().sent - before.sent == 10);
}

TEST_CASE("given a full lane, when more come, then they wait in order, and depth and bytes keep their caps") {
  auto limits = small(1, 4);
  limits.max_bytes = 1000;
  mux_rig rig(limits);
  rig.open(0, 1);
  SECTION("depth") {
    std::vector<asked*> load;
    for (int i = 0; i < 9; ++i) load.push_back(&rig.write());
    std::size_t done = 0;
    for (int round = 0; round < 3; ++round) {
      rig.turn();
      CHECK(rig.d.lane_at(0).depth() == std::min<std::size_t>(4, load.size() - done));
      rig.answer_all();
      for (; done < load.size() && load[done]->how; ++done) {
      }
      CHECK(done == std::min<std::size_t>(load.size(), static_cast<std::size_t>(round + 1) * 4));
    }
  }
  SECTION("bytes") {
    auto& a = rig.ask(lane_kind::write, 600);
    auto& b = rig.ask(lane_kind::write, 600);
    auto& c = rig.ask(lane_kind::write, 10);
    rig.turn();
    CHECK(a.on != nullptr);
    CHECK(b.on == nullptr);
    CHECK(c.on == nullptr);  // it does not overtake
    rig.answer_all();
    rig.turn();
    CHECK(b.on != nullptr);
    CHECK(c.on != nullptr);
    rig.answer_all();
    auto& large = rig.ask(lane_kind::write, 5000);
    rig.turn();
    CHECK(large.on != nullptr);  // alone, because it would never fit
  }
}

TEST_CASE("given a failed read in a group, when it is answered, then the skipped ones are sent again") {
  mux_rig rig(small(1, 8));
  rig.open(1, 0);
  auto& a = rig.read();
  auto& b = rig.read();
  auto& c = rig.read();
  auto& d = rig.read();
  b.bad = true;
  rig.turn();
  rig.answer_all();
  CHECK(a.how == mux::verdict::answered);
  CHECK(a.heard == mux::answer::good);
  CHECK(b.how == mux::verdict::answered);
  CHECK(b.heard == mux::answer::failed);
  CHECK_FALSE(c.how);
  CHECK_FALSE(d.how);
  auto& late = rig.read();
  std::vector<std::size_t> order;
  rig.on_put = [&](mux::lane&, asked& one) { order.push_back(one.name); };
  rig.turn();
  CHECK(order == std::vector{c.name, d.name, late.name});
  rig.answer_all();
  for (const auto* each : {&a, &c, &d, &late}) CHECK((each->heard == mux::answer::good && each->executed == 1 && each->told == 1));
  CHECK(rig.d.counts().skipped == 2);
}

TEST_CASE("given reads that fail often, when groups fail, then they become smaller, and larger again later") {
  mux_rig rig(small(1, 64));
  rig.open(1, 0);
  auto& l = rig.d.lane_at(0);
  const auto whole = l.group_limit;
  for (int i = 0; i < 3; ++i) {
    rig.read().bad = true;
    rig.turn();
    rig.answer_all();
  }
  CHECK(l.group_limit == whole / 8);
  const auto syncs = rig.d.counts().syncs;
  for (std::uint32_t i = 0; i < l.group_limit * 3; ++i) rig.read();
  rig.turn();
  CHECK(rig.d.counts().syncs - syncs == 3);
  rig.answer_all();
  CHECK(l.group_limit == whole);
}

TEST_CASE("given an error of a transaction's end, then a write fails by it, and grouped reads are sent alone") {
  mux_rig rig(small(2, 8));
  rig.open(1, 1);
  auto& write = rig.write();
  auto& a = rig.read();
  auto& b = rig.read();
  rig.turn();
  const auto w = rig.of(write).index, r = rig.of(a).index;
  rig.serve(w);
  CHECK_FALSE(write.how);  // not final before its Sync
  rig.serve(w, true);
  CHECK(write.how == mux::verdict::answered);
  CHECK(write.executed == 0);
  rig.serve(r);
  rig.serve(r);
  rig.serve(r, true);
  CHECK_FALSE(a.how);
  const auto syncs = rig.d.counts().syncs;
  rig.turn();
  CHECK(rig.d.counts().syncs - syncs == 2);
  rig.serve(r);
  rig.serve(r, true);
  CHECK(a.how == mux::verdict::answered);  // alone, the error is its own
  rig.answer_all();
  CHECK(b.how == mux::verdict::answered);
  CHECK(b.executed == 1);
}

TEST_CASE("given a statement that waits, when it is late or cancelled, then it is told, and never sent") {
  mux_rig rig(small(1, 2));
  rig.open(0, 1);
  rig.write();
  rig.write();
  rig.turn();
  auto& late = rig.ask(lane_kind::write, 100, rig.now + 1s);
  auto& gone = rig.write();
  CHECK(rig.d.due() <= rig.now + 1s);
  rig.d.abandon(gone, mux::verdict::cancelled);
  CHECK(gone.how == mux::verdict::cancelled);
  rig.now += 1s;
  rig.d.tick_at(rig.now);
  CHECK(late.how == mux::verdict::late);
  rig.answer_all();
  rig.settle();
  rig.answer_all();
  CHECK(late.executed + gone.executed == 0);
  CHECK(rig.d.waiting() == 0);
}

TEST_CASE("given a statement that was sent, when its caller gives up, then its answer alone is dropped") {
  mux_rig rig(small(2, 8));
  rig.open(1, 1);
  auto& write = rig.ask(lane_kind::write, 100, rig.now + 1s);
  auto& cancelled = rig.write();
  auto& next = rig.write();
  auto& read = rig.ask(lane_kind::read, 100, rig.now + 1s);
  auto& other = rig.read();
  rig.turn();
  rig.d.abandon(cancelled, mux::verdict::cancelled);
  rig.now += 1s;
  rig.d.tick_at(rig.now);
  CHECK(write.how == mux::verdict::unknown);
  CHECK(read.how == mux::verdict::late);
  CHECK(cancelled.how == mux::verdict::cancelled);
  rig.answer_all();
  CHECK(next.how == mux::verdict::answered);
  CHECK(other.how == mux::verdict::answered);
  CHECK(write.told + cancelled.told + read.told == 3);
  CHECK(rig.d.counts().dropped == 3);
}

TEST_CASE("given a lane that dies, when statements were on it, then each is told, or sent elsewhere") {
  mux_rig rig(small(4, 8));
  rig.open(2, 2);
  SECTION("writes") {
    auto& done = rig.write();
    auto& other = rig.write();
    auto& failed = rig.write();
    auto& other2 = rig.write();
    auto& answered_only = rig.write();
    rig.turn();
    const auto l = rig.of(done).index;
    REQUIRE(rig.of(failed).index == l);
    REQUIRE(rig.of(answered_only).index == l);
    auto& waits = rig.write();
    failed.bad = true;
    rig.serve(l);
    rig.serve(l);
    rig.serve(l);  // failed, and its Sync is not answered
    rig.cut(l);
    rig.d.died(rig.d.lane_at(l), rig.now);
    CHECK(done.how == mux::verdict::answered);
    CHECK(failed.how == mux::verdict::answered);
    CHECK(failed.heard == mux::answer::failed);
    CHECK(answered_only.how == mux::verdict::unknown);
    CHECK_FALSE(other.how);
    rig.settle();
    rig.answer_all();
    rig.settle();
    rig.answer_all();
    CHECK(waits.how == mux::verdict::answered);
    CHECK(other2.how == mux::verdict::answered);
  }
  SECTION("reads go elsewhere, and not for ever") {
    auto& a = rig.read();
    for (int i = 0; i <= 3; ++i) {
      CHECK_FALSE(a.how);
      rig.settle();
      const auto l = rig.of(a).index;
      rig.serve(l);  // an answer without its Sync is not final
      rig.cut(l);
      rig.d.died(rig.d.lane_at(l), rig.now);
    }
    CHECK(a.how == mux::verdict::lost);
  }
  SECTION("while it sends") {
    auto& a = rig.write();
    auto& b = rig.write();
    auto& c = rig.write();
    const auto first = a.number;
    for (std::size_t i = 0; i < 4; ++i) {
      if (rig.d.lane_at(i).kind == lane_kind::write) rig.cut(i);
    }
    rig.turn();
    CHECK(first == a.number);
    CHECK_FALSE(a.how);
    CHECK_FALSE(b.how);
    CHECK_FALSE(c.how);  // nothing was sent, so all wait for another lane
    rig.obey();
    rig.answer_all();
    rig.settle();
    rig.answer_all();
    for (const auto* each : {&a, &b, &c}) CHECK((each->how == mux::verdict::answered && each->executed == 1));
  }
}

TEST_CASE("given a stale statement, when the server says so, then it is sent again and its caller hears nothing") {
  mux_rig rig(small(2, 8));
  rig.open(1, 1);
  auto& read = rig.read();
  auto& behind = rig.read();
  auto& write = rig.write();
  read.stale = write.stale = 1;
  rig.turn();
  rig.answer_all();
  CHECK_FALSE((read.how || behind.how || write.how));
  rig.turn();
  rig.answer_all();
  for (const auto* each : {&read, &behind, &write}) CHECK((each->how == mux::verdict::answered && each->executed == 1));
}

TEST_CASE("given a lane whose head is slow, when others come, then it gets no more until it answers") {
  auto limits = small(2, 8);
  mux_rig rig(limits);
  rig.open(2, 0);
  auto& slow = rig.read();
  rig.turn();
  auto& stuck = rig.of(slow);
  rig.now += 49ms;
  auto& other = rig.read();
  rig.turn();
  auto& free = rig.of(other);
  CHECK(&free != &stuck);
  auto& before = rig.read();
  rig.turn();
  CHECK(before.on == &stuck);  // both have one, and nothing is stalled yet
  rig.now += 1ms;
  for (int i = 0; i < 7; ++i) CHECK((rig.read(), true));
  rig.turn();
  CHECK(stuck.depth() == 2);
  CHECK(free.depth() == 8);
  rig.d.tick_at(rig.now);
  rig.d.tick_at(rig.now);
  CHECK(rig.d.counts().stalls == 1);
  auto& waits = rig.read();
  rig.turn();
  CHECK(waits.on == nullptr);
  rig.serve(stuck.index);
  rig.turn();
  CHECK(waits.on == &stuck);
}

TEST_CASE("given too many that wait, when one more comes, then it is refused at once") {
  auto limits = small(1, 1);
  limits.max_waiting = 2;
  mux_rig rig(limits);
  rig.open(0, 1);
  rig.write();
  rig.turn();
  rig.write();
  rig.write();
  CHECK(rig.write().how == mux::verdict::full);
  CHECK(rig.d.waiting() == 2);
}

TEST_CASE("given no connection, when a lane fails, then those who waited are told, later ones try again") {
  mux_rig rig(small(2));
  auto& early = rig.write();
  rig.turn();
  REQUIRE(rig.orders().size() == 1);
  auto& after = rig.read();
  rig.d.failed(rig.d.lane_at(0), rig.now);
  CHECK(early.how == mux::verdict::no_lane);
  CHECK_FALSE(after.how);
  rig.settle();
  rig.answer_all();
  CHECK(after.how == mux::verdict::answered);
}

TEST_CASE("given other lanes, when one cannot be opened, then nobody is told, and it is tried again later") {
  mux_rig rig(small(2, 2));
  rig.open(0, 1);
  auto& a = rig.write();
  auto& b = rig.write();
  rig.turn();
  REQUIRE(rig.orders().size() == 1);
  rig.d.failed(rig.d.lane_at(1), rig.now);
  rig.write();
  rig.turn();
  CHECK(rig.orders().empty());
  CHECK_FALSE((a.how || b.how));
  SECTION("later") {
    rig.now += 100ms;
    rig.turn();
    CHECK(rig.orders().size() == 1);
  }
  SECTION("or at once, when the others are gone") {
    rig.d.died(rig.d.lane_at(0), rig.now);
    REQUIRE(rig.orders().size() == 1);
    rig.d.vacated(rig.d.lane_at(0));
    rig.turn();
    const auto orders = rig.orders();
    REQUIRE(orders.size() == 1);
    CHECK(orders[0].first == lane_order::open);
  }
}

TEST_CASE("given one lane for two kinds, when both have statements, then it turns, and neither starves") {
  mux_rig rig(small(1, 2));
  std::vector<asked*> load;
  for (int i = 0; i < 20; ++i) {
    load.push_back(&rig.read());
    load.push_back(&rig.write());
  }
  rig.on_put = [&](mux::lane& on, asked& one) { CHECK(on.kind == one.kind); };
  std::size_t turns = 0;
  for (int round = 0; round < 200; ++round) {
    rig.settle();
    rig.answer_all();
    ++turns;
  }
  for (const auto* each : load) CHECK(each->how == mux::verdict::answered);
  CHECK(rig.d.counts().lanes_turned >= 2);
}

TEST_CASE("given slow statements, when a kind has no lane but theirs, then one without them turns") {
  SECTION("not the one with the fewest, where that is slow") {
    mux_rig rig(small(3, 8));
    rig.open(3, 0);
    auto& slow = rig.read();
    rig.turn();
    rig.now += 60ms;
    for (int i = 0; i < 4; ++i) rig.read();
    rig.turn();
    REQUIRE(rig.of(slow).depth() == 1);
    auto& write = rig.write();
    rig.turn();
    CHECK(rig.of(slow).state == lane_state::ready);
    for (std::size_t i = 0; i < 3; ++i) {
      while (i != rig.of(slow).index && rig.serve(i)) {
      }
    }
    rig.settle();
    CHECK(rig.of(write).kind == lane_kind::write);
  }
  SECTION("another one, where the one that was to turn has become slow") {
    mux_rig rig(small(2, 8));
    rig.open(2, 0);
    auto& first = rig.read();
    auto& slow = rig.read();
    rig.read();
    rig.turn();
    const auto stuck = rig.of(slow).index, other = rig.of(first).index;
    auto& write = rig.write();
    rig.turn();
    CHECK(rig.d.lane_at(stuck).state == lane_state::draining);
    rig.now += 50ms;
    rig.turn();
    CHECK(rig.d.lane_at(other).state == lane_state::ready);  // it is as slow
    while (rig.serve(other)) {
    }
    rig.settle();
    CHECK(rig.of(write).index == other);
  }
  SECTION("one that is idle, at once") {
    mux_rig rig(small(2, 8));
    rig.open(1, 1);
    rig.read();
    rig.turn();
    rig.now += 60ms;
    auto& waits = rig.read();
    rig.settle();
    CHECK(waits.on != nullptr);
  }
  SECTION("one in use, after a while, and back again") {
    mux_rig rig(small(2, 8));
    rig.open(1, 1);
    auto& slow = rig.read();
    rig.turn();
    rig.now += 60ms;
    const auto used = 1 - rig.of(slow).index;
    rig.write();
    auto& waits = rig.read();
    rig.settle();
    CHECK(rig.d.lane_at(used).state == lane_state::ready);
    rig.answer_all_but(rig.of(slow).index);
    rig.now += 199ms;
    auto& write = rig.write();
    rig.turn();
    CHECK(rig.d.lane_at(used).state == lane_state::ready);
    rig.now += 1ms;
    rig.d.tick_at(rig.now);
    CHECK(rig.d.lane_at(used).state == lane_state::draining);
    auto& after = rig.write();
    for (int i = 0; i < 3; ++i) {
      rig.answer_all_but(rig.of(slow).index);
      rig.settle();
    }
    for (const auto* each : {&waits, &write, &after}) CHECK(each->how == mux::verdict::answered);
    CHECK_FALSE(slow.how);
  }
}

TEST_CASE("given a lane that is lost while it turns, then another is opened, and nobody hears of it") {
  mux_rig rig(small(1, 2));
  rig.open(1, 0);
  auto& a = rig.write();
  rig.turn();
  REQUIRE(rig.orders() == std::vector{std::pair{lane_order::turn, std::size_t{0}}});
  rig.d.lost_turning(rig.d.lane_at(0));
  CHECK_FALSE(a.how);
  rig.turn();
  REQUIRE(rig.orders() == std::vector{std::pair{lane_order::open, std::size_t{0}}});
  rig.d.ready(rig.d.lane_at(0), rig.now, never);
  rig.turn();
  rig.answer_all();
  CHECK(a.how == mux::verdict::answered);
  CHECK(rig.d.counts().lanes_lost == 1);
}

TEST_CASE("given full lanes of one kind and an idle one of the other, then that one turns after a while") {
  mux_rig rig(small(2, 2));
  rig.open(1, 1);
  for (int i = 0; i < 5; ++i) rig.read();
  rig.settle();
  CHECK(rig.lanes(lane_kind::write) == 1);
  rig.now += 50ms;
  rig.d.tick_at(rig.now);
  rig.obey();
  CHECK(rig.lanes(lane_kind::read) == 2);
}

TEST_CASE("given an idle lane, when its time has come, then it is given back; one in use at its end, drained") {
  mux_rig rig(small(2, 4));
  rig.open(0, 2);
  auto& a = rig.write();
  rig.turn();
  auto& busy = rig.of(a);
  busy.retire = rig.now + 20s;
  rig.now += 10s;
  rig.d.tick_at(rig.now);
  const auto released = rig.orders();
  REQUIRE(released.size() == 1);
  CHECK(released[0].first == lane_order::release);
  CHECK(released[0].second != busy.index);
  rig.d.vacated(rig.d.lane_at(released[0].second));
  rig.now += 10s;
  rig.d.tick_at(rig.now);
  CHECK(busy.state == lane_state::draining);
  CHECK(rig.orders().empty());
  auto& b = rig.write();
  rig.turn();
  CHECK(b.on == nullptr);
  rig.answer_all();
  CHECK(a.how == mux::verdict::answered);
  rig.obey();
  rig.answer_all();
  CHECK(b.how == mux::verdict::answered);
}

TEST_CASE("given a silent server, when nobody waits for the head any more, then the lane is shut after a while") {
  mux_rig rig(small(1, 4));
  rig.open(0, 1);
  auto& head = rig.ask(lane_kind::write, 100, rig.now + 1s);
  auto& behind = rig.write();
  rig.turn();
  rig.now += 1s;
  rig.d.tick_at(rig.now);
  CHECK(head.how == mux::verdict::unknown);
  CHECK_FALSE(behind.how);
  rig.now += 4s;
  rig.d.tick_at(rig.now);
  CHECK(behind.how == mux::verdict::unknown);
  const auto told = rig.orders();
  REQUIRE(told.size() == 1);
  CHECK(told[0].first == lane_order::kill);
}

TEST_CASE("given a close, when statements wait and are in flight, then the latter alone are answered") {
  mux_rig rig(small(1, 1));
  rig.open(0, 1);
  auto& sent = rig.write();
  rig.turn();
  auto& waits = rig.write();
  rig.d.close(rig.now);
  CHECK(waits.how == mux::verdict::closed);
  CHECK(rig.write().how == mux::verdict::closed);
  CHECK_FALSE(sent.how);
  rig.answer_all();
  CHECK(sent.how == mux::verdict::answered);
  rig.obey();
  CHECK(rig.d.vacant());
}

TEST_CASE("given a statement that libpq refuses, when it is put, then it alone fails and the lane goes on") {
  mux_rig rig(small(1, 4));
  rig.open(1, 0);
  auto& a = rig.read();
  auto& wrong = rig.read();
  auto& b = rig.read();
  rig.refuse = {wrong.name};
  rig.turn();
  CHECK(wrong.how == mux::verdict::answered);
  CHECK(wrong.heard == mux::answer::none);
  rig.answer_all();
  CHECK((a.executed == 1 && b.executed == 1));
}

TEST_CASE("given a server out of step, when an answer or a Sync comes that is not due, then it is told") {
  mux_rig rig(small(1, 4));
  rig.open(1, 0);
  auto& l = rig.d.lane_at(0);
  CHECK_FALSE(rig.d.answered(l, mux::answer::good, rig.now));
  CHECK_FALSE(rig.d.synced(l, false, rig.now));
  rig.read();
  rig.turn();
  CHECK_FALSE(rig.d.synced(l, false, rig.now));
  CHECK(rig.d.answered(l, mux::answer::good, rig.now));
  CHECK_FALSE(rig.d.answered(l, mux::answer::good, rig.now));
  CHECK(rig.d.synced(l, false, rig.now));
  l.group_limit = 1;
  rig.read();
  rig.read();
  rig.turn();
  CHECK(rig.d.answered(l, mux::answer::good, rig.now));
  CHECK_FALSE(rig.d.answered(l, mux::answer::good, rig.now));  // its Sync comes first
}
