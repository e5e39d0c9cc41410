// SPDX-License-Identifier: BSL-1.0
// tidepool - health policies: when a connection is validated, and how.
#ifndef TIDEPOOL_POLICY_HEALTH_HPP
#define TIDEPOOL_POLICY_HEALTH_HPP

#include <concepts>

#include "../config.hpp"
#include "../connection.hpp"
#include "../detail/util/relaxed.hpp"
#include "../version.hpp"
#include "form.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Default: a round trip before hand-out unless the server answered within `alive_bypass`, and a check of every idle
/// connection once per `health_check_interval`.
/// A policy of your own derives from this and adds `awaitable<void> validate(Connection&)`, which throws when the connection is bad; it
/// then replaces `ping()`. It runs on the pool's executor, bounded by `validation_timeout`. Only its own success counts as a validation,
/// not an answer to the holder's statements. Each connection is validated as the last part of its connect (within `connect_timeout`);
/// before a hand-out when its last validation is older than `alive_bypass` or `health_check_interval` (with `pre_ping` and `test_on_borrow`
/// off: than the latter); and in the background when it is idle. An exception for a new connection is a failed connect: the pool backs off,
/// by the kind of the exception if that derives from `connect_failure`.
class health_check {
 public:
  static constexpr bool enabled = true;
  explicit health_check(const pool_config& config) noexcept { reconfigure(config); }
  void reconfigure(const pool_config& config) noexcept {
    bypass_ = config.pre_ping || config.test_on_borrow ? config.alive_bypass : duration(no_limit);
    interval_ = config.health_check_interval;
  }

  /// Until when a connection whose server last answered at `last_ok` may be handed out without a round trip. With `validate()`, `last_ok`
  /// is the time of the last validation. With a bypass of zero never, because the clock of the checkout may be a little behind that of the
  /// answer.
  detail::tick fresh_until(detail::tick last_ok) const noexcept {
    const duration bypass = bypass_;
    return bypass > duration::zero() ? detail::later(last_ok, bypass) : (detail::tick::min)();
  }
  /// How often idle connections are validated in the background; `no_limit`: never.
  duration interval() const noexcept { return interval_; }

 private:
  // Holders of leases read them while `reconfigure()` writes.
  detail::relaxed<duration> bypass_;
  detail::relaxed<duration> interval_;
};

/// No validation at all; `usable()` is still called where a connection has it.
class no_health_check {
 public:
  static constexpr bool enabled = false;
  explicit no_health_check(const pool_config&) {}
};

namespace detail {
template <class P>
inline constexpr bool has_fresh_until = requires(const P& p, tick t) {
  { p.fresh_until(t) } -> std::convertible_to<tick>;
};
template <class P>
inline constexpr bool has_interval = requires(const P& p) {
  { p.interval() } -> std::convertible_to<duration>;
};
}  // namespace detail

/// What a health policy needs; its `validate()` is optional.
template <class P>
concept health_policy_form = policy_off<P> ||(switched_policy<P>&& detail::has_fresh_until<P>&& detail::has_interval<P>);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
