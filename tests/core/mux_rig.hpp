// SPDX-License-Identifier: BSL-1.0
// tidepool - the multiplexer's dispatcher with lanes and a server of the test's own: time is a number, and nothing happens by itself.
#ifndef TIDEPOOL_TESTS_MUX_RIG_HPP
#define TIDEPOOL_TESTS_MUX_RIG_HPP

#include <tidepool/postgres/detail/mux/dispatcher.hpp>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace tidepool_tests {

using namespace std::chrono_literals;
namespace mux = tidepool::postgres::detail::mux;
using mux::lane_kind;
using mux::lane_order;
using mux::lane_state;
using tidepool::detail::never;
using tidepool::detail::tick;

/// One statement of a test, and what became of it.
struct asked : mux::job {
  explicit asked(std::size_t n) : name(n) {
    complete = [](mux::job* j, mux::verdict v) noexcept {
      auto& self = static_cast<asked&>(*j);
      ++self.told;
      self.how = v;
    };
  }
  std::size_t name;
  int told = 0;
  std::optional<mux::verdict> how;
  mux::answer heard = mux::answer::none;  ///< the latest answer of the server that was handed to it
  int executed = 0;                       ///< how often the server did it, and kept it
  bool bad = false;                       ///< the server refuses it
  int stale = 0;                          ///< how often the server no longer has it prepared
};

/// A server's end of one lane: what was put and flushed, in order.
struct wire {
  struct message {
    std::size_t statement = 0;
    bool sync = false;
  };
  std::deque<message> unflushed, arrived;
  std::vector<std::size_t> done;  ///< executed since the last Sync
  bool skips = false;             ///< up to the next Sync
  bool cut = false;
};

class mux_rig {
 public:
  explicit mux_rig(const mux::rules& limits = {}) : d(limits), wires(limits.max_lanes) {}

  asked& ask(lane_kind kind, std::uint32_t bytes = 100, tick deadline = never) {
    auto& made = *all.emplace_back(std::make_unique<asked>(all.size()));
    made.kind = kind;
    made.bytes = bytes;
    d.submit(made, now, deadline);
    return made;
  }
  asked& read() { return ask(lane_kind::read); }
  asked& write() { return ask(lane_kind::write); }

  // --- as an Io of the dispatcher
  mux::put_result put(mux::lane& on, mux::job& j) {
    auto& one = static_cast<asked&>(j);
    if (refuse.contains(one.name)) return mux::put_result::refused;
    auto& w = wires[on.index];
    if (w.cut) return mux::put_result::lost;
    w.unflushed.push_back({one.name, false});
    if (on_put) on_put(on, one);
    return mux::put_result::sent;
  }
  bool sync(mux::lane& on) {
    wires[on.index].unflushed.push_back({0, true});
    return !wires[on.index].cut;
  }
  bool flush(mux::lane& on) {
    auto& w = wires[on.index];
    if (w.cut) return false;
    w.arrived.insert(w.arrived.end(), w.unflushed.begin(), w.unflushed.end());
    w.unflushed.clear();
    ++flushes;
    return true;
  }
  void turn() { d.dispatch(now, *this); }

  // --- orders
  std::vector<std::pair<lane_order, std::size_t>> orders() {
    std::vector<std::pair<lane_order, std::size_t>> out;
    auto what = lane_order::none;
    while (mux::lane* l = d.next_order(what)) out.emplace_back(what, l->index);
    return out;
  }
  /// Carries out every order at once and well.
  void obey() {
    for (bool again = true; again;) {
      again = false;
      for (const auto& [what, index] : orders()) {
        again = true;
        auto& l = d.lane_at(index);
        if (what == lane_order::open) wires[index] = {};
        if (what == lane_order::open || what == lane_order::turn) d.ready(l, now, never);
        if (what == lane_order::release || what == lane_order::kill) d.vacated(l);
      }
      if (again) turn();
    }
  }
  void settle() {
    turn();
    obey();
  }
  /// Opens `reads` and `writes` lanes, which have been idle for no time.
  void open(std::size_t reads, std::size_t writes) {
    const auto serve = [&](lane_kind kind, std::size_t count) {
      for (std::size_t had = lanes(kind); had < count; had = lanes(kind)) {
        // One more statement than lanes are there.
        std::vector<asked*> load;
        for (std::size_t i = 0; i <= had; ++i) load.push_back(&ask(kind));
        settle();
        answer_all();
        settle();
        answer_all();
      }
    };
    serve(lane_kind::read, reads);
    serve(lane_kind::write, writes);
    answer_all();
  }
  std::size_t lanes(lane_kind kind) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < d.lane_count(); ++i) count += d.lane_at(i).state == lane_state::ready && d.lane_at(i).kind == kind;
    return count;
  }
  mux::lane& of(const asked& a) {
    REQUIRE(a.on != nullptr);
    return *a.on;
  }

  // --- the server
  /// Does the next thing on a lane, and tells the dispatcher of it. False: there is nothing.
  bool serve(std::size_t index, bool fails_at_end = false) {
    auto& w = wires[index];
    auto& l = d.lane_at(index);
    if (w.cut || w.arrived.empty()) return false;
    const auto next = w.arrived.front();
    w.arrived.pop_front();
    // Where this side has given the lane up, the server goes on with what it has.
    const bool heard = l.state == lane_state::ready || l.state == lane_state::draining;
    if (next.sync) {
      for (const auto name : w.done) {
        if (!fails_at_end) ++all[name]->executed;
      }
      w.done.clear();
      w.skips = false;
      if (heard) CHECK(d.synced(l, fails_at_end, now));
      return true;
    }
    auto& one = *all[next.statement];
    mux::answer said = mux::answer::good;
    if (w.skips) {
      said = mux::answer::skipped;
    } else if (one.stale > 0) {
      --one.stale;
      said = mux::answer::stale;
      w.skips = true;
    } else if (one.bad) {
      said = mux::answer::failed;
      w.skips = true;
      // A group is one transaction: what it wrote is undone.
      std::erase_if(w.done, [this](std::size_t name) { return all[name]->kind == lane_kind::write; });
    } else {
      w.done.push_back(next.statement);
    }
    if (!heard) return true;
    mux::job* const expected = d.next_of(l);
    if (expected != nullptr) {
      CHECK(static_cast<asked*>(expected)->name == next.statement);  // answers belong to their askers
      static_cast<asked*>(expected)->heard = said;
    }
    CHECK(d.answered(l, said, now));
    return true;
  }
  void answer_all() { answer_all_but(d.lane_count()); }
  void answer_all_but(std::size_t lane) {
    for (bool more = true; more;) {
      more = false;
      for (std::size_t i = 0; i < d.lane_count(); ++i) {
        while (i != lane && serve(i)) more = true;
      }
    }
  }
  void cut(std::size_t index) {
    wires[index].cut = true;
    wires[index].done.clear();
  }

  tick now{1h};
  mux::dispatcher d;
  std::vector<std::unique_ptr<asked>> all;
  std::vector<wire> wires;
  std::set<std::size_t> refuse;
  std::function<void(mux::lane&, asked&)> on_put;
  std::size_t flushes = 0;
};

}  // namespace tidepool_tests

#endif
