// SPDX-License-Identifier: BSL-1.0
// tidepool - the one timer of a pool.
#ifndef TIDEPOOL_DETAIL_SHELL_POOL_TIMER_HPP
#define TIDEPOOL_DETAIL_SHELL_POOL_TIMER_HPP

#include <algorithm>
#include <mutex>
#include <optional>

#include "../../time.hpp"
#include "../../traits.hpp"
#include "../../version.hpp"
#include "../util/asio.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Calls `Owner::on_timer()` at the earliest of the times it was armed for, as long as the owner is there.
///
/// It has a mutex of its own, because Asio's timers are not thread-safe and none of Asio's code may run under the pool's lock. Neither lock
/// is ever taken while the other one is held.
template <class Traits, class Owner>
class pool_timer {
 public:
  explicit pool_timer(const typename Traits::executor_type& executor) : timer_(std::in_place, executor) {}

  /// Fires at `at`, unless it fires before. False: it could not be set, for want of memory.
  bool arm(tick at, Owner& owner) noexcept {
    const std::lock_guard lock(mutex_);
    if (!timer_ || at >= at_) return true;
    at_ = at;
    due_ = (std::max)(at, precise_now<Traits>());
    try {
      timer_->expires_at(time_of<Traits>(at));
      timer_->async_wait([weak = owner.weak_from_this()](error_code failed) {
        if (failed) return;
        if (const auto self = weak.lock()) self->on_timer();
      });
    } catch (...) {
      at_ = never;
      return false;
    }
    return true;
  }
  /// It has fired: whatever is due next has to arm it again. Returns when it should have.
  tick fired() noexcept {
    const std::lock_guard lock(mutex_);
    at_ = never;
    return due_;
  }
  /// For good.
  void stop() noexcept {
    const std::lock_guard lock(mutex_);
    timer_.reset();
  }

 private:
  typename Traits::mutex_type mutex_;
  std::optional<typename timer_of<Traits>::type> timer_;
  tick at_ = never;
  tick due_ = never;  ///< the same, but not before it was armed: what it is for may have been due then
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
