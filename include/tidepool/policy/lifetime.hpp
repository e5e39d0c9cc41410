// SPDX-License-Identifier: BSL-1.0
// tidepool - lifetime policies: when a connection is too old, or was used too often.
#ifndef TIDEPOOL_POLICY_LIFETIME_HPP
#define TIDEPOOL_POLICY_LIFETIME_HPP

#include <concepts>
#include <cstdint>

#include "../config.hpp"
#include "../detail/util/smaller.hpp"
#include "../version.hpp"
#include "form.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Default: `max_lifetime` minus a random share of up to `lifetime_jitter`, drawn once after the connect. Jitter is subtracted, so
/// `max_lifetime` is an upper bound that can be set just below a firewall's. When all connections of a pool were made at one time, jitter
/// alone would still retire several together; so retirements by age also keep a gap (the jitter window divided by the connections). The
/// upper bound is more important than the gap.
class lifetime_recycling {
 public:
  static constexpr bool enabled = true;
  explicit lifetime_recycling(const pool_config& config)
      : lifetime_(config.max_lifetime), jitter_(config.lifetime_jitter), max_uses_(config.max_uses) {}

  /// For connections that exist as well, at once or when they come back.
  void reconfigure(const pool_config& config) noexcept {
    lifetime_ = config.max_lifetime;
    jitter_ = config.lifetime_jitter;
    max_uses_ = config.max_uses;
  }

  /// No connection is handed out after this.
  detail::tick hard_limit(detail::tick born) const noexcept { return detail::later(born, lifetime_); }
  /// When to retire it if the gap allows that; `unit` is uniform in [0, 1).
  detail::tick soft_limit(detail::tick born, double unit) const noexcept {
    if (lifetime_ == no_limit) return detail::never;
    return detail::later(born, lifetime_ - share(jitter_ * unit));
  }
  /// The gap between two retirements by age in a pool of `size` connections.
  duration gap(std::size_t size) const noexcept {
    if (lifetime_ == no_limit) return duration::zero();
    return share(jitter_) / static_cast<duration::rep>(detail::larger_of<std::size_t>(size, 1));
  }
  /// Whether a connection has been leased often enough.
  bool worn_out(std::uint64_t uses) const noexcept { return max_uses_ != no_limit && uses >= max_uses_; }

 private:
  duration share(double part) const noexcept { return duration(static_cast<duration::rep>(static_cast<double>(lifetime_.count()) * part)); }

  duration lifetime_;
  double jitter_;
  std::size_t max_uses_;
};

/// No limit of age or uses.
class no_lifetime {
 public:
  static constexpr bool enabled = false;
  explicit no_lifetime(const pool_config&) {}
};

namespace detail {
template <class P>
inline constexpr bool has_hard_limit = requires(const P& p, tick t) {
  { p.hard_limit(t) } -> std::convertible_to<tick>;
};
template <class P>
inline constexpr bool has_soft_limit = requires(const P& p, tick t) {
  { p.soft_limit(t, 0.5) } -> std::convertible_to<tick>;
};
template <class P>
inline constexpr bool has_gap = requires(const P& p) {
  { p.gap(std::size_t{1}) } -> std::convertible_to<duration>;
};
template <class P>
inline constexpr bool has_worn_out = requires(const P& p) {
  { p.worn_out(std::uint64_t{1}) } -> std::convertible_to<bool>;
};
}  // namespace detail

/// What a lifetime policy needs.
template <class P>
concept lifetime_policy_form = policy_off<P> ||
    (switched_policy<P>&& detail::has_hard_limit<P>&& detail::has_soft_limit<P>&& detail::has_gap<P>&& detail::has_worn_out<P>);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
