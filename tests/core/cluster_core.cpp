// SPDX-License-Identifier: BSL-1.0
// tidepool - what a cluster decides, by tables: who is the primary, how far standbys are, who gets which place.
#include "cluster_rig.hpp"

namespace {

using namespace tidepool_tests;

/// Host 0 is the primary, all others are standbys with its whole log; none is being asked.
void settle_as_one(cluster_rig& fleet, std::uint32_t timeline = 1, std::uint64_t lsn = 100'000) {
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < fleet.core.size(); ++i) fleet.await_probe(i);
    for (std::size_t i = 0; i < fleet.core.size(); ++i) fleet.answer(i, i == 0 ? a_primary(timeline, lsn) : a_standby(lsn));
  }
  for (std::size_t i = 0; i < fleet.core.size(); ++i) {
    REQUIRE(!fleet.core.at(i).in_flight);
    (void)fleet.orders(i);
  }
}

}  // namespace

TEST_CASE("given a primary and a standby, when callers ask, then writes and reads go where they belong") {
  cluster_rig fleet(2);
  settle_as_one(fleet);
  CHECK(fleet.core.state() == cluster_state::one_primary);
  auto& write = fleet.write();
  auto& read = fleet.read();
  CHECK(write.how == verdict::granted);
  CHECK(write.host == 0);
  CHECK(read.how == verdict::granted);
  CHECK(read.host == 1);
}

TEST_CASE("given no primary, when a probe finds one, then those who wait to write are served by it at once") {
  cluster_rig fleet(2);
  fleet.answer(0, a_standby());
  fleet.answer(1, a_standby());
  CHECK(fleet.core.state() == cluster_state::no_primary);
  auto& first = fleet.write();
  auto& second = fleet.write();
  CHECK(first.how == verdict::waiting);
  const auto asked = fleet.now;
  fleet.await_probe(0);
  CHECK(fleet.now - asked <= 275ms);
  fleet.answer(0, a_primary(1));
  if (fleet.core.at(1).in_flight) fleet.answer(1, a_standby());
  CHECK(first.how == verdict::granted);
  CHECK(second.how == verdict::granted);
}

TEST_CASE("given a promotion that has been seen, when the old primary answers again, then it is fenced") {
  cluster_rig fleet(2);
  settle_as_one(fleet, 1);
  fleet.answer(1, a_primary(2));
  CHECK(fleet.core.at(0).state == host_state::fenced);
  CHECK(fleet.core.at(1).state == host_state::primary);
  CHECK(fleet.core.primary() == 1);
  fleet.answer(0, a_primary(1));
  CHECK(fleet.core.at(0).state == host_state::fenced);
  CHECK(fleet.core.primary() == 1);
  // The one of the highest timeline is gone: the old one does not take its place.
  fleet.fail(1, probe_failure::unreachable);
  fleet.answer(0, a_primary(1));
  CHECK(fleet.core.primary() == no_host);
  auto& write = fleet.write();
  fleet.pass(5s);
  CHECK(write.how == verdict::waiting);
  CHECK(fleet.core.highest_timeline() == 2);
}

TEST_CASE("given two primaries of one timeline, then none of them gets writes") {
  cluster_rig fleet(2);
  settle_as_one(fleet);
  (void)fleet.orders(0);
  fleet.answer(1, a_primary(1));
  CHECK(fleet.core.state() == cluster_state::two_primaries);
  CHECK(fleet.core.primary() == no_host);
  CHECK(fleet.orders(0).recycle);
  auto& write = fleet.write();
  CHECK(write.how == verdict::waiting);
  fleet.answer(1, a_standby());
  if (fleet.core.at(1).in_flight) fleet.answer(1, a_standby());
  fleet.pass(300ms);
  CHECK(write.how == verdict::granted);
  CHECK(write.host == 0);
}

