// SPDX-License-Identifier: BSL-1.0
// tidepool - holds the pool's lock with the stash closed: what surrounds every event of the core.
#ifndef TIDEPOOL_DETAIL_SHELL_EVENT_GUARD_HPP
#define TIDEPOOL_DETAIL_SHELL_EVENT_GUARD_HPP

#include "../../version.hpp"
#include "failure_snapshot.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// From its construction to its end (`end()`, at the latest its destructor) the lock is held and the stash is closed and empty: the core
/// sees every idle connection, and none is stashed beside a caller who waits. At its end the stash is opened again if the core allows it,
/// and the lock is released.
template <class Pool>
class stash_guard {
 public:
  explicit stash_guard(Pool& pool) noexcept : pool_(pool) {
    pool_.mutex_.lock();
    pool_.close_stash();
  }
  stash_guard(const stash_guard&) = delete;
  stash_guard& operator=(const stash_guard&) = delete;
  ~stash_guard() { end(); }

  /// The pool may be gone when this returns, unless the caller of this function holds it.
  void end() noexcept {
    if (ended_) return;
    pool_.open_stash();
    end_with_waiter();
  }
  /// Where a caller has been queued: the stash stays closed.
  void end_with_waiter() noexcept {
    ended_ = true;
    pool_.mutex_.unlock();
  }

 private:
  Pool& pool_;
  bool ended_ = false;
};

/// The same around an event that asks for actions. Before its end it notes in `a` what closing the stash has queued, and how the pool is if
/// a caller failed who wants to know why.
template <class Pool>
class event_guard {
 public:
  event_guard(Pool& pool, pool_actions& a) noexcept : pool_(pool), held_(pool), actions_(a) {}
  ~event_guard() { pool_.note_event(actions_); }

 private:
  Pool& pool_;
  const stash_guard<Pool> held_;
  pool_actions& actions_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
