// SPDX-License-Identifier: BSL-1.0
// tidepool - a statement of the multiplexer that lives in the frame of the coroutine that waits for it: no allocation of its own.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_CALL_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_CALL_HPP

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "../../../detail/shell/coroutine_wait.hpp"
#include "../../../detail/util/asio.hpp"
#include "../../../time.hpp"
#include "../../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

/// Calls a handler in a turn of the engine: inside where that runs on the handler's executor, else by a post.
template <class Engine, class Handler>
void resume(const typename Engine::executor_type& here, Handler&& handler) {
  if constexpr (std::is_same_v<asio::associated_executor_t<std::decay_t<Handler>>, typename Engine::executor_type>) {
    if (asio::get_associated_executor(handler) == here) return std::forward<Handler>(handler)();
  }
  asio::post(std::forward<Handler>(handler));
}

template <class Engine>
class coroutine_call : public Engine::call {
 public:
  using base = typename Engine::call;

  template <class... Args>
  explicit coroutine_call(std::shared_ptr<Engine> engine, Args&&... args) : base(std::forward<Args>(args)...), engine_(std::move(engine)) {}
  ~coroutine_call() {
    if (!waits_) return;
    engine_->forget(*this);  // the frame is destroyed while it waits
    this->drop(this);
  }

  /// Submits it, and suspends the coroutine until it is told.
  template <class Executor>
  auto async_wait(duration limit) {
    return asio::async_initiate<tidepool::detail::wait_token<Executor>, void()>(
        [](auto handler, coroutine_call* self, duration within) {
          self->keep(std::move(handler));
          self->engine_->submit(*self, within);
        },
        token<Executor>(), this, limit);
  }

 private:
  template <class Executor>
  static tidepool::detail::wait_token<Executor>& token() {
    static tidepool::detail::wait_token<Executor> instance;
    return instance;
  }
  template <class Handler>
  void keep(Handler handler) {
    static_assert(sizeof(Handler) <= sizeof storage_ && alignof(Handler) <= alignof(std::max_align_t));
    auto cancellation = asio::get_associated_cancellation_slot(handler);
    if (cancellation.is_connected()) {
      cancellation.assign([this](asio::cancellation_type type) {
        if (type != asio::cancellation_type::none) engine_->cancel(*this);
      });
    }
    new (storage_) Handler(std::move(handler));
    this->deliver = [](base* told) {
      auto& self = static_cast<coroutine_call&>(*told);
      resume<Engine>(self.engine_->executor(), self.template take<Handler>());  // the frame, and this with it, may be gone from here on
    };
    this->drop = [](base* told) noexcept { (void)static_cast<coroutine_call&>(*told).template take<Handler>(); };
    waits_ = true;
  }
  template <class Handler>
  Handler take() noexcept {
    Handler* const stored = std::launder(reinterpret_cast<Handler*>(storage_));
    Handler taken(std::move(*stored));
    stored->~Handler();
    waits_ = false;
    return taken;
  }

  std::shared_ptr<Engine> engine_;
  bool waits_ = false;
  alignas(std::max_align_t) std::byte storage_[64];
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
