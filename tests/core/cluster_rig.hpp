// SPDX-License-Identifier: BSL-1.0
// tidepool - a cluster's core with hosts of the test's own: time is a number, and nothing answers by itself.
#ifndef TIDEPOOL_TESTS_CLUSTER_RIG_HPP
#define TIDEPOOL_TESTS_CLUSTER_RIG_HPP

#include <tidepool/postgres/detail/cluster/cluster_core.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace tidepool_tests {

using namespace std::chrono_literals;
namespace fleet = tidepool::postgres::detail::fleet;
using fleet::no_host;
using fleet::probe_failure;
using fleet::verdict;
using tidepool::detail::tick;
using tidepool::postgres::cluster_state;
using tidepool::postgres::host_state;
using tidepool::postgres::read_fallback;

/// A caller, and what it was told.
struct fleet_caller : fleet::waiter {
  fleet_caller() {
    complete = [](fleet::waiter& w) noexcept {
      auto& self = static_cast<fleet_caller&>(w);
      ++self.told;
      if (self.heard && *self.heard) (*self.heard)(self);
    };
  }
  int told = 0;
  const std::function<void(fleet_caller&)>* heard = nullptr;
};

inline fleet::probe_answer a_primary(std::uint32_t timeline, std::uint64_t lsn = 0, std::int64_t clock = 0) {
  fleet::probe_answer said;
  said.timeline = timeline;
  said.lsn = lsn;
  said.clock = clock;
  return said;
}
inline fleet::probe_answer a_standby(std::uint64_t lsn = 0, std::int64_t replayed_at = 0) {
  fleet::probe_answer said;
  said.standby = true;
  said.lsn = lsn;
  said.replayed_at = replayed_at;
  return said;
}

class cluster_rig {
 public:
  explicit cluster_rig(std::size_t hosts, std::size_t room = 2, const fleet::rules& limits = {}, std::uint64_t seed = 1)
      : core(hosts, limits, seed, now) {
    for (std::size_t i = 0; i < hosts; ++i) core.set_room(i, room, room, now);
    core.tick_at(now);
  }

  /// Lets time pass; probes that become due begin.
  void pass(std::chrono::milliseconds span) {
    const tick until = now + span;
    answer_by_itself();
    while (core.next() <= until) {
      now = std::max(now, core.next());
      core.tick_at(now);
      if (core.next() <= now) FAIL("the core asks for the same moment again");
      answer_by_itself();
    }
    now = until;
    core.tick_at(now);
  }
  /// From now on the host answers each probe at once, while time passes.
  void keep_answering(std::size_t i, const fleet::probe_answer& said) { by_itself[i] = said; }
  void stop_answering(std::size_t i) { by_itself.erase(i); }
  /// Until the host is being asked.
  void await_probe(std::size_t i) {
    for (int n = 0; n < 10000 && !core.at(i).in_flight; ++n) pass(1ms);
    REQUIRE(core.at(i).in_flight);
  }
  void answer(std::size_t i, const fleet::probe_answer& said) {
    await_probe(i);
    core.answered(i, said, now);
    core.tick_at(now);
  }
  void fail(std::size_t i, probe_failure why) {
    await_probe(i);
    core.failed(i, why, now);
    core.tick_at(now);
  }
  fleet_caller& ask(bool writes, std::chrono::nanoseconds max_lag = tidepool::no_limit, read_fallback fallback = read_fallback::wait,
                    std::uint64_t not_before = 0) {
    auto& w = *callers.emplace_back(std::make_unique<fleet_caller>());
    w.heard = &on_told;
    w.writes = writes;
    w.max_lag = max_lag;
    w.fallback = fallback;
    w.not_before = not_before;
    core.ask(w, now);
    core.tick_at(now);
    return w;
  }
  fleet_caller& write() { return ask(true); }
  fleet_caller& read(std::chrono::nanoseconds max_lag = tidepool::no_limit, read_fallback fallback = read_fallback::wait) {
    return ask(false, max_lag, fallback);
  }
  void release(fleet_caller& w) {
    if (w.counts) core.got(w);
    core.released(w.host, now);
    core.tick_at(now);
  }
  fleet::orders orders(std::size_t i) { return core.take_orders(i); }

  void answer_by_itself() {
    for (const auto& [i, said] : by_itself) {
      if (!core.at(i).in_flight) continue;
      core.answered(i, said, now);
      core.tick_at(now);
    }
  }

  tick now = tick(1h);
  std::map<std::size_t, fleet::probe_answer> by_itself;
  fleet::cluster_core core;
  std::deque<std::unique_ptr<fleet_caller>> callers;
  std::function<void(fleet_caller&)> on_told;
};

}  // namespace tidepool_tests

#endif
