// SPDX-License-Identifier: BSL-1.0
// tidepool - the pool as a plain state machine: no Asio, no clock, no I/O, no lock of its own.
//
// Events go in with the time they happened at; what is to be done comes out as `core_actions` and through `next_action()`. The
// caller holds the pool's lock during every call and carries things out after it has let go of it.
#ifndef TIDEPOOL_DETAIL_CORE_POOL_CORE_HPP
#define TIDEPOOL_DETAIL_CORE_POOL_CORE_HPP

#include <algorithm>
#include <array>

#include "../../connection.hpp"
#include "../../policy/scaling.hpp"
#include "../../stats.hpp"
#include "../../version.hpp"
#include "../util/integral.hpp"
#include "connect_gate.hpp"
#include "core_types.hpp"
#include "idle_list.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// `CanValidate`: a round trip can be made. `CanCheck`: a connection can at least be looked at. `OwnValidation`: the health policy brings
/// its own, which an answer to somebody's statement does not replace.
template <class Traits, bool CanValidate, bool CanCheck, bool OwnValidation = false>
class pool_core {
 public:
  using health_policy = typename Traits::health_policy;
  using leak_policy = typename Traits::leak_policy;
  using scaling_policy = typename Traits::scaling_policy;
  using lifetime_policy = typename Traits::lifetime_policy;
  using queue_policy = typename Traits::queue_policy;
  using breaker_policy = typename Traits::breaker_policy;

  pool_core(const pool_config& config, std::uint64_t seed)
      : config_(config),
        min_(config.min_size),
        max_(config.max_size),
        target_(config.min_size),
        random_(seed),
        gate_(config),
        health_(config),
        leak_(config),
        scaling_(config),
        lifetime_(config) {}
  pool_core(const pool_core&) = delete;
  pool_core& operator=(const pool_core&) = delete;

  // --- the hot path -----------------------------------------------------------------------------------------------

  /// The un-contended checkout: an idle connection when nobody waits, or null. `stale_ok`: the caller cannot wait for a
  /// validation and takes one that is due for it.
  core_slot* try_take(tick now, const source_location& where, bool stale_ok, tick& arm_at) noexcept {
    if (!admits_ || !waiters_.empty()) return nullptr;
    core_slot* slot = pick();
    if (!slot) return nullptr;
    if (now >= slot->fresh_until && !(stale_ok && now < slot->retire.at)) return nullptr;
    idle_.erase(*slot);
    check_out(*slot, now, where);
    ++totals_.direct;
    if constexpr (leak_policy::enabled) {
      const tick due = later(now, leak_.report_after());
      if (due < armed_at_) armed_at_ = arm_at = due;
    }
    if (count(slot_state::idle) < config_.min_idle && now < armed_at_ && (gate_.streak() == 0 || !wants_connect_) && spares_missing() > 0 &&
        total() < max_) {
      armed_at_ = arm_at = now;  // the timer opens the next spare one
    }
    return slot;
  }

  /// The un-contended return. False: nothing has happened yet, it needs `returned()`.
  /// `last_ok`: the server's last answer if that is known, else zero. `held`: negative when this lease was not sampled.
  bool returned_to_idle(core_slot& slot, tick now, tick last_ok, duration held) noexcept {
    if (!waiters_.empty() || !admits_ || slot.state != slot_state::leased || slot.needs_full_return || slot.generation != generation_ ||
        now >= slot.retire.at || worn_out(slot) || open_count() > max_)
      return false;
    if (live() > min_ && later(now, config_.idle_timeout) < armed_at_) return false;
    if (!slot.retire.linked && slot.retire.at != never)
      return false;  // its time came while it was out, by a clock that is ahead of this one
    end_lease(slot, now, last_ok, held);
    set(slot, slot_state::idle);
    const core_slot* newest = idle_.front();
    slot.idle_since = newest ? std::max(now, newest->idle_since) : now;
    idle_.insert(slot);
    return true;
  }

  // --- the stash (see stash.hpp): slots stashed there are leased, and the thread that stashes or takes one has it to itself ---

