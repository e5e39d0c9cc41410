// SPDX-License-Identifier: BSL-1.0
// tidepool - carrying out what the core asked for, without the lock. Included by pool_impl.hpp.
#ifndef TIDEPOOL_DETAIL_SHELL_POOL_PERFORM_HPP
#define TIDEPOOL_DETAIL_SHELL_POOL_PERFORM_HPP

#include "../../version.hpp"
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
    disarm();
    std::shared_ptr<pool_impl> last;  // may be the end of this object: nothing follows
    const lock_type lock(mutex_);
    last.swap(self_);
  }
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::complete(core_waiter& w, pool_actions& a) noexcept {
  if (w.slot && w.from_idle && !usable(*static_cast<entry&>(*w.slot).connection)) {
    entry& e = static_cast<entry&>(*w.slot);
    loss lost(*this, e, "found broken before it was handed out");
    {
      const lock_type lock(mutex_);
      close_stash();
      const tick now = precise_now<Traits>();
      lost.answer(e);
      core_.bounce(w, now, a);
      lost.note(e, now);
      if (a.explain) look(a);
    }
    return lost.tell();
  }
  if (w.error != errc{} && w.explain) static_cast<explained_waiter&>(w).seen = a.share(this->shared_from_this());
  deliver(w);
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::deliver(core_waiter& w) noexcept {
  if (w.slot) {
    entry& e = static_cast<entry&>(*w.slot);
    const duration waited = w.direct ? duration::zero() : e.listed - w.since;
    checked_out(e, waited);
    if (waited >= config_.slow_acquire) tell([&] { return slow_acquire_event{waited, w.where}; });
  }
  w.complete(&w);
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::tell_changes(pool_actions& a) noexcept {
  if (std::exchange(a.breaker_changed, false)) tell([&] { return breaker_event{a.breaker_from, a.breaker_to}; });
  if (std::exchange(a.state_changed, false)) tell([&] { return state_event{a.state_from, a.state_to, a.state_why}; });
  if (std::exchange(a.scaled, false)) tell([&] { return a.scale; });
  if (std::exchange(a.leak_returned, false)) tell([&] { return leak_event{leak_event::kind::returned, a.leak, {}}; });
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
      return destroy(e, a);
    case slot_action::destroy: return destroy(e, a);
    case slot_action::cancel_op:
      if (e.ready && e.overran) overran(e);
      return abort(e, op);
    case slot_action::abort_lease: return abort(e, op);
    case slot_action::discard: return delete_entry(&e);
    case slot_action::none: return;
  }
}

/// An operation on a connection took too long.
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::overran(entry& e) noexcept {
  if (e.reason == close_reason::invalid) {
    tell([&] { return health_failed_event{e.id, cause_of(e), e.server()}; });
  }
  note_unserved(e, e.server(), cause_of(e));
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::note_unserved(entry& e, std::string_view server, std::string_view cause) noexcept {
  loss lost(*this, e, server, cause);
  {
    const lock_type lock(mutex_);
    lost.note(e, precise_now<Traits>());
  }
  lost.tell();
}

template <class Connection, class Traits>
std::string_view pool_impl<Connection, Traits>::cause_of(const entry& e) noexcept {
  switch (e.reason) {
    case close_reason::invalid: return e.overran ? std::string_view("no answer within the validation timeout") : e.cause();
    case close_reason::reset_failed: return e.overran ? std::string_view("no answer within the reset timeout") : e.cause();
    case close_reason::broken: return e.cause();
    case close_reason::outdated:
      return e.cause().empty() ? std::string_view("another connection found that the servers changed") : e.cause();
    default: return {};
  }
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::destroy(entry& e, pool_actions& a) noexcept {
  if (e.reason == close_reason::broken && e.cause().empty()) {
    e.keep_words(&entry_words::cause, why_broken(*e.connection, "its peer hung up"));
  }
  if (e.died_unserved) note_unserved(e, server_of(*e.connection), e.cause());
  e.connection.reset();
  bool free = true;
  {
    const lock_type lock(mutex_);
    if (e.state == slot_state::gone) {
      free = core_.let_go(e);
    } else {
      close_stash();
      core_.closed(e, precise_now<Traits>(), a);
      if (a.explain) look(a);
      open_stash();
    }
  }
  if (free) delete_entry(&e);
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::delete_entry(entry* e) noexcept {
  const std::unique_ptr<entry> owned(e);
  const std::shared_ptr<pool_impl> keep = std::move(owned->keep);
  if (owned->ready)
    tell([&] { return destroyed_event{owned->id, owned->reason, precise_now<Traits>() - owned->born, owned->server(), cause_of(*owned)}; });
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::abort(entry& e, const std::shared_ptr<op_state<Traits>>& op) noexcept {
  if constexpr (has_abort<target_type>) {
    target_type* const peer = e.ready ? e.target() : nullptr;
    if (peer) peer->abort();
  }
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
  if (free) delete_entry(&e);
}

// --- the timer ------------------------------------------------------------------------------------------------------

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::arm(tick at) noexcept {
  lock_type lock(timer_mutex_);
  if (!timer_ || at >= timer_at_) return;
  timer_at_ = at;
  try {
    timer_->expires_at(time_of<Traits>(at));
    timer_->async_wait([weak = this->weak_from_this()](error_code failed) {
      if (failed) return;
      if (const auto self = weak.lock()) self->on_timer();
    });
  } catch (...) {
    timer_at_ = never;
    lock.unlock();
    const lock_type core_lock(mutex_);
    core_.not_armed();  // out of memory: the next event tries again
  }
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::disarm() noexcept {
  const lock_type lock(timer_mutex_);
  timer_.reset();
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::on_timer() noexcept {
  {
    const lock_type lock(timer_mutex_);
    timer_at_ = never;
  }
  pool_actions a;
  leak_findings leaks;
  std::array<stack_trace, std::tuple_size_v<decltype(leaks.items)>> traces;
  std::size_t failures_in_a_row = 0;
  std::string kept;
  try {
    kept = no_answer_;
  } catch (...) {  // an empty text is all there is room for
  }
  {
    const lock_type lock(mutex_);
    close_stash();
    const tick now = precise_now<Traits>();
    core_.tick_at(now, a, leaks);
    if (a.connect_timed_out) {
      // When its time is up, and not when its coroutine gives in.
      failures_in_a_row = core_.failures_in_a_row();
      last_error_.swap(kept);
      last_error_at_ = now;
    }
    if (a.explain) look(a);
    open_stash();
    for (std::size_t i = 0; i < leaks.count; ++i) {
      const entry* e = static_cast<entry*>(leaks.items[i].slot);
      if (e->trace) traces[i] = *e->trace;
      add_waiting(*e, leaks.items[i].lease, now);
    }
  }
  if (a.connect_timed_out) tell([&] { return connect_failed_event{no_answer_, failures_in_a_row, failure_kind::transient}; });
  for (std::size_t i = 0; i < leaks.count; ++i) {
    std::string stack;
    tell([&] {
      stack = traces[i].text();
      return leak_event{leaks.items[i].what, leaks.items[i].lease, stack};
    });
  }
  perform(a);
}

// --- the end of the context -----------------------------------------------------------------------------------------

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::context_shutdown() noexcept {
  watch_ = nullptr;
  {
    const lock_type lock(mutex_);
    context_gone_ = true;
  }
  shut_down();
  if constexpr (has_context_gone<target_type>) {
    std::uint64_t told = 0;
    for (;;) {  // in order of their numbers, so that the lock is not held while one is told
      entry* next = nullptr;
      {
        const lock_type lock(mutex_);
        core_.find_lease([&](core_slot& s) {
          if (s.id > told && (!next || s.id < next->id)) next = static_cast<entry*>(&s);
          return false;
        });
      }
      if (!next) break;
      told = next->id;
      if (auto* const peer = next->target()) peer->context_gone();
    }
  }
  // It may hold a strand, which must not outlive its context, as a lease may.
  if constexpr (std::is_same_v<executor_type, asio::any_io_executor>) {
    poster_ = {};
    executor_ = {};
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
