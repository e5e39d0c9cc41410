// SPDX-License-Identifier: BSL-1.0
// tidepool - what a real fleet does, under load: switched, killed, frozen, cut off, without its etcd, behind poolers, lagging.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "../support/catch.hpp"
#include "../support/pace.hpp"
#include "load.hpp"
#include "needs_fleet.hpp"

using namespace tidepool_fleet;

namespace {

/// A change of the primary, or its absence.
struct incident {
  moment hit{};
  watcher::change cure{};
};
/// What becomes of a row.
struct figures {
  double away_ms = 0, first_ms = 0, full_ms = 0;  ///< the worst of the row's incidents
  std::size_t confirmed = 0, failed = 0, refused = 0, read_only = 0;
  std::size_t lost = 0, undone = 0;  ///< confirmed and not there; refused by the server and there
  std::size_t unknown = 0, unknown_there = 0;
  std::size_t reads = 0, at_replica = 0, failed_reads = 0, stale = 0, stale_without_bound = 0;
  double oldest_ms = 0;
  std::string why;
};

figures judge(const load& on, const load_setup& how, const std::vector<incident>& incidents) {
  figures out;
  std::set<std::string> there;
  for (const auto& row : on_node(leader(), "select id from fleet_ledger where id like '" + how.row + "-%'")) there.insert(row.at(0));
  const auto note = [&out](const std::string& why) {
    if (out.why.empty()) out.why = why;
  };
  for (const auto& w : on.writes()) {
    if (w.read_only) ++out.read_only;
    const bool found = there.contains(w.id);
    switch (w.how) {
      case ending::confirmed:
        ++out.confirmed;
        if (!found) ++out.lost;
        break;
      case ending::refused:
        ++out.refused;
        note(w.why);
        break;
      case ending::failed:
        ++out.failed;
        if (found) ++out.undone;
        note(w.why);
        break;
      case ending::unknown:
        ++out.failed;
        ++out.unknown;
        if (found) ++out.unknown_there;
        break;
    }
  }
  for (const auto& r : on.reads()) {
    if (!r.bounded) {
      if (r.behind_ms > static_cast<double>(how.max_lag.count())) ++out.stale_without_bound;
      continue;
    }
    ++out.reads;
    if (r.at_replica) ++out.at_replica;
    if (!r.ok) {
      ++(r.leased ? out.failed_reads : out.refused);
      if (!r.leased) note(r.why);
      continue;
    }
    out.oldest_ms = std::max(out.oldest_ms, r.behind_ms);
    if (r.behind_ms > static_cast<double>(how.max_lag.count())) ++out.stale;
  }
  for (const auto& i : incidents) {
    // The watcher looks every 20 ms: some may write before it knows.
    double first = 1e9;
    for (const auto& w : on.writes()) {
      if (w.how == ending::confirmed && w.node == i.cure.node && w.ended >= i.cure.at - 60ms)
        first = std::min(first, ms_between(i.cure.at, w.ended));
    }
    const auto full = on.full_after(i.cure.node, i.hit);
    out.first_ms = std::max(out.first_ms, std::max(0.0, first));
    out.full_ms = std::max(out.full_ms, full == moment::max() ? 1e9 : std::max(0.0, ms_between(i.cure.at, full)));
    out.away_ms = std::max(out.away_ms, ms_between(i.hit, i.cure.at));
  }
  return out;
}

std::string in_ms(double value) {
  char out[32];
  std::snprintf(out, sizeof out, "%.0f ms", value);
  return out;
}
std::string in_s(double ms) {
  char out[32];
  std::snprintf(out, sizeof out, "%.1f s", ms / 1000);
  return out;
}

/// The load, what happens to the fleet meanwhile, and what has to be true of it.
void run_row(const load_setup& how, const std::function<std::vector<incident>(load&, const watcher&)>& events,
             const std::function<std::string(const load&, const figures&)>& more = {}) {
  settle();
  const watcher watched;
  load on(how);
  REQUIRE(on.started());
  wait_for(1s);
  const auto incidents = events(on, watched);
  const auto topology = on.topology();
  const auto refused_writes = on.refused_writes();
  on.stop();
  settle();
  const auto f = judge(on, how, incidents);
  // Each caller has one lease at most, and loses one at most by an incident.
  const auto in_flight = incidents.size() * static_cast<std::size_t>(how.writers + how.readers + 1);
  const bool none = incidents.empty();
  INFO(topology);
  INFO(f.why);
  const std::string remark = more ? more(on, f) : "";
  report(how.row, (none ? "– | – | –" : in_s(f.away_ms) + " | " + in_ms(f.first_ms) + " | " + in_ms(f.full_ms)) + " | " +
                      std::to_string(f.failed + f.failed_reads) + " of " + std::to_string(in_flight) + " | " + std::to_string(f.refused) +
                      " | " + std::to_string(f.read_only) + " | " + std::to_string(f.lost) + " of " + std::to_string(f.confirmed) + " | " +
                      std::to_string(f.stale) + " of " + std::to_string(f.reads) + ", " + in_ms(f.oldest_ms) + " | " +
                      (f.unknown > 0 ? std::to_string(f.unknown) + " unknown, " + std::to_string(f.unknown_there) + " of them done" : "") +
                      (f.unknown > 0 && !remark.empty() ? "; " : "") + remark);
  for (const auto& i : incidents) CHECK(i.cure.node != 0);
  CHECK(f.failed + f.failed_reads <= in_flight);
  CHECK(f.refused == 0);
  CHECK(f.read_only == 0);
  CHECK(refused_writes == 0);
  CHECK(f.lost == 0);
  CHECK(f.undone == 0);
  CHECK(f.stale == 0);
  CHECK(f.at_replica > f.reads / 4);
  CHECK(f.first_ms < 500 * tidepool_tests::slowness());
  CHECK(f.full_ms < 1000 * tidepool_tests::slowness());
}

incident switched(const watcher& watched) {
  incident i;
  i.hit = clock::now();
  rig("switchover");
  i.cure = watched.writable_after(i.hit, 30s);
  wait_for(3s);
  settle();
  return i;
}

}  // namespace

