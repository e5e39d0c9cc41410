// SPDX-License-Identifier: BSL-1.0
// tidepool - replays a recording in a simulation: the same callers against the same or another configuration.
//
//   const auto seen = tidepool::recording::load("orders-0.recording");
//   auto other = seen.config();
//   other.max_size = 30;
//   std::puts(tidepool::testing::replay(seen, other).figures().text().c_str());
#ifndef TIDEPOOL_TESTING_REPLAY_HPP
#define TIDEPOOL_TESTING_REPLAY_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../basic_pool.hpp"
#include "../config.hpp"
#include "../policy/recorder.hpp"
#include "../recording.hpp"
#include "../version.hpp"
#include "detail/replay_script.hpp"
#include "simulated_traits.hpp"
#include "simulation.hpp"
#include "virtual_timer.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing {

namespace detail {

/// A connection that behaves as those of a recording did.
class replayed_connection {
 public:
  struct session {
    replay_script* script = nullptr;
    lease_end end = lease_end::clean;
    bool dead = false;
    virtual_clock::time_point answered{};
  };

  explicit replayed_connection(std::shared_ptr<session> of) : session_(std::move(of)) {}

  asio::awaitable<void> ping() { return perform(session_, &replay_script::validations); }
  asio::awaitable<void> reset() { return perform(session_, &replay_script::resets); }
  asio::awaitable<void> close() { return perform(session_, &replay_script::closes); }
  bool usable() const noexcept { return !session_->dead; }
  lease_end after_lease() const noexcept { return session_->dead ? lease_end::broken : session_->end; }
  virtual_clock::time_point last_round_trip() const noexcept { return session_->answered; }
  const std::shared_ptr<session>& state() const noexcept { return session_; }

  static asio::awaitable<replayed_connection> connect(replay_script* script) {
    const duration now = virtual_clock::now().time_since_epoch();
    recorded_work::attempt found = script->connects.at(now);
    if (script->connects.empty()) found.took = script->default_connect;
    if (script->warm) found = {};
    co_await wait(found);
    if (found.how != 0) throw connect_error(static_cast<failure_kind>(found.how - 1), "as in the recording");
    auto made = std::make_shared<session>();
    made->script = script;
    made->answered = script->tells_answers ? virtual_clock::now() : virtual_clock::time_point{};
    co_return replayed_connection(std::move(made));
  }

 private:
  static asio::awaitable<void> wait(const recorded_work::attempt& found) {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    virtual_timer timer(executor);
    const bool hangs = found.how == recorded_event::gave_up;
    timer.expires_after(hangs ? (virtual_clock::duration::max)() : found.took);
    if (hangs || found.took > duration::zero()) co_await timer.async_wait(asio::use_awaitable);
  }
  static asio::awaitable<void> perform(std::shared_ptr<session> of, recorded_work replay_script::*kind) {
    recorded_work::attempt found = (of->script->*kind).at(virtual_clock::now().time_since_epoch());
    co_await wait(found);
    if (found.how != 0) throw std::runtime_error("as in the recording");
    of->end = lease_end::clean;
    if (of->script->tells_answers) of->answered = virtual_clock::now();
  }

  std::shared_ptr<session> session_;
};

struct replay_traits : simulated_traits<replayed_connection> {
  using recorder_policy = recorder;
  /// That of the recorded pool: its jitter is drawn again.
  static inline thread_local std::uint64_t seed = 0;
  static std::uint64_t random_seed() { return seed; }
};

/// One replay.
class replay_run {
 public:
  replay_run(const recording& from, const pool_config& with)
      : from_(from),
        same_(with.to_string() == from.configuration),
        // So that nothing is before the clock's epoch.
        shift_(from.begins_at() < std::chrono::seconds(1) ? duration(std::chrono::seconds(1)) : duration::zero()),
        begin_(from.begins_at() + shift_),
        script_(shifted(from, shift_), with.acquire_timeout),
        choices_(choice_source::replay({})),
        sim_(choices_, virtual_clock::time_point(from.lost == 0 ? begin_ : begin_ - warming)) {
    replay_traits::seed = from.seed;
    pool_.emplace(
        sim_.get_executor(), [script = &script_] { return replayed_connection::connect(script); }, adapted(with));
  }

