// SPDX-License-Identifier: BSL-1.0
// tidepool - an exporter for OpenTelemetry: the figures of a pool become points of metrics. The SDK need not be installed: `metric_data`
// stands for opentelemetry::sdk::metrics::MetricData and its PointDataAttributes, `produce()` for MetricProducer::Produce(), whose reader
// sends them by OTLP.
#include <tidepool/metrics.hpp>
#include <tidepool/pool.hpp>

#include <cstdint>
#include <iostream>
#include <map>
#include <string>
#include <variant>
#include <vector>

struct histogram_point {
  double sum;
  std::uint64_t count;
  std::vector<double> boundaries;
  std::vector<std::uint64_t> counts;
};
struct metric_data {
  std::string name, unit, description;
  bool monotonic;
  std::map<std::string, std::string> attributes;
  std::variant<double, histogram_point> point;
};

/// The exporter.
std::vector<metric_data> produce(const tidepool::pool_stats& stats) {
  std::vector<metric_data> out;
  tidepool::for_each_metric(stats, [&out](const tidepool::metric& one) {
    metric_data data{std::string(one.name),
                     std::string(one.unit),
                     std::string(one.description),
                     one.kind == tidepool::metric_kind::counter,
                     {{"db.client.connection.pool.name", std::string(one.pool)}},
                     one.value};
    if (!one.attribute.empty()) data.attributes.emplace(one.attribute, one.value_of_attribute);
    if (const tidepool::histogram* of = one.distribution) {
      const auto counts = tidepool::bucket_counts(*of);
      data.point = histogram_point{
          of->sum_seconds(), of->count(), {tidepool::metric_bounds.begin(), tidepool::metric_bounds.end()}, {counts.begin(), counts.end()}};
    }
    out.push_back(std::move(data));
  });
  return out;
}

/// A connection that connects to nothing.
struct session {};
using session_pool = tidepool::basic_pool<session>;

asio::awaitable<void> work(session_pool& pool) {
  auto lease = co_await pool.acquire();
  for (const metric_data& one : produce(pool.stats())) {
    std::cout << one.name;
    for (const auto& [key, value] : one.attributes) std::cout << " " << key << "=" << value;
    if (const auto* const number = std::get_if<double>(&one.point)) std::cout << ": " << *number;
    if (const auto* const times = std::get_if<histogram_point>(&one.point))
      std::cout << ": " << times->count << " in " << times->sum << " s";
    std::cout << "\n";
  }
}

int main() {
  asio::io_context io;
  tidepool::pool_config config;
  config.name = "sessions";
  session_pool pool(
      io, []() -> asio::awaitable<session> { co_return session(); }, config);
  tidepool::run(io, pool, work);
}
