// SPDX-License-Identifier: BSL-1.0
// tidepool - memory in the simulator: nothing is allocated under a lock (in any test of this program), and nothing piles up.
#include <tidepool/pool.hpp>
#include <tidepool/testing.hpp>

#include <new>

#include "../support/catch.hpp"
#include "../support/plain_memory.hpp"

using namespace std::chrono_literals;
namespace testing = tidepool::testing;

namespace {

std::ptrdiff_t blocks = 0;  // handed out and not freed

void* test_allocate(std::size_t size, std::size_t alignment) noexcept {
  // An allocator may lock, and may take its time: never while the pool does. simulation::step() throws what is noted here.
  testing::checked_mutex::expect_unlocked("memory is allocated");
  void* out = tidepool_tests::plain_allocate(size, alignment);
  if (out) ++blocks;
  return out;
}
void test_free(void* block) noexcept {
  if (block) --blocks;
  tidepool_tests::plain_free(block);
}

}  // namespace

#include "../support/replaced_new.hpp"

namespace {

// One thread, hence no strands: Asio keeps some memory for those.
struct traits : testing::simulated_traits<testing::fake_connection> {
  using mutex_type = tidepool::null_mutex;
};
using pool_type = tidepool::basic_pool<testing::fake_connection, traits>;

asio::awaitable<void> give_up(pool_type& pool, int times, int& timeouts) {
  for (int i = 0; i < times; ++i) {
    try {
      pool_type::lease lease = co_await pool.acquire(1ms);
    } catch (const tidepool::pool_error&) {
      ++timeouts;
    }
  }
}

asio::awaitable<void> come_and_go(pool_type& pool, int times, int& served) {
  for (int i = 0; i < times; ++i) {
    pool_type::lease lease = co_await pool.acquire(1min);
    ++served;
    co_await testing::sleep_for(100us);
    if (i % 10 == 9) lease.discard();
  }
}

}  // namespace

TEST_CASE("given a lock that is held, when memory is allocated, then that is a fault", "[INV-13][B118]") {
  testing::checked_mutex mutex;
  mutex.lock();
  ::operator delete(::operator new(1));
  mutex.unlock();
  CHECK(testing::checked_mutex::take_fault() != nullptr);
}

TEST_CASE("given a pool in use, when thousands of callers came and went, then it holds no more memory") {
  const auto seed = GENERATE(range(1u, 4u));
  // Choices that do not grow a record; the order they make is first come first served.
  auto choices = testing::choice_source::replay({});
  choices.pause(true);
  testing::simulation sim(choices);
  testing::world server(sim);
  tidepool::pool_config config;
  config.min_size = config.max_size = seed;
  config.max_retries = 1000;
  pool_type pool(sim.get_executor(), server.connector(), config);
  int timeouts = 0;
  int served = 0;
  const auto visit = [&](int times) {
    for (int i = 0; i < 3; ++i) asio::co_spawn(sim.get_executor(), give_up(pool, times, timeouts), asio::detached);
    for (unsigned i = 0; i < 2 * seed; ++i) asio::co_spawn(sim.get_executor(), come_and_go(pool, times, served), asio::detached);
    sim.run_for(10min, 100'000'000);
  };
  visit(100);
  const std::ptrdiff_t before = blocks;
  visit(100);
  CHECK(blocks - before == 0);
  visit(2000);
  CHECK(blocks - before == 0);
  CHECK(served == static_cast<int>(2 * seed) * 2200);
  CHECK(timeouts > 0);
}
