// SPDX-License-Identifier: BSL-1.0
// tidepool - the multiplexer's law: which statement goes to which lane, and what its answer means. No I/O, no clock, no libpq.
//
// How the multiplexer is built
// ----------------------------
// In layers, each tested without the next:
//   dispatcher (here)   a synchronous state machine: statements, lanes and times go in; verdicts and orders come out.
//   front               the engine as callers see it: all that a handler's file compiles.
//   engine              one executor, one timer, one post a turn: carries out the orders, and runs the lanes' input and output.
//   lane of libpq       a connection of the pool in pipeline mode. In the simulator a fake lane stands in its place.
//
// A statement (`job`) is a read or a write; reads go to read lanes, writes to write lanes, each kind by one queue, first come first served.
// `dispatch()`, once a turn of the loop, gives what waits to the lanes: to an idle one first, else to the one with the fewest in flight,
// never to one that has its full depth or bytes, or whose head has been running for longer than `stall_after`. It puts all of them, then a
// Sync where one is due, then asks for one flush a lane. Nothing waits for more to come.
//
// By turns: a server with fewer processors than lanes works on one lane for as long as that has something. A lane that is refilled while it
// answers would keep the server, and statements that were sent on others before would wait for as long. So when one of them is overtaken,
// lanes take statements only when they are idle, for `by_turns`: then their share of all there are, in one batch. The server gets round to
// every lane, and wakes once a batch. Whether the other lane waits for its turn or for a slow statement cannot be seen; by turns is right
// for both.
//
// Groups: the statements between two Syncs. On a write lane each group is one statement, so each is a transaction of its own. On a read
// lane the statements of one turn share a Sync, up to `group_limit`. An answer is final when its Sync is answered, because the error of a
// transaction's end comes there. In a group the server skips what follows a failed statement: it was not executed, so it goes back to the
// queue, to the place it had by its number. A group that fails halves the lane's next groups, one that succeeds doubles them, so that bad
// statements among good ones cost a bounded number of repetitions.
//
// What a caller may be told, and when:
//   waiting:   deadline -> late, cancelled -> cancelled, close -> closed, no connection -> no_lane. It was certainly not executed.
//   sent:      deadline -> late (read), unknown (write); cancelled -> cancelled. Its answer is dropped when it comes.
//   lane lost: a statement that failed has its answer; a read goes back to the queue, at most `most_losses` times; a write is unknown.
//   skipped, stale: back to the queue, invisibly.
//
// Lanes are opened while statements meet no idle one, one at a turn, up to `max_lanes`. They are given back, drained first, when they have
// been idle for `lane_idle`, at their `retire` time, when the pool wants them back (`drain()`), and at close. A lane turns into one of the
// other kind, drained first, when that kind has statements and no lane, and none can be opened; when that kind's lanes are all stalled and
// its statements have waited for `turn_after`; or when that kind's lanes are all full and this one has been idle for some time. A lane that
// waits for a slow statement itself is the last to be chosen. So neither kind can starve the other, also with one lane.
// A lane whose head nobody waits for any more, and which has been silent for `give_up_after`, is shut.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_DISPATCHER_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_DISPATCHER_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "../../../version.hpp"
#include "job.hpp"
#include "rules.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

class dispatcher {
 public:
  explicit dispatcher(const rules& given) : rules_(given) {
    for (std::size_t i = 0; i < rules_.max_lanes; ++i) lanes_.push_back(std::make_unique<lane>(i, rules_.max_depth));
  }
  dispatcher(const dispatcher&) = delete;
  dispatcher& operator=(const dispatcher&) = delete;

  // --- statements -------------------------------------------------------------------------------------------------------------------

  /// Puts a statement into the queue. Where it is refused `complete` is called inside.
  void submit(job& j, tick now, tick deadline) noexcept {
    j.number = ++numbers_;
    j.submitted = now;
    ++counts_.submitted;
    if (closing_) return finish(j, verdict::closed);
    if (waiting() >= rules_.max_waiting) return finish(j, verdict::full);
    deadlines_.insert(j.due, deadline);
    queue(j.kind).push_back(j);
  }

  /// The caller gives it up. No effect on one that is not there.
  void abandon(job& j, verdict why) noexcept {
    if (j.linked()) {
      queue(j.kind).erase(j);
      return finish(j, why);
    }
    if (j.on == nullptr) return;
    j.on->at(j.ticket).who = nullptr;
    ++counts_.dropped;
    finish(j, j.kind == lane_kind::write && why == verdict::late ? verdict::unknown : why);
  }

