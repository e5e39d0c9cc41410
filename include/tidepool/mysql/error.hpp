// SPDX-License-Identifier: BSL-1.0
// tidepool - the errors of the MySQL driver, with all the server said about them.
#ifndef TIDEPOOL_MYSQL_ERROR_HPP
#define TIDEPOOL_MYSQL_ERROR_HPP

#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include "../detail/util/lazy.hpp"
#include "../error.hpp"
#include "../source_location.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {

/// Why an operation failed. Server errors are told apart by `error::number()`.
enum class errc {
  server = 1,        ///< the server reported an error
  connection_lost,   ///< the connection is gone; what was running has an unknown outcome
  connect_failed,    ///< connecting failed
  connect_timeout,   ///< the server did not answer in time while connecting
  tls_refused,       ///< no TLS of the kind asked for: the server has none, or the certificate or the name is wrong
  busy,              ///< another operation of this connection is running, or was left unfinished
  needs_reset,       ///< a cancelled transaction is still open: `reset()` first
  bad_options,       ///< the connection options are wrong
  bad_parameter,     ///< a value cannot be sent
  bad_usage,         ///< the statement cannot be run this way
  null_value,        ///< NULL where a value was asked for
  conversion,        ///< a value is not of the type asked for, or out of its range
  columns,           ///< the row has another number of columns, or no such column
  rows,              ///< another number of rows than asked for
  rolled_back,       ///< the server had rolled the transaction back before COMMIT
  outcome_unknown,   ///< COMMIT was sent and its answer is missing: it may be committed or not
  response_timeout,  ///< no answer in time; the statement was cancelled, the connection is kept
  server_silent      ///< no answer in time, and none to cancelling: the connection was shut
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

// Must stand before the first comparison.
TIDEPOOL_DETAIL_ERROR_ENUM(tidepool::mysql::errc);

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {
namespace detail {

class TIDEPOOL_EXPORT category final : public tidepool::detail::shared_category {
 public:
  const char* name() const noexcept override { return "tidepool.mysql"; }
  std::string message(int value) const override {
    switch (static_cast<errc>(value)) {
      case errc::server: return "the server reported an error";
      case errc::connection_lost: return "the connection to the server was lost";
      case errc::connect_failed: return "connecting failed";
      case errc::connect_timeout: return "the server did not answer in time";
      case errc::tls_refused: return "no TLS of the kind asked for with this server";
      case errc::busy: return "another operation of this connection is in progress or was left unfinished";
      case errc::needs_reset: return "a cancelled transaction is still open";
      case errc::bad_options: return "bad connection options";
      case errc::bad_parameter: return "bad parameter";
      case errc::bad_usage: return "the statement cannot be run this way";
      case errc::null_value: return "unexpected NULL";
      case errc::conversion: return "a value is not of the type asked for";
      case errc::columns: return "unexpected columns";
      case errc::rows: return "unexpected number of rows";
      case errc::rolled_back: return "the transaction was rolled back";
      case errc::outcome_unknown: return "COMMIT was sent and its answer is missing";
      case errc::response_timeout: return "the server did not answer in time, and the statement was cancelled";
      case errc::server_silent: return "the server is silent, and the connection was shut";
    }
    return "unknown error";
  }
  error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<errc>(value)) {
      case errc::connection_lost:
      case errc::outcome_unknown: return generic_errc::connection_reset;
      case errc::connect_failed:
      case errc::tls_refused: return generic_errc::not_connected;
      case errc::connect_timeout:
      case errc::response_timeout:
      case errc::server_silent: return generic_errc::timed_out;
      default: return {value, *this};
    }
  }
};

/// What is known about an error.
struct diagnosis {
  unsigned number = 0;     ///< of the server, or from 2000 of the client library
  std::string sqlstate{};  ///< five characters
  std::string message{};   ///< raw
  std::string advice{};
  std::string statement{};        ///< only with `options::statement_in_errors`
  source_location called_from{};  ///< the same

  /// The server ends the session with it, or the client library has lost the session.
  TIDEPOOL_LAZY bool ends_session() const noexcept;
  /// A write that the server refuses because it is read-only as a whole; not one within a transaction that was begun so (1792).
  TIDEPOOL_LAZY bool read_only() const noexcept;
};

}  // namespace detail

/// The category of `errc`; conditions compare with `std::errc` (`connection_reset`, `timed_out`, `not_connected`).
TIDEPOOL_EXPORT inline const error_category& category() noexcept {
  static const detail::category instance;
  return instance;
}
inline error_code make_error_code(errc value) noexcept { return {static_cast<int>(value), category()}; }
/// Compares by the name of the category, as for `tidepool::errc`.
inline bool operator==(const error_code& code, errc value) noexcept {
  return code.value() == static_cast<int>(value) && tidepool::detail::same_category(code.category(), category());
}
TIDEPOOL_DETAIL_COMPARE_STD(errc, category)

