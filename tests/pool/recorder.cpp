// SPDX-License-Identifier: BSL-1.0
// tidepool - the flight recorder in a pool: what it holds, when and to whom it hands that out.
#include <tidepool/policy/recorder.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "rig.hpp"

namespace {
namespace recorded_pool {

using namespace tidepool_tests;
using tidepool::recorded_call;
using tidepool::recorded_event;
using tidepool::recorded_kind;
using tidepool::recording;
using tidepool::recording_reason;

struct recorded_traits : testing::simulated_traits<fake_connection> {
  using recorder_policy = tidepool::recorder;
};
using recorded_rig = rig<fake_connection, recorded_traits>;

std::size_t count(const recording& in, recorded_kind kind) {
  return static_cast<std::size_t>(
      std::count_if(in.events.begin(), in.events.end(), [&](const recorded_event& e) { return e.kind == kind; }));
}
const recorded_event& first(const recording& in, recorded_kind kind) {
  const auto found = std::find_if(in.events.begin(), in.events.end(), [&](const recorded_event& e) { return e.kind == kind; });
  REQUIRE(found != in.events.end());
  return *found;
}
/// Keeps what a sink gets.
struct kept {
  std::vector<recording> all;
  static std::shared_ptr<kept> of(recorded_rig& r) {
    auto out = std::make_shared<kept>();
    r.pool->record_to([out](const recording& made) {
      testing::checked_mutex::expect_unlocked("a recording is handed out");
      out->all.push_back(made);
    });
    return out;
  }
};

template <class Pool>
concept can_record = requires(Pool& p) {
  p.recorded();
};

}  // namespace recorded_pool

using namespace recorded_pool;

}  // namespace

TEST_CASE("given a recorder, when callers wait, are served and give back, then each step has its time") {
  recorded_rig r(calm(0, 1));
  auto first_caller = r.ask();
  r.sim.run_while_not([&] { return first_caller->served(); });
  auto second = r.ask(5s);
  r.sim.run_for(20ms);
  first_caller->held.release();
  r.sim.run_while_not([&] { return second->served(); });
  r.sim.run_for(3ms);
  second->held.release();
  const recording made = r.pool->recorded();
  const auto calls = made.calls();
  REQUIRE(calls.size() == 2);
  CHECK(calls[0].held() == 20ms);
  CHECK(calls[1].queued);
  CHECK(calls[1].timeout == 5s);
  CHECK(calls[1].waited() == 20ms);
  CHECK(calls[1].held() == 3ms);
  CHECK(calls[1].returned);
  CHECK(count(made, recorded_kind::connect_begun) == 1);
  CHECK(tidepool::duration(static_cast<tidepool::duration::rep>(first(made, recorded_kind::connected).value)) == 1ms);
  CHECK(made.latest_connect == 1ms);
  CHECK(made.pool == "pool");
  CHECK(made.config().max_size == 1);
  CHECK(made.reason == recording_reason::request);
  CHECK(made.made_at == r.sim.now().time_since_epoch());
  CHECK(made.validates);
  CHECK(made.says_goodbye);
  CHECK(made.places.at(calls[0].place).file.find("rig.hpp") != std::string::npos);
}

TEST_CASE("given a recorder and a stash, when leases never take the lock, then each is recorded") {
  recorded_rig r(calm(1, 1));
  r.open();
  for (int i = 0; i < 100; ++i) {
    auto lease = r.pool->try_acquire();
    REQUIRE(lease);
    r.sim.freeze(1ms);
  }
  const recording made = r.pool->recorded();
  const auto calls = made.calls();
  REQUIRE(calls.size() == 100);
  for (const recorded_call& c : calls) {
    CHECK(c.tried);
    CHECK(c.held() == 1ms);
  }
  CHECK(made.places.at(calls[0].place).file.find("recorder.cpp") != std::string::npos);
  auto only = r.pool->try_acquire();
  CHECK_FALSE(r.pool->try_acquire());
  CHECK(count(r.pool->recorded(), recorded_kind::missed) == 1);
}

TEST_CASE("given a recorder, when connections are validated, reset, closed and lost, then that is recorded") {
  pool_config c = calm(1, 2);
  c.pre_ping = true;
  c.alive_bypass = 0ms;
  recorded_rig r(c);
  r.open();
  auto dirty = r.take();
  dirty->begin_transaction();
  dirty.release();
  r.sim.run_for(100ms);
  auto bad = r.take();
  bad.discard();
  r.sim.run_for(100ms);
  r.pool->recycle();
  r.sim.run_for(100ms);
  const recording made = r.pool->recorded();
  std::vector<int> works;
  for (const recorded_event& e : made.events) {
    if (e.kind == recorded_kind::work_begun) works.push_back(e.code);
  }
  const auto validate = static_cast<int>(tidepool::connection_work::validate);
  const auto reset = static_cast<int>(tidepool::connection_work::reset);
  const auto close = static_cast<int>(tidepool::connection_work::close);
  CHECK(works == std::vector<int>{validate, reset, validate, close});
  CHECK(count(made, recorded_kind::work_ended) == 4);
  CHECK(first(made, recorded_kind::destroyed).code == static_cast<int>(close_reason::broken));
  CHECK(first(made, recorded_kind::verb).code == static_cast<int>(tidepool::recorded_verb::open));
  CHECK(count(made, recorded_kind::verb) == 2);
}

