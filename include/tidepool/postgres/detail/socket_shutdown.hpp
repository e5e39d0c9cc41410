// SPDX-License-Identifier: BSL-1.0
// tidepool - shuts a socket from any thread, and does so when a deadline passes.
#ifndef TIDEPOOL_POSTGRES_DETAIL_SOCKET_SHUTDOWN_HPP
#define TIDEPOOL_POSTGRES_DETAIL_SOCKET_SHUTDOWN_HPP

#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

#include "../../detail/driver/asio_io.hpp"
#include "../../time.hpp"
#include "../../version.hpp"
#include "real_time.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// Why a socket was shut from outside.
enum class shutdown_reason { none, aborted, deadline };

/// Asio's I/O objects may not be touched from two threads, a file descriptor may: `shutdown()` wakes whoever waits on it,
/// also while it is still connecting. The mutex keeps the number from being closed, and used again, meanwhile.
class socket_shutdown {
 public:
  void watch(int descriptor) noexcept {
    const std::lock_guard lock(mutex_);
    descriptor_ = descriptor;
    if (descriptor >= 0 && reason() != shutdown_reason::none) ::shutdown(descriptor, SHUT_RDWR);
  }
  void request(shutdown_reason why) noexcept {
    const std::lock_guard lock(mutex_);
    if (reason() == shutdown_reason::none) reason_.store(why, std::memory_order_release);
    if (descriptor_ >= 0) ::shutdown(descriptor_, SHUT_RDWR);
  }
  shutdown_reason reason() const noexcept { return reason_.load(std::memory_order_acquire); }

 private:
  std::mutex mutex_;
  int descriptor_ = -1;
  std::atomic<shutdown_reason> reason_{shutdown_reason::none};
};

/// Fires the switch unless it is destroyed or disarmed in time. `no_limit` starts no timer.
class deadline_guard {
 public:
  deadline_guard(const asio::any_io_executor& executor, duration limit, const std::shared_ptr<socket_shutdown>& target)
      : timer_(executor), armed_(std::make_shared<std::atomic<bool>>(true)) {
    if (limit == no_limit) return;
    timer_.expires_after(limit);
    timer_.async_wait([target, armed = armed_](error_code failure) {
      if (!failure && armed->exchange(false)) target->request(shutdown_reason::deadline);
    });
  }
  deadline_guard(const deadline_guard&) = delete;
  deadline_guard& operator=(const deadline_guard&) = delete;
  ~deadline_guard() { disarm(); }

  /// False when the deadline has passed. After true it never will: a handler that is queued already does nothing.
  bool disarm() noexcept { return armed_->exchange(false); }

 private:
  real_timer timer_;
  std::shared_ptr<std::atomic<bool>> armed_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
