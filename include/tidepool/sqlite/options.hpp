// SPDX-License-Identifier: BSL-1.0
// tidepool - how a database is opened.
#ifndef TIDEPOOL_SQLITE_OPTIONS_HPP
#define TIDEPOOL_SQLITE_OPTIONS_HPP

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "../detail/util/asio.hpp"
#include "../detail/util/lazy.hpp"
#include "../time.hpp"
#include "../tracing.hpp"
#include "../version.hpp"
#include "error.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {

class connection;

/// `PRAGMA journal_mode`. `keep`: as it is. `wal` stays in the file.
enum class journal { keep, wal, truncate, persist, rollback, memory, off };
/// `PRAGMA synchronous`. With WAL, `normal` loses the last transactions when the machine loses power, never the database; `full` none.
enum class sync { off, normal, full, extra };

/// What is done at the end of a lease.
enum class reset_level {
  none,      ///< nothing; a connection in a transaction is closed
  rollback,  ///< an open transaction is rolled back and open statements are reset; nothing to do where there are none
};

/// How a database is opened: `sqlite::options("shop.db")`, a URI (`file:shop.db?mode=ro`), `:memory:`, or an empty path, which is a
/// temporary database on disk. An in-memory or temporary database belongs to one connection: a pool of it has exactly one, for ever.
/// `file:/name?vfs=memdb` (SQLite 3.36) is an in-memory database that several connections of the process share; it lives as long as one of
/// them. Shared caches (`cache=shared`) are refused: they lock tables without waiting.
///
/// Nothing of the environment is used. Errors: `error(errc::bad_options)`, see `check()`. Not thread safe while it is being changed.
class options {
 public:
  TIDEPOOL_LAZY options(std::string_view path);
  TIDEPOOL_LAZY options(const char* path);
  TIDEPOOL_LAZY options(const std::string& path);

  std::string path;  ///< or URI

  /// Opens without the right to write: the file must be there. A WAL database needs a writable folder all the same, or `immutable=1`.
  bool read_only = false;
  /// Makes the file where there is none.
  bool create = true;
  /// Opens with the right to write, and refuses writes (`PRAGMA query_only`): what the readers of a `database` are.
  bool query_only = false;
  sqlite::journal journal_mode = journal::wal;  ///< not set for read-only, in-memory and temporary databases
  sync synchronous = sync::normal;              ///< see there
  bool foreign_keys = true;                     ///< SQLite itself has them off
  bool trusted_schema = false;                  ///< functions with side effects in views and triggers of a file that others made
  std::optional<long long> cache_kib{};         ///< `PRAGMA cache_size`; default: SQLite's, 2 MB
  std::optional<long long> mmap_bytes{};        ///< `PRAGMA mmap_size`
  /// How long one statement waits for another connection's lock; 0: not at all. `PRAGMA busy_timeout` does not change it.
  duration busy_timeout = std::chrono::seconds(5);
  duration response_timeout = no_limit;              ///< for every call, as by `within`
  duration close_timeout = std::chrono::seconds(2);  ///< of `PRAGMA optimize` in `close()`
  std::size_t statement_cache = 64;                  ///< how many statements a connection keeps prepared; 0: none
  bool optimize = true;                              ///< `PRAGMA optimize` when a connection that may write is closed
  reset_level reset = reset_level::rollback;         ///< see there
  std::size_t threads = no_limit;                    ///< that connections of one connector run on; as many as there are connections suffice
  /// How long a thread that is done looks for more work before it sleeps, and how long the event loop of a caller does not sleep while its
  /// call runs; 0: not at all. Where what is looked for comes in time, nobody has to be woken up, which is most of what a call costs; where
  /// it mostly does not, looks become rare. At most one thread of a connector and one of an event loop look at once; with one processor
  /// nobody does.
  duration look_time = std::chrono::microseconds(50);
  /// Errors of statements, and of reading their results, also tell the statement's text, cut after 300 bytes, the place of the call
  /// (`users.cpp:42`), and the first 40 bytes of a value that cannot be read. Off by default: these may be secrets, and errors end in logs.
  bool statement_in_errors = false;
  /// Runs on every new connection, after all that is set here.
  std::function<asio::awaitable<void>(connection&)> on_connect = {};
  /// Runs at the end of every `reset()`. Where it is set, every lease that used its connection ends with a reset.
  std::function<asio::awaitable<void>(connection&)> on_reset = {};
  /// Gets a span for each statement, stream and other exchange, the driver's own included. By tag (`SELECT`), never a text or a value.
  /// Costs one test of a pointer where it is null.
  std::shared_ptr<tidepool::tracing> tracing = {};

  /// Whether each connection would have a database of its own: `:memory:`, an empty path, `mode=memory`.
  TIDEPOOL_LAZY bool is_private() const;
  /// Whether it is in memory and shared by name: `vfs=memdb`.
  TIDEPOOL_LAZY bool is_shared_memory() const;
  /// For reports: the path without the parameters of a URI, which may hold a key.
  TIDEPOOL_LAZY std::string summary() const;
  /// Throws `error(errc::bad_options)` for what cannot be: a NUL byte, a shared cache, a read-only database in memory, times below zero.
  TIDEPOOL_LAZY void check() const;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

#if TIDEPOOL_HEADER_ONLY
#include "impl/options.ipp"
#endif

#endif
