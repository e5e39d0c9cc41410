// SPDX-License-Identifier: BSL-1.0
// tidepool - a cluster on a real pair: switch-over, a frozen primary, a lagging replica, one's own writes: row 28.
#include <tidepool/postgres/cluster.hpp>

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "checks.hpp"
#include "pair.hpp"

using namespace tidepool_faults;

namespace {

namespace pg = tidepool::postgres;

pg::options hosts_of(const pair_of_servers& both) {
  return pg::options(both.first.conninfo() + " host=127.0.0.1,127.0.0.1 port=" + std::to_string(both.first.port()) + "," +
                     std::to_string(both.second->port()));
}
pg::cluster_options cluster_of_four() {
  pg::cluster_options how;
  how.primary.name = "fleet";
  how.primary.min_size = how.replicas.min_size = 2;
  how.primary.max_size = how.replicas.max_size = 4;
  how.primary.acquire_timeout = 30s;
  how.warm_standby = true;
  return how;
}

/// One request of the load, by the client's own record.
struct entry {
  moment began, ended;
  std::string number;
  bool ok = false;
  bool no_lease = false;
  std::string why;
};

/// Writers and readers on a cluster, each request with a number of its own, on a thread of its own.
class cluster_load {
 public:
  cluster_load(pg::options hosts, const pg::cluster_options& how) : db_(io_, std::move(hosts), how) {
    thread_ = std::thread([this] {
      tidepool::asio::co_spawn(io_, open(), tidepool::rethrow);
      for (int i = 0; i < 6; ++i) tidepool::asio::co_spawn(io_, write(i), tidepool::rethrow);
      for (int i = 0; i < 4; ++i) tidepool::asio::co_spawn(io_, read(), tidepool::rethrow);
      io_.run();
    });
  }
  cluster_load(const cluster_load&) = delete;
  cluster_load& operator=(const cluster_load&) = delete;
  ~cluster_load() { stop(); }

  bool started() {
    for (int i = 0; i < 3000 && writes_.load() < 20; ++i) wait_for(10ms);
    return writes_.load() >= 20;
  }
  void stop() {
    if (!thread_.joinable()) return;
    over_ = true;
    tidepool::asio::post(io_, [this] { tidepool::asio::co_spawn(io_, db_.close(1s), tidepool::rethrow); });
    thread_.join();
  }
  std::uint64_t writes() const { return writes_.load(); }
  pg::cluster_topology topology() const { return db_.topology(); }
  /// After `stop()`.
  const std::vector<entry>& record() const { return record_; }
  std::uint64_t reads_at_primary() const { return reads_at_primary_.load(); }
  std::uint64_t reads_at_replica() const { return reads_at_replica_.load(); }

 private:
  tidepool::asio::awaitable<void> open() { co_await db_.open(); }
  tidepool::asio::awaitable<void> write(int who) {
    for (int i = 0; !over_; ++i) {
      entry e;
      e.began = clock::now();
      e.number = std::to_string(who) + "-" + std::to_string(i);
      try {
        auto lease = co_await db_.primary();
        e.no_lease = false;
        try {
          co_await lease->exec("insert into cluster_ledger values ($1)", e.number);
          e.ok = true;
        } catch (const tidepool::system_error& failure) {
          e.why = failure.what();
        }
      } catch (const tidepool::system_error& failure) {
        e.no_lease = true;
        e.why = failure.what();
      }
      e.ended = clock::now();
      if (e.ok) ++writes_;
      if (!over_) record_.push_back(e);
      tidepool::asio::steady_timer pause(io_);
      pause.expires_after(5ms);
      co_await pause.async_wait(tidepool::asio::use_awaitable);
    }
  }
  tidepool::asio::awaitable<void> read() {
    while (!over_) {
      try {
        auto lease = co_await db_.replica({.max_lag = 5s, .fallback = pg::read_fallback::primary, .timeout = 5s});
        ++(lease.from_primary() ? reads_at_primary_ : reads_at_replica_);
        const auto count = co_await lease->one<int>("select 1");
        (void)count;
      } catch (const tidepool::system_error&) {
        ++failed_reads_;
      }
      tidepool::asio::steady_timer pause(io_);
      pause.expires_after(5ms);
      co_await pause.async_wait(tidepool::asio::use_awaitable);
    }
  }

