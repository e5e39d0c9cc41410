// SPDX-License-Identifier: BSL-1.0
// tidepool - the error of an acquire, as callbacks, futures and other tokens get it.
#include <tidepool/pool.hpp>

#include <future>

#include "shop.hpp"
#include "support/asio.hpp"

namespace {

using namespace tidepool_tests;
using tidepool::pool_error;

/// A pool of one connection that is leased.
struct busy_shop : shop {
  busy_shop() : shop(shop_size(0, 1)), held(lease()) {}
  static constexpr const char* text =
      "pool \"shop\": no connection within 2 s, asked for at orders.cpp:42: the only one is leased\n"
      "held longest: #1 for 2 s from report.cpp:12 (nightly report); hold leases for less time, or raise max_size";
  shop_pool::lease held;
};

TEST_CASE("given a callback for a pool_error, when its acquire fails or not, then it gets that, or none", "[field-U3]") {
  busy_shop s;
  std::optional<pool_error> failure;
  int calls = 0;
  bool served = false;
  const auto call = [&](std::optional<pool_error> failed, shop_pool::lease lease) {
    failure = std::move(failed);
    served = static_cast<bool>(lease);
    ++calls;
  };
  s.pool->async_acquire(2s, call, in_orders());
  s.pass(3s);
  REQUIRE(calls == 1);
  REQUIRE(failure);
  CHECK(failure->code() == errc::timeout);
  CHECK(failure->what() == std::string(busy_shop::text));
  CHECK(failure->report().active == 1);
  CHECK(failure->report().waited == 2s);
  CHECK_FALSE(served);
  asio::cancellation_signal cancel;
  s.pool->async_acquire(2s, asio::bind_cancellation_slot(cancel.slot(), asio::bind_executor(s.sim.get_executor(), call)), in_orders());
  s.pass(1s);
  cancel.emit(asio::cancellation_type::total);
  s.pass(0s);
  REQUIRE(calls == 2);
  REQUIRE(failure);
  CHECK(failure->code() == errc::cancelled);
  CHECK(failure->report().waited == 1s);
  s.pool->async_acquire(2s, call);
  s.held.release();
  s.pass(0s);
  CHECK(calls == 3);
  CHECK_FALSE(failure);
  CHECK(served);
}

TEST_CASE("given a callback for an exception, when its acquire fails or not, then it gets a pool_error, or none", "[field-U3]") {
  busy_shop s;
  std::exception_ptr failure;
  s.pool->async_acquire(
      2s, [&](std::exception_ptr failed, shop_pool::lease) { failure = failed; }, in_orders());
  s.pass(3s);
  REQUIRE(failure);
  std::string text;
  try {
    std::rethrow_exception(failure);
  } catch (const pool_error& e) {
    text = e.what();
  }
  CHECK(text == busy_shop::text);
  s.held.release();
  bool served = false;
  s.pool->async_acquire(2s, [&](std::exception_ptr failed, shop_pool::lease lease) { served = !failed && lease; });
  s.pass(0s);
  CHECK(served);
}

TEST_CASE("given a callback that takes anything, when its acquire fails, then it gets the code", "[field-U3]") {
  busy_shop s;
  int calls = 0;
  s.pool->async_acquire(2s, [&](auto failed, auto) {
    static_assert(std::is_same_v<decltype(failed), error_code>);
    calls += failed == errc::timeout;
  });
  s.pass(3s);
  CHECK(calls == 1);
}

TEST_CASE("given use_future and use_awaitable, when the acquire fails, then they throw the pool_error", "[field-U3]") {
  busy_shop s;
  std::future<shop_pool::lease> future = s.pool->async_acquire(2s, asio::use_future, in_orders());
  std::string awaited;
  auto body = [&]() -> asio::awaitable<void> {
    try {
      auto lease = co_await s.pool->async_acquire(2s, asio::use_awaitable, in_orders());
    } catch (const pool_error& e) {
      awaited = e.what();
    }
  };
  asio::co_spawn(s.sim.get_executor(), body(), asio::detached);
  s.pass(3s);
  REQUIRE(future.wait_for(10s) == std::future_status::ready);
  std::string text;
  try {
    (void)future.get();
  } catch (const pool_error& e) {
    text = e.what();
  }
  CHECK(text == busy_shop::text);
  CHECK(awaited == busy_shop::text);
  s.held.release();
  std::future<shop_pool::lease> next = s.pool->async_acquire(2s, asio::use_future);
  s.pass(0s);
  REQUIRE(next.wait_for(10s) == std::future_status::ready);
  CHECK(next.get());
}

TEST_CASE("given any token, when the kind of its failure is chosen, then it gets that kind", "[field-U3]") {
  busy_shop s;
  std::string said;
  auto body = [&]() -> asio::awaitable<void> {
    auto result = co_await s.pool->async_acquire<std::optional<pool_error>>(2s, as_tuple(asio::use_awaitable), in_orders());
    said = std::get<0>(result)->what();
  };
  asio::co_spawn(s.sim.get_executor(), body(), asio::detached);
  auto future = s.pool->async_acquire<error_code>(1s, asio::use_future);
  s.pass(3s);
  CHECK(said == busy_shop::text);
  bool plain = false;
  try {
    (void)future.get();
  } catch (const pool_error&) {
  } catch (const tidepool::system_error& e) {
    plain = e.code() == errc::timeout;
  }
  CHECK(plain);
}

TEST_CASE("given a busy thread of a callback, when its acquire has failed, then the error is of that moment", "[field-U3]") {
  asio::io_context theirs;
  busy_shop s;
  std::optional<pool_error> failure;
  const auto call = [&](std::optional<pool_error> failed, shop_pool::lease) { failure = std::move(failed); };
  s.pool->async_acquire(2s, asio::bind_executor(theirs.get_executor(), call), in_orders());
  s.pass(3s);
  s.held.release();  // all that happens from here on is not in it
  s.pool->suspend();
  s.pass(1h);
  theirs.run();
  REQUIRE(failure);
  CHECK(failure->what() == std::string(busy_shop::text));
}

TEST_CASE("given a callback that only moves, when its acquire is over, then it is called and destroyed once", "[field-U3]") {
  busy_shop s;
  std::string said;
  bool served = false;
  const auto ask = [&](auto kind) {
    using failure = decltype(kind);
    const auto alive = std::make_shared<int>(1);
    s.pool->async_acquire<failure>(
        2s,
        [&, alive, text = std::make_unique<std::string>("called")](failure, shop_pool::lease lease) {
          said = *text;
          served = static_cast<bool>(lease);
        },
        in_orders());
    s.pass(3s);
    CHECK(said == "called");
    CHECK(alive.use_count() == 1);
    said.clear();
  };
  for (const bool free : {false, true}) {
    if (free) s.held.release();
    ask(std::optional<pool_error>());
    CHECK(served == free);
    ask(std::exception_ptr());
    CHECK(served == free);
    ask(error_code());
    CHECK(served == free);
  }
  CHECK(s.pool->stats().active_connections == 0);
}

TEST_CASE("given a callback that throws, when its acquire is over, then run() throws, no connection is lost", "[field-U3]") {
  busy_shop s;
  const auto ask = [&] {
    s.pool->async_acquire(2s, [](std::optional<pool_error>, shop_pool::lease) { throw std::out_of_range("the callback"); });
  };
  ask();
  CHECK_THROWS_AS(s.pass(3s), std::out_of_range);
  s.held.release();
  ask();
  CHECK_THROWS_AS(s.pass(3s), std::out_of_range);
  CHECK(s.pool->stats().active_connections == 0);
  CHECK(s.lease());
}

}  // namespace
