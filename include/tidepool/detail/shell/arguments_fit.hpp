// SPDX-License-Identifier: BSL-1.0
// tidepool - what the compiler says of arguments that make no pool: a connector of another form, a wrong order.
#ifndef TIDEPOOL_DETAIL_SHELL_ARGUMENTS_FIT_HPP
#define TIDEPOOL_DETAIL_SHELL_ARGUMENTS_FIT_HPP

#include <concepts>
#include <functional>
#include <type_traits>

#include "../../config.hpp"
#include "../../connect_context.hpp"
#include "../../version.hpp"
#include "../util/asio.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

template <class C>
concept execution_context = std::convertible_to<C&, asio::execution_context&>;

/// Where a pool may run: its executor, or a context that has one.
template <class Place, class Executor>
inline constexpr bool is_place_for = std::is_convertible_v<Place, Executor>;
template <class Context, class Executor>
requires execution_context<Context>
inline constexpr bool is_place_for<Context&, Executor> =
    std::is_constructible_v<Executor, decltype(std::declval<Context&>().get_executor())>;

enum class connector_misfit { none, cannot_be_copied, is_not_called, no_awaitable, other_executor, other_type };

template <class Result, class Wanted>
inline constexpr connector_misfit result_misfit = connector_misfit::no_awaitable;
template <class T, class E, class Wanted, class Executor>
inline constexpr connector_misfit result_misfit<asio::awaitable<T, E>, asio::awaitable<Wanted, Executor>> =
    std::is_same_v<E, Executor> ? connector_misfit::other_type : connector_misfit::other_executor;

template <class F, class Connection, class Traits>
consteval connector_misfit find_connector_misfit() {
  using wanted = connect_result<Connection, Traits>;
  using context = connect_context_of<Traits>;
  if constexpr (connector_for<F, Connection, Traits>) {
    return connector_misfit::none;
  } else if constexpr (!std::copy_constructible<F>) {
    return connector_misfit::cannot_be_copied;
  } else if constexpr (std::invocable<F&, context>) {
    return result_misfit<std::remove_cvref_t<std::invoke_result_t<F&, context>>, wanted>;
  } else if constexpr (std::invocable<F&>) {
    return result_misfit<std::remove_cvref_t<std::invoke_result_t<F&>>, wanted>;
  } else {
    return connector_misfit::is_not_called;
  }
}

template <class F, class Connection, class Traits>
constexpr void explain_connector() {
  constexpr auto found = find_connector_misfit<F, Connection, Traits>();
  static_assert(found != connector_misfit::cannot_be_copied,
                "the connector cannot be copied: keep what it captures in a std::shared_ptr, or capture what can be copied");
  static_assert(found != connector_misfit::is_not_called,
                "the connector is called as `connect(connect_context)` or as `connect()`: write `[](auto context) -> asio::awaitable<C>`, "
                "with C the connection type of the pool");
  static_assert(found != connector_misfit::no_awaitable,
                "the connector returns no awaitable: write `asio::awaitable<C>` as its return type, with C the connection type of the "
                "pool, and `co_return` in it");
  static_assert(found != connector_misfit::other_executor,
                "the connector's awaitable belongs to another executor type: write `asio::awaitable<C, E>` with E the operation_executor "
                "of the Traits, or change `operation_executor`");
  static_assert(
      found != connector_misfit::other_type,
      "the connector's awaitable yields another type: write `asio::awaitable<C>` with C the connection type of the pool, which is "
      "the first argument of basic_pool");
}

/// Not every observer has a default.
template <class Observer>
Observer default_observer() {
  static_assert(std::default_initializable<Observer>, "the observer has no default: give it as the fourth argument of the pool");
  if constexpr (std::default_initializable<Observer>) {
    return Observer();
  } else {
    return default_observer<Observer>();
  }
}

template <class Tracer>
Tracer default_tracer() {
  static_assert(std::default_initializable<Tracer>, "the tracer has no default: give it as the fifth argument of the pool");
  if constexpr (std::default_initializable<Tracer>) {
    return Tracer();
  } else {
    return default_tracer<Tracer>();
  }
}

/// Arguments in another order, or of other types, than executor, connector, configuration and observer.
template <class Pool, class... Args>
inline constexpr bool no_pool_arguments = sizeof...(Args) > 5;
template <class Pool, class Only>
inline constexpr bool no_pool_arguments<Pool, Only> = !std::is_base_of_v<Pool, std::remove_cvref_t<Only>>;
template <class Pool, class Place, class Connect, class Config>
inline constexpr bool no_pool_arguments<Pool, Place, Connect, Config> = !std::is_convertible_v<Config, const pool_config&>;
template <class Pool, class Place, class Connect, class Config, class Observer>
inline constexpr bool no_pool_arguments<Pool, Place, Connect, Config, Observer> = !std::is_convertible_v<Config, const pool_config&>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
