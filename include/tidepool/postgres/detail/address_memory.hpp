// SPDX-License-Identifier: BSL-1.0
// tidepool - in which order the servers are tried; what failed lately comes last.
#ifndef TIDEPOOL_POSTGRES_DETAIL_ADDRESS_MEMORY_HPP
#define TIDEPOOL_POSTGRES_DETAIL_ADDRESS_MEMORY_HPP

#include <algorithm>
#include <string>
#include <vector>

#include "../../detail/driver/address_memory.hpp"
#include "../../version.hpp"
#include "../options.hpp"
#include "real_time.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

using tidepool::detail::driver::address_memory;
using tidepool::detail::driver::attempt_note;
using tidepool::detail::driver::interleave_families;

/// The key of a lookup. Not the bare name: a host's name may look the same as an address.
template <class = void>
inline std::string lookup_key(const endpoint& host) {
  return "lookup of " + host.text();
}

/// The order in which hosts are looked up: as given or shuffled, and last the names whose lookup failed lately.
template <class = void>
inline std::vector<endpoint> host_order(const options& settings, const address_memory& memory) {
  auto order = settings.endpoints();
  if (settings.load_balance()) {
    auto random = seeded_random();
    std::shuffle(order.begin(), order.end(), random);
  }
  std::stable_partition(order.begin(), order.end(),
                        [&](const endpoint& e) { return memory.recall(lookup_key(e)) == address_memory::mark::good; });
  return order;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
