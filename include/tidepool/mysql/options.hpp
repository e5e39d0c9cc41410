// SPDX-License-Identifier: BSL-1.0
// tidepool - connection options: a URL, fields, and the driver's own settings.
#ifndef TIDEPOOL_MYSQL_OPTIONS_HPP
#define TIDEPOOL_MYSQL_OPTIONS_HPP

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../detail/driver/text.hpp"
#include "../detail/util/asio.hpp"
#include "../detail/util/lazy.hpp"
#include "../time.hpp"
#include "../tracing.hpp"
#include "../version.hpp"
#include "error.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {

class connection;

/// What is reset at the end of a lease. What each level leaves as it is stands at `connection::reset`.
enum class reset_level {
  none,      ///< nothing is done; a connection in a transaction is closed
  rollback,  ///< an open transaction is rolled back; no round trip when there is none
  full       ///< the session is as new (`mysql_reset_connection`); two round trips
};

/// How a connection is encrypted.
enum class ssl_mode {
  automatic,   ///< `required` for servers on other machines, `disabled` for a local socket and loopback addresses
  disabled,    ///< not at all
  required,    ///< or there is no connection; who the server is, is not verified
  verify_ca,   ///< and its certificate is signed by `ssl_ca` or `ssl_capath`, which have to be given
  verify_full  ///< and it is for the host's name; without `ssl_ca` and `ssl_capath` the system's authorities count
};

/// What a credential provider returns. An empty field leaves the value of the options.
class credentials {
 public:
  credentials(std::string user_name, std::string secret) : user(std::move(user_name)), password(std::move(secret)) {}
  credentials(const credentials&) = default;
  credentials(credentials&&) = default;
  credentials& operator=(const credentials&) = default;
  credentials& operator=(credentials&&) = default;
  ~credentials() { tidepool::detail::wipe(password); }

  std::string user;
  std::string password;
};

namespace detail {
/// One server as the options name it.
struct endpoint {
  std::string host;  ///< a name or an address; a path: a local socket
  unsigned port = 3306;
  bool local() const noexcept { return host.starts_with('/'); }
  /// "db1:3306", or the path.
  template <class = void>
  std::string text() const {
    const bool v6 = host.find(':') != std::string::npos;
    const auto shown = tidepool::detail::printable(host, 100);
    return local() ? shown : (v6 ? "[" + shown + "]" : shown) + ":" + std::to_string(port);
  }
};
}  // namespace detail

/// Connection options: fields, or a URL that sets them, `mysql://app:secret@db1,db2:3307/shop?ssl-mode=verify-full&ssl-ca=/etc/ca.pem`.
/// `mariadb://` is the same. In a URL, `:`, `/` and `@` within user or password are written %3A, %2F and %40. Its parameters are
/// `ssl-mode` (disabled, required, verify-ca, verify-full), `ssl-ca`, `ssl-capath`, `ssl-cert`, `ssl-key`, `ssl-cipher`, `tls-version`,
/// `socket`, `connect-timeout` (seconds), `found-rows`, `writable`, `load-balance` (true, false). No file and no variable of the
/// environment is read.
///
/// Errors: `error(errc::bad_options)` naming the option, never its value. Not thread safe while it is being changed.
class options {
 public:
  options() = default;
  TIDEPOOL_LAZY options(std::string_view url);
  TIDEPOOL_LAZY options(const char* url);
  TIDEPOOL_LAZY options(const std::string& url);

  /// The server: a name, an address, or the path of a local socket; several with commas between, each with a port of its own where it has
  /// one: "db1,db2:3307,[::1]:3308". They are tried in this order. "localhost" is a name like others, and means TCP.
  std::string host = "127.0.0.1";
  unsigned port = 3306;
  /// The path of a local socket; where it is given, `host` is not used.
  std::string socket{};
  std::string user{};
  std::string password{};
  std::string database{};

  mysql::ssl_mode ssl_mode = mysql::ssl_mode::automatic;
  std::string ssl_ca{};       ///< file of the authorities' certificates
  std::string ssl_capath{};   ///< folder of them
  std::string ssl_cert{};     ///< the client's own
  std::string ssl_key{};      ///< and its key
  std::string ssl_cipher{};   ///< what OpenSSL takes as a list of ciphers
  std::string tls_version{};  ///< "TLSv1.2,TLSv1.3"

