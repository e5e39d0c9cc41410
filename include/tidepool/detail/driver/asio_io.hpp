// SPDX-License-Identifier: BSL-1.0
// tidepool - the Asio headers that drivers need besides those of the pool.
#ifndef TIDEPOOL_DETAIL_DRIVER_ASIO_IO_HPP
#define TIDEPOOL_DETAIL_DRIVER_ASIO_IO_HPP

#include <asio/ip/address.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>  // NOLINT(clock): for drivers

#include "../../version.hpp"
#include "../util/asio.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// The token with which the library's coroutines await one operation: without a coroutine frame of its own where Asio can do that.
#if TIDEPOOL_ASIO_HAS_REDIRECTED_DEFERRED
inline constexpr auto await_token = asio::deferred;
#else
inline constexpr auto await_token = asio::use_awaitable;
#endif

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
