// SPDX-License-Identifier: BSL-1.0
// tidepool - the log of a pool in words.
#ifndef TIDEPOOL_DETAIL_SHELL_IMPL_EVENT_LOG_IPP
#define TIDEPOOL_DETAIL_SHELL_IMPL_EVENT_LOG_IPP

#include <memory>
#include <string_view>
#include <utility>

#include "../../../policy/observer.hpp"
#include "../../../version.hpp"
#include "../event_log.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

class event_log_in_words final : public event_log {
 public:
  event_log_in_words(log_sink out, log_level least) : words_(std::move(out), least) {}
  void set_level(log_level least) noexcept override { words_.set_level(least); }
  void on_event(std::string_view pool, const created_event& e) override { words_.on_event(pool, e); }
  void on_event(std::string_view pool, const destroyed_event& e) override { words_.on_event(pool, e); }
  void on_event(std::string_view pool, const connect_failed_event& e) override { words_.on_event(pool, e); }
  void on_event(std::string_view pool, const health_failed_event& e) override { words_.on_event(pool, e); }
  void on_event(std::string_view pool, const leak_event& e) override { words_.on_event(pool, e); }
  void on_event(std::string_view pool, const scaled_event& e) override { words_.on_event(pool, e); }
  void on_event(std::string_view pool, const breaker_event& e) override { words_.on_event(pool, e); }
  void on_event(std::string_view pool, const state_event& e) override { words_.on_event(pool, e); }
  void on_event(std::string_view pool, const slow_acquire_event& e) override { words_.on_event(pool, e); }
  void on_event(std::string_view pool, const acquire_failed_event& e) override { words_.on_event(pool, e); }
  void on_event(std::string_view pool, const unused_event& e) override { words_.on_event(pool, e); }
  void on_event(std::string_view pool, const reconfigured_event& e) override { words_.on_event(pool, e); }
  void on_event(std::string_view pool, const server_limit_event& e) override { words_.on_event(pool, e); }
  void on_event(std::string_view pool, const advice_event& e) override { words_.on_event(pool, e); }
  void on_event(std::string_view pool, const stall_event& e) override { words_.on_event(pool, e); }
  void on_event(std::string_view pool, const idle_horizon_event& e) override { words_.on_event(pool, e); }

 private:
  log_observer words_;
};

std::shared_ptr<event_log> event_log_of(log_sink out, log_level least) {
  if (!out) return nullptr;
  return std::make_shared<event_log_in_words>(std::move(out), least);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
