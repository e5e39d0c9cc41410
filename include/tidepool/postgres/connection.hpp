// SPDX-License-Identifier: BSL-1.0
// tidepool - one connection to a PostgreSQL server.
#ifndef TIDEPOOL_POSTGRES_CONNECTION_HPP
#define TIDEPOOL_POSTGRES_CONNECTION_HPP

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../config.hpp"
#include "../connection.hpp"
#include "../detail/util/lazy.hpp"
#include "../detail/util/smaller.hpp"
#include "../lint.hpp"
#include "../version.hpp"
#include "cancel.hpp"
#include "detail/session_base.hpp"
#include "options.hpp"
#include "queries.hpp"
#include "transaction.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver {
template <class>
class basic_address_memory;
}

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

namespace detail {
using address_memory = tidepool::detail::driver::basic_address_memory<void>;

template <class = void>
asio::awaitable<void> done() {
  co_return;
}
}  // namespace detail

class connector;

/// A connection to a PostgreSQL server on asynchronous libpq. Move-only; a move does not affect an operation that runs. Destroying it ends
/// the session without waiting; an operation that still runs on it then fails.
///
/// Completion: on the executor of the awaiting coroutine, whichever executor the connection was made on. One operation at a time. Thread
/// safety: only `abort()`, `waiting_since()` and the cancellers may be used from other threads than the holder's.
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

  /// Connects to the first server of the options that answers and fits, each address within `address_timeout`. Throws
  /// `connect_error`. The sockets use the caller's executor. Cancellation (all types): at once.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] static asio::awaitable<connection> connect(options settings);
  /// The same on another executor, with options and the memory of failed addresses shared between connects, until `until` at the latest:
  /// each address gets an equal part of the time that is left. `application` is the `application_name` where the options have none; empty:
  /// "tidepool".
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] static asio::awaitable<connection> connect(
      asio::any_io_executor executor, std::shared_ptr<const options> settings, std::shared_ptr<detail::address_memory> memory,
      std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max(), std::string_view application = {});

  /// Prepares a statement on this connection, for `exec(statement, args...)`.
  template <class = void>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<statement> prepare(query_text sql) {
    const auto& s = live();
    return s->prepare(s, sql, no_limit);
  }
  template <class = void>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<statement> prepare(within limit, query_text sql) {
    const auto& s = live();
    return s->prepare(s, sql, limit.limit());
  }

  /// Runs `body(transaction&)`, a function returning an awaitable, between BEGIN and COMMIT, and returns what it returns. An exception of
  /// the body rolls back and is thrown on. On GCC 12 a lambda whose captures have destructors needs a name: a temporary one does not
  /// compile, because that compiler destroys its captures twice.
  ///
  /// Errors besides those of the statements: `rolled_back` when the body swallowed a statement's error, so that nothing could
  /// be committed; `outcome_unknown` when COMMIT was sent and its answer is missing, and only then; `connection_lost` when the connection
  /// was lost before, so that nothing is committed. Cancellation: the body is cancelled, its statement on the server too; the
  /// transaction stays open, and the connection refuses statements, until `reset()`, which a pool runs when the lease ends. Cancelled in
  /// COMMIT: an answer within a quarter of `cancel_timeout` counts, and without one the call throws `outcome_unknown`.
  ///
  /// A statement of the connection itself is part of the transaction while the body runs.
  ///
  /// With `retries` the whole body runs again after an error that is `retryable()`: serialisation failure, deadlock, a stale cached
  /// statement. What the body does outside the database is then done again too.
  ///
  /// With `within`, as first argument or in the options, the whole has a time limit, from BEGIN to COMMIT, repetitions included. When it is
  /// over, what the body awaits is cancelled, whatever it is; the transaction is rolled back, and the call throws `response_timeout`, also
  /// where the body has swallowed the cancellation. COMMIT is not begun after the limit. A COMMIT that the limit meets is cancelled on the
  /// server, and the server's answer counts. Errors of the body that tell more than that it was cancelled are thrown on. The rollback takes
  /// `cancel_timeout` at most. With such a limit the body runs on a strand of its own.
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
    wanted.within = tidepool::detail::smaller_of(wanted.within, limit.limit());
    return transaction(std::forward<Body>(body), wanted);
  }

  /// One round trip with an empty statement. Errors: `connection_lost()`. Bounded by `options::response_timeout`, where that is set.
  template <class = void>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> ping() {
    return ping(within(no_limit), std::string_view());
  }
  /// The same with a query; its errors are thrown. Where `target_session_attrs` asks for a kind of server, both forms also ask the server
  /// for its kind (the first by a query instead of the empty statement, the second by one more round trip): afterwards `usable()` is false
  /// where the kind has changed.
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

  /// For a pool, which asks its first connection where somebody hears of it (`server_limit_event`): as the function `lint()` below, within
  /// two seconds; nothing where `options::lint` is off. Throws as a statement does.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::vector<limit_finding>> lint(const pool_config& config);

  /// Whether it may be handed out: no operation runs, no transaction is open, and no error has arrived on its socket. No round trip; one
  /// `poll`, and a read where something has arrived. Does not see a server that vanished without closing the socket.
  TIDEPOOL_LAZY bool usable() const noexcept;

  /// What the pool has to do with the connection at the end of a lease; no system call. `retired`: a large message has grown its buffers
  /// (`retire_after_result_bytes`). `unfinished`: a statement runs whose answer will not be read, of a stream or COPY left in the middle or
  /// of a coroutine that was destroyed. `needs_reset` also after a refused write (25006) where `target_session_attrs` asks for a writable
  /// server: `reset()` then asks the server for its kind, and a read-only one is not used again. `outdated`, which ends every connection
  /// the pool made before: a server that has to be writable has answered that it is a standby; or the server reported that it goes down as
  /// a whole (crash or immediate stop). One terminated backend is not enough for that: the pool then checks the others.
  TIDEPOOL_LAZY lease_end after_lease() const noexcept;

  /// Resets the session state, by `options::reset`.
  template <class = void>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> reset() {
    const auto& s = live();
    return s->reset(s, std::nullopt, no_limit);
  }
  /// What each level leaves as it is:
  /// `none`: everything. `rollback`: everything outside the transaction: settings, role, temporary tables, advisory locks,
  /// LISTENs, WITH HOLD cursors, prepared statements. `light`: prepared statements, `currval`'s sequences excepted.
  /// `full`: nothing. `light` and `full` run `on_connect` again. Throws when it fails; the connection is then not usable.
  template <class = void>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> reset(reset_level level) {
    const auto& s = live();
    return s->reset(s, level, no_limit);
  }
  /// With a time limit for all of it, `on_connect` and `on_reset` included. A connection whose reset was not done refuses statements
  /// (`needs_reset`) until another one is.
  template <class = void>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> reset(within limit) {
    const auto& s = live();
    return s->reset(s, std::nullopt, limit.limit());
  }
  template <class = void>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> reset(within limit, reset_level level) {
    const auto& s = live();
    return s->reset(s, level, limit.limit());
  }

  /// Closes gracefully: ends the session and waits, at most `close_timeout`, until the server has ended it too, so that it no longer counts
  /// against the server's `max_connections`. A statement that still runs is cancelled. Throws only when the caller is cancelled.
  template <class = void>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> close() {
    return session_ ? session_->close(session_) : detail::done();
  }

  /// Shuts the socket: the operation that runs, and all that are started later, fail soon. Callable from any thread.
  template <class = void>
  void abort() noexcept {
    abort(std::string_view());
  }
  /// The same with the reason, which the errors of those operations begin with; cut to 200 bytes. A pool says so why it takes a
  /// connection from its holder.
  TIDEPOOL_LAZY void abort(std::string_view why) noexcept;

  /// Calls `gone` once when the server closes the connection while nothing reads from it, on the executor the connection was made on; an
  /// empty function ends that. Linux only, elsewhere nothing is called. A pool does this by itself; a connection has one such function.
  TIDEPOOL_LAZY void watch(std::function<void()> gone);

  /// When the server last answered.
  TIDEPOOL_LAZY std::chrono::steady_clock::time_point last_round_trip() const noexcept;
  /// Why the connection cannot be kept, for a pool's events; empty when unknown.
  TIDEPOOL_LAZY std::string why_broken() const;
  /// A pool's health policy refused it: for `bad_host_memory` the connector tries other servers first.
  TIDEPOOL_LAZY void rejected() noexcept;
  /// Before the execution context is destroyed: destroys the I/O object. Only the destructor may be called after this.
  TIDEPOOL_LAZY void context_gone() noexcept;

  /// The spans of the statements that follow belong to `parent` (`options::tracing`), until this is called again. A pool whose Traits have
  /// a tracer calls it with the trace of each caller.
  TIDEPOOL_LAZY void trace_in(const trace_context& parent) noexcept;
  /// What it holds of this process's memory, estimated, because libpq does not tell: 37 kB, 68 kB more with TLS, what libpq's buffers have
  /// grown by, which they keep, and the statement cache. Not while an operation runs.
  TIDEPOOL_LAZY std::size_t memory_bytes() const noexcept;
  /// How many threads the driver runs in this process at this moment: for name look-ups, logins and cancels that block, each for a while.
  TIDEPOOL_LAZY static std::size_t driver_threads() noexcept;

  /// Since when an answer of the server is awaited, exact to some milliseconds; zero when none is. Callable from any thread.
  TIDEPOOL_LAZY std::chrono::steady_clock::time_point waiting_since() const noexcept;

  /// Stops a statement from another coroutine or thread; get it before the statement starts.
  TIDEPOOL_LAZY postgres::canceller canceller();

  /// False when empty, moved from, or closed.
  explicit operator bool() const noexcept { return native() != nullptr; }
  bool in_transaction() const noexcept {
    if (!session_) return false;
    const auto state = PQtransactionStatus(session_->pg());
    return state == PQTRANS_INTRANS || state == PQTRANS_INERROR;
  }
  /// Address and host for reports, as "10.0.0.7:5432 (db1)"; empty when there is no connection. Valid as long as the connection.
  TIDEPOOL_LAZY std::string_view peer() const noexcept;
  /// True when a pooler (PgBouncer and the like) is in between: the process that answers is not the one the login named. Each statement
  /// outside a transaction may then meet another server process, and session state is shared with other clients, or lost; the driver sets
  /// no settings in such a session. Found out by the first query of a connect; always false where `options::session_pooler` says that each
  /// client keeps its server process. True as well for servers that cannot answer that query.
  TIDEPOOL_LAZY bool behind_pooler() const noexcept;
  /// The server process that serves this session, as told at login; a pooler sends a number of its own.
  int backend_pid() const noexcept { return session_ ? PQbackendPID(session_->pg()) : 0; }
  /// 150018 for 15.18.
  int server_version() const noexcept { return session_ ? PQserverVersion(session_->pg()) : 0; }
  bool encrypted() const noexcept { return session_ && PQsslInUse(session_->pg()) == 1; }
  /// A parameter the server reports: "server_version", "TimeZone", "in_hot_standby" ...; empty when it does not.
  std::string_view parameter(const char* name) const noexcept {
    const char* value = session_ ? PQparameterStatus(session_->pg(), name) : nullptr;
    return value == nullptr ? std::string_view() : std::string_view(value);
  }
  /// libpq's object, for what this class does not offer. Do not use it while an operation runs, and do not close it.
  PGconn* native() const noexcept { return session_ ? session_->pg() : nullptr; }

  /// For other parts of the driver.
  template <class = void>
  const detail::base_ptr& live() const {
    if (!session_) refuse();
    return session_;
  }
  TIDEPOOL_LAZY detail::session_ptr session() const;
  explicit connection(detail::base_ptr s) : session_(std::move(s)) {}

 private:
  TIDEPOOL_LAZY [[noreturn, gnu::cold]] static void refuse();
  void let_go() noexcept {
    if (session_) session_->let_go();
    session_.reset();
  }

  detail::base_ptr session_;
};

/// What the limits of the server, asked for in one round trip, say against this pool's configuration and the connection's options: one
/// finding for each contradiction, with the line to change; empty where all fits. See the table "Limits of the server" of the README.
/// `co_await postgres::lint(*lease, pool.config())`. Throws as a statement does, `errc::response_timeout` after `limit`. Cancellation: as
/// for a statement. The connection must live until then.
TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::vector<limit_finding>> lint(
    connection& with, const pool_config& config, duration limit = std::chrono::seconds(2));

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#if TIDEPOOL_HEADER_ONLY
#include "impl/connection.ipp"
#endif

#endif
