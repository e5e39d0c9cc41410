// SPDX-License-Identifier: BSL-1.0
// tidepool - a cluster with one real server, and hosts where nobody is: leases, errors, ends. With a real pair: faults/cluster.cpp.
#include <tidepool/postgres/cluster.hpp>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../support/on_end.hpp"
#include "kit.hpp"

namespace {

using namespace tidepool_tests;

/// A port of this machine where nobody listens.
unsigned cluster_dead_port() {
  asio::io_context io;
  asio::ip::tcp::acceptor once(io, asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  return once.local_endpoint().port();
}
pg::options server_and_dead_host() {
  const auto dead = std::to_string(cluster_dead_port());
  return pg::options(server() + " host=127.0.0.1,127.0.0.1 port=" + dead + "," + std::to_string(server_port()));
}
pg::cluster_options small_cluster() {
  pg::cluster_options how;
  how.primary.name = "shop";
  how.primary.min_size = 0;
  how.primary.max_size = 2;
  how.replicas.min_size = 0;
  how.replicas.max_size = 2;
  return how;
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

asio::awaitable<pg::cluster_error> refusal_of(asio::awaitable<pg::cluster_lease> asked) {
  auto keep = [](asio::awaitable<pg::cluster_lease> what) -> asio::awaitable<void> { const auto lease = co_await std::move(what); };
  return expect_error<pg::cluster_error>(keep(std::move(asked)));
}
template <class Work>
void with_cluster(const pg::options& settings, const pg::cluster_options& how, Work work) {
  run([](pg::options hosts, pg::cluster_options options, Work body) -> asio::awaitable<void> {
    pg::cluster db(co_await asio::this_coro::executor, std::move(hosts), options);
    std::exception_ptr failure;
    try {
      co_await body(db);
    } catch (...) {
      failure = std::current_exception();
    }
    co_await db.close(2s);
    if (failure) std::rethrow_exception(failure);
  }(settings, how, std::move(work)));
}

}  // namespace

TEST_CASE("given a server and a host where nobody is, when a caller writes, then the server serves it", "[postgres][server][field-L10]") {
  NEEDS_SERVER();
  with_cluster(server_and_dead_host(), small_cluster(), [](pg::cluster& db) -> asio::awaitable<void> {
    co_await db.open();
    auto lease = co_await db.primary();
    const bool standby = co_await lease->one<bool>("select pg_is_in_recovery()");
    must(!standby && lease.from_primary(), "the primary");
    must(lease.host() == "127.0.0.1:" + std::to_string(server_port()), "which host");
    const auto seen = db.topology();
    must(seen.state == pg::cluster_state::one_primary && seen.primary() == &seen.hosts[1], "the topology");
    must(seen.hosts[0].state == pg::host_state::unreachable && !seen.hosts[0].error.empty(), "the other host");
    must(seen.hosts[1].leases == 1 && seen.hosts[1].timeline > 0 && seen.hosts[1].lsn > 0, "its figures");
    const auto stats = db.stats();
    must(stats.size() == 2 && stats[1].active_connections == 1, "the statistics");
    must(stats[1].name.view() == "shop " + std::string(lease.host()), "the pool bears the host's name");
    lease.release();
    must(!lease && lease.host().empty() && db.topology().hosts[1].leases == 0, "given back");
  });
}

TEST_CASE("given no replica, when a caller reads, then it does what it said", "[postgres][server]") {
  NEEDS_SERVER();
  with_cluster(server_and_dead_host(), small_cluster(), [](pg::cluster& db) -> asio::awaitable<void> {
    auto lease = co_await db.replica();
    must(lease.from_primary(), "the primary, by default");
    const auto refused = co_await refusal_of(db.replica({.fallback = pg::read_fallback::fail}));
    must(refused.code() == std::errc::resource_unavailable_try_again, "the code");
    must(has(refused.what(), "no replica is within the bound") && has(refused.what(), "cluster.cpp:"), refused.what());
    const auto late = co_await refusal_of(db.replica({.fallback = pg::read_fallback::wait, .timeout = 50ms}));
    must(late.code() == std::errc::timed_out, "the other code");
  });
}

TEST_CASE("given hosts where nobody is, when a caller waits, then its timeout ends that, and tells of each") {
  const auto dead = std::to_string(cluster_dead_port());
  const pg::options hosts("host=127.0.0.1,127.0.0.1 port=" + dead + "," + dead + " user=nobody sslmode=disable");
  with_cluster(hosts, small_cluster(), [](pg::cluster& db) -> asio::awaitable<void> {
    const stopwatch watch;
    const auto late = co_await refusal_of(db.primary(700ms));
    must(watch.seconds() >= 0.69, "not before its time");
    must(late.code() == tidepool::errc::timeout && late.code() == std::errc::timed_out, "the code");
    const std::string text = late.what();
    must(has(text, "cluster \"shop\": no writable connection within 700 ms, asked for at cluster.cpp:"), text);
    must(has(text, "no primary for ") && has(text, " has been unreachable for "), text);
    must(late.topology().hosts.size() == 2, "as data");
    const auto stats = db.stats();
    must(stats[0].connects_started == 0, "the pool of a host that nobody has seen makes no connects");
  });
}

TEST_CASE("given a wrong database at every host, then callers hear of it at once", "[postgres][server]") {
  NEEDS_SERVER();
  pg::options wrong(server() + " dbname=there_is_none");
  with_cluster(wrong, small_cluster(), [](pg::cluster& db) -> asio::awaitable<void> {
    const stopwatch watch;
    const auto refused = co_await refusal_of(db.primary(20s));
    must(refused.code() == tidepool::errc::connect_failed, "the code");
    must(has(refused.what(), "there_is_none"), refused.what());
    must(watch.seconds() < 15, "at once");
  });
}

TEST_CASE("given more callers than places, then all are served in turn, and one more than may wait is refused", "[postgres][server]") {
  NEEDS_SERVER();
  auto how = small_cluster();
  how.primary.max_waiting = 10;
  with_cluster(server_and_dead_host(), how, [](pg::cluster& db) -> asio::awaitable<void> {
    co_await db.open();
    const auto here = co_await asio::this_coro::executor;
    std::vector<int> order;
    std::size_t most = 0, refused = 0, ended = 0;
    auto use = [&](int number) -> asio::awaitable<void> {
      try {
        auto lease = co_await db.primary(20s);
        order.push_back(number);
        most = std::max(most, db.topology().hosts[1].leases);
        (void)co_await lease->exec("select 1");
      } catch (const pg::cluster_error& failure) {
        must(failure.code() == tidepool::errc::queue_full, failure.what());
        ++refused;
      }
      ++ended;
    };
    for (int i = 0; i < 14; ++i) asio::co_spawn(here, use(i), tidepool::rethrow);
    while (ended < 14) co_await pause(5ms);
    must(most == 2, "no more leases than there is room for");
    must(refused == 2, "14 callers, 2 places, 10 may wait");
    // Two are served at a time, one of whom may have to wait for a connect.
    for (int i = 0; i < static_cast<int>(order.size()); ++i) must(std::abs(order[static_cast<std::size_t>(i)] - i) <= 2, "in turn");
  });
}

TEST_CASE("given a session that was made read-only, when a write is refused, then its connection retires", "[postgres][server][field-L1]") {
  NEEDS_SERVER();
  with_cluster(server_and_dead_host(), small_cluster(), [](pg::cluster& db) -> asio::awaitable<void> {
    auto lease = co_await db.primary();
    const int first = lease->backend_pid();
    (void)co_await lease->exec("set default_transaction_read_only = on");
    const auto refused = co_await error_of(lease->exec("create table never_made (id int)"));
    must(refused.is("25006"), refused.what());
    lease.release();
    must(db.topology().hosts[1].refused_writes == 1, "it is counted");
    auto next = co_await db.primary();
    must(next->backend_pid() != first, "the connection is not used again");
    (void)co_await next->exec("create temporary table made (id int)");
    // In a transaction that the caller began as read-only it means nothing.
    auto body = [](pg::transaction& t) -> asio::awaitable<void> { (void)co_await t.exec("create temporary table never_made (id int)"); };
    pg::transaction_options reads;
    reads.read_only = true;
    const auto own = co_await error_of(next->transaction(body, reads));
    must(own.is("25006") && db.topology().hosts[1].refused_writes == 1, "the caller's own");
  });
}

TEST_CASE("given a token of one's own write, when a caller reads not before it, then it sees the write", "[postgres][server]") {
  NEEDS_SERVER();
  with_cluster(server_and_dead_host(), small_cluster(), [](pg::cluster& db) -> asio::awaitable<void> {
    auto lease = co_await db.primary();
    const auto before = co_await db.position(lease);
    (void)co_await lease->exec("create table if not exists cluster_token (id int)");
    (void)co_await lease->exec("drop table cluster_token");
    const auto after = co_await db.position(lease);
    must(before.lsn > 0 && after.lsn > before.lsn, "the log has grown");
    lease.release();
    auto read = co_await db.replica({.not_before = after});
    must(read.from_primary(), "there is no replica");
  });
}

TEST_CASE("given callers who wait, when they are cancelled, then no place is lost, and a closed cluster refuses", "[postgres][server]") {
  NEEDS_SERVER();
  with_cluster(server_and_dead_host(), small_cluster(), [](pg::cluster& db) -> asio::awaitable<void> {
    const auto here = co_await asio::this_coro::executor;
    auto one = co_await db.primary();
    auto two = co_await db.primary();
    asio::cancellation_signal stop;
    std::optional<tidepool::error_code> told;
    auto waits = [&]() -> asio::awaitable<void> {
      try {
        const auto none = co_await db.primary(20s);
      } catch (const pg::cluster_error& failure) {
        told = failure.code();
      }
    };
    asio::co_spawn(here, waits(), asio::bind_cancellation_slot(stop.slot(), tidepool::rethrow));
    co_await pause(20ms);
    stop.emit(asio::cancellation_type::terminal);
    for (int i = 0; i < 500 && !told; ++i) co_await pause(5ms);
    must(told && *told == tidepool::errc::cancelled, "cancelled");
    one.release();
    auto three = co_await db.primary();
    two.release();
    three.release();
    must(db.topology().hosts[1].leases == 0, "all places are free");
    co_await db.close(1s);
    const auto closed = co_await refusal_of(db.primary());
    must(closed.code() == tidepool::errc::closed, "closed");
  });
}

TEST_CASE("given a lease and a caller who waits, when the cluster is destroyed, then one works, one is told", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    const auto here = co_await asio::this_coro::executor;
    auto how = small_cluster();
    how.primary.max_size = 1;
    auto db = std::make_unique<pg::cluster>(here, server_and_dead_host(), how);
    auto lease = co_await db->primary();
    std::optional<tidepool::error_code> told;
    auto waits = [&told](pg::cluster& of) -> asio::awaitable<void> {
      try {
        const auto none = co_await of.primary(20s);
      } catch (const pg::cluster_error& failure) {
        told = failure.code();
      }
    };
    asio::co_spawn(here, waits(*db), tidepool::rethrow);
    co_await pause(20ms);
    db.reset();
    for (int i = 0; i < 500 && !told; ++i) co_await pause(5ms);
    must(told && *told == tidepool::errc::closed, "closed");
    const int still = co_await lease->one<int>("select 7");
    must(still == 7 && !lease.host().empty(), "a lease outlives the cluster");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a lease and callers who wait, when their context is destroyed, then all of it goes with it", "[postgres][server]") {
  NEEDS_SERVER();
  pg::cluster_lease kept;
  int frames = 0;
  struct in_frame {
    explicit in_frame(int& of) : count(of) { ++count; }
    ~in_frame() { --count; }
    int& count;
  };
  {
    asio::io_context io;
    pg::cluster db(io, server_and_dead_host(), small_cluster());
    auto hold = [&]() -> asio::awaitable<void> { kept = co_await db.primary(); };
    auto waits = [&]() -> asio::awaitable<void> {
      const in_frame counted(frames);
      const auto none = co_await db.replica({.fallback = pg::read_fallback::wait, .timeout = 1h});
    };
    asio::co_spawn(io, hold(), tidepool::rethrow);
    for (int i = 0; i < 1000 && !kept; ++i) io.run_for(10ms);
    REQUIRE(kept);
    asio::co_spawn(io, waits(), tidepool::rethrow);
    io.run_for(50ms);
    CHECK(frames == 1);
  }
  CHECK(frames == 0);
  kept.release();
}

TEST_CASE("given a cluster on three threads, when many callers use it, then no place is lost", "[postgres][server]") {
  NEEDS_SERVER();
  asio::io_context io;
  auto how = small_cluster();
  how.primary.max_size = 3;
  pg::cluster db(io, server_and_dead_host(), how);
  std::atomic<int> served{0}, late{0}, active{0}, most{0};
  const auto ask = [&db](int who, int i) {
    // Some give up early, so that attempts are left in every state.
    if (who % 3 == 0) return db.primary(std::chrono::milliseconds(1 + i));
    return who % 3 == 1 ? db.primary(60s) : db.replica();
  };
  auto use = [&](int who) -> asio::awaitable<void> {
    for (int i = 0; i < 20; ++i) {
      try {
        auto asked = ask(who, i);
        auto lease = co_await std::move(asked);
        const int now = ++active;
        for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
        }
        const int number = co_await lease->one<int>("select $1::int", i);
        --active;
        if (number == i) ++served;
      } catch (const pg::cluster_error& failure) {
        if (failure.code() == tidepool::errc::timeout) ++late;
      }
    }
  };
  std::atomic<int> left{12};
  for (int who = 0; who < 12; ++who) {
    const on_end at_end = [&](const std::exception_ptr& failure) {
      if (failure) served = -10'000;
      if (--left == 0) asio::co_spawn(io, db.close(5s), tidepool::rethrow);
    };
    asio::co_spawn(io, use(who), at_end);
  }
  std::vector<std::thread> others;
  for (int i = 0; i < 2; ++i) others.emplace_back([&] { io.run(); });
  io.run();
  for (auto& each : others) each.join();
  CHECK(served + late == 240);
  CHECK(served >= 160);
  CHECK(most <= 3);
  CHECK(db.topology().hosts[1].leases == 0);
}

TEST_CASE("given instances that share a server, when one comes later, then it gets what another borrowed",
          "[postgres][server][field-L13]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    const auto here = co_await asio::this_coro::executor;
    auto how = small_cluster();
    how.primary.name = "twins_of_a_test";
    how.primary.max_size = how.replicas.max_size = 20;
    how.share_connections = true;
    how.share_part = 0.1;  // of a hundred and more: some ten, so five for each
    how.probe_interval = 200ms;
    pg::cluster first(here, server_and_dead_host(), how);
    pg::cluster second(here, server_and_dead_host(), how);
    bool over = false;
    int running = 0;
    auto use = [&](pg::cluster& db) -> asio::awaitable<void> {
      ++running;
      while (!over) {
        auto lease = co_await db.primary(60s);
        co_await pause(20ms);
      }
      --running;
    };
    const auto leases = [](const pg::cluster& of) { return of.topology().hosts[1].leases; };
    const auto room = [](const pg::cluster& of) { return of.topology().hosts[1].room; };
    for (int i = 0; i < 20; ++i) asio::co_spawn(here, use(first), tidepool::rethrow);
    for (int i = 0; i < 500 && (leases(first) < 7 || room(first) > 12); ++i) co_await pause(10ms);
    must(leases(first) >= 7 && room(first) <= 12, "alone it has them all, and no more: " + std::to_string(room(first)));
    for (int i = 0; i < 20; ++i) asio::co_spawn(here, use(second), tidepool::rethrow);
    for (int i = 0; i < 500 && (room(first) > 6 || leases(second) < 4); ++i) co_await pause(10ms);
    must(room(first) <= 6, "it was given back: " + std::to_string(room(first)));
    must(leases(second) >= 4, "the other one has its share: " + std::to_string(leases(second)));
    must(room(first) + room(second) <= 13, "both together");
    over = true;
    while (running > 0) co_await pause(5ms);
    co_await first.close(1s);
    co_await second.close(1s);
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given changes of hosts, then an observer and the log are told of each, with the host", "[postgres][server][field-L10]") {
  NEEDS_SERVER();
  std::vector<std::string> told, lines;
  auto task = [&]() -> asio::awaitable<void> {
    pg::cluster db(co_await asio::this_coro::executor, server_and_dead_host(), small_cluster(), [&](const pg::cluster_event& e) {
      told.push_back(e.host.empty() ? std::string("cluster ") + to_string(e.after) : std::string(e.host) + " " + to_string(e.to));
    });
    db.log_to([&](tidepool::log_level, const std::string& line) { lines.push_back(line); });
    co_await db.open();
    co_await db.close(1s);
  };
  run(task());
  const std::string mine = "127.0.0.1:" + std::to_string(server_port());
  const auto count = [](const std::vector<std::string>& all, const std::string& part) {
    return std::count_if(all.begin(), all.end(), [&](const auto& each) { return has(each, part); });
  };
  CHECK(count(told, mine + " primary") == 1);
  CHECK(count(told, "cluster one_primary") == 1);
  CHECK(count(told, " unreachable") == 1);
  CHECK(count(lines, "shop: host " + mine + " unknown -> primary") == 1);
  CHECK(count(lines, "shop " + mine + ": connection ") >= 1);
}

TEST_CASE("given a cluster, when a program runs by it, then it is opened and closed as a pool is", "[postgres][server]") {
  NEEDS_SERVER();
  asio::io_context io;
  pg::cluster db(io, server_and_dead_host(), small_cluster());
  auto work = [](pg::cluster& on) -> asio::awaitable<int> {
    auto lease = co_await on.primary();
    co_return co_await lease->one<int>("select 42");
  };
  CHECK(tidepool::run(io, db, work) == 42);
}

TEST_CASE("given options of a cluster that cannot be, then each is named") {
  asio::io_context io;
  auto how = small_cluster();
  how.probe_interval = 0s;
  how.replicas.max_size = 0;
  try {
    const pg::cluster db(io, pg::options("host=a,b"), how);
    FAIL("it was taken");
  } catch (const std::invalid_argument& refused) {
    CHECK(has(refused.what(), "probe_interval"));
    CHECK(has(refused.what(), "replicas.max_size"));
  }
}
