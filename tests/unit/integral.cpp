// tidepool - the time integral of a count.
#include <tidepool/detail/integral.hpp>

#include <random>

#include "support/catch.hpp"

namespace {

using tidepool::detail::count_integral;
using tidepool::detail::tick;
using namespace std::chrono_literals;

TEST_CASE("given nothing that came, when the integral is taken, then it is zero") {
  count_integral integral;
  CHECK(integral.take(5s, 0) == 0.0);
  CHECK(integral.take(10s, 0) == 0.0);
}

TEST_CASE("given one thing, when it stays, comes or leaves within an interval, then only its time there counts") {
  count_integral integral;
  integral.came(10ns);
  CHECK(integral.take(30ns, 1) == 20.0);
  CHECK(integral.take(35ns, 1) == 5.0);
  CHECK(integral.take(35ns, 1) == 0.0);
  integral.left(45ns);
  CHECK(integral.take(100ns, 0) == 10.0);
  CHECK(integral.take(200ns, 0) == 0.0);
}

TEST_CASE("given clock readings of a machine up for long, when many came and left, then the difference is still exact") {
  const tick start = 9'000'000'000'000'000'000ns;
  count_integral integral;
  for (int i = 0; i < 1'000; ++i) integral.came(start);
  CHECK(integral.take(start + 1us, 1'000) == 1'000'000.0);
  for (int i = 0; i < 999; ++i) integral.left(start + 2us);
  CHECK(integral.take(start + 3us, 1) == 1'000'000.0 + 1'000.0);
}

TEST_CASE("given random comings and goings, when the area is added up step by step, then the integral is the same") {
  std::mt19937 random(5);
  count_integral integral;
  tick now{1'000};
  std::size_t count = 0;
  double area = 0;
  for (int step = 0; step < 10'000; ++step) {
    const tick::rep passed = static_cast<tick::rep>(random() % 1'000);
    area += static_cast<double>(passed) * static_cast<double>(count);
    now += tick(passed);
    if (count == 0 || random() % 2) {
      integral.came(now);
      ++count;
    } else {
      integral.left(now);
      --count;
    }
    if (random() % 10 == 0) {
      REQUIRE(integral.take(now, count) == area);
      area = 0;
    }
  }
}

TEST_CASE("given a clock that lags behind, when the integral is taken, then it is zero and not negative") {
  count_integral integral;
  integral.came(100ns);
  CHECK(integral.take(90ns, 1) == 0.0);
  CHECK(integral.take(110ns, 1) >= 10.0);
}

}  // namespace
