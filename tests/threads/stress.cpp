// SPDX-License-Identifier: BSL-1.0
// tidepool - the real pool on a multi-threaded io_context, everything at once. Meant for ThreadSanitizer; true without it as well.
#include <tidepool/pool.hpp>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support/asio.hpp"
#include "support/catch.hpp"
#include "support/on_end.hpp"
#include "support/stashing_traits.hpp"

namespace tidepool_tests {
namespace {

namespace asio = tidepool::asio;
using namespace std::chrono_literals;
using tidepool::duration;
using tidepool::errc;

/// What all connections of one test share.
struct server {
  std::atomic<int> open{0};
  std::atomic<int> most_open{0};
  std::atomic<int> shared_by_two{0};
  std::atomic<unsigned> random{1};

  unsigned draw() {
    unsigned x = random.fetch_add(0x9e3779b9u, std::memory_order_relaxed);
    x ^= x >> 16;
    x *= 0x85ebca6bu;
    return x ^ (x >> 13);
  }
};

class wire {
 public:
  explicit wire(server& to) : to_(&to), shut_(std::make_unique<std::atomic<bool>>(false)) {
    const int now = ++to.open;
    int seen = to.most_open.load();
    while (now > seen && !to.most_open.compare_exchange_weak(seen, now)) {
    }
  }
  wire(wire&& other) noexcept : to_(std::exchange(other.to_, nullptr)), shut_(std::move(other.shut_)), uses_(other.uses_) {}
  wire& operator=(wire&&) = delete;
  ~wire() {
    if (to_) --to_->open;
  }

  asio::awaitable<void> ping() { return round_trip(50); }
  asio::awaitable<void> reset() { return round_trip(50); }
  asio::awaitable<void> close() { return round_trip(20); }
  bool usable() const noexcept { return !shut_->load(); }
  tidepool::lease_end after_lease() const noexcept {
    if (shut_->load()) return tidepool::lease_end::broken;
    return uses_ % 5 == 0 ? tidepool::lease_end::needs_reset : tidepool::lease_end::clean;
  }
  void abort() noexcept { shut_->store(true); }

  /// A plain counter on purpose: two holders at once are a data race.
  void use() { ++uses_; }

 private:
  asio::awaitable<void> round_trip(unsigned failures_in_1000) {
    const unsigned fate = to_->draw() % 1000;
    auto executor = co_await asio::this_coro::executor;
    if (fate % 4 == 0) {
      asio::steady_timer timer(executor, std::chrono::microseconds(fate));
      co_await timer.async_wait(asio::use_awaitable);
    }
    if (fate < failures_in_1000) {
      shut_->store(true);
      throw std::runtime_error("the wire broke");
    }
  }

