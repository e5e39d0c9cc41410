// SPDX-License-Identifier: BSL-1.0
// tidepool - a seed from the operating system.
#ifndef TIDEPOOL_DETAIL_UTIL_SYSTEM_SEED_HPP
#define TIDEPOOL_DETAIL_UTIL_SYSTEM_SEED_HPP

#include <cstdint>

#include "../../version.hpp"
#include "linkage.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Different each time it is called. Throws an exception where the system has none.
TIDEPOOL_DECL std::uint64_t seed_of_system();

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#if TIDEPOOL_HEADER_ONLY
#include "impl/system_seed.ipp"
#endif

#endif