  /// Whether leases may be stashed at all in a pool of this configuration; what depends on each return being seen has them by the book.
  bool may_stash() const noexcept {
    return relaxed<source_location>::free && queue_policy::newest_first && config_.max_uses == no_limit && config_.min_idle == 0 &&
           config_.abandon_timeout == no_limit && !config_.track_stack_trace;
  }
  /// Whether they may be stashed now.
  bool stashing() const noexcept { return admits_ && waiters_.empty() && open_count() <= max_; }
  /// By the holder: false when this lease is to come back by the book.
  bool stash(core_slot& slot, tick now, tick last_ok) noexcept {
    if (now >= slot.retire.at || slot.must_take_slow_path || !slot.label.empty()) return false;
    note_answer(slot, last_ok);
    slot.stashed_at = now;
    slot.checked_out = never;
    return true;
  }
  /// By whoever took it out of the stash: false when it is not for handing out unseen.
  bool take_stashed(core_slot& slot, tick now, const source_location& from) noexcept {
    if (now >= slot.fresh_until || slot.must_take_slow_path) return false;
    slot.checked_out = now;
    slot.where = from;
    slot.reuses = std::uint64_t(slot.reuses) + 1;
    slot.unused = duration(slot.unused) + (now - slot.stashed_at);
    ++slot.uses;
    return true;
  }
  /// Back into the idle list, or away; what is queued by that has to be performed. `suspected`: it may be dead, and is looked at.
  void collect(core_slot& slot, tick now, bool suspected) noexcept;
  bool has_pending_actions() const noexcept { return first_action_ != nullptr; }
  /// Nothing happened but what `has_pending_actions()` says.
  void reconcile(tick now, core_actions& a) noexcept { settle(now, a); }
  /// The timer could not be set.
  void not_armed() noexcept { armed_at_ = never; }

  bool anybody_waits() const noexcept { return !waiters_.empty(); }
  /// The return under contention: straight to the caller who is next. Null: nothing has happened yet, it needs `returned()`.
  core_waiter* returned_to_waiter(core_slot& slot, tick now, tick last_ok, duration held) noexcept {
    core_waiter* head = waiters_.front();
    if (!head || !admits_ || slot.state != slot_state::leased || slot.needs_full_return || slot.generation != generation_ ||
        now >= slot.retire.at || worn_out(slot) || open_count() > max_)
      return nullptr;
    if constexpr (OwnValidation) {
      if (now >= slot.fresh_until) return nullptr;
    } else if constexpr (CanValidate) {
      if (now >= health_.fresh_until(std::max(last_ok, slot.last_ok))) return nullptr;
    }
    if (waiters_.size() == 1 && idle_.sweeping()) return nullptr;  // the sweep goes on once nobody waits
    end_lease(slot, now, last_ok, held);
    deliver(*head, slot, now, false);
    return head;
  }
  /// Of a long queue one caller in `sampled_waits` has its wait timed, and counts for as many.
  bool queue_is_long() const noexcept { return waiters_.size() >= long_queue; }
  bool samples_next_wait() const noexcept { return (last_ticket_ + 1) % sampled_waits == 0; }
  bool next_is_timed() const noexcept { return waiters_.front()->weight != 0; }
  /// Queues a caller for whom nothing can be done but wait. False: nothing has happened yet, it needs `enqueue()`.
  bool try_queue(core_waiter& w, tick now, tick deadline, bool timed, tick& arm_at) noexcept {
    if (!admits_ || deadline <= now || waiters_.size() >= config_.max_waiting || total() < max_ || live() == 0 ||
        count(slot_state::idle) > 0)
      return false;
    w.since = now;
    w.weight = !queue_is_long() ? 1 : timed ? sampled_waits : 0;
    w.ticket = ++last_ticket_;
    w.failures_seen = gate_.total();
    w.at = core_waiter::stage::waiting;
    waiters_.push_back(w);
    waits_.insert(w.deadline, deadline);
    if (deadline < armed_at_) armed_at_ = arm_at = deadline;
    return true;
  }

  // --- callers (pool_core_callers.hpp) ----------------------------------------------------------------------------

