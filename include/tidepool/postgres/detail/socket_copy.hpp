// SPDX-License-Identifier: BSL-1.0
// tidepool - what this driver takes from detail/driver/socket_copy.hpp.
#ifndef TIDEPOOL_POSTGRES_DETAIL_SOCKET_COPY_HPP
#define TIDEPOOL_POSTGRES_DETAIL_SOCKET_COPY_HPP

#include "../../detail/driver/socket_copy.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

using tidepool::detail::driver::socket_copy;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
