// SPDX-License-Identifier: BSL-1.0
// tidepool - leases and errors where the short ways of pool_impl.hpp end. Included by pool_impl.hpp.
#ifndef TIDEPOOL_DETAIL_SHELL_POOL_LEASES_HPP
#define TIDEPOOL_DETAIL_SHELL_POOL_LEASES_HPP

#include "../../version.hpp"
#include "pool_impl.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

template <class Connection, class Traits>
[[gnu::noinline]] auto pool_impl<Connection, Traits>::take_idle(const source_location& where, bool stale_ok,
                                                                std::unique_ptr<stack_trace>& trace) -> entry* {
  for (;;) {
    tick arm_at = never;
    bool owed = false;
    bool fresh = false;
    entry* e = nullptr;
    const tick now = coarse_now<Traits>();
    {
      const lock_type lock(mutex_);
      e = static_cast<entry*>(core_.try_take(now, where, stale_ok, arm_at));
      if (!e) {
        collect();
        e = static_cast<entry*>(core_.try_take(now, where, stale_ok, arm_at));
      }
      if (e && trace) e->trace.swap(trace);  // the old one is freed without the lock
      owed = core_.has_pending_actions();
      fresh = !e && core_.fresh();
    }
    if (owed) reconcile();
    if (fresh && stale_ok) begin();  // who waits is about to
    if (!e) return nullptr;
    if (arm_at != never) arm(arm_at);
    if (usable(*e->connection)) {
      checked_out(*e, duration::zero());
      return e;
    }
    pool_actions a;
    loss lost(*this, *e, "found broken before it was handed out");
    event(a, [&](tick at) {
      e->trace.swap(trace);
      lost.answer(*e);
      core_.reject(*e, at, a);
      lost.note(*e, at);
    });
    lost.tell();
  }
}

template <class Connection, class Traits>
[[gnu::noinline]] void pool_impl<Connection, Traits>::release_locked(entry& e) noexcept {
  const lease_end end = unless_hung_up(e, after_lease(*e.connection));
  duration held(-1);
  if (e.sampled_at != tick{}) held = end_sample(e);
  if (end == lease_end::clean) {
    const tick answered = last_round_trip(*e.connection);
    lock_type lock(mutex_);
    if (core_.anybody_waits()) {
      const tick now = core_.next_is_timed() ? precise_now<Traits>() : coarse_now<Traits>();
      if (core_waiter* next = core_.returned_to_waiter(e, now, answered, held)) {
        lock.unlock();
        return deliver(*next);
      }
    } else if (!hung_up(e)) {  // again, because `look_at_hung_up()` may have found it still leased
      if (core_.returned_to_idle(e, coarse_now<Traits>(), answered, held)) return open_stash();
    }
  }
  release_slowly(e, end, held);
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::release_slowly(entry& e, lease_end end, duration held, bool discarded) noexcept {
  const auto self = this->shared_from_this();
  const tick answered = last_round_trip(*e.connection);
  std::optional<loss> lost;
  if (end == lease_end::broken) {
    lost.emplace(*this, e, discarded ? "discarded by its holder" : hung_up(e) ? "its peer hung up" : "found broken at its return");
  } else if (end == lease_end::outdated) {
    e.keep_words(&entry_words::cause, why_broken(*e.connection, "its server is of the wrong role, or went down"));
  }
  pool_actions a;
  bool free = false;
  event(a, [&](tick now) {
    if (e.state == slot_state::gone) {
      free = core_.let_go(e);
    } else {
      core_.returned(e, unless_hung_up(e, end), discarded, now, answered, held, a);
      if (lost) lost->note(e, now);
    }
  });
  if (lost) lost->tell();
  if (free) delete_entry(&e);
}

/// The stash did not keep it, or it is not for handing out from there.
template <class Connection, class Traits>
[[gnu::noinline]] void pool_impl<Connection, Traits>::take_back(entry& e) noexcept {
  const auto self = this->shared_from_this();
  pool_actions a;
  event(a, [&](tick now) {
    core_.collect(e, now, hung_up(e));
    core_.reconcile(now, a);
  });
}

template <class Connection, class Traits>
Connection pool_impl<Connection, Traits>::detach(entry& e) {
  if constexpr (can::watch) {
    try {
      if (auto* const peer = e.target()) peer->watch({});
    } catch (...) {  // it may go on ringing: the bell outlives the entry
    }
  }
  const auto self = this->shared_from_this();
  pool_actions a;
  bool taken_back = false;
  bool free = true;
  event(a, [&](tick now) {
    taken_back = e.state == slot_state::gone;
    if (taken_back) {
      free = core_.let_go(e);
    } else {
      core_.detach(e, now, a);
    }
  });
  if (taken_back) {
    if (free) delete_entry(&e);
    throw std::system_error(make_error_code(errc::closed), "the pool has shut this connection");
  }
  struct guard {
    pool_impl& pool;
    entry& e;
    ~guard() { pool.delete_entry(&e); }
  } const freed{*this, e};
  return std::move(*e.connection);
}

template <class Connection, class Traits>
[[gnu::noinline]] void pool_impl<Connection, Traits>::look(pool_actions& a) noexcept {
  a.explain = false;
  failure_picture& out = a.picture.emplace();
  const tick now = precise_now<Traits>();
  out.at = now;
  out.pool = config_.name;
  out.gauges = core_.gauges();
  out.held = core_.holders(out.holders, now, [&](const core_slot& slot, lease_report& report) { add_waiting(slot, report, now); });
  if constexpr (can::tells_waiting) {
    const silence_report& found = silence();
    out.silent = found.leases;
    out.longest_silence = found.longest;
    if (found.leases > 0) out.silent_server.assign(found.server);
    out.gauges.state = seen(out.gauges.state);
  }
  out.last_connect_error.assign(std::string_view(last_error_).substr(0, out.last_connect_error.capacity()));
  out.last_connect_error_age = now - last_error_at_;
  if (last_error_.empty() && core_.failures_in_a_row() > 0) {
    // Counted under this lock; which connection it was, and why, is known when the event is told.
    out.last_connect_error.assign("a connection was lost before it served anybody");
    out.last_connect_error_age = {};
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
