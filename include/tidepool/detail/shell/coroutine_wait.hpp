// SPDX-License-Identifier: BSL-1.0
// tidepool - a coroutine that waits in one of the core's queues: the node lives in its frame.
#ifndef TIDEPOOL_DETAIL_SHELL_COROUTINE_WAIT_HPP
#define TIDEPOOL_DETAIL_SHELL_COROUTINE_WAIT_HPP

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include "../../version.hpp"
#include "../util/asio.hpp"
#include "failure.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

#if TIDEPOOL_ASIO_HAS_DEFERRED
template <class Executor>
using wait_token = asio::deferred_t;
#else
template <class Executor>
using wait_token = asio::use_awaitable_t<Executor>;
#endif

/// Suspends the calling coroutine until the core is done with the node, and resumes it by a post to its own executor.
template <class Impl>
class coroutine_wait : public explained_waiter {
 public:
  coroutine_wait(Impl& pool, const source_location& from) : pool_(pool) {
    where = from;
    core_waiter::complete = [](core_waiter* w) noexcept {
      auto* const self = static_cast<coroutine_wait*>(w);
      self->resume_(self);
    };
  }
  ~coroutine_wait() {
    if (entry* granted = claim()) pool_.release(*granted);  // the frame is destroyed between the grant and its delivery
    if (drop_) drop_(this);
  }

  /// `start(pool, node)` puts the node into a queue.
  template <class Executor, class Start>
  auto async_wait(Start start) {
    return asio::async_initiate<wait_token<Executor>, void()>(
        [](auto handler, coroutine_wait* self, Start go) {
          Impl& pool = self->pool_;
          self->keep(std::move(handler));
          go(pool, *self);  // the node may be done by now, on another thread, and gone
        },
        token<Executor>(), this, start);
  }

  using entry = typename Impl::entry;
  /// What was granted, now the caller's.
  entry* claim() noexcept { return static_cast<entry*>(std::exchange(slot, nullptr)); }

 private:
  template <class Executor>
  static wait_token<Executor>& token() {
    static wait_token<Executor> instance;
    return instance;
  }

  template <class Handler>
  void keep(Handler handler) {
    static_assert(sizeof(Handler) <= sizeof storage_ && alignof(Handler) <= alignof(std::max_align_t));
    auto cancellation = asio::get_associated_cancellation_slot(handler);
    if (cancellation.is_connected()) {
      cancellation.assign([this](asio::cancellation_type type) {
        if (type != asio::cancellation_type::none) pool_.cancel(*this);
      });
    }
    new (storage_) Handler(std::move(handler));
    resume_ = [](coroutine_wait* self) noexcept {
      Handler* stored = std::launder(reinterpret_cast<Handler*>(self->storage_));
      Handler taken(std::move(*stored));
      stored->~Handler();
      self->drop_ = nullptr;
      post(self->pool_, std::move(taken));  // the frame, and this node with it, may be gone from here on
    };
    drop_ = [](coroutine_wait* self) noexcept { std::launder(reinterpret_cast<Handler*>(self->storage_))->~Handler(); };
  }

  /// As `asio::post()`; for a type-erased executor each property asked of it costs as much as the post itself, so where it is the pool's
  /// own that is done once.
  template <class Handler>
  static void post(Impl& pool, Handler&& handler) {
    using executor_type = typename Impl::executor_type;
    if constexpr (std::is_same_v<asio::associated_executor_t<Handler>, executor_type>) {
      if (asio::get_associated_executor(handler) == pool.executor()) return hand_to(pool.poster(), std::forward<Handler>(handler));
    }
    asio::post(std::forward<Handler>(handler));
  }

  Impl& pool_;
  void (*resume_)(coroutine_wait*) noexcept = nullptr;
  void (*drop_)(coroutine_wait*) noexcept = nullptr;
  alignas(std::max_align_t) std::byte storage_[64];
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
