// SPDX-License-Identifier: BSL-1.0
// tidepool - what run() does: the work's coroutine, its cancellation, and the end of the io_context's run.
#ifndef TIDEPOOL_DETAIL_SHELL_RUNNER_HPP
#define TIDEPOOL_DETAIL_SHELL_RUNNER_HPP

#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "../../error.hpp"
#include "../../time.hpp"
#include "../../traits.hpp"
#include "../../version.hpp"
#include "../util/asio.hpp"
#include "../util/cancellation.hpp"
#include "../util/smaller.hpp"
#include "helper_threads.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

template <class T>
struct awaitable_parts {
  static constexpr bool is_awaitable = false;
  using value_type = void;
  using executor_type = void;
};
template <class T, class Executor>
struct awaitable_parts<asio::awaitable<T, Executor>> {
  static constexpr bool is_awaitable = true;
  using value_type = T;
  using executor_type = Executor;
};

/// What the work of `run()` returns: it is an awaitable, or is called with the pool, or with nothing.
template <class Pool, class Work>
constexpr auto kind_of_work() {
  if constexpr (awaitable_parts<Work>::is_awaitable) {
    return std::type_identity<Work>();
  } else if constexpr (std::is_invocable_v<Work&, Pool&>) {
    return std::type_identity<std::invoke_result_t<Work&, Pool&>>();
  } else if constexpr (std::is_invocable_v<Work&>) {
    return std::type_identity<std::invoke_result_t<Work&>>();
  } else {
    return std::type_identity<void>();
  }
}

/// Says in words why a work does not fit; `Given` is what `run()` was called with.
template <class Pool, class Given>
constexpr bool work_fits() {
  using work = std::decay_t<Given>;
  using parts = awaitable_parts<typename decltype(kind_of_work<Pool, work>())::type>;
  constexpr bool kept = std::is_constructible_v<work, Given>;
  if constexpr (!parts::is_awaitable) {
    static_assert(
        parts::is_awaitable,
        "tidepool::run(io, pool, work): work has to be a callable that returns an asio::awaitable, with the pool or nothing as its "
        "argument, or such an awaitable");
  } else if constexpr (!std::is_same_v<typename parts::executor_type, typename Pool::executor_type>) {
    static_assert(std::is_same_v<typename parts::executor_type, typename Pool::executor_type>,
                  "tidepool::run(io, pool, work): the awaitable of the work has to be of the pool's executor type: Pool::awaitable<T>");
  } else {
    static_assert(kept, "tidepool::run(io, pool, work): an awaitable, or a callable that cannot be copied, has to be given by std::move()");
    return kept;
  }
  return false;
}

/// Where `run()` was called: what is thrown by its `open()` names that. `{}` is none, but options.
struct call_place {
  call_place(const source_location& from) noexcept : at(from) {}
  source_location at;
};

/// One call of `run()`, but for its work (run_job below): so that this is compiled once for a type of pools. Shared by its coroutine and
/// handlers, which stay on the io_context where the work is cut short.
template <class Pool>
class runner : public std::enable_shared_from_this<runner<Pool>> {
 public:
  using executor_type = typename Pool::executor_type;

  runner(asio::io_context& io, Pool& pool, duration grace, std::size_t threads, const source_location& where)
      : io_(io),
        pool_(pool),
        grace_(larger_of(grace, duration::zero())),
        threads_(threads),
        where_(where),
        home_(home(io, pool, threads)),
        overtime_(home_) {}
  runner(const runner&) = delete;
  runner& operator=(const runner&) = delete;
  virtual ~runner() = default;

