// SPDX-License-Identifier: BSL-1.0
// tidepool - notices that the peer of an idle connection has closed, although nothing reads from the socket. Linux only; for drivers.
//
// A wait by Asio on every socket would cost system calls at each checkout, and Asio's I/O objects must not be used by two threads. So each
// socket is registered once, for hang-ups and errors only, in one epoll set of the execution context, and Asio waits for that set.
#ifndef TIDEPOOL_DETAIL_DRIVER_HANGUP_WATCH_HPP
#define TIDEPOOL_DETAIL_DRIVER_HANGUP_WATCH_HPP

#ifdef __linux__

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../../version.hpp"
#include "asio_io.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// The epoll set. Thread safe. Its I/O object exists only while sockets are registered, so that an empty set does not keep the context
/// running, and none is left when all sockets are unregistered before the context is destroyed.
template <class = void>
class basic_hangup_set;
using hangup_set = basic_hangup_set<>;

template <class>
class basic_hangup_set : public std::enable_shared_from_this<hangup_set> {
 public:
  using callback = std::function<void()>;
  using key = std::uint64_t;

  basic_hangup_set() = default;
  basic_hangup_set(const basic_hangup_set&) = delete;
  basic_hangup_set& operator=(const basic_hangup_set&) = delete;

  /// Calls `gone` once, on a thread of the context and without a lock, after the peer has closed; a call that has begun may still come
  /// after `remove()`. The descriptor has to stay open until `remove()`. Returns 0 when it cannot be watched.
  key add(const asio::any_io_executor& executor, int descriptor, callback gone) {
    auto told = std::make_shared<const callback>(std::move(gone));
    const std::lock_guard lock(mutex_);
    if (down_) return 0;
    const key mine = ++last_;
    watched_.emplace(mine, entry{descriptor, std::move(told)});
    bool done = false;
    try {
      done = (waiter_ || open(executor)) && enrol(mine, descriptor);
    } catch (...) {
      watched_.erase(mine);
      throw;
    }
    if (done) return mine;
    watched_.erase(mine);
    close_if_empty();
    return 0;
  }
  void remove(key mine) noexcept {
    const std::lock_guard lock(mutex_);
    const auto at = watched_.find(mine);
    if (at == watched_.end()) return;
    ::epoll_ctl(waiter_->native_handle(), EPOLL_CTL_DEL, at->second.descriptor, nullptr);
    watched_.erase(at);
    close_if_empty();
  }
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return watched_.size();
  }
  /// Before the context is destroyed: removes all sockets.
  void shut_down() noexcept {
    const std::lock_guard lock(mutex_);
    down_ = true;
    watched_.clear();
    close_if_empty();
  }

 private:
  struct entry {
    int descriptor;
    std::shared_ptr<const callback> gone;
  };

  bool open(const asio::any_io_executor& executor) {
    const int set = ::epoll_create1(EPOLL_CLOEXEC);
    if (set < 0) return false;
    try {
      waiter_.emplace(executor, set);
    } catch (...) {
      ::close(set);
      throw;
    }
    ++opened_;
    try {
      wait();
    } catch (...) {
      waiter_.reset();
      throw;
    }
    return true;
  }
  bool enrol(key which, int descriptor) noexcept {
    epoll_event wanted{};
    wanted.events = EPOLLRDHUP | EPOLLONESHOT;  // EPOLLHUP and EPOLLERR are always reported
    wanted.data.u64 = which;
    return ::epoll_ctl(waiter_->native_handle(), EPOLL_CTL_ADD, descriptor, &wanted) == 0;
  }
  void close_if_empty() noexcept {
    if (watched_.empty()) waiter_.reset();
  }
  void wait() {
    waiter_->async_wait(asio::posix::stream_descriptor::wait_read, [self = shared_from_this(), which = opened_](error_code failure) {
      if (!failure) self->ready(which);
    });
  }
  void ready(std::uint64_t which) noexcept {
    std::vector<std::shared_ptr<const callback>> told;
    {
      const std::lock_guard lock(mutex_);
      if (!waiter_ || which != opened_) return;
      try {
        collect(told);
        wait();
      } catch (...) {  // out of memory: nothing is watched any more, and a closed socket is found at the next check
        watched_.clear();
        waiter_.reset();
      }
    }
    for (const auto& one : told) (*one)();
  }
  void collect(std::vector<std::shared_ptr<const callback>>& told) {
    std::array<epoll_event, 64> events;
    for (;;) {
      const int count = ::epoll_wait(waiter_->native_handle(), events.data(), static_cast<int>(events.size()), 0);
      for (int i = 0; i < count; ++i) {
        const key which = events[static_cast<std::size_t>(i)].data.u64;  // a copy: the event is packed
        const auto at = watched_.find(which);
        if (at != watched_.end()) told.push_back(at->second.gone);
      }
      if (count < static_cast<int>(events.size())) return;
    }
  }

  mutable std::mutex mutex_;
  std::optional<asio::posix::stream_descriptor> waiter_;  ///< owns the epoll set
  std::unordered_map<key, entry> watched_;
  key last_ = 0;
  std::uint64_t opened_ = 0;
  bool down_ = false;
};

/// The Asio service that holds the set of an execution context.
template <class = void>
class basic_hangup_watch : public asio::execution_context::service {
 public:
  using key_type = basic_hangup_watch;
  inline static asio::execution_context::id id;

  explicit basic_hangup_watch(asio::execution_context& context) : service(context), set_(std::make_shared<hangup_set>()) {}
  const std::shared_ptr<hangup_set>& set() const noexcept { return set_; }

 private:
  void shutdown() noexcept override { set_->shut_down(); }

  std::shared_ptr<hangup_set> set_;
};
using hangup_watch = basic_hangup_watch<>;

/// Watches one descriptor as long as it lives.
template <class = void>
class basic_hangup_guard {
 public:
  basic_hangup_guard() = default;
  basic_hangup_guard(const basic_hangup_guard&) = delete;
  basic_hangup_guard& operator=(const basic_hangup_guard&) = delete;
  ~basic_hangup_guard() { stop(); }

  /// May throw `std::bad_alloc`.
  void start(const asio::any_io_executor& executor, int descriptor, hangup_set::callback gone) {
    stop();
    set_ = asio::use_service<hangup_watch>(asio::query(executor, asio::execution::context)).set();
    key_ = set_->add(executor, descriptor, std::move(gone));
    if (key_ == 0) set_.reset();
  }
  void stop() noexcept {
    if (set_) set_->remove(key_);
    set_.reset();
  }

 private:
  std::shared_ptr<hangup_set> set_;
  hangup_set::key key_ = 0;
};
using hangup_guard = basic_hangup_guard<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#else

#include <functional>

#include "asio_io.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Linux only is the real one: on other systems nothing is watched, and the pool's periodic check, or that before a hand-out, finds
/// connections whose peer has closed.
class hangup_guard {
 public:
  void start(const asio::any_io_executor&, int, std::function<void()>) {}
  void stop() noexcept {}
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
#endif
