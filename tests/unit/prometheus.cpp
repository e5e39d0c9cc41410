// SPDX-License-Identifier: BSL-1.0
// tidepool - the metrics as Prometheus reads them.
#include <tidepool/metrics.hpp>
#include <tidepool/prometheus.hpp>

#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/comma_locale.hpp"

namespace {

using namespace tidepool;
using namespace std::chrono_literals;
using tidepool_tests::has_text;

/// Reads the text format strictly: every sample belongs to the family whose HELP and TYPE were just given, and none comes twice.
struct exposition {
  explicit exposition(const std::string& text) {
    if (text.empty() || text.back() != '\n') throw std::runtime_error("no newline at the end");
    std::istringstream lines(text);
    std::string line, family;
    while (std::getline(lines, line)) {
      std::istringstream words(line);
      std::string mark, word, name;
      if (line[0] == '#') {
        words >> mark >> word >> name;
        if (word == "HELP") {
          if (!families.emplace(name, "").second) throw std::runtime_error("family twice: " + name);
          family = name;
        } else if (word == "TYPE" && name == family) {
          words >> families[name];
        } else {
          throw std::runtime_error("out of place: " + line);
        }
        continue;
      }
      const std::size_t space = line.rfind(' ');
      const std::string key = line.substr(0, space);
      std::string base = key.substr(0, key.find('{'));
      if (families.at(family) == "histogram") {
        for (const std::string suffix : {"_bucket", "_sum", "_count"}) {
          if (base == family + suffix) base = family;
        }
      }
      if (base != family) throw std::runtime_error("not of " + family + ": " + line);
      std::size_t read = 0;
      const double value = std::stod(line.substr(space + 1), &read);
      if (read != line.size() - space - 1) throw std::runtime_error("no number: " + line);
      if (!samples.emplace(key, value).second) throw std::runtime_error("sample twice: " + line);
    }
  }
  double operator[](const std::string& key) const {
    CAPTURE(key);
    REQUIRE(samples.count(key) == 1);
    return samples.at(key);
  }
  std::map<std::string, std::string> families;
  std::map<std::string, double> samples;
};

pool_stats orders() {
  pool_stats s;
  s.name = "orders";
  s.state = pool_state::degraded;
  s.breaker = breaker_state::open;
  s.total_connections = 12;
  s.max_size = 36;
  s.active_connections = 9;
  s.idle_connections = 2;
  s.total_checkouts = 1000;
  s.failed_checkouts = 21;
  s.timeouts = 1;
  s.rejected_full = 2;
  s.cancelled = 3;
  s.refused_open = 4;
  s.refused_connect = 5;
  s.refused_closed = 6;
  s.closed_by_reason[static_cast<std::size_t>(close_reason::lifetime)] = 7;
  return s;
}

TEST_CASE("given a snapshot, when it is exposed, then the guide's six metrics have its names and types") {
  pool_stats s = orders();
  s.wait_time.record(20ms, 1000);
  const exposition e(to_prometheus(s));
  CHECK(e["db_pool_size{pool=\"orders\"}"] == 12);
  CHECK(e["db_pool_active{pool=\"orders\"}"] == 9);
  CHECK(e["db_pool_idle{pool=\"orders\"}"] == 2);
  CHECK(e["db_pool_saturation_ratio{pool=\"orders\"}"] == 0.25);
  CHECK(e["db_checkouts_total{pool=\"orders\"}"] == 1000);
  CHECK(e["db_checkout_duration_seconds_count{pool=\"orders\"}"] == 1000);
  for (const char* gauge : {"db_pool_size", "db_pool_active", "db_pool_idle"}) CHECK(e.families.at(gauge) == "gauge");
  for (const char* counter : {"db_checkouts_total", "db_checkout_errors_total"}) CHECK(e.families.at(counter) == "counter");
  CHECK(e.families.at("db_checkout_duration_seconds") == "histogram");
}

TEST_CASE("given names of other conventions, when a snapshot is exposed, then it has those, alone or together") {
  pool_stats s = orders();
  s.waiting = 4;
  s.min_size = 3;
  s.direct = 900;
  s.waited = 100;
  s.wait_time.record(20ms, 1000);
  s.connect_time.record(3ms, 5);
  const exposition otel(to_prometheus(s, names::otel));
  CHECK(otel["db_client_connection_count{db_client_connection_pool_name=\"orders\",db_client_connection_state=\"used\"}"] == 9);
  CHECK(otel["db_client_connection_count{db_client_connection_pool_name=\"orders\",db_client_connection_state=\"idle\"}"] == 2);
  CHECK(otel["db_client_connection_max{db_client_connection_pool_name=\"orders\"}"] == 36);
  CHECK(otel["db_client_connection_pending_requests{db_client_connection_pool_name=\"orders\"}"] == 4);
  CHECK(otel["db_client_connection_timeouts_total{db_client_connection_pool_name=\"orders\"}"] == 1);
  CHECK(otel["db_client_connection_wait_time_seconds_count{db_client_connection_pool_name=\"orders\"}"] == 1000);
  CHECK(otel["db_client_connection_create_time_seconds_count{db_client_connection_pool_name=\"orders\"}"] == 5);
  CHECK(otel.families.count("db_pool_size") == 0);
  const exposition hikari(to_prometheus(s, names::hikari));
  CHECK(hikari["hikaricp_connections{pool=\"orders\"}"] == 12);
  CHECK(hikari["hikaricp_connections_active{pool=\"orders\"}"] == 9);
  CHECK(hikari["hikaricp_connections_min{pool=\"orders\"}"] == 3);
  CHECK(hikari["hikaricp_connections_acquire_seconds_count{pool=\"orders\"}"] == 1000);
  const exposition all(to_prometheus(std::vector<pool_stats>{s}, names::guide | names::otel | names::hikari));
  CHECK(all.families.size() == exposition(to_prometheus(s)).families.size() + otel.families.size() + hikari.families.size());
  CHECK(all["db_checkouts_served_total{pool=\"orders\",how=\"direct\"}"] == 900);
  CHECK(all["db_checkouts_served_total{pool=\"orders\",how=\"waited\"}"] == 100);
  CHECK(all["db_pool_health{pool=\"orders\",status=\"healthy\"}"] + all["db_pool_health{pool=\"orders\",status=\"degraded\"}"] +
            all["db_pool_health{pool=\"orders\",status=\"unhealthy\"}"] ==
        1);
}

TEST_CASE("given failed acquires, when they are exposed, then they are split by cause and add up") {
  const exposition e(to_prometheus(orders()));
  double sum = 0;
  double expected = 1;
  for (const std::string cause : {"timeout", "queue_full", "cancelled", "circuit_open", "connect_failed", "closed"}) {
    const double value = e["db_checkout_errors_total{pool=\"orders\",cause=\"" + cause + "\"}"];
    CHECK(value == expected++);
    sum += value;
  }
  CHECK(sum == 21);
}

TEST_CASE("given states and reasons, when they are exposed, then each has a sample and exactly one state is on") {
  const exposition e(to_prometheus(orders()));
  CHECK(e["db_pool_state{pool=\"orders\",state=\"degraded\"}"] == 1);
  CHECK(e["db_pool_state{pool=\"orders\",state=\"closed\"}"] == 0);
  CHECK(e["db_pool_breaker_state{pool=\"orders\",state=\"open\"}"] == 1);
  CHECK(e["db_connections_closed_total{pool=\"orders\",reason=\"lifetime\"}"] == 7);
  double on = 0;
  std::size_t states = 0, reasons = 0;
  for (const auto& [key, value] : e.samples) {
    if (key.rfind("db_pool_state{", 0) == 0) on += value, ++states;
    if (key.rfind("db_connections_closed_total{", 0) == 0) ++reasons;
  }
  CHECK(on == 1);
  CHECK(states == 7);
  CHECK(reasons == close_reasons);
}

TEST_CASE("given a distribution, when it is exposed, then buckets rise to the count, values lie in place") {
  pool_stats s = orders();
  s.connect_time.record(3ms, 5);
  s.connect_time.record(300ms, 2);
  s.connect_time.record(2min, 1);
  const std::string text = to_prometheus(s);
  const exposition e(text);
  const auto bucket = [&e](const std::string& le) { return e["db_connect_duration_seconds_bucket{pool=\"orders\",le=\"" + le + "\"}"]; };
  CHECK(bucket("0.001") == 0);
  CHECK(bucket("0.005") == 5);
  CHECK(bucket("0.25") == 5);
  CHECK(bucket("0.5") == 7);
  CHECK(bucket("30") == 7);
  CHECK(bucket("+Inf") == 8);
  CHECK(e["db_connect_duration_seconds_count{pool=\"orders\"}"] == 8);
  CHECK(e["db_connect_duration_seconds_sum{pool=\"orders\"}"] == Approx(0.015 + 0.6 + 120));

  double before = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("db_connect_duration_seconds_bucket", 0) != 0) continue;
    const double now = std::stod(line.substr(line.rfind(' ') + 1));
    CHECK(now >= before);
    before = now;
  }
}

