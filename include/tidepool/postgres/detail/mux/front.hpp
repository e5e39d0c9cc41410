// SPDX-License-Identifier: BSL-1.0
// tidepool - the multiplexer's engine as callers see it: their files compile this alone, and the engine only where a
// multiplexer is made.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_FRONT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_FRONT_HPP

#include <exception>
#include <utility>

#include "../../../detail/util/asio.hpp"
#include "../../../version.hpp"
#include "call_trace.hpp"
#include "job.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

class dispatcher;

/// `Payload`: what a statement is made of, and its answer.
template <class Executor, class Payload>
class front {
 public:
  using executor_type = Executor;

  /// A statement with its caller.
  struct call : job, Payload {
    template <class... Args>
    explicit call(Args&&... args) : Payload(std::forward<Args>(args)...) {}
    verdict how = verdict::answered;
    bool told = false;       ///< it waits for its delivery
    bool under_way = false;  ///< the engine knows it
    front* owner = nullptr;
    std::exception_ptr trouble = {};         ///< why there was no lane
    call_trace_ptr traced = nullptr;         ///< its span
    void (*deliver)(call*) = nullptr;        ///< calls the handler, inside
    void (*drop)(call*) noexcept = nullptr;  ///< destroys it instead
  };

  front(const front&) = delete;
  front& operator=(const front&) = delete;
  virtual ~front() = default;

  const Executor& executor() const noexcept { return executor_; }
  virtual const dispatcher& state() const noexcept = 0;

  /// Before `submit()` or `refuse()`: a turn will follow. Throws std::bad_alloc, and nothing has happened.
  void expect() {
    if (!in_turn_ && !posted_) post_turn();
  }
  /// `limit`: from now on. Its handler is called in a turn, never inside.
  virtual void submit(call& c, duration limit) = 0;
  /// It is told what is in it already, without being sent.
  virtual void refuse(call& c) = 0;
  virtual void cancel(call& c) noexcept = 0;
  /// Its caller is destroyed, and is not to be called.
  virtual void forget(call& c) noexcept = 0;

  /// Refuses statements from now on, and waits for those that were sent; what is left after `grace` is shut.
  virtual asio::awaitable<void> close(duration grace) = 0;
  /// At once: what was sent is unknown, or closed for a read.
  virtual void shut_down() noexcept = 0;
  /// Every lane is drained and given back; others take their place.
  virtual void recycle() = 0;

 protected:
  explicit front(Executor executor) : executor_(std::move(executor)) {}
  virtual void post_turn() = 0;

  Executor executor_;
  bool in_turn_ = false;
  bool posted_ = false;  ///< a turn
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
