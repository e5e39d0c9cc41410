// SPDX-License-Identifier: BSL-1.0
// tidepool - acquire and release, each from top to bottom.
//
//   acquire    acquire()                 the coroutine behind `pool.acquire()`; async_acquire.hpp does the same for any completion token
//                take()                  a connection that is there:
//                  take_stashed()          the one that this thread released last, without the lock (pool_front.hpp)
//                  take_idle()             else an idle one, under the lock
//                enqueue()               else the caller waits in the core's queue, and the core opens a connection if one is missing
//                complete(), deliver()   its turn has come, on whatever thread that happens: it is resumed by a post to its own executor
//   release    release()                 the end of a lease (pool_front.hpp)
//                stash_lease()               kept for this thread, without the lock, while no caller waits
//                release_under_lock()    else to the caller who is next, or among the idle ones
//                release_slowly()        else what the core decides: reset, close, destroy, or serve others by it
//
// Each way is tried in this order, because each costs more than the one before: an exchange of a pointer, a mutex, an event of the core.
#ifndef TIDEPOOL_DETAIL_SHELL_CHECKOUT_HPP
#define TIDEPOOL_DETAIL_SHELL_CHECKOUT_HPP

#include <algorithm>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "../../version.hpp"
#include "../util/attributes.hpp"
#include "../util/owning_ptr.hpp"
#include "coroutine_wait.hpp"
#include "pool_impl.hpp"
#include "reports.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

// --- acquire ----------------------------------------------------------------------------------------------------------

/// One frame for both ways: the node of the queue, 240 bytes of it, is only made by a caller who has to wait.
template <class Connection, class Traits>
auto pool_impl<Connection, Traits>::acquire(duration timeout, source_location where) -> awaitable<lease> {
  entry* held = this->take_stashed(where);
  if (!held) held = take_idle(where, false);
  if constexpr (records) {
    if (held) this->record_taken(*held, timeout, false, where);
  }
  if (!held) {
    coroutine_wait<pool_impl> node(*this, where);
    const auto enqueue = [timeout](pool_impl& to, core_waiter& w) { to.enqueue(w, timeout); };
    co_await node.template async_wait<executor_type>(enqueue);
    if (node.error != errc{}) throw error_of(node);
    held = node.claim();
  }
  co_return make_lease::of<lease>(held);
}
template <class Connection, class Traits>
auto pool_impl<Connection, Traits>::acquire_and_keep(duration timeout, source_location where, owning_ptr<stack_trace> trace)
    -> awaitable<lease> {
  lease got = co_await acquire(timeout, where);
  keep_trace(*make_lease::held_by(got), std::move(trace));
  co_return got;
}

/// The coroutine behind `pool.open()` and `pool.close()`; `span` is the patience, or the grace.
template <class Connection, class Traits>
auto pool_impl<Connection, Traits>::wait(std::shared_ptr<pool_impl> self, core_waiter::queue what, duration span, source_location where)
    -> awaitable<void> {
  coroutine_wait<pool_impl> node(*self, where);
  self->record_verb(what == core_waiter::queue::open ? recorded_verb::open : recorded_verb::close, 0,
                    static_cast<std::uint64_t>(span.count()));
  const auto begin = [what, span](pool_impl& of, core_waiter& w) {
    of.event([&](tick now, pool_actions& a) {
      if (what == core_waiter::queue::open) return of.core_.open(w, now, later(now, span), a);
      of.core_.close(&w, now, span, a);
    });
  };
  co_await node.template async_wait<executor_type>(begin);
  if (node.error != errc{}) throw error_of(node);
}

template <class Connection, class Traits>
TIDEPOOL_NOINLINE auto pool_impl<Connection, Traits>::take_idle(const source_location& where, bool stale_ok) noexcept -> entry* {
  for (;;) {
    tick arm_at = never;
    bool owed = false;
    bool fresh = false;
    entry* e = nullptr;
    tick now = coarse_now<Traits>();
    {
      const lock_type lock(mutex_);
      if constexpr (records) now = precise_now<Traits>();  // under the lock: not before another thread has given it back
      e = static_cast<entry*>(core_.try_take(now, where, stale_ok, arm_at));
      if (!e && stash_.is_open()) {
        // Other threads may have stashed what this one lacks.
        collect_stash();
        if constexpr (records) now = precise_now<Traits>();  // nor before it was stashed
        e = static_cast<entry*>(core_.try_take(now, where, stale_ok, arm_at));
      }
      owed = core_.has_pending_actions();
      fresh = !e && core_.fresh();
    }
    if (owed) reconcile();
    // The first caller starts the pool. One that can wait calls `enqueue()` next, which starts it as well.
    if (fresh && stale_ok) event([&](tick at, pool_actions& a) { core_.begin(at, a); });
    if (!e) return nullptr;
    if (arm_at != never) arm(arm_at);  // a leak of this lease may be what is due next
    if (usable(*e->connection)) {
      checked_out(*e, duration::zero());
      return e;
    }
    // It died while it was idle. The caller gets the next one.
    lost_connection lost(*this, *e, "found broken before it was handed out");
    event([&](tick at, pool_actions& a) {
      lost.note_answer_locked(*e);
      core_.reject(*e, at, a);
      lost.record_locked(*e, at);
    });
    lost.tell();
  }
}

