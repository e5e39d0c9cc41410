// SPDX-License-Identifier: BSL-1.0
// tidepool - a caller whose failure is explained: what its error tells is the pool at that moment, however much later it comes to read it.
#ifndef TIDEPOOL_DETAIL_SHELL_FAILURE_HPP
#define TIDEPOOL_DETAIL_SHELL_FAILURE_HPP

#include <memory>

#include "../../pool_error.hpp"
#include "../../version.hpp"
#include "../core/wait_queue.hpp"
#include "../util/linkage.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

struct failure_snapshot;
using failure_ptr = std::shared_ptr<const failure_snapshot>;

/// A waiter whose failure is explained.
struct explained_waiter : core_waiter {
  explained_waiter() { explain = true; }
  failure_ptr seen;
};

/// The whole story, put into words by the caller's own thread.
TIDEPOOL_DECL pool_error error_of(const explained_waiter& w);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#if TIDEPOOL_HEADER_ONLY
#include "impl/failure.ipp"
#endif

#endif