TEST_CASE("given a primary back from silence, when others were not asked since, then it is not believed") {
  cluster_rig fleet(2);
  settle_as_one(fleet);
  fleet.await_probe(0);
  if (fleet.core.at(1).in_flight) fleet.answer(1, a_standby());
  fleet.pass(1s);
  CHECK(fleet.core.at(0).state == host_state::silent);
  auto& write = fleet.write();
  while (fleet.core.at(1).in_flight) fleet.answer(1, a_standby());
  fleet.pass(30ms);
  REQUIRE(!fleet.core.at(1).in_flight);
  fleet.core.answered(0, a_primary(1), fleet.now);
  fleet.core.tick_at(fleet.now);
  CHECK(write.how == verdict::waiting);
  // Now the other one is asked, and says that it is the primary.
  REQUIRE(fleet.core.at(1).in_flight);
  fleet.answer(1, a_primary(2));
  CHECK(write.how == verdict::granted);
  CHECK(write.host == 1);
}

TEST_CASE("given a primary back from silence, when no other host answers, then it is believed after a moment") {
  cluster_rig fleet(3);
  settle_as_one(fleet);
  fleet.await_probe(0);
  for (std::size_t i : {1U, 2U}) {
    if (fleet.core.at(i).in_flight) fleet.answer(i, a_standby());
  }
  fleet.pass(1s);
  REQUIRE(fleet.core.at(0).state == host_state::silent);
  for (std::size_t i : {1U, 2U}) {
    if (fleet.core.at(i).in_flight) fleet.answer(i, a_standby());
  }
  fleet.core.answered(0, a_primary(1), fleet.now);
  fleet.core.tick_at(fleet.now);
  CHECK(fleet.core.primary() == no_host);
  fleet.pass(260ms);
  CHECK(fleet.core.primary() == 0);
}

TEST_CASE("given a host that does not answer, then it gives nothing, its leases are cancelled, then shut") {
  cluster_rig fleet(2);
  settle_as_one(fleet);
  auto& held = fleet.write();
  fleet.core.got(held);
  fleet.await_probe(0);
  fleet.pass(999ms);
  CHECK(fleet.write().how == verdict::granted);
  CHECK(!fleet.orders(0).cancel);
  fleet.pass(1ms);
  CHECK(fleet.core.at(0).state == host_state::silent);
  CHECK(fleet.orders(0).cancel);
  CHECK(fleet.write().how == verdict::waiting);
  fleet.pass(1999ms);
  CHECK(!fleet.orders(0).abort_all);
  fleet.pass(1ms);
  CHECK(fleet.orders(0).abort_all);
  fleet.pass(5s);
  CHECK(!fleet.orders(0).abort_all);
  fleet.release(held);
}

TEST_CASE("given a silent primary, when it answers within the grace, then its leases are kept") {
  cluster_rig fleet(1);
  settle_as_one(fleet);
  fleet.await_probe(0);
  fleet.pass(1500ms);
  CHECK(fleet.core.at(0).state == host_state::silent);
  fleet.core.answered(0, a_primary(1), fleet.now);
  fleet.core.tick_at(fleet.now);
  CHECK(fleet.core.primary() == 0);
  (void)fleet.orders(0);
  for (int i = 0; i < 20; ++i) fleet.answer(0, a_primary(1));
  const auto todo = fleet.orders(0);
  CHECK(!todo.abort_all);
  CHECK(!todo.abort_writes);
}

TEST_CASE("given a primary that turns into a standby, then its leases for writes are shut after the grace") {
  cluster_rig fleet(2);
  settle_as_one(fleet);
  fleet.answer(0, a_standby());
  auto todo = fleet.orders(0);
  CHECK(todo.recycle);
  CHECK(todo.resize);
  CHECK(!todo.abort_writes);
  for (int i = 0; i < 9; ++i) fleet.answer(0, a_standby());
  fleet.pass(20ms);
  CHECK(fleet.orders(0).abort_writes);
}

TEST_CASE("given a probe that loses its connection, then the host is asked again, and gives nothing till then") {
  cluster_rig fleet(1);
  settle_as_one(fleet);
  fleet.fail(0, probe_failure::lost);
  CHECK(fleet.core.at(0).in_flight);
  CHECK(fleet.core.state() == cluster_state::one_primary);
  auto& write = fleet.write();
  CHECK(write.how == verdict::waiting);
  (void)fleet.orders(0);
  SECTION("it answers: nothing has changed") {
    fleet.answer(0, a_primary(1));
    CHECK(write.how == verdict::granted);
    CHECK(!fleet.orders(0).recycle);
  }
  SECTION("it does not: it is unreachable") {
    fleet.fail(0, probe_failure::lost);
    CHECK(fleet.core.at(0).state == host_state::unreachable);
    CHECK(fleet.core.state() == cluster_state::no_primary);
    CHECK(fleet.orders(0).recycle);
  }
}

