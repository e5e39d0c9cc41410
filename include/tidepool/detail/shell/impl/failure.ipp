// SPDX-License-Identifier: BSL-1.0
// tidepool - what is known of a failed wait as a report and as an exception.
#ifndef TIDEPOOL_DETAIL_SHELL_IMPL_FAILURE_IPP
#define TIDEPOOL_DETAIL_SHELL_IMPL_FAILURE_IPP

#include <algorithm>
#include <cstddef>

#include "../../../version.hpp"
#include "../failure.hpp"
#include "../failure_snapshot.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

error_report report_of(const core_waiter& w, const failure_snapshot* snapshot) {
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
pool_error error_of(const explained_waiter& w) { return pool_error(w.error, report_of(w, w.seen.get())); }

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
