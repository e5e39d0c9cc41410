// SPDX-License-Identifier: BSL-1.0
// tidepool - the pool core without its shell: time is a plain number, and the test carries out the actions.
#ifndef TIDEPOOL_TESTS_CORE_RIG_HPP
#define TIDEPOOL_TESTS_CORE_RIG_HPP

#include <tidepool/detail/core/pool_core.hpp>
#include <tidepool/traits.hpp>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace tidepool_tests {

using namespace std::chrono_literals;
using tidepool::breaker_state;
using tidepool::close_reason;
using tidepool::duration;
using tidepool::errc;
using tidepool::failure_kind;
using tidepool::lease_end;
using tidepool::no_limit;
using tidepool::pool_config;
using tidepool::pool_state;
using tidepool::pool_stats;
using tidepool::detail::core_actions;
using tidepool::detail::core_slot;
using tidepool::detail::core_waiter;
using tidepool::detail::leak_findings;
using tidepool::detail::never;
using tidepool::detail::slot_action;
using tidepool::detail::slot_operation;
using tidepool::detail::slot_state;
using tidepool::detail::tick;

struct no_connection {};
using core_traits = tidepool::default_traits<no_connection>;

inline const char* to_string(slot_action a) {
  constexpr const char* names[] = {"none", "validate", "reset", "close", "destroy", "cancel_op", "abort_lease", "discard"};
  return names[static_cast<int>(a)];
}

/// Sizes, and nothing that happens of its own accord.
inline pool_config calm(std::size_t min_size, std::size_t max_size) {
  pool_config c;
  c.min_size = min_size;
  c.max_size = max_size;
  c.auto_scale = false;
  c.leak_detection = false;
  c.health_check_interval = no_limit;
  c.idle_timeout = no_limit;
  c.max_lifetime = no_limit;
  c.lifetime_jitter = 0;
  c.pre_ping = c.test_on_borrow = false;
  return c;
}

/// Takes the place of the shell: carries out actions, keeps operations until the test ends them, and frees each slot exactly once.
template <class Traits = core_traits, bool CanValidate = true, bool OwnValidation = false>
class core_rig {
 public:
  using core_type = tidepool::detail::pool_core<Traits, CanValidate, CanValidate, OwnValidation>;

  struct entry : core_slot {
    bool op_running = false;  ///< its coroutine is there
    bool held = false;        ///< by a lease
    bool cancelled = false;   ///< its operation was told to end
    bool shut = false;        ///< its socket
    slot_action last_op = slot_action::none;
  };
  struct caller : core_waiter {
    int completions = 0;
    entry* got() const { return static_cast<entry*>(core_waiter::slot); }
    bool waiting() const { return completions == 0; }
    bool served() const { return completions == 1 && error == errc{} && core_waiter::slot != nullptr; }
    bool done() const { return completions == 1 && error == errc{}; }
    bool failed_with(errc e) const { return completions == 1 && error == e; }
  };

  explicit core_rig(const pool_config& c, std::uint64_t seed = 1) : config(c), core(config, seed) {}

  // --- callers --------------------------------------------------------------------------------------------------------

  caller& acquire(duration timeout = 10s) {
    caller& w = callers.emplace_back();
    core.enqueue(w, now, tidepool::detail::later(now, timeout), acts);
    pump();
    return w;
  }
  /// As the shell asks: the fast ways first.
  caller& acquire_fast(duration timeout = 10s) {
    caller& w = callers.emplace_back();
    tick arm = never;
    if (core_slot* s = core.try_take(now, {}, timeout <= 0s, arm)) {
      w.core_waiter::slot = s;
      ++w.completions;
      w.at = core_waiter::stage::done;
      static_cast<entry*>(s)->held = true;
    } else if (!core.try_queue(w, now, tidepool::detail::later(now, timeout), true, arm)) {
      core.enqueue(w, now, tidepool::detail::later(now, timeout), acts);
    }
    note_arm(arm);
    pump();
    return w;
  }
  caller& open(duration patience = 10s) {
    caller& w = callers.emplace_back();
    core.open(w, now, tidepool::detail::later(now, patience), acts);
    pump();
    return w;
  }
  caller& close(duration grace = 0s) {
    caller& w = callers.emplace_back();
    core.close(&w, now, grace, acts);
    pump();
    return w;
  }
  void cancel(caller& w) {
    core.cancel(w, now, acts);
    pump();
  }
  entry* try_take(bool stale_ok = true) {
    tick arm = never;
    auto* s = static_cast<entry*>(core.try_take(now, {}, stale_ok, arm));
    note_arm(arm);
    if (s) s->held = true;
    return s;
  }

