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

/// Which metrics are written: those of one convention, or of several, joined by `|`.
enum class names : unsigned {
  guide = 1,   ///< the guide's six and all others of this library, `db_...`, with the label `pool`
  otel = 2,    ///< OpenTelemetry's `db.client.connection.*` as Prometheus spells them: `db_client_connection_count` and so on
  hikari = 4,  ///< those of HikariCP by Micrometer, `hikaricp_connections_active` and so on, for dashboards made for services in Java
};
constexpr names operator|(names a, names b) noexcept { return static_cast<names>(static_cast<unsigned>(a) | static_cast<unsigned>(b)); }

namespace detail {
TIDEPOOL_DECL std::string prometheus_text(const std::vector<const pool_stats*>& pools, std::string_view prefix, names which);
}  // namespace detail

/// The metrics of any number of pools (a range of pool_stats with different names), to be served as `text/plain; version=0.0.4`. Durations
/// are in seconds; every metric has the pool's name as label `pool`. Does not use the pools; allocates the text. Thread safe. `prefix` is
/// for `names::guide`. `promtool check metrics` has nothing to say of it.
template <class Range>
std::string to_prometheus(const Range& pools, std::string_view prefix = "db_", names which = names::guide) {
  if constexpr (!std::is_lvalue_reference_v<decltype(*std::begin(pools))>) {
    // A range that makes its elements on the fly, like `views::transform`: copied, because the writer iterates more than once.
    std::vector<pool_stats> kept;
    for (const pool_stats& one : pools) kept.push_back(one);
    return to_prometheus(kept, prefix, which);
  }
  std::vector<const pool_stats*> all;
  for (const pool_stats& one : pools) all.push_back(&one);
  return detail::prometheus_text(all, prefix, which);
}
/// `to_prometheus(pool.stats(), names::otel | names::hikari)`.
template <class Range>
std::string to_prometheus(const Range& pools, names which) {
  return to_prometheus(pools, "db_", which);
}
/// The metrics of one pool.
inline std::string to_prometheus(const pool_stats& pool, std::string_view prefix = "db_", names which = names::guide) {
  return to_prometheus(std::initializer_list<pool_stats>{pool}, prefix, which);
}
inline std::string to_prometheus(const pool_stats& pool, names which) { return to_prometheus(pool, "db_", which); }

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#if TIDEPOOL_HEADER_ONLY
#include "impl/prometheus.ipp"
#endif

#endif
