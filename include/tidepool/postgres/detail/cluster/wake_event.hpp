// SPDX-License-Identifier: BSL-1.0
// tidepool - an event that resets itself and wakes one coroutine.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_WAKE_EVENT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_WAKE_EVENT_HPP

#include <atomic>
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
  void set() noexcept {
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
  friend class wake_chain;

  std::mutex mutex_;
  bool set_ = false;
  std::shared_ptr<gate> waiting_;
  std::shared_ptr<wake_event> next_;  ///< in its chain
  std::atomic<bool> chained_{false};
};

/// Those that are to be set, in that order, later and without a lock. Needs no memory of its own.
class wake_chain {
 public:
  wake_chain() = default;
  wake_chain(wake_chain&& other) noexcept : first_(std::move(other.first_)), last_(std::exchange(other.last_, nullptr)) {}
  wake_chain& operator=(wake_chain&&) = delete;
  ~wake_chain() {
    while (take()) continue;
  }

  /// Under one lock for all chains that may get it. One that another thread is about to set stays where it is: it is set after this.
  void add(const std::shared_ptr<wake_event>& one) noexcept {
    if (one->chained_.exchange(true)) return;
    (last_ != nullptr ? last_->next_ : first_) = one;
    last_ = one.get();
  }
  /// The next one; null: there is none.
  std::shared_ptr<wake_event> take() noexcept {
    auto out = std::move(first_);
    if (!out) return out;
    first_ = std::move(out->next_);
    if (!first_) last_ = nullptr;
    out->chained_.store(false);
    return out;
  }
  void set_all() noexcept {
    while (const auto each = take()) each->set();
  }

 private:
  std::shared_ptr<wake_event> first_;
  wake_event* last_ = nullptr;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
