// SPDX-License-Identifier: BSL-1.0
// tidepool - requests: see lazy.hpp.
#ifndef TIDEPOOL_SQLITE_IMPL_REQUEST_IPP
#define TIDEPOOL_SQLITE_IMPL_REQUEST_IPP

#include <string>
#include <string_view>

#include "../../version.hpp"
#include "../detail/request.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail {

TIDEPOOL_LAZY_BODY request::request(std::string_view text, const source_location& called_from, duration within)
    : sql(text), from(called_from), limit(within) {
  if (sql.find('\0') != std::string::npos) throw error(errc::bad_parameter, "the statement holds a NUL byte");
}
TIDEPOOL_LAZY_BODY void request::refuse(const error& failure) const {
  throw error(failure.reason(), "parameter " + std::to_string(values.size() + 1) + ": " + std::string(failure.explanation()));
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail

#endif
