// SPDX-License-Identifier: BSL-1.0
// tidepool - the steps of a transaction and of a savepoint; detail/driver/transact.hpp runs the body in between.
#ifndef TIDEPOOL_MYSQL_DETAIL_TRANSACT_HPP
#define TIDEPOOL_MYSQL_DETAIL_TRANSACT_HPP

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "../../detail/driver/transact.hpp"
#include "../../version.hpp"
#include "../transaction.hpp"
#include "perform.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

template <class = void>
inline asio::awaitable<void> step(session_ptr s, std::string sql, const char* verb, duration limit, allow when = allow::clean) {
  co_await perform(std::move(s), request::plain(sql, verb, limit), when);
}

template <class = void>
inline asio::awaitable<void> begin(session_ptr s, transaction_options wanted, duration limit) {
  constexpr const char* levels[] = {"", "read uncommitted", "read committed", "repeatable read", "serializable"};
  if (wanted.level != isolation::session_default) {
    std::string sql = "set transaction isolation level ";
    sql += levels[static_cast<std::size_t>(wanted.level)];
    co_await step(s, std::move(sql), "transaction()", limit);
  }
  std::string sql = "start transaction";
  if (wanted.consistent_snapshot) sql += " with consistent snapshot";
  if (wanted.read_only) sql += wanted.consistent_snapshot ? ", read only" : " read only";
  co_await step(std::move(s), std::move(sql), "transaction()", limit);
}

/// When the coroutine is left in another way than the two regular ones, this marks the session: it is in a transaction that has no owner
/// any more, and needs a reset.
template <class = void>
class basic_transaction_mark {
 public:
  explicit basic_transaction_mark(session& on) : on_(on) {}
  basic_transaction_mark(const basic_transaction_mark&) = delete;
  basic_transaction_mark& operator=(const basic_transaction_mark&) = delete;
  ~basic_transaction_mark() {
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
inline error commit_failure(const session& s, const error& failed, bool sent) {
  const bool answered = (failed.reason() == errc::server || failed.reason() == errc::response_timeout) && !failed.connection_lost();
  if (answered || (!sent && !failed.connection_lost())) return failed;
  diagnosis said = failed.diagnosis();
  if (said.message.empty() && failed.reason() != errc::connection_lost) said.message = failed.explanation();
  if (sent) {
    return {errc::outcome_unknown, "COMMIT was sent and its answer is missing: it may be committed or not, so ask the database",
            std::move(said)};
  }
  std::string text(s.shutdown->words());
  text += text.empty() ? "the connection was lost before" : "; before";
  return {errc::connection_lost, text + " COMMIT was sent: nothing is committed", std::move(said)};
}

/// While it lives, a cancelled caller waits shorter for the server: COMMIT is either answered soon, or for a long time not at all.
template <class = void>
class basic_shorter_cancel {
 public:
  explicit basic_shorter_cancel(session& of) noexcept : of_(of) { of.cancel_within = of.settings().cancel_timeout / 4; }
  basic_shorter_cancel(const basic_shorter_cancel&) = delete;
  basic_shorter_cancel& operator=(const basic_shorter_cancel&) = delete;
  ~basic_shorter_cancel() { of_.cancel_within.reset(); }

 private:
  session& of_;
};
using shorter_cancel = basic_shorter_cancel<>;

/// Sends COMMIT, and throws by its answer. A deadlock rolls back the whole transaction, and so does the end of a lock wait where the server
/// is set so (`innodb_rollback_on_timeout`): a body that swallowed such an error has nothing to commit.
template <class = void>
inline asio::awaitable<void> commit(session_ptr s, duration limit) {
  const bool gone = s->rolled_back_by_server;
  if (!s->in_transaction() && !gone) throw error(errc::bad_usage, "the transaction was ended by a statement in its body");
  if (gone)
    throw error(errc::rolled_back, "the transaction was rolled back by the server: a deadlock in it, whose error the body swallowed");
  const auto before = s->requests_sent;
  std::unique_ptr<error> failed;
  try {
    const shorter_cancel now(*s);
    co_await step(s, "commit", "transaction()", limit);
  } catch (const error& failure) {
    failed = std::make_unique<error>(commit_failure(*s, failure, s->requests_sent != before));
  } catch (const system_error&) {
    // Cancelled. Where the server has cancelled COMMIT, and said so, nothing is unknown.
    if (s->requests_sent == before || !s->broken) throw;
    failed = std::make_unique<error>(
        errc::outcome_unknown, "COMMIT was sent and cancelled before its answer came: it may be committed or not, so ask the database");
  }
  if (failed) throw error(*failed);
}

/// Rolls back a transaction or a savepoint. An error of that marks the connection as broken and is not thrown: the caller throws the error
/// that made it roll back.
template <class = void>
inline asio::awaitable<void> roll_back(session_ptr s, std::string sql, duration limit) {
  if (s->broken || (!s->in_transaction() && !s->needs_reset)) co_return;
  try {
    co_await step(s, std::move(sql), "transaction()", limit, allow::always);
    s->needs_reset = false;  // savepoints within that were cancelled are gone with it
  } catch (const error& failure) {
    if (!failure.is(1305)) s->broken = true;  // no such savepoint: the server has rolled back all of it
  }
}

/// What `run_transaction` and `run_savepoint` need of this driver: see detail/driver/transact.hpp.
template <class = void>
struct basic_transact_steps {
  using session_ptr = detail::session_ptr;
  using session = detail::session;
  using scope = transaction;
  using options = transaction_options;
  using error = mysql::error;
  using errc = mysql::errc;
  using mark = transaction_mark;

  static bool is_open(const session& s) noexcept { return s.in_transaction(); }
  static bool is_to_prepare(const session&) noexcept { return false; }
  static asio::awaitable<void> prepare(session_ptr, duration) { co_return; }
  static auto begin(session_ptr s, const transaction_options& wanted, duration limit) { return detail::begin(std::move(s), wanted, limit); }
  static void begun(session& s, const transaction_options&) noexcept { s.rolled_back_by_server = false; }
  static void ended(session& s) noexcept { s.rolled_back_by_server = false; }
  static auto commit(session_ptr s, duration limit) { return detail::commit(std::move(s), limit); }
  static auto roll_back(session_ptr s, duration limit) { return detail::roll_back(std::move(s), "rollback", limit); }
  static bool is_to_tidy(const session&) noexcept { return false; }
  static asio::awaitable<void> tidy(session_ptr, duration) { co_return; }

  static auto save(session_ptr s, const std::string& name, duration limit) {
    return step(std::move(s), "savepoint " + name, "nested()", limit);
  }
  static auto release(session_ptr s, const std::string& name, duration limit) {
    return step(std::move(s), "release savepoint " + name, "nested()", limit);
  }
  static auto undo(session_ptr s, const std::string& name, duration limit) {
    return detail::roll_back(std::move(s), "rollback to savepoint " + name, limit);
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

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