TEST_CASE("given connects that fail and hang, when they end, then each is recorded with its cause") {
  pool_config c = calm(0, 1);
  c.connect_timeout = 50ms;
  recorded_rig r(c);
  r.server.state(server_state::down);
  auto caller = r.ask(10s);
  r.sim.run_for(10ms);
  r.server.state(server_state::hung);
  r.sim.run_for(1s);
  const recording made = r.pool->recorded();
  CHECK(first(made, recorded_kind::connect_failed).code == static_cast<int>(tidepool::failure_kind::refused));
  CHECK(std::any_of(made.events.begin(), made.events.end(),
                    [](const recorded_event& e) { return e.kind == recorded_kind::connect_failed && e.code == recorded_event::gave_up; }));
}

TEST_CASE("given a sink, when acquires run out of time, then it gets one recording in an interval") {
  pool_config c = calm(0, 1);
  c.recorder_interval = 10s;
  recorded_rig r(c);
  const auto got = kept::of(r);
  auto held = r.take();
  for (int i = 0; i < 3; ++i) {
    auto late = r.ask(1ms);
    r.sim.run_for(1s);
    CHECK(late->failed_with(errc::timeout));
  }
  REQUIRE(got->all.size() == 1);
  CHECK(got->all[0].reason == recording_reason::timeout);
  CHECK(got->all[0].figures().timeouts == 1);
  r.sim.run_for(10s);
  auto late = r.ask(1ms);
  r.sim.run_for(1s);
  CHECK(got->all.size() == 2);
  CHECK(got->all.back().figures().timeouts == 4);
}

TEST_CASE("given a sink, when a leak is found and the breaker opens, then it gets a recording for each") {
  pool_config c = calm(0, 1);
  c.leak_detection = true;
  c.leak_timeout = 1s;
  c.breaker_threshold = 1;
  c.wait_when_refused = false;
  recorded_rig r(c);
  const auto got = kept::of(r);
  auto held = r.take();
  r.sim.run_for(2s);
  REQUIRE(got->all.size() == 1);
  CHECK(got->all[0].reason == recording_reason::leak);
  CHECK(count(got->all[0], recorded_kind::leak) == 1);
  r.server.state(server_state::down);
  held.discard();
  auto caller = r.ask(1s);
  r.sim.run_for(2s);
  REQUIRE(got->all.size() >= 2);
  CHECK(got->all[1].reason == recording_reason::breaker);
  CHECK(count(got->all[1], recorded_kind::breaker_changed) >= 1);
  CHECK(count(got->all[1], recorded_kind::state_changed) >= 1);
}

TEST_CASE("given a sink, when a recording is asked for, then it gets one each time, until it is taken away") {
  recorded_rig r(calm(0, 1));
  const auto got = kept::of(r);
  r.pool->record_now();
  r.pool->record_now();
  CHECK(got->all.empty());  // on the executor, not here
  r.settle();
  CHECK(got->all.size() == 2);
  r.pool->record_to(nullptr);
  r.pool->record_now();
  r.settle();
  CHECK(got->all.size() == 2);
}

TEST_CASE("given a sink that throws, when it is called, then the pool goes on") {
  recorded_rig r(calm(0, 1));
  r.pool->record_to([](const recording&) { throw 1; });
  r.pool->record_now();
  r.settle();
  CHECK(r.take());
}

TEST_CASE("given a pool that is destroyed, when a recording was under way, then nobody gets it") {
  recorded_rig r(calm(0, 1));
  const auto got = kept::of(r);
  r.pool->record_now();
  r.pool.reset();
  r.settle();
  CHECK(got->all.empty());
}

TEST_CASE("given a path, when recordings are made, then sixteen files at most are kept, the first ones too") {
  const auto folder = std::filesystem::temp_directory_path() / ("tidepool-recorder-" + std::to_string(std::rand()));
  std::filesystem::create_directory(folder);
  pool_config c = calm(0, 1);
  c.recorder_path = (folder / "orders").string();
  recorded_rig r(c);
  for (int i = 0; i < 30; ++i) {
    r.pool->suspend();
    r.pool->record_now();
    r.settle();
  }
  CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 16);
  CHECK(count(recording::load((folder / "orders-0.recording").string()), recorded_kind::verb) == 1);
  CHECK(count(recording::load((folder / "orders-7.recording").string()), recorded_kind::verb) == 8);
  CHECK(count(recording::load((folder / "orders-13.recording").string()), recorded_kind::verb) == 30);
  std::filesystem::remove_all(folder);
}

TEST_CASE("given a recorder's memory, when it is reconfigured, then that is refused; path and interval change") {
  recorded_rig r(calm(0, 1));
  pool_config c = r.pool->config();
  c.recorder_memory = 1 << 16;
  CHECK_THROWS_WITH(r.pool->reconfigure(c), Catch::Matchers::Contains("recorder_memory"));
  c = r.pool->config();
  c.recorder_interval = 0s;
  r.pool->reconfigure(c);
  const auto got = kept::of(r);
  auto held = r.take();
  for (int i = 0; i < 3; ++i) {
    auto late = r.ask(1ms);
    r.sim.run_for(1s);
  }
  CHECK(got->all.size() == 3);
}

TEST_CASE("given a lease that is detached, when it is recorded, then it is told as that") {
  recorded_rig r(calm(0, 1));
  auto lease = r.take();
  const fake_connection mine = lease.detach();
  r.settle();
  const auto calls = r.pool->recorded().calls();
  REQUIRE(calls.size() == 1);
  CHECK(calls[0].how == tidepool::lease_over::detached);
}

TEST_CASE("given no recorder, when a pool is made, then it has no memory for one, and no members") {
  using plain = tidepool::basic_pool<fake_connection, testing::simulated_traits<fake_connection>>;
  using recorded = tidepool::basic_pool<fake_connection, recorded_traits>;
  CHECK(std::is_empty_v<tidepool::no_recorder>);
  CHECK_FALSE(can_record<plain>);
  CHECK(can_record<recorded>);
}
