// SPDX-License-Identifier: BSL-1.0
// tidepool - the statement functions that a connection and a transaction have in common.
#ifndef TIDEPOOL_SQLITE_QUERIES_HPP
#define TIDEPOOL_SQLITE_QUERIES_HPP

#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "../query_text.hpp"
#include "../version.hpp"
#include "detail/any_run.hpp"
#include "detail/request.hpp"
#include "detail/session_base.hpp"
#include "statement.hpp"
#include "stream.hpp"
#include "within.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {
namespace detail {

template <class T>
inline constexpr bool is_statement = std::is_convertible_v<const T&, query_text> || std::is_convertible_v<const T&, statement_use>;
/// Whether arguments begin as those of a verb do.
template <class... Args>
inline constexpr bool begin_as_a_call = false;
template <class First, class... Rest>
inline constexpr bool begin_as_a_call<First, Rest...> = is_statement<First>;
template <class Second, class... Rest>
inline constexpr bool begin_as_a_call<within, Second, Rest...> = is_statement<Second>;
template <class... Args>
concept another_beginning = !begin_as_a_call<Args...>;

template <class First>
constexpr void refuse_beginning() {
  constexpr bool bare = std::is_convertible_v<First, duration>;
  static_assert(!bare, "the time limit is written `within(200ms)`, with tidepool::sqlite::within, and the statement stands behind it");
  static_assert(bare || is_statement<First>,
                "the statement is a text or a prepared statement, and stands first, or behind a time limit `within(200ms)`; its parameters "
                "follow");
}

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
class queries {
 public:
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

  // Arguments that begin in another way do not compile: these say why.
  template <class First, class... Rest>
  requires detail::another_beginning<First, Rest...> asio::awaitable<result> exec(const First&, const Rest&...) {
    detail::refuse_beginning<First>();
    return {};
  }
  template <class T, class First, class... Rest>
  requires detail::another_beginning<First, Rest...> asio::awaitable<std::vector<T>> all(const First&, const Rest&...) {
    detail::refuse_beginning<First>();
    return {};
  }
  template <class T, class First, class... Rest>
  requires detail::another_beginning<First, Rest...> asio::awaitable<T> one(const First&, const Rest&...) {
    detail::refuse_beginning<First>();
    return {};
  }
  template <class T, class First, class... Rest>
  requires detail::another_beginning<First, Rest...> asio::awaitable<std::optional<T>> opt(const First&, const Rest&...) {
    detail::refuse_beginning<First>();
    return {};
  }

  /// All rows as T: a scalar, `std::tuple`, `std::pair`, or a plain struct whose members are the columns in order.
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::vector<T>> all(query_text sql, const Args&... args) {
    (void)detail::require_row<T>();
    return tidepool::detail::all_of<T>(exec(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::vector<T>> all(statement_use prepared, const Args&... args) {
    (void)detail::require_row<T>();
    return tidepool::detail::all_of<T>(exec(prepared, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::vector<T>> all(within limit, query_text sql, const Args&... args) {
    (void)detail::require_row<T>();
    return tidepool::detail::all_of<T>(exec(limit, sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::vector<T>> all(within limit, statement_use prepared, const Args&... args) {
    (void)detail::require_row<T>();
    return tidepool::detail::all_of<T>(exec(limit, prepared, args...));
  }
  /// Exactly one row, else `errc::rows`.
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<T> one(query_text sql, const Args&... args) {
    (void)detail::require_row<T>();
    return tidepool::detail::one_of<T>(exec(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<T> one(statement_use prepared, const Args&... args) {
    (void)detail::require_row<T>();
    return tidepool::detail::one_of<T>(exec(prepared, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<T> one(within limit, query_text sql, const Args&... args) {
    (void)detail::require_row<T>();
    return tidepool::detail::one_of<T>(exec(limit, sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<T> one(within limit, statement_use prepared, const Args&... args) {
    (void)detail::require_row<T>();
    return tidepool::detail::one_of<T>(exec(limit, prepared, args...));
  }
  /// One row or none, else `errc::rows`.
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::optional<T>> opt(query_text sql, const Args&... args) {
    (void)detail::require_row<T>();
    return tidepool::detail::opt_of<T>(exec(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::optional<T>> opt(statement_use prepared, const Args&... args) {
    (void)detail::require_row<T>();
    return tidepool::detail::opt_of<T>(exec(prepared, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::optional<T>> opt(within limit, query_text sql, const Args&... args) {
    (void)detail::require_row<T>();
    return tidepool::detail::opt_of<T>(exec(limit, sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::optional<T>> opt(within limit, statement_use prepared, const Args&... args) {
    (void)detail::require_row<T>();
    return tidepool::detail::opt_of<T>(exec(limit, prepared, args...));
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
    (void)(detail::require_row<T>() && (detail::require_encoder<Args>() && ...));
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
