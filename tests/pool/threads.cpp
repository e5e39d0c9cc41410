// SPDX-License-Identifier: BSL-1.0
// tidepool - seams between threads: what the pool does to a connection while its holder or its operation lets go of it.
#include <tidepool/pool.hpp>

#include <atomic>
#include <thread>

#include "support/asio.hpp"
#include "support/catch.hpp"
#include "support/stashing_traits.hpp"

namespace {

using namespace std::chrono_literals;
namespace asio = tidepool::asio;

/// Its state is plain memory, so that a sanitizer sees two who touch it at once; only `shut` may be touched by others.
struct timed_session {
  struct state {
    std::atomic<bool> shut{false};
    int uses = 0;
  };
  explicit timed_session(std::chrono::microseconds g) : own(std::make_shared<state>()), closing_time(g) {}
  asio::awaitable<void> close() {
    asio::basic_waitable_timer<std::chrono::steady_clock> timer(co_await asio::this_coro::executor);
    timer.expires_after(closing_time);
    co_await timer.async_wait(asio::use_awaitable);
    ++own->uses;
  }
  void abort() noexcept { own->shut = true; }
  bool usable() const noexcept { return !own->shut; }

  std::shared_ptr<state> own;
  std::chrono::microseconds closing_time;
};
using timed_pool = tidepool::basic_pool<timed_session, tidepool_tests::stashing<tidepool::default_traits<timed_session>>>;

tidepool::pool_config quiet(std::size_t max) {
  tidepool::pool_config c;
  c.min_size = 0;
  c.max_size = max;
  c.pre_ping = c.test_on_borrow = false;
  return c;
}

TEST_CASE("given graceful closes as long as their bound, when two threads meet, then each ends once") {
  asio::thread_pool context(3);
  auto config = quiet(8);
  config.close_timeout = 2ms;
  auto connect = []() -> asio::awaitable<timed_session> { co_return timed_session(2000us); };
  timed_pool pool(context, connect, config);
  for (int round = 0; round < 60; ++round) {
    std::vector<std::future<timed_pool::lease>> asked;
    for (int i = 0; i < 8; ++i) asked.push_back(pool.async_acquire(10s, asio::use_future));
    for (auto& one : asked) {
      timed_pool::lease lease = one.get();
      ++lease->own->uses;
    }
    pool.recycle();
  }
  std::future<void> closed = asio::co_spawn(context, pool.close(0s), asio::use_future);
  REQUIRE(closed.wait_for(30s) == std::future_status::ready);
  closed.get();
  CHECK(pool.stats().total_connections == 0);
  CHECK(pool.stats().connections_closed == pool.stats().connections_created);
}

TEST_CASE("given leases that are aborted, when their holders let go just then, then each connection ends once", "[R12]") {
  enum class how { release, discard, detach, keep };
  asio::thread_pool context(2);
  std::size_t detached = 0;
  std::size_t refused = 0;
  for (int round = 0; round < 150; ++round) {
    auto connect = []() -> asio::awaitable<timed_session> { co_return timed_session(0us); };
    auto pool = std::make_unique<timed_pool>(context, connect, quiet(4));
    std::vector<timed_pool::lease> held;
    for (int i = 0; i < 4; ++i) held.push_back(pool->async_acquire(10s, asio::use_future).get());
    std::future<void> closed = asio::co_spawn(context, pool->close(0s), asio::use_future);
    for (std::size_t i = 0; i < 4; ++i) {
      switch (static_cast<how>(i)) {
        case how::release: held[i].release(); break;
        case how::discard: held[i].discard(); break;
        case how::detach:
          try {
            timed_session mine = held[i].detach();
            ++mine.own->uses;
            ++detached;
          } catch (const tidepool::system_error&) {  // the pool was first
            ++refused;
          }
          break;
        case how::keep: break;
      }
    }
    closed.get();
    pool.reset();
  }
  CHECK(detached + refused == 150);
}

TEST_CASE("given a lease stashed while the pool ends, when two threads meet, then the last cleans up", "[INV-18]") {
  asio::thread_pool context(1);
  auto connect = []() -> asio::awaitable<timed_session> { co_return timed_session(0us); };
  std::weak_ptr<timed_session::state> left;
  for (int round = 0; round < 300; ++round) {
    auto pool = std::make_unique<timed_pool>(context, connect, quiet(1));
    timed_pool::lease lease = pool->async_acquire(10s, asio::use_future).get();
    lease.release();  // now the stash is open to it
    lease = pool->try_acquire();
    left = lease->own;
    std::atomic<int> ready{0};
    std::thread other([&, held = std::move(lease)]() mutable {
      ++ready;
      while (ready < 2) {
      }
      held.release();
    });
    ++ready;
    while (ready < 2) {
    }
    pool.reset();
    other.join();
    INFO("round " << round);
    for (int i = 0; i < 5000 && !left.expired(); ++i) std::this_thread::sleep_for(1ms);
    REQUIRE(left.expired());
  }
}

TEST_CASE("given many threads, when they acquire, leave, discard and wait, then each connection has one user", "[M3]") {
  asio::thread_pool context(4);
  auto config = quiet(3);
  config.max_uses = 50;
  auto connect = []() -> asio::awaitable<timed_session> { co_return timed_session(10us); };
  timed_pool pool(context, connect, config);
  std::atomic<int> served{0};
  std::atomic<int> failed{0};
  auto body = [&](int seed) -> asio::awaitable<void> {
    for (int i = 0; i < 300; ++i) {
      try {
        auto lease = co_await pool.acquire(std::chrono::microseconds((seed + i) % 7 == 0 ? 50 : 10'000'000));
        ++lease->own->uses;
        ++served;
        if (i % 5 == 0) co_await asio::post(asio::use_awaitable);
        if (i % 31 == 0) lease.discard();
      } catch (const tidepool::system_error&) {
        ++failed;
      }
    }
  };
  std::vector<std::future<void>> all;
  for (int i = 0; i < 16; ++i) all.push_back(asio::co_spawn(context, body(i), asio::use_future));
  for (int i = 0; i < 40; ++i) {
    pool.resize(0, 1 + static_cast<std::size_t>(i % 3));
    if (i % 10 == 0) pool.recycle();
    (void)pool.stats();
    std::this_thread::sleep_for(1ms);
  }
  pool.resize(0, 3);
  for (auto& one : all) one.get();
  CHECK(served + failed == 16 * 300);
  asio::co_spawn(context, pool.close(5s), asio::use_future).get();
  const auto last = pool.stats();
  CHECK(last.total_checkouts == last.total_checkins);
  CHECK(last.total_checkouts == static_cast<std::uint64_t>(served.load()));
  CHECK(last.failed_checkouts == static_cast<std::uint64_t>(failed.load()));
  CHECK(last.total_connections == 0);
}

TEST_CASE("given a lease stashed by another thread, when a caller will not wait, then it gets the lease") {
  asio::thread_pool context(1);
  auto connect = []() -> asio::awaitable<timed_session> { co_return timed_session(0us); };
  timed_pool pool(context, connect, quiet(1));
  pool.async_acquire(10s, asio::use_future).get().release();  // a connection's first lease is timed
  std::thread([&] {
    auto lease = pool.try_acquire();
    CHECK(lease);
  }).join();
  CHECK(pool.try_acquire());
  asio::co_spawn(context, pool.close(1s), asio::use_future).get();
}

}  // namespace
