// SPDX-License-Identifier: BSL-1.0
// tidepool - observers, and events as lines of text.
#include <tidepool/advice.hpp>
#include <tidepool/config.hpp>
#include <tidepool/lint.hpp>
#include <tidepool/policy/combined_observers.hpp>
#include <tidepool/policy/observer.hpp>
#include <tidepool/pool_error.hpp>

#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace tidepool;
using namespace std::chrono_literals;
using level = log_observer::level;
using tidepool_tests::has_text;

struct only_leaks {
  void on_event(std::string_view, const leak_event&) {}
};
template <class O, class... Event>
constexpr bool watches(detail::event_list<Event...>) {
  return (observes<O, Event> && ...);
}
template <class O>
constexpr bool watches_all = watches<O>(detail::pool_events());
static_assert(watches_all<log_observer>, "every event of the pool is logged");
static_assert(!observes<null_observer, created_event> && !observes<null_observer, leak_event>);
static_assert(observes<only_leaks, leak_event> && !observes<only_leaks, created_event>);

struct line {
  level how;
  std::string text;
};

template <class Event>
std::vector<line> logged(const Event& event, level least = level::debug) {
  std::vector<line> out;
  log_observer observer([&out](level how, const std::string& text) { out.push_back({how, text}); }, least);
  observer.on_event("orders", event);
  return out;
}
template <class Event>
void check_line(const Event& event, level how, const std::string& text) {
  const auto lines = logged(event);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].text == text);
  CHECK(lines[0].how == how);
}

// What an observer of one's own may look like, and what would never be called.

struct listener {
  void on_event(std::string_view, const created_event&) {}
};
struct everything {
  template <class E>
  void on_event(std::string_view, const E&) {}
};
struct by_value {
  void on_event(std::string_view, leak_event) {}
};
struct silent {
  void log(std::string_view) {}
};
struct final_listener final {
  void on_event(std::string_view, const created_event&) {}
};
struct wrong_order {
  void on_event(const created_event&, std::string_view) {}
};
struct without_pool {
  void on_event(std::string_view, const created_event&) {}
  void on_event(const leak_event&) {}
};
struct changes_it {
  void on_event(std::string_view, leak_event&) {}
};
struct wants_a_string {
  void on_event(const std::string&, const leak_event&) {}
};
struct of_its_own {
  void on_event(int) {}
};
class keeps_to_itself {
  void on_event(std::string_view, const created_event&) {}
};
struct loud : log_observer {
  using log_observer::on_event;
  void on_event(std::string_view, const leak_event&) {}
};
struct forgetful : log_observer {
  void on_event(std::string_view, const leak_event&) {}
};
struct renamed : log_observer {};

template <class O>
constexpr bool fits = detail::observer_sees_something<O>&& detail::observer_is_exact<O>&& detail::observer_hides_nothing<O>;
static_assert(fits<null_observer> && fits<log_observer> && fits<listener> && fits<everything> && fits<by_value> && fits<silent> &&
              fits<final_listener> && fits<loud> && fits<renamed>);
static_assert(!detail::observer_sees_something<of_its_own> && !detail::observer_sees_something<keeps_to_itself>);
static_assert(!detail::observer_is_exact<wrong_order> && !detail::observer_is_exact<without_pool> &&
              !detail::observer_is_exact<changes_it> && !detail::observer_is_exact<wants_a_string>);
static_assert(!detail::observer_hides_nothing<forgetful>, "all other lines would be missing from the log");

