// SPDX-License-Identifier: BSL-1.0
// tidepool - pools of what others have made: whatever can be moved, with members of the same names that mean something else.
#include <tidepool/pool.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <type_traits>

#include "rig.hpp"
#include "support/asio.hpp"
#include "support/on_end.hpp"

namespace {

using namespace tidepool_tests;

/// The pool uses none of these members, because they return no awaitable.
struct namesake {
  explicit namesake(std::unique_ptr<int> of) : state(std::move(of)) {}
  void ping() { ++*state; }
  bool ping(std::string_view) { return ++*state != 0; }
  void reset() { ++*state; }
  error_code close() { return ++*state, error_code(); }
  std::unique_ptr<int> state;
};

/// Counts what the pool calls.
struct counted_object {
  struct calls {
    int pings = 0, resets = 0, closes = 0, aborts = 0, alive = 0;
    bool usable = true;
  };
  explicit counted_object(calls& to) : log(&to) { ++log->alive; }
  counted_object(const counted_object&) = delete;  // cannot be moved, so it has to be behind a pointer
  ~counted_object() { --log->alive; }
  asio::awaitable<void> ping() {
    ++log->pings;
    co_return;
  }
  asio::awaitable<void> reset() {
    ++log->resets;
    co_return;
  }
  asio::awaitable<void> close() {
    ++log->closes;
    co_return;
  }
  bool usable() const noexcept { return log->usable; }
  void abort() noexcept { ++log->aborts; }
  calls* log;
};

pool_config validating() {
  auto config = calm(1, 2);
  config.pre_ping = true;
  config.alive_bypass = 0s;
  return config;
}

/// Leases, gives back, discards, detaches and closes.
template <class C, class Connect>
pool_stats live(Connect connect, const pool_config& config = validating()) {
  asio::io_context io;
  tidepool::basic_pool<C> pool(io, connect, config);
  pool_stats out;
  auto life = [&]() -> asio::awaitable<void> {
    co_await pool.open();
    for (int i = 0; i < 3; ++i) {
      auto lease = co_await pool.acquire(5s);
    }
    auto lease = co_await pool.acquire(5s);
    lease.discard();
    lease = co_await pool.acquire(5s);
    [[maybe_unused]] const C mine = lease.detach();
    pool.recycle();
    lease = co_await pool.acquire(5s);
    lease.release();
    co_await pool.close(1s);
    out = pool.stats();
  };
  std::exception_ptr failed;
  asio::co_spawn(io, life(), on_end([&failed](std::exception_ptr e) { failed = e; }));
  io.run();
  if (failed) std::rethrow_exception(failed);
  return out;
}

TEST_CASE("given connections of foreign types, when they are pooled, then nothing of theirs is called", "[field-N2]") {
  asio::io_context io;
  pool_stats s;
  SECTION("a number") {
    s = live<int>([]() -> asio::awaitable<int> { co_return 7; });
  }
  SECTION("a socket, whose close() is its own") {
    using asio::ip::tcp;
    s = live<tcp::socket>([&io]() -> asio::awaitable<tcp::socket> { co_return tcp::socket(io, tcp::v4()); });
  }
  SECTION("members of the same names that are not awaited") {
    s = live<namesake>([]() -> asio::awaitable<namesake> { co_return namesake(std::make_unique<int>(0)); });
  }
  SECTION("a pointer to what a C library keeps to itself") {
    struct closer {
      void operator()(std::FILE* file) const noexcept { std::fclose(file); }
    };
    using file = std::unique_ptr<std::FILE, closer>;
    s = live<file>([]() -> asio::awaitable<file> { co_return file(std::tmpfile()); });
  }
  SECTION("a shared pointer to anything") {
    s = live<std::shared_ptr<void>>([]() -> asio::awaitable<std::shared_ptr<void>> { co_return std::make_shared<int>(1); });
  }
  CHECK(s.total_connections == 0);
  CHECK(s.total_checkouts == 6);
  CHECK(s.validations == 0);
  CHECK(s.resets == 0);
}

TEST_CASE("given members that are not awaited, when a connection lives and ends, then they are never called", "[field-N2]") {
  asio::io_context io;
  auto connect = []() -> asio::awaitable<namesake> { co_return namesake(std::make_unique<int>(0)); };
  tidepool::basic_pool<namesake> pool(io, connect, validating());
  int called = -1;
  auto life = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 3; ++i) {
      auto lease = co_await pool.acquire(5s);
    }
    auto lease = co_await pool.acquire(5s);
    called = *lease->state;
    lease.release();
    co_await pool.close(1s);
  };
  asio::co_spawn(io, life(), asio::detached);
  io.run();
  CHECK(called == 0);
}

