// SPDX-License-Identifier: BSL-1.0
// tidepool - the pool as a plain state machine: no Asio, no thread, no clock, no I/O, no lock of its own.
//
// Events go in with the time they happened at; what is to be done comes out as `core_actions` and through `next_action()`. The caller holds
// the pool's lock during every call and carries things out after it has let go of it. What the holder of a lease does without the lock,
// because it has its slot to itself, is in reuse.hpp.
//
// An event changes what it is about, and ends with `settle()`, which draws from the state what has become possible or impossible. The
// quick ways (`try_take`, `try_queue`, `returned_to_idle`, `returned_to_waiter`) do without: they refuse where there is more to do. To
// read on: slot.hpp (the states of a connection), decisions.hpp (what becomes of a caller, and of a free connection), settle.hpp.
#ifndef TIDEPOOL_DETAIL_CORE_POOL_CORE_HPP
#define TIDEPOOL_DETAIL_CORE_POOL_CORE_HPP

#include <algorithm>
#include <span>

#include "../../advice.hpp"
#include "../../version.hpp"
#include "callers.hpp"
#include "closing.hpp"
#include "connection_events.hpp"
#include "core_report.hpp"
#include "settle.hpp"
#include "upkeep.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

template <class Traits, bool CanValidate, bool CanCheck, bool OwnValidation = false>
class pool_core {
 public:
  using rules = core_rules<Traits, CanValidate, CanCheck, OwnValidation>;

  pool_core(const pool_config& config, std::uint64_t seed) : c(config, seed) { c.used.asks_validation(c.asks_validation(), 0); }
  pool_core(const pool_core&) = delete;
  pool_core& operator=(const pool_core&) = delete;

  // --- acquire ----------------------------------------------------------------------------------------------------

  /// The un-contended checkout: an idle connection when no caller waits, or null. `stale_ok`: the caller cannot wait for a
  /// validation and takes one that is due for it.
  core_slot* try_take(tick now, const source_location& where, bool stale_ok, tick& arm_at) noexcept {
    core_slot* slot = c.next_idle();
    if (!slot || now >= slot->retire.at || admit(admission_facts(c, slot, now, !stale_ok)).what != admission::serve) return nullptr;
    c.idle.erase(*slot);
    check_out(c, *slot, now, where);
    c.used.served_directly();
    if constexpr (rules::leak_policy::enabled) c.due.arm(later(now, c.leak.report_after()), arm_at);
    if (c.slots.idle() < c.config().min_idle && now < c.due.armed_at()) arm_for_spare(now, arm_at);
    return slot;
  }
  /// Queues a caller for whom nothing can be done but wait. False: nothing has happened yet, it needs `enqueue()`.
  bool try_queue(core_waiter& w, tick now, tick deadline, bool timed, tick& arm_at) noexcept {
    // With a connection idle, a place free, or none leased there is more to do than to queue.
    if (!c.life.admits() || c.slots.total() < c.max || c.slots.leased() == 0 || c.slots.idle() > 0) return false;
    admission_input f;  // of a pool that admits, with no connection to hand out
    f.can_wait = deadline > now;
    f.queue_full = c.waiters.size() >= c.config().max_waiting;
    if (admit(f).what != admission::queue) return false;
    w.weight = !c.waiters.is_long() ? 1 : timed ? wait_queue::sampled_waits : 0;
    arrive(c, w, now);
    c.waiters.add(w, deadline);
    c.due.arm(deadline, arm_at);
    return true;
  }
  /// Serves, queues or refuses an acquire; in every case but queueing `w` is in `a.done` afterwards.
  void enqueue(core_waiter& w, tick now, tick deadline, core_actions& a) noexcept {
    start(c, now);
    serve_or_queue(c, w, now, deadline, a);
    if (c.life.running()) settle(c, now, a);  // a refusal by a closed pool changes nothing
  }
  /// Ends a wait of any queue. After a grant it only counts if that comes to nothing (`bounce`).
  void cancel(core_waiter& w, tick now, core_actions& a) noexcept {
    w.cancelled = true;
    if (w.at != core_waiter::stage::waiting) return;
    w.in == core_waiter::queue::acquire ? fail(c, w, errc::cancelled, a) : finish(c, w, errc::cancelled, a);
    settle(c, now, a);
  }
  /// The connection granted to `w` proved dead before delivery: destroyed, and the caller is back in its place.
  void bounce(core_waiter& w, tick now, core_actions& a) noexcept {
    put_back_in_line(c, w, now, a);
    settle(c, now, a);
  }
  /// As `bounce` for the result of `try_take`.
  void reject(core_slot& slot, tick now, core_actions& a) noexcept {
    c.used.direct_undone();
    undo_checkout(c, slot, now);
    settle(c, now, a);
  }
  bool anybody_waits() const noexcept { return !c.waiters.empty(); }
  bool queue_is_long() const noexcept { return c.waiters.is_long(); }
  bool samples_next_wait() const noexcept { return c.waiters.samples_next(); }
  bool next_is_timed() const noexcept { return c.waiters.front()->weight != 0; }

