// SPDX-License-Identifier: BSL-1.0
// tidepool - events that no caller causes: the timer, a peer that closed its connection, the end of the execution context.
#ifndef TIDEPOOL_DETAIL_SHELL_POOL_EVENTS_HPP
#define TIDEPOOL_DETAIL_SHELL_POOL_EVENTS_HPP

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>

#include "../../version.hpp"
#include "pool_impl.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

// --- the timer --------------------------------------------------------------------------------------------------------

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::on_timer() noexcept {
  const tick due = timer_.fired();
  stall_event seen{};
  bool stalled = false;
  bool advises = false;
  pool_actions a;
  leak_findings leaks;
  std::array<stack_trace, std::tuple_size_v<decltype(leaks.items)>> traces;
  failure_row row;
  duration unused{};
  std::string kept;
  try {
    kept = this->versions_.latest().no_answer;  // here, because nothing is allocated under the lock
  } catch (...) {                               // out of memory: there is room for an empty text only
  }
  {
    const guard held(*this, a);
    const tick now = precise_now<Traits>();
    seen = stalls_.look(due, now);
    stalled = stalls_.is_stall(seen, this->config().stall_threshold);
    if (stalled) core_.leapt(now);
    advises = advice_is_due(now);
    core_.tick_at(now, a, leaks);
    if (a.connect_timed_out > 0) {
      // Recorded when its time is up, which may be long before its coroutine ends.
      row = core_.failures(now);
      row.together = a.connect_timed_out;
      last_error_.swap(kept);
      last_error_at_ = now;
    }
    // Read here: without the lock their holders may end the leases.
    for (std::size_t i = 0; i < leaks.count; ++i) {
      const entry* e = static_cast<entry*>(leaks.items[i].slot);
      if (e->trace) traces[i] = *e->trace;
      silence_.add_waiting(*e, leaks.items[i].lease, now);
    }
    if (tells<unused_event>()) unused = unused_for(now);
  }
  if (stalled) tell([&] { return seen; });
  if (unused > duration::zero()) tell([&] { return unused_event{unused}; });
  if (a.connect_timed_out > 0) {
    tell([&] { return event_of(this->versions_.latest().no_answer, row, failure_kind::transient); });
  }
  for (std::size_t i = 0; i < leaks.count; ++i) {
    std::string stack;
    tell([&] {
      stack = traces[i].text();
      return leak_event{leaks.items[i].what, leaks.items[i].lease, stack};
    });
  }
  perform(a);
  if (advises) tell_advice();
}

/// Under the lock: once an hour, where the load is looked at and there was one.
template <class Connection, class Traits>
bool pool_impl<Connection, Traits>::advice_is_due(tick now) noexcept {
  if (now < next_advice_ && next_advice_ != never) return false;
  const bool first = next_advice_ == never;
  next_advice_ = later(now, std::chrono::hours(1));
  const std::uint64_t asked = core_.asked();
  const bool used = std::exchange(advised_at_, asked) != asked;
  return !first && used && this->config().advice_interval != no_limit;
}
/// Takes some two milliseconds of the thread that the timer fires on.
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::tell_advice() noexcept {
  try {
    const auto load = std::make_unique<pool_load>();
    {
      const lock_type lock(mutex_);
      core_.copy_load(*load);
    }
    const pool_advice advice = advise(*load, this->config(), 5'000);
    if (!advice.known) return;
    {
      const lock_type lock(mutex_);
      advised_ = {advice.min_size, advice.max_size, advice.now.p99_wait};
    }
    tell([&] { return advice_event{advice}; });
  } catch (...) {  // out of memory
  }
}

/// Under the lock, with the stash closed: for how long the pool has not been asked for anything, once; else zero. What keeps
/// `io_context::run()` from returning is the timer of an open pool, so this is asked wherever that happens.
template <class Connection, class Traits>
duration pool_impl<Connection, Traits>::unused_for(tick now) noexcept {
  if (told_unused_) return {};
  const std::uint64_t asked = core_.asked();
  if (core_.in_use() || asked != asked_before_ || unused_since_ == never) {
    asked_before_ = asked;
    unused_since_ = now;
    return {};
  }
  told_unused_ = now - unused_since_ >= unused_time;
  return told_unused_ ? now - unused_since_ : duration{};
}

// --- peers that close their connections -------------------------------------------------------------------------------

/// Asked of each new connection.
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::watch_peer(entry& e) noexcept {
  if constexpr (can::watch) {
    try {
      e.peer_closed.watch(*e.target(), [weak = this->weak_from_this()] {
        if (const auto self = weak.lock()) self->on_peer_closed();
      });
    } catch (...) {  // it is looked at when it is asked for, and by the sweep
    }
  }
}

/// On any thread. Connections die together: one look, on the pool's executor, at all that are flagged by then.
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::on_peer_closed() noexcept {
  if (look_posted_.exchange(true)) return;
  try {
    asio::post(executor_, [weak = this->weak_from_this()] {
      if (const auto self = weak.lock()) self->look_at_closed_peers();
    });
  } catch (...) {
    look_posted_ = false;
  }
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::look_at_closed_peers() noexcept {
  look_posted_.exchange(false);  // an exchange, so that what was flagged by those who found it set is seen from here on
  event([&](tick now, pool_actions& a) { core_.look_at([](core_slot& slot) { return peer_closed(static_cast<entry&>(slot)); }, now, a); });
}

// --- the execution context --------------------------------------------------------------------------------------------

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::attach() {
  // Services are shut down newest first. The strands' is made before the watch, so that the pool hears of the end before its operations
  // do.
  (void)asio::make_strand(executor_);
  auto& watch = asio::use_service<context_watch>(asio::query(executor_, asio::execution::context));
  watch.add(*this, this->weak_from_this());
  watch_ = &watch;
}

/// The context is being destroyed, and every coroutine on it.
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
      if (auto* const target = next->target()) target->context_gone();
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
