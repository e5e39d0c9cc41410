// SPDX-License-Identifier: BSL-1.0
// tidepool - every option of a pool, its default, its unit and its rule.
#ifndef TIDEPOOL_CONFIG_HPP
#define TIDEPOOL_CONFIG_HPP

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "bounded_string.hpp"
#include "detail/util/lazy.hpp"
#include "detail/util/linkage.hpp"
#include "time.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// What `open()` does when the first connections fail.
enum class start_mode {
  /// It waits for `min_size` connections. It closes the pool and throws after a permanent failure, after more than `max_retries` failures
  /// in
  /// a row, or when the server is full, starting, of the wrong role or not listening for longer than the call's `patience`.
  fail_fast,
  lazy  ///< it returns at once, and the pool connects in the background
};

/// One broken rule of a `pool_config`.
struct config_fault {
  std::string field;
  std::string value;
  std::string rule;
  std::string text() const { return field + " is " + value + ": " + rule; }
};

/// The options of a pool: a plain value. A pool keeps a copy, so later changes have no effect on it (`reconfigure()` has). Trivially
/// destructible on purpose (see bounded_string.hpp). include/tidepool/README.md lists the rules between fields.
///
/// "Finite" is above zero and a year at most; "`no_limit`: never" may be any time above zero, or that.
struct pool_config {
  /// Shown in every report and metric; 1 to 63 bytes without control characters.
  bounded_string<63> name = "pool";

  // --- size -----------------------------------------------------------------------------------------------------
  std::size_t min_size = 5;            ///< connections kept in total, 0 up to `max_size`
  std::size_t max_size = 20;           ///< hard limit, also for those connecting and closing; 1 or more
  std::size_t min_idle = 0;            ///< connections kept idle besides the leased ones, within `max_size`
  std::size_t max_connecting = 4;      ///< connects in flight at once; 1 or more
  std::size_t max_waiting = no_limit;  ///< callers that may wait besides those with a free place in the pool; one more: `errc::queue_full`

  // --- time limits ----------------------------------------------------------------------------------------------
  duration acquire_timeout = std::chrono::seconds(10);    ///< queueing, validation and connecting together; 0 never waits; `no_limit`
  duration connect_timeout = std::chrono::seconds(10);    ///< one connect attempt; finite
  duration validation_timeout = std::chrono::seconds(5);  ///< one validation round trip; finite
  duration response_timeout =
      no_limit;  ///< how long a server may be silent while a holder waits for it; for connectors that take it; `no_limit`
  duration reset_timeout = std::chrono::seconds(2);  ///< one reset at the end of a lease; finite
  duration close_timeout = std::chrono::seconds(2);  ///< one graceful close of a connection; finite
  duration close_grace = std::chrono::seconds(10);   ///< how long `close()` waits for leases before it aborts them; 0, `no_limit`
  duration slow_acquire = std::chrono::seconds(2);   ///< an acquire that waited this long is reported to the observer; `no_limit`: never

  /// A timer that fires this late, or a machine that slept for so long, is reported to the observer, and idle connections are validated
  /// before they are handed out again; `no_limit`: never.
  duration stall_threshold = std::chrono::seconds(1);
  /// How often at most the load is looked at for advice on the size (advice.hpp): when a check, scaling or another deadline wakes the pool
  /// anyway, so `scale_check_interval` should not be longer. 1 ms or more; `no_limit`: never.
  duration advice_interval = std::chrono::seconds(10);
  duration wait_goal = std::chrono::milliseconds(10);  ///< 99 of 100 acquires should not wait for longer: what a size is advised for

  // --- lifetime -------------------------------------------------------------------------------------------------
  duration idle_timeout = std::chrono::seconds(300);  ///< idle connections above the floor are closed; <= `max_lifetime`; `no_limit`: never
  /// True: where idle connections turn out to die after a certain time (`idle_horizon_event`), all are closed at four fifths of it, those
  /// of the floors too, and replaced.
  bool learn_idle_limit = false;
  duration max_lifetime = std::chrono::seconds(1800);  ///< upper bound of a connection's age at hand-out; `no_limit`: none
  double lifetime_jitter = 0.1;                        ///< at most this share of `max_lifetime` is subtracted at random; 0 to below 1
  std::size_t max_uses = no_limit;                     ///< leases after which a connection is replaced, 1 or more

  // --- validation -----------------------------------------------------------------------------------------------
  bool pre_ping = true;        ///< this or the next: validate before a hand-out, unless within `alive_bypass`; both off: never
  bool test_on_borrow = true;  ///< the same; while it is on, `validation_query`, where set, is the round trip, in the background too
  bounded_string<255> validation_query = {};               ///< at most 255 bytes, for drivers that can run it; empty: the driver's own ping
  duration alive_bypass = std::chrono::milliseconds(500);  ///< no validation this long after a successful round trip; 0: always validate
  duration health_check_interval = std::chrono::seconds(30);  ///< how often idle connections are validated; 1 ms or more; `no_limit`: never

