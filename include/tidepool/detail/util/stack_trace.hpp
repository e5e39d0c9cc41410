// SPDX-License-Identifier: BSL-1.0
// tidepool - the call stack of an acquire, for leak reports; opt-in, because it costs microseconds.
#ifndef TIDEPOOL_DETAIL_UTIL_STACK_TRACE_HPP
#define TIDEPOOL_DETAIL_UTIL_STACK_TRACE_HPP

#include <array>
#include <string>

#include "../../version.hpp"
#include "linkage.hpp"
#include "owning_ptr.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Addresses only; names are looked up when a leak is reported.
class stack_trace {
 public:
  TIDEPOOL_DECL void capture() noexcept;
  /// One symbol a line.
  TIDEPOOL_DECL std::string text() const;

 private:
  std::array<void*, 24> frames_{};
  int depth_ = 0;
};

/// That of the caller of this function's caller; null where there is no memory for it.
TIDEPOOL_DECL owning_ptr<stack_trace> captured_stack() noexcept;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#if TIDEPOOL_HEADER_ONLY
#include "impl/stack_trace.ipp"
#endif

#endif
