// SPDX-License-Identifier: BSL-1.0
// tidepool - the multiplexer's engine in the simulator, with a lane whose server answers late, in error, never, or is cut off between any
// two messages.
//
// What has to hold: each statement is answered exactly once; one that is reported as not executed was not executed; an answer carries the
// number of its question; the depth keeps its cap; nobody waits for ever; every seed runs alike twice.
#include <tidepool/postgres/detail/mux/call.hpp>
#include <tidepool/postgres/detail/mux/engine.hpp>
#include <tidepool/testing.hpp>

#include <deque>
#include <memory>
#include <new>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "../support/on_end.hpp"

namespace multiplexed {
namespace {

namespace asio = tidepool::asio;
namespace mux = tidepool::postgres::detail::mux;
using namespace std::chrono_literals;
using mux::lane_kind;
using mux::verdict;
using tidepool::testing::choice_source;
using tidepool::testing::simulation;
using tidepool::testing::virtual_timer;

struct no_connection {};
struct sim_traits : tidepool::testing::simulated_traits<no_connection> {};

class fake_link;

/// What a server has really done, for all lanes.
struct ledger {
  std::vector<int> executed;  ///< writes that were committed, by number
  std::vector<std::string> faults;
  std::size_t cuts = 0, hangs = 0, refused_writes = 0, failed_opens = 0, turns = 0, leaves = 0, throws = 0;
  std::size_t open = 0;
  std::set<const fake_link*> links;
  std::size_t stalls_told = 0;
  std::size_t max_depth = 8;
  double bad_weather = 0.02;
};

struct question {
  std::size_t id = 0;
  bool writes = false;  ///< truly, whatever the caller says
  bool bad = false;
  bool slow = false;
  std::size_t said = 0;  ///< the number that came with its answer
  mux::answer heard = mux::answer::none;
};

/// The server's end. It lives on when the client has shut its own.
class fake_session : public std::enable_shared_from_this<fake_session> {
 public:
  struct message {
    question what;
    bool sync = false;
  };
  struct reply {
    std::size_t number = 0;
    mux::answer what = mux::answer::good;
    bool sync = false;
  };

  fake_session(simulation& sim, ledger& book) : sim_(sim), book_(book), timer_(sim.get_executor()) {}
  void arrive(std::deque<message>& sent) {
    in_.insert(in_.end(), sent.begin(), sent.end());
    sent.clear();
    if (!busy_) next();
  }
  std::deque<reply> replies;
  bool cut = false;
  bool reads_only = false;
  std::function<void()> on_input;

 private:
  void next() {
    if (in_.empty() || dead_ || hung_) return;
    busy_ = true;
    auto latency = std::chrono::microseconds(10 + sim_.choices().choose(200));
    if (!in_.front().sync && in_.front().what.slow) latency += 200ms;
    timer_.expires_after(latency);
    timer_.async_wait([self = shared_from_this()](tidepool::error_code failed) {
      self->busy_ = false;
      if (!failed) self->perform();
    });
  }
  void perform() {
    if (fault()) return;
    const auto now = in_.front();
    in_.pop_front();
    if (now.sync) {
      for (const auto number : done_) ++book_.executed[number];
      done_.clear();
      skips_ = false;
      if (fault()) return;
      out_.push_back({0, mux::answer::good, true});
      // Part of it arrives, and then nothing.
      if (sim_.choices().chance(book_.bad_weather / 2)) {
        out_.resize(sim_.choices().choose(static_cast<std::uint32_t>(out_.size())));
        dead_ = cut = true;
        ++book_.cuts;
      }
      replies.insert(replies.end(), out_.begin(), out_.end());
      out_.clear();
      if (on_input) on_input();
    } else {
      auto said = mux::answer::good;
      if (skips_) {
        said = mux::answer::skipped;
      } else if (now.what.writes && reads_only) {
        said = mux::answer::failed;
        ++book_.refused_writes;
      } else if (now.what.bad) {
        said = mux::answer::failed;
      } else if (now.what.writes) {
        done_.push_back(now.what.id);
      }
      if (said == mux::answer::failed) {
        skips_ = true;
        done_.clear();
      }
      out_.push_back({now.what.id, said, false});
    }
    next();
  }
  bool fault() {
    if (!sim_.choices().chance(book_.bad_weather)) return false;
    if (sim_.choices().choose(4) == 3) {
      hung_ = true;
      ++book_.hangs;
      return true;
    }
    dead_ = cut = true;
    ++book_.cuts;
    if (on_input) on_input();
    return true;
  }

