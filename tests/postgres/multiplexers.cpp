// SPDX-License-Identifier: BSL-1.0
// tidepool - multiplexers of several threads over one pool; behind a pooler that takes no pipelines.
#include <tidepool/postgres/multiplexers.hpp>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "../support/on_end.hpp"
#include "kit.hpp"
#include "rotating_pooler.hpp"

using namespace tidepool_tests;

TEST_CASE("given several threads, when they share one pool, then each answer belongs to its question") {
  NEEDS_SERVER();
  asio::io_context io(3);
  tidepool::pool_config sizes;
  sizes.max_size = 6;
  pg::pool pool(io, pg::connector(patient()), sizes);
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
  const on_end done = [&](std::exception_ptr failed) {
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

TEST_CASE("given callers on other threads, when they are cancelled by any type, then they alone end") {
  NEEDS_SERVER();
  asio::io_context io(3);
  tidepool::pool_config sizes;
  sizes.min_size = 0;
  sizes.max_size = 4;
  pg::pool pool(io, pg::connector(patient()), sizes);
  pg::multiplexer_options few;
  few.max_lanes = 2;
  pg::multiplexers shared(pool, 2, few);
  std::atomic<int> cancelled{0}, served{0}, left{36};
  const auto finish = [&]() -> asio::awaitable<void> {
    co_await shared.close(100ms);
    co_await pool.close();
  };
  const auto caller = [&](int i) -> asio::awaitable<void> {
    const asio::enable_total_cancellation all;
    co_await asio::this_coro::reset_cancellation_state(all);
    if (i % 2 == 0) {
      const auto rows = co_await shared.exec("select pg_sleep(0.02)");
      served += rows.size() == 1;
    } else {
      const auto rows = co_await shared.read("select pg_sleep(20)");
      served += rows.size() == 1;
    }
  };
  const asio::cancellation_type types[] = {asio::cancellation_type::total, asio::cancellation_type::partial,
                                           asio::cancellation_type::terminal};
  std::vector<std::unique_ptr<asio::cancellation_signal>> signals;
  std::vector<std::thread> threads;
  for (int i = 0; i < 36; ++i) {
    signals.push_back(std::make_unique<asio::cancellation_signal>());
    const auto of_its_own = asio::make_strand(io);
    const on_end at_end = [&](std::exception_ptr failed) {
      try {
        if (failed) std::rethrow_exception(failed);
      } catch (const tidepool::system_error& e) {
        cancelled += e.code() == asio::error::make_error_code(asio::error::operation_aborted);
      }
      if (--left == 0) asio::co_spawn(io, finish(), asio::detached);
    };
    asio::co_spawn(of_its_own, caller(i), asio::bind_cancellation_slot(signals.back()->slot(), at_end));
    if (i % 2 == 0) continue;
    const auto timer = std::make_shared<asio::steady_timer>(of_its_own);
    timer->expires_after(std::chrono::milliseconds(20 + i));
    timer->async_wait([timer, emits = signals.back().get(), type = types[static_cast<std::size_t>(i) / 2 % 3]](tidepool::error_code) {
      emits->emit(type);
    });
  }
  for (int i = 0; i < 2; ++i) threads.emplace_back([&] { io.run(); });
  io.run();
  for (auto& each : threads) each.join();
  CHECK(left == 0);
  CHECK(cancelled == 18);
  CHECK(served == 18);
}

TEST_CASE("given a pooler without pipelines, when the depth is one, then nothing is sent ahead of an answer") {
  NEEDS_SERVER();
  for (const std::size_t depth : {1U, 8U}) {
    rotating_pooler pooler(server_port(), 1);
    asio::io_context io(1);
    tidepool::pool_config sizes;
    sizes.min_size = 0;
    sizes.max_size = 1;
    pg::pool pool(io, pg::connector(through(pooler.port())), sizes);
    pg::multiplexer_options options;
    options.max_lanes = 1;
    options.max_depth = depth;
    pg::multiplexer mux(pool, options);
    int left = 12, right = 0, refused = 0;
    const auto finish = [&]() -> asio::awaitable<void> {
      co_await mux.close();
      co_await pool.close();
    };
    const auto caller = [&](int i) -> asio::awaitable<void> {
      for (int k = 0; k < 6; ++k) {
        const int number = 10 * i + k;
        if (k % 3 == 1) {
          try {
            (void)co_await mux.read("select 1 / ($1::int4 - $1::int4)", number);
          } catch (const pg::error& failed) {
            refused += failed.is("22012");
          }
        } else if (k % 3 == 2) {
          const auto rows = co_await mux.exec("select $1::int4", number);
          right += rows.one<int>() == number;
        } else {
          const auto said = co_await mux.read_one<int>("select $1::int4", number);
          right += said == number;
        }
      }
    };
    std::string failures;
    for (int i = 0; i < 12; ++i) {
      const on_end at_end = [&](std::exception_ptr failed) {
        try {
          if (failed) std::rethrow_exception(failed);
        } catch (const std::exception& e) {
          failures += e.what();
        }
        if (--left == 0) asio::co_spawn(io, finish(), asio::detached);
      };
      asio::co_spawn(io, caller(i), at_end);
    }
    io.run_for(hang);
    INFO("depth " << depth);
    CHECK(failures == "");
    CHECK(left == 0);
    CHECK(right == 12 * 4);
    CHECK(refused == 12 * 2);
    CHECK((pooler.ahead() == 0) == (depth == 1));
    CHECK(mux.stats().lanes_lost == 0);
  }
}

TEST_CASE("given a pooler that tracks statements, when lanes come and go, then no name is sent to it twice") {
  NEEDS_SERVER();
  rotating_pooler pooler(server_port(), 1, true);
  asio::io_context io(1);
  auto settings = through(pooler.port());
  settings.pooler_tracks_statements = true;
  tidepool::pool_config sizes;
  sizes.min_size = 0;
  sizes.max_size = 1;
  pg::pool pool(io, pg::connector(settings), sizes);
  pg::multiplexer_options options;
  options.max_lanes = 1;
  options.lane_lifetime = 1ms;
  pg::multiplexer mux(pool, options);
  int left = 6, right = 0, failed = 0, reads = 0, bad_reads = 0;
  const auto finish = [&]() -> asio::awaitable<void> {
    co_await mux.close();
    co_await pool.close();
  };
  const auto caller = [&](int i) -> asio::awaitable<void> {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    // Until lanes have come and gone, however quick the machine is.
    for (int k = 0; k < 12 || (mux.stats().lanes_opened <= 2 && k < 3000); ++k) {
      if (k % 3 == 1) {
        ++bad_reads;
        try {
          (void)co_await mux.read("select * from is_not_there where id = $1", k);
        } catch (const pg::error& why) {
          failed += why.is("42P01");
        }
      } else {
        ++reads;
        // A new text each time, which may share a Sync with one that fails and be skipped.
        const auto said = co_await mux.read_one<int>("select $1::int4 + " + std::to_string(i), k);
        right += said == k + i;
      }
      timer.expires_after(2ms);
      co_await timer.async_wait(asio::use_awaitable);
    }
  };
  std::string failures;
  for (int i = 0; i < 6; ++i) {
    const on_end at_end = [&](std::exception_ptr thrown) {
      try {
        if (thrown) std::rethrow_exception(thrown);
      } catch (const std::exception& e) {
        failures += e.what();
      }
      if (--left == 0) asio::co_spawn(io, finish(), asio::detached);
    };
    asio::co_spawn(io, caller(i), at_end);
  }
  io.run_for(hang);
  CHECK(failures == "");
  CHECK(left == 0);
  CHECK(right == reads);
  CHECK(failed == bad_reads);
  CHECK(mux.stats().lanes_opened > 2);
  CHECK(mux.stats().lanes_lost == 0);
  CHECK(pooler.ended() == 0);
}
