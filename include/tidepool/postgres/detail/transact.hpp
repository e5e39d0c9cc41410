// SPDX-License-Identifier: BSL-1.0
// tidepool - the steps of a transaction and of a savepoint; detail/driver/transact.hpp runs the body in between.
#ifndef TIDEPOOL_POSTGRES_DETAIL_TRANSACT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_TRANSACT_HPP

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "../../detail/driver/transact.hpp"
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
  if (failure.reason() == errc::outcome_unknown) return failure;
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

using tidepool::detail::driver::retry_pause;

/// What `run_transaction` and `run_savepoint` need of this driver: see detail/driver/transact.hpp.
template <class = void>
struct basic_transact_steps {
  using session_ptr = detail::session_ptr;
  using session = detail::session;
  using scope = transaction;
  using options = transaction_options;
  using error = postgres::error;
  using errc = postgres::errc;
  using mark = transaction_mark;

  static bool is_open(const session& s) noexcept {
    return PQtransactionStatus(s.pg()) == PQTRANS_INTRANS || PQtransactionStatus(s.pg()) == PQTRANS_INERROR;
  }
  static bool is_to_prepare(const session& s) noexcept { return s.prepared.capacity() != 0 && !s.parsing.known(); }
  static auto prepare(session_ptr s, duration limit) { return ready_cache(std::move(s), limit); }
  static auto begin(session_ptr s, const transaction_options& wanted, duration limit) {
    return perform(std::move(s), bounded(request::simple(begin_statement(wanted), "transaction()"), limit));
  }
  /// Until COMMIT was answered, because deferred triggers run there.
  static void begun(session& s, const transaction_options& wanted) noexcept { s.reads_only = wanted.read_only; }
  static void ended(session& s) noexcept { s.reads_only = false; }
  static auto commit(session_ptr s, duration limit) { return detail::commit(std::move(s), limit); }
  static auto roll_back(session_ptr s, duration limit) { return detail::roll_back(std::move(s), "rollback", limit); }
  static bool is_to_tidy(const session& s) noexcept { return s.prepared.has_closing(); }
  static auto tidy(session_ptr s, duration limit) { return close_dropped(std::move(s), limit); }

  static auto save(session_ptr s, const std::string& name, duration limit) {
    return perform(std::move(s), bounded(request::simple("savepoint " + name, "nested()"), limit));
  }
  static auto release(session_ptr s, const std::string& name, duration limit) {
    return perform(std::move(s), bounded(request::simple("release savepoint " + name, "nested()"), limit));
  }
  static auto undo(session_ptr s, const std::string& name, duration limit) {
    return detail::roll_back(std::move(s), "rollback to savepoint " + name + "; release savepoint " + name, limit);
  }
};
using transact_steps = basic_transact_steps<>;

template <class = void>
inline asio::awaitable<void> run_transaction(session_ptr s, std::shared_ptr<any_body> body, transaction_options wanted) {
  return tidepool::detail::driver::run_transaction<transact_steps>(std::move(s), std::move(body), wanted);
}
template <class = void>
inline asio::awaitable<void> run_savepoint(session_ptr s, std::shared_ptr<any_body> body, unsigned depth, duration answer_within,
                                           duration within) {
  return tidepool::detail::driver::run_savepoint<transact_steps>(std::move(s), std::move(body), depth, answer_within, within);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
