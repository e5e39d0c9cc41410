// SPDX-License-Identifier: BSL-1.0
// tidepool - testing your own handler in virtual time: two hours of traffic, 30-minute lifetimes and an outage take some milliseconds.
#include <tidepool/pool.hpp>
#include <tidepool/testing.hpp>

#include <chrono>
#include <cstdio>
#include <set>
#include <string>

using namespace std::chrono_literals;
namespace testing = tidepool::testing;

// --- the code under test: a template of the pool, so that it runs on the real one and on the simulated one ------------------------

template <class Pool>
asio::awaitable<std::string> greet(Pool& pool, std::uint64_t user) {
  try {
    auto lease = co_await pool.acquire(500ms);
    const std::uint64_t found = co_await lease->query(user);
    co_return "hello, user " + std::to_string(found);
  } catch (const std::system_error&) {  // no connection in time, or the query failed: pool_error is one, too
    co_return "please try again later";
  }
}

// --- the test ------------------------------------------------------------------------------------------------------------------------

using pool_type = tidepool::basic_pool<testing::fake_connection, testing::simulated_traits<testing::fake_connection>>;

struct result {
  int greeted = 0;
  int put_off = 0;
  testing::virtual_clock::duration slowest{};
};

// One visitor every `pause`, from now until `end`.
asio::awaitable<void> visitors(pool_type& pool, testing::virtual_clock::time_point end, testing::virtual_clock::duration pause,
                               result& out) {
  for (std::uint64_t user = 1; testing::virtual_clock::now() < end; ++user) {
    const auto began = testing::virtual_clock::now();
    const std::string answer = co_await greet(pool, user);
    out.slowest = std::max(out.slowest, testing::virtual_clock::now() - began);
    ++(answer == "hello, user " + std::to_string(user) ? out.greeted : out.put_off);
    co_await testing::sleep_for(pause);
  }
}

int failures = 0;
void check(bool holds, const char* what) {
  std::printf("%s  %s\n", holds ? "ok    " : "FAILED", what);
  failures += !holds;
}

int main() {
  const auto really_began = std::chrono::steady_clock::now();
  tidepool::pool_config config;
  config.min_size = 2;
  config.max_size = 4;
  config.max_lifetime = 30min;
  config.connect_timeout = 1s;

  for (std::uint64_t seed = 1; seed <= 20; ++seed) {  // each seed is another order of what happens at the same time
    testing::simulation sim(seed);
    testing::world server(sim);
    pool_type pool(sim.get_executor(), server.connector(), config);

    result quiet;
    asio::co_spawn(sim.get_executor(), visitors(pool, sim.now() + 2h, 10s, quiet), tidepool::rethrow);
    sim.run_for(2h + 1s);
    if (seed == 1) {
      check(quiet.greeted >= 719 && quiet.put_off == 0, "two hours of requests, and none fails because connections are replaced");
      check(pool.stats().closed(tidepool::close_reason::lifetime) >= 6, "connections were replaced every 30 minutes");
    }

    result outage;
    asio::co_spawn(sim.get_executor(), visitors(pool, sim.now() + 2min, 100ms, outage), tidepool::rethrow);
    sim.run_for(30s);
    server.state(testing::server_state::hung);  // takes everything, answers nothing
    sim.run_for(20s);
    server.state(testing::server_state::down);
    sim.run_for(10s);
    server.state(testing::server_state::up);
    sim.run_for(15s);
    const int put_off = outage.put_off;
    sim.run_for(1min);
    if (seed == 1) check(put_off > 0 && put_off == outage.put_off, "15 seconds after an outage every request succeeds again");
    failures += outage.put_off != put_off;
  }

  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - really_began);
  std::printf("20 times 2 hours and 2 minutes in %lld ms\n", static_cast<long long>(took.count()));
  return failures == 0 ? 0 : 1;
}
