// SPDX-License-Identifier: BSL-1.0
// tidepool - pool_stats one figure at a time, by OpenTelemetry's names, for exporters of any kind.
// Source: OpenTelemetry's semantic conventions for database client metrics (docs/database/database-metrics.md).
#ifndef TIDEPOOL_METRICS_HPP
#define TIDEPOOL_METRICS_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

#include "detail/util/linkage.hpp"
#include "histogram.hpp"
#include "stats.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Which of OpenTelemetry's instruments a figure is for.
enum class metric_kind {
  counter,          ///< since the start of the pool; never decreases
  up_down_counter,  ///< at this moment
  histogram         ///< of durations
};

/// One figure of one pool. What it refers to lives as long as the snapshot it was made of, the names for ever.
struct metric {
  std::string_view name;                    ///< "db.client.connection.count"; what the convention does not have begins with `own_metrics`
  std::string_view unit;                    ///< by UCUM, as there: "{connection}", "s", "By", "1"
  std::string_view description;             ///< one sentence
  metric_kind kind;                         ///< which instrument it is for
  std::string_view pool;                    ///< the attribute "db.client.connection.pool.name"
  std::string_view attribute{};             ///< a second attribute, or empty: "db.client.connection.state"
  std::string_view value_of_attribute{};    ///< "used"
  double value = 0;                         ///< of the first two kinds
  const histogram* distribution = nullptr;  ///< of the third
};
/// What the names of figures that only this library has begin with.
inline constexpr std::string_view own_metrics = "db.client.connection.tidepool.";

/// The upper bounds of the buckets that exporters use, in seconds; one more bucket has what is above.
inline constexpr std::array<double, 17> metric_bounds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                      0.1,    0.25,    0.5,    1,     2.5,    5,     10,   30};
/// How many durations are in each of these buckets, as OpenTelemetry counts them: each duration in one. The bounds are met to an eighth.
TIDEPOOL_DECL std::array<std::uint64_t, metric_bounds.size() + 1> bucket_counts(const histogram& of) noexcept;

/// Calls `out` for each figure of a snapshot, always the same ones in the same order; those of one name follow each other. An exporter
/// turns each into a point of its own: examples/otel_metrics.cpp. Does not use the pool, allocates nothing; thread safe. What `out` throws
/// is thrown.
TIDEPOOL_DECL void for_each_metric(const pool_stats& of, const std::function<void(const metric&)>& out);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#if TIDEPOOL_HEADER_ONLY
#include "impl/metrics.ipp"
#endif

#endif
