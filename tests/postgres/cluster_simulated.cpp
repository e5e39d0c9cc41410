// SPDX-License-Identifier: BSL-1.0
// tidepool - the whole cluster in virtual time: random outages under load, what a lost place means for leases, hosts that come and go.
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>

#include "../support/on_end.hpp"
#include "fake_fleet.hpp"

namespace {

using namespace tidepool_tests;
namespace fleets = pg::detail::fleet;

pg::cluster_options simulated_options(std::size_t most = 3) {
  pg::cluster_options how;
  how.primary.name = "fleet";
  how.primary.min_size = how.replicas.min_size = 0;
  how.primary.max_size = how.replicas.max_size = most;
  how.primary.acquire_timeout = 30s;
  return how;
}
asio::awaitable<void> virtual_pause(testing::simulation& sim, std::chrono::milliseconds span) {
  testing::virtual_timer timer(sim.get_executor());
  timer.expires_after(span);
  co_await timer.async_wait(asio::use_awaitable);
}
/// Runs the work to its end; its exception.
std::string outcome_in(testing::simulation& sim, asio::awaitable<void> work) {
  std::optional<std::string> out;
  const on_end at_end = [&](const std::exception_ptr& failure) {
    out = "";
    try {
      if (failure) std::rethrow_exception(failure);
    } catch (const std::exception& why) {
      out = why.what();
    }
  };
  asio::co_spawn(sim.get_executor(), std::move(work), at_end);
  if (!sim.run_while_not([&] { return out.has_value(); })) return "it has not ended";
  return *out;
}

/// Servers that fail at random, callers, and what must hold at each grant.
class random_fleet {
 public:
  random_fleet(std::uint64_t seed, std::size_t servers)
      : sim(seed), fleet(sim, servers), db(sim.get_executor(), fleet.options(), simulated_options()), random_(seed) {
    for (int i = 0; i < 4; ++i) asio::co_spawn(sim.get_executor(), write(i), tidepool::rethrow);
    for (int i = 0; i < 4; ++i) asio::co_spawn(sim.get_executor(), read(), tidepool::rethrow);
  }
  std::string run(std::chrono::seconds span) {
    const auto end = sim.now() + span;
    while (sim.now() < end && faults.empty()) {
      sim.run_for(std::chrono::milliseconds(below(700)));
      happen();
    }
    heal();
    // One more probe of each, a second good answer, and a connect.
    sim.run_for(5s);
    const auto writes_then = writes, reads_then = reads;
    sim.run_for(3s);
    if (writes == writes_then) fault("no write after all is well: " + db.topology().text());
    if (reads == reads_then) fault("no read after all is well: " + db.topology().text());
    over = true;
    sim.run_for(40s);
    for (const auto& each : db.topology().hosts) {
      if (each.leases != 0) fault("a lease is left at " + each.host);
    }
    const auto closed = outcome_in(sim, db.close());
    if (!closed.empty()) fault(closed);
    sim.run_for(5s);
    return faults;
  }

  testing::simulation sim;
  fake_fleet fleet;
  simulated_cluster db;
  std::size_t writes = 0, reads = 0, at_replica = 0, failed = 0, refused = 0, promotions = 0;
  std::string faults;