TEST_CASE("given several pools, when exposed together, then each family comes once with all samples") {
  pool_stats users = orders();
  users.name = "users";
  users.total_connections = 3;
  const exposition e(to_prometheus(std::vector<pool_stats>{orders(), users}, "app_"));
  CHECK(e["app_pool_size{pool=\"orders\"}"] == 12);
  CHECK(e["app_pool_size{pool=\"users\"}"] == 3);
  for (const auto& family : e.families) CHECK(family.first.rfind("app_", 0) == 0);
}

/// A range whose elements are made when they are looked at, as those of a `views::transform` are.
class made_on_the_way {
 public:
  class iterator {
   public:
    explicit iterator(int at) : at_(at) {}
    pool_stats operator*() const {
      pool_stats s = orders();
      s.name = "pool " + std::to_string(at_);
      s.total_connections = static_cast<std::size_t>(at_);
      return s;
    }
    iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator!=(const iterator& other) const { return at_ != other.at_; }

   private:
    int at_;
  };
  iterator begin() const { return iterator(1); }
  iterator end() const { return iterator(4); }
};

TEST_CASE("given a range that makes its snapshots on the way, then each is kept until it is written") {
  const exposition e(to_prometheus(made_on_the_way()));
  for (const std::string number : {"1", "2", "3"}) CHECK(e["db_pool_size{pool=\"pool " + number + "\"}"] == std::stod(number));
}

