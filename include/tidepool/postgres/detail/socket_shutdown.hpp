// SPDX-License-Identifier: BSL-1.0
// tidepool - what this driver takes from detail/driver/socket_shutdown.hpp.
#ifndef TIDEPOOL_POSTGRES_DETAIL_SOCKET_SHUTDOWN_HPP
#define TIDEPOOL_POSTGRES_DETAIL_SOCKET_SHUTDOWN_HPP

#include "../../detail/driver/socket_shutdown.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

using tidepool::detail::driver::deadline_guard;
using tidepool::detail::driver::shutdown_reason;
using tidepool::detail::driver::shutdown_words;
using tidepool::detail::driver::socket_shutdown;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
