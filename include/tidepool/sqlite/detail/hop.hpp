// SPDX-License-Identifier: BSL-1.0
// tidepool - a coroutine lets another thread do something, and goes on at home when that is done.
//
// Whoever waits is resumed on its own executor, and never inside the call. The execution context may be destroyed meanwhile: its destructor
// then interrupts what runs, waits for its end, and destroys the coroutine, so that the other thread never refers to what is gone.
#ifndef TIDEPOOL_SQLITE_DETAIL_HOP_HPP
#define TIDEPOOL_SQLITE_DETAIL_HOP_HPP

#include <condition_variable>
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>
#include <vector>

#include "../../detail/util/asio.hpp"
#include "../../detail/util/intrusive_list.hpp"
#include "../../version.hpp"
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

  void work() noexcept override;
  /// It was withdrawn from the workers' queue.
  void finish() noexcept;

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

  std::mutex mutex_;
  std::condition_variable done_;
  tidepool::detail::intrusive_list<pending> all_;
};

inline void hop::work() noexcept {
  what_.perform();
  finish();
}
inline void hop::finish() noexcept {
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
