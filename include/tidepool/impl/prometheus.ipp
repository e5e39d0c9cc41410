// SPDX-License-Identifier: BSL-1.0
// tidepool - the metrics of pools as text.
#ifndef TIDEPOOL_IMPL_PROMETHEUS_IPP
#define TIDEPOOL_IMPL_PROMETHEUS_IPP

#include <charconv>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../metrics.hpp"
#include "../prometheus.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

class prometheus_writer {
 public:
  explicit prometheus_writer(const std::vector<const pool_stats*>& pools) : pools_(pools) {}

  /// What the next names begin with, and the label with the pool's name.
  void convention(std::string_view prefix, std::string_view pool_label) {
    prefix_ = prefix;
    pool_label_ = pool_label;
  }

  void head(const char* name, const char* type, const char* help) {
    text_.append("# HELP ").append(prefix_).append(name).append(" ").append(help);
    text_.append("\n# TYPE ").append(prefix_).append(name).append(" ").append(type).append("\n");
  }
  template <class Read>
  void family(const char* name, const char* type, const char* help, Read read) {
    head(name, type, help);
    for (const pool_stats* s : pools_) sample(s->name.view(), name, {}, {}, read(*s));
  }
  /// One sample for each pool and each value of one label, read by `read(stats, i)`.
  template <class Name, class Read>
  void family_by(const char* name, const char* type, const char* help, const char* label, std::size_t values, Name value_name, Read read) {
    head(name, type, help);
    for (const pool_stats* s : pools_)
      for (std::size_t i = 0; i < values; ++i) sample(s->name.view(), name, label, value_name(i), read(*s, i));
  }
  template <class Read>
  void histogram_family(const char* name, const char* help, Read read) {
    histogram_head(name, help);
    for (const pool_stats* s : pools_) histogram_samples(s->name.view(), name, read(*s));
  }
  /// The points from `first` to `end` of each pool, all of one name.
  void otel_family(const std::string& name, const std::vector<std::vector<metric>>& pools, std::size_t first, std::size_t end) {
    const metric& of = pools.front()[first];
    const std::string help(of.description);
    if (of.kind == metric_kind::histogram) {
      histogram_head(name.c_str(), help.c_str());
    } else {
      head(name.c_str(), of.kind == metric_kind::counter ? "counter" : "gauge", help.c_str());
    }
    std::string attribute(of.attribute);
    for (char& c : attribute) c = c == '.' ? '_' : c;
    for (const std::vector<metric>& one : pools) {
      for (std::size_t i = first; i < end; ++i) {
        const metric& point = one[i];
        if (point.distribution) {
          histogram_samples(point.pool, name, *point.distribution);
        } else {
          sample(point.pool, name.c_str(), attribute, point.value_of_attribute, point.value);
        }
      }
    }
  }
  std::string take() { return std::move(text_); }
  template <class Number>
  void sample(std::string_view pool, const char* name, std::string_view label, std::string_view value, Number number_of) {
    text_.append(prefix_).append(name).append("{").append(pool_label_).append("=\"");
    for (const char c : pool) {
      if (c == '\n') {
        text_ += "\\n";
        continue;
      }
      if (c == '"' || c == '\\') text_ += '\\';
      text_ += c;
    }
    text_ += '"';
    if (!label.empty()) text_.append(",").append(label).append("=\"").append(value).append("\"");
    text_.append("} ").append(number(number_of)).append("\n");
  }
  void histogram_head(const char* name, const char* help) {
    // Both ends of a quantile's error are in the histogram itself, see histogram.hpp.
    head(name, "histogram", (std::string(help) + " Values are rounded to at most an eighth.").c_str());
  }
  void histogram_samples(std::string_view pool, const std::string& base, const histogram& h) {
    const auto counts = bucket_counts(h);
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < metric_bounds.size(); ++i) {
      below += counts[i];
      sample(pool, (base + "_bucket").c_str(), "le", number(metric_bounds[i]), below);
    }
    sample(pool, (base + "_bucket").c_str(), "le", "+Inf", h.count());
    sample(pool, (base + "_sum").c_str(), {}, {}, h.sum_seconds());
    sample(pool, (base + "_count").c_str(), {}, {}, h.count());
  }

 private:
  template <std::integral T>
  static std::string number(T value) {
    return std::to_string(value);  // every digit: otherwise a large counter would increase in steps
  }
  static std::string number(double value) {
    char digits[40];
    // Not printf: a locale may want a decimal comma.
    const auto written = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::general, 15);
    return std::string(digits, written.ptr);
  }
  const std::vector<const pool_stats*>& pools_;
  std::string_view prefix_, pool_label_;
  std::string text_;
};