/// Once a caller is done, on whatever thread, the last reference to this object may go: a function that has more to do then than to
/// release the lock holds one.
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::enqueue(core_waiter& w, duration timeout) noexcept {
  std::shared_ptr<pool_impl> self;
  tick arm_at = never;
  {
    closed_stash held(*this);  // from here on no release is stashed beside this caller
    // Closing the stash may have queued an action whose outcome serves it.
    if (core_.has_pending_actions()) return enqueue_slowly(held, w, timeout);
    bool timed = true;
    tick now{};
    tick deadline{};
    if (samples_waits && !records && timeout > duration::zero() && core_.queue_is_long()) {
      // Reading the precise clock would be a good part of the cost here, so most callers are timed by the coarse one, which is behind:
      // no caller's time is to be up early.
      timed = core_.samples_next_wait();
      now = coarse_now<Traits>();
      deadline = later(now + duration(Traits::coarse_lag), timeout);
      if (timed) now = precise_now<Traits>();
    } else {
      now = precise_now<Traits>();
      deadline = later(now, timeout);
    }
    // Nothing can be done but wait where no connection is idle and no more may be opened.
    if (!core_.try_queue(w, now, deadline, timed, arm_at)) return enqueue_slowly(held, w, timeout);
    if constexpr (records) recorder_.asked(w.ticket, timeout, w.where, now);
    if (arm_at == never) return held.end_with_waiter();
    self = this->shared_from_this();
  }
  arm(arm_at);
}

/// Served, queued or refused, as the core decides; it also opens connections for the queue.
template <class Connection, class Traits>
TIDEPOOL_NOINLINE void pool_impl<Connection, Traits>::enqueue_slowly(closed_stash& held, core_waiter& w, duration timeout) noexcept {
  const auto self = this->shared_from_this();
  pool_actions a;
  const tick now = precise_now<Traits>();
  core_.enqueue(w, now, later(now, timeout), a);
  if constexpr (records) recorder_.asked(w.ticket, timeout, w.where, now);
  note_event(a);
  held.end();
  perform(a);
}

/// The core is done with a caller: a connection is granted, or it fails.
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::complete(core_waiter& w, pool_actions& a) noexcept {
  if (w.slot && w.from_idle && !usable(*static_cast<entry&>(*w.slot).connection)) {
    // It died while it was idle. The caller goes back to its place in the queue.
    entry& e = static_cast<entry&>(*w.slot);
    lost_connection lost(*this, e, "found broken before it was handed out");
    {
      const guard held(*this, a);
      const tick now = precise_now<Traits>();
      lost.note_answer_locked(e);
      core_.bounce(w, now, a);
      lost.record_locked(e, now);
    }
    return lost.tell();
  }
  if (w.error != errc{}) {
    if (w.in == core_waiter::queue::acquire) tell_failure(w, a);
    if (w.explain) static_cast<explained_waiter&>(w).seen = a.share(this->shared_from_this());
  }
  deliver(w);
}

/// To be called without the lock. `w` is its caller's again afterwards, and may be gone.
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::deliver(core_waiter& w) noexcept {
  if (w.slot) {
    entry& e = static_cast<entry&>(*w.slot);
    const duration waited = w.direct ? duration::zero() : e.listed - w.since;
    if constexpr (records) recorder_.granted(w.ticket, e.id, e.listed);
    checked_out(e, waited);
    if (waited >= this->config().slow_acquire) tell_slow_acquire(w, waited);
  }
  w.complete(&w);
}

template <class Connection, class Traits>
TIDEPOOL_NOINLINE void pool_impl<Connection, Traits>::tell_slow_acquire(const core_waiter& w, duration waited) noexcept {
  if (!tells<slow_acquire_event>()) return;
  const std::size_t alike = slow_.count(precise_now<Traits>());
  tell([&] { return slow_acquire_event{waited, w.where, alike}; });
}

/// This lease is timed. It stands for those between it and the one timed before: each of the first, then ever fewer.
template <class Connection, class Traits>
TIDEPOOL_NOINLINE void pool_impl<Connection, Traits>::begin_sample(entry& e) noexcept {
  std::uint64_t gap = Traits::hold_sampling;
  if constexpr (Traits::hold_sampling_ramp > 0) gap = std::clamp<std::uint64_t>(e.uses / Traits::hold_sampling_ramp, 1, gap);
  e.sample_weight = times_every_lease ? 1 : e.uses - std::exchange(e.last_sample, e.uses);
  e.next_sample = e.uses + gap;
  e.sampled_at = precise_now<Traits>();
}

