// SPDX-License-Identifier: BSL-1.0
// tidepool - pool_config as text: lines, environment variables, URLs, and back.
#include <tidepool/config.hpp>

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/comma_locale.hpp"

namespace {

using namespace tidepool;
using namespace std::chrono_literals;

// An option more: tell `detail::for_each_option` of it, and change this number.
static_assert(sizeof(void*) != 8 || sizeof(pool_config) == 952);

template <class Read>
std::string faults_of(Read read) {
  try {
    (void)read();
  } catch (const std::invalid_argument& failure) {
    return failure.what();
  }
  return "";
}
std::string faults_in(const std::string& text) {
  return faults_of([&] { return pool_config::from_string(text); });
}

class variable {
 public:
  variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  variable(const variable&) = delete;
  variable& operator=(const variable&) = delete;
  ~variable() { ::unsetenv(name_); }

 private:
  const char* name_;
};

TEST_CASE("given lines of text, when read, then each option is set, a profile is what the others change") {
  const auto c = pool_config::from_string(
      "# the orders\n\n  max_size = 50\r\nprofile=production\nacquire_timeout\t=\t250ms\nidle_timeout = 5m\nmax_lifetime = none\n"
      "lifetime_jitter = 0.25\nleak_detection = off\nauto_scale=no\npre_ping = on\nmax_waiting = 7\nmax_uses = none\n"
      "close_grace = 0\nstart = lazy\nname = \"a \\\"b\\\" = # \\\\\"\nvalidation_query = select 1 -- = 2");
  CHECK(c.min_size == 10);
  CHECK(c.max_size == 50);
  CHECK(c.acquire_timeout == 250ms);
  CHECK(c.idle_timeout == 5min);
  CHECK(c.max_lifetime == no_limit);
  CHECK(c.lifetime_jitter == 0.25);
  CHECK_FALSE(c.leak_detection);
  CHECK_FALSE(c.auto_scale);
  CHECK(c.pre_ping);
  CHECK_FALSE(c.test_on_borrow);
  CHECK(c.max_waiting == 7);
  CHECK(c.max_uses == no_limit);
  CHECK(c.close_grace == 0s);
  CHECK(c.start == start_mode::lazy);
  CHECK(c.name == "a \"b\" = # \\");
  CHECK(c.validation_query == "select 1 -- = 2");

  auto base = pool_config::reliable();
  base.max_size = 70;
  CHECK(pool_config::from_string("min_size = 3", base).max_size == 70);
  CHECK(pool_config::from_string("profile = default", base).max_size == 20);
  CHECK(pool_config::from_string("").to_string() == pool_config().to_string());
}

TEST_CASE("given text with many faults, when read, then one error names each, with its line") {
  CHECK(faults_in("max_sise = s3cret\nmin_size = 200\nacquire_timeout = 30\nfoo\nmax_size=8\nmax_size=9\nprofile=fast\nname=\"a\n"
                  "close_grace = -1s\npre_ping = maybe\nstart = now\nmax_waiting = 1.5\nscale_up_threshold = 0,5\nmin_idle = 9") ==
        "pool_config: line 4: no 'key = value'; "
        "line 8, name: the quotation marks do not fit; within them are \\\" \\\\ \\n \\r; "
        "line 7, profile is 'fast': must be one of default, development, production, high_load, low_latency, high_throughput, reliable, "
        "embedded; "
        "line 1, max_sise: no option of a pool; did you mean max_size?; "
        "line 3, acquire_timeout is '30': must be a time with its unit, as in 250ms, 30s, 5m or 1h, or none for no limit; "
        "line 6, max_size is '9': is there twice; "
        "line 9, close_grace is '-1s': must not be negative; "
        "line 10, pre_ping is 'maybe': must be true or false; "
        "line 11, start is 'now': must be fail_fast or lazy; "
        "line 12, max_waiting is '1.5': must be a whole number, or none for no limit; "
        "line 13, scale_up_threshold is '0,5': must be a number, as in 0.8; "
        "line 2, min_size is 200: must not exceed max_size (8); "
        "line 14, min_idle is 9: must not exceed max_size (8)");
  for (const char* text :
       {"max_size", "= 3", "max_size =", "max_size = 18446744073709551615", "max_size = 99999999999999999999",
        "acquire_timeout = 9223372036854775807ns", "acquire_timeout = 300000d", "acquire_timeout = 99999999999999999999s",
        "acquire_timeout = 5 s", "acquire_timeout = s", "max_sizemax_size = 3", "name = \"a\\x\"", "name = \"a\"b\"", "name = \"",
        "name = \"\\\"", "name =", "lifetime_jitter = nan", "profile=embedded\nprofile=reliable"}) {
    INFO(text);
    CHECK(faults_in(text) != "");
  }
  CHECK(faults_in("amx_size = 3").find("did you mean max_size?") != std::string::npos);
  CHECK(faults_in("max_size_ = 3").find("did you mean max_size?") != std::string::npos);
  CHECK(faults_in("axx_size = 3").find("did you mean") == std::string::npos);
}

TEST_CASE("given environment variables with a prefix, when read, then they are the options, others are refused") {
  const variable size("TIDEPOOL_TEST_ORDERS_MAX_SIZE", "33");
  const variable profile("TIDEPOOL_TEST_ORDERS_PROFILE", "reliable");
  const variable other("TIDEPOOL_TEST_ORDER_MAX_SIZE", "44");
  const auto c = pool_config::from_environment("TIDEPOOL_TEST_ORDERS_");
  CHECK(c.max_size == 33);
  CHECK(c.max_retries == 5);
  const variable small("TIDEPOOL_TEST_ORDERS_min_size", "3");
  const variable wrong("TIDEPOOL_TEST_ORDERS_LEAK_TIMEOUT", "soon");
  const auto said = faults_of([] { return pool_config::from_environment("TIDEPOOL_TEST_ORDERS_"); });
  CHECK(said.find("TIDEPOOL_TEST_ORDERS_min_size: no option of a pool") != std::string::npos);
  CHECK(said.find("TIDEPOOL_TEST_ORDERS_LEAK_TIMEOUT is 'soon': must be a time") != std::string::npos);
  CHECK(faults_of([] { return pool_config::from_environment(""); }) != "");
  pool_config base;
  base.min_size = 2;
  CHECK(pool_config::from_environment("TIDEPOOL_TEST_NONE_", base).min_size == 2);
}

TEST_CASE("given a URL with options of the pool and of the driver, when read, then each gets its own") {
  const std::string url =
      "postgres://app:pool_s3cret@db/shop?pool_max_size=40&sslmode=require&acquire_timeout=3s&connect_timeout=4&pool_connect_timeout=2s"
      "&pool_name=a%20b&name=x&#pool_min_size=9";
  const auto c = pool_config::from_url(url);
  CHECK(c.max_size == 40);
  CHECK(c.min_size == 5);
  CHECK(c.acquire_timeout == 3s);
  CHECK(c.connect_timeout == 2s);
  CHECK(c.name == "a b");
  CHECK(url_without_pool_options(url) == "postgres://app:pool_s3cret@db/shop?sslmode=require&connect_timeout=4&name=x#pool_min_size=9");
  CHECK(url_without_pool_options("host=db dbname=shop") == "host=db dbname=shop");
  CHECK(url_without_pool_options("mysql://h/d?pool_max_size=4") == "mysql://h/d");
  CHECK(pool_config::from_url("host=db").to_string() == pool_config().to_string());
  CHECK(pool_config::from_url("db?profile=embedded").max_size == 10);
  const auto said = faults_of([] {
    return pool_config::from_url(
        "postgres://u:s3cret@h/d?pool_max_sizes=s3cret&min_size=%zz&pool_min_size=%4&pool_max_uses&pool_min_idle=x&idle_timeout=1h");
  });
  CHECK(said ==
        "pool_config: min_size: a % without two hexadecimal digits behind it; pool_min_size: a % without two hexadecimal digits behind it; "
        "pool_max_uses: no value; pool_max_sizes: no option of a pool; did you mean max_size?; pool_min_idle is 'x': must be a whole "
        "number, or none for no limit; idle_timeout is 3600 s: must not exceed max_lifetime (1800 s)");
}

TEST_CASE("given any sound configuration, when written and read, in any locale, then it is the same") {
  const tidepool_tests::comma_locale locale;
  std::vector<pool_config> all{pool_config(),
                               pool_config::development(),
                               pool_config::production(),
                               pool_config::high_load(),
                               pool_config::low_latency(),
                               pool_config::high_throughput(),
                               pool_config::reliable(),
                               pool_config::embedded()};
  std::uint64_t state = 1;
  const auto random = [&](std::uint64_t below) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (state >> 33U) % below;
  };
  for (int i = 0; i < 500; ++i) {
    pool_config c;
    std::string odd;
    for (auto n = random(20); n > 0; --n) odd += static_cast<char>(" \t\"\\\n\r#=ax\x7f\xc3"[random(12)]);
    c.validation_query = odd;
    c.name = "n" + std::to_string(random(100)) + " \"";
    c.max_size = 1 + static_cast<std::size_t>(random(1000));
    c.min_size = static_cast<std::size_t>(random(c.max_size));
    c.max_waiting = random(3) == 0 ? std::size_t(no_limit) : static_cast<std::size_t>(random(1'000'000));
    c.acquire_timeout = random(3) == 0 ? duration(no_limit) : duration(static_cast<std::int64_t>(random(1U << 30U) * random(1U << 20U)));
    c.connect_timeout = duration(1 + static_cast<std::int64_t>(random(1U << 30U)));
    c.lifetime_jitter = static_cast<double>(random(1000)) / 1000.0 / 3.0;
    c.scale_up_threshold = 0.5 + static_cast<double>(random(1000)) / 2001.0;
    c.pre_ping = random(2) == 0;
    c.start = random(2) == 0 ? start_mode::lazy : start_mode::fail_fast;
    all.push_back(c);
  }
  for (const auto& c : all) {
    REQUIRE(c.validate().empty());
    const std::string text = c.to_string();
    const auto back = pool_config::from_string(text);
    CHECK(back.to_string() == text);
    CHECK(back.lifetime_jitter == c.lifetime_jitter);
    CHECK(back.acquire_timeout == c.acquire_timeout);
    CHECK(back.validation_query == c.validation_query.view());
  }
}

}  // namespace
