// SPDX-License-Identifier: BSL-1.0
// tidepool - writers and readers on a cluster, with a record of what they were told.
#include "load.hpp"

#include <tidepool/postgres/cluster.hpp>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

namespace tidepool_fleet {

namespace asio = tidepool::asio;
namespace pg = tidepool::postgres;

namespace {

int node_of(std::string_view host) { return host.size() > 8 ? host[8] - '0' : 0; }  // "127.0.0.N:5432"

pg::cluster_options options_of(const load_setup& how) {
  pg::cluster_options out;
  out.primary.name = "fleet";
  out.primary.min_size = 8;
  out.primary.max_size = 12;
  out.primary.acquire_timeout = 90s;
  out.replicas.min_size = 2;
  out.replicas.max_size = 8;
  out.abort_grace = how.abort_grace;
  return out;
}

}  // namespace

struct load::inside {
  explicit inside(load_setup with) : how(std::move(with)), db(io, pg::options(how.hosts), options_of(how)) {}

  asio::awaitable<void> pause(milliseconds span) {
    asio::steady_timer timer(io);
    timer.expires_after(span);
    co_await timer.async_wait(asio::use_awaitable);
  }

  asio::awaitable<void> write(int who) {
    for (int i = 0; !over; ++i) {
      written w;
      w.id = how.row + "-" + std::to_string(who) + "-" + std::to_string(i);
      w.asked = clock::now();
      auto work = write_once(w, "insert into fleet_ledger values ($1)", w.id);
      co_await std::move(work);
      w.ended = clock::now();
      if (w.how == ending::confirmed) ++confirmed;
      writes.push_back(std::move(w));
      co_await pause(5ms);
    }
  }
  /// One write at the primary, and what its caller learnt of it.
  template <class Value>
  asio::awaitable<void> write_once(written& w, const char* sql, Value value) {
    try {
      auto lease = co_await db.primary();
      w.granted = clock::now();
      w.node = node_of(lease.host());
      w.how = ending::unknown;
      co_await lease->exec(sql, value);
      w.how = ending::confirmed;
    } catch (const pg::error& failure) {
      w.why = failure.what();
      w.read_only = failure.is("25006");
      if (!failure.connection_lost() && failure.reason() == pg::errc::server) w.how = ending::failed;
    } catch (const tidepool::system_error& failure) {
      w.why = failure.what();
    }
  }

  /// The heartbeat: a row that is set to the next number all the time.
  asio::awaitable<void> beat() {
    for (int number = 1; !over; ++number) {
      written w;
      w.asked = clock::now();
      auto work = write_once(w, "update fleet_beat set number = $1", number);
      co_await std::move(work);
      w.ended = clock::now();
      if (w.how == ending::confirmed) beats.push_back({w.ended, number});
      if (w.how != ending::confirmed) writes.push_back(std::move(w));
      co_await pause(10ms);
    }
  }
  asio::awaitable<void> read(bool bounded) {
    while (!over) {
      was_read r;
      r.bounded = bounded;
      r.asked = clock::now();
      auto work = read_once(r);
      co_await std::move(work);
      r.ended = clock::now();
      reads.push_back(std::move(r));
      co_await pause(5ms);
    }
  }
  asio::awaitable<void> read_once(was_read& r) {
    try {
      auto lease = co_await db.replica({.max_lag = r.bounded ? tidepool::duration(how.max_lag) : tidepool::no_limit, .timeout = 90s});
      const auto granted = clock::now() - lease.age();
      r.leased = true;
      r.at_replica = !lease.from_primary();
      r.node = node_of(lease.host());
      const int seen = co_await lease->one<int>("select number from fleet_beat");
      r.ok = true;
      const auto missing = std::upper_bound(beats.begin(), beats.end(), seen, [](int s, const auto& b) { return s < b.second; });
      if (missing != beats.end()) r.behind_ms = std::max(0.0, ms_between(missing->first, granted));
      served[static_cast<std::size_t>(r.node)].fetch_add(1);
    } catch (const tidepool::system_error& failure) {
      r.why = failure.what();
    }
  }

  /// The size of each pool, every five milliseconds.
  asio::awaitable<void> look() {
    while (!over) {
      const auto now = clock::now();
      const auto hosts = db.topology();
      const auto all = db.stats();
      {
        const std::lock_guard lock(mutex);
        for (std::size_t i = 0; i < all.size(); ++i) {
          const auto& s = all[i];
          const bool full = hosts.hosts[i].state == pg::host_state::primary &&
                            s.active_connections + s.idle_connections + s.validating + s.resetting >= db.config().min_size;
          const auto node = static_cast<std::size_t>(node_of(hosts.hosts[i].host));
          if (full && !was_full[node]) full_since[node].push_back(now);
          was_full[node] = full;
        }
      }
      co_await pause(5ms);
    }
  }

