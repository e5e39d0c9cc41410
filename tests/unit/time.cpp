// SPDX-License-Identifier: BSL-1.0
// tidepool - durations and "no limit".
#include <tidepool/time.hpp>
#include <tidepool/traits.hpp>

#include "support/catch.hpp"

namespace {

using namespace tidepool;
using namespace std::chrono_literals;

TEST_CASE("given no_limit, when asked for a duration or count, then it is the largest and equals it") {
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

using detail::tick;
static_assert(!std::is_convertible_v<duration, tick> && !std::is_convertible_v<tick, duration>, "a point in time is no span of it");

TEST_CASE("given a moment, when a span is added, then the sum stops at never instead of overflowing") {
  using detail::later;
  using detail::never;
  CHECK(later(tick(5ns), 7ns) == tick(12ns));
  CHECK(later(tick(5ns), -7ns) == tick(-2ns));
  CHECK(later(tick(5ns), no_limit) == never);
  CHECK(later(never, 1ns) == never);
  CHECK(later(never, -1ns) == never);
  CHECK(later(never - 1ns, 1ns) == never);
  CHECK(later(never - 1ns, 2ns) == never);
  CHECK(later(never - 10ns, duration::max() - 1ns) == never);
  CHECK(later(tick(-5s), 10s) == tick(5s));
}

TEST_CASE("given a duration too long to count, when it is a limit, then it is no limit, never negative", "[field-N9]") {
  CHECK(time_limit(std::chrono::hours::max()) == no_limit);
  CHECK(time_limit(std::chrono::milliseconds::max()) == no_limit);
  CHECK(time_limit(std::chrono::hours::min()) == duration::min());
  CHECK(time_limit(std::chrono::duration<std::uint64_t, std::ratio<3600>>(~0ull)) == no_limit);
  CHECK(time_limit(std::chrono::hours(2'562'047)) == std::chrono::hours(2'562'047));  // the last that fits
  CHECK(time_limit(std::chrono::hours(2'562'048)) == no_limit);
  CHECK(time_limit(std::chrono::hours(-2'562'047)) == std::chrono::hours(-2'562'047));
  CHECK(time_limit(std::chrono::hours(-2'562'048)) == duration::min());
  CHECK(time_limit(-5ms) == -5ms);
  CHECK(time_limit(no_limit) == no_limit);
  CHECK(time_limit() == 0ns);
  static_assert(!std::is_convertible_v<std::chrono::duration<double>, time_limit>, "as with the standard's: what is cut off is said");
}

TEST_CASE("given a configuration with hours::max(), when it is checked, then the text says what it became", "[field-N9]") {
  pool_config config;
  // What the standard's conversion makes of hours::max() where it wraps, as it does on all machines in use.
  const duration wrapped = std::chrono::hours(-1);
  config.acquire_timeout = wrapped;
  config.connect_timeout = wrapped;
  config.max_lifetime = wrapped;
  const auto faults = config.validate();
  REQUIRE(faults.size() == 3);
  for (const auto& fault : faults) {
    CHECK(fault.value == "-3600 s");
    CHECK(fault.rule.find("hours::max()") != std::string::npos);
  }
  config = {};
  config.connect_timeout = 0s;
  CHECK(config.validate().at(0).rule.find("hours::max()") == std::string::npos);
}

TEST_CASE("given a moment, when a span far into the past is added, then the sum stops at the beginning of time", "[field-N9]") {
  CHECK(detail::later(detail::tick(-5ns), duration::min()) == detail::tick::min());
  CHECK(detail::later(detail::tick(5ns), duration::min()) == detail::tick(duration::min() + 5ns));
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

TEST_CASE("given a coarse clock, when a timer is set, then it is not set to before its deadline") {
  CHECK(detail::time_of<coarse_traits>(detail::tick(10ms)).time_since_epoch() == 10ms);
  CHECK(detail::time_of<coarse_traits>(detail::tick(10ms + 1ns)).time_since_epoch() == 11ms);
  CHECK(detail::time_of<default_traits<int>>(detail::tick(10ms + 1ns)).time_since_epoch() == 10ms + 1ns);
}

}  // namespace
