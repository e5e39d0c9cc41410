// SPDX-License-Identifier: BSL-1.0
// tidepool - every way in which an operation of the pool fails, with the exact words of its error: each says what happened, where it was
// asked for, why, and what to do.
#include <cstring>
#include <functional>
#include <utility>

#include "shop.hpp"
#include "support/asio.hpp"

namespace {

using namespace tidepool_tests;
using tidepool::failure_kind;
using tidepool::pool_error;
using tidepool::detail::in_words;

/// Pauses between connects are drawn at random: where they count, the text has the durations of the report.
std::string filled_in(std::string expected, const told_error& got) {
  const std::pair<const char*, duration> drawn[] = {
      {"$NEXT", got.report->next_connect}, {"$WAITED", got.report->waited}, {"$AGE", got.report->last_connect_error_age}};
  for (const auto& [name, value] : drawn) {
    if (const auto at = expected.find(name); at != std::string::npos) expected.replace(at, std::strlen(name), in_words(value));
  }
  return expected;
}

/// `when` makes the failure happen.
struct failure_row {
  const char* name;
  pool_config config;
  errc why;
  const char* text;
  std::function<told_error_ptr(shop&)> when;
};

void check_failures(const std::vector<failure_row>& table) {
  for (const failure_row& each : table) {
    INFO(each.name);
    shop s(each.config);
    const told_error_ptr got = each.when(s);
    REQUIRE(got->code.has_value());
    CHECK(*got->code == each.why);
    REQUIRE(got->report);
    CHECK(got->text == filled_in(each.text, *got));
    CHECK(got->report->pool == "shop");
    CHECK(std::count(got->text.begin(), got->text.end(), '\n') <= 1);
  }
}
pool_config changed(pool_config config, const std::function<void(pool_config&)>& change) {
  change(config);
  return config;
}

TEST_CASE("given leased connections, when an acquire fails, then its error says who holds them", "[field-U3]") {
  check_failures({
      {"all leased", shop_size(0, 3), errc::timeout,
       "pool \"shop\": no connection within 10 s, asked for at orders.cpp:42: all 3 are leased, 2 others wait\n"
       "held longest: #1 for 12 s from report.cpp:12 (nightly report), #2 for 12 s from report.cpp:12 (nightly report), #3 for 12 s from "
       "report.cpp:12 (nightly report); hold leases for less time, or raise max_size",
       [](shop& s) {
         shop_pool::lease held[3];
         for (auto& each : held) each = s.lease();
         s.pass(2s);
         auto first = s.acquire(10s);
         auto second = s.acquire(1h);
         auto third = s.acquire(1h);
         s.pass(11s);
         return first;
       }},
      {"the only one", shop_size(0, 1), errc::timeout,
       "pool \"shop\": no connection within 250 ms, asked for at orders.cpp:42: the only one is leased\n"
       "held longest: #1 for 250 ms from report.cpp:12 (nightly report); hold leases for less time, or raise max_size",
       [](shop& s) {
         const auto held = s.lease();
         auto out = s.acquire(250ms);
         s.pass(1s);
         return out;
       }},
      {"more than eight", shop_size(0, 10), errc::timeout,
       "pool \"shop\": no connection at once, asked for at orders.cpp:42: all 10 are leased\n"
       "held longest: #1 from report.cpp:12, #2 from report.cpp:12, #3 from report.cpp:12, #4 from report.cpp:12, #5 from report.cpp:12, "
       "#6 from report.cpp:12, #7 from report.cpp:12, #8 from report.cpp:12, and 2 more; hold leases for less time, or raise max_size",
       [](shop& s) {
         std::vector<shop_pool::lease> held;
         for (int i = 0; i < 10; ++i) held.push_back(s.lease(""));
         return s.acquire(0s);
       }},
      {"more than the new bound", shop_size(0, 3), errc::timeout,
       "pool \"shop\": no connection within 1 s, asked for at orders.cpp:42: 2 are leased and max_size is 1\n"
       "held longest: #1 for 1 s from report.cpp:12, #2 for 1 s from report.cpp:12; hold leases for less time, or raise max_size",
       [](shop& s) {
         const auto one = s.lease("");
         const auto two = s.lease("");
         s.pool->resize(0, 1);
         auto out = s.acquire(1s);
         s.pass(2s);
         return out;
       }},
      {"a full queue", changed(shop_size(0, 1), [](auto& c) { c.max_waiting = 2; }), errc::queue_full,
       "pool \"shop\": no connection, the queue is full, asked for at orders.cpp:42: 2 others wait (max_waiting is 2), the only one is "
       "leased\n"
       "held longest: #1 from report.cpp:12 (nightly report); take less work at once, hold leases for less time, or raise max_size or "
       "max_waiting",
       [](shop& s) {
         const auto held = s.lease();
         auto first = s.acquire();
         auto second = s.acquire();
         return s.acquire();
       }},
      {"no queue", changed(shop_size(0, 1), [](auto& c) { c.max_waiting = 0; }), errc::queue_full,
       "pool \"shop\": no connection, the queue is full, asked for at orders.cpp:42: max_waiting is 0, the only one is leased\n"
       "held longest: #1 from report.cpp:12 (nightly report); take less work at once, hold leases for less time, or raise max_size or "
       "max_waiting",
       [](shop& s) {
         const auto held = s.lease();
         return s.acquire();
       }},
      {"cancelled", shop_size(0, 1), errc::cancelled,
       "pool \"shop\": the acquire was cancelled by its caller after 3 s, asked for at orders.cpp:42: the only one is leased, 1 other "
       "waits\n"
       "held longest: #1 for 3 s from report.cpp:12 (nightly report)",
       [](shop& s) {
         const auto held = s.lease();
         auto out = s.acquire(no_limit);
         auto other = s.acquire();
         s.pass(3s);
         out->cancel.emit(asio::cancellation_type::total);
         s.pass(0s);
         return out;
       }},
      {"a silent server", shop_size(0, 2), errc::timeout,
       "pool \"shop\": no connection within 10 s, asked for at orders.cpp:42: the server db1:5432 has not answered 2 of 2 leases for 10 s\n"
       "held longest: #1 for 10 s from report.cpp:12 (nightly report; waiting for the server for 10 s), #2 for 10 s from report.cpp:12 "
       "(cart; waiting for the server for 10 s); check the server; response_timeout ends such waits",
       [](shop& s) {
         const auto one = s.lease();
         const auto two = s.lease("cart");
         s.server.silent_since = virtual_clock::now();
         auto out = s.acquire(10s);
         s.pass(11s);
         return out;
       }},
  });
}

TEST_CASE("given connects that fail, when an acquire fails, then the connect error comes first", "[field-U3]") {
  check_failures({
      {"wrong password", shop_size(0, 2), errc::connect_failed,
       "pool \"shop\": no connection, asked for at orders.cpp:42: password authentication failed for user \"app\" (the next acquire tries "
       "again, in $NEXT at the earliest)\n"
       "this does not pass by itself: correct the settings of the connector",
       [](shop& s) {
         s.fails_with(failure_kind::permanent, "password authentication failed for user \"app\"\n");
         return s.acquire();
       }},
      {"max_retries", changed(shop_size(2, 2), [](auto& c) { c.max_retries = 1, c.start = tidepool::start_mode::lazy; }),
       errc::connect_failed,
       "pool \"shop\": no connection after $WAITED, asked for at orders.cpp:42: no route to host (2 failed connects in a row, tries again "
       "in "
       "$NEXT)\n"
       "check the server and the network to it",
       [](shop& s) {
         s.fails_with(failure_kind::transient, "no route to host");
         auto out = s.acquire();
         s.pass(5s);
         return out;
       }},
      {"the breaker is open", changed(shop_size(1, 2), [](auto& c) { c.breaker_threshold = 1, c.breaker_open_time = 2s; }),
       errc::circuit_open,
       "pool \"shop\": no connection, asked for at orders.cpp:42: no route to host (800 ms ago, the circuit breaker is open, tries again "
       "in "
       "1.2 s)\n"
       "check the server and the network to it",
       [](shop& s) {
         s.fails_with(failure_kind::transient, "no route to host");
         auto first = s.acquire();
         s.pass(800ms);
         return s.acquire();
       }},
      {"nobody listens", shop_size(0, 2), errc::timeout,
       "pool \"shop\": no connection within 10 ms, asked for at orders.cpp:42: connection refused (10 ms ago, tries again in $NEXT), 1 "
       "other "
       "waits\n"
       "check the server and the network to it",
       [](shop& s) {
         s.fails_with(failure_kind::refused, "connection refused");
         auto out = s.acquire(10ms);
         auto other = s.acquire();
         s.pass(20ms);
         return out;
       }},
      {"full, starting", shop_size(0, 2), errc::timeout,
       "pool \"shop\": no connection within 10 ms, asked for at orders.cpp:42: too many clients already (10 ms ago, the next acquire tries "
       "again, in $NEXT at the earliest)\n"
       "the server has no room: lower max_size of its clients, or raise its limit",
       [](shop& s) {
         s.fails_with(failure_kind::server_full, "too many clients already");
         auto out = s.acquire(10ms);
         s.pass(20ms);
         return out;
       }},
      {"starting", shop_size(0, 2), errc::timeout,
       "pool \"shop\": no connection within 10 ms, asked for at orders.cpp:42: the database system is starting up (10 ms ago, the next "
       "acquire "
       "tries again, in $NEXT at the earliest)\n"
       "the server is starting: wait for it",
       [](shop& s) {
         s.fails_with(failure_kind::starting, "the database system is starting up");
         auto out = s.acquire(10ms);
         s.pass(20ms);
         return out;
       }},
      {"wrong role", shop_size(0, 2), errc::timeout,
       "pool \"shop\": no connection within 10 ms, asked for at orders.cpp:42: db1 is a standby (10 ms ago, the next acquire tries again, "
       "in "
       "$NEXT at the earliest)\n"
       "no server has the wanted role: wait for the failover, or correct what is asked for",
       [](shop& s) {
         s.fails_with(failure_kind::wrong_role, "db1 is a standby");
         auto out = s.acquire(10ms);
         s.pass(20ms);
         return out;
       }},
      {"no answer to connects",
       changed(shop_size(0, 2), [](auto& c) { c.connect_timeout = 1s, c.max_retries = 9, c.breaker_threshold = 99; }), errc::timeout,
       "pool \"shop\": no connection within 10 s, asked for at orders.cpp:42: no answer within the connect timeout of 1 s (4 failed "
       "connects in a row, the last $AGE ago, the next acquire tries again, in $NEXT at the earliest)\n"
       "check the server and the network to it",
       [](shop& s) {
         s.server.connect_hangs = true;
         auto out = s.acquire(10s);
         s.pass(11s);
         return out;
       }},
      {"a connect under way", shop_size(0, 2), errc::timeout,
       "pool \"shop\": no connection within 10 s, asked for at orders.cpp:42: no route to host (10 s ago, the next one is under way)\n"
       "check the server and the network to it",
       [](shop& s) {
         s.fails_with(failure_kind::transient, "no route to host");
         auto out = s.acquire(10s);
         s.server.connect_hangs = true;
         s.pass(11s);
         return out;
       }},
      {"some are alive", shop_size(0, 3), errc::timeout,
       "pool \"shop\": no connection within 100 ms, asked for at orders.cpp:42: 1 of 3 is leased\n"
       "held longest: #1 for 100 ms from report.cpp:12 (nightly report); no more can be opened: no route to host (100 ms ago, the next "
       "acquire tries again, in $NEXT at the earliest)",
       [](shop& s) {
         const auto held = s.lease();
         s.fails_with(failure_kind::transient, "no route to host");
         auto out = s.acquire(100ms);
         s.pass(200ms);
         return out;
       }},
  });
}

TEST_CASE("given upkeep in the way, when an acquire fails, then its error says which", "[field-U3]") {
  check_failures({
      {"nothing open, no time", shop_size(0, 2), errc::timeout,
       "pool \"shop\": no connection at once, asked for at orders.cpp:42: none is open\n"
       "an acquire that does not wait opens no connection: give it time, or raise min_size",
       [](shop& s) { return s.acquire(0s); }},
      {"a slow connect", shop_size(0, 2), errc::timeout,
       "pool \"shop\": no connection within 2 s, asked for at orders.cpp:42: 1 is connecting\n"
       "a connect takes longer than the acquire may wait: check the server, or raise the acquire's timeout",
       [](shop& s) {
         s.server.connect_hangs = true;
         auto out = s.acquire(2s);
         s.pass(3s);
         return out;
       }},
      {"a slow validation", changed(shop_size(0, 1), [](auto& c) { c.pre_ping = true; }), errc::timeout,
       "pool \"shop\": no connection within 2 s, asked for at orders.cpp:42: 1 is being validated\n"
       "a validation takes longer than the acquire may wait: check the server",
       [](shop& s) {
         s.lease().release();
         s.pass(1s);
         s.server.ping_hangs = true;
         auto out = s.acquire(2s);
         s.pass(3s);
         return out;
       }},
      {"a slow reset", shop_size(0, 1), errc::timeout,
       "pool \"shop\": no connection within 1 s, asked for at orders.cpp:42: 1 is being reset\n"
       "a reset or a close takes longer than the acquire may wait: check the server",
       [](shop& s) {
         auto held = s.lease();
         s.server.reset_hangs = true;
         held.release();
         auto out = s.acquire(1s);
         s.pass(2s);
         return out;
       }},
      {"a slow close", shop_size(0, 1), errc::timeout,
       "pool \"shop\": no connection within 1 s, asked for at orders.cpp:42: 1 is being closed\n"
       "a reset or a close takes longer than the acquire may wait: check the server",
       [](shop& s) {
         s.lease().release();
         s.server.close_hangs = true;
         s.pool->recycle();
         auto out = s.acquire(1s);
         s.pass(2s);
         return out;
       }},
      {"suspended", shop_size(0, 1), errc::timeout,
       "pool \"shop\": no connection within 2 s, asked for at orders.cpp:42: the pool is suspended, 1 other waits\n"
       "resume() ends that",
       [](shop& s) {
         s.pool->suspend();
         auto out = s.acquire(2s);
         auto other = s.acquire();
         s.pass(3s);
         return out;
       }},
  });
}

TEST_CASE("given a pool that closes, when an acquire fails, then its error says so and nothing else", "[field-U3]") {
  check_failures({
      {"waiting", shop_size(0, 1), errc::closed,
       "pool \"shop\": no connection after 2 s, asked for at orders.cpp:42: the pool is being closed\n"
       "what uses the pool has to end before it is closed, and before it is destroyed",
       [](shop& s) {
         const auto held = s.lease();
         auto out = s.acquire();
         s.pass(2s);
         auto closed = s.close(1s);
         s.pass(0s);
         return out;
       }},
      {"closed already", shop_size(0, 1), errc::closed,
       "pool \"shop\": no connection, asked for at orders.cpp:42: the pool is closed\n"
       "what uses the pool has to end before it is closed, and before it is destroyed",
       [](shop& s) {
         auto closed = s.close(1s);
         s.pass(2s);
         return s.acquire();
       }},
      {"destroyed", shop_size(0, 1), errc::closed,
       "pool \"shop\": no connection after 2 s, asked for at orders.cpp:42: the pool was destroyed\n"
       "what uses the pool has to end before it is closed, and before it is destroyed",
       [](shop& s) {
         const auto held = s.lease();
         auto out = s.acquire();
         s.pass(2s);
         s.pool.reset();
         s.pass(0s);
         return out;
       }},
  });
}

TEST_CASE("given open() and close(), when they fail, then their errors say why and what becomes of the pool", "[field-U3]") {
  check_failures({
      {"wrong password", shop_size(2, 2), errc::connect_failed,
       "pool \"shop\": open() failed, called at main.cpp:30: password authentication failed for user \"app\"\n"
       "the pool is closed now; this does not pass by itself: correct the settings of the connector",
       [](shop& s) {
         s.fails_with(failure_kind::permanent, "password authentication failed for user \"app\"");
         return s.open();
       }},
      {"max_retries", changed(shop_size(2, 2), [](auto& c) { c.max_retries = 0; }), errc::connect_failed,
       "pool \"shop\": open() failed, called at main.cpp:30: no route to host\n"
       "the pool is closed now; start_mode::lazy would go on trying",
       [](shop& s) {
         s.fails_with(failure_kind::transient, "no route to host");
         return s.open();
       }},
      {"patience", shop_size(2, 2), errc::connect_failed,
       "pool \"shop\": open() failed after 20 ms, called at main.cpp:30: the database system is starting up (20 ms ago)\n"
       "the pool is closed now; start_mode::lazy would go on trying",
       [](shop& s) {
         s.fails_with(failure_kind::starting, "the database system is starting up");
         auto out = s.open(20ms);
         s.pass(50ms);
         return out;
       }},
      {"open cancelled", shop_size(2, 2), errc::cancelled,
       "pool \"shop\": open() was cancelled by its caller after 3 s, called at main.cpp:30: 0 of 2 connections are open\n"
       "the pool goes on opening",
       [](shop& s) {
         s.server.connect_hangs = true;
         auto out = s.open();
         s.pass(3s);
         out->cancel.emit(asio::cancellation_type::total);
         s.pass(0s);
         return out;
       }},
      {"open cancelled while connects fail", shop_size(2, 2), errc::cancelled,
       "pool \"shop\": open() was cancelled by its caller after 20 ms, called at main.cpp:30: connection refused (20 ms ago, tries again "
       "in "
       "$NEXT)\n"
       "the pool goes on opening",
       [](shop& s) {
         s.fails_with(failure_kind::refused, "connection refused");
         auto out = s.open();
         s.pass(20ms);
         out->cancel.emit(asio::cancellation_type::total);
         s.pass(0s);
         return out;
       }},
      {"open during close", shop_size(2, 2), errc::closed,
       "pool \"shop\": open() failed after 3 s, called at main.cpp:30: the pool is closed\n"
       "what uses the pool has to end before it is closed, and before it is destroyed",
       [](shop& s) {
         s.server.connect_hangs = true;
         auto out = s.open();
         s.pass(3s);
         auto closed = s.close(1s);
         s.pass(0s);
         return out;
       }},
      {"open after close", shop_size(2, 2), errc::closed,
       "pool \"shop\": open() failed, called at main.cpp:30: the pool is closed\n"
       "what uses the pool has to end before it is closed, and before it is destroyed",
       [](shop& s) {
         auto closed = s.close(1s);
         s.pass(2s);
         return s.open();
       }},
      {"close cancelled", shop_size(0, 2), errc::cancelled,
       "pool \"shop\": close() was cancelled by its caller after 2 s, called at main.cpp:30: 1 is leased\n"
       "held longest: #1 for 2 s from report.cpp:12 (nightly report); the pool goes on closing",
       [](shop& s) {
         const auto held = s.lease();
         auto out = s.close(10s);
         s.pass(2s);
         out->cancel.emit(asio::cancellation_type::total);
         s.pass(0s);
         return out;
       }},
      {"destroyed during close", shop_size(0, 2), errc::closed,
       "pool \"shop\": close() was cut short after 2 s, called at main.cpp:30: the pool was destroyed\n"
       "held longest: #1 for 2 s from report.cpp:12 (nightly report); what uses the pool has to end before it is closed, and before it is "
       "destroyed",
       [](shop& s) {
         const auto held = s.lease();
         auto out = s.close(10s);
         s.pass(2s);
         s.pool.reset();
         s.pass(0s);
         return out;
       }},
  });
}

TEST_CASE("given a lease without its connection, when it is detached, then the error says where it went", "[field-U3]") {
  const auto detach = [](shop_pool::lease& from) {
    std::string text;
    error_code code;
    try {
      (void)from.detach();
    } catch (const tidepool::system_error& e) {
      text = said_by(e);
      code = e.code();
    }
    CHECK(code == (text.find("pool") == std::string::npos ? errc::empty_lease : errc::closed));
    return text;
  };
  shop_pool::lease empty;
  CHECK(
      detach(empty) ==
      "detach() of an empty lease (it was released, discarded, detached or moved from, or try_acquire() found no connection idle: test it "
      "by `if (lease)`): the lease holds no connection");
  {
    shop s(changed(shop_size(0, 1), [](auto& c) { c.leak_detection = true, c.leak_timeout = 1s, c.abandon_timeout = 60s; }));
    auto held = s.lease();
    s.pass(65s);
    CHECK(detach(held) ==
          "pool \"shop\": no connection to detach after 65 s, acquired at report.cpp:12: the pool has shut this connection, because it was "
          "held for abandon_timeout\n"
          "detach it earlier");
  }
  shop s(shop_size(0, 1));
  auto held = s.lease();
  auto closed = s.close(2s);
  s.pass(3s);
  CHECK(detach(held) ==
        "pool \"shop\": no connection to detach after 3 s, acquired at report.cpp:12: the pool has shut this connection, because the grace "
        "of "
        "close() was over\n"
        "detach it earlier");
}

TEST_CASE("given a report, when it is put into words, then what is late, odd or unknown is told as well", "[field-U3]") {
  tidepool::error_report report;
  report.pool = "two\nlines";
  report.why = errc::timeout;
  report.where = in_orders();
  report.limit = 1s;
  report.waited = 5s;
  report.active = report.max_size = 2;
  const auto said = [&](errc why) { return std::string(pool_error(why, report).what()); };
  CHECK(said(errc::timeout) ==
        "pool \"two lines\": no connection within 1 s (it took 5 s to find out), asked for at orders.cpp:42: all 2 are leased\n"
        "hold leases for less time, or raise max_size");
  report.limit = no_limit;
  report.where = {};
  report.active = 1;
  report.holders.push_back({7, in_report(), 9'800ms, "a\nb", 0s});
  report.last_connect_error = "no route\nto host";
  CHECK(said(errc::timeout) ==
        "pool \"two lines\": no connection after 5 s: 1 of 2 is leased\n"
        "held longest: #7 for 9.8 s from report.cpp:12 (a b); no more can be opened: no route to host");
  report = {};
  report.connect_failures = 1;
  report.next_connect = 0s;
  CHECK(said(errc::connect_failed) ==
        "pool \"\": no connection: connecting fails (tries again now)\n"
        "check the server and the network to it");
  report.next_connect_by_itself = false;
  CHECK(said(errc::connect_failed) ==
        "pool \"\": no connection: connecting fails (the next acquire tries again)\n"
        "check the server and the network to it");
  CHECK(pool_error(errc::connect_failed, report).report().why == errc::connect_failed);
}

}  // namespace
