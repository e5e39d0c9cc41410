// SPDX-License-Identifier: BSL-1.0
// tidepool - finds bytes that OpenSSL has decrypted already, which no poll of the socket shows.
#ifndef TIDEPOOL_POSTGRES_DETAIL_TLS_PENDING_HPP
#define TIDEPOOL_POSTGRES_DETAIL_TLS_PENDING_HPP

#include <dlfcn.h>
#include <libpq-fe.h>

#include <string>

#include "../../version.hpp"

// OpenSSL is loaded when libpq uses it, so a weak reference is enough, and this library need not link it. A weak reference also finds it
// where libpq was linked statically. Declared under another name, because a program may include OpenSSL's own declaration as well.
#if defined(__APPLE__)
extern "C" int tidepool_ssl_pending(const void* tls) __asm__("_SSL_pending") __attribute__((weak_import));
#else
extern "C" int tidepool_ssl_pending(const void* tls) __asm__("SSL_pending") __attribute__((weak));
#endif

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

using ssl_pending_function = int (*)(const void*);

/// `SSL_pending`, by reference or else by name (libpq loaded at run time); null when there is none.
template <class = void>
inline ssl_pending_function find_ssl_pending() noexcept {
  static const ssl_pending_function found = []() -> ssl_pending_function {
    if (&tidepool_ssl_pending != nullptr) return &tidepool_ssl_pending;
    return reinterpret_cast<ssl_pending_function>(::dlsym(RTLD_DEFAULT, "SSL_pending"));
  }();
  return found;
}

/// libpq before the fixes of July 2026 can leave decrypted bytes in OpenSSL when a record is larger than its buffer has room for.
template <class = void>
inline bool tls_pending(PGconn* connection) noexcept {
  if (PQsslInUse(connection) == 0) return false;
  const ssl_pending_function pending = find_ssl_pending();
  const void* tls = PQsslStruct(connection, "OpenSSL");
  return pending != nullptr && tls != nullptr && pending(tls) > 0;
}

/// Whether this libpq leaves no bytes there. `version` as from `PQlibVersion()`.
template <class = void>
inline bool libpq_drains_tls(int version) noexcept {
  const int minor = version % 10000;
  switch (version / 10000) {
    case 14: return minor >= 25;
    case 15: return minor >= 20;
    case 16: return minor >= 16;
    case 17: return minor >= 12;
    case 18: return minor >= 6;
    default: return version >= 190000;
  }
}

/// Why a connection with TLS cannot be used; empty where it can. Without this check some queries would hang without a visible cause.
template <class = void>
inline std::string blind_to_tls(int libpq_version, bool can_look) {
  if (can_look || libpq_drains_tls(libpq_version)) return {};
  const int minor = libpq_version % 10000;
  return "this program cannot see what OpenSSL has decrypted, and libpq " + std::to_string(libpq_version / 10000) + "." +
         std::to_string(minor) +
         " leaves bytes there, so that queries could hang: export SSL_pending from where OpenSSL is linked (-rdynamic), or use a libpq of "
         "August 2026 or newer, or sslmode=disable";
}
template <class = void>
inline std::string blind_to_tls(PGconn* connection) {
  if (PQsslInUse(connection) == 0) return {};
  const bool can_look = find_ssl_pending() != nullptr && PQsslStruct(connection, "OpenSSL") != nullptr;
  return blind_to_tls(PQlibVersion(), can_look);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
