// tidepool - durations and "no limit".
#include <tidepool/time.hpp>

#include "support/catch.hpp"

namespace {

using namespace tidepool;
using namespace std::chrono_literals;

TEST_CASE("given no_limit, when it is asked for a duration or a count, then it is the largest value and compares equal to it") {
  const duration unlimited_time = no_limit;
  const std::size_t unlimited_count = no_limit;
  CHECK(unlimited_time == duration::max());
  CHECK(unlimited_count == std::numeric_limits<std::size_t>::max());
  CHECK(duration(no_limit) == duration::max());
  CHECK(duration{no_limit} == duration::max());
  CHECK(std::size_t{no_limit} == std::numeric_limits<std::size_t>::max());
  CHECK(unlimited_time == no_limit);
  CHECK(unlimited_count == no_limit);
  CHECK_FALSE(duration::zero() == no_limit);
  CHECK_FALSE(std::size_t{0} == no_limit);
}

TEST_CASE("given a moment, when a span is added, then the sum stops at never instead of overflowing") {
  using detail::later;
  using detail::never;
  CHECK(later(5ns, 7ns) == 12ns);
  CHECK(later(5ns, -7ns) == -2ns);
  CHECK(later(5ns, no_limit) == never);
  CHECK(later(never, 1ns) == never);
  CHECK(later(never, -1ns) == never);
  CHECK(later(never - 1ns, 1ns) == never);
  CHECK(later(never - 1ns, 2ns) == never);
  CHECK(later(never - 10ns, duration::max() - 1ns) == never);
  CHECK(later(-5s, 10s) == 5s);
}

}  // namespace
