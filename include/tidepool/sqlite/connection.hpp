// SPDX-License-Identifier: BSL-1.0
// tidepool - one connection to a SQLite database.
#ifndef TIDEPOOL_SQLITE_CONNECTION_HPP
#define TIDEPOOL_SQLITE_CONNECTION_HPP

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../connection.hpp"
#include "../detail/util/lazy.hpp"
#include "../version.hpp"
#include "detail/session_base.hpp"
#include "options.hpp"
#include "queries.hpp"
#include "transaction.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {

namespace detail {
template <class>
class basic_workers;
using workers = basic_workers<void>;

template <class = void>
asio::awaitable<void> done() {
  co_return;
}
}  // namespace detail

/// How far a `backup()` is, in pages of the database.
struct backup_progress {
  int remaining = 0;
  int total = 0;
};
/// How a `backup()` is made.
struct backup_options {
  backup_options() = default;  // no aggregate: GCC 12 destroys those twice in a `co_await` expression
  explicit backup_options(int pages, std::function<void(const backup_progress&)> tell = nullptr)
      : pages_per_step(pages), on_progress(std::move(tell)) {}
  int pages_per_step = 256;  ///< copied for one change of threads; other connections can write between two steps
  /// Called after each step, on the coroutine's executor; what it throws ends the backup.
  std::function<void(const backup_progress&)> on_progress = {};
};

class connector;

/// A connection to a SQLite database; its calls run on threads of their own. Move-only; a move does not affect an operation that runs.
/// Destroying it closes the database on one of these threads; the last one that has them waits for their end.
///
/// Completion: on the executor of the awaiting coroutine. One operation at a time. Thread safety: only `abort()` and `waiting_since()` may
/// be used from other threads than the holder's. When an execution context is destroyed on which an operation is awaited, its destructor
/// interrupts that operation, and waits for its end.
class connection : public queries<connection> {
 public:
  using connector_type = connector;  ///< what makes them for a pool

  connection() = default;
  connection(connection&&) noexcept = default;
  connection& operator=(connection&& other) noexcept {
    if (this != &other) {
      let_go();
      session_ = std::move(other.session_);
    }
    return *this;
  }
  ~connection() { let_go(); }

