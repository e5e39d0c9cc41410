// SPDX-License-Identifier: BSL-1.0
// tidepool - what observers, errors, `stats()` and `inspect()` are told, and where their words come from.
#ifndef TIDEPOOL_DETAIL_SHELL_REPORTS_HPP
#define TIDEPOOL_DETAIL_SHELL_REPORTS_HPP

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../../version.hpp"
#include "../util/attributes.hpp"
#include "pool_impl.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

inline connect_failed_event event_of(std::string_view error, const failure_row& row, failure_kind kind) noexcept {
  return {error, row.length, kind, row.alike, row.together, row.lasted, row.news};
}

/// What is told to observers and to the flight recorder in the same place.
template <class Event>
inline constexpr bool is_recorded = (std::is_same_v<Event, created_event> || std::is_same_v<Event, destroyed_event> ||
                                     std::is_same_v<Event, leak_event> || std::is_same_v<Event, breaker_event> ||
                                     std::is_same_v<Event, state_event> || std::is_same_v<Event, scaled_event>);

/// A connection found dead: the words for that, made without the lock by the user of the entry. Where it never served a caller, the core
/// counts a failed connect, and these words become the latest connect error.
template <class Connection, class Traits>
class pool_impl<Connection, Traits>::lost_connection {
 public:
  lost_connection(pool_impl& pool, const core_slot& slot, std::string_view server, std::string_view cause) noexcept : pool_(pool) {
    try {
      text_ = "connection " + std::to_string(slot.id) + (server.empty() ? "" : " to ") + std::string(server) +
              " was lost before it served anybody: ";
      text_ += cause;
      kept_ = text_.substr(0, most_error_text);
    } catch (...) {  // out of memory: there is room for an empty text only
    }
  }
  lost_connection(pool_impl& pool, entry& e, std::string cause) noexcept : lost_connection(pool, e, server_of(*e.connection), cause) {
    e.keep_words(&entry_words::cause, std::move(cause));
    answered_ = last_round_trip<clock>(*e.connection);
  }
  lost_connection(pool_impl& pool, entry& e, const char* found) noexcept : lost_connection(pool, e, why_broken(*e.connection, found)) {}
  lost_connection(const lost_connection&) = delete;
  lost_connection& operator=(const lost_connection&) = delete;

  /// Before the core hears of it: the server may have answered since, with the reason for ending the session.
  void note_answer_locked(core_slot& slot) const noexcept {
    if (answered_ <= slot.last_ok) return;
    slot.last_ok = answered_;
    slot.answered = true;
  }
  /// After the core has heard of it.
  void record_locked(core_slot& slot, tick now) noexcept {
    if (!std::exchange(slot.died_unserved, false)) return;
    pool_.last_error_.swap(kept_);
    pool_.last_error_at_ = now;
    row_ = pool_.core_.failures(now);
    row_.together = 1;
  }
  /// Without the lock.
  void tell() noexcept {
    if (row_.length > 0) pool_.tell([&] { return event_of(text_, row_, failure_kind::transient); });
  }

 private:
  pool_impl& pool_;
  std::string text_;
  std::string kept_;
  tick answered_{};
  failure_row row_;
};

// --- observers --------------------------------------------------------------------------------------------------------

/// Never under the lock: an observer may call the pool.
template <class Connection, class Traits>
template <class Make>
inline void pool_impl<Connection, Traits>::tell(Make make) noexcept {
  if constexpr (records && is_recorded<decltype(make())>) record(make());
  this->tell_observer(make);
  if constexpr (is_logged<decltype(make())>) {
    if (log_.is_on()) tell_log(make);
  }
}

template <class Connection, class Traits>
template <class Make>
TIDEPOOL_NOINLINE TIDEPOOL_COLD void pool_impl<Connection, Traits>::tell_log(Make& make) noexcept {
  try {
    log_.write(this->config().name.view(), make());
  } catch (...) {  // nor is a sink's
  }
}

