// SPDX-License-Identifier: BSL-1.0
// tidepool - awaits a coroutine that runs on another executor. A cancellation goes there too, by a post.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_ELSEWHERE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_ELSEWHERE_HPP

#include <exception>
#include <memory>
#include <utility>

#include "../../../detail/util/asio.hpp"
#include "../../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

using shared_signal = std::shared_ptr<asio::cancellation_signal>;

/// Keeps the signal, and hears every type of cancellation, not only terminal ones.
template <class T, class Executor>
asio::awaitable<T, Executor> heard([[maybe_unused]] shared_signal signal, asio::awaitable<T, Executor> work) {
  const asio::enable_total_cancellation all;
  co_await asio::this_coro::reset_cancellation_state(all);
  co_return co_await std::move(work);
}

template <class T>
struct end_of {
  using signature = void(std::exception_ptr, T);
};
template <>
struct end_of<void> {
  using signature = void(std::exception_ptr);
};

/// `asio::co_spawn()` alone would, before Asio 1.24, emit a cancellation on the thread that cancels.
template <class T, class Executor>
asio::awaitable<T, Executor> elsewhere(Executor there, asio::awaitable<T, Executor> work) {
  const asio::use_awaitable_t<Executor> token;
  const auto signal = std::make_shared<asio::cancellation_signal>();
  const auto start = [](auto handler, const shared_signal& emits, const Executor& on, asio::awaitable<T, Executor> what) {
    auto slot = asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) {
      slot.assign([emits, on](asio::cancellation_type type) { asio::post(on, [emits, type] { emits->emit(type); }); });
    }
    asio::co_spawn(on, heard(emits, std::move(what)), asio::bind_cancellation_slot(emits->slot(), std::move(handler)));
  };
  co_return co_await asio::async_initiate<decltype(token), typename end_of<T>::signature>(start, token, signal, there, std::move(work));
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
