// SPDX-License-Identifier: BSL-1.0
// tidepool - OpenSSL's errors of one connection are kept from the others.
#ifndef TIDEPOOL_MYSQL_DETAIL_TLS_ERRORS_HPP
#define TIDEPOOL_MYSQL_DETAIL_TLS_ERRORS_HPP

#include <dlfcn.h>

#include "../../version.hpp"

// As in ../../postgres/detail/tls_pending.hpp: OpenSSL is loaded where the client library uses it.
#if defined(__APPLE__)
extern "C" void tidepool_err_clear_error() __asm__("_ERR_clear_error") __attribute__((weak_import));
#else
extern "C" void tidepool_err_clear_error() __asm__("ERR_clear_error") __attribute__((weak));
#endif

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

/// Before each call that may read or write: OpenSSL has one list of errors for all connections of a thread, and takes what another one left
/// there for the result of this call. Its rule is to clear the list before; the client library does not.
template <class = void>
inline void clear_tls_errors() noexcept {
  using function = void (*)();
  static const function clear = []() -> function {
    if (&tidepool_err_clear_error != nullptr) return &tidepool_err_clear_error;
    return reinterpret_cast<function>(::dlsym(RTLD_DEFAULT, "ERR_clear_error"));
  }();
  if (clear != nullptr) clear();
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
