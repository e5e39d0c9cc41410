// SPDX-License-Identifier: BSL-1.0
// tidepool - lets another thread run, without <thread> where that can be had: it is a tenth of what the pool's headers cost.
#ifndef TIDEPOOL_DETAIL_UTIL_YIELD_HPP
#define TIDEPOOL_DETAIL_UTIL_YIELD_HPP

#if defined(__unix__) || defined(__APPLE__)
#include <sched.h>
#else
#include <thread>
#endif

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

inline void yield_thread() noexcept {
#if defined(__unix__) || defined(__APPLE__)
  ::sched_yield();
#else
  std::this_thread::yield();
#endif
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
