// SPDX-License-Identifier: BSL-1.0
// tidepool - stops a statement from another coroutine or thread.
#ifndef TIDEPOOL_POSTGRES_CANCEL_HPP
#define TIDEPOOL_POSTGRES_CANCEL_HPP

#include <chrono>
#include <memory>
#include <utility>

#include "../detail/util/asio.hpp"
#include "../detail/util/lazy.hpp"
#include "../time.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {
namespace detail {

template <class>
class basic_cancel_mark;
using cancel_mark = basic_cancel_mark<void>;
template <class>
class basic_cancel_request;
using cancel_request = basic_cancel_request<void>;
using cancel_handle = std::shared_ptr<cancel_request>;
struct cancel_record;

}  // namespace detail

/// Stops the statement that a connection runs. Get one from `connection::canceller()`; copies are cheap and may be used on any
/// thread, also after the connection is gone (then nothing happens). The stopped statement fails with SQLSTATE 57014.
/// It belongs to the connection, not to the lease: one that is used after the lease stops the next holder's statement.
///
/// A connection whose request is still under way when its lease ends is closed, because the request could hit the next holder.
class canceller {
 public:
  canceller() = default;
  canceller(detail::cancel_handle handle, std::shared_ptr<detail::cancel_record> record, duration limit)
      : handle_(std::move(handle)), record_(std::move(record)), limit_(limit) {}

  /// Sends one request. True when the server has taken it. It may have had no effect all the same: the statement had ended already, or not
  /// yet begun. False when it could not be sent within `options::cancel_timeout`. Completes on the caller's executor. Throws only when the
  /// caller is cancelled.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<bool> cancel() const;

  /// Sends requests, with growing pauses, until the operation that runs now has ended or `limit` is over. True when it has ended, or none
  /// was running. One request is not always enough: one that comes before the server has begun the statement has no effect. One that comes
  /// late may stop the next statement of the same lease.
  TIDEPOOL_LAZY [[nodiscard(TIDEPOOL_DETAIL_AWAIT)]] asio::awaitable<bool> stop(duration limit = std::chrono::seconds(5)) const;

 private:
  TIDEPOOL_LAZY static asio::awaitable<bool> repeat(canceller self, duration limit);

  detail::cancel_handle handle_;
  std::shared_ptr<detail::cancel_record> record_;
  duration limit_ = std::chrono::milliseconds(500);
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#if TIDEPOOL_HEADER_ONLY
#include "impl/cancel.ipp"
#endif

#endif