  // --- leases ---------------------------------------------------------------------------------------------------------

  void give_back(entry& s, lease_end end = lease_end::clean, tick last_ok = tick{}) {
    s.held = false;
    if (s.state == slot_state::gone) {
      if (core.let_go(s)) free(s);
    } else {
      core.returned(s, end, discarded, now, last_ok, held_for, acts);
    }
    pump();
  }
  void give_back(caller& w, lease_end end = lease_end::clean) { give_back(*w.got(), end); }
  /// As the shell does it.
  void give_back_fast(entry& s, lease_end end = lease_end::clean, tick last_ok = tick{}) {
    if (end == lease_end::clean) {
      if (!core.anybody_waits()) {
        s.held = !core.returned_to_idle(s, now, last_ok, held_for);
        if (!s.held) return check();
      } else if (core_waiter* next = core.returned_to_waiter(s, now, last_ok, held_for)) {
        ++static_cast<caller*>(next)->completions;
        return check();
      }
    }
    give_back(s, end, last_ok);
  }
  void detach(entry& s) {
    s.held = false;
    core.detach(s, now, acts);
    free(s);
    pump();
  }
  void bounce(caller& w) {
    w.got()->held = false;
    --w.completions;
    core.bounce(w, now, acts);
    pump();
  }
  void reject(entry& s) {
    s.held = false;
    core.reject(s, now, acts);
    pump();
  }

  // --- operations -----------------------------------------------------------------------------------------------------

  /// Slots in this state, in order of id; `validating` and `closing` stand for both kinds of it.
  std::vector<entry*> in(slot_state state) {
    std::vector<entry*> out;
    const auto also = state == slot_state::validating ? slot_state::checking
                      : state == slot_state::closing  ? slot_state::destroying
                                                      : state;
    for (auto& [id, s] : slots) {
      if (s->state == state || s->state == also) out.push_back(s.get());
    }
    return out;
  }
  entry& first(slot_state state) {
    const auto all = in(state);
    REQUIRE_FALSE(all.empty());
    return *all.front();
  }
  void connect_ok(entry& s) {
    s.op_running = false;
    if (s.state == slot_state::gone) return op_over(s);
    core.connected(s, now, acts);
    pump();
  }
  void connect_ok() { connect_ok(first(slot_state::connecting)); }
  void connect_all() {
    while (!in(slot_state::connecting).empty()) connect_ok();
  }
  /// `n` idle connections.
  void fill(std::size_t n) {
    std::vector<caller*> all;
    for (std::size_t i = 0; i < n; ++i) all.push_back(&acquire());
    connect_all();
    for (caller* w : all) give_back(*w);
    orders();
  }
  void connect_fails(entry& s, failure_kind kind = failure_kind::transient) {
    s.op_running = false;
    if (s.state == slot_state::gone) return op_over(s);
    core.connect_failed(s, kind, now, acts);
    free(s);
    pump();
  }
  void connect_fails(failure_kind kind = failure_kind::transient) { connect_fails(first(slot_state::connecting), kind); }
  void validated(entry& s, bool ok) {
    s.op_running = false;
    if (s.state == slot_state::gone) return op_over(s);
    core.validated(s, ok, now, acts);
    pump();
  }
  void reset_done(entry& s, bool ok) {
    s.op_running = false;
    if (s.state == slot_state::gone) return op_over(s);
    core.reset_done(s, ok, now, acts);
    pump();
  }
  void closed(entry& s) {
    s.op_running = false;
    if (s.state == slot_state::gone) return op_over(s);
    core.closed(s, now, acts);
    free(s);
    pump();
  }
  void close_all() {
    while (!in(slot_state::closing).empty()) closed(first(slot_state::closing));
  }
  /// A coroutine that the core has given up comes to its end.
  void op_over(entry& s) {
    if (core.let_go(s)) free(s);
    pump();
  }

