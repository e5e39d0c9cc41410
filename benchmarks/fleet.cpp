// SPDX-License-Identifier: BSL-1.0
// tidepool - claim: what splitting one pool into several costs in waiting; by the real pool in virtual time.
//
//   fleet CUSTOMERS    prints "split/POOLSxSIZE/LOAD <TAB> metric <TAB> value", times in units of the mean time a connection is held
//
// Customers come at random times (Poisson), hold a connection for a random time (exponential, mean 1 ms) and give it back; 16 connections
// in all. With several pools, one a thread or one an instance, each customer belongs to one of them and cannot go to another.
#include <tidepool/pool.hpp>
#include <tidepool/testing.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

namespace {

namespace asio = tidepool::asio;
namespace testing = tidepool::testing;
using namespace std::chrono_literals;

struct nothing {};
struct traits : testing::simulated_traits<nothing> {
  using executor_type = testing::simulation::executor_type;
  using operation_executor = executor_type;
};
using pool_type = tidepool::basic_pool<nothing, traits>;
template <class T>
using awaitable = asio::awaitable<T, testing::simulation::executor_type>;
using random_source = std::mt19937_64;

constexpr std::size_t connections = 16;
constexpr std::chrono::nanoseconds held = 1ms;

awaitable<nothing> connect() { co_return nothing{}; }

struct tally {
  std::vector<double> waits;
};

awaitable<void> pause(std::chrono::nanoseconds time) {
  testing::virtual_timer timer(co_await asio::this_coro::executor);
  timer.expires_after(time);
  co_await timer.async_wait(asio::use_awaitable_t<testing::simulation::executor_type>());
}
std::chrono::nanoseconds exponential(random_source& random, double mean_ns) {
  return std::chrono::nanoseconds(static_cast<std::int64_t>(std::exponential_distribution<double>(1 / mean_ns)(random)));
}
awaitable<void> customer(testing::simulation& world, pool_type& pool, std::chrono::nanoseconds hold, tally& seen) {
  const auto asked = world.now();
  auto lease = co_await pool.acquire(tidepool::no_limit);
  seen.waits.push_back(std::chrono::duration<double>(world.now() - asked) / held);
  co_await pause(hold);
}
awaitable<void> arrivals(testing::simulation& world, std::vector<std::unique_ptr<pool_type>>& pools, std::size_t customers, double load,
                         tally& seen) {
  random_source random(7);
  for (std::size_t i = 0; i < customers; ++i) {
    co_await pause(exponential(random, static_cast<double>(held.count()) / (load * static_cast<double>(connections))));
    auto& pool = *pools[random() % pools.size()];
    const auto hold = exponential(random, static_cast<double>(held.count()));
    asio::co_spawn(world.get_executor(), customer(world, pool, hold, seen), asio::detached);
  }
}

void split(std::size_t into, double load, std::size_t customers) {
  testing::simulation world(1);
  tidepool::pool_config config;
  config.min_size = config.max_size = config.max_connecting = connections / into;
  config.auto_scale = false;
  config.max_lifetime = tidepool::no_limit;
  std::vector<std::unique_ptr<pool_type>> pools;
  for (std::size_t i = 0; i < into; ++i) {
    pools.push_back(std::make_unique<pool_type>(world.get_executor(), connect, config));
    asio::co_spawn(world.get_executor(), pools.back()->open(), asio::detached);
  }
  world.run_for(1s);
  tally seen;
  seen.waits.reserve(customers);
  asio::co_spawn(world.get_executor(), arrivals(world, pools, customers, load, seen), asio::detached);
  world.run_while_not([&] { return seen.waits.size() == customers; }, customers * 100);
  std::sort(seen.waits.begin(), seen.waits.end());
  double sum = 0;
  for (const double wait : seen.waits) sum += wait;
  const auto count = static_cast<double>(seen.waits.size());
  char name[64];
  std::snprintf(name, sizeof name, "split/%zux%zu/%.2f", into, connections / into, load);
  std::printf("%s\tmean\t%.4f\n%s\tp99\t%.3f\n", name, sum / count, name, seen.waits[static_cast<std::size_t>(0.99 * (count - 1))]);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const auto customers = static_cast<std::size_t>(argc > 1 ? std::atoll(argv[1]) : 100000);
  for (const std::size_t into : {1u, 2u, 4u, 16u}) {
    for (const double load : {0.5, 0.7, 0.8, 0.9, 0.95}) split(into, load, customers);
  }
}
