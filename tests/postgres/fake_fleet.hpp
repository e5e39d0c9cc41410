// SPDX-License-Identifier: BSL-1.0
// tidepool - a primary and its standbys within the test, in virtual time: the real cluster, pools and driver on scripted servers.
//
// Each server has a role, a timeline, a log and a delay in replaying it, may be frozen, down, or read-only, and answers by what it is. A
// write adds to the log; a read is answered with the end of what its server has, so that a test can tell how old that is.
#ifndef TIDEPOOL_TESTS_FAKE_FLEET_HPP
#define TIDEPOOL_TESTS_FAKE_FLEET_HPP

#include <tidepool/postgres/cluster.hpp>
#include <tidepool/postgres/cluster_multiplexer.hpp>
#include <tidepool/postgres/detail/cluster/shell.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "../support/side_threads.hpp"
#include "kit.hpp"

#include <tidepool/testing/postgres.hpp>

namespace tidepool_tests {

namespace testing = tidepool::testing;

/// A cluster in virtual time.
class simulated_cluster {
 public:
  using pool_type = testing::simulated_pool;
  using traits_type = pool_type::traits_type;
  using executor_type = pool_type::executor_type;
  using lease = pg::basic_cluster_lease<pool_type>;
  using shell_type = pg::detail::fleet::basic_cluster_shell<pool_type>;

  simulated_cluster(const executor_type& executor, const pg::options& settings, const pg::cluster_options& how,
                    shell_type::observer watcher = {}) {
    // Within a handler, where the driver's clock is virtual: outside it is later by as long as this program has run, and so would be the
    // first probes.
    auto make = [&] {
      auto made = std::make_shared<shell_type>(executor, settings, how, std::move(watcher));
      made->attach();
      shell_ = std::move(made);
    };
    if (tidepool::detail::driver::simulated_time != nullptr) {
      make();
      return;
    }
    asio::post(executor, make);
    (void)testing::simulation::current()->run_while_not([this] { return shell_ != nullptr; });
  }
  simulated_cluster(const simulated_cluster&) = delete;
  simulated_cluster& operator=(const simulated_cluster&) = delete;
  ~simulated_cluster() { shell_->shut_down(); }

  asio::awaitable<void> open() { return shell_type::open(shell(), tidepool::source_location::current()); }
  asio::awaitable<lease> primary(tidepool::duration limit = 60s) { return lane(shell_, true, {}, limit); }
  asio::awaitable<lease> replica(pg::read_options how = {}) { return lane(shell_, false, how, how.timeout > 0s ? how.timeout : 60s); }
  asio::awaitable<void> close() { return shell_type::close(shell(), 1s, tidepool::source_location::current()); }
  pg::cluster_topology topology() const { return shell()->topology(); }
  std::vector<tidepool::pool_stats> stats() const { return shell()->stats(); }
  executor_type get_executor() const { return shell()->executor(); }
  std::shared_ptr<shell_type> shell() const { return std::static_pointer_cast<shell_type>(shell_); }

 private:
  friend pg::detail::fleet::cluster_lanes<simulated_cluster>;
  using base_ptr = std::shared_ptr<pg::detail::fleet::cluster_base<pool_type>>;
  static asio::awaitable<lease> lane(base_ptr from, bool writes, pg::read_options how, tidepool::duration limit = 60s) {
    return shell_type::acquire(std::static_pointer_cast<shell_type>(std::move(from)), writes, how, limit,
                               tidepool::source_location::current());
  }
  base_ptr shell_;
};

/// One server.
struct fleet_server {
  explicit fleet_server(testing::simulation& sim) : db(sim) {}
  testing::fake_postgres db;
  std::string name;  ///< which server it is
  bool up = true;
  bool frozen = false;
  bool standby = true;
  bool read_only = false;
  std::uint32_t timeline = 1;
  std::uint64_t lsn = 100'000;
  std::chrono::milliseconds delay{};  ///< of what it replays
  std::size_t probes_open = 0;
  std::vector<std::string> written;  ///< what it has taken
  std::size_t refused = 0;           ///< writes
  std::size_t reads = 0;
};

class fake_fleet {
 public:
  using time_point = testing::simulation::time_point;

