// SPDX-License-Identifier: BSL-1.0
// tidepool - whether bytes are UTF-8, by the server's rules.
#ifndef TIDEPOOL_POSTGRES_DETAIL_UTF8_HPP
#define TIDEPOOL_POSTGRES_DETAIL_UTF8_HPP

#include <cstddef>
#include <string_view>

#include "../../detail/util/linkage.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// No overlong forms, no surrogates, nothing beyond U+10FFFF.
TIDEPOOL_DECL bool is_utf8(std::string_view text) noexcept;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