  recording run() {
    if (from_.lost > 0) warm_up();
    for (const recorded_event& verb : script_.verbs) {
      at(verb.at, [this, verb] { act(verb); });
    }
    // One timer for all: they come in their order, also where several come at once.
    play_from(0);
    sim_.run_until(virtual_clock::time_point(from_.made_at + shift_), (std::numeric_limits<std::size_t>::max)());
    return cut();
  }

 private:
  using pool_type = basic_pool<replayed_connection, replay_traits>;
  using lease = pool_type::lease;
  static constexpr duration warming = std::chrono::milliseconds(2);

  struct caller : std::enable_shared_from_this<caller> {
    caller(replay_run& of, const replayed_call& as) : run(of), call(as), timer(of.sim_.get_executor()) {}

    void ask() {
      if (call.tried) return served(run.pool_->try_acquire());
      const auto self = shared_from_this();
      run.pool_->async_acquire(call.timeout, asio::bind_cancellation_slot(signal.slot(), [self](error_code failed, lease got) {
                                 self->timer.cancel();
                                 if (!failed) self->served(std::move(got));
                               }));
      if (call.cancel_after == no_limit) return;
      timer.expires_after(call.cancel_after);
      timer.async_wait([self](error_code over) {
        if (!over) self->signal.emit(asio::cancellation_type::terminal);
      });
    }
    void served(lease got) {
      if (!got) return;
      held = std::move(got);
      if (call.hold == no_limit) return run.kept_.push_back(shared_from_this());
      end_at(run.sim_.now() + call.hold);
    }
    void end_at(virtual_clock::time_point when) {
      if (when <= run.sim_.now()) return end();
      timer.expires_at(when);
      timer.async_wait([self = shared_from_this()](error_code over) {
        if (!over) self->end();
      });
    }
    void end() {
      const auto state = held->state();
      state->end = call.end;
      state->answered = call.unanswered == no_limit ? virtual_clock::time_point{} : run.sim_.now() - call.unanswered;
      switch (call.how) {
        case lease_over::released: held.release(); break;
        case lease_over::discarded: held.discard(); break;
        case lease_over::detached: (void)held.detach(); break;
      }
      if (call.dies) state->dead = true;
    }

    replay_run& run;
    replayed_call call;
    virtual_timer timer;
    asio::cancellation_signal signal;
    lease held;
  };

  static recording shifted(recording from, duration by) {
    if (by == duration::zero()) return from;
    for (recorded_event& e : from.events) {
      e.at += by;
      if (e.kind == recorded_kind::returned && e.value != 0) e.value += static_cast<std::uint64_t>(by.count());
    }
    from.made_at += by;
    return from;
  }
  pool_config adapted(pool_config with) const {
    const std::size_t expected = from_.events.size() * 3 + script_.calls.size() * 3;
    with.recorder_memory = (std::min)(std::max<std::size_t>(expected * 64, std::size_t{1} << 20), std::size_t{1} << 30);
    with.recorder_path = "";
    with.validation_query = "";
    if (!from_.validates) with.pre_ping = with.test_on_borrow = false;
    return with;
  }

