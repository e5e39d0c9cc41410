// SPDX-License-Identifier: BSL-1.0
// tidepool - carries on the client library's suspended calls, and stops a statement whose time limit passes or whose coroutine is
// cancelled.
//
// Such a statement is cancelled on the server and read to its end; the connection is then as good as before. Where the server does not end
// it in time, the socket is shut. An answer that comes in the meantime counts: a write that was done is never reported as not done.
#ifndef TIDEPOOL_MYSQL_DETAIL_WAITING_HPP
#define TIDEPOOL_MYSQL_DETAIL_WAITING_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "../../version.hpp"
#include "session.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

/// Sends one KILL QUERY in the background, over a connection of its own. It counts in `cancels->in_flight` until the server has done it, or
/// never will. See kill.hpp.
template <class = void>
inline void request_stop(session& s, stopping& stop, clock::time_point now) noexcept;

/// From now on the waits of this operation stop it. The caller has switched `throw_if_cancelled` off; `throws` is its former value.
template <class = void>
inline void begin_stop(session& s, stopping::cause why, bool throws) {
  const auto now = clock::now();
  const auto since = s.waiting_since();
  stopping stop{};
  stop.why = why;
  stop.limit = s.each();
  stop.silent_since = since == clock::time_point() ? now : since;
  const auto patience = s.settings().cancel_timeout;
  stop.until = later(now, why == stopping::cause::cancelled ? std::min(patience, s.cancel_within.value_or(patience)) : patience);
  stop.next_request = now;
  stop.pause = std::chrono::milliseconds(100);
  stop.throws = throws;
  s.stop = stop;
}

/// A gate that knows whether the socket has opened it.
struct socket_gate : gate {
  std::atomic<bool> ready{false};
};

/// Waits until the socket is ready, within the limits of the operation; false: the time is over, also that for stopping.
template <class = void>
inline asio::awaitable<bool> wait_watched(session_ptr s, bool sending) {
  const auto begun = clock::now();
  s->waits();
  if (s->stop && s->stop->why == stopping::cause::closed) s->stop->until = later(begun, s->stop->limit);
  for (;;) {
    auto& stop = s->stop;
    const auto now = clock::now();
    if (stop && now >= stop->until) co_return false;
    if (stop && now >= stop->next_request) request_stop(*s, *stop, now);
    const auto due = stop ? std::min(stop->until, stop->next_request) : std::min(s->whole(), later(begun, s->each()));
    std::weak_ptr<socket_gate> open;
    {
      const auto made = std::make_shared<socket_gate>();
      open = made;
      const auto direction = sending ? wait_type::wait_write : wait_type::wait_read;
      s->socket(direction).async_wait(direction, [made](error_code failed) {
        if (failed == asio::error::operation_aborted) return;
        made->ready = true;
        made->open();
      });
      if (due != clock::time_point::max()) s->timer().expect(s->executor(), made, due);
    }
    co_await gate::wait(open);
    s->forget_timer();
    bool ready = false;
    {
      const auto made = open.lock();
      ready = made == nullptr || made->ready;  // no gate: its last owner, the socket's handler, has run
    }
    if (!ready) s->socket().cancel();
    ready = ready || s->shutdown->reason() != shutdown_reason::none;
    const bool closing = stop && stop->why == stopping::cause::closed;
    if (!stop || closing) {
      const auto state = co_await asio::this_coro::cancellation_state;
      const bool cancelled = state.cancelled() != asio::cancellation_type::none;
      if (cancelled || (!closing && !ready && clock::now() >= due)) {
        bool throws = co_await asio::this_coro::throw_if_cancelled();
        if (closing) throws = stop->throws;
        co_await asio::this_coro::throw_if_cancelled(false);
        begin_stop(*s, cancelled ? stopping::cause::cancelled : stopping::cause::late, throws);
      }
    }
    if (ready) break;
  }
  s->waited();
  co_return true;
}

/// A call that is suspended when its coroutine is destroyed is ended.
template <class = void>
class basic_call_guard {
 public:
  explicit basic_call_guard(session& on) noexcept : on_(on) {}
  basic_call_guard(const basic_call_guard&) = delete;
  basic_call_guard& operator=(const basic_call_guard&) = delete;
  ~basic_call_guard() { on_.abandon(); }

 private:
  session& on_;
};
using call_guard = basic_call_guard<>;

inline constexpr int wait_events = MYSQL_WAIT_READ | MYSQL_WAIT_WRITE;
inline wait_type direction_of(int status) noexcept {
  return (status & MYSQL_WAIT_WRITE) != 0 ? wait_type::wait_write : wait_type::wait_read;
}

/// Carries on a call of the client library that was suspended, to its end. `perform()` does the same for one wait.
template <class Lazy = void>
inline asio::awaitable<void> finish_call(session_ptr s, int status) {
  const call_guard guard(*s);
  error_code failed;
  while (status != 0) {
    if (!s->has_socket()) {
      s->abandon();
      break;
    }
    if (s->watched()) {
      const bool ready = co_await wait_watched(s, direction_of(status) == wait_type::wait_write);
      if (!ready) {
        s->shutdown->request(shutdown_reason::deadline);
        s->abandon();
        break;
      }
    } else {
      s->waits();
      co_await s->template async_wait<Lazy>(direction_of(status), failed);
      const auto state = co_await asio::this_coro::cancellation_state;
      if (state.cancelled() != asio::cancellation_type::none) {
        const bool throws = co_await asio::this_coro::throw_if_cancelled();
        co_await asio::this_coro::throw_if_cancelled(false);
        begin_stop(*s, stopping::cause::cancelled, throws);
        if (failed == asio::error::operation_aborted) continue;
      } else if (failed == asio::error::operation_aborted) {
        s->abandon();  // the socket was dropped: the context ends
        break;
      }
      s->waited();
    }
    status = s->go_on(status & wait_events);
  }
  s->waited();
}

/// The error of an operation that was stopped and did not end. The connection is shut.
template <class = void>
[[noreturn]] inline void throw_unstopped(session& s, const stopping& stop) {
  s.broken = true;
  if (s.traced) s.traced->failed(stop.why == stopping::cause::cancelled ? "cancelled" : "server_silent");
  const std::string text = s.server_name() + " has been silent for " + in_words(clock::now() - stop.silent_since) +
                           "; cancelling had no effect within " + in_words(s.settings().cancel_timeout) + ": the connection was shut";
  if (s.ended.empty()) s.ended = text;
  if (stop.why == stopping::cause::cancelled) {
    throw system_error(asio::error::make_error_code(asio::error::operation_aborted), text);
  }
  diagnosis said;
  s.note_statement(said);
  throw error(errc::server_silent, text, std::move(said));
}

/// What a statement that ended by being stopped throws: `said` is the server's 1317.
template <class = void>
[[noreturn]] inline void throw_stopped(const session& s, const stopping& stop, diagnosis said) {
  if (s.traced) s.traced->failed(stop.why == stopping::cause::cancelled ? "cancelled" : "response_timeout");
  if (stop.why == stopping::cause::cancelled) {
    throw system_error(asio::error::make_error_code(asio::error::operation_aborted),
                       "cancelled, on the server too; the connection is kept");
  }
  s.note_statement(said);
  throw error(errc::response_timeout,
              "no answer from " + s.server_name() + " within " + in_words(stop.limit) + "; cancelled, the connection is kept",
              std::move(said));
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
