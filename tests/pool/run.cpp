// SPDX-License-Identifier: BSL-1.0
// tidepool - run(): the pool is open while the work runs, closed on every path, and no exception is lost.
#include <atomic>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>

#include "run_bench.hpp"
#include "support/asio.hpp"
#include "support/on_end.hpp"

namespace {

using namespace tidepool_tests;

/// A value that tells how often it was destroyed while it held something.
struct counted {
  std::shared_ptr<int> destroyed;
  explicit counted(std::shared_ptr<int> d) : destroyed(std::move(d)) {}
  counted(counted&& other) noexcept : destroyed(std::move(other.destroyed)) {}
  ~counted() {
    if (destroyed) ++*destroyed;
  }
};

TEST_CASE("given work in each form, when run, then the pool is open for it, closed after it, the result given", "[field-U2]") {
  bench b;
  SECTION("a function of the pool") {
    CHECK(tidepool::run(b.io, b.pool, use) == 1);
    static_assert(std::is_void_v<decltype(tidepool::run(b.io, b.pool, just_use))>);
  }
  SECTION("an awaitable") { CHECK(tidepool::run(b.io, b.pool, use(b.pool)) == 1); }
  SECTION("a callable without arguments, with what it captures") {
    const auto destroyed = std::make_shared<int>(0);
    auto kept = std::make_unique<int>(41);
    CHECK(tidepool::run(b.io, b.pool, [&b, kept = std::move(kept), mine = counted(destroyed)]() -> asio::awaitable<std::unique_ptr<int>> {
            auto lease = co_await b.pool.acquire();
            co_return std::make_unique<int>(*kept + (mine.destroyed ? 1 : 0));
          }) != nullptr);
    CHECK(*destroyed == 1);
  }
  SECTION("a generic callable that takes the pool") {
    const auto work = [](auto& pool) -> asio::awaitable<std::string> {
      auto lease = co_await pool.acquire();
      co_return "done";
    };
    CHECK(tidepool::run(b.io, b.pool, work) == "done");
  }
  SECTION("with options") {
    const auto got = tidepool::run(b.io, b.pool, use, {.grace = 1s});
    CHECK(got.value == 1);
    CHECK(got.signal == 0);
    CHECK_FALSE(got.cut_short);
  }
  b.check_closed();
}

TEST_CASE("given work or an open() that throws, when run, then the pool is closed, run() throws the same", "[field-U2]") {
  bench b;
  SECTION("the work") {
    const auto work = [](run_pool& pool) -> asio::awaitable<void> {
      auto lease = co_await pool.acquire();
      throw std::out_of_range("the work failed");
    };
    CHECK_THROWS_AS(tidepool::run(b.io, b.pool, work), std::out_of_range);
  }
  SECTION("the callable, before it is a coroutine") {
    const auto work = [](run_pool& pool) -> asio::awaitable<void> {
      if (pool.config().max_size == 2) throw std::out_of_range("the work failed");
      return just_use(pool);
    };
    CHECK_THROWS_AS(tidepool::run(b.io, b.pool, work, {.threads = 2}), std::out_of_range);
  }
  SECTION("open()") {
    *b.refused = true;
    bool called = false;
    const auto work = [&]() -> asio::awaitable<void> {
      called = true;
      co_return;
    };
    const auto line = tidepool::source_location::current().line();
    try {
      tidepool::run(b.io, b.pool, work);
      FAIL("nothing was thrown");
    } catch (const tidepool::pool_error& e) {
      CHECK(e.code() == errc::connect_failed);
      const std::string text = e.what();
      CHECK(text.find(", called at run.cpp:" + std::to_string(line + 2) + ": wrong password") != std::string::npos);
    }
    CHECK_FALSE(called);
  }
  b.check_closed();
}

TEST_CASE("given a handler that throws, when the work waits, then that is cancelled, run() throws the first", "[field-U2]") {
  bench b;
  error_code seen;
  const auto work = [&](run_pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    asio::post(b.io, [] { throw std::out_of_range("a handler failed"); });
    try {
      co_await sleep_for(1h);
    } catch (const tidepool::system_error& e) {
      seen = e.code();
      throw std::runtime_error("and then the work");
    }
  };
  CHECK_THROWS_AS(tidepool::run(b.io, b.pool, work), std::out_of_range);
  CHECK(seen == asio::error::operation_aborted);
  b.check_closed();
}

TEST_CASE("given a signal, when the work waits, then that is cancelled, the pool closed, the signal told", "[field-U2]") {
  bench b;
  error_code seen;
  bool several = false;
  const auto waits = [&](run_pool& pool) -> asio::awaitable<int> {
    auto lease = co_await pool.acquire();
    std::raise(first_signal);
    if (several) {
      using namespace asio::experimental::awaitable_operators;
      co_await (sleep_for(1h) && sleep_for(2h));
    }
    try {
      co_await sleep_for(1h);
    } catch (const tidepool::system_error& e) {
      seen = e.code();
      throw;
    }
    co_return 1;
  };
  SECTION("and one thread") {}
  SECTION("and an operator for awaitables") { several = true; }
  const auto got = tidepool::run(b.io, b.pool, waits, {.signals = {first_signal, second_signal}, .grace = 1h});
  CHECK(got.signal == first_signal);
  CHECK_FALSE(got.value);
  CHECK_FALSE(got.cut_short);
  CHECK((several || seen == asio::error::operation_aborted));
  b.check_closed();
  CHECK(std::signal(first_signal, SIG_DFL) == SIG_DFL);  // the process has its own signals again
}

TEST_CASE("given a signal, when the work cleans up and fails in another way, then run() throws that", "[field-U2]") {
  bench b;
  int cleaned = 0;
  const auto work = [&](run_pool& pool) -> asio::awaitable<void> {
    std::raise(first_signal);
    try {
      co_await sleep_for(1h);
    } catch (const tidepool::system_error&) {
    }
    co_await asio::this_coro::reset_cancellation_state();
    cleaned = co_await use(pool);
    throw std::out_of_range("the clean-up failed");
  };
  CHECK_THROWS_AS(tidepool::run(b.io, b.pool, work, {.signals = {first_signal}}), std::out_of_range);
  CHECK(cleaned == 1);
  b.check_closed();
}

TEST_CASE("given an accept loop, when the work fails, then run() throws that when the grace is over", "[field-U2]") {
  pool_config config = calm(1, 2);
  config.close_grace = 20ms;
  bench b(config);
  int turns = 0;
  const auto loop = [&]() -> asio::awaitable<void> {
    for (;;) {
      ++turns;
      co_await sleep_for(1ms);
    }
  };
  const auto work = [&](run_pool& pool) -> asio::awaitable<void> {
    asio::co_spawn(b.io, loop(), tidepool::rethrow);
    co_await use(pool);
    throw std::out_of_range("the work failed");
  };
  CHECK_THROWS_AS(tidepool::run(b.io, b.pool, work), std::out_of_range);
  CHECK(turns > 0);
  b.check_closed();
}

TEST_CASE("given a loop that never ends, when a handler fails after the work, then run() throws that", "[field-U2]") {
  pool_config config = calm(1, 2);
  config.close_grace = 20ms;
  bench b(config);
  const auto loop = [&]() -> asio::awaitable<void> {
    for (int turns = 0;; ++turns) {
      co_await sleep_for(1ms);
      if (b.pool.state() == pool_state::closed && turns > 50) throw std::out_of_range("after the work");
    }
  };
  const auto for_ever = []() -> asio::awaitable<void> {
    for (;;) co_await sleep_for(1ms);
  };
  const auto work = [&](run_pool& pool) -> asio::awaitable<void> {
    asio::co_spawn(b.io, loop(), tidepool::rethrow);
    asio::co_spawn(b.io, for_ever(), tidepool::rethrow);
    co_await use(pool);
  };
  CHECK_THROWS_AS(tidepool::run(b.io, b.pool, work), std::out_of_range);
  b.check_closed();
}

TEST_CASE("given coroutines spawned with rethrow, when one fails, then the work is cancelled, run() throws", "[field-U2]") {
  bench b;
  bool cancelled = false;
  const auto fails = []() -> asio::awaitable<int> {
    co_await sleep_for(1ms);
    throw std::out_of_range("beside the work");
  };
  const auto work = [&](run_pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    asio::co_spawn(b.io, just_use(pool), tidepool::rethrow);
    asio::co_spawn(b.io, fails, tidepool::rethrow);
    try {
      co_await sleep_for(1h);
    } catch (const tidepool::system_error&) {
      cancelled = true;
    }
  };
  CHECK_THROWS_AS(tidepool::run(b.io, b.pool, work, {.grace = 1h}), std::out_of_range);
  CHECK(cancelled);
  b.check_closed();
}

/// Work that does not listen to cancellation, and holds a lease.
asio::awaitable<void> deaf(run_pool& pool, std::atomic<int>& steps) {
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  auto lease = co_await pool.acquire();
  for (;;) {
    ++steps;
    co_await sleep_for(1ms);
    if (steps == 5) std::raise(first_signal);
  }
}

TEST_CASE("given work that does not end after a signal, when a second one comes, then run() returns at once", "[field-U2]") {
  std::atomic<int> steps = 0;
  bench b;
  const auto impatient = [&]() -> asio::awaitable<void> {
    while (steps < 20) co_await sleep_for(1ms);
    std::raise(second_signal);
  };
  const auto work = [&](run_pool& pool) -> asio::awaitable<void> {
    asio::co_spawn(b.io, impatient(), asio::detached);
    co_await deaf(pool, steps);
  };
  const std::size_t threads = GENERATE(1u, 3u);
  const auto got = tidepool::run(b.io, b.pool, work, {.signals = {first_signal, second_signal}, .grace = 1h, .threads = threads});
  CHECK(got.signal == first_signal);
  CHECK(got.cut_short);
  CHECK(steps >= 20);
  CHECK(b.pool.state() == pool_state::closed);
}

TEST_CASE("given work that ignores a signal, when the grace is over, then the pool closes, run() returns", "[field-U2]") {
  std::atomic<int> steps = 0;
  bench b;
  const auto work = [&](run_pool& pool) { return deaf(pool, steps); };
  const auto got = tidepool::run(b.io, b.pool, work, {.signals = {first_signal}, .grace = 30ms});
  CHECK(got.signal == first_signal);
  CHECK(got.cut_short);
  CHECK(b.pool.state() == pool_state::closed);
}

TEST_CASE("given a lease kept beside the work, when the work ends, then it has the grace and is shut then", "[field-U2]") {
  bench b;
  std::optional<run_pool::lease> kept;
  const auto work = [&](run_pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    kept.emplace(std::move(lease));
  };
  tidepool::run(b.io, b.pool, work, {.grace = 10ms});
  CHECK(b.pool.state() == pool_state::closed);
  kept.reset();
  b.check_closed();
}

TEST_CASE("given io.stop() by somebody, when the work waits, then it is cancelled, the pool closed all the same", "[field-U2]") {
  bench b;
  const std::size_t threads = GENERATE(1u, 2u);
  const auto waits = [&](run_pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    asio::co_spawn(b.io, sleep_for(1h), asio::detached);  // is not waited for
    b.io.stop();
    co_await sleep_for(1h);
  };
  SECTION("without a result") { tidepool::run(b.io, b.pool, waits, {.threads = threads}); }
  SECTION("with a result") {
    const auto work = [&](run_pool& pool) -> asio::awaitable<int> {
      co_await waits(pool);
      co_return 1;
    };
    try {
      tidepool::run(b.io, b.pool, work);
      FAIL("nothing was thrown");
    } catch (const tidepool::system_error& e) {
      CHECK(e.code() == std::errc::operation_canceled);
      CHECK(std::string(e.what()).find("the work was stopped") != std::string::npos);
    }
  }
  b.check_closed();
}

TEST_CASE("given several threads, when work spawns on the context, then run() returns when all of it is done", "[field-U2]") {
  bench b(calm(1, 4));
  std::atomic<int> done = 0;
  const auto one = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 20; ++i) {
      auto lease = co_await b.pool.acquire();
      co_await sleep_for(10us);
    }
    ++done;
  };
  const auto work = [&]() -> asio::awaitable<int> {
    const on_end at_end = [](std::exception_ptr failed) {
      if (failed) std::rethrow_exception(failed);
    };
    for (int i = 0; i < 8; ++i) asio::co_spawn(b.io, one(), at_end);
    while (done < 8) co_await sleep_for(1ms);
    co_return done;
  };
  const auto got = tidepool::run(b.io, b.pool, work, {.threads = 4});
  CHECK(got.value == 8);
  CHECK(b.pool.stats().total_checkouts == 160);
  b.check_closed();
}

