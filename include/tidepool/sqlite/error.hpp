// SPDX-License-Identifier: BSL-1.0
// tidepool - the errors of the SQLite driver, with all SQLite said about them.
#ifndef TIDEPOOL_SQLITE_ERROR_HPP
#define TIDEPOOL_SQLITE_ERROR_HPP

#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include "../detail/util/lazy.hpp"
#include "../error.hpp"
#include "../source_location.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {

/// Why an operation failed. Errors of SQLite are told apart by `error::sqlite_code()`.
enum class errc {
  database = 1,      ///< SQLite reported an error
  connection_lost,   ///< the connection cannot be used any more: the file is damaged, unreadable or moved, or the connection was aborted
  connect_failed,    ///< the database cannot be opened
  locked,            ///< another connection holds the lock, and `busy_timeout` is over (SQLITE_BUSY, SQLITE_LOCKED)
  busy,              ///< another operation of this connection is running, or was left unfinished
  needs_reset,       ///< a cancelled transaction is still open: `reset()` first
  bad_options,       ///< the options are wrong, or do not fit the pool
  bad_parameter,     ///< a value cannot be given
  bad_usage,         ///< the statement cannot be run this way
  null_value,        ///< NULL where a value was asked for
  conversion,        ///< a value is not of the type asked for, or out of its range
  columns,           ///< the row has another number of columns, or no such column
  rows,              ///< another number of rows than asked for
  rolled_back,       ///< the transaction is gone: SQLite rolled it back, because a statement in it was interrupted or the disk is full
  outcome_unknown,   ///< COMMIT failed while it wrote: it may be committed or not
  response_timeout,  ///< not done in time: interrupted; the connection is kept
  read_only          ///< a write on a connection, or to a file, that is only read
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

// Must stand before the first comparison.
TIDEPOOL_DETAIL_ERROR_ENUM(tidepool::sqlite::errc);

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {
namespace detail {

class TIDEPOOL_EXPORT category final : public tidepool::detail::shared_category {
 public:
  const char* name() const noexcept override { return "tidepool.sqlite"; }
  std::string message(int value) const override {
    switch (static_cast<errc>(value)) {
      case errc::database: return "SQLite reported an error";
      case errc::connection_lost: return "the connection to the database was lost";
      case errc::connect_failed: return "the database cannot be opened";
      case errc::locked: return "the database is locked by another connection";
      case errc::busy: return "another operation of this connection is in progress or was left unfinished";
      case errc::needs_reset: return "a cancelled transaction is still open";
      case errc::bad_options: return "bad options";
      case errc::bad_parameter: return "bad parameter";
      case errc::bad_usage: return "the statement cannot be run this way";
      case errc::null_value: return "unexpected NULL";
      case errc::conversion: return "a value is not of the type asked for";
      case errc::columns: return "unexpected columns";
      case errc::rows: return "unexpected number of rows";
      case errc::rolled_back: return "the transaction was rolled back";
      case errc::outcome_unknown: return "COMMIT failed while it wrote";
      case errc::response_timeout: return "the statement was not done in time, and was interrupted";
      case errc::read_only: return "a write where the database is only read";
    }
    return "unknown error";
  }
  error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<errc>(value)) {
      case errc::connection_lost:
      case errc::outcome_unknown: return generic_errc::connection_reset;
      case errc::connect_failed: return generic_errc::not_connected;
      case errc::response_timeout: return generic_errc::timed_out;
      case errc::locked: return generic_errc::device_or_resource_busy;
      case errc::read_only: return generic_errc::read_only_file_system;
      default: return {value, *this};
    }
  }
};

/// What is known about an error.
struct diagnosis {
  int code = 0;           ///< SQLite's extended result code
  std::string message{};  ///< SQLite's words
  int offset = -1;        ///< of the place in the statement, in bytes
  std::string excerpt{};  ///< the statement around it
  std::string advice{};
  std::string statement{};        ///< only with `options::statement_in_errors`
  source_location called_from{};  ///< the same
};

}  // namespace detail

