// SPDX-License-Identifier: BSL-1.0
// tidepool - the call stack, by the C library where it can: glibc, macOS. Elsewhere, as on Windows, the text is empty.
#ifndef TIDEPOOL_DETAIL_UTIL_IMPL_STACK_TRACE_IPP
#define TIDEPOOL_DETAIL_UTIL_IMPL_STACK_TRACE_IPP

#include <cstdlib>
#include <new>
#include <string>
#if __has_include(<execinfo.h>)
#include <execinfo.h>
#define TIDEPOOL_HAS_EXECINFO 1
#else
#define TIDEPOOL_HAS_EXECINFO 0
#endif

#include "../../../version.hpp"
#include "../owning_ptr.hpp"
#include "../stack_trace.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

void stack_trace::capture() noexcept {
#if TIDEPOOL_HAS_EXECINFO
  depth_ = ::backtrace(frames_.data(), static_cast<int>(frames_.size()));
#endif
}

std::string stack_trace::text() const {
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

owning_ptr<stack_trace> captured_stack() noexcept {
  owning_ptr<stack_trace> out(new (std::nothrow) stack_trace);
  if (out) out->capture();
  return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
