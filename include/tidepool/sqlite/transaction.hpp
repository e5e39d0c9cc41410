// SPDX-License-Identifier: BSL-1.0
// tidepool - transactions: runs a coroutine between BEGIN and COMMIT; a nested transaction is a savepoint.
#ifndef TIDEPOOL_SQLITE_TRANSACTION_HPP
#define TIDEPOOL_SQLITE_TRANSACTION_HPP

#include <chrono>
#include <memory>
#include <utility>

#include "../detail/util/lazy.hpp"
#include "../version.hpp"
#include "detail/any_body.hpp"
#include "queries.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {

/// How a transaction takes its lock; all of SQLite's are serialisable. `automatic`: `immediate`, or `deferred` on a connection that only
/// reads. `deferred` takes the lock with the first write: when another connection has written since the first read, that fails at once, and
/// `busy_timeout` does not help (SQLITE_BUSY_SNAPSHOT, which is `retryable()`).
enum class locking { automatic, deferred, immediate, exclusive };

/// Plain and trivially destructible: `{.retries = 3}` may stand in a `co_await` expression.
struct transaction_options {
  locking lock = locking::automatic;                     ///< see there
  unsigned retries = 0;                                  ///< how often the body runs again after a `retryable()` error
  duration retry_delay = std::chrono::milliseconds(10);  ///< bound of the first pause, doubled each time; the pause is random below it
  duration max_retry_delay = std::chrono::milliseconds(500);
  duration within = no_limit;  ///< the whole of it, from BEGIN to COMMIT, repetitions included: see `connection::transaction()`
};

/// The connection within a transaction. Given to the body of `transaction()`, and valid until the body returns.
///
/// SQLite rolls back the whole transaction by itself when the disk is full, memory or I/O fails, or a statement that writes is interrupted.
/// Later statements of the body would each be a transaction of its own: they are refused with `errc::rolled_back`.
class transaction : public queries<transaction> {
 public:
  transaction(detail::base_ptr s, unsigned depth) : session_(std::move(s)), depth_(depth) {}
  transaction(const transaction&) = delete;
  transaction& operator=(const transaction&) = delete;

  /// A savepoint: released when the body returns, rolled back to when the body throws; the exception is thrown on. On GCC 12 a lambda whose
  /// captures have destructors needs a name, as for `connection::transaction()`.
  template <class Body>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] auto nested(Body&& body) -> asio::awaitable<detail::body_result<Body>> {
    return save(std::forward<Body>(body), no_limit);
  }
  /// The same with a time limit for the whole savepoint. When it is over, the body is cancelled, the savepoint is rolled back to, and the
  /// call throws `errc::response_timeout`; the transaction can go on, unless a statement that wrote was interrupted.
  template <class Body>
  [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] auto nested(within limit, Body&& body) -> asio::awaitable<detail::body_result<Body>> {
    return save(std::forward<Body>(body), limit.limit());
  }

  /// For other parts of the driver.
  template <class = void>
  const detail::base_ptr& live() const {
    if (ended_) refuse();
    return session_;
  }
  void end() noexcept { ended_ = true; }

 private:
  TIDEPOOL_LAZY [[noreturn]] static void refuse();
  template <class Body>
  auto save(Body&& body, duration limit) -> asio::awaitable<detail::body_result<Body>> {
    if constexpr (detail::check_body<Body>()) {
      const auto& s = live();
      return detail::run_any_body(std::forward<Body>(body),
                                  [&](std::shared_ptr<detail::any_body> kept) { return s->save(s, std::move(kept), depth_ + 1, limit); });
    } else {
      return {};
    }
  }

  detail::base_ptr session_;
  unsigned depth_;
  bool ended_ = false;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

#if TIDEPOOL_HEADER_ONLY
#include "impl/transaction.ipp"
#endif

#endif
