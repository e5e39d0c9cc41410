// SPDX-License-Identifier: BSL-1.0
// tidepool - the multiplexer's dispatcher over random events, against a server that counts what it really executed.
//
// What holds after every step: each statement is told once; one that was told as not executed was not executed; a write is executed once at
// most, and one told as answered well exactly once; depth and bytes keep their caps; nobody waits while a lane that may take it is free; no
// statement is put while an earlier one of its kind waits; answers belong to their askers (checked by the rig). At the end, with a server
// that answers, nobody waits.
#include <tidepool/detail/util/random.hpp>

#include "mux_rig.hpp"

namespace {

using namespace tidepool_tests;

class model_run {
 public:
  model_run(std::uint64_t seed, const mux::rules& limits)
      : random_(seed), rig_(limits), limits_(limits), orders_(limits.max_lanes), ends_badly_(seed % 2 == 0) {
    rig_.on_put = [this](mux::lane& on, asked& one) {
      if (on.kind != one.kind) fault("a lane of the other kind");
      for (const auto& each : rig_.all) {
        if (each->linked() && each->kind == one.kind && each->number < one.number) fault("an earlier statement was overtaken");
      }
      if (one.told != 0) fault("a statement was sent that was told");
    };
  }

  std::string run(std::size_t steps) {
    for (std::size_t i = 0; i < steps && faults_.empty(); ++i) {
      step();
      check();
    }
    finish();
    return faults_;
  }
  const mux::counters& counts() const { return rig_.d.counts(); }
  std::size_t asked_for() const { return rig_.all.size(); }

 private:
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>((random_() >> 32U) * bound >> 32U); }
  bool chance(std::size_t percent) { return below(100) < percent; }

