// SPDX-License-Identifier: BSL-1.0
// tidepool - binds an object to the current thread for a scope; scopes nest.
#ifndef TIDEPOOL_TESTING_THREAD_BINDING_HPP
#define TIDEPOOL_TESTING_THREAD_BINDING_HPP

#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing {

/// While it lives, `thread_binding<T>::current()` is `value` on the thread that made it. Bindings nest: the one made last counts, and
/// they may be destroyed in any order, on the thread that made them.
template <class T>
class thread_binding {
 public:
  explicit thread_binding(T& value) noexcept : value_(&value), outer_(top_) {
    if (outer_) outer_->inner_ = this;
    top_ = this;
  }
  ~thread_binding() {
    (inner_ ? inner_->outer_ : top_) = outer_;
    if (outer_) outer_->inner_ = inner_;
  }
  thread_binding(const thread_binding&) = delete;
  thread_binding& operator=(const thread_binding&) = delete;

  /// Null when nothing is bound to this thread.
  static T* current() noexcept { return top_ ? top_->value_ : nullptr; }

 private:
  T* value_;
  thread_binding* outer_;
  thread_binding* inner_ = nullptr;
  static inline constinit thread_local thread_binding* top_ = nullptr;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing

#endif
