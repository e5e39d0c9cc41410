// SPDX-License-Identifier: BSL-1.0
// tidepool - acquire as an asynchronous operation for any completion token.
#ifndef TIDEPOOL_DETAIL_SHELL_ASYNC_ACQUIRE_HPP
#define TIDEPOOL_DETAIL_SHELL_ASYNC_ACQUIRE_HPP

#include <exception>
#include <memory>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

#include "../../pool_error.hpp"
#include "../../version.hpp"
#include "../util/attributes.hpp"
#include "../util/owning_ptr.hpp"
#include "failure.hpp"
#include "pool_entry.hpp"
#include "span.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// An executor whose context has work as long as this copy of it lives.
template <class Executor>
auto keeping_busy(const Executor& executor) {
  return asio::prefer(executor, asio::execution::outstanding_work.tracked);
}

// --- how a failure is told --------------------------------------------------------------------------------------------

/// `use_awaitable` and `use_future`: what they make of an exception is thrown to the one who waits. The latter is known by what it has, so
/// that <future> is not included for it.
template <class Token>
inline constexpr bool throws_failure = requires(const Token& t) {
  typename Token::allocator_type;
  t.get_allocator();
  t.rebind(std::allocator<void>());
};
template <class Executor>
inline constexpr bool throws_failure<asio::use_awaitable_t<Executor>> = true;

/// The first that a token takes; a generic callback is not asked for more.
template <class Token, class Lease>
constexpr auto failure_of() {
  if constexpr (requires(const Token& t) {
                  typename Token::target_type;
                  t.get();
                }) {
    return failure_of<typename Token::target_type, Lease>();  // bound to an executor, an allocator or a cancellation slot
  } else if constexpr (std::is_invocable_v<Token, error_code, Lease>) {
    return std::type_identity<error_code>();
  } else if constexpr (std::is_invocable_v<Token, std::optional<pool_error>, Lease>) {
    return std::type_identity<std::optional<pool_error>>();
  } else if constexpr (throws_failure<Token> || std::is_invocable_v<Token, std::exception_ptr, Lease>) {
    return std::type_identity<std::exception_ptr>();
  } else {
    return std::type_identity<error_code>();
  }
}

template <class Failure, class Token, class Lease>
struct chosen_failure {
  static_assert(std::is_same_v<Failure, error_code> || std::is_same_v<Failure, std::exception_ptr> ||
                    std::is_same_v<Failure, std::optional<pool_error>>,
                "async_acquire<Failure>(...): Failure is tidepool::error_code, std::exception_ptr or std::optional<tidepool::pool_error>");
  using type = Failure;
};
template <class Token, class Lease>
struct chosen_failure<void, Token, Lease> : decltype(failure_of<Token, Lease>()) {};
template <class Failure, class Token, class Lease>
using failure_for = typename chosen_failure<Failure, Token, Lease>::type;

/// Only where the pool is not looked at is nothing kept for it.
template <class Failure>
using acquire_waiter = std::conditional_t<std::is_same_v<Failure, error_code>, core_waiter, explained_waiter>;

// --- the operation ----------------------------------------------------------------------------------------------------

/// One waiting call, whose handler is called with a `Failure` and a `Lease`; made with the handler's allocator, freed on the handler's
/// executor before the handler is called.
template <class Failure, class Lease, class Impl, class Handler>
class acquire_op : public acquire_waiter<Failure> {
 public:
  using entry = typename Impl::entry;
  using executor_type = asio::associated_executor_t<Handler, typename Impl::executor_type>;
  using allocator_type = typename std::allocator_traits<
      asio::associated_allocator_t<Handler, asio::recycling_allocator<void>>>::template rebind_alloc<acquire_op>;

  /// `parent`: a `trace_context`, for pools whose Traits have a tracer.
  template <class... Parent>
  static void start(std::shared_ptr<Impl> pool, duration timeout, const source_location& from, Handler handler, const Parent&... parent) {
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
    if constexpr (Impl::has_tracer) {
      op->parent_ = {parent...};
      pool->begin(op->span_, op->parent_, from);
    }
    if (entry* held = pool->take(from, timeout <= duration::zero())) {
      pool->record_taken(*held, timeout, false, from);
      op->slot = held;
      op->at = core_waiter::stage::done;
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
  acquire_op(std::shared_ptr<Impl> pool, Handler handler, const source_location& from, owning_ptr<stack_trace> trace)
      : pool_(std::move(pool)),
        handler_(std::move(handler)),
        work_(keeping_busy(asio::get_associated_executor(handler_, pool_->executor()))),
        trace_(std::move(trace)) {
    this->where = from;
    this->complete = [](core_waiter* w) noexcept { finish(static_cast<acquire_op*>(w)); };
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
      Failure failure = op_->failure();  // without memory for it this throws, and the operation is freed
      acquire_op* op = std::exchange(op_, nullptr);
      auto parts = op->unpack(op);
      std::move(parts.handler)(std::move(failure), std::move(parts.held));
    }

   private:
    acquire_op* op_;
  };
  struct contents {
    Handler handler;
    Lease held;
  };

  Failure failure() const {
    if (this->error == errc{}) return Failure();
    if constexpr (std::is_same_v<Failure, error_code>) {
      return make_error_code(this->error);
    } else if constexpr (std::is_same_v<Failure, std::exception_ptr>) {
      try {
        return std::make_exception_ptr(error_of(*this));
      } catch (...) {
        return std::current_exception();
      }
    } else {
      return error_of(*this);
    }
  }

  static void finish(acquire_op* op) noexcept {
    if constexpr (Impl::has_tracer) op->end_span();
    asio::post(op->work_, delivery(op));
  }
  void end_span() noexcept {
    entry* const granted = static_cast<entry*>(this->slot);
    if (granted) {
      trace_in(granted->target(), parent_);
      return span_.end({}, granted->id);
    }
    span_.end(to_string(this->error));
  }

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
  owning_ptr<stack_trace> trace_;
  slot_type cancellation_;
  struct nothing {};
  TIDEPOOL_NO_UNIQUE_ADDRESS std::conditional_t<Impl::has_tracer, trace_context, nothing> parent_;
  TIDEPOOL_NO_UNIQUE_ADDRESS typename Impl::span_type span_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