  /// Serves, queues or refuses an acquire; in every case but queueing `w` is in `a.done` afterwards.
  void enqueue(core_waiter& w, tick now, tick deadline, core_actions& a) noexcept;
  /// Ends a wait of any queue. After a grant it only counts if that comes to nothing (`bounce`).
  void cancel(core_waiter& w, tick now, core_actions& a) noexcept;
  /// The connection granted to `w` proved dead before delivery: destroyed, and `w` is back in its place.
  void bounce(core_waiter& w, tick now, core_actions& a) noexcept;
  /// As `bounce` for the result of `try_take`.
  void reject(core_slot& slot, tick now, core_actions& a) noexcept;

  // --- connections (pool_core_slots.hpp) --------------------------------------------------------------------------

  /// A connect that was asked for begins. False: not wanted any more, and `slot` is not the core's.
  bool register_connect(core_slot& slot, tick now, core_actions& a) noexcept;
  /// It could not even begin.
  void connect_not_started(tick now, core_actions& a) noexcept;
  void connected(core_slot& slot, tick now, core_actions& a) noexcept;
  void connect_failed(core_slot& slot, failure_kind kind, tick now, core_actions& a) noexcept;
  void validated(core_slot& slot, bool ok, tick now, core_actions& a) noexcept;
  /// `discarded`: broken by the word of its holder alone.
  void returned(core_slot& slot, lease_end end, bool discarded, tick now, tick last_ok, duration held, core_actions& a) noexcept;
  void reset_done(core_slot& slot, bool ok, tick now, core_actions& a) noexcept;
  void closed(core_slot& slot, tick now, core_actions& a) noexcept;
  void detach(core_slot& slot, tick now, core_actions& a) noexcept;

  struct pending_action {
    core_slot* slot = nullptr;
    slot_action what = slot_action::none;
  };
  /// The next thing to do for a slot; `none` when all is done.
  pending_action next_action() noexcept;
  /// The coroutine of an operation is ready to run. False: it must not, and the caller frees the slot.
  bool op_started(core_slot& slot) noexcept;
  /// From here on it cannot be cancelled any more. False: it is being cancelled already.
  bool op_ending(core_slot& slot) noexcept;
  /// Whoever used a slot that is `gone` is through with it. True: the caller frees it.
  bool let_go(core_slot& slot) noexcept;
  /// The socket is shut. True: the caller frees the slot.
  bool aborted(core_slot& slot) noexcept;

  // --- life cycle (pool_core_lifecycle.hpp) -----------------------------------------------------------------------

  /// Until `deadline` a failure that passes by itself is waited out.
  void open(core_waiter& w, tick now, tick deadline, core_actions& a) noexcept;
  /// Starts a pool that nobody has asked for anything yet; later no more.
  bool fresh() const noexcept { return phase_ == phase::fresh; }
  void begin(tick now, core_actions& a) noexcept {
    start(now);
    settle(now, a);
  }
  void close(core_waiter* w, tick now, duration grace, core_actions& a) noexcept;
  /// The pool object goes away: no goodbyes, nothing waits for anything; leases stay with their holders.
  void shut_down(tick now, core_actions& a) noexcept;
  void suspend(tick now, core_actions& a) noexcept;
  void resume(tick now, core_actions& a) noexcept;
  void resize(std::size_t min, std::size_t max, tick now, core_actions& a) noexcept;
  void recycle(tick now, core_actions& a) noexcept;
  /// A connection of this generation, which nobody held, was found to lead to the wrong server.
  void outdated(std::uint64_t generation, tick now, core_actions& a) noexcept {
    if (generation == generation_) recycle(now, a);
  }

  pool_state state() const noexcept;
  /// Why it is in this state, in words.
  const char* state_reason() const noexcept;
  void snapshot(pool_stats& out) const noexcept;
  pool_gauges gauges() const noexcept;
  /// The longest held leases, reported ones first; `complete(slot, report)` adds what only others know. Returns how many were written.
  template <class Complete>
  std::size_t holders(std::array<lease_report, 8>& out, tick now, Complete complete) const noexcept {
    std::size_t n = 0;
    for (core_slot* s = reported_.front(); s && n < out.size(); s = reported_.after(*s)) complete(*s, out[n++] = report_of(*s, now));
    for (core_slot* s = leased_.front(); s && n < out.size(); s = leased_.after(*s)) complete(*s, out[n++] = report_of(*s, now));
    return n;
  }
  std::size_t failures_in_a_row() const noexcept { return gate_.streak(); }
  /// Of these, the latest that were all of one kind.
  std::size_t failures_alike() const noexcept { return gate_.alike(); }
  connect_outlook outlook(tick now) const noexcept;
  /// The first lease out for which `test` holds, one whose connection was taken back included, or null.
  template <class Test>
  core_slot* find_lease(Test test) const noexcept {
    for (core_slot* s = reported_.front(); s; s = reported_.after(*s))
      if (test(*s)) return s;
    for (core_slot* s = leased_.front(); s; s = leased_.after(*s))
      if (test(*s)) return s;
    for (core_slot* s = taken_back_.front(); s; s = taken_back_.after(*s))
      if (test(*s)) return s;
    return nullptr;
  }
  bool finished() const noexcept { return phase_ == phase::closed; }
  bool stopped() const noexcept { return phase_ == phase::closing || phase_ == phase::closed; }

