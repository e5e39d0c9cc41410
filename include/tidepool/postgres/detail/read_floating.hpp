// SPDX-License-Identifier: BSL-1.0
// tidepool - what this driver takes from detail/driver/read_floating.hpp.
#ifndef TIDEPOOL_POSTGRES_DETAIL_READ_FLOATING_HPP
#define TIDEPOOL_POSTGRES_DETAIL_READ_FLOATING_HPP

#include "../../detail/driver/read_floating.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

using tidepool::detail::driver::read_floating;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
