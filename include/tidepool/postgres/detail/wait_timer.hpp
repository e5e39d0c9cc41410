// SPDX-License-Identifier: BSL-1.0
// tidepool - the one timer of a session that bounds its waits.
#ifndef TIDEPOOL_POSTGRES_DETAIL_WAIT_TIMER_HPP
#define TIDEPOOL_POSTGRES_DETAIL_WAIT_TIMER_HPP

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "../../detail/driver/asio_io.hpp"
#include "../../detail/driver/first_of.hpp"
#include "../../version.hpp"
#include "real_time.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// Opens a gate when its time has come. The timer is left alone when an answer comes in time, as nearly all do, and looks anew when it
/// fires: a statement sets no timer while one is pending. It fires once a second at least, and is not set again when nobody waits, so that
/// a context with nothing else to do ends soon. Thread safe: the coroutine and the timer may be on two threads.
class wait_timer : public std::enable_shared_from_this<wait_timer> {
 public:
  using gate = tidepool::detail::gate;

  void expect(const asio::any_io_executor& executor, std::weak_ptr<gate> sleeper, clock::time_point due) {
    const std::lock_guard lock(mutex_);
    sleeper_ = std::move(sleeper);
    due_ = due;
    const auto at = std::min(due, clock::now() + longest);
    if (!timer_) timer_.emplace(executor);
    if (!armed_ || armed_for_ > at) arm(at);
  }
  void forget() noexcept {
    const std::lock_guard lock(mutex_);
    sleeper_.reset();
  }
  /// The execution context may go.
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
      if (failure) return;  // set anew, or stopped
      if (const auto self = weak.lock()) self->fired();
    });
    armed_ = true;
  }
  void fired() noexcept {
    std::shared_ptr<gate> late;
    {
      const std::lock_guard lock(mutex_);
      if (!timer_ || armed_for_ > clock::now()) return;  // set anew while this was on its way
      armed_ = false;
      late = sleeper_.lock();
      if (!late) return;
      const auto now = clock::now();
      if (now < due_) {
        late.reset();
        try {
          arm(std::min(due_, now + longest));
        } catch (...) {  // no memory: as if its time had come, which is looked at
          late = sleeper_.lock();
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
  std::weak_ptr<gate> sleeper_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
