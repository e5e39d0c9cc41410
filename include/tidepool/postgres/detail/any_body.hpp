// SPDX-License-Identifier: BSL-1.0
// tidepool - the body of a transaction, whatever its type: the driver runs it, and the caller takes what it returned.
#ifndef TIDEPOOL_POSTGRES_DETAIL_ANY_BODY_HPP
#define TIDEPOOL_POSTGRES_DETAIL_ANY_BODY_HPP

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "../../detail/util/asio.hpp"
#include "../../version.hpp"
#include "body_fit.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

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

/// One that returns a T.
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
    self.value_.reset();  // of a run whose COMMIT failed: a lease, say, that this run needs
    self.value_.emplace(co_await self.body_(scope));
  }

  Body body_;
};

/// Runs `running`, which runs the body, and returns what the body returned.
template <class T>
asio::awaitable<T> result_of_body(asio::awaitable<void> running, std::shared_ptr<body_of<T>> body) {
  co_await std::move(running);
  co_return body->take();
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