  /// Opens the database. Throws `connect_error`. Cancellation (all types): the wait for a lock ends.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] static asio::awaitable<connection> connect(options settings);
  /// The same with options and threads that several connections share, until `until` at the latest.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] static asio::awaitable<connection> connect(
      std::shared_ptr<const options> settings, std::shared_ptr<detail::workers> threads,
      std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max());

  /// Runs `body(transaction&)`, a function returning an awaitable, between BEGIN and COMMIT, and returns what it returns. An exception of
  /// the body rolls back and is thrown on. On GCC 12 a lambda whose captures have destructors needs a name: a temporary one does not
  /// compile, because that compiler destroys its captures twice. Each statement of the body is one change of threads; `run()` in it, or
  /// instead of it, needs fewer.
  ///
  /// Errors besides those of the statements: `rolled_back` when SQLite has rolled back by itself and the body has swallowed that;
  /// `outcome_unknown` when COMMIT failed while it wrote. Cancellation: the body is cancelled, and the statement that runs is interrupted;
  /// the transaction stays open, and the connection refuses statements, until `reset()`, which a pool runs when the lease ends. A COMMIT
  /// that has begun to write is not interrupted.
  ///
  /// With `retries` the whole body runs again after an error that is `retryable()`. What the body does outside the database is then done
  /// again too. With `within`, as first argument or in the options, the whole has a time limit, from BEGIN to COMMIT, repetitions included:
  /// when it is over, what the body awaits is cancelled, whatever it is; the transaction is rolled back, and the call throws
  /// `response_timeout`.
  template <class Body>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] auto transaction(Body&& body, transaction_options wanted = {})
      -> asio::awaitable<detail::body_result<Body>> {
    if constexpr (detail::check_body<Body>()) {
      const auto& s = live();
      return detail::run_any_body(std::forward<Body>(body),
                                  [&](std::shared_ptr<detail::any_body> kept) { return s->transact(s, std::move(kept), wanted); });
    } else {
      return {};
    }
  }
  template <class Body>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] auto transaction(within limit, Body&& body, transaction_options wanted = {})
      -> asio::awaitable<detail::body_result<Body>> {
    wanted.within = (std::min)(wanted.within, limit.limit());
    return transaction(std::forward<Body>(body), wanted);
  }

  /// Copies the whole database into the file `to`, a consistent state of it, while others read and write; what stands in the file is
  /// replaced. Where another connection writes meanwhile, SQLite begins anew: choose more pages in a step, or take the backup on the only
  /// writer. The target is written without WAL. Cancellation: at the end of a step; the target then is as it was.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> backup(std::string to, const backup_options& how = backup_options()) {
    const auto& s = live();
    return s->backup(s, std::move(to), how);
  }

  /// Reads the version of the schema from the file, and checks that the file is still the one that was opened. Errors: `connection_lost()`
  /// where it is another, damaged or not readable.
  template <class = void>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> ping() {
    return ping(within(no_limit), std::string_view());
  }
  /// The same with a query of your own besides.
  template <class = void>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> ping(std::string_view query) {
    return ping(within(no_limit), query);
  }
  template <class = void>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> ping(within limit) {
    return ping(limit, std::string_view());
  }
  template <class = void>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> ping(within limit, std::string_view query) {
    const auto& s = live();
    return s->ping(s, std::string(query), limit.limit());
  }

  /// Whether it may be handed out: no operation runs, no transaction and no statement is open, and no error has ended it. No system call.
  TIDEPOOL_LAZY bool usable() const noexcept;
  /// What the pool has to do with the connection at the end of a lease; no system call.
  TIDEPOOL_LAZY lease_end after_lease() const noexcept;

  /// Rolls back an open transaction, resets open statements, and runs `on_reset`. Everything else of a session stays, because SQLite has
  /// nothing like DISCARD ALL: pragmas, temporary tables, attached databases, functions. Throws when it fails; the connection is then not
  /// usable.
  template <class = void>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> reset() {
    const auto& s = live();
    return s->reset(s, no_limit);
  }
  template <class = void>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> reset(within limit) {
    const auto& s = live();
    return s->reset(s, limit.limit());
  }

  /// Closes the database, after `PRAGMA optimize` (`options::optimize`, within `close_timeout`). The last connection of a WAL database
  /// copies the log back into the file. Throws only when the caller is cancelled.
  template <class = void>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> close() {
    return session_ ? session_->close(session_) : detail::done();
  }

  /// The operation that runs, and all that are started later, fail soon: the statement is interrupted. Callable from any thread.
  template <class = void>
  void abort() noexcept {
    abort(std::string_view());
  }
  /// The same with the reason, which the errors of those operations begin with; cut to 200 bytes.
  TIDEPOOL_LAZY void abort(std::string_view why) noexcept;

  /// When SQLite last answered.
  TIDEPOOL_LAZY std::chrono::steady_clock::time_point last_round_trip() const noexcept;
  /// The spans of the statements that follow belong to `parent` (`options::tracing`), until this is called again. A pool whose Traits have
  /// a tracer calls it with the trace of each caller.
  TIDEPOOL_LAZY void trace_in(const trace_context& parent) noexcept;
  /// What it holds of this process's memory, as SQLite counts it: the page cache, the schema, prepared statements. Not while an operation
  /// runs.
  TIDEPOOL_LAZY std::size_t memory_bytes() const noexcept;
  /// How many threads the driver runs in this process: those of all connectors.
  TIDEPOOL_LAZY static std::size_t driver_threads() noexcept;
  /// Why the connection cannot be kept, for a pool's events; empty when unknown.
  TIDEPOOL_LAZY std::string why_broken() const;
  /// Since when an operation runs; zero when none does. Callable from any thread.
  TIDEPOOL_LAZY std::chrono::steady_clock::time_point waiting_since() const noexcept;
  /// The file, for reports; empty when there is no connection. Valid as long as the connection.
  TIDEPOOL_LAZY std::string_view peer() const noexcept;

  /// False when empty, moved from, or closed.
  TIDEPOOL_LAZY explicit operator bool() const noexcept;
  TIDEPOOL_LAZY bool in_transaction() const noexcept;
  /// Whether it only reads: `options::read_only`, `query_only`, or a file without the right to write.
  TIDEPOOL_LAZY bool reads_only() const noexcept;
  /// How many statements it keeps prepared.
  TIDEPOOL_LAZY std::size_t cached_statements() const noexcept;
  /// SQLite's object, for what neither this class nor `run()` offers. Do not use it while an operation runs, and do not close it.
  TIDEPOOL_LAZY sqlite3* native() const noexcept;

  /// For other parts of the driver.
  template <class = void>
  const detail::base_ptr& live() const {
    if (!session_) refuse();
    return session_;
  }
  explicit connection(detail::base_ptr s) : session_(std::move(s)) {}

 private:
  TIDEPOOL_LAZY [[noreturn]] static void refuse();
  void let_go() noexcept {
    if (session_) session_->let_go(session_);
    session_.reset();
  }

  detail::base_ptr session_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

#if TIDEPOOL_HEADER_ONLY
#include "impl/connection.ipp"
#endif

#endif
