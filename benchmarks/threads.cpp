// tidepool - claim: how two threads get on with one pool, and what one pool a thread gives instead.
#include <memory>

#include "support.hpp"

namespace tidepool_benchmarks {
namespace {

std::unique_ptr<opened_pool<defaults>> shared_pool;

void one_pool(benchmark::State& state) {
  if (state.thread_index() == 0) shared_pool = std::make_unique<opened_pool<defaults>>(fixed_size(8));
  for (auto _ : state) {
    auto lease = shared_pool->pool.try_acquire();
    if (lease) ++lease->uses;
  }
  state.SetItemsProcessed(state.iterations());
  if (state.thread_index() == 0) shared_pool.reset();
}
void one_pool_a_thread(benchmark::State& state) {
  opened_pool<one_thread> made(fixed_size(8));
  for (auto _ : state) {
    auto lease = made.pool.try_acquire();
    ++lease->uses;
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(one_pool)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(one_pool_a_thread)->ThreadRange(1, 2)->UseRealTime();

}  // namespace
}  // namespace tidepool_benchmarks

BENCHMARK_MAIN();
