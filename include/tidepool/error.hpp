// SPDX-License-Identifier: BSL-1.0
// tidepool - error codes, and the kinds of failed connects for connectors. The exception with the full report: pool_error.hpp.
#ifndef TIDEPOOL_ERROR_HPP
#define TIDEPOOL_ERROR_HPP

#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

#include "detail/util/error_code.hpp"
#include "detail/util/linkage.hpp"
#include "detail/util/visibility.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Why an operation of the pool failed. Connections have errors of their own, and so has `std::errc`, which these compare with: `timeout`
/// is `timed_out`, `cancelled` is `operation_canceled`, `queue_full` is `resource_unavailable_try_again`, `circuit_open` and
/// `connect_failed` are `not_connected`. A code compares with these by the name of its category: a plugin may have a category object of its
/// own, and then two codes with the same meaning are not equal to each other.
enum class errc {
  timeout = 1,     ///< no connection became free within the acquire timeout
  closed,          ///< the pool is closing, closed or destroyed
  queue_full,      ///< `max_waiting` acquires wait already, not counting those for which there is a place in the pool
  circuit_open,    ///< the breaker is open and no connection is alive
  connect_failed,  ///< connecting failed for good, or more than `max_retries` times in a row, with no connection alive; `open()`: see there
  cancelled,       ///< the caller cancelled the wait
  empty_lease,     ///< `*`, `->` or `detach()` of a lease that holds no connection
  not_in_time      ///< `complete_within()`: the work was not done in time, and cancelled
};
/// The name of a value, "timeout", for metrics and traces; static text. What a person reads is `make_error_code(e).message()`.
inline const char* to_string(errc e) noexcept {
  switch (e) {
    case errc::timeout: return "timeout";
    case errc::closed: return "closed";
    case errc::queue_full: return "queue_full";
    case errc::circuit_open: return "circuit_open";
    case errc::connect_failed: return "connect_failed";
    case errc::cancelled: return "cancelled";
    case errc::empty_lease: return "empty_lease";
    case errc::not_in_time: return "not_in_time";
  }
  return "";
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

// Must stand before the first comparison.
TIDEPOOL_DETAIL_ERROR_ENUM(tidepool::errc);

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {
/// The category of `errc`; its conditions compare with `std::errc` (`timed_out`, `operation_canceled`, ...).
TIDEPOOL_EXPORT TIDEPOOL_DECL const error_category& pool_category() noexcept;
inline error_code make_error_code(errc value) noexcept { return {static_cast<int>(value), pool_category()}; }
inline bool operator==(const error_code& code, errc value) noexcept {
  return code.value() == static_cast<int>(value) && detail::same_category(code.category(), pool_category());
}
TIDEPOOL_DETAIL_COMPARE_STD(errc, pool_category)

/// Why a connect attempt failed. Decides how soon the pool tries again, and whether waiting callers fail.
///
/// `server_full`, `starting`, `wrong_role` and `refused` pass by themselves: with no connection alive callers then wait as long as their
/// own timeout allows, `open()` too, independently of `max_retries` and the breaker. After any failure one connect at a time is made.
enum class failure_kind {
  transient,    ///< unreachable, timed out, cut off: back-off; counts for the breaker and for `max_retries`
  permanent,    ///< wrong password, no such database: with no connection alive, callers fail at once for `retry_delay`, at least 5 s
  server_full,  ///< the server is alive but has no room: back-off
  starting,     ///< the server is alive and not ready yet: tried again every 100 to 200 ms (`retry_delay` if that is less)
  wrong_role,   ///< servers are alive and none is of the kind asked for, for example no primary: tried again as for `starting`
  refused       ///< a host is alive and no server listens there, as in a restart: as for `starting`; see `pool_config::wait_when_refused`
};

/// Base for a connector's exceptions: derive from `std::exception` and from this to tell the kind of a failure. Without it a
/// `std::system_error` or `tidepool::system_error` that equals `std::errc::connection_refused` counts as `refused`, all others as
/// `transient`.
class TIDEPOOL_EXPORT connect_failure {
 public:
  virtual failure_kind kind() const noexcept = 0;

 protected:
  ~connect_failure() = default;
};

/// Ready-made exception for connectors.
class TIDEPOOL_EXPORT connect_error : public std::runtime_error, public connect_failure {
 public:
  connect_error(failure_kind kind, const std::string& text) : std::runtime_error(text), kind_(kind) {}
  failure_kind kind() const noexcept override { return kind_; }

 private:
  failure_kind kind_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#if TIDEPOOL_HEADER_ONLY
#include "impl/error.ipp"
#endif

#endif
