// SPDX-License-Identifier: BSL-1.0
// tidepool - the multiplexer's engine: carries out what the dispatcher decides, on one executor, with one timer.
//
// All of it runs on one executor that runs one handler at a time; there is no lock. A turn is one handler: it takes what has come (answers
// of a lane, a deadline, statements submitted since), resumes the callers that are answered, and then dispatches what waits, so that the
// statements that the resumed callers submit go out in the same turn, with one flush a lane. A statement that is submitted outside of a
// turn posts one, unless one is posted already.
//
// `Link` is the connection of a lane: libpq's, or a fake one in the simulator.
//   Link::payload                       what a statement is made of, and its answer; a base of `call`
//   put_result put(call&), bool sync(), bool flush()
//   bool receive(Sink&)                 tells the sink of each answer that is there; false: the connection is dead
//   void start(std::function<void()>)   from now on it calls that, on the executor, when something can be received
//   awaitable<void> turn(lane_kind)     makes it one of that kind
//   awaitable<void> leave()             gives it back; throws nothing
//   void shut() noexcept                at once
//   lease_recall wanted() const         whether its owner wants it back
//   bool fits() const noexcept          where `judges` is true: whether it may be given statements now; else it is drained
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_ENGINE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_ENGINE_HPP

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "../../../detail/core/decisions.hpp"
#include "../../../detail/driver/asio_io.hpp"
#include "../../../detail/driver/look_choice.hpp"
#include "../../../detail/driver/real_time.hpp"
#include "../../../detail/shell/context_watch.hpp"
#include "../../../detail/util/random.hpp"
#include "../../../traits.hpp"
#include "../../../version.hpp"
#include "dispatcher.hpp"
#include "front.hpp"
#include "lane_answers.hpp"
#include "told_calls.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

