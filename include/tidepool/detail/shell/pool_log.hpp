// SPDX-License-Identifier: BSL-1.0
// tidepool - the log of a pool that is set and changed while the pool runs, and how often an acquire failed of late.
#ifndef TIDEPOOL_DETAIL_SHELL_POOL_LOG_HPP
#define TIDEPOOL_DETAIL_SHELL_POOL_LOG_HPP

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string_view>
#include <type_traits>
#include <utility>

#include "../../policy/observer.hpp"
#include "../../time.hpp"
#include "../../version.hpp"
#include "../util/attributes.hpp"
#include "event_log.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Checkouts and check-ins are not for it: those are the hot path, which has no branch for a log that is off.
template <class Event>
inline constexpr bool is_logged = !std::is_same_v<Event, checkout_event> && !std::is_same_v<Event, checkin_event>;

/// Has a lock of its own, under which nothing of the user's runs. Each thread that writes a line holds the sink meanwhile: one that is
/// replaced is destroyed when the last of them is through.
template <class Mutex>
class pool_log {
 public:
  bool is_on() const noexcept { return on_.load(std::memory_order_relaxed); }
  void set(std::shared_ptr<event_log> to) noexcept {
    const std::lock_guard lock(mutex_);
    log_.swap(to);  // the old one is destroyed without the lock, as `to` is
    on_.store(log_ != nullptr, std::memory_order_relaxed);
  }
  /// Of the log that is set now, if there is one.
  void set_level(log_level least) noexcept {
    if (const auto log = get()) log->set_level(least);
  }
  template <class Event>
  TIDEPOOL_NOINLINE TIDEPOOL_COLD void write(std::string_view pool, const Event& event) const {
    if (const auto log = get()) log->on_event(pool, event);
  }

 private:
  std::shared_ptr<event_log> get() const noexcept {
    const std::lock_guard lock(mutex_);
    return log_;
  }

  mutable Mutex mutex_;
  std::shared_ptr<event_log> log_;
  std::atomic<bool> on_{false};
};

/// How often something happened within the same ten seconds. Threads that meet here may miscount by some.
class flood_counter {
 public:
  /// This one included.
  std::size_t count(tick now) noexcept {
    const auto window = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count() / 10;
    if (window_.exchange(window, std::memory_order_relaxed) != window) seen_.store(0, std::memory_order_relaxed);
    return seen_.fetch_add(1, std::memory_order_relaxed) + 1;
  }

 private:
  std::atomic<std::chrono::seconds::rep> window_{-1};
  std::atomic<std::size_t> seen_{0};
};
/// Acquires that failed, by reason.
class failure_counter {
 public:
  std::size_t count(errc why, tick now) noexcept { return kinds_[static_cast<std::size_t>(why) % kinds_.size()].count(now); }

 private:
  std::array<flood_counter, 8> kinds_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
