// SPDX-License-Identifier: BSL-1.0
// tidepool - a second operation on a connection that is in use: refused, in words.
#ifndef TIDEPOOL_POSTGRES_DETAIL_SECOND_HPP
#define TIDEPOOL_POSTGRES_DETAIL_SECOND_HPP

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>

#include "../../version.hpp"
#include "request.hpp"
#include "session.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// Which operation runs already, and what to do instead.
template <class = void>
inline error two_at_once(const session& s, std::string_view second) {
  const std::string_view first = s.named != nullptr ? s.named : s.current != nullptr ? s.current->called() : "another operation";
  std::string text = std::string(second) + " was started while " + std::string(first) + (s.held ? " is open" : " is running") +
                     " on this connection, which serves one at a time: ";
  if (!s.held) {
    const bool in_body = first == "transaction()" || first == "nested()";
    text += in_body ? "co_await it in the transaction's body, or after it"
                    : "co_await the first before the second, send both in one pipeline()";
  } else {
    text += first == "copy_in()" ? "co_await its finish() or abort() first" : "read it to its end or co_await its close() first";
  }
  return {errc::busy, text + ", or give each a lease of its own, in coroutines of their own"};
}

/// Returns when no operation runs and no more bodies of transactions than now, after `limit` at the latest, or at once when the caller is
/// cancelled. Never throws because of that.
template <class = void>
inline asio::awaitable<void> wait_until_free(session_ptr s, duration limit) {
  const auto cancels = s->cancels;
  const int enclosing = cancels->bodies.load();
  const auto until = later(clock::now(), limit);
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  real_timer timer(co_await asio::this_coro::executor);
  // A call may be several operations in a row, with nothing in between.
  for (int free = 0, looks = 0; free < 2 && clock::now() < until; ++looks) {
    timer.expires_after(std::chrono::milliseconds(std::min(1 + looks, 20)));
    error_code ignored;
    co_await tidepool::detail::await_timer(timer, ignored);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) break;
    free = cancels->activity.load() % 2 == 0 && cancels->bodies.load() <= enclosing ? free + 1 : 0;
  }
  co_await asio::this_coro::throw_if_cancelled(throws);
}

/// Throws `busy`. Before that it waits until the first operation, which goes on unharmed, has ended, for a second or `limit` at most:
/// `first && second` of Asio cancels the first when the second fails, and then tells nothing but "multiple exceptions". So the first one is
/// done, and this error is the only one. An operation that an object keeps open is not waited for, because it may be this caller who is to
/// end it.
template <class = void>
inline asio::awaitable<void> refuse_second(session_ptr s, std::string_view second, duration limit) {
  const error refusal = two_at_once(*s, second);
  s->refused = refusal.explanation();
  s->refused_beside = s->cancels->activity.load();
  if (!s->held) co_await wait_until_free(s, std::min<duration>(limit, std::chrono::seconds(1)));
  throw error(refusal);
}

/// The calls of one stream, COPY or listener come one after another.
template <class = void>
class basic_one_call {
 public:
  basic_one_call(bool& running, const char* what) : running_(running) {
    if (running) throw error(errc::busy, std::string(what) + " is used by two calls at once: co_await the first before the second");
    running = true;
  }
  basic_one_call(const basic_one_call&) = delete;
  basic_one_call& operator=(const basic_one_call&) = delete;
  ~basic_one_call() { running_ = false; }

 private:
  bool& running_;
};
using one_call = basic_one_call<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
