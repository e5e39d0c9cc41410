// SPDX-License-Identifier: BSL-1.0
// tidepool - a host of a cluster in words, for errors and descriptions.
// Before the guard: topology.hpp includes this file where its own declarations are complete.
#include "../../topology.hpp"

#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_HOST_WORDS_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_HOST_WORDS_HPP

#include <string>

#include "../../../detail/util/words.hpp"
#include "../../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// "a:5432 has been silent for 2.1 s".
template <class = void>
inline std::string host_in_words(const host_report& host) {
  using tidepool::detail::in_words;
  const std::string since = " for " + in_words(host.in_state);
  const std::string why = host.error.empty() ? "" : ": " + tidepool::detail::one_line(host.error);
  switch (host.state) {
    case host_state::unknown: return host.host + " is being asked";
    case host_state::unreachable: return host.host + " has been unreachable" + since + why;
    case host_state::silent: return host.host + " has been silent" + since;
    case host_state::starting: return host.host + " has been starting" + since + why;
    case host_state::primary:
      return host.host + " is the primary, " + std::to_string(host.leases) + " of " + std::to_string(host.room) + " leased";
    case host_state::read_only: return host.host + " has been read-only" + since;
    case host_state::fenced: return host.host + " is a superseded primary, of timeline " + std::to_string(host.timeline);
    case host_state::standby:
    case host_state::lagging: break;
  }
  std::string out = host.host + " is a standby";
  if (host.lag == no_limit) {
    out += " whose lag is not known";
  } else {
    out += " at most " + in_words(host.lag) + " behind";
  }
  if (host.leases > 0) out += ", " + std::to_string(host.leases) + " of " + std::to_string(host.room) + " leased";
  return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
