// SPDX-License-Identifier: BSL-1.0
// tidepool - a recorded run of a simulation, replayed: the same figures; and what a replay predicts, against the run itself.
#include <tidepool/policy/recorder.hpp>
#include <tidepool/pool.hpp>
#include <tidepool/testing.hpp>
#include <tidepool/testing/replay.hpp>

#include <memory>
#include <string>
#include <vector>

#include "support/asio.hpp"
#include "support/catch.hpp"
#include "support/on_end.hpp"

namespace {
namespace replaying {

using namespace std::chrono_literals;
namespace testing = tidepool::testing;
using testing::fake_connection;
using tidepool::duration;
using tidepool::recorded_figures;
using tidepool::recording;

struct recorded_traits : testing::simulated_traits<fake_connection> {
  using recorder_policy = tidepool::recorder;
};
using pool_type = tidepool::basic_pool<fake_connection, recorded_traits>;

/// A day of a service: callers that come and hold, at times drawn from a seed.
struct day {
  std::uint64_t seed = 1;
  int callers = 300;
  duration between = 2ms;  ///< two callers, on average
  duration hold = 20ms;    ///< at most
  duration timeout = 60ms;
  bool trouble = false;  ///< outages, dead sessions, resets, discards, cancellations, verbs
  std::size_t memory = 1 << 20;
};

class service {
 public:
  service(const day& of, tidepool::pool_config config)
      : day_(of), random_(of.seed), choices_(testing::choice_source::replay({})), sim_(choices_), server_(sim_) {
    config.recorder_memory = of.memory;
    server_.plan()[testing::operation::connect].latency = 4ms;
    server_.plan()[testing::operation::ping].latency = 300us;
    server_.plan()[testing::operation::reset].latency = 400us;
    server_.plan()[testing::operation::close].latency = 500us;
    // As those of a real server, no two connects take equally long: what happens in one nanosecond has no order that could be replayed.
    const auto connect = [this](pool_type::connect_context to) { return connected_after(up_to(6ms), server_.connector(), std::move(to)); };
    pool_ = std::make_unique<pool_type>(sim_.get_executor(), connect, config);
  }

  recording run() {
    asio::co_spawn(sim_.get_executor(), pool_->open(), tidepool_tests::on_end([](std::exception_ptr) {}));
    duration at = 50ms + 1ns;
    for (int i = 0; i < day_.callers; ++i) {
      at += up_to(2 * day_.between);
      plan(at, up_to(day_.hold), i);
    }
    if (day_.trouble) make_trouble(at);
    sim_.run_until(sim_.now() + at + 300ms);
    return pool_->recorded();
  }

 private:
  static asio::awaitable<fake_connection> connected_after(duration pause, testing::fake_connector connect, pool_type::connect_context to) {
    co_await testing::sleep_for(pause);
    fake_connection made = co_await connect(to);
    co_return made;
  }
  duration up_to(duration most) { return duration(static_cast<duration::rep>(random_.unit() * static_cast<double>(most.count()))); }

  template <class Work>
  void later(duration in, Work work) {
    auto timer = std::make_shared<testing::virtual_timer>(sim_.get_executor());
    timer->expires_after(in);
    timer->async_wait([timer, work](tidepool::error_code) { work(); });
  }
  void plan(duration in, duration hold, int number) {
    const int kind = day_.trouble ? number % 16 : 0;
    const duration patience = up_to(day_.timeout);
    later(in, [this, hold, kind, patience] {
      if (kind == 1) return served(pool_->try_acquire(), hold, kind);
      auto stop = std::make_shared<asio::cancellation_signal>();
      const auto done = [this, stop, hold, kind](tidepool::error_code, pool_type::lease got) { served(std::move(got), hold, kind); };
      pool_->async_acquire(day_.timeout, asio::bind_cancellation_slot(stop->slot(), done));
      if (kind == 2) later(patience, [stop] { stop->emit(asio::cancellation_type::terminal); });
    });
  }
  void served(pool_type::lease got, duration hold, int kind) {
    if (!got) return;
    const auto held = std::make_shared<pool_type::lease>(std::move(got));
    later(hold, [held, kind] {
      if (kind == 3) return held->discard();
      if (kind == 4) (*held)->begin_transaction();
      if (kind == 5) (*held)->abort();  // found broken at its return
      if (kind == 6) return (void)held->detach();
      held->release();
    });
  }
  void make_trouble(duration until) {
    later(until / 4, [this] { server_.state(testing::server_state::down); });
    later(until / 4 + 90ms, [this] { server_.state(testing::server_state::up); });
    later(until / 2, [this] { server_.kill_sessions(); });
    later(until / 2 + 30ms, [this] { pool_->suspend(); });
    later(until / 2 + 45ms, [this] { pool_->resume(); });
    later(until * 3 / 4, [this] { pool_->recycle(); });
    later(until * 3 / 4 + 20ms, [this] { server_.state(testing::server_state::hung); });
    later(until * 3 / 4 + 120ms, [this] { server_.state(testing::server_state::up); });
    later(until * 7 / 8, [this] { pool_->resize(1, 3); });
  }

