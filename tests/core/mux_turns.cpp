// SPDX-License-Identifier: BSL-1.0
// tidepool - the multiplexer's lanes on a server that has not a processor for each: it stays with one for as long as that has something.
#include "mux_rig.hpp"

namespace {

using namespace tidepool_tests;

mux::rules lanes_of(std::size_t lanes) {
  mux::rules out;
  out.max_lanes = lanes;
  return out;
}

/// Callers that ask again as soon as they are answered, on a server with one processor.
struct busy_server {
  explicit busy_server(lane_kind of, std::size_t lanes, std::size_t callers) : rig(lanes_of(lanes)), kind(of) {
    rig.open(kind == lane_kind::read ? lanes : 0, kind == lane_kind::read ? 0 : lanes);
    first = rig.all.size();
    for (std::size_t i = 0; i < callers; ++i) rig.ask(kind);
    rig.turn();
  }
  /// One message on the lane that is worked on, or on the next one that has some; then who was answered asks again.
  void step() {
    rig.now += std::chrono::microseconds(5);
    for (std::size_t tried = 0; !rig.serve(at) && tried < rig.wires.size(); ++tried) at = (at + 1) % rig.wires.size();
    if (rig.wires[at].arrived.empty()) at = (at + 1) % rig.wires.size();  // before its client can send more
    std::size_t again = 0;
    for (std::size_t i = first; i < rig.all.size(); ++i) {
      if (rig.all[i]->how && !seen.contains(i)) {
        seen.insert(i);
        ++again;
        // Submitted before it, and not answered yet.
        for (std::size_t earlier = first; earlier < i; ++earlier) {
          if (!rig.all[earlier]->how) most_overtaken = std::max(most_overtaken, ++overtaken[earlier]);
        }
      }
    }
    for (std::size_t i = 0; i < again; ++i) rig.ask(kind);
    rig.turn();
  }

  mux_rig rig;
  lane_kind kind;
  std::size_t first = 0, at = 0, most_overtaken = 0;
  std::set<std::size_t> seen;
  std::map<std::size_t, std::size_t> overtaken;
};

}  // namespace

TEST_CASE("given a server that stays with a lane that has something, then nobody is overtaken without end") {
  const auto kind = GENERATE(lane_kind::write, lane_kind::read);
  busy_server s(kind, 4, 16);
  for (int i = 0; i < 4000; ++i) s.step();
  CHECK(s.seen.size() > 1500);
  CHECK(s.most_overtaken < 64);
}

TEST_CASE("given lanes by turns, when many wait, then an idle one takes its share in one flush") {
  for (const auto kind : {lane_kind::write, lane_kind::read}) {
    busy_server s(kind, 4, 64);
    while (s.seen.size() < 500) s.step();
    const auto answered = s.seen.size(), flushes = s.rig.flushes;
    while (s.seen.size() < answered + 640) s.step();
    CHECK(s.rig.flushes - flushes <= 640 / 8);
  }
}

TEST_CASE("given lanes that are served by turns, when one is idle, then it takes no more than its share") {
  mux_rig rig(lanes_of(2));
  rig.open(0, 2);
  auto& slow = rig.write();
  rig.turn();
  rig.now += 1ms;
  auto& quick = rig.write();
  rig.turn();
  const auto stuck = rig.of(slow).index, free = rig.of(quick).index;
  rig.now += 1ms;
  rig.answer_all_but(stuck);
  REQUIRE(rig.d.by_turns(rig.now));
  for (int i = 0; i < 19; ++i) rig.write();
  rig.turn();
  CHECK(rig.d.lane_at(free).depth() == 10);
  CHECK(rig.d.lane_at(stuck).depth() == 1);
  rig.answer_all();
  rig.turn();
  CHECK(rig.d.waiting() == 0);
  CHECK(rig.d.lane_at(free).depth() + rig.d.lane_at(stuck).depth() == 9);
}

TEST_CASE("given a statement that was overtaken, then lanes are filled only when idle, for a while") {
  mux_rig rig(lanes_of(2));
  rig.open(0, 2);
  auto& first = rig.write();
  rig.turn();
  rig.now += 1ms;
  auto& second = rig.write();
  rig.turn();
  REQUIRE(first.on != second.on);
  const auto slower = rig.of(first).index, faster = rig.of(second).index;
  rig.now += 1ms;
  rig.serve(faster);
  CHECK_FALSE(rig.d.by_turns(rig.now));
  rig.serve(faster);
  REQUIRE(second.how);
  CHECK(rig.d.by_turns(rig.now));
  auto& third = rig.write();
  rig.turn();
  CHECK(third.on->index == faster);
  auto& waits = rig.write();
  rig.turn();
  CHECK(waits.on == nullptr);
  SECTION("up to the first that is idle") {
    rig.serve(slower);
    rig.serve(slower);
    rig.turn();
    CHECK(rig.of(waits).index == slower);
  }
  SECTION("or up to the end of that time") {
    rig.now += 50ms;
    rig.serve(faster);
    auto& another = rig.write();
    rig.turn();
    CHECK_FALSE(rig.d.by_turns(rig.now));
    CHECK(waits.on != nullptr);
    CHECK(another.on != nullptr);
  }
}

TEST_CASE("given statements that are answered as they were sent, then lanes take more before they are idle") {
  mux_rig rig(lanes_of(2));
  rig.open(0, 2);
  auto& a = rig.write();
  auto& b = rig.write();
  rig.write();
  rig.turn();
  const auto one = rig.of(a).index, other = rig.of(b).index;
  for (int i = 0; i < 100; ++i) {
    rig.now += 1ms;
    for (const auto lane : {one, other}) {
      rig.serve(lane);
      rig.serve(lane);
    }
    CHECK_FALSE(rig.d.by_turns(rig.now));
    rig.write();
    rig.write();
    rig.turn();
    CHECK(rig.d.waiting() == 0);
  }
}

TEST_CASE("given a slow statement, then other lanes are filled only when idle, and nobody waits for it") {
  mux_rig rig(lanes_of(3));
  rig.open(0, 3);
  auto& slow = rig.write();
  rig.turn();
  const auto stuck = rig.of(slow).index;
  std::vector<asked*> quick;
  for (int i = 0; i < 200; ++i) {
    rig.now += 1ms;
    quick.push_back(&rig.write());
    quick.push_back(&rig.write());
    rig.turn();
    rig.answer_all_but(stuck);
    for (const auto* each : quick) CHECK(each->how == mux::verdict::answered);
    quick.clear();
    CHECK(rig.d.by_turns(rig.now));
  }
  CHECK(rig.d.lane_at(stuck).depth() == 1);
}
