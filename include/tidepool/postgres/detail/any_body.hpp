// SPDX-License-Identifier: BSL-1.0
// tidepool - what this driver takes from detail/driver/any_body.hpp.
#ifndef TIDEPOOL_POSTGRES_DETAIL_ANY_BODY_HPP
#define TIDEPOOL_POSTGRES_DETAIL_ANY_BODY_HPP

#include "../../detail/driver/any_body.hpp"
#include "../../version.hpp"
#include "body_fit.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

using any_body = tidepool::detail::driver::any_body<transaction>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
