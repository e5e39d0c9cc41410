// SPDX-License-Identifier: BSL-1.0
// tidepool - transactions: runs a coroutine between BEGIN and COMMIT; a nested transaction is a savepoint.
#ifndef TIDEPOOL_MYSQL_TRANSACTION_HPP
#define TIDEPOOL_MYSQL_TRANSACTION_HPP

#include <chrono>
#include <memory>
#include <type_traits>
#include <utility>

#include "../detail/driver/any_body.hpp"
#include "../detail/driver/body_fit.hpp"
#include "../detail/util/lazy.hpp"
#include "../version.hpp"
#include "queries.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {

class transaction;

/// Isolation levels; `session_default` is the session's `transaction_isolation`, which is REPEATABLE READ where nobody has changed it.
enum class isolation { session_default, read_uncommitted, read_committed, repeatable_read, serializable };

/// Plain and trivially destructible: `{.level = isolation::serializable, .retries = 3}` may stand in a `co_await` expression.
struct transaction_options {
  /// A level costs a round trip: SET TRANSACTION.
  isolation level = isolation::session_default;
  bool read_only = false;
  bool consistent_snapshot = false;                      ///< what is read is as of the beginning, not as of the first read
  unsigned retries = 0;                                  ///< how often the body runs again after a `retryable()` error
  duration retry_delay = std::chrono::milliseconds(10);  ///< bound of the first pause, doubled each time; the pause is random below it
  duration max_retry_delay = std::chrono::milliseconds(500);
  duration answer_within = no_limit;  ///< BEGIN, COMMIT and ROLLBACK each, as by `within`; savepoints of `nested()` too
  duration within = no_limit;         ///< the whole of it, from BEGIN to COMMIT, repetitions included: see `connection::transaction()`
};

namespace detail {

template <class Body>
using body_result = tidepool::detail::driver::body_result<transaction, Body>;
template <class Body>
consteval bool check_body() {
  return tidepool::detail::driver::check_body<transaction, Body>();
}

}  // namespace detail

/// The connection within a transaction. Given to the body of `transaction()`, and valid until the body returns.
class transaction : public queries<transaction> {
 public:
  transaction(detail::base_ptr s, unsigned depth, duration answer_within = no_limit)
      : session_(std::move(s)), depth_(depth), answer_within_(answer_within) {}
  transaction(const transaction&) = delete;
  transaction& operator=(const transaction&) = delete;

  /// A savepoint: released when the body returns, rolled back to when the body throws; the exception is thrown on. On GCC 12 a lambda whose
  /// captures have destructors needs a name, as for `connection::transaction()`.
  template <class Body>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] auto nested(Body&& body) -> asio::awaitable<detail::body_result<Body>>;
  /// The same with a time limit for the whole savepoint. When it is over, the body is cancelled, the savepoint is rolled back to, and the
  /// call throws `errc::response_timeout`; the transaction can go on.
  template <class Body>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] auto nested(within limit, Body&& body) -> asio::awaitable<detail::body_result<Body>>;

  /// For other parts of the driver.
  template <class = void>
  const detail::base_ptr& live() const {
    if (ended_) refuse();
    return session_;
  }
  void end() noexcept { ended_ = true; }

 private:
  TIDEPOOL_LAZY [[noreturn, gnu::cold]] static void refuse();
  template <class Body>
  auto save(Body&& body, duration limit) -> asio::awaitable<detail::body_result<Body>>;

  detail::base_ptr session_;
  unsigned depth_;
  duration answer_within_;
  bool ended_ = false;
};

template <class Body>
auto transaction::save(Body&& body, duration limit) -> asio::awaitable<detail::body_result<Body>> {
  if constexpr (detail::check_body<Body>()) {
    const auto& s = live();
    return tidepool::detail::driver::run_any_body<transaction>(std::forward<Body>(body), [&](std::shared_ptr<detail::any_body> kept) {
      return s->save(s, std::move(kept), depth_ + 1, answer_within_, limit);
    });
  } else {
    return {};
  }
}
template <class Body>
auto transaction::nested(Body&& body) -> asio::awaitable<detail::body_result<Body>> {
  return save(std::forward<Body>(body), no_limit);
}
template <class Body>
auto transaction::nested(within limit, Body&& body) -> asio::awaitable<detail::body_result<Body>> {
  return save(std::forward<Body>(body), limit.limit());
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#if TIDEPOOL_HEADER_ONLY
#include "impl/transaction.ipp"
#endif

#endif
