// SPDX-License-Identifier: BSL-1.0
// tidepool - what this driver takes from detail/driver/wait_timer.hpp.
#ifndef TIDEPOOL_POSTGRES_DETAIL_WAIT_TIMER_HPP
#define TIDEPOOL_POSTGRES_DETAIL_WAIT_TIMER_HPP

#include "../../detail/driver/wait_timer.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

using tidepool::detail::driver::wait_timer;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
