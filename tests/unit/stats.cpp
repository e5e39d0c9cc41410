// SPDX-License-Identifier: BSL-1.0
// tidepool - the snapshot of a pool, its JSON, and `assess()` for a load balancer.
#include <tidepool/stats.hpp>

#include <cctype>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/comma_locale.hpp"

namespace {

using namespace tidepool;
using namespace std::chrono_literals;

/// Reads JSON strictly enough to refuse what a parser would refuse; values are kept as text under dotted paths.
class json_reader {
 public:
  explicit json_reader(const std::string& text) : text_(text) {
    object("");
    if (at_ != text_.size()) fail("text after the end");
  }
  const std::string& operator[](const std::string& path) const { return values_.at(path); }
  bool has(const std::string& path) const { return values_.count(path) > 0; }

 private:
  [[noreturn]] void fail(const std::string& why) const { throw std::runtime_error(why + " at " + std::to_string(at_) + " of " + text_); }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void expect(char c) {
    if (peek() != c) fail(std::string("no ") + c);
    ++at_;
  }
  void object(const std::string& path) {
    expect('{');
    for (bool first = true; peek() != '}'; first = false) {
      if (!first) expect(',');
      const std::string key = path + string();
      if (has(key)) fail("twice: " + key);
      expect(':');
      value(key);
    }
    expect('}');
  }
  void value(const std::string& key) {
    if (peek() == '{') {
      values_[key] = "{}";
      object(key + '.');
    } else if (peek() == '"') {
      values_[key] = string();
    } else {
      const std::size_t start = at_;
      if (peek() == '-') ++at_;
      const auto digits = [this] {
        if (!std::isdigit(static_cast<unsigned char>(peek()))) fail("no digit");
        while (std::isdigit(static_cast<unsigned char>(peek()))) ++at_;
      };
      digits();
      if (peek() == '.') ++at_, digits();
      if (peek() == 'e') {
        ++at_;
        if (peek() == '-' || peek() == '+') ++at_;
        digits();
      }
      values_[key] = text_.substr(start, at_ - start);
    }
  }
  std::string string() {
    expect('"');
    std::string out;
    while (peek() != '"') {
      const char c = peek();
      if (static_cast<unsigned char>(c) < 0x20) fail("control character");
      ++at_;
      if (c != '\\') {
        out += c;
      } else if (peek() == 'u') {
        out += static_cast<char>(std::stoi(text_.substr(at_ + 1, 4), nullptr, 16));
        at_ += 5;
      } else {
        out += peek();
        ++at_;
      }
    }
    expect('"');
    return out;
  }

