// SPDX-License-Identifier: BSL-1.0
// tidepool - SQLite: what a change of threads costs against bare SQLite on the same loop, 32 writers on one writer's queue against SQLite's
// own lock, acquire and release, memory of a connection.
//
//   bench_sqlite [hop] [writers] [memory]      all of it by default; $SECONDS_A_CASE: how long each case is measured, default 1
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/thread_pool.hpp>
#include <tidepool/sqlite.hpp>

#include "measure.hpp"

namespace {

namespace sqlite = tidepool::sqlite;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

double us(clock_type::duration span) { return std::chrono::duration<double, std::micro>(span).count(); }

std::string folder;
std::string file(const char* name) { return folder + "/" + name; }

void run(asio::io_context& io, asio::awaitable<void> work) {
  asio::co_spawn(io, std::move(work), [&io](std::exception_ptr failed) {
    if (failed) std::rethrow_exception(failed);
    io.stop();
  });
  io.restart();
  io.run();
}

/// Prints what one turn costs, by the clock and by the processor, and returns the former in microseconds.
struct measured {
  double wall, cpu;
};
template <class Turn>
asio::awaitable<measured> measure(Turn& turn) {
  for (int i = 0; i < 200; ++i) co_await turn();
  const auto begin = clock_type::now();
  const double cpu = cpu_us();
  long count = 0;
  while (clock_type::now() - begin < measured_for()) {
    for (int i = 0; i < 50; ++i, ++count) co_await turn();
  }
  co_return measured{us(clock_type::now() - begin) / static_cast<double>(count), (cpu_us() - cpu) / static_cast<double>(count)};
}
void print(const char* what, const measured& m, const measured& base) {
  std::printf("  %-46s %8.2f us %8.2f us cpu   %+6.2f us\n", what, m.wall, m.cpu, m.wall - base.wall);
}

asio::awaitable<void> hops() {
  const auto here = co_await asio::this_coro::executor;
  sqlite::pool pool(here, sqlite::connector(file("hop.db")), tidepool::pool_config::embedded());
  co_await pool.open();
  sqlite::options sleepy(file("hop.db"));
  sleepy.look_time = 0s;
  sqlite::pool sleeping(here, sqlite::connector(sleepy), tidepool::pool_config::embedded());
  co_await sleeping.open();
  {
    auto lease = co_await pool.acquire();
    co_await lease->script(
        "create table if not exists t (id integer primary key, name text); delete from t;"
        "insert into t with recursive n(i) as (select 1 union all select i + 1 from n limit 10000) "
        "select i, 'name ' || i from n");
  }
  const auto empty = [&]() -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    co_return;
  };
  const auto only = co_await measure(empty);
  std::printf("acquire and release: %.1f ns\n", only.wall * 1000);

