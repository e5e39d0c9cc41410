// tidepool - durations and "no limit".
#include <tidepool/time.hpp>
#include <tidepool/traits.hpp>

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

/// A clock that ticks in milliseconds.
struct coarse_clock {
  using duration = std::chrono::milliseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<coarse_clock>;
};
struct coarse_traits : default_traits<int> {
  using clock_type = coarse_clock;
};

TEST_CASE("given a clock coarser than the pool's time, when a timer is set, then it is not set to before its deadline") {
  CHECK(detail::time_of<coarse_traits>(10ms).time_since_epoch() == 10ms);
  CHECK(detail::time_of<coarse_traits>(10ms + 1ns).time_since_epoch() == 11ms);
  CHECK(detail::time_of<default_traits<int>>(10ms + 1ns).time_since_epoch() == 10ms + 1ns);
}

}  // namespace
