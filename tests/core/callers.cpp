// SPDX-License-Identifier: BSL-1.0
// tidepool - the core: queueing, hand-off, timeouts, cancellation in every stage, and grants that come to nothing.
#include "core_rig.hpp"

namespace {

using namespace tidepool_tests;
using rig = core_rig<>;

TEST_CASE("given waiters, when connections come back, then they are served in order and none is overtaken", "[A6][B113]") {
  const bool fast = GENERATE(false, true);
  rig r(calm(0, 2));
  const auto ask = [&]() -> rig::caller& { return fast ? r.acquire_fast() : r.acquire(); };
  const auto give = [&](rig::caller& w) { fast ? r.give_back_fast(*w.got()) : r.give_back(w); };
  auto& a = ask();
  auto& b = ask();
  r.connect_all();
  std::vector<rig::caller*> queue;
  for (int i = 0; i < 20; ++i) queue.push_back(&ask());
  CHECK_FALSE(r.try_take());
  give(a);
  CHECK(queue[0]->served());
  CHECK_FALSE(r.try_take());
  give(b);
  for (std::size_t i = 0; i + 2 < queue.size(); ++i) {
    REQUIRE(queue[i]->served());
    REQUIRE(queue[i + 1]->served());
    REQUIRE(queue[i + 2]->waiting());
    give(*queue[i]);
  }
  CHECK(r.stats().waited == 20 + 2);
  CHECK(r.connects == 2);
  r.finish();
}

TEST_CASE("given idle connections, when one is asked for, then it is the last used or the longest idle, as set", "[A11]") {
  struct oldest_first : core_traits {
    using queue_policy = tidepool::fifo_queue_oldest_idle;
  };
  const auto order = [](auto r) {
    std::vector<typename decltype(r)::element_type::caller*> all;
    for (int i = 0; i < 3; ++i) all.push_back(&r->acquire());
    r->connect_all();
    for (auto* w : all) {
      r->give_back_fast(*w->got());
      r->advance(1s);
    }
    std::vector<tidepool::connection_id> out;
    for (int i = 0; i < 3; ++i) out.push_back(r->try_take()->id);
    r->finish();
    return out;
  };
  CHECK(order(std::make_unique<rig>(calm(0, 3))) == std::vector<tidepool::connection_id>{3, 2, 1});
  CHECK(order(std::make_unique<core_rig<oldest_first>>(calm(0, 3))) == std::vector<tidepool::connection_id>{1, 2, 3});
}

TEST_CASE("given a connection given back, when one is asked for, then it is the same one", "[A2]") {
  const bool fast = GENERATE(false, true);
  rig r(calm(0, 5));
  auto& a = r.acquire();
  r.connect_ok();
  const auto id = a.got()->id;
  fast ? r.give_back_fast(*a.got()) : r.give_back(a);
  auto& b = fast ? r.acquire_fast() : r.acquire();
  REQUIRE(b.served());
  CHECK(b.got()->id == id);
  CHECK(b.got()->uses == 2);
  CHECK(r.connects == 1);
  CHECK(r.stats().direct == 1);
  r.finish();
}

TEST_CASE("given nothing leased, when n ask within max_size, then they get n connections", "[A3]") {
  rig r(calm(0, 5));
  std::vector<rig::caller*> all;
  for (int i = 0; i < 5; ++i) all.push_back(&r.acquire());
  r.connect_all();
  std::vector<tidepool::connection_id> ids;
  for (auto* w : all) ids.push_back(w->got()->id);
  CHECK(ids == std::vector<tidepool::connection_id>{1, 2, 3, 4, 5});
  r.finish();
}

TEST_CASE("given waiters with timeouts of their own, when time passes, then each fails at its own, not before", "[T1][T3]") {
  const bool fast = GENERATE(false, true);
  rig r(calm(0, 1));
  auto& holder = r.acquire();
  r.connect_ok();
  const auto ask = [&](duration t) -> rig::caller& { return fast ? r.acquire_fast(t) : r.acquire(t); };
  auto& c = ask(3s);
  auto& a = ask(1s);
  auto& b = ask(2s);
  auto& zero = ask(0s);
  auto& endless = ask(no_limit);
  CHECK(zero.failed_with(errc::timeout));
  CHECK(r.armed == r.now + 1s);
  r.advance(1s - 1ns);
  CHECK(a.waiting());
  r.advance(1ns);
  CHECK(a.failed_with(errc::timeout));
  r.advance(1s);
  CHECK(b.failed_with(errc::timeout));
  r.give_back(holder);
  CHECK(c.served());
  r.advance(10 * 1h);
  CHECK(c.served());
  CHECK(endless.waiting());
  CHECK(r.stats().timeouts == 3);
  r.finish();
}

TEST_CASE("given max_waiting callers, when one more comes, then it is refused; after a place is free it is not", "[T9][B051]") {
  const bool fast = GENERATE(false, true);
  auto config = calm(0, 1);
  config.max_waiting = 3;
  rig r(config);
  auto& holder = r.acquire();
  r.connect_ok();
  const auto ask = [&]() -> rig::caller& { return fast ? r.acquire_fast() : r.acquire(); };
  auto& a = ask();
  ask();
  ask();
  CHECK(ask().failed_with(errc::queue_full));
  CHECK(r.stats().rejected_full == 1);
  r.cancel(a);
  CHECK(ask().waiting());
  CHECK(ask().failed_with(errc::queue_full));
  r.give_back(holder);
  CHECK(ask().waiting());
  r.finish();
}

TEST_CASE("given waiters, when they are cancelled in any order, then the rest are served, each cancel counted", "[X4][B002][B019][B050]") {
  std::vector<int> order{0, 1, 2, 3};
  do {
    rig r(calm(0, 1));
    auto& holder = r.acquire();
    r.connect_ok();
    std::vector<rig::caller*> all;
    for (int i = 0; i < 5; ++i) all.push_back(&r.acquire());
    for (const int i : order) {
      r.cancel(*all[static_cast<std::size_t>(i)]);
      r.cancel(*all[static_cast<std::size_t>(i)]);  // harmless
    }
    CHECK(r.stats().cancelled == 4);
    CHECK(r.stats().waiting == 1);
    r.give_back(holder);
    CHECK(all[4]->served());
    r.finish();
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("given a caller that leaves while its connect runs, when that ends, then the connection becomes idle", "[X2][B011]") {
  const bool times_out = GENERATE(false, true);
  rig r(calm(0, 1));
  auto& a = r.acquire(1s);
  if (times_out) {
    r.advance(1s);
    CHECK(a.failed_with(errc::timeout));
  } else {
    r.cancel(a);
    CHECK(a.failed_with(errc::cancelled));
  }
  CHECK(r.stats().connecting == 1);
  r.connect_ok();
  CHECK(r.stats().idle_connections == 1);
  CHECK(r.acquire().served());
  CHECK(r.connects == 1);
  r.finish();
}

TEST_CASE("given a caller cancelled after its grant, then either the grant counts or the cancel, never both", "[X1][B025]") {
  rig r(calm(0, 1));
  auto& a = r.acquire();
  r.connect_ok();
  r.cancel(a);
  CHECK(a.served());
  CHECK(r.stats().cancelled == 0);
  r.bounce(a);
  CHECK(a.failed_with(errc::cancelled));
  CHECK(r.stats().cancelled == 1);
  CHECK(r.stats().total_checkouts == 0);
  r.finish();
}

TEST_CASE("given a granted connection that is dead, when it bounces, then its caller is first in line again", "[H1]") {
  const bool direct = GENERATE(false, true);
  rig r(calm(0, 2));
  auto& h1 = r.acquire();
  auto& h2 = r.acquire();
  r.connect_all();
  if (direct) r.give_back(h1);
  auto& a = r.acquire();
  auto& b = r.acquire();
  auto& c = r.acquire();
  if (!direct) r.give_back(h1);
  REQUIRE(a.served());
  r.bounce(a);
  CHECK(a.waiting());
  CHECK(r.stats().closed(close_reason::broken) == 1);
  r.give_back(h2);
  CHECK(a.served());
  CHECK(b.waiting());
  r.connect_ok();  // the dead one's place
  CHECK(b.served());
  CHECK(c.waiting());
  CHECK(r.stats().total_checkouts == 4);
  CHECK(r.stats().wait_time.count() == r.stats().total_checkouts);
  r.finish();
}

TEST_CASE("given a caller granted dead connections one by one, when it waits, then each wait counts as it was") {
  rig r(calm(0, 3));
  r.fill(3);
  const auto before = r.stats().waited;
  r.suspend();
  auto& a = r.acquire(1h);
  auto& b = r.acquire(1h);
  r.now += 10ms;
  r.core.resume(r.now, r.acts);
  // The shell finds the first two dead, and the second only after a while: by then b has the third, granted later.
  for (int dead = 0; dead < 2; ++dead) {
    REQUIRE(r.acts.done.front() == &a);
    r.acts.done.pop_front();
    r.now += 3s;
    r.core.bounce(a, r.now, r.acts);
  }
  r.pump();
  REQUIRE(a.served());
  CHECK(b.waiting());
  CHECK(r.stats().waited == before + 1);
  CHECK(r.stats().wait_time.count() == before + 1);
  CHECK(r.stats().wait_time.sum() == 10ms);
  CHECK(r.stats().closed(close_reason::broken) == 2);
  r.finish();
}

TEST_CASE("given two grants of one moment, when both bounce in the wrong order, then order of arrival is kept") {
  rig r(calm(0, 2));
  auto& a = r.acquire();
  auto& b = r.acquire();
  auto& c = r.acquire();
  r.connect_all();
  REQUIRE(a.served());
  REQUIRE(b.served());
  r.advance(1s);  // or losing them would be failed connects
  const bool swap = GENERATE(false, true);
  r.bounce(swap ? b : a);
  r.bounce(swap ? a : b);
  r.connect_ok();
  CHECK(a.served());
  CHECK(b.waiting());
  r.connect_ok();
  CHECK(b.served());
  CHECK(c.waiting());
  r.finish();
}

TEST_CASE("given a grant that bounces after its caller's deadline or a close, then the caller fails") {
  rig r(calm(0, 1));
  auto& a = r.acquire(1s);
  r.connect_ok();
  r.now += 2s;
  SECTION("late") {
    r.bounce(a);
    r.advance(0s);
    CHECK(a.failed_with(errc::timeout));
  }
  SECTION("closed") {
    r.close(1h);
    r.bounce(a);
    CHECK(a.failed_with(errc::closed));
    r.close_all();
    CHECK(r.stats().state == pool_state::closed);
  }
  SECTION("closed and taken back") {
    r.close(0s);
    CHECK(a.got()->state == slot_state::gone);
    r.bounce(a);
    CHECK(a.failed_with(errc::closed));
    CHECK(r.stats().total_checkins == 0);
    CHECK(r.stats().total_checkouts == 0);
  }
  r.finish();
}

TEST_CASE("given idle connections that are all dead, when the fast path rejects them, then one is opened", "[H1][B036][B042]") {
  rig r(calm(0, 5));
  std::vector<rig::caller*> all;
  for (int i = 0; i < 3; ++i) all.push_back(&r.acquire());
  r.connect_all();
  for (auto* w : all) r.give_back(*w);
  for (int i = 0; i < 3; ++i) {
    auto* s = r.try_take();
    REQUIRE(s);
    r.reject(*s);
  }
  CHECK_FALSE(r.try_take());
  CHECK(r.stats().closed(close_reason::broken) == 3);
  CHECK(r.stats().total_connections == 0);
  CHECK(r.stats().direct == 0);
  auto& a = r.acquire();
  r.connect_ok();
  CHECK(a.served());
  CHECK(r.connects == 4);
  r.finish();
}

TEST_CASE("given ten thousand waiters, when they time out together, then all end in time, the next is served", "[B026][INV-16]") {
  rig r(calm(0, 1));
  auto& holder = r.acquire();
  r.connect_ok();
  // Not through the rig, whose checks look at every caller each time.
  std::deque<core_waiter> crowd;
  for (int i = 0; i < 10'000; ++i) r.core.enqueue(crowd.emplace_back(), r.now, r.now + 20ms, r.acts);
  CHECK(r.stats().waiting == 10'000);
  leak_findings none;
  r.core.tick_at(r.now + 20ms, r.acts, none);
  std::size_t ended = 0;
  while (core_waiter* w = r.acts.done.pop_front()) ended += w->error == errc::timeout;
  CHECK(ended == 10'000);
  CHECK(r.stats().waiting == 0);
  r.give_back(holder);
  CHECK(r.acquire().served());
  r.finish();
}

TEST_CASE("given two tasks that each hold one of two and want another, when time is up, then both fail", "[B117]") {
  rig r(calm(0, 2));
  auto& a = r.acquire();
  auto& b = r.acquire();
  r.connect_all();
  auto& a2 = r.acquire(1s);
  auto& b2 = r.acquire(1s);
  r.advance(1s);
  CHECK(a2.failed_with(errc::timeout));
  CHECK(b2.failed_with(errc::timeout));
  r.give_back(a);
  r.give_back(b);
  CHECK(r.stats().idle_connections == 2);
  r.finish();
}

}  // namespace
