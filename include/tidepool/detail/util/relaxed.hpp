// SPDX-License-Identifier: BSL-1.0
// tidepool - a value that one thread writes and others look at, without order.
#ifndef TIDEPOOL_DETAIL_UTIL_RELAXED_HPP
#define TIDEPOOL_DETAIL_UTIL_RELAXED_HPP

#include <atomic>
#include <type_traits>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// A value written by one thread at a time and looked at by others whenever they like; plain where that takes more than an instruction
/// (then nothing is kept in a stash, and all is done under the lock).
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
