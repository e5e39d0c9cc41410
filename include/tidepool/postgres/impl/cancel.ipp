// SPDX-License-Identifier: BSL-1.0
// tidepool - cancellers: see lazy.hpp.
#ifndef TIDEPOOL_POSTGRES_IMPL_CANCEL_IPP
#define TIDEPOOL_POSTGRES_IMPL_CANCEL_IPP

#include <algorithm>
#include <chrono>
#include <utility>

#include "../../version.hpp"
#include "../cancel.hpp"
#include "../detail/cancel_request.hpp"
#include "../detail/real_time.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

TIDEPOOL_LAZY_BODY asio::awaitable<bool> canceller::cancel() const {
  return detail::send_cancel(handle_, detail::cancel_mark(record_), limit_);
}
TIDEPOOL_LAZY_BODY asio::awaitable<bool> canceller::stop(duration limit) const { return repeat(*this, limit); }

TIDEPOOL_LAZY_BODY asio::awaitable<bool> canceller::repeat(canceller self, duration limit) {
  if (!self.record_) co_return true;
  const auto running = self.record_->activity.load();
  if (running % 2 == 0) co_return true;
  const auto until = detail::clock::now() + std::min<duration>(limit, std::chrono::hours(24));
  detail::real_timer timer(co_await asio::this_coro::executor);
  std::chrono::milliseconds pause(2);
  while (detail::clock::now() < until) {
    auto mark = detail::cancel_mark::while_runs(running, self.record_);
    if (!mark) break;
    // A request that the server does not take must not take longer than all together may.
    const auto left = std::max<duration>(until - detail::clock::now(), std::chrono::milliseconds(1));
    auto request = detail::send_cancel(self.handle_, std::move(*mark), std::min(self.limit_, left));
    (void)co_await std::move(request);
    // The answer of the statement itself takes a little longer.
    for (int look = 0; look < 10 && self.record_->activity.load() == running; ++look) {
      timer.expires_after(pause / 10 + std::chrono::milliseconds(1));
      co_await tidepool::detail::await_timer(timer);
    }
    pause = std::min(pause * 4, std::chrono::milliseconds(800));
  }
  co_return self.record_->activity.load() != running;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