// --- release ----------------------------------------------------------------------------------------------------------

/// The stash did not keep it, or must not hand it out: it is idle again, and a caller may be waiting for it.
template <class Connection, class Traits>
TIDEPOOL_NOINLINE void pool_impl<Connection, Traits>::take_back(entry& e) noexcept {
  event([&](tick now, pool_actions& a) {
    core_.collect(e, now, peer_closed(e));
    core_.reconcile(now, a);
  });
}

template <class Connection, class Traits>
TIDEPOOL_NOINLINE void pool_impl<Connection, Traits>::release_under_lock(entry& e) noexcept {
  const lease_end end = broken_if_peer_closed(e, after_lease(*e.connection));
  duration held = not_timed;
  if (e.sampled_at != not_sampled) held = end_sample(e);
  if (end == lease_end::clean) {
    const tick answered = last_round_trip<clock>(*e.connection);
    lock_type lock(mutex_);
    if (core_.anybody_waits()) {
      // By the clock by which the wait of the next caller is measured.
      const tick now = records || core_.next_is_timed() ? precise_now<Traits>() : coarse_now<Traits>();
      if (core_waiter* next = core_.returned_to_waiter(e, now, answered, held)) {
        lock.unlock();
        return deliver(*next);
      }
    } else if (!peer_closed(e)) {  // asked again, because `look_at_closed_peers()` may have found it still leased
      if (core_.returned_to_idle(e, coarse_now<Traits>(), answered, held)) return open_stash();
    }
  }
  release_slowly(e, end, held);
}

/// Any end of a lease. The core decides what becomes of the connection, and settles what follows from that for others.
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::release_slowly(entry& e, lease_end end, duration held, bool discarded) noexcept {
  const auto self = this->shared_from_this();
  const tick answered = last_round_trip<clock>(*e.connection);
  std::optional<lost_connection> lost;
  if (end == lease_end::broken) {
    lost.emplace(*this, e, discarded ? "discarded by its holder" : peer_closed(e) ? "its peer closed it" : "found broken at its return");
  } else if (end == lease_end::outdated) {
    e.keep_words(&entry_words::cause, why_broken(*e.connection, "its server is of the wrong role, or went down"));
  }
  bool free = false;
  event([&](tick now, pool_actions& a) {
    if (e.state == slot_state::gone) {
      free = core_.let_go(e);  // taken from its holder before: only its memory is left
    } else {
      core_.returned(e, broken_if_peer_closed(e, end), discarded, now, answered, held, a);
      if (lost) lost->record_locked(e, now);
    }
  });
  if (lost) lost->tell();
  if (free) free_entry(&e);
}

template <class Connection, class Traits>
duration pool_impl<Connection, Traits>::end_sample(entry& e) noexcept {
  const duration held = precise_now<Traits>() - e.sampled_at;
  tell([&] { return checkin_event{e.id, held}; });
  return held;
}

// --- other ends of a lease --------------------------------------------------------------------------------------------

/// The holder says that it is broken; what the connection itself knows about its end still counts.
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::discard(entry& e) noexcept {
  duration held = not_timed;
  if (e.sampled_at != not_sampled) held = end_sample(e);
  const lease_end found = after_lease(*e.connection);
  const bool by_holder = found != lease_end::outdated && found != lease_end::broken;
  this->record_returned(e, by_holder ? lease_over::discarded : lease_over::released);
  const bool as_found = found == lease_end::outdated || found == lease_end::unfinished;
  release_slowly(e, as_found ? found : lease_end::broken, held, by_holder);
}

template <class Connection, class Traits>
Connection pool_impl<Connection, Traits>::detach(entry& e) {
  if constexpr (can::watch) {
    try {
      if (auto* const target = e.target()) target->watch({});
    } catch (...) {  // it may go on setting its flag, which outlives the entry
    }
  }
  const auto self = this->shared_from_this();
  this->record_returned(e, lease_over::detached);
  bool taken_back = false;
  bool free = true;
  error_report lost;
  event([&](tick now, pool_actions& a) {
    taken_back = e.state == slot_state::gone;
    if (taken_back) {
      lost.where = e.where;
      lost.waited = now - e.listed;
      lost.taken_back = e.reason;
      lost.state = core_.state();
      free = core_.let_go(e);
    } else {
      core_.detach(e, now, a);
    }
  });
  if (taken_back) {
    if (free) free_entry(&e);
    lost.pool = this->config().name.view();
    lost.call = pool_call::detach;
    throw pool_error(errc::closed, std::move(lost));
  }
  struct freed_at_end {
    pool_impl& pool;
    entry& e;
    ~freed_at_end() { pool.free_entry(&e); }
  } const freed{*this, e};
  return std::move(*e.connection);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
