// SPDX-License-Identifier: BSL-1.0
// tidepool - prints the metrics of a pool for promtool: with an argument by OpenTelemetry's convention, else by the others, as a service
// has them: with those of its statements and, where the driver is there, of its multiplexers.
#include <tidepool/prometheus.hpp>
#include <tidepool/statement_times.hpp>
#ifdef TIDEPOOL_TEST_POSTGRES
#include <tidepool/postgres/multiplexer_stats.hpp>
#endif

#include <cstdio>

int main(int arguments, char**) {
  tidepool::pool_stats stats;
  stats.name = "a \"pool\"";
  stats.wait_time.record(std::chrono::milliseconds(3));
  using tidepool::names;
  auto text = tidepool::to_prometheus(stats, arguments > 1 ? names::otel : names::guide | names::hikari);
  tidepool::statement_times times;
  times.end({}, {tidepool::trace_step::statement, std::chrono::milliseconds(3), {}, 0, "SELECT", {}});
  if (arguments == 1) text += to_prometheus(times, "postgresql");
#ifdef TIDEPOOL_TEST_POSTGRES
  tidepool::postgres::multiplexer_stats shared;
  shared.wait[1].record(std::chrono::milliseconds(3));
  if (arguments == 1) text += to_prometheus(shared, stats.name.view());
#endif
  return std::fputs(text.c_str(), stdout) < 0 ? 1 : 0;
}
