// SPDX-License-Identifier: BSL-1.0
// tidepool - the call stack of an acquire, for leak reports; opt-in, because it costs microseconds.
#ifndef TIDEPOOL_DETAIL_UTIL_STACK_TRACE_HPP
#define TIDEPOOL_DETAIL_UTIL_STACK_TRACE_HPP

#include <version>
#if __has_include(<execinfo.h>)
#include <execinfo.h>
#define TIDEPOOL_HAS_EXECINFO 1
#else
#define TIDEPOOL_HAS_EXECINFO 0
#endif

#include <array>
#include <cstdlib>
#include <string>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Addresses only; names are looked up when a leak is reported.
class stack_trace {
 public:
  void capture() noexcept {
#if TIDEPOOL_HAS_EXECINFO
    depth_ = ::backtrace(frames_.data(), static_cast<int>(frames_.size()));
#endif
  }
  /// One symbol a line.
  std::string text() const {
    std::string out;
#if TIDEPOOL_HAS_EXECINFO
    if (depth_ <= 0) return out;
    char** names = ::backtrace_symbols(frames_.data(), depth_);
    if (!names) return out;
    for (int i = 0; i < depth_; ++i) out.append(i ? "\n" : "").append(names[i]);
    std::free(names);
#endif
    return out;
  }

 private:
  std::array<void*, 24> frames_{};
  int depth_ = 0;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
