// SPDX-License-Identifier: BSL-1.0
// tidepool - the callers that wait: for a connection, for open(), for close().
#ifndef TIDEPOOL_DETAIL_CORE_WAIT_QUEUE_HPP
#define TIDEPOOL_DETAIL_CORE_WAIT_QUEUE_HPP

#include <cstdint>

#include "../../error.hpp"
#include "../../source_location.hpp"
#include "../../time.hpp"
#include "../../version.hpp"
#include "../util/deadline_queue.hpp"
#include "../util/intrusive_list.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

struct core_slot;

/// One caller in a queue.
struct core_waiter : list_hook {
  using completion = void (*)(core_waiter*) noexcept;

  enum class stage : std::uint8_t { fresh, waiting, done };
  enum class queue : std::uint8_t { acquire, open, close };
  stage at = stage::fresh;
  queue in = queue::acquire;
  bool from_idle = false;  ///< the granted connection was idle: ask `usable()` first
  bool direct = false;     ///< granted without a wait
  bool cancelled = false;  ///< cancelled after the grant, which counts if the grant comes to nothing
  bool explain = false;    ///< a failure is to be explained: the pool is looked at when it happens
  errc error{};            ///< zero: success
  completion complete = nullptr;
  core_slot* slot = nullptr;
  tick since{};
  std::uint32_t weight = 1;  ///< in the histogram of waits; zero: `since` is of the coarse clock
  std::uint64_t ticket = 0;  ///< order of arrival
  std::uint64_t failures_seen = 0;
  deadline_node<core_waiter> deadline;
  source_location where{};

  core_waiter() { deadline.owner = this; }
  core_waiter(const core_waiter&) = delete;
  core_waiter& operator=(const core_waiter&) = delete;
};

/// First come, first served: each caller has a ticket, and the queue of acquires is in order of tickets.
class wait_queue {
 public:
  /// Above this length one caller in `sampled_waits` has its wait timed, and counts for as many: reading the clock costs as much as the
  /// rest.
  static constexpr std::size_t long_queue = 64;
  static constexpr std::uint32_t sampled_waits = 8;

  bool empty() const noexcept { return acquires_.empty(); }
  std::size_t size() const noexcept { return acquires_.size(); }
  core_waiter* front() const noexcept { return acquires_.front(); }
  core_waiter* after(core_waiter& w) const noexcept { return acquires_.after(w); }
  bool is_long() const noexcept { return size() >= long_queue; }
  bool samples_next() const noexcept { return (last_ticket_ + 1) % sampled_waits == 0; }
  core_waiter* opener() const noexcept { return opens_.front(); }
  core_waiter* opener_after(core_waiter& w) const noexcept { return opens_.after(w); }
  core_waiter* closer() const noexcept { return closes_.front(); }

  std::uint64_t next_ticket() noexcept { return ++last_ticket_; }
  /// Behind all others.
  void add(core_waiter& w, tick deadline) noexcept {
    w.at = core_waiter::stage::waiting;
    acquires_.push_back(w);
    deadlines_.insert(w.deadline, deadline);
  }
  /// Where its ticket says.
  void put_in_order(core_waiter& w) noexcept {
    w.at = core_waiter::stage::waiting;
    core_waiter* ahead = nullptr;
    for (core_waiter* o = acquires_.front(); o && o->ticket < w.ticket; o = acquires_.after(*o)) ahead = o;
    ahead ? acquires_.insert_after(*ahead, w) : acquires_.push_front(w);
    deadlines_.insert(w.deadline, w.deadline.at);
  }
  void add_opener(core_waiter& w, tick deadline) noexcept {
    w.at = core_waiter::stage::waiting;
    opens_.push_back(w);
    deadlines_.insert(w.deadline, deadline);
  }
  /// It has no deadline: closing has one of its own.
  void add_closer(core_waiter& w) noexcept {
    w.at = core_waiter::stage::waiting;
    closes_.push_back(w);
  }
  /// From whatever queue it is in, if any.
  void remove(core_waiter& w) noexcept {
    if (w.at != core_waiter::stage::waiting) return;
    switch (w.in) {
      case core_waiter::queue::acquire: acquires_.erase(w); break;
      case core_waiter::queue::open: opens_.erase(w); break;
      case core_waiter::queue::close: closes_.erase(w); return;
    }
    deadlines_.erase(w.deadline);
  }

  tick next_deadline() const noexcept { return deadlines_.next(); }
  /// One whose time is up, or null.
  core_waiter* expired(tick now) const noexcept { return deadlines_.next() <= now ? deadlines_.top()->owner : nullptr; }
  /// It stays in its queue although its time is up.
  void forget_deadline(core_waiter& w) noexcept { deadlines_.erase(w.deadline); }

 private:
  intrusive_list<core_waiter> acquires_;
  intrusive_list<core_waiter> opens_;
  intrusive_list<core_waiter> closes_;
  deadline_queue<core_waiter> deadlines_;
  std::uint64_t last_ticket_ = 0;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
