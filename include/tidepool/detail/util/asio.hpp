// SPDX-License-Identifier: BSL-1.0
// tidepool - includes Asio, standalone or with TIDEPOOL_BOOST_ASIO that of Boost, and tells which features its version has. All other
// headers include Asio through this one, or through those for a part of it: asio_address.hpp, driver/asio_io.hpp, driver/asio_local.hpp.
#ifndef TIDEPOOL_DETAIL_UTIL_ASIO_HPP
#define TIDEPOOL_DETAIL_UTIL_ASIO_HPP

#include <utility>  // before Asio 1.23, which forgets it

#include "../../version.hpp"
#include "error_code.hpp"

// Asio before 1.26 does not detect the coroutines of Clang with libstdc++; the macros for that must stand before its first header.
#if defined(TIDEPOOL_BOOST_ASIO)

#if defined(__clang__) && !defined(BOOST_ASIO_HAS_CO_AWAIT) && defined(__cpp_impl_coroutine)
#if defined(BOOST_ASIO_DETAIL_CONFIG_HPP)
#error \
    "Boost.Asio was included before tidepool and found no coroutines: include tidepool first, or define BOOST_ASIO_HAS_CO_AWAIT, BOOST_ASIO_HAS_STD_COROUTINE"
#endif
#define BOOST_ASIO_HAS_CO_AWAIT 1
#define BOOST_ASIO_HAS_STD_COROUTINE 1
#endif

#include <boost/version.hpp>
#if BOOST_VERSION < 107800
#error "tidepool needs Boost 1.78 or newer"
#endif

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/multiple_exceptions.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/recycling_allocator.hpp>
#include <boost/asio/require.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/version.hpp>
#if BOOST_ASIO_VERSION >= 102400
#include <boost/asio/deferred.hpp>
#endif

#if !defined(BOOST_ASIO_HAS_CO_AWAIT)
#error "tidepool needs C++20 coroutines in Boost.Asio: compile with -std=c++20"
#endif

/// As `ASIO_VERSION` counts: 102600 is that of Boost 1.81.
#define TIDEPOOL_ASIO_VERSION BOOST_ASIO_VERSION

#else

// Asio does not find out by itself whether the compiler has RTTI.
#if !defined(__cpp_rtti) && !defined(_CPPRTTI) && !defined(ASIO_NO_TYPEID)
#define ASIO_NO_TYPEID 1
#endif
#if defined(__clang__) && !defined(ASIO_HAS_CO_AWAIT) && defined(__cpp_impl_coroutine)
#if defined(ASIO_DETAIL_CONFIG_HPP)
#error \
    "Asio was included before tidepool and found no coroutines: include tidepool first, or define ASIO_HAS_CO_AWAIT, ASIO_HAS_STD_COROUTINE"
#endif
#define ASIO_HAS_CO_AWAIT 1
#define ASIO_HAS_STD_COROUTINE 1
#endif

#include <asio/any_io_executor.hpp>
#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/basic_waitable_timer.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/cancellation_state.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/dispatch.hpp>
#include <asio/error.hpp>
#include <asio/execution.hpp>
#include <asio/execution_context.hpp>
#include <asio/io_context.hpp>
#include <asio/multiple_exceptions.hpp>
#include <asio/post.hpp>
#include <asio/prefer.hpp>
#include <asio/query.hpp>
#include <asio/recycling_allocator.hpp>
#include <asio/require.hpp>
#include <asio/signal_set.hpp>
#include <asio/strand.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/version.hpp>
#if ASIO_VERSION >= 102400
#include <asio/deferred.hpp>
#endif

#if ASIO_VERSION < 102201
#error "tidepool needs Asio 1.22.1 or newer"
#endif
#if !defined(ASIO_HAS_CO_AWAIT)
#error "tidepool needs C++20 coroutines in Asio: compile with -std=c++20"
#endif

#define TIDEPOOL_ASIO_VERSION ASIO_VERSION

#endif

/// `asio::deferred`; a deferred operation can be awaited without an extra coroutine frame.
#define TIDEPOOL_ASIO_HAS_DEFERRED (TIDEPOOL_ASIO_VERSION >= 102400)
/// `redirect_error` accepts `deferred`.
#define TIDEPOOL_ASIO_HAS_REDIRECTED_DEFERRED (TIDEPOOL_ASIO_VERSION >= 102800)
/// Associated immediate executors.
#define TIDEPOOL_ASIO_HAS_IMMEDIATE_EXECUTOR (TIDEPOOL_ASIO_VERSION >= 102700)
/// `asio::cancel_after`, and `deferred` as the default completion token.
#define TIDEPOOL_ASIO_HAS_CANCEL_AFTER (TIDEPOOL_ASIO_VERSION >= 103100)

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

#if defined(TIDEPOOL_BOOST_ASIO)
namespace asio = ::boost::asio;
#else
/// The Asio of this program, `::asio` or `::boost::asio`.
namespace asio = ::asio;
#endif

namespace detail {

/// Calls `execute()` of any executor. Not named `execute`, because older versions of Asio would find it by argument-dependent lookup.
template <class Executor, class Function>
void hand_to(const Executor& executor, Function&& function) {
#if TIDEPOOL_ASIO_VERSION >= 102600
  executor.execute(std::forward<Function>(function));
#else
  asio::execution::execute(executor, std::forward<Function>(function));
#endif
}

}  // namespace detail

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
