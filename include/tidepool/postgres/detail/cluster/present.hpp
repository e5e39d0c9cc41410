// SPDX-License-Identifier: BSL-1.0
// tidepool - the time of a cluster, as its core counts it.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_PRESENT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_PRESENT_HPP

#include <chrono>

#include "../../../time.hpp"
#include "../../../version.hpp"
#include "../real_time.hpp"
#include "rules.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

using tidepool::detail::driver::later;

inline tick present() noexcept { return tidepool::detail::tick_of(clock::now()); }
inline clock::time_point time_of(tick at) noexcept {
  return clock::time_point(std::chrono::duration_cast<clock::duration>(at.time_since_epoch()));
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
