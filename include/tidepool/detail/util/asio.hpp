// SPDX-License-Identifier: BSL-1.0
// tidepool - includes Asio and tells which features its version has. Every other header includes Asio through this one.
#ifndef TIDEPOOL_DETAIL_UTIL_ASIO_HPP
#define TIDEPOOL_DETAIL_UTIL_ASIO_HPP

// Asio does not find out by itself whether the compiler has RTTI.
#if !defined(__cpp_rtti) && !defined(ASIO_NO_TYPEID)
#define ASIO_NO_TYPEID 1
#endif
// Asio before 1.26 does not detect the coroutines of Clang with libstdc++; these macros must stand before its first header.
#if defined(__clang__) && !defined(ASIO_HAS_CO_AWAIT) && defined(__cpp_impl_coroutine)
#if defined(ASIO_DETAIL_CONFIG_HPP)
#error \
    "Asio was included before tidepool and found no coroutines: include tidepool first, or define ASIO_HAS_CO_AWAIT, ASIO_HAS_STD_COROUTINE"
#endif
#define ASIO_HAS_CO_AWAIT 1
#define ASIO_HAS_STD_COROUTINE 1
#endif

#include <system_error>
#include <utility>  // before Asio 1.23, which forgets it

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

#include "../../version.hpp"

#if ASIO_VERSION < 102201
#error "tidepool needs Asio 1.22.1 or newer"
#endif
#if !defined(ASIO_HAS_CO_AWAIT)
#error "tidepool needs C++20 coroutines in Asio: compile with -std=c++20"
#endif

/// `asio::deferred`; a deferred operation can be awaited without an extra coroutine frame.
#define TIDEPOOL_ASIO_HAS_DEFERRED (ASIO_VERSION >= 102400)
/// `redirect_error` accepts `deferred`.
#define TIDEPOOL_ASIO_HAS_REDIRECTED_DEFERRED (ASIO_VERSION >= 102800)
/// Associated immediate executors.
#define TIDEPOOL_ASIO_HAS_IMMEDIATE_EXECUTOR (ASIO_VERSION >= 102700)
/// `asio::cancel_after`, and `deferred` as the default completion token.
#define TIDEPOOL_ASIO_HAS_CANCEL_AFTER (ASIO_VERSION >= 103100)

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

namespace asio = ::asio;
using error_code = std::error_code;

namespace detail {

/// Calls `execute()` of any executor. Not named `execute`, because older versions of Asio would find it by argument-dependent lookup.
template <class Executor, class Function>
void hand_to(const Executor& executor, Function&& function) {
#if ASIO_VERSION >= 102600
  executor.execute(std::forward<Function>(function));
#else
  asio::execution::execute(executor, std::forward<Function>(function));
#endif
}

}  // namespace detail

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