struct one_thread : tidepool::default_traits<counted_session> {
  using mutex_type = tidepool::null_mutex;
};
struct concrete : tidepool::default_traits<counted_session> {
  using executor_type = asio::io_context::executor_type;
};

TEST_CASE("given other traits, when the work runs, then it does so on an executor that fits the pool", "[field-U2]") {
  SECTION("no mutex: the pool's executor") {
    bench<tidepool::basic_pool<counted_session, one_thread>> b;
    bool same = false;
    const auto work = [&](auto& pool) -> asio::awaitable<void> {
      auto lease = co_await pool.acquire();
      const auto here = co_await asio::this_coro::executor;
      same = here == pool.get_executor();
    };
    tidepool::run(b.io, b.pool, work);
    CHECK(same);
    b.check_closed();
  }
  SECTION("a concrete executor") {
    using pool_type = tidepool::basic_pool<counted_session, concrete>;
    bench<pool_type> b;
    const auto work = [&](pool_type& pool) -> pool_type::awaitable<int> {
      auto lease = co_await pool.acquire();
      co_return 7;
    };
    CHECK_THROWS_AS(tidepool::run(b.io, b.pool, work, {.threads = 2}), std::invalid_argument);
    CHECK(tidepool::run(b.io, b.pool, work) == 7);
    b.check_closed();
  }
}

TEST_CASE("given options that cannot be, when run() is called, then it throws in words and nothing has begun", "[field-U2]") {
  bench b;
  CHECK_THROWS_AS(tidepool::run(b.io, b.pool, use, {.threads = 0}), std::invalid_argument);
  CHECK_THROWS_AS(tidepool::run(b.io, b.pool, use, {.signals = {no_signal}}), tidepool::system_error);
  CHECK(b.pool.state() == pool_state::starting);
  CHECK(tidepool::run(b.io, b.pool, use) == 1);
  b.check_closed();
}

TEST_CASE("given a context that has run before, when run() is called, then the work runs; a closed pool is said", "[field-U2]") {
  bench b;
  b.io.run();
  CHECK(tidepool::run(b.io, b.pool, use) == 1);
  try {
    tidepool::run(b.io, b.pool, use);
    FAIL("nothing was thrown");
  } catch (const tidepool::pool_error& e) {
    CHECK(e.code() == errc::closed);
  }
}

}  // namespace