  asio::awaitable<void> open() {
    co_await db.open();
    for (int i = 0; i < how.writers; ++i) asio::co_spawn(io, write(i), tidepool::rethrow);
    for (int i = 0; i < how.readers; ++i) asio::co_spawn(io, read(true), tidepool::rethrow);
    for (int i = 0; i < how.careless_readers; ++i) asio::co_spawn(io, read(false), tidepool::rethrow);
    asio::co_spawn(io, beat(), tidepool::rethrow);
    asio::co_spawn(io, look(), tidepool::rethrow);
  }

  load_setup how;
  asio::io_context io;
  pg::cluster db;
  std::atomic<bool> over{false};
  std::atomic<std::uint64_t> confirmed{0};
  std::array<std::atomic<std::uint64_t>, 8> served{};
  std::vector<written> writes;
  std::vector<was_read> reads;
  std::deque<std::pair<moment, int>> beats;  ///< confirmed ones
  mutable std::mutex mutex;
  std::array<std::vector<moment>, 8> full_since;
  std::array<bool, 8> was_full{};
  std::thread thread;
};

load::load(load_setup how) : in_(std::make_unique<inside>(std::move(how))) {
  asio::co_spawn(in_->io, in_->open(), tidepool::rethrow);
  in_->thread = std::thread([this] { in_->io.run(); });
}
load::~load() { stop(); }

bool load::started() {
  for (const auto end = clock::now() + 30s; clock::now() < end; wait_for(10ms)) {
    const auto at = std::count_if(in_->served.begin(), in_->served.end(), [](const auto& n) { return n.load() > 20; });
    if (in_->confirmed.load() > 100 && at >= 2) return true;
  }
  return false;
}
void load::stop() {
  if (!in_->thread.joinable()) return;
  in_->over = true;
  asio::post(in_->io, [this] { asio::co_spawn(in_->io, in_->db.close(2s), tidepool::rethrow); });
  in_->thread.join();
}
moment load::full_after(int node, moment from) const {
  const std::lock_guard lock(in_->mutex);
  for (const auto at : in_->full_since[static_cast<std::size_t>(node)]) {
    if (at >= from) return at;
  }
  return moment::max();
}
std::size_t load::full_size() const { return in_->db.config().min_size; }
std::string load::topology() const { return in_->db.topology().text(); }
std::uint64_t load::refused_writes() const {
  std::uint64_t sum = 0;
  for (const auto& h : in_->db.topology().hosts) sum += h.refused_writes;
  return sum;
}
bool load::behind_pooler() const {
  const auto seen = in_->db.topology();
  return std::all_of(seen.hosts.begin(), seen.hosts.end(), [](const auto& h) { return h.behind_pooler; });
}
const std::vector<written>& load::writes() const { return in_->writes; }
const std::vector<was_read>& load::reads() const { return in_->reads; }

// --- one of several processes -------------------------------------------------------------------------------------------------

namespace {

struct counts {
  std::uint64_t granted = 0, refused = 0, failed = 0;
};

asio::awaitable<void> hold_places(pg::cluster& db, const std::atomic<bool>& over, counts& sum) {
  while (!over) {
    try {
      auto lease = co_await db.primary();
      ++sum.granted;
      co_await lease->exec("select pg_sleep(0.05)");
    } catch (const pg::error&) {
      ++sum.failed;
    } catch (const tidepool::system_error&) {
      ++sum.refused;
    }
  }
}

}  // namespace

int share_places() {
  asio::io_context io;
  pg::cluster_options how;
  how.primary.name = "sharing";
  how.primary.min_size = 1;
  how.primary.max_size = 20;
  how.primary.acquire_timeout = 60s;
  how.share_connections = true;
  pg::cluster db(io, pg::options(all_hosts()), how);
  std::atomic<bool> over{false};
  counts sum;
  int status = 0;
  std::thread parent([&] {
    char unused = 0;
    while (::read(STDIN_FILENO, &unused, 1) > 0) {
    }
    over = true;
  });
  const auto work = [&]() -> asio::awaitable<void> {
    try {
      co_await db.open();
    } catch (const tidepool::system_error& failure) {
      std::fprintf(stderr, "%s\n", failure.what());
      status = 1;
      co_return;
    }
    for (int i = 0; i < 24; ++i) asio::co_spawn(io, hold_places(db, over, sum), tidepool::rethrow);
    asio::steady_timer timer(io);
    while (!over) {
      std::size_t sessions = 0;
      const auto seen = db.topology();
      const auto pools = db.stats();
      for (std::size_t i = 0; i < pools.size(); ++i) {
        if (seen.hosts[i].state == pg::host_state::primary) sessions = pools[i].total_connections;
      }
      std::printf("figures %zu %ju %ju %ju\n", sessions, std::uintmax_t(sum.granted), std::uintmax_t(sum.refused),
                  std::uintmax_t(sum.failed));
      std::fflush(stdout);
      timer.expires_after(200ms);
      co_await timer.async_wait(asio::use_awaitable);
    }
    co_await db.close(2s);
  };
  asio::co_spawn(io, work, tidepool::rethrow);
  io.run();
  parent.join();
  return status;
}

}  // namespace tidepool_fleet
