// SPDX-License-Identifier: BSL-1.0
// tidepool - a detached thread for one call that blocks or computes for long.
#ifndef TIDEPOOL_DETAIL_DRIVER_SIDE_THREAD_HPP
#define TIDEPOOL_DETAIL_DRIVER_SIDE_THREAD_HPP

#include <pthread.h>

#include <atomic>
#include <csignal>
#include <thread>
#include <utility>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver {

/// How many of these threads run. A program should not leave main() before they have ended: OpenSSL, which they use, is cleaned up at
/// that point.
inline std::atomic<int>& side_threads_running() noexcept {
  static std::atomic<int> count{0};
  return count;
}

/// Runs `work`, which must not throw, on a detached thread. False when no thread can be started; `work` is then destroyed.
template <class Work>
bool on_side_thread(Work work) noexcept {
  // Signals are for the program's own threads.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = true;
  side_threads_running().fetch_add(1);
  try {
    std::thread([work = std::move(work)]() mutable noexcept {
      {
        Work mine(std::move(work));
        mine();
      }
      side_threads_running().fetch_sub(1);
    }).detach();
  } catch (...) {
    started = false;
    side_threads_running().fetch_sub(1);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail::driver

#endif
