// SPDX-License-Identifier: BSL-1.0
// tidepool - multiplexers of several threads over one pool.
#include <tidepool/postgres/multiplexers.hpp>

#include <atomic>
#include <thread>
#include <vector>

#include "kit.hpp"

using namespace tidepool_tests;

TEST_CASE("given several threads, when they share one pool, then each answer belongs to its question") {
  NEEDS_SERVER();
  asio::io_context io(3);
  tidepool::pool_config sizes;
  sizes.max_size = 6;
  pg::pool pool(io, pg::connector(pg::options(server())), sizes);
  pg::multiplexer_options few;
  few.max_lanes = 2;
  pg::multiplexers shared(pool, 3, few);
  std::atomic<int> left{60};
  std::atomic<int> wrong{0};
  pg::multiplexer_stats sum;
  const auto finish = [&]() -> asio::awaitable<void> {
    sum = co_await shared.stats();
    co_await shared.close();
    co_await pool.close();
  };
  const auto done = [&](std::exception_ptr failed) {
    if (failed) ++wrong;
    if (--left == 0) asio::co_spawn(io, finish(), asio::detached);
  };
  const auto through_all = [&](int i) -> asio::awaitable<void> {
    for (int k = 0; k < 40; ++k) {
      const int number = i * 1000 + k;
      auto said = co_await shared.read_one<int>("select $1::int4", number);
      wrong += said != number;
      auto rows = co_await shared.exec(pg::within(20s), "select $1::int4 + 1", number);
      wrong += rows.one<int>() != number + 1;
    }
  };
  const auto through_one = [&](int i) -> asio::awaitable<void> {
    auto& mine = shared.at(static_cast<std::size_t>(i) % shared.size());
    for (int k = 0; k < 40; ++k) {
      const int number = i * 1000 + k;
      auto said = co_await mine.read_one<int>("select $1::int4 + 2", number);
      wrong += said != number + 2;
    }
  };
  for (int i = 0; i < 60; ++i) {
    if (i % 2 == 0) {
      asio::co_spawn(io, through_all(i), done);
    } else {
      asio::co_spawn(shared.executor(static_cast<std::size_t>(i) % shared.size()), through_one(i), done);
    }
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) threads.emplace_back([&] { io.run(); });
  io.run();
  for (auto& each : threads) each.join();
  CHECK(left == 0);
  CHECK(wrong == 0);
  CHECK(sum.answered == 30 * 80 + 30 * 40);
  CHECK_THROWS_WITH(pg::multiplexers(pool, 0), has_text("count"));
}
