// SPDX-License-Identifier: BSL-1.0
// tidepool - runs the body of a transaction between BEGIN and COMMIT, or of a savepoint.
#ifndef TIDEPOOL_POSTGRES_DETAIL_TRANSACT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_TRANSACT_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "../../detail/shell/timed_work.hpp"
#include "../../version.hpp"
#include "../transaction.hpp"
#include "any_body.hpp"
#include "execute.hpp"
#include "perform.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

template <class = void>
inline std::string begin_statement(const transaction_options& wanted) {
  std::string sql = "begin";
  switch (wanted.level) {
    case isolation::session_default: break;
    case isolation::read_committed: sql += " isolation level read committed"; break;
    case isolation::repeatable_read: sql += " isolation level repeatable read"; break;
    case isolation::serializable: sql += " isolation level serializable"; break;
  }
  if (wanted.read_only) sql += " read only";
  if (wanted.deferrable) sql += " deferrable";
  return sql;
}

/// Full jitter: transactions that conflicted should not run again at the same time.
template <class = void>
inline duration retry_pause(const transaction_options& wanted, unsigned attempt) {
  thread_local auto random = seeded_random();
  duration longest = std::clamp<duration>(wanted.retry_delay, duration(1), std::max(wanted.max_retry_delay, duration(1)));
  for (; attempt > 0 && longest < wanted.max_retry_delay; --attempt) {
    longest = longest < wanted.max_retry_delay / 2 ? longest * 2 : wanted.max_retry_delay;
  }
  return duration(std::uniform_int_distribution<duration::rep>(0, longest.count())(random));
}

/// When the coroutine is left in another way than the two regular ones, this marks the session: it is in a transaction that has no owner
/// any more, and needs a reset.
template <class = void>
class basic_transaction_mark {
 public:
  explicit basic_transaction_mark(session& on) : on_(on) { on.cancels->bodies.fetch_add(1); }
  basic_transaction_mark(const basic_transaction_mark&) = delete;
  basic_transaction_mark& operator=(const basic_transaction_mark&) = delete;
  ~basic_transaction_mark() {
    on_.cancels->bodies.fetch_sub(1);
    if (!ended_) on_.needs_reset = true;
  }
  void ended() noexcept { ended_ = true; }

 private:
  session& on_;
  bool ended_ = false;
};
using transaction_mark = basic_transaction_mark<>;

/// The error for a failed COMMIT. Only the server's refusal, and a COMMIT that was never sent, show that nothing was committed.
template <class = void>
inline error commit_failure(const session& s, const error& failure, bool sent) {
  const bool answered = (failure.reason() == errc::server || failure.reason() == errc::response_timeout) && !failure.connection_lost();
  if (answered || (!sent && !failure.connection_lost())) return failure;
  diagnosis said = failure.diagnosis();
  if (said.message.empty() && failure.reason() != errc::connection_lost) said.message = failure.explanation();
  if (sent)
    return {errc::outcome_unknown, "COMMIT was sent and its answer is missing: it may be committed or not, so ask the database",
            std::move(said)};
  const bool aborted = s.shutdown->reason() == shutdown_reason::aborted;
  std::string text(s.shutdown->words());
  text += !text.empty() ? "; before" : aborted ? "the connection was aborted before" : "the connection was lost before";
  return {errc::connection_lost, text + " COMMIT was sent: nothing is committed", std::move(said)};
}

template <class = void>
inline request bounded(request what, duration limit) {
  what.limit = limit;
  return what;
}

/// While it lives, a cancelled caller waits shorter for the server: COMMIT is either answered soon, or for a long time not at all.
template <class = void>
class basic_shorter_cancel {
 public:
  explicit basic_shorter_cancel(session& of) noexcept : of_(of) { of.cancel_within = of.settings().cancel_timeout / 4; }
  basic_shorter_cancel(const basic_shorter_cancel&) = delete;
  basic_shorter_cancel& operator=(const basic_shorter_cancel&) = delete;
  ~basic_shorter_cancel() { of_.cancel_within = no_limit; }

 private:
  session& of_;
};
using shorter_cancel = basic_shorter_cancel<>;