  // --- the pool -------------------------------------------------------------------------------------------------------

  void resize(std::size_t min, std::size_t max) {
    core.resize(min, max, now, acts);
    pump();
  }
  void reconfigure(const pool_config& next) {
    core.reconfigure(configs.emplace_back(next), now, acts);
    pump();
  }
  void recycle() {
    core.recycle(now, acts);
    pump();
  }
  bool reclaim(tidepool::connection_id id) {
    const bool found = core.reclaim(id, now, acts);
    pump();
    return found;
  }
  void suspend() {
    core.suspend(now, acts);
    pump();
  }
  void resume() {
    core.resume(now, acts);
    pump();
  }
  void shut_down() {
    core.shut_down(now, acts);
    pump();
  }

  // --- time -----------------------------------------------------------------------------------------------------------

  /// Moves the time, and fires the timer whenever it is due on the way.
  void advance(duration span) {
    const tick end = now + span;
    while (armed <= end) {
      now = std::max(now, armed);
      armed = never;
      fire();
    }
    now = end;
  }
  /// Lets time pass until the pool tries to connect.
  void until_connecting() {
    while (in(slot_state::connecting).empty()) {
      REQUIRE(armed != never);
      advance(std::max(duration::zero(), armed - now));
    }
  }
  void fire() {
    leak_findings found;
    core.tick_at(now, acts, found);
    for (std::size_t i = 0; i < found.count; ++i) leaks.push_back(found.items[i]);
    pump();
  }

  pool_stats stats() const {
    pool_stats out;
    core.snapshot(out);
    return out;
  }
  /// What has been asked for since the last call: "validate 3", "close 1" ...
  std::vector<std::string> orders() { return std::exchange(log, {}); }

  /// Carries out everything that needs no one's answer.
  void pump() {
    for (;;) {
      while (core_waiter* w = acts.done.pop_front()) complete(static_cast<caller&>(*w));
      if (acts.connects > 0) {
        --acts.connects;
        if (refuse_connects > 0) {
          --refuse_connects;
          core.connect_not_started(now, acts);
          continue;
        }
        auto made = std::make_unique<entry>();
        if (!core.register_connect(*made, now, acts)) continue;
        made->op_running = true;
        made->last_op = slot_action::none;
        ++connects;
        const auto id = made->id;
        slots.emplace(id, std::move(made));
        continue;
      }
      if (manual) break;
      const auto todo = core.next_action();
      if (todo.what == slot_action::none) {
        if (acts.done.empty() && acts.connects == 0) break;
        continue;
      }
      carry_out(static_cast<entry&>(*todo.slot), todo.what);
    }
    note_arm(acts.arm_at);
    acts.arm_at = never;
    if (acts.disarm) armed = never;
    scaled_to = acts.scaled ? acts.scale.to : scaled_to;
    acts.scaled = acts.leak_returned = false;
    acts.connect_timed_out = 0;
    acts.state_changed = acts.breaker_changed = false;
    check();
  }

  void carry_out(entry& s, slot_action what) {
    log.push_back(std::string(to_string(what)) + " " + std::to_string(s.id));
    switch (what) {
      case slot_action::validate:
      case slot_action::reset:
      case slot_action::close:
        CHECK_FALSE(s.op_running);
        CHECK_FALSE(s.held);
        s.last_op = what;
        if (hold_starts) {
          starting.push_back(&s);
        } else {
          begin(s);
        }
        break;
      case slot_action::destroy:
        CHECK_FALSE(s.op_running);
        CHECK_FALSE(s.held);
        if (s.state == slot_state::gone) {
          if (core.let_go(s)) free(s);
        } else {
          core.closed(s, now, acts);
          free(s);
        }
        break;
      case slot_action::cancel_op:
        CHECK((s.op_running || s.operation.reached() != slot_operation::phase::absent));
        s.cancelled = s.shut = true;
        if (core.aborted(s)) free(s);
        break;
      case slot_action::abort_lease:
        s.shut = true;
        if (core.aborted(s)) free(s);
        break;
      case slot_action::discard: free(s); break;
      case slot_action::none: break;
    }
  }
  /// The coroutine of an operation is made. False: it was not wanted any more, and the slot is freed.
  bool begin(entry& s) {
    if (!core.op_started(s)) {
      free(s);
      return false;
    }
    s.op_running = true;
    return true;
  }
  void free(entry& s) {
    const auto id = s.id;
    CHECK(s.state == slot_state::gone);
    CHECK_FALSE(s.held);
    CHECK_FALSE(s.op_running);
    CHECK(s.operation.asked() == slot_action::none);
    CHECK_FALSE(s.linked());
    CHECK_FALSE(s.bound.linked);
    CHECK_FALSE(s.retire.linked);
    freed.push_back(id);
    REQUIRE(slots.erase(id) == 1);
  }

