// SPDX-License-Identifier: BSL-1.0
// tidepool - what a caller of `cluster::replica()` asks for.
#ifndef TIDEPOOL_POSTGRES_READ_OPTIONS_HPP
#define TIDEPOOL_POSTGRES_READ_OPTIONS_HPP

#include <chrono>

#include "../time.hpp"
#include "../version.hpp"
#include "topology.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// What becomes of a read when no replica is within its bound, though all have just been asked.
enum class read_fallback {
  primary,  ///< it goes to the primary
  wait,     ///< it waits for a replica, until its timeout
  fail      ///< it fails at once, with `errc::no_replica`
};

/// What a read asks for. Trivially destructible, so that it may stand in a `co_await` expression with GCC 12.
struct read_options {
  /// How far the replica may be behind the primary when the lease is granted: an upper bound, which the primary's log and clock prove, with
  /// the age of the proof added. `no_limit`: any replica. Below some 100 ms each read waits for a round trip to both servers.
  duration max_lag = std::chrono::seconds(10);
  read_fallback fallback = read_fallback::primary;
  /// The replica has replayed at least this: `cluster::position()` after one's own write.
  log_position not_before = {};
  /// The wait for a connection and what it takes to find a replica; zero or less: `acquire_timeout` of the configuration.
  duration timeout = duration::zero();
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
