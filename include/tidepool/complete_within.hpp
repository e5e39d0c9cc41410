// SPDX-License-Identifier: BSL-1.0
// tidepool - a time limit for any piece of work: a request with its acquire and its statements.
#ifndef TIDEPOOL_COMPLETE_WITHIN_HPP
#define TIDEPOOL_COMPLETE_WITHIN_HPP

#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "detail/shell/timed_work.hpp"
#include "detail/util/asio.hpp"
#include "detail/util/words.hpp"
#include "error.hpp"
#include "time.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// The timer of `complete_within()` unless another one is named.
using default_limit_timer = asio::basic_waitable_timer<std::chrono::steady_clock>;  // NOLINT(clock)

/// Runs `work` and returns its result, or throws its exception. When `limit` is over it cancels `work` (terminal), waits for its end, and
/// throws `tidepool::system_error` with `errc::not_in_time`, which equals `std::errc::timed_out`:
///
///     co_await tidepool::complete_within(500ms, handle(pool, request));  // acquires, runs statements, asks other services
///
/// What runs in it ends as always when it is cancelled: an acquire leaves the queue, a statement is cancelled on the server and its
/// connection is kept. Where `work` ends by itself in that moment, its result or its exception counts, as does an exception that tells more
/// than that it was cancelled (a COMMIT whose outcome is unknown). Work that ignores cancellation is waited for.
///
/// At or below zero: throws without having run anything. `no_limit`: only runs it. Cancellation of the caller is passed on to `work` as
/// terminal. `work` runs on a strand of the caller's executor. Cost: a timer, a coroutine, a strand. In a simulation name its timer:
/// `complete_within<testing::virtual_timer>(...)`.
template <class Timer = default_limit_timer, class T, class Executor>
asio::awaitable<T, Executor> complete_within(time_limit limit, asio::awaitable<T, Executor> work) {
  if (limit <= duration::zero()) {
    throw system_error(make_error_code(errc::not_in_time), "there is no time left: nothing was begun");
  }
  const auto end = co_await detail::run_timed<Timer>(limit, std::move(work));
  if (end->timed_out()) {
    throw system_error(make_error_code(errc::not_in_time), "not done within " + detail::in_words(limit) + ", and cancelled");
  }
  if (end->failure) std::rethrow_exception(end->failure);
  if constexpr (!std::is_void_v<T>) co_return std::move(*end->value);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
