// SPDX-License-Identifier: BSL-1.0
// tidepool - SQLite connections on several threads: what ThreadSanitizer has to see.
#if defined(__linux__)
#include <sched.h>
#endif

#include <atomic>
#include <chrono>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <tidepool/sqlite/detail/workers.hpp>

#include "../support/on_end.hpp"
#include "kit.hpp"

using namespace tidepool_tests;

namespace {

/// Runs `work()` as many times at once on several threads, and throws what the first that failed threw.
template <class Work>
void at_once(asio::io_context& io, int count, Work work) {
  std::mutex mutex;
  std::exception_ptr first;
  for (int i = 0; i < count; ++i) {
    const on_end at_end = [&](std::exception_ptr failure) {
      const std::lock_guard lock(mutex);
      if (failure && !first) first = failure;
    };
    asio::co_spawn(asio::make_strand(io), work(i), at_end);
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&io] { io.run_for(60s); });
  for (auto& one : threads) one.join();
  if (!io.stopped()) throw std::runtime_error("it hangs");
  if (first) std::rethrow_exception(first);
}

// Each submits the next one when it is told to be done, as a coroutine does that awaits one call after the other.
struct chained final : lite::detail::job {
  lite::detail::workers* on = nullptr;
  std::atomic<int>* left = nullptr;
  chained* next = nullptr;
  void work() noexcept override {}
  void conclude() noexcept override {
    if (left->fetch_sub(1) > 1) on->submit(*next);
  }
};

/// What this thread has had of its processor.
std::chrono::nanoseconds processor_time() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);  // NOLINT(clock): of the processor
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

}  // namespace

TEST_CASE("given a job, when it is submitted as the one before is told to be done, then one thread does both") {
  const auto look = GENERATE(0us, 50us, 10000us);
  lite::detail::workers threads(8, look);
  std::atomic<int> left{3000};
  chained one, two;
  one.on = two.on = &threads;
  one.left = two.left = &left;
  one.next = &two;
  two.next = &one;
  threads.submit(one);
  while (left.load() > 0) std::this_thread::yield();
  CHECK(threads.threads() == 1);
}

TEST_CASE("given one processor, or a look_time of 0, when threads are made, then nobody looks") {
  CHECK(lite::detail::workers(1, 0us).look_time() == 0us);
#if defined(__linux__)
  std::chrono::nanoseconds alone{1}, beside{-1};
  std::thread([&] {
    cpu_set_t all, one;
    ::sched_getaffinity(0, sizeof all, &all);
    if (CPU_COUNT(&all) > 1) beside = lite::detail::workers(1, 50us).look_time();
    CPU_ZERO(&one);
    for (std::size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i) {
      if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    }
    ::sched_setaffinity(0, sizeof one, &one);
    alone = lite::detail::workers(1, 50us).look_time();
  }).join();
  CHECK(alone == 0us);
  CHECK((beside == 50us || beside == -1ns));
#endif
}

TEST_CASE("given a long call, when its event loop has looked for the end, then it sleeps, and others run") {
  const folder here;
  lite::options how(here / "a.db");
  how.look_time = 10ms;
  asio::io_context io;
  int ticks = 0;
  std::chrono::nanoseconds used{0};
  const auto tick = [&io, &ticks]() -> asio::awaitable<void> {
    asio::steady_timer timer(io);
    for (; ticks < 20; ++ticks) {
      timer.expires_after(5ms);
      co_await timer.async_wait(asio::use_awaitable);
    }
  };
  const auto work = [&]() -> asio::awaitable<void> {
    auto c = co_await lite::connection::connect(how);
    const auto nothing = [](sqlite3*) {};
    for (int i = 0; i < 200; ++i) co_await c.run(nothing);  // looks have succeeded
    const auto before = processor_time();
    const auto sleep = [](sqlite3*) { std::this_thread::sleep_for(400ms); };
    co_await c.run(sleep);
    used = processor_time() - before;
  };
  asio::co_spawn(io, work(), asio::detached);
  asio::co_spawn(io, tick(), asio::detached);
  io.run();
  CHECK(ticks == 20);
  CHECK(used > 0ns);
  CHECK(used < 100ms);
}

