// SPDX-License-Identifier: BSL-1.0
// tidepool - a project's own targets for Asio and libpq are those that tidepool uses.
#if !defined(OUR_ASIO) || !defined(OUR_LIBPQ)
#error "tidepool has found others"
#endif
#include <libpq-fe.h>
#include <asio/version.hpp>
#include <tidepool/version.hpp>

int main() { return PQlibVersion() > 0 && ASIO_VERSION > 0 && TIDEPOOL_VERSION > 0 ? 0 : 1; }
