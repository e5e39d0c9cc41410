// SPDX-License-Identifier: BSL-1.0
// tidepool - parameters: see lazy.hpp.
#ifndef TIDEPOOL_SQLITE_IMPL_CODEC_IPP
#define TIDEPOOL_SQLITE_IMPL_CODEC_IPP

#include "../../version.hpp"
#include "../codec.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {

TIDEPOOL_LAZY_BODY void parameter::refuse_size() { throw error(errc::bad_parameter, "larger than 1 GB"); }

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

#endif
