// SPDX-License-Identifier: BSL-1.0
// tidepool - shuts a socket down from any thread, or at a deadline.
#ifndef TIDEPOOL_DETAIL_DRIVER_SOCKET_SHUTDOWN_HPP
#define TIDEPOOL_DETAIL_DRIVER_SOCKET_SHUTDOWN_HPP

#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "../../bounded_string.hpp"
#include "../../time.hpp"
#include "../../version.hpp"
#include "asio_io.hpp"
#include "real_time.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver {

/// Why a socket was shut down from outside.
enum class shutdown_reason { none, aborted, deadline };

/// For the error of an operation that fails because of it: who did it, and why. Kept in place, because nothing may be allocated there.
using shutdown_words = bounded_string<200>;

/// Asio's I/O objects may not be used from two threads, a file descriptor may: `::shutdown()` ends every wait on it, also while it is still
/// connecting. The mutex keeps the descriptor from being closed, and its number from being used again, meanwhile.
template <class = void>
class basic_socket_shutdown {
 public:
  /// The descriptor to shut down from now on; -1: none. At once where that was requested before.
  void watch(int descriptor) noexcept {
    const std::lock_guard lock(mutex_);
    descriptor_ = descriptor;
    if (descriptor >= 0 && reason() != shutdown_reason::none) ::shutdown(descriptor, SHUT_RDWR);
  }
  /// Shuts the socket down. The first reason is kept, with its words.
  void request(shutdown_reason why, std::string_view words = {}) noexcept {
    const std::lock_guard lock(mutex_);
    if (reason() == shutdown_reason::none) {
      words_.assign(words);
      reason_.store(why, std::memory_order_release);
    }
    if (descriptor_ >= 0) ::shutdown(descriptor_, SHUT_RDWR);
  }
  shutdown_reason reason() const noexcept { return reason_.load(std::memory_order_acquire); }
  /// Written before the reason, and never again.
  std::string_view words() const noexcept { return reason() == shutdown_reason::none ? std::string_view() : words_.view(); }

 private:
  std::mutex mutex_;
  shutdown_words words_;
  int descriptor_ = -1;
  std::atomic<shutdown_reason> reason_{shutdown_reason::none};
};
using socket_shutdown = basic_socket_shutdown<>;

/// Requests a shutdown at a deadline, unless it is destroyed or disarmed before. `no_limit` starts no timer.
template <class = void>
class basic_deadline_guard {
 public:
  basic_deadline_guard(const asio::any_io_executor& executor, duration limit, const std::shared_ptr<socket_shutdown>& target)
      : timer_(executor), armed_(std::make_shared<std::atomic<bool>>(true)) {
    if (limit == no_limit) return;
    timer_.expires_after(limit);
    timer_.async_wait([target, armed = armed_](error_code failure) {
      if (!failure && armed->exchange(false)) target->request(shutdown_reason::deadline);
    });
  }
  basic_deadline_guard(const basic_deadline_guard&) = delete;
  basic_deadline_guard& operator=(const basic_deadline_guard&) = delete;
  ~basic_deadline_guard() { disarm(); }

  /// False when the deadline has passed. After true the timer does nothing, even where its handler is queued already.
  bool disarm() noexcept { return armed_->exchange(false); }

 private:
  real_timer timer_;
  std::shared_ptr<std::atomic<bool>> armed_;
};
using deadline_guard = basic_deadline_guard<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver

#endif
