// SPDX-License-Identifier: BSL-1.0
// tidepool - floor for the driver: the Asio headers it needs besides, with libpq's.
#include "asio_headers.hpp"

#include <libpq-fe.h>
#include <asio/ip/tcp.hpp>
#include <asio/posix/stream_descriptor.hpp>