  /// Returns when the io_context has nothing left to do; after a stop at the end of the grace at the latest. Rethrows.
  void run(const std::vector<int>& signals) {
    for (const int number : signals) {
      if (!signals_) signals_.emplace(home_);
      signals_->add(number);
    }
    if (io_.stopped()) io_.restart();
    const auto self = this->shared_from_this();
    asio::co_spawn(home_, main(self), asio::bind_cancellation_slot(stop_.slot(), [self](std::exception_ptr failed) { self->end(failed); }));
    if (signals_) await_signal();  // after the spawn: work that is cancelled before its first step never runs, so nor does the close
    run_context(threads_);
    while (!ended_ && !closed_now_) {  // somebody called io.stop()
      const bool again = std::exchange(io_stopped_, true);
      io_.restart();
      asio::post(home_, [self, again] {
        if (again) return self->close_now();
        self->stop();
      });
      run_context(1);
    }
    if (stopping_ && !closed_now_ && !io_stopped_) {  // an accept loop, say, would never end
      io_.restart();
      run_context(threads_, grace_ends_);
    }
    signals_.reset();
    overtime_.cancel();
    if (failed_) std::rethrow_exception(failed_);
  }

  int signal() const noexcept { return signal_; }
  bool cut_short() const noexcept { return !work_ended_; }

 protected:
  /// Begins the work; the awaitable ends when it has ended, and its result is kept.
  virtual asio::awaitable<void, executor_type> perform() = 0;
  Pool& pool() const noexcept { return pool_; }

 private:
  using traits = typename Pool::traits_type;
  using strand = asio::strand<asio::io_context::executor_type>;

  /// A cancellation signal may be used by one thread at a time: with several threads the work has a strand. Without a mutex in the pool its
  /// executor alone will do.
  static executor_type home(asio::io_context& io, Pool& pool, std::size_t threads) {
    if constexpr (std::is_same_v<typename traits::mutex_type, null_mutex>) {
      return pool.get_executor();
    } else if constexpr (std::is_constructible_v<executor_type, strand>) {
      if constexpr (std::is_convertible_v<asio::io_context::executor_type, executor_type>) {
        if (threads == 1) return io.get_executor();
      }
      return executor_type(asio::make_strand(io));
    } else {
      if (threads > 1)
        throw std::invalid_argument("run_options: threads is above 1: the pool's executor_type can hold no strand for the work");
      return pool.get_executor();
    }
  }

  // --- the work -------------------------------------------------------------------------------------------------------

