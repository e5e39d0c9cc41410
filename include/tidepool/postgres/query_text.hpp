// SPDX-License-Identifier: BSL-1.0
// tidepool - the text of a statement, with the place where the program gives it.
#ifndef TIDEPOOL_POSTGRES_QUERY_TEXT_HPP
#define TIDEPOOL_POSTGRES_QUERY_TEXT_HPP

#include "../query_text.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// The same for all drivers.
using tidepool::query_text;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
