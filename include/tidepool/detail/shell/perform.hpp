// SPDX-License-Identifier: BSL-1.0
// tidepool - carrying out what the core asks for, without the lock.
#ifndef TIDEPOOL_DETAIL_SHELL_PERFORM_HPP
#define TIDEPOOL_DETAIL_SHELL_PERFORM_HPP

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../../version.hpp"
#include "../util/words.hpp"
#include "connection_calls.hpp"
#include "pool_impl.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Goes on until nothing is left to do, what its own steps bring up included: a loop, so that a thousand closes do not recurse.
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::perform(pool_actions& a) noexcept {
  for (;;) {
    while (core_waiter* w = a.done.pop_front()) complete(*w, a);
    tell_changes(a);
    while (a.connects > 0) {
      --a.connects;
      start_connect(a);
    }
    if (!a.pending_actions) {
      if (a.done.empty() && a.connects == 0) break;
      continue;
    }
    // One at a time, so that the lock is not held while it is carried out. What is needed from the entry is taken here: once the action has
    // left the core's list, the holder of a lease or a coroutine may free the entry.
    typename core_type::pending_action todo;
    std::shared_ptr<op_state<Traits>> op;
    {
      const lock_type lock(mutex_);
      todo = core_.next_action();
      if (todo.what == slot_action::cancel_op) op = static_cast<entry*>(todo.slot)->op;
      if (todo.what == slot_action::abort_lease) static_cast<entry*>(todo.slot)->keep = this->shared_from_this();
    }
    if (todo.what == slot_action::none) {
      a.pending_actions = false;
    } else {
      carry_out(todo, std::move(op), a);
    }
  }
  if (a.arm_at != never) arm(a.arm_at);
  if (a.disarm) {
    timer_.stop();
    std::shared_ptr<pool_impl> last;  // may be the end of this object: nothing follows
    const lock_type lock(mutex_);
    last.swap(self_);
  }
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::carry_out(typename core_type::pending_action todo, std::shared_ptr<op_state<Traits>> op,
                                              pool_actions& a) noexcept {
  entry& e = static_cast<entry&>(*todo.slot);
  switch (todo.what) {
    case slot_action::validate:
    case slot_action::reset: return start_op(e, todo.what);
    case slot_action::close:
      if constexpr (has_close<target_type>) return start_op(e, todo.what);
      return destroy(e, a);  // it has nothing to say to its server
    case slot_action::destroy: return destroy(e, a);
    case slot_action::cancel_op:
      record_given_up(e);
      if (e.ready && e.operation.overran()) report_overrun(e);
      return abort(e, op, e.operation.overran() ? cause_of(e) : std::string_view("the pool was closed"));
    case slot_action::abort_lease: return take_from_holder(e);
    case slot_action::discard: return free_entry(&e);
    case slot_action::none: return;
  }
}

/// Closes a connection without asking it. It is destroyed before the core hears of it, because it counts against `max_size` until then.
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::destroy(entry& e, pool_actions& a) noexcept {
  if (e.reason == close_reason::broken && e.cause().empty()) {
    e.keep_words(&entry_words::cause, why_broken(*e.connection, "its peer closed it"));
  }
  if (e.died_unserved) report_unserved(e, server_of(*e.connection), e.cause());
  e.connection.reset();
  bool free = true;
  {
    const guard held(*this, a);
    if (e.state == slot_state::gone) {
      free = core_.let_go(e);  // the pool gave it up meanwhile
    } else {
      core_.closed(e, precise_now<Traits>(), a);
    }
  }
  if (free) free_entry(&e);
}

inline std::string text_of(const taken_lease& taken) {
  std::string out = "the pool took this connection back: held for " + in_words(taken.lease.held);
  if (taken.why == close_reason::abandoned) {
    out += ", abandon_timeout is " + in_words(taken.limit);
  } else if (taken.why == close_reason::reclaimed) {
    out += ", closed by pool.reclaim()";
  } else {
    out += ", closed by pool.close() after its grace of " + in_words(taken.limit);
  }
  const std::string where = place(taken.lease.acquired_at);
  return where.empty() ? out : out + "; acquired at " + where;
}

/// Shuts the socket under a lease that took too long. Its holder is told by whom, and why.
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::take_from_holder(entry& e) noexcept {
  std::string why;
  if constexpr (has_abort_with_reason<target_type>) {
    taken_lease taken;
    {
      const lock_type lock(mutex_);
      taken = core_.taken_from(e, precise_now<Traits>());
    }
    try {
      why = text_of(taken);
    } catch (...) {  // out of memory: without a reason
    }
  }
  abort(e, nullptr, why);
}

/// Shuts the socket under an operation or a lease that overran, and cancels the operation. What uses the entry finds out, and goes on to
/// use it meanwhile: whichever of the two is through last frees it.
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::abort(entry& e, const std::shared_ptr<op_state<Traits>>& op, std::string_view why) noexcept {
  target_type* const target = e.ready ? e.target() : nullptr;
  if (target) abort_connection(*target, why);
  bool post_cancel = op != nullptr;
  {
    const lock_type lock(mutex_);
    post_cancel = post_cancel && !context_gone_;
  }
  if (post_cancel) {
    try {
      asio::post(op->executor, [op] { op->signal.emit(asio::cancellation_type::terminal); });
    } catch (...) {  // the socket is shut all the same
    }
  }
  bool free = false;
  {
    const lock_type lock(mutex_);
    free = core_.aborted(e);
  }
  if (free) free_entry(&e);
}

/// The end of an entry. May be the end of this object as well, where it was the last one of a pool that is gone.
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::free_entry(entry* e) noexcept {
  const std::unique_ptr<entry> owned(e);
  const std::shared_ptr<pool_impl> keep = std::move(owned->keep);
  if (owned->ready)
    tell([&] { return destroyed_event{owned->id, owned->reason, precise_now<Traits>() - owned->born, owned->server(), cause_of(*owned)}; });
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::arm(tick at) noexcept {
  if (timer_.arm(at, *this)) return;
  const lock_type lock(mutex_);
  core_.not_armed();  // out of memory: the next event tries again
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