TEST_CASE("row 1: given a fleet, when Patroni switches over twice, then callers go on at the new primary", "[fleet][field-L4][field-L14]") {
  NEEDS_FLEET();
  load_setup how;
  how.row = "1";
  moment last{};
  run_row(
      how,
      [&last](load&, const watcher& watched) {
        std::vector<incident> out;
        for (int i = 0; i < 2; ++i) out.push_back(switched(watched));
        wait_for(2s);
        last = clock::now();
        return out;
      },
      [&last](const load& on, const figures&) {
        // Both replicas are read, the one that was the primary a moment ago as well.
        std::array<std::size_t, 8> at{};
        std::size_t all = 0;
        for (const auto& r : on.reads()) {
          if (!r.ok || !r.at_replica || r.ended < last - 1s || r.ended > last) continue;
          ++at[static_cast<std::size_t>(r.node)];
          ++all;
        }
        CHECK(std::count_if(at.begin(), at.end(), [all](std::size_t n) { return n > all / 10; }) == 2);
        return std::string();
      });
}

TEST_CASE("row 2: given a fleet, when the primary's node is killed, then callers wait for the next one", "[fleet]") {
  NEEDS_FLEET();
  load_setup how;
  how.row = "2";
  run_row(how, [](load&, const watcher& watched) {
    const int old = leader();
    incident i;
    i.hit = clock::now();
    rig("kill " + std::to_string(old));
    i.cure = watched.writable_after(i.hit, 60s);
    wait_for(3s);
    rig("revive " + std::to_string(old));
    settle();
    wait_for(2s);
    return std::vector<incident>{i};
  });
}

TEST_CASE("row 3: given a fleet, when the primary's node freezes and is thawed, then it is left for good", "[fleet][field-L3]") {
  NEEDS_FLEET();
  load_setup how;
  how.row = "3";
  std::size_t taken = 0;
  moment frozen{};
  run_row(
      how,
      [&frozen](load&, const watcher& watched) {
        const int old = leader();
        incident i;
        i.hit = frozen = clock::now();
        rig("freeze " + std::to_string(old));
        i.cure = watched.writable_after(i.hit, 60s);
        wait_for(3s);
        rig("thaw " + std::to_string(old));
        wait_for(3s);
        settle();
        wait_for(2s);
        return std::vector<incident>{i};
      },
      [&](const load& on, const figures&) {
        // Found silent within a second and what a probe has: nobody is given a place there after that.
        for (const auto& w : on.writes()) {
          if (w.how == ending::unknown && w.granted > frozen + 2300ms) ++taken;
        }
        CHECK(taken == 0);
        return std::string();
      });
}

