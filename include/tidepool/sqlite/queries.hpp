// SPDX-License-Identifier: BSL-1.0
// tidepool - the statement functions that a connection and a transaction have in common.
#ifndef TIDEPOOL_SQLITE_QUERIES_HPP
#define TIDEPOOL_SQLITE_QUERIES_HPP

#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../query_text.hpp"
#include "../row_queries.hpp"
#include "../version.hpp"
#include "detail/any_run.hpp"
#include "detail/request.hpp"
#include "detail/row_type.hpp"
#include "detail/session_base.hpp"
#include "result.hpp"
#include "statement.hpp"
#include "stream.hpp"
#include "within.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {
namespace detail {

/// See `row_queries`.
struct query_types {
  using within = sqlite::within;
  using statement_use = sqlite::statement_use;
  using result = sqlite::result;
  using codecs = detail::codecs;
};

}  // namespace detail

/// Runs statements. Parameters are copied when the function is called, so temporaries may be given; the statement runs when the awaitable
/// is awaited. One operation at a time per connection: another one fails with `errc::busy`.
///
/// SQLite's calls block, so each of these functions is one change to a thread of the pool and back, whatever the number of rows. What needs
/// several statements costs one such change as a whole with `run()`.
///
/// Completion: on the awaiting coroutine's executor. Errors: `sqlite::error`; after `connection_lost()` the connection cannot be used any
/// more, after others it is ready for the next statement. Every function takes a time limit as its first argument, see `within`;
/// `options::response_timeout` is for all. Cancellation (terminal, partial, total): the statement is interrupted; when it has ended, the
/// call throws `operation_aborted` and the connection is kept. Within a transaction an interrupted statement that writes rolls all of that
/// back. Not thread safe.
template <class Self>
class queries : public row_queries<Self, detail::query_types> {
 public:
  using row_queries<Self, detail::query_types>::exec;
  /// One statement: parameters are `?1`, `?2`, ... or `:name` in the order in which they first appear, and never part of the text.
  /// `co_await c.exec("insert into t values (?1, ?2)", 7, std::optional<std::string>())`.
  template <class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<result> exec(query_text sql, const Args&... args) {
    return execute(no_limit, sql, args...);
  }
  template <class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<result> exec(within limit, query_text sql, const Args&... args) {
    return execute(limit.limit(), sql, args...);
  }
  /// The same for a statement of `prepare()`.
  template <class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<result> exec(statement_use prepared, const Args&... args) {
    return execute(no_limit, prepared.text(), args...);
  }
  template <class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<result> exec(within limit, statement_use prepared, const Args&... args) {
    return execute(limit.limit(), prepared.text(), args...);
  }

  /// Rows in chunks; see `row_stream`. One type for values or structs, several for tuples.
  template <class T, class... Ts, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] auto stream(query_text sql, const Args&... args) {
    return open_rows<std::conditional_t<sizeof...(Ts) == 0, T, std::tuple<T, Ts...>>>(no_limit, sql, args...);
  }
  template <class T, class... Ts, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] auto stream(within limit, query_text sql, const Args&... args) {
    return open_rows<std::conditional_t<sizeof...(Ts) == 0, T, std::tuple<T, Ts...>>>(limit.limit(), sql, args...);
  }

  /// Several statements in one text, without parameters. Outside of a transaction each is one of its own, unless the text says otherwise;
  /// the first error ends it. Never build the text from user input.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> script(query_text sql) { return run_script(no_limit, sql); }
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> script(within limit, query_text sql) { return run_script(limit.limit(), sql); }

  /// Prepares a statement, for `exec(statement, args...)`.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<statement> prepare(query_text sql) { return prepare_text(no_limit, sql); }
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<statement> prepare(within limit, query_text sql) {
    return prepare_text(limit.limit(), sql);
  }

  /// Calls `work(sqlite3*)` on a thread of the pool, and returns what it returns: any number of statements for one change of threads.
  ///
  ///     auto id = co_await c.run([&](sqlite3* db) { ...; return sqlite3_last_insert_rowid(db); });
  /// What it throws is thrown on. It runs beside the coroutine's thread, which waits: what it refers to is not used meanwhile. Statements
  /// that it leaves open are reset. It must not close the connection, must not wait for anything of the executor, and replaces neither busy
  /// nor progress handler for longer than the call. Cancellation and time limit interrupt the statement that runs, and long ones begun
  /// later: loops should end on SQLITE_INTERRUPT.
  template <class Work>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] auto run(Work&& work) {
    return run_work(no_limit, std::forward<Work>(work));
  }
  template <class Work>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] auto run(within limit, Work&& work) {
    return run_work(limit.limit(), std::forward<Work>(work));
  }

 protected:
  ~queries() = default;

 private:
  template <class... Args>
  asio::awaitable<result> execute(duration limit, const query_text& sql, const Args&... args) {
    (void)(detail::require_encoder<Args>() && ...);
    const auto& s = self().live();
    return s->execute(s, detail::request::of(sql, limit, args...));
  }
  template <class T, class... Args>
  asio::awaitable<row_stream<T>> open_rows(duration limit, const query_text& sql, const Args&... args) {
    (void)(tidepool::detail::require_row<T, detail::codecs>() && (detail::require_encoder<Args>() && ...));
    return detail::open_stream<T>(self().live(), detail::request::of(sql, limit, args...));
  }
  asio::awaitable<void> run_script(duration limit, const query_text& sql) {
    const auto& s = self().live();
    return s->script(s, detail::request(sql.view(), sql.from(), limit));
  }
  asio::awaitable<statement> prepare_text(duration limit, const query_text& sql) {
    const auto& s = self().live();
    return s->prepare(s, detail::request(sql.view(), sql.from(), limit));
  }
  template <class Work>
  auto run_work(duration limit, Work&& work) -> asio::awaitable<detail::run_result<Work>> {
    const auto& s = self().live();
    using T = detail::run_result<Work>;
    if constexpr (detail::check_run<Work>()) {
      auto kept = std::make_shared<detail::kept_run<T, std::decay_t<Work>>>(std::forward<Work>(work));
      if constexpr (std::is_void_v<T>) {
        return s->run(s, std::move(kept), limit);
      } else {
        auto running = s->run(s, kept, limit);
        return detail::result_of_run<T>(std::move(running), std::move(kept));
      }
    } else {
      return {};
    }
  }
  Self& self() { return static_cast<Self&>(*this); }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

#endif
