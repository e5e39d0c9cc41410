// SPDX-License-Identifier: BSL-1.0
// tidepool - breaker policies: when to stop connecting and fail the callers that need a new connection at once.
#ifndef TIDEPOOL_POLICY_BREAKER_HPP
#define TIDEPOOL_POLICY_BREAKER_HPP

#include <concepts>
#include <cstddef>

#include "../config.hpp"
#include "../states.hpp"
#include "../version.hpp"
#include "form.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Default: `breaker_threshold` connect failures in a row open it for `breaker_open_time`; then one probe decides. It spares a server that
/// does not answer, and the time of callers. An answer that the server is full, starting or of the wrong role closes it. Connections that
/// work keep serving in every state.
class circuit_breaker {
 public:
  static constexpr bool enabled = true;
  explicit circuit_breaker(const pool_config& config) : threshold_(config.breaker_threshold), open_time_(config.breaker_open_time) {}
  /// An open state that has begun ends when it would have.
  void reconfigure(const pool_config& config) noexcept {
    threshold_ = config.breaker_threshold;
    open_time_ = config.breaker_open_time;
  }

  breaker_state state() const noexcept { return state_; }
  /// When the open state ends.
  detail::tick retry_at() const noexcept { return retry_at_; }
  /// Whether a connect may start now, with `connecting` others in flight.
  bool allows(detail::tick now, std::size_t connecting) const noexcept {
    if (state_ == breaker_state::closed) return true;
    return connecting == 0 && now >= retry_at_;
  }
  /// A connect begins.
  void started() noexcept {
    if (state_ == breaker_state::open) state_ = breaker_state::half_open;
  }
  void succeeded() noexcept {
    failures_ = 0;
    state_ = breaker_state::closed;
  }
  void failed(detail::tick now) noexcept {
    ++failures_;
    if (state_ == breaker_state::half_open || failures_ >= threshold_) {
      state_ = breaker_state::open;
      retry_at_ = detail::later(now, open_time_);
    }
  }
  /// The pool gave the attempt up, so that nothing is known about the server: another probe follows later.
  void undecided(detail::tick now) noexcept {
    if (state_ != breaker_state::half_open) return;
    state_ = breaker_state::open;
    retry_at_ = detail::later(now, open_time_);
  }

 private:
  std::size_t threshold_;
  duration open_time_;
  std::size_t failures_ = 0;
  detail::tick retry_at_{};
  breaker_state state_ = breaker_state::closed;
};

/// No breaker: callers wait as long as their own timeout and `max_retries` allow.
class no_breaker {
 public:
  static constexpr bool enabled = false;
  explicit no_breaker(const pool_config&) {}
};

namespace detail {
template <class P>
inline constexpr bool has_state = requires(const P& p) {
  { p.state() } -> std::same_as<breaker_state>;
};
template <class P>
inline constexpr bool has_retry_at = requires(const P& p) {
  { p.retry_at() } -> std::same_as<tick>;
};
template <class P>
inline constexpr bool has_allows = requires(const P& p, tick t) {
  { p.allows(t, std::size_t{0}) } -> std::convertible_to<bool>;
};
template <class P>
inline constexpr bool has_started = requires(P& p) {
  p.started();
};
template <class P>
inline constexpr bool has_succeeded = requires(P& p) {
  p.succeeded();
};
template <class P>
inline constexpr bool has_failed = requires(P& p, tick t) {
  p.failed(t);
};
template <class P>
inline constexpr bool has_undecided = requires(P& p, tick t) {
  p.undecided(t);
};
}  // namespace detail

/// What a breaker needs.
template <class P>
concept breaker_policy_form = policy_off<P> ||
    (switched_policy<P>&& detail::has_state<P>&& detail::has_retry_at<P>&& detail::has_allows<P>&& detail::has_started<P>&&
         detail::has_succeeded<P>&& detail::has_failed<P>&& detail::has_undecided<P>);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
