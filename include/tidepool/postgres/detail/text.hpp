// SPDX-License-Identifier: BSL-1.0
// tidepool - the texts that all drivers share, by their names here.
#ifndef TIDEPOOL_POSTGRES_DETAIL_TEXT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_TEXT_HPP

#include "../../detail/driver/text.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

using tidepool::detail::first_line;
using tidepool::detail::printable;
using tidepool::detail::redact;
using tidepool::detail::seconds_text;
using tidepool::detail::wipe;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