  simulation& sim_;
  ledger& book_;
  virtual_timer timer_;
  std::deque<message> in_;
  std::deque<reply> out_;
  std::vector<std::size_t> done_;
  bool skips_ = false, busy_ = false, dead_ = false, hung_ = false;
};

class fake_link {
 public:
  using payload = question;

  fake_link(simulation& sim, ledger& book, lane_kind kind) : sim_(sim), book_(book), session_(std::make_shared<fake_session>(sim, book)) {
    session_->reads_only = kind == lane_kind::read;
    ++book_.open;
    book_.links.insert(this);
  }
  ~fake_link() {
    session_->on_input = nullptr;
    book_.links.erase(this);
    --book_.open;
  }

  mux::put_result put(question& asked) {
    run_out();
    if (session_->cut && sim_.choices().choose(2) == 1) return mux::put_result::lost;
    unflushed_.push_back({asked, false});
    if (++depth_ > book_.max_depth) book_.faults.push_back("too deep");
    return mux::put_result::sent;
  }
  bool sync() {
    run_out();
    unflushed_.push_back({{}, true});
    return true;
  }
  bool flush() {
    run_out();
    if (session_->cut) return sim_.choices().choose(2) == 0;
    session_->arrive(unflushed_);
    return true;
  }
  template <class Sink>
  bool receive(Sink& to) {
    run_out();
    if (announced_ == 0) {
      book_.faults.push_back("the input of an earlier lane");
    } else {
      --announced_;
    }
    while (!session_->replies.empty()) {
      const auto said = session_->replies.front();
      session_->replies.pop_front();
      if (said.sync) {
        if (!to.synced(false)) book_.faults.push_back("a Sync out of step");
        continue;
      }
      --depth_;
      if (auto* const asker = to.next()) {
        asker->said = said.number;
        asker->heard = said.what;
        if (asker->id != said.number) book_.faults.push_back("an answer for somebody else");
      }
      if (!to.answered(said.what)) book_.faults.push_back("an answer out of step");
    }
    return !session_->cut;
  }
  void start(std::function<void()> input) {
    run_out();
    session_->on_input = [this, input] {
      ++announced_;
      asio::post(sim_.get_executor(), input);
    };
    if (!session_->replies.empty() || session_->cut) session_->on_input();
  }
  asio::awaitable<void> turn(lane_kind kind) {
    co_await tidepool::testing::sleep_for(100us);
    if (session_->cut) throw std::runtime_error("cut");
    session_->reads_only = kind == lane_kind::read;
    ++book_.turns;
  }
  asio::awaitable<void> leave() {
    if (depth_ != 0) book_.faults.push_back("given back in use");
    session_->on_input = nullptr;
    co_await tidepool::testing::sleep_for(100us);
    ++book_.leaves;
  }
  void shut() noexcept { session_->on_input = nullptr; }
  /// Somebody waits for an answer that cannot come.
  bool deserted() const noexcept { return session_->cut && depth_ > 0; }
  tidepool::detail::lease_recall wanted() const noexcept { return tidepool::detail::lease_recall::none; }

 private:
  /// At times there is no memory. Whoever has seen that knows no more what the server was told, and may only end it.
  void run_out() {
    if (thrown_) book_.faults.push_back("a lane that has thrown is in use");
    if (!sim_.choices().chance(book_.bad_weather / 20)) return;
    ++book_.throws;
    thrown_ = true;
    throw std::bad_alloc();
  }

