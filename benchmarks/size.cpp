// SPDX-License-Identifier: BSL-1.0
// tidepool - claim: a pool of 10,000 connections serves an acquire as fast as a pool of 10.
#include <malloc.h>
#include <tidepool/testing.hpp>

#include <limits>
#include <memory>
#include <vector>

#include "support.hpp"

namespace tidepool_benchmarks {
namespace {

using pool_type = opened_pool<defaults>::pool_type;

std::size_t heap_in_use() {
  const auto info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

void acquire_of(benchmark::State& state) {
  const std::size_t before = heap_in_use();
  opened_pool<defaults> made(fixed_size(static_cast<std::size_t>(state.range(0))));
  const std::size_t after = heap_in_use();
  for (auto _ : state) {
    auto lease = made.pool.try_acquire();
    ++lease->uses;
  }
  state.counters["bytes_a_slot"] = static_cast<double>(after - before) / static_cast<double>(state.range(0));
}
void acquire_while_half_is_leased(benchmark::State& state) {
  opened_pool<defaults> made(fixed_size(static_cast<std::size_t>(state.range(0))));
  std::vector<pool_type::lease> held;
  for (int i = 0; i < state.range(0) / 2; ++i) held.push_back(made.pool.try_acquire());
  for (auto _ : state) {
    auto lease = made.pool.try_acquire();
    ++lease->uses;
  }
}
void stats_of(benchmark::State& state) {
  opened_pool<defaults> made(fixed_size(static_cast<std::size_t>(state.range(0))));
  for (auto _ : state) benchmark::DoNotOptimize(made.pool.stats());
}

/// An idle pool through an hour of virtual time: health checks every 30 seconds, retirement at half an hour.
struct in_virtual_time : tidepool::testing::simulated_traits<nothing> {
  using executor_type = tidepool::testing::simulation::executor_type;
  using operation_executor = executor_type;
};
asio::awaitable<nothing, in_virtual_time::executor_type> connect_in_virtual_time() { co_return nothing{}; }
void sweep_of(benchmark::State& state) {
  tidepool::testing::simulation world(1);
  auto config = fixed_size(static_cast<std::size_t>(state.range(0)));
  config.auto_scale = true;
  tidepool::basic_pool<nothing, in_virtual_time> pool(world.get_executor(), connect_in_virtual_time, config);
  asio::co_spawn(world.get_executor(), pool.open(), asio::detached);
  world.run_for(std::chrono::minutes(1), std::numeric_limits<std::size_t>::max());
  for (auto _ : state) world.run_for(std::chrono::hours(1), std::numeric_limits<std::size_t>::max());
  state.counters["us_per_connection_hour"] = benchmark::Counter(
      static_cast<double>(state.range(0)) / 1e6, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
/// Every connection is retired and replaced.
void recycle_of(benchmark::State& state) {
  opened_pool<defaults> made(fixed_size(static_cast<std::size_t>(state.range(0))));
  for (auto _ : state) {
    made.pool.recycle();
    made.io.restart();
    while (made.pool.stats().idle_connections < static_cast<std::size_t>(state.range(0))) made.io.run_one();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

BENCHMARK(acquire_of)->Arg(10)->Arg(1000)->Arg(10000);
BENCHMARK(acquire_while_half_is_leased)->Arg(10)->Arg(1000)->Arg(10000);
BENCHMARK(stats_of)->Arg(10)->Arg(1000)->Arg(10000);
BENCHMARK(sweep_of)->Arg(10)->Arg(1000)->Arg(10000)->Unit(benchmark::kMillisecond);
BENCHMARK(recycle_of)->Arg(10)->Arg(1000)->Arg(10000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tidepool_benchmarks

BENCHMARK_MAIN();
