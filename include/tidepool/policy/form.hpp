// SPDX-License-Identifier: BSL-1.0
// tidepool - what all policies that can be off have in common.
#ifndef TIDEPOOL_POLICY_FORM_HPP
#define TIDEPOOL_POLICY_FORM_HPP

#include <concepts>
#include <type_traits>

#include "../config.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

namespace detail {
template <class P>
inline constexpr bool has_switch = requires {
  typename std::bool_constant<P::enabled>;
};
template <class P>
inline constexpr bool made_from_config = std::constructible_from<P, const pool_config&>;
/// Tells a policy of another configuration, if it has `void reconfigure(const pool_config&) noexcept`; others stay as they are.
template <class P>
void reconfigure_policy(P& policy, const pool_config& config) noexcept {
  if constexpr (requires { policy.reconfigure(config); }) policy.reconfigure(config);
}
}  // namespace detail

/// `static constexpr bool enabled`, and a constructor from the pool's configuration: `explicit P(const pool_config&)`.
template <class P>
concept switched_policy = detail::has_switch<P> && detail::made_from_config<P>;
/// One that is off. It needs nothing more, and costs nothing.
template <class P>
concept policy_off = switched_policy<P> && !P::enabled;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
