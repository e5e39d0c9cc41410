// SPDX-License-Identifier: BSL-1.0
// tidepool - the errors of the PostgreSQL driver, with all the server said about them.
#ifndef TIDEPOOL_POSTGRES_ERROR_HPP
#define TIDEPOOL_POSTGRES_ERROR_HPP

#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include "../detail/util/lazy.hpp"
#include "../error.hpp"
#include "../source_location.hpp"
#include "../version.hpp"
#include "detail/diagnosis.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// Why an operation failed. Server errors are told apart by `error::sqlstate()`.
enum class errc {
  server = 1,        ///< the server reported an error
  connection_lost,   ///< the connection is gone; what was running has an unknown outcome
  connect_failed,    ///< connecting failed
  connect_timeout,   ///< the server did not answer in time while connecting
  tls_refused,       ///< no TLS of the kind asked for: denied, or the certificate or the name is wrong
  busy,              ///< another operation of this connection is running, or was left unfinished
  needs_reset,       ///< a cancelled transaction is still open: `reset()` first
  bad_options,       ///< the connection options are wrong
  bad_parameter,     ///< a value cannot be sent
  bad_usage,         ///< the statement cannot be run this way
  null_value,        ///< NULL where a value was asked for
  conversion,        ///< a value is not of the type asked for, or out of its range
  columns,           ///< the row has another number of columns, or no such column
  rows,              ///< another number of rows than asked for
  rolled_back,       ///< COMMIT of a failed transaction: the server rolled back
  outcome_unknown,   ///< COMMIT, or a write of a multiplexer, was sent and its answer is missing: it may be committed or not. Or it was
                     ///< cancelled while it waited for a synchronous standby: done, but not safe
  response_timeout,  ///< no answer in time; the statement was cancelled, the connection is kept
  server_silent      ///< no answer in time, and none to cancelling: the connection was shut
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

// Must stand before the first comparison.
TIDEPOOL_DETAIL_ERROR_ENUM(tidepool::postgres::errc);

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {
namespace detail {

class TIDEPOOL_EXPORT category final : public tidepool::detail::shared_category {
 public:
  const char* name() const noexcept override { return "tidepool.postgres"; }
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
/// `what()` is one line: what the driver has to say, severity, SQLSTATE and message of the server, constraint, parameter, the statement
/// around the position that the server names, hint, and what to do. It never holds a password, a parameter, a row's content beyond the
/// server's primary message and hint, or a control character, and is at most some 1,500 bytes long. Of the statement it quotes up to 60
/// bytes before the position and 40 after it, without what stands between quotes ('...', E'...', $$...$$); numbers and names are quoted.
/// `options::statement_in_errors` adds the statement's text as it is, up to 300 bytes, and the place of the call; and in an error of a
/// value that cannot be read, the first 40 bytes of the value. Copies are cheap and do not throw.
class TIDEPOOL_EXPORT error : public system_error {
 public:
  TIDEPOOL_LAZY error(errc code, std::string_view text);
  TIDEPOOL_LAZY error(errc code, std::string_view text, postgres::detail::diagnosis said);

  const char* what() const noexcept override { return said_->text.c_str(); }
  /// `what()` without the driver's name in front.
  std::string_view explanation() const noexcept { return std::string_view(said_->text).substr(prefix.size()); }

  /// Five characters; empty for failures on this side, of sockets, and of most connects.
  std::string_view sqlstate() const noexcept { return said_->sqlstate; }
  /// "ERROR", "FATAL" or "PANIC" in every language; empty when the error is not the server's.
  std::string_view severity() const noexcept { return said_->severity; }
  /// The server's text, not escaped: do not print it on a terminal. The same goes for all that follow.
  std::string_view message() const noexcept { return said_->message; }
  /// May quote row contents.
  std::string_view detail() const noexcept { return said_->detail; }
  std::string_view hint() const noexcept { return said_->hint; }
  std::string_view schema() const noexcept { return said_->schema; }
  std::string_view table() const noexcept { return said_->table; }
  std::string_view column() const noexcept { return said_->column; }
  std::string_view constraint() const noexcept { return said_->constraint; }
  std::string_view context() const noexcept { return said_->context; }
  /// The routine of the server's source that raised it; empty when the server did not say. SQLSTATE and severity can be chosen by SQL
  /// (`RAISE`), this cannot.
  std::string_view routine() const noexcept { return said_->routine; }
  /// All fields, for other parts of the driver.
  const postgres::detail::diagnosis& diagnosis() const noexcept { return *said_; }
  /// Where in the statement, in characters from 1; 0: the server did not say.
  int position() const noexcept { return said_->position; }
  /// The statement around `position()` in one line, as in `what()`: "select id, HERE-->nmae from users".
  std::string_view excerpt() const noexcept { return said_->excerpt; }
  /// With `options::statement_in_errors` only: the text of the statement, escaped, up to 300 bytes.
  std::string_view statement() const noexcept { return said_->statement; }
  /// With `options::statement_in_errors` only, else its `line()` is 0: where the program called `exec()` or another verb.
  const source_location& called_from() const noexcept { return said_->called_from; }

  errc reason() const noexcept { return static_cast<errc>(code().value()); }
  /// Whether `sqlstate()` is this one.
  bool is(std::string_view state) const noexcept { return sqlstate() == state; }
  /// The connection cannot be used any more: socket, protocol, or an error the server ends the session with. Class 08 alone does
  /// not say so: an ERROR of it can be about a foreign server.
  bool connection_lost() const noexcept {
    return reason() == errc::connection_lost || reason() == errc::outcome_unknown || reason() == errc::server_silent || said_->fatal();
  }
  /// By severity first, then by SQLSTATE: an ERROR within a session has the SQLSTATE that a `RAISE`, or a foreign server, gave it, and
  /// means nothing beyond its statement. 25006, a write that the server refused because it is read-only, counts as `all_suspect`: after
  /// a failover it means a demoted primary. Within the caller's own read-only transaction it means nothing.
  postgres::consequence consequence() const noexcept {
    const auto state = sqlstate();
    const bool in_session = reason() == errc::server || reason() == errc::connection_lost || reason() == errc::outcome_unknown;
    if (!in_session || said_->fatal() || said_->server_down()) {
      if (state.substr(0, 2) == "28" || state == "3D000") return postgres::consequence::permanent;
      if (state == "53300" || state == "53400") return postgres::consequence::server_full;
      if (state == "57P01" || state == "57P02" || state == "57P03") return postgres::consequence::all_suspect;
    }
    if (said_->read_only()) return postgres::consequence::all_suspect;
    return connection_lost() ? postgres::consequence::connection : postgres::consequence::none;
  }
  /// The same transaction may succeed when it is run again on this connection: serialisation failure or deadlock. A lost connection is
  /// not among these, whatever it was lost by: a standby ends sessions with FATAL 40001, and what was running may have an unknown outcome.
  /// So may one in which a cached statement was `stale()`.
  bool retryable() const noexcept { return reason() == errc::server && !said_->fatal() && (is("40001") || is("40P01") || stale()); }
  /// A statement that the cache had prepared no longer fits what the server has: its plan, a type, or the statement itself is gone.
  /// Nothing of it has run, and it is prepared anew when it is used again. Outside a transaction the driver does so by itself.
  bool stale() const noexcept { return said_->stale; }
  /// COMMIT was sent and its answer is missing, for whatever reason: it may be committed or not. Also for the implicit COMMIT at the end of
  /// a pipeline, and of a write of a multiplexer.
  bool outcome_unknown() const noexcept { return reason() == errc::outcome_unknown; }

 private:
  static constexpr std::string_view prefix = "postgres: ";
  struct contents : postgres::detail::diagnosis {
    std::string text;
  };
  TIDEPOOL_LAZY static std::shared_ptr<const contents> explain(errc code, std::string_view text, postgres::detail::diagnosis&& said);

  std::shared_ptr<const contents> said_;
};

/// A failed connect, with the kind that decides what a pool does. `permanent`: wrong credentials, no such database, wrong options, or a
/// refusal of TLS by every server. `server_full`: no room (53300, 53400, PgBouncer's `max_client_conn`, a local socket whose queue is
/// full). `starting`: the server starts up or goes down (57P01 to 57P03). `wrong_role`: servers are alive, and none is what
/// `target_session_attrs` asks for. `refused`: no server listens, the connection is ended before the server's first byte, or PgBouncer has
/// no server. Everything else is `transient`. Of several servers' failures this order decides; wrong
/// credentials end the search, and a refusal of TLS is `permanent` where all servers refuse it.
class TIDEPOOL_EXPORT connect_error : public error, public connect_failure {
 public:
  TIDEPOOL_LAZY connect_error(errc code, std::string_view text, postgres::detail::diagnosis said = {}, bool permanent = false);
  /// With a kind that neither code nor SQLSTATE shows.
  TIDEPOOL_LAZY connect_error(errc code, std::string_view text, postgres::detail::diagnosis said, failure_kind kind);
  failure_kind kind() const noexcept override { return kind_; }

 private:
  TIDEPOOL_LAZY failure_kind told() const noexcept;

  failure_kind kind_;
};

/// A message of the server that is no answer: warnings, `RAISE NOTICE`, the reason it ends an idle session.
struct notice {
  std::string_view severity;  ///< raw server text, as all five; valid during the call
  std::string_view sqlstate;
  std::string_view message;
  std::string_view detail;
  std::string_view hint;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#if TIDEPOOL_HEADER_ONLY
#include "impl/error.ipp"
#endif

#endif
