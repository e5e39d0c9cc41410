// SPDX-License-Identifier: BSL-1.0
// tidepool - a cluster's hosts in words: see lazy.hpp.
#ifndef TIDEPOOL_POSTGRES_IMPL_TOPOLOGY_IPP
#define TIDEPOOL_POSTGRES_IMPL_TOPOLOGY_IPP

#include <string>

#include "../../detail/util/words.hpp"
#include "../../version.hpp"
#include "../detail/cluster/host_words.hpp"
#include "../topology.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

TIDEPOOL_LAZY_BODY std::string cluster_topology::text() const {
  const std::string since = " for " + tidepool::detail::in_words(in_state);
  std::string out = state == cluster_state::no_primary      ? "no primary" + since
                    : state == cluster_state::two_primaries ? "two primaries of one timeline" + since
                                                            : std::string("one primary");
  for (std::size_t i = 0; i < hosts.size(); ++i) out += (i == 0 ? "; " : ", ") + detail::host_in_words(hosts[i]);
  return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