  // --- release ----------------------------------------------------------------------------------------------------
  // `last_ok`: the server's last answer or `not_known`. `held`: `not_timed`, or for how long.

  /// The un-contended return. False: nothing has happened yet, it needs `returned()`.
  bool returned_to_idle(core_slot& slot, tick now, tick last_ok, duration held) noexcept {
    if (!may_return_quickly(slot, now)) return false;
    routing_input f = routing_facts(c, slot, lease_end::clean, true);
    f.worn_out = c.worn_out(slot);
    if (where_to(f, c.generation_ended).to != destination::idle) return false;
    // The timer has to be set for its idle_timeout.
    if (c.slots.live() > c.min && later(now, c.config().idle_timeout) < c.due.armed_at()) return false;
    // Its time came while it was out, by a clock that is ahead of this one.
    if (!slot.retire.linked && slot.retire.at != never) return false;
    end_lease(c, slot, now, last_ok, held);
    c.slots.transition(slot, slot_state::idle);
    const core_slot* newest = c.idle.front();
    slot.idle_since = newest ? (std::max)(now, newest->idle_since) : now;
    c.idle.insert(slot);
    return true;
  }
  /// The return under contention: straight to the caller who is next. Null: nothing has happened yet, it needs `returned()`.
  core_waiter* returned_to_waiter(core_slot& slot, tick now, tick last_ok, duration held) noexcept {
    if (!may_return_quickly(slot, now)) return nullptr;
    const bool fresh = OwnValidation ? now < slot.fresh_until : now < c.fresh_until((std::max)(last_ok, slot.last_ok));
    routing_input f = routing_facts(c, slot, lease_end::clean, fresh);
    f.worn_out = c.worn_out(slot);
    if (where_to(f, c.generation_ended).to != destination::waiter) return nullptr;
    if (c.waiters.size() == 1 && c.idle.sweeping()) return nullptr;  // the sweep goes on once no caller waits
    core_waiter* head = c.waiters.front();
    end_lease(c, slot, now, last_ok, held);
    deliver(c, *head, slot, now, false);
    return head;
  }
  /// Every other return. `discarded`: broken by the word of its holder alone.
  void returned(core_slot& slot, lease_end end, bool discarded, tick now, tick last_ok, duration held, core_actions& a) noexcept {
    take_return(c, slot, end, discarded, now, last_ok, held, a);
    settle(c, now, a);
  }
  /// Whether a lease had better end: see `lease_recall`.
  lease_recall recall(const core_slot& slot, tick now) const noexcept {
    if (!c.life.admits() || slot.generation != c.generation || c.surplus() || now >= slot.retire.at) return lease_recall::due;
    return c.waiters.empty() ? lease_recall::none : lease_recall::others_wait;
  }
  /// Takes the connection of the lease with this number from its holder. False: no such lease is out.
  bool reclaim(connection_id id, tick now, core_actions& a) noexcept {
    core_slot* const slot = find_lease(
        [id](const core_slot& s) { return s.id == id && s.state == slot_state::leased && place_of(s.checked_out) == lease_place::held; });
    if (!slot) return false;
    if (slot->leak_reported) {
      a.leak_reclaimed = true;
      a.leak = report_of(*slot, now);
      c.used.leak_reclaimed();
    }
    revoke_lease(c, *slot, close_reason::reclaimed, now);
    settle(c, now, a);
    return true;
  }
  /// Its holder keeps the connection.
  void detach(core_slot& slot, tick now, core_actions& a) noexcept {
    detach_lease(c, slot, now);
    settle(c, now, a);
  }

