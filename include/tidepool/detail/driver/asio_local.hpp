// SPDX-License-Identifier: BSL-1.0
// tidepool - what of Asio reads and writes streams of local sockets.
#ifndef TIDEPOOL_DETAIL_DRIVER_ASIO_LOCAL_HPP
#define TIDEPOOL_DETAIL_DRIVER_ASIO_LOCAL_HPP

#include "../util/asio.hpp"

#if defined(TIDEPOOL_BOOST_ASIO)
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#else
#include <asio/local/stream_protocol.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#endif

#endif