  // --- a turn -----------------------------------------------------------------------------------------------------------------------

  /// Sends what can be sent. `io.put(lane, job)` returns a `put_result`; where it is `refused` the caller gets `answered` afterwards.
  /// `io.sync(lane)` and `io.flush(lane)` return false when the lane is dead. None of them may call the dispatcher.
  template <class Io>
  void dispatch(tick now, Io& io) {
    // Again where a lane was lost meanwhile: its reads wait again, and others may take them.
    while (dispatch_once(now, io) && !empty()) {
    }
  }

  // --- answers ----------------------------------------------------------------------------------------------------------------------

  /// The statement whose answer comes next on this lane: its job, or null where nobody waits for it any more. False: no answer is due.
  job* next_of(lane& of) noexcept { return of.awaits_answer() ? of.next_answer().who : nullptr; }
  /// Its answer has come. False: none was due, and the lane is out of step.
  bool answered(lane& on, answer what, tick now) noexcept {
    if (!on.awaits_answer() || on.awaits_sync()) return false;
    on.note_answer(what);
    progress(on, now);
    return true;
  }
  /// A Sync was answered: what it ends is final. `failed`: with an error of the transaction's end. False: it was not due, and the lane is
  /// out of step.
  bool synced(lane& on, bool failed, tick now) noexcept {
    if (!on.awaits_sync()) return false;
    progress(on, now);
    bool bad = failed;
    std::size_t size = 0;
    for (bool last = false; !last; ++size) {
      const ticket done = on.pop();
      last = done.ends_group;
      bad = bad || done.got != answer::good;
      if (done.who == nullptr) continue;
      job& j = *done.who;
      j.on = nullptr;
      const bool whole = size == 0 && last;
      if (done.got == answer::skipped || done.got == answer::stale || (done.got == answer::good && failed && !whole)) {
        ++(done.got == answer::skipped ? counts_.skipped : done.got == answer::stale ? counts_.stale : counts_.resent);
        if (done.got == answer::good) j.alone = true;
        put_back(j);
        continue;
      }
      ++on.served;
      const auto of_kind = static_cast<std::size_t>(j.kind);
      times_.wait[of_kind].record(j.sent - j.submitted);
      times_.service[of_kind].record(now - j.sent);
      if (!by_turns(now)) note_overtaking(on, j.sent, now);
      if (now - j.submitted > slow_ && on_slow) on_slow(on_slow_context, j, now);
      counts_.failed += done.got == answer::failed || failed;
      finish(j, verdict::answered);
    }
    const auto most = static_cast<std::uint32_t>(on.kind == lane_kind::read ? rules_.max_group : 1);
    on.group_limit = bad ? std::max<std::uint32_t>(on.group_limit / 2, 1) : std::min<std::uint32_t>(on.group_limit * 2, most);
    if (on.idle()) on.since = now;
    if (on.state == lane_state::draining) settle(on, now);
    return true;
  }

  // --- lanes ------------------------------------------------------------------------------------------------------------------------

  /// The next thing to be done with a lane, once; null: nothing.
  lane* next_order(lane_order& what) noexcept {
    for (const auto& each : lanes_) {
      if (each->order == lane_order::none) continue;
      what = each->order;
      each->order = lane_order::none;
      return each.get();
    }
    return nullptr;
  }
  /// Its connection is there, and it is of the kind that was ordered. `retire`: when it is to be given back.
  void ready(lane& l, tick now, tick retire) noexcept {
    l.state = lane_state::ready;
    l.since = l.progress = now;
    l.retire = retire;
    l.group_limit = static_cast<std::uint32_t>(l.kind == lane_kind::read ? rules_.max_group : 1);
    l.told_stalled = l.turns = false;
    reopen_at_ = tick{};
    ++counts_.lanes_opened;
    if (closing_) drain(l, now);
  }
  /// It has none. Where no other lane is there or comes, those who waited when it was asked for are told so.
  void failed(lane& l, tick now) noexcept;
  /// Its connection was lost while it was turned. Nothing was on it; another one is opened where one is wanted.
  void lost_turning(lane& l) noexcept {
    l.state = lane_state::vacant;
    l.turns = false;
    ++counts_.lanes_lost;
  }
  /// Its connection is gone: everybody on it is answered, or waits again.
  void died(lane& l, tick now) noexcept {
    fall(l);
    bury(l, now);
  }
  /// The shell has done what `release` or `kill` ordered.
  void vacated(lane& l) noexcept { l.state = lane_state::vacant; }
  /// It takes no more statements, and is given back when all it has is answered.
  void drain(lane& l, tick now) noexcept;
  /// Refuses statements from now on, tells those who wait, and drains the lanes.
  void close(tick now) noexcept;