  // --- the stash (shell/stash.hpp): slots there are leased, and the thread that puts or takes one has it to itself ---

  /// Whether leases may be stashed at all in a pool of this configuration: not where each return has to be seen.
  bool may_stash() const noexcept {
    return relaxed<source_location>::free && rules::queue_policy::newest_first && c.config().max_uses == no_limit &&
           c.config().min_idle == 0 && c.config().abandon_timeout == no_limit && !c.config().track_stack_trace;
  }
  /// Whether they may be stashed now.
  bool stashing() const noexcept { return c.life.admits() && c.waiters.empty() && !c.surplus(); }
  /// From the stash into the idle list, or away; nothing is settled. `suspected`: it may be dead, and is looked at.
  void collect(core_slot& slot, tick now, bool suspected) noexcept { take_from_stash(c, slot, now, suspected); }
  bool has_pending_actions() const noexcept { return !c.pending.empty(); }
  /// Nothing happened but what was collected.
  void reconcile(tick now, core_actions& a) noexcept { settle(c, now, a); }

  // --- operations of connections ----------------------------------------------------------------------------------

  /// A connect that was asked for begins. False: not wanted any more, and `slot` is not the core's.
  bool register_connect(core_slot& slot, tick now, core_actions& a) noexcept {
    const bool wanted = begin_connect(c, slot, now);
    settle(c, now, a);
    return wanted;
  }
  /// It could not even begin.
  void connect_not_started(tick now, core_actions& a) noexcept {
    c.slots.connect_answered();
    c.used.connect_failed();
    c.gate.failed(c.gate.wave(), failure_kind::transient, now, c.random);
    settle(c, now, a);
  }
  void connected(core_slot& slot, tick now, core_actions& a) noexcept {
    enter_connected(c, slot, now, a);
    settle(c, now, a);
  }
  void connect_failed(core_slot& slot, failure_kind kind, tick now, core_actions& a) noexcept {
    end_operation(c, slot);
    c.used.connect_failed();
    c.gate.failed(slot.wave, kind, now, c.random);
    mark_gone(c, slot, close_reason::broken, now);
    settle(c, now, a);
  }
  void validated(core_slot& slot, bool ok, tick now, core_actions& a) noexcept {
    end_validation(c, slot, ok, now, a);
    settle(c, now, a);
  }
  void reset_done(core_slot& slot, bool ok, tick now, core_actions& a) noexcept {
    end_reset(c, slot, ok, now, a);
    settle(c, now, a);
  }
  void closed(core_slot& slot, tick now, core_actions& a) noexcept {
    end_operation(c, slot);
    mark_gone(c, slot, slot.reason, now);
    settle(c, now, a);
  }
  /// Looks now at the idle connections for which `test` holds.
  template <class Test>
  void look_at(Test test, tick now, core_actions& a) noexcept {
    if constexpr (CanCheck) {
      if (!c.life.running()) return;
      for (core_slot* slot = c.idle.front(); slot; slot = c.idle.after(*slot)) {
        if (slot->state == slot_state::idle && test(*slot)) check_in_place(c, *slot, now);
      }
      settle(c, now, a);
    }
  }

  using pending_action = pending_actions::action;
  /// The next thing to do for a slot; `none` when all is done.
  pending_action next_action() noexcept { return c.pending.next(); }
  /// The coroutine of an operation is ready to run. False: it must not, and the caller frees the slot.
  bool op_started(core_slot& slot) noexcept { return slot.operation.started(); }
  /// From here on it cannot be cancelled any more. False: it is being cancelled already.
  bool op_ending(core_slot& slot) noexcept {
    if (slot.state == slot_state::gone) return false;
    slot.operation.ending();
    return true;
  }
  /// The user of a slot that is `gone` is through with it. True: the caller frees it.
  bool let_go(core_slot& slot) noexcept {
    if (slot.linked()) c.revoked.erase(slot);  // gone, it is in no other list
    return slot.operation.let_go();
  }
  /// For the holder of a lease that is being taken back.
  taken_lease taken_from(const core_slot& slot, tick now) const noexcept {
    const bool leaked = slot.reason == close_reason::abandoned;
    return {report_of(slot, now), slot.reason, leaked ? c.config().abandon_timeout : c.due.close_grace};
  }
  /// The socket is shut down. True: the caller frees the slot.
  bool aborted(core_slot& slot) noexcept { return slot.operation.aborted(); }

