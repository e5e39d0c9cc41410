// SPDX-License-Identifier: BSL-1.0
// tidepool - the figures of a pool by OpenTelemetry's names.
#ifndef TIDEPOOL_IMPL_METRICS_IPP
#define TIDEPOOL_IMPL_METRICS_IPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <string_view>

#include "../metrics.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

std::array<std::uint64_t, metric_bounds.size() + 1> bucket_counts(const histogram& of) noexcept {
  std::array<std::uint64_t, metric_bounds.size() + 1> out{};
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < metric_bounds.size(); ++i) {
    const auto limit = std::chrono::duration_cast<duration>(std::chrono::duration<double>(metric_bounds[i]));
    const std::uint64_t upto = of.at_most(limit);
    out[i] = upto - below;
    below = upto;
  }
  out.back() = of.count() - below;
  return out;
}

namespace detail {

/// Fills in what the points of one pool have in common.
class metric_teller {
 public:
  metric_teller(const pool_stats& of, const std::function<void(const metric&)>& out) : stats_(of), out_(out) {}

  void now(std::string_view name, std::string_view unit, std::string_view description, std::size_t value) const {
    tell({name, unit, description, metric_kind::up_down_counter, {}, {}, {}, static_cast<double>(value)});
  }
  void total(std::string_view name, std::string_view unit, std::string_view description, std::uint64_t value) const {
    tell({name, unit, description, metric_kind::counter, {}, {}, {}, static_cast<double>(value)});
  }
  void times(std::string_view name, std::string_view description, const histogram& of) const {
    tell({name, "s", description, metric_kind::histogram, {}, {}, {}, 0, &of});
  }
  /// One point for each value of an attribute.
  struct part {
    std::string_view value_of_attribute;
    std::uint64_t value;
  };
  template <class Parts>
  void split(std::string_view name, std::string_view unit, std::string_view description, metric_kind kind, std::string_view attribute,
             const Parts& parts) const {
    for (const part& one : parts)
      tell({name, unit, description, kind, {}, attribute, one.value_of_attribute, static_cast<double>(one.value)});
  }

 private:
  void tell(metric one) const {
    one.pool = stats_.name.view();
    out_(one);
  }

  const pool_stats& stats_;
  const std::function<void(const metric&)>& out_;
};

}  // namespace detail

void for_each_metric(const pool_stats& of, const std::function<void(const metric&)>& out) {
  using part = detail::metric_teller::part;
  const detail::metric_teller teller(of, out);
  const part states[] = {{"idle", of.idle_connections}, {"used", of.active_connections}};
  teller.split("db.client.connection.count", "{connection}", "Connections, by whether a caller has them.", metric_kind::up_down_counter,
               "db.client.connection.state", states);
  teller.now("db.client.connection.idle.max", "{connection}", "Idle connections allowed.", of.max_size);
  teller.now("db.client.connection.idle.min", "{connection}", "Idle connections kept.", of.min_idle);
  teller.now("db.client.connection.max", "{connection}", "Connections allowed.", of.max_size);
  teller.now("db.client.connection.pending_requests", "{request}", "Callers in the queue.", of.waiting);
  teller.total("db.client.connection.timeouts", "{timeout}", "Acquires that timed out.", of.timeouts);
  teller.times("db.client.connection.create_time", "Time a connect took.", of.connect_time);
  teller.times("db.client.connection.wait_time", "Time an acquire took.", of.wait_time);
  teller.times("db.client.connection.use_time", "Time a lease was held (sampled).", of.hold_time);

  const part outcomes[] = {{"direct", of.direct},
                           {"waited", of.waited},
                           {"timeout", of.timeouts},
                           {"queue_full", of.rejected_full},
                           {"cancelled", of.cancelled},
                           {"circuit_open", of.refused_open},
                           {"connect_failed", of.refused_connect},
                           {"closed", of.refused_closed}};
  teller.split("db.client.connection.tidepool.acquires", "{request}", "Acquires, by what came of them.", metric_kind::counter, "outcome",
               outcomes);
  part reasons[close_reasons];
  for (std::size_t i = 0; i < close_reasons; ++i) reasons[i] = {to_string(static_cast<close_reason>(i)), of.closed_by_reason[i]};
  teller.split("db.client.connection.tidepool.closed", "{connection}", "Connections that left the pool, by reason.", metric_kind::counter,
               "reason", reasons);
  const part connects[] = {{"ok", of.connections_created}, {"failed", of.connection_errors}};
  teller.split("db.client.connection.tidepool.connects", "{connection}", "Connects, by what came of them.", metric_kind::counter, "result",
               connects);
  const part validations[] = {
      {"ok", of.validations - of.validation_failures}, {"failed", of.validation_failures}, {"skipped", of.validations_skipped}};
  teller.split("db.client.connection.tidepool.validations", "{validation}", "Health checks, and those that were not needed.",
               metric_kind::counter, "result", validations);
  teller.total("db.client.connection.tidepool.resets", "{reset}", "Resets at return.", of.resets);
  const part leaks[] = {{"detected", of.leaks_detected}, {"returned", of.leaks_returned}, {"reclaimed", of.leaks_reclaimed}};
  teller.split("db.client.connection.tidepool.leaks", "{lease}", "Leases held too long, and what came of them.", metric_kind::counter,
               "what", leaks);
  teller.now("db.client.connection.tidepool.leaked", "{lease}", "Leases reported as leaked and still out.", of.leaked);
  teller.now("db.client.connection.tidepool.silent", "{lease}", "Leases that wait for a silent server.", of.silent);
  teller.now("db.client.connection.tidepool.memory", "By", "Memory that the connections hold, as far as their driver tells.",
             of.memory_bytes);
  teller.now("db.client.connection.tidepool.threads", "{thread}", "Threads that the driver runs in this process.", of.driver_threads);
  teller.total("db.client.connection.tidepool.stalls", "{stall}", "Timers that fired late, and times that the machine slept.", of.stalls);
  teller.now("db.client.connection.tidepool.advised_max", "{connection}", "Largest size that the load would need, by the latest advice.",
             of.advised_max_size);
  teller.total("db.client.connection.tidepool.generations", "{generation}", "How often all connections were outdated.", of.generation);
  part health[3];
  const health_status status = assess(of, of).status;
  for (std::size_t i = 0; i < std::size(health); ++i) {
    health[i] = {to_string(static_cast<health_status>(i)), status == static_cast<health_status>(i) ? 1U : 0U};
  }
  teller.split("db.client.connection.tidepool.health", "1", "1 for what assess() says, by the state alone.", metric_kind::up_down_counter,
               "status", health);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
