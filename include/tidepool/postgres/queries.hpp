// SPDX-License-Identifier: BSL-1.0
// tidepool - the statement functions that a connection and a transaction have in common.
#ifndef TIDEPOOL_POSTGRES_QUERIES_HPP
#define TIDEPOOL_POSTGRES_QUERIES_HPP

#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../row_queries.hpp"
#include "../version.hpp"
#include "copy.hpp"
#include "detail/request.hpp"
#include "detail/session_base.hpp"
#include "pipeline.hpp"
#include "query_text.hpp"
#include "result.hpp"
#include "statement.hpp"
#include "stream.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {
namespace detail {

/// See `row_queries`.
struct query_types {
  using within = postgres::within;
  using statement_use = postgres::statement_use;
  using result = postgres::result;
  using codecs = detail::codecs;
};

}  // namespace detail

/// Runs statements. Parameters are copied when the function is called, so temporaries may be given; the statement is sent when the
/// awaitable is awaited. One operation at a time per connection: another one fails with `errc::busy`.
///
/// Completion: on the awaiting coroutine's executor. Errors: `postgres::error`; after a server error the connection is ready
/// for the next statement, after `connection_lost()` it cannot be used any more. Every function takes a time limit as its first argument,
/// see `within`; `options::response_timeout` is for all. Cancellation (terminal, partial, total): the statement is cancelled on the
/// server; when it has ended, the call throws `operation_aborted` and the connection is kept; after `options::cancel_timeout` the
/// connection is shut. A result that the server sends meanwhile is returned as usual. Not thread safe. Cost: 3 system calls and one of
/// Asio, one allocation for the parameters besides libpq's.
template <class Self>
class queries : public row_queries<Self, detail::query_types> {
 public:
  using row_queries<Self, detail::query_types>::exec;
  /// One statement in the extended protocol: parameters are `$1`, `$2`, ... and never part of the text.
  /// `co_await c.exec("insert into t values ($1, $2)", 7, std::optional<std::string>())`.
  template <class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<result> exec(query_text sql, const Args&... args) {
    (void)(detail::require_encoder<Args>() && ...);
    const auto& s = self().live();
    return s->execute(s, detail::request::parameters(sql, args...));
  }
  template <class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<result> exec(within limit, query_text sql, const Args&... args) {
    (void)(detail::require_encoder<Args>() && ...);
    const auto& s = self().live();
    return s->execute(s, bounded(limit, detail::request::parameters(sql, args...)));
  }
  /// The same for a statement prepared on this connection. A value that is sent in binary form (bytes) where the statement takes another
  /// type is `errc::bad_parameter`, before anything is sent.
  template <class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<result> exec(statement_use prepared, const Args&... args) {
    (void)(detail::require_encoder<Args>() && ...);
    detail::check_types(prepared.of(), args...);
    const auto& s = self().live();
    return s->perform(s, detail::request::prepared(prepared.of().name(), prepared.from(), args...));
  }

  template <class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<result> exec(within limit, statement_use prepared, const Args&... args) {
    (void)(detail::require_encoder<Args>() && ...);
    detail::check_types(prepared.of(), args...);
    const auto& s = self().live();
    return s->perform(s, bounded(limit, detail::request::prepared(prepared.of().name(), prepared.from(), args...)));
  }

  /// Rows one by one as they arrive; see `row_stream`. One type for values or structs, several for tuples.
  template <class T, class... Ts, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] auto stream(query_text sql, const Args&... args) {
    using element = std::conditional_t<sizeof...(Ts) == 0, T, std::tuple<T, Ts...>>;
    (void)(tidepool::detail::require_row<element, detail::codecs>() && (detail::require_encoder<Args>() && ...));
    return detail::open_stream<element>(self().live(), detail::request::parameters(sql, args...));
  }
  template <class T, class... Ts, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] auto stream(within limit, query_text sql, const Args&... args) {
    using element = std::conditional_t<sizeof...(Ts) == 0, T, std::tuple<T, Ts...>>;
    (void)(tidepool::detail::require_row<element, detail::codecs>() && (detail::require_encoder<Args>() && ...));
    return detail::open_stream<element>(self().live(), bounded(limit, detail::request::parameters(sql, args...)));
  }
  /// `COPY ... FROM STDIN`; see `copy_writer`.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<copy_writer> copy_in(query_text sql) {
    const auto& s = self().live();
    return s->copy_in(s, detail::request::simple(sql));
  }
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<copy_writer> copy_in(within limit, query_text sql) {
    const auto& s = self().live();
    return s->copy_in(s, bounded(limit, detail::request::simple(sql)));
  }
  /// `COPY ... TO STDOUT`; see `copy_reader`.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<copy_reader> copy_out(query_text sql) {
    const auto& s = self().live();
    return s->copy_out(s, detail::request::simple(sql));
  }
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<copy_reader> copy_out(within limit, query_text sql) {
    const auto& s = self().live();
    return s->copy_out(s, bounded(limit, detail::request::simple(sql)));
  }
  /// Several statements in one round trip; see `pipeline`.
  postgres::pipeline pipeline(pipeline_mode mode) { return {self().live(), mode}; }
  postgres::pipeline pipeline(within limit, pipeline_mode mode) { return {self().live(), mode, limit.limit()}; }

  /// Several statements in one text, without parameters, in the simple protocol: one implicit transaction unless the text
  /// says otherwise; the first error ends it. Never build the text from user input.
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> script(query_text sql) {
    const auto& s = self().live();
    return s->script(s, detail::request::simple(sql));
  }
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<void> script(within limit, query_text sql) {
    const auto& s = self().live();
    return s->script(s, bounded(limit, detail::request::simple(sql)));
  }

 protected:
  ~queries() = default;

 private:
  static detail::request bounded(within limit, detail::request what) {
    what.limit = limit.limit();
    return what;
  }
  Self& self() { return static_cast<Self&>(*this); }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
