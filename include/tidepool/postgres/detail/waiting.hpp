// SPDX-License-Identifier: BSL-1.0
// tidepool - waits for the server, and stops a statement whose time limit passes or whose coroutine is cancelled.
//
// Such a statement is cancelled on the server and read to its end; the connection is then as good as before. Where the server does not end
// it in time, the socket is shut. An answer that comes in the meantime counts: a write that was done is never reported as not done.
#ifndef TIDEPOOL_POSTGRES_DETAIL_WAITING_HPP
#define TIDEPOOL_POSTGRES_DETAIL_WAITING_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "../../detail/util/words.hpp"
#include "../../version.hpp"
#include "session.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

using tidepool::detail::in_words;
using wait_type = asio::posix::stream_descriptor::wait_type;

template <class = void>
inline void throw_if_failed(session& s, error_code failure) {
  if (!failure) return;
  if (failure == asio::error::operation_aborted) throw system_error(failure);
  throw s.lost("while waiting: " + failure.message());
}

// --- stopping ---------------------------------------------------------------------------------------------------------

/// From now on the waits of this operation stop it. The caller has switched `throw_if_cancelled` off; `throws` is its former value.
template <class = void>
inline void begin_stop(session& s, stopping::cause why, bool throws) {
  const auto now = clock::now();
  const auto since = s.limits.waiting_since();
  stopping stop{};
  stop.why = why;
  stop.limit = s.limits.each();
  stop.silent_since = since == clock::time_point() ? now : since;
  stop.until =
      later(now, why == stopping::cause::cancelled ? std::min(s.settings().cancel_timeout, s.cancel_within) : s.settings().cancel_timeout);
  stop.next_request = now;
  stop.pause = std::chrono::milliseconds(50);
  stop.throws = throws;
  try {
    stop.request = std::make_shared<cancel_request>(s.pg());
  } catch (const std::bad_alloc&) {  // without a request; the statement may end by itself
  }
  s.limits.stop_with(std::move(stop));
  if (why == stopping::cause::late) s.limits.note_silence();
}

/// Sends one cancel request in the background. It counts in `cancels->in_flight` until the server has received it, or never will.
template <class = void>
inline void request_stop(session& s, stopping& stop, clock::time_point now) noexcept {
  stop.next_request = now + stop.pause;
  stop.pause = std::min<duration>(stop.pause * 4, std::chrono::milliseconds(800));
  if (!stop.request || s.cancels->in_flight.load() > 0) return;
  try {
    cancel_mark mark(s.cancels);
#ifdef LIBPQ_HAS_ASYNC_CANCEL
    asio::co_spawn(s.executor(), cancel_here(stop.request, std::move(mark), s.settings().cancel_timeout), asio::detached);
#else
    (void)cancel_on_thread(stop.request, std::move(mark), std::max(stop.until, now + std::chrono::seconds(1)), [](bool) noexcept {});
#endif
  } catch (...) {  // no memory: the next round tries again
  }
}

/// The error of an operation that was stopped and did not end. The connection is shut.
template <class = void>
[[noreturn]] inline void throw_unstopped(session& s, const stopping& stop) {
  const bool aborted = s.shutdown->reason() == shutdown_reason::aborted;
  s.shutdown->request(shutdown_reason::deadline);
  s.broken = true;
  if (aborted) throw s.lost("");
  const std::string who = s.server_name();
  const std::string silence = in_words(clock::now() - stop.silent_since);
  const std::string tried = "; cancelling had no effect within " + in_words(s.settings().cancel_timeout) + ": the connection was shut";
  switch (stop.why) {
    case stopping::cause::cancelled:
      throw system_error(asio::error::make_error_code(asio::error::operation_aborted), who + " has been silent for " + silence + tried);
    default: throw error(errc::server_silent, who + " has been silent for " + silence + tried);
  }
}

/// What a statement that ended by being stopped throws: `said` is the server's 57014.
template <class = void>
[[noreturn]] inline void throw_stopped(const session& s, const stopping& stop, diagnosis said) {
  if (s.traced) s.traced->failed(stop.why == stopping::cause::cancelled ? "cancelled" : "response_timeout");
  if (stop.why == stopping::cause::cancelled) {
    // Its own `&&` may have cancelled it, because of a second operation.
    const bool beside = !s.refused.empty() && s.refused_beside == s.cancels->activity.load();
    throw system_error(asio::error::make_error_code(asio::error::operation_aborted),
                       "cancelled, on the server too; the connection is kept" + (beside ? "; meanwhile " + s.refused : std::string()));
  }
  s.note_statement(said);
  throw error(errc::response_timeout,
              "no answer from " + s.server_name() + " within " + in_words(stop.limit) + "; cancelled, the connection is kept",
              std::move(said));
}

/// After the last answer of an operation that was stopped: waits until no cancel request can hit the next statement, and restores
/// `throw_if_cancelled`.
template <class = void>
inline asio::awaitable<void> settle(session_ptr s) {
  auto& stop = *s->limits.stop();
  real_timer timer(co_await asio::this_coro::executor);
  // At least 100 ms: that a request has arrived is known a little after its effect.
  const auto until = std::max(stop.until, clock::now() + std::chrono::milliseconds(100));
  while (s->cancels->in_flight.load() > 0 && clock::now() < until) {
    timer.expires_after(std::chrono::milliseconds(1));
    error_code ignored;
    co_await tidepool::detail::await_timer(timer, ignored);
  }
  if (s->cancels->in_flight.load() > 0) s->broken = true;
  co_await asio::this_coro::throw_if_cancelled(stop.throws);
}

// --- waiting ----------------------------------------------------------------------------------------------------------

