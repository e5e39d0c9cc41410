// SPDX-License-Identifier: BSL-1.0
// tidepool - claim: how fast two threads are with one pool, and with one pool for each thread.
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

// --- coroutines: a context and a loop of acquires on each thread --------------------------------------------------------------------

constexpr int batch = 1000;
template <class Pool>
asio::awaitable<void, io_executor> pairs(Pool& pool) {
  for (int i = 0; i < batch; ++i) {
    auto lease = co_await pool.acquire();
    ++lease->uses;
  }
}
void coroutines_on_one_pool(benchmark::State& state) {
  if (state.thread_index() == 0) shared_pool = std::make_unique<opened_pool<defaults>>(fixed_size(8));
  asio::io_context io(1);
  for (auto _ : state) run(io, pairs(shared_pool->pool));
  state.SetItemsProcessed(state.iterations() * batch);
  if (state.thread_index() == 0) shared_pool.reset();
}
void coroutines_on_one_pool_each(benchmark::State& state) {
  opened_pool<one_thread> made(fixed_size(8));
  for (auto _ : state) run(made.io, pairs(made.pool));
  state.SetItemsProcessed(state.iterations() * batch);
}

// --- more callers than connections ----------------------------------------------------------------------------------------------------

constexpr int crowd = 500;  // on each thread
constexpr int turns = 20;
template <class Pool>
asio::awaitable<void, io_executor> waiting(Pool& pool, int& left, asio::io_context& io) {
  const auto executor = co_await asio::this_coro::executor;
  for (int i = 0; i < turns; ++i) {
    auto lease = co_await pool.acquire();
    ++lease->uses;
    co_await asio::post(executor, asio::use_awaitable_t<io_executor>());
  }
  if (--left == 0) io.stop();
}
template <class Pool>
void let_a_crowd_in(Pool& pool, asio::io_context& io) {
  int left = crowd;
  for (int i = 0; i < crowd; ++i) asio::co_spawn(io, waiting(pool, left, io), asio::detached);
  io.restart();
  io.run();
}
void crowds_on_one_pool(benchmark::State& state) {
  if (state.thread_index() == 0) shared_pool = std::make_unique<opened_pool<defaults>>(fixed_size(10));
  asio::io_context io(1);
  // A waiter of the other thread is resumed here by its thread alone; only an idle context must not return.
  const auto work = asio::require(io.get_executor(), asio::execution::outstanding_work.tracked);
  for (auto _ : state) let_a_crowd_in(shared_pool->pool, io);
  state.SetItemsProcessed(state.iterations() * crowd * turns);
  if (state.thread_index() == 0) shared_pool.reset();
}
void crowds_on_one_pool_each(benchmark::State& state) {
  opened_pool<one_thread> made(fixed_size(5));
  for (auto _ : state) let_a_crowd_in(made.pool, made.io);
  state.SetItemsProcessed(state.iterations() * crowd * turns);
}

BENCHMARK(coroutines_on_one_pool)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(coroutines_on_one_pool_each)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(crowds_on_one_pool)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(crowds_on_one_pool_each)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(one_pool)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(one_pool_a_thread)->ThreadRange(1, 2)->UseRealTime();

}  // namespace
}  // namespace tidepool_benchmarks

BENCHMARK_MAIN();
