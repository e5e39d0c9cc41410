// SPDX-License-Identifier: BSL-1.0
// tidepool - one operation of a fake connection: its outcome, latency and reaction to cancellation are decided when it starts.
#ifndef TIDEPOOL_TESTING_FAKE_OPERATION_HPP
#define TIDEPOOL_TESTING_FAKE_OPERATION_HPP

#include <algorithm>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "../version.hpp"
#include "virtual_timer.hpp"
#include "world.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail {

class fake_operation {
 public:
  using time_point = virtual_clock::time_point;
  using duration = virtual_clock::duration;

  /// May throw at once, as the first call of an operation may.
  fake_operation(std::shared_ptr<fake_session> session, operation what)
      : session_(std::move(session)), what_(what), timer_(session_->world->owner->get_executor()) {
    world_core& w = *session_->world;
    checked_mutex::expect_unlocked("an operation is started");
    if (what_ != operation::connect) ++w.counts.operations;
    if (session_->running) complain("two operations at once");
    if (session_->closed_gracefully) complain("an operation on a closed connection");
    if (session_->held && what_ != operation::query) complain("the pool's operation on a leased connection");
    session_->latest = what_;
    session_->operation_began = w.owner->now();
    session_->cancelled = false;
    decide(w, w.plan[what_]);
    session_->running = this;
    ++w.counts.running;
  }
  ~fake_operation() {
    if (on_cancel_) on_cancel_->target = nullptr;
    if (session_->running == this) session_->running = nullptr;
    --session_->world->counts.running;
  }
  fake_operation(const fake_operation&) = delete;
  fake_operation& operator=(const fake_operation&) = delete;

  /// Signature `void(error_code)`.
  template <class Token>
  static auto perform(std::shared_ptr<fake_operation> self, Token&& token) {
    return asio::async_initiate<Token, void(error_code)>(
        [](auto handler, std::shared_ptr<fake_operation> op) { start(std::move(op), std::move(handler)); }, token, std::move(self));
  }

  template <class Token = asio::use_awaitable_t<>>
  static asio::awaitable<void> await(std::shared_ptr<fake_operation> self) {
    return perform(std::move(self), Token());
  }

  /// The socket was shut: ends it now, with whatever outcome was planned.
  void socket_shut() { end_at(asio::error::connection_aborted, virtual_clock::now()); }
  /// The peer has closed.
  void server_died(bool mute) {
    mute ? end_at(asio::error::timed_out, (time_point::max)())
         : end_at(asio::error::connection_reset, virtual_clock::now() + std::chrono::microseconds(100));
  }

 private:
  struct canceller {
    explicit canceller(fake_operation& op) noexcept : target(&op) { op.on_cancel_ = this; }
    canceller(const canceller&) = delete;
    canceller& operator=(const canceller&) = delete;
    ~canceller() {
      if (target) target->on_cancel_ = nullptr;
    }
    void operator()(asio::cancellation_type_t) {
      if (target) target->cancelled();
    }
    fake_operation* target;
  };

  // Has all associations of the user's handler but its cancellation slot, because this operation handles cancellation itself.
  template <class Handler>
  struct completion {
    using executor_type = asio::associated_executor_t<Handler, virtual_timer::executor_type>;
    executor_type get_executor() const noexcept { return asio::get_associated_executor(handler, fallback); }
    void operator()(error_code) {
      const error_code result = op->finish();
      op.reset();
      std::move(handler)(result);
    }
    std::shared_ptr<fake_operation> op;
    Handler handler;
    virtual_timer::executor_type fallback;
  };

