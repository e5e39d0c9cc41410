// SPDX-License-Identifier: BSL-1.0
// tidepool - the events that a pool reports to an observer.
#ifndef TIDEPOOL_EVENTS_HPP
#define TIDEPOOL_EVENTS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "bounded_string.hpp"
#include "error.hpp"
#include "source_location.hpp"
#include "states.hpp"
#include "time.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Counts up over a pool's life; never used twice.
using connection_id = std::uint64_t;

/// One lease as reports show it.
struct lease_report {
  connection_id id = 0;
  source_location acquired_at{};  ///< where `acquire()` was called
  duration held{};                ///< so far
  bounded_string<47> label{};     ///< the text of `lease::label()`, cut to 47 bytes
  duration waiting{};             ///< how long it has waited for the server's answer; zero when it does not, or without `waiting_since()`
  bool reported = false;          ///< as a leak: it is held for `leak_timeout` or longer
};
/// One caller in the queue as reports show it.
struct caller_report {
  source_location where{};  ///< where `acquire()` was called
  duration waited{};        ///< so far
};

// Events for observers (see policy/observer.hpp). Every event is reported after it has happened and without the pool's lock: the state of
// the pool may have changed since, and events of several threads may arrive in another order. Texts are valid during the call.

/// A connect succeeded.
struct created_event {
  connection_id id;
  duration connect_time;      ///< from the start of this attempt, without the pauses before it
  std::string_view server{};  ///< the connection's `peer()`; empty without that
  std::size_t failures = 0;   ///< connects that failed in a row before it, where it ends that row: connecting works again
  duration failed_for{};      ///< for how long they had been failing
};
/// A connection is gone, for any reason. Every `created_event` is followed by one of these.
struct destroyed_event {
  connection_id id;
  close_reason reason;
  duration age;               ///< since it was connected
  std::string_view server{};  ///< as in its `created_event`
  std::string_view cause{};   ///< more about `reason` where that is `broken`, `invalid`, `reset_failed` or `outdated`; else empty
};
/// A caller got a lease.
struct checkout_event {
  connection_id id;
  duration waited;  ///< zero when a connection was idle
};
/// A lease ended by `release()`, `discard()` or its destructor; reported before the pool decides what to do with the connection. With an
/// observer that has this member the pool times every lease instead of a sample: two more reads of the clock for each.
struct checkin_event {
  connection_id id;
  duration held;
};
/// A connect failed or ran into `connect_timeout`; or a connection was lost within `retry_delay` of its connect and before its first
/// successful lease.
struct connect_failed_event {
  std::string_view error;         ///< the text of the connector's exception
  std::size_t failures_in_a_row;  ///< attempts in flight together that fail together count as one
  failure_kind kind = failure_kind::transient;
  std::size_t alike = 1;     ///< how many of the latest failures in a row were of this kind
  std::size_t together = 1;  ///< attempts in flight together count as one failure: 1 for the first of them that fails, 2 for the next ...
  duration failing_for{};    ///< since the first failure in a row; zero for that
  /// Whether it is worth a line: the first in a row, the first of its kind in that, and then one after 10, 20, 40, 80 seconds and so on,
  /// at least every ten minutes. What comes in between has the same cause.
  bool news = true;
};
/// A validation failed or ran into `validation_timeout`, before a hand-out or in the background; the connection is destroyed.
struct health_failed_event {
  connection_id id;
  std::string_view error;     ///< the text of the validation's exception
  std::string_view server{};  ///< as in its `created_event`
  std::size_t alike = 1;      ///< how many failed within these ten seconds, this one included
};
/// A lease has been held too long, or one that was reported for that has ended.
struct leak_event {
  enum class kind {
    detected,  ///< held for `leak_timeout`; reported once for each lease
    returned,  ///< a reported one was given back
    reclaimed  ///< a reported one was held for `abandon_timeout`, or `reclaim()` took it: its socket was shut, its slot is free
  };
  kind what;
  lease_report lease;      ///< who holds it, since when, from where
  std::string_view stack;  ///< of the acquire, one symbol a line; empty unless `track_stack_trace`, with `returned` and with `reclaim()`
};
/// Scaling moved its target; reported at most once in a `scale_check_interval`.
struct scaled_event {
  std::size_t from;    ///< connections open
  std::size_t to;      ///< the new target
  double utilization;  ///< leased time over open time since the previous check, 0..1
};
/// The breaker changed its state. Changes within one step of the pool are reported as one.
struct breaker_event {
  breaker_state from;
  breaker_state to;
};
/// The pool changed its state. Changes within one step of the pool are reported as one.
struct state_event {
  pool_state from;
  pool_state to;
  std::string_view reason;  ///< one of a few fixed texts; causes come with `connect_failed_event`
};
/// A caller got a lease after waiting for `slow_acquire` or longer.
struct slow_acquire_event {
  duration waited;
  source_location where;  ///< of the acquire
  std::size_t alike = 1;  ///< how many were slow within these ten seconds, this one included
};
struct error_report;
/// An acquire failed, by a coroutine or any completion token; one that its caller cancelled included. An empty `try_acquire()` is no
/// failure.
struct acquire_failed_event {
  errc why;
  source_location where;       ///< of the acquire
  const error_report& report;  ///< as in the `pool_error` (pool_error.hpp)
  std::size_t alike = 1;       ///< how many failed for the same reason within these ten seconds, this one included
};
/// The pool's timer fired `stall_threshold` late, or the machine slept for so long: the event loop was blocked, the process was stopped, or
/// the machine. Idle connections are validated after that.
struct stall_event {
  duration late;       ///< how late the timer fired, by the pool's clock
  duration suspended;  ///< how long the machine slept since the timer fired last; zero where that is not known (`Traits::suspended()`)
};
/// Connections that were idle for `horizon` or longer have died, each of the latest eight times that one did, and none that was idle for
/// longer has lived: a firewall, a NAT or the server drops them. Told again when that has moved by a fifth.
struct idle_horizon_event {
  duration horizon;  ///< the shortest of those times
  duration limit;    ///< `learn_idle_limit`: the pool closes idle connections after this from now on; else what to set `idle_timeout` to
  bool kept;         ///< whether `learn_idle_limit` is on
};
struct pool_advice;
/// Once an hour, in a pool that was used since the last time and has been looked at for long enough: see advice.hpp.
struct advice_event {
  const pool_advice& advice;
};
struct limit_finding;
/// The server's limits say something against the configuration of the pool or its driver, see lint.hpp. Told once for each such finding,
/// after the first connect that somebody hears of, and again after a `reconfigure()`.
struct server_limit_event {
  std::string_view server;  ///< as in `created_event`
  const limit_finding& finding;
};
struct pool_config;
/// `reconfigure()` has changed something, and it is in force.
struct reconfigured_event {
  const pool_config& before;
  const pool_config& after;
  std::string_view changes;  ///< as "max_size 20 -> 50, leak_timeout 5m -> 1m"
};
/// An open pool has not been asked for anything for `unused_time`, while no lease was out; reported once in a pool's life. Whether anything
/// but the pool still keeps the program running cannot be known.
struct unused_event {
  duration unused;  ///< for how long
};
inline constexpr duration unused_time = std::chrono::minutes(1);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
