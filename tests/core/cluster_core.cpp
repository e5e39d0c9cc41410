// SPDX-License-Identifier: BSL-1.0
// tidepool - what a cluster decides, by tables: who is the primary, how far standbys are, who gets which place.
#include "cluster_rig.hpp"

namespace {

using namespace tidepool_tests;

/// Host 0 is the primary, all others are standbys with its whole log; none is being asked.
void settle_as_one(cluster_rig& rig, std::uint32_t timeline = 1, std::uint64_t lsn = 100'000) {
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < rig.core.size(); ++i) rig.await_probe(i);
    for (std::size_t i = 0; i < rig.core.size(); ++i) rig.answer(i, i == 0 ? a_primary(timeline, lsn) : a_standby(lsn));
  }
  for (std::size_t i = 0; i < rig.core.size(); ++i) {
    REQUIRE(!rig.core.at(i).in_flight);
    (void)rig.orders(i);
  }
}

}  // namespace

TEST_CASE("given a primary and a standby, when callers ask, then writes and reads go where they belong") {
  cluster_rig rig(2);
  settle_as_one(rig);
  CHECK(rig.core.state() == cluster_state::one_primary);
  auto& write = rig.write();
  auto& read = rig.read();
  CHECK(write.how == verdict::granted);
  CHECK(write.host == 0);
  CHECK(read.how == verdict::granted);
  CHECK(read.host == 1);
}

TEST_CASE("given no primary, when a probe finds one, then those who wait to write are served by it at once") {
  cluster_rig rig(2);
  rig.answer(0, a_standby());
  rig.answer(1, a_standby());
  CHECK(rig.core.state() == cluster_state::no_primary);
  auto& first = rig.write();
  auto& second = rig.write();
  CHECK(first.how == verdict::waiting);
  const auto asked = rig.now;
  rig.await_probe(0);
  CHECK(rig.now - asked <= 275ms);
  rig.answer(0, a_primary(1));
  if (rig.core.at(1).in_flight) rig.answer(1, a_standby());
  CHECK(first.how == verdict::granted);
  CHECK(second.how == verdict::granted);
}

TEST_CASE("given a promotion that has been seen, when the old primary answers again, then it is fenced") {
  cluster_rig rig(2);
  settle_as_one(rig, 1);
  rig.answer(1, a_primary(2));
  CHECK(rig.core.at(0).state == host_state::fenced);
  CHECK(rig.core.at(1).state == host_state::primary);
  CHECK(rig.core.primary() == 1);
  rig.answer(0, a_primary(1));
  CHECK(rig.core.at(0).state == host_state::fenced);
  CHECK(rig.core.primary() == 1);
  // The one of the highest timeline is gone: the old one does not take its place.
  rig.fail(1, probe_failure::unreachable);
  rig.answer(0, a_primary(1));
  CHECK(rig.core.primary() == no_host);
  auto& write = rig.write();
  rig.pass(5s);
  CHECK(write.how == verdict::waiting);
  CHECK(rig.core.highest_timeline() == 2);
}

TEST_CASE("given two primaries of one timeline, then none of them gets writes") {
  cluster_rig rig(2);
  settle_as_one(rig);
  (void)rig.orders(0);
  rig.answer(1, a_primary(1));
  CHECK(rig.core.state() == cluster_state::two_primaries);
  CHECK(rig.core.primary() == no_host);
  CHECK(rig.orders(0).recycle);
  auto& write = rig.write();
  CHECK(write.how == verdict::waiting);
  rig.answer(1, a_standby());
  if (rig.core.at(1).in_flight) rig.answer(1, a_standby());
  rig.pass(300ms);
  CHECK(write.how == verdict::granted);
  CHECK(write.host == 0);
}

TEST_CASE("given a primary back from silence, when others were not asked since, then it is not believed") {
  cluster_rig rig(2);
  settle_as_one(rig);
  rig.await_probe(0);
  if (rig.core.at(1).in_flight) rig.answer(1, a_standby());
  rig.pass(1s);
  CHECK(rig.core.at(0).state == host_state::silent);
  auto& write = rig.write();
  while (rig.core.at(1).in_flight) rig.answer(1, a_standby());
  rig.pass(30ms);
  REQUIRE(!rig.core.at(1).in_flight);
  rig.core.answered(0, a_primary(1), rig.now);
  rig.core.tick_at(rig.now);
  CHECK(write.how == verdict::waiting);
  // Now the other one is asked, and says that it is the primary.
  REQUIRE(rig.core.at(1).in_flight);
  rig.answer(1, a_primary(2));
  CHECK(write.how == verdict::granted);
  CHECK(write.host == 1);
}

