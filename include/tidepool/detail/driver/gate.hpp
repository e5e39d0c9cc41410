// SPDX-License-Identifier: BSL-1.0
// tidepool - a coroutine waits for the first of several events, of any source.
//
// Asio's own `||` and parallel_group wait until the other operations have ended too; a name server that never answers, or a blocking call
// on another thread, would block the coroutine for ever.
#ifndef TIDEPOOL_DETAIL_DRIVER_GATE_HPP
#define TIDEPOOL_DETAIL_DRIVER_GATE_HPP

#include <memory>
#include <mutex>
#include <utility>

#include "../../version.hpp"
#include "asio_io.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// One coroutine waits; any thread may open the gate, once or more often.
///
/// Ownership: a handler that will certainly open the gate, as that of a pending timer, holds a `shared_ptr`; threads that the execution
/// context does not own hold a `gate_opener`. So the destruction of a context destroys the waiting coroutine as well.
class gate {
 public:
  gate() = default;
  gate(const gate&) = delete;
  gate& operator=(const gate&) = delete;
  ~gate() { delete waiter_; }

  /// Resumes the coroutine on its own executor, never inside this call.
  void open() noexcept {
    waiter* ready = nullptr;
    {
      const std::lock_guard lock(mutex_);
      open_ = true;
      ready = std::exchange(waiter_, nullptr);
    }
    if (ready != nullptr) ready->resume();
  }

  /// Returns when the gate is open, or at once when the coroutine is cancelled; the caller finds out which. At most one coroutine waits.
  template <class = void>
  static asio::awaitable<void> wait(std::weak_ptr<gate> self) {
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(
        [](auto handler, std::weak_ptr<gate> target) {
          auto slot = asio::get_associated_cancellation_slot(handler);
          auto waiting = std::make_unique<typed_waiter<decltype(handler)>>(std::move(handler));
          const auto locked = target.lock();
          if (!locked) return waiting.release()->resume();
          if (slot.is_connected()) {
            slot.assign([target](asio::cancellation_type) {
              if (const auto alive = target.lock()) alive->open();
            });
          }
          locked->resume_when_open(std::move(waiting));
        },
        asio::use_awaitable, std::move(self));
  }

 private:
  struct waiter {
    virtual ~waiter() = default;
    virtual void resume() noexcept = 0;  // deletes itself
  };

  template <class Handler>
  struct typed_waiter final : waiter {
    explicit typed_waiter(Handler&& h)
        : handler(std::move(h)),
          executor(asio::prefer(asio::get_associated_executor(handler), asio::execution::outstanding_work.tracked)) {}
    void resume() noexcept override {
      const auto target = std::move(executor);
      auto ready = std::move(handler);
      delete this;
      asio::post(target, [ready = std::move(ready)]() mutable { std::move(ready)(); });
    }
    Handler handler;
    std::decay_t<decltype(asio::prefer(asio::get_associated_executor(std::declval<const Handler&>()),
                                       asio::execution::outstanding_work.tracked))>
        executor;
  };

  void resume_when_open(std::unique_ptr<waiter> waiting) {
    {
      const std::lock_guard lock(mutex_);
      if (!open_) {
        waiter_ = waiting.release();
        return;
      }
    }
    waiting.release()->resume();
  }

  std::mutex mutex_;
  bool open_ = false;
  waiter* waiter_ = nullptr;
};

/// Opens a gate from a thread that the execution context does not own. That thread may be in the middle of it when the coroutine goes on,
/// ends, and the context is destroyed: so the context's side disarms it before.
class gate_opener {
 public:
  explicit gate_opener(std::weak_ptr<gate> target) noexcept : target_(std::move(target)) {}
  void open() noexcept {
    const std::lock_guard lock(mutex_);
    if (const auto target = target_.lock()) target->open();
  }
  /// The gate is gone.
  bool expired() const noexcept {
    const std::lock_guard lock(mutex_);
    return target_.expired();
  }
  /// Afterwards this opens the gate no more, and is not about to. Waits for microseconds at most.
  void disarm() noexcept {
    const std::lock_guard lock(mutex_);
    target_.reset();
  }

 private:
  mutable std::mutex mutex_;
  std::weak_ptr<gate> target_;
};

/// For the handler that owns the gate: the opener is disarmed when the handler has run, or is destroyed with its context.
class gate_keeper {
 public:
  gate_keeper() : open_(std::make_shared<gate>()), opener_(std::make_shared<gate_opener>(open_)) {}
  gate_keeper(const gate_keeper&) = delete;
  gate_keeper& operator=(const gate_keeper&) = delete;
  ~gate_keeper() { opener_->disarm(); }
  void open() noexcept { open_->open(); }
  std::weak_ptr<gate> waiting() const noexcept { return open_; }
  const std::shared_ptr<gate_opener>& opener() const noexcept { return opener_; }

 private:
  std::shared_ptr<gate> open_;
  std::shared_ptr<gate_opener> opener_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
