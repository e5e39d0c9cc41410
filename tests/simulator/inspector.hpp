// SPDX-License-Identifier: BSL-1.0
// tidepool - checks the invariants of a pool from outside: after every step, and whenever nothing can run.
// The numbers are those of tests/README.md. Rules about a single lease, acquire or operation are checked where it happens (harness.hpp, and
// the fake connection itself); here the figures of the pool and of the world are compared.
#ifndef TIDEPOOL_TESTS_SIMULATOR_INSPECTOR_HPP
#define TIDEPOOL_TESTS_SIMULATOR_INSPECTOR_HPP

#include "harness.hpp"

namespace tidepool_sim {

template <class Kind>
class inspector {
 public:
  /// Reading the figures of a pool empties its stash, so a pool that has one is read once in `every` looks.
  explicit inspector(bench<Kind>& b, std::uint32_t every = 1) : b_(b), every_(every) {}

  /// What happened before is not looked at.
  void begin() {
    before_ = b_.pool->stats();
    connects_when_quiet_ = before_.connects_started;
    resizes_ = b_.resizes;
  }

  void after_step() {
    if (!b_.pool) return;
    const pool_state in = b_.pool->state();
    if (!b_.closing && (in == pool_state::closing || in == pool_state::closed)) {
      b_.expect(b_.opening > 0, "INV-11", "the pool closed by itself");
      b_.closed(b_.config.close_grace);
    }
    if (passes_by()) return;
    const pool_stats s = b_.pool->stats();
    conservation(s);
    accounting(s);
    demand(s);
    closing(s);
    before_ = s;
    fresh_ = true;
  }

  void when_quiet() {
    attempts();
    operations();
    if (b_.pool && !passes_by()) {
      const pool_stats s = b_.pool->stats();
      work_conservation(s);
      nothing_held(s);
      end_of_close(s);
      sockets(s);
    }
    order();
  }

 private:
  /// What hangs on the moment before has to be left out afterwards.
  bool passes_by() {
    if (++looks_ % every_ == 0 || b_.closing) return false;
    fresh_ = false;
    b_.hungry_since = time_point::max();
    return true;
  }

  using operation = tidepool::testing::operation;
  static constexpr tidepool::testing::fake_features can = Kind::features;

  // INV-1: everything is counted, nothing twice, and the sum keeps to the limit.
  void conservation(const pool_stats& s) {
    const std::size_t sum = s.idle_connections + s.active_connections + s.connecting + s.validating + s.resetting + s.closing;
    b_.expect(sum == s.total_connections, "INV-1", "the states do not add up to the total");
    if (s.total_connections <= s.max_size) b_.allowed_total = s.max_size;
    b_.expect(s.total_connections <= b_.allowed_total, "INV-1", "more connections than max_size");
    b_.allowed_total = std::max(s.max_size, s.total_connections);
    b_.expect(s.connecting <= b_.config.max_connecting, "INV-15", "more connects at once than max_connecting");
    if constexpr (can.abort) {
      std::size_t open = 0;
      for (const auto* session : b_.world->core()->sessions) open += session->connected;
      b_.expect(open <= s.total_connections + b_.detached.size(), "INV-1", "an open socket that the pool does not count");
    }
  }

  // INV-1 with attempts: all are accounted for, but for those that were told to end and do not.
  void sockets(const pool_stats& s) {
    if constexpr (can.abort) {
      std::size_t open = 0;
      for (const auto* session : b_.world->core()->sessions) open += session->connected || !session->cancelled;
      b_.expect(open <= s.total_connections + b_.detached.size(), "INV-1", "an attempt that the pool does not count");
    }
  }

