// SPDX-License-Identifier: BSL-1.0
// tidepool - the Asio headers that drivers need besides those of the pool.
#ifndef TIDEPOOL_DETAIL_DRIVER_ASIO_IO_HPP
#define TIDEPOOL_DETAIL_DRIVER_ASIO_IO_HPP

#include "../../version.hpp"
#include "../util/asio.hpp"

#if defined(TIDEPOOL_BOOST_ASIO)
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>  // NOLINT(clock): for drivers
#else
#include <asio/ip/address.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>  // NOLINT(clock): for drivers
#endif

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// The token with which the library's coroutines await one operation: without a coroutine frame of its own where Asio can do that.
#if TIDEPOOL_ASIO_HAS_REDIRECTED_DEFERRED
inline constexpr auto await_token = asio::deferred;
#else
inline constexpr auto await_token = asio::use_awaitable;
#endif

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
