// SPDX-License-Identifier: BSL-1.0
// tidepool - statements counted by their tags, and as Prometheus reads that.
#ifndef TIDEPOOL_IMPL_STATEMENT_TIMES_IPP
#define TIDEPOOL_IMPL_STATEMENT_TIMES_IPP

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../statement_times.hpp"
#include "../version.hpp"
#include "prometheus.ipp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {
namespace detail {

/// A span that `next` did not want, in a bit of the flags that W3C has not defined.
inline constexpr std::uint8_t counted_only = 0x80;

}  // namespace detail

statement_times::statement_times(std::shared_ptr<tracing> next) noexcept : next_(std::move(next)) {}

std::optional<trace_context> statement_times::start(const trace_start& what) noexcept {
  std::optional<trace_context> span;
  if (next_) span = next_->start(what);
  if (span || what.step != trace_step::statement) return span;
  span.emplace().flags = detail::counted_only;
  return span;
}

void statement_times::end(const trace_context& span, const trace_end& how) noexcept {
  if (how.step == trace_step::statement) {
    try {
      const std::lock_guard lock(mutex_);
      tag_times* found = nullptr;
      for (tag_times& one : tags_) {
        if (one.tag == how.tag) found = &one;
      }
      if (!found) {
        found = &tags_.emplace_back();
        found->tag = how.tag;
      }
      found->times.record(how.took);
      if (!how.error.empty()) ++found->failed;
    } catch (...) {  // out of memory for a new tag: it is not counted
    }
  }
  if (next_ && span.flags != detail::counted_only) next_->end(span, how);
}

std::vector<tag_times> statement_times::read() const {
  const std::lock_guard lock(mutex_);
  return tags_;
}

std::string to_prometheus(const statement_times& of, std::string_view system) {
  const std::vector<tag_times> all = of.read();
  const std::vector<const pool_stats*> no_pools;
  detail::prometheus_writer out(no_pools);
  const std::string labels = "db_system_name=\"" + std::string(system) + "\",db_operation_name";
  out.convention("db_client_operation_", labels);
  out.histogram_head("duration_seconds", "Time a statement took, with its results.");
  for (const tag_times& one : all) out.histogram_samples(one.tag, "duration_seconds", one.times);
  out.head("tidepool_failures_total", "counter", "Statements that failed.");
  for (const tag_times& one : all) out.sample(one.tag, "tidepool_failures_total", {}, {}, one.failed);
  return out.take();
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