  /// The session's `time_zone` is set to UTC, so that a TIMESTAMP is read and written as `std::chrono::sys_time` says. False: it stays.
  bool utc = true;
  /// `result::affected()` of an UPDATE counts the rows that it found, not only those that it changed.
  bool found_rows = false;
  /// The servers are tried in random order.
  bool load_balance = false;
  /// Only a server that takes writes will do: its `read_only` is asked for at connect and by `ping()`, and after a write was refused
  /// because of it all connections that the pool made before are replaced.
  bool writable = false;
  /// `LOAD DATA LOCAL` may read files of this machine. Otherwise a server that asks for one, which it can do in answer to any statement,
  /// gets none.
  bool local_infile = false;
  /// A pool's first connection asks the server for its limits, in one round trip, where the pool has a log or an observer that hears of
  /// them, and tells what they say against the configuration (`server_limit_event`). Nothing fails by that. Off: it does not ask.
  bool lint = true;

  /// How long one address may take from connecting to the end of the login. Looking up a name has the same bound. A pool's
  /// `connect_timeout` bounds the search through all addresses.
  duration address_timeout = std::chrono::seconds(5);
  /// For how long an address that failed is tried after all others; 0: it keeps its place.
  duration bad_host_memory = std::chrono::seconds(10);
  /// See `connection::reset()` and `connection::after_lease()`.
  reset_level reset = reset_level::rollback;
  /// How many statements of `exec()` and `stream()` each connection keeps prepared, by their text; 0: none, and each use prepares and
  /// closes its own, which costs a round trip more. The server bounds those of all connections by `max_prepared_stmt_count`.
  std::size_t statement_cache = 64;
  /// A connection retires at the end of its lease (`lease_end::retired`) once it has received a larger row, or sent a larger statement: the
  /// client library's buffer grows to the largest and never shrinks.
  std::size_t retire_after_packet_bytes = std::size_t{1} << 20U;
  /// How long the server may be silent while it is waited for. Then the statement is cancelled and fails with `errc::response_timeout`; see
  /// `within`, which is the same for one call. `no_limit`: a frozen server holds its connections for ever, because no keepalive notices it.
  duration response_timeout = no_limit;
  /// `cancel_timeout`: how long cancelling may take, with the connection that it needs, to the end of the statement; then the connection is
  /// shut. `close_timeout`: how long `close()` waits until the server has closed its end.
  duration cancel_timeout = std::chrono::milliseconds(1000);
  duration close_timeout = std::chrono::seconds(2);
  /// The stack of the client library's fibre, of each connection. A login with TLS took 10 kB of it (README).
  std::size_t stack_bytes = std::size_t{128} << 10U;
  /// Errors of statements, and of reading their results, also tell the statement's text as it is, cut after 300 bytes, the place of the
  /// call (`users.cpp:42`), and the first 40 bytes of a value that cannot be read. Off by default: a text, or a value, may hold secrets,
  /// and errors end in logs. Parameters are never told.
  bool statement_in_errors = false;
  /// Called for user and password before each connect, and before each connection that cancels a statement, on the connect's executor and
  /// within its deadline.
  std::function<asio::awaitable<credentials>()> credential_provider = {};
  /// Runs on every new connection, and after every `reset()` of the level `full`.
  std::function<asio::awaitable<void>(connection&)> on_connect = {};
  /// Runs at the end of every `reset()` of any level. Where it is set, every lease that used its connection ends with a reset. When it
  /// throws, the connection is closed.
  std::function<asio::awaitable<void>(connection&)> on_reset = {};
  /// Gets a span for each statement, stream and other exchange, the driver's own included. By tag (`SELECT`), never a text or a value.
  /// Costs one test of a pointer where it is null.
  std::shared_ptr<tidepool::tracing> tracing = {};

  /// Host, port, database and user in one line; no secret.
  TIDEPOOL_LAZY std::string summary() const;
  /// The servers in the order given.
  TIDEPOOL_LAZY std::vector<detail::endpoint> endpoints() const;
  /// Throws `error(errc::bad_options)` for what cannot be meant: times that are not above zero, `verify_ca` without authorities, and the
  /// like.
  TIDEPOOL_LAZY void check() const;

 private:
  TIDEPOOL_LAZY void read(std::string_view url);
  TIDEPOOL_LAZY void set(std::string_view keyword, std::string&& value);
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#if TIDEPOOL_HEADER_ONLY
#include "impl/options.ipp"
#endif

#endif
