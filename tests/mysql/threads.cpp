// SPDX-License-Identifier: BSL-1.0
// tidepool - MySQL connections on several threads: what ThreadSanitizer has to see.
#include <atomic>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "../support/on_end.hpp"
#include "kit.hpp"

using namespace tidepool_tests;

namespace {

/// Runs `work(i)` as many times at once on three threads, each on a strand, and throws what the first that failed threw.
template <class Work>
void my_at_once(asio::io_context& io, int count, Work work) {
  std::mutex mutex;
  std::exception_ptr first;
  for (int i = 0; i < count; ++i) {
    const on_end at_end = [&](std::exception_ptr failure) {
      const std::lock_guard lock(mutex);
      if (failure && !first) first = failure;
      if (failure) io.stop();
    };
    asio::co_spawn(asio::make_strand(io), work(i), at_end);
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&io] { io.run_for(hang); });
  for (auto& one : threads) one.join();
  if (first) std::rethrow_exception(first);
  if (!io.stopped()) throw std::runtime_error("it hangs");
}
tidepool::pool_config my_few() {
  tidepool::pool_config config;
  config.min_size = 0;
  config.max_size = 4;
  config.acquire_timeout = hang;
  return config;
}

}  // namespace

TEST_CASE("given a pool on three threads, when many tasks use it, then each gets its own answers") {
  NEEDS_SERVER();
  asio::io_context io(3);
  my::options how(my_server());
  how.reset = my::reset_level::full;
  my::pool pool(io, my::connector(how), my_few());
  std::atomic<int> left{16};
  std::atomic<std::int64_t> sum{0};
  my_at_once(io, 16, [&](int number) -> asio::awaitable<void> {
    for (int i = 0; i < 10; ++i) {
      auto lease = co_await pool.acquire();
      auto body = [&](my::transaction& tx) -> asio::awaitable<int> { co_return co_await tx.one<int>("select ? + ?", number, i); };
      const int got = co_await lease->transaction(body);
      must(got == number + i, "its own answer");
      auto rows = co_await lease->stream<int>("select seq from seq_1_to_500");
      int count = 0;
      for (auto row = co_await rows.next(); row; row = co_await rows.next()) ++count;
      must(count == 500, "all rows");
      sum += got;
    }
    if (left.fetch_sub(1) == 1) co_await pool.close(5s);
  });
  CHECK(sum == 16 * 45 + 10 * 120);
}

TEST_CASE("given operations cancelled and aborted at any moment, when all have ended, then the pool works") {
  NEEDS_SERVER();
  asio::io_context io(3);
  my::pool pool(io, my::connector(my_server()), my_few());
  std::atomic<int> left{12}, answers{0};
  my_at_once(io, 12, [&](int number) -> asio::awaitable<void> {
    std::minstd_rand random(static_cast<unsigned>(number));
    for (int i = 0; i < 6; ++i) {
      auto lease = co_await pool.acquire();
      (void)co_await lease->one<int>("select 1");  // a connection lost before it served anybody counts as a failed connect
      const auto strand = co_await asio::this_coro::executor;
      asio::cancellation_signal stop;
      bool ended = false;
      auto work = [&]() -> asio::awaitable<void> { co_await lease->exec(i % 2 == 0 ? "select sleep(20)" : "select 1"); };
      asio::co_spawn(
          strand, work(),
          asio::bind_cancellation_slot(stop.slot(), asio::bind_executor(strand, on_end([&](std::exception_ptr) { ended = true; }))));
      co_await pause(std::chrono::milliseconds(random() % 4));
      if (i % 3 == 0) {
        lease->abort("for the test");
      } else {
        stop.emit(asio::cancellation_type::terminal);
      }
      while (!ended) co_await pause(1ms);
    }
    auto lease = co_await pool.acquire();
    answers += co_await lease->one<int>("select 1");
    lease.release();
    if (left.fetch_sub(1) == 1) co_await pool.close(5s);
  });
  CHECK(answers == 12);
}

TEST_CASE("given logins over TLS, when some are cancelled or destroyed at any moment, then the others succeed") {
  NEEDS_SERVER();
  my::options by_tcp(my_server());
  by_tcp.ssl_mode = my::ssl_mode::required;
  my::options by_path = by_tcp;
  by_path.socket = my_dir() + "/socket";
  std::atomic<int> answers{0};
  std::atomic<int> left{8};
  asio::io_context io(3);
  my_at_once(io, 8, [&](int number) -> asio::awaitable<void> {
    const auto& how = number % 2 == 0 ? by_tcp : by_path;
    for (int i = 0; i < 6; ++i) {
      const auto strand = co_await asio::this_coro::executor;
      asio::cancellation_signal stop;
      bool ended = false;
      auto work = [&]() -> asio::awaitable<void> {
        auto c = co_await my::connection::connect(how);
        must(c.encrypted(), "encrypted");
        answers += co_await c.one<int>("select 1");
      };
      asio::co_spawn(
          strand, work(),
          asio::bind_cancellation_slot(stop.slot(), asio::bind_executor(strand, on_end([&](std::exception_ptr) { ended = true; }))));
      co_await pause(std::chrono::milliseconds(2 * i));
      if (i != 0) stop.emit(asio::cancellation_type::terminal);  // the first of each is left alone
      while (!ended) co_await pause(1ms);
    }
    --left;
  });
  CHECK(left == 0);
  CHECK(answers >= 8);
  for (int i = 0; i < 10; ++i) {
    asio::io_context context;
    auto work = [&]() -> asio::awaitable<void> { (void)co_await my::connection::connect(i % 2 == 0 ? by_tcp : by_path); };
    asio::co_spawn(context, work(), asio::detached);
    context.run_for(std::chrono::milliseconds(i));
  }
}
