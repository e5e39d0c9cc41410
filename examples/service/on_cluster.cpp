// SPDX-License-Identifier: BSL-1.0
// tidepool - the service on a primary and its replicas: DATABASE_URL names all of them. `examples/fleet/run.sh` shows it on a real fleet.
#include "on_cluster.hpp"

#include "service.hpp"

namespace {

namespace postgres = tidepool::postgres;

void serve(const settings& how) {
  asio::io_context io(static_cast<int>(how.threads));
  postgres::cluster_options options;
  options.primary = options.replicas = how.pool();
  options.primary.acquire_timeout = std::chrono::seconds(25);  // callers outlast a failover
  postgres::cluster servers(io, how.url, options);
  const tidepool::recent_lines lines;
  servers.log_to(lines.sink(write_log));
  basic_bank<on_cluster> ours(servers);
  pool_page page({}, lines, "");
  tidepool::run(io, servers, serve_http(io, how, ours, page), until_told(how));
  for (const auto& stats : servers.stats()) print_summary(stats);
}

const database_kind registered("postgres-cluster", serve);

}  // namespace
