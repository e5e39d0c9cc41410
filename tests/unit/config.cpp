// SPDX-License-Identifier: BSL-1.0
// tidepool - every option with its default, the rules, the profiles.
#include <tidepool/config.hpp>

#include <algorithm>
#include <functional>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace tidepool;
using namespace std::chrono_literals;
using tidepool_tests::has_text;

static_assert(std::is_trivially_destructible_v<pool_config>, "GCC 12 destroys aggregate temporaries twice");
static_assert(std::is_trivially_copyable_v<pool_config>);

std::vector<std::string> faulty_fields(const pool_config& config) {
  std::vector<std::string> out;
  for (const config_fault& fault : config.validate()) out.push_back(fault.field);
  return out;
}
bool complains_of(const pool_config& config, const std::string& field) {
  const auto fields = faulty_fields(config);
  return std::find(fields.begin(), fields.end(), field) != fields.end();
}

TEST_CASE("given a default configuration, when it is read, then each option has the guide's default") {
  const pool_config c;
  CHECK(c.min_size == 5);
  CHECK(c.max_size == 20);
  CHECK(c.acquire_timeout == 10s);
  CHECK(c.idle_timeout == 300s);
  CHECK(c.max_lifetime == 1800s);
  CHECK(c.connect_timeout == 10s);
  CHECK(c.pre_ping);
  CHECK(c.test_on_borrow);
  CHECK(c.validation_query.empty());
  CHECK(c.max_retries == 3);
  CHECK(c.retry_delay == 1s);
  CHECK(c.auto_scale);
  CHECK(c.scale_up_threshold == 0.8);
  CHECK(c.scale_down_threshold == 0.3);
  CHECK(c.scale_check_interval == 10s);
  CHECK(c.health_check_interval == 30s);
  CHECK(c.leak_detection);
  CHECK(c.leak_timeout == 300s);
  CHECK_FALSE(c.track_stack_trace);
}

TEST_CASE("given a default configuration, then what the guide does not have is bounded, or off by default") {
  const pool_config c;
  CHECK(c.name == "pool");
  CHECK(c.min_idle == 0);
  CHECK(c.max_connecting == 4);
  CHECK(c.max_waiting == no_limit);
  CHECK(c.wait_when_refused);
  CHECK(c.validation_timeout == 5s);
  CHECK(c.reset_timeout == 2s);
  CHECK(c.close_timeout == 2s);
  CHECK(c.close_grace == 10s);
  CHECK(c.slow_acquire == 2s);
  CHECK(c.stall_threshold == 1s);
  CHECK_FALSE(c.learn_idle_limit);
  CHECK(c.advice_interval == 10s);
  CHECK(c.wait_goal == 10ms);
  CHECK(c.response_timeout == no_limit);
  CHECK(c.lifetime_jitter == 0.1);
  CHECK(c.max_uses == no_limit);
  CHECK(c.alive_bypass == 500ms);
  CHECK(c.max_retry_delay == 10s);
  CHECK(c.breaker_threshold == 5);
  CHECK(c.breaker_open_time == 2s);
  CHECK(c.abandon_timeout == no_limit);
  CHECK(c.start == start_mode::fail_fast);
}