 private:
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>((random_() >> 32U) * bound >> 32U); }
  void fault(const std::string& what) {
    if (faults.empty()) faults = what;
  }
  std::optional<std::size_t> true_primary() {
    std::optional<std::size_t> out;
    for (std::size_t i = 0; i < fleet.servers.size(); ++i) {
      const auto& x = fleet.at(i);
      if (!x.standby && (!out || x.timeline > fleet.at(*out).timeline)) out = i;
    }
    return out;
  }
  fleet_server* server_of(std::string_view host) {
    const auto hosts = db.topology().hosts;
    for (std::size_t i = 0; i < hosts.size(); ++i) {
      if (hosts[i].host == host) return &fleet.at(i);
    }
    return nullptr;
  }
  void happen() {
    const auto i = below(fleet.servers.size());
    auto& x = fleet.at(i);
    switch (below(9)) {
      case 0: x.frozen ? fleet.thaw(i) : fleet.freeze(i); break;
      case 1: x.up ? fleet.stop(i) : fleet.start(i); break;
      case 2: x.db.end_sessions(); break;
      case 3: x.delay = std::chrono::milliseconds(below(2) == 0 ? 0 : below(3000)); break;
      case 4:
        if (!x.standby) x.read_only = !x.read_only;
        break;
      case 5: {  // as Patroni does: when the primary is lost
        const auto now = true_primary();
        if (!now || !x.standby || !x.up || x.frozen || (fleet.at(*now).up && !fleet.at(*now).frozen)) break;
        fleet.promote(i);
        ++promotions;
        break;
      }
      case 6: {  // one that was superseded comes back as a standby
        const auto now = true_primary();
        if (now && i != *now && !x.standby && x.timeline < fleet.at(*now).timeline) {
          x.read_only = false;
          fleet.rejoin(i);
        }
        break;
      }
      default: break;
    }
  }
  void heal() {
    const auto now = true_primary();
    for (std::size_t i = 0; i < fleet.servers.size(); ++i) {
      auto& x = fleet.at(i);
      x.read_only = false;
      x.delay = 0ms;
      if (!x.up) fleet.start(i);
      if (x.frozen) fleet.thaw(i);
      if (i != *now && !x.standby) fleet.rejoin(i);
      x.db.end_sessions();
    }
  }
  std::uint32_t highest_seen() const {
    std::uint32_t out = 0;
    for (const auto& each : db.topology().hosts) out = std::max(out, each.state == pg::host_state::standby ? 0 : each.timeline);
    return out;
  }
  asio::awaitable<void> write(int who) {
    for (int i = 0; !over; ++i) {
      try {
        auto lease = co_await db.primary(20s);
        const auto seen = db.topology();
        if (seen.primary() == nullptr || seen.primary()->host != lease.host()) fault("a write lease of a host that is not the primary");
        if (seen.primary() != nullptr && seen.primary()->timeline < highest_seen()) fault("a write lease of a lower timeline");
        const std::string number = std::to_string(who) + "-" + std::to_string(i);
        (void)co_await lease->exec(pg::within(10s), "insert into ledger values ($1)", number);
        ++writes;
      } catch (const pg::error& failure) {
        failure.is("25006") ? ++refused : ++failed;
      } catch (const tidepool::system_error&) {
        ++failed;
      }
      co_await virtual_pause(sim, 20ms);
    }
  }
  asio::awaitable<void> read() {
    while (!over) {
      try {
        const auto bound = std::chrono::milliseconds(200 + below(3000));
        auto lease = co_await db.replica({.max_lag = bound, .fallback = static_cast<pg::read_fallback>(below(3)), .timeout = 5s});
        const auto granted = sim.now();
        const auto now = true_primary();
        const auto all = db.topology();
        const auto* const seen = all.primary();
        const bool known = now && seen != nullptr && server_of(lease.host()) != nullptr && !fleet.at(*now).frozen && fleet.at(*now).up &&
                           seen->timeline == fleet.at(*now).timeline;
        const bool replica = !lease.from_primary();
        const auto position = co_await lease->one<std::string>(pg::within(5s), "select position");
        ++reads;
        if (replica) ++at_replica;
        // A promotion that no probe has shown yet cannot be known.
        if (known && replica && std::stoull(position) < fleet.log_at(granted - bound)) fault("a read beyond its bound");
      } catch (const tidepool::system_error&) {
        ++failed;
      }
      co_await virtual_pause(sim, 10ms);
    }
  }

  tidepool::detail::splitmix random_;
  bool over = false;
};

}  // namespace

TEST_CASE("given servers that fail at random, when callers use a cluster, then no lease is where it may not be") {
  const std::uint64_t seeds = std::getenv("TIDEPOOL_LONG") != nullptr ? 200 : 4;
  std::size_t writes = 0, replicas = 0, promotions = 0, failed = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    random_fleet one(seed, 2 + seed % 2);
    const auto found = one.run(30s);
    INFO("seed " << seed);
    REQUIRE(found == "");
    writes += one.writes;
    replicas += one.at_replica;
    promotions += one.promotions;
    failed += one.failed;
  }
  CHECK(writes > 100);
  CHECK(replicas > 100);
  CHECK(promotions > 0);
  CHECK(failed > 0);
}