/// Sends COMMIT, and throws by its answer.
template <class = void>
inline asio::awaitable<void> commit(session_ptr s, duration limit) {
  if (PQtransactionStatus(s->pg()) == PQTRANS_IDLE) {
    throw error(errc::bad_usage, "the transaction was ended by a statement in its body");
  }
  std::optional<std::uint64_t> before;
  const auto sent = [&] { return before && s->requests_sent != *before; };
  result answer;
  std::unique_ptr<error> failed;
  try {
    // perform() would ask the server for its kind first. That is done here, because its failure is not one of COMMIT.
    if (s->limits.was_silent() && PQtransactionStatus(s->pg()) == PQTRANS_INTRANS && !s->busy) co_await ask_after_silence(s);
    before = s->requests_sent;
    const shorter_cancel now(*s);
    answer = co_await perform(s, bounded(request::simple("commit", "transaction()"), limit));
  } catch (const error& failure) {
    failed = std::make_unique<error>(commit_failure(*s, failure, sent()));
  } catch (const system_error&) {
    // Cancelled. When that was before COMMIT was sent, or the server has cancelled COMMIT, nothing is unknown.
    if (!sent() || (!s->broken && PQtransactionStatus(s->pg()) == PQTRANS_IDLE)) throw;
    failed = std::make_unique<error>(
        errc::outcome_unknown, "COMMIT was sent and cancelled before its answer came: it may be committed or not, so ask the database");
  }
  if (failed) throw error(*failed);
  if (answer.command() == "ROLLBACK") {
    throw error(errc::rolled_back, "the transaction was rolled back: a statement in it had failed");
  }
}

/// Rolls back a transaction or a savepoint. An error of that marks the connection as broken and is not thrown: the caller throws the error
/// that made it roll back.
template <class = void>
inline asio::awaitable<void> roll_back(session_ptr s, std::string sql, duration limit) {
  if (s->broken || PQtransactionStatus(s->pg()) == PQTRANS_IDLE || PQtransactionStatus(s->pg()) == PQTRANS_UNKNOWN) co_return;
  try {
    co_await perform(s, bounded(request::simple(sql, "transaction()"), limit), operation::allow::always);
    s->needs_reset = false;  // savepoints within that were cancelled are gone with it
  } catch (const error&) {
    s->broken = true;
  }
}

/// What became of running a body once; what it returned is kept by the body itself.
struct attempt {
  std::exception_ptr failure{};
  bool retryable = false;
};

template <class = void>
inline asio::awaitable<void> run_body(session_ptr s, unsigned depth, duration answer_within, std::shared_ptr<any_body> body,
                                      std::shared_ptr<attempt> out) {
  transaction scope(std::move(s), depth, answer_within);
  try {
    co_await body->run(scope);
  } catch (const error& failure) {
    out->failure = std::current_exception();
    out->retryable = failure.retryable();
  } catch (...) {
    out->failure = std::current_exception();
  }
  scope.end();
}

/// The limit of a transaction or savepoint as a whole.
template <class = void>
class basic_whole_limit {
 public:
  basic_whole_limit(const char* what, duration span) : what_(what), span_(span), due_(later(clock::now(), span)) {}

  bool is_set() const noexcept { return span_ != no_limit; }
  bool is_over() const noexcept { return is_set() && clock::now() >= due_; }
  bool is_over_at(clock::time_point at) const noexcept { return at >= due_; }
  /// For one answer of the server, `each` at most. Above zero, because it bounds what has to be sent in any case.
  duration left(duration each) const noexcept {
    return is_set() ? std::min(each, std::max<duration>(due_ - clock::now(), std::chrono::milliseconds(1))) : each;
  }
  /// For the rollback, which comes after the limit.
  duration for_rollback(const session& s, duration each) const noexcept {
    return is_set() ? std::min(each, std::max(left(each), s.settings().cancel_timeout)) : each;
  }
  error passed(const session& s, diagnosis said = {}) const {
    return {s.broken ? errc::server_silent : errc::response_timeout,
            std::string("the ") + what_ + " was not done within " + in_words(span_) + ": cancelled, " +
                (s.broken ? "and the connection was shut, because the server did not answer" : "and rolled back; the connection is kept"),
            std::move(said)};
  }

 private:
  const char* what_;
  duration span_;
  clock::time_point due_;
};
using whole_limit = basic_whole_limit<>;

/// Runs the body once, within the limit where there is one. True: its time was over, and what it threw or returned no longer matters. Body
/// and outcome may outlive the caller by a moment, when the context is destroyed.
template <class = void>
inline asio::awaitable<bool> run_limited_body(session_ptr s, unsigned depth, duration answer_within, std::shared_ptr<any_body> body,
                                              const whole_limit& limit, attempt& out) {
  const auto tried = std::make_shared<attempt>();
  auto work = run_body(std::move(s), depth, answer_within, std::move(body), tried);
  const auto end = co_await tidepool::detail::run_timed<real_timer>(limit.left(no_limit), std::move(work));
  if (end->failure) std::rethrow_exception(end->failure);
  out = *tried;
  const bool told = out.failure && !tidepool::detail::is_cancellation(out.failure);
  co_return limit.is_over() && !told;
}