  simulation& sim_;
  ledger& book_;
  std::shared_ptr<fake_session> session_;
  std::deque<fake_session::message> unflushed_;
  std::size_t depth_ = 0;
  bool thrown_ = false;
  std::size_t announced_ = 0;  ///< inputs it has told of, and that were not taken yet
};
using engine = mux::engine<sim_traits, fake_link>;
using engine_ptr = std::shared_ptr<engine>;

struct tally {
  std::size_t asked = 0, answered = 0, good = 0, late = 0, cancelled = 0, unknown = 0, lost = 0, no_lane = 0, full = 0, closed = 0;
  std::size_t cuts = 0, hangs = 0, refused_writes = 0, turns = 0, stalls_told = 0, throws = 0;
  int spans_left = 0;  ///< that have not ended with their statement
};

/// Of every second statement.
class simulated_spans final : public tidepool::tracing {
 public:
  std::optional<tidepool::trace_context> start(const tidepool::trace_start&) noexcept override {
    ++open;
    return tidepool::trace_context{};
  }
  void end(const tidepool::trace_context&, const tidepool::trace_end& how) noexcept override {
    --open;
    sound = sound && how.took >= tidepool::duration::zero() && how.queued >= tidepool::duration::zero() && how.queued <= how.took;
  }
  int open = 0;
  bool sound = true;
};

struct run_result {
  std::vector<std::string> faults;
  std::uint64_t trace = 0;
};

class scenario {
 public:
  scenario(const scenario&) = delete;
  scenario& operator=(const scenario&) = delete;
  scenario(choice_source& choices, tally& sums) : sim_(choices), sums_(sums) {
    auto& c = sim_.choices();
    mux::rules limits;
    limits.max_lanes = 1 + c.choose(4);
    limits.max_depth = book_.max_depth = 1 + c.choose(8);
    limits.max_group = limits.max_depth;
    limits.max_waiting = c.choose(4) == 3 ? 5 : 1000;
    limits.lane_idle = 300ms;
    limits.give_up_after = 500ms;
    book_.bad_weather = c.choose(3) * 0.01;
    const double no_connection = c.choose(3) * 0.1;
    auto open = [this, no_connection](lane_kind kind) { return connect(*this, kind, no_connection); };
    engine_ = std::make_shared<engine>(sim_.get_executor(), open, limits, c.choose(2) == 0 ? tidepool::duration(tidepool::no_limit) : 50ms);
    engine_->on_stall = [this](const mux::lane&, const engine::call*, tidepool::duration) { ++book_.stalls_told; };
    engine_->attach();
    book_.executed.resize(callers * each);
  }

  ~scenario() {
    if (engine_) engine_->shut_down();  // as the multiplexer's destructor does
    sums_.spans_left += spans_->open;
  }

