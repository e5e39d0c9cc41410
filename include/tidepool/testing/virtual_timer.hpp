// SPDX-License-Identifier: BSL-1.0
// tidepool - a timer in virtual time.
#ifndef TIDEPOOL_TESTING_VIRTUAL_TIMER_HPP
#define TIDEPOOL_TESTING_VIRTUAL_TIMER_HPP

#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "../version.hpp"
#include "simulation.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing {

/// Has the interface of Asio's timers, and can be a `Traits::timer_type`. As with Asio's timers, a wait that has expired and whose handler
/// is queued can no longer be cancelled. Made with any executor of a `simulation` (its own, a strand on it, an `any_io_executor`); another
/// one is a `std::logic_error`. After the simulation is gone only the destructor may be called.
class virtual_timer {
 public:
  using clock_type = virtual_clock;
  using duration = virtual_clock::duration;
  using time_point = virtual_clock::time_point;
  using executor_type = asio::any_io_executor;

  template <class Executor>
  requires(!std::is_same_v<std::decay_t<Executor>, virtual_timer>) explicit virtual_timer(Executor executor)
      : owner_(simulation_of(executor)), executor_(std::move(executor)) {}
  virtual_timer(const virtual_timer&) = delete;
  virtual_timer& operator=(const virtual_timer&) = delete;
  ~virtual_timer() { cancel(); }

  const executor_type& get_executor() const noexcept { return executor_; }
  time_point expiry() const noexcept { return expiry_; }

  /// Sets the expiry, for waits that begin after it; cancels those that are pending, and returns how many.
  std::size_t expires_at(time_point when) {
    expiry_ = when;
    return cancel();
  }
  std::size_t expires_after(duration span) {
    const time_point now = owner_.now();
    return expires_at(span > (time_point::max)() - now ? (time_point::max)() : now + span);
  }

  /// Ends all pending waits with `asio::error::operation_aborted`.
  std::size_t cancel() {
    std::size_t count = 0;
    while (wait_base* wait = first_) {
      end(*wait, asio::error::operation_aborted);
      ++count;
    }
    return count;
  }

  /// Moves the expiry, also for pending waits, without ending them.
  void reschedule(time_point when) {
    expiry_ = when;
    for (wait_base* wait = first_; wait; wait = wait->next_of_timer) owner_.timers_.update(wait->deadline, detail::tick_of(when));
  }

  /// Signature `void(error_code)`. Completes on the handler's associated executor, by default the timer's, never inside this call. Any
  /// cancellation type cancels it.
  template <class Token>
  auto async_wait(Token&& token) {
    return asio::async_initiate<Token, void(error_code)>([](auto handler, virtual_timer* self) { self->start(std::move(handler)); }, token,
                                                         this);
  }

 private:
  struct wait_base;

  // Is in the cancellation slot; slot and timer may be destroyed in either order.
  struct canceller {
    explicit canceller(wait_base& w) noexcept : wait(&w) { w.on_cancel = this; }
    canceller(const canceller&) = delete;
    canceller& operator=(const canceller&) = delete;
    ~canceller() {
      if (wait) wait->on_cancel = nullptr;
    }
    void operator()(asio::cancellation_type_t) {
      if (wait) wait->timer->end(*wait, asio::error::operation_aborted);
    }
    wait_base* wait;
  };

  struct wait_base : detail::timer_wait {
    wait_base(virtual_timer& t, function f) : timer_wait(f), timer(&t), next_of_timer(t.first_) {
      if (next_of_timer) next_of_timer->link = &next_of_timer;
      link = &t.first_;
      t.first_ = this;
    }
    void leave() noexcept {
      *link = next_of_timer;
      if (next_of_timer) next_of_timer->link = link;
      if (on_cancel) on_cancel->wait = nullptr;
    }
    virtual_timer* timer;
    wait_base* next_of_timer;
    wait_base** link = nullptr;
    canceller* on_cancel = nullptr;
  };

  template <class Handler>
  struct pending final : wait_base {
    pending(virtual_timer& t, Handler&& h) : wait_base(t, &pending::finish_it), handler(std::move(h)) {}

    static void finish_it(timer_wait* base, error_code result, bool call) {
      std::unique_ptr<pending> self(static_cast<pending*>(base));
      self->leave();
      Handler handler(std::move(self->handler));
      if (!call) return;
      const auto executor = asio::get_associated_executor(handler, self->timer->executor_);
      self.reset();
      const checked_mutex::exemption own;  // timers are not thread safe, so a pool calls them under its lock
      asio::post(executor, [handler = std::move(handler), result]() mutable { std::move(handler)(result); });
    }
    Handler handler;
  };

  template <class Handler>
  void start(Handler handler) {
    const checked_mutex::exemption own;
    auto slot = asio::get_associated_cancellation_slot(handler);
    auto* added = new pending<Handler>(*this, std::move(handler));
    owner_.waits_.push_back(*added);
    owner_.timers_.insert(added->deadline, detail::tick_of(expiry_));
    if (slot.is_connected()) slot.template emplace<canceller>(static_cast<wait_base&>(*added));
  }
  void end(wait_base& wait, error_code result) { owner_.end_wait(wait, result, true); }

  template <class Executor>
  static simulation& simulation_of(const Executor& executor) {
    asio::execution_context& context = asio::query(executor, asio::execution::context);
    if (!asio::has_service<detail::simulation_marker>(context))
      throw std::logic_error("virtual_timer: this executor belongs to no simulation: use simulation::get_executor()");
    return static_cast<simulation&>(context);
  }

  simulation& owner_;
  executor_type executor_;
  time_point expiry_{};
  wait_base* first_ = nullptr;
};

/// Sleeps in virtual time: `co_await sleep_for(30min)` in any coroutine of a simulation.
template <class Timer = virtual_timer>
inline asio::awaitable<void> sleep_for(virtual_clock::duration span) {
  Timer timer(co_await asio::this_coro::executor);
  timer.expires_after(span);
  co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing

#endif