TEST_CASE("given a primary back from silence, when no other host answers, then it is believed after a moment") {
  cluster_rig rig(3);
  settle_as_one(rig);
  rig.await_probe(0);
  for (std::size_t i : {1U, 2U}) {
    if (rig.core.at(i).in_flight) rig.answer(i, a_standby());
  }
  rig.pass(1s);
  REQUIRE(rig.core.at(0).state == host_state::silent);
  for (std::size_t i : {1U, 2U}) {
    if (rig.core.at(i).in_flight) rig.answer(i, a_standby());
  }
  rig.core.answered(0, a_primary(1), rig.now);
  rig.core.tick_at(rig.now);
  CHECK(rig.core.primary() == no_host);
  rig.pass(260ms);
  CHECK(rig.core.primary() == 0);
}

TEST_CASE("given a host that does not answer, then it gives nothing, its leases are cancelled, then shut") {
  cluster_rig rig(2);
  settle_as_one(rig);
  auto& held = rig.write();
  rig.core.got(held);
  rig.await_probe(0);
  rig.pass(999ms);
  CHECK(rig.write().how == verdict::granted);
  CHECK(!rig.orders(0).cancel);
  rig.pass(1ms);
  CHECK(rig.core.at(0).state == host_state::silent);
  CHECK(rig.orders(0).cancel);
  CHECK(rig.write().how == verdict::waiting);
  rig.pass(1999ms);
  CHECK(!rig.orders(0).abort_all);
  rig.pass(1ms);
  CHECK(rig.orders(0).abort_all);
  rig.pass(5s);
  CHECK(!rig.orders(0).abort_all);
  rig.release(held);
}

TEST_CASE("given a silent primary, when it answers within the grace, then its leases are kept") {
  cluster_rig rig(1);
  settle_as_one(rig);
  rig.await_probe(0);
  rig.pass(1500ms);
  CHECK(rig.core.at(0).state == host_state::silent);
  rig.core.answered(0, a_primary(1), rig.now);
  rig.core.tick_at(rig.now);
  CHECK(rig.core.primary() == 0);
  (void)rig.orders(0);
  for (int i = 0; i < 20; ++i) rig.answer(0, a_primary(1));
  const auto todo = rig.orders(0);
  CHECK(!todo.abort_all);
  CHECK(!todo.abort_writes);
}

TEST_CASE("given a primary that turns into a standby, then its leases for writes are shut after the grace") {
  cluster_rig rig(2);
  settle_as_one(rig);
  rig.answer(0, a_standby());
  auto todo = rig.orders(0);
  CHECK(todo.recycle);
  CHECK(todo.resize);
  CHECK(!todo.abort_writes);
  for (int i = 0; i < 9; ++i) rig.answer(0, a_standby());
  rig.pass(20ms);
  CHECK(rig.orders(0).abort_writes);
}

TEST_CASE("given a probe that loses its connection, then the host is asked again, and gives nothing till then") {
  cluster_rig rig(1);
  settle_as_one(rig);
  rig.fail(0, probe_failure::lost);
  CHECK(rig.core.at(0).in_flight);
  CHECK(rig.core.state() == cluster_state::one_primary);
  auto& write = rig.write();
  CHECK(write.how == verdict::waiting);
  (void)rig.orders(0);
  SECTION("it answers: nothing has changed") {
    rig.answer(0, a_primary(1));
    CHECK(write.how == verdict::granted);
    CHECK(!rig.orders(0).recycle);
  }
  SECTION("it does not: it is unreachable") {
    rig.fail(0, probe_failure::lost);
    CHECK(rig.core.at(0).state == host_state::unreachable);
    CHECK(rig.core.state() == cluster_state::no_primary);
    CHECK(rig.orders(0).recycle);
  }
}

TEST_CASE("given a refused write, when its host is the primary, then the lease retires and the host is asked") {
  cluster_rig rig(2);
  settle_as_one(rig);
  rig.pass(100ms);
  CHECK(!rig.core.at(0).in_flight);
  CHECK(rig.core.refused_write(0, rig.now));
  rig.core.tick_at(rig.now);
  CHECK(rig.core.at(0).in_flight);
  // A write on a replica is its caller's mistake.
  CHECK(!rig.core.refused_write(1, rig.now));
  rig.core.tick_at(rig.now);
  CHECK(!rig.core.at(1).in_flight);
  CHECK(rig.core.at(0).refused_writes == 1);
}

