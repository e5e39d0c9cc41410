// SPDX-License-Identifier: BSL-1.0
// tidepool - the times by which a cluster's hosts are probed and judged.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_RULES_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_RULES_HPP

#include <chrono>
#include <cstddef>

#include "../../../time.hpp"
#include "../../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

using tidepool::detail::later;
using tidepool::detail::never;
using tidepool::detail::not_known;
using tidepool::detail::tick;

struct rules {
  duration interval = std::chrono::seconds(1);        ///< between probes of a host
  duration hurried = std::chrono::milliseconds(250);  ///< the same while there is no primary
  duration timeout = std::chrono::seconds(1);         ///< without an answer for that long a host is silent
  duration grace = std::chrono::seconds(2);           ///< from the loss of its place until a host's leases are shut
  duration removed_grace = std::chrono::seconds(10);  ///< from a host's removal until its leases are shut
  duration removed_bars = std::chrono::minutes(1);    ///< from a host's removal until its timeline bars lower ones no more
  duration lagging_after = std::chrono::seconds(10);
  duration spacing = std::chrono::milliseconds(20);  ///< between probes that callers wait for
  duration full_for = std::chrono::seconds(5);       ///< a full server that cannot be asked is believed for that long
};

inline constexpr std::size_t no_host = static_cast<std::size_t>(-1);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