  template <class Handler>
  static void start(std::shared_ptr<fake_operation> op, Handler handler) {
    fake_operation& self = *op;
    auto slot = asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) slot.template emplace<canceller>(self);
    self.timer_.expires_at(self.ends_at_);
    auto executor = self.timer_.get_executor();
    self.timer_.async_wait(completion<Handler>{std::move(op), std::move(handler), std::move(executor)});
  }

  void decide(world_core& w, const behaviour& b) {
    const time_point now = w.owner->now();
    duration latency = b.latency;
    if (w.fault(b.slow)) latency = b.slow_latency;
    if (w.fault(b.on_the_edge)) latency = b.edge + duration(static_cast<int>(w.choices().choose(3)) - 1);
    ends_at_ = now + latency;

    if (session_->shut) {  // operations after abort() fail soon
      ends_at_ = now;
      result_ = asio::error::connection_aborted;
      ended_early_ = true;
      return;
    }
    if (w.fault(b.throws)) throw_error(asio::error::no_descriptors);
    if (w.fault(b.fails)) result_ = what_ == operation::connect ? asio::error::network_unreachable : asio::error::fault;
    if (what_ == operation::connect) {
      if (w.state == server_state::down || w.state == server_state::full) result_ = asio::error::connection_refused;
      if (w.state == server_state::starting) result_ = asio::error::try_again;
      if (w.state == server_state::unreachable) result_ = asio::error::network_unreachable;
      session_->read_only = w.state == server_state::read_only;
    } else if (session_->dies_at < ends_at_) {
      result_ = asio::error::connection_reset;
      if (w.fault(w.plan.mute_death)) ends_at_ = (time_point::max)();
    }
    if (w.state == server_state::hung || w.fault(b.hangs)) ends_at_ = (time_point::max)();

    if (w.fault(b.cancel_late)) delay_ = b.cancel_delay;
    if (w.fault(b.cancel_ignored)) heeds_ = false;
    if (w.fault(b.cancel_succeeds)) yields_success_ = true;
    if (!result_) {
      dirties_ = what_ != operation::close && w.fault(b.dirties);
      dies_ = w.fault(b.dies);
      if (dies_) dies_in_ = b.dies_within / 4 * static_cast<int>(w.choices().choose(5));
    }
  }

  void cancelled() {
    session_->cancelled = true;
    if (ended_early_) return;
    if (what_ == operation::ping || what_ == operation::reset) session_->condemned = true;
    if (!heeds_) return;
    const time_point at = virtual_clock::now() + delay_;
    if (at > ends_at_) return;  // its answer comes first
    end_at(yields_success_ ? result_ : error_code(asio::error::operation_aborted), at);
  }
  void end_at(error_code result, time_point at) {
    ended_early_ = true;
    result_ = result;
    ends_at_ = at;
    timer_.reschedule(at);
  }

  error_code finish() {
    fake_session& s = *session_;
    s.running = nullptr;
    if (on_cancel_) on_cancel_->target = nullptr;
    on_cancel_ = nullptr;
    if (!result_ && s.shut) result_ = asio::error::connection_aborted;
    if (!result_) {
      s.last_round_trip = virtual_clock::now();
      if (what_ == operation::reset) s.dirty = s.dirtied_by_user = false;
      if (dirties_) s.dirty = true;
      if (dirties_ && what_ == operation::query) s.dirtied_by_user = true;
      if (dies_) s.dies_at = (std::min)(s.dies_at, virtual_clock::now() + dies_in_);
      if (dies_) s.death_seen = !s.world->choices().chance(s.world->plan.unseen_death);
      return result_;
    }
    if (what_ == operation::ping || what_ == operation::reset) s.condemned = true;
    if (ended_early_) s.out_of_step = true;
    return result_;
  }

  void complain(const char* what) { session_->world->violation(std::string(to_string(what_)) + ": " + what); }
  [[noreturn]] void throw_error(error_code why) {
    if (what_ == operation::ping || what_ == operation::reset) session_->condemned = true;
    throw system_error(why, to_string(what_));
  }

  std::shared_ptr<fake_session> session_;
  operation what_;
  virtual_timer timer_;
  time_point ends_at_{};
  error_code result_{};
  duration delay_{};
  duration dies_in_{};
  bool heeds_ = true;
  bool yields_success_ = false;
  bool ended_early_ = false;
  bool dirties_ = false;
  bool dies_ = false;
  canceller* on_cancel_ = nullptr;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing {

inline void world::kill_sessions() { kill_sessions(1); }

inline void world::kill_sessions(double share) {
  for (detail::fake_session* s : core_->sessions) {
    if (!s->connected || s->is_dead() || !core_->choices().chance(share)) continue;
    s->dies_at = core_->owner->now();
    s->death_seen = !core_->fault(core_->plan.unseen_death);
    if (s->running) s->running->server_died(core_->fault(core_->plan.mute_death));
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing

#endif
