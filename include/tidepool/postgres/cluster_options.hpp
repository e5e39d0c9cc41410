// SPDX-License-Identifier: BSL-1.0
// tidepool - how a cluster's hosts are probed, and with which pools.
#ifndef TIDEPOOL_POSTGRES_CLUSTER_OPTIONS_HPP
#define TIDEPOOL_POSTGRES_CLUSTER_OPTIONS_HPP

#include <chrono>
#include <string>

#include "../config.hpp"
#include "../detail/util/lazy.hpp"
#include "../time.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// The options of a cluster: a plain value. All times are finite, a year at most, and above zero.
struct cluster_options {
  /// Of the host that is the primary. Its `name` is the cluster's; a pool's is that and the host. `acquire_timeout`, `max_waiting`,
  /// `close_grace` and `start` are those of the cluster. The breaker is off, and pauses between connects are 250 ms at most: pools connect
  /// only to hosts that answer.
  pool_config primary{};
  /// Of a host while it is a standby. Its connections are opened once `cluster::replica()` has been called.
  pool_config replicas{};
  duration probe_interval = std::chrono::seconds(1);           ///< each host is asked that often
  duration hurried_interval = std::chrono::milliseconds(250);  ///< the same while there is no primary
  duration probe_timeout = std::chrono::seconds(1);            ///< a host without an answer for that long is silent
  duration abort_grace = std::chrono::seconds(2);     ///< leases of a host that fell silent, or lost its place, are shut that long after
  duration lagging_after = std::chrono::seconds(10);  ///< a standby this far behind is reported as lagging
  /// Hosts that are names are looked up that often. Where the probe's connection leads to an address that the name has no more, it is made
  /// anew; then the pool follows it. Each name takes a short-lived thread for that.
  duration lookup_interval = std::chrono::seconds(5);
  /// All addresses that a name has are hosts, and those that it gets later: for a name of Kubernetes without an address of its own
  /// ("headless"), say. Else a name is one host, at the address that the probe has reached.
  bool each_address = false;
  /// `primary.min_size` connections are open on each standby too: after a promotion nobody waits for a connect.
  bool warm_standby = false;
  /// Instances of this program share the places of each server: all that use the same `primary.name`, the same role and this option. Each
  /// counts the sessions of all in `pg_stat_activity`, by `application_name`, which becomes that name, `#` and a number. Each has an equal
  /// share, borrows what is free, and gives it back within a probe when another one lacks its share. `max_size` is the upper bound.
  bool share_connections = false;
  double share_part = 0.95;  ///< of the places that nobody else uses; above 0, up to 1

  /// What is wrong with it, in words; empty: nothing.
  TIDEPOOL_LAZY std::string faults() const;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
