// tidepool - claim: taking an idle connection and giving it back costs next to nothing beside a child coroutine.
#include <future>
#include <mutex>

#include <asio/use_future.hpp>

#include "support.hpp"

namespace tidepool_benchmarks {
namespace {

constexpr int batch = 1000;

// --- floors ---------------------------------------------------------------------------------------------------------

asio::awaitable<std::uint64_t, io_executor> child(std::mutex& mutex, std::uint64_t& count) {
  const std::lock_guard lock(mutex);
  co_return ++count;
}
asio::awaitable<void, io_executor> children(std::mutex& mutex) {
  std::uint64_t count = 0;
  for (int i = 0; i < batch; ++i) {
    const auto seen = co_await child(mutex, count);
    benchmark::DoNotOptimize(seen);
  }
}
void floor_child(benchmark::State& state) {
  asio::io_context io(1);
  std::mutex mutex;
  for (auto _ : state) run(io, children(mutex));
  state.SetItemsProcessed(state.iterations() * batch);
}

asio::awaitable<void, io_executor> posts() {
  const auto executor = co_await asio::this_coro::executor;
  for (int i = 0; i < batch; ++i) co_await asio::post(executor, asio::use_awaitable_t<io_executor>());
}
void floor_post(benchmark::State& state) {
  asio::io_context io(1);
  for (auto _ : state) run(io, posts());
  state.SetItemsProcessed(state.iterations() * batch);
}

// --- the pool -------------------------------------------------------------------------------------------------------

template <class Pool>
asio::awaitable<void, typename Pool::executor_type> pairs(Pool& pool) {
  for (int i = 0; i < batch; ++i) {
    auto lease = co_await pool.acquire();
    ++lease->uses;
  }
}
template <class Traits>
void acquire(benchmark::State& state) {
  opened_pool<Traits> made(fixed_size(8));
  for (auto _ : state) run(made.io, pairs(made.pool));
  state.SetItemsProcessed(state.iterations() * batch);
}

template <class Traits>
void try_acquire(benchmark::State& state) {
  opened_pool<Traits> made(fixed_size(8));
  for (auto _ : state) {
    for (int i = 0; i < batch; ++i) {
      auto lease = made.pool.try_acquire();
      ++lease->uses;
    }
  }
  state.SetItemsProcessed(state.iterations() * batch);
}

template <class Pool>
struct callback {
  Pool& pool;
  asio::io_context& io;
  int left;
  void operator()(tidepool::error_code, typename Pool::lease lease) {
    ++lease->uses;
    lease.release();
    if (--left == 0) return io.stop();
    pool.async_acquire(std::chrono::seconds(1), callback(*this));
  }
};
void async_acquire_callback(benchmark::State& state) {
  opened_pool<defaults> made(fixed_size(8));
  using pool_type = opened_pool<defaults>::pool_type;
  for (auto _ : state) {
    made.pool.async_acquire(std::chrono::seconds(1), callback<pool_type>{made.pool, made.io, batch});
    made.io.restart();
    made.io.run();
  }
  state.SetItemsProcessed(state.iterations() * batch);
}
asio::awaitable<void, io_executor> awaitables(opened_pool<defaults>::pool_type& pool) {
  for (int i = 0; i < batch; ++i) {
    auto lease = co_await pool.async_acquire(std::chrono::seconds(1), asio::use_awaitable_t<io_executor>());
    ++lease->uses;
  }
}
void async_acquire_awaitable(benchmark::State& state) {
  opened_pool<defaults> made(fixed_size(8));
  for (auto _ : state) run(made.io, awaitables(made.pool));
  state.SetItemsProcessed(state.iterations() * batch);
}
void async_acquire_future(benchmark::State& state) {
  opened_pool<defaults> made(fixed_size(8));
  for (auto _ : state) {
    made.io.restart();
    for (int i = 0; i < batch; ++i) {
      auto later = made.pool.async_acquire(std::chrono::seconds(1), asio::use_future);
      while (later.wait_for(std::chrono::seconds(0)) != std::future_status::ready) made.io.poll_one();
      ++later.get()->uses;
    }
  }
  state.SetItemsProcessed(state.iterations() * batch);
}

BENCHMARK(floor_child);
BENCHMARK(floor_post);
BENCHMARK(acquire<defaults>);
BENCHMARK(acquire<any_executor>);
BENCHMARK(acquire<one_thread>);
BENCHMARK(acquire<without_health>);
BENCHMARK(acquire<without_leaks>);
BENCHMARK(acquire<without_scaling>);
BENCHMARK(acquire<without_lifetime>);
BENCHMARK(acquire<without_breaker>);
BENCHMARK(acquire<bare>);
BENCHMARK(try_acquire<defaults>);
BENCHMARK(try_acquire<one_thread>);
BENCHMARK(try_acquire<bare>);
BENCHMARK(async_acquire_callback);
BENCHMARK(async_acquire_awaitable);
BENCHMARK(async_acquire_future);

}  // namespace
}  // namespace tidepool_benchmarks

BENCHMARK_MAIN();
