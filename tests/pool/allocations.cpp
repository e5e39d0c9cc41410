// SPDX-License-Identifier: BSL-1.0
// tidepool - the un-contended way allocates nothing.
#include <tidepool/pool.hpp>

#include <new>

#include "support/catch.hpp"
#include "support/plain_memory.hpp"

namespace {
thread_local std::size_t allocations = 0;
thread_local bool memory_is_gone = false;

void* test_allocate(std::size_t size, std::size_t alignment) noexcept {
  ++allocations;
  if (memory_is_gone) return nullptr;
  return tidepool_tests::plain_allocate(size, alignment);
}
void test_free(void* block) noexcept { tidepool_tests::plain_free(block); }
}  // namespace

#include "support/replaced_new.hpp"

namespace {

using namespace std::chrono_literals;
namespace asio = tidepool::asio;

struct bare {};
struct bare_of_one_thread : tidepool::default_traits<bare> {
  using mutex_type = tidepool::null_mutex;
};

template <class Pool>
void check() {
  asio::io_context context;
  auto connect = []() -> asio::awaitable<bare> { co_return bare{}; };
  Pool pool(context, connect);
  std::size_t awaited = 1;
  std::size_t tried = 1;
  std::size_t leases = 0;
  auto body = [&]() -> asio::awaitable<void> {
    co_await pool.open();
    for (int round = 0; round < 2; ++round) {  // the first one warms Asio's cache of frames
      const std::size_t before = allocations;
      for (int i = 0; i < 1000; ++i) {
        auto lease = co_await pool.acquire();
        leases += static_cast<bool>(lease);
      }
      awaited = allocations - before;
    }
    const std::size_t before = allocations;
    for (int i = 0; i < 1000; ++i) {
      auto lease = pool.try_acquire();
      leases += static_cast<bool>(lease);
      lease.label("somebody");
    }
    tried = allocations - before;
    co_await pool.close();
  };
  asio::co_spawn(context, body, asio::detached);
  context.run();
  CHECK(leases == 3000);
  CHECK(awaited == 0);
  CHECK(tried == 0);
}

TEST_CASE("given an idle connection and default policies, when it is acquired and released, then no allocation") {
  SECTION("with a mutex") { check<tidepool::basic_pool<bare>>(); }
  SECTION("on one thread") { check<tidepool::basic_pool<bare, bare_of_one_thread>>(); }
}

TEST_CASE("given callbacks for a code, a pool_error or an exception, when served, then none allocates", "[field-U3]") {
  using pool_type = tidepool::basic_pool<bare>;
  asio::io_context context;
  auto connect = []() -> asio::awaitable<bare> { co_return bare{}; };
  pool_type pool(context, connect);
  std::size_t of_code = 0;
  std::size_t of_error = 0;
  std::size_t of_exception = 0;
  std::size_t served = 0;
  const auto count = [&](auto callback) {
    std::size_t before = 0;
    for (int round = 0; round < 200; ++round) {
      if (round == 100) before = allocations;
      pool.async_acquire(1s, callback);
      context.restart();
      context.poll();
    }
    return allocations - before;
  };
  asio::co_spawn(context, pool.open(), asio::detached);
  context.poll();
  auto body = [&]() -> asio::awaitable<void> {  // Asio recycles inside its loop alone
    of_code = count([&](tidepool::error_code, pool_type::lease lease) { served += static_cast<bool>(lease); });
    of_error = count([&](std::optional<tidepool::pool_error>, pool_type::lease lease) { served += static_cast<bool>(lease); });
    of_exception = count([&](std::exception_ptr, pool_type::lease lease) { served += static_cast<bool>(lease); });
    co_return;
  };
  asio::co_spawn(context, body, asio::detached);
  context.restart();
  context.poll();
  CHECK(served == 600);
#if !defined(_WIN32)  // there Asio keeps no memory for what is posted inside a nested poll()
  CHECK(of_code == 0);
#endif
  CHECK(of_error == of_code);
  CHECK(of_exception == of_code);
}

TEST_CASE("given callers that wait in vain, when 100,000 have come and gone, then no memory is kept for them", "[INV-16][B116]") {
  asio::io_context context;
  auto connect = []() -> asio::awaitable<bare> { co_return bare{}; };
  tidepool::basic_pool<bare> pool(context, connect);
  tidepool::basic_pool<bare>::lease held;
  std::size_t failed = 0;
  std::size_t of_second_half = 1;
  auto body = [&]() -> asio::awaitable<void> {
    pool.resize(1, 1);
    held = co_await pool.acquire();
    for (int half = 0; half < 2; ++half) {
      const std::size_t before = allocations;
      for (int i = 0; i < 500; ++i) {
        for (int n = 0; n < 100; ++n) {
          pool.async_acquire(0s, [&](tidepool::error_code ec, tidepool::basic_pool<bare>::lease) { failed += ec ? 1u : 0u; });
        }
        co_await asio::post(asio::use_awaitable);
      }
      of_second_half = allocations - before;
    }
    held.release();
    co_await pool.close();
  };
  asio::co_spawn(context, body, asio::detached);
  context.run();
  CHECK(failed == 100'000);
  CHECK(pool.stats().waiting == 0);
  CHECK(pool.stats().timeouts == 100'000);
  CHECK(of_second_half <= 200'000);  // those of the calls themselves; nothing grows
}

TEST_CASE("given no memory, when an acquire has failed, then its callback gets bad_alloc or run() throws it", "[field-U3]") {
  using pool_type = tidepool::basic_pool<bare>;
  asio::io_context context;
  tidepool::pool_config config;
  config.min_size = config.max_size = 1;
  pool_type pool(
      context, []() -> asio::awaitable<bare> { co_return bare{}; }, config);
  pool_type::lease held;
  pool.async_acquire(1s, [&](tidepool::error_code, pool_type::lease lease) { held = std::move(lease); });
  while (!held) context.run_one();
  context.poll();  // the end of the connect, which Asio 1.30 and newer allocate for
  context.restart();
  const auto kept = std::make_shared<int>(7);
  std::exception_ptr got;
  int calls = 0;
  bool thrown = false;
  const bool by_pointer = GENERATE(true, false);
  if (by_pointer) {
    pool.async_acquire(0s, [&, kept](std::exception_ptr failure, pool_type::lease) { got = failure, ++calls; });
  } else {
    pool.async_acquire(0s, [&, kept](std::optional<tidepool::pool_error>, pool_type::lease) { ++calls; });
  }
  memory_is_gone = true;
  try {
    context.poll();
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  memory_is_gone = false;
  CHECK(kept.use_count() == 1);
  CHECK(calls == (by_pointer ? 1 : 0));
  CHECK(thrown == !by_pointer);
  if (by_pointer) CHECK_THROWS_AS(std::rethrow_exception(got), std::bad_alloc);
  CHECK(pool.stats().waiting == 0);
  CHECK(pool.stats().timeouts == 1);
}

TEST_CASE("given no memory, when a text is kept for a report, then it is empty and nothing is thrown", "[field-5]") {
  const std::string_view text = "connection refused by a host with a long name";
  memory_is_gone = true;
  const std::string kept = tidepool::detail::text_or_empty(text);
  memory_is_gone = false;
  CHECK(kept.empty());
  CHECK(tidepool::detail::text_or_empty(text) == text);
}

}  // namespace