TEST_CASE("given a write lease whose holder goes on, when its host lost its place, then it is shut at last") {
  testing::simulation sim(3);
  fake_fleet fleet(sim, 2);
  auto how = simulated_options();
  how.abort_grace = 2s;
  simulated_cluster db(sim.get_executor(), fleet.options(), how);
  fleet.at(0).db.allow("select long_work").never_answers();
  std::string idle_end, busy_end;
  std::chrono::milliseconds busy_for{};
  auto work = [&]() -> asio::awaitable<void> {
    auto idle = co_await db.primary();
    auto busy = co_await db.primary();
    auto go_on = [&]() -> asio::awaitable<void> {
      const auto began = sim.now();
      try {
        (void)co_await busy->exec("select long_work");
      } catch (const pg::error& failure) {
        busy_end = failure.what();
      }
      busy_for = std::chrono::duration_cast<std::chrono::milliseconds>(sim.now() - began);
    };
    asio::co_spawn(sim.get_executor(), go_on(), tidepool::rethrow);
    fleet.at(0).read_only = true;
    co_await virtual_pause(sim, 1900ms);
    must(busy_end.empty() && bool(*idle), "within the grace they work on");
    co_await virtual_pause(sim, 2500ms);
    try {
      (void)co_await idle->exec("select position");
    } catch (const pg::error& failure) {
      idle_end = failure.what();
    }
  };
  const auto failed = outcome_in(sim, work());
  CHECK(failed == "");
  CHECK(idle_end.find("has been read-only for") != std::string::npos);
  CHECK(idle_end.find("this lease was shut") != std::string::npos);
  CHECK(busy_end.find("this lease was shut") != std::string::npos);
  CHECK(busy_for >= 2s);
  CHECK(busy_for < 4s);
}

TEST_CASE("given warm standbys, when one is promoted, then the first write finds an open connection") {
  testing::simulation sim(4);
  fake_fleet fleet(sim, 2);
  auto how = simulated_options();
  how.primary.min_size = 2;
  how.warm_standby = true;
  simulated_cluster db(sim.get_executor(), fleet.options(), how);
  CHECK(outcome_in(sim, db.open()) == "");
  sim.run_for(3s);
  CHECK(db.stats()[0].total_connections >= 2);
  CHECK(db.stats()[1].total_connections == 2);
  fleet.stop(0);
  sim.run_for(300ms);
  fleet.promote(1);
  const auto connects = db.stats()[1].connects_started;
  auto work = [&]() -> asio::awaitable<void> {
    auto lease = co_await db.primary();
    (void)co_await lease->exec("insert into ledger values ($1)", "1");
  };
  CHECK(outcome_in(sim, work()) == "");
  CHECK(fleet.at(1).written.size() == 1);
  CHECK(db.stats()[1].connects_started == connects);
}

TEST_CASE("given cold standbys, then no connection is open there until somebody reads") {
  testing::simulation sim(4);
  fake_fleet fleet(sim, 2);
  auto how = simulated_options();
  how.primary.min_size = how.replicas.min_size = 1;
  simulated_cluster db(sim.get_executor(), fleet.options(), how);
  CHECK(outcome_in(sim, db.open()) == "");
  sim.run_for(3s);
  CHECK(db.stats()[1].connects_started == 0);
  auto work = [&]() -> asio::awaitable<void> { const auto lease = co_await db.replica({.fallback = pg::read_fallback::wait}); };
  CHECK(outcome_in(sim, work()) == "");
  CHECK(db.stats()[1].total_connections == 1);
}

