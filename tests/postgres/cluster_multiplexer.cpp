// SPDX-License-Identifier: BSL-1.0
// tidepool - a multiplexer over a cluster in virtual time: which server gets which statement, while roles, lags and silences change.
#include <string>

#include "../support/on_end.hpp"
#include "fake_fleet.hpp"

namespace {

using namespace tidepool_tests;
using simulated_multiplexer = pg::basic_multiplexer<simulated_cluster>;

/// A fleet, its cluster, and callers of a multiplexer who write and read all the time.
class lane_load {
 public:
  lane_load(std::size_t servers, pg::read_options reads, std::uint64_t seed = 1)
      : sim(seed), fleet(sim, servers), db(sim.get_executor(), fleet.options(), options_of()), mux(db, lanes_of(reads)), reads_(reads) {
    asio::co_spawn(sim.get_executor(), write(), tidepool::rethrow);
    for (int i = 0; i < 3; ++i) asio::co_spawn(sim.get_executor(), read(), tidepool::rethrow);
  }
  static pg::cluster_options options_of() {
    pg::cluster_options how;
    how.primary.name = "lanes";
    how.primary.min_size = how.replicas.min_size = 0;
    how.primary.max_size = how.replicas.max_size = 4;
    how.primary.acquire_timeout = 5s;
    return how;
  }
  static pg::multiplexer_options lanes_of(const pg::read_options& reads) {
    pg::multiplexer_options how;
    how.max_lanes = 3;
    how.timeout = 20s;
    how.reads = reads;
    return how;
  }
  /// Until the multiplexer has ended.
  void finish() {
    over = true;
    bool done = false;
    auto work = [](lane_load& of) -> asio::awaitable<void> {
      co_await of.mux.close(1s);
      co_await of.db.close();
    };
    asio::co_spawn(sim.get_executor(), work(*this), on_end([&](const std::exception_ptr&) { done = true; }));
    REQUIRE(sim.run_while_not([&] { return done; }));
    sim.run_for(5s);
  }
  /// How many statements of a kind each server has got within a time.
  struct counts {
    std::vector<std::size_t> writes, reads;
  };
  counts during(std::chrono::milliseconds span) {
    counts before = count();
    sim.run_for(span);
    counts now = count();
    for (std::size_t i = 0; i < now.writes.size(); ++i) {
      now.writes[i] -= before.writes[i];
      now.reads[i] -= before.reads[i];
    }
    return now;
  }
  counts count() {
    counts out;
    for (const auto& each : fleet.servers) {
      out.writes.push_back(each->written.size());
      out.reads.push_back(each->reads);
    }
    return out;
  }

  testing::simulation sim;
  fake_fleet fleet;
  simulated_cluster db;
  simulated_multiplexer mux;
  bool over = false;
  std::size_t confirmed = 0, unknown = 0, failed = 0, refused = 0, stale = 0, answered = 0, failed_reads = 0;
  std::string why;

 private:
  asio::awaitable<void> pause_for(std::chrono::milliseconds span) {
    testing::virtual_timer timer(sim.get_executor());
    timer.expires_after(span);
    co_await timer.async_wait(asio::use_awaitable);
  }
  asio::awaitable<void> write() {
    for (int i = 0; !over; ++i) {
      try {
        const std::string number = std::to_string(i);
        const auto done = co_await mux.exec("insert into ledger values ($1)", number);
        confirmed += done.affected();
      } catch (const pg::error& failure) {
        if (failure.is("25006")) ++refused;
        ++(failure.reason() == pg::errc::outcome_unknown ? unknown : failed);
        why = failure.what();
      } catch (const tidepool::system_error& failure) {
        ++failed;
        why = failure.what();
      }
      co_await pause_for(10ms);
    }
  }
  asio::awaitable<void> read() {
    while (!over) {
      try {
        const auto began = sim.now();
        const auto seen = co_await mux.read_one<std::string>("select position");
        ++answered;
        if (reads_.max_lag != tidepool::no_limit && std::stoull(seen) < fleet.log_at(began - reads_.max_lag)) ++stale;
      } catch (const tidepool::system_error& failure) {
        ++failed_reads;
        why = failure.what();
      }
      co_await pause_for(5ms);
    }
  }
  pg::read_options reads_;
};

}  // namespace

TEST_CASE("given a multiplexer over a cluster, then it writes at the primary and reads at the replicas") {
  lane_load load(3, {.max_lag = 2s});
  load.sim.run_for(2s);
  const auto seen = load.during(2s);
  INFO(load.why);
  CHECK(seen.writes[0] > 100);
  CHECK(seen.reads[0] == 0);
  CHECK(seen.reads[1] + seen.reads[2] > 500);
  CHECK(load.stale + load.refused + load.failed + load.failed_reads == 0);
  load.finish();
  CHECK(load.db.topology().hosts[0].leases == 0);
  CHECK(load.db.topology().hosts[1].leases == 0);
}

TEST_CASE("given lanes of a replica that falls behind, then no statement is beyond its bound, they come back") {
  lane_load load(2, {.max_lag = 500ms});
  load.sim.run_for(2s);
  CHECK(load.during(1s).reads[1] > 200);
  load.fleet.at(1).delay = 10s;
  load.sim.run_for(600ms);
  const auto behind = load.during(3s);
  CHECK(behind.reads[1] == 0);
  CHECK(behind.reads[0] > 1000);
  load.fleet.at(1).delay = 0s;
  load.sim.run_for(3s);
  const auto again = load.during(2s);
  CHECK(again.reads[0] == 0);
  CHECK(again.reads[1] > 500);
  INFO(load.why);
  CHECK(load.stale == 0);
  CHECK(load.failed + load.failed_reads == 0);
  load.finish();
}

TEST_CASE("given lanes of a primary that is switched over, then they move, and no write is refused as read-only") {
  lane_load load(2, {.max_lag = 2s});
  load.sim.run_for(2s);
  load.fleet.stop(0);
  load.sim.run_for(500ms);
  load.fleet.promote(1);
  load.sim.run_for(1s);
  const auto after = load.during(1s);
  CHECK(after.writes[1] > 50);
  CHECK(after.reads[1] > 200);
  load.fleet.rejoin(0);
  load.fleet.start(0);
  load.sim.run_for(5s);
  const auto both = load.during(2s);
  CHECK(both.writes[0] == 0);
  CHECK(both.writes[1] > 100);
  CHECK(both.reads[0] > 500);
  CHECK(both.reads[1] == 0);
  INFO(load.why);
  CHECK(load.refused + load.stale + load.failed_reads == 0);
  CHECK(load.unknown <= 1);
  load.finish();
}

TEST_CASE("given lanes of a primary that freezes, then they are shut after the grace, and thawed it gets none") {
  lane_load load(2, {.max_lag = 2s});
  load.sim.run_for(2s);
  load.fleet.freeze(0);
  load.sim.run_for(2500ms);
  load.fleet.promote(1);
  load.sim.run_for(3s);
  const auto taken = load.fleet.at(0).written.size();
  CHECK(load.during(1s).writes[1] > 50);
  load.fleet.thaw(0);
  load.sim.run_for(5s);
  CHECK(load.db.topology().hosts[0].state == pg::host_state::fenced);
  CHECK(load.fleet.at(0).written.size() == taken);
  CHECK(load.unknown <= 1);
  CHECK(load.refused == 0);
  load.finish();
}
