// SPDX-License-Identifier: BSL-1.0
// tidepool - stops a statement from another coroutine or thread.
#ifndef TIDEPOOL_MYSQL_CANCEL_HPP
#define TIDEPOOL_MYSQL_CANCEL_HPP

#include <memory>
#include <utility>

#include "../detail/util/asio.hpp"
#include "../detail/util/lazy.hpp"
#include "../time.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql {
namespace detail {
struct cancel_target;
}

/// Stops the statement that a connection runs. Get one from `connection::canceller()`; copies are cheap and may be used on any thread, also
/// after the connection is gone. The stopped statement fails with 1317. It belongs to the connection, not to the lease: one that is used
/// after the lease stops the next holder's statement. A connection whose request is still under way when its lease ends is closed, because
/// the request could hit the next holder.
class canceller {
 public:
  canceller() = default;
  explicit canceller(std::shared_ptr<const detail::cancel_target> whom) : whom_(std::move(whom)) {}

  /// Sends KILL QUERY over a connection of its own, on the caller's executor. True when the server has done it; the statement may have
  /// ended before, or not yet begun. False when it could not be sent within `options::cancel_timeout`. Throws only when the caller is
  /// cancelled.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<bool> cancel() const;

 private:
  std::shared_ptr<const detail::cancel_target> whom_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql

#if TIDEPOOL_HEADER_ONLY
#include "impl/cancel.ipp"
#endif

#endif