  tidepool::asio::io_context io_;
  pg::cluster db_;
  std::atomic<bool> over_{false};
  std::atomic<std::uint64_t> writes_{0}, reads_at_primary_{0}, reads_at_replica_{0}, failed_reads_{0};
  std::vector<entry> record_;
  std::thread thread_;
};

/// What the record says of a change at `hit`, with a writable primary from `cure` on.
struct outcome_of_change {
  double first_ms = 1e9;
  std::size_t failed = 0, refused = 0, read_only = 0;
  std::size_t lost = 0;
  std::string why;
};
outcome_of_change judge_change(const cluster_load& load, moment cure, const server& now_primary) {
  outcome_of_change out;
  std::set<std::string> there;
  for (const auto& row : now_primary.admin("select number from cluster_ledger")) there.insert(row.at(0));
  for (const auto& e : load.record()) {
    if (e.ok) {
      if (!there.contains(e.number)) ++out.lost;
      if (e.ended >= cure && e.began >= cure - 30s) {
        out.first_ms = std::min(out.first_ms, std::chrono::duration<double, std::milli>(e.ended - cure).count());
      }
      continue;
    }
    ++(e.no_lease ? out.refused : out.failed);
    if (e.why.find("25006") != std::string::npos) ++out.read_only;
    if (out.why.empty()) out.why = e.why;
  }
  return out;
}
void check_change(const char* row, const outcome_of_change& out, const std::string& more) {
  WARN(row << ": first success " << static_cast<int>(out.first_ms + 0.5) << " ms after a writable primary, failed in flight " << out.failed
           << ", refused " << out.refused << ", 25006 " << out.read_only << ", lost " << out.lost << "; " << more);
  INFO(out.why);
  CHECK(out.refused == 0);
  CHECK(out.read_only == 0);
  CHECK(out.failed <= 10);
  CHECK(out.lost == 0);
  CHECK(out.first_ms < 500 + slack_ms());
}

}  // namespace

TEST_CASE("row 28: given a cluster, when its primary is switched, then callers wait and go on at the new one", "[faults][field-L4]") {
  NEEDS_OWN_SERVER();
  pair_of_servers both("cluster_switch");
  both.first.admin("create table cluster_ledger (number text primary key)");
  cluster_load load(hosts_of(both), cluster_of_four());
  REQUIRE(load.started());
  wait_for(1500ms);
  CHECK(load.reads_at_replica() > 0);
  both.first.stop("fast");
  const auto cure = both.second->promote();
  wait_for(2000ms);
  const auto seen = load.topology();
  CHECK(seen.state == pg::cluster_state::one_primary);
  CHECK(seen.hosts[1].state == pg::host_state::primary);
  CHECK(seen.hosts[1].timeline == 2);
  load.stop();
  check_change(
      "28a", judge_change(load, cure, *both.second),
      "reads on the replica " + std::to_string(load.reads_at_replica()) + ", on the primary " + std::to_string(load.reads_at_primary()));
}