TEST_CASE("given a standby, then its lag is what the log of the primary proves, and the age of that proof") {
  cluster_rig rig(2);
  settle_as_one(rig, 1, 100'000);
  const auto proof = rig.core.at(0).began;
  rig.pass(300ms);
  CHECK(rig.core.lag(1, rig.now) == rig.now - proof);
  // It answers again and again, and has no more than before: its own word counts for nothing.
  rig.answer(0, a_primary(1, 200'000));
  rig.answer(1, a_standby(100'000));
  rig.answer(0, a_primary(1, 300'000));
  rig.answer(1, a_standby(150'000));
  CHECK(rig.core.lag(1, rig.now) >= 900ms);
  auto& strict = rig.read(300ms, read_fallback::fail);
  rig.answer(0, a_primary(1, 310'000));
  rig.answer(1, a_standby(150'000));
  CHECK(strict.how == verdict::unfit);
  rig.answer(1, a_standby(310'000));
  CHECK(rig.core.lag(1, rig.now) < 2s);
  CHECK(rig.read(2s, read_fallback::fail).how == verdict::granted);
}

TEST_CASE("given a busy primary, then the time of the latest replayed commit, by its clock, proves the lag") {
  cluster_rig rig(2);
  constexpr std::int64_t noon = 1'000'000'000'000;
  rig.answer(0, a_primary(1, 1'000'000, noon));
  rig.answer(1, a_standby(900'000, noon - 50'000));
  rig.pass(5ms);
  if (rig.core.at(0).in_flight) rig.answer(0, a_primary(1, 1'000'000, noon));
  rig.answer(1, a_standby(910'000, noon - 50'000));
  // 50 ms, 10 ms because commits are logged a little after the time they bear, and the time since.
  const auto lag = rig.core.lag(1, rig.now);
  CHECK(lag >= 60ms);
  CHECK(lag <= 60ms + (rig.now - rig.core.at(0).began) + 1ms);
}

TEST_CASE("given an old proof, when a read within a bound comes, then both hosts are asked, and it waits") {
  cluster_rig rig(2);
  settle_as_one(rig);
  rig.pass(800ms);
  auto& read = rig.read(100ms);
  CHECK(read.how == verdict::waiting);
  REQUIRE(rig.core.at(0).in_flight);
  REQUIRE(rig.core.at(1).in_flight);
  rig.answer(0, a_primary(1, 100'000));
  rig.answer(1, a_standby(100'000));
  CHECK(read.how == verdict::granted);
  CHECK(read.host == 1);
}

TEST_CASE("given no replica within the bound, then the read does what it said: primary, wait or fail") {
  cluster_rig rig(2, 5);
  settle_as_one(rig);
  rig.pass(700ms);
  auto& to_primary = rig.read(100ms, read_fallback::primary);
  auto& waits = rig.read(100ms, read_fallback::wait);
  auto& fails = rig.read(100ms, read_fallback::fail);
  rig.answer(0, a_primary(1, 500'000));
  CHECK(to_primary.how == verdict::waiting);
  rig.answer(1, a_standby(100'000));
  CHECK(to_primary.how == verdict::granted);
  CHECK(to_primary.host == 0);
  CHECK(to_primary.at_primary);
  CHECK(fails.how == verdict::unfit);
  CHECK(waits.how == verdict::waiting);
  // Somebody waits: the replica is asked four times a second.
  const auto before = rig.now;
  rig.await_probe(1);
  CHECK(rig.now - before <= 260ms);
  rig.answer(1, a_standby(500'000));
  rig.answer(0, a_primary(1, 500'000));
  CHECK(waits.how == verdict::granted);
  CHECK(waits.host == 1);
}

TEST_CASE("given a token, then the replica has replayed it, or the primary is read") {
  cluster_rig rig(2, 5);
  settle_as_one(rig, 1, 100'000);
  CHECK(rig.ask(false, tidepool::no_limit, read_fallback::primary, 90'000).host == 1);
  auto& own = rig.ask(false, tidepool::no_limit, read_fallback::primary, 100'500);
  CHECK(own.how == verdict::waiting);
  SECTION("it has") {
    rig.answer(1, a_standby(100'600));
    CHECK(own.host == 1);
  }
  SECTION("it has not") {
    rig.answer(1, a_standby(100'100));
    CHECK(own.host == 0);
  }
}

TEST_CASE("given a replica that is back, then it is read after its second answer, and loaded by and by") {
  cluster_rig rig(3, 100);
  settle_as_one(rig);
  rig.keep_answering(0, a_primary(1, 100'000));
  rig.keep_answering(1, a_standby(100'000));
  rig.fail(2, probe_failure::unreachable);
  for (int i = 0; i < 50; ++i) CHECK(rig.read().host == 1);
  rig.answer(2, a_standby(100'000));
  for (int i = 0; i < 10; ++i) CHECK(rig.read().host == 1);
  rig.answer(2, a_standby(100'000));
  const auto share = [&] {
    std::size_t back = 0;
    for (int i = 0; i < 10; ++i) {
      auto& w = rig.read();
      if (w.host == 2) ++back;
    }
    return back;
  };
  // Some 60 to 70 of the other: a tenth to two tenths of the load for this one, not all of it.
  CHECK(rig.core.at(2).in_use + share() <= 20);
  for (int i = 0; i < 10; ++i) rig.answer(2, a_standby(100'000));
  CHECK(share() >= 8);
}

TEST_CASE("given a server without room for a probe, then it is believed for a while") {
  cluster_rig rig(1);
  settle_as_one(rig);
  for (int i = 0; i < 4; ++i) rig.fail(0, probe_failure::full);
  CHECK(rig.core.primary() == 0);
  for (int i = 0; i < 4; ++i) rig.fail(0, probe_failure::full);
  CHECK(rig.core.primary() == no_host);
  CHECK(rig.core.at(0).state == host_state::unreachable);
}

TEST_CASE("given hosts that let nobody in for good, then callers hear of it at once, of one alone they do not") {
  cluster_rig rig(2);
  auto& early = rig.write();
  rig.fail(0, probe_failure::permanent);
  CHECK(early.how == verdict::waiting);
  rig.fail(1, probe_failure::permanent);
  CHECK(early.how == verdict::refused);
  CHECK(rig.write().how == verdict::refused);
  rig.answer(1, a_primary(1));
  CHECK(rig.write().how == verdict::granted);
}

TEST_CASE("given a caller who waits for a connect, when its host falls silent, then it keeps its turn") {
  cluster_rig rig(1, 1);
  settle_as_one(rig);
  auto& first = rig.write();
  auto& second = rig.write();
  CHECK(first.how == verdict::granted);
  CHECK(second.how == verdict::waiting);
  rig.await_probe(0);
  rig.pass(1s);
  CHECK(first.how == verdict::revoked);
  CHECK(rig.core.at(0).in_use == 0);
  rig.core.ask(first, rig.now);
  CHECK(first.how == verdict::waiting);
  rig.core.answered(0, a_primary(1), rig.now);
  CHECK(first.how == verdict::granted);
  CHECK(second.how == verdict::waiting);
  rig.release(first);
  CHECK(second.how == verdict::granted);
}

TEST_CASE("given hosts, then each is asked once a second, four times without a primary, and never twice at once") {
  cluster_rig rig(2);
  settle_as_one(rig);
  std::size_t probes = 0;
  const auto count = [&](bool primary) {
    probes = 0;
    const auto until = rig.now + 10s;
    while (rig.now < until) {
      rig.pass(1ms);
      for (std::size_t i = 0; i < 2; ++i) {
        if (!rig.core.at(i).in_flight) continue;
        ++probes;
        rig.core.answered(i, i == 0 && primary ? a_primary(1, 100'000) : a_standby(100'000), rig.now);
        rig.core.tick_at(rig.now);
      }
    }
    return probes;
  };
  CHECK(count(true) >= 18);
  CHECK(probes <= 23);
  CHECK(count(false) >= 70);
  CHECK(probes <= 92);
}

TEST_CASE("given a closed cluster, then everyone who waits is told, and no host is asked again") {
  cluster_rig rig(2);
  auto& write = rig.write();
  auto& read = rig.read();
  rig.core.close();
  CHECK(write.how == verdict::closed);
  CHECK(read.how == verdict::closed);
  CHECK(rig.write().how == verdict::closed);
  rig.core.failed(0, probe_failure::unreachable, rig.now);
  rig.core.failed(1, probe_failure::unreachable, rig.now);
  rig.pass(5s);
  CHECK(!rig.core.at(0).in_flight);
  CHECK(rig.core.next() == tidepool::detail::never);
}