TEST_CASE("given a profile, when it is read, then it differs where the guide says so, and is sound") {
  const pool_config defaults;
  SECTION("development") {
    const pool_config c = pool_config::development();
    CHECK(c.min_size == 2);
    CHECK(c.max_size == 5);
    CHECK(c.acquire_timeout == 5s);
    CHECK(c.pre_ping);
    CHECK(c.test_on_borrow);
    CHECK(c.leak_detection);
    CHECK(c.track_stack_trace);
    CHECK(c.validate().empty());
  }
  SECTION("production") {
    const pool_config c = pool_config::production();
    CHECK(c.min_size == 10);
    CHECK(c.max_size == 100);
    CHECK(c.acquire_timeout == 30s);
    CHECK(c.idle_timeout == 600s);
    CHECK(c.max_lifetime == 3600s);
    CHECK_FALSE(c.pre_ping);
    CHECK_FALSE(c.test_on_borrow);
    CHECK(c.auto_scale);
    CHECK(c.scale_up_threshold == 0.8);
    CHECK(c.scale_down_threshold == 0.2);
    CHECK(c.leak_detection);
    CHECK_FALSE(c.track_stack_trace);
    CHECK(c.validate().empty());
  }
  SECTION("high load") {
    const pool_config c = pool_config::high_load();
    CHECK(c.min_size == 50);
    CHECK(c.max_size == 500);
    CHECK(c.acquire_timeout == 60s);
    CHECK_FALSE(c.pre_ping);
    CHECK_FALSE(c.test_on_borrow);
    CHECK(c.auto_scale);
    CHECK(c.scale_up_threshold == 0.9);
    CHECK(c.scale_check_interval == 5s);
    CHECK(c.validate().empty());
  }
  SECTION("low latency") {
    const pool_config c = pool_config::low_latency();
    CHECK(c.min_size == 20);
    CHECK(c.max_size == defaults.max_size);
    CHECK_FALSE(c.pre_ping);
    CHECK_FALSE(c.test_on_borrow);
    CHECK(c.acquire_timeout == 1s);
    CHECK(c.auto_scale);
    CHECK(c.scale_check_interval == 5s);
    CHECK(c.validate().empty());
  }
  SECTION("high throughput") {
    const pool_config c = pool_config::high_throughput();
    CHECK(c.min_size == 50);
    CHECK(c.max_size == 200);
    CHECK_FALSE(c.pre_ping);
    CHECK_FALSE(c.test_on_borrow);
    CHECK(c.auto_scale);
    CHECK(c.scale_up_threshold == 0.9);
    CHECK(c.scale_check_interval == 2s);
    CHECK(c.validate().empty());
  }
  SECTION("reliable") {
    const pool_config c = pool_config::reliable();
    CHECK(c.min_size == 10);
    CHECK(c.max_size == 30);
    CHECK(c.pre_ping);
    CHECK(c.test_on_borrow);
    CHECK(c.max_retries == 5);
    CHECK(c.retry_delay == 2s);
    CHECK(c.health_check_interval == 15s);
    CHECK(c.leak_detection);
    CHECK(c.leak_timeout == 120s);
    CHECK(c.validate().empty());
  }
  SECTION("embedded") {
    const pool_config c = pool_config::embedded();
    CHECK(c.min_size == 2);
    CHECK(c.max_size == 10);
    CHECK_FALSE(c.auto_scale);
    CHECK_FALSE(c.pre_ping);
    CHECK_FALSE(c.test_on_borrow);
    CHECK(c.max_lifetime == no_limit);
    CHECK(c.validate().empty());
  }
}

TEST_CASE("given the default configuration, when it is validated, then there is no fault") { CHECK(pool_config{}.validate().empty()); }

struct broken_rule {
  const char* field;
  std::function<void(pool_config&)> breaks;
};

