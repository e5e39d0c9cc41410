// SPDX-License-Identifier: BSL-1.0
// tidepool - ways to wait for a lease: a coroutine, a callback, a future, a tuple with the error; and without waiting.
#include <tidepool/pool.hpp>

#include <asio/executor_work_guard.hpp>
#include <asio/use_future.hpp>
#if __has_include(<asio/as_tuple.hpp>)
#include <asio/as_tuple.hpp>
#else
#include <asio/experimental/as_tuple.hpp>  // where Asio 1.22 has it
#endif
#include <chrono>
#include <cstdio>
#include <thread>

using namespace std::chrono_literals;
#if __has_include(<asio/as_tuple.hpp>)
constexpr auto as_tuple_awaitable = asio::as_tuple(asio::use_awaitable);
#else
constexpr auto as_tuple_awaitable = asio::experimental::as_tuple(asio::use_awaitable);
#endif

/// A connection that connects to nothing: only the waiting is shown here.
struct telephone {
  void say(const char* text) { std::printf("%s\n", text); }
};
using telephones = tidepool::basic_pool<telephone>;
using lease = telephones::lease;

asio::awaitable<void> in_a_coroutine(telephones& pool) {
  auto phone = co_await pool.acquire(100ms);  // throws tidepool::pool_error
  phone->say("coroutine: I have it");

  // The pool has one connection, so this attempt fails, without an exception.
  auto result = co_await pool.async_acquire(100ms, as_tuple_awaitable);
  std::printf("as_tuple: %s\n", std::get<0>(result).message().c_str());

  // An exception has more information: what was waited for, and which leases are held.
  try {
    auto second = co_await pool.acquire(100ms);
  } catch (const tidepool::pool_error& error) {
    std::printf("exception: %s\n", error.what());
  }
  if (!pool.try_acquire()) std::printf("try_acquire: none is free, and I did not wait\n");
}

int main() {
  asio::io_context io;
  tidepool::pool_config config;
  config.min_size = 0;
  config.max_size = 1;
  telephones pool(
      io, []() -> asio::awaitable<telephone> { co_return telephone(); }, config);

  // A future is for threads that run no io_context: this one waits while another does the work.
  auto work = asio::make_work_guard(io);
  std::thread worker([&io] { io.run(); });
  {
    auto phone = pool.async_acquire(1s, asio::use_future).get();  // throws std::system_error
    phone->say("future: I have it");
  }
  pool.async_acquire(1s, [](tidepool::error_code error, lease phone) {
    if (!error) phone->say("callback: I have it");
  });
  asio::co_spawn(io, in_a_coroutine(pool), asio::use_future).get();

  // Closing, like all that is awaited, takes tokens by way of co_spawn.
  asio::co_spawn(io, pool.close(), asio::use_future).get();
  work.reset();
  worker.join();
}
