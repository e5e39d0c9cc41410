// SPDX-License-Identifier: BSL-1.0
// tidepool - what the body of a transaction has to be, and what the compiler says of one that is not.
#ifndef TIDEPOOL_DETAIL_DRIVER_BODY_FIT_HPP
#define TIDEPOOL_DETAIL_DRIVER_BODY_FIT_HPP

#include <type_traits>

#include "../../version.hpp"
#include "../util/asio.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver {

/// GCC 12 destroys the captures of a temporary lambda in a `co_await` expression twice. A temporary with nothing to destroy is safe, and so
/// is an object with a name.
template <class Body>
inline constexpr bool survives_co_await =
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
    std::is_lvalue_reference_v<Body> || std::is_trivially_destructible_v<std::remove_reference_t<Body>>;
#else
    true;
#endif

template <class Body>
inline constexpr bool body_is_kept = std::is_constructible_v<std::decay_t<Body>, Body>;
template <class Scope, class Body>
inline constexpr bool body_is_called = std::is_invocable_v<std::decay_t<Body>&, Scope&>;

/// What calling it returns; void where it cannot be called.
template <class Scope, class Body>
struct called_body {
  using type = void;
};
template <class Scope, class Body>
requires body_is_called<Scope, Body>
struct called_body<Scope, Body> {
  using type = std::remove_cvref_t<std::invoke_result_t<std::decay_t<Body>&, Scope&>>;
};

template <class Result>
struct awaited {
  static constexpr bool by_asio = false;
  static constexpr bool fits = false;
  using type = void;
};
template <class T, class Executor>
struct awaited<asio::awaitable<T, Executor>> {
  static constexpr bool by_asio = true;
  static constexpr bool fits = std::is_same_v<Executor, asio::any_io_executor>;
  using type = T;
};
template <class Scope, class Body>
using awaited_body = awaited<typename called_body<Scope, Body>::type>;
/// What the body's coroutine returns; void where the body does not fit.
template <class Scope, class Body>
using body_result = typename awaited_body<Scope, Body>::type;

/// False, with one error in words, where the body does not fit.
template <class Scope, class Body>
consteval bool check_body() {
  constexpr bool kept = body_is_kept<Body>;
  constexpr bool survives = survives_co_await<Body>;
  constexpr bool called = body_is_called<Scope, Body>;
  constexpr bool awaitable = awaited_body<Scope, Body>::by_asio;
  constexpr bool here = awaited_body<Scope, Body>::fits;
  static_assert(called, "the body is called with a `transaction&` of the driver: write `[](auto& t) -> asio::awaitable<void>`");
  static_assert(!called || awaitable,
                "the body returns no awaitable: write `-> asio::awaitable<void>` behind its parameters, or the type that it returns "
                "by co_return instead of void");
  static_assert(!awaitable || here, "the body's awaitable belongs to another executor type: write `asio::awaitable<T>`");
  static_assert(!here || kept, "the body is copied, and this one cannot be: pass std::ref(body) or std::move(body)");
  static_assert(!here || !kept || survives,
                "GCC 12 destroys the captures of a temporary lambda in a co_await expression twice: name the lambda first, as in "
                "`auto body = [...](auto& t) ...; co_await c.transaction(body);`, with std::ref(body) where it cannot be copied");
  return here && kept && survives;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver

#endif
