// SPDX-License-Identifier: BSL-1.0
// tidepool - what an object of a caller's holds of the driver, until it is moved from.
#ifndef TIDEPOOL_POSTGRES_DETAIL_HELD_HPP
#define TIDEPOOL_POSTGRES_DETAIL_HELD_HPP

#include <utility>

#include "../../detail/util/lazy.hpp"
#include "../../detail/util/owning_ptr.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// `bad_usage`; defined beside the errors.
TIDEPOOL_LAZY [[noreturn, gnu::cold, gnu::noinline]] void refuse_moved_from();

/// An owner that says so when it holds nothing.
template <class T>
class held {
 public:
  explicit held(tidepool::detail::owning_ptr<T> object) noexcept : object_(std::move(object)) {}

  T& operator*() const {
    if (!object_) [[unlikely]]
      refuse_moved_from();
    return *object_;
  }
  T* operator->() const { return &**this; }

 private:
  tidepool::detail::owning_ptr<T> object_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
