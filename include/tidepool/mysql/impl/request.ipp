// SPDX-License-Identifier: BSL-1.0
// tidepool - requests: see lazy.hpp.
#ifndef TIDEPOOL_MYSQL_IMPL_REQUEST_IPP
#define TIDEPOOL_MYSQL_IMPL_REQUEST_IPP

#include <string>
#include <string_view>

#include "../../version.hpp"
#include "../detail/request.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

TIDEPOOL_LAZY_BODY request::request(std::string_view text, const source_location& called_from, duration within)
    : sql(text), from(called_from), limit(within) {
  if (sql.empty()) throw error(errc::bad_usage, "the statement is empty");
}
TIDEPOOL_LAZY_BODY void request::refuse(const error& failure) const {
  throw error(failure.reason(), "parameter " + std::to_string(values.size() + 1) + ": " + std::string(failure.explanation()));
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
