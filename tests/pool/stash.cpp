// SPDX-License-Identifier: BSL-1.0
// tidepool - the stash and the events around it: closed while one is told to the core, open again when it is over.
#include <functional>
#include <string>
#include <vector>

#include "rig.hpp"
#include "support/stashing_traits.hpp"

namespace {

using namespace tidepool_tests;

/// Counts how often it is locked.
struct counted_mutex : testing::checked_mutex {
  static std::size_t& locked() {
    static thread_local std::size_t times = 0;
    return times;
  }
  void lock() {
    ++locked();
    checked_mutex::lock();
  }
};
struct counted_traits : stashing<testing::simulated_traits<fake_connection>> {
  using mutex_type = counted_mutex;
};
using counted_rig = rig<fake_connection, counted_traits>;

/// Not every compiler can keep the place of an acquire in one atomic; then nothing is ever stashed.
constexpr bool stashes = tidepool::detail::relaxed<tidepool::source_location>::free;

/// Whether the release of this lease goes past the lock, into the stash.
bool is_stashed(counted_rig::lease& held) {
  const std::size_t before = counted_mutex::locked();
  held.release();
  return counted_mutex::locked() == before;
}

TEST_CASE("given any event of a pool, when it is over and nobody waits, then the next release is stashed") {
  if (!stashes) return;
  struct event {
    std::string what;
    std::function<void(counted_rig&)> happens;
  };
  const std::vector<event> events{
      {"a resize", [](counted_rig& r) { r.pool->resize(1, 3); }},
      {"suspend and resume",
       [](counted_rig& r) {
         r.pool->suspend();
         r.pool->resume();
       }},
      {"open", [](counted_rig& r) { r.open(); }},
      {"a caller who is refused at once",
       [](counted_rig& r) {
         const auto refused = r.ask(0s);
         r.settle();
         REQUIRE(refused->failed_with(errc::timeout));
       }},
      {"a caller whose time is up",
       [](counted_rig& r) {
         const auto late = r.ask(1ms);
         r.sim.run_for(2ms);
         REQUIRE(late->failed_with(errc::timeout));
       }},
      {"a caller who is cancelled",
       [](counted_rig& r) {
         const auto gone = r.ask(1h);
         gone->signal.emit(asio::cancellation_type::terminal);
         r.settle();
         REQUIRE(gone->failed_with(errc::cancelled));
       }},
      {"a connect that fails",
       [](counted_rig& r) {
         r.server.state(server_state::full);
         r.pool->resize(2, 2);
         r.sim.run_for(1ms);
         r.server.state(server_state::up);
         REQUIRE(r.stats().connection_errors == 1);
       }},
      {"a connect that comes late",
       [](counted_rig& r) {
         r.pool->resize(2, 2);
         r.sim.run_for(1s);
         REQUIRE(r.stats().total_connections == 2);
       }},
  };
  const std::size_t which = GENERATE(range(std::size_t{0}, std::size_t{8}));
  CAPTURE(events.at(which).what);
  counted_rig r(calm(1, 1));
  r.open();
  r.sim.run_for(1s);
  r.take().release();  // the first lease of a connection is timed, and so given back under the lock
  auto held = r.take();
  REQUIRE(is_stashed(held));
  held = r.take();
  events.at(which).happens(r);
  CHECK(is_stashed(held));
  r.close_and_check();
}

TEST_CASE("given a release under the lock, when nobody waits afterwards, then the stash is open again") {
  if (!stashes) return;
  counted_rig r(calm(2, 2));
  r.open();
  auto one = r.take();
  auto two = r.take();
  one.release();  // timed, as the first of each connection
  two.release();
  one = r.take();
  two = r.take();
  const auto waits = r.ask(1h);
  one.release();  // past the stash, to the caller who waits
  r.settle();
  REQUIRE(waits->served());
  CHECK_FALSE(is_stashed(two));
  CHECK(is_stashed(waits->held));
  r.close_and_check();
}

TEST_CASE("given a connection that dies in the stash, when its thread acquires, then it gets another one") {
  if (!stashes) return;
  counted_rig r(calm(1, 1));
  r.open();
  r.sim.run_for(1s);
  r.take().release();
  auto held = r.take();
  const auto first = held.id();
  REQUIRE(is_stashed(held));
  r.server.kill_sessions();
  held = r.take();
  CHECK(held->usable());
  CHECK(held.id() != first);
  CHECK(r.stats().connections_closed == 1);
  r.close_and_check();
}

}  // namespace