template <class Traits, class Link>
class engine final : public front<typename Traits::executor_type, typename Link::payload>,
                     public std::enable_shared_from_this<engine<Traits, Link>>,
                     public tidepool::detail::context_watch::client {
  using base = front<typename Traits::executor_type, typename Link::payload>;
  using base::executor_, base::in_turn_, base::posted_;

 public:
  using executor_type = typename Traits::executor_type;
  using link_ptr = std::unique_ptr<Link>;
  /// Gets a connection and makes it one of a kind.
  using opener = std::function<asio::awaitable<link_ptr>(lane_kind)>;
  using call = typename base::call;

  /// `look`: how long it looks for answers before it sleeps.
  engine(executor_type executor, opener open, const rules& limits, duration lane_lifetime, duration look = duration::zero())
      : base(std::move(executor)),
        open_(std::move(open)),
        dispatcher_(limits),
        lifetime_(lane_lifetime),
        random_(Traits::random_seed()),
        look_for_(look),
        timer_(std::in_place, executor_),
        closed_(std::in_place, executor_) {
    slots_.resize(dispatcher_.lane_count());
    closed_->expires_at(Traits::clock_type::time_point::max());
  }
  ~engine() override {
    if (watch_) watch_->remove(*this);
  }
  /// Second half of construction: needs the shared pointer.
  void attach() {
    auto& watch = asio::use_service<tidepool::detail::context_watch>(asio::query(executor_, asio::execution::context));
    watch.add(*this, this->weak_from_this());
    watch_ = &watch;
  }

  const dispatcher& state() const noexcept override { return dispatcher_; }
  dispatcher& state() noexcept { return dispatcher_; }
  /// Called once for each stall: the lane, the statement that runs, where somebody waits for it, and for how long.
  std::function<void(const lane&, const call*, duration)> on_stall;

  // --- callers ----------------------------------------------------------------------------------------------------------------------

  void submit(call& c, duration limit) override {
    const tick now = coarse();
    c.complete = [](job* j, verdict how) noexcept {
      auto& self = static_cast<call&>(*j);
      self.how = how;
      static_cast<engine*>(self.owner)->told_.push(self);
    };
    if (c.traced) [[unlikely]]
      begin_trace(c);
    c.owner = this;
    c.under_way = true;
    dispatcher_.submit(c, now, later(now, limit));
  }
  void refuse(call& c) override {
    c.owner = this;
    c.under_way = true;
    c.how = verdict::answered;
    told_.push(c);
  }
  void cancel(call& c) noexcept override {
    if (!c.under_way || c.told) return;
    dispatcher_.abandon(c, verdict::cancelled);
    if (!in_turn_) schedule();
  }
  void forget(call& c) noexcept override {
    if (!c.under_way) return;
    if (!c.told) dispatcher_.abandon(c, verdict::cancelled);
    told_.forget(c);
  }

  // --- the life of it ---------------------------------------------------------------------------------------------------------------

  asio::awaitable<void> close(duration grace) override { return close_all(this->shared_from_this(), grace); }
  void shut_down() noexcept override {
    stopped_ = true;
    begin_close();
    shut_all();
    timer_.reset();
    closed_.reset();
  }
  void recycle() override {
    const tick now = precise();
    for (std::size_t i = 0; i < dispatcher_.lane_count(); ++i) dispatcher_.drain(dispatcher_.lane_at(i), now);
    schedule();
  }
  /// The context is being destroyed, and every coroutine on it.
  void context_shutdown() noexcept override {
    watch_ = nullptr;
    gone_ = true;
    shut_down();
    told_.drop();
    if constexpr (std::is_same_v<executor_type, asio::any_io_executor>) executor_ = {};
  }

 private:
  using timer_type = typename tidepool::detail::timer_of<Traits>::type;
  struct slot {
    link_ptr link;
    std::unique_ptr<asio::cancellation_signal> opening = std::make_unique<asio::cancellation_signal>();
    std::uint64_t tenure = 0;  ///< counts its links: input of an earlier one means nothing
  };
  /// Its span begins, and ends when it is told.
  [[gnu::cold]] static void begin_trace(call& c) noexcept {
    c.traced->begin();
    c.complete = [](job* j, verdict how) noexcept {
      auto& self = static_cast<call&>(*j);
      std::exception_ptr failure;
      if constexpr (requires { self.failure; }) failure = self.failure;
      self.traced->end(self.submitted, self.sent, precise(), self.traced->word_for(how, failure).view());
      self.how = how;
      static_cast<engine*>(self.owner)->told_.push(self);
    };
  }
  static tick precise() noexcept { return tidepool::detail::precise_now<Traits>(); }
  static tick coarse() noexcept { return tidepool::detail::coarse_now<Traits>(); }
  static auto time_of(tick at) noexcept {
    using point = typename Traits::clock_type::time_point;
    return at == never ? point::max() : tidepool::detail::time_of<Traits>(at);
  }

  // --- as the Io of the dispatcher
  friend class dispatcher;
  /// A lane that throws, as without memory, is lost: nobody knows any more what its server was told.
  template <class Result, class Step>
  static Result unless_lost(Result lost, const Step& step) noexcept {
    try {
      return step();
    } catch (...) {
      return lost;
    }
  }
  put_result put(lane& on, job& j) noexcept {
    return unless_lost(put_result::lost, [&] { return slots_[on.index].link->put(static_cast<call&>(j)); });
  }
  bool sync(lane& on) noexcept {
    return unless_lost(false, [&] { return slots_[on.index].link->sync(); });
  }
  bool flush(lane& on) noexcept {
    return unless_lost(false, [&] { return slots_[on.index].link->flush(); });
  }
  bool receive(lane& from, tick now) noexcept {
    lane_answers<call> to{dispatcher_, from, now};
    return unless_lost(false, [&] { return slots_[from.index].link->receive(to); });
  }

  // --- turns
  void post_turn() override {
    if (gone_) return;
    asio::post(executor_, posted_turn(this->shared_from_this()));
    posted_ = true;
  }
  /// Without memory for a post, the wait of the timer, which is there while anybody waits, ends now and brings the turn.
  void schedule() noexcept {
    if (posted_) return;
    try {
      post_turn();
    } catch (const std::bad_alloc&) {
      hurried_ = true;
      if (timer_) timer_->cancel();
    }
  }
  /// Where the context is destroyed before it runs, callers that it would have resumed are destroyed with it.
  class posted_turn {
   public:
    explicit posted_turn(std::shared_ptr<engine> of) noexcept : of_(std::move(of)) {}
    posted_turn(posted_turn&&) noexcept = default;
    ~posted_turn() {
      if (of_ && of_->posted_) of_->told_.drop();  // not where the post has failed
    }
    void operator()() {
      const auto self = std::move(of_);
      self->posted_ = false;
      self->turn([] {});
    }

   private:
    std::shared_ptr<engine> of_;
  };
  /// `what` takes what has come; then callers are resumed, and what waits is dispatched. Whoever calls it keeps the engine.
  template <class What>
  void turn(What what) {
    {
      leave_turn end{*this, std::exchange(in_turn_, true)};
      what();
      told_.deliver();
      end.whole = true;
    }
    if (in_turn_) return;
    proceed();
  }
  /// Where a handler has thrown, what is left to do is done in the next turn.
  struct leave_turn {
    engine& of;
    bool before;
    bool whole = false;
    leave_turn(engine& e, bool b) noexcept : of(e), before(b) {}
    leave_turn(const leave_turn&) = delete;
    leave_turn& operator=(const leave_turn&) = delete;
    ~leave_turn() {
      of.in_turn_ = before;
      if (!whole || !of.told_.empty()) of.schedule();
    }
  };
  void proceed() {
    if (!stopped_ && !dispatcher_.empty()) {
      const tick now = precise();
      if constexpr (requires { requires Link::judges; }) drain_unfit(now);
      dispatcher_.dispatch(now, *this);
    }
    obey();
    if (!told_.empty()) schedule();
    arm();
    stay_awake();
    if (dispatcher_.closing() && dispatcher_.vacant() && closed_) closed_->expires_at(Traits::clock_type::time_point::min());
  }

  /// In the turn that sends: what a lane may be given is judged for each statement.
  void drain_unfit(tick now) {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      lane& l = dispatcher_.lane_at(i);
      if (l.state == lane_state::ready && slots_[i].link && !slots_[i].link->fits()) dispatcher_.drain(l, now);
    }
  }

  // --- looks: while the answers of a few statements are awaited, the loop does not sleep for a moment
  /// With more of them there are always answers, and to be woken up is shared by many.
  bool awaits_few() const noexcept {
    const auto n = dispatcher_.in_flight();
    return n != 0 && n <= dispatcher_.lane_count();
  }
  void stay_awake() {
    if constexpr (std::is_same_v<typename Traits::clock_type, std::chrono::steady_clock>) {  // NOLINT(clock): virtual time stands still
      if (look_for_ == duration::zero() || tidepool::detail::driver::simulated_time != nullptr || !awaits_few()) return;
      look_until_ = tidepool::detail::look_now() + look_for_;
      if (looking_ || !look_choice_.take_chance()) return;
      looking_ = true;
      go_on_looking();
    }
  }
  void go_on_looking() noexcept {
    try {
      // As `asio::defer`: behind all that is ready, and behind a look at the sockets, without waking another thread of the context.
      const auto last = asio::prefer(asio::require(executor_, asio::execution::blocking.never), asio::execution::relationship.continuation);
      last.execute([weak = this->weak_from_this()] {
        if (const auto self = weak.lock()) self->look();
      });
    } catch (...) {  // no memory: it sleeps
      looking_ = false;
    }
  }
  void look() noexcept {
    const bool few = !gone_ && awaits_few();
    if (few && tidepool::detail::look_now() < look_until_) return go_on_looking();
    looking_ = false;
    look_choice_.ended(!few);
  }

  // --- orders
  void obey() {
    auto what = lane_order::none;
    while (lane* const l = dispatcher_.next_order(what)) {
      slot& s = slots_[l->index];
      switch (what) {
        case lane_order::open:
        case lane_order::turn:
        case lane_order::release: try { spawn(*l, what);
          } catch (const std::bad_alloc&) {
            not_spawned(*l, what);
          }
          break;
        case lane_order::kill:
          shut(s);
          dispatcher_.vacated(*l);
          if (!dispatcher_.empty()) schedule();
          break;
        case lane_order::none: break;
      }
    }
  }
  void spawn(lane& l, lane_order what) {
    auto self = this->shared_from_this();
    auto work = what == lane_order::open   ? open_lane(std::move(self), l)
                : what == lane_order::turn ? turn_lane(std::move(self), l)
                                           : leave_lane(std::move(self), l);
    asio::co_spawn(asio::any_io_executor(executor_), std::move(work),
                   asio::bind_cancellation_slot(slots_[l.index].opening->slot(), asio::detached));
  }
  /// Without memory for its coroutine.
  void not_spawned(lane& l, lane_order what) noexcept {
    shut(slots_[l.index]);
    if (what == lane_order::open) {
      dispatcher_.failed(l, precise());
      told_.explain(std::current_exception());
    } else if (what == lane_order::turn) {
      dispatcher_.lost_turning(l);
    } else {
      dispatcher_.vacated(l);
    }
    schedule();
  }
  static asio::awaitable<void> open_lane(std::shared_ptr<engine> self, lane& l) {
    link_ptr made;
    std::exception_ptr failed;
    try {
      if (!self->stopped_) made = co_await self->open_(l.kind);
    } catch (...) {
      failed = std::current_exception();
    }
    self->opened(l, std::move(made), failed);
  }
  static asio::awaitable<void> turn_lane(std::shared_ptr<engine> self, lane& l) {
    link_ptr same = std::move(self->slots_[l.index].link);
    bool lost = false;
    try {
      co_await same->turn(l.kind);
    } catch (...) {
      lost = true;
    }
    if (!lost) co_return self->opened(l, std::move(same), nullptr);
    same->shut();
    same.reset();
    self->dispatcher_.lost_turning(l);
    self->schedule();
  }
  static asio::awaitable<void> leave_lane(std::shared_ptr<engine> self, lane& l) {
    const link_ptr gone = std::move(self->slots_[l.index].link);
    ++self->slots_[l.index].tenure;
    if (gone) co_await gone->leave();
    self->dispatcher_.vacated(l);
    self->schedule();
  }
  // These coroutines resume nobody themselves: what a handler throws has to leave the context's `run()`, and would be lost here.
  void opened(lane& l, link_ptr made, std::exception_ptr failed) {
    const tick now = precise();
    schedule();
    if (stopped_ || !made) {
      if (made) made->shut();
      dispatcher_.failed(l, now);
      told_.explain(failed);
      return;
    }
    slot& s = slots_[l.index];
    s.link = std::move(made);
    const auto tenure = ++s.tenure;
    try {
      s.link->start([weak = this->weak_from_this(), &l, tenure] {
        if (const auto self = weak.lock()) self->input(l, tenure);
      });
    } catch (...) {
      shut(s);
      dispatcher_.failed(l, now);
      return told_.explain(std::current_exception());
    }
    tick retire = never;
    if (lifetime_ != no_limit) {
      // A quarter of jitter, so that lanes opened together are not given back together.
      const auto part = static_cast<double>(lifetime_.count()) * (0.75 + 0.25 * random_.unit());
      retire = later(now, duration(static_cast<duration::rep>(part)));
    }
    dispatcher_.ready(l, now, retire);
  }
  void shut(slot& s) noexcept {
    ++s.tenure;
    if (!s.link) return;
    s.link->shut();
    s.link.reset();
  }

  // --- input
  void input(lane& l, std::uint64_t tenure) {
    if (slots_[l.index].tenure != tenure || !slots_[l.index].link) return;
    turn([&] {
      const tick now = precise();
      if (receive(l, now)) return;
      if (l.state == lane_state::ready || (l.state == lane_state::draining && !l.idle())) dispatcher_.died(l, now);
    });
  }

  // --- time
  void arm() {
    const tick at = dispatcher_.due();
    if (at >= armed_ || !timer_) return;
    armed_ = never;
    timer_->expires_at(time_of(at));
    try {
      timer_->async_wait([weak = this->weak_from_this()](error_code failed) {
        const auto self = weak.lock();
        if (!self || (failed && !std::exchange(self->hurried_, false))) return;
        self->armed_ = never;
        self->turn([&] { self->on_time(); });
      });
      armed_ = at;
    } catch (const std::bad_alloc&) {  // the next turn tries again
    }
  }
  void on_time() {
    const tick now = precise();
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      lane& l = dispatcher_.lane_at(i);
      if (l.state != lane_state::ready || !slots_[i].link) continue;
      using tidepool::detail::lease_recall;
      const auto wanted = slots_[i].link->wanted();
      if (wanted == lease_recall::due || (wanted == lease_recall::others_wait && l.idle())) dispatcher_.drain(l, now);
    }
    const auto stalls = dispatcher_.counts().stalls;
    dispatcher_.tick_at(now);
    if (dispatcher_.counts().stalls != stalls && on_stall) tell_stalls(now);
  }
  void tell_stalls(tick now) {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      lane& l = dispatcher_.lane_at(i);
      if (!l.told_stalled || l.reported_stalled || !slots_[i].link) continue;
      l.reported_stalled = true;
      on_stall(l, static_cast<call*>(dispatcher_.next_of(l)), now - l.progress);
    }
  }

  static asio::awaitable<void> close_all(std::shared_ptr<engine> self, duration grace) {
    self->begin_close();
    const tick until = later(precise(), grace);
    if (self->closed_) self->closed_->expires_at(time_of(until));
    while (!self->dispatcher_.vacant() && self->closed_ && precise() < until) {
      error_code ignored;
      co_await tidepool::detail::await_timer(*self->closed_, ignored);
      const auto state = co_await asio::this_coro::cancellation_state;
      if (state.cancelled() != asio::cancellation_type::none) co_return;
    }
    self->shut_all();
  }
  void begin_close() {
    dispatcher_.close(precise());
    // Where the context is gone, so are the coroutines that open lanes.
    for (std::size_t i = 0; i < slots_.size() && !gone_; ++i) {
      if (dispatcher_.lane_at(i).state == lane_state::opening) slots_[i].opening->emit(asio::cancellation_type::terminal);
    }
    if (!in_turn_) schedule();
  }
  void shut_all() {
    const tick now = precise();
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      lane& l = dispatcher_.lane_at(i);
      if (!slots_[i].link) continue;
      if (l.state == lane_state::ready || l.state == lane_state::draining) dispatcher_.died(l, now);
      shut(slots_[i]);
    }
    if (!in_turn_) schedule();
  }

  opener open_;
  dispatcher dispatcher_;
  duration lifetime_;
  tidepool::detail::splitmix random_;
  std::vector<slot> slots_;
  told_calls<call> told_;
  const duration look_for_;
  tidepool::detail::look_clock::time_point look_until_{};
  tidepool::detail::look_choice look_choice_;
  bool looking_ = false;  ///< a handler is posted that keeps the loop awake
  bool hurried_ = false;  ///< the wait of the timer was ended for a turn
  bool stopped_ = false;
  bool gone_ = false;
  tidepool::detail::context_watch* watch_ = nullptr;
  tick armed_ = never;
  std::optional<timer_type> timer_;
  std::optional<timer_type> closed_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