  day day_;
  tidepool::detail::splitmix random_;
  testing::choice_source choices_;  // what is ready first runs first, as in a replay
  testing::simulation sim_;
  testing::world server_;
  std::unique_ptr<pool_type> pool_;
};

tidepool::pool_config config_of(std::size_t min, std::size_t max) {
  tidepool::pool_config c;
  c.name = "orders";
  c.min_size = min;
  c.max_size = max;
  c.acquire_timeout = 60ms;
  c.connect_timeout = 50ms;
  c.validation_timeout = 20ms;
  c.retry_delay = 10ms;
  c.max_retry_delay = 40ms;
  c.alive_bypass = 5ms;
  return c;
}

recording made_by(const day& of, const tidepool::pool_config& config) { return service(of, config).run(); }

}  // namespace replaying

using namespace replaying;

}  // namespace

TEST_CASE("given a recorded run, when it is replayed with its configuration, then its figures are the same") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    day of;
    of.seed = seed;
    const recording seen = made_by(of, config_of(2, 5));
    REQUIRE(seen.lost == 0);
    const recording again = testing::replay(seen);
    INFO("seed " << seed);
    CHECK(again.figures().text() == seen.figures().text());
    CHECK(seen.figures().calls == 300);
    CHECK(seen.figures().wait_p99 > 0ns);
  }
}

TEST_CASE("given a recorded run with outages, when it is replayed, then its figures are the same") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    day of;
    of.seed = seed;
    of.trouble = true;
    const recording seen = made_by(of, config_of(2, 5));
    const recording again = testing::replay(seen);
    INFO("seed " << seed);
    CHECK(again.figures().text() == seen.figures().text());
  }
}

TEST_CASE("given a recorded run, when it is replayed larger, then it predicts what a larger pool comes to") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    day of;
    of.seed = seed;
    of.timeout = 10s;  // so that every caller is served, and holds for a time that is known
    const recording seen = made_by(of, config_of(2, 4));
    for (const std::size_t max : {3u, 6u, 8u, 12u}) {
      const recorded_figures predicted = testing::replay(seen, config_of(2, max)).figures();
      const recorded_figures real = made_by(of, config_of(2, max)).figures();
      INFO("seed " << seed << " max_size " << max << "\n" << predicted.text() << "\n" << real.text());
      CHECK(predicted.calls == real.calls);
      CHECK(predicted.most_leased + 1 >= real.most_leased);
      CHECK(predicted.most_leased <= real.most_leased + 1);
      const auto close = [](duration a, duration b) { return std::chrono::abs(a - b) <= 3ms + b / 10; };
      CHECK(close(predicted.wait_p50, real.wait_p50));
      CHECK(close(predicted.wait_p99, real.wait_p99));
    }
  }
}

TEST_CASE("given callers that ran out of time, when it is replayed larger, then it tells how many still would") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    day of;
    of.seed = seed;
    const recording seen = made_by(of, config_of(2, 4));
    for (const std::size_t max : {5u, 8u, 12u}) {
      const recorded_figures predicted = testing::replay(seen, config_of(2, max)).figures();
      const recorded_figures real = made_by(of, config_of(2, max)).figures();
      INFO("seed " << seed << " max_size " << max << "\n" << predicted.text() << "\n" << real.text());
      CHECK(std::abs(static_cast<double>(predicted.timeouts) - static_cast<double>(real.timeouts)) <= 20);
    }
  }
}

TEST_CASE("given a ring that has wrapped, when its recording is replayed, then its figures are nearly the same") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    day of;
    of.seed = seed;
    of.callers = 2000;
    of.memory = 32 * 1024;
    const recording seen = made_by(of, config_of(2, 5));
    REQUIRE(seen.lost > 0);
    const recorded_figures was = seen.figures();
    const recorded_figures now = testing::replay(seen).figures();
    INFO("seed " << seed << "\n" << now.text() << "\n" << was.text());
    CHECK(now.calls == was.calls);
    CHECK(std::abs(static_cast<double>(now.served) - static_cast<double>(was.served)) <= 10);
    CHECK(std::chrono::abs(now.wait_p99 - was.wait_p99) <= 2ms);
    CHECK(now.most_leased == was.most_leased);
  }
}