  /// The safety invariants, after every event.
  void check() {
    // Catch's assertions are slow, and this runs a million times.
    const auto expect = [](bool holds, const char* what) {
      if (!holds) FAIL_CHECK(what);
    };
    const pool_stats s = stats();
    std::array<std::size_t, tidepool::detail::slot_states> n{};
    for (const auto& [id, one] : slots) ++n[static_cast<std::size_t>(one->state)];
    const auto there = [&](slot_state state) { return n[static_cast<std::size_t>(state)]; };
    const std::size_t alive = s.active_connections + s.idle_connections + s.validating + s.resetting + s.closing;
    expect(s.active_connections == there(slot_state::leased), "leased");
    expect(s.idle_connections == there(slot_state::idle), "idle");
    expect(s.validating == there(slot_state::validating) + there(slot_state::checking), "validating");
    expect(s.resetting == there(slot_state::resetting), "resetting");
    expect(s.closing == there(slot_state::closing) + there(slot_state::destroying), "closing");
    expect(s.connecting == there(slot_state::connecting) + acts.connects, "connecting");
    expect(s.total_connections == alive + s.connecting, "INV-1: the gauges add up");
    expect(s.connections_created == s.connections_closed + alive, "INV-12: created = closed + alive");
    std::uint64_t by_reason = 0;
    for (const std::uint64_t one : s.closed_by_reason) by_reason += one;
    expect(s.connections_closed == by_reason, "INV-12: closed = the sum over reasons");
    std::size_t waiting = 0;
    for (const caller& w : callers) {
      expect(w.completions <= 1, "INV-3: completed twice");
      waiting += w.completions == 0 && w.in == core_waiter::queue::acquire;
    }
    expect(s.waiting == waiting, "INV-12: waiting");
    const bool serves = s.state != pool_state::suspended && s.state != pool_state::closing && s.state != pool_state::closed;
    if (serves && !CanValidate && s.waiting > 0) expect(s.idle_connections == 0, "INV-5: a caller waits although a connection is idle");
  }
  /// Ends everything and checks that no slot is left.
  void finish() {
    shut_down();
    while (!slots.empty()) {
      entry& s = *slots.begin()->second;
      if (s.held) {
        give_back(s);
      } else {
        REQUIRE(s.op_running);
        s.op_running = false;
        op_over(s);
      }
    }
    CHECK(stats().total_connections == 0);
    CHECK(stats().state == pool_state::closed);
    CHECK(armed == never);
  }

  pool_config config;
  std::deque<pool_config> configs;  ///< later ones
  core_type core;
  tick now{1h};
  tick armed = never;
  core_actions acts;
  std::deque<caller> callers;
  std::map<tidepool::connection_id, std::unique_ptr<entry>> slots;
  std::vector<tidepool::connection_id> freed;
  std::vector<leak_findings::finding> leaks;
  std::vector<std::string> log;
  std::vector<entry*> starting;
  std::size_t connects = 0;
  std::size_t refuse_connects = 0;
  std::size_t scaled_to = 0;
  bool discarded = false;            ///< broken by the holder's word alone
  duration held_for = duration(-1);  ///< what the shell says of it, if it timed the lease
  bool manual = false;               ///< actions on slots stay in the core's list
  bool hold_starts = false;          ///< operations are taken from the list, but their coroutines are not made yet

 private:
  void complete(caller& w) {
    ++w.completions;
    if (w.core_waiter::slot) w.got()->held = true;
  }
  void note_arm(tick at) { armed = std::min(armed, at); }
};

}  // namespace tidepool_tests

#endif