TEST_CASE("given each event, when it is logged, then its line names pool and event at a fitting level") {
  check_line(created_event{7, 1500us}, level::info, "orders: connection 7 created in 1.500 ms");
  check_line(destroyed_event{7, close_reason::lifetime, 90s}, level::info, "orders: connection 7 destroyed: lifetime, age 90.000 s");
  check_line(checkout_event{7, 2ms}, level::debug, "orders: checkout of 7 after 2.000 ms");
  check_line(checkin_event{7, 3ms}, level::debug, "orders: checkin of 7 after 3.000 ms");
  check_line(connect_failed_event{"refused", 2}, level::warning, "orders: connect failed (2 in a row): refused");
  check_line(connect_failed_event{"refused", 2, failure_kind::transient, 1, 3}, level::debug,
             "orders: connect failed (2 in a row): refused");
  check_line(health_failed_event{7, "no answer"}, level::warning, "orders: connection 7 failed its health check: no answer");
  check_line(scaled_event{10, 12, 0.85}, level::info, "orders: target size 10 -> 12 at 85 % utilisation");
  check_line(breaker_event{breaker_state::closed, breaker_state::open}, level::warning, "orders: breaker closed -> open");
  check_line(breaker_event{breaker_state::half_open, breaker_state::closed}, level::warning, "orders: breaker half-open -> closed");
  check_line(breaker_event{breaker_state::half_open, breaker_state::open}, level::debug, "orders: breaker half-open -> open");
  const pool_config same;
  check_line(reconfigured_event{same, same, "max_size 20 -> 50"}, level::info, "orders: reconfigured: max_size 20 -> 50");
  check_line(state_event{pool_state::healthy, pool_state::degraded, "refused"}, level::info, "orders: state healthy -> degraded: refused");
  check_line(state_event{pool_state::degraded, pool_state::critical, "refused"}, level::error,
             "orders: state degraded -> critical: refused");
}

/// The lines of some event of this type. A new type that is no aggregate of defaults needs words of its own here.
template <class Event>
std::vector<line> lines_of(level least) {
  const pool_config config;
  if constexpr (std::is_same_v<Event, acquire_failed_event>) {
    return logged(acquire_failed_event{errc::timeout, source_location::current(), error_report(), 1}, least);
  } else if constexpr (std::is_same_v<Event, reconfigured_event>) {
    return logged(reconfigured_event{config, config, "nothing"}, least);
  } else if constexpr (std::is_same_v<Event, server_limit_event>) {
    return logged(server_limit_event{"", limit_finding()}, least);
  } else if constexpr (std::is_same_v<Event, advice_event>) {
    return logged(advice_event{pool_advice()}, least);
  } else {
    return logged(Event{}, least);
  }
}
template <class Event>
void check_that_it_has_a_line() {
  const auto lines = lines_of<Event>(level::debug);
  INFO("event " << typeid(Event).name());
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].text.rfind("orders: ", 0) == 0);
  CHECK(lines[0].text.size() > 12);
  CHECK(lines_of<Event>(lines[0].how).size() == 1);
  if (lines[0].how < level::error) CHECK(lines_of<Event>(static_cast<level>(static_cast<int>(lines[0].how) + 1)).empty());
}
template <class... Event>
void check_that_each_has_a_line(detail::event_list<Event...>) {
  (check_that_it_has_a_line<Event>(), ...);
}

TEST_CASE("given each event there is, when it is logged, then it has one line, and none above its level", "[field-L4]") {
  check_that_each_has_a_line(detail::pool_events());
}

TEST_CASE("given connects that fail in a row, when they are logged, then what is no news is for debugging only", "[field-L4]") {
  connect_failed_event event{"no", 57, failure_kind::refused, 57, 1, 95s, false};
  check_line(event, level::debug, "orders: connect failed (57 in a row in 95 s): no");
  CHECK(logged(event, level::info).empty());
  event.news = true;
  check_line(event, level::warning, "orders: connect failed (57 in a row in 95 s): no");
  created_event again{8, 3ms, "10.0.0.7:5432", 58, 96s};
  check_line(again, level::warning,
             "orders: connection 8 to 10.0.0.7:5432 created in 3.000 ms: connecting works again after 58 failures in 96 s");
}

