// SPDX-License-Identifier: BSL-1.0
// tidepool - a pool looks at its load, and advises on its size once an hour.
#include <string>
#include <vector>

#include "rig.hpp"

namespace pool_advice_tests {

using namespace tidepool_tests;

pool_config looked_at() {
  pool_config c = calm(4, 10);
  c.auto_scale = true;  // its timer
  c.advice_interval = 10s;
  return c;
}
/// Two callers a second, each for 900 ms.
template <class Rig>
void use(Rig& r, duration span) {
  const auto until = r.sim.now() + span;
  std::vector<typename Rig::lease> held;
  while (r.sim.now() < until) {
    held.push_back(r.take());
    r.sim.run_for(450ms);
    if (held.size() > 2) held.erase(held.begin());
    r.sim.run_for(50ms);
  }
}

TEST_CASE("given a pool in use, when an hour has passed, then advice is told, logged, and in the figures") {
  std::vector<std::string> lines;
  rig<> r(looked_at());
  r.pool->log_to([&](tidepool::log_level, const std::string& line) {
    if (line.find("advice") != std::string::npos) lines.push_back(line);
  });
  r.open();
  CHECK_FALSE(r.pool->advice().known);
  use(r, 59min);
  CHECK(lines.empty());
  CHECK(r.stats().advised_max_size == 0);
  use(r, 2min);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("pool: advice: min_size ") == 0);
  CHECK(r.events->count("advice") == 1);
  const auto s = r.stats();
  CHECK(s.advised_max_size >= 3);
  CHECK(s.advised_max_size <= 8);
  CHECK(s.advised_min_size >= 1);
  CHECK(s.advised_min_size <= s.advised_max_size);
  const auto advice = r.pool->advice();
  REQUIRE(advice.known);
  CHECK(advice.arrivals > 1.9);
  CHECK(advice.arrivals < 2.1);
  CHECK(advice.mean_leases > 2);
  CHECK(advice.mean_leases < 4);
  CHECK(advice.now.size == 10);
  CHECK(advice.now.good);
  CHECK(advice.measured_p99 == 0s);
  CHECK(r.stats().max_size == 10);  // it changes nothing

  // The minute after that is told; hours without a caller are no news.
  r.sim.run_for(5h);
  CHECK(lines.size() == 2);
  use(r, 10min);
  r.sim.run_for(3h);
  CHECK(lines.size() == 3);
}

TEST_CASE("given no advice_interval, then nothing is looked at, until reconfigure() says so") {
  auto config = looked_at();
  config.advice_interval = no_limit;
  rig<> r(config);
  r.open();
  use(r, 70min);
  CHECK_FALSE(r.pool->advice().known);
  CHECK(r.events->count("advice") == 0);
  config.advice_interval = 10s;
  config.wait_goal = 5s;
  r.pool->reconfigure(config);
  use(r, 6min);
  const auto advice = r.pool->advice();
  CHECK(advice.known);
  CHECK(advice.goal == 5s);
  CHECK(advice.arrivals < 2.1);
}

TEST_CASE("given callers that wait for a pool that is too small, then more is advised") {
  auto config = looked_at();
  config.min_size = config.max_size = 2;
  config.acquire_timeout = 2s;
  rig<> r(config);
  r.open();
  // Three places of work for two connections.
  std::vector<rig<>::request_ptr> asked;
  for (int i = 0; i < 600; ++i) {
    asked.push_back(r.ask(2s));
    r.sim.run_for(300ms);
    std::erase_if(asked, [&](const auto& one) { return one->result && (!one->held || r.sim.now() - one->ended >= 900ms); });
  }
  const auto advice = r.pool->advice();
  REQUIRE(advice.known);
  CHECK(advice.max_size >= 4);
  CHECK(advice.max_size <= 9);
  CHECK(advice.queued);
  CHECK(advice.now.p99_wait > 1s);
  CHECK_FALSE(advice.now.good);
}

}  // namespace pool_advice_tests