  /// Looks now at the idle connections for which `test` holds.
  template <class Test>
  void look_at(Test test, tick now, core_actions& a) noexcept;

  // --- time (pool_core_upkeep.hpp) --------------------------------------------------------------------------------

  /// The timer fired, or may as well have.
  void tick_at(tick now, core_actions& a, leak_findings& leaks) noexcept;

 private:
  enum class phase : std::uint8_t { fresh, running, closing, closed };
  static constexpr std::size_t long_queue = 64;
  static constexpr std::uint32_t sampled_waits = 8;
  static constexpr std::size_t background_checks = 4;  ///< at once; a sweep must not take the pool away from its users

  std::size_t count(slot_state s) const noexcept { return counts_[static_cast<std::size_t>(s)]; }
  /// Connections that exist and may come to serve.
  std::size_t live() const noexcept {
    return count(slot_state::idle) + count(slot_state::leased) + count(slot_state::validating) + count(slot_state::resetting);
  }
  std::size_t connecting() const noexcept { return count(slot_state::connecting) + starting_; }
  std::size_t open_count() const noexcept { return live() + connecting(); }
  std::size_t total() const noexcept { return open_count() + count(slot_state::closing); }

  /// How many callers may wait: those for whom there is a place in the pool, or one on its way, do not count for `max_waiting`.
  std::size_t queue_limit() const noexcept {
    const std::size_t taken = count(slot_state::leased) + count(slot_state::closing);
    const std::size_t room = admits_ && max_ > taken ? max_ - taken : 0;
    return config_.max_waiting + std::min(room, std::size_t(no_limit) - config_.max_waiting);
  }
  /// A mean in which what is long ago counts less and less; negative: nothing known.
  static void learn(duration& mean, duration one) noexcept { mean = mean < duration::zero() ? one : mean + (one - mean) / 8; }