  // --- connect failure ------------------------------------------------------------------------------------------
  /// After how many further failed connects a waiting caller fails, with no connection alive. Failures that pass by themselves (the server
  /// is full, starting or of the wrong role, or refuses the connection) do not count: callers then wait as long as their timeouts allow.
  std::size_t max_retries = 3;
  /// True: a refused connection is taken for a server that restarts or fails over. Connecting is tried every 100 to 200 ms, and callers
  /// wait as long as their timeouts allow. False: it is a failure like others, for `max_retries`, the breaker and the back-off.
  bool wait_when_refused = true;
  duration retry_delay = std::chrono::seconds(1);        ///< first pause of the back-off, which the whole pool shares; doubles; finite
  duration max_retry_delay = std::chrono::seconds(10);   ///< longest pause of the back-off; finite
  std::size_t breaker_threshold = 5;                     ///< failures in a row that open the breaker, 1 or more; `no_limit`: never
  duration breaker_open_time = std::chrono::seconds(2);  ///< how long it stays open before one probe; finite

  // --- auto-scaling ---------------------------------------------------------------------------------------------
  bool auto_scale = true;
  double scale_up_threshold = 0.8;    ///< average utilisation (leased of open) above which the target grows by 20 %; up to 1
  double scale_down_threshold = 0.3;  ///< average utilisation below which it shrinks by 20 %; 0 to below `scale_up_threshold`
  duration scale_check_interval = std::chrono::seconds(10);  ///< 1 ms or more, finite

  // --- leaks ----------------------------------------------------------------------------------------------------
  bool leak_detection = true;
  duration leak_timeout = std::chrono::seconds(300);  ///< a lease held this long is reported once; `no_limit`: never
  bool track_stack_trace = false;                     ///< keep the call stack of every acquire for the report; glibc and macOS
  duration abandon_timeout = no_limit;  ///< a lease held this long loses its connection; above `leak_timeout`; `no_limit`: never

  // --- flight recorder, for pools whose Traits have one: policy/recorder.hpp ---------------------------------------
  std::size_t recorder_memory = std::size_t{1} << 20;  ///< bytes of its ring, 32 an event; 8192 or more
  bounded_string<255> recorder_path = {};  ///< files whose names begin so get its recordings, where no sink does; empty: none; <= 255 bytes
  duration recorder_interval = std::chrono::seconds(60);  ///< at most one recording for each reason in this time; 0, `no_limit`: one ever

  start_mode start = start_mode::fail_fast;

  /// All broken rules; empty when the configuration is valid.
  TIDEPOOL_DECL std::vector<config_fault> validate() const;

  /// For development: few connections, stack traces of leaked leases, fast failure.
  TIDEPOOL_DECL static pool_config development();
  /// 10 to 100 connections, no round trip at hand-out.
  TIDEPOOL_DECL static pool_config production();
  /// 50 to 500 connections, long acquire timeout.
  TIDEPOOL_DECL static pool_config high_load();
  /// Connections kept open, callers fail after one second.
  TIDEPOOL_DECL static pool_config low_latency();
  /// 50 to 200 connections, fast scaling.
  TIDEPOOL_DECL static pool_config high_throughput();
  /// Validation before a hand-out (`alive_bypass` 500 ms), frequent checks, early leak reports.
  TIDEPOOL_DECL static pool_config reliable();
  /// For a database in the process, SQLite: 2 to 10 connections that are kept, no scaling, no round trip at hand-out.
  TIDEPOOL_DECL static pool_config embedded();

  // --- as text ----------------------------------------------------------------------------------------------------
  // Keys are the names above, and `profile`, the name of a function above or `default`, which replaces `base`. Values: times with their
  // unit (`250ms` `30s` `5m` `1h` `7d`), `none` for `no_limit`; `true` or `false`; `fail_fast` or `lazy`. All throw
  // std::invalid_argument that names every fault: a key that is none, a value that cannot be read, a broken rule of `validate()`. Values
  // of unknown keys are not told, they may be secrets.

  /// One `key = value` a line. Lines that begin with # are comments. A value may stand in quotation marks, with the usual escapes.
  TIDEPOOL_LAZY static pool_config from_string(std::string_view text, const pool_config& base);
  TIDEPOOL_LAZY static pool_config from_string(std::string_view text);
  /// Variables whose names begin with `prefix`: with "ORDERS_POOL_" `ORDERS_POOL_MAX_SIZE` is `max_size`. Not while another thread
  /// changes the environment.
  TIDEPOOL_LAZY static pool_config from_environment(std::string_view prefix, const pool_config& base);
  TIDEPOOL_LAZY static pool_config from_environment(std::string_view prefix);
  /// Parameters of a connection URL that also has the driver's: those that begin with `pool_`, as `?pool_max_size=20`, and those that
  /// have the name of an option, but for `name` and `connect_timeout`, which drivers know too. Others are left to the driver, see
  /// `url_without_pool_options()`.
  TIDEPOOL_LAZY static pool_config from_url(std::string_view url, const pool_config& base);
  TIDEPOOL_LAZY static pool_config from_url(std::string_view url);
  /// All options, for `from_string()`, which makes the same configuration of it.
  TIDEPOOL_LAZY std::string to_string() const;
};

/// The URL as the driver takes it: without the parameters that `pool_config::from_url()` reads.
TIDEPOOL_LAZY std::string url_without_pool_options(std::string_view url);

namespace detail {
/// Throws std::invalid_argument that names every fault.
TIDEPOOL_DECL void check_config(const pool_config& config);
/// The same for a pool at work, where some options cannot change.
TIDEPOOL_DECL void check_change(const pool_config& now, const pool_config& next);
/// As "max_size 20 -> 50, leak_timeout 5m -> 1m".
TIDEPOOL_LAZY std::string config_changes(const pool_config& before, const pool_config& after);
}  // namespace detail

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#if TIDEPOOL_HEADER_ONLY
#include "impl/config.ipp"
#include "impl/config_text.ipp"
#endif

#endif
