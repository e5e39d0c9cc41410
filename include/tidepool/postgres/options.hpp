// SPDX-License-Identifier: BSL-1.0
// tidepool - connection options: connection string, environment, and the driver's own settings.
#ifndef TIDEPOOL_POSTGRES_OPTIONS_HPP
#define TIDEPOOL_POSTGRES_OPTIONS_HPP

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "../detail/util/asio.hpp"
#include "../detail/util/lazy.hpp"
#include "../time.hpp"
#include "../tracing.hpp"
#include "../version.hpp"
#include "detail/endpoint.hpp"
#include "error.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

class connection;
namespace detail {
template <class>
class basic_login_parameters;
}

/// What is reset at the end of a lease. What each level leaves as it is stands at `connection::reset`.
enum class reset_level {
  none,      ///< nothing is done; a connection in a transaction is closed
  rollback,  ///< an open transaction is rolled back; no round trip when there is none
  light,     ///< as `rollback`, and settings, role, cursors, LISTENs, advisory locks, temporary tables, sequences; statements stay prepared
  full       ///< `DISCARD ALL`
};

/// Which kind of server is wanted, as libpq's `target_session_attrs`.
enum class session_attrs { any, read_write, read_only, primary, standby, prefer_standby };

/// What a credential provider returns. An empty field leaves the value of the options.
class credentials {
 public:
  credentials(std::string user_name, std::string secret) : user(std::move(user_name)), password(std::move(secret)) {}
  credentials(const credentials&) = default;
  credentials(credentials&&) = default;
  credentials& operator=(const credentials&) = default;
  credentials& operator=(credentials&&) = default;
  ~credentials() { detail::wipe(password); }

  std::string user;
  std::string password;
};

/// Connection options. Built from a connection string (`host=db user=app`, or `postgresql://app@db/shop`); options it does not name come
/// from the `PG*` environment and the service file, as with libpq. The password file is read at each connect.
/// Defaults that differ from libpq's, each only where no other value was given: `client_encoding=UTF8`, `gssencmode=disable`,
/// `sslmode=require` for servers on other machines (`prefer` and `allow`, which an attacker can make do without encryption, must be asked
/// for by name), `keepalives_idle=10 keepalives_interval=2 keepalives_count=3 tcp_user_timeout=15000`, so that a server that vanished is
/// noticed within half a minute. Use `sslmode=verify-full` with `sslrootcert` to verify the server's identity: `require` does not.
///
/// `host`, `hostaddr` and `port` may be lists; `target_session_attrs` and `load_balance_hosts` work with every libpq.
/// Errors: `error(errc::bad_options)` naming the option, never its value. Not thread safe while it is being changed.
class options {
 public:
  TIDEPOOL_LAZY options();
  TIDEPOOL_LAZY options(std::string_view conninfo);
  TIDEPOOL_LAZY options(const char* conninfo);
  TIDEPOOL_LAZY options(const std::string& conninfo);

  /// Sets one libpq option by its keyword; an empty value unsets it. `connect_timeout` sets `address_timeout`, as in a connection string.
  TIDEPOOL_LAZY options& set(std::string_view keyword, std::string_view value);
  TIDEPOOL_LAZY options& set(std::string_view keyword, const char* value);
  /// The value of one libpq option, empty when unset; secrets read as "***".
  TIDEPOOL_LAZY std::string_view get(std::string_view keyword) const;
  /// Host, port, database and user in one line; no secret.
  TIDEPOOL_LAZY std::string summary() const;

  /// The servers in the order given; below, the wanted kind, and whether their order is random.
  TIDEPOOL_LAZY std::vector<detail::endpoint> endpoints() const;
  TIDEPOOL_LAZY session_attrs target() const;
  TIDEPOOL_LAZY bool load_balance() const;

  /// Throws `error(errc::bad_options)` for mistakes that show only when all options are set: lists of different lengths, times that are not
  /// above zero (`bad_host_memory` may be zero).
  TIDEPOOL_LAZY void check() const;

