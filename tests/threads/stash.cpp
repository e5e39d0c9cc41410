// SPDX-License-Identifier: BSL-1.0
// tidepool - the stash without the lock: leases stashed by their threads, against all events that need to see them.
#include <tidepool/pool.hpp>

#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

#include "support/asio.hpp"
#include "support/catch.hpp"
#include "support/stashing_traits.hpp"

namespace tidepool_tests {
namespace {

namespace asio = tidepool::asio;
using namespace std::chrono_literals;

/// Counts with a plain integer: two holders at once are a data race and a wrong sum.
struct tally {
  explicit tally(std::atomic<std::uint64_t>& to) : total(&to) {}
  tally(tally&& other) noexcept : total(std::exchange(other.total, nullptr)), uses(other.uses), bad(other.bad) {}
  tally& operator=(tally&&) = delete;
  ~tally() {
    if (total) *total += uses;
  }
  bool usable() const noexcept { return !bad; }

  std::atomic<std::uint64_t>* total;
  std::uint64_t uses = 0;
  bool bad = false;
};
using pool_type = tidepool::basic_pool<tally, stashing<tidepool::default_traits<tally>>>;

auto connector(std::atomic<std::uint64_t>& total) {
  return [&total](pool_type::connect_context) -> asio::awaitable<tally> { co_return tally(total); };
}

/// An io_context that one thread runs until the end of the scope.
struct background {
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  std::thread thread{[this] { io.run(); }};
  ~background() {
    work.reset();
    thread.join();
  }
};

int times(int base) {
  const char* more = std::getenv("TIDEPOOL_STRESS_ROUNDS");
  return more ? base * std::atoi(more) / 150 : base;
}

}  // namespace

TEST_CASE("given threads that stash, when an operator interferes, then every lease is exclusive and counted") {
  std::atomic<std::uint64_t> counted{0};
  std::atomic<std::uint64_t> used{0};
  tidepool::pool_stats last;
  {
    background loop;
    tidepool::pool_config config;
    config.min_size = 3;
    config.max_size = 6;
    config.leak_timeout = 3ms;
    config.scale_check_interval = 2ms;
    config.health_check_interval = 2ms;
    config.max_lifetime = 40ms;
    config.idle_timeout = 10ms;
    pool_type pool(loop.io, connector(counted), config);
    asio::co_spawn(loop.io, pool.open(), asio::use_future).get();

    std::atomic<bool> stop{false};
    std::vector<std::thread> users;
    for (int t = 0; t < 4; ++t) {
      users.emplace_back([&, t] {
        for (int i = 0; i < times(20000); ++i) {
          auto lease = pool.try_acquire();
          if (!lease) {
            std::this_thread::yield();
            continue;
          }
          ++lease->uses;
          ++used;
          if (i % 501 == 0) lease->bad = true;
          if (i % 97 == t) lease.label("named");
          if (i % 1009 == 0) lease.discard();
          if (i % 53 == 0) {
            auto second = pool.try_acquire();  // two leases of one thread, one stripe
            if (second) {
              ++second->uses;
              ++used;
            }
          }
        }
      });
    }
    std::thread operating([&] {
      for (int i = 0; !stop; ++i) {
        switch (i % 8) {
          case 0: pool.recycle(); break;
          case 1: pool.resize(1, 2); break;
          case 2: pool.suspend(); break;
          case 3: pool.resume(); break;
          case 4: pool.resize(3, 6); break;
          case 5: {
            auto next = pool.config();
            next.max_lifetime = i % 16 == 5 ? 15ms : 40ms;
            next.alive_bypass = i % 16 == 5 ? 1ms : 500ms;
            next.max_uses = i % 32 == 5 ? std::size_t(50) : std::size_t(tidepool::no_limit);  // with which there is no stash
            pool.reconfigure(next);
            break;
          }
          default: {
            const auto now = pool.stats();
            if (now.total_connections > 6 + 6) stop = true;
            break;
          }
        }
        std::this_thread::sleep_for(300us);
      }
    });
    for (auto& user : users) user.join();
    stop = true;
    operating.join();
    pool.resume();
    asio::co_spawn(loop.io, pool.close(1s), asio::use_future).get();
    last = pool.stats();
  }
  CHECK(used > 0);
  CHECK(counted == used);
  CHECK(last.state == tidepool::pool_state::closed);
  CHECK(last.total_checkouts == last.total_checkins);
  CHECK(last.direct + last.waited == used);
  CHECK(last.connections_created == last.connections_closed);
}

TEST_CASE("given threads that stash one connection, when each waits in turn, then none is forgotten", "[INV-5][B003]") {
  std::atomic<std::uint64_t> counted{0};
  background loop;
  tidepool::pool_config config;
  config.min_size = config.max_size = 1;
  pool_type pool(loop.io, connector(counted), config);
  std::atomic<int> forgotten{0};
  std::vector<std::thread> users;
  for (int t = 0; t < 3; ++t) {
    users.emplace_back([&] {
      for (int i = 0; i < times(2000) && !forgotten; ++i) {
        auto lease = pool.try_acquire();
        if (!lease) {
          try {
            lease = pool.async_acquire(20s, asio::use_future).get();
          } catch (const tidepool::system_error&) {
            ++forgotten;
            return;
          }
        }
        ++lease->uses;
      }
    });
  }
  for (auto& user : users) user.join();
  asio::co_spawn(loop.io, pool.close(1s), asio::use_future).get();
  CHECK(forgotten == 0);
  const auto last = pool.stats();
  CHECK(last.total_connections == 0);
  CHECK(last.total_checkouts == last.total_checkins);
}

TEST_CASE("given a stashed lease, when the pool is asked, then it counts as idle and as given back") {
  std::atomic<std::uint64_t> counted{0};
  background loop;
  tidepool::pool_config config;
  config.min_size = config.max_size = 2;
  pool_type pool(loop.io, connector(counted), config);
  asio::co_spawn(loop.io, pool.open(), asio::use_future).get();
  for (int i = 0; i < 40; ++i) {
    auto lease = pool.try_acquire();
    REQUIRE(lease);
    ++lease->uses;
  }
  auto now = pool.stats();
  CHECK(now.active_connections == 0);
  CHECK(now.idle_connections == 2);
  CHECK(now.total_checkouts == 40);
  CHECK(now.total_checkins == 40);

  auto held = pool.try_acquire();
  held.release();
  pool.recycle();  // what was stashed is retired as well
  for (int i = 0; i < 5000 && pool.stats().closed(tidepool::close_reason::recycled) < 2; ++i) std::this_thread::sleep_for(1ms);
  CHECK(pool.stats().closed(tidepool::close_reason::recycled) == 2);

  pool.suspend();
  CHECK(!pool.try_acquire());
  pool.resume();
  asio::co_spawn(loop.io, pool.close(1s), asio::use_future).get();
  CHECK(!pool.try_acquire());
}

TEST_CASE("given a thread that stashes and takes, when another collects meanwhile, then one of them has it") {
  struct slot {
  } one;
  tidepool::detail::stash<slot> leases;
  leases.open();
  std::atomic<bool> free{false};  // set by the thread that gets the slot, which must find it unset
  std::atomic<int> twice{0};
  std::atomic<bool> done{false};
  std::thread collector([&] {
    while (!done) {
      leases.collect([&](slot&) {
        if (free.exchange(true)) ++twice;
      });
    }
  });
  int lost = 0;
  for (int i = 0; i < times(2'000'000) && twice == 0; ++i) {
    auto* const place = leases.place();
    if (!place || !leases.put(*place, one, leases.now())) {
      ++lost;
      break;
    }
    if (leases.take() && free.exchange(true)) ++twice;
    while (!free) std::this_thread::yield();
    free = false;
  }
  done = true;
  collector.join();
  CHECK(twice == 0);
  CHECK(lost == 0);
}

}  // namespace tidepool_tests