TEST_CASE("row 4a: given a fleet, when clients are cut off from the primary, then they go on with the mend", "[fleet][field-L8]") {
  NEEDS_FLEET();
  load_setup how;
  how.row = "4a";
  run_row(how, [](load&, const watcher& watched) {
    incident i;
    i.hit = clock::now();
    rig("cut " + std::to_string(leader()));
    wait_for(6s);
    rig("mend");
    i.cure = watched.writable_after(i.hit, 30s);
    // Twice what a second gap would take: rows kept locked by the server's half of the old connections.
    wait_for(5s);
    return std::vector<incident>{i};
  });
}

TEST_CASE("row 4b: given a fleet, when the primary's node is cut off from all, then the next one is followed", "[fleet]") {
  NEEDS_FLEET();
  load_setup how;
  how.row = "4b";
  run_row(how, [](load&, const watcher& watched) {
    incident i;
    i.hit = clock::now();
    rig("isolate " + std::to_string(leader()));
    i.cure = watched.writable_after(i.hit, 60s);
    wait_for(3s);
    rig("mend");
    wait_for(2s);
    settle();
    wait_for(1s);
    return std::vector<incident>{i};
  });
}

TEST_CASE("row 5: given a fleet, when etcd goes away and no node may be primary, then callers wait", "[fleet]") {
  NEEDS_FLEET();
  load_setup how;
  how.row = "5";
  run_row(how, [](load&, const watcher& watched) {
    incident i;
    i.hit = clock::now();
    rig("etcd stop");
    for (const auto end = i.hit + 30s; clock::now() < end && !watched.none_writable(); wait_for(5ms)) {
    }
    CHECK(watched.none_writable());
    wait_for(4s);
    rig("etcd start");
    i.cure = watched.writable_after(i.hit, 60s);
    wait_for(4s);
    return std::vector<incident>{i};
  });
}

TEST_CASE("row 6: given a PgBouncer on each node, when Patroni switches over, then it is noticed through them", "[fleet][field-L1]") {
  NEEDS_FLEET();
  load_setup how;
  how.row = "6";
  how.hosts = all_hosts(6432);
  bool pooled = false;
  run_row(
      how,
      [&pooled](load& on, const watcher& watched) {
        pooled = on.behind_pooler();
        return std::vector<incident>{switched(watched)};
      },
      [&pooled](const load&, const figures&) {
        CHECK(pooled);
        return std::string();
      });
}

TEST_CASE("row 7: given a bound of lag, when a replica replays nothing, then nobody reads it until it does", "[fleet][field-L5]") {
  NEEDS_FLEET();
  load_setup how;
  how.row = "7";
  how.readers = 10;
  how.careless_readers = 2;
  const int primary = leader();
  const int slow = primary == 2 ? 3 : 2;
  moment hit{}, cure{}, left{}, back = moment::max();
  run_row(
      how,
      [&](load&, const watcher&) {
        hit = clock::now();
        rig("lag " + std::to_string(slow));
        wait_for(6s);
        cure = clock::now();
        rig("unlag " + std::to_string(slow));
        wait_for(3s);
        return std::vector<incident>{};
      },
      [&](const load& on, const figures& f) {
        std::size_t before = 0;
        for (const auto& r : on.reads()) {
          if (!r.bounded || r.node != slow || !r.ok) continue;
          if (r.ended < hit) ++before;
          if (r.ended < cure) left = std::max(left, r.ended);
          if (r.ended > cure) back = std::min(back, r.ended);
        }
        CHECK(before > 50);
        CHECK(left < hit + how.max_lag + milliseconds(200));
        CHECK(back < cure + 2s);
        CHECK(f.stale_without_bound > 50);  // so the record would have told
        CHECK(f.failed == 0);
        CHECK(f.failed_reads == 0);
        return "the slow replica was read for " + in_ms(ms_between(hit, left)) + " more, and again " + in_ms(ms_between(cure, back)) +
               " after it went on; readers without a bound had " + std::to_string(f.stale_without_bound) + " such reads";
      });
}
