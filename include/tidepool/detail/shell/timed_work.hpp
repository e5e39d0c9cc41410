// SPDX-License-Identifier: BSL-1.0
// tidepool - runs a coroutine that is cancelled when its time is over, and waits for its end in any case.
//
// Asio's `work || timer` does not do: where `work` throws, it waits for the timer, and the exception is lost.
#ifndef TIDEPOOL_DETAIL_SHELL_TIMED_WORK_HPP
#define TIDEPOOL_DETAIL_SHELL_TIMED_WORK_HPP

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "../../time.hpp"
#include "../../version.hpp"
#include "../util/asio.hpp"
#include "../util/cancellation.hpp"
#include "../util/smaller.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// The value of work that has none.
struct no_value {};
/// What became of the work.
template <class T>
struct timed_work {
  std::optional<std::conditional_t<std::is_void_v<T>, no_value, T>> value;
  std::exception_ptr failure;
  bool late = false;  ///< its time was over, so it was cancelled; it may have ended in another way all the same

  /// It was cancelled because its time was over, and nothing else is known of it.
  bool timed_out() const noexcept { return late && is_cancellation(failure); }

  // While it runs, on its strand alone.
  bool ended = false;
  bool begun = false;
  bool unwanted = false;
  asio::cancellation_signal signal;

  /// Not before it is spawned: there is nobody yet who would hear of it.
  void cancel() {
    unwanted = true;
    if (begun && !ended) signal.emit(asio::cancellation_type::terminal);
  }
};

template <class T, class Executor>
asio::awaitable<void, Executor> keep_outcome(asio::awaitable<T, Executor> work, std::shared_ptr<timed_work<T>> out) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(work);
      out->value.emplace();
    } else {
      out->value.emplace(co_await std::move(work));
    }
  } catch (...) {
    out->failure = std::current_exception();
  }
}

/// Signals must be emitted where their slots are used. So on several threads the work runs on a strand of its caller's executor.
template <class Executor>
auto executor_of_work(const Executor& from) {
  if constexpr (std::is_convertible_v<asio::strand<Executor>, Executor>) {
    return asio::make_strand(from);
  } else {
    return from;
  }
}

/// A cancellation of the caller is passed on to the work, and its end is waited for all the same.
template <class Timer, class T, class Executor>
asio::awaitable<std::shared_ptr<timed_work<T>>, Executor> run_timed(duration limit, asio::awaitable<T, Executor> work) {
  const Executor here = co_await asio::this_coro::executor;
  const auto strand = executor_of_work(here);
  const auto out = std::make_shared<timed_work<T>>();
  Timer timer(here);
  if (limit != no_limit) {
    timer.expires_after(smaller_of<duration>(limit, std::chrono::hours(24 * 365)));
    timer.async_wait(asio::bind_executor(strand, [out](error_code failed) {
      if (failed || out->ended || out->unwanted) return;  // a caller that was cancelled before is told that
      out->late = true;
      out->cancel();
    }));
  }
  auto running = keep_outcome(std::move(work), out);
  const auto start = [strand, out](auto handler, asio::awaitable<void, Executor> what) {
    const auto slot = asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) {
      auto forward = slot;
      forward.assign([strand, weak = std::weak_ptr<timed_work<T>>(out)](asio::cancellation_type) {
        asio::dispatch(strand, [weak] {
          const auto self = weak.lock();
          if (self) self->cancel();
        });
      });
    }
    auto target = asio::prefer(asio::get_associated_executor(handler), asio::execution::outstanding_work.tracked);
    auto ended = [handler = std::move(handler), target = std::move(target), out](std::exception_ptr never_begun) mutable {
      if (never_begun) out->failure = std::move(never_begun);  // cancelled between the spawn and its first step
      out->ended = true;
      asio::post(target, std::move(handler));
    };
    asio::dispatch(strand, [strand, out, ended = std::move(ended), what = std::move(what)]() mutable {
      asio::co_spawn(strand, std::move(what),
                     asio::bind_cancellation_slot(out->signal.slot(), asio::bind_executor(strand, std::move(ended))));
      out->begun = true;
      if (out->unwanted) out->cancel();
    });
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<Executor>, void()>(start, asio::use_awaitable_t<Executor>(),
                                                                               std::move(running));
  timer.cancel();
  co_return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