  // --- time -------------------------------------------------------------------------------------------------------------------------

  /// When `tick_at` has something to do at the earliest.
  tick due() const noexcept {
    const tick deadline = deadlines_.next();
    const tick look =
        looking() ? later(looked_, busy() ? rules_.stall_after : std::min<duration>(rules_.lane_idle, std::chrono::seconds(1))) : never;
    return std::min(deadline, look);
  }
  /// Deadlines that have passed, stalled and silent lanes, lanes that are to be given back. `dispatch()` follows.
  void tick_at(tick now) noexcept;

  // --- looking ----------------------------------------------------------------------------------------------------------------------

  bool closing() const noexcept { return closing_; }
  bool empty() const noexcept { return queues_[0].empty() && queues_[1].empty(); }
  std::size_t waiting() const noexcept { return queues_[0].size() + queues_[1].size(); }
  std::size_t waiting(lane_kind kind) const noexcept { return queues_[static_cast<std::size_t>(kind)].size(); }
  const rules& limits() const noexcept { return rules_; }
  const counters& counts() const noexcept { return counts_; }
  const timings& times() const noexcept { return times_; }
  /// Called with statements that took longer than `than`, when they are answered.
  void report_slow(duration than) noexcept { slow_ = than; }
  void (*on_slow)(void* context, const job&, tick answered) noexcept = nullptr;
  void* on_slow_context = nullptr;
  std::size_t in_flight() const noexcept {
    std::size_t out = 0;
    for (const auto& each : lanes_) out += each->depth();
    return out;
  }
  std::size_t lane_count() const noexcept { return lanes_.size(); }
  lane& lane_at(std::size_t i) noexcept { return *lanes_[i]; }
  const lane& lane_at(std::size_t i) const noexcept { return *lanes_[i]; }
  bool stalled(const lane& l, tick now) const noexcept { return !l.idle() && now >= later(l.progress, rules_.stall_after); }
  /// Lanes take statements only when they are idle.
  bool by_turns(tick now) const noexcept { return now < by_turns_until_; }
  /// No lane has a connection, or is about to get one.
  bool vacant() const noexcept {
    return std::all_of(lanes_.begin(), lanes_.end(), [](const auto& each) { return each->state == lane_state::vacant; });
  }

 private:
  using job_list = intrusive_list<job>;
  job_list& queue(lane_kind kind) noexcept { return queues_[static_cast<std::size_t>(kind)]; }

  void finish(job& j, verdict how) noexcept {
    deadlines_.erase(j.due);
    j.on = nullptr;
    switch (how) {
      case verdict::answered: ++counts_.answered; break;
      case verdict::late: ++counts_.late; break;
      case verdict::cancelled: ++counts_.cancelled; break;
      case verdict::full: ++counts_.refused; break;
      case verdict::closed: ++counts_.closed; break;
      case verdict::no_lane: ++counts_.no_lane; break;
      case verdict::lost: ++counts_.lost; break;
      case verdict::unknown: ++counts_.unknown; break;
    }
    j.complete(&j, how);
  }
  /// Back to the place that its number gives it.
  void put_back(job& j) noexcept;

