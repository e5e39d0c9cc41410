// SPDX-License-Identifier: BSL-1.0
// tidepool - the threads on which SQLite's calls run, because they block.
#ifndef TIDEPOOL_SQLITE_DETAIL_WORKERS_HPP
#define TIDEPOOL_SQLITE_DETAIL_WORKERS_HPP

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#if !defined(_WIN32)
#include <pthread.h>

#include <csignal>
#endif

#include "../../detail/util/intrusive_list.hpp"
#include "../../time.hpp"
#include "../../version.hpp"
#include "looking.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail {

/// How many threads of workers run in this process.
inline std::atomic<std::size_t>& worker_threads_running() noexcept {
  static std::atomic<std::size_t> count{0};
  return count;
}

/// What a thread does.
class job : public tidepool::detail::list_hook {
 public:
  job() = default;
  job(const job&) = delete;
  job& operator=(const job&) = delete;
  virtual void work() noexcept = 0;
  /// After `work()`: tells that it is done. May destroy the job.
  virtual void conclude() noexcept = 0;

 protected:
  ~job() = default;
};

/// Signals are for the program's own threads: none is delivered to those that are started while it lives.
template <class = void>
class basic_no_signals {
 public:
#if defined(_WIN32)
  basic_no_signals() {}
#else
  basic_no_signals() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  basic_no_signals(const basic_no_signals&) = delete;
  basic_no_signals& operator=(const basic_no_signals&) = delete;
  ~basic_no_signals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
#endif
};

/// A queue of jobs, first come first served, and at most `most` threads, which are started when they are needed: never more than jobs that
/// run at once. One that is done looks for the next job for `look` before it sleeps, where that pays and nobody else does; it counts as
/// free before it tells that its job is done, as the answer to that may be the next job. Thread safe. Its destructor waits until the queue
/// is empty and all have ended.
template <class = void>
class basic_workers;
using workers = basic_workers<void>;

template <class>
class basic_workers {
 public:
  explicit basic_workers(std::size_t most, duration look = duration::zero())
      : most_(most), state_(std::make_shared<state>(useful_look_time(look))) {}
  basic_workers(const basic_workers&) = delete;
  basic_workers& operator=(const basic_workers&) = delete;
  ~basic_workers() {
    {
      const std::lock_guard lock(state_->mutex);
      state_->stop = true;
    }
    state_->news.fetch_add(1, std::memory_order_release);
    state_->wake.notify_all();
    for (std::thread& one : threads_) {
      if (one.get_id() == std::this_thread::get_id()) {
        one.detach();  // its own job held the last reference; it ends by itself
      } else {
        one.join();
      }
    }
  }

  /// Throws `std::system_error` when no thread runs and none can be started.
  void submit(job& what) {
    state& s = *state_;
    bool wakes = false;
    {
      const std::lock_guard lock(s.mutex);
      s.queue.push_back(what);
      if (s.free > s.promised) {
        ++s.promised;
      } else if (s.idle > s.woken) {
        ++s.woken;
        wakes = true;
      } else if (threads_.size() < most_) {
        start();
      }
    }
    // Without the lock: the thread that is woken takes it first of all.
    if (wakes) {
      s.wake.notify_one();
    } else {
      s.news.fetch_add(1, std::memory_order_release);
    }
  }
  /// True: it has not begun and will not.
  bool withdraw(job& what) noexcept {
    const std::lock_guard lock(state_->mutex);
    if (!what.linked()) return false;
    state_->queue.erase(what);
    return true;
  }
  /// Zero: nobody looks.
  look_clock::duration look_time() const noexcept { return state_->look_for; }
  std::size_t threads() const noexcept {
    const std::lock_guard lock(state_->mutex);
    return threads_.size();
  }

 private:
  struct state {
    explicit state(look_clock::duration look) : look_for(look) {}
    const look_clock::duration look_for;
    std::mutex mutex;
    std::condition_variable wake;
    tidepool::detail::intrusive_list<job> queue;
    std::size_t idle = 0;      ///< threads that sleep
    std::size_t woken = 0;     ///< of these, so many have been told to wake up
    std::size_t free = 0;      ///< threads that are awake and will ask for a job soon
    std::size_t promised = 0;  ///< so many jobs are theirs
    bool stop = false;
    bool looking = false;  ///< one of them looks for a while
    look_choice choice{};
    std::atomic<unsigned> news{0};  ///< for the one that looks: there may be a job, or the end
  };

  /// Under the lock, with a job in the queue.
  void start() {
    try {
      const basic_no_signals<> none;
      threads_.reserve(threads_.size() + 1);
      threads_.emplace_back([s = state_] { serve(*s); });
    } catch (...) {
      if (!threads_.empty()) return;  // those that run will come to it
      state_->queue.erase(*state_->queue.back());
      throw;
    }
  }
  static void serve(state& s) noexcept {
    struct counted {
      counted() noexcept { worker_threads_running().fetch_add(1, std::memory_order_relaxed); }
      counted(const counted&) = delete;
      counted& operator=(const counted&) = delete;
      ~counted() { worker_threads_running().fetch_sub(1, std::memory_order_relaxed); }
    } const here;
    std::unique_lock lock(s.mutex);
    for (;;) {
      if (job* const next = s.queue.pop_front()) {
        lock.unlock();
        next->work();
        lock.lock();
        ++s.free;
        const bool looks = s.look_for.count() != 0 && !s.looking && !s.stop && s.queue.empty() && s.choice.take_chance();
        if (looks) s.looking = true;
        const unsigned before = s.news.load(std::memory_order_relaxed);
        lock.unlock();
        next->conclude();
        if (looks) look_for(s.look_for, [&] { return s.news.load(std::memory_order_acquire) != before; });
        lock.lock();
        --s.free;
        if (s.promised > 0) --s.promised;
        if (looks) {
          s.looking = false;
          s.choice.ended(!s.queue.empty());
        }
        continue;
      }
      if (s.stop) return;
      ++s.idle;
      s.wake.wait(lock, [&s] { return s.woken > 0 || s.stop; });
      --s.idle;
      if (s.woken > 0) --s.woken;
    }
  }

  const std::size_t most_;
  const std::shared_ptr<state> state_;
  std::vector<std::thread> threads_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail

#endif