// NOLINTNEXTLINE(readability-function-size)
std::vector<broken_rule> broken_rules() {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto negative = [](int n) { return static_cast<std::size_t>(n); };
  return {
      {"name", [](pool_config& c) { c.name = ""; }},
      {"name", [](pool_config& c) { c.name = std::string(64, 'x'); }},
      {"name", [](pool_config& c) { c.name = "two\nlines"; }},
      {"name", [](pool_config& c) { c.name = std::string("a\0b", 3); }},
      {"validation_query", [](pool_config& c) { c.validation_query = std::string("select\0 1", 9); }},
      {"validation_query", [](pool_config& c) { c.validation_query = std::string(256, 'x'); }},
      {"min_size", [](pool_config& c) { c.min_size = 21; }},
      {"min_size", [=](pool_config& c) { c.min_size = negative(-5); }},
      {"min_size", [](pool_config& c) { c.min_size = no_limit; }},
      {"max_size", [](pool_config& c) { c.max_size = c.min_size = 0; }},
      {"max_size", [=](pool_config& c) { c.max_size = negative(-2); }},
      {"max_size", [](pool_config& c) { c.max_size = no_limit; }},
      {"min_idle", [](pool_config& c) { c.min_idle = 21; }},
      {"min_idle", [=](pool_config& c) { c.min_idle = negative(-2); }},
      {"max_connecting", [](pool_config& c) { c.max_connecting = 0; }},
      {"max_connecting", [=](pool_config& c) { c.max_connecting = negative(-3); }},
      {"max_waiting", [=](pool_config& c) { c.max_waiting = negative(-4); }},
      {"max_uses", [](pool_config& c) { c.max_uses = 0; }},
      {"max_retries", [=](pool_config& c) { c.max_retries = negative(-2); }},
      {"breaker_threshold", [](pool_config& c) { c.breaker_threshold = 0; }},
      {"acquire_timeout", [](pool_config& c) { c.acquire_timeout = -1ns; }},
      {"connect_timeout", [](pool_config& c) { c.connect_timeout = 0s; }},
      {"connect_timeout", [](pool_config& c) { c.connect_timeout = no_limit; }},
      {"validation_timeout", [](pool_config& c) { c.validation_timeout = 0s; }},
      {"validation_timeout", [](pool_config& c) { c.validation_timeout = no_limit; }},
      {"reset_timeout", [](pool_config& c) { c.reset_timeout = -1s; }},
      {"reset_timeout", [](pool_config& c) { c.reset_timeout = no_limit; }},
      {"close_timeout", [](pool_config& c) { c.close_timeout = 0s; }},
      {"close_timeout", [](pool_config& c) { c.close_timeout = no_limit; }},
      {"close_timeout", [](pool_config& c) { c.close_timeout = 366 * 24h; }},
      {"close_grace", [](pool_config& c) { c.close_grace = -1s; }},
      {"response_timeout", [](pool_config& c) { c.response_timeout = 0s; }},
      {"response_timeout", [](pool_config& c) { c.response_timeout = -1s; }},
      {"slow_acquire", [](pool_config& c) { c.slow_acquire = -1s; }},
      {"stall_threshold", [](pool_config& c) { c.stall_threshold = 999us; }},
      {"advice_interval", [](pool_config& c) { c.advice_interval = 0s; }},
      {"wait_goal", [](pool_config& c) { c.wait_goal = -1ns; }},
      {"idle_timeout", [](pool_config& c) { c.idle_timeout = 0s; }},
      {"idle_timeout", [](pool_config& c) { c.idle_timeout = -1s; }},
      {"idle_timeout", [](pool_config& c) { c.idle_timeout = c.max_lifetime + 1ns; }},
      {"max_lifetime", [](pool_config& c) { c.max_lifetime = 0s; }},
      {"lifetime_jitter", [](pool_config& c) { c.lifetime_jitter = 1.0; }},
      {"lifetime_jitter", [](pool_config& c) { c.lifetime_jitter = -0.1; }},
      {"lifetime_jitter", [=](pool_config& c) { c.lifetime_jitter = nan; }},
      {"alive_bypass", [](pool_config& c) { c.alive_bypass = -1ms; }},
      {"health_check_interval", [](pool_config& c) { c.health_check_interval = 0s; }},
      {"health_check_interval", [](pool_config& c) { c.health_check_interval = 999us; }},
      {"retry_delay", [](pool_config& c) { c.retry_delay = 0s; }},
      {"retry_delay", [](pool_config& c) { c.retry_delay = 11s; }},
      {"max_retry_delay", [](pool_config& c) { c.max_retry_delay = no_limit; }},
      {"max_retry_delay", [](pool_config& c) { c.max_retry_delay = 200 * 365 * 24h; }},
      {"breaker_open_time", [](pool_config& c) { c.breaker_open_time = 0s; }},
      {"breaker_open_time", [](pool_config& c) { c.breaker_open_time = no_limit; }},
      {"scale_check_interval", [](pool_config& c) { c.scale_check_interval = 0s; }},
      {"scale_check_interval", [](pool_config& c) { c.scale_check_interval = 1ns; }},
      {"scale_check_interval", [](pool_config& c) { c.scale_check_interval = no_limit; }},
      {"scale_up_threshold", [](pool_config& c) { c.scale_up_threshold = 1.1; }},
      {"scale_up_threshold", [=](pool_config& c) { c.scale_up_threshold = nan; }},
      {"scale_down_threshold", [](pool_config& c) { c.scale_down_threshold = -0.1; }},
      {"scale_down_threshold", [](pool_config& c) { c.scale_down_threshold = 0.9; }},
      {"scale_down_threshold", [](pool_config& c) { c.scale_down_threshold = c.scale_up_threshold; }},
      {"leak_timeout", [](pool_config& c) { c.leak_timeout = 0s; }},
      {"abandon_timeout", [](pool_config& c) { c.abandon_timeout = 0s; }},
      {"abandon_timeout", [](pool_config& c) { c.abandon_timeout = c.leak_timeout; }},
      {"abandon_timeout",
       [](pool_config& c) {
         c.leak_detection = false;
         c.abandon_timeout = 600s;
       }},
  };
}

