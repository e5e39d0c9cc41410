// SPDX-License-Identifier: BSL-1.0
// tidepool - hears of it when the peer of an idle connection hangs up, without anybody reading from it. Linux only; for drivers.
//
// Waiting on every socket by Asio would cost system calls at each checkout, and its I/O objects must not be touched by two threads. So
// each socket is registered once, for hang-ups and errors alone, in one epoll set of the execution context, and Asio waits for that set.
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

/// Thread safe. The I/O object is there only while something is watched: the set keeps no context busy, and who unregisters in time,
/// as everything with a socket must, leaves nothing behind that needs it.
class hangup_set : public std::enable_shared_from_this<hangup_set> {
 public:
  using callback = std::function<void()>;
  using key = std::uint64_t;

  hangup_set() = default;
  hangup_set(const hangup_set&) = delete;
  hangup_set& operator=(const hangup_set&) = delete;

  /// Calls `gone` once, from a thread of the context and without a lock, after the peer has hung up; perhaps even after `remove()`.
  /// The descriptor has to stay open until then. 0: it cannot be watched.
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
  /// The context is going: nothing is watched any more.
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
    wanted.events = EPOLLRDHUP | EPOLLONESHOT;  // EPOLLHUP and EPOLLERR come unasked
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
      } catch (...) {  // out of memory: those not told of are found when they are next looked at
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

/// The set of an execution context.
class hangup_watch : public asio::execution_context::service {
 public:
  using key_type = hangup_watch;
  inline static asio::execution_context::id id;

  explicit hangup_watch(asio::execution_context& context) : service(context), set_(std::make_shared<hangup_set>()) {}
  const std::shared_ptr<hangup_set>& set() const noexcept { return set_; }

 private:
  void shutdown() noexcept override { set_->shut_down(); }

  std::shared_ptr<hangup_set> set_;
};

/// One watched descriptor; ends with this object.
class hangup_guard {
 public:
  hangup_guard() = default;
  hangup_guard(const hangup_guard&) = delete;
  hangup_guard& operator=(const hangup_guard&) = delete;
  ~hangup_guard() { stop(); }

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

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#else

#include <functional>

#include "asio_io.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Elsewhere the pool's sweep finds what has died.
class hangup_guard {
 public:
  void start(const asio::any_io_executor&, int, std::function<void()>) {}
  void stop() noexcept {}
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
#endif