  const std::string& text_;
  std::size_t at_ = 0;
  std::map<std::string, std::string> values_;
};

TEST_CASE("given a snapshot, when it is written as JSON, then every metric of the guide is there under its name") {
  pool_stats s;
  s.total_connections = 12;
  s.active_connections = 9;
  s.idle_connections = 3;
  s.total_checkouts = 1000;
  s.total_checkins = 991;
  s.failed_checkouts = 4;
  s.max_size = 36;
  s.avg_checkout_time = 1500us;
  s.max_checkout_time = 2s;
  s.connection_errors = 5;
  s.connections_created = 20;
  s.connections_closed = 8;
  const std::string text = s.to_json();
  const json_reader json(text);
  CHECK(json["total_connections"] == "12");
  CHECK(json["active_connections"] == "9");
  CHECK(json["idle_connections"] == "3");
  CHECK(json["total_checkouts"] == "1000");
  CHECK(json["total_checkins"] == "991");
  CHECK(json["failed_checkouts"] == "4");
  CHECK(json["avg_checkout_time"] == "0.0015");
  CHECK(json["max_checkout_time"] == "2");
  CHECK(json["connection_errors"] == "5");
  CHECK(json["connections_created"] == "20");
  CHECK(json["connections_closed"] == "8");
  CHECK(json["utilization"] == "0.75");
  CHECK(json["saturation"] == "0.25");
}

TEST_CASE("given a snapshot of distinct numbers, when it is written as JSON, then each is in its place") {
  pool_stats s;
  s.state = pool_state::degraded;
  s.breaker = breaker_state::half_open;
  s.connecting = 1;
  s.validating = 2;
  s.resetting = 3;
  s.closing = 4;
  s.waiting = 5;
  s.leaked = 6;
  s.silent = 27;
  s.min_size = 7;
  s.max_size = 8;
  s.target_size = 9;
  s.min_idle = 10;
  s.direct = 11;
  s.waited = 12;
  s.timeouts = 13;
  s.rejected_full = 14;
  s.cancelled = 15;
  s.refused_open = 16;
  s.refused_connect = 17;
  s.refused_closed = 18;
  s.connects_started = 19;
  s.validations = 20;
  s.validation_failures = 21;
  s.resets = 22;
  s.leaks_detected = 23;
  s.leaks_returned = 24;
  s.leaks_reclaimed = 25;
  s.generation = 26;
  s.stalls = 28;
  s.idle_horizon = 29s;
  s.advised_min_size = 30;
  s.advised_max_size = 31;
  s.expected_p99 = 32s;
  for (std::size_t i = 0; i < close_reasons; ++i) s.closed_by_reason[i] = 100 + i;
  const std::string text = s.to_json();
  const json_reader json(text);
  CHECK(json["state"] == "degraded");
  CHECK(json["breaker"] == "half-open");
  const std::vector<std::pair<std::string, int>> expected{{"connecting", 1},
                                                          {"validating", 2},
                                                          {"resetting", 3},
                                                          {"closing", 4},
                                                          {"waiting", 5},
                                                          {"leaked", 6},
                                                          {"silent", 27},
                                                          {"min_size", 7},
                                                          {"max_size", 8},
                                                          {"target_size", 9},
                                                          {"min_idle", 10},
                                                          {"acquires.direct", 11},
                                                          {"acquires.waited", 12},
                                                          {"acquires.timeout", 13},
                                                          {"acquires.queue_full", 14},
                                                          {"acquires.cancelled", 15},
                                                          {"acquires.circuit_open", 16},
                                                          {"acquires.connect_failed", 17},
                                                          {"acquires.closed", 18},
                                                          {"connects_started", 19},
                                                          {"validations", 20},
                                                          {"validation_failures", 21},
                                                          {"resets", 22},
                                                          {"leaks_detected", 23},
                                                          {"leaks_returned", 24},
                                                          {"leaks_reclaimed", 25},
                                                          {"stalls", 28},
                                                          {"idle_horizon", 29},
                                                          {"advice.min_size", 30},
                                                          {"advice.max_size", 31},
                                                          {"advice.expected_p99", 32},
                                                          {"generation", 26}};
  for (const auto& [path, number] : expected) {
    CAPTURE(path);
    CHECK(json[path] == std::to_string(number));
  }
  for (std::size_t i = 0; i < close_reasons; ++i) {
    const auto reason = static_cast<close_reason>(i);
    CHECK(json[std::string("closed_by_reason.") + to_string(reason)] == std::to_string(100 + i));
    CHECK(s.closed(reason) == 100 + i);
  }
}

TEST_CASE("given distributions, when written as JSON, then they are there in seconds") {
  pool_stats s;
  s.wait_time.record(2s, 10);
  const std::string text = s.to_json();
  const json_reader json(text);
  for (const std::string histogram : {"wait_time", "hold_time", "connect_time"}) {
    for (const std::string part : {"count", "mean", "p50", "p90", "p95", "p99", "p999", "max"}) {
      const std::string path = histogram + "." + part;
      CAPTURE(path);
      REQUIRE(json.has(path));
      CHECK(json[path] == (histogram != "wait_time" ? "0" : part == "count" ? "10" : "2"));
    }
  }
}

TEST_CASE("given a name that JSON cannot hold as it is, when it is written, then a reader gets it back") {
  pool_stats s;
  s.name = "a \"quoted\" \\ name\n\twith \x01 and \xc3\xa9";
  const std::string text = s.to_json();
  CHECK(json_reader(text)["name"] == s.name.view());
}

TEST_CASE("given a locale with a decimal comma, when a snapshot is written as JSON, then it has points") {
  const tidepool_tests::comma_locale locale;
  if (!locale) {
    WARN("skipped: this machine has no locale with a decimal comma");
    return;
  }
  pool_stats s;
  s.avg_checkout_time = 1500us;
  const std::string text = s.to_json();
  CHECK(json_reader(text)["avg_checkout_time"] == "0.0015");
}

TEST_CASE("given leased and open connections, then utilisation is their share, and zero of nothing") {
  pool_stats s;
  CHECK(s.utilization() == 0.0);
  s.total_connections = 8;
  s.active_connections = 6;
  CHECK(s.utilization() == 0.75);
}

TEST_CASE("given leased connections and a bound, then saturation is the share of it, never above one") {
  pool_stats s;
  CHECK(s.saturation() == 0.0);
  s.total_connections = s.active_connections = 5;
  s.max_size = 20;
  CHECK(s.saturation() == 0.25);
  s.max_size = 4;  // resize() while leases are out
  CHECK(s.saturation() == 1.0);
}

struct verdict_row {
  pool_state state;
  std::size_t active, open, max;
  std::uint64_t failed, failed_before;
  health_status expected;
};

TEST_CASE("given a snapshot, when its health is assessed, then the guide's rules decide, the worst first") {
  const verdict_row row = GENERATE(verdict_row{pool_state::healthy, 5, 10, 10, 0, 0, health_status::healthy},
                                   verdict_row{pool_state::healthy, 95, 100, 100, 0, 0, health_status::healthy},
                                   verdict_row{pool_state::healthy, 96, 100, 100, 0, 0, health_status::degraded},
                                   verdict_row{pool_state::healthy, 20, 20, 20, 0, 0, health_status::degraded},
                                   // all that is open is leased, and there is room to open more
                                   verdict_row{pool_state::healthy, 5, 5, 20, 0, 0, health_status::healthy},
                                   verdict_row{pool_state::healthy, 1, 1, 20, 0, 0, health_status::healthy},
                                   // a little is idle, and still too much of the bound is leased
                                   verdict_row{pool_state::healthy, 97, 99, 100, 0, 0, health_status::degraded},
                                   verdict_row{pool_state::healthy, 5, 10, 10, 100, 0, health_status::healthy},
                                   verdict_row{pool_state::healthy, 5, 10, 10, 101, 0, health_status::unhealthy},
                                   verdict_row{pool_state::healthy, 5, 10, 10, 5000, 4900, health_status::healthy},
                                   // of two threads the one with the older snapshot may come last
                                   verdict_row{pool_state::healthy, 5, 10, 10, 4999, 5000, health_status::healthy},
                                   verdict_row{pool_state::healthy, 20, 20, 20, 101, 0, health_status::unhealthy},
                                   verdict_row{pool_state::degraded, 5, 10, 10, 0, 0, health_status::degraded},
                                   verdict_row{pool_state::suspended, 0, 10, 10, 0, 0, health_status::degraded},
                                   verdict_row{pool_state::critical, 0, 0, 10, 0, 0, health_status::unhealthy},
                                   verdict_row{pool_state::closing, 5, 10, 10, 0, 0, health_status::unhealthy},
                                   verdict_row{pool_state::closed, 0, 0, 10, 0, 0, health_status::unhealthy});
  pool_stats now, before;
  now.state = row.state;
  now.active_connections = row.active;
  now.total_connections = row.open;
  now.max_size = row.max;
  now.failed_checkouts = row.failed;
  before.failed_checkouts = row.failed_before;
  CAPTURE(to_string(row.state), row.active, row.open, row.max, row.failed);
  const health_verdict verdict = assess(now, before);
  CHECK(verdict.status == row.expected);
  CHECK((std::string(verdict.reason).empty()) == (row.expected == health_status::healthy));
}

TEST_CASE("given acquires that callers cancelled, when health is assessed, then they are no failures") {
  pool_stats now, before;
  now.failed_checkouts = 500;
  now.cancelled = 450;
  CHECK(assess(now, before).status == health_status::healthy);
  before.failed_checkouts = before.cancelled = 90;
  CHECK(assess(now, before, 49).status == health_status::unhealthy);
  CHECK(assess(now, before, 50).status == health_status::healthy);
}

TEST_CASE("given the guide's three reasons, when health is assessed, then they are given in its words") {
  pool_stats s;
  s.state = pool_state::critical;
  CHECK(std::string(assess(s).reason) == "pool critical");
  s.state = pool_state::healthy;
  s.max_size = s.total_connections = s.active_connections = 10;
  CHECK(std::string(assess(s).reason) == "high utilization");
  s.failed_checkouts = 101;
  CHECK(std::string(assess(s).reason) == "high error rate");
  CHECK(assess(s, {}, 200).status == health_status::degraded);
}

TEST_CASE("given the verdicts, when they are put in words, then these are the guide's") {
  CHECK(std::string(to_string(health_status::healthy)) == "healthy");
  CHECK(std::string(to_string(health_status::degraded)) == "degraded");
  CHECK(std::string(to_string(health_status::unhealthy)) == "unhealthy");
}

}  // namespace