/// What an error means for more than the statement that failed.
enum class consequence {
  none,         ///< the connection is as good as before
  connection,   ///< this connection is gone
  all_suspect,  ///< and others to the same server may be gone, or lead to the wrong server: look before using them
  server_full,  ///< the server is alive and has no room: do not add load
  permanent     ///< will be the same next time: credentials, no such database
};

/// Thrown by every operation of the driver; a cancelled one throws `tidepool::system_error(operation_aborted)`.
///
/// `what()` is one line: what the driver has to say, number, SQLSTATE and message of the server, and what to do. It never holds a password,
/// a parameter or a control character, and is at most some 1,000 bytes long; the server's message may quote a piece of the statement, or
/// the value of a key. `options::statement_in_errors` adds the statement's text, up to 300 bytes, and the place of the call. Copies are
/// cheap and do not throw.
class TIDEPOOL_EXPORT error : public system_error {
 public:
  TIDEPOOL_LAZY error(errc code, std::string_view text);
  TIDEPOOL_LAZY error(errc code, std::string_view text, mysql::detail::diagnosis said);

  const char* what() const noexcept override { return said_->text.c_str(); }
  /// `what()` without the driver's name in front.
  std::string_view explanation() const noexcept { return std::string_view(said_->text).substr(prefix.size()); }

  errc reason() const noexcept { return static_cast<errc>(code().value()); }
  /// The server's error number, such as 1062 (duplicate entry); from 2000 to 2999 and from 5000 the client library's; 0: the driver's own.
  unsigned number() const noexcept { return said_->number; }
  /// Whether `number()` is this one.
  bool is(unsigned number) const noexcept { return number != 0 && said_->number == number; }
  /// Five characters; empty for the driver's own errors.
  std::string_view sqlstate() const noexcept { return said_->sqlstate; }
  /// The server's text, not escaped: do not print it on a terminal.
  std::string_view message() const noexcept { return said_->message; }
  /// With `options::statement_in_errors` only: the text of the statement, escaped, up to 300 bytes.
  std::string_view statement() const noexcept { return said_->statement; }
  /// With `options::statement_in_errors` only, else its `line()` is 0: where the program called `exec()` or another verb.
  const source_location& called_from() const noexcept { return said_->called_from; }

  /// The connection cannot be used any more: socket, protocol, or an error the server ends the session with (1053, 1927, 4031 ...).
  template <class = void>
  bool connection_lost() const noexcept {
    return reason() == errc::connection_lost || reason() == errc::outcome_unknown || reason() == errc::server_silent ||
           said_->ends_session();
  }
  /// The same transaction may succeed when it is run again on this connection: deadlock (1213), lock wait timeout (1205), a conflict of
  /// certification in a cluster (1180 with 149), a snapshot that another transaction has outdated (1020), or a prepared statement that
  /// no longer fits (`stale()`).
  TIDEPOOL_LAZY bool retryable() const noexcept;
  /// The server no longer has, or cannot use, a statement that was kept prepared (1243, 1615). Outside of a transaction the driver prepares
  /// and runs it once more by itself.
  bool stale() const noexcept { return reason() == errc::server && (number() == 1243 || number() == 1615); }
  /// COMMIT was sent and its answer is missing, for whatever reason: it may be committed or not.
  bool outcome_unknown() const noexcept { return reason() == errc::outcome_unknown; }
  /// What it means for more than the statement.
  TIDEPOOL_LAZY mysql::consequence consequence() const noexcept;
  /// All fields, for other parts of the driver.
  const mysql::detail::diagnosis& diagnosis() const noexcept { return *said_; }

 private:
  static constexpr std::string_view prefix = "mysql: ";
  struct contents : mysql::detail::diagnosis {
    std::string text;
  };
  TIDEPOOL_LAZY static std::shared_ptr<const contents> explain(errc code, std::string_view text, mysql::detail::diagnosis&& said);

  std::shared_ptr<const contents> said_;
};

/// A failed connect, with the kind that decides what a pool does. `permanent`: wrong credentials (1045, 1698, 1130 ...), no right to the
/// database (1044) or none of that name (1049), wrong options, an authentication plugin that is missing, a refusal of TLS by every server.
/// `server_full`: 1040, 1203, 1226, a local socket whose queue is full. `starting`: 1053, the server goes down. `wrong_role`:
/// `options::writable` asks for a writable server, and this one is read-only. `refused`: no server listens, or the connection is ended
/// before the server's first byte. Everything else is `transient`.
class TIDEPOOL_EXPORT connect_error : public error, public connect_failure {
 public:
  TIDEPOOL_LAZY connect_error(errc code, std::string_view text, mysql::detail::diagnosis said = {});
  /// With a kind that neither code nor number shows.
  TIDEPOOL_LAZY connect_error(errc code, std::string_view text, mysql::detail::diagnosis said, failure_kind kind);
  failure_kind kind() const noexcept override { return kind_; }

 private:
  TIDEPOOL_LAZY failure_kind told() const noexcept;

  failure_kind kind_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#if TIDEPOOL_HEADER_ONLY
#include "impl/error.ipp"
#endif

#endif