  server* to_;
  std::unique_ptr<std::atomic<bool>> shut_;
  unsigned uses_ = 0;
};

using pool_type = tidepool::basic_pool<wire, stashing<tidepool::default_traits<wire>>>;

asio::awaitable<void> pause(duration time) {
  auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

struct outcomes {
  std::atomic<unsigned> served{0}, refused{0}, unexpected{0};
};

asio::awaitable<void> one_caller(pool_type& pool, outcomes& seen, unsigned seed, int rounds) {
  std::mt19937 random(seed);
  auto executor = co_await asio::this_coro::executor;
  for (int i = 0; i < rounds; ++i) {
    constexpr duration timeouts[] = {0ms, 1ms, 5ms, 10s};
    const duration timeout = timeouts[random() % 4];
    pool_type::lease lease;
    try {
      lease = co_await pool.acquire(timeout);
    } catch (const tidepool::pool_error&) {
      ++seen.refused;
      if (pool.state() >= tidepool::pool_state::closing) co_return;
      continue;
    } catch (const std::exception&) {
      ++seen.unexpected;
      co_return;
    }
    ++seen.served;
    lease->use();
    switch (random() % 8) {
      case 0: co_await pause(std::chrono::microseconds(random() % 300)); break;
      case 1: co_await asio::post(executor, asio::use_awaitable); break;
      case 2: lease.label("held on another thread"); break;
      case 3: lease.discard(); break;
      case 4: {
        auto elsewhere = std::make_shared<pool_type::lease>(std::move(lease));
        asio::post(pool.get_executor(), [elsewhere] { elsewhere->release(); });
        break;
      }
      case 5:
        if (random() % 8 == 0) {
          try {
            wire own = lease.detach();
            own.use();
          } catch (const tidepool::system_error&) {  // shut by the pool in the meantime
          }
        }
        break;
      default: break;
    }
  }
}

/// Cancels acquires at all sorts of moments, on the strand they run on.
asio::awaitable<void> canceller(pool_type& pool, outcomes& seen, unsigned seed, int rounds) {
  std::mt19937 random(seed);
  auto strand = asio::make_strand(pool.get_executor());
  for (int i = 0; i < rounds; ++i) {
    auto signal = std::make_shared<asio::cancellation_signal>();
    asio::post(strand, [&pool, &seen, signal, strand] {
      pool.async_acquire(
          1s, asio::bind_cancellation_slot(
                  signal->slot(), asio::bind_executor(strand, [&seen, signal](tidepool::error_code failed, pool_type::lease lease) {
                    if (!failed) lease->use();
                    ++(failed ? seen.refused : seen.served);
                  })));
    });
    if (random() % 2) co_await pause(std::chrono::microseconds(random() % 200));
    asio::post(strand, [signal] { signal->emit(asio::cancellation_type::total); });
  }
}

asio::awaitable<void> operator_at_work(pool_type& pool, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    co_await pause(1ms);
    switch (i % 7) {
      case 0: pool.resize(1, 3); break;
      case 1: pool.resize(2, 8); break;
      case 2: pool.recycle(); break;
      case 3: pool.suspend(); break;
      case 4: pool.resume(); break;
      case 5: {
        auto next = pool.config();
        next.max_lifetime = i % 14 == 5 ? 5ms : 1000ms;
        next.idle_timeout = 5ms;
        next.acquire_timeout = i % 14 == 5 ? 1ms : 1000ms;
        pool.reconfigure(next);
        break;
      }
      default: (void)pool.stats().to_json(); break;
    }
  }
  pool.resume();
  pool.resize(2, 8);
}

tidepool::pool_config small_pool() {
  tidepool::pool_config config;
  config.min_size = 2;
  config.max_size = 8;
  config.alive_bypass = 1ms;
  config.health_check_interval = 5ms;
  config.scale_check_interval = 3ms;
  config.idle_timeout = 4ms;
  config.max_lifetime = 20ms;
  config.leak_timeout = 2ms;
  config.retry_delay = 1ms;
  config.max_retry_delay = 2ms;
  config.breaker_open_time = 1ms;
  config.max_retries = 50;
  return config;
}

auto connector_to(server& world) {
  return [&world](pool_type::connect_context) -> asio::awaitable<wire> {
    const unsigned fate = world.draw() % 100;
    if (fate < 10) throw std::runtime_error("refused");
    if (fate < 40) co_await pause(std::chrono::microseconds(fate * 10));
    co_return wire(world);
  };
}

int rounds() {
  const char* more = std::getenv("TIDEPOOL_STRESS_ROUNDS");
  return more ? std::atoi(more) : 150;
}

}  // namespace

TEST_CASE("given four threads, when callers, cancels and an operator meet, then nothing is lost or shared") {
  server world;
  outcomes seen;
  {
    asio::io_context io(4);
    pool_type pool(io, connector_to(world), small_pool());
    std::atomic<int> running{0};
    const on_end ended = [&](std::exception_ptr failed) {
      if (failed) ++seen.unexpected;
      if (--running == 0) asio::co_spawn(io, pool.close(50ms), asio::detached);
    };
    running = 24 + 2 + 1;
    for (unsigned i = 0; i < 24; ++i) asio::co_spawn(io, one_caller(pool, seen, i, rounds()), ended);
    for (unsigned i = 0; i < 2; ++i) asio::co_spawn(io, canceller(pool, seen, 100 + i, rounds()), ended);
    asio::co_spawn(io, operator_at_work(pool, rounds()), ended);

    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back([&] { io.run(); });
    // A thread that runs no context at all.
    for (int i = 0; i < rounds(); ++i) {
      auto lease = pool.try_acquire();
      if (lease) lease->use();
      if (i % 10 == 0) {
        auto later = pool.async_acquire(2ms, asio::use_future);
        try {
          later.get()->use();
        } catch (const tidepool::system_error&) {  // busy
        }
      }
    }
    for (auto& thread : threads) thread.join();

    const auto stats = pool.stats();
    CHECK(stats.state == tidepool::pool_state::closed);
    CHECK(stats.total_connections == 0);
    CHECK(stats.waiting == 0);
    CHECK(stats.total_checkouts == stats.total_checkins);
    CHECK(stats.connections_created == stats.connections_closed);
    CHECK(stats.total_checkouts > 0);
  }
  CHECK(seen.unexpected == 0);
  CHECK(world.open == 0);
  CHECK(world.most_open > 1);
}

TEST_CASE("given callers on several threads, when the pool closes, then each gets an answer, run() returns") {
  for (unsigned seed = 0; seed < 10; ++seed) {
    server world;
    outcomes seen;
    asio::io_context io(3);
    pool_type pool(io, connector_to(world), small_pool());
    std::atomic<int> running{16};
    for (unsigned i = 0; i < 16; ++i) {
      const on_end at_end = [&](std::exception_ptr failed) {
        if (failed) ++seen.unexpected;
        --running;
      };
      asio::co_spawn(io, one_caller(pool, seen, 1000 * seed + i, 100000), at_end);
    }
    auto work = asio::make_work_guard(io);  // or run() may have returned after the first close when the second is asked for
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) threads.emplace_back([&] { io.run(); });
    std::this_thread::sleep_for(std::chrono::milliseconds(1 + seed * 3));
    // Two closers share the result.
    auto first = asio::co_spawn(io, pool.close(1ms), asio::use_future);
    auto second = asio::co_spawn(io, pool.close(1s), asio::use_future);
    work.reset();
    first.get();
    second.get();
    for (auto& thread : threads) thread.join();
    CHECK(running == 0);
    CHECK(seen.unexpected == 0);
    CHECK(pool.state() == tidepool::pool_state::closed);
    CHECK(world.open == 0);
  }
}

TEST_CASE("given leases on several threads, when the pool object ends first, then each return is safe") {
  for (int round = 0; round < 20; ++round) {
    server world;
    {
      asio::io_context io(2);
      auto pool = std::make_unique<pool_type>(io, connector_to(world), small_pool());
      std::vector<std::future<pool_type::lease>> leases;
      for (int i = 0; i < 12; ++i) leases.push_back(pool->async_acquire(50ms, asio::use_future));
      std::vector<std::thread> threads;
      for (int i = 0; i < 2; ++i) threads.emplace_back([&] { io.run(); });
      std::thread destroyer([&] {
        std::this_thread::sleep_for(std::chrono::microseconds(200 * round));
        pool.reset();
      });
      for (auto& later : leases) {
        try {
          auto lease = later.get();
          lease->use();
        } catch (const tidepool::system_error&) {  // the pool went first
        }
      }
      destroyer.join();
      for (auto& thread : threads) thread.join();
    }
    CHECK(world.open == 0);
  }
}

}  // namespace tidepool_tests
