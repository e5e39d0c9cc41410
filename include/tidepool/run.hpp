// SPDX-License-Identifier: BSL-1.0
// tidepool - run(): opens a pool, runs the work on it, closes the pool on every path, and rethrows what failed first.
#ifndef TIDEPOOL_RUN_HPP
#define TIDEPOOL_RUN_HPP

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include "basic_pool.hpp"
#include "detail/shell/runner.hpp"
#include "time.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// How `run()` stops, and on how many threads it runs.
struct run_options {
  std::vector<int> signals{};  ///< that stop the work, for example {SIGINT, SIGTERM}; none by default. Windows: SIGINT, SIGBREAK, SIGTERM
  std::optional<time_limit>
      grace{};              ///< from a stop on: for the work to end and for leases to come back; default: the pool's `close_grace`
  std::size_t threads = 1;  ///< that run the io_context, the calling one among them
};

/// What `run()` with options returns.
template <class T>
struct run_result {
  int signal = 0;            ///< the first signal that came; 0: none
  bool cut_short = false;    ///< the work had not ended when `run()` returned
  std::optional<T> value{};  ///< the result of the work, if it has one
};
/// The same for work without a result.
template <>
struct run_result<void> {
  int signal = 0;
  bool cut_short = false;
};

/// A completion handler for `asio::co_spawn`, where nobody waits for the coroutine: what it throws is thrown by `io_context::run()`, and by
/// `run()` after the pool is closed. With `asio::detached` it would be lost.
///
///     asio::co_spawn(io, talk(client), tidepool::rethrow);
struct rethrow_t {
  /// Throws what failed.
  void operator()(const std::exception_ptr& failed) const {
    if (failed) std::rethrow_exception(failed);
  }
  template <class T>
  void operator()(const std::exception_ptr& failed, T&&) const {
    (*this)(failed);
  }
};
inline constexpr rethrow_t rethrow{};

namespace detail {
/// `Pool`: what is opened and closed; a pool, or several as one.
template <class Pool, class Work>
auto run_on(asio::io_context& io, Pool& pool, Work&& work, const source_location& where) {
  if constexpr (work_fits<Pool, Work>()) {
    const auto job =
        std::make_shared<run_job<Pool, std::decay_t<Work>>>(io, pool, std::forward<Work>(work), pool.config().close_grace, 1, where);
    job->run({});
    return job->result();
  }
}
template <class Pool, class Work>
auto run_on(asio::io_context& io, Pool& pool, Work&& work, const run_options& options, const source_location& where) {
  if constexpr (work_fits<Pool, Work>()) {
    using job_type = run_job<Pool, std::decay_t<Work>>;
    if (options.threads == 0) throw std::invalid_argument("run_options: threads is 0: one thread or more has to run the io_context");
    const duration grace = options.grace ? *options.grace : time_limit(pool.config().close_grace);
    const auto job = std::make_shared<job_type>(io, pool, std::forward<Work>(work), grace, options.threads, where);
    job->run(options.signals);
    run_result<typename job_type::value_type> out;
    out.signal = job->signal();
    out.cut_short = job->cut_short();
    if constexpr (!std::is_void_v<typename job_type::value_type>) out.value = job->take_value();
    return out;
  }
}
}  // namespace detail

/// Opens the pool, runs the work, closes the pool, and runs `io` until nothing is left to do on it. `work` is a callable that returns an
/// `asio::awaitable<T>`, with the pool or nothing as its argument, or such an awaitable (moved from). Returns what the work returns.
///
///     asio::io_context io;
///     postgres::pool pool(io, postgres::connector(url));
///     tidepool::run(io, pool, serve);  // asio::awaitable<void> serve(postgres::pool&)
///
/// The pool is closed on every path. Throws the first exception: of `open()`, of the work, or of a handler on `io`, which cancels the work
/// (terminal). Whatever else is on `io` then has the rest of the grace, which is the pool's `close_grace` and counts from the exception;
/// what has not ended by then, an accept loop say, is destroyed with `io`. Further exceptions do not shorten it. `io.stop()` cancels the
/// work as well, and makes `run()` return when the pool is closed, a second one as soon as it can be; where the work has no result because
/// of that, `std::errc::operation_canceled` is thrown.
///
/// `io` should be the context of the pool, and nobody else may run it meanwhile. When the work ends by itself, a work guard or a coroutine
/// that never ends keeps `run()` from returning, as it does with `io.run()`; the pool is closed by then.
template <class Connection, class Traits, class Work>
auto run(asio::io_context& io, basic_pool<Connection, Traits>& pool, Work&& work, detail::call_place where = source_location::current()) {
  return detail::run_on(io, pool, std::forward<Work>(work), where.at);
}

/// The same with signals, a grace, and more than one thread. The first of `signals` cancels the work (terminal). From then on work, leases
/// and all else on `io` have the grace to end. With the second signal, and when the work has not ended by the end of the grace, the pool is
/// closed without any grace, and `run()` returns as soon as that is done: what has not ended is destroyed with `io`. A third signal has its
/// default effect: it ends the process. An exception of the work that says no more than "cancelled", after a signal, is not thrown.
///
/// With more than one thread the work runs on a strand of its own, and so does what it spawns on its own executor; spawn on `io` what is to
/// run in parallel. With `null_mutex` the work runs on the pool's executor. Throws std::invalid_argument when there is no thread, or more
/// than one with an executor type that can hold no strand; `tidepool::system_error` for a number that is no signal to be caught.
template <class Connection, class Traits, class Work>
auto run(asio::io_context& io, basic_pool<Connection, Traits>& pool, Work&& work, run_options options,
         source_location where = source_location::current()) {
  return detail::run_on(io, pool, std::forward<Work>(work), options, where);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