/// The category of `errc`; conditions compare with `std::errc` (`connection_reset`, `timed_out`, `not_connected`, ...).
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
  all_suspect,  ///< so may be others: the file is damaged, or is another one
  permanent     ///< will be the same next time: no such folder, no permission, no database
};

/// Thrown by every operation of the driver; a cancelled one throws `tidepool::system_error(operation_aborted)`.
///
/// `what()` is one line: what the driver has to say, SQLite's message, the name and number of its code, the place in the statement, and
/// what to do. It never holds a parameter, or a control character, and is at most some 1,000 bytes long. `options::statement_in_errors`
/// adds the statement, up to 300 bytes, and the place of the call, and to the error of a value that cannot be read its first 40 bytes.
/// Copies are cheap and do not throw.
class TIDEPOOL_EXPORT error : public system_error {
 public:
  TIDEPOOL_LAZY error(errc code, std::string_view text);
  TIDEPOOL_LAZY error(errc code, std::string_view text, sqlite::detail::diagnosis said);

  const char* what() const noexcept override { return said_->text.c_str(); }
  /// `what()` without the driver's name in front.
  std::string_view explanation() const noexcept { return std::string_view(said_->text).substr(prefix.size()); }

  errc reason() const noexcept { return static_cast<errc>(code().value()); }
  /// SQLite's extended result code, such as 2067 (SQLITE_CONSTRAINT_UNIQUE); 0 where the error is the driver's own.
  int sqlite_code() const noexcept { return said_->code; }
  /// Its primary code, such as 19 (SQLITE_CONSTRAINT).
  int primary_code() const noexcept { return said_->code & 0xFF; }
  /// Whether `sqlite_code()` is this one, extended or primary.
  bool is(int code) const noexcept { return code != 0 && (said_->code == code || primary_code() == code); }
  /// SQLite's words, not escaped; empty where the error is the driver's own.
  std::string_view message() const noexcept { return said_->message; }
  /// Where in the statement, in bytes from 0; -1: not known.
  int offset() const noexcept { return said_->offset; }
  /// With `options::statement_in_errors` only: the text of the statement, escaped, up to 300 bytes.
  std::string_view statement() const noexcept { return said_->statement; }
  /// With `options::statement_in_errors` only, else its `line()` is 0: where the program called `exec()` or another verb.
  const source_location& called_from() const noexcept { return said_->called_from; }

  /// The connection cannot be used any more: SQLITE_IOERR, SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_CANTOPEN, a moved file; or it was aborted.
  bool connection_lost() const noexcept { return reason() == errc::connection_lost || reason() == errc::outcome_unknown; }
  /// The same transaction may succeed when it is run again: another connection held the lock, or had written in between (`locked`).
  bool retryable() const noexcept { return reason() == errc::locked; }
  /// COMMIT failed while it wrote: it may be committed or not.
  bool outcome_unknown() const noexcept { return reason() == errc::outcome_unknown; }
  /// What it means for more than the statement.
  TIDEPOOL_LAZY sqlite::consequence consequence() const noexcept;
  /// All fields, for other parts of the driver.
  const sqlite::detail::diagnosis& diagnosis() const noexcept { return *said_; }

 private:
  static constexpr std::string_view prefix = "sqlite: ";
  struct contents : sqlite::detail::diagnosis {
    std::string text;
  };
  TIDEPOOL_LAZY static std::shared_ptr<const contents> explain(errc code, std::string_view text, sqlite::detail::diagnosis&& said);

  std::shared_ptr<const contents> said_;
};

/// A database that cannot be opened. `permanent`: no such folder or file, no permission, not a database, damaged, wrong options, an
/// in-memory database that is gone. `transient`: locked, a disk error.
class TIDEPOOL_EXPORT connect_error : public error, public connect_failure {
 public:
  TIDEPOOL_LAZY connect_error(errc code, std::string_view text, sqlite::detail::diagnosis said, failure_kind kind);
  failure_kind kind() const noexcept override { return kind_; }

 private:
  failure_kind kind_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

#if TIDEPOOL_HEADER_ONLY
#include "impl/error.ipp"
#endif

#endif
