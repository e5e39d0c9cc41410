// SPDX-License-Identifier: BSL-1.0
// tidepool - a database with one writer and several readers, each in a pool of its own.
#ifndef TIDEPOOL_SQLITE_DATABASE_HPP
#define TIDEPOOL_SQLITE_DATABASE_HPP

#include <cstddef>
#include <functional>
#include <string>
#include <utility>

#include "../detail/util/lazy.hpp"
#include "../run.hpp"
#include "../source_location.hpp"
#include "../version.hpp"
#include "pool.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {

/// SQLite has one writer at a time. Connections that all write wait for each other in its busy handler, which sleeps, holds a connection
/// and a thread meanwhile, and serves the one that wakes up first. Here they wait in the queue of a pool of one connection, which is first
/// come, first served, and costs nothing; readers have connections of their own, which a writer does not disturb (WAL).
///
///     sqlite::database db(io, "shop.db");
///     auto lease = co_await db.write();
///     co_await lease->transaction(transfer);          // BEGIN IMMEDIATE
///     auto other = co_await db.read();                 // refuses writes
///     auto name = co_await other->one<std::string>("select name from users where id = ?1", 7);
///
/// Both pools share their threads. Thread safe, as pools are. Other processes may use the file too: then SQLite's lock is waited for, for
/// `options::busy_timeout` at most.
class database {
 public:
  /// Of both pools.
  using lease = sqlite::pool::lease;
  using traits_type = sqlite::pool::traits_type;
  using executor_type = sqlite::pool::executor_type;
  /// For coroutines that use it.
  template <class T>
  using awaitable = sqlite::pool::awaitable<T>;

  /// `readers`: how many connections read; their options are those of the writer, with `query_only`. `config` is for both pools, with their
  /// sizes replaced, and "-read", "-write" behind the name. Throws `error(errc::bad_options)` for in-memory databases but
  /// `file:/name?vfs=memdb`, and for `read_only`; std::invalid_argument as a pool.
  TIDEPOOL_LAZY database(asio::any_io_executor executor, options settings, std::size_t readers = 4,
                         const pool_config& config = pool_config::embedded());
  /// The same with an execution context.
  template <class Context>
  requires requires(Context& c) { asio::any_io_executor(c.get_executor()); }
  database(Context& context, options settings, std::size_t readers = 4, const pool_config& config = pool_config::embedded())
      : database(asio::any_io_executor(context.get_executor()), std::move(settings), readers, config) {}

  /// Opens both pools: the writer first, which makes the file.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> open(source_location where = source_location::current());
  /// Closes both pools within `grace`, the readers first; the writer then copies the log back into the file.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> close(time_limit grace,
                                                                                 source_location where = source_location::current());
  // Templates from here on: as ordinary functions they would make every file compile what a pool does (lazy.hpp).

  /// The same with `close_grace` of the configuration.
  template <class = void>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> close(source_location where = source_location::current()) {
    return close(config().close_grace, where);
  }

  /// A connection that reads; as `acquire()` of its pool.
  template <class = void>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<lease> read(source_location where = source_location::current()) {
    return readers_.acquire(where);
  }
  template <class = void>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<lease> read(time_limit timeout, source_location where = source_location::current()) {
    return readers_.acquire(timeout, where);
  }
  /// The connection that writes; as `acquire()` of its pool.
  template <class = void>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<lease> write(source_location where = source_location::current()) {
    return writers_.acquire(where);
  }
  template <class = void>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<lease> write(time_limit timeout,
                                                                    source_location where = source_location::current()) {
    return writers_.acquire(timeout, where);
  }

  /// The pools, for statistics, logs and observers.
  sqlite::pool& readers() noexcept { return readers_; }
  /// The pool of the one that writes.
  sqlite::pool& writers() noexcept { return writers_; }
  /// Of the writer.
  const pool_config& config() const noexcept { return writers_.config(); }
  executor_type get_executor() const { return writers_.get_executor(); }

 private:
  struct parts {
    connector writer;
    connector reader;
    pool_config write_config;
    pool_config read_config;
  };
  TIDEPOOL_LAZY static parts parts_of(options settings, std::size_t readers, const pool_config& config);
  template <class = void>
  database(asio::any_io_executor executor, const parts& of)
      : writers_(executor, of.writer, of.write_config), readers_(executor, of.reader, of.read_config) {}

  sqlite::pool writers_;
  sqlite::pool readers_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// `run()` with a database instead of a pool: opens both of its pools, runs the work, and closes them on every path.
///
///     tidepool::run(io, db, serve);  // asio::awaitable<void> serve(sqlite::database&)
template <class Work>
auto run(asio::io_context& io, sqlite::database& db, Work&& work, detail::call_place where = source_location::current()) {
  return detail::run_on(io, db, std::forward<Work>(work), where.at);
}
/// The same with signals, a grace, and more than one thread.
template <class Work>
auto run(asio::io_context& io, sqlite::database& db, Work&& work, run_options options, source_location where = source_location::current()) {
  return detail::run_on(io, db, std::forward<Work>(work), options, where);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#if TIDEPOOL_HEADER_ONLY
#include "impl/database.ipp"
#endif

#endif