TEST_CASE("given many slow acquires or sick connections, when logged, then the 1st, 2nd, 4th and so on are told") {
  const auto slow = [](std::size_t alike) { return logged(slow_acquire_event{3s, source_location::current(), alike}); };
  const auto sick = [](std::size_t alike) { return logged(health_failed_event{7, "no answer", {}, alike}); };
  CHECK(slow(1).size() + slow(2).size() + slow(64).size() == 3);
  CHECK(slow(3).empty());
  CHECK_THAT(slow(64)[0].text, has_text("orders: slow acquire (64 within 10 s): 3.000 s at "));
  CHECK(sick(5).empty());
  REQUIRE(sick(8).size() == 1);
  CHECK(sick(8)[0].text == "orders: connection 7 failed its health check (8 within 10 s): no answer");
}

TEST_CASE("given a copy of a log observer, when its level is changed, then that of the other is changed too") {
  std::size_t lines = 0;
  log_observer mine([&](level, const std::string&) { ++lines; }, level::warning);
  log_observer of_the_pool = mine;
  of_the_pool.on_event("orders", created_event{1, 0s});
  CHECK(lines == 0);
  mine.set_level(level::info);
  of_the_pool.on_event("orders", created_event{1, 0s});
  CHECK(lines == 1);
  CHECK(of_the_pool.least_level() == level::info);
  log_observer none;
  none.set_level(level::debug);
  CHECK(none.least_level() == level::error);
}

struct counts_created {
  int created = 0;
  void on_event(std::string_view, const created_event&) { ++created; }
};
struct throws_at_all {
  template <class E>
  void on_event(std::string_view, const E&) {
    throw 1;
  }
};
using two = combined_observers<counts_created, only_leaks>;
static_assert(observer_form<two> && observer_form<combined_observers<log_observer, two>> && std::default_initializable<two>);
static_assert(observes<two, created_event> && observes<two, leak_event> && !observes<two, checkin_event>,
              "an event that none wants costs nothing");
static_assert(watches_all<combined_observers<counts_created, log_observer>>);

TEST_CASE("given several observers, when one throws, then the others are told all the same") {
  std::size_t lines = 0;
  combined_observers all(throws_at_all(), counts_created(), log_observer([&](level, const std::string&) { ++lines; }));
  all.on_event("orders", created_event{1, 0s});
  all.on_event("orders", breaker_event{breaker_state::closed, breaker_state::open});
  CHECK(all.get<counts_created>().created == 1);
  CHECK(lines == 2);
}

TEST_CASE("given a leak, when it is logged, then the line has label, time and place of the acquire") {
  leak_event event{leak_event::kind::detected, {}, {}};
  event.lease.id = 4;
  event.lease.held = 301s;
  event.lease.acquired_at = source_location::current();
  event.lease.label = "nightly report";
  const auto detected = logged(event);
  REQUIRE(detected.size() == 1);
  CHECK(detected[0].how == level::warning);
  CHECK_THAT(detected[0].text, has_text("orders: possible leak: lease of connection 4 held 301.000 s, acquired at "));
  CHECK_THAT(detected[0].text, has_text("observer.cpp:"));
  CHECK_THAT(detected[0].text, has_text("label nightly report"));
  CHECK(detected[0].text.find('\n') == std::string::npos);

  event.stack = "first\nsecond";
  CHECK_THAT(logged(event)[0].text, has_text("\nfirst\nsecond"));
  event.what = leak_event::kind::returned;
  CHECK_THAT(logged(event)[0].text, has_text("came back"));
  event.what = leak_event::kind::reclaimed;
  CHECK_THAT(logged(event)[0].text, has_text("reclaimed"));
  event.lease.label = "";
  CHECK(logged(event)[0].text.find("label") == std::string::npos);
}

TEST_CASE("given a slow acquire, when it is logged, then the line says how long and where") {
  const auto lines = logged(slow_acquire_event{2500ms, source_location::current()});
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].how == level::warning);
  CHECK_THAT(lines[0].text, has_text("slow acquire: 2.500 s at "));
  CHECK_THAT(lines[0].text, has_text("observer.cpp:"));
}

