// SPDX-License-Identifier: BSL-1.0
// tidepool - how long statements take, by what they are: a histogram for each tag.
#ifndef TIDEPOOL_STATEMENT_TIMES_HPP
#define TIDEPOOL_STATEMENT_TIMES_HPP

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "detail/util/linkage.hpp"
#include "histogram.hpp"
#include "prometheus.hpp"
#include "tracing.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Statements of one tag.
struct tag_times {
  std::string tag;           ///< "SELECT"
  std::uint64_t failed = 0;  ///< of them
  histogram times;           ///< of all
};

/// Counts every statement by its tag: `settings.tracing = std::make_shared<tidepool::statement_times>();`. May be shared by any number of
/// connections. Spans go on to `next`, where it is given: each statement is counted, whether `next` samples it or not. Thread safe; costs
/// two reads of the clock and a mutex for each statement.
class statement_times final : public tracing {
 public:
  /// `next`: who gets the spans then; null: nobody.
  TIDEPOOL_DECL explicit statement_times(std::shared_ptr<tracing> next = nullptr) noexcept;

  TIDEPOOL_DECL std::optional<trace_context> start(const trace_start& what) noexcept override;
  TIDEPOOL_DECL void end(const trace_context& span, const trace_end& how) noexcept override;

  /// What was counted since the start, in the order in which the tags came up. Tags are few: a driver makes them of the first word of a
  /// statement.
  TIDEPOOL_DECL std::vector<tag_times> read() const;

 private:
  const std::shared_ptr<tracing> next_;
  mutable std::mutex mutex_;
  std::vector<tag_times> tags_;
};

/// As Prometheus reads it, by OpenTelemetry's name: the histogram `db_client_operation_duration_seconds` with the label
/// `db_operation_name`, and `db_client_operation_tidepool_failures_total`. `system` is the label `db_system_name`: "postgresql", "mysql",
/// "sqlite".
TIDEPOOL_DECL std::string to_prometheus(const statement_times& of, std::string_view system);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#if TIDEPOOL_HEADER_ONLY
#include "impl/statement_times.ipp"
#endif

#endif
