// SPDX-License-Identifier: BSL-1.0
// tidepool - the core needs neither Asio nor threads: all of it is included here, and nothing of these may have come along.
#include "core_headers.hpp"

#if defined(ASIO_VERSION) || defined(ASIO_DETAIL_CONFIG_HPP) || defined(BOOST_ASIO_VERSION)
#error "a header of the core or of its utilities includes Asio"
#endif
// Boost's error codes lock a mutex where they become those of the standard library.
#if !defined(TIDEPOOL_BOOST_ASIO) && (defined(_GLIBCXX_THREAD) || defined(_GLIBCXX_MUTEX) || defined(_GLIBCXX_CONDITION_VARIABLE) || \
                                      defined(_GLIBCXX_FUTURE) || defined(_LIBCPP_THREAD) || defined(_LIBCPP_MUTEX))
#error "a header of the core or of its utilities includes <thread>, <mutex> or their like"
#endif

namespace {

struct no_connection {};

/// Policies of its own, because some of the pool's look at connections, which have coroutines.
struct plain_policy {
  static constexpr bool enabled = false;
  static constexpr bool newest_first = true;
  explicit plain_policy(const tidepool::pool_config&) {}
  tidepool::duration interval() const noexcept { return tidepool::no_limit; }
  tidepool::detail::tick fresh_until(tidepool::detail::tick) const noexcept { return tidepool::detail::never; }
};
struct plain_traits {
  using health_policy = plain_policy;
  using leak_policy = plain_policy;
  using scaling_policy = tidepool::no_scaling;
  using lifetime_policy = plain_policy;
  using queue_policy = plain_policy;
  using breaker_policy = tidepool::no_breaker;
};

}  // namespace

template class tidepool::detail::pool_core<plain_traits, true, true>;