TEST_CASE("given no pool at all, when they are exposed, then there are families without samples") {
  const exposition e(to_prometheus(std::vector<pool_stats>{}));
  CHECK(e.samples.empty());
  CHECK(e.families.count("db_pool_size") == 1);
}

TEST_CASE("given a name with quotes, backslashes and newlines, when it is exposed, then they are escaped") {
  pool_stats s = orders();
  s.name = "a\"b\\c\nd";
  CHECK_THAT(to_prometheus(s), has_text("db_pool_size{pool=\"a\\\"b\\\\c\\nd\"} 12\n"));
}

TEST_CASE("given large counters, when they are exposed, then no digit is lost") {
  pool_stats s = orders();
  s.total_checkouts = 123'456'789'012'345;
  CHECK_THAT(to_prometheus(s), has_text("db_checkouts_total{pool=\"orders\"} 123456789012345\n"));
}

TEST_CASE("given a locale with a decimal comma, when a snapshot is exposed, then numbers have a point") {
  const tidepool_tests::comma_locale locale;
  if (!locale) {
    WARN("skipped: this machine has no locale with a decimal comma");
    return;
  }
  CHECK_THAT(to_prometheus(orders()), has_text("db_pool_utilization_ratio{pool=\"orders\"} 0.75\n"));
}

