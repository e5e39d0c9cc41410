// SPDX-License-Identifier: BSL-1.0
// tidepool - advice on the size of a pool, from loads that are made up.
#include <tidepool/advice.hpp>

#include <cmath>
#include <cstdint>
#include <string>

#include "support/catch.hpp"

namespace advice_unit_tests {

using namespace tidepool;
using namespace std::chrono_literals;
using tidepool_tests::has_text;

/// Windows of a second with so many acquires each, of leases of one length.
struct made_up {
  explicit made_up(duration hold, std::size_t max_size = 100) {
    load.max_size = max_size;
    load.hold_time.record(hold, 1000);
  }
  made_up& seconds(int count, std::uint32_t arrivals, std::uint32_t in_system) {
    for (int i = 0; i < count; ++i) load.record.add({1.0F, arrivals, in_system}, load.max_size);
    return *this;
  }
  pool_advice advice(duration goal = 10ms, std::size_t effort = 5'000) const {
    pool_config config;
    config.wait_goal = goal;
    return advise(load, config, effort);
  }
  pool_load load;
};

TEST_CASE("given too little of a load, when advice is asked for, then it says what is missing") {
  CHECK_FALSE(advise(pool_load(), pool_config()).known);
  CHECK(std::string(made_up(50ms).seconds(15, 200, 10).advice().why) ==
        "too little time was observed: it takes 16 looks, one each advice_interval at most");
  CHECK(std::string(made_up(50ms).seconds(100, 4, 0).advice().why) == "fewer than 500 acquires were observed");
  made_up untimed(50ms);
  untimed.load.hold_time = {};
  untimed.load.hold_time.record(50ms, 99);
  CHECK(std::string(untimed.seconds(100, 200, 10).advice().why) == "fewer than 100 leases were timed");
  CHECK(to_string(untimed.advice()) == "no advice yet: fewer than 100 leases were timed");
  CHECK(made_up(50ms).seconds(16, 200, 10).advice().known);
}

TEST_CASE("given independent callers, when advice is asked for, then Little's law and a queue's waits are in it") {
  const auto advice = made_up(50ms, 12).seconds(300, 200, 10).advice();
  REQUIRE(advice.known);
  CHECK(advice.observed == 300s);
  CHECK(std::abs(advice.arrivals - 200) < 0.01);
  CHECK(std::abs(advice.mean_leases - 10) < 0.01);
  CHECK(std::abs(advice.peak_leases - 10) < 0.01);
  CHECK(advice.burstiness == 1);
  CHECK(advice.max_size >= 15);
  CHECK(advice.max_size <= 17);
  CHECK(advice.min_size >= 10);
  CHECK(advice.min_size <= advice.max_size);
  CHECK(advice.around[3].size == advice.max_size);
  for (std::size_t i = 0; i < advice.around.size(); ++i) {
    const auto& one = advice.around[i];
    CHECK(one.size == advice.max_size + i - 3);
    CHECK(one.good == (i >= 3));
    if (i > 0) CHECK(one.p99_wait <= advice.around[i - 1].p99_wait);
    if (i > 0) CHECK(one.at_limit < advice.around[i - 1].at_limit);
  }
  CHECK(advice.now.size == 12);
  CHECK_FALSE(advice.now.good);
  CHECK(advice.now.p99_wait > 10ms);
  CHECK(advice.now.at_limit > 0.2);
  CHECK(advice.now.at_limit < 0.8);
  CHECK(made_up(50ms).seconds(300, 200, 10).advice(200ms).max_size < advice.max_size);
  CHECK(made_up(50ms).seconds(300, 200, 10).advice(0ms).max_size > advice.max_size);
}

TEST_CASE("given leases at one moment that vary more than independent callers', then more is advised") {
  const auto calm = made_up(50ms).seconds(300, 200, 10).advice();
  made_up bursts(50ms);
  for (int i = 0; i < 75; ++i) bursts.seconds(3, 200, 2).seconds(1, 200, 34);
  const auto advice = bursts.advice();
  CHECK(advice.burstiness > 15);
  CHECK(advice.max_size > 2 * calm.max_size);
  CHECK_FALSE(advice.queued);
}

TEST_CASE("given a queue at many looks, then those do not count as bursts, and the advice says so") {
  made_up queued(50ms, 12);
  for (int i = 0; i < 75; ++i) queued.seconds(3, 200, 10).seconds(1, 200, 200);
  const auto advice = queued.advice();
  CHECK(advice.queued);
  CHECK(advice.burstiness == 1);
  CHECK_THAT(to_string(advice), has_text("look again when the pool is larger"));
}

TEST_CASE("given a busy hour and a quiet one, then the advice is for the busy one") {
  made_up day(100ms);
  for (int i = 0; i < 20; ++i) day.seconds(8, 300, 30).seconds(8, 10, 1);
  const auto advice = day.advice();
  CHECK(std::abs(advice.peak_leases - 30) < 0.01);
  CHECK(advice.mean_leases < 16);
  CHECK(advice.max_size > 33);
  CHECK(advice.max_size < 45);
}

TEST_CASE("given more acquires than a replay has, then a sample of them gives the same advice") {
  made_up busy(100ms);
  for (int i = 0; i < 48; ++i) busy.seconds(8, i % 2 == 0 ? 400u : 100u, i % 2 == 0 ? 40u : 10u);
  const auto all = busy.advice(10ms, 100'000);
  const auto sample = busy.advice(10ms, 10'000);
  CHECK(all.max_size > 40);
  CHECK(std::abs(static_cast<double>(sample.max_size) / static_cast<double>(all.max_size) - 1) < 0.1);
  CHECK(to_json(busy.advice()) == to_json(busy.advice()));
}

TEST_CASE("given connects that are quicker than the goal, then the floor is the mean alone") {
  made_up load(50ms);
  load.seconds(300, 200, 10);
  const auto slow = load.advice().min_size;
  load.load.connect_time.record(2ms, 10);
  CHECK(load.advice().min_size == 10);
  CHECK(slow > 10);
}

TEST_CASE("given more leases than any pool has, then the largest is advised, and it is not good") {
  const auto advice = made_up(100s).seconds(100, 200, 20'000).advice(10ms, 40'000);
  CHECK(advice.max_size == 10'000);
  CHECK_FALSE(advice.around[3].good);
}

TEST_CASE("given a pool that never waits, then a size in which nobody has to is advised") {
  pool_config config;
  config.acquire_timeout = 0s;
  const auto advice = advise(made_up(50ms).seconds(100, 50, 3).load, config, 5'000);
  CHECK(advice.max_size < 20);
  CHECK(advice.around[3].p99_wait == 0s);
  CHECK(advice.around[3].timed_out == 0);
  CHECK(advice.around[2].timed_out > 0);
}

TEST_CASE("given a long record, when blocks are added, then it stays an even sample, and keeps blocks whole") {
  detail::load_record record;
  CHECK(record.size() == 0);
  for (std::uint32_t i = 0; i < 8 * 1000; ++i) record.add({1.0F, i, 0}, 10);
  CHECK(record.size() == detail::load_record::blocks);
  std::size_t early = 0;
  for (std::size_t i = 0; i < record.size(); ++i) {
    for (std::size_t k = 1; k < detail::load_record::block; ++k) CHECK(record[i][k].arrivals == record[i][0].arrivals + k);
    early += record[i][0].arrivals < 4000;
  }
  CHECK(early > record.size() / 4);
  CHECK(early < record.size() / 4 * 3);
  record.add({1.0F, 7, 0}, 10);
  CHECK(record.size() == detail::load_record::blocks + 1);
  CHECK(record[detail::load_record::blocks][0].arrivals == 7);
  CHECK(record[detail::load_record::blocks][1].seconds == 0);
}

TEST_CASE("given advice, when it is JSON or a line, then that is the whole text") {
  pool_advice advice;
  CHECK(to_json(advice) ==
        R"({"known":false,"why":"","observed":0,"arrivals":0,"mean_hold":0,"mean_leases":0,"peak_leases":0,"burstiness":1,)"
        R"("queued":false,"goal":0,"min_size":0,"max_size":0,"measured_p99":0,)"
        R"("now":{"size":0,"p99_wait":0,"at_limit":0,"timed_out":0,"good":false},"around":[]})");
  advice.known = true;
  advice.arrivals = 200;
  advice.mean_leases = 10;
  advice.peak_leases = 12.5;
  advice.goal = 10ms;
  advice.min_size = 14;
  advice.max_size = 17;
  advice.now = {12, 80ms, 0.25, 0, false};
  advice.around[2] = {16, 15ms, 0.125, 0, false};
  advice.around[3] = {17, 9ms, 0.0625, 0, true};
  CHECK_THAT(to_json(advice), has_text(R"("around":[{"size":16,"p99_wait":0.015,"at_limit":0.125,"timed_out":0,"good":false},)"
                                       R"({"size":17,"p99_wait":0.009,"at_limit":0.0625,"timed_out":0,"good":true}]})"));
  CHECK(
      to_string(advice) ==
      "min_size 14, max_size 17 would do for a p99 wait of 10 ms: 200 acquires a second hold 10 connections on average, 12.5 at the peak; "
      "at max_size 12, the present one, the p99 wait is expected to be 80 ms, and all are leased for 25 % of the time");
}

}  // namespace advice_unit_tests