/// The names of `for_each_metric()` as those of OpenTelemetry become Prometheus'.
inline std::string name_of_otel(const metric& one) {
  std::string out(one.name);
  for (char& c : out) c = c == '.' ? '_' : c;
  if (one.unit == "s") out += "_seconds";
  if (one.unit == "By") out += "_bytes";
  if (one.kind == metric_kind::counter) out += "_total";
  return out;
}
inline void write_otel(prometheus_writer& out, const std::vector<const pool_stats*>& pools) {
  out.convention("", "db_client_connection_pool_name");
  std::vector<std::vector<metric>> all;  // of each pool the same, in the same order
  for (const pool_stats* s : pools) {
    for_each_metric(*s, [&, one = &all.emplace_back()](const metric& got) { one->push_back(got); });
  }
  const std::size_t count = all.empty() ? 0 : all.front().size();
  for (std::size_t first = 0, end = 0; first < count; first = end) {
    const metric& of = all.front()[first];
    for (end = first; end < count && all.front()[end].name == of.name; ++end) {
    }
    out.otel_family(name_of_otel(of), all, first, end);
  }
}
/// Source: Micrometer's MicrometerMetricsTracker in HikariCP.
inline void write_hikari(prometheus_writer& out) {
  out.convention("hikaricp_connections", "pool");
  out.family("", "gauge", "Connections.", [](const pool_stats& s) { return s.total_connections; });
  out.family("_active", "gauge", "Connections leased.", [](const pool_stats& s) { return s.active_connections; });
  out.family("_idle", "gauge", "Connections idle.", [](const pool_stats& s) { return s.idle_connections; });
  out.family("_pending", "gauge", "Callers in the queue.", [](const pool_stats& s) { return s.waiting; });
  out.family("_max", "gauge", "Upper bound of the size.", [](const pool_stats& s) { return s.max_size; });
  out.family("_min", "gauge", "Lower bound of the size.", [](const pool_stats& s) { return s.min_size; });
  out.family("_timeout_total", "counter", "Acquires that timed out.", [](const pool_stats& s) { return s.timeouts; });
  out.histogram_family("_acquire_seconds", "Time an acquire took.", [](const pool_stats& s) -> const histogram& { return s.wait_time; });
  out.histogram_family("_usage_seconds", "Time a lease was held (sampled).",
                       [](const pool_stats& s) -> const histogram& { return s.hold_time; });
  out.histogram_family("_creation_seconds", "Time a connect took.", [](const pool_stats& s) -> const histogram& { return s.connect_time; });
}

