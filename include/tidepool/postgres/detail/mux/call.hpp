// SPDX-License-Identifier: BSL-1.0
// tidepool - a statement of the multiplexer with its caller: in the frame of a coroutine, without an allocation of its own, or with the
// handler of any completion token.
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

/// A base, so that the engine is there until the statement is gone, which refers to what the engine keeps.
template <class Engine>
struct engine_keeper {
  std::shared_ptr<Engine> engine_;
};

template <class Engine>
class coroutine_call : private engine_keeper<Engine>, public Engine::call {
  using engine_keeper<Engine>::engine_;

 public:
  using base = typename Engine::call;

  template <class... Args>
  explicit coroutine_call(std::shared_ptr<Engine> engine, Args&&... args)
      : engine_keeper<Engine>{std::move(engine)}, base(std::forward<Args>(args)...) {}
  ~coroutine_call() {
    if (!waits_) return;
    engine_->forget(*this);  // the frame is destroyed while it waits
    this->drop(this);
  }

  /// Submits it, and suspends the coroutine until it is told. Throws std::bad_alloc before that.
  template <class Executor>
  auto async_wait(duration limit) {
    engine_->expect();
    return asio::async_initiate<tidepool::detail::wait_token<Executor>, void()>(
        [](auto&& handler, coroutine_call* self, duration within) {
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
  void keep(Handler&& handler) {
    static_assert(sizeof(Handler) <= sizeof storage_ && alignof(Handler) <= alignof(std::max_align_t));
    auto cancellation = asio::get_associated_cancellation_slot(handler);
    if (cancellation.is_connected()) {
      cancellation.assign([this](asio::cancellation_type type) {
        if (type != asio::cancellation_type::none) engine_->cancel(*this);
      });
    }
    new (storage_) Handler(std::move(handler));
    this->deliver = [](base* done) {
      auto& self = static_cast<coroutine_call&>(*done);
      resume<Engine>(self.engine_->executor(), self.template take<Handler>());  // the frame, and this with it, may be gone from here on
    };
    this->drop = [](base* done) noexcept { (void)static_cast<coroutine_call&>(*done).template take<Handler>(); };
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

  bool waits_ = false;
  alignas(std::max_align_t) std::byte storage_[64];
};

/// `Outcome::of(call&)` returns what the handler is called with, as a pair. Made with the handler's allocator, and freed before the handler
/// is called.
template <class Engine, class Outcome, class Handler>
class token_call final : private engine_keeper<Engine>, public Engine::call {
  using engine_keeper<Engine>::engine_;

 public:
  using base = typename Engine::call;
  using executor_type = asio::associated_executor_t<Handler, typename Engine::executor_type>;
  using allocator_type = typename std::allocator_traits<
      asio::associated_allocator_t<Handler, asio::recycling_allocator<void>>>::template rebind_alloc<token_call>;

  template <class Prepare, class... Args>
  static void start(std::shared_ptr<Engine> engine, duration limit, Handler handler, Prepare prepare, Args&&... args) {
    engine->expect();
    allocator_type allocator(asio::get_associated_allocator(handler, asio::recycling_allocator<void>()));
    token_call* made = std::allocator_traits<allocator_type>::allocate(allocator, 1);
    try {
      new (made) token_call(std::move(engine), std::move(handler), std::forward<Args>(args)...);
    } catch (...) {
      std::allocator_traits<allocator_type>::deallocate(allocator, made, 1);
      throw;
    }
    bool fits = false;
    try {
      fits = prepare(*made);
      auto slot = asio::get_associated_cancellation_slot(made->handler_);
      if (slot.is_connected()) {
        slot.assign([made](asio::cancellation_type type) {
          if (type != asio::cancellation_type::none) made->engine_->cancel(*made);
        });
      }
    } catch (...) {
      (void)unpack(made);
      throw;
    }
    if (fits) {
      made->engine_->submit(*made, limit);
    } else {
      made->engine_->refuse(*made);
    }
  }

 private:
  template <class... Args>
  token_call(std::shared_ptr<Engine> engine, Handler handler, Args&&... args)
      : engine_keeper<Engine>{std::move(engine)},
        base(std::forward<Args>(args)...),
        handler_(std::move(handler)),
        work_(asio::prefer(asio::get_associated_executor(handler_, engine_->executor()), asio::execution::outstanding_work.tracked)) {
    this->deliver = [](base* done) {
      auto* const self = static_cast<token_call*>(done);
      auto said = Outcome::of(*self);
      const auto target = self->work_;
      bool here = false;
      if constexpr (std::is_same_v<executor_type, typename Engine::executor_type>) {
        here = asio::get_associated_executor(self->handler_, self->engine_->executor()) == self->engine_->executor();
      }
      Handler taken = unpack(self);
      auto deliver_it = [handler = std::move(taken), said = std::move(said)]() mutable {
        std::move(handler)(std::move(said.first), std::move(said.second));
      };
      if (here) return deliver_it();
      asio::post(target, std::move(deliver_it));
    };
    this->drop = [](base* done) noexcept { (void)unpack(static_cast<token_call*>(done)); };
  }
  static Handler unpack(token_call* self) {
    auto slot = asio::get_associated_cancellation_slot(self->handler_);
    if (slot.is_connected()) slot.clear();
    Handler taken = std::move(self->handler_);
    allocator_type allocator(asio::get_associated_allocator(taken, asio::recycling_allocator<void>()));
    self->~token_call();
    std::allocator_traits<allocator_type>::deallocate(allocator, self, 1);
    return taken;
  }

  Handler handler_;
  std::decay_t<decltype(asio::prefer(std::declval<executor_type>(), asio::execution::outstanding_work.tracked))> work_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