TEMPLATE_TEST_CASE("given a pool of owning pointers, when it works, then the members of what they point to count", "[field-N2]",
                   std::unique_ptr<counted_object>, std::shared_ptr<counted_object>) {
  counted_object::calls calls;
  auto connect = [&calls]() -> asio::awaitable<TestType> { co_return TestType(new counted_object(calls)); };
  const pool_stats s = live<TestType>(connect);
  CHECK(s.validations >= 1);
  CHECK(calls.pings == static_cast<int>(s.validations));
  CHECK(calls.resets >= 3);  // there is no after_lease(), so each that was given back
  CHECK(static_cast<std::uint64_t>(calls.resets) == s.resets);
  CHECK(calls.closes >= 1);
  CHECK(calls.alive == 0);
}

TEST_CASE("given a pool of owning pointers, when one is null, then that connection is just not usable", "[field-N2]") {
  counted_object::calls calls;
  asio::io_context io;
  int connects = 0;
  auto config = calm(0, 1);
  config.retry_delay = config.max_retry_delay = 1ms;
  auto connect = [&]() -> asio::awaitable<std::unique_ptr<counted_object>> {
    if (++connects == 1) co_return nullptr;
    co_return std::make_unique<counted_object>(calls);
  };
  tidepool::basic_pool<std::unique_ptr<counted_object>> pool(io, connect, config);
  std::unique_ptr<counted_object> stolen;
  bool served = false;
  const int end = GENERATE(0, 1, 2);
  auto life = [&]() -> asio::awaitable<void> {
    auto lease = co_await pool.acquire(5s);  // the second connect
    stolen = std::move(*lease);
    if (end == 0) lease.release();
    if (end == 1) lease.discard();
    if (end == 2) (void)lease.detach();
    lease = co_await pool.acquire(5s);
    served = *lease != nullptr;
    *lease = nullptr;
    co_await pool.close(0s);  // shuts the leased one
  };
  asio::co_spawn(io, life(), asio::detached);
  io.run();
  CHECK(served);
  CHECK(stolen);
  CHECK(connects == 3);
  CHECK(calls.aborts == 0);
  CHECK(pool.stats().total_connections == 0);
}

TEST_CASE("given a pool of pointers, when a policy validates, then it is given what they point to", "[field-N2]") {
  struct judge : tidepool::health_check {
    using tidepool::health_check::health_check;
    asio::awaitable<void> validate(counted_object& c) {
      ++c.log->pings;
      co_return;
    }
  };
  struct judged : tidepool::default_traits<std::unique_ptr<counted_object>> {
    using health_policy = judge;
  };
  counted_object::calls calls;
  asio::io_context io;
  auto connect = [&calls]() -> asio::awaitable<std::unique_ptr<counted_object>> { co_return std::make_unique<counted_object>(calls); };
  tidepool::basic_pool<std::unique_ptr<counted_object>, judged> pool(io, connect, validating());
  auto life = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 2; ++i) {
      auto lease = co_await pool.acquire(5s);
    }
    co_await pool.close(1s);
  };
  asio::co_spawn(io, life(), asio::detached);
  io.run();
  CHECK(calls.pings >= 1);
}

TEST_CASE("given validation_query and a type that cannot run it, when a pool is made, then that is refused", "[field-N9]") {
  asio::io_context io;
  auto config = validating();
  config.validation_query = "select 1";
  std::string text;
  try {
    tidepool::basic_pool<namesake> pool(
        io, []() -> asio::awaitable<namesake> { co_return namesake(nullptr); }, config);
  } catch (const std::invalid_argument& e) {
    text = e.what();
  }
  CHECK_THAT(text, has_text("validation_query is set, but this connection type has no ping(std::string_view)"));
}

}  // namespace
