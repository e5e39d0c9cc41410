// SPDX-License-Identifier: BSL-1.0
// tidepool - a multiplexer's numbers as JSON and Prometheus text: see lazy.hpp.
#ifndef TIDEPOOL_POSTGRES_IMPL_MULTIPLEXER_STATS_IPP
#define TIDEPOOL_POSTGRES_IMPL_MULTIPLEXER_STATS_IPP

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "../../detail/util/json_writer.hpp"
#include "../../version.hpp"
#include "../multiplexer_stats.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

namespace detail {
/// Calls `each(name, help, value, gauge)` for every number.
template <class Stats, class Each>
void for_each_number(Stats& s, Each each) {
  each("read_lanes", "Connections that take reads", s.read_lanes, true);
  each("write_lanes", "Connections that take writes", s.write_lanes, true);
  each("opening_lanes", "Connections that are being got", s.opening_lanes, true);
  each("draining_lanes", "Connections that are being given back", s.draining_lanes, true);
  each("stalled_lanes", "Connections whose statement takes long", s.stalled_lanes, true);
  each("in_flight", "Statements sent and not answered", s.in_flight, true);
  each("deepest", "Statements in flight on the fullest connection", s.deepest, true);
  each("waiting", "Statements not sent yet", s.waiting, true);
  each("submitted_total", "Statements", s.submitted, false);
  each("answered_total", "Statements answered", s.answered, false);
  each("failed_total", "Statements answered with an error", s.failed, false);
  each("refused_total", "Statements refused because too many waited", s.refused, false);
  each("timed_out_total", "Statements whose time was up", s.timed_out, false);
  each("cancelled_total", "Statements cancelled by their callers", s.cancelled, false);
  each("closed_total", "Statements not run because of a close", s.closed, false);
  each("unconnected_total", "Statements for which no connection could be had", s.unconnected, false);
  each("outcome_unknown_total", "Writes sent whose answer is missing", s.outcome_unknown, false);
  each("lost_total", "Reads given up after several lost connections", s.lost, false);
  each("sent_total", "Sendings of statements", s.sent, false);
  each("requeued_total", "Statements sent again", s.requeued, false);
  each("flushes_total", "Flushes", s.flushes, false);
  each("syncs_total", "Syncs", s.syncs, false);
  each("lanes_opened_total", "Connections taken", s.lanes_opened, false);
  each("lanes_lost_total", "Connections lost", s.lanes_lost, false);
  each("lanes_failed_total", "Connections that could not be had", s.lanes_failed, false);
  each("lanes_turned_total", "Connections changed from one kind to the other", s.lanes_turned, false);
  each("lanes_released_total", "Connections given back", s.lanes_released, false);
  each("stalls_total", "Stalls of connections", s.stalls, false);
}
}  // namespace detail

TIDEPOOL_LAZY_BODY multiplexer_stats& multiplexer_stats::operator+=(const multiplexer_stats& other) {
  const auto most = std::max(deepest, other.deepest);
  std::vector<std::uint64_t> values;
  detail::for_each_number(other, [&](const char*, const char*, auto value, bool) { values.push_back(value); });
  std::size_t at = 0;
  detail::for_each_number(
      *this, [&](const char*, const char*, auto& value, bool) { value += static_cast<std::decay_t<decltype(value)>>(values[at++]); });
  deepest = most;
  for (std::size_t i = 0; i < 2; ++i) {
    wait[i] += other.wait[i];
    service[i] += other.service[i];
  }
  slowest.insert(slowest.end(), other.slowest.begin(), other.slowest.end());
  std::sort(slowest.begin(), slowest.end(), [](const auto& a, const auto& b) { return a.queued + a.served > b.queued + b.served; });
  if (slowest.size() > 8) slowest.resize(8);
  return *this;
}

TIDEPOOL_LAZY_BODY std::string multiplexer_stats::to_json() const {
  tidepool::detail::json_writer out;
  out.open();
  detail::for_each_number(*this, [&](const char* name, const char*, auto value, bool) { out.add(name, std::uint64_t{value}); });
  out.add("coalesced", coalesced());
  out.add("write_wait", wait[0]);
  out.add("read_wait", wait[1]);
  out.add("write_service", service[0]);
  out.add("read_service", service[1]);
  std::size_t rank = 0;
  out.open("slowest");
  for (const auto& one : slowest) {
    out.open(std::to_string(++rank).c_str());
    out.add("statement", std::string_view(one.statement));
    out.add("kind", std::string_view(one.read ? "read" : "write"));
    out.add("queued", one.queued);
    out.add("served", one.served);
    out.close();
  }
  out.close();
  out.close();
  return out.take();
}

TIDEPOOL_LAZY_BODY std::string to_prometheus(const multiplexer_stats& s, std::string_view name, std::string_view prefix) {
  std::string out;
  const auto head = [&](std::string_view metric, const char* type, const char* help) {
    out.append("# HELP ").append(prefix).append(metric).append(" ").append(help);
    out.append("\n# TYPE ").append(prefix).append(metric).append(" ").append(type).append("\n");
  };
  std::string label = "{multiplexer=\"";
  for (const char c : name) {
    if (c == '"' || c == '\\') label += '\\';
    label += c == '\n' ? ' ' : c;
  }
  label += '"';
  const auto sample = [&](std::string_view metric, std::string_view more, const std::string& value) {
    out.append(prefix).append(metric).append(label).append(more).append("} ").append(value).append("\n");
  };
  const auto decimal = [](double value) {
    char digits[40];
    const auto written = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::general, 15);
    return std::string(digits, written.ptr);
  };
  detail::for_each_number(s, [&](const char* metric, const char* help, auto value, bool gauge) {
    head(metric, gauge ? "gauge" : "counter", help);
    sample(metric, {}, std::to_string(value));
  });
  const auto times = [&](const std::string& metric, const char* help, const std::array<histogram, 2>& both) {
    static constexpr double bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                        0.1,    0.25,    0.5,    1,     2.5,    5,     10,   30};
    head(metric, "histogram", help);
    for (std::size_t i = 0; i < 2; ++i) {
      const std::string kind = std::string(",kind=\"") + (i == 0 ? "write" : "read") + "\"";
      for (const double bound : bounds) {
        const auto limit = std::chrono::duration_cast<duration>(std::chrono::duration<double>(bound));
        sample(metric + "_bucket", kind + ",le=\"" + decimal(bound) + "\"", std::to_string(both[i].at_most(limit)));
      }
      sample(metric + "_bucket", kind + ",le=\"+Inf\"", std::to_string(both[i].count()));
      sample(metric + "_sum", kind, decimal(both[i].sum_seconds()));
      sample(metric + "_count", kind, std::to_string(both[i].count()));
    }
  };
  times("wait_seconds", "From the call to its sending", s.wait);
  times("service_seconds", "From the sending to the answer", s.service);
  return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
