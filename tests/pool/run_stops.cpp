// SPDX-License-Identifier: BSL-1.0
// tidepool - run(): signals, exceptions and io.stop() that come together, late, or on several threads.
#include <atomic>
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include "run_bench.hpp"

namespace {

using namespace tidepool_tests;
using steady = std::chrono::steady_clock;

/// What work does that is cancelled: it needs a connection and some time for its clean-up.
asio::awaitable<void> wait_and_clean_up(run_pool& pool, bool& cleaned) {
  try {
    co_await sleep_for(1h);
  } catch (const tidepool::system_error&) {
  }
  co_await asio::this_coro::reset_cancellation_state();
  auto lease = co_await pool.acquire();
  co_await sleep_for(30ms);
  cleaned = true;
}

TEST_CASE("given handlers that throw one after the other, when the work cleans up, then the grace is not cut", "[field-U2]") {
  bench b;
  bool cleaned = false;
  const std::size_t threads = GENERATE(1u, 3u);
  const auto work = [&](run_pool& pool) -> asio::awaitable<void> {
    for (int i = 0; i < 4; ++i) asio::post(b.io, [] { throw std::out_of_range("a handler failed"); });
    co_await wait_and_clean_up(pool, cleaned);
  };
  CHECK_THROWS_AS(tidepool::run(b.io, b.pool, work, {.grace = 1h, .threads = threads}), std::out_of_range);
  CHECK(cleaned);
  b.check_closed();
}

TEST_CASE("given a handler that throws and calls io.stop(), when the work cleans up, then the grace is not cut", "[field-U2]") {
  bench b;
  bool cleaned = false;
  const auto work = [&](run_pool& pool) -> asio::awaitable<void> {
    asio::post(b.io, [&] {
      b.io.stop();
      throw std::out_of_range("a handler failed");
    });
    co_await wait_and_clean_up(pool, cleaned);
  };
  CHECK_THROWS_AS(tidepool::run(b.io, b.pool, work, {.grace = 1h}), std::out_of_range);
  CHECK(cleaned);
  b.check_closed();
}

TEST_CASE("given work that failed, when its first signal comes, then leases beside it still have the grace", "[field-U2]") {
  bench b;
  bool used = false;
  bool failed = false;
  const auto beside = [&]() -> asio::awaitable<void> {
    auto lease = co_await b.pool.acquire();
    while (!failed) co_await sleep_for(1ms);
    std::raise(first_signal);
    co_await sleep_for(30ms);
    used = b.pool.stats().active_connections == 1;
  };
  const auto work = [&](run_pool& pool) -> asio::awaitable<void> {
    asio::co_spawn(b.io, beside(), tidepool::rethrow);
    co_await use(pool);
    failed = true;
    throw std::out_of_range("the work failed");
  };
  CHECK_THROWS_AS(tidepool::run(b.io, b.pool, work, {.signals = {first_signal}, .grace = 1h}), std::out_of_range);
  CHECK(used);
  b.check_closed();
}

TEST_CASE("given work that has ended, when a signal comes before the pool is closed, then run() returns with it", "[field-U2]") {
  bench b;
  const auto began = steady::now();
  const bool by_exception = GENERATE(false, true);
  const auto beside = [&]() -> asio::awaitable<void> {
    auto lease = co_await b.pool.acquire();
    while (b.pool.state() != pool_state::closing) co_await sleep_for(1ms);
    if (by_exception) {
      asio::post(b.io, [] { throw std::out_of_range("a handler failed"); });
    } else {
      std::raise(first_signal);
    }
    co_await sleep_for(10ms);
  };
  const auto work = [&](run_pool& pool) -> asio::awaitable<int> {
    asio::co_spawn(b.io, beside(), tidepool::rethrow);
    co_return co_await use(pool);
  };
  const tidepool::run_options options{.signals = {first_signal}, .grace = 60s};
  if (by_exception) {
    CHECK_THROWS_AS(tidepool::run(b.io, b.pool, work, options), std::out_of_range);
  } else {
    const auto got = tidepool::run(b.io, b.pool, work, options);
    CHECK(got.value);
    CHECK(got.signal == first_signal);
    CHECK_FALSE(got.cut_short);
  }
  CHECK(steady::now() - began < 30s);
  b.check_closed();
}

TEST_CASE("given handlers that go on throwing, when the work has failed, then run() ends with the grace", "[field-U2]") {
  bench b;
  int thrown = 0;
  const auto work = [&](run_pool& pool) -> asio::awaitable<void> {
    co_await use(pool);
    throw std::out_of_range("the work failed");
  };
  const std::function<void()> again = [&] {
    auto timer = std::make_shared<asio::basic_waitable_timer<steady>>(b.io, 20ms);
    timer->async_wait([&, timer](error_code) {
      if (++thrown < 200) again();
      throw std::runtime_error("again");
    });
  };
  again();
  CHECK_THROWS_AS(tidepool::run(b.io, b.pool, work, {.grace = 100ms}), std::out_of_range);
  CHECK(thrown < 200);  // each had begun the grace again
  b.check_closed();
}

TEST_CASE("given the longest grace that is not no_limit, when a signal comes, then the work has time", "[field-U2]") {
  bench b;
  bool cleaned = false;
  const auto work = [&](run_pool& pool) -> asio::awaitable<void> {
    std::raise(first_signal);
    co_await wait_and_clean_up(pool, cleaned);
  };
  const auto got = tidepool::run(b.io, b.pool, work, {.signals = {first_signal}, .grace = duration::max() - 1ns});
  CHECK(cleaned);
  CHECK_FALSE(got.cut_short);
  b.check_closed();
}

TEST_CASE("given signals that rain on several threads, when run() begins, then the pool is closed each time", "[field-U2]") {
  asio::io_context keeps;  // so that no signal ends the process
  asio::signal_set set(keeps, first_signal);
  std::atomic<bool> over = false;
  std::vector<std::thread> rain;
  for (int i = 0; i < signal_threads; ++i) {
    rain.emplace_back([&over] {
      while (!over) {
        std::raise(first_signal);
        std::this_thread::yield();
      }
    });
  }
  int stopped = 0;
  int closed = 0;
  int thrown = 0;
  int runs = 0;
  for (; runs < 100'000 && (runs < 60 || stopped < 20); ++runs) {
    bench b;
    try {
      const auto got = tidepool::run(b.io, b.pool, just_use, {.signals = {first_signal}, .threads = runs % 2 == 0 ? 1u : 3u});
      stopped += got.signal != 0;
    } catch (const std::exception&) {
      ++thrown;
    }
    closed += b.pool.state() == pool_state::closed;
  }
  over = true;
  for (auto& each : rain) each.join();
  CHECK(stopped >= 20);
  CHECK(closed == runs);
  CHECK(thrown == 0);
}

struct on_strand : tidepool::default_traits<counted_session> {
  using executor_type = asio::strand<asio::io_context::executor_type>;
};

TEST_CASE("given Traits whose executor is a strand, when the work runs on threads, then it has one of its own", "[field-U2]") {
  using pool_type = tidepool::basic_pool<counted_session, on_strand>;
  auto open = std::make_shared<std::atomic<int>>(0);
  asio::io_context io;
  pool_type pool(
      asio::make_strand(io), [open]() -> asio::awaitable<counted_session> { co_return counted_session(open); }, calm(1, 2));
  const auto work = [](pool_type& of) -> pool_type::awaitable<int> {
    auto lease = co_await of.acquire();
    co_return static_cast<int>(lease.id());
  };
  const bool threads = GENERATE(false, true);
  if (threads) {
    CHECK(tidepool::run(io, pool, work, {.threads = 2}).value == 1);
  } else {
    CHECK(tidepool::run(io, pool, work) == 1);
  }
  CHECK(pool.state() == pool_state::closed);
}

}  // namespace
