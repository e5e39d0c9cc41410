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

/// Waits for a timer or a socket, where a coroutine frame does not matter. Asio's own functions have a deduced type, so that a compiler
/// which meets them within a template compiles all behind them, whether that template is used or not (lazy.hpp): these have a written one.
template <class Timer>
asio::awaitable<void> await_timer(Timer& timer) {
  return timer.async_wait(asio::use_awaitable);
}
template <class Timer>
asio::awaitable<void> await_timer(Timer& timer, error_code& failed) {
  return timer.async_wait(asio::redirect_error(asio::use_awaitable, failed));
}
template <class Socket>
asio::awaitable<void> await_socket(Socket& socket, asio::posix::stream_descriptor::wait_type direction, error_code& failed) {
  return socket.async_wait(direction, asio::redirect_error(asio::use_awaitable, failed));
}
/// Lets other coroutines of the event loop run.
template <class Token = asio::use_awaitable_t<>>
asio::awaitable<void> give_way() {
  return asio::post(Token());
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
