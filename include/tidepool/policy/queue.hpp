// SPDX-License-Identifier: BSL-1.0
// tidepool - queue policies: which idle connection is handed out first. Callers are served first come, first served with each.
#ifndef TIDEPOOL_POLICY_QUEUE_HPP
#define TIDEPOOL_POLICY_QUEUE_HPP

#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Default: the connection used last is handed out first, so that idle ones can age out and the server's caches stay warm.
struct fifo_queue {
  static constexpr bool newest_first = true;
};

/// The connection idle longest is handed out first: even use, no shrinking under a trickle.
struct fifo_queue_oldest_idle {
  static constexpr bool newest_first = false;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
