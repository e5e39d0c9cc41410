// SPDX-License-Identifier: BSL-1.0
// tidepool - what the service needs besides its handlers, the same for all databases: settings, log, configuration of the pool, server.
#ifndef TIDEPOOL_EXAMPLES_SERVICE_HPP
#define TIDEPOOL_EXAMPLES_SERVICE_HPP

#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <tidepool/pool.hpp>
#include <utility>
#include <vector>

#include "http_server.hpp"
#include "pool_page.hpp"

struct settings {
  unsigned short port = 0;
  std::size_t threads = 2;
  std::size_t connections = 8;
  bool multiplex = false;
  std::string url{};            ///< of the database; empty: its default
  std::string control_token{};  ///< for the verbs of the page /pool; empty: there are none

  /// Says who uses it.
  tidepool::pool_config pool() const {
    using namespace std::chrono_literals;
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
    config.advice_interval = 1s;  // so that the page /pool soon has some
    return config;
  }
};

/// A database that the service was built for. Each on_*.cpp makes one, and main() finds it by its name.
class database_kind {
 public:
  database_kind(const char* name, void (*run)(const settings&)) : name_(name), serve_(run) { all().push_back(this); }
  database_kind(const database_kind&) = delete;
  database_kind& operator=(const database_kind&) = delete;

  const std::string& name() const noexcept { return name_; }
  /// Returns when the service was told to stop.
  void serve(const settings& how) const { serve_(how); }
  static std::vector<const database_kind*>& all() {
    static std::vector<const database_kind*> known;
    return known;
  }

 private:
  std::string name_;
  void (*serve_)(const settings&);
};

inline void write_log(tidepool::log_level how, const std::string& text) {
  constexpr const char* names[] = {"debug", "info ", "warn ", "error"};
  std::timespec now{};
  std::timespec_get(&now, TIME_UTC);
  std::tm parts{};
  localtime_r(&now.tv_sec, &parts);
  std::fprintf(stderr, "%02d:%02d:%02d.%03ld %s %s\n", parts.tm_hour, parts.tm_min, parts.tm_sec, now.tv_nsec / 1'000'000,
               names[static_cast<int>(how)], text.c_str());
}

/// What became of a pool. Throws where connections are left.
inline void print_summary(const tidepool::pool_stats& stats) {
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
  if (stats.total_connections != 0) throw std::runtime_error("connections are left");
}

inline tidepool::run_options until_told(const settings& how) {
  return {.signals = {SIGINT, SIGTERM}, .grace = std::chrono::seconds(10), .threads = how.threads};
}

/// Answers requests until it is cancelled, by a signal or because a handler failed. Then those under way are answered.
template <class Bank>
tidepool::asio::awaitable<void> serve_http(asio::io_context& io, const settings& how, Bank& ours, pool_page& page) {
  const auto ready = [](http::response known) -> asio::awaitable<http::response> { co_return known; };
  http::server server(io.get_executor(), {asio::ip::address_v4::loopback(), how.port}, [&ours, &page, ready](const http::message& request) {
    return pool_page::is_for(request) ? ready(page.answer(request)) : ours.answer(request);
  });
  server.start();
  std::printf("listening on http://127.0.0.1:%u\n", server.port());
  asio::steady_timer until_cancelled(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
  tidepool::error_code cancelled;
  co_await until_cancelled.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  co_await asio::this_coro::reset_cancellation_state();  // a cancelled coroutine could not await anything else
  std::printf("stopping\n");
  co_await server.stop(std::chrono::seconds(5));
}

#endif
