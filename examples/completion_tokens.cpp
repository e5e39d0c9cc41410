// SPDX-License-Identifier: BSL-1.0
// tidepool - ways to wait for a lease: a coroutine, a callback, a future, a tuple with the error; and without waiting.
#include <tidepool/pool.hpp>

#include <asio/thread_pool.hpp>
#include <asio/use_future.hpp>
#if __has_include(<asio/as_tuple.hpp>)
#include <asio/as_tuple.hpp>
#else
#include <asio/experimental/as_tuple.hpp>  // where Asio 1.22 has it
#endif
#include <chrono>
#include <cstdio>
#include <optional>

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

  // The pool has one connection, so this attempt fails, without an exception. as_tuple gets the code alone.
  auto result = co_await pool.async_acquire(100ms, as_tuple_awaitable);
  std::printf("as_tuple: %s\n", std::get<0>(result).message().c_str());

  // A pool_error has more information: what was waited for, who holds the leases, and what to do.
  try {
    auto second = co_await pool.acquire(100ms);
  } catch (const tidepool::pool_error& error) {
    std::printf("exception: %s\n", error.what());
  }
  if (!pool.try_acquire()) std::printf("try_acquire: none is free, and I did not wait\n");
}

int main() try {
  asio::thread_pool context(1);  // an io_context with a thread of its own: this one waits for futures. Others call tidepool::run()
  tidepool::pool_config config;
  config.min_size = 0;
  config.max_size = 1;
  telephones pool(
      context, []() -> asio::awaitable<telephone> { co_return telephone(); }, config);

  // A future is for threads that run no io_context.
  {
    auto phone = pool.async_acquire(1s, asio::use_future).get();  // throws tidepool::pool_error
    phone->say("future: I have it");
  }
  pool.async_acquire(1s, [](std::optional<tidepool::pool_error> error, lease phone) {
    if (error) {
      std::printf("callback: %s\n", error->what());
    } else {
      phone->say("callback: I have it");
    }
  });
  // A callback that needs no more than the code asks for that.
  pool.async_acquire(1s, [](tidepool::error_code error, lease phone) {
    if (error) return;  // error == tidepool::errc::timeout, ...
    phone->say("callback with a code: I have it");
  });
  asio::co_spawn(context, in_a_coroutine(pool), asio::use_future).get();

  // Closing, like all that is awaited, takes tokens by way of co_spawn.
  asio::co_spawn(context, pool.close(), asio::use_future).get();
} catch (const std::exception& error) {
  std::fprintf(stderr, "completion_tokens: %s\n", error.what());
  return 1;
}