  template <class Work>
  void at(duration when, Work work) {
    auto timer = std::make_shared<virtual_timer>(sim_.get_executor());
    timer->expires_at(virtual_clock::time_point(when));
    timer->async_wait([timer, work](error_code over) {
      if (!over) work();
    });
  }
  /// The connections, leases and waiting callers that were there when the recording begins.
  void warm_up() {
    script_.warm = true;
    const std::size_t open = (std::max)(from_.open_at_begin().size(), script_.leased_before.size());
    std::vector<std::shared_ptr<caller>> first;
    for (std::size_t i = 0; i < open; ++i) {
      replayed_call warmer;
      warmer.timeout = warming / 4;
      warmer.hold = no_limit;
      if (i < script_.leased_before.size()) {
        warmer = script_.leased_before[i];
        warmer.timeout = warming / 4;
        warmer.tried = false;
        if (warmer.hold != no_limit) warmer.hold += warming;  // its clock runs from here
      }
      first.push_back(std::make_shared<caller>(*this, warmer));
      first.back()->ask();
    }
    sim_.run_until(virtual_clock::time_point(begin_ - warming / 2));
    for (std::size_t i = script_.leased_before.size(); i < first.size(); ++i) {
      if (first[i]->held) first[i]->end();
    }
    sim_.run_until(virtual_clock::time_point(begin_ - std::chrono::microseconds(1)));
    script_.warm = false;
    for (const replayed_call& c : script_.queued_before) std::make_shared<caller>(*this, c)->ask();
  }
  void play_from(std::size_t next) {
    if (next == script_.calls.size()) return;
    at(script_.calls[next].at, [this, next] {
      std::size_t i = next;
      for (; i < script_.calls.size() && script_.calls[i].at == script_.calls[next].at; ++i) {
        std::make_shared<caller>(*this, script_.calls[i])->ask();
      }
      play_from(i);
    });
  }
  void act(const recorded_event& verb) {
    switch (static_cast<recorded_verb>(verb.code)) {
      case recorded_verb::open:
        return asio::co_spawn(sim_.get_executor(), pool_->open(duration(static_cast<duration::rep>(verb.value))),
                              [](std::exception_ptr) {});
      case recorded_verb::close:
        return asio::co_spawn(sim_.get_executor(), pool_->close(duration(static_cast<duration::rep>(verb.value))),
                              [](std::exception_ptr) {});
      case recorded_verb::suspend: return pool_->suspend();
      case recorded_verb::resume: return pool_->resume();
      case recorded_verb::recycle: return pool_->recycle();
      case recorded_verb::resize:
        if (same_) pool_->resize(static_cast<std::size_t>(verb.subject), static_cast<std::size_t>(verb.value));
        return;
      case recorded_verb::reconfigure: return;  // to what, it does not tell
    }
  }

  /// What the pool recorded since the beginning of the recording, with the places of its callers.
  recording cut() {
    recording out = pool_->recorded();
    const auto first = std::find_if(out.events.begin(), out.events.end(), [&](const recorded_event& e) { return e.at >= begin_; });
    out.lost += static_cast<std::uint64_t>(first - out.events.begin());
    out.events.erase(out.events.begin(), first);
    out.places = from_.places;
    std::size_t call = 0;
    for (recorded_event& e : out.events) {
      const bool asks = e.kind == recorded_kind::taken || e.kind == recorded_kind::missed || e.kind == recorded_kind::asked;
      e.place = asks && call < script_.places.size() ? script_.places[call++] : std::uint16_t{0};
    }
    return shifted(std::move(out), -shift_);
  }

  const recording& from_;
  const bool same_;
  const duration shift_;
  const duration begin_;
  replay_script script_;
  choice_source choices_;
  simulation sim_;
  std::optional<pool_type> pool_;
  std::vector<std::shared_ptr<caller>> kept_;
};

}  // namespace detail

/// Plays the callers of a recording against a pool with the configuration `with`, in virtual time, and returns what that one recorded: the
/// same arrivals, timeouts and times for which leases are held; connects, validations, resets and closes that take as long and fail as
/// those of the recording did at that time, the nearest ones where there are none. With the configuration of the recording it comes to the
/// same figures. With another one it predicts, as far as callers would have come when they came: they do not wait for one another here.
/// A caller that got no connection holds one, where it gets one now, for as long as another caller of the same place did.
/// `resize()` is replayed only with the configuration of the recording, `reconfigure()` never. Callers whose timeout was the configured one
/// have that of `with`. Uses one thread, no time of the machine, and memory for three times the events; may be called within no simulation.
/// Throws std::invalid_argument when a configuration is not sound.
inline recording replay(const recording& from, const pool_config& with) { return detail::replay_run(from, with).run(); }
/// With its own configuration.
inline recording replay(const recording& from) { return replay(from, from.config()); }

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing

#endif
