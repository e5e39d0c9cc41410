// SPDX-License-Identifier: BSL-1.0
// tidepool - what this driver takes from detail/driver/body_fit.hpp.
#ifndef TIDEPOOL_POSTGRES_DETAIL_BODY_FIT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_BODY_FIT_HPP

#include "../../detail/driver/body_fit.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

class transaction;

namespace detail {

using tidepool::detail::driver::body_is_kept;
using tidepool::detail::driver::survives_co_await;
template <class Body>
using body_result = tidepool::detail::driver::body_result<transaction, Body>;
template <class Body>
consteval bool check_body() {
  return tidepool::detail::driver::check_body<transaction, Body>();
}

}  // namespace detail

/// What `transaction()` and `nested()` take.
template <class Body>
concept transaction_body =
    tidepool::detail::driver::awaited_body<transaction, Body>::fits && detail::body_is_kept<Body> && detail::survives_co_await<Body>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
