// SPDX-License-Identifier: BSL-1.0
// tidepool - what the rig sees of sockets and of the processor; no Asio here.
#ifndef TIDEPOOL_TESTS_FAULTS_WATCHING_HPP
#define TIDEPOOL_TESTS_FAULTS_WATCHING_HPP

#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include "rig.hpp"

namespace tidepool_faults {

/// When connections were ended by their peers. Sees the sockets themselves, whatever the pool does with them; the kernel forgets each
/// when the pool closes it.
class hang_up_log {
 public:
  hang_up_log() : set_(::epoll_create1(EPOLL_CLOEXEC)), end_(::eventfd(0, EFD_CLOEXEC)) {
    epoll_event wanted{EPOLLIN, {}};
    wanted.data.fd = end_;
    ::epoll_ctl(set_, EPOLL_CTL_ADD, end_, &wanted);
    thread_ = std::thread([this] { run(); });
    // Ahead of those whose lateness it measures, where that is allowed.
    sched_param first{};
    first.sched_priority = 1;
    (void)::pthread_setschedparam(thread_.native_handle(), SCHED_FIFO, &first);
  }
  hang_up_log(const hang_up_log&) = delete;
  hang_up_log& operator=(const hang_up_log&) = delete;
  ~hang_up_log() {
    const std::uint64_t one = 1;
    (void)!::write(end_, &one, sizeof one);
    thread_.join();
    ::close(set_);
    ::close(end_);
  }

  void add(int socket) const {
    epoll_event wanted{EPOLLRDHUP | EPOLLONESHOT, {}};
    wanted.data.fd = -1;
    ::epoll_ctl(set_, EPOLL_CTL_ADD, socket, &wanted);
  }
  moment first(moment from) const {
    const std::lock_guard lock(mutex_);
    const auto at = std::lower_bound(seen_.begin(), seen_.end(), from);
    return at == seen_.end() ? moment::max() : *at;
  }

 private:
  void run() {
    std::array<epoll_event, 32> events{};
    for (;;) {
      const int count = ::epoll_wait(set_, events.data(), static_cast<int>(events.size()), -1);
      const auto now = clock::now();
      const std::lock_guard lock(mutex_);
      for (int i = 0; i < count; ++i) {
        if (events[static_cast<std::size_t>(i)].data.fd == end_) return;
        seen_.push_back(now);
      }
    }
  }

  int set_;
  int end_;
  mutable std::mutex mutex_;
  std::vector<moment> seen_;
  std::thread thread_;
};

/// How long the thread that made it has waited for a processor so far, in nanoseconds. Needs no descriptor later on.
class starvation {
 public:
  starvation() : file_(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) {}
  starvation(const starvation&) = delete;
  starvation& operator=(const starvation&) = delete;
  ~starvation() { ::close(file_); }

  std::int64_t so_far() const {
    std::array<char, 128> text{};
    if (::pread(file_, text.data(), text.size() - 1, 0) <= 0) return 0;
    // The second of three numbers.
    char* second = nullptr;
    (void)std::strtoll(text.data(), &second, 10);
    return std::strtoll(second, nullptr, 10);
  }

 private:
  int file_;
};

}  // namespace tidepool_faults

#endif