/// An acquire has failed, and its caller does not know yet.
template <class Connection, class Traits>
TIDEPOOL_NOINLINE TIDEPOOL_COLD void pool_impl<Connection, Traits>::tell_failure(const core_waiter& w, pool_actions& a) noexcept {
  if constexpr (records) {
    recorder_.refused(w.ticket, w.error, precise_now<Traits>());
    if (w.error == errc::timeout) record_out(recording_reason::timeout);
  }
  if (!tells<acquire_failed_event>()) return;
  const std::size_t alike = failures_.count(w.error, precise_now<Traits>());
  try {
    const failure_ptr seen = a.share(this->shared_from_this());
    const error_report report = report_of(w, seen.get());
    tell([&] { return acquire_failed_event{w.error, w.where, report, alike}; });
  } catch (...) {  // out of memory
  }
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::tell_changes(pool_actions& a) noexcept {
  if (std::exchange(a.breaker_changed, false)) tell([&] { return breaker_event{a.breaker_from, a.breaker_to}; });
  if (std::exchange(a.state_changed, false)) tell([&] { return state_event{a.state_from, a.state_to, a.state_why}; });
  if (std::exchange(a.scaled, false)) tell([&] { return a.scale; });
  if (std::exchange(a.horizon_moved, false)) tell([&] { return a.horizon; });
  if (std::exchange(a.leak_returned, false)) tell([&] { return leak_event{leak_event::kind::returned, a.leak, {}}; });
  if (std::exchange(a.leak_reclaimed, false)) tell([&] { return leak_event{leak_event::kind::reclaimed, a.leak, {}}; });
}

/// An operation on a connection took too long.
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::report_overrun(entry& e) noexcept {
  if (e.reason == close_reason::invalid) {
    tell([&] { return health_failed_event{e.id, cause_of(e), e.server(), unhealthy_.count(precise_now<Traits>())}; });
  }
  report_unserved(e, e.server(), cause_of(e));
}

/// As a failed connect, if the core counted it as one.
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::report_unserved(entry& e, std::string_view server, std::string_view cause) noexcept {
  lost_connection lost(*this, e, server, cause);
  {
    const lock_type lock(mutex_);
    lost.record_locked(e, precise_now<Traits>());
  }
  lost.tell();
}

/// Why a connection is destroyed. Empty where its reason says it all.
template <class Connection, class Traits>
std::string_view pool_impl<Connection, Traits>::cause_of(const entry& e) noexcept {
  switch (e.reason) {
    case close_reason::invalid: return e.operation.overran() ? std::string_view("no answer within the validation timeout") : e.cause();
    case close_reason::reset_failed: return e.operation.overran() ? std::string_view("no answer within the reset timeout") : e.cause();
    case close_reason::broken: return e.cause();
    case close_reason::outdated:
      return e.cause().empty() ? std::string_view("another connection found that the servers changed") : e.cause();
    default: return {};
  }
}

// --- the flight recorder ------------------------------------------------------------------------------------------------

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::record_work([[maybe_unused]] const entry& e, [[maybe_unused]] slot_action what) noexcept {
  if constexpr (records) {
    using enum connection_work;
    recorder_.work_begun(e.id,
                         what == slot_action::validate ? validate
                         : what == slot_action::reset  ? reset
                                                       : close,
                         precise_now<Traits>());
  }
}
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::record_work_end([[maybe_unused]] const entry& e, [[maybe_unused]] work_end how) noexcept {
  if constexpr (records) recorder_.work_ended(e.id, how, precise_now<Traits>());
}
/// An operation took too long, or the pool is closed. That it is `ready` is settled: its coroutine comes too late.
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::record_given_up([[maybe_unused]] const entry& e) noexcept {
  if constexpr (records) {
    if (e.ready) return record_work_end(e, work_end::gave_up);
    recorder_.connect_given_up(e.id, precise_now<Traits>());
  }
}
/// What an observer is told, as far as it is recorded.
template <class Connection, class Traits>
template <class Event>
void pool_impl<Connection, Traits>::record(const Event& e) noexcept {
  const tick now = precise_now<Traits>();
  if constexpr (std::is_same_v<Event, created_event>) {
    recorder_.connected(e.id, e.connect_time, now);
  } else if constexpr (std::is_same_v<Event, destroyed_event>) {
    recorder_.destroyed(e, now);
  } else if constexpr (std::is_same_v<Event, leak_event>) {
    recorder_.leak(e, now);
    if (e.what == leak_event::kind::detected) record_out(recording_reason::leak);
  } else if constexpr (std::is_same_v<Event, breaker_event>) {
    recorder_.breaker_changed(e, now);
    if (e.to == breaker_state::open) record_out(recording_reason::breaker);
  } else if constexpr (std::is_same_v<Event, state_event>) {
    recorder_.state_changed(e, now);
  } else if constexpr (std::is_same_v<Event, scaled_event>) {
    recorder_.scaled(e, now);
  }
}
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::record_out([[maybe_unused]] recording_reason why) noexcept {
  if constexpr (records) front::record_out(this->shared_from_this(), why);
}

// --- errors -----------------------------------------------------------------------------------------------------------

/// At the end of an event, with the lock held and the stash closed: how the pool is when a caller fails.
template <class Connection, class Traits>
TIDEPOOL_NOINLINE void pool_impl<Connection, Traits>::explain_failures(pool_actions& a) noexcept {
  a.explain = a.failed = false;
  failure_snapshot& out = a.snapshot.emplace();
  const tick now = precise_now<Traits>();
  out.at = now;
  out.pool = this->config().name;
  out.gauges = core_.gauges();
  out.destroyed = core_.orphan();
  out.max_waiting = this->config().max_waiting;
  out.outlook = core_.outlook(now);
  out.held = core_.holders(out.holders, now, [&](const core_slot& slot, lease_report& report) { silence_.add_waiting(slot, report, now); });
  if constexpr (can::tells_waiting) {
    const auto& found = silence_.look(core_);
    out.silent = found.silent;
    out.longest_silence = found.longest;
    if (found.silent > 0) out.silent_server.assign(found.server);
    out.gauges.state = silence_.seen(out.gauges.state);
  }
  out.last_connect_error.assign(std::string_view(last_error_).substr(0, out.last_connect_error.capacity()));
  out.last_connect_error_age = now - last_error_at_;
  if (last_error_.empty() && core_.failures_in_a_row() > 0) {
    // Counted under this lock; which connection it was, and why, is known when the event is told.
    out.last_connect_error.assign("a connection was lost before it served anybody");
    out.last_connect_error_age = {};
  }
}

// --- statistics -------------------------------------------------------------------------------------------------------

/// Under the lock: what the connections and their driver use of the process.
template <class Connection, class Traits>
void pool_impl<Connection, Traits>::add_resources(pool_stats& out) noexcept {
  if constexpr (has_driver_threads<target_type>) out.driver_threads = target_type::driver_threads();
  if constexpr (has_memory_bytes<target_type>) {
    core_.each_open([&](core_slot& slot, bool idle) {
      entry& e = static_cast<entry&>(slot);
      if (const auto* const target = idle ? e.target() : nullptr) e.memory.bytes = target->memory_bytes();
      out.memory_bytes += e.memory.bytes;
    });
  }
}

template <class Connection, class Traits>
pool_stats pool_impl<Connection, Traits>::stats() {
  pool_stats out;
  bool owed = false;
  {
    const lock_type lock(mutex_);
    if (stash_.is_open()) collect_stash();  // what is stashed is idle, not leased
    core_.snapshot(out);
    add_resources(out);
    out.advised_min_size = advised_.min_size;
    out.advised_max_size = advised_.max_size;
    out.expected_p99 = advised_.expected_p99;
    owed = core_.has_pending_actions();
    if constexpr (can::tells_waiting) {
      const auto& found = silence_.look(core_);
      out.silent = found.silent;
      out.longest_silence = found.longest;
      out.state = silence_.seen(out.state);
    }
  }
  if (owed) reconcile();
  return out;
}

template <class Connection, class Traits>
pool_advice pool_impl<Connection, Traits>::advice() {
  const auto load = std::make_unique<pool_load>();
  bool owed = false;
  {
    const lock_type lock(mutex_);
    if (stash_.is_open()) collect_stash();
    core_.copy_load(*load);
    owed = core_.has_pending_actions();
  }
  if (owed) reconcile();
  return advise(*load, this->config());
}

template <class Connection, class Traits>
pool_inspection pool_impl<Connection, Traits>::inspect(std::size_t most_leases, std::size_t most_callers) {
  pool_inspection out;
  out.leases.resize(most_leases);  // nothing is allocated under the lock
  out.callers.resize(most_callers);
  bool owed = false;
  std::size_t held = 0;
  std::size_t called = 0;
  {
    const lock_type lock(mutex_);
    if (stash_.is_open()) collect_stash();
    const tick now = precise_now<Traits>();
    core_.snapshot(out.stats);
    out.reason = core_.state_reason();
    const connect_outlook outlook = core_.outlook(now);
    out.connect_failures = outlook.failures_in_a_row;
    out.connecting_fails_for = outlook.failing_for;
    out.next_connect = outlook.next_look;
    called = core_.callers(out.callers, now);
    held = core_.holders(out.leases, now, [&](const core_slot& slot, lease_report& report) { silence_.add_waiting(slot, report, now); });
    out.last_connect_error.assign(std::string_view(last_error_).substr(0, out.last_connect_error.capacity()));
    out.last_connect_error_age = last_error_.empty() ? duration::zero() : now - last_error_at_;
    owed = core_.has_pending_actions();
    if constexpr (can::tells_waiting) {
      const auto& found = silence_.look(core_);
      out.stats.silent = found.silent;
      out.stats.longest_silence = found.longest;
      out.silent_server.assign(found.silent > 0 ? std::string_view(found.server) : std::string_view());
      const pool_state known = out.stats.state;
      out.stats.state = silence_.seen(known);
      if (out.stats.state != known) out.reason = "the server is silent";
    }
  }
  if (owed) reconcile();
  out.leases.resize(held);
  out.callers.resize(called);
  return out;
}

template <class Connection, class Traits>
pool_state pool_impl<Connection, Traits>::state() const noexcept {
  const lock_type lock(mutex_);
  if constexpr (can::tells_waiting) silence_.look(core_);
  return silence_.seen(core_.state());
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
