// SPDX-License-Identifier: BSL-1.0
// tidepool - what tests use of Asio besides what the library includes: that of the library's flavour, as `asio`.
#ifndef TIDEPOOL_TESTS_ASIO_HPP
#define TIDEPOOL_TESTS_ASIO_HPP

#include <tidepool/detail/util/asio.hpp>

#include <string>

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

/// What `co_spawn()` of Asio 1.26 to 1.30.1 (Boost 1.81 to 1.84) does wrongly when a coroutine is cancelled: before its first step, then
/// the exception leaves `io_context::run()`; and up to 1.27 the signal comes later, by a pointer that may have become invalid.
#define TIDEPOOL_TESTS_ASIO_CANCELS_WRONGLY (TIDEPOOL_ASIO_VERSION >= 102600 && TIDEPOOL_ASIO_VERSION < 103002)

namespace tidepool_tests {

#if TIDEPOOL_ASIO_VERSION >= 102400
using asio::as_tuple;
#else
using asio::experimental::as_tuple;
#endif

/// What a plain `system_error` says, without the category and number that Boost's adds.
inline std::string said_by(const tidepool::system_error& failure) {
  const std::string text = failure.what();
  const std::string more = std::string(" [") + failure.code().category().name() + ":" + std::to_string(failure.code().value()) + "]";
  return text.ends_with(more) ? text.substr(0, text.size() - more.size()) : text;
}

}  // namespace tidepool_tests

#endif