  void step() {
    switch (below(16)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const auto kind = chance(60) ? lane_kind::read : lane_kind::write;
        const auto bytes = static_cast<std::uint32_t>(chance(5) ? 5000 : 1 + below(400));
        auto& made = *rig_.all.emplace_back(std::make_unique<asked>(rig_.all.size()));
        made.kind = kind;
        made.bytes = bytes;
        made.bad = chance(15);
        made.stale = chance(5) ? 1 : 0;
        if (chance(2)) rig_.refuse.insert(made.name);
        rig_.d.submit(made, rig_.now, chance(30) ? rig_.now + std::chrono::milliseconds(1 + below(200)) : never);
        break;
      }
      case 4:
      case 5:
      case 6: turn(); break;
      case 7:
      case 8:
      case 9:
      case 10: {
        for (std::size_t i = 0, lane = below(limits_.max_lanes); i < limits_.max_lanes; ++i) {
          if (rig_.serve((lane + i) % limits_.max_lanes, ends_badly_ && chance(3))) break;
        }
        break;
      }
      case 11:
      case 12: obey_one(); break;
      case 13: {
        rig_.now += std::chrono::milliseconds(below(chance(10) ? 12000 : 40));
        rig_.d.tick_at(rig_.now);
        turn();
        break;
      }
      case 14: {
        if (rig_.all.empty()) break;
        rig_.d.abandon(*rig_.all[below(rig_.all.size())], mux::verdict::cancelled);
        break;
      }
      default: {
        const auto lane = below(limits_.max_lanes);
        auto& l = rig_.d.lane_at(lane);
        const bool open = l.state == lane_state::ready || l.state == lane_state::draining;
        const bool ordered = l.order != lane_order::none || orders_[lane] != lane_order::none;
        if (open && !ordered && chance(20)) {
          rig_.cut(lane);
          // What is on its way may show the end first, or sending does.
          if (chance(70)) rig_.d.died(l, rig_.now);
        } else if (chance(20)) {
          rig_.d.drain(l, rig_.now);  // as when the pool wants it back
        }
      }
    }
  }
  void turn() {
    rig_.turn();
    for (const auto kind : {lane_kind::read, lane_kind::write}) {
      const asked* first = nullptr;
      for (const auto& each : rig_.all) {
        if (each->linked() && each->kind == kind) {
          first = each.get();
          break;
        }
      }
      if (first == nullptr) continue;
      for (std::size_t i = 0; i < limits_.max_lanes; ++i) {
        const auto& l = rig_.d.lane_at(i);
        if (l.state != lane_state::ready || l.kind != kind) continue;
        const bool takes = l.idle() || (!rig_.d.by_turns(rig_.now) && l.depth() < limits_.max_depth &&
                                        l.bytes + first->bytes <= limits_.max_bytes && rig_.now < l.progress + limits_.stall_after);
        if (takes) fault("a statement waits while a lane is free");
      }
    }
  }
  /// Takes new orders, and carries one of all out, well or not.
  void obey_one() {
    for (const auto& [what, index] : rig_.orders()) {
      if (orders_[index] != lane_order::none) fault("a second order for a lane");
      orders_[index] = what;
    }
    for (std::size_t i = 0, at = below(limits_.max_lanes); i < limits_.max_lanes; ++i, at = (at + 1) % limits_.max_lanes) {
      const auto what = std::exchange(orders_[at], lane_order::none);
      if (what == lane_order::none) continue;
      auto& l = rig_.d.lane_at(at);
      auto& w = rig_.wires[at];
      if (what == lane_order::release && (!l.idle() || !w.arrived.empty() || !w.unflushed.empty())) fault("given back in use");
      if (what == lane_order::kill || what == lane_order::release) {
        rig_.d.vacated(l);
      } else if (chance(fails_)) {
        rig_.d.failed(l, rig_.now);
      } else {
        if (what == lane_order::open) w = {};
        rig_.d.ready(l, rig_.now, chance(20) ? rig_.now + std::chrono::milliseconds(below(500)) : never);
      }
      turn();
      return;
    }
  }
  void check() {
    for (std::size_t i = 0; i < limits_.max_lanes; ++i) {
      const auto& l = rig_.d.lane_at(i);
      if (l.depth() > limits_.max_depth) fault("deeper than the cap");
      if (l.bytes > limits_.max_bytes && l.depth() > 1) fault("more bytes than the cap");
    }
    for (const auto& each : rig_.all) {
      const auto& a = *each;
      if (a.told > 1) fault("told twice");
      if (a.kind == lane_kind::write && a.executed > 1) fault("a write was executed twice");
      if (!a.how) continue;
      const bool sure =
          *a.how == mux::verdict::late || *a.how == mux::verdict::full || *a.how == mux::verdict::closed || *a.how == mux::verdict::no_lane;
      if (a.kind == lane_kind::write && sure && a.executed != 0) fault("told as not executed, and it was");
      if (a.kind == lane_kind::write && *a.how == mux::verdict::lost) fault("a write told as lost");
      if (a.kind == lane_kind::read && *a.how == mux::verdict::unknown) fault("a read told as unknown");
      if (*a.how == mux::verdict::answered && a.heard == mux::answer::failed && a.executed != 0)
        fault("told as failed, and it was executed");
      const bool done = a.executed == 1 || a.kind == lane_kind::read;
      if (*a.how == mux::verdict::answered && a.heard == mux::answer::good && !ends_badly_ && !done) fault("told as done, and it was not");
      if (*a.how == mux::verdict::answered && a.heard == mux::answer::skipped) fault("told as answered, and it was skipped");
    }
  }
  void finish() {
    fails_ = 0;
    for (int round = 0; round < 3000 && faults_.empty(); ++round) {
      turn();
      for (std::size_t i = 0; i < limits_.max_lanes; ++i) obey_one();
      for (std::size_t i = 0; i < limits_.max_lanes; ++i) {
        auto& l = rig_.d.lane_at(i);
        if (rig_.wires[i].cut && (l.state == lane_state::ready || l.state == lane_state::draining) && l.order == lane_order::none &&
            orders_[i] == lane_order::none) {
          rig_.d.died(l, rig_.now);
        }
      }
      rig_.answer_all();
      rig_.now += 10ms;
      if (rig_.d.due() <= rig_.now) rig_.d.tick_at(rig_.now);
      check();
      if (std::all_of(rig_.all.begin(), rig_.all.end(), [](const auto& each) { return each->told == 1; })) break;
    }
    for (const auto& each : rig_.all) {
      if (each->told != 1) fault("statement " + std::to_string(each->name) + " was never told");
    }
    rig_.d.close(rig_.now);
    for (int round = 0; round < 100 && !rig_.d.vacant(); ++round) {
      rig_.answer_all();
      obey_one();
    }
    if (!rig_.d.vacant()) fault("lanes are left after a close");
  }
  void fault(const std::string& what) {
    if (faults_.empty()) faults_ = what;
  }

  tidepool::detail::splitmix random_;
  mux_rig rig_;
  mux::rules limits_;
  std::vector<lane_order> orders_;
  bool ends_badly_ = false;  ///< transactions fail at their end at times
  std::size_t fails_ = 20;
  std::string faults_;
};

}  // namespace

TEST_CASE("given random statements, servers and losses, then each is told once, and the truth") {
  mux::counters all{};
  for (std::uint64_t seed = 1; seed <= 600; ++seed) {
    mux::rules limits;
    limits.max_lanes = 1 + seed % 5;
    limits.max_depth = 1 + seed % 7;
    limits.max_bytes = 1500;
    limits.max_group = 1 + seed % 4 * 2;
    limits.max_waiting = 20;
    model_run one(seed, limits);
    const auto found = one.run(400);
    INFO("seed " << seed);
    REQUIRE(found == "");
    const auto& c = one.counts();
    all.answered += c.answered;
    all.skipped += c.skipped;
    all.stale += c.stale;
    all.resent += c.resent;
    all.unknown += c.unknown;
    all.lost += c.lost;
    all.late += c.late;
    all.refused += c.refused;
    all.no_lane += c.no_lane;
    all.dropped += c.dropped;
    all.stalls += c.stalls;
    all.lanes_turned += c.lanes_turned;
    all.lanes_lost += c.lanes_lost;
    CHECK(c.submitted == c.answered + c.refused + c.late + c.cancelled + c.closed + c.no_lane + c.lost + c.unknown);
  }
  // Everything has happened.
  for (const auto count : {all.answered, all.skipped, all.stale, all.resent, all.unknown, all.lost, all.late, all.refused, all.no_lane,
                           all.dropped, all.stalls, all.lanes_turned, all.lanes_lost}) {
    CHECK(count > 0);
  }
}
