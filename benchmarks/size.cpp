// tidepool - claim: a pool of 10,000 connections serves an acquire as fast as a pool of 10.
#include <malloc.h>

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

BENCHMARK(acquire_of)->Arg(10)->Arg(1000)->Arg(10000);
BENCHMARK(acquire_while_half_is_leased)->Arg(10)->Arg(1000)->Arg(10000);
BENCHMARK(stats_of)->Arg(10)->Arg(10000);

}  // namespace
}  // namespace tidepool_benchmarks

BENCHMARK_MAIN();