inline void write_guide(prometheus_writer& out, std::string_view prefix) {
  out.convention(prefix, "pool");
  out.family("pool_size", "gauge", "Connections in the pool, all states.", [](const pool_stats& s) { return s.total_connections; });
  out.family("pool_active", "gauge", "Connections leased.", [](const pool_stats& s) { return s.active_connections; });
  out.family("pool_idle", "gauge", "Connections idle.", [](const pool_stats& s) { return s.idle_connections; });
  out.family("pool_connecting", "gauge", "Connects in flight.", [](const pool_stats& s) { return s.connecting; });
  out.family("pool_validating", "gauge", "Connections being validated.", [](const pool_stats& s) { return s.validating; });
  out.family("pool_resetting", "gauge", "Connections being reset.", [](const pool_stats& s) { return s.resetting; });
  out.family("pool_closing", "gauge", "Connections being closed.", [](const pool_stats& s) { return s.closing; });
  out.family("pool_waiting", "gauge", "Callers in the queue.", [](const pool_stats& s) { return s.waiting; });
  out.family("pool_leaked", "gauge", "Leases reported as leaked and still out.", [](const pool_stats& s) { return s.leaked; });
  out.family("pool_silent", "gauge", "Leases that wait for a silent server.", [](const pool_stats& s) { return s.silent; });
  out.family("pool_min_size", "gauge", "Lower bound of the size.", [](const pool_stats& s) { return s.min_size; });
  out.family("pool_max_size", "gauge", "Upper bound of the size.", [](const pool_stats& s) { return s.max_size; });
  out.family("pool_target_size", "gauge", "What scaling aims at.", [](const pool_stats& s) { return s.target_size; });
  out.family("pool_min_idle", "gauge", "Connections to be kept spare.", [](const pool_stats& s) { return s.min_idle; });
  out.family("pool_memory_bytes", "gauge", "Memory that the connections hold, as far as their driver tells.",
             [](const pool_stats& s) { return s.memory_bytes; });
  out.family("pool_driver_threads", "gauge", "Threads that the driver runs in this process.",
             [](const pool_stats& s) { return s.driver_threads; });
  out.family("pool_idle_max", "gauge", "Idle connections allowed.", [](const pool_stats& s) { return s.max_size; });
  out.family("pool_longest_silence_seconds", "gauge", "Longest wait for a silent server.",
             [](const pool_stats& s) { return std::chrono::duration<double>(s.longest_silence).count(); });
  out.family("pool_generation", "gauge", "Of the connections made now: one more whenever all are outdated.",
             [](const pool_stats& s) { return s.generation; });
  out.family("pool_utilization_ratio", "gauge", "Leased share of the open connections.",
             [](const pool_stats& s) { return s.utilization(); });
  out.family("pool_saturation_ratio", "gauge", "Leased share of the upper bound.", [](const pool_stats& s) { return s.saturation(); });
  out.family_by(
      "pool_state", "gauge", "1 for the state the pool is in.", "state", 7,
      [](std::size_t i) { return to_string(static_cast<pool_state>(i)); },
      [](const pool_stats& s, std::size_t i) { return s.state == static_cast<pool_state>(i) ? 1 : 0; });
  out.family_by(
      "pool_breaker_state", "gauge", "1 for the state of the circuit breaker.", "state", 3,
      [](std::size_t i) { return to_string(static_cast<breaker_state>(i)); },
      [](const pool_stats& s, std::size_t i) { return s.breaker == static_cast<breaker_state>(i) ? 1 : 0; });
  out.family_by(
      "pool_health", "gauge", "1 for what assess() says, by the state alone.", "status", 3,
      [](std::size_t i) { return to_string(static_cast<health_status>(i)); },
      [](const pool_stats& s, std::size_t i) { return assess(s, s).status == static_cast<health_status>(i) ? 1 : 0; });

  out.family("checkouts_total", "counter", "Leases handed out.", [](const pool_stats& s) { return s.total_checkouts; });
  static constexpr const char* ways[] = {"direct", "waited"};
  out.family_by(
      "checkouts_served_total", "counter", "Leases handed out at once, and after a wait.", "how", 2, [](std::size_t i) { return ways[i]; },
      [](const pool_stats& s, std::size_t i) { return i == 0 ? s.direct : s.waited; });
  out.family("checkins_total", "counter", "Leases ended.", [](const pool_stats& s) { return s.total_checkins; });
  static constexpr const char* causes[] = {"timeout", "queue_full", "cancelled", "circuit_open", "connect_failed", "closed"};
  out.family_by(
      "checkout_errors_total", "counter", "Acquires that failed, by cause.", "cause", std::size(causes),
      [](std::size_t i) { return causes[i]; },
      [](const pool_stats& s, std::size_t i) {
        const std::uint64_t counts[] = {s.timeouts, s.rejected_full, s.cancelled, s.refused_open, s.refused_connect, s.refused_closed};
        return counts[i];
      });
  out.family("connects_started_total", "counter", "Connect attempts.", [](const pool_stats& s) { return s.connects_started; });
  out.family("connections_created_total", "counter", "Connects that succeeded.", [](const pool_stats& s) { return s.connections_created; });
  out.family("connection_errors_total", "counter", "Connects that failed.", [](const pool_stats& s) { return s.connection_errors; });
  out.family_by(
      "connections_closed_total", "counter", "Connections that left the pool, by reason.", "reason", close_reasons,
      [](std::size_t i) { return to_string(static_cast<close_reason>(i)); },
      [](const pool_stats& s, std::size_t i) { return s.closed_by_reason[i]; });
  out.family("validations_total", "counter", "Health checks made.", [](const pool_stats& s) { return s.validations; });
  out.family("validation_failures_total", "counter", "Health checks failed.", [](const pool_stats& s) { return s.validation_failures; });
  out.family("validations_skipped_total", "counter", "Hand-outs without the health check before them that was not needed.",
             [](const pool_stats& s) { return s.validations_skipped; });
  out.family("resets_total", "counter", "Resets at return.", [](const pool_stats& s) { return s.resets; });
  out.family("leaks_detected_total", "counter", "Leases held too long.", [](const pool_stats& s) { return s.leaks_detected; });
  out.family("leaks_returned_total", "counter", "Of those, came back.", [](const pool_stats& s) { return s.leaks_returned; });
  out.family("leaks_reclaimed_total", "counter", "Of those, lost their connection.", [](const pool_stats& s) { return s.leaks_reclaimed; });
  out.family("stalls_total", "counter", "Timers that fired late, and times that the machine slept.",
             [](const pool_stats& s) { return s.stalls; });
  out.family("idle_horizon_seconds", "gauge", "Idle time after which connections die; 0: none is known.",
             [](const pool_stats& s) { return std::chrono::duration<double>(s.idle_horizon).count(); });
  out.family("advised_max_size", "gauge", "max_size that the load would need, by the latest advice; 0: there is none.",
             [](const pool_stats& s) { return s.advised_max_size; });
  out.family("advised_min_size", "gauge", "min_size that the load would need, by the latest advice; 0: there is none.",
             [](const pool_stats& s) { return s.advised_min_size; });

  out.histogram_family("checkout_duration_seconds", "Time an acquire took.",
                       [](const pool_stats& s) -> const histogram& { return s.wait_time; });
  out.histogram_family("hold_duration_seconds", "Time a lease was held (sampled).",
                       [](const pool_stats& s) -> const histogram& { return s.hold_time; });
  out.histogram_family("connect_duration_seconds", "Time a connect took.",
                       [](const pool_stats& s) -> const histogram& { return s.connect_time; });
}

std::string prometheus_text(const std::vector<const pool_stats*>& pools, std::string_view prefix, names which) {
  const auto wanted = [which](names one) { return (static_cast<unsigned>(which) & static_cast<unsigned>(one)) != 0; };
  prometheus_writer out(pools);
  if (wanted(names::guide)) write_guide(out, prefix);
  if (wanted(names::otel)) write_otel(out, pools);
  if (wanted(names::hikari)) write_hikari(out);
  return out.take();
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
