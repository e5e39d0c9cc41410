// SPDX-License-Identifier: BSL-1.0
// tidepool - errors of COPY: see lazy.hpp.
#ifndef TIDEPOOL_POSTGRES_IMPL_COPY_IPP
#define TIDEPOOL_POSTGRES_IMPL_COPY_IPP

#include <cstddef>
#include <cstdint>
#include <string>

#include "../../version.hpp"
#include "../copy.hpp"
#include "../error.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

TIDEPOOL_LAZY_BODY void refuse_copy_format(bool writes) {
  throw error(errc::bad_usage, writes ? "row() writes COPY's text format without options of its own: use write()"
                                      : "row() reads COPY's text format without options of its own: use next()");
}
TIDEPOOL_LAZY_BODY void throw_copy_columns(std::uint64_t row, std::size_t found, std::size_t wanted, std::string (*type)()) {
  throw error(errc::columns, "row " + std::to_string(row) + " has " + std::to_string(found) + " columns, and " + type() + " takes " +
                                 std::to_string(wanted) + "; name as many columns in the COPY");
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