  std::size_t spares_missing() const noexcept {
    const std::size_t there = count(slot_state::idle) + background_ + connecting();
    return config_.min_idle > there ? config_.min_idle - there : 0;
  }
  core_slot* pick() const noexcept {
    if constexpr (queue_policy::newest_first) return idle_.newest();
    return idle_.oldest();
  }
  void set(core_slot& slot, slot_state to) noexcept {
    --counts_[static_cast<std::size_t>(slot.state)];
    slot.state = to;
    ++counts_[static_cast<std::size_t>(to)];
  }
  void check_out(core_slot& slot, tick now, const source_location& where) noexcept {
    set(slot, slot_state::leased);
    leased_.push_back(slot);
    ++slot.uses;
    slot.checked_out = slot.listed = now;
    slot.where = where;
    if constexpr (scaling_policy::enabled) busy_.came(now);
  }
  /// Takes a leased slot out of its list; the caller says what becomes of it. Touches nothing that its holder may touch without the lock.
  void strike_off(core_slot& slot, tick now) noexcept {
    (slot.leak_reported ? reported_ : leased_).erase(slot);
    fold(slot);
    if constexpr (scaling_policy::enabled) busy_.left(now);
  }
  /// The same when its holder has let go of it.
  void end_lease(core_slot& slot, tick now, tick last_ok, duration held) noexcept {
    strike_off(slot, now);
    slot.must_take_slow_path = false;
    if (held >= duration::zero()) {
      totals_.hold_time.record(held, slot.sample_weight);
      learn(usual_hold_, held);
    }
    if (!slot.label.empty()) slot.label.assign({});
    note_answer(slot, last_ok);
  }
  void note_answer(core_slot& slot, tick at) noexcept {
    if constexpr (OwnValidation) {
      slot.answered |= at > slot.born;
    } else if (at > slot.last_ok) {
      slot.last_ok = at;
      refresh(slot);
    }
  }
  static bool has_served(const core_slot& slot) noexcept {
    if constexpr (OwnValidation) return slot.answered;
    return slot.last_ok > slot.born;
  }
  /// Takes into account what happened to a leased slot in the stash.
  void fold(core_slot& slot) noexcept {
    const std::uint64_t reuses = slot.reuses;
    const duration unused = slot.unused;
    totals_.direct += reuses - slot.reuses_seen;
    if constexpr (scaling_policy::enabled) busy_.absent(unused - slot.unused_seen);
    slot.reuses_seen = reuses;
    slot.unused_seen = unused;
  }
  /// It is lost. Soon after its connect, and before it served anybody, that is a failed connect, or connecting to something that takes
  /// logins and then hangs up would go on without a pause. `earlier`: leases before; `answered`: the server's last answer if that is known.
  void note_loss(core_slot& slot, std::uint64_t earlier, tick answered, tick now) noexcept {
    const bool served = has_served(slot) || (earlier > 0 && answered == tick{});
    if (served || now >= later(slot.born, config_.retry_delay)) return;
    slot.died_unserved = gate_.died_unserved(slot.wave, now, random_);
  }
  /// It came back, or answered.
  void note_service(const core_slot& slot, tick answered) noexcept {
    if (slot.on_trial && (answered == tick{} || has_served(slot))) gate_.proved();
  }
  void unreport(core_slot& slot) noexcept { slot.leak_reported = slot.needs_full_return = slot.on_trial = false; }
  bool worn_out(const core_slot& slot) const noexcept {
    if constexpr (lifetime_policy::enabled) return lifetime_.worn_out(slot.uses);
    return false;
  }
  /// Until when it may be handed out without a look.
  void refresh(core_slot& slot) noexcept {
    slot.fresh_until = slot.retire.at;
    if constexpr (OwnValidation) {
      // Also without validation before a hand-out: a connection in use all the time is never idle when the sweep comes by.
      const tick due = std::min(health_.fresh_until(slot.last_ok), later(slot.last_ok, health_.interval()));
      slot.fresh_until = std::min(slot.fresh_until, due);
    } else if constexpr (CanValidate) {
      slot.fresh_until = std::min(slot.fresh_until, health_.fresh_until(slot.last_ok));
    }
  }

  void start(tick now) noexcept;
  void begin_close(tick now, core_actions& a) noexcept;
  void outdate_all(close_reason why, tick now) noexcept;

  void deliver(core_waiter& w, core_slot& slot, tick now, bool from_idle) noexcept;
  void grant(core_waiter& w, core_slot& slot, tick now, bool from_idle, core_actions& a) noexcept;
  void remove(core_waiter& w) noexcept;
  void finish(core_waiter& w, errc error, core_actions& a) noexcept;
  void fail(core_waiter& w, errc error, core_actions& a) noexcept;
  void swap_grants(core_waiter& one, core_waiter& other) noexcept;
  void undo_checkout(core_slot& slot, tick now) noexcept;

  bool outlived(core_slot& slot, tick now) noexcept;
  void queue_action(core_slot& slot, slot_action what) noexcept;
  void run_op(core_slot& slot, slot_state during, slot_action what, duration limit, tick now) noexcept;
  void end_op(core_slot& slot) noexcept;
  void make_available(core_slot& slot, tick now, bool validated, core_actions& a) noexcept;
  void close_gracefully(core_slot& slot, close_reason reason, tick now) noexcept;
  void destroy(core_slot& slot, close_reason reason, tick now) noexcept;
  void leave(core_slot& slot, close_reason reason, tick now) noexcept;
  void close_idle(core_slot& slot, close_reason reason, tick now) noexcept;
  void give_up_op(core_slot& slot, close_reason reason, tick now) noexcept;
  void take_from_holder(core_slot& slot, close_reason reason, tick now) noexcept;

