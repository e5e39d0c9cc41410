// SPDX-License-Identifier: BSL-1.0
// tidepool - the statement functions that a connection and a transaction have in common.
#ifndef TIDEPOOL_MYSQL_QUERIES_HPP
#define TIDEPOOL_MYSQL_QUERIES_HPP

#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "../query_text.hpp"
#include "../version.hpp"
#include "detail/request.hpp"
#include "detail/session_base.hpp"
#include "statement.hpp"
#include "stream.hpp"
#include "within.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {
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
  static_assert(!bare, "the time limit is written `within(200ms)`, with tidepool::mysql::within, and the statement stands behind it");
  static_assert(bare || is_statement<First>,
                "the statement is a text or a prepared statement, and stands first, or behind a time limit `within(200ms)`; its parameters "
                "follow");
}

}  // namespace detail

/// Runs statements. Parameters are copied when the function is called, so temporaries may be given; the statement runs when the awaitable
/// is awaited. One operation at a time per connection: another one fails with `errc::busy`.
///
/// Completion: on the awaiting coroutine's executor. Errors: `mysql::error`; after a server error the connection is ready for the next
/// statement, after `connection_lost()` it cannot be used any more. Every function takes a time limit as its first argument, see `within`;
/// `options::response_timeout` is for all. Cancellation (terminal, partial, total): the statement is cancelled on the server by KILL QUERY
/// over a connection of its own; when it has ended, the call throws `operation_aborted` and the connection is kept; after
/// `options::cancel_timeout` the connection is shut. A result that the server sends meanwhile is returned as usual. Not thread safe.
template <class Self>
class queries {
 public:
  /// One statement, prepared and run in the binary protocol: parameters are `?`, and never part of the text.
  /// `co_await c.exec("insert into t values (?, ?)", 7, std::optional<std::string>())`. The statement stays prepared in the connection's
  /// cache, so its first use costs two round trips and later ones one. What the server cannot prepare is sent as text where it has no
  /// parameters.
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
  /// Rows one by one as they arrive; see `row_stream`. One type for values or structs, several for tuples.
  template <class T, class... Ts, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] auto stream(query_text sql, const Args&... args) {
    return open_rows<std::conditional_t<sizeof...(Ts) == 0, T, std::tuple<T, Ts...>>>(no_limit, sql, args...);
  }
  template <class T, class... Ts, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] auto stream(within limit, query_text sql, const Args&... args) {
    return open_rows<std::conditional_t<sizeof...(Ts) == 0, T, std::tuple<T, Ts...>>>(limit.limit(), sql, args...);
  }

  /// Several statements in one text, without parameters, sent as text. Outside of a transaction each is one of its own, unless the text
  /// says otherwise; the first error ends it; rows are discarded. Only here may a text hold several statements. Never build it from user
  /// input.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> script(query_text sql) { return run_script(no_limit, sql); }
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> script(within limit, query_text sql) { return run_script(limit.limit(), sql); }

  /// Prepares a statement, for `exec(statement, args...)`.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<statement> prepare(query_text sql) { return prepare_text(no_limit, sql); }
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<statement> prepare(within limit, query_text sql) {
    return prepare_text(limit.limit(), sql);
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
  Self& self() { return static_cast<Self&>(*this); }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#endif
