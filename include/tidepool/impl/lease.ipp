// SPDX-License-Identifier: BSL-1.0
// tidepool - what an empty lease says.
#ifndef TIDEPOOL_IMPL_LEASE_IPP
#define TIDEPOOL_IMPL_LEASE_IPP

#include <string>

#include "../error.hpp"
#include "../lease.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

void throw_empty_lease(const char* what) {
  throw system_error(make_error_code(errc::empty_lease),
                     std::string(what) +
                         " of an empty lease (it was released, discarded, detached or moved from, or try_acquire() found no connection "
                         "idle: test it by `if (lease)`)");
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
