// SPDX-License-Identifier: BSL-1.0
// tidepool - statements whose rows are read into types, the same for all drivers: all rows, one, or one or none.
#ifndef TIDEPOOL_ROW_QUERIES_HPP
#define TIDEPOOL_ROW_QUERIES_HPP

#include <optional>
#include <type_traits>
#include <vector>

#include "detail/driver/rows.hpp"
#include "detail/util/asio.hpp"
#include "query_text.hpp"
#include "time.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {
namespace detail {

template <class Driver, class T>
inline constexpr bool is_statement =
    std::is_convertible_v<const T&, query_text> || std::is_convertible_v<const T&, typename Driver::statement_use>;
/// Whether arguments begin as those of a call do: with a statement, or with a time limit and a statement.
template <class Driver, class First, class... Rest>
consteval bool begin_as_a_call() {
  if constexpr (std::is_same_v<First, typename Driver::within> && sizeof...(Rest) > 0) {
    return []<class Second, class... More>(std::type_identity<Second>, std::type_identity<More>...) {
      return is_statement<Driver, Second>;
    }(std::type_identity<Rest>()...);
  } else {
    return is_statement<Driver, First>;
  }
}
template <class Driver, class... Args>
concept another_beginning = !begin_as_a_call<Driver, Args...>();

template <class Driver, class First>
constexpr void refuse_beginning() {
  constexpr bool bare = std::is_convertible_v<First, duration>;
  static_assert(!bare,
                "the time limit is written `within(200ms)`, with `within` of the driver's namespace, and the statement stands behind it");
  static_assert(bare || is_statement<Driver, First>,
                "the statement is a text or a prepared statement, and stands first, or behind a time limit `within(200ms)`; its parameters "
                "follow");
}

}  // namespace detail

/// What a driver's connections and transactions have besides `exec()`, by which it is done: see the driver's `queries` for time limits,
/// errors, cancellation and threads. `Self` has `exec()`. `Driver` has the types `within`, `statement_use`, `result`,
/// and `codecs`, which knows what a column can be read into.
template <class Self, class Driver>
class row_queries {
  using limit_type = typename Driver::within;
  using prepared_type = typename Driver::statement_use;

 public:
  // Arguments that begin in another way do not compile: these say why.
  template <class First, class... Rest>
  requires detail::another_beginning<Driver, First, Rest...> asio::awaitable<typename Driver::result> exec(const First&, const Rest&...) {
    detail::refuse_beginning<Driver, First>();
    return {};
  }
  template <class T, class First, class... Rest>
  requires detail::another_beginning<Driver, First, Rest...> asio::awaitable<std::vector<T>> all(const First&, const Rest&...) {
    detail::refuse_beginning<Driver, First>();
    return {};
  }
  template <class T, class First, class... Rest>
  requires detail::another_beginning<Driver, First, Rest...> asio::awaitable<T> one(const First&, const Rest&...) {
    detail::refuse_beginning<Driver, First>();
    return {};
  }
  template <class T, class First, class... Rest>
  requires detail::another_beginning<Driver, First, Rest...> asio::awaitable<std::optional<T>> opt(const First&, const Rest&...) {
    detail::refuse_beginning<Driver, First>();
    return {};
  }

  /// All rows as T: a scalar, `std::tuple`, `std::pair`, or a plain struct whose members are the columns in order.
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::vector<T>> all(query_text sql, const Args&... args) {
    (void)detail::require_row<T, typename Driver::codecs>();
    return detail::all_of<T>(self().exec(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::vector<T>> all(prepared_type prepared, const Args&... args) {
    (void)detail::require_row<T, typename Driver::codecs>();
    return detail::all_of<T>(self().exec(prepared, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::vector<T>> all(limit_type limit, query_text sql, const Args&... args) {
    (void)detail::require_row<T, typename Driver::codecs>();
    return detail::all_of<T>(self().exec(limit, sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::vector<T>> all(limit_type limit, prepared_type prepared, const Args&... args) {
    (void)detail::require_row<T, typename Driver::codecs>();
    return detail::all_of<T>(self().exec(limit, prepared, args...));
  }
  /// Exactly one row, else `errc::rows`.
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<T> one(query_text sql, const Args&... args) {
    (void)detail::require_row<T, typename Driver::codecs>();
    return detail::one_of<T>(self().exec(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<T> one(prepared_type prepared, const Args&... args) {
    (void)detail::require_row<T, typename Driver::codecs>();
    return detail::one_of<T>(self().exec(prepared, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<T> one(limit_type limit, query_text sql, const Args&... args) {
    (void)detail::require_row<T, typename Driver::codecs>();
    return detail::one_of<T>(self().exec(limit, sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<T> one(limit_type limit, prepared_type prepared, const Args&... args) {
    (void)detail::require_row<T, typename Driver::codecs>();
    return detail::one_of<T>(self().exec(limit, prepared, args...));
  }
  /// One row or none, else `errc::rows`.
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::optional<T>> opt(query_text sql, const Args&... args) {
    (void)detail::require_row<T, typename Driver::codecs>();
    return detail::opt_of<T>(self().exec(sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::optional<T>> opt(prepared_type prepared, const Args&... args) {
    (void)detail::require_row<T, typename Driver::codecs>();
    return detail::opt_of<T>(self().exec(prepared, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::optional<T>> opt(limit_type limit, query_text sql, const Args&... args) {
    (void)detail::require_row<T, typename Driver::codecs>();
    return detail::opt_of<T>(self().exec(limit, sql, args...));
  }
  template <class T, class... Args>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<std::optional<T>> opt(limit_type limit, prepared_type prepared,
                                                                             const Args&... args) {
    (void)detail::require_row<T, typename Driver::codecs>();
    return detail::opt_of<T>(self().exec(limit, prepared, args...));
  }

 protected:
  ~row_queries() = default;

 private:
  Self& self() { return static_cast<Self&>(*this); }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
