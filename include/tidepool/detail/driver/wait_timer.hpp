// SPDX-License-Identifier: BSL-1.0
// tidepool - the timer that bounds the waits of one session.
#ifndef TIDEPOOL_DETAIL_DRIVER_WAIT_TIMER_HPP
#define TIDEPOOL_DETAIL_DRIVER_WAIT_TIMER_HPP

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "../../version.hpp"
#include "asio_io.hpp"
#include "gate.hpp"
#include "real_time.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver {

/// Opens a gate at its deadline. An answer that comes in time, as nearly all do, leaves the timer pending, and the next wait uses it: a
/// statement sets no timer while one is pending. A timer that fires early is set again for the rest. It fires at least once a second, and
/// is not set again when nothing waits, so that a context with no other work ends soon. Thread safe: the coroutine and the timer may run
/// on two threads.
template <class = void>
class basic_wait_timer;
using wait_timer = basic_wait_timer<>;

template <class>
class basic_wait_timer : public std::enable_shared_from_this<wait_timer> {
 public:
  using gate = tidepool::detail::gate;

  /// Opens `waiting` at `due`, until `forget()`.
  void expect(const asio::any_io_executor& executor, std::weak_ptr<gate> waiting, clock::time_point due) {
    const std::lock_guard lock(mutex_);
    waiting_ = std::move(waiting);
    due_ = due;
    const auto at = std::min(due, clock::now() + longest);
    if (!timer_) timer_.emplace(executor);
    if (!armed_ || armed_for_ > at) arm(at);
  }
  void forget() noexcept {
    const std::lock_guard lock(mutex_);
    waiting_.reset();
  }
  /// Before the execution context is destroyed.
  void stop() noexcept {
    const std::lock_guard lock(mutex_);
    timer_.reset();
    armed_ = false;
  }

 private:
  static constexpr std::chrono::seconds longest{1};

  void arm(clock::time_point at) {
    armed_for_ = at;
    timer_->expires_at(at);
    timer_->async_wait([weak = weak_from_this()](error_code failure) {
      if (failure) return;  // set again, or stopped
      if (const auto self = weak.lock()) self->fired();
    });
    armed_ = true;
  }
  void fired() noexcept {
    std::shared_ptr<gate> late;
    {
      const std::lock_guard lock(mutex_);
      if (!timer_ || armed_for_ > clock::now()) return;  // set again while this handler was queued
      armed_ = false;
      late = waiting_.lock();
      if (!late) return;
      const auto now = clock::now();
      if (now < due_) {
        late.reset();
        try {
          arm(std::min(due_, now + longest));
        } catch (...) {  // no memory: opened early, and the wait looks at the time itself
          late = waiting_.lock();
        }
      }
    }
    if (late) late->open();
  }

  std::mutex mutex_;
  std::optional<real_timer> timer_;
  bool armed_ = false;
  clock::time_point armed_for_{};
  clock::time_point due_{};
  std::weak_ptr<gate> waiting_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver

#endif