  static asio::awaitable<void, executor_type> main(std::shared_ptr<runner> job) {
    try {
      co_await job->pool_.open(job->where_);
      co_await job->perform();
    } catch (...) {
      job->work_failed(std::current_exception());
    }
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());  // a cancelled coroutine could not await the close
    job->work_ended_ = true;
    job->overtime_.cancel();
    co_await job->pool_.close(job->grace_left(), job->where_);
  }
  void work_failed(std::exception_ptr failed) {
    const bool wanted = signal_ != 0 || io_stopped_;
    const bool of_the_stop = is_cancellation(failed) || (closing_now_ && code_of(failed) == errc::closed);
    if (!wanted || !of_the_stop) fail(std::move(failed));
    begin_to_stop();
  }
  /// The end of the work's coroutine, after the pool is closed.
  void end(std::exception_ptr failed) {
    if (failed) fail(std::move(failed));
    ended_ = true;
    signals_.reset();
    if (stopping_) io_.stop();  // all else is run for the rest of the grace alone
  }

  // --- the stop, on the work's executor -------------------------------------------------------------------------------

  void await_signal() {
    signals_->async_wait([self = this->shared_from_this()](error_code ended, int number) {
      if (!ended) self->on_signal(number);
    });
  }
  void on_signal(int number) {
    if (ended_) return;
    if (signal_ != 0) {
      close_now();
      return signals_->clear();  // the next one has its default effect
    }
    signal_ = number;
    stop();
    await_signal();
  }
  /// The grace begins. False: it has begun before.
  bool begin_to_stop() {
    if (std::exchange(stopping_, true)) return false;
    grace_ends_ = later(precise_now<traits>(), grace_);
    return true;
  }
  /// Cancels the work. A second exception does not shorten the grace.
  void stop() {
    if (!begin_to_stop()) return;
    if (ended_) return io_.stop();  // a handler has failed that is no part of the work
    if (work_ended_) return;        // the close is under way, with a grace of its own
    if (grace_ends_ != never) {
      overtime_.expires_at(time_of<traits>(grace_ends_));
      overtime_.async_wait([self = this->shared_from_this()](error_code cancelled) {
        if (!cancelled && !self->work_ended_) self->close_now();
      });
    }
    stop_.emit(asio::cancellation_type::terminal);
  }
  /// What the work has left of the grace, for the leases.
  duration grace_left() const {
    if (!stopping_ || grace_ends_ == never) return grace_;
    return larger_of(grace_ends_ - precise_now<traits>(), duration::zero());
  }
  void close_now() {
    if (std::exchange(closing_now_, true)) return;
    const auto self = this->shared_from_this();
    asio::co_spawn(home_, pool_.close(duration::zero()), [self](std::exception_ptr) {
      self->closed_now_ = true;
      self->io_.stop();
    });
  }

  // --- the threads ----------------------------------------------------------------------------------------------------

  void run_context(std::size_t threads, tick until = never) {
    if (threads == 1) return run_here(until);
    helper_threads others;
    try {
      others.start(threads - 1, [this, until] { run_here(until); });
    } catch (...) {  // no more threads
      fail(std::current_exception());
      ask_to_stop();
    }
    run_here(until);
  }
  void run_here(tick until) {
    for (;;) {
      try {
        if (until == never) {
          io_.run();
        } else {
          io_.run_until(time_of<traits>(until));
        }
        return;
      } catch (...) {
        fail(std::current_exception());
        ask_to_stop();
      }
    }
  }
  void ask_to_stop() {
    asio::post(home_, [self = this->shared_from_this()] { self->stop(); });
  }
  void fail(std::exception_ptr failed) {
    const std::lock_guard lock(failed_mutex_);
    if (!failed_) failed_ = std::move(failed);
  }

  asio::io_context& io_;
  Pool& pool_;
  const duration grace_;
  const std::size_t threads_;
  const source_location where_;
  const executor_type home_;
  typename timer_of<traits>::type overtime_;
  std::optional<asio::basic_signal_set<executor_type>> signals_;
  asio::cancellation_signal stop_;
  tick grace_ends_ = never;   ///< after a stop
  int signal_ = 0;            ///< the first one
  bool io_stopped_ = false;   ///< by somebody: the io_context is not run for anything but the work any more
  bool stopping_ = false;     ///< the work is cancelled, or has failed
  bool closing_now_ = false;  ///< without any grace
  bool closed_now_ = false;
  bool work_ended_ = false;
  bool ended_ = false;  ///< and the pool is closed
  std::mutex failed_mutex_;
  std::exception_ptr failed_;
};

/// One call of `run()` with its work, and the result of that.
template <class Pool, class Work>
class run_job final : public runner<Pool> {
  using awaited = typename decltype(kind_of_work<Pool, Work>())::type;
  using parts = awaitable_parts<awaited>;

 public:
  using value_type = typename parts::value_type;
  using executor_type = typename Pool::executor_type;

  template <class From>
  run_job(asio::io_context& io, Pool& pool, From&& work, duration grace, std::size_t threads, const source_location& where)
      : runner<Pool>(io, pool, grace, threads, where), work_(std::forward<From>(work)) {}

  auto take_value() { return std::move(value_); }
  value_type result() {
    if constexpr (!std::is_void_v<value_type>) {
      if (!value_) throw system_error(make_error_code(generic_errc::operation_canceled), "run(): the work was stopped, it has no result");
      return std::move(*value_);
    }
  }

 private:
  struct nothing {};

  asio::awaitable<void, executor_type> perform() override {
    if constexpr (std::is_void_v<value_type>) {
      return begin();
    } else {
      return keep();
    }
  }
  asio::awaitable<void, executor_type> keep() {
    value_type got = co_await begin();
    value_.emplace(std::move(got));
  }
  awaited begin() {
    if constexpr (std::is_same_v<awaited, Work>) {
      return std::move(work_);
    } else if constexpr (std::is_invocable_v<Work&, Pool&>) {
      return work_(this->pool());
    } else {
      return work_();
    }
  }

  Work work_;
  std::optional<std::conditional_t<std::is_void_v<value_type>, nothing, value_type>> value_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
