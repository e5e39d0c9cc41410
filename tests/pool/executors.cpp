// SPDX-License-Identifier: BSL-1.0
// tidepool - where callers are resumed, and whose work a waiting one is.
#include <tidepool/pool.hpp>

#include <future>
#include <optional>
#include <thread>

#include "rig.hpp"
#include "support/asio.hpp"

namespace {

using namespace tidepool_tests;

struct empty {};
asio::awaitable<empty> make_empty() { co_return empty{}; }
using empty_pool = tidepool::basic_pool<empty>;

/// A pool of one connection on a context of its own; the connection is leased.
struct busy_pool {
  busy_pool() : pool(context, make_empty, calm(0, 1)) {
    pool.async_acquire(10s, [this](error_code, empty_pool::lease got) { held = std::move(got); });
    while (!held) context.run_one();
  }
  asio::io_context context;
  empty_pool pool;
  empty_pool::lease held;
};

TEST_CASE("given a waiter of another context, when that context is run, then it has work until it is served", "[field-S5]") {
  busy_pool busy;
  asio::io_context theirs;
  int served = 0;
  const way how = GENERATE(way::callback, way::coroutine);
  auto ask = [&]() -> asio::awaitable<void> {
    auto lease = co_await busy.pool.acquire(10s);
    ++served;
  };
  if (how == way::callback) {
    busy.pool.async_acquire(10s, asio::bind_executor(theirs, [&](error_code failed, empty_pool::lease) { served += !failed; }));
  } else {
    asio::co_spawn(theirs, ask(), asio::detached);
  }
  theirs.poll();
  CAPTURE(how);
  REQUIRE(busy.pool.stats().waiting == 1);
  CHECK_FALSE(theirs.stopped());  // else run() would have returned, with the caller waiting for ever
  busy.held.release();
  theirs.run_for(10s);
  CHECK(served == 1);  // and once only
  CHECK(theirs.stopped());
}

TEST_CASE("given callers on strands of their own, when they wait or fail, then each is resumed on its strand", "[field-S5]") {
  busy_pool busy;
  asio::thread_pool theirs(2);
  const auto first = asio::make_strand(theirs);
  const auto second = asio::make_strand(theirs);
  struct seen {
    std::optional<bool> there;
    bool served = false;
  };
  seen a, b, late;
  auto ask = [&busy](const auto& mine, seen& out, duration timeout) -> asio::awaitable<void> {
    try {
      auto lease = co_await busy.pool.acquire(timeout);
      out.served = true;
    } catch (const tidepool::system_error&) {
    }
    out.there = mine.running_in_this_thread();
  };
  auto one = asio::co_spawn(first, ask(first, a, 10s), asio::use_future);
  auto two = asio::co_spawn(second, ask(second, b, 10s), asio::use_future);
  auto three = asio::co_spawn(second, ask(second, late, 1ms), asio::use_future);
  while (busy.pool.stats().timeouts == 0) busy.context.run_one_for(10ms), busy.context.restart();
  three.get();
  while (busy.pool.stats().waiting < 2) std::this_thread::yield();
  busy.held.release();
  one.get();
  two.get();
  for (const seen* each : {&a, &b, &late}) {
    REQUIRE(each->there);
    CHECK(*each->there);
  }
  CHECK(a.served);
  CHECK(b.served);
  CHECK_FALSE(late.served);
}

TEST_CASE("given a caller on a strand of the pool's context, when it waits, then it is resumed on the strand", "[field-S5]") {
  busy_pool busy;
  const auto strand = asio::make_strand(busy.context);
  std::optional<bool> there;
  auto ask = [&]() -> asio::awaitable<void> {
    auto lease = co_await busy.pool.acquire(10s);
    there = strand.running_in_this_thread();
  };
  asio::co_spawn(strand, ask(), asio::detached);
  busy.context.poll();
  REQUIRE(busy.pool.stats().waiting == 1);
  busy.held.release();
  while (!there) busy.context.run_one_for(10s);
  CHECK(*there);
}

}  // namespace
