// SPDX-License-Identifier: BSL-1.0
// tidepool - ends a statement early: cancels it and reads what is left of its answer.
#ifndef TIDEPOOL_POSTGRES_DETAIL_DRAIN_HPP
#define TIDEPOOL_POSTGRES_DETAIL_DRAIN_HPP

#include <algorithm>
#include <chrono>

#include "../../version.hpp"
#include "perform.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// Reads an operation that is being stopped to its end, whatever it was doing, and throws its error.
template <class = void>
inline asio::awaitable<void> drain_stopped(session_ptr s, operation& running) {
  outcome all;
  for (;;) {
    result_handle got = co_await next_result(s);
    if (!got) break;
    if (is_copy(PQresultStatus(got.get()))) {
      co_await refuse_copy(s);
    } else {
      (void)all.take(*s, std::move(got));
    }
  }
  running.finished();
  (void)co_await conclude_stopped(s, all);
}

/// Cancels the running statement and reads to its end. The server may be silent for five seconds at a time, or for the time limit where
/// one is set.
template <class = void>
inline asio::awaitable<void> cancel_and_drain(session_ptr s, operation& running) {
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  if (!s->limits.stop()) begin_stop(*s, stopping::cause::closed, throws);
  auto& stop = *s->limits.stop();
  if (stop.why == stopping::cause::closed) stop.limit = s->limits.each() == no_limit ? duration(std::chrono::seconds(5)) : s->limits.each();
  try {
    co_await drain_stopped(s, running);
  } catch (const error& failure) {
    // The error of the cancelled statement, or one that came before: not needed any more.
    if (failure.connection_lost()) throw;
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