/// A gate that knows whether the socket has opened it.
struct socket_gate : tidepool::detail::gate {
  std::atomic<bool> ready{false};
};

/// After a wait that was not bounded: begins to stop the operation where the coroutine was cancelled, also when that was in the moment in
/// which the socket became ready. To be called with `throw_if_cancelled` off.
template <class = void>
inline asio::awaitable<void> interrupted(session_ptr s, error_code failure, bool throws) {
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() == asio::cancellation_type::none) {
    co_await asio::this_coro::throw_if_cancelled(throws);
    throw_if_failed(*s, failure);
    co_return;
  }
  begin_stop(*s, stopping::cause::cancelled, throws);
}

/// Waits until the socket can be read, or written where `sending`, within the limits of the operation. Stops the operation when they pass,
/// and shuts the connection when that takes too long.
template <class = void>
inline asio::awaitable<void> wait_watched(session_ptr s, bool sending) {
  auto& limits = s->limits;
  const auto begun = clock::now();
  limits.waits();
  if (limits.stop() && limits.stop()->why == stopping::cause::closed) limits.stop()->until = later(begun, limits.stop()->limit);
  for (;;) {
    auto& stop = limits.stop();
    const auto now = clock::now();
    if (stop && now >= stop->until) {
      co_await asio::this_coro::throw_if_cancelled(stop->throws);
      throw_unstopped(*s, *stop);
    }
    if (stop && now >= stop->next_request) request_stop(*s, *stop, now);
    const auto due = stop ? std::min(stop->until, stop->next_request) : std::min(limits.whole(), later(begun, limits.each()));
    std::weak_ptr<socket_gate> open;
    {
      const auto gate = std::make_shared<socket_gate>();
      open = gate;
      const auto ready = [gate](error_code failure) {
        if (failure == asio::error::operation_aborted) return;
        gate->ready = true;
        gate->open();
      };
      const auto first = sending ? wait_type::wait_write : wait_type::wait_read;
      s->socket(first).async_wait(first, ready);
      if (sending) s->socket().async_wait(wait_type::wait_read, ready);
      if (due != clock::time_point::max()) s->timer().expect(s->executor(), gate, due);
    }
    co_await tidepool::detail::gate::wait(open);
    s->forget_timer();
    bool ready = false;
    {
      const auto gate = open.lock();
      ready = gate == nullptr || gate->ready;  // no gate: its last owner, the socket's handler, has run
    }
    if (!ready || sending) s->socket().cancel();  // when sending: the other of the two waits
    ready = ready || s->shutdown->reason() != shutdown_reason::none;
    // A close() can be cancelled too, because the server may go on sending for ever.
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
}

/// Waits until libpq has something to read.
template <class Lazy = void>
inline asio::awaitable<void> wait_for_input(session_ptr s) {
  if (tls_pending(s->pg())) co_return;
  if (s->limits.watched()) {
    co_await wait_watched(s, false);
    co_return;
  }
  error_code failure;
  s->limits.waits();
  co_await s->template async_wait<Lazy>(wait_type::wait_read, failure);
  const auto state = co_await asio::this_coro::cancellation_state;
  if (failure || state.cancelled() != asio::cancellation_type::none) {
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await interrupted(s, failure, throws);
  }
  s->waited();
}

/// When the session is lost while its operation is being stopped: restores `throw_if_cancelled`.
template <class = void>
inline asio::awaitable<void> stop_is_over(session_ptr s) {
  if (s->limits.stop()) co_await asio::this_coro::throw_if_cancelled(s->limits.stop()->throws);
}

/// Waits until the socket can be read, and lets libpq read it.
template <class = void>
inline asio::awaitable<void> receive(session_ptr s) {
  co_await wait_for_input(s);
  const bool read = PQconsumeInput(s->pg()) == 1;
  s->take_notifications();
  if (read) co_return;
  co_await stop_is_over(s);
  throw s->lost("while receiving");
}

/// A server that ends a session while data is sent to it has sent the reason before: reads it.
template <class = void>
inline void read_final_error(session& s) {
  for (int i = 0; i < 100 && s.fatal.message.empty() && PQisBusy(s.pg()) == 0; ++i) {
    const result_handle got(PQgetResult(s.pg()));
    if (!got) return;
    auto said = diagnosis::of(got.get());
    if (said.fatal()) s.note_fatal(std::move(said));
  }
}

/// Sends all that libpq has buffered. Reads meanwhile, because a server that is blocked in a write does not read.
template <class = void>
inline asio::awaitable<void> flush(session_ptr s) {
  for (;;) {
    const int left = PQflush(s->pg());
    if (left == 0) co_return;
    if (left < 0 || PQconsumeInput(s->pg()) == 0) {
      read_final_error(*s);
      co_await stop_is_over(s);
      throw s->lost("while sending");
    }
    s->take_notifications();
    co_await wait_watched(s, true);
  }
}

/// The next result, or null at the end of a statement. `PQgetResult` never blocks here: it is called only when the result has arrived.
template <class = void>
inline asio::awaitable<result_handle> next_result(session_ptr s) {
  while (PQisBusy(s->pg()) == 1) {
    co_await wait_for_input(s);
    const bool read = PQconsumeInput(s->pg()) == 1;
    s->take_notifications();
    if (!read) {
      // What was received before the end is still read; not when libpq is out of memory, because then it would block.
      if (PQstatus(s->pg()) == CONNECTION_OK) {
        co_await stop_is_over(s);
        throw s->lost("while receiving");
      }
      break;
    }
  }
  result_handle got(PQgetResult(s->pg()));
  // The caller throws for it and awaits nothing after it, so the cancellation state is restored here.
  if (s->limits.stop() && got && diagnosis::of(got.get()).fatal()) co_await stop_is_over(s);
  co_return got;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