  // INV-12: what was started has ended or is under way; counters only grow.
  void accounting(const pool_stats& s) {
    b_.expect(s.total_checkouts + s.failed_checkouts + s.waiting == b_.acquires, "INV-12", "acquires do not add up");
    b_.expect(
        s.connections_created == s.connections_closed + s.idle_connections + s.active_connections + s.validating + s.resetting + s.closing,
        "INV-12", "connections created and closed do not add up");
    b_.expect(s.total_checkouts == s.total_checkins + s.active_connections, "INV-12", "checkouts and check-ins do not add up");
    b_.expect(s.connects_started >= s.connections_created + s.connection_errors, "INV-12", "more connects ended than began");
    const auto limit = [this](const pool_stats& of) {
      const std::size_t taken = of.active_connections + of.closing;
      const std::size_t room = of.max_size > taken ? of.max_size - taken : 0;  // who waits for these does not count
      return b_.config.max_waiting + std::min(room, std::size_t(no_limit) - b_.config.max_waiting);
    };
    b_.expect(!fresh_ || s.waiting <= std::max({limit(s), limit(before_), before_.waiting, b_.waited_at_resize}), "INV-12",
              "more callers wait than max_waiting");
    b_.waited_at_resize = 0;
    b_.expect(grown(s), "INV-12", "a counter went back");
  }
  bool grown(const pool_stats& s) const {
    const pool_stats& o = before_;
    return s.timeouts >= o.timeouts && s.rejected_full >= o.rejected_full && s.cancelled >= o.cancelled &&
           s.refused_open >= o.refused_open && s.refused_connect >= o.refused_connect && s.refused_closed >= o.refused_closed &&
           s.connects_started >= o.connects_started && s.connections_created >= o.connections_created &&
           s.connection_errors >= o.connection_errors && s.connections_closed >= o.connections_closed && s.validations >= o.validations &&
           s.validation_failures >= o.validation_failures && s.resets >= o.resets && s.leaks_detected >= o.leaks_detected &&
           s.leaks_returned >= o.leaks_returned && s.leaks_reclaimed >= o.leaks_reclaimed && s.generation >= o.generation;
  }

  // INV-21: no connect without a caller or a floor that needs it.
  void demand(const pool_stats& s) {
    const std::uint64_t begun = s.connects_started - before_.connects_started;
    const std::uint64_t now_inside = b_.asked_inside + b_.given_back_inside;
    const std::uint64_t inside = now_inside - std::exchange(inside_, now_inside);
    if (begun == 0 || std::exchange(resizes_, b_.resizes) != b_.resizes || !fresh_) return;
    const std::size_t alive = s.total_connections - s.closing;
    const std::size_t others = alive > begun ? alive - begun : 0;
    const std::size_t floor = std::max(s.min_size, s.target_size);
    const std::size_t needed = std::max(s.waiting, before_.waiting) + (floor > others ? floor - others : 0) + s.min_idle + inside;
    b_.expect(begun <= needed, "INV-21", "connects without a need");
  }

  // INV-11, the part that holds at once.
  void closing(const pool_stats& s) {
    if (!b_.closing) return;
    b_.expect(s.waiting == 0, "INV-11", "a caller waits for a pool that is closed");
    b_.expect(s.connecting == 0 && s.idle_connections == 0, "INV-11", "idle connections, or connects, after close()");
    b_.expect(s.state == pool_state::closing || s.state == pool_state::closed, "INV-11", "open after close()");
    b_.expect((s.state == pool_state::closed) == (s.total_connections == 0), "INV-11", "closed with connections, or the reverse");
  }

  void end_of_close(const pool_stats& s) {
    if (b_.closing && b_.sim->now() > std::max(b_.close_by, b_.frozen_until + b_.config.close_timeout)) {
      b_.expect(s.state == pool_state::closed, "INV-11", "close() takes longer than its bounds");
    }
  }

  // INV-7: no caller waits beyond its deadline.
  void attempts() {
    const time_point now = b_.sim->now();
    for (const auto& a : b_.attempts_) b_.expect(a->deadline > now, "INV-7", "an acquire outlives its deadline");
    if (!b_.pool) b_.expect(b_.attempts_.empty(), "INV-18", "an acquire outlives its pool");
    if (b_.closing) b_.expect(b_.attempts_.empty(), "INV-11", "an acquire outlives close()");
  }

