// SPDX-License-Identifier: BSL-1.0
// tidepool - failing allocations: code that must not fail goes on, nothing is kept for ever, and no caller waits for a dropped request.
#include <atomic>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <tidepool/postgres/detail/cancel_dispatcher.hpp>
#include <tidepool/postgres/detail/host_resolver.hpp>
#include <tidepool/postgres/detail/mux/known_texts.hpp>
#include <tidepool/postgres/detail/real_time.hpp>
#include <tidepool/postgres/detail/session.hpp>

#include "fake_fleet.hpp"
#include "support/on_end.hpp"
#include "support/plain_memory.hpp"

using namespace tidepool_tests;

namespace {

/// How many allocations of this thread succeed before one fails; negative: all do.
thread_local long spare = -1;
/// Of this thread, while it holds the lock of a cluster or pool in virtual time.
thread_local long under_locks = 0;

void* test_allocate(std::size_t size, std::size_t alignment) noexcept {
  if (tidepool::testing::checked_mutex::held() > 0) ++under_locks;
  if (spare == 0) return nullptr;
  if (spare > 0) --spare;
  return plain_allocate(size, alignment);
}
void test_free(void* block) noexcept { plain_free(block); }

/// While it lives, this thread has memory for so many allocations and no more.
class short_of_memory {
 public:
  explicit short_of_memory(long left) { spare = left; }
  short_of_memory(const short_of_memory&) = delete;
  short_of_memory& operator=(const short_of_memory&) = delete;
  ~short_of_memory() { spare = -1; }
};

}  // namespace

#include "support/replaced_new.hpp"

TEST_CASE("given no memory for a notification, when it is read, then the session is not usable, no more", "[postgres][server][field-5]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<bool> {
    auto c = co_await connect();
    auto other = co_await connect();
    auto& s = *c.session();
    s.listening = true;
    const std::string channel(60, 'c');  // longer than what a string keeps in itself
    co_await c.exec("listen " + channel);
    co_await other.exec("notify " + channel);
    while (s.readable() == 0) co_await pause(1ms);
    bool usable = true;
    {
      const short_of_memory now(0);
      usable = c.usable();
    }
    must(s.inbox.empty() && c.after_lease() == tidepool::lease_end::broken, "it is missed, and that is known");
    co_return usable;
  };
  CHECK_FALSE(run(task()));
}

TEST_CASE("given no memory in the middle of asking for a name, when it is asked for again, then it is looked up", "[postgres][field-R03]") {
  const auto resolver = std::make_shared<pg::detail::host_resolver>();
  const tidepool::detail::gate_keeper nobody_waits;
  int failed = 0;
  for (int round = 0; round < 40; ++round) {
    const auto name = "127.0.0." + std::to_string(round + 1);
    for (long left = 0; left < 8; ++left) {
      try {
        const short_of_memory now(left);
        (void)resolver->ask(name, nobody_waits.opener());
        break;
      } catch (const std::bad_alloc&) {
        ++failed;
      }
    }
    const auto entry = resolver->ask(name, nobody_waits.opener());
    const stopwatch time;
    while (!resolver->look(entry).done && time.seconds() < 10) std::this_thread::sleep_for(1ms);
    const auto found = resolver->look(entry);
    CHECK(found.addresses == std::vector<std::string>{name});
    if (!found.done) break;
  }
  CHECK(failed > 40);
}

TEST_CASE("given waiting cancel requests, when threads find no memory, then those who wait are told", "[postgres][field-L12]") {
  using pg::detail::cancel_dispatcher;
  using pg::detail::cancel_job;
  auto& dispatcher = cancel_dispatcher::instance();
  REQUIRE(dispatcher.threads() == 0);
  std::atomic<bool> let_go{false};
  std::atomic<std::size_t> told{0};
  const auto until = pg::detail::clock::now() + 50s;
  const auto starve = [&] {
    while (!let_go) std::this_thread::sleep_for(1ms);
    spare = 0;  // for the rest of this thread
    return true;
  };
  const auto hear = [&](bool) { ++told; };
  for (std::size_t i = 0; i < cancel_dispatcher::most_threads; ++i) {
    CHECK(dispatcher.submit(std::make_shared<cancel_job>("server " + std::to_string(i), until, starve, hear)));
  }
  for (int i = 0; i < 5; ++i)
    CHECK(dispatcher.submit(std::make_shared<cancel_job>(
        "one more", until, [] { return true; }, hear)));
  CHECK(dispatcher.waiting() == 5);
  let_go = true;
  const stopwatch time;
  while ((dispatcher.threads() > 0 || told < cancel_dispatcher::most_threads + 5) && time.seconds() < 30) std::this_thread::sleep_for(1ms);
  CHECK(told == cancel_dispatcher::most_threads + 5);
  CHECK(dispatcher.waiting() == 0);
  CHECK(dispatcher.threads() == 0);
}

