// SPDX-License-Identifier: BSL-1.0
// tidepool - what the pool tells an observer, and the words for it.
#ifndef TIDEPOOL_EVENTS_HPP
#define TIDEPOOL_EVENTS_HPP

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
  bounded_string<47> label{};     ///< what the holder said with `lease::label()`, cut to 47 bytes
  duration waiting{};             ///< for the server's answer, so far; zero when it does not, or the connection does not tell
};

// What an observer is told (see policy/observer.hpp). Every event is told after the fact and without the pool's lock: the pool may have
// moved on, and events of several threads may arrive in another order than they happened in. Texts live as long as the call.

/// A connect succeeded.
struct created_event {
  connection_id id;
  duration connect_time;      ///< from the start of this attempt, without the pauses before it
  std::string_view server{};  ///< what the connection's `peer()` said; empty without that
};
/// A connection that was created is gone, whichever way it left: `created_event` and this one come in pairs.
struct destroyed_event {
  connection_id id;
  close_reason reason;
  duration age;               ///< since it was connected
  std::string_view server{};  ///< as in its `created_event`
  std::string_view cause{};   ///< what was found, where `reason` is `broken`, `invalid`, `reset_failed` or `outdated`; else empty
};
/// A caller got a lease.
struct checkout_event {
  connection_id id;
  duration waited;  ///< zero when a connection was idle
};
/// A lease ended by `release()`, `discard()` or its destructor; told before the pool decides what becomes of the connection. An observer
/// that has this member makes the pool time every lease instead of a sample: two reads of the clock more for each.
struct checkin_event {
  connection_id id;
  duration held;
};
/// A connect failed or ran into `connect_timeout`; or a connection was lost within `retry_delay` of its connect and before it served
/// anybody.
struct connect_failed_event {
  std::string_view error;         ///< what the connector's exception said
  std::size_t failures_in_a_row;  ///< attempts in flight together that fail together count as one
  failure_kind kind = failure_kind::transient;
  std::size_t alike = 1;  ///< of these failures in a row, the latest ones that were all of one kind
};
/// A validation failed or ran into `validation_timeout`, before a hand-out or in the background; the connection is destroyed.
struct health_failed_event {
  connection_id id;
  std::string_view error;     ///< what the validation's exception said
  std::string_view server{};  ///< as in its `created_event`
};
/// A lease has been held too long, or one of which that was said has ended.
struct leak_event {
  enum class kind {
    detected,  ///< held for `leak_timeout`; said once a lease
    returned,  ///< a reported one came back after all
    reclaimed  ///< a reported one was held for `abandon_timeout`: its socket is shut, its slot free
  };
  kind what;
  lease_report lease;      ///< who holds it, since when, from where
  std::string_view stack;  ///< of the acquire, one symbol a line; empty unless `track_stack_trace`, and with `returned`
};
/// Scaling moved its target; told once a `scale_check_interval` at most.
struct scaled_event {
  std::size_t from;    ///< connections open
  std::size_t to;      ///< the new target
  double utilization;  ///< leased time over open time since the previous check, 0..1
};
/// The breaker changed. Changes within one step of the pool are told as one.
struct breaker_event {
  breaker_state from;
  breaker_state to;
};
/// The pool changed its state. Changes within one step of the pool are told as one.
struct state_event {
  pool_state from;
  pool_state to;
  std::string_view reason;  ///< one of a few fixed texts; causes come with `connect_failed_event`
};
/// A caller got a lease after waiting for `slow_acquire` or longer. Those who got none know it from their `pool_error`.
struct slow_acquire_event {
  duration waited;
  source_location where;  ///< of the acquire
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
