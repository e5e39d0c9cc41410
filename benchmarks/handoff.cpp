// SPDX-License-Identifier: BSL-1.0
// tidepool - claim: under contention a cycle (acquire, one post, release) costs little more than its posts, and no caller is overtaken.
#include "support.hpp"

namespace tidepool_benchmarks {
namespace {

constexpr int cycles = 100000;

template <class Executor>
asio::awaitable<void, Executor> bare_posts(int rounds, int& left, asio::io_context& io) {
  const auto executor = co_await asio::this_coro::executor;
  for (int i = 0; i < rounds; ++i) co_await asio::post(executor, asio::use_awaitable_t<Executor>());
  if (--left == 0) io.stop();
}
template <class Executor>
void floor_post(benchmark::State& state) {
  waiting_context context;
  auto& io = context.io;
  const int callers = static_cast<int>(state.range(0));
  for (auto _ : state) {
    int left = callers;
    for (int i = 0; i < callers; ++i)
      asio::co_spawn(Executor(io.get_executor()), bare_posts<Executor>(cycles / callers, left, io), asio::detached);
    io.restart();
    io.run();
  }
  state.SetItemsProcessed(state.iterations() * (cycles / callers) * callers);
}

/// The order of the requests, and how far a caller was overtaken.
struct order {
  std::uint64_t asked = 0;
  std::uint64_t served = 0;
  std::uint64_t worst = 0;
};

template <class Pool>
asio::awaitable<void, typename Pool::executor_type> caller(Pool& pool, int rounds, order& seen, int& left, asio::io_context& io) {
  const auto executor = co_await asio::this_coro::executor;
  for (int i = 0; i < rounds; ++i) {
    const std::uint64_t ticket = seen.asked++;
    auto lease = co_await pool.acquire();
    // Leases are granted in order; their coroutines resume in the order of the grants.
    if (seen.served > ticket) seen.worst = std::max(seen.worst, seen.served - ticket);
    ++seen.served;
    ++lease->uses;
    co_await asio::post(executor, asio::use_awaitable_t<typename Pool::executor_type>());
  }
  if (--left == 0) io.stop();
}
template <class Traits>
void handoff(benchmark::State& state) {
  opened_pool<Traits> made(fixed_size(10));
  const int callers = static_cast<int>(state.range(0));
  order seen;
  for (auto _ : state) {
    int left = callers;
    for (int i = 0; i < callers; ++i) {
      asio::co_spawn(typename Traits::executor_type(made.io.get_executor()), caller(made.pool, cycles / callers, seen, left, made.io),
                     asio::detached);
    }
    made.io.restart();
    made.io.run();
  }
  state.SetItemsProcessed(state.iterations() * (cycles / callers) * callers);
  const auto stats = made.pool.stats();
  state.counters["overtakings"] = static_cast<double>(seen.worst);
  state.counters["wait_p50_us"] = static_cast<double>(stats.wait_time.quantile(0.5).count()) / 1e3;
  state.counters["wait_p99_us"] = static_cast<double>(stats.wait_time.quantile(0.99).count()) / 1e3;
  state.counters["wait_p999_us"] = static_cast<double>(stats.wait_time.quantile(0.999).count()) / 1e3;
}

BENCHMARK(floor_post<io_executor>)->Arg(100)->Arg(1000)->Arg(10000)->Unit(benchmark::kMillisecond);
BENCHMARK(floor_post<asio::any_io_executor>)->Arg(1000)->Unit(benchmark::kMillisecond);
BENCHMARK(handoff<defaults>)->Arg(100)->Arg(1000)->Arg(10000)->Unit(benchmark::kMillisecond);
BENCHMARK(handoff<one_thread>)->Arg(1000)->Unit(benchmark::kMillisecond);
BENCHMARK(handoff<any_executor>)->Arg(1000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tidepool_benchmarks

BENCHMARK_MAIN();