  // --- life cycle -------------------------------------------------------------------------------------------------

  bool fresh() const noexcept { return c.life.fresh(); }
  bool finished() const noexcept { return c.life.closed(); }
  bool stopped() const noexcept { return c.life.stopped(); }
  /// The pool object is gone.
  bool orphan() const noexcept { return c.life.orphan(); }
  /// Starts a pool that was not asked for anything yet; later no more.
  void begin(tick now, core_actions& a) noexcept {
    start(c, now);
    settle(c, now, a);
  }
  /// Until `deadline` a failure that passes by itself is waited out.
  void open(core_waiter& w, tick now, tick deadline, core_actions& a) noexcept {
    start(c, now);
    w.in = core_waiter::queue::open;
    w.since = now;
    if (!c.life.running()) return finish(c, w, errc::closed, a);
    c.config().start == start_mode::lazy ? finish(c, w, errc{}, a) : c.waiters.add_opener(w, deadline);
    settle(c, now, a);
  }
  void close(core_waiter* w, tick now, duration grace, core_actions& a) noexcept {
    if (!c.life.stopped()) begin_close(c, now, a);
    limit_close(c, grace, now);
    if (w) {
      w->in = core_waiter::queue::close;
      w->since = now;
      c.waiters.add_closer(*w);
    }
    settle(c, now, a);
  }
  /// The pool object goes away: nothing is closed gracefully, nothing waits for anything; leases stay with their holders.
  void shut_down(tick now, core_actions& a) noexcept {
    abandon(c, now, a);
    settle(c, now, a);
  }
  void suspend(tick now, core_actions& a) noexcept {
    c.life.suspend();
    settle(c, now, a);
  }
  void resume(tick now, core_actions& a) noexcept {
    c.life.resume();
    settle(c, now, a);
  }
  void resize(std::size_t min, std::size_t max, tick now, core_actions& a) noexcept {
    if (c.target <= c.min) c.target = min;  // the floor, and no decision of scaling's
    c.min = min;
    c.max = max;
    c.target = std::clamp(c.target, c.min, c.max);
    settle(c, now, a);
  }
  /// The same, and scaling's target is the floor again. `retire`: so that what leads to the wrong server is not opened anew.
  void start_over(std::size_t min, std::size_t max, bool retire, tick now, core_actions& a) noexcept {
    c.target = c.min;
    if (!retire) return resize(min, max, now, a);
    c.min = c.target = min;
    c.max = max;
    recycle(now, a);
  }
  /// `next` lives as long as this.
  void reconfigure(const pool_config& next, tick now, core_actions& a) noexcept {
    apply_config(c, next, now);
    c.used.asks_validation(c.asks_validation(), checkouts_of(c));
    resize(next.min_size, next.max_size, now, a);
  }
  void recycle(tick now, core_actions& a) noexcept {
    outdate_all(c, close_reason::recycled, now);
    settle(c, now, a);
  }
  /// A connection of this generation, which no caller held, was found to lead to the wrong server.
  void outdated(std::uint64_t generation, tick now, core_actions& a) noexcept {
    if (generation == c.generation) recycle(now, a);
  }

  // --- time -------------------------------------------------------------------------------------------------------

  /// The timer fired, or may as well have.
  void tick_at(tick now, core_actions& a, leak_findings& leaks) noexcept {
    c.due.fired();
    while (core_waiter* w = c.waiters.expired(now)) {
      // What it means for an opener depends on why there is nothing yet: `answer_openers()`.
      w->in == core_waiter::queue::acquire ? fail(c, *w, errc::timeout, a) : c.waiters.forget_deadline(*w);
    }
    expire_operations(c, now, a);
    if (c.gate.doubt_ends() <= now) c.gate.proved();
    if (c.life.running()) {
      retire_old(c, now);
      reap_idle(c, now);
      if (c.idle_limit != no_limit) keep_young(c, now);
      find_leaks(c, now, leaks);
      look_at_load(c, now);
      scale(c, now, a);
      start_due_sweep(c, now);
    }
    settle(c, now, a);
  }
  /// Before `tick_at()`: time has leapt, and what is idle may be dead.
  void leapt(tick now) noexcept {
    c.used.stalled();
    distrust_idle(c, now);
  }
  /// The timer could not be set.
  void not_armed() noexcept { c.due.fired(); }