  run_result run() {
    for (std::size_t i = 0; i < callers; ++i) asio::co_spawn(asio::any_io_executor(sim_.lane()), caller(*this, i), asio::detached);
    asio::co_spawn(asio::any_io_executor(sim_.get_executor()), meddle(*this), asio::detached);
    if (sim_.choices().choose(20) == 1) {
      sim_.run_for(std::chrono::milliseconds(sim_.choices().choose(60)));
      return {book_.faults, sim_.trace()};  // everything is destroyed in the middle
    }
    sim_.run_while_not(
        [&] {
          look();
          return done_ == callers;
        },
        400'000);
    if (done_ != callers) fault(std::to_string(callers - done_) + " callers wait for ever");
    bool closed = false;
    asio::co_spawn(asio::any_io_executor(sim_.get_executor()), engine_->close(1s),
                   tidepool_tests::on_end([&](std::exception_ptr) { closed = true; }));
    sim_.run_while_not([&] { return closed; }, 400'000);
    if (!closed) fault("the close hangs");
    const auto stalls = std::as_const(*engine_).state().counts().stalls;
    if (book_.stalls_told > stalls) fault("a stall is told more than once");
    sums_.stalls_told += book_.stalls_told;
    sim_.run_for(10s);
    engine_->shut_down();
    engine_.reset();
    sim_.run_for(10s);
    if (book_.open != 0) fault("connections are left");
    if (spans_->open != 0 || !spans_->sound) fault("spans are left, or have times that cannot be");
    sums_.cuts += book_.cuts;
    sums_.hangs += book_.hangs;
    sums_.refused_writes += book_.refused_writes;
    sums_.turns += book_.turns;
    sums_.throws += book_.throws;
    return {book_.faults, sim_.trace()};
  }

 private:
  static constexpr std::size_t callers = 24;
  static constexpr std::size_t each = 12;

  static asio::awaitable<engine::link_ptr> connect(scenario& at, lane_kind kind, double fails) {
    // One that is idle in the pool is there at once.
    const bool at_once = at.sim_.choices().choose(3) == 1;
    const auto latency = std::chrono::microseconds(at_once ? 0 : 50 + at.sim_.choices().choose(5000));
    if (!at_once) co_await tidepool::testing::sleep_for(latency);
    if (at.sim_.choices().chance(fails)) throw std::runtime_error("no connection");
    co_return std::make_unique<fake_link>(at.sim_, at.book_, kind);
  }

  /// Gives lanes back in the middle, or ends all of it.
  static asio::awaitable<void> meddle(scenario& at) {
    auto& c = at.sim_.choices();
    if (c.choose(3) == 1) {
      const auto pause = std::chrono::milliseconds(c.choose(100));
      co_await tidepool::testing::sleep_for(pause);
      if (at.engine_) at.engine_->recycle();
    }
    if (c.choose(8) == 1) {
      const auto pause = std::chrono::milliseconds(c.choose(100));
      co_await tidepool::testing::sleep_for(pause);
      const auto one = at.engine_;
      if (!one) co_return;
      const auto before = std::as_const(*one).state().counts();
      const auto cuts = at.book_.cuts + at.book_.hangs + at.book_.throws;
      co_await one->close(60s);
      if (!std::as_const(*one).state().vacant()) at.fault("closed, and a connection is left");
      if (cuts == 0 && at.book_.cuts + at.book_.hangs + at.book_.throws == 0 &&
          std::as_const(*one).state().counts().lanes_lost != before.lanes_lost)
        at.fault("a close did not wait for what was sent");
    }
    if (c.choose(8) == 1) {
      const auto pause = std::chrono::milliseconds(c.choose(100));
      co_await tidepool::testing::sleep_for(pause);
      if (at.engine_) at.engine_->shut_down();
    }
  }

  static asio::awaitable<void> caller(scenario& at, std::size_t i) {
    auto& c = at.sim_.choices();
    const asio::any_io_executor here = co_await asio::this_coro::executor;
    for (std::size_t k = 0; k < each; ++k) {
      question q;
      q.id = i * each + k;
      q.writes = c.choose(3) == 1;
      q.bad = c.choose(12) == 1;
      q.slow = c.choose(40) == 1;
      const bool as_read = !q.writes || c.choose(20) == 1;
      const auto limit = c.choose(4) == 1 ? std::chrono::milliseconds(1 + c.choose(150)) : std::chrono::milliseconds(3000);
      asio::cancellation_signal signal;
      virtual_timer killer(here);
      if (c.choose(12) == 1) {
        killer.expires_after(std::chrono::microseconds(c.choose(3000)));
        killer.async_wait([&signal](tidepool::error_code failed) {
          if (!failed) signal.emit(asio::cancellation_type::terminal);
        });
      }
      std::size_t told = 0;
      virtual_timer done(here);
      done.expires_at(virtual_timer::time_point::max());
      const tidepool_tests::on_end at_end = [&told, &done](std::exception_ptr) {
        ++told;
        done.cancel();
      };
      asio::co_spawn(here, ask(at, q, as_read, limit), asio::bind_cancellation_slot(signal.slot(), at_end));
      tidepool::error_code ignored;
      if (told == 0) co_await done.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      killer.cancel();
      if (c.choose(4) == 1) co_await tidepool::testing::sleep_for(std::chrono::microseconds(c.choose(20000)));
    }
    ++at.done_;
  }

  static asio::awaitable<void> ask(scenario& at, question q, bool as_read, tidepool::duration limit) {
    co_await asio::this_coro::throw_if_cancelled(false);
    mux::coroutine_call<engine> call(at.engine_, q);
    call.kind = as_read ? lane_kind::read : lane_kind::write;
    call.bytes = 100;
    if (q.id % 2 == 0) call.traced = std::make_unique<mux::call_trace>(at.spans_, tidepool::trace_context{}, nullptr);
    const auto began = at.sim_.now();
    co_await call.template async_wait<asio::any_io_executor>(limit);
    if (at.sim_.now() > began + limit + 5ms) at.fault("told long after its deadline");
    at.told(call);
  }
  void told(const engine::call& call) {
    ++sums_.asked;
    const bool done = book_.executed[call.id] > 0;
    if (book_.executed[call.id] > 1) fault("executed twice");
    switch (call.how) {
      case verdict::answered: {
        ++sums_.answered;
        const bool good = call.heard == mux::answer::good;
        sums_.good += good;
        if (call.said != call.id) fault("answered with another number");
        if (call.heard == mux::answer::skipped || call.heard == mux::answer::none) fault("answered without an answer");
        if (call.kind == lane_kind::write && call.writes && good != done) fault("the answer is not what was done");
        if (call.kind == lane_kind::read && call.writes && done) fault("a read lane has written");
        break;
      }
      case verdict::late: ++sums_.late; break;
      case verdict::cancelled: ++sums_.cancelled; break;
      case verdict::full: ++sums_.full; break;
      case verdict::closed: ++sums_.closed; break;
      case verdict::no_lane:
        ++sums_.no_lane;
        if (!call.trouble) fault("no reason why there was no lane");
        break;
      case verdict::lost: ++sums_.lost; break;
      case verdict::unknown: ++sums_.unknown; break;
    }
    const bool not_executed =
        call.how == verdict::late || call.how == verdict::full || call.how == verdict::closed || call.how == verdict::no_lane;
    if (not_executed) never_.insert(call.id);
    for (const auto number : never_) {
      if (book_.executed[number] != 0) fault("reported as not executed, and it was");
    }
  }
  /// When nothing can run, nobody waits while a lane that may take it is free.
  void look() {
    if (!engine_ || !sim_.quiet()) return;
    const auto& state = std::as_const(*engine_).state();
    if (state.waiting() > 0 && state.vacant()) fault("a statement waits, and no lane is opened");
    for (std::size_t i = 0; i < state.lane_count(); ++i) {
      const auto& l = state.lane_at(i);
      if (l.state == mux::lane_state::ready && l.idle() && state.waiting(l.kind) > 0) fault("a statement waits while a lane is free");
    }
    if (state.waiting() > 0 && state.vacant()) fault("a statement waits, and no lane is asked for");
    for (const auto* const link : book_.links) {
      if (link->deserted()) fault("somebody waits on a connection that is cut");
    }
  }
  void fault(std::string what) {
    if (book_.faults.size() < 5) book_.faults.push_back(std::move(what));
  }

  simulation sim_;
  ledger book_;
  tally& sums_;
  const std::shared_ptr<simulated_spans> spans_ = std::make_shared<simulated_spans>();
  engine_ptr engine_;
  std::set<std::size_t> never_;
  std::size_t done_ = 0;
};

run_result run_seed(std::uint64_t seed, bool pct, tally& sums) {
  auto choices = pct ? choice_source::pct(seed, 3, 2000) : choice_source::random(seed);
  scenario one(choices, sums);
  return one.run();
}

}  // namespace

TEST_CASE("given lanes with every fault, when callers share them, then each is told once, and the truth") {
  tally sums;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    const auto [faults, trace] = run_seed(seed, seed % 3 == 0, sums);
    INFO("seed " << seed);
    std::string said;
    for (const auto& each : faults) said += each + "; ";
    REQUIRE(said == "");
  }
  INFO("good " << sums.good << " late " << sums.late << " cancelled " << sums.cancelled << " unknown " << sums.unknown << " lost "
               << sums.lost << " no lane " << sums.no_lane << " full " << sums.full << " cuts " << sums.cuts << " hangs " << sums.hangs
               << " refused " << sums.refused_writes << " turns " << sums.turns);
  CHECK(sums.good > sums.asked / 3);
  CHECK(sums.spans_left == 0);
  for (const auto count : {sums.late, sums.cancelled, sums.unknown, sums.no_lane, sums.full, sums.cuts, sums.hangs, sums.closed,
                           sums.refused_writes, sums.turns, sums.stalls_told, sums.throws}) {
    CHECK(count > 0);
  }
}

TEST_CASE("given a seed, when the multiplexer is simulated twice, then both runs are the same") {
  tally sums;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto one = run_seed(seed, false, sums);
    const auto two = run_seed(seed, false, sums);
    CHECK(one.trace == two.trace);
  }
}

}  // namespace multiplexed
