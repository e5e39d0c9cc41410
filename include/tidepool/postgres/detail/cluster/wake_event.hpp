// SPDX-License-Identifier: BSL-1.0
// tidepool - an event that resets itself and wakes one coroutine.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_WAKE_EVENT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_WAKE_EVENT_HPP

#include <memory>
#include <mutex>
#include <utility>

#include "../../../detail/driver/gate.hpp"
#include "../../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

/// Thread safe. The coroutine that waits may own the event: before its context is destroyed, `destroy_waiter()` ends that circle.
class wake_event {
 public:
  using gate = tidepool::detail::gate;

  /// The coroutine goes on, now or when it waits next.
  void set() {
    std::shared_ptr<gate> waiting;
    {
      const std::lock_guard lock(mutex_);
      set_ = true;
      waiting = std::move(waiting_);
    }
    if (waiting) waiting->open();
  }
  /// What to wait at: opens at the next `set()`, and is open where there was one since the last wait.
  std::weak_ptr<gate> next() {
    const std::lock_guard lock(mutex_);
    if (std::exchange(set_, false)) return {};
    waiting_ = std::make_shared<gate>();
    return waiting_;
  }
  /// After a wait.
  void reset() noexcept {
    const std::lock_guard lock(mutex_);
    set_ = false;
  }
  /// Destroys the coroutine that waits.
  void destroy_waiter() noexcept {
    std::shared_ptr<gate> waiting;
    {
      const std::lock_guard lock(mutex_);
      waiting = std::move(waiting_);
    }
  }

 private:
  std::mutex mutex_;
  bool set_ = false;
  std::shared_ptr<gate> waiting_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
