// tidepool - a thread for one call that blocks or computes for long.
#ifndef TIDEPOOL_POSTGRES_DETAIL_SIDE_THREAD_HPP
#define TIDEPOOL_POSTGRES_DETAIL_SIDE_THREAD_HPP

#include <pthread.h>

#include <csignal>
#include <thread>
#include <utility>

namespace tidepool::postgres::detail {

/// Runs `work`, which must not throw, on a thread that nobody joins. False when there is none to be had; `work` is then destroyed.
template <class Work>
bool on_side_thread(Work work) noexcept {
  // Signals of the program go to the program's threads.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = true;
  try {
    std::thread([work = std::move(work)]() mutable noexcept { work(); }).detach();
  } catch (...) {
    started = false;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

}  // namespace tidepool::postgres::detail

#endif
