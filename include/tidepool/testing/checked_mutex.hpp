// SPDX-License-Identifier: BSL-1.0
// tidepool - a mutex for tests on one thread that reports user code, I/O and completions under a lock.
#ifndef TIDEPOOL_TESTING_CHECKED_MUTEX_HPP
#define TIDEPOOL_TESTING_CHECKED_MUTEX_HPP

#include <stdexcept>
#include <utility>

#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing {

/// For `Traits::mutex_type` in tests on one thread. A second lock would be a deadlock, and a completion, I/O or user code under the lock is
/// a fault. The kit's executor, timers and connections report such faults here, and a test's own hooks may; `simulation::step()` throws
/// them.
class checked_mutex {
 public:
  checked_mutex() = default;
  checked_mutex(const checked_mutex&) = delete;
  checked_mutex& operator=(const checked_mutex&) = delete;

  /// Throws `std::logic_error` when it is locked already.
  void lock() {
    if (!try_lock()) throw std::logic_error("checked_mutex: locked twice by one thread");
  }
  bool try_lock() noexcept {
    if (locked_) return false;
    locked_ = true;
    ++held_;
    return true;
  }
  void unlock() noexcept {
    locked_ = false;
    --held_;
  }

  /// How many of these mutexes the calling thread holds.
  static int held() noexcept { return held_; }
  /// Records `what`, a literal, as the thread's fault if the thread holds any.
  static void expect_unlocked(const char* what) noexcept {
    if (held_ != 0 && !fault_) fault_ = what;
  }
  /// While it lives no mutex counts as held: for calls under a lock that are correct.
  class exemption {
   public:
    exemption() noexcept : held_before_(std::exchange(held_, 0)) {}
    exemption(const exemption&) = delete;
    exemption& operator=(const exemption&) = delete;
    ~exemption() { held_ += held_before_; }

   private:
    int held_before_;
  };
  /// The first fault since the last call of this, or null.
  static const char* take_fault() noexcept { return std::exchange(fault_, nullptr); }

 private:
  bool locked_ = false;
  static inline constinit thread_local int held_ = 0;
  static inline constinit thread_local const char* fault_ = nullptr;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing

#endif