TEST_CASE("row 28: given a cluster, when its primary freezes and another takes over, then it is left and fenced", "[faults][field-L3]") {
  LONG_ROW("28b");
  NEEDS_OWN_SERVER();
  pair_of_servers both("cluster_frozen");
  both.first.admin("create table cluster_ledger (number text primary key)");
  auto how = cluster_of_four();
  how.abort_grace = 500ms;
  // Without that the old primary confirms what its standby never gets.
  both.first.admin("alter system set synchronous_commit = on");
  both.first.admin("alter system set synchronous_standby_names = '*'");
  both.first.admin("select pg_reload_conf()");
  cluster_load load(hosts_of(both), how);
  REQUIRE(load.started());
  wait_for(1000ms);
  const auto hit = clock::now();
  both.first.freeze();
  // No caller gets anything of it once it has been found silent: within an interval and the time a probe has.
  for (int i = 0; i < 500 && load.topology().hosts[0].state != pg::host_state::silent; ++i) wait_for(10ms);
  CHECK(load.topology().hosts[0].state == pg::host_state::silent);
  const auto found = clock::now();
  CHECK(std::chrono::duration<double, std::milli>(found - hit).count() < 2300 + slack_ms());
  const auto cure = both.second->promote();
  wait_for(1500ms);
  CHECK(load.topology().hosts[1].state == pg::host_state::primary);
  both.first.thaw();
  wait_for(2500ms);
  const auto seen = load.topology();
  CHECK(seen.state == pg::cluster_state::one_primary);
  CHECK(seen.hosts[0].state == pg::host_state::fenced);
  CHECK(seen.hosts[0].leases == 0);
  load.stop();
  check_change("28b", judge_change(load, cure, *both.second),
               "found silent after " + std::to_string(std::chrono::duration_cast<milliseconds>(found - hit).count()) + " ms");
}

TEST_CASE("row 28: given a replica that does not replay, when reads have a bound, then they are elsewhere", "[faults][field-L5]") {
  LONG_ROW("28c");
  NEEDS_OWN_SERVER();
  pair_of_servers both("cluster_lag");
  both.first.admin("create table cluster_marks (id int, at timestamptz default clock_timestamp())");
  tidepool::asio::io_context io;
  pg::cluster db(io, hosts_of(both), cluster_of_four());
  auto work = [&both](pg::cluster& on) -> tidepool::asio::awaitable<std::string> {
    const auto must = [](bool holds, const char* what) { return holds ? std::string() : std::string(what); };
    for (int i = 0; i < 500; ++i) {
      auto lease = co_await on.replica({.max_lag = 500ms, .fallback = pg::read_fallback::primary});
      if (!lease.from_primary()) break;
      if (i == 499) co_return "the replica was never read";
      lease.release();
      tidepool::asio::steady_timer pause(on.get_executor());
      pause.expires_after(10ms);
      co_await pause.async_wait(tidepool::asio::use_awaitable);
    }
    // One's own write is seen, again and again, on whichever host; mostly on the replica.
    int at_replica = 0;
    for (int i = 0; i < 50; ++i) {
      auto write = co_await on.primary();
      co_await write->exec("insert into cluster_marks (id) values ($1)", i);
      const auto mine = co_await on.position(write);
      write.release();
      auto read = co_await on.replica({.fallback = pg::read_fallback::wait, .not_before = mine, .timeout = 10s});
      if (!read.from_primary()) ++at_replica;
      const int seen = co_await read->one<int>("select count(*)::int from cluster_marks where id = $1", i);
      if (seen != 1) co_return "one's own write was not seen";
    }
    if (at_replica != 50) co_return "not on the replica";
    both.second->admin("select pg_wal_replay_pause()");
    auto write = co_await on.primary();
    for (int i = 100; i < 110; ++i) co_await write->exec("insert into cluster_marks (id) values ($1)", i);
    write.release();
    tidepool::asio::steady_timer pause(on.get_executor());
    pause.expires_after(1500ms);
    co_await pause.async_wait(tidepool::asio::use_awaitable);
    for (int i = 0; i < 20; ++i) {
      auto read = co_await on.replica({.max_lag = 500ms, .fallback = pg::read_fallback::primary});
      if (!read.from_primary()) co_return "a read beyond its bound";
      const int seen = co_await read->one<int>("select count(*)::int from cluster_marks where id >= 100");
      if (seen != 10) co_return "a stale read";
    }
    both.second->admin("select pg_wal_replay_resume()");
    auto again = co_await on.replica({.max_lag = 500ms, .fallback = pg::read_fallback::wait, .timeout = 10s});
    co_return must(!again.from_primary(), "not the replica again");
  };
  CHECK(tidepool::run(io, db, work) == "");
}
