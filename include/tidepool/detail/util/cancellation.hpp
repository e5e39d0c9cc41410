// SPDX-License-Identifier: BSL-1.0
// tidepool - whether an error says no more than that something was cancelled.
#ifndef TIDEPOOL_DETAIL_UTIL_CANCELLATION_HPP
#define TIDEPOOL_DETAIL_UTIL_CANCELLATION_HPP

#include <exception>
#include <system_error>

#include "../../version.hpp"
#include "asio.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// The code of a cancelled operation, of Asio's or of the pool's. That of older Asio does not equal `std::errc`.
inline bool is_cancellation(const error_code& code) noexcept {
  return code == asio::error::operation_aborted || code == generic_errc::operation_canceled;
}
/// The code of an exception; none where it has none. Of several (awaitable operators), the first one counts.
inline error_code code_of(const std::exception_ptr& failure) noexcept {
  if (!failure) return {};
  try {
    std::rethrow_exception(failure);
  } catch (const system_error& e) {
    return e.code();
  } catch (const asio::multiple_exceptions& several) {
    return code_of(several.first_exception());
  } catch (...) {
    if constexpr (two_kinds_of_errors) return code_of_std_exception();
    return {};
  }
}
inline bool is_cancellation(const std::exception_ptr& failure) noexcept { return is_cancellation(code_of(failure)); }

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
