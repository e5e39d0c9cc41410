// SPDX-License-Identifier: BSL-1.0
// tidepool - a queue of cancel requests, sent by at most 16 threads.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CANCEL_DISPATCHER_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CANCEL_DISPATCHER_HPP

#include <algorithm>
#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "../../version.hpp"
#include "real_time.hpp"
#include "side_thread.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// A blocking call that waits for a thread. `give_up()` before it has begun keeps it from being made.
template <class = void>
class basic_cancel_job {
 public:
  /// `send` blocks, and returns whether the server took the request; `done` is called with that, or with false when the job was dropped.
  /// Neither may throw.
  basic_cancel_job(std::string server, clock::time_point until, std::function<bool()> send, std::function<void(bool)> done)
      : server_(std::move(server)), until_(until), send_(std::move(send)), done_(std::move(done)) {}

  const std::string& server() const noexcept { return server_; }
  bool late(clock::time_point now) const noexcept { return now >= until_; }
  /// True: it was not sent, and will not be.
  bool give_up() noexcept {
    if (begun_.exchange(true)) return false;
    drop();
    return true;
  }
  void run() noexcept {
    if (begun_.exchange(true)) return;
    const bool taken = send_();
    const auto told = std::exchange(done_, {});
    send_ = {};
    told(taken);
  }

 private:
  void drop() noexcept {
    const auto told = std::exchange(done_, {});
    send_ = {};
    told(false);
  }

  std::string server_;
  clock::time_point until_;
  std::function<bool()> send_;
  std::function<void(bool)> done_;
  std::atomic<bool> begun_{false};
};
using cancel_job = basic_cancel_job<>;

/// Sends the requests of all connections of the process. A call to a silent server blocks its thread for as long as the kernel lets it,
/// which can be minutes. So one server has at most two threads, and cannot delay requests to others. A hundred statements of one server
/// that are cancelled at once need two threads. Thread safe.
template <class = void>
class basic_cancel_dispatcher {
 public:
  static constexpr std::size_t most_threads = 16;
  static constexpr std::size_t most_per_server = 2;
  static constexpr std::size_t most_waiting = 4096;

  /// Never destroyed, because its threads may outlive main().
  static basic_cancel_dispatcher& instance() {
    static basic_cancel_dispatcher* const dispatcher = new basic_cancel_dispatcher;
    return *dispatcher;
  }

  /// False when it can neither be sent nor queued: the job was dropped.
  bool submit(const std::shared_ptr<cancel_job>& job) noexcept {
    jobs dropped;
    bool taken = false;
    try {
      jobs mine(1, job);
      bool start = false;
      {
        const std::lock_guard lock(mutex_);
        if (waiting_.size() >= most_waiting) take_late(dropped);
        start = has_place(job->server());
        if (start) {
          take_place(job->server());
        } else if (waiting_.size() < most_waiting) {
          waiting_.splice(waiting_.end(), mine);
          taken = true;
        }
      }
      if (start) {
        taken = on_side_thread([this, job]() noexcept { work(job); });
        if (!taken) {
          const std::lock_guard lock(mutex_);
          leave_place(job->server());
          drop_if_no_thread(dropped);
        }
      }
    } catch (...) {  // no memory
    }
    give_up(dropped);
    if (!taken) job->give_up();
    return taken;
  }
  std::size_t threads() const {
    const std::lock_guard lock(mutex_);
    return running_;
  }
  std::size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }

 private:
  using jobs = std::list<std::shared_ptr<cancel_job>>;  // elements move from list to list without allocation

  bool has_place(const std::string& server) const {
    const auto at = busy_.find(server);
    return running_ < most_threads && (at == busy_.end() || at->second < most_per_server);
  }
  void take_place(const std::string& server) {
    ++busy_[server];
    ++running_;
  }
  void leave_place(const std::string& server) noexcept {
    const auto at = busy_.find(server);
    if (--at->second == 0) busy_.erase(at);
    --running_;
  }
  void work(std::shared_ptr<cancel_job> job) noexcept {
    while (job) {
      job->run();
      jobs dropped;
      std::shared_ptr<cancel_job> next;
      {
        const std::lock_guard lock(mutex_);
        leave_place(job->server());
        next = take_next(dropped);
      }
      give_up(dropped);
      job = std::move(next);
    }
  }
  /// The first that may be sent now. Those whose time is over are moved to `dropped`.
  std::shared_ptr<cancel_job> take_next(jobs& dropped) noexcept {
    const auto now = clock::now();
    try {
      for (auto at = waiting_.begin(); at != waiting_.end();) {
        const auto each = at++;
        if ((*each)->late(now)) {
          dropped.splice(dropped.end(), waiting_, each);
        } else if (has_place((*each)->server())) {
          take_place((*each)->server());
          auto next = std::move(*each);
          waiting_.erase(each);
          return next;
        }
      }
    } catch (...) {  // no memory: another thread takes it
    }
    drop_if_no_thread(dropped);
    return nullptr;
  }
  void take_late(jobs& dropped) noexcept {
    const auto now = clock::now();
    for (auto at = waiting_.begin(); at != waiting_.end();) {
      const auto each = at++;
      if ((*each)->late(now)) dropped.splice(dropped.end(), waiting_, each);
    }
  }
  /// Without a running thread nothing would ever take the waiting jobs.
  void drop_if_no_thread(jobs& dropped) noexcept {
    if (running_ == 0) dropped.splice(dropped.end(), waiting_);
  }
  /// Without the lock: it calls `done` of each.
  static void give_up(const jobs& dropped) noexcept {
    for (const auto& each : dropped) each->give_up();
  }

  mutable std::mutex mutex_;
  jobs waiting_;
  std::map<std::string, std::size_t> busy_;
  std::size_t running_ = 0;
};
using cancel_dispatcher = basic_cancel_dispatcher<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