  // INV-8: an operation that passes its bound is cancelled, and its socket is shut.
  void operations() {
    const time_point now = b_.sim->now();
    if (now <= b_.frozen_until) return;
    for (const auto* s : b_.world->core()->sessions) {
      if (!s->running || s->cancelled || s->held) continue;
      const auto limit = s->latest == operation::connect ? b_.config.connect_timeout
                         : s->latest == operation::ping  ? b_.config.validation_timeout
                         : s->latest == operation::reset ? b_.config.reset_timeout
                         : s->latest == operation::close ? b_.config.close_timeout
                                                         : no_limit;
      if (limit == no_limit) continue;
      b_.expect(s->operation_began + limit > now, "INV-8", "an operation outlives its bound");
    }
  }

  // INV-5, the most important one: no caller waits while there is a connection for it, or one may be opened.
  void work_conservation(const pool_stats& s) {
    const bool stuck = s.waiting > 0 && !b_.suspended && !b_.closing;
    if (stuck) {
      b_.expect(s.idle_connections == 0 || s.validating >= s.waiting, "INV-5", "a caller waits although a connection is idle");
      // A connection that is lost before it served is a failed connect, and the next connect that succeeds proves nothing yet.
      const bool failing = b_.last_connect_failed || s.state == pool_state::degraded || s.state == pool_state::critical;
      const std::size_t coming = s.connecting + s.validating + s.resetting;
      const bool room = s.total_connections < s.max_size && s.connecting < b_.config.max_connecting;
      const bool hungry = s.waiting > coming && room && !(s.connecting > 0 && failing);
      const bool tried = std::exchange(connects_when_quiet_, s.connects_started) != s.connects_started;
      if (!hungry || tried) b_.hungry_since = time_point::max();
      if (hungry && b_.hungry_since == time_point::max()) b_.hungry_since = b_.sim->now();
      // A connect that was under way and fails begins a pause of its own.
      if (hungry && failing) b_.hungry_since = std::max(b_.hungry_since, b_.failed_last);
      // The callers that wait now may not have been there when it began, and growth is put off again for each first one.
      if (hungry && !b_.attempts_.empty()) b_.hungry_since = std::max(b_.hungry_since, b_.attempts_.front()->began);
      // Only the back-off, or the breaker, may hold a connect back; and not for longer than they say.
      duration patience{};
      if (failing) patience = std::max({b_.config.max_retry_delay, b_.config.breaker_open_time, b_.config.retry_delay});
      if (failing && b_.lost_unserved) patience *= 2;  // a pause after the success in doubt, and one after its end
      if (failing && b_.permanent_failures) patience = std::max<duration>(patience, 5s);
      // ... but for growth that waits for leases to come back: for as long as a connect usually takes.
      if (s.active_connections > 0) patience = std::max<duration>(patience, s.connect_time.max());
      b_.expect(!hungry || b_.sim->now() - b_.hungry_since <= patience, "INV-5", "a caller waits although a connection may be opened");
    } else {
      b_.hungry_since = time_point::max();
    }
    b_.expect(s.waiting == b_.attempts_.size(), "INV-4", "the queue holds others than those who wait");
  }

  // INV-4: leases and the pool's count of them agree, but for those whose socket it has shut.
  void nothing_held(const pool_stats& s) {
    if constexpr (can.abort) {
      std::size_t mine = 0;
      for (const auto* h : b_.holdings_) mine += !h->held->session().shut;
      b_.expect(s.active_connections == mine, "INV-4", "leases without a holder, or holders without a lease");
    }
  }

  // INV-6: first come, first served. Not checked when a granted connection proved dead on the way, which sends its waiter back.
  void order() {
    for (const std::uint64_t served : b_.grants_now_) {
      for (const auto& a : b_.attempts_) {
        if (a->queued) b_.expect(a->ticket > served, "INV-6", "a later caller was served first");
      }
    }
    b_.grants_now_.clear();
    for (const auto& a : b_.attempts_) a->queued = true;
  }

  bench<Kind>& b_;
  const std::uint32_t every_;
  std::uint32_t looks_ = 0;
  bool fresh_ = true;  // nothing happened between `before_` and the step that is looked at
  pool_stats before_{};
  std::uint64_t resizes_ = 0;
  std::uint64_t inside_ = 0;
  std::uint64_t connects_when_quiet_ = 0;
};

}  // namespace tidepool_sim

#endif