  fake_fleet(testing::simulation& on, std::size_t count) : sim(on) {
    // A simulation waits for side threads, in real time and not for ever: those of earlier tests of the program are none of its own.
    (void)side_threads_end();
    for (std::size_t i = 0; i < count; ++i) {
      servers.emplace_back(std::make_unique<fleet_server>(sim));
      servers.back()->name = "server " + std::to_string(i);
      script(*servers.back());
    }
    servers[0]->standby = false;
    log_[sim.now()] = servers[0]->lsn;
  }
  fleet_server& at(std::size_t i) { return *servers[i]; }
  pg::options options() const {
    std::string hosts, ports;
    for (const auto& each : servers) {
      const auto where = each->db.conninfo();
      hosts += (hosts.empty() ? "" : ",") + where.substr(5, where.find(' ') - 5);
      ports += ports.empty() ? "5432" : ",5432";
    }
    return pg::options("host=" + hosts + " port=" + ports + " user=test dbname=test");
  }

  // --- what happens to servers
  void freeze(std::size_t i) {
    at(i).frozen = true;
    at(i).db.connect_latency(1h);
  }
  void thaw(std::size_t i) {
    at(i).frozen = false;
    at(i).db.connect_latency(0s);
  }
  void stop(std::size_t i) {
    at(i).up = false;
    at(i).db.stop();
  }
  void start(std::size_t i) {
    at(i).up = true;
    at(i).db.start();
  }
  /// With what it has replayed. The others follow it.
  void promote(std::size_t i) {
    auto& x = at(i);
    replay(x);
    for (const auto& each : servers) x.timeline = std::max(x.timeline, each->timeline + 1);
    x.standby = false;
    std::erase_if(log_, [&](const auto& entry) { return entry.second > x.lsn; });
    log_[sim.now()] = x.lsn;
    for (const auto& each : servers) {
      if (each->standby) each->lsn = std::min(each->lsn, x.lsn);
    }
  }
  /// One that was superseded follows the present primary.
  void rejoin(std::size_t i) {
    at(i).standby = true;
    at(i).lsn = std::min(at(i).lsn, log_.begin()->second);
  }
  /// What the primary had at that time.
  std::uint64_t log_at(time_point when) const {
    auto after = log_.upper_bound(when);
    return after == log_.begin() ? 0 : std::prev(after)->second;
  }
  std::uint32_t highest() const {
    std::uint32_t out = 0;
    for (const auto& each : servers) {
      if (!each->standby) out = std::max(out, each->timeline);
    }
    return out;
  }

  testing::simulation& sim;
  std::vector<std::unique_ptr<fleet_server>> servers;
  std::vector<std::string> faults;

 private:
  void replay(fleet_server& x) {
    if (!x.standby) return;
    x.lsn = std::max(x.lsn, log_at(sim.now() - x.delay));
  }
  std::int64_t clock() const { return std::chrono::duration_cast<std::chrono::microseconds>(sim.now().time_since_epoch()).count(); }
  testing::sql_answer unless_frozen(const fleet_server& x, testing::sql_answer answer) const {
    if (x.frozen) return testing::sql_answer().never_answers();
    return answer;
  }
  void script(fleet_server& x) {
    x.db.allow(testing::sql_prefix("select r.standby")).answers([this, &x](const testing::sql_statement&) {
      replay(x);
      const auto text = [](std::uint64_t of) { return std::to_string(of); };
      char hex[9];
      std::snprintf(hex, sizeof hex, "%08X", x.timeline);
      const std::string line = x.standby ? text(x.timeline) : hex;
      return unless_frozen(x, testing::sql_answer().returns({{x.standby ? "t" : "f", x.standby || x.read_only ? "on" : "off", line,
                                                              text(x.lsn), text(static_cast<std::uint64_t>(clock())), nullptr, x.name}}));
    });
    x.db.allow(testing::sql_prefix("set default_transaction_read_only"));
    x.db.allow("insert into ledger values ($1)").answers([this, &x](const testing::sql_statement& asked) {
      if (x.frozen) return testing::sql_answer().never_answers();
      if (x.standby || x.read_only) {
        ++x.refused;
        return testing::sql_answer().fails("25006", "cannot execute INSERT in a read-only transaction");
      }
      if (x.timeline == highest()) {
        x.lsn += 100;
        log_[sim.now()] = x.lsn;
      }
      x.written.push_back(asked.parameters.at(0).value_or(""));
      return testing::sql_answer().affects(1);
    });
    x.db.allow("select position").answers([this, &x](const testing::sql_statement&) {
      replay(x);
      ++x.reads;
      return unless_frozen(x, testing::sql_answer().returns({{std::to_string(x.lsn)}}));
    });
  }

  std::map<time_point, std::uint64_t> log_;
};

}  // namespace tidepool_tests

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {
template <>
class lane_source<tidepool_tests::simulated_cluster> : public fleet::cluster_lanes<tidepool_tests::simulated_cluster> {
 public:
  using fleet::cluster_lanes<tidepool_tests::simulated_cluster>::cluster_lanes;
};
}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
