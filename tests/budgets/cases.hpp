// SPDX-License-Identifier: BSL-1.0
// tidepool - what is counted: pools with this and that switched off, and loops over them.
#ifndef TIDEPOOL_TESTS_BUDGETS_CASES_HPP
#define TIDEPOOL_TESTS_BUDGETS_CASES_HPP

#include <tidepool/policy/recorder.hpp>
#include <tidepool/pool.hpp>

#include <cstdint>
#include <exception>
#include <string_view>
#include <utility>

namespace tidepool_budgets {

namespace asio = tidepool::asio;
using io_executor = asio::io_context::executor_type;

/// As bare as a connection can be; `usable()` is there because every real one has it.
struct nothing {
  std::uint64_t uses = 0;
  bool usable() const noexcept { return true; }
};

struct defaults : tidepool::default_traits<nothing> {};
struct concrete : defaults {
  using executor_type = io_executor;
};
struct one_thread : concrete {
  using mutex_type = tidepool::null_mutex;
};
struct bare : one_thread {
  using health_policy = tidepool::no_health_check;
  using leak_policy = tidepool::no_leak_detection;
  using scaling_policy = tidepool::no_scaling;
  using lifetime_policy = tidepool::no_lifetime;
  using breaker_policy = tidepool::no_breaker;
};

struct without_health : concrete {
  using health_policy = tidepool::no_health_check;
};
struct without_leaks : concrete {
  using leak_policy = tidepool::no_leak_detection;
};
struct without_scaling : concrete {
  using scaling_policy = tidepool::no_scaling;
};
struct without_lifetime : concrete {
  using lifetime_policy = tidepool::no_lifetime;
};
struct without_breaker : concrete {
  using breaker_policy = tidepool::no_breaker;
};
struct recorded : concrete {
  using recorder_policy = tidepool::recorder;
};
// Policies that are off as well, but have some bytes.
template <std::size_t>
struct dead_weight {
  static constexpr bool enabled = false;
  explicit dead_weight(const tidepool::pool_config&) {}
  std::uint64_t bytes[8] = {};
};
struct heavy_leaks : bare {
  using leak_policy = dead_weight<0>;
};
struct heavy_scaling : bare {
  using scaling_policy = dead_weight<1>;
};
struct heavy_lifetime : bare {
  using lifetime_policy = dead_weight<2>;
};
struct heavy_breaker : bare {
  using breaker_policy = dead_weight<3>;
};
struct heavy_health : bare {
  using health_policy = dead_weight<4>;
};

template <class Executor>
void run(asio::io_context& io, asio::awaitable<void, Executor> work) {
  asio::co_spawn(Executor(io.get_executor()), std::move(work), [&io](std::exception_ptr failed) {
    if (failed) std::rethrow_exception(failed);
    io.stop();
  });
  io.restart();
  io.run();
}

template <class Traits>
struct opened_pool {
  using pool_type = tidepool::basic_pool<nothing, Traits>;
  asio::io_context io{1};
  pool_type pool;

  explicit opened_pool(std::size_t size) : pool(io, connect, fixed(size)) { run(io, pool.open()); }

 private:
  static asio::awaitable<nothing> connect() { co_return nothing{}; }
  static tidepool::pool_config fixed(std::size_t size) {
    tidepool::pool_config config;
    config.min_size = config.max_size = config.max_connecting = size;
    config.auto_scale = false;
    return config;
  }
};

template <class Pool>
asio::awaitable<void, typename Pool::executor_type> pairs(Pool& pool, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    auto lease = co_await pool.acquire();
    ++lease->uses;
  }
}
template <class Traits>
void acquire(std::uint64_t count) {
  opened_pool<Traits> made(8);
  run(made.io, pairs(made.pool, count));
}

template <class Pool>
void tries(Pool& pool, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    auto lease = pool.try_acquire();
    ++lease->uses;
  }
}
template <class Traits>
void try_acquire(std::uint64_t count) {
  opened_pool<Traits> made(8);
  tries(made.pool, count);
}

/// Acquire, one post, release; `callers` of these on ten connections.
template <class Pool>
asio::awaitable<void, typename Pool::executor_type> cycles(Pool& pool, std::uint64_t count, std::uint64_t& left, asio::io_context& io) {
  const auto executor = co_await asio::this_coro::executor;
  for (std::uint64_t i = 0; i < count; ++i) {
    auto lease = co_await pool.acquire();
    ++lease->uses;
    co_await asio::post(executor, asio::use_awaitable_t<typename Pool::executor_type>());
  }
  if (--left == 0) io.stop();
}
inline constexpr std::uint64_t callers = 100;
template <class Traits>
void hand_over(opened_pool<Traits>& made, std::uint64_t count) {
  std::uint64_t left = callers;
  for (std::uint64_t i = 0; i < callers; ++i) {
    asio::co_spawn(typename Traits::executor_type(made.io.get_executor()), cycles(made.pool, count / callers, left, made.io),
                   asio::detached);
  }
  made.io.restart();
  made.io.run();
}
template <class Traits>
void handoff(std::uint64_t count) {
  opened_pool<Traits> made(10);
  hand_over(made, count);
}

}  // namespace tidepool_budgets

#endif
