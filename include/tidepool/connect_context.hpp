// SPDX-License-Identifier: BSL-1.0
// tidepool - connectors, which open a pool's connections, and the context they get for an attempt.
#ifndef TIDEPOOL_CONNECT_CONTEXT_HPP
#define TIDEPOOL_CONNECT_CONTEXT_HPP

#include <concepts>
#include <functional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "detail/util/asio.hpp"
#include "time.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Time limits of a pool's configuration that concern the connections it gets; `no_limit`: the connector's own count alone.
struct connection_limits {
  duration response_timeout = no_limit;  ///< `pool_config::response_timeout`
  duration close_timeout = no_limit;     ///< `pool_config::close_timeout`
};

/// Describes one connect attempt to the connector.
template <class Executor, class Clock>
class basic_connect_context {
 public:
  basic_connect_context(Executor executor, typename Clock::time_point deadline, unsigned attempt, std::string_view pool_name,
                        connection_limits limits = connection_limits())
      : executor_(std::move(executor)), deadline_(deadline), attempt_(attempt), pool_name_(pool_name), limits_(limits) {}

  /// The pool's executor: use it for sockets and timers that the connection keeps.
  const Executor& executor() const noexcept { return executor_; }
  /// When the pool gives up on this attempt (`connect_timeout` after its start) and cancels it (terminal).
  typename Clock::time_point deadline() const noexcept { return deadline_; }
  /// 1 for the first attempt since the last success, then counting up over the whole pool.
  unsigned attempt() const noexcept { return attempt_; }
  /// The pool's name. Valid as long as the attempt.
  std::string_view pool_name() const noexcept { return pool_name_; }
  /// What the pool's configuration asks of the connection; a connector that can keeps to it.
  const connection_limits& limits() const noexcept { return limits_; }

 private:
  Executor executor_;
  typename Clock::time_point deadline_;
  unsigned attempt_;
  std::string_view pool_name_;
  connection_limits limits_;
};

/// The context a pool of these Traits gives to its connector.
template <class Traits>
using connect_context_of = basic_connect_context<typename Traits::executor_type, typename Traits::clock_type>;

namespace detail {
template <class Connection, class Traits>
using connect_result = asio::awaitable<Connection, typename Traits::operation_executor>;
}

/// A connector that is called as `f(connect_context)`.
template <class F, class Connection, class Traits>
concept connector_with_context = requires(F& f, connect_context_of<Traits> context) {
  { std::invoke(f, std::move(context)) } -> std::convertible_to<detail::connect_result<Connection, Traits>>;
};
/// A connector that is called as `f()`, without the context.
template <class F, class Connection, class Traits>
concept connector_without_context = requires(F& f) {
  { std::invoke(f) } -> std::convertible_to<detail::connect_result<Connection, Traits>>;
};

/// Opens the connections of a pool: copyable, and called with the connect context or without arguments. It returns
/// `asio::awaitable<Connection, Traits::operation_executor>`.
template <class F, class Connection, class Traits>
concept connector_for = std::copy_constructible<F> &&
    (connector_with_context<F, Connection, Traits> || connector_without_context<F, Connection, Traits>);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
