// SPDX-License-Identifier: BSL-1.0
// tidepool - the pool at the moment a wait failed: what its error tells, however much later the caller comes to read it.
#ifndef TIDEPOOL_DETAIL_SHELL_FAILURE_HPP
#define TIDEPOOL_DETAIL_SHELL_FAILURE_HPP

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "../../pool_error.hpp"
#include "../../version.hpp"
#include "../core/core_actions.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Of a fixed size, because it is filled under the lock. All who fail in one step of the pool share it.
struct failure_snapshot {
  tick at{};
  bounded_string<63> pool{};
  pool_gauges gauges{};
  bool destroyed = false;
  std::size_t max_waiting = 0;
  connect_outlook outlook{};
  std::array<lease_report, 8> holders{};
  std::size_t held = 0;
  bounded_string<512> last_connect_error{};
  duration last_connect_error_age{};
  std::size_t silent = 0;
  duration longest_silence{};
  bounded_string<160> silent_server{};
};
using failure_ptr = std::shared_ptr<const failure_snapshot>;

/// A waiter whose failure is explained.
struct explained_waiter : core_waiter {
  explained_waiter() { explain = true; }
  failure_ptr seen;
};

/// What one step of the pool asks of the shell.
struct pool_actions : core_actions {
  std::optional<failure_snapshot> snapshot;
  failure_ptr seen;

  /// Without the lock. Null when there is no memory for it. Keeps the pool as well: until its coroutine runs, a caller may be cancelled,
  /// and asks the pool for it.
  const failure_ptr& share(std::shared_ptr<const void> pool) noexcept {
    if (snapshot) {
      try {
        auto made = std::make_shared<const kept_snapshot>(kept_snapshot{*snapshot, pool});
        seen = failure_ptr(made, &made->snapshot);
      } catch (...) {
        seen.reset();
      }
      snapshot.reset();
    }
    if (!seen) seen = failure_ptr(std::move(pool), nullptr);
    return seen;
  }

 private:
  struct kept_snapshot {
    failure_snapshot snapshot;
    std::shared_ptr<const void> pool;
  };
};

/// `snapshot` may be null, for want of memory.
inline error_report report_of(const core_waiter& w, const failure_snapshot* snapshot) {
  error_report out;
  out.why = w.error;
  out.call = w.in == core_waiter::queue::acquire ? pool_call::acquire
             : w.in == core_waiter::queue::open  ? pool_call::open
                                                 : pool_call::close;
  out.where = w.where;
  if (w.deadline.at != never) out.limit = (std::max)(w.deadline.at - w.since, duration::zero());
  if (snapshot) {
    const failure_snapshot& seen = *snapshot;
    out.pool = seen.pool.view();
    out.waited = seen.at - w.since;
    out.state = seen.gauges.state;
    out.destroyed = seen.destroyed;
    out.breaker = seen.gauges.breaker;
    out.active = seen.gauges.active;
    out.idle = seen.gauges.idle;
    out.connecting = seen.gauges.connecting;
    out.validating = seen.gauges.validating;
    out.resetting = seen.gauges.resetting;
    out.closing = seen.gauges.closing;
    out.min_size = seen.gauges.min_size;
    out.max_size = seen.gauges.max_size;
    out.max_waiting = seen.max_waiting;
    out.waiting = seen.gauges.waiting;
    out.holders.assign(seen.holders.begin(), seen.holders.begin() + static_cast<std::ptrdiff_t>(seen.held));
    out.last_connect_error = seen.last_connect_error.view();
    out.last_connect_error_age = seen.last_connect_error_age;
    out.connect_failures = seen.outlook.failures_in_a_row;
    out.connect_failure = seen.outlook.kind;
    out.connects_fail_for = seen.outlook.failing_for;
    out.next_connect = seen.outlook.possible;
    out.next_connect_by_itself = seen.outlook.next_look != no_limit;
    out.silent = seen.silent;
    out.longest_silence = seen.longest_silence;
    out.silent_server = seen.silent_server.view();
  }
  return out;
}
/// The whole story, put into words by the caller's own thread.
inline pool_error error_of(const explained_waiter& w) { return pool_error(w.error, report_of(w, w.seen.get())); }

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
