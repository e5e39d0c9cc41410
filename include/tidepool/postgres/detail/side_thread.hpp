// SPDX-License-Identifier: BSL-1.0
// tidepool - what this driver takes from detail/driver/side_thread.hpp.
#ifndef TIDEPOOL_POSTGRES_DETAIL_SIDE_THREAD_HPP
#define TIDEPOOL_POSTGRES_DETAIL_SIDE_THREAD_HPP

#include "../../detail/driver/side_thread.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

using tidepool::detail::driver::on_side_thread;
using tidepool::detail::driver::side_threads_running;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
