// SPDX-License-Identifier: BSL-1.0
// tidepool - runs a statement through the cache of prepared statements.
//
// The rules of the cache:
// * A name is a hash of text, parameter types and settings, so the same name means the same statement in every session. A pooler that gives
//   one server process to many clients cannot make one client run the statement of another. Where the hash may be wrong, the statement is
//   sent unnamed.
// * Only statements with a plan are prepared: transaction control and other commands are sent as they are.
// * A statement is run again only if it is known not to have run, outside of a transaction, and unnamed. Within a transaction the server
// has
//   failed all of it: the error is `stale()`, and `transaction(..., {.retries = n})` may run the whole body again.
// * Every error of a cached statement drops its entry: the next use prepares it again.
// * Dropped statements are closed on the server after the caller's statement, never before it, never in a failed transaction, never by SQL
//   within a transaction. When that fails it is tried again later, and the caller gets no error.
#ifndef TIDEPOOL_POSTGRES_DETAIL_EXECUTE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_EXECUTE_HPP

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <string_view>
#include <utility>

#include "../../version.hpp"
#include "perform.hpp"
#include "statement_cache.hpp"
#include "statement_text.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// Asks for the settings that decide what a text means to the parser. Only between operations. A failure is not reported to the caller.
template <class = void>
inline asio::awaitable<void> learn_settings(session_ptr s, duration limit) {
  auto question = request::simple(
      "select pg_catalog.concat_ws(',', current_user, pg_catalog.current_setting('search_path'), "
      "pg_catalog.current_setting('DateStyle'), pg_catalog.current_setting('IntervalStyle'), "
      "pg_catalog.current_setting('TimeZone'), pg_catalog.current_setting('timezone_abbreviations', true), "
      "pg_catalog.current_setting('standard_conforming_strings'), pg_catalog.current_setting('backslash_quote', true), "
      "pg_catalog.current_setting('transform_null_equals', true), pg_catalog.current_setting('array_nulls', true), "
      "pg_catalog.current_setting('xmloption', true), pg_catalog.current_setting('lc_monetary', true), "
      "pg_catalog.current_setting('client_encoding'))",
      "exec()");
  question.limit = limit;
  try {
    const auto answer = co_await perform(s, std::move(question));
    s->parsing.learn(std::string(answer[0][0].text()));
  } catch (const error&) {
    // They stay unknown, so nothing is prepared. A lost connection is reported by the statement itself.
  }
}

template <class = void>
inline bool at_rest(const session& s) {
  return !s.busy && !s.broken && !s.needs_reset && PQtransactionStatus(s.pg()) == PQTRANS_IDLE;
}

/// Whether statements may stay prepared in this session.
template <class = void>
inline bool may_name(const session& s) {
  return !s.pooled || s.settings().pooler_tracks_statements;
}

/// Whether a statement can be closed on the server now.
template <class = void>
inline bool can_close(const session& s) {
#ifdef LIBPQ_HAS_CLOSE_PREPARED
  return PQtransactionStatus(s.pg()) == PQTRANS_IDLE || PQtransactionStatus(s.pg()) == PQTRANS_INTRANS;
#else
  // Within a transaction the driver must not send SQL of its own. And a pooler that renames statements does not rename them in SQL.
  return PQtransactionStatus(s.pg()) == PQTRANS_IDLE && !s.pooled;
#endif
}

/// Closes on the server what the cache has dropped, all within `limit`. A failure is not reported: the rest is closed later.
template <class = void>
inline asio::awaitable<void> close_dropped(session_ptr s, duration limit) {
  const auto due = later(clock::now(), limit);
  while (s->prepared.has_closing() && can_close(*s)) {
    const auto id = s->prepared.next_closing();
    auto what = request::close(id.text().data());
    const auto begun = clock::now();
    if (limit != no_limit) what.limit = due - begun;
    bool gone = false;
    try {
      co_await perform(s, std::move(what));
      gone = true;
    } catch (const error& failure) {
      gone = failure.is("26000");
    } catch (const std::exception&) {
      // Cancelled. The caller gets its result all the same; the next operation it awaits reports the cancellation.
    }
    if (!gone) co_return;
    s->prepared.closed(id);
    // No further one is begun where it would pass the limit if it took as long: it would have to be cancelled.
    const auto now = clock::now();
    if (now + (now - begun) >= due) co_return;
  }
}

/// Whether the error proves that the statement was not executed: it comes from looking up the prepared statement, from reading its
/// parameters, from analysing its text again, or from comparing the new plan with the old one. SQL can choose an SQLSTATE, but neither the
/// server's routine nor a position in the statement's text; and an error in a function has a context.
template <class = void>
inline bool has_not_run(const error& failure, std::string_view name, bool infers_types) {
  if (failure.reason() != errc::server || failure.connection_lost()) return false;
  if (failure.context().empty()) {
    if (failure.is("26000") || failure.is("42P05")) return failure.message().find(name) != std::string_view::npos;
    if (failure.is("0A000")) return failure.routine() == "RevalidateCachedQuery";
    return failure.sqlstate().starts_with("42") && failure.position() > 0;
  }
  return infers_types && !bound_parameter(failure.context()).empty();
}