template <class = void>
inline asio::awaitable<void> run_transaction(session_ptr s, std::shared_ptr<any_body> body, transaction_options wanted) {
  if (wanted.within <= duration::zero()) throw error(errc::bad_parameter, "transaction_options::within must be above zero");
  const whole_limit limit("transaction", wanted.within);
  for (unsigned number = 0;; ++number) {
    if (PQtransactionStatus(s->pg()) == PQTRANS_INTRANS || PQtransactionStatus(s->pg()) == PQTRANS_INERROR) {
      throw error(errc::bad_usage, "a transaction is open already: use nested() of that one");
    }
    if (s->prepared.capacity() != 0 && !s->parsing.known()) co_await ready_cache(s, limit.left(wanted.answer_within));
    co_await perform(s, bounded(request::simple(begin_statement(wanted), "transaction()"), limit.left(wanted.answer_within)));
    transaction_mark mark(*s);
    attempt tried;
    bool late = false;
    s->reads_only = wanted.read_only;  // until COMMIT was answered, because deferred triggers run there
    if (limit.is_set()) {
      late = co_await run_limited_body(s, 0, wanted.answer_within, body, limit, tried);
    } else {
      transaction scope(s, 0, wanted.answer_within);
      try {
        co_await body->run(scope);
      } catch (const error& failure) {
        tried.failure = std::current_exception();
        tried.retryable = failure.retryable();
      } catch (...) {
        tried.failure = std::current_exception();
      }
      scope.end();
    }
    if (!tried.failure && !late) {
      try {
        co_await commit(s, limit.left(wanted.answer_within));
      } catch (const error& failure) {
        tried.failure = std::current_exception();
        tried.retryable = failure.retryable();
        late = failure.reason() == errc::response_timeout && limit.is_over();
      }
    }
    if (tried.failure || late) {
      // A cancelled coroutine cannot await any more: reset() rolls back, which a pool calls.
      const auto state = co_await asio::this_coro::cancellation_state;
      if (tried.failure && state.cancelled() != asio::cancellation_type::none) std::rethrow_exception(tried.failure);
      co_await roll_back(s, "rollback", limit.for_rollback(*s, wanted.answer_within));
    }
    mark.ended();
    s->reads_only = false;
    if (late) throw limit.passed(*s);
    // Committed while the coroutine was cancelled: the result is returned without awaiting anything more.
    const auto end = co_await asio::this_coro::cancellation_state;
    const bool goes_on = end.cancelled() == asio::cancellation_type::none;
    if (goes_on && s->prepared.has_closing()) co_await close_dropped(s, limit.left(wanted.answer_within));
    if (!tried.failure) co_return;
    const auto delay = retry_pause(wanted, number);
    if (!tried.retryable || number >= wanted.retries || limit.is_over_at(clock::now() + delay)) std::rethrow_exception(tried.failure);
    real_timer pause(co_await asio::this_coro::executor);
    pause.expires_after(delay);
    co_await pause.async_wait(asio::use_awaitable);
  }
}

template <class = void>
inline asio::awaitable<void> run_savepoint(session_ptr s, std::shared_ptr<any_body> body, unsigned depth, duration answer_within,
                                           duration within) {
  const whole_limit limit("savepoint", within);
  const std::string name = "tidepool_" + std::to_string(depth);
  co_await perform(s, bounded(request::simple("savepoint " + name, "nested()"), limit.left(answer_within)));
  transaction_mark mark(*s);
  attempt tried;
  bool late = false;
  if (limit.is_set()) {
    late = co_await run_limited_body(s, depth, answer_within, body, limit, tried);
  } else {
    transaction scope(s, depth, answer_within);
    try {
      co_await body->run(scope);
    } catch (...) {
      tried.failure = std::current_exception();
    }
    scope.end();
  }
  if (!tried.failure && !late) {
    try {
      co_await perform(s, bounded(request::simple("release savepoint " + name, "nested()"), limit.left(answer_within)));
    } catch (const error& failure) {
      tried.failure = std::current_exception();
      late = failure.reason() == errc::response_timeout && limit.is_over();
    }
  }
  if (tried.failure || late) {
    const auto state = co_await asio::this_coro::cancellation_state;
    if (tried.failure && state.cancelled() != asio::cancellation_type::none) std::rethrow_exception(tried.failure);
    co_await roll_back(s, "rollback to savepoint " + name + "; release savepoint " + name, limit.for_rollback(*s, answer_within));
  }
  mark.ended();
  if (late) throw limit.passed(*s);
  if (tried.failure) std::rethrow_exception(tried.failure);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