TEST_CASE("given what a pool uses of the process, when it is exposed, then each figure has its metric") {
  pool_stats s = orders();
  s.memory_bytes = 740'000;
  s.driver_threads = 4;
  s.min_idle = 2;
  s.validations = 50;
  s.validation_failures = 3;
  s.validations_skipped = 950;
  const exposition e(to_prometheus(s));
  CHECK(e["db_pool_memory_bytes{pool=\"orders\"}"] == 740'000);
  CHECK(e["db_pool_driver_threads{pool=\"orders\"}"] == 4);
  CHECK(e["db_pool_idle_max{pool=\"orders\"}"] == 36);
  CHECK(e["db_pool_min_idle{pool=\"orders\"}"] == 2);
  CHECK(e["db_validations_skipped_total{pool=\"orders\"}"] == 950);
  CHECK(e.families.at("db_validations_skipped_total") == "counter");
  const exposition otel(to_prometheus(s, names::otel));
  const std::string pool = "{db_client_connection_pool_name=\"orders\"";
  CHECK(otel["db_client_connection_idle_max" + pool + "}"] == 36);
  CHECK(otel["db_client_connection_idle_min" + pool + "}"] == 2);
  CHECK(otel["db_client_connection_tidepool_memory_bytes" + pool + "}"] == 740'000);
  CHECK(otel["db_client_connection_tidepool_validations_total" + pool + ",result=\"ok\"}"] == 47);
  CHECK(otel["db_client_connection_tidepool_validations_total" + pool + ",result=\"skipped\"}"] == 950);
  CHECK(otel["db_client_connection_tidepool_closed_total" + pool + ",reason=\"lifetime\"}"] == 7);
  CHECK(otel["db_client_connection_tidepool_health" + pool + ",status=\"degraded\"}"] == 1);
}

TEST_CASE("given two pools, when they are exposed by OpenTelemetry's names, then each family has both") {
  std::vector<pool_stats> both{orders(), orders()};
  both[1].name = "carts";
  both[1].active_connections = 1;
  const exposition e(to_prometheus(both, names::otel));
  CHECK(e["db_client_connection_count{db_client_connection_pool_name=\"orders\",db_client_connection_state=\"used\"}"] == 9);
  CHECK(e["db_client_connection_count{db_client_connection_pool_name=\"carts\",db_client_connection_state=\"used\"}"] == 1);
  CHECK(to_prometheus(std::vector<pool_stats>(), names::otel).empty());
}

TEST_CASE("given a snapshot, when its figures are visited, then names, units and kinds are OpenTelemetry's") {
  pool_stats s = orders();
  s.wait_time.record(3ms, 2);
  s.wait_time.record(40s);
  std::map<std::string, std::set<std::string>> points;
  std::string last;
  for_each_metric(s, [&](const metric& one) {
    const std::string name(one.name);
    CHECK(one.pool == "orders");
    CHECK(name.rfind("db.client.connection.", 0) == 0);
    CHECK((name == last || points.count(name) == 0));  // those of one name follow each other
    CHECK(points[name].insert(std::string(one.value_of_attribute)).second);
    CHECK((one.kind == metric_kind::histogram) == (one.distribution != nullptr));
    CHECK(one.attribute.empty() == one.value_of_attribute.empty());
    last = name;
    if (name == "db.client.connection.count" && one.value_of_attribute == "used") {
      CHECK(one.attribute == "db.client.connection.state");
      CHECK(one.unit == "{connection}");
      CHECK(one.kind == metric_kind::up_down_counter);
      CHECK(one.value == 9);
    }
    if (name == "db.client.connection.wait_time") {
      CHECK(one.unit == "s");
      const auto counts = bucket_counts(*one.distribution);
      REQUIRE(metric_bounds[5] == 0.005);
      CHECK(counts[5] == 2);
      CHECK(counts.back() == 1);
      std::uint64_t all = 0;
      for (const auto count : counts) all += count;
      CHECK(all == 3);
    }
  });
  for (const char* name :
       {"count", "idle.max", "idle.min", "max", "pending_requests", "timeouts", "create_time", "wait_time", "use_time"}) {
    CHECK(points.count("db.client.connection." + std::string(name)) == 1);
  }
  CHECK(points.at(std::string(own_metrics) + "acquires").size() == 8);
}

}  // namespace
