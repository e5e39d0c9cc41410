// SPDX-License-Identifier: BSL-1.0
// tidepool - the body of a transaction, whatever its type: the driver runs it, and the caller takes what it returned.
#ifndef TIDEPOOL_SQLITE_DETAIL_ANY_BODY_HPP
#define TIDEPOOL_SQLITE_DETAIL_ANY_BODY_HPP

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "../../detail/util/asio.hpp"
#include "../../version.hpp"
#include "any_run.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite {

class transaction;

namespace detail {

class any_body {
 public:
  any_body() = default;
  any_body(const any_body&) = delete;
  any_body& operator=(const any_body&) = delete;
  /// May be called again, after a failure.
  virtual asio::awaitable<void> run(transaction& scope) = 0;

 protected:
  ~any_body() = default;
};

template <class T>
class body_of : public any_body {
 public:
  T take() { return std::move(*value_); }

 protected:
  ~body_of() = default;
  std::optional<T> value_;
};
template <>
class body_of<void> : public any_body {
 protected:
  ~body_of() = default;
};
template <class T, class Body>
class kept_body final : public body_of<T> {
 public:
  template <class Given>
  explicit kept_body(Given&& given) : body_(std::forward<Given>(given)) {}
  asio::awaitable<void> run(transaction& scope) override {
    if constexpr (std::is_void_v<T>) {
      return body_(scope);
    } else {
      return keep(*this, scope);
    }
  }

 private:
  static asio::awaitable<void> keep(kept_body& self, transaction& scope) {
    self.value_.reset();  // of a run whose COMMIT failed
    self.value_.emplace(co_await self.body_(scope));
  }

  Body body_;
};

template <class Body>
struct called_body {
  using type = void;
};
template <class Body>
requires std::is_invocable_v < std::decay_t<Body>
&, transaction& > struct called_body<Body> {
  using type = std::remove_cvref_t<std::invoke_result_t<std::decay_t<Body>&, transaction&>>;
};
template <class Result>
struct awaited {
  static constexpr bool fits = false;
  using type = void;
};
template <class T>
struct awaited<asio::awaitable<T, asio::any_io_executor>> {
  static constexpr bool fits = true;
  using type = T;
};
/// What the body's coroutine returns; void where the body does not fit.
template <class Body>
using body_result = typename awaited<typename called_body<Body>::type>::type;

/// False, with one error in words, where the body does not fit.
template <class Body>
consteval bool check_body() {
  constexpr bool called = std::is_invocable_v<std::decay_t<Body>&, transaction&>;
  constexpr bool awaitable = awaited<typename called_body<Body>::type>::fits;
  constexpr bool kept = std::is_constructible_v<std::decay_t<Body>, Body>;
  constexpr bool survives = run_survives<Body>;
  static_assert(called,
                "the body is called with a `transaction&`: write `[](tidepool::sqlite::transaction& t) -> asio::awaitable<void>`, or "
                "`auto& t`");
  static_assert(!called || awaitable,
                "the body returns no `asio::awaitable<T>`: write `-> asio::awaitable<void>` behind its parameters, or the type that it "
                "returns by co_return instead of void");
  static_assert(!awaitable || kept, "the body is copied, and this one cannot be: pass std::ref(body) or std::move(body)");
  static_assert(!awaitable || !kept || survives,
                "GCC 12 destroys the captures of a temporary lambda in a co_await expression twice: name the lambda first, as in "
                "`auto body = [...](auto& t) ...; co_await c.transaction(body);`, with std::ref(body) where it cannot be copied");
  return awaitable && kept && survives;
}

template <class T>
asio::awaitable<T> result_of_body(asio::awaitable<void> running, std::shared_ptr<body_of<T>> body) {
  co_await std::move(running);
  co_return body->take();
}
/// `run(body)` begins to run the body it is given, in whatever way.
template <class Body, class Run>
auto run_any_body(Body&& given, const Run& run) -> asio::awaitable<body_result<Body>> {
  using T = body_result<Body>;
  auto body = std::make_shared<kept_body<T, std::decay_t<Body>>>(std::forward<Body>(given));
  if constexpr (std::is_void_v<T>) {
    return run(std::move(body));
  } else {
    auto running = run(body);
    return result_of_body<T>(std::move(running), std::move(body));
  }
}

}  // namespace detail
}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite

#endif
