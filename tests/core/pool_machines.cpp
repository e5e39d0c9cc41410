// SPDX-License-Identifier: BSL-1.0
// tidepool - the life of a pool, and when its upkeep is due.
#include <tidepool/detail/core/life_cycle.hpp>
#include <tidepool/detail/core/schedule.hpp>

#include "support/catch.hpp"

namespace {
namespace machines {

using namespace std::chrono_literals;
using tidepool::detail::life_cycle;
using tidepool::detail::never;
using tidepool::detail::schedule;
using tidepool::detail::tick;

tick at(tidepool::duration since_start) { return tick(since_start); }

TEST_CASE("given a new pool, when it is started, closed and finished, then it admits callers only while it runs") {
  life_cycle life;
  CHECK(life.fresh());
  CHECK_FALSE(life.admits());
  CHECK(life.start());
  CHECK_FALSE(life.start());
  CHECK(life.running());
  CHECK(life.admits());
  life.begin_close();
  CHECK(life.stopped());
  CHECK_FALSE(life.closed());
  CHECK_FALSE(life.admits());
  CHECK_FALSE(life.start());
  life.finish();
  CHECK(life.closed());
  CHECK(life.stopped());
}
TEST_CASE("given a suspended pool, when it starts, resumes or closes, then it admits callers only while resumed") {
  life_cycle life;
  life.suspend();
  life.start();
  CHECK(life.running());
  CHECK_FALSE(life.admits());
  life.resume();
  CHECK(life.admits());
  life.suspend();
  CHECK_FALSE(life.admits());
  life.begin_close();
  life.resume();
  CHECK_FALSE(life.admits());
}
TEST_CASE("given a pool that was never started, when it is resumed, then it admits callers once it starts") {
  life_cycle life;
  life.suspend();
  life.resume();
  CHECK_FALSE(life.admits());
  life.start();
  CHECK(life.admits());
}
TEST_CASE("given a pool whose object goes, when it is asked, then it is an orphan") {
  life_cycle life;
  CHECK_FALSE(life.orphan());
  life.abandon();
  CHECK(life.orphan());
}

TEST_CASE("given a timer, when things become due, then it is only set anew for what is earlier") {
  schedule due;
  tick set = never;
  due.arm(at(5s), set);
  CHECK(set == at(5s));
  set = never;
  due.arm(at(7s), set);
  CHECK(set == never);
  due.arm(at(5s), set);
  CHECK(set == never);
  due.arm(at(3s), set);
  CHECK(set == at(3s));
  CHECK(due.armed_at() == at(3s));
  due.fired();
  set = never;
  due.arm(at(9s), set);
  CHECK(set == at(9s));
}
TEST_CASE("given deaths within the pause, when they are told, then there is one round at once and one after it") {
  schedule due;
  due.start_rounds(at(0s), 60s);
  CHECK(due.next_round() == at(60s));
  CHECK(due.suspect(at(10s), 2s));
  CHECK(due.next_round() == at(60s));
  CHECK_FALSE(due.suspect(at(11s), 2s));
  CHECK(due.next_round() == at(12s));
  CHECK(due.suspected_at() == at(11s));
  CHECK(due.round_due(at(12s), 60s));
  CHECK(due.next_round() == at(72s));
  CHECK_FALSE(due.round_due(at(72s), 60s));
}
TEST_CASE("given a death after the pause, when it is told, then its round begins at once and no other follows") {
  schedule due;
  due.start_rounds(at(0s), 60s);
  CHECK(due.suspect(at(10s), 2s));
  CHECK(due.suspect(at(12s), 2s));
  CHECK_FALSE(due.round_due(at(60s), 60s));
}

}  // namespace machines
}  // namespace
