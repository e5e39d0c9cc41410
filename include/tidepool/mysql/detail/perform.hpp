// SPDX-License-Identifier: BSL-1.0
// tidepool - runs one request to its end, and makes a result or an error of the answers.
#ifndef TIDEPOOL_MYSQL_DETAIL_PERFORM_HPP
#define TIDEPOOL_MYSQL_DETAIL_PERFORM_HPP

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "../../version.hpp"
#include "client_calls.hpp"
#include "operation.hpp"
#include "request.hpp"
#include "run_request.hpp"
#include "session.hpp"
#include "waiting.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

/// After the last answer of an operation that was stopped: waits until no KILL QUERY can hit the next statement, and restores
/// `throw_if_cancelled`.
template <class = void>
inline asio::awaitable<void> settle(session_ptr s) {
  const stopping stop = *s->stop;
  real_timer timer(co_await asio::this_coro::executor);
  const auto until = std::max(stop.until, later(clock::now(), std::chrono::milliseconds(100)));
  while (s->cancels->in_flight.load() > 0 && clock::now() < until) {
    timer.expires_after(std::chrono::milliseconds(1));
    error_code ignored;
    co_await tidepool::detail::await_timer(timer, ignored);
  }
  if (s->cancels->in_flight.load() > 0) s->broken = true;
  // One that came after the end of the statement ends the next one: this.
  if (stop.asked && !s->broken && s->is_idle() && s->shutdown->reason() == shutdown_reason::none) {
    s->stop->until = later(clock::now(), s->settings().cancel_timeout);
    s->stop->next_request = clock::time_point::max();
    const int status = calls::query(*s, "do 0");
    if (status != 0) co_await finish_call(s, status);
    if (s->number != 0 && s->failure_now().said.number != 1317) s->broken = true;
  }
  s->stop = stop;
  co_await asio::this_coro::throw_if_cancelled(stop.throws);
}

/// Throws for an operation that has ended with an error.
template <class = void>
[[noreturn, gnu::cold, gnu::noinline]] inline void throw_failure(session& s, failure failed) {
  auto& said = failed.said;
  const bool shut = s.shutdown->reason() != shutdown_reason::none;
  if (s.stop && s.shutdown->reason() == shutdown_reason::deadline) throw_unstopped(s, *s.stop);
  if (shut || s.broken || said.ends_session()) throw s.lost("", std::move(said));
  if (said.number == 0) {
    const std::string text = std::exchange(said.message, {});
    s.note_statement(said);
    throw error(errc::bad_parameter, text, std::move(said));
  }
  s.note_answer();
  const bool stopped = s.stop && said.number == 1317;
  if (s.traced && !stopped) s.traced->failed(said.sqlstate);
  if (stopped) throw_stopped(s, *s.stop, std::move(said));
  if (s.settings().writable && said.read_only()) s.outdated = true;
  // The server's status comes with answers that are no errors; a deadlock has ended the transaction all the same.
  if (said.number == 1213) {
    s.rolled_back_by_server = true;
    s.my()->server_status &= ~static_cast<unsigned>(SERVER_STATUS_IN_TRANS);
  }
  s.note_statement(said);
  throw error(errc::server, "", std::move(said));
}

/// Sends one request and collects its results.
template <class Lazy = void>
inline asio::awaitable<result> perform(session_ptr s, request what, allow when = allow::clean) {
  operation running(*s, what.verb.data(), when);
  if (s->traced) running.trace(tidepool::detail::driver::tag_of(what.sql), what.from);
  if (what.limit != no_limit) s->all_within(what.limit);
  s->current = &what;
  outcome all;
  if (what.as_text) {
    co_await run_text(s, what, all);
  } else {
    // One that is known and has no time limit needs no coroutine of its own: this is the path of nearly every statement.
    MYSQL_STMT* of = s->watched() ? nullptr : find_prepared(*s, what.sql);
    bool executed = false;
    if (of != nullptr) {
      const call_guard guard(*s);
      int status = begin_execution(*s, of, what, all);
      if (status != 0) {
        error_code failed;
        s->waits();
        co_await s->template async_wait<Lazy>(direction_of(status), failed);
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) {
          const bool throws = co_await asio::this_coro::throw_if_cancelled();
          co_await asio::this_coro::throw_if_cancelled(false);
          begin_stop(*s, stopping::cause::cancelled, throws);
        }
        if (failed != asio::error::operation_aborted) {
          s->waited();
          status = s->go_on(status & wait_events);
        } else if (!s->stop) {  // the socket was dropped
          s->abandon();
          status = 0;
        }
        if (status != 0) co_await finish_call(s, status);
      }
      executed = !all.failed.any && s->number == 0 && !s->broken;
    }
    if (!executed && !all.failed.any) {
      of = co_await execute_statement(s, what, all, of);
      executed = of != nullptr;
    }
    if (executed) {
      const int status = begin_set(*s, of, what, all);
      if (status != 0) co_await finish_call(s, status);
      const bool read = end_set(*s, of, all);
      if (read && mysql_stmt_more_results(of) != 0) co_await read_more_sets(s, of, what, all);
      if (!all.failed.any) (void)mysql_stmt_free_result(of);  // of rows that were stored: no more is to be read
      s->reader.trim();
    }
    s->parameters.trim();
    if (all.failed.any && is_unprepared(*s, what, all)) {
      all = outcome();
      co_await run_text(s, what, all);
    }
    if (s->passing != nullptr && !s->broken) {
      MYSQL_STMT* const gone = std::exchange(s->passing, nullptr);
      co_await close_statement(s, gone);
    }
  }
  if (s->stop) {
    if (!s->broken)
      co_await settle(s);
    else
      co_await asio::this_coro::throw_if_cancelled(s->stop->throws);
  }
  if (!s->broken && !(all.failed.any && all.failed.said.ends_session())) running.finished();
  if (all.failed.any || s->broken) throw_failure(*s, std::move(all.failed));
  s->note_answer();
  co_return result(std::move(all.first));
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
