// SPDX-License-Identifier: BSL-1.0
// tidepool - prepared statements: by `prepare()`, or by the connection's own cache.
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
#ifndef TIDEPOOL_POSTGRES_STATEMENT_HPP
#define TIDEPOOL_POSTGRES_STATEMENT_HPP

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../version.hpp"
#include "detail/perform.hpp"
#include "pipeline.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// Names a statement that one connection has prepared. It lives as long as that connection, or until `reset_level::full`.
class statement {
 public:
  explicit statement(std::string name) : name_(std::move(name)) {}
  statement(std::string name, std::vector<Oid> types) : name_(std::move(name)), types_(std::move(types)), asked_(true) {}
  std::string_view name() const noexcept { return name_; }
  /// Whether `types()` says what the server takes.
  bool knows_types() const noexcept { return asked_; }
  /// The OIDs of the types the server has found for `$1`, `$2`, ...; empty where it was not asked.
  const std::vector<Oid>& types() const noexcept { return types_; }

 private:
  std::string name_;
  std::vector<Oid> types_;
  bool asked_ = false;
};

/// A prepared statement as an argument of `exec()` and its like: notes the place of the call, as `query_text` does.
class statement_use {
 public:
  statement_use(const statement& of, source_location from = source_location::current()) : of_(&of), from_(from) {}
  const statement& of() const noexcept { return *of_; }
  const source_location& from() const noexcept { return from_; }

 private:
  const statement* of_;
  source_location from_;
};

namespace detail {

/// Asks for the settings that decide what a text means to the parser. Only between operations. A failure is not reported to the caller.
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

inline bool at_rest(const session& s) { return !s.busy && !s.broken && !s.needs_reset && PQtransactionStatus(s.pg()) == PQTRANS_IDLE; }

/// Whether statements may stay prepared in this session.
inline bool may_name(const session& s) { return !s.pooled || s.settings().pooler_tracks_statements; }

/// Whether a statement can be closed on the server now.
inline bool can_close(const session& s) {
#ifdef LIBPQ_HAS_CLOSE_PREPARED
  return PQtransactionStatus(s.pg()) == PQTRANS_IDLE || PQtransactionStatus(s.pg()) == PQTRANS_INTRANS;
#else
  // Within a transaction the driver must not send SQL of its own. And a pooler that renames statements does not rename them in SQL.
  return PQtransactionStatus(s.pg()) == PQTRANS_IDLE && !s.pooled;
#endif
}

/// Closes on the server what the cache has dropped, all within `limit`. A failure is not reported: the rest is closed later.
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
inline bool has_not_run(const error& failure, std::string_view name, bool infers_types) {
  if (failure.reason() != errc::server || failure.connection_lost()) return false;
  if (failure.context().empty()) {
    if (failure.is("26000") || failure.is("42P05")) return failure.message().find(name) != std::string_view::npos;
    if (failure.is("0A000")) return failure.routine() == "RevalidateCachedQuery";
    return failure.sqlstate().starts_with("42") && failure.position() > 0;
  }
  return infers_types && !bound_parameter(failure.context()).empty();
}

inline error as_stale(const error& failure) {
  diagnosis said = failure.diagnosis();
  said.stale = true;
  return {failure.reason(), "", std::move(said)};
}

/// Before a statement or a transaction, between operations.
inline asio::awaitable<void> ready_cache(session_ptr s, duration limit) {
  if (s->prepared.capacity() == 0 || !at_rest(*s)) co_return;
  s->parsing.transaction_ended();
  if (!s->parsing.known() && may_name(*s)) co_await learn_settings(s, limit);
}

/// Runs a statement through the cache: it is prepared at its first use. One that cannot be prepared now, for any reason, is sent with its
/// text, which is always correct.
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
    }
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

inline asio::awaitable<result> execute(session_ptr s, request&& what) {
  if (s->prepared.capacity() == 0 || !has_plan(what.sql())) return perform(std::move(s), std::move(what));
  return execute_cached(std::move(s), std::move(what));
}

/// `connection::prepare()`: under a name of its own, so that the same text may be prepared twice. The text's hash is part of the name, so
/// this name can only run this text. The types of its parameters are asked for in the same round trip.
inline asio::awaitable<statement> prepare(session_ptr s, std::string sql, source_location from, duration limit) {
  if (!may_name(*s)) {
    throw error(
        errc::bad_usage,
        "a pooler is in between, which may give the next statement to a server process that has not prepared it: use exec(sql, ...), or, "
        "where it tracks prepared statements, set options.pooler_tracks_statements, and where each client keeps its server process, "
        "options.session_pooler");
  }
  const statement_id id(sql, {}, {}, {});
  std::string name = std::string(id.text().data()) + "_" + std::to_string(++s->statements_named);
  pipeline::entries both;
  both.push_back(std::make_shared<pipeline_entry>(request::prepare(name, query_text(sql, from))));
  both.push_back(std::make_shared<pipeline_entry>(request::describe(name)));
  const auto told = both.back();
  co_await pipeline::run(s, pipeline_mode::atomic, std::move(both), limit, "prepare()");
  const PGresult* const parameters = told->got->native();
  std::vector<Oid> types(static_cast<std::size_t>(PQnparams(parameters)));
  for (std::size_t i = 0; i < types.size(); ++i) types[i] = PQparamtype(parameters, static_cast<int>(i));
  if (s->settings().statement_in_errors) s->prepared_texts.insert_or_assign(name, statement_text(sql));
  co_return statement(std::move(name), std::move(types));
}

/// Whether values of two types have the same binary form: texts, and types that are an OID.
inline bool same_binary_form(Oid given, Oid taken) noexcept {
  const auto in = [](Oid type, auto... all) { return ((type == static_cast<Oid>(all)) || ...); };
  const auto text = [&](Oid type) { return in(type, 19, 25, 114, 142, 1042, 1043); };
  const auto number = [&](Oid type) { return in(type, 23, 24, 26, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096); };
  return given == taken || (text(given) && text(taken)) || (number(given) && number(taken));
}

/// The server reads a value in binary form as the type that the statement has in its place: bytes of a bytea would become an int4. A value
/// that is sent as text is parsed, or refused, by the server. Types of users are not checked: their OIDs are not known here.
template <class T>
void check_type(const std::vector<Oid>& wanted, std::size_t at, const T& value) {
  using C = codec_for<T>;
  if constexpr (codec_binary<C>() && codec_oid<C>() != 0) {
    constexpr Oid given = codec_oid<C>();
    if (at >= wanted.size() || is_null(value)) return;
    const Oid taken = wanted[at];
    if (given >= type_oid::first_of_users || taken >= type_oid::first_of_users || same_binary_form(given, taken)) return;
    const std::string place = "$" + std::to_string(at + 1);
    throw error(errc::bad_parameter, "parameter " + place + " is of type " + type_name(given) + ", and the prepared statement takes " +
                                         type_name(taken) + " there: give it that, or prepare it with " + place + "::" + type_name(given));
  }
}
/// Types are looked at only where a value is sent in binary form.
template <class... Args>
void check_types(const statement& prepared, const Args&... args) {
  if (prepared.knows_types() && prepared.types().size() != sizeof...(args)) {
    throw error(errc::bad_parameter,
                parameter_count_text(sizeof...(args), prepared.types().size(), "the prepared statement") + ": nothing was sent");
  }
  if constexpr ((codec_binary<codec_for<Args>>() || ...)) {
    std::size_t at = 0;
    (check_type(prepared.types(), at++, args), ...);
  }
}

}  // namespace detail
}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
