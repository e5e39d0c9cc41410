// SPDX-License-Identifier: BSL-1.0
// tidepool - everything that is exported, as a whole: names, labels, values and their order, as JSON and for Prometheus.
#include <tidepool/prometheus.hpp>

#include <string>

#include "support/catch.hpp"

namespace {

using namespace tidepool;
using namespace std::chrono_literals;

#if defined(__x86_64__)
static_assert(sizeof(pool_stats) == 7968, "a new figure is exported, or this test says why not");
#endif

/// A different number in every field, and distributions in which every quantile is another.
pool_stats different() {
  pool_stats s;
  s.name = "orders";
  s.state = pool_state::suspended;
  s.breaker = breaker_state::half_open;
  std::size_t next = 101;
  for (std::size_t* gauge : {&s.total_connections, &s.active_connections, &s.idle_connections, &s.connecting, &s.validating, &s.resetting,
                             &s.closing, &s.waiting, &s.leaked, &s.silent, &s.min_size, &s.max_size, &s.target_size, &s.min_idle})
    *gauge = next++;
  for (std::uint64_t* counter : {&s.direct,
                                 &s.waited,
                                 &s.timeouts,
                                 &s.rejected_full,
                                 &s.cancelled,
                                 &s.refused_open,
                                 &s.refused_connect,
                                 &s.refused_closed,
                                 &s.total_checkouts,
                                 &s.total_checkins,
                                 &s.failed_checkouts,
                                 &s.connects_started,
                                 &s.connections_created,
                                 &s.connection_errors,
                                 &s.validations,
                                 &s.validation_failures,
                                 &s.resets,
                                 &s.connections_closed,
                                 &s.leaks_detected,
                                 &s.leaks_returned,
                                 &s.leaks_reclaimed,
                                 &s.generation})
    *counter = next++;
  for (std::uint64_t& reason : s.closed_by_reason) reason = next++;
  s.avg_checkout_time = 1500us;
  s.max_checkout_time = 2500us;
  s.longest_silence = 3500us;
  s.stalls = 151;
  s.idle_horizon = 152s;
  s.validations_skipped = 153;
  s.memory_bytes = 154;
  s.driver_threads = 155;
  s.advised_min_size = 156;
  s.advised_max_size = 157;
  s.expected_p99 = 158s;
  int unit = 1;
  for (histogram* h : {&s.wait_time, &s.hold_time, &s.connect_time}) {
    h->record(unit * 1ms, 500);
    h->record(unit * 10ms, 400);
    h->record(unit * 100ms, 50);
    h->record(unit * 1s, 40);
    h->record(unit * 10s, 9);
    h->record(unit * 100s, 1);
    unit += 2;
  }
  return s;
}

TEST_CASE("given a snapshot with a different value in every field, when it is JSON, then that is the whole text", "[field-S5]") {
  const std::string expected =
      R"({"name":"orders","state":"suspended","breaker":"half-open","total_connections":101,"active_connections":102,)"
      R"("idle_connections":103,"connecting":104,"validating":105,"resetting":106,"closing":107,"waiting":108,"leaked":109,)"
      R"("silent":110,"longest_silence":0.0035,"min_size":111,"max_size":112,"target_size":113,"min_idle":114,)"
      R"("memory_bytes":154,"driver_threads":155,)"
      R"("utilization":1,"saturation":0.910714286,"total_checkouts":123,"total_checkins":124,"failed_checkouts":125,)"
      R"("avg_checkout_time":0.0015,"max_checkout_time":0.0025,"acquires":{"direct":115,"waited":116,"timeout":117,)"
      R"("queue_full":118,"cancelled":119,"circuit_open":120,"connect_failed":121,"closed":122},"connects_started":126,)"
      R"("connections_created":127,"connection_errors":128,"connections_closed":132,"closed_by_reason":{"idle":137,)"
      R"("lifetime":138,"max_uses":139,"retired":140,"broken":141,"invalid":142,"reset_failed":143,"recycled":144,)"
      R"("outdated":145,"shrunk":146,"abandoned":147,"reclaimed":148,"detached":149,"shutdown":150},"validations":129,)"
      R"("validation_failures":130,"validations_skipped":153,"resets":131,"leaks_detected":133,"leaks_returned":134,"leaks_reclaimed":135,)"
      R"("stalls":151,"idle_horizon":152,"advice":{"min_size":156,"max_size":157,"expected_p99":158},)"
      R"("generation":136,"wait_time":{"count":1000,"mean":0.2395,"p50":0.001048575,"p90":0.010485759,"p95":0.100663295,)"
      R"("p99":1.00663296,"p999":10.7374182,"max":100},"hold_time":{"count":1000,"mean":0.7185,"p50":0.003145727,)"
      R"("p90":0.031457279,"p95":0.301989887,"p99":3.22122547,"p999":30.0647711,"max":300},"connect_time":{"count":1000,)"
      R"("mean":1.1975,"p50":0.005242879,"p90":0.050331647,"p95":0.503316479,"p99":5.36870912,"p999":51.5396076,"max":500}})";
  CHECK(different().to_json() == expected);
}

TEST_CASE("given a snapshot with distinct values, when it is exposed, then that is the whole text", "[field-S5]") {
  const std::string expected = R"(# HELP db_pool_size Connections in the pool, all states.
# TYPE db_pool_size gauge
db_pool_size{pool="orders"} 101
# HELP db_pool_active Connections leased.
# TYPE db_pool_active gauge
db_pool_active{pool="orders"} 102
# HELP db_pool_idle Connections idle.
# TYPE db_pool_idle gauge
db_pool_idle{pool="orders"} 103
# HELP db_pool_connecting Connects in flight.
# TYPE db_pool_connecting gauge
db_pool_connecting{pool="orders"} 104
# HELP db_pool_validating Connections being validated.
# TYPE db_pool_validating gauge
db_pool_validating{pool="orders"} 105
# HELP db_pool_resetting Connections being reset.
# TYPE db_pool_resetting gauge
db_pool_resetting{pool="orders"} 106
# HELP db_pool_closing Connections being closed.
# TYPE db_pool_closing gauge
db_pool_closing{pool="orders"} 107
# HELP db_pool_waiting Callers in the queue.
# TYPE db_pool_waiting gauge
db_pool_waiting{pool="orders"} 108
# HELP db_pool_leaked Leases reported as leaked and still out.
# TYPE db_pool_leaked gauge
db_pool_leaked{pool="orders"} 109
# HELP db_pool_silent Leases that wait for a silent server.
# TYPE db_pool_silent gauge
db_pool_silent{pool="orders"} 110
# HELP db_pool_min_size Lower bound of the size.
# TYPE db_pool_min_size gauge
db_pool_min_size{pool="orders"} 111
# HELP db_pool_max_size Upper bound of the size.
# TYPE db_pool_max_size gauge
db_pool_max_size{pool="orders"} 112
# HELP db_pool_target_size What scaling aims at.
# TYPE db_pool_target_size gauge
db_pool_target_size{pool="orders"} 113
# HELP db_pool_min_idle Connections to be kept spare.
# TYPE db_pool_min_idle gauge
db_pool_min_idle{pool="orders"} 114
# HELP db_pool_memory_bytes Memory that the connections hold, as far as their driver tells.
# TYPE db_pool_memory_bytes gauge
db_pool_memory_bytes{pool="orders"} 154
# HELP db_pool_driver_threads Threads that the driver runs in this process.
# TYPE db_pool_driver_threads gauge
db_pool_driver_threads{pool="orders"} 155
# HELP db_pool_idle_max Idle connections allowed.
# TYPE db_pool_idle_max gauge
db_pool_idle_max{pool="orders"} 112
# HELP db_pool_longest_silence_seconds Longest wait for a silent server.
# TYPE db_pool_longest_silence_seconds gauge
db_pool_longest_silence_seconds{pool="orders"} 0.0035
# HELP db_pool_generation Of the connections made now: one more whenever all are outdated.
# TYPE db_pool_generation gauge
db_pool_generation{pool="orders"} 136
# HELP db_pool_utilization_ratio Leased share of the open connections.
# TYPE db_pool_utilization_ratio gauge
db_pool_utilization_ratio{pool="orders"} 1
# HELP db_pool_saturation_ratio Leased share of the upper bound.
# TYPE db_pool_saturation_ratio gauge
db_pool_saturation_ratio{pool="orders"} 0.910714285714286
# HELP db_pool_state 1 for the state the pool is in.
# TYPE db_pool_state gauge
db_pool_state{pool="orders",state="starting"} 0
db_pool_state{pool="orders",state="healthy"} 0
db_pool_state{pool="orders",state="degraded"} 0
db_pool_state{pool="orders",state="critical"} 0
db_pool_state{pool="orders",state="suspended"} 1
db_pool_state{pool="orders",state="closing"} 0
db_pool_state{pool="orders",state="closed"} 0
# HELP db_pool_breaker_state 1 for the state of the circuit breaker.
# TYPE db_pool_breaker_state gauge
db_pool_breaker_state{pool="orders",state="closed"} 0
db_pool_breaker_state{pool="orders",state="open"} 0
db_pool_breaker_state{pool="orders",state="half-open"} 1
# HELP db_pool_health 1 for what assess() says, by the state alone.
# TYPE db_pool_health gauge
db_pool_health{pool="orders",status="healthy"} 0
db_pool_health{pool="orders",status="degraded"} 1
db_pool_health{pool="orders",status="unhealthy"} 0
# HELP db_checkouts_total Leases handed out.
# TYPE db_checkouts_total counter
db_checkouts_total{pool="orders"} 123
# HELP db_checkouts_served_total Leases handed out at once, and after a wait.
# TYPE db_checkouts_served_total counter
db_checkouts_served_total{pool="orders",how="direct"} 115
db_checkouts_served_total{pool="orders",how="waited"} 116
# HELP db_checkins_total Leases ended.
# TYPE db_checkins_total counter
db_checkins_total{pool="orders"} 124
# HELP db_checkout_errors_total Acquires that failed, by cause.
# TYPE db_checkout_errors_total counter
db_checkout_errors_total{pool="orders",cause="timeout"} 117
db_checkout_errors_total{pool="orders",cause="queue_full"} 118
db_checkout_errors_total{pool="orders",cause="cancelled"} 119
db_checkout_errors_total{pool="orders",cause="circuit_open"} 120
db_checkout_errors_total{pool="orders",cause="connect_failed"} 121
db_checkout_errors_total{pool="orders",cause="closed"} 122
# HELP db_connects_started_total Connect attempts.
# TYPE db_connects_started_total counter
db_connects_started_total{pool="orders"} 126
# HELP db_connections_created_total Connects that succeeded.
# TYPE db_connections_created_total counter
db_connections_created_total{pool="orders"} 127
# HELP db_connection_errors_total Connects that failed.
# TYPE db_connection_errors_total counter
db_connection_errors_total{pool="orders"} 128
# HELP db_connections_closed_total Connections that left the pool, by reason.
# TYPE db_connections_closed_total counter
db_connections_closed_total{pool="orders",reason="idle"} 137
db_connections_closed_total{pool="orders",reason="lifetime"} 138
db_connections_closed_total{pool="orders",reason="max_uses"} 139
db_connections_closed_total{pool="orders",reason="retired"} 140
db_connections_closed_total{pool="orders",reason="broken"} 141
db_connections_closed_total{pool="orders",reason="invalid"} 142
db_connections_closed_total{pool="orders",reason="reset_failed"} 143
db_connections_closed_total{pool="orders",reason="recycled"} 144
db_connections_closed_total{pool="orders",reason="outdated"} 145
db_connections_closed_total{pool="orders",reason="shrunk"} 146
db_connections_closed_total{pool="orders",reason="abandoned"} 147
db_connections_closed_total{pool="orders",reason="reclaimed"} 148
db_connections_closed_total{pool="orders",reason="detached"} 149
db_connections_closed_total{pool="orders",reason="shutdown"} 150
# HELP db_validations_total Health checks made.
# TYPE db_validations_total counter
db_validations_total{pool="orders"} 129
# HELP db_validation_failures_total Health checks failed.
# TYPE db_validation_failures_total counter
db_validation_failures_total{pool="orders"} 130
# HELP db_validations_skipped_total Hand-outs without the health check before them that was not needed.
# TYPE db_validations_skipped_total counter
db_validations_skipped_total{pool="orders"} 153
# HELP db_resets_total Resets at return.
# TYPE db_resets_total counter
db_resets_total{pool="orders"} 131
# HELP db_leaks_detected_total Leases held too long.
# TYPE db_leaks_detected_total counter
db_leaks_detected_total{pool="orders"} 133
# HELP db_leaks_returned_total Of those, came back.
# TYPE db_leaks_returned_total counter
db_leaks_returned_total{pool="orders"} 134
# HELP db_leaks_reclaimed_total Of those, lost their connection.
# TYPE db_leaks_reclaimed_total counter
db_leaks_reclaimed_total{pool="orders"} 135
# HELP db_stalls_total Timers that fired late, and times that the machine slept.
# TYPE db_stalls_total counter
db_stalls_total{pool="orders"} 151
# HELP db_idle_horizon_seconds Idle time after which connections die; 0: none is known.
# TYPE db_idle_horizon_seconds gauge
db_idle_horizon_seconds{pool="orders"} 152
# HELP db_advised_max_size max_size that the load would need, by the latest advice; 0: there is none.
# TYPE db_advised_max_size gauge
db_advised_max_size{pool="orders"} 157
# HELP db_advised_min_size min_size that the load would need, by the latest advice; 0: there is none.
# TYPE db_advised_min_size gauge
db_advised_min_size{pool="orders"} 156
# HELP db_checkout_duration_seconds Time an acquire took. Values are rounded to at most an eighth.
# TYPE db_checkout_duration_seconds histogram
db_checkout_duration_seconds_bucket{pool="orders",le="0.0001"} 0
db_checkout_duration_seconds_bucket{pool="orders",le="0.00025"} 0
db_checkout_duration_seconds_bucket{pool="orders",le="0.0005"} 0
db_checkout_duration_seconds_bucket{pool="orders",le="0.001"} 500
db_checkout_duration_seconds_bucket{pool="orders",le="0.0025"} 500
db_checkout_duration_seconds_bucket{pool="orders",le="0.005"} 500
db_checkout_duration_seconds_bucket{pool="orders",le="0.01"} 900
db_checkout_duration_seconds_bucket{pool="orders",le="0.025"} 900
db_checkout_duration_seconds_bucket{pool="orders",le="0.05"} 900
db_checkout_duration_seconds_bucket{pool="orders",le="0.1"} 950
db_checkout_duration_seconds_bucket{pool="orders",le="0.25"} 950
db_checkout_duration_seconds_bucket{pool="orders",le="0.5"} 950
db_checkout_duration_seconds_bucket{pool="orders",le="1"} 990
db_checkout_duration_seconds_bucket{pool="orders",le="2.5"} 990
db_checkout_duration_seconds_bucket{pool="orders",le="5"} 990
db_checkout_duration_seconds_bucket{pool="orders",le="10"} 999
db_checkout_duration_seconds_bucket{pool="orders",le="30"} 999
db_checkout_duration_seconds_bucket{pool="orders",le="+Inf"} 1000
db_checkout_duration_seconds_sum{pool="orders"} 239.5
db_checkout_duration_seconds_count{pool="orders"} 1000
# HELP db_hold_duration_seconds Time a lease was held (sampled). Values are rounded to at most an eighth.
# TYPE db_hold_duration_seconds histogram
db_hold_duration_seconds_bucket{pool="orders",le="0.0001"} 0
db_hold_duration_seconds_bucket{pool="orders",le="0.00025"} 0
db_hold_duration_seconds_bucket{pool="orders",le="0.0005"} 0
db_hold_duration_seconds_bucket{pool="orders",le="0.001"} 0
db_hold_duration_seconds_bucket{pool="orders",le="0.0025"} 0
db_hold_duration_seconds_bucket{pool="orders",le="0.005"} 500
db_hold_duration_seconds_bucket{pool="orders",le="0.01"} 500
db_hold_duration_seconds_bucket{pool="orders",le="0.025"} 500
db_hold_duration_seconds_bucket{pool="orders",le="0.05"} 900
db_hold_duration_seconds_bucket{pool="orders",le="0.1"} 900
db_hold_duration_seconds_bucket{pool="orders",le="0.25"} 900
db_hold_duration_seconds_bucket{pool="orders",le="0.5"} 950
db_hold_duration_seconds_bucket{pool="orders",le="1"} 950
db_hold_duration_seconds_bucket{pool="orders",le="2.5"} 950
db_hold_duration_seconds_bucket{pool="orders",le="5"} 990
db_hold_duration_seconds_bucket{pool="orders",le="10"} 990
db_hold_duration_seconds_bucket{pool="orders",le="30"} 999
db_hold_duration_seconds_bucket{pool="orders",le="+Inf"} 1000
db_hold_duration_seconds_sum{pool="orders"} 718.5
db_hold_duration_seconds_count{pool="orders"} 1000
# HELP db_connect_duration_seconds Time a connect took. Values are rounded to at most an eighth.
# TYPE db_connect_duration_seconds histogram
db_connect_duration_seconds_bucket{pool="orders",le="0.0001"} 0
db_connect_duration_seconds_bucket{pool="orders",le="0.00025"} 0
db_connect_duration_seconds_bucket{pool="orders",le="0.0005"} 0
db_connect_duration_seconds_bucket{pool="orders",le="0.001"} 0
db_connect_duration_seconds_bucket{pool="orders",le="0.0025"} 0
db_connect_duration_seconds_bucket{pool="orders",le="0.005"} 500
db_connect_duration_seconds_bucket{pool="orders",le="0.01"} 500
db_connect_duration_seconds_bucket{pool="orders",le="0.025"} 500
db_connect_duration_seconds_bucket{pool="orders",le="0.05"} 900
db_connect_duration_seconds_bucket{pool="orders",le="0.1"} 900
db_connect_duration_seconds_bucket{pool="orders",le="0.25"} 900
db_connect_duration_seconds_bucket{pool="orders",le="0.5"} 950
db_connect_duration_seconds_bucket{pool="orders",le="1"} 950
db_connect_duration_seconds_bucket{pool="orders",le="2.5"} 950
db_connect_duration_seconds_bucket{pool="orders",le="5"} 990
db_connect_duration_seconds_bucket{pool="orders",le="10"} 990
db_connect_duration_seconds_bucket{pool="orders",le="30"} 990
db_connect_duration_seconds_bucket{pool="orders",le="+Inf"} 1000
db_connect_duration_seconds_sum{pool="orders"} 1197.5
db_connect_duration_seconds_count{pool="orders"} 1000
)";
  CHECK(to_prometheus(different()) == expected);
}

}  // namespace
