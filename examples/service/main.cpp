// SPDX-License-Identifier: BSL-1.0
// tidepool - an HTTP service on a pool of PostgreSQL connections. `examples/run.sh` shows it under load and with faults.
//
//   service [--port N] [--threads N] [--connections N]
//
// DATABASE_URL says where the database is. Listens on 127.0.0.1; port 0, the default, is any free one. SIGTERM and SIGINT end it: it stops
// accepting, answers what is under way, closes the pool, and tidepool::run() returns. A second signal ends it at once.
#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>

#include "bank.hpp"
#include "http_server.hpp"

namespace {

using namespace std::chrono_literals;

void write_log(tidepool::log_level how, const std::string& text) {
  constexpr const char* names[] = {"debug", "info ", "warn ", "error"};
  std::timespec now{};
  std::timespec_get(&now, TIME_UTC);
  std::tm parts{};
  localtime_r(&now.tv_sec, &parts);
  std::fprintf(stderr, "%02d:%02d:%02d.%03ld %s %s\n", parts.tm_hour, parts.tm_min, parts.tm_sec, now.tv_nsec / 1'000'000,
               names[static_cast<int>(how)], text.c_str());
}

tidepool::pool_config configuration(std::size_t connections) {
  tidepool::pool_config config;
  config.name = "bank";
  config.min_size = std::min<std::size_t>(2, connections);
  config.max_size = connections;
  config.max_waiting = 1000;    // further callers would only time out
  config.acquire_timeout = 3s;  // shorter than the timeout of the clients
  config.slow_acquire = 1s;
  config.connect_timeout = 2s;
  config.retry_delay = 100ms;  // the database is on the same network: try again soon
  config.max_retry_delay = 1s;
  config.breaker_open_time = 500ms;
  config.leak_timeout = 2s;  // no request should take that long
  config.health_check_interval = 5s;
  return config;
}

void print_summary(const tidepool::pool_stats& stats) {
  std::string closed;
  for (std::size_t i = 0; i < tidepool::close_reasons; ++i) {
    const auto reason = static_cast<tidepool::close_reason>(i);
    if (stats.closed(reason)) closed += ", " + std::to_string(stats.closed(reason)) + " " + tidepool::to_string(reason);
  }
  const auto count = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
  const auto ms = [](tidepool::duration d) { return std::chrono::duration<double, std::milli>(d).count(); };
  std::printf("pool \"%s\" is %s\n", stats.name.c_str(), tidepool::to_string(stats.state));
  std::printf("  checkouts    %llu (%llu at once, %llu after a wait), %llu came back, %llu refused\n", count(stats.total_checkouts),
              count(stats.direct), count(stats.waited), count(stats.total_checkins), count(stats.failed_checkouts));
  std::printf("  refused      %llu timeouts, %llu queue full, %llu breaker open, %llu connect failed, %llu closed, %llu cancelled\n",
              count(stats.timeouts), count(stats.rejected_full), count(stats.refused_open), count(stats.refused_connect),
              count(stats.refused_closed), count(stats.cancelled));
  std::printf("  waits        p50 %.2f ms, p99 %.2f ms, longest %.2f ms\n", ms(stats.wait_time.quantile(0.5)),
              ms(stats.wait_time.quantile(0.99)), ms(stats.max_checkout_time));
  std::printf("  connections  %llu created, %llu closed (%s), %llu connects failed\n", count(stats.connections_created),
              count(stats.connections_closed), closed.empty() ? "" : closed.c_str() + 2, count(stats.connection_errors));
  std::printf("  leaks        %llu reported, %llu of them came back\n", count(stats.leaks_detected), count(stats.leaks_returned));
}

/// Serves until it is cancelled, by a signal or because a handler failed. Then the requests under way are answered.
asio::awaitable<void> serve(http::server& server, tidepool::postgres::multiplexers* shared) {
  server.start();
  std::printf("listening on http://127.0.0.1:%u\n", server.port());
  asio::steady_timer until_cancelled(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
  tidepool::error_code cancelled;
  co_await until_cancelled.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  co_await asio::this_coro::reset_cancellation_state();  // a cancelled coroutine could not await anything else
  std::printf("stopping\n");
  co_await server.stop(5s);
  if (shared != nullptr) co_await shared->close(5s);
}

}  // namespace

int main(int argc, char** argv) try {
  unsigned short port = 0;
  std::size_t threads = 2;
  std::size_t connections = 8;
  bool multiplex = false;
  for (int i = 1; i < argc; i += 2) {
    if (!std::strcmp(argv[i], "--multiplex")) {
      multiplex = true;
      --i;
      continue;
    }
    const unsigned long value = i + 1 < argc ? std::strtoul(argv[i + 1], nullptr, 10) : 0;
    if (!std::strcmp(argv[i], "--port")) {
      port = static_cast<unsigned short>(value);
    } else if (!std::strcmp(argv[i], "--threads") && value > 0) {
      threads = value;
    } else if (!std::strcmp(argv[i], "--connections") && value > 0) {
      connections = value;
    } else {
      std::fprintf(stderr, "usage: service [--port N] [--threads N] [--connections N] [--multiplex]\n");
      return 2;
    }
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);

  asio::io_context io(static_cast<int>(threads));
  tidepool::postgres::pool pool(io, tidepool::postgres::connector(std::getenv("DATABASE_URL")), configuration(connections));
  pool.log_to(write_log);
  std::optional<tidepool::postgres::multiplexers> shared;
  if (multiplex) {
    tidepool::postgres::multiplexer_options sharing;
    sharing.max_lanes = std::max<std::size_t>(connections / 2 / threads, 1);
    shared.emplace(pool, threads, sharing);
  }
  bank our_bank(pool, shared ? &*shared : nullptr);
  http::server server(io.get_executor(), {asio::ip::address_v4::loopback(), port},
                      [&](const http::message& request) { return our_bank.answer(request); });
  tidepool::run(io, pool, serve(server, shared ? &*shared : nullptr), {.signals = {SIGINT, SIGTERM}, .grace = 10s, .threads = threads});
  print_summary(pool.stats());
  return pool.stats().total_connections == 0 ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "service: %s\n", error.what());
  return 1;
}
