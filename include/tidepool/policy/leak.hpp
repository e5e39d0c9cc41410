// SPDX-License-Identifier: BSL-1.0
// tidepool - leak policies: which leases have been held too long.
#ifndef TIDEPOOL_POLICY_LEAK_HPP
#define TIDEPOOL_POLICY_LEAK_HPP

#include <concepts>

#include "../config.hpp"
#include "../version.hpp"
#include "form.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Default: leases are kept in order of checkout; at `leak_timeout` each is reported once, at `abandon_timeout` (opt-in) it loses
/// its connection.
class leak_detection {
 public:
  static constexpr bool enabled = true;
  explicit leak_detection(const pool_config& config) noexcept { reconfigure(config); }
  void reconfigure(const pool_config& config) noexcept {
    report_after_ = config.leak_detection ? config.leak_timeout : no_limit;
    reclaim_after_ = config.leak_detection ? config.abandon_timeout : no_limit;
  }

  duration report_after() const noexcept { return report_after_; }
  duration reclaim_after() const noexcept { return reclaim_after_; }

 private:
  duration report_after_{};
  duration reclaim_after_{};
};

/// No leak detection: leases may be held for ever.
class no_leak_detection {
 public:
  static constexpr bool enabled = false;
  explicit no_leak_detection(const pool_config&) {}
};

namespace detail {
template <class P>
inline constexpr bool has_report_after = requires(const P& p) {
  { p.report_after() } -> std::convertible_to<duration>;
};
template <class P>
inline constexpr bool has_reclaim_after = requires(const P& p) {
  { p.reclaim_after() } -> std::convertible_to<duration>;
};
}  // namespace detail

/// What a leak policy needs.
template <class P>
concept leak_policy_form = policy_off<P> ||(switched_policy<P>&& detail::has_report_after<P>&& detail::has_reclaim_after<P>);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
