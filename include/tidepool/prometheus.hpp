// SPDX-License-Identifier: BSL-1.0
// tidepool - pool_stats in the Prometheus text exposition format.
// Source: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4).
#ifndef TIDEPOOL_PROMETHEUS_HPP
#define TIDEPOOL_PROMETHEUS_HPP

#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "detail/util/linkage.hpp"
#include "stats.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

namespace detail {
TIDEPOOL_DECL std::string prometheus_text(const std::vector<const pool_stats*>& pools, std::string_view prefix);
}  // namespace detail

/// The metrics of any number of pools (a range of pool_stats with different names), to be served as `text/plain; version=0.0.4`. Durations
/// are in seconds; every metric has the pool's name as label `pool`. Does not use the pools; allocates the text. Thread safe.
template <class Range>
std::string to_prometheus(const Range& pools, std::string_view prefix = "db_") {
  if constexpr (!std::is_lvalue_reference_v<decltype(*std::begin(pools))>) {
    // A range that makes its elements on the fly, like `views::transform`: copied, because the writer iterates more than once.
    std::vector<pool_stats> kept;
    for (const pool_stats& one : pools) kept.push_back(one);
    return to_prometheus(kept, prefix);
  }
  std::vector<const pool_stats*> all;
  for (const pool_stats& one : pools) all.push_back(&one);
  return detail::prometheus_text(all, prefix);
}
/// The metrics of one pool.
inline std::string to_prometheus(const pool_stats& pool, std::string_view prefix = "db_") {
  return to_prometheus(std::initializer_list<pool_stats>{pool}, prefix);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#if TIDEPOOL_HEADER_ONLY
#include "impl/prometheus.ipp"
#endif

#endif
