// SPDX-License-Identifier: BSL-1.0
// tidepool - what tests use of Asio besides what the library includes: that of the library's flavour, as `asio`.
#ifndef TIDEPOOL_TESTS_ASIO_HPP
#define TIDEPOOL_TESTS_ASIO_HPP

#include <tidepool/detail/util/asio.hpp>

#if defined(TIDEPOOL_BOOST_ASIO)
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#if TIDEPOOL_ASIO_VERSION >= 102400
#include <boost/asio/as_tuple.hpp>
#else
#include <boost/asio/experimental/as_tuple.hpp>
#endif

namespace asio = ::boost::asio;
#else
#include <asio/executor_work_guard.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/steady_timer.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_future.hpp>
#include <asio/write.hpp>
#if TIDEPOOL_ASIO_VERSION >= 102400
#include <asio/as_tuple.hpp>
#else
#include <asio/experimental/as_tuple.hpp>
#endif
#endif

namespace tidepool_tests {

#if TIDEPOOL_ASIO_VERSION >= 102400
using asio::as_tuple;
#else
using asio::experimental::as_tuple;
#endif

}  // namespace tidepool_tests

#endif