  void settle(tick now, core_actions& a) noexcept;
  void serve(tick now, core_actions& a) noexcept;
  void answer_openers(tick now, core_actions& a) noexcept;
  void fail_hopeless(tick now, core_actions& a) noexcept;
  void grow(tick now, core_actions& a) noexcept;
  std::size_t served_by_returns(std::size_t asked, tick now) noexcept;
  void trim(tick now) noexcept;
  void sweep(tick now) noexcept;
  void check_in_place(core_slot& slot, tick now) noexcept;
  void suspect(tick now) noexcept;
  void finish_closing(tick now, core_actions& a) noexcept;
  void note_changes(core_actions& a) noexcept;
  tick next_deadline(tick now) const noexcept;
  void expire_ops(tick now, core_actions& a) noexcept;
  void retire_old(tick now) noexcept;
  void reap_idle(tick now) noexcept;
  void find_leaks(tick now, leak_findings& leaks) noexcept;
  void scale(tick now, core_actions& a) noexcept;

  // What the hot path touches comes first.
  bool admits_ = false;
  phase phase_ = phase::fresh;
  bool suspended_ = false;
  bool orphan_ = false;         ///< the pool object is gone
  bool warm_ = false;           ///< `min_size` connections were there once
  bool wants_connect_ = false;  ///< only the gate holds it back
  std::array<std::size_t, slot_states> counts_{};
  std::size_t starting_ = 0;  ///< connects asked for and not registered yet
  tick armed_at_ = never;     ///< what the shell's timer is set to, or earlier
  idle_list idle_;
  intrusive_list<core_waiter> waiters_;
  intrusive_list<core_slot> leased_;  ///< in order of checkout
  std::uint64_t generation_ = 0;
  close_reason generation_ended_ = close_reason::recycled;  ///< why the latest one did
  const pool_config& config_;
  std::size_t min_;
  std::size_t max_;
  std::size_t target_;
  count_integral busy_;
  pool_stats totals_;  ///< its counters and histograms; the gauges are filled in by `snapshot()`

  intrusive_list<core_slot> reported_;    ///< leases known to the observer as leaked
  intrusive_list<core_slot> taken_back_;  ///< gone, and not let go of by their holders yet
  intrusive_list<core_slot> in_op_;       ///< connecting, validating before a hand-out, resetting, closing
  intrusive_list<core_waiter> openers_;
  intrusive_list<core_waiter> closers_;
  deadline_queue<core_waiter> waits_;
  deadline_queue<core_slot> bounds_;
  deadline_heap<core_slot> ages_;
  core_slot* first_action_ = nullptr;
  core_slot* last_action_ = nullptr;
  count_integral opened_;
  std::size_t background_ = 0;
  std::uint64_t last_ticket_ = 0;
  connection_id last_id_ = 0;
  duration usual_hold_ = duration(-1);     ///< of leases that were timed
  duration usual_connect_ = duration(-1);  ///< of connects that succeeded
  tick put_off_since_ = never;             ///< growth: somebody waits for returns instead
  tick put_off_until_ = never;
  tick last_retirement_{};
  tick next_sweep_ = never;
  tick suspected_at_{};  ///< when a connection last proved dead: what was fine before that is looked at again
  tick last_round_{};    ///< when it last began to look for that
  tick next_scale_ = never;
  tick close_deadline_ = never;
  pool_state seen_state_ = pool_state::starting;
  breaker_state seen_breaker_ = breaker_state::closed;
  splitmix random_;
  connect_gate<breaker_policy> gate_;
  [[no_unique_address]] health_policy health_;
  [[no_unique_address]] leak_policy leak_;
  [[no_unique_address]] scaling_policy scaling_;
  [[no_unique_address]] lifetime_policy lifetime_;
};

// Every member function of the core is `template <...> void pool_core<...>::name`; this keeps those lines readable.
#define TIDEPOOL_CORE(result)                                                  \
  template <class Traits, bool CanValidate, bool CanCheck, bool OwnValidation> \
  result pool_core<Traits, CanValidate, CanCheck, OwnValidation>

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#include "pool_core_callers.hpp"
#include "pool_core_lifecycle.hpp"
#include "pool_core_slots.hpp"
#include "pool_core_upkeep.hpp"

#undef TIDEPOOL_CORE

#endif
