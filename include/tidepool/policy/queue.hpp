// SPDX-License-Identifier: BSL-1.0
// tidepool - queue policies: which idle connection is handed out first. Callers are served first come, first served with each.
#ifndef TIDEPOOL_POLICY_QUEUE_HPP
#define TIDEPOOL_POLICY_QUEUE_HPP

#include <type_traits>

#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Default: the connection used last is handed out first, so that the others can reach `idle_timeout` and the server's caches are used.
struct fifo_queue {
  static constexpr bool newest_first = true;
};

/// The connection that is idle longest is handed out first: all are used equally often, and even a light load keeps all of them open.
struct fifo_queue_oldest_idle {
  static constexpr bool newest_first = false;
};

/// What a queue policy needs.
template <class P>
concept queue_policy_form = requires {
  typename std::bool_constant<P::newest_first>;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
