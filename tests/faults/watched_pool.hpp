// SPDX-License-Identifier: BSL-1.0
// tidepool - the pool under test: what it tells, and its configuration; whatever its driver.
#ifndef TIDEPOOL_TESTS_FAULTS_WATCHED_POOL_HPP
#define TIDEPOOL_TESTS_FAULTS_WATCHED_POOL_HPP

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidepool/detail/driver/asio_io.hpp>
#include <tidepool/instantiate.hpp>

#include "rig.hpp"
#include "watching.hpp"

namespace tidepool_faults {

namespace asio = tidepool::asio;

/// The events of the pool, and the times of failures.
struct event_log {
  mutable std::mutex mutex;
  std::vector<moment> failures;
  std::string text;
  bool quiet = false;

  void failure(std::string_view words) {
    const std::lock_guard lock(mutex);
    if (!quiet) failures.push_back(clock::now());
    note(words);
  }
  void note(std::string_view words) {
    if (text.size() > 200000) return;
    text += words;
    text += '\n';
  }
};

class event_log_observer {
 public:
  explicit event_log_observer(std::shared_ptr<event_log> to) : log_(std::move(to)) {}
  void on_event(std::string_view, const tidepool::destroyed_event& e) {
    using tidepool::close_reason;
    if (e.reason == close_reason::broken || e.reason == close_reason::invalid || e.reason == close_reason::reset_failed ||
        e.reason == close_reason::recycled || e.reason == close_reason::outdated) {
      log_->failure(std::string("destroyed: ") + tidepool::to_string(e.reason));
    }
  }
  void on_event(std::string_view, const tidepool::connect_failed_event& e) { log_->failure(e.error); }
  void on_event(std::string_view, const tidepool::health_failed_event& e) { log_->failure(e.error); }
  void on_event(std::string_view, const tidepool::state_event& e) {
    const std::lock_guard lock(log_->mutex);
    log_->note(e.reason);
  }

 private:
  std::shared_ptr<event_log> log_;
};

inline asio::awaitable<void> note_socket(std::shared_ptr<hang_up_log> log, int socket) {
  log->add(socket);
  co_return;
}

template <class Connection>
struct watched_traits : tidepool::default_traits<Connection> {
  using observer = event_log_observer;
};

inline tidepool::pool_config config_of(const setup& wanted) {
  tidepool::pool_config c;
  c.name = wanted.application;
  c.acquire_timeout = wanted.acquire_timeout;
  if (wanted.as_delivered) return c;
  c.min_size = wanted.min;
  c.max_size = wanted.max;
  c.max_connecting = 2;
  c.connect_timeout = wanted.connect_timeout;
  c.validation_timeout = wanted.validation_timeout;
  c.alive_bypass = wanted.alive_bypass;
  c.reset_timeout = 500ms;
  c.close_timeout = 500ms;
  c.health_check_interval = wanted.health_check_interval;
  c.retry_delay = 50ms;
  c.max_retry_delay = 2s;
  c.max_retries = 1000;  // the deadline and the breaker decide when a caller gives up
  c.breaker_threshold = wanted.breaker_threshold;
  c.wait_when_refused = wanted.wait_when_refused;
  c.auto_scale = false;
  c.start = wanted.lazy ? tidepool::start_mode::lazy : tidepool::start_mode::fail_fast;
  return c;
}

}  // namespace tidepool_faults

#endif