TEST_CASE("given one option that breaks its rule, when validated, then the fault names that option") {
  std::size_t number = 0;
  for (const broken_rule& rule : broken_rules()) {
    pool_config c;
    rule.breaks(c);
    CAPTURE(rule.field, number++);
    CHECK(complains_of(c, rule.field));
    for (const config_fault& fault : c.validate()) {
      CHECK_FALSE(fault.value.empty());
      CHECK_FALSE(fault.rule.empty());
      CHECK(fault.text() == fault.field + " is " + fault.value + ": " + fault.rule);
    }
  }
}

TEST_CASE("given several broken rules, when the configuration is validated, then every one is reported at once") {
  pool_config c;
  c.min_size = 30;
  c.max_size = 10;
  c.connect_timeout = 0s;
  c.idle_timeout = 2h;
  c.scale_up_threshold = 0.2;
  c.retry_delay = 1min;
  c.name = "";
  const auto fields = faulty_fields(c);
  CHECK(fields.size() == 6);
  for (const char* field : {"name", "min_size", "connect_timeout", "idle_timeout", "retry_delay", "scale_down_threshold"}) {
    CAPTURE(field);
    CHECK(std::count(fields.begin(), fields.end(), field) == 1);
  }
}

TEST_CASE("given a broken rule, when its fault is read, then it gives field, value and rule in words") {
  pool_config c;
  c.min_size = 30;
  c.idle_timeout = 2h;
  c.max_connecting = static_cast<std::size_t>(-3);
  c.reset_timeout = no_limit;
  std::string all;
  for (const config_fault& fault : c.validate()) all += fault.text() + '\n';
  CHECK_THAT(all, has_text("min_size is 30: must not exceed max_size (20)"));
  CHECK_THAT(all, has_text("idle_timeout is 7200 s: must not exceed max_lifetime (1800 s)"));
  CHECK_THAT(all, has_text("max_connecting is negative (-3)"));
  CHECK_THAT(all, has_text("reset_timeout is no_limit: must be above zero and finite"));
}

TEST_CASE("given one option that is wrong in itself, when validated, then that is the only fault") {
  pool_config c;
  SECTION("a negative floor") { c.min_size = static_cast<std::size_t>(-5); }
  SECTION("no bound") { c.max_size = no_limit; }
  SECTION("no lifetime") { c.max_lifetime = 0s; }
  SECTION("a negative idle time") { c.idle_timeout = -1s; }
  SECTION("no longest delay") { c.max_retry_delay = 0s; }
  SECTION("an interval of nothing") { c.scale_check_interval = 0s; }
  SECTION("a name on two lines") { c.name = "a\tb"; }
  CHECK(faulty_fields(c).size() == 1);
}

TEST_CASE("given durations too long for nanoseconds, when they wrapped, then the fault says what to write") {
  pool_config c;
  c.acquire_timeout = duration(-1s);  // what std::chrono::seconds::max() becomes
  REQUIRE(c.validate().size() == 1);
  CHECK_THAT(c.validate()[0].text(), has_text("acquire_timeout is -1 s: must not be negative; for ever is spelled no_limit"));
}

