// SPDX-License-Identifier: BSL-1.0
// tidepool - a value that one thread writes and others read, without ordering.
#ifndef TIDEPOOL_DETAIL_UTIL_RELAXED_HPP
#define TIDEPOOL_DETAIL_UTIL_RELAXED_HPP

#include <atomic>
#include <type_traits>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// A value that one thread at a time writes and others may read at any time. A plain variable where atomic access is not lock-free: then no
/// stash is used, and all access is under the lock.
template <class T>
class relaxed {
 public:
  static constexpr bool free = std::atomic<T>::is_always_lock_free;

  relaxed() noexcept : value_(T{}) {}
  relaxed& operator=(T value) noexcept {
    if constexpr (free) {
      value_.store(value, std::memory_order_relaxed);
    } else {
      value_ = value;
    }
    return *this;
  }
  operator T() const noexcept {
    if constexpr (free) return value_.load(std::memory_order_relaxed);
    return value_;
  }

 private:
  std::conditional_t<free, std::atomic<T>, T> value_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
