// SPDX-License-Identifier: BSL-1.0
// tidepool - a cluster with PgBouncer before each node, and a multiplexer over a cluster: a real pair that changes places: row 29.
#include <tidepool/postgres/cluster_multiplexer.hpp>

#include <chrono>
#include <string>

#include "bouncer.hpp"
#include "checks.hpp"
#include "pair.hpp"

using namespace tidepool_faults;

namespace {

namespace pg = tidepool::postgres;

pg::cluster_options options_of_row_29() {
  pg::cluster_options how;
  how.primary.name = "row29";
  how.primary.min_size = how.replicas.min_size = 0;
  how.primary.max_size = how.replicas.max_size = 4;
  how.primary.acquire_timeout = 30s;
  return how;
}
tidepool::asio::awaitable<void> real_pause(std::chrono::milliseconds span) {
  tidepool::asio::steady_timer timer(co_await tidepool::asio::this_coro::executor);
  timer.expires_after(span);
  co_await timer.async_wait(tidepool::asio::use_awaitable);
}
bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("row 29: given PgBouncer before each node, when they change places, then the cluster follows", "[faults][field-L1]") {
  NEEDS_OWN_SERVER();
  pair_of_servers both("cluster_pooled");
  const bouncer one(both.first, edition::installed, {}, "cluster_pooled_b1");
  const bouncer two(*both.second, edition::installed, {}, "cluster_pooled_b2");
  if (one.conninfo.empty()) {
    WARN("skipped: PgBouncer is not installed");
    return;
  }
  both.first.admin("create table pooled_ledger (number int primary key)");
  const pg::options first(one.conninfo), second(two.conninfo);
  const pg::options hosts(one.conninfo + " host=127.0.0.1,127.0.0.1 port=" + std::string(first.get("port")) + "," +
                          std::string(second.get("port")));
  tidepool::asio::io_context io;
  pg::cluster db(io, hosts, options_of_row_29());
  auto work = [&](pg::cluster& on) -> tidepool::asio::awaitable<std::string> {
    int next = 0, refused = 0;
    for (; next < 50; ++next) {
      auto lease = co_await on.primary();
      const std::string sql = "insert into pooled_ledger values (" + std::to_string(next) + ")";
      (void)co_await lease->exec(sql);
    }
    auto read = co_await on.replica({.max_lag = 5s, .fallback = pg::read_fallback::wait, .timeout = 10s});
    const bool standby = co_await read->one<bool>("select pg_is_in_recovery()");
    read.release();
    if (!standby) co_return "a read that is not on the standby";
    const auto seen = on.topology();
    if (!seen.hosts[0].behind_pooler || !seen.hosts[1].behind_pooler) co_return "the poolers are not told";
    both.first.stop("fast");
    both.second->promote();
    const auto cure = clock::now();
    double took = -1;
    for (; next < 100; ++next) {
      bool done = false;
      for (int tries = 0; tries < 50 && !done; ++tries) {
        try {
          auto lease = co_await on.primary();
          const std::string sql = "insert into pooled_ledger values (" + std::to_string(next) + ") on conflict do nothing";
          (void)co_await lease->exec(sql);
          done = true;
        } catch (const tidepool::system_error& failure) {
          if (contains(failure.what(), "25006")) ++refused;
        }
      }
      if (!done) co_return "no write at the new primary: " + on.topology().text();
      if (took < 0) took = std::chrono::duration<double, std::milli>(clock::now() - cure).count();
    }
    WARN("29a: first success " << static_cast<int>(took) << " ms after a writable primary, 25006 " << refused);
    if (refused > 0) co_return "a write was refused as read-only";
    if (took > 1500 + slack_ms()) co_return "it took too long";
    co_return "";
  };
  CHECK(tidepool::run(io, db, work) == "");
  CHECK(both.second->admin("select 1 from pooled_ledger").size() == 100);
}

TEST_CASE("row 29: given a multiplexer over a cluster, when its primary is switched, then its lanes move", "[faults]") {
  NEEDS_OWN_SERVER();
  pair_of_servers both("cluster_lanes");
  both.first.admin("create table lane_ledger (number int primary key)");
  const pg::options hosts(both.first.conninfo() + " host=127.0.0.1,127.0.0.1 port=" + std::to_string(both.first.port()) + "," +
                          std::to_string(both.second->port()));
  tidepool::asio::io_context io;
  pg::cluster db(io, hosts, options_of_row_29());
  auto work = [&](pg::cluster& on) -> tidepool::asio::awaitable<std::string> {
    pg::multiplexer_options how;
    how.reads.max_lag = 2s;
    pg::cluster_multiplexer mux(on, how);
    int next = 0, refused = 0, unknown = 0;
    for (; next < 50; ++next) (void)co_await mux.exec("insert into lane_ledger values ($1)", next);
    bool standby = false;
    for (int i = 0; i < 500 && !standby; ++i) {
      standby = co_await mux.read_one<bool>("select pg_is_in_recovery()");
      if (!standby) co_await real_pause(10ms);
    }
    if (!standby) co_return "reads do not reach the standby";
    // No read is older than its bound, also on a lane that was opened long before.
    both.second->admin("select pg_wal_replay_pause()");
    for (; next < 60; ++next) (void)co_await mux.exec("insert into lane_ledger values ($1)", next);
    co_await real_pause(2100ms);
    for (int i = 0; i < 50; ++i) {
      const int seen = co_await mux.read_one<int>("select count(*)::int from lane_ledger");
      if (seen != 60) co_return "a stale read";
    }
    both.second->admin("select pg_wal_replay_resume()");
    both.first.stop("fast");
    both.second->promote();
    for (; next < 110; ++next) {
      bool done = false;
      for (int tries = 0; tries < 100 && !done; ++tries) {
        try {
          (void)co_await mux.exec("insert into lane_ledger values ($1) on conflict do nothing", next);
          done = true;
        } catch (const pg::error& failure) {
          if (failure.is("25006")) ++refused;
          if (failure.reason() == pg::errc::outcome_unknown) ++unknown;
        }
      }
      if (!done) co_return "no write at the new primary";
    }
    const int all = co_await mux.read_one<int>("select count(*)::int from lane_ledger");
    co_await mux.close(2s);
    WARN("29b: writes refused as read-only " << refused << ", of unknown outcome " << unknown);
    if (refused > 0 || unknown > 2) co_return "refused " + std::to_string(refused) + ", unknown " + std::to_string(unknown);
    co_return all == 110 ? "" : "a read misses writes: " + std::to_string(all);
  };
  CHECK(tidepool::run(io, db, work) == "");
}
