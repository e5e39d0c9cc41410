// SPDX-License-Identifier: BSL-1.0
// tidepool - the body of a transaction, whatever its type: the driver runs it, and the caller takes what it returned.
#ifndef TIDEPOOL_DETAIL_DRIVER_ANY_BODY_HPP
#define TIDEPOOL_DETAIL_DRIVER_ANY_BODY_HPP

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "../../version.hpp"
#include "../util/asio.hpp"
#include "body_fit.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver {

/// `Scope`: the transaction that the body is given.
template <class Scope>
class any_body {
 public:
  any_body() = default;
  any_body(const any_body&) = delete;
  any_body& operator=(const any_body&) = delete;
  /// May be called again, after a failure.
  virtual asio::awaitable<void> run(Scope& scope) = 0;

 protected:
  ~any_body() = default;
};

/// One that returns a T.
template <class Scope, class T>
class body_of : public any_body<Scope> {
 public:
  T take() { return std::move(*value_); }

 protected:
  ~body_of() = default;
  std::optional<T> value_;
};
template <class Scope>
class body_of<Scope, void> : public any_body<Scope> {
 protected:
  ~body_of() = default;
};

template <class Scope, class T, class Body>
class kept_body final : public body_of<Scope, T> {
 public:
  template <class Given>
  explicit kept_body(Given&& given) : body_(std::forward<Given>(given)) {}
  asio::awaitable<void> run(Scope& scope) override {
    if constexpr (std::is_void_v<T>) {
      return body_(scope);
    } else {
      return keep(*this, scope);
    }
  }

 private:
  static asio::awaitable<void> keep(kept_body& self, Scope& scope) {
    self.value_.reset();  // of a run whose COMMIT failed: a lease, say, that this run needs
    self.value_.emplace(co_await self.body_(scope));
  }

  Body body_;
};

/// Runs `running`, which runs the body, and returns what the body returned.
template <class Scope, class T>
asio::awaitable<T> result_of_body(asio::awaitable<void> running, std::shared_ptr<body_of<Scope, T>> body) {
  co_await std::move(running);
  co_return body->take();
}

/// `run(body)` begins to run the body it is given, in whatever way.
template <class Scope, class Body, class Run>
auto run_any_body(Body&& given, const Run& run) -> asio::awaitable<body_result<Scope, Body>> {
  using T = body_result<Scope, Body>;
  auto body = std::make_shared<kept_body<Scope, T, std::decay_t<Body>>>(std::forward<Body>(given));
  if constexpr (std::is_void_v<T>) {
    return run(std::move(body));
  } else {
    auto running = run(body);
    return result_of_body<Scope, T>(std::move(running), std::move(body));
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver

#endif