TEST_CASE("given an acquire that failed, when it is logged, then the line has its report, rarely in a flood", "[field-U5]") {
  error_report report;
  report.pool = "orders";
  report.why = errc::timeout;
  report.last_connect_error = "connection\nrefused";
  const auto told = [&](errc why, std::size_t alike) {
    return logged(acquire_failed_event{why, source_location::current(), report, alike});
  };
  const auto lines = told(errc::timeout, 1);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].how == level::warning);
  CHECK_THAT(lines[0].text, has_text("orders: acquire failed: no connection"));  // the pool's name once
  CHECK_THAT(lines[0].text, has_text("connection refused"));
  CHECK_THAT(told(errc::timeout, 8)[0].text, has_text("acquire failed (8 within 10 s): "));
  CHECK(told(errc::timeout, 9).empty());
  CHECK(told(errc::cancelled, 1)[0].how == level::debug);
}

TEST_CASE("given a limit of the server that does not fit, when it is logged, then one line says what to change") {
  const limit_finding finding{"max_connections", "max_size is 9, but there are 7", "set it to 7"};
  check_line(server_limit_event{"db1:5432", finding}, level::warning,
             "orders: limits of db1:5432: max_size is 9, but there are 7: set it to 7");
  check_line(server_limit_event{"", finding}, level::warning, "orders: limits of the server: max_size is 9, but there are 7: set it to 7");
}

TEST_CASE("given a stall, when it is logged, then the line says whether machine or loop stood still") {
  check_line(stall_event{3s, 0s}, level::warning,
             "orders: stall: a timer fired 3 s late: the event loop was blocked, or the process stopped; idle connections are validated");
  check_line(stall_event{2ms, 7h}, level::warning, "orders: stall: the machine slept for 7 h: idle connections are validated");
}

TEST_CASE("given a time after which idle connections die, when it is logged, then the line says what to do") {
  check_line(idle_horizon_event{350s, 280s, false}, level::warning,
             "orders: idle connections die after 5 min 50 s: set learn_idle_limit = true, or health_check_interval to half of it or less");
  check_line(idle_horizon_event{350s, 280s, true}, level::warning,
             "orders: idle connections die after 5 min 50 s: from now on they are closed and replaced after 4 min 40 s");
}

TEST_CASE("given a pool that nobody uses, when it is logged, then the line says what it keeps from ending", "[field-U2]") {
  const auto lines = logged(unused_event{61s});
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].how == level::info);
  CHECK_THAT(lines[0].text, has_text("orders: unused: nothing was acquired for 61 s"));
  CHECK_THAT(lines[0].text, has_text("io_context::run()"));
}

TEST_CASE("given a least level, when events below it happen, then nothing is logged for them") {
  CHECK(logged(checkout_event{1, 0s}, level::info).empty());
  CHECK(logged(created_event{1, 0s}, level::warning).empty());
  CHECK(logged(created_event{1, 0s}, level::info).size() == 1);
  CHECK(logged(breaker_event{}, level::error).empty());
  CHECK(logged(state_event{pool_state::degraded, pool_state::critical, ""}, level::error).size() == 1);
}

TEST_CASE("given a text with the marks of a format, when it is logged, then it arrives as it is") {
  check_line(connect_failed_event{"100%s %n \"quoted\"", 1}, level::warning, "orders: connect failed (1 in a row): 100%s %n \"quoted\"");
  const std::string long_text(10'000, 'x');
  check_line(health_failed_event{1, long_text}, level::warning, "orders: connection 1 failed its health check: " + long_text);
}

TEST_CASE("given a client's words in an event, when logged, then they add no line and move no cursor") {
  check_line(connect_failed_event{"no\r\n2026-01-01 root: all is well\x1b[2J", 1}, level::warning,
             "orders: connect failed (1 in a row): no  2026-01-01 root: all is well [2J");
  leak_event event{leak_event::kind::detected, {}, "main\nstart"};
  event.lease.label = "transfer\n7";
  const std::string text = logged(event)[0].text;
  CHECK_THAT(text, has_text("label transfer 7\nmain\nstart"));
}

TEST_CASE("given a logger without a sink, when an event happens, then it is ignored") {
  log_observer observer;
  CHECK_NOTHROW(observer.on_event("orders", created_event{1, 0s}));
}

}  // namespace