TEST_CASE("given a dispatcher full of late cancel requests, when one more comes, then those who wait are told", "[postgres][field-L12]") {
  using pg::detail::cancel_dispatcher;
  using pg::detail::cancel_job;
  auto& dispatcher = cancel_dispatcher::instance();
  REQUIRE(dispatcher.threads() == 0);
  std::atomic<bool> let_go{false};
  std::atomic<std::size_t> told{0};
  std::size_t told_at_once = 0;
  const auto stuck = [&] {
    while (!let_go) std::this_thread::sleep_for(1ms);
    return false;
  };
  const auto now = pg::detail::clock::now();
  const auto hear = [&](bool) { ++told; };
  for (std::size_t i = 0; i < cancel_dispatcher::most_per_server; ++i) {
    CHECK(dispatcher.submit(std::make_shared<cancel_job>("silent", now + 50s, stuck, hear)));
  }
  for (std::size_t i = 0; i < cancel_dispatcher::most_waiting; ++i) {
    (void)dispatcher.submit(std::make_shared<cancel_job>("silent", now, stuck, hear));
  }
  CHECK(dispatcher.waiting() == cancel_dispatcher::most_waiting);
  CHECK(dispatcher.submit(std::make_shared<cancel_job>("silent", now + 50s, stuck, hear)));
  told_at_once = told;
  CHECK(dispatcher.waiting() == 1);
  let_go = true;
  const stopwatch time;
  while (dispatcher.threads() > 0 && time.seconds() < 30) std::this_thread::sleep_for(1ms);
  CHECK(told_at_once == cancel_dispatcher::most_waiting);
  CHECK(told == cancel_dispatcher::most_waiting + cancel_dispatcher::most_per_server + 1);
}

TEST_CASE("given no memory for a text of the multiplexer, when it comes again, then every place is still used") {
  using pg::detail::request;
  pg::detail::mux::known_texts texts(3);
  int failed = 0;
  for (int round = 0; round < 20; ++round) {
    const auto what = request::parameters("select 'a text of some length', " + std::to_string(round) + ", $1", std::string("x"));
    pg::detail::mux::known_text* found = nullptr;
    for (long left = 0; found == nullptr; ++left) {
      try {
        const short_of_memory now(left);
        found = texts.enter(what);
        REQUIRE(found != nullptr);
      } catch (const std::bad_alloc&) {
        ++failed;
      }
    }
    CHECK(texts.enter(what) == found);
    texts.leave(*found);
    texts.leave(*found);
  }
  CHECK(texts.size() == 3);
  CHECK(failed >= 20);
}

TEST_CASE("given a cluster whose hosts change their roles, then nothing is allocated while its lock is held", "[postgres]") {
  testing::simulation sim(8);
  fake_fleet fleet(sim, 3);
  pg::cluster_options how;
  how.primary.name = "a cluster whose name is longer than what a string keeps in itself";
  how.primary.min_size = how.replicas.min_size = 1;
  how.warm_standby = true;
  std::size_t told = 0;
  simulated_cluster db(sim.get_executor(), fleet.options(), how, [&told](const pg::cluster_event&) { ++told; });
  for (const auto& each : fleet.servers) each->db.allow("select long_work").never_answers();
  std::size_t shut = 0;
  bool over = false;
  const auto pause_in = [&sim]() -> asio::awaitable<void> {
    testing::virtual_timer timer(sim.get_executor());
    timer.expires_after(50ms);
    co_await timer.async_wait(asio::use_awaitable);
  };
  auto hold = [&]() -> asio::awaitable<void> {
    while (!over) {
      co_await pause_in();
      try {
        auto lease = co_await db.primary(20s);
        (void)co_await lease->exec(pg::within(60s), "select long_work");
      } catch (const tidepool::system_error&) {
        ++shut;
      }
    }
  };
  auto read = [&]() -> asio::awaitable<void> {
    while (!over) {
      co_await pause_in();
      try {
        auto lease = co_await db.replica({.max_lag = 500ms, .fallback = pg::read_fallback::wait, .timeout = 5s});
        (void)co_await lease->exec(pg::within(1s), "select position");
      } catch (const tidepool::system_error&) {  // its host falls silent
      }
    }
  };
  for (int i = 0; i < 3; ++i) asio::co_spawn(sim.get_executor(), hold(), tidepool::rethrow);
  asio::co_spawn(sim.get_executor(), read(), tidepool::rethrow);
  sim.run_for(3s);
  under_locks = 0;
  fleet.freeze(0);
  sim.run_for(5s);
  fleet.promote(1);
  sim.run_for(3s);
  fleet.thaw(0);
  sim.run_for(3s);
  fleet.rejoin(0);
  fleet.at(1).read_only = true;
  sim.run_for(5s);
  fleet.stop(2);
  sim.run_for(2s);
  CHECK(db.topology().hosts.size() == 3);
  CHECK(db.stats().size() == 3);
  CHECK(under_locks == 0);
  CHECK(told > 6);
  CHECK(shut > 3);
  over = true;
  fleet.at(1).read_only = false;
  sim.run_for(30s);
}