  asio::thread_pool threads(1);
  const auto work = asio::make_work_guard(co_await asio::this_coro::executor);  // while the only handler is elsewhere
  sqlite3* db = nullptr;
  sqlite3_open_v2(file("hop.db").c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  for (const bool point : {false, true}) {
    const char* const sql = point ? "select name from t where id = ?1" : "select ?1";
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(db, sql, -1, &statement, nullptr);
    std::int64_t id = 0;
    std::string last;
    const auto bare = [&]() -> asio::awaitable<void> {
      id = id % 10000 + 1;
      sqlite3_bind_int64(statement, 1, id);
      if (sqlite3_step(statement) == SQLITE_ROW) last = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
      sqlite3_reset(statement);
      co_return;
    };
    const auto posted = [&]() -> asio::awaitable<void> {
      co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
      co_await bare();
    };
    // The floor: what a change to a thread and back costs with nothing of ours in it.
    const auto changed = [&]() -> asio::awaitable<void> {
      const auto start = [&](auto handler) {
        asio::post(threads, [&, handler = std::move(handler)]() mutable {
          id = id % 10000 + 1;
          sqlite3_bind_int64(statement, 1, id);
          if (sqlite3_step(statement) == SQLITE_ROW) last = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
          sqlite3_reset(statement);
          const auto home = asio::get_associated_executor(handler);
          asio::post(home, std::move(handler));
        });
      };
      co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(start, asio::use_awaitable);
    };
    const auto exec_by = [&](sqlite::pool& by) -> asio::awaitable<void> {
      id = id % 10000 + 1;
      auto lease = co_await by.acquire();
      const auto row = co_await lease->exec(sql, id);
      if (row.empty()) std::abort();
    };
    const auto pooled = [&] { return exec_by(pool); };
    const auto slept = [&] { return exec_by(sleeping); };
    const auto by_run = [&]() -> asio::awaitable<void> {
      id = id % 10000 + 1;
      auto lease = co_await pool.acquire();
      co_await lease->run([](sqlite3*) {});
    };
    std::printf("%s\n", point ? "point read" : "SELECT 1");
    const auto base = co_await measure(bare);
    print("bare SQLite, prepared, on the loop's thread", base, base);
    print("the same, and one asio::post", co_await measure(posted), base);
    print("the same, on an asio::thread_pool and back", co_await measure(changed), base);
    print("pool: acquire, exec(), release", co_await measure(pooled), base);
    print("the same with look_time = 0", co_await measure(slept), base);
    if (!point) print("pool: acquire, run() of nothing, release", co_await measure(by_run), base);
    sqlite3_finalize(statement);
  }
  sqlite3_close(db);
  co_await pool.close(5s);
  co_await sleeping.close(5s);
}

/// What 32 tasks see that write one row each in a transaction, again and again.
struct tally {
  std::vector<double> waits{};
  long busy = 0;
  bool over = false;
  int running = 0;
};
void print(const char* what, tally& of, double seconds) {
  std::sort(of.waits.begin(), of.waits.end());
  const auto at = [&](double share) {
    return of.waits.empty() ? 0.0 : of.waits[static_cast<std::size_t>(share * static_cast<double>(of.waits.size() - 1))] / 1000;
  };
  std::printf("  %-46s %7.0f tx/s   p50 %7.2f ms   p99 %8.2f ms   longest %8.2f ms   SQLITE_BUSY %ld\n", what,
              static_cast<double>(of.waits.size()) / seconds, at(0.5), at(0.99), at(1), of.busy);
}

/// The transaction as one piece of work: one change of threads instead of four.
void write_row(sqlite3* db, int number) {
  const auto task = std::to_string(number);
  const auto sql = "begin immediate; insert into t select " + task + ", count(*) from t where task = " + task + "; commit";
  if (sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(db));
}

template <class Acquire>
asio::awaitable<void> write_rows(tally& seen, Acquire& acquire, int number, sqlite::locking lock, bool at_once) {
  ++seen.running;
  while (!seen.over) {
    const auto begin = clock_type::now();
    try {
      auto lease = co_await acquire();
      const auto body = [&](sqlite::transaction& tx) -> asio::awaitable<void> {
        const int count = co_await tx.one<int>("select count(*) from t where task = ?1", number);
        co_await tx.exec("insert into t values (?1, ?2)", number, count);
      };
      if (at_once) {
        const auto work = [number](sqlite3* on) { write_row(on, number); };
        co_await lease->run(work);
      } else {
        co_await lease->transaction(body, {.lock = lock});
      }
      seen.waits.push_back(us(clock_type::now() - begin));
    } catch (const sqlite::error& failure) {
      if (!failure.retryable()) throw;
      ++seen.busy;
    }
  }
  --seen.running;
}
template <class Acquire>
asio::awaitable<void> writers(const char* what, Acquire& acquire, sqlite::locking lock, bool at_once = false) {
  {
    auto lease = co_await acquire();
    co_await lease->script("drop table if exists t; create table t (task integer, n integer); create index t_task on t (task)");
  }
  tally seen;
  const auto here = co_await asio::this_coro::executor;
  for (int i = 0; i < 32; ++i) asio::co_spawn(here, write_rows(seen, acquire, i, lock, at_once), asio::detached);
  const auto begin = clock_type::now();
  asio::steady_timer timer(here);
  timer.expires_after(measured_for() * 3);
  co_await timer.async_wait(asio::use_awaitable);
  seen.over = true;
  const double seconds = us(clock_type::now() - begin) / 1e6;
  while (seen.running > 0) {
    timer.expires_after(1ms);
    co_await timer.async_wait(asio::use_awaitable);
  }
  print(what, seen, seconds);
}

asio::awaitable<void> all_writers() {
  std::printf("32 tasks write, one row and one read a transaction\n");
  const auto here = co_await asio::this_coro::executor;
  auto config = tidepool::pool_config::embedded();
  config.acquire_timeout = 60s;
  {
    sqlite::database db(here, file("one.db"), 4, config);
    co_await db.open();
    const auto acquire = [&] { return db.write(); };
    co_await writers("one writer: database::write()", acquire, sqlite::locking::automatic);
    co_await writers("the same, the transaction in one run()", acquire, sqlite::locking::automatic, true);
    co_await db.close(5s);
  }
  for (const std::size_t size : {std::size_t{8}, std::size_t{32}}) {
    config.min_size = config.max_size = size;
    sqlite::pool pool(here, sqlite::connector(file("many.db")), config);
    co_await pool.open();
    const auto acquire = [&] { return pool.acquire(); };
    const auto name = std::to_string(size) + " read-write connections, BEGIN IMMEDIATE";
    co_await writers(name.c_str(), acquire, sqlite::locking::immediate);
    const auto deferred = std::to_string(size) + " read-write connections, BEGIN";
    co_await writers(deferred.c_str(), acquire, sqlite::locking::deferred);
    co_await pool.close(5s);
  }
}

long resident_kb() {
  std::ifstream in("/proc/self/statm");
  long all = 0, resident = 0;
  in >> all >> resident;
  return resident * ::sysconf(_SC_PAGESIZE) / 1024;
}
asio::awaitable<void> memory() {
  constexpr std::size_t count = 100;
  auto config = tidepool::pool_config::embedded();
  config.min_size = config.max_size = count;
  sqlite::pool pool(co_await asio::this_coro::executor, sqlite::connector(file("hop.db")), config);
  const long before = resident_kb();
  const auto heap = sqlite3_memory_used();
  co_await pool.open();
  std::printf("memory: %.1f kB resident a connection, %.1f kB of these SQLite's, after opening\n",
              static_cast<double>(resident_kb() - before) / count, static_cast<double>(sqlite3_memory_used() - heap) / 1024 / count);
  co_await pool.close(5s);
}

}  // namespace

int main(int argc, char** argv) try {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::string name = (std::filesystem::temp_directory_path() / "tidepool-bench.XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) return 1;
  folder = name;
  const auto wanted = [&](const char* part) {
    return argc < 2 || std::any_of(argv + 1, argv + argc, [&](const char* a) { return std::string(a) == part; });
  };
  asio::io_context io{1};
  std::printf("SQLite %s\n", sqlite3_libversion());
  if (wanted("hop")) {
    cpu_set_t all, one;
    sched_getaffinity(0, sizeof all, &all);
    CPU_ZERO(&one);
    for (std::size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i) {
      if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    }
    std::printf("--- one processor\n");
    sched_setaffinity(0, sizeof one, &one);
    run(io, hops());
    sched_setaffinity(0, sizeof all, &all);
    std::printf("--- %d processors\n", CPU_COUNT(&all));
    if (CPU_COUNT(&all) > 1) run(io, hops());
  }
  if (wanted("writers")) run(io, all_writers());
  if (wanted("memory")) run(io, memory());
  std::filesystem::remove_all(folder);
} catch (const std::exception& failure) {
  std::fprintf(stderr, "bench_sqlite: %s\n", failure.what());
  return 1;
}