  /// How long one address may take from connecting to the first query. Looking up a name has the same bound. libpq's `connect_timeout`
  /// sets it too, and the one that was set last counts; without either 5 s. A pool's `connect_timeout` bounds the search through all
  /// addresses.
  duration address_timeout = std::chrono::seconds(5);
  /// For how long an address that failed is tried after all others; 0: it keeps its place.
  duration bad_host_memory = std::chrono::seconds(10);
  /// See `connection::reset()` and `connection::after_lease()`.
  reset_level reset = reset_level::rollback;
  /// A connection retires at the end of its lease (`lease_end::retired`) once it has received one row, COPY piece, error or notice that
  /// was larger: libpq's buffer grows to the largest and never shrinks. The number of small rows does not matter.
  std::size_t retire_after_result_bytes = std::size_t{1} << 20U;
  /// The same for what it has sent: one statement with its parameters, or one pipeline. COPY data is sent in small pieces.
  std::size_t retire_after_sent_bytes = no_limit;
  /// How many statements of `exec()` each connection keeps prepared, by text and parameter types; 0: none. Only statements with a plan
  /// (`select`, `insert`, `update`, `delete`, `merge`, `values`, `with`, `table`) and without a literal that means the present time
  /// (`'now'`,
  /// `'today'`). Costs a second round trip at the first use of a statement. Behind a pooler nothing is kept prepared, unless
  /// `pooler_tracks_statements` or `session_pooler` is set.
  std::size_t statement_cache = 0;
  /// Set it only where the pooler in between tracks the prepared statements of each client (PgBouncer 1.21 and newer with
  /// `max_prepared_statements`): statements are then kept prepared through it. Behind other poolers they would fail at times with 26000.
  bool pooler_tracks_statements = false;
  /// How long the server may be silent while it is waited for: no byte of a statement's result, no next row of a stream, no next answer of
  /// a pipeline, no COPY data taken. Then the statement is cancelled and fails with `errc::response_timeout`; see `within`, which is the
  /// same for one call. `no_limit`: a frozen server holds its connections for ever, because no keepalive notices it.
  duration response_timeout = no_limit;
  /// `cancel_timeout`: how long cancelling may take, from the first request to the end of the statement; then the connection is shut. Also
  /// for one `canceller::cancel()`. `close_timeout`: how long `close()` waits until the server has closed its end.
  duration cancel_timeout = std::chrono::milliseconds(500);
  duration close_timeout = std::chrono::seconds(2);
  /// After how long the server ends the session of a client that vanished, with its transaction and locks. Sets the server's
  /// `tcp_user_timeout`, `tcp_keepalives_*` and `client_connection_check_interval` in the session, those that the server has and that are
  /// at their defaults; `no_limit`: none. With its defaults a server keeps the locks of a vanished client for hours.
  duration peer_timeout = std::chrono::seconds(15);
  /// The server's `idle_in_transaction_session_timeout`, where it is at its default; `no_limit`: it stays.
  duration idle_in_transaction_timeout = no_limit;
  /// Doubles are read exactly: `extra_float_digits` is set where it is too low. Through a pooler it cannot be set, and connecting fails
  /// where it is too low. False: it stays as it is.
  bool exact_doubles = true;
  /// Set it only where the pooler in between keeps one server process for each client (PgBouncer's `pool_mode = session`): session state,
  /// LISTEN and settings then work as without a pooler.
  bool session_pooler = false;
  /// A pool's first connection asks the server for its limits, in one round trip, where the pool has a log or an observer that hears of
  /// them, and tells what they say against the configuration (`server_limit_event`). Nothing fails by that. Off: it does not ask.
  bool lint = true;
  /// Errors of statements, and of reading their results, also tell the statement's text as it is, cut after 300 bytes, the place of the
  /// call
  /// (`users.cpp:42`), and the first 40 bytes of a value that cannot be read. Off by default: a text, or a value, may hold secrets, and
  /// errors end in logs. Parameters are never told. Costs nothing as long as nothing fails but some 300 bytes for each result.
  bool statement_in_errors = false;
  /// Called with every notice, on any thread that uses the connection. It must not use the connection, and must not throw.
  std::function<void(const notice&)> on_notice = {};
  /// Called for user and password before each connect, on the connect's executor and within its deadline.
  std::function<asio::awaitable<credentials>()> credential_provider = {};
  /// Runs on every new connection, and after every `reset()` of the levels `light` and `full`.
  std::function<asio::awaitable<void>(connection&)> on_connect = {};
  /// Runs at the end of every `reset()` of any level. Where it is set, every lease that used its connection ends with a reset. When it
  /// throws, the connection is closed.
  std::function<asio::awaitable<void>(connection&)> on_reset = {};
  /// Gets a span for each exchange with the server: statements, pipelines, streams and COPY, the driver's own included. By tag (`SELECT`)
  /// and name of a prepared statement; never a text or a value. Not for those of a `multiplexer`. Costs one test of a pointer where it is
  /// null.
  std::shared_ptr<tidepool::tracing> tracing = {};
  /// Called when the server refused a write because it is read-only (25006), outside a transaction that was begun read-only here. True: the
  /// connection retires at the end of its lease. A cluster uses it. It must not throw, nor use the connection.
  std::function<bool()> on_refused_write = {};

 private:
  TIDEPOOL_LAZY static duration address_timeout_of(std::string_view seconds);

  template <class>
  friend class detail::basic_login_parameters;
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#if TIDEPOOL_HEADER_ONLY
#include "impl/options.ipp"
#endif

#endif
