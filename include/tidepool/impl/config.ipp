// SPDX-License-Identifier: BSL-1.0
// tidepool - the rules of pool_config and its profiles.
#ifndef TIDEPOOL_IMPL_CONFIG_IPP
#define TIDEPOOL_IMPL_CONFIG_IPP

#include <algorithm>
#include <cstdio>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../config.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {
namespace detail {

inline std::string show(duration value) {
  if (value == (duration::max)()) return "no_limit";
  char text[48];
  std::snprintf(text, sizeof text, "%.9g s", std::chrono::duration<double>(value).count());
  return text;
}
inline std::string show(std::size_t value) { return value == no_limit ? "no_limit" : std::to_string(value); }
inline std::string show(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

/// Collects faults; every check names its field, so a message can be acted on without the source.
class rule_book {
 public:
  explicit rule_book(std::vector<config_fault>& out) : out_(out) {}

  template <class T>
  bool require(bool holds, const char* field, const T& value, std::string rule) {
    if (!holds) out_.push_back({field, show(value), std::move(rule)});
    return holds;
  }
  /// A size written as a negative number arrives as an absurd one.
  bool size(const char* field, std::size_t value, std::size_t least) {
    const bool negative = value > static_cast<std::size_t>(no_limit) / 2 && value != no_limit;
    if (!negative) return require(value >= least, field, value, "must be " + show(least) + " or more");
    out_.push_back({field, "negative (" + std::to_string(static_cast<std::ptrdiff_t>(value)) + ")", "must be " + show(least) + " or more"});
    return false;
  }
  bool bounded(const char* field, std::size_t value, std::size_t least) {
    return size(field, value, least) && require(value != no_limit, field, value, "must be a number");
  }
  bool not_negative(const char* field, duration value) {
    return require(value >= duration::zero(), field, value,
                   std::string("must not be negative; for ever is spelled no_limit") + wrapped(value));
  }
  bool positive(const char* field, duration value) {
    return require(value > duration::zero(), field, value,
                   std::string("must be above zero; for ever is spelled no_limit") + wrapped(value));
  }
  bool finite(const char* field, duration value) {
    return require(value > duration::zero() && value != (duration::max)(), field, value,
                   std::string("must be above zero and finite: everything the pool awaits is bounded") + wrapped(value)) &&
           require(value <= std::chrono::hours(24 * 365), field, value, "must be a year at most");
  }
  /// How often the pool does something by itself. Less than this, and it would do nothing else.
  bool interval(const char* field, duration value) {
    return require(value >= std::chrono::milliseconds(1), field, value, "must be 1 ms or more");
  }
  bool text(const char* field, std::string_view value) {
    const bool holds = std::none_of(value.begin(), value.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
    if (!holds) out_.push_back({field, "a text with control characters", "must be printable"});
    return holds;
  }
  void share(const char* field, double value, double low, double high, const char* rule) {
    require(value >= low && value <= high, field, value, rule);
  }

 private:
  /// The standard's conversion makes `hours::max()` minus one hour, before anybody can see it.
  static const char* wrapped(duration value) {
    return value < duration::zero() ? " (hours::max(), or more than 292 years, becomes so in nanoseconds)" : "";
  }

  std::vector<config_fault>& out_;
};

}  // namespace detail

std::vector<config_fault> pool_config::validate() const {
  std::vector<config_fault> faults;
  detail::rule_book rules(faults);
  const auto quote = [](std::string_view text) { return std::string("'").append(text).append("...'"); };
  if (name.truncated()) faults.push_back({"name", quote(name), "must be at most 63 bytes"});
  if (name.empty()) faults.push_back({"name", "empty", "must not be empty"});
  rules.text("name", name);
  if (validation_query.truncated()) faults.push_back({"validation_query", quote(validation_query), "must be at most 255 bytes"});
  if (validation_query.view().find('\0') != std::string_view::npos)
    faults.push_back({"validation_query", "a text with a NUL", "must have none"});

  // What compares a field with another is said only where it is sound in itself.
  rules.bounded("max_size", max_size, 1);
  if (rules.size("min_size", min_size, 0)) {
    rules.require(min_size <= max_size, "min_size", min_size, "must not exceed max_size (" + detail::show(max_size) + ")");
  }
  if (rules.size("min_idle", min_idle, 0)) {
    rules.require(min_idle <= max_size, "min_idle", min_idle, "must not exceed max_size (" + detail::show(max_size) + ")");
  }
  rules.size("max_connecting", max_connecting, 1);
  rules.size("max_waiting", max_waiting, 0);
  rules.size("max_uses", max_uses, 1);
  rules.size("max_retries", max_retries, 0);
  rules.size("breaker_threshold", breaker_threshold, 1);

  rules.not_negative("acquire_timeout", acquire_timeout);
  rules.finite("connect_timeout", connect_timeout);
  rules.finite("validation_timeout", validation_timeout);
  rules.positive("response_timeout", response_timeout);
  rules.finite("reset_timeout", reset_timeout);
  rules.finite("close_timeout", close_timeout);
  rules.not_negative("close_grace", close_grace);
  rules.not_negative("slow_acquire", slow_acquire);
  if (rules.positive("advice_interval", advice_interval)) rules.interval("advice_interval", advice_interval);
  rules.not_negative("wait_goal", wait_goal);
  if (rules.positive("stall_threshold", stall_threshold)) rules.interval("stall_threshold", stall_threshold);
  const bool lifetime_sound = rules.positive("max_lifetime", max_lifetime);
  if (rules.positive("idle_timeout", idle_timeout) && lifetime_sound) {
    rules.require(idle_timeout == no_limit || idle_timeout <= max_lifetime, "idle_timeout", idle_timeout,
                  "must not exceed max_lifetime (" + detail::show(max_lifetime) + ")");
  }
  rules.not_negative("alive_bypass", alive_bypass);
  if (rules.positive("health_check_interval", health_check_interval)) rules.interval("health_check_interval", health_check_interval);
  const bool longest_sound = rules.finite("max_retry_delay", max_retry_delay);
  if (rules.finite("retry_delay", retry_delay) && longest_sound) {
    rules.require(retry_delay <= max_retry_delay, "retry_delay", retry_delay,
                  "must not exceed max_retry_delay (" + detail::show(max_retry_delay) + ")");
  }
  rules.finite("breaker_open_time", breaker_open_time);
  if (rules.finite("scale_check_interval", scale_check_interval)) rules.interval("scale_check_interval", scale_check_interval);
  rules.positive("leak_timeout", leak_timeout);
  if (rules.positive("abandon_timeout", abandon_timeout) && abandon_timeout != no_limit) {
    rules.require(leak_detection, "abandon_timeout", abandon_timeout, "needs leak_detection");
    rules.require(abandon_timeout > leak_timeout, "abandon_timeout", abandon_timeout,
                  "must be longer than leak_timeout (" + detail::show(leak_timeout) + ")");
  }

  if (rules.bounded("recorder_memory", recorder_memory, 8192)) {
    constexpr std::size_t most = std::size_t{1} << 30;
    rules.require(recorder_memory <= most, "recorder_memory", recorder_memory, "must be 1 GiB (" + detail::show(most) + ") at most");
  }
  if (recorder_path.truncated()) faults.push_back({"recorder_path", quote(recorder_path), "must be at most 255 bytes"});
  rules.text("recorder_path", recorder_path);
  rules.not_negative("recorder_interval", recorder_interval);

  rules.share("lifetime_jitter", lifetime_jitter, 0.0, 1.0 - std::numeric_limits<double>::epsilon() / 2, "must be at least 0 and below 1");
  rules.share("scale_up_threshold", scale_up_threshold, 0.0, 1.0, "must be between 0 and 1");
  rules.share("scale_down_threshold", scale_down_threshold, 0.0, 1.0, "must be between 0 and 1");
  rules.require(!(scale_down_threshold >= scale_up_threshold), "scale_down_threshold", scale_down_threshold,
                "must be below scale_up_threshold (" + detail::show(scale_up_threshold) + ")");
  return faults;
}

pool_config pool_config::development() {
  pool_config c;
  c.min_size = 2;
  c.max_size = 5;
  c.acquire_timeout = std::chrono::seconds(5);
  c.track_stack_trace = true;
  return c;
}
pool_config pool_config::production() {
  pool_config c;
  c.min_size = 10;
  c.max_size = 100;
  c.acquire_timeout = std::chrono::seconds(30);
  c.idle_timeout = std::chrono::seconds(600);
  c.max_lifetime = std::chrono::seconds(3600);
  c.pre_ping = c.test_on_borrow = false;
  c.scale_down_threshold = 0.2;
  c.response_timeout = std::chrono::seconds(60);
  return c;
}
pool_config pool_config::high_load() {
  pool_config c;
  c.min_size = 50;
  c.max_size = 500;
  c.acquire_timeout = std::chrono::seconds(60);
  c.pre_ping = c.test_on_borrow = false;
  c.scale_up_threshold = 0.9;
  c.scale_check_interval = std::chrono::seconds(5);
  c.response_timeout = std::chrono::seconds(60);
  return c;
}
pool_config pool_config::low_latency() {
  pool_config c;
  c.min_size = 20;
  c.pre_ping = c.test_on_borrow = false;
  c.acquire_timeout = std::chrono::seconds(1);
  c.slow_acquire = std::chrono::milliseconds(250);  // the default of 2 s is past the timeout
  c.scale_check_interval = std::chrono::seconds(5);
  c.response_timeout = std::chrono::seconds(10);
  return c;
}
pool_config pool_config::high_throughput() {
  pool_config c;
  c.min_size = 50;
  c.max_size = 200;
  c.pre_ping = c.test_on_borrow = false;
  c.scale_up_threshold = 0.9;
  c.scale_check_interval = std::chrono::seconds(2);
  c.response_timeout = std::chrono::seconds(60);
  return c;
}
pool_config pool_config::reliable() {
  pool_config c;
  c.min_size = 10;
  c.max_size = 30;
  c.max_retries = 5;
  c.breaker_threshold = 8;  // or it would open before the retries are used up
  c.retry_delay = std::chrono::seconds(2);
  c.health_check_interval = std::chrono::seconds(15);
  c.leak_timeout = std::chrono::seconds(120);
  c.response_timeout = std::chrono::seconds(60);
  return c;
}

pool_config pool_config::embedded() {
  pool_config c;
  c.min_size = 2;
  c.max_size = 10;
  c.pre_ping = c.test_on_borrow = false;
  c.max_lifetime = no_limit;
  c.auto_scale = false;
  return c;
}

namespace detail {
[[noreturn]] inline void throw_faults(const std::vector<config_fault>& faults) {
  std::string text = "pool_config: ";
  for (std::size_t i = 0; i < faults.size(); ++i) text += (i ? "; " : "") + faults[i].text();
  throw std::invalid_argument(text);
}
}  // namespace detail

void detail::check_config(const pool_config& config) {
  const auto faults = config.validate();
  if (!faults.empty()) throw_faults(faults);
}
void detail::check_change(const pool_config& now, const pool_config& next) {
  auto faults = next.validate();
  const auto fixed = [&](const char* field, bool same, std::string value) {
    if (!same) faults.push_back({field, std::move(value), "cannot change in a pool that exists"});
  };
  fixed("name", next.name == now.name.view(), std::string("'").append(next.name.view()).append("'"));
  fixed("recorder_memory", next.recorder_memory == now.recorder_memory, detail::show(next.recorder_memory));
  fixed("start", next.start == now.start, next.start == start_mode::lazy ? "lazy" : "fail_fast");
  if (!faults.empty()) throw_faults(faults);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
