// SPDX-License-Identifier: BSL-1.0
// tidepool - the log of a pool, as far as the pool knows it.
#ifndef TIDEPOOL_DETAIL_SHELL_EVENT_LOG_HPP
#define TIDEPOOL_DETAIL_SHELL_EVENT_LOG_HPP

#include <memory>
#include <string_view>

#include "../../policy/observer.hpp"
#include "../../version.hpp"
#include "../util/linkage.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// What a pool knows of its log.
class event_log {
 public:
  event_log() = default;
  event_log(const event_log&) = delete;
  event_log& operator=(const event_log&) = delete;
  virtual ~event_log() = default;
  /// Callable from any thread.
  virtual void set_level(log_level least) noexcept = 0;
  virtual void on_event(std::string_view pool, const created_event& e) = 0;
  virtual void on_event(std::string_view pool, const destroyed_event& e) = 0;
  virtual void on_event(std::string_view pool, const connect_failed_event& e) = 0;
  virtual void on_event(std::string_view pool, const health_failed_event& e) = 0;
  virtual void on_event(std::string_view pool, const leak_event& e) = 0;
  virtual void on_event(std::string_view pool, const scaled_event& e) = 0;
  virtual void on_event(std::string_view pool, const breaker_event& e) = 0;
  virtual void on_event(std::string_view pool, const state_event& e) = 0;
  virtual void on_event(std::string_view pool, const slow_acquire_event& e) = 0;
  virtual void on_event(std::string_view pool, const acquire_failed_event& e) = 0;
  virtual void on_event(std::string_view pool, const unused_event& e) = 0;
  virtual void on_event(std::string_view pool, const reconfigured_event& e) = 0;
  virtual void on_event(std::string_view pool, const server_limit_event& e) = 0;
  virtual void on_event(std::string_view pool, const advice_event& e) = 0;
  virtual void on_event(std::string_view pool, const stall_event& e) = 0;
  virtual void on_event(std::string_view pool, const idle_horizon_event& e) = 0;
};
/// In the words of `log_observer`. Null for an empty sink.
TIDEPOOL_DECL std::shared_ptr<event_log> event_log_of(log_sink out, log_level least);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#if TIDEPOOL_HEADER_ONLY
#include "impl/event_log.ipp"
#endif

#endif