  /// True: a lane was lost.
  template <class Io>
  bool dispatch_once(tick now, Io& io) {
    for (const auto kind : {lane_kind::read, lane_kind::write}) {
      auto& waiting_here = queue(kind);
      if (waiting_here.empty()) continue;
      bool wanted = false;
      const std::size_t share = by_turns(now) ? share_of(kind) : 0;
      while (job* const next = waiting_here.front()) {
        lane* const to = choose(kind, now, next->bytes, share);
        if ((to == nullptr || !to->idle()) && !wanted) {
          wanted = true;
          want_lane(kind, now);
        }
        if (to == nullptr) break;
        waiting_here.erase(*next);
        if (!send(*to, *next, now, io)) put_back(*next);
      }
    }
    bool lost = false;
    for (const auto& each : lanes_) {
      lane& l = *each;
      if (l.to_flush) {
        l.to_flush = false;
        if (l.state != lane_state::fallen && ((l.group_size > 0 && !sync(l, io)) || !flush(l, io))) fall(l);
      }
      if (l.state != lane_state::fallen) continue;
      lost = true;
      bury(l, now);
    }
    return lost;
  }
  bool fits(const lane& l, std::size_t bytes) const noexcept {
    return l.idle() || (l.depth() < rules_.max_depth && l.bytes + bytes <= rules_.max_bytes);
  }
  /// Statements of a kind that one of its lanes takes, by turns.
  std::size_t share_of(lane_kind kind) const noexcept {
    std::size_t lanes = 0, statements = waiting(kind);
    for (const auto& each : lanes_) {
      if (each->state != lane_state::ready || each->kind != kind) continue;
      ++lanes;
      statements += each->depth();
    }
    return lanes == 0 ? 0 : (statements + lanes - 1) / lanes;
  }
  /// A statement of this lane, sent then, was answered. One that was sent on another lane before has waited there ever since.
  void note_overtaking(const lane& on, tick sent, tick now) noexcept {
    for (const auto& each : lanes_) {
      if (each.get() != &on && !each->idle() && each->progress < sent) by_turns_until_ = later(now, rules_.by_turns);
    }
  }
  /// `share`: of a lane that takes statements by turns; 0: they do not.
  lane* choose(lane_kind kind, tick now, std::size_t bytes, std::size_t share) noexcept {
    lane* best = nullptr;
    for (const auto& each : lanes_) {
      lane& l = *each;
      if (l.state != lane_state::ready || l.kind != kind) continue;
      if (l.idle()) return &l;
      if (share != 0 && (!l.to_flush || l.depth() >= share)) continue;
      if ((best != nullptr && l.depth() >= best->depth()) || !fits(l, bytes) || stalled(l, now)) continue;
      best = &l;
    }
    return best;
  }

  /// False: it was not sent, because the lane is dead.
  template <class Io>
  bool send(lane& to, job& j, tick now, Io& io) {
    if (to.group_size > 0 && j.alone && !sync(to, io)) {
      fall(to);
      return false;
    }
    const auto how = io.put(to, j);
    if (how == put_result::lost) {
      fall(to);
      return false;
    }
    if (how == put_result::refused) {
      finish(j, verdict::answered);
      return true;
    }
    if (to.idle()) {
      to.progress = now;
      to.told_stalled = false;
    }
    j.on = &to;
    j.sent = now;
    j.ticket = to.add(j);
    ++to.group_size;
    ++counts_.sent;
    to.to_flush = true;
    // Where the lane is dead now, the statement counts as sent.
    if ((j.alone || to.group_size >= to.group_limit) && !sync(to, io)) fall(to);
    return true;
  }
  template <class Io>
  bool flush(lane& l, Io& io) {
    ++counts_.flushes;
    return io.flush(l);
  }
  template <class Io>
  bool sync(lane& l, Io& io) {
    l.end_group();
    ++counts_.syncs;
    return io.sync(l);
  }

  void progress(lane& l, tick now) noexcept {
    l.progress = now;
    l.told_stalled = false;
  }
  /// Nothing can be sent on it, or comes from it, any more.
  void fall(lane& l) noexcept { l.state = lane_state::fallen; }
  /// Answers those who were sent on a lane that is dead.
  void bury(lane& l, tick now) noexcept;
  /// A draining lane that has nothing left is given back, or turned.
  void settle(lane& l, tick now) noexcept;

  /// A statement of this kind meets no idle lane.
  void want_lane(lane_kind kind, tick now) noexcept;
  void consider_turning(lane_kind kind, tick now) noexcept;

  bool busy() const noexcept {
    return !empty() || std::any_of(lanes_.begin(), lanes_.end(), [](const auto& each) { return !each->idle(); });
  }
  bool looking() const noexcept { return !empty() || !vacant(); }

  rules rules_;
  std::vector<std::unique_ptr<lane>> lanes_;
  std::array<job_list, 2> queues_;
  deadline_queue<job> deadlines_;
  counters counts_;
  timings times_;
  duration slow_{};
  std::uint64_t numbers_ = 0;
  tick looked_{};
  tick reopen_at_{};
  tick by_turns_until_{};
  bool closing_ = false;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#include "dispatcher_lanes.hpp"

#endif
