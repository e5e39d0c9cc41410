// SPDX-License-Identifier: BSL-1.0
// tidepool - scaling policies: how many connections to keep open above the floor.
#ifndef TIDEPOOL_POLICY_SCALING_HPP
#define TIDEPOOL_POLICY_SCALING_HPP

#include <concepts>
#include <cstddef>

#include "../config.hpp"
#include "../detail/util/smaller.hpp"
#include "../version.hpp"
#include "form.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// The input of a scaling policy: one interval.
struct scaling_sample {
  double utilization = 0;    ///< leased time over open time, averaged over the interval, 0..1
  std::size_t size = 0;      ///< connections open now
  std::size_t min_size = 0;  ///< the current bounds; `resize()` changes them
  std::size_t max_size = 0;
};

/// Default: once per `scale_check_interval` the target moves by 20 % of the current size (at least one) when the average
/// utilisation is above `scale_up_threshold` or below `scale_down_threshold`. The target is soft: demand opens connections
/// above it at once, without waiting for the next check.
class utilization_scaling {
 public:
  static constexpr bool enabled = true;
  explicit utilization_scaling(const pool_config& config)
      : up_(config.scale_up_threshold),
        down_(config.scale_down_threshold),
        interval_(config.auto_scale ? config.scale_check_interval : no_limit) {}

  void reconfigure(const pool_config& config) noexcept {
    up_ = config.scale_up_threshold;
    down_ = config.scale_down_threshold;
    interval_ = config.auto_scale ? config.scale_check_interval : no_limit;
  }

  duration interval() const noexcept { return interval_; }
  /// The new target; the pool clamps it to its bounds.
  std::size_t target(const scaling_sample& s) const noexcept {
    const std::size_t step = detail::larger_of<std::size_t>(s.size / 5, 1);
    if (s.utilization > up_) return detail::smaller_of(s.max_size, s.size + step);
    if (s.utilization < down_) return detail::larger_of(s.min_size, s.size > step ? s.size - step : 0);
    return s.size;
  }

 private:
  double up_;
  double down_;
  duration interval_;
};

/// No scaling: the target is always `min_size`.
class no_scaling {
 public:
  static constexpr bool enabled = false;
  explicit no_scaling(const pool_config&) {}
};

namespace detail {
template <class P>
inline constexpr bool has_target = requires(const P& p, const scaling_sample& s) {
  { p.target(s) } -> std::convertible_to<std::size_t>;
};
template <class P>
inline constexpr bool has_scaling_interval = requires(const P& p) {
  { p.interval() } -> std::convertible_to<duration>;
};
}  // namespace detail

/// What a scaling policy needs.
template <class P>
concept scaling_policy_form = policy_off<P> ||(switched_policy<P>&& detail::has_scaling_interval<P>&& detail::has_target<P>);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