template <class = void>
inline error as_stale(const error& failure) {
  diagnosis said = failure.diagnosis();
  said.stale = true;
  return {failure.reason(), "", std::move(said)};
}

/// Before a statement or a transaction, between operations.
template <class = void>
inline asio::awaitable<void> ready_cache(session_ptr s, duration limit) {
  if (s->prepared.capacity() == 0 || !at_rest(*s)) co_return;
  s->parsing.transaction_ended();
  if (!s->parsing.known() && may_name(*s)) co_await learn_settings(s, limit);
}

/// Runs a statement through the cache: it is prepared at its first use. One that cannot be prepared now, for any reason, is sent with its
/// text, which is always correct.
template <class = void>
inline asio::awaitable<result> execute_cached(session_ptr s, request what) {
  // One time limit for all that is sent.
  const auto due = what.limit == no_limit ? clock::time_point::max() : later(clock::now(), what.limit);
  const auto left = [&what, due] {
    return what.limit == no_limit ? what.limit : std::max<duration>(due - clock::now(), std::chrono::milliseconds(1));
  };
  if (!s->parsing.known()) co_await ready_cache(s, what.limit);
  what.limit = left();
  const bool idle = at_rest(*s);
  const bool within = !s->busy && !s->needs_reset && PQtransactionStatus(s->pg()) == PQTRANS_INTRANS;
  if ((!idle && !within) || !may_name(*s) || !s->parsing.known()) co_return co_await perform(s, std::move(what));

  auto& cache = s->prepared;
  if (!s->reports_path) s->reports_path = PQparameterStatus(s->pg(), "search_path") != nullptr;
  const char* const path = *s->reports_path ? PQparameterStatus(s->pg(), "search_path") : nullptr;
  const auto types = what.types();
  const statement_key key(what.sql(), types, s->parsing.text(), path == nullptr ? "" : path);
  const auto* found = cache.find(key);
  if (found != nullptr && found->outdated) {
    cache.drop(key.id);
    found = nullptr;
    co_await close_dropped(s, left());
  }
  const bool old = found != nullptr;
  result got;
  std::unique_ptr<error> failed;
  if (!old && cache.make_room(key, can_close(*s))) {
    const bool named = !names_a_moment(key.sql);
    auto first = request::prepare(key.id.text().data(), query_text(key.sql, what.from()), *key.types);
    first.limit = left();
    try {
      if (named) co_await perform(s, std::move(first));
    } catch (const error& failure) {
      failed = std::make_unique<error>(failure);
    } catch (...) {  // cancelled
      if (s->pooled) cache.close_later(key.id);
      throw;
    }
    // A pooler that tracks statements knows a name from the moment it reads the Parse, whatever becomes of it, and ends a connection that
    // sends it again.
    if (failed && s->pooled) cache.close_later(key.id);
    if (!failed) {
      found = cache.insert(key, named, may_set_meaning(key.sql, *s->reports_path));
      if (named) ++s->statements_named;
    } else if (has_not_run(*failed, key.id.text().data(), false) && failed->is("42P05")) {
      cache.close_later(key.id);  // the server has one of that name already
      if (idle) {
        failed.reset();
      } else {
        failed = std::make_unique<error>(as_stale(*failed));
      }
    }
  }
  bool done = failed != nullptr;
  const bool sets = found != nullptr && found->sets_settings;
  if (!done && found != nullptr && found->named() && (found->sure || idle)) {
    const bool unsure = !found->sure;
    what.use_statement(found->name.data());
    what.limit = left();
    try {
      got = co_await perform(s, request::borrowed(what));
      done = true;
    } catch (const error& failure) {
      failed = std::make_unique<error>(failure);
    }
    if (failed) {
      const bool not_run = has_not_run(*failed, key.id.text().data(), old && what.infers_types());
      if (not_run && failed->is("26000")) {
        cache.missing(key.id);
      } else {
        cache.drop(key.id);
      }
      done = !not_run || !idle;
      if (!done) failed.reset();
      if (failed && not_run) failed = std::make_unique<error>(as_stale(*failed));
    } else if (unsure) {
      cache.found(key.id);
    }
  }
  if (!done) {
    what.use_text();
    what.limit = left();
    try {
      got = co_await perform(s, request::borrowed(what));
    } catch (const error& failure) {
      failed = std::make_unique<error>(failure);
    }
  }
  if (sets) s->parsing.changed(false);
  // A cancelled coroutine cannot await anything more, and has a result to return.
  const auto state = co_await asio::this_coro::cancellation_state;
  const bool goes_on = state.cancelled() == asio::cancellation_type::none;
  if (goes_on && cache.has_closing()) co_await close_dropped(s, left());
  if (failed) throw error(*failed);
  co_return got;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
