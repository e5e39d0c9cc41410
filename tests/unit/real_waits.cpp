// SPDX-License-Identifier: BSL-1.0
// tidepool - a simulation says so where something waits in real time, and what to use in its place.
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>

#include <tidepool/pool.hpp>
#include <tidepool/testing.hpp>

#include "../support/asio.hpp"
#include "../support/catch.hpp"

namespace {

namespace asio = tidepool::asio;
namespace testing = tidepool::testing;
using namespace std::chrono_literals;
using pool_type = tidepool::basic_pool<testing::fake_connection, testing::simulated_traits<testing::fake_connection>>;

std::string complaint_of(testing::simulation& sim) {
  try {
    sim.run_for(1h);
  } catch (const std::logic_error& said) {
    return said.what();
  }
  return "";
}

template <class Timer>
asio::awaitable<void> pause(int& done) {
  Timer timer(co_await asio::this_coro::executor);
  timer.expires_after(30min);
  co_await timer.async_wait(asio::use_awaitable);
  ++done;
}

}  // namespace

TEST_CASE("given a steady_timer in a simulation, when it is awaited, then the run ends and names what to use", "[field-U9]") {
  testing::simulation sim(1);
  testing::world server(sim);
  pool_type pool(sim.get_executor(), server.connector());  // its own timers go on for ever
  int done = 0;
  asio::co_spawn(sim.get_executor(), pool.open(), asio::detached);
  asio::co_spawn(sim.get_executor(), pause<asio::steady_timer>(done), asio::detached);
  const auto said = complaint_of(sim);
  CHECK(said.find("asio::steady_timer") != std::string::npos);
  CHECK(said.find("timer_type") != std::string::npos);
  CHECK(sim.now() == testing::simulation::default_start);  // no time has passed
  CHECK(done == 0);
}

TEST_CASE("given a steady_timer in a simulation, when nothing awaits it, then the simulation runs", "[field-U9]") {
  testing::simulation sim(1);
  asio::steady_timer timer(sim.get_executor());
  int done = 0;
  asio::co_spawn(sim.get_executor(), pause<testing::virtual_timer>(done), asio::detached);
  CHECK(complaint_of(sim).empty());
  CHECK(done == 1);
}

TEST_CASE("given a pool, when a handler uses the pool's kind of timer, then that is virtual in a simulation", "[field-U9]") {
  using real_pool = tidepool::basic_pool<testing::fake_connection>;
  STATIC_REQUIRE(std::is_same_v<pool_type::timer_type, testing::virtual_timer>);
  STATIC_REQUIRE(std::is_same_v<real_pool::timer_type, asio::steady_timer>);
  testing::simulation sim(1);
  int done = 0;
  asio::co_spawn(sim.get_executor(), pause<pool_type::timer_type>(done), asio::detached);
  sim.run_for(30min);
  CHECK(done == 1);
}

TEST_CASE("given a simulation, when another thread posts to it, then the handler runs on its own thread") {
  testing::simulation sim(1);
  const auto here = std::this_thread::get_id();
  bool same = false;
  std::thread([&] { asio::post(sim.get_executor(), [&] { same = std::this_thread::get_id() == here; }); }).join();
  sim.run();
  CHECK(same);
}
