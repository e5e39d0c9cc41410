// SPDX-License-Identifier: BSL-1.0
// tidepool - streams: see lazy.hpp.
#ifndef TIDEPOOL_MYSQL_IMPL_STREAM_IPP
#define TIDEPOOL_MYSQL_IMPL_STREAM_IPP

#include "../../version.hpp"
#include "../error.hpp"
#include "../stream.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

TIDEPOOL_LAZY_BODY void refuse_moved_from() {
  throw error(errc::bad_usage, "this object was moved from: use the one that it was moved to");
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