TEST_CASE("given a refused write, when its host is the primary, then the lease retires and the host is asked") {
  cluster_rig fleet(2);
  settle_as_one(fleet);
  fleet.pass(100ms);
  CHECK(!fleet.core.at(0).in_flight);
  CHECK(fleet.core.refused_write(0, fleet.now));
  fleet.core.tick_at(fleet.now);
  CHECK(fleet.core.at(0).in_flight);
  // A write on a replica is its caller's mistake.
  CHECK(!fleet.core.refused_write(1, fleet.now));
  fleet.core.tick_at(fleet.now);
  CHECK(!fleet.core.at(1).in_flight);
  CHECK(fleet.core.at(0).refused_writes == 1);
}

TEST_CASE("given a standby, then its lag is what the log of the primary proves, and the age of that proof") {
  cluster_rig fleet(2);
  settle_as_one(fleet, 1, 100'000);
  const auto proof = fleet.core.at(0).began;
  fleet.pass(300ms);
  CHECK(fleet.core.lag(1, fleet.now) == fleet.now - proof);
  // It answers again and again, and has no more than before: its own word counts for nothing.
  fleet.answer(0, a_primary(1, 200'000));
  fleet.answer(1, a_standby(100'000));
  fleet.answer(0, a_primary(1, 300'000));
  fleet.answer(1, a_standby(150'000));
  CHECK(fleet.core.lag(1, fleet.now) >= 900ms);
  auto& strict = fleet.read(300ms, read_fallback::fail);
  fleet.answer(0, a_primary(1, 310'000));
  fleet.answer(1, a_standby(150'000));
  CHECK(strict.how == verdict::unfit);
  fleet.answer(1, a_standby(310'000));
  CHECK(fleet.core.lag(1, fleet.now) < 2s);
  CHECK(fleet.read(2s, read_fallback::fail).how == verdict::granted);
}

TEST_CASE("given a busy primary, then the time of the latest replayed commit, by its clock, proves the lag") {
  cluster_rig fleet(2);
  constexpr std::int64_t noon = 1'000'000'000'000;
  fleet.answer(0, a_primary(1, 1'000'000, noon));
  fleet.answer(1, a_standby(900'000, noon - 50'000));
  fleet.pass(5ms);
  if (fleet.core.at(0).in_flight) fleet.answer(0, a_primary(1, 1'000'000, noon));
  fleet.answer(1, a_standby(910'000, noon - 50'000));
  // 50 ms, 10 ms because commits are logged a little after the time they bear, and the time since.
  const auto lag = fleet.core.lag(1, fleet.now);
  CHECK(lag >= 60ms);
  CHECK(lag <= 60ms + (fleet.now - fleet.core.at(0).began) + 1ms);
}

TEST_CASE("given an old proof, when a read within a bound comes, then both hosts are asked, and it waits") {
  cluster_rig fleet(2);
  settle_as_one(fleet);
  fleet.pass(800ms);
  auto& read = fleet.read(100ms);
  CHECK(read.how == verdict::waiting);
  REQUIRE(fleet.core.at(0).in_flight);
  REQUIRE(fleet.core.at(1).in_flight);
  fleet.answer(0, a_primary(1, 100'000));
  fleet.answer(1, a_standby(100'000));
  CHECK(read.how == verdict::granted);
  CHECK(read.host == 1);
}

TEST_CASE("given no replica within the bound, then the read does what it said: primary, wait or fail") {
  cluster_rig fleet(2, 5);
  settle_as_one(fleet);
  fleet.pass(700ms);
  auto& to_primary = fleet.read(100ms, read_fallback::primary);
  auto& waits = fleet.read(100ms, read_fallback::wait);
  auto& fails = fleet.read(100ms, read_fallback::fail);
  fleet.answer(0, a_primary(1, 500'000));
  CHECK(to_primary.how == verdict::waiting);
  fleet.answer(1, a_standby(100'000));
  CHECK(to_primary.how == verdict::granted);
  CHECK(to_primary.host == 0);
  CHECK(to_primary.at_primary);
  CHECK(fails.how == verdict::unfit);
  CHECK(waits.how == verdict::waiting);
  // Somebody waits: the replica is asked four times a second.
  const auto before = fleet.now;
  fleet.await_probe(1);
  CHECK(fleet.now - before <= 260ms);
  fleet.answer(1, a_standby(500'000));
  fleet.answer(0, a_primary(1, 500'000));
  CHECK(waits.how == verdict::granted);
  CHECK(waits.host == 1);
}

TEST_CASE("given a token, then the replica has replayed it, or the primary is read") {
  cluster_rig fleet(2, 5);
  settle_as_one(fleet, 1, 100'000);
  CHECK(fleet.ask(false, tidepool::no_limit, read_fallback::primary, 90'000).host == 1);
  auto& own = fleet.ask(false, tidepool::no_limit, read_fallback::primary, 100'500);
  CHECK(own.how == verdict::waiting);
  SECTION("it has") {
    fleet.answer(1, a_standby(100'600));
    CHECK(own.host == 1);
  }
  SECTION("it has not") {
    fleet.answer(1, a_standby(100'100));
    CHECK(own.host == 0);
  }
}

TEST_CASE("given a replica that is back, then it is read after its second answer, and loaded by and by") {
  cluster_rig fleet(3, 100);
  settle_as_one(fleet);
  fleet.keep_answering(0, a_primary(1, 100'000));
  fleet.keep_answering(1, a_standby(100'000));
  fleet.fail(2, probe_failure::unreachable);
  for (int i = 0; i < 50; ++i) CHECK(fleet.read().host == 1);
  fleet.answer(2, a_standby(100'000));
  for (int i = 0; i < 10; ++i) CHECK(fleet.read().host == 1);
  fleet.answer(2, a_standby(100'000));
  const auto share = [&] {
    std::size_t back = 0;
    for (int i = 0; i < 10; ++i) {
      auto& w = fleet.read();
      if (w.host == 2) ++back;
    }
    return back;
  };
  // Some 60 to 70 of the other: a tenth to two tenths of the load for this one, not all of it.
  CHECK(fleet.core.at(2).in_use + share() <= 20);
  for (int i = 0; i < 10; ++i) fleet.answer(2, a_standby(100'000));
  CHECK(share() >= 8);
}

TEST_CASE("given a server without room for a probe, then it is believed for a while") {
  cluster_rig fleet(1);
  settle_as_one(fleet);
  for (int i = 0; i < 4; ++i) fleet.fail(0, probe_failure::full);
  CHECK(fleet.core.primary() == 0);
  for (int i = 0; i < 4; ++i) fleet.fail(0, probe_failure::full);
  CHECK(fleet.core.primary() == no_host);
  CHECK(fleet.core.at(0).state == host_state::unreachable);
}

TEST_CASE("given hosts that let nobody in for good, then callers hear of it at once, of one alone they do not") {
  cluster_rig fleet(2);
  auto& early = fleet.write();
  fleet.fail(0, probe_failure::permanent);
  CHECK(early.how == verdict::waiting);
  fleet.fail(1, probe_failure::permanent);
  CHECK(early.how == verdict::refused);
  CHECK(fleet.write().how == verdict::refused);
  fleet.answer(1, a_primary(1));
  CHECK(fleet.write().how == verdict::granted);
}

TEST_CASE("given a caller who waits for a connect, when its host falls silent, then it keeps its turn") {
  cluster_rig fleet(1, 1);
  settle_as_one(fleet);
  auto& first = fleet.write();
  auto& second = fleet.write();
  CHECK(first.how == verdict::granted);
  CHECK(second.how == verdict::waiting);
  fleet.await_probe(0);
  fleet.pass(1s);
  CHECK(first.how == verdict::revoked);
  CHECK(fleet.core.at(0).in_use == 0);
  fleet.core.ask(first, fleet.now);
  CHECK(first.how == verdict::waiting);
  fleet.core.answered(0, a_primary(1), fleet.now);
  CHECK(first.how == verdict::granted);
  CHECK(second.how == verdict::waiting);
  fleet.release(first);
  CHECK(second.how == verdict::granted);
}

TEST_CASE("given hosts, then each is asked once a second, four times without a primary, and never twice at once") {
  cluster_rig fleet(2);
  settle_as_one(fleet);
  std::size_t probes = 0;
  const auto count = [&](bool primary) {
    probes = 0;
    const auto until = fleet.now + 10s;
    while (fleet.now < until) {
      fleet.pass(1ms);
      for (std::size_t i = 0; i < 2; ++i) {
        if (!fleet.core.at(i).in_flight) continue;
        ++probes;
        fleet.core.answered(i, i == 0 && primary ? a_primary(1, 100'000) : a_standby(100'000), fleet.now);
        fleet.core.tick_at(fleet.now);
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
  cluster_rig fleet(2);
  auto& write = fleet.write();
  auto& read = fleet.read();
  fleet.core.close();
  CHECK(write.how == verdict::closed);
  CHECK(read.how == verdict::closed);
  CHECK(fleet.write().how == verdict::closed);
  fleet.core.failed(0, probe_failure::unreachable, fleet.now);
  fleet.core.failed(1, probe_failure::unreachable, fleet.now);
  fleet.pass(5s);
  CHECK(!fleet.core.at(0).in_flight);
  CHECK(fleet.core.next() == tidepool::detail::never);
}

TEST_CASE("given a host that is removed, then it gives and is asked nothing, its leases are shut in the end") {
  fleet::rules limits;
  limits.removed_grace = 5s;
  cluster_rig rig(2, 2, limits);
  rig.answer(0, a_primary(1));
  rig.answer(1, a_standby(100));
  rig.pass(1ms);
  auto& held = rig.read();
  REQUIRE(held.how == verdict::granted);
  rig.core.got(held);
  auto& coming = rig.read();
  REQUIRE(coming.host == 1);
  (void)rig.orders(1);
  rig.core.remove_host(1, rig.now);
  rig.core.tick_at(rig.now);
  CHECK(coming.how == verdict::revoked);
  CHECK(rig.orders(1).recycle);
  rig.keep_answering(0, a_primary(1));
  const bool asked = rig.core.at(1).in_flight;
  rig.pass(4s);
  CHECK(rig.core.at(1).in_flight == asked);
  CHECK_FALSE(rig.orders(1).abort_all);
  auto& reader = rig.read();
  CHECK(reader.how == verdict::waiting);
  CHECK(rig.read(tidepool::no_limit, read_fallback::primary).host == 0);
  rig.pass(1100ms);
  CHECK(rig.orders(1).abort_all);
  CHECK(rig.core.state() == cluster_state::one_primary);
  // Its number is free when nothing is left of it.
  if (asked) rig.core.failed(1, probe_failure::lost, rig.now);
  CHECK(rig.core.add_host(rig.now) == 2);
  rig.release(held);
  CHECK(rig.core.add_host(rig.now) == 1);
  CHECK(rig.core.at(1).in_use == 0);
  CHECK(rig.core.at(1).state == host_state::unknown);
}

TEST_CASE("given a primary that is removed, then nobody takes writes until another one does, and a new host may") {
  cluster_rig rig(1);
  rig.answer(0, a_primary(3));
  auto& held = rig.write();
  REQUIRE(held.how == verdict::granted);
  rig.core.got(held);
  rig.core.remove_host(0, rig.now);
  rig.core.tick_at(rig.now);
  CHECK(rig.core.state() == cluster_state::no_primary);
  auto& waits = rig.write();
  CHECK(waits.how == verdict::waiting);
  const auto added = rig.core.add_host(rig.now);
  rig.core.set_room(added, 2, 2, rig.now);
  rig.core.tick_at(rig.now);
  rig.answer(added, a_primary(2));
  rig.pass(1s);
  CHECK(waits.how == verdict::waiting);  // of a lower timeline
  rig.answer(added, a_primary(4));
  CHECK(waits.how == verdict::granted);
  CHECK(waits.host == added);
}

TEST_CASE("given a removed primary, when a minute is over, then a lower timeline is taken if no host knew it") {
  for (const bool known : {false, true}) {
    cluster_rig rig(3);
    auto follows = a_standby();
    follows.timeline = 3;
    rig.answer(0, a_primary(3));
    rig.keep_answering(2, known ? follows : a_standby());
    rig.pass(2s);
    rig.keep_answering(1, a_primary(2));  // restored from a backup, or an old one that has come back
    rig.pass(2s);
    CHECK(rig.core.at(1).state == host_state::fenced);
    rig.core.remove_host(0, rig.now);
    rig.core.tick_at(rig.now);
    auto& write = rig.write();
    rig.pass(55s);  // the name may be back in a moment
    CHECK(rig.core.highest_timeline() == 3);
    CHECK(write.how == verdict::waiting);
    rig.pass(10s);
    CHECK(rig.core.highest_timeline() == (known ? 3 : 2));
    CHECK(write.how == (known ? verdict::waiting : verdict::granted));
    if (!known) CHECK(write.host == 1);
    if (!known) continue;
    rig.core.remove_host(2, rig.now);
    rig.core.tick_at(rig.now);
    rig.pass(65s);
    CHECK(write.how == verdict::granted);
  }
}

TEST_CASE("given a primary removed for a moment, when it is back, then its timeline bars lower ones as before") {
  cluster_rig rig(2);
  rig.keep_answering(0, a_primary(3));
  rig.keep_answering(1, a_primary(2));
  rig.pass(2s);
  CHECK(rig.core.primary() == 0);
  rig.core.remove_host(0, rig.now);
  rig.core.tick_at(rig.now);
  rig.pass(30s);
  const auto back = rig.core.add_host(rig.now);
  rig.core.set_room(back, 2, 2, rig.now);
  rig.core.tick_at(rig.now);
  rig.keep_answering(back, a_primary(3));
  rig.pass(2min);
  CHECK(rig.core.primary() == back);
  CHECK(rig.core.at(1).state == host_state::fenced);
}

TEST_CASE("given a host that is another server now, then what led to the old one goes, the new one is judged") {
  cluster_rig rig(2);
  rig.answer(0, a_primary(1));
  rig.answer(1, a_standby(100));
  rig.pass(1ms);
  auto& held = rig.write();
  REQUIRE(held.host == 0);
  rig.core.got(held);
  auto& coming = rig.write();
  (void)rig.orders(0);
  rig.await_probe(0);
  rig.core.moved(0, rig.now);
  rig.core.answered(0, a_standby(100), rig.now);
  rig.core.tick_at(rig.now);
  CHECK(coming.how == verdict::revoked);
  CHECK(rig.orders(0).recycle);
  CHECK(rig.core.state() == cluster_state::no_primary);
  rig.keep_answering(0, a_standby(100));
  rig.keep_answering(1, a_standby(100));
  rig.pass(1900ms);
  CHECK_FALSE(rig.orders(0).abort_moved);
  rig.pass(200ms);
  CHECK(rig.orders(0).abort_moved);
  rig.release(held);
}

TEST_CASE("given a promotion, then what the old primary proved since the new one was a standby proves nothing") {
  cluster_rig rig(3);
  rig.answer(0, a_primary(1, 1000));
  rig.answer(1, a_standby(1000));
  rig.answer(2, a_standby(1000));
  rig.keep_answering(0, a_primary(1, 1000));
  rig.keep_answering(2, a_standby(1000));
  rig.pass(1105ms);  // the second is asked, and does not answer yet
  REQUIRE(rig.core.at(1).in_flight);
  REQUIRE(rig.core.lag(2, rig.now) < 1000ms);
  rig.core.answered(1, a_primary(2, 1000), rig.now);
  rig.core.tick_at(rig.now);
  REQUIRE(rig.core.primary() == 1);
  CHECK(rig.core.lag(2, rig.now) >= 1050ms);
}

TEST_CASE("given a replica that is back beside another one, then it gets a tenth of its share more each second") {
  cluster_rig rig(3, 40);
  rig.answer(0, a_primary(1, 1000));
  rig.answer(1, a_standby(1000));
  rig.fail(2, probe_failure::unreachable);
  rig.keep_answering(0, a_primary(1, 1000));
  rig.keep_answering(1, a_standby(1000));
  rig.pass(3s);
  rig.answer(2, a_standby(1000));
  rig.answer(2, a_standby(1000));
  rig.keep_answering(2, a_standby(1000));
  REQUIRE(rig.core.readable(2));
  for (int i = 0; i < 24; ++i) (void)rig.read();
  CHECK(rig.core.at(2).in_use >= 1);
  CHECK(rig.core.at(2).in_use <= 6);
  rig.pass(10s);
  for (int i = 0; i < 24; ++i) (void)rig.read();
  CHECK(rig.core.at(2).in_use >= 22);
}
