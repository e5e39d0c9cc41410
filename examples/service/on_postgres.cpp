// SPDX-License-Identifier: BSL-1.0
// tidepool - the service on PostgreSQL: one pool, with --multiplex multiplexers beside it.
#include "on_postgres.hpp"

#include "service.hpp"

namespace {

namespace postgres = tidepool::postgres;

asio::awaitable<void> serve_and_close(asio::io_context& io, const settings& how, bank& ours, pool_page& page,
                                      postgres::multiplexers* shared) {
  co_await serve_http(io, how, ours, page);
  if (shared != nullptr) co_await shared->close(std::chrono::seconds(5));
}

void serve(const settings& how) {
  asio::io_context io(static_cast<int>(how.threads));
  const auto times = std::make_shared<tidepool::statement_times>();
  postgres::options place(how.url);
  place.tracing = times;
  postgres::pool pool(io, postgres::connector(place), how.pool());
  const tidepool::recent_lines lines;
  pool.log_to(lines.sink(write_log));
  std::optional<postgres::multiplexers> shared;
  if (how.multiplex) {
    postgres::multiplexer_options sharing;
    sharing.max_lanes = std::max<std::size_t>(how.connections / 2 / how.threads, 1);
    sharing.tracing = times;
    shared.emplace(pool, how.threads, sharing);
  }
  bank ours(pool, shared ? &*shared : nullptr, times.get());
  pool_page page({watched_pool::of(pool)}, lines, how.control_token);
  tidepool::run(io, pool, serve_and_close(io, how, ours, page, shared ? &*shared : nullptr), until_told(how));
  print_summary(pool.stats());
}

const database_kind registered("postgres", serve);

}  // namespace
