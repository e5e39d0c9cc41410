// SPDX-License-Identifier: BSL-1.0
// tidepool - claim: acquiring an idle connection and releasing it costs very little compared with a child coroutine.
#include <future>
#include <mutex>
#include <vector>

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

asio::awaitable<std::uint64_t, io_executor> child_alone(std::uint64_t& count) { co_return ++count; }
asio::awaitable<void, io_executor> children_alone() {
  std::uint64_t count = 0;
  for (int i = 0; i < batch; ++i) {
    const auto seen = co_await child_alone(count);
    benchmark::DoNotOptimize(seen);
  }
}
void floor_child_alone(benchmark::State& state) {
  asio::io_context io(1);
  for (auto _ : state) run(io, children_alone());
  state.SetItemsProcessed(state.iterations() * batch);
}
void floor_mutex(benchmark::State& state) {
  std::mutex mutex;
  for (auto _ : state) {
    for (int i = 0; i < batch; ++i) {
      const std::lock_guard lock(mutex);
      benchmark::ClobberMemory();
    }
  }
  state.SetItemsProcessed(state.iterations() * batch);
}

asio::awaitable<void, io_executor> posts() {
  const auto executor = co_await asio::this_coro::executor;
  for (int i = 0; i < batch; ++i) co_await asio::post(executor, asio::use_awaitable_t<io_executor>());
}
void floor_post(benchmark::State& state) {
  waiting_context context;
  auto& io = context.io;
  for (auto _ : state) run(io, posts());
  state.SetItemsProcessed(state.iterations() * batch);
}

struct posted {
  asio::io_context& io;
  int left;
  void operator()() {
    if (--left == 0) return io.stop();
    asio::post(io, posted(*this));
  }
};
void floor_post_callback(benchmark::State& state) {
  waiting_context context;
  auto& io = context.io;
  for (auto _ : state) {
    asio::post(io, posted{io, batch});
    io.restart();
    io.run();
  }
  state.SetItemsProcessed(state.iterations() * batch);
}
void floor_post_future(benchmark::State& state) {
  waiting_context context;
  auto& io = context.io;
  std::vector<std::future<void>> later(batch);
  for (auto _ : state) {
    for (auto& one : later) one = asio::post(io, asio::use_future);
    asio::post(io, [&io] { io.stop(); });
    io.restart();
    io.run();
    for (auto& one : later) one.get();
  }
  state.SetItemsProcessed(state.iterations() * batch);
}
#if TIDEPOOL_ASIO_HAS_DEFERRED
asio::awaitable<void, io_executor> posts_deferred() {
  const auto executor = co_await asio::this_coro::executor;
  for (int i = 0; i < batch; ++i) co_await asio::post(executor, asio::deferred);
}
void floor_post_deferred(benchmark::State& state) {
  waiting_context context;
  auto& io = context.io;
  for (auto _ : state) run(io, posts_deferred());
  state.SetItemsProcessed(state.iterations() * batch);
}
#endif

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

void acquire_watched(benchmark::State& state) {
  std::uint64_t seen = 0;
  opened_pool<watched> made(fixed_size(8), counter{&seen});
  for (auto _ : state) run(made.io, pairs(made.pool));
  state.SetItemsProcessed(state.iterations() * batch);
}
void acquire_traced(benchmark::State& state) {
  auto config = fixed_size(8);
  config.track_stack_trace = true;
  opened_pool<defaults> made(config);
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
#if TIDEPOOL_ASIO_HAS_DEFERRED
asio::awaitable<void, io_executor> deferred(opened_pool<defaults>::pool_type& pool) {
  for (int i = 0; i < batch; ++i) {
    auto lease = co_await pool.async_acquire(std::chrono::seconds(1), asio::deferred);
    ++lease->uses;
  }
}
void async_acquire_deferred(benchmark::State& state) {
  opened_pool<defaults> made(fixed_size(8));
  for (auto _ : state) run(made.io, deferred(made.pool));
  state.SetItemsProcessed(state.iterations() * batch);
}
#endif
/// As many at once as there are connections: a future is no way to wait on the thread that runs the context.
void async_acquire_future(benchmark::State& state) {
  opened_pool<defaults> made(fixed_size(batch));
  std::vector<std::future<opened_pool<defaults>::pool_type::lease>> later(batch);
  for (auto _ : state) {
    for (auto& one : later) one = made.pool.async_acquire(std::chrono::seconds(1), asio::use_future);
    asio::post(made.io, [&] { made.io.stop(); });
    made.io.restart();
    made.io.run();
    for (auto& one : later) ++one.get()->uses;
  }
  state.SetItemsProcessed(state.iterations() * batch);
}

BENCHMARK(floor_mutex);
BENCHMARK(floor_child_alone);
BENCHMARK(floor_child);
BENCHMARK(floor_post);
BENCHMARK(floor_post_callback);
BENCHMARK(floor_post_future);
BENCHMARK(acquire<defaults>);
BENCHMARK(acquire<any_executor>);
BENCHMARK(acquire<one_thread>);
BENCHMARK(acquire<without_health>);
BENCHMARK(acquire<without_leaks>);
BENCHMARK(acquire<without_scaling>);
BENCHMARK(acquire<without_lifetime>);
BENCHMARK(acquire<without_breaker>);
BENCHMARK(acquire<only_health>);
BENCHMARK(acquire<only_leaks>);
BENCHMARK(acquire<only_scaling>);
BENCHMARK(acquire<only_lifetime>);
BENCHMARK(acquire<only_breaker>);
BENCHMARK(acquire<bare>);
BENCHMARK(acquire<every_lease_timed>);
BENCHMARK(acquire_watched)->Name("acquire<watched>");
BENCHMARK(acquire_traced)->Name("acquire<traced>");
BENCHMARK(try_acquire<defaults>);
BENCHMARK(try_acquire<one_thread>);
BENCHMARK(try_acquire<bare>);
BENCHMARK(async_acquire_callback);
BENCHMARK(async_acquire_awaitable);
BENCHMARK(async_acquire_future);
#if TIDEPOOL_ASIO_HAS_DEFERRED
BENCHMARK(floor_post_deferred);
BENCHMARK(async_acquire_deferred);
#endif

}  // namespace
}  // namespace tidepool_benchmarks

BENCHMARK_MAIN();
