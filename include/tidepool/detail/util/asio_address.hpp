// SPDX-License-Identifier: BSL-1.0
// tidepool - Asio's addresses and networks, which most programs do not need.
#ifndef TIDEPOOL_DETAIL_UTIL_ASIO_ADDRESS_HPP
#define TIDEPOOL_DETAIL_UTIL_ASIO_ADDRESS_HPP

#include "asio.hpp"

#if defined(TIDEPOOL_BOOST_ASIO)
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#else
#include <asio/ip/address.hpp>
#include <asio/ip/network_v4.hpp>
#include <asio/ip/network_v6.hpp>
#endif

#endif