TEST_CASE("given defaults, when one field is moved past its neighbour, then it is refused") {
  pool_config c;
  std::string field, rule;
  const auto expect = [&](const char* of, const char* says) {
    field = of;
    rule = says;
  };
  SECTION("max_size") {
    c.max_size = 3;
    expect("min_size", "must not exceed max_size (3)");
  }
  SECTION("max_lifetime") {
    c.max_lifetime = 60s;
    expect("idle_timeout", "must not exceed max_lifetime (60 s)");
  }
  SECTION("retry_delay") {
    c.retry_delay = 30s;
    expect("retry_delay", "must not exceed max_retry_delay (10 s)");
  }
  SECTION("scale_up_threshold, though scaling is off") {
    c.auto_scale = false;
    c.scale_up_threshold = 0.25;
    expect("scale_down_threshold", "must be below scale_up_threshold (0.25)");
  }
  SECTION("abandon_timeout") {
    c.abandon_timeout = 60s;
    expect("abandon_timeout", "must be longer than leak_timeout (300 s)");
  }
  const auto faults = c.validate();
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].field == field);
  CHECK(faults[0].rule == rule);
}

TEST_CASE("given profiles, when a server may be silent, then those for production have a limit", "[field-L3]") {
  for (const auto& c : {pool_config::production(), pool_config::high_load(), pool_config::high_throughput(), pool_config::reliable()})
    CHECK(c.response_timeout == 60s);
  CHECK(pool_config::low_latency().response_timeout == 10s);
  CHECK(pool_config::development().response_timeout == no_limit);
}

TEST_CASE("given a profile, when its options are compared, then none keeps another from ever mattering") {
  const pool_config c =
      GENERATE(pool_config{}, pool_config::development(), pool_config::production(), pool_config::high_load(), pool_config::low_latency(),
               pool_config::high_throughput(), pool_config::reliable(), pool_config::embedded());
  CHECK(c.slow_acquire < c.acquire_timeout);
  CHECK(c.response_timeout > c.validation_timeout);
  CHECK(c.max_retries < c.breaker_threshold);
  CHECK(c.alive_bypass < c.health_check_interval);
  CHECK(c.validation_timeout <= c.health_check_interval);
}

TEST_CASE("given options without a limit, when the configuration is validated, then it is sound") {
  pool_config c;
  c.max_waiting = no_limit;
  c.max_uses = no_limit;
  c.max_retries = no_limit;
  c.breaker_threshold = no_limit;
  c.acquire_timeout = no_limit;
  c.close_grace = no_limit;
  c.slow_acquire = no_limit;
  c.response_timeout = no_limit;
  c.idle_timeout = no_limit;
  c.max_lifetime = no_limit;
  c.alive_bypass = no_limit;
  c.health_check_interval = no_limit;
  c.leak_timeout = no_limit;
  CHECK(faulty_fields(c).empty());
}

TEST_CASE("given options at the edge of what is allowed, when the configuration is validated, then it is sound") {
  pool_config c;
  SECTION("a pool of one that starts empty") {
    c.min_size = 0;
    c.max_size = 1;
    c.max_connecting = 1;
  }
  SECTION("nobody may wait") {
    c.max_waiting = 0;
    c.acquire_timeout = 0s;
    c.max_retries = 0;
  }
  SECTION("fixed size, all spare") { c.min_size = c.max_size = c.min_idle = 8; }
  SECTION("always validate, no jitter") {
    c.alive_bypass = 0s;
    c.lifetime_jitter = 0;
    c.max_uses = 1;
  }
  SECTION("almost all of the lifetime is jitter") { c.lifetime_jitter = 0.9999; }
  SECTION("idle as long as it may live, and the other way round no limit on age") {
    c.idle_timeout = c.max_lifetime;
    CHECK(faulty_fields(c).empty());
    c.max_lifetime = no_limit;
  }
  SECTION("the back-off is constant") { c.retry_delay = c.max_retry_delay = 1ms; }
  SECTION("thresholds at both ends") {
    c.scale_down_threshold = 0;
    c.scale_up_threshold = 1;
  }
  SECTION("names and queries as long as may be") {
    c.name = std::string(63, 'n');
    c.validation_query = std::string(255, 'q');
  }
  SECTION("leases are taken away after the report") {
    c.leak_timeout = 1s;
    c.abandon_timeout = 1s + 1ns;
  }
  CHECK(faulty_fields(c).empty());
}

}  // namespace
