// SPDX-License-Identifier: BSL-1.0
// tidepool - health policies: when is a connection validated before it is handed out, and how.
#ifndef TIDEPOOL_POLICY_HEALTH_HPP
#define TIDEPOOL_POLICY_HEALTH_HPP

#include <algorithm>

#include "../config.hpp"
#include "../connection.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Default: a round trip before hand-out unless the server answered within `alive_bypass`, and a check of every idle
/// connection once per `health_check_interval`.
///
/// A policy of your own derives from this and adds `awaitable<void> validate(Connection&)`, which throws to condemn the
/// connection; it then replaces `ping()`. It runs on the pool's executor, bounded by `validation_timeout`. It has its own clock, which
/// use of the connection does not move: each connection is validated as the last part of its connect (within `connect_timeout`), before a
/// hand-out when its last validation is older than `alive_bypass` or `health_check_interval` (with `pre_ping` and `test_on_borrow` off:
/// than the latter), and in the background when it is idle. What it throws for a new connection is a failed connect: the pool backs off, by
/// the kind of the exception if that derives from `connect_failure`.
class health_check {
 public:
  static constexpr bool enabled = true;
  explicit health_check(const pool_config& config)
      : bypass_(config.pre_ping || config.test_on_borrow ? config.alive_bypass : duration(no_limit)),
        interval_(config.health_check_interval) {}

  /// Until when a connection whose server last answered at `last_ok` may be handed out without a round trip; where the policy has a
  /// `validate()`, one that was last validated then.
  /// With a bypass of zero never: the clock of the checkout may be a little behind the one of the answer.
  detail::tick fresh_until(detail::tick last_ok) const noexcept {
    return bypass_ > duration::zero() ? detail::later(last_ok, bypass_) : detail::tick::min();
  }
  /// How often idle connections are validated in the background; `no_limit`: never.
  duration interval() const noexcept { return interval_; }

 private:
  duration bypass_;
  duration interval_;
};

/// No round trips at all; `usable()` is still asked where a connection has it.
class no_health_check {
 public:
  static constexpr bool enabled = false;
  explicit no_health_check(const pool_config&) {}
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
