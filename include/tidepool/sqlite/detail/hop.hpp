// SPDX-License-Identifier: BSL-1.0
// tidepool - a coroutine lets another thread do something, and goes on at home when that is done.
//
// Whoever waits is resumed on its own executor, and never inside the call. The execution context may be destroyed meanwhile: its destructor
// then interrupts what runs, waits for its end, and destroys the coroutine, so that the other thread never refers to what is gone.
#ifndef TIDEPOOL_SQLITE_DETAIL_HOP_HPP
#define TIDEPOOL_SQLITE_DETAIL_HOP_HPP

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>
#include <vector>

#include "../../detail/util/asio.hpp"
#include "../../detail/util/intrusive_list.hpp"
#include "../../version.hpp"
#include "looking.hpp"
#include "workers.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail {

class hop;

/// A place in the list of an execution context.
struct pending : tidepool::detail::list_hook {};

/// All of an execution context.
template <class = void>
class basic_hop_list;
using hop_list = basic_hop_list<void>;

/// What a hop is for. Outlives the hop.
class hop_work {
 public:
  /// On another thread.
  virtual void perform() noexcept = 0;
  /// From any thread, while `perform()` runs or before: it should end soon.
  virtual void interrupt() noexcept = 0;
  /// `perform()` has returned, or will not be called.
  virtual void ended() noexcept = 0;

 protected:
  ~hop_work() = default;
};

class hop : public job, public pending {
 public:
  hop(hop_list& of, hop_work& what) : of_(of), what_(what) {}

  void work() noexcept override { what_.perform(); }
  /// Also where it was withdrawn from the workers' queue.
  void conclude() noexcept override;

  // For the list.
  /// Posts the handler and destroys this.
  virtual void complete() noexcept = 0;
  /// Destroys the handler, and this.
  virtual void destroy() noexcept = 0;
  void interrupt() noexcept { what_.interrupt(); }
  bool done = false;       ///< for `shutdown()`, which waits for it
  bool abandoned = false;  ///< the context is being destroyed

 protected:
  ~hop() = default;

 private:
  hop_list& of_;
  hop_work& what_;
};

template <class>
class basic_hop_list : public asio::execution_context::service {
 public:
  using key_type = basic_hop_list;
  inline static asio::execution_context::id id;

  explicit basic_hop_list(asio::execution_context& context) : service(context) {}

  void add(hop& one) noexcept {
    const std::lock_guard lock(mutex_);
    all_.push_back(one);
  }
  void remove(hop& one) noexcept {
    const std::lock_guard lock(mutex_);
    all_.erase(one);
  }
  /// After a hop was submitted: the event loop of `executor`, a thread of which calls this, does not sleep for a while, where that pays.
  template <class Executor>
  void stay_awake(const Executor& executor, look_clock::duration span) noexcept {
    {
      const std::lock_guard lock(mutex_);
      if (awake_ || all_.empty() || !choice_.take_chance()) return;
      awake_ = true;
    }
    go_on_looking(look_again<Executor>{this, executor, span, ended_.load(std::memory_order_relaxed), look_now() + span});
  }
  /// Within the lock, so that the context lives until the handler is posted.
  void end(hop& one) noexcept {
    const std::lock_guard lock(mutex_);
    if (one.abandoned) {
      one.done = true;
      done_.notify_all();
      return;
    }
    all_.erase(one);
    one.complete();
    ended_.fetch_add(1, std::memory_order_release);
  }

 private:
  void shutdown() noexcept override {
    std::unique_lock lock(mutex_);
    // They interrupt without this lock, because the end of a hop takes it.
    std::vector<hop*> left;
    while (pending* const next = all_.pop_front()) {
      hop* const one = static_cast<hop*>(next);
      one->abandoned = true;
      left.push_back(one);
    }
    lock.unlock();
    for (hop* const one : left) one->interrupt();
    lock.lock();
    for (hop* const one : left) done_.wait(lock, [one] { return one->done; });
    lock.unlock();
    for (hop* const one : left) one->destroy();
  }

  /// A handler that runs again and again, between all others, until no hop is under way or none has ended for some time. What ends a hop
  /// posts its handler; a loop that is awake needs no system call for that.
  template <class Executor>
  struct look_again {
    basic_hop_list* of;
    Executor executor;
    look_clock::duration span;
    std::size_t ended;
    look_clock::time_point until;

    void operator()() {
      // Not in the queue all the time, whose lock the thread that ends a hop needs.
      for (int i = 0; i < 32 && of->ended_.load(std::memory_order_acquire) == ended; ++i) pause_a_moment();
      const auto now = look_now();
      const auto ended_now = of->ended_.load(std::memory_order_acquire);
      const bool moved = std::exchange(ended, ended_now) != ended_now;
      if (moved) until = now + span;
      const bool late = now >= until;
      if ((moved || late) && of->goes_to_sleep(late)) return;
      of->go_on_looking(std::move(*this));
    }
  };
  template <class Look>
  void go_on_looking(Look&& next) noexcept {
    try {
      // As `asio::defer`: behind all that is ready, without waking another thread of the context.
      const auto later =
          asio::prefer(asio::require(next.executor, asio::execution::blocking.never), asio::execution::relationship.continuation);
      later.execute(std::move(next));
    } catch (...) {  // no memory: the loop sleeps
      const std::lock_guard lock(mutex_);
      awake_ = false;
    }
  }
  /// Asked by the one that looks.
  bool goes_to_sleep(bool late) noexcept {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || (!late && !all_.empty())) return false;  // without the lock: a hop is just ending
    awake_ = false;
    choice_.ended(!late);
    return true;
  }

  std::mutex mutex_;
  std::condition_variable done_;
  tidepool::detail::intrusive_list<pending> all_;
  std::atomic<std::size_t> ended_{0};  ///< how many hops have
  look_choice choice_{};
  bool awake_ = false;  ///< a handler keeps the event loop awake
};

inline void hop::conclude() noexcept {
  what_.ended();
  of_.end(*this);
}

template <class Handler>
class typed_hop final : public hop {
 public:
  using tracked = std::decay_t<decltype(asio::prefer(asio::get_associated_executor(std::declval<const Handler&>()),
                                                     asio::execution::outstanding_work.tracked))>;

  typed_hop(hop_list& of, hop_work& what, Handler&& handler)
      : hop(of, what),
        handler_(std::move(handler)),
        executor_(asio::prefer(asio::get_associated_executor(handler_), asio::execution::outstanding_work.tracked)) {}
  auto home() const { return asio::get_associated_executor(handler_); }

 private:
  void complete() noexcept override {
    const auto target = std::move(executor_);
    auto ready = std::move(handler_);
    delete this;
    asio::post(target, [ready = std::move(ready)]() mutable { std::move(ready)(); });
  }
  void destroy() noexcept override { delete this; }

  Handler handler_;
  tracked executor_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail

#endif
