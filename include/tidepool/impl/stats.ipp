// SPDX-License-Identifier: BSL-1.0
// tidepool - pool_stats as JSON, without a JSON library, and judged.
#ifndef TIDEPOOL_IMPL_STATS_IPP
#define TIDEPOOL_IMPL_STATS_IPP

#include <string>
#include <string_view>

#include "../detail/util/json_writer.hpp"
#include "../stats.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {
std::string pool_stats::to_json() const {
  detail::json_writer out;
  out.open();
  out.add("name", name.view());
  out.add("state", std::string_view(to_string(state)));
  out.add("breaker", std::string_view(to_string(breaker)));
  out.add("total_connections", total_connections);
  out.add("active_connections", active_connections);
  out.add("idle_connections", idle_connections);
  out.add("connecting", connecting);
  out.add("validating", validating);
  out.add("resetting", resetting);
  out.add("closing", closing);
  out.add("waiting", waiting);
  out.add("leaked", leaked);
  out.add("silent", silent);
  out.add("longest_silence", longest_silence);
  out.add("min_size", min_size);
  out.add("max_size", max_size);
  out.add("target_size", target_size);
  out.add("min_idle", min_idle);
  out.add("memory_bytes", memory_bytes);
  out.add("driver_threads", driver_threads);
  out.add("utilization", utilization());
  out.add("saturation", saturation());
  out.add("total_checkouts", total_checkouts);
  out.add("total_checkins", total_checkins);
  out.add("failed_checkouts", failed_checkouts);
  out.add("avg_checkout_time", avg_checkout_time);
  out.add("max_checkout_time", max_checkout_time);
  out.open("acquires");
  out.add("direct", direct);
  out.add("waited", waited);
  out.add("timeout", timeouts);
  out.add("queue_full", rejected_full);
  out.add("cancelled", cancelled);
  out.add("circuit_open", refused_open);
  out.add("connect_failed", refused_connect);
  out.add("closed", refused_closed);
  out.close();
  out.add("connects_started", connects_started);
  out.add("connections_created", connections_created);
  out.add("connection_errors", connection_errors);
  out.add("connections_closed", connections_closed);
  out.open("closed_by_reason");
  for (std::size_t i = 0; i < close_reasons; ++i) out.add(to_string(static_cast<close_reason>(i)), closed_by_reason[i]);
  out.close();
  out.add("validations", validations);
  out.add("validation_failures", validation_failures);
  out.add("validations_skipped", validations_skipped);
  out.add("resets", resets);
  out.add("leaks_detected", leaks_detected);
  out.add("leaks_returned", leaks_returned);
  out.add("leaks_reclaimed", leaks_reclaimed);
  out.add("stalls", stalls);
  out.add("idle_horizon", idle_horizon);
  out.open("advice");
  out.add("min_size", advised_min_size);
  out.add("max_size", advised_max_size);
  out.add("expected_p99", expected_p99);
  out.close();
  out.add("generation", generation);
  out.add("wait_time", wait_time);
  out.add("hold_time", hold_time);
  out.add("connect_time", connect_time);
  out.close();
  return out.take();
}

health_verdict assess(const pool_stats& now, const pool_stats& before, std::uint64_t max_failed) noexcept {
  switch (now.state) {
    case pool_state::critical: return {health_status::unhealthy, "pool critical"};
    case pool_state::closing:
    case pool_state::closed: return {health_status::unhealthy, "pool closed"};
    default: break;
  }
  const std::uint64_t failed = now.failed_checkouts - now.cancelled;
  const std::uint64_t known = before.failed_checkouts - before.cancelled;
  if (failed > known && failed - known > max_failed) return {health_status::unhealthy, "high error rate"};
  if (now.silent > 0 && now.silent * 2 >= now.active_connections) return {health_status::degraded, "server silent"};
  if (now.state == pool_state::degraded) return {health_status::degraded, "connecting fails"};
  if (now.state == pool_state::suspended) return {health_status::degraded, "suspended"};
  if (now.saturation() > 0.95) return {health_status::degraded, "high utilization"};
  return {health_status::healthy, ""};
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
