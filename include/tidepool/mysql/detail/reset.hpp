// SPDX-License-Identifier: BSL-1.0
// tidepool - the end of a lease and of a session: the server's role, resetting the session state, closing gracefully.
#ifndef TIDEPOOL_MYSQL_DETAIL_RESET_HPP
#define TIDEPOOL_MYSQL_DETAIL_RESET_HPP

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "../../version.hpp"
#include "perform.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

/// Notes whether the server takes writes.
template <class = void>
inline asio::awaitable<void> ask_role(session_ptr s) {
  const auto got = co_await perform(s, request::plain("select @@global.read_only", "ping()"), allow::always);
  const auto now = got[0][0].raw();
  const bool off = now.kind() == storage::text ? now.text() == "0" || now.text() == "OFF" : now.natural() == 0;
  s->wrong_role = !off;
}

/// A request of the driver's that is no statement: a call of the client library.
template <class Call>
asio::awaitable<void> run_call(session_ptr s, const char* verb, duration limit, Call call) {
  operation running(*s, verb, allow::always);
  if (s->traced) running.trace(std::string_view(verb) == "ping()" ? "PING" : "RESET", {});
  if (limit != no_limit) s->all_within(limit);
  const int status = call(*s);
  if (status != 0) co_await finish_call(s, status);
  failure failed;
  if (s->number != 0 || s->broken) failed = s->failure_now();
  if (s->stop) {
    if (!s->broken) {
      co_await settle(s);
    } else {
      co_await asio::this_coro::throw_if_cancelled(s->stop->throws);
    }
  }
  if (!s->broken && !failed.said.ends_session()) running.finished();
  if (failed.any) throw_failure(*s, std::move(failed));
  s->note_answer();
}
template <class = void>
inline asio::awaitable<void> ping_session(session_ptr s, std::string query, duration limit) {
  if (query.empty()) {
    co_await run_call(s, "ping()", limit, [](session& on) { return calls::ping(on); });
  } else {
    co_await perform(s, request::plain(query, "ping()", limit), allow::always);
  }
  if (s->settings().writable) co_await ask_role(s);
}

/// What a session is given when it begins, after a reset: a MySQL server has put its own default in the place of the character set.
template <class = void>
inline std::string session_settings(const session& s) {
  if (!s.is_mariadb()) return s.settings().utc ? "set names utf8mb4, time_zone = '+00:00'" : "set names utf8mb4";
  return s.settings().utc ? "set time_zone = '+00:00'" : "";
}

/// True when all of it was reset, so that `on_connect` has to run again.
template <class = void>
inline asio::awaitable<bool> wipe_session(session_ptr s, reset_level level) {
  if (level == reset_level::none) co_return false;
  if (level == reset_level::full) {
    co_await run_call(s, "reset()", no_limit, [](session& on) { return calls::renew(on); });
    s->forget_statements();
    // It tells of the time before until the next answer.
    s->my()->server_status &= ~static_cast<unsigned>(SERVER_STATUS_IN_TRANS);
    s->needs_reset = false;
    const auto again = session_settings(*s);
    if (!again.empty()) co_await perform(s, request::plain(again, "reset()"));
    co_return true;
  }
  // A needless ROLLBACK would cost a round trip.
  if (s->in_transaction() || s->needs_reset) co_await perform(s, request::plain("rollback", "reset()"), allow::always);
  s->needs_reset = false;
  co_return false;
}

/// Ends a session and waits until the server has closed its socket, which is when it no longer counts against `max_connections`. Waits at
/// most `close_timeout`.
template <class Lazy = void>
inline asio::awaitable<void> close_gracefully(session_ptr s) {
  if (!s || s->my() == nullptr) co_return;
  if (s->busy && !s->held) {
    // Its coroutine uses the socket until it has failed.
    s->shutdown->request(shutdown_reason::aborted, "the connection was closed by close() while an operation was running");
    real_timer timer(co_await asio::this_coro::executor);
    const auto until = later(clock::now(), s->settings().close_timeout);
    while (s->busy && clock::now() < until) {
      timer.expires_after(std::chrono::milliseconds(1));
      co_await tidepool::detail::await_timer(timer);
    }
    if (s->busy) co_return;
  }
  const bool polite = !s->busy && !s->broken && s->is_idle() && s->has_socket() && s->shutdown->reason() == shutdown_reason::none;
  if (!polite) {
    s->finish();
    co_return;
  }
  s->busy = true;
  s->watch({});
  deadline_guard guard(co_await asio::this_coro::executor, s->settings().close_timeout, s->shutdown);
  s->close_handle();  // a packet of five bytes to an empty buffer
  std::array<char, 4096> rest;
  for (;;) {
    const auto got = ::recv(s->socket().native_handle(), rest.data(), rest.size(), MSG_DONTWAIT);
    if (got > 0 || (got < 0 && errno == EINTR)) continue;
    if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) break;
    error_code failed;
    co_await s->template async_wait<Lazy>(wait_type::wait_read, failed);
    if (failed == asio::error::operation_aborted) throw system_error(failed);
    if (failed) break;
  }
  s->drop_socket();
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
