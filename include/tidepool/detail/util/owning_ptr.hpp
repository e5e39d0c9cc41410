// SPDX-License-Identifier: BSL-1.0
// tidepool - a pointer that owns its object. std::unique_ptr is a tuple inside: for each type it costs a compiler several times as much.
#ifndef TIDEPOOL_DETAIL_UTIL_OWNING_PTR_HPP
#define TIDEPOOL_DETAIL_UTIL_OWNING_PTR_HPP

#include <utility>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

struct by_delete {
  template <class T>
  static void end(T* object) noexcept {
    static_assert(sizeof(T) > 0, "T is only declared here");
    delete object;
  }
};

template <class T, class By = by_delete>
class owning_ptr {
 public:
  owning_ptr() = default;
  explicit owning_ptr(T* object) noexcept : object_(object) {}
  owning_ptr(owning_ptr&& other) noexcept : object_(other.release()) {}
  owning_ptr& operator=(owning_ptr&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~owning_ptr() {
    if (object_ != nullptr) By::end(object_);
  }

  T* get() const noexcept { return object_; }
  T* release() noexcept { return std::exchange(object_, nullptr); }
  void reset(T* object = nullptr) noexcept {
    T* const before = std::exchange(object_, object);
    if (before != nullptr) By::end(before);
  }
  void swap(owning_ptr& other) noexcept { std::swap(object_, other.object_); }
  T& operator*() const noexcept { return *object_; }
  T* operator->() const noexcept { return object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }

 private:
  T* object_ = nullptr;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
