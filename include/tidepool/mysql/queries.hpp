// SPDX-License-Identifier: BSL-1.0
// tidepool - the statement functions that a connection and a transaction have in common.
#ifndef TIDEPOOL_MYSQL_QUERIES_HPP
#define TIDEPOOL_MYSQL_QUERIES_HPP

#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../query_text.hpp"
#include "../row_queries.hpp"
#include "../version.hpp"
#include "detail/request.hpp"
#include "detail/row_type.hpp"
#include "detail/session_base.hpp"
#include "result.hpp"
#include "statement.hpp"
#include "stream.hpp"
#include "within.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {
namespace detail {

/// See `row_queries`.
struct query_types {
  using within = mysql::within;
  using statement_use = mysql::statement_use;
  using result = mysql::result;
  using codecs = detail::codecs;
};

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
class queries : public row_queries<Self, detail::query_types> {
 public:
  using row_queries<Self, detail::query_types>::exec;
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
  Self& self() { return static_cast<Self&>(*this); }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#endif