  // --- reports ----------------------------------------------------------------------------------------------------

  pool_state state() const noexcept { return state_of(c); }
  /// Why it is in this state, in words.
  const char* state_reason() const noexcept { return detail::state_reason(c); }
  void snapshot(pool_stats& out) const noexcept { write_snapshot(c, out); }
  /// Calls `what(slot, idle)` for every connection that a holder or nobody has; nothing runs on those that are idle.
  template <class What>
  void each_open(What what) const noexcept {
    for (core_slot* s = c.idle.front(); s; s = c.idle.after(*s)) what(*s, s->state == slot_state::idle);
    for (const auto* list : {&c.leased, &c.reported}) {
      for (core_slot* s = list->front(); s; s = list->after(*s)) what(*s, false);
    }
  }
  pool_gauges gauges() const noexcept { return gauges_of(c); }
  /// Acquires so far, whatever came of them. Those that the stash served count when their lease has ended.
  std::uint64_t asked() const noexcept { return c.used.asked(); }
  /// For advice on the size. With the stash closed.
  void copy_load(pool_load& out) const noexcept {
    const pool_stats& n = c.used.totals();
    out.hold_time = n.hold_time;
    out.connect_time = n.connect_time;
    out.wait_time = n.wait_time;
    out.wait_time.record(duration::zero(), n.direct);
    out.record = *c.load;
    out.min_size = c.min;
    out.max_size = c.max;
  }
  /// Somebody has a lease or waits for one, or it is not open.
  bool in_use() const noexcept { return !c.life.running() || c.slots.leased() > 0 || !c.waiters.empty() || c.waiters.opener() != nullptr; }
  connect_outlook outlook(tick now) const noexcept { return outlook_of(c, now); }
  std::size_t failures_in_a_row() const noexcept { return c.gate.streak(); }
  /// The row of failures of which the latest was at `now`.
  failure_row failures(tick now) const noexcept {
    const auto& gate = c.gate;
    if (gate.streak() == 0) return {};
    return {gate.streak(), gate.alike(), gate.together(), now - gate.failing_since(), gate.news()};
  }
  /// The longest held leases, reported ones first; `complete(slot, report)` adds what only others know. Returns how many were written.
  template <class Complete>
  std::size_t holders(std::span<lease_report> out, tick now, Complete complete) const noexcept {
    std::size_t n = 0;
    for (const auto* list : {&c.reported, &c.leased}) {
      for (core_slot* s = list->front(); s && n < out.size(); s = list->after(*s)) complete(*s, out[n++] = report_of(*s, now));
    }
    return n;
  }
  /// The callers that wait longest. Returns how many were written.
  std::size_t callers(std::span<caller_report> out, tick now) const noexcept {
    std::size_t n = 0;
    for (core_waiter* w = c.waiters.front(); w && n < out.size(); w = c.waiters.after(*w)) out[n++] = {w->where, now - w->since};
    return n;
  }
  /// The first lease out for which `test` holds, one whose connection was taken back included, or null.
  template <class Test>
  core_slot* find_lease(Test test) const noexcept {
    for (const auto* list : {&c.reported, &c.leased, &c.revoked}) {
      for (core_slot* s = list->front(); s; s = list->after(*s)) {
        if (test(*s)) return s;
      }
    }
    return nullptr;
  }

 private:
  bool may_return_quickly(const core_slot& slot, tick now) const noexcept {
    return c.life.admits() && slot.state == slot_state::leased && !slot.must_settle_at_return && now < slot.retire.at;
  }
  /// The timer opens the next spare connection.
  void arm_for_spare(tick now, tick& arm_at) noexcept {
    const bool waits_for_gate = c.gate.streak() > 0 && c.wants_connect;
    if (!waits_for_gate && c.spares_missing() > 0 && c.slots.total() < c.max) c.due.arm(now, arm_at);
  }

  core_state<rules> c;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
