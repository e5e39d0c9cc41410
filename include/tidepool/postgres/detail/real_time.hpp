// SPDX-License-Identifier: BSL-1.0
// tidepool - what this driver takes from detail/driver/real_time.hpp.
#ifndef TIDEPOOL_POSTGRES_DETAIL_REAL_TIME_HPP
#define TIDEPOOL_POSTGRES_DETAIL_REAL_TIME_HPP

#include "../../detail/driver/real_time.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

using tidepool::detail::driver::clock;
using tidepool::detail::driver::coarse_now;
using tidepool::detail::driver::later;
using tidepool::detail::driver::real_timer;
using tidepool::detail::driver::seeded_random;
using tidepool::detail::driver::simulated_time;
using tidepool::detail::driver::time_source;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