TEST_CASE("given 32 tasks that write on three threads, when all are done, then nobody met SQLITE_BUSY") {
  const folder here;
  asio::io_context io(3);
  auto config = tidepool::pool_config::embedded();
  config.acquire_timeout = 60s;
  lite::database db(io, here / "test.db", 3, config);
  std::atomic<int> left{32};
  std::atomic<std::int64_t> seen{0};
  at_once(io, 32, [&](int number) -> asio::awaitable<void> {
    {
      auto setup = co_await db.write();
      co_await setup->exec("create table if not exists t (i integer)");
    }
    for (int i = 0; i < 8; ++i) {
      {
        auto lease = co_await db.write();
        auto body = [&](lite::transaction& tx) -> asio::awaitable<void> { co_await tx.exec("insert into t values (?1)", number); };
        co_await lease->transaction(body);
      }
      auto lease = co_await db.read();
      const auto count = co_await lease->one<std::int64_t>("select count(*) from t");
      if (count > seen) seen = count;
    }
    if (left.fetch_sub(1) == 1) {
      auto lease = co_await db.read();
      seen = co_await lease->one<std::int64_t>("select count(*) from t");
      lease.release();
      co_await db.close(5s);
    }
  });
  CHECK(seen == 32 * 8);
}

TEST_CASE("given operations cancelled and aborted at any moment, when all have ended, then the pool works") {
  const folder here;
  asio::io_context io(3);
  auto config = tidepool::pool_config::embedded();
  config.acquire_timeout = 60s;
  config.max_size = 3;
  lite::pool pool(io, lite::connector(here / "test.db"), config);
  std::atomic<int> left{24};
  std::atomic<int> answers{0};
  at_once(io, 24, [&](int number) -> asio::awaitable<void> {
    std::minstd_rand random(static_cast<unsigned>(number));
    for (int i = 0; i < 6; ++i) {
      auto lease = co_await pool.acquire();
      const auto strand = co_await asio::this_coro::executor;
      asio::cancellation_signal stop;
      bool ended = false;
      auto work = [&]() -> asio::awaitable<void> { co_await lease->exec(i % 2 == 0 ? endless : "select 1"); };
      asio::co_spawn(
          strand, work(),
          asio::bind_cancellation_slot(stop.slot(), asio::bind_executor(strand, on_end([&](std::exception_ptr) { ended = true; }))));
      co_await pause(std::chrono::milliseconds(random() % 4));
      if (i % 3 == 0) {
        lease->abort("for the test");
      } else {
        stop.emit(asio::cancellation_type::terminal);
      }
      while (!ended) co_await pause(1ms);
    }
    auto lease = co_await pool.acquire();
    answers += co_await lease->one<int>("select 1");
    lease.release();
    if (left.fetch_sub(1) == 1) co_await pool.close(5s);
  });
  CHECK(answers == 24);
}

TEST_CASE("given connections that are dropped at any moment, when the program goes on, then each is closed once") {
  const folder here;
  for (int round = 0; round < 20; ++round) {
    asio::io_context io;
    auto work = [&]() -> asio::awaitable<void> {
      auto c = co_await lite::connection::connect(here / "test.db");
      co_await c.exec("create table if not exists t (i)");
      co_await c.exec("insert into t values (1)");
      if (round % 2 == 0) co_await c.exec(endless);
    };
    asio::co_spawn(io, work(), asio::detached);
    io.run_for(std::chrono::milliseconds(round % 4));
  }
  run([](std::string path) -> asio::awaitable<void> {
    auto c = co_await lite::connection::connect(path);
    const auto sound = co_await c.one<std::string>("pragma integrity_check");
    must(sound == "ok", sound);
  }(here / "test.db"));
}
