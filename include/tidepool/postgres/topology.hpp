// SPDX-License-Identifier: BSL-1.0
// tidepool - the hosts of a cluster and what is known of them: states, reports, events.
#ifndef TIDEPOOL_POSTGRES_TOPOLOGY_HPP
#define TIDEPOOL_POSTGRES_TOPOLOGY_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../detail/util/lazy.hpp"
#include "../time.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// What is known of a host, by its answers to probes alone.
enum class host_state {
  unknown,      ///< not asked yet, or its connection was lost and it is being asked again
  unreachable,  ///< nothing listens, or connecting fails
  silent,       ///< a probe has had no answer for `cluster_options::probe_timeout`
  starting,     ///< it starts up, or goes down
  primary,      ///< it takes writes
  read_only,    ///< no standby, and its sessions are read-only
  standby,      ///< it replays what a primary sends
  lagging,      ///< a standby whose lag is above `cluster_options::lagging_after`, or not known
  fenced        ///< it says that it is a primary, of a timeline that has been superseded
};
inline const char* to_string(host_state state) noexcept {
  constexpr const char* names[] = {"unknown", "unreachable", "silent", "starting", "primary", "read_only", "standby", "lagging", "fenced"};
  return names[static_cast<int>(state)];
}

/// Whether there is a primary.
enum class cluster_state {
  no_primary,    ///< callers who write wait
  one_primary,   ///< and it serves
  two_primaries  ///< of one timeline: none of them gets writes
};
inline const char* to_string(cluster_state state) noexcept {
  constexpr const char* names[] = {"no_primary", "one_primary", "two_primaries"};
  return names[static_cast<int>(state)];
}

/// One host of a cluster.
struct host_report {
  host_report() = default;  // no aggregate: GCC 12 destroys those twice in a `co_await` expression
  std::string host;         ///< as "10.0.0.7:5432"
  host_state state{};
  duration in_state{};               ///< for how long
  duration answered = no_limit;      ///< since it was asked what it answered last; `no_limit`: it never has
  std::uint32_t timeline = 0;        ///< of a primary; 0: not known
  std::uint64_t lsn = 0;             ///< where a primary's log ends, and what a standby has replayed; 0: not known
  duration lag = no_limit;           ///< upper bound of what a standby is behind now, the age of its probe included; `no_limit`: not known
  bool behind_pooler = false;        ///< a pooler is in between
  std::size_t leases = 0;            ///< of this cluster object
  std::size_t room = 0;              ///< how many leases there may be
  std::uint64_t refused_writes = 0;  ///< writes on leases of `primary()` that the server refused as read-only (25006)
  std::string error;                 ///< why it cannot be reached
};

/// All hosts at one moment.
struct cluster_topology {
  cluster_topology() = default;  // no aggregate, as above
  cluster_state state{};
  duration in_state{};
  std::vector<host_report> hosts;  ///< in the order of the connection string
  /// The one that gets writes, or null.
  const host_report* primary() const& noexcept {
    for (const auto& each : hosts) {
      if (state == cluster_state::one_primary && each.state == host_state::primary) return &each;
    }
    return nullptr;
  }
  const host_report* primary() const&& = delete;  ///< it would be gone: `const auto seen = db.topology();` first
  /// One line: "no primary for 2.2 s; a:5432 has been silent for 2.1 s, b:5432 is a standby at most 120 ms behind".
  TIDEPOOL_LAZY std::string text() const;
};

/// A host, or the cluster, changed its state. Texts are valid during the call.
struct cluster_event {
  std::string_view host;  ///< empty: it is about the cluster
  host_state from{};      ///< of the host; both zero for the cluster
  host_state to{};
  cluster_state before{};  ///< of the cluster; both alike where it is about a host
  cluster_state after{};
  std::string_view error;  ///< why a host cannot be reached
};

/// A place in the primary's log, for reading one's own writes: see `cluster::position()`.
struct log_position {
  std::uint64_t lsn = 0;  ///< 0: anywhere
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#if TIDEPOOL_HEADER_ONLY
#include "impl/topology.ipp"
#endif

#endif