TEST_CASE("given hosts that are exchanged, then the new one serves, leases of the old one end or are shut") {
  testing::simulation sim(5);
  fake_fleet fleet(sim, 3);
  const auto named = [&](std::initializer_list<std::size_t> which) {
    std::string hosts, ports;
    for (const auto i : which) {
      const auto where = fleet.at(i).db.conninfo();
      hosts += (hosts.empty() ? "" : ",") + where.substr(5, where.find(' ') - 5);
      ports += ports.empty() ? "5432" : ",5432";
    }
    return pg::options("host=" + hosts + " port=" + ports + " user=test dbname=test");
  };
  auto how = simulated_options();
  how.primary.close_grace = 5s;
  simulated_cluster db(sim.get_executor(), named({0, 1}), how);
  auto work = [&]() -> asio::awaitable<void> {
    const pg::read_options wait{.fallback = pg::read_fallback::wait};
    auto kept = co_await db.replica(wait);
    auto short_one = co_await db.replica(wait);
    const std::string old(kept.host());
    db.shell()->set_hosts(named({2, 0}));
    must(db.topology().hosts.size() == 2, "two again");
    must(db.topology().hosts[1].state == pg::host_state::primary, "one that stays is as it was, in the new order");
    (void)co_await short_one->exec("select position");
    short_one.release();
    auto other = co_await db.replica(wait);
    must(other.host() != old && other.host() == db.topology().hosts[0].host, "the new one serves");
    must(db.stats().size() == 2, "statistics of those that are hosts");
    must(kept.host() == old, "a lease knows its host");
    co_await virtual_pause(sim, 4s);
    (void)co_await kept->exec("select position");
    co_await virtual_pause(sim, 2s);
    std::string why;
    try {
      (void)co_await kept->exec("select position");
    } catch (const pg::error& failure) {
      why = failure.what();
    }
    must(why.find("was removed from the cluster") != std::string::npos, why);
    kept.release();
    const auto probes = fleet.at(1).db.asked().size();
    co_await virtual_pause(sim, 3s);
    must(fleet.at(1).db.asked().size() == probes, "it is asked no more");
    must(fleet.at(1).db.sessions() == 0, "and has no connection of this program");
    // Its place is used again, and the primary may go as well.
    db.shell()->set_hosts(named({0, 1, 2}));
    auto back = co_await db.replica(wait);
    back.release();
    co_await virtual_pause(sim, 3s);
    must(db.topology().hosts[1].state == pg::host_state::standby, "back again");
    db.shell()->set_hosts(named({1, 2}));
    must(db.topology().state == pg::cluster_state::no_primary, "the primary was removed");
    fleet.promote(2);
    auto last = co_await db.primary();
    must(last.host() == db.topology().hosts[1].host, "the one that takes writes now");
  };
  CHECK(outcome_in(sim, work()) == "");
  sim.run_for(10s);
  CHECK(outcome_in(sim, db.close()) == "");
}

TEST_CASE("given a host whose name leads to another server, then nothing that led to the old one is used again") {
  testing::simulation sim(6);
  fake_fleet fleet(sim, 1);
  simulated_cluster db(sim.get_executor(), fleet.options(), simulated_options());
  auto work = [&]() -> asio::awaitable<void> {
    auto held = co_await db.primary();
    auto idle = co_await db.primary();
    const auto old = idle.id();
    idle.release();
    // The same place, another server: a failover behind an address that stays.
    fleet.at(0).name = "another server";
    co_await virtual_pause(sim, 1500ms);
    auto fresh = co_await db.primary();
    must(fresh.id() != old, "the idle connection was closed");
    (void)co_await held->exec("insert into ledger values ($1)", "1");
    co_await virtual_pause(sim, 2500ms);
    std::string why;
    try {
      (void)co_await held->exec("insert into ledger values ($1)", "2");
    } catch (const pg::error& failure) {
      why = failure.what();
    }
    must(why.find("leads to another server now") != std::string::npos, why);
    (void)co_await fresh->exec("insert into ledger values ($1)", "3");
  };
  CHECK(outcome_in(sim, work()) == "");
}

TEST_CASE("given a pool grown for its load, when its host is no primary any more, then it is not filled again") {
  for (const bool down : {false, true}) {
    testing::simulation sim(7);
    fake_fleet fleet(sim, 2);
    auto how = simulated_options(8);
    how.primary.auto_scale = true;
    how.primary.scale_check_interval = 1s;
    simulated_cluster db(sim.get_executor(), fleet.options(), how);
    auto work = [&]() -> asio::awaitable<void> {
      std::vector<simulated_cluster::lease> held;
      for (int i = 0; i < 8; ++i) held.push_back(co_await db.primary());
      co_await virtual_pause(sim, 3s);
      must(db.stats()[0].target_size == 8, "it has grown");
      held.clear();
      co_await virtual_pause(sim, 10ms);
      if (down) {
        fleet.stop(0);
      } else {
        fleet.at(0).read_only = true;
      }
      // The pool of a server that is gone may see that before the probe does.
      if (down) co_await virtual_pause(sim, 300ms);
      const auto connects = db.stats()[0].connects_started;
      co_await virtual_pause(sim, 1500ms);
      const auto after = db.stats()[0];
      must(after.total_connections == 0, std::to_string(after.total_connections) + " connections are open");
      must(after.connects_started == connects, std::to_string(after.connects_started - connects) + " connects");
      must(after.target_size == 0, "nothing is kept for the load of a primary");
    };
    INFO(down);
    CHECK(outcome_in(sim, work()) == "");
  }
}
