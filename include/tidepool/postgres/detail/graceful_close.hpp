// SPDX-License-Identifier: BSL-1.0
// tidepool - the end of a lease and of a session: resetting the session state, closing gracefully.
#ifndef TIDEPOOL_POSTGRES_DETAIL_GRACEFUL_CLOSE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_GRACEFUL_CLOSE_HPP

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string>

#include "../../version.hpp"
#include "setup.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// Resets session state by `level`. True when all of it was reset, so that `on_connect` has to run again.
template <class = void>
inline asio::awaitable<bool> wipe_session(session_ptr s, reset_level level) {
  if (level == reset_level::none) co_return false;
  const auto state = PQtransactionStatus(s->pg());
  // A ROLLBACK outside of a transaction would cost a round trip and a warning.
  if (state == PQTRANS_INTRANS || state == PQTRANS_INERROR) {
    co_await perform(s, request::simple("rollback", "reset()"), operation::allow::always);
  }
  s->needs_reset = s->reads_only = false;
  if (level == reset_level::rollback) co_return false;
  // A text of several statements is one transaction, and DISCARD ALL may not run inside one: it needs a text of its own.
  const bool full = level == reset_level::full;
  const std::string again = restore_query(*s);
  std::string sql = full ? "discard all"
                         : "close all; set session authorization default; reset role; reset all; unlisten *; "
                           "select pg_catalog.pg_advisory_unlock_all(); discard temp; discard sequences; ";
  if (!full) sql += again;
  co_await perform(s, request::simple(sql, "reset()"));
  if (full) s->forget_statements();
  if (full && !again.empty()) co_await perform(s, request::simple(again, "reset()"));
  if (!has_iso_dates(s->pg())) co_await perform(s, request::simple("set datestyle to iso", "reset()"));
  s->parsing.as_at_start();
  s->inbox.clear();
  s->touched = false;
  co_return true;
}

/// Whether the server is running a statement whose answer will not be read. It would go on although the socket is closed.
template <class = void>
inline bool runs_on(const session& s) noexcept {
  return s.pg() != nullptr && !s.busy && s.has_socket() && s.shutdown->reason() == shutdown_reason::none &&
         PQstatus(s.pg()) == CONNECTION_OK && s.fatal.message.empty() && PQtransactionStatus(s.pg()) == PQTRANS_ACTIVE;
}

/// Ends a session and waits until the server process has closed its socket, which is the last thing it does. Only then does the session
/// no longer count against the server's `max_connections`. Waits at most `close_timeout`.
template <class Lazy = void>
inline asio::awaitable<void> close_gracefully(session_ptr s) {
  if (!s || s->pg() == nullptr) co_return;
  const bool active = runs_on(*s);
  const bool idle = !s->busy && !s->broken && PQstatus(s->pg()) == CONNECTION_OK && PQtransactionStatus(s->pg()) != PQTRANS_ACTIVE;
  if (s->busy && !s->held) {
    // Its coroutine uses socket and libpq's object until it has failed.
    s->shutdown->request(shutdown_reason::aborted, "the connection was closed by close() while an operation was running");
    co_await wait_until_free(s, s->settings().close_timeout);
    if (s->busy) co_return;
  }
  if ((!idle && !active) || !s->has_socket()) {
    s->finish();
    co_return;
  }
  s->busy = true;
  s->watch({});
  deadline_guard guard(co_await asio::this_coro::executor, s->settings().close_timeout, s->shutdown);
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  if (active) {
    // As for a cancelled statement: cancel requests are sent until the server has received one. What the server sends is read here, so
    // that it is not blocked in a write and reaches the end of the session.
    co_await asio::this_coro::throw_if_cancelled(false);
    begin_stop(*s, stopping::cause::cancelled, throws);
    s->limits.stop()->until = later(clock::now(), s->settings().close_timeout);
  }
  s->finish_but_keep_socket();
  if (active) ::shutdown(s->socket().native_handle(), SHUT_WR);
  std::array<char, 16384> rest;
  for (int turn = 1;; ++turn) {
    // Lets other coroutines of this event loop run, however much the server still sends.
    if (turn % 16 == 0) co_await tidepool::detail::give_way();
    const auto got = ::recv(s->socket().native_handle(), rest.data(), rest.size(), MSG_DONTWAIT);
    if (got > 0 || (got < 0 && errno == EINTR)) continue;
    if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) break;
    error_code failure;
    if (active) {
      try {
        co_await wait_watched(s, false);
      } catch (const std::exception&) {  // its time is up
        break;
      }
    } else {
      co_await s->template async_wait<Lazy>(wait_type::wait_read, failure);
    }
    if (failure == asio::error::operation_aborted) throw system_error(failure);
    if (failure) break;
  }
  if (active) co_await asio::this_coro::throw_if_cancelled(throws);
  s->drop_socket();
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
