// SPDX-License-Identifier: BSL-1.0
// tidepool - acquire as an asynchronous operation for any completion token.
#ifndef TIDEPOOL_DETAIL_SHELL_ASYNC_ACQUIRE_HPP
#define TIDEPOOL_DETAIL_SHELL_ASYNC_ACQUIRE_HPP

#include "../../version.hpp"
#include "pool_impl.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// An executor whose context has work as long as this copy of it lives.
template <class Executor>
auto keeping_busy(const Executor& executor) {
  return asio::prefer(executor, asio::execution::outstanding_work.tracked);
}

/// One waiting call, whose handler is called with a `Lease`; made with the handler's allocator, freed on the handler's executor before the
/// handler is called.
template <class Lease, class Impl, class Handler>
class acquire_op : public core_waiter {
 public:
  using entry = typename Impl::entry;
  using executor_type = asio::associated_executor_t<Handler, typename Impl::executor_type>;
  using allocator_type = typename std::allocator_traits<
      asio::associated_allocator_t<Handler, asio::recycling_allocator<void>>>::template rebind_alloc<acquire_op>;

  static void start(std::shared_ptr<Impl> pool, duration timeout, const source_location& from, Handler handler) {
    // As a context does that is going: what is posted to it is dropped.
    if constexpr (std::is_same_v<executor_type, asio::any_io_executor> &&
                  std::is_same_v<typename Impl::executor_type, asio::any_io_executor>) {
      if (!pool->executor() && !asio::get_associated_executor(handler, pool->executor())) return;
    }
    allocator_type allocator(asio::get_associated_allocator(handler, asio::recycling_allocator<void>()));
    acquire_op* op = std::allocator_traits<allocator_type>::allocate(allocator, 1);
    try {
      new (op) acquire_op(pool, std::move(handler), from, pool->capture());
    } catch (...) {
      std::allocator_traits<allocator_type>::deallocate(allocator, op, 1);
      throw;
    }
    if (entry* held = pool->take(from, timeout <= duration::zero(), op->trace_)) {
      op->slot = held;
      op->at = stage::done;
      op->trace_.reset();  // the entry has it; this is the one of its last holder
      return finish(op);
    }
    op->cancellation_ = asio::get_associated_cancellation_slot(op->handler_);
    if (op->cancellation_.is_connected()) {
      op->cancellation_.assign([op](asio::cancellation_type type) {
        if (type != asio::cancellation_type::none) op->pool_->cancel(*op);
      });
    }
    pool->enqueue(*op, timeout);
  }

 private:
  acquire_op(std::shared_ptr<Impl> pool, Handler handler, const source_location& from, std::unique_ptr<stack_trace> trace)
      : pool_(std::move(pool)),
        handler_(std::move(handler)),
        work_(keeping_busy(asio::get_associated_executor(handler_, pool_->executor()))),
        trace_(std::move(trace)) {
    where = from;
    core_waiter::complete = [](core_waiter* w) noexcept { finish(static_cast<acquire_op*>(w)); };
  }

  /// Frees the operation on whatever path its delivery takes, the destruction of the executor included.
  class delivery {
   public:
    explicit delivery(acquire_op* op) noexcept : op_(op) {}
    delivery(delivery&& other) noexcept : op_(std::exchange(other.op_, nullptr)) {}
    ~delivery() {
      if (op_) op_->unpack(op_);
    }
    void operator()() {
      acquire_op* op = std::exchange(op_, nullptr);
      const error_code error = op->error == errc{} ? error_code() : make_error_code(op->error);
      auto parts = op->unpack(op);
      std::move(parts.handler)(error, std::move(parts.held));
    }

   private:
    acquire_op* op_;
  };
  struct contents {
    Handler handler;
    Lease held;
  };

  static void finish(acquire_op* op) noexcept { asio::post(op->work_, delivery(op)); }

  static contents unpack(acquire_op* op) {
    if (op->cancellation_.is_connected()) op->cancellation_.clear();
    entry* granted = static_cast<entry*>(std::exchange(op->slot, nullptr));
    const std::shared_ptr<Impl> pool = std::move(op->pool_);
    if (granted && op->trace_) pool->keep_trace(*granted, std::move(op->trace_));
    contents out{std::move(op->handler_), make_lease::of<Lease>(granted)};
    allocator_type allocator(asio::get_associated_allocator(out.handler, asio::recycling_allocator<void>()));
    op->~acquire_op();
    std::allocator_traits<allocator_type>::deallocate(allocator, op, 1);
    return out;
  }

  using work_type = decltype(keeping_busy(std::declval<executor_type>()));
  using slot_type = asio::associated_cancellation_slot_t<Handler>;

  std::shared_ptr<Impl> pool_;
  Handler handler_;
  work_type work_;
  std::unique_ptr<stack_trace> trace_;
  slot_type cancellation_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
