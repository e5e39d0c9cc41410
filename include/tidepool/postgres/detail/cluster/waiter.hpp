// SPDX-License-Identifier: BSL-1.0
// tidepool - a caller of a cluster, as its core knows it.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_WAITER_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_WAITER_HPP

#include <cstddef>
#include <cstdint>

#include "../../../detail/util/intrusive_list.hpp"
#include "../../../time.hpp"
#include "../../../version.hpp"
#include "../../read_options.hpp"
#include "rules.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

enum class verdict {
  waiting,
  granted,  ///< a place on `host`; `got()` or `lost_place()` follows
  revoked,  ///< the host lost its place before the connection was there: the place is given back
  unfit,    ///< no replica is within the bound, and the caller wants to hear of it at once
  refused,  ///< no host lets us in, for a reason that does not pass by itself
  closed
};

/// A caller: in the queue, or on the way to its connection.
struct waiter : tidepool::detail::list_hook {
  bool writes = true;
  duration max_lag = no_limit;
  std::uint64_t not_before = 0;
  read_fallback fallback = read_fallback::primary;
  tick asked{};  ///< the latest time of `ask()`
  std::uint64_t ticket = 0;
  verdict how = verdict::waiting;
  std::size_t host = no_host;
  bool counts = false;                           ///< it holds a place
  bool at_primary = false;                       ///< a place that the host has as the primary
  void (*complete)(waiter&) noexcept = nullptr;  ///< `how` is set; called inside the core, once for each `ask()`
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
