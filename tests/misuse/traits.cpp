// SPDX-License-Identifier: BSL-1.0
// tidepool - Traits of a wrong form, and what the compiler says of them; see README.md.
#include <tidepool/pool.hpp>

struct conn {};
struct other_conn {};

template <class Traits>
asio::awaitable<void> work(asio::io_context& io) {
  tidepool::basic_pool<conn, Traits> pool(io, []() -> asio::awaitable<conn> { co_return conn(); });
  co_await pool.open();
  auto lease = co_await pool.acquire();
  lease.release();
  co_await pool.close();
  pool.stats();
}

// misuse: the Traits are made for another connection type
// says: the Traits belong to another connection type
template asio::awaitable<void> work<tidepool::default_traits<other_conn>>(asio::io_context&);

// misuse: the Traits have no members
// says: the Traits lack executor_type: derive them from tidepool::default_traits
struct my_traits {};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: the Traits lack one policy
// says: the Traits lack breaker_policy: derive them from tidepool::default_traits
struct my_traits {
  using executor_type = asio::any_io_executor;
  using operation_executor = asio::any_io_executor;
  using clock_type = std::chrono::steady_clock;
  using mutex_type = std::mutex;
  using health_policy = tidepool::health_check;
  using leak_policy = tidepool::leak_detection;
  using scaling_policy = tidepool::utilization_scaling;
  using lifetime_policy = tidepool::lifetime_recycling;
  using queue_policy = tidepool::fifo_queue;
  using observer = tidepool::null_observer;
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: the executor is no executor
// says: Traits::executor_type is no executor: name the type of one, for example `asio::any_io_executor`
struct my_traits : tidepool::default_traits<conn> {
  using executor_type = asio::io_context;
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: the operations' executor cannot be made of the pool's
// says: Traits::operation_executor cannot be made from executor_type
struct my_traits : tidepool::default_traits<conn> {
  using operation_executor = asio::io_context::executor_type;
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: the clock has no now()
// says: Traits::clock_type is no clock: it needs `time_point`, `duration` and `static time_point now() noexcept`
struct my_traits : tidepool::default_traits<conn> {
  using clock_type = std::chrono::nanoseconds;
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: the mutex cannot be locked
// says: Traits::mutex_type is no mutex: it needs a default constructor, `void lock()` and `void unlock()`
struct my_traits : tidepool::default_traits<conn> {
  using mutex_type = std::unique_lock<std::mutex>*;
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: the timer lacks a member
// says: Traits::timer_type is no timer
struct my_timer {
  explicit my_timer(asio::any_io_executor);
  void expires_at(std::chrono::steady_clock::time_point);
  void cancel();
};
struct my_traits : tidepool::default_traits<conn> {
  using timer_type = my_timer;
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: the random seed is a member
// says: Traits::random_seed() has another form: write `static std::uint64_t random_seed()`
struct my_traits : tidepool::default_traits<conn> {
  std::uint64_t random_seed();
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: hold_sampling is no constant
// says: write `static constexpr std::uint64_t hold_sampling = 64;`
struct my_traits : tidepool::default_traits<conn> {
  static inline std::uint64_t hold_sampling = 1;
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: the tracer has no end()
// says: Traits::tracer is no tracer
struct my_tracer {
  std::optional<tidepool::trace_context> start(const tidepool::trace_start&);
};
struct my_traits : tidepool::default_traits<conn> {
  using tracer = my_tracer;
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);
