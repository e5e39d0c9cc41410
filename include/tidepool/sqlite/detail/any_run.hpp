// SPDX-License-Identifier: BSL-1.0
// tidepool - a function that is called with SQLite's object on another thread, whatever its type.
#ifndef TIDEPOOL_SQLITE_DETAIL_ANY_RUN_HPP
#define TIDEPOOL_SQLITE_DETAIL_ANY_RUN_HPP

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "../../detail/util/asio.hpp"
#include "../../version.hpp"

struct sqlite3;

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail {

class any_run {
 public:
  any_run() = default;
  any_run(const any_run&) = delete;
  any_run& operator=(const any_run&) = delete;
  virtual void call(sqlite3* db) = 0;

 protected:
  ~any_run() = default;
};

template <class T>
class run_of : public any_run {
 public:
  T take() { return std::move(*value_); }

 protected:
  ~run_of() = default;
  std::optional<T> value_;
};
template <>
class run_of<void> : public any_run {
 protected:
  ~run_of() = default;
};
template <class T, class Work>
class kept_run final : public run_of<T> {
 public:
  template <class Given>
  explicit kept_run(Given&& given) : work_(std::forward<Given>(given)) {}
  void call(sqlite3* db) override {
    if constexpr (std::is_void_v<T>) {
      work_(db);
    } else {
      this->value_.emplace(work_(db));
    }
  }

 private:
  Work work_;
};

template <class Work>
struct called_run {
  using type = void;
};
template <class Work>
requires std::is_invocable_v < std::decay_t<Work>
&, sqlite3* > struct called_run<Work> {
  using type = std::remove_cvref_t<std::invoke_result_t<std::decay_t<Work>&, sqlite3*>>;
};
template <class Work>
using run_result = typename called_run<Work>::type;

template <class T>
inline constexpr bool is_awaitable = false;
template <class T, class Executor>
inline constexpr bool is_awaitable<asio::awaitable<T, Executor>> = true;

/// GCC 12 destroys the captures of a temporary lambda in a `co_await` expression twice. A temporary with nothing to destroy is safe, and so
/// is an object with a name.
template <class Work>
inline constexpr bool run_survives =
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
    std::is_lvalue_reference_v<Work> || std::is_trivially_destructible_v<std::remove_reference_t<Work>>;
#else
    true;
#endif

/// False, with one error in words, where it does not fit.
template <class Work>
consteval bool check_run() {
  constexpr bool called = std::is_invocable_v<std::decay_t<Work>&, sqlite3*>;
  constexpr bool direct = !is_awaitable<run_result<Work>>;
  constexpr bool kept = std::is_constructible_v<std::decay_t<Work>, Work>;
  constexpr bool survives = run_survives<Work>;
  static_assert(called, "run() calls its function with a `sqlite3*`: write `[&](sqlite3* db) { ... }`");
  static_assert(!called || direct, "run() calls its function on another thread, where it cannot co_await: transaction() takes a coroutine");
  static_assert(!called || !direct || kept, "the function is copied, and this one cannot be: pass std::ref(it) or std::move(it)");
  static_assert(!called || !direct || !kept || survives,
                "GCC 12 destroys the captures of a temporary lambda in a co_await expression twice: name the lambda first, as in "
                "`auto work = [...](sqlite3* db) ...; co_await c.run(work);`, with std::ref(work) where it cannot be copied");
  return called && direct && kept && survives;
}

template <class T>
asio::awaitable<T> result_of_run(asio::awaitable<void> running, std::shared_ptr<run_of<T>> work) {
  co_await std::move(running);
  co_return work->take();
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail

#endif
