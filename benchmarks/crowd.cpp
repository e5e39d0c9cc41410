// SPDX-License-Identifier: BSL-1.0
// tidepool - claim: 100,000 callers that time out or are cancelled cost a constant each, in time and in memory.
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

void timing_out(benchmark::State& state) {
  opened_pool<defaults> made(fixed_size(1));
  auto held = made.pool.try_acquire();
  const auto callers = static_cast<std::size_t>(state.range(0));
  double bytes = 0;
  for (auto _ : state) {
    std::size_t left = callers;
    const std::size_t before = heap_in_use();
    for (std::size_t i = 0; i < callers; ++i) {
      made.pool.async_acquire(std::chrono::milliseconds(1), [&](tidepool::error_code, pool_type::lease) {
        if (--left == 0) made.io.stop();
      });
    }
    bytes = static_cast<double>(heap_in_use() - before) / static_cast<double>(callers);
    made.io.restart();
    made.io.run();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["bytes_a_waiter"] = bytes;
}

void cancelled(benchmark::State& state) {
  opened_pool<defaults> made(fixed_size(1));
  auto held = made.pool.try_acquire();
  const auto callers = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    std::vector<asio::cancellation_signal> signals(callers);
    std::size_t left = callers;
    for (auto& signal : signals) {
      made.pool.async_acquire(std::chrono::hours(1),
                              asio::bind_cancellation_slot(signal.slot(), [&](tidepool::error_code, pool_type::lease) {
                                if (--left == 0) made.io.stop();
                              }));
    }
    // From the middle outwards, so that neither end of the queue makes it faster.
    for (std::size_t i = 0; i < callers; ++i) signals[(callers / 2 + i) % callers].emit(asio::cancellation_type::total);
    made.io.restart();
    made.io.run();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

BENCHMARK(timing_out)->Arg(1000)->Arg(10000)->Arg(100000)->Unit(benchmark::kMillisecond);
BENCHMARK(cancelled)->Arg(1000)->Arg(10000)->Arg(100000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tidepool_benchmarks

BENCHMARK_MAIN();
