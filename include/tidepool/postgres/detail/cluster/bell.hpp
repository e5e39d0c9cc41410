// SPDX-License-Identifier: BSL-1.0
// tidepool - wakes one coroutine, as often as it likes to wait.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_BELL_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_BELL_HPP

#include <memory>
#include <mutex>
#include <utility>

#include "../../../detail/driver/gate.hpp"
#include "../../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

/// Thread safe. The coroutine that waits may own its bell: before its context is destroyed, `drop()` ends that circle.
class bell {
 public:
  using gate = tidepool::detail::gate;

  /// The coroutine goes on, now or when it waits next.
  void ring() {
    std::shared_ptr<gate> waiting;
    {
      const std::lock_guard lock(mutex_);
      rung_ = true;
      waiting = std::move(waiting_);
    }
    if (waiting) waiting->open();
  }
  /// What to wait at: opens at the next `ring()`, and is open where there was one since the last wait.
  std::weak_ptr<gate> next() {
    const std::lock_guard lock(mutex_);
    if (std::exchange(rung_, false)) return {};
    waiting_ = std::make_shared<gate>();
    return waiting_;
  }
  /// After a wait.
  void heard() noexcept {
    const std::lock_guard lock(mutex_);
    rung_ = false;
  }
  /// Destroys the coroutine that waits.
  void drop() noexcept {
    std::shared_ptr<gate> waiting;
    {
      const std::lock_guard lock(mutex_);
      waiting = std::move(waiting_);
    }
  }

 private:
  std::mutex mutex_;
  bool rung_ = false;
  std::shared_ptr<gate> waiting_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
