// SPDX-License-Identifier: BSL-1.0
// tidepool - times, dates, durations, intervals and times of day: every unit, the limits of both sides, and what does not fit.
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <ratio>
#include <string>
#include <vector>

#include <tidepool/postgres/detail/calendar.hpp>

#include "codec_words.hpp"
#include "kit.hpp"

using namespace tidepool_tests;

namespace {
namespace time_cases {

using namespace codec_words;

using namespace std::chrono;

using moment = sys_time<microseconds>;
using hands = hh_mm_ss<microseconds>;
using short_seconds = duration<std::int32_t>;
using real_seconds = duration<double>;
using frames = duration<std::int64_t, std::ratio<1, 50>>;

/// Sends it, asks for its type and its text, and reads it back.
template <class T>
struct trip {
  std::string type, text;
  std::optional<T> back;
};
template <class T>
trip<T> travel(const T& value, std::string settings = "") {
  auto go = [](const T& given, std::string said) -> asio::awaitable<trip<T>> {
    auto c = co_await connect();
    co_await c.script("set timezone to 'Asia/Kolkata';" + said);
    const auto got = co_await c.exec("select pg_typeof($1)::text, $1::text, $1", given);
    trip<T> out;
    out.type = got[0][0].template as<std::string>();
    out.text = got[0][1].template as<std::string>();
    out.back.emplace(got[0][2].template as<T>());
    co_return out;
  };
  return run(go(value, std::move(settings)));
}
template <class T>
bool same(const T& value, const std::string& type) {
  const auto got = travel(value);
  CAPTURE(got.type, got.text);
  return got.type == type && got.back == value;
}

TEST_CASE("given time points of every unit, when sent, then they are timestamps to the microsecond, never later", "[postgres][field-U6]") {
  const auto day = sys_days(year(2024) / 2 / 29);
  CHECK(text_of(sys_seconds(day)) == "2024-02-29 00:00:00.000000+00");
  CHECK(text_of(sys_time<milliseconds>(day + 1ms)) == "2024-02-29 00:00:00.001000+00");
  CHECK(text_of(sys_time<nanoseconds>(day + 1999ns)) == "2024-02-29 00:00:00.000001+00");
  CHECK(text_of(sys_time<nanoseconds>(-1ns)) == "1969-12-31 23:59:59.999999+00");
  CHECK(text_of(sys_time<nanoseconds>(-1000ns)) == "1969-12-31 23:59:59.999999+00");
  CHECK(text_of(sys_time<hours>(25h)) == "1970-01-02 01:00:00.000000+00");
  CHECK(text_of(sys_time<weeks>(weeks(1))) == "1970-01-08 00:00:00.000000+00");
  CHECK(text_of(sys_time<short_seconds>(short_seconds::max())) == "2038-01-19 03:14:07.000000+00");
  CHECK(text_of(sys_time<real_seconds>(real_seconds(0.1))) == "1970-01-01 00:00:00.100000+00");
  CHECK(text_of(sys_time<frames>(frames(1))) == "1970-01-01 00:00:00.020000+00");
  CHECK(text_of(local_seconds(1s)) == "1970-01-01 00:00:01.000000");
  CHECK(text_of(local_time<nanoseconds>(-1ns)) == "1969-12-31 23:59:59.999999");
  CHECK(pg::codec<system_clock::time_point>::oid == 1184);
  CHECK(pg::codec<local_time<nanoseconds>>::oid == 1114);
  CHECK(text_of(moment(microseconds(9'223'372'036'854'775'806))) == "294247-01-10 04:00:54.775806+00");
  CHECK(text_of(sys_seconds(sys_days(year(-4713) / 11 / 24))) == "4714-11-24 00:00:00.000000+00 BC");
}

TEST_CASE("given timestamps, when read into a unit that cannot hold them, then that is told", "[postgres][codec][field-U6]") {
  CHECK(read<sys_seconds>("2024-02-29 12:00:01+00") == sys_days(year(2024) / 2 / 29) + 12h + 1s);
  CHECK(has(unreadable<sys_seconds>("2024-02-29 12:00:01.5+00"), "coarser"));
  CHECK(has(unreadable<sys_time<hours>>("2024-02-29 12:30:00+00"), "coarser"));
  CHECK(read<sys_time<hours>>("2024-02-29 12:30:00+00:30") == sys_days(year(2024) / 2 / 29) + 12h);
  // In parentheses, because Catch2 cannot print what is finer than the clock, as nanoseconds are with libc++.
  CHECK((read<sys_time<nanoseconds>>("2262-04-11 23:47:16.854775+00") == sys_time<nanoseconds>(9'223'372'036'854'775'000ns)));
  CHECK(has(unreadable<sys_time<nanoseconds>>("2262-04-11 23:47:16.854776+00"), "too fine"));
  CHECK((read<sys_time<nanoseconds>>("1677-09-21 00:12:43.145225+00") == sys_time<nanoseconds>(-9'223'372'036'854'775'000ns)));
  CHECK(has(unreadable<sys_time<nanoseconds>>("1677-09-21 00:12:43.145223+00"), "too fine"));
  CHECK(read<sys_time<short_seconds>>("2038-01-19 03:14:07+00") == sys_time<short_seconds>(short_seconds::max()));
  CHECK(has(unreadable<sys_time<short_seconds>>("2038-01-19 03:14:08+00"), "too fine"));
  CHECK(read<sys_time<short_seconds>>("1901-12-13 20:45:52+00") == sys_time<short_seconds>(short_seconds::min()));
  CHECK(has(unreadable<sys_time<short_seconds>>("1901-12-13 20:45:51+00"), "too fine"));
  CHECK(read<sys_time<real_seconds>>("1970-01-01 00:00:00.1+00").time_since_epoch() == real_seconds(0.1));
  CHECK(has(unreadable<sys_time<duration<std::uint8_t>>>("1969-12-31 23:59:59+00"), "too fine"));
  CHECK(read<local_time<milliseconds>>("1999-12-31 23:59:59.5") == local_days(year(1999) / 12 / 31) + 23h + 59min + 59500ms);
  CHECK(has(unreadable<moment>("294276-12-31 23:59:59+00"), "294246"));
  CHECK(read<moment>("294247-01-10 04:00:54.775807+00") == moment::max());
  CHECK(has(unreadable<moment>("294247-01-10 04:00:54.775808+00"), "294246"));
  CHECK(has(unreadable<moment>("294247-01-10 04:00:54.775807-00:00:01"), "294246"));
  CHECK(read<moment>("32768-01-01 00:00:00+00") == sys_days(year(32767) / 12 / 31) + days(1));
}

TEST_CASE("given infinite times, when sent and read, then they are the limits of 64 bits, and of floating point", "[postgres][field-U6]") {
  CHECK(text_of(system_clock::time_point::max()) == "infinity");
  CHECK(text_of(sys_seconds::min()) == "-infinity");
  CHECK(read<sys_time<nanoseconds>>("infinity") == sys_time<nanoseconds>::max());
  CHECK(read<local_seconds>("-infinity") == local_seconds::min());
  const real_seconds endless(std::numeric_limits<double>::infinity());
  CHECK(text_of(sys_time<real_seconds>(endless)) == "infinity");
  CHECK(read<sys_time<real_seconds>>("-infinity").time_since_epoch() == -endless);
  CHECK(has(unreadable<sys_time<short_seconds>>("infinity"), "no infinity"));
  CHECK(has(unsendable(sys_time<real_seconds>(real_seconds(std::numeric_limits<double>::quiet_NaN()))), "outside"));
  CHECK(has(unsendable(sys_time<real_seconds>(real_seconds::max())), "outside"));
  CHECK(has(unsendable(sys_seconds(sys_days(year(-4713) / 11 / 24)) - 1s), "-210866803201"));
  CHECK(has(unsendable(sys_time<hours>(hours::max() - 1h)), "outside"));
  CHECK(has(unsendable(moment::min() + 1us), "4714-11-24 BC"));
}

TEST_CASE("given dates, when they go through text, then every date of the server's has its day", "[postgres][codec][field-U6]") {
  CHECK(text_of(sys_days(year(2024) / 2 / 29)) == "2024-02-29");
  CHECK(text_of(local_days(year(0) / 12 / 31)) == "0001-12-31 BC");
  CHECK(text_of(sys_days(days(-2'440'588))) == "4714-11-24 BC");
  CHECK(text_of(sys_days(days(2'145'042'905))) == "5874897-12-31");
  CHECK(read<sys_days>("5874897-12-31") == sys_days(days(2'145'042'905)));
  CHECK(read<local_days>("4714-11-24 BC") == local_days(days(-2'440'588)));
  CHECK(has(unsendable(sys_days(days(-2'440'589))), "-2440589 days"));
  CHECK(has(unsendable(sys_days(days(2'145'042'906))), "2145042906 days"));
  CHECK(text_of(sys_days::max()) == "infinity");
  CHECK(read<local_days>("-infinity") == local_days::min());
  CHECK(has(unsendable(year(-5000) / 1 / 1), "4714-11-24 BC"));
  CHECK(has(unsendable(year(2023) / February / 29), "calendar"));
  CHECK(has(unreadable<sys_days>("2023-02-29"), "ISO"));
  CHECK(has(unreadable<sys_days>("1900-02-29"), "ISO"));
  CHECK(read<sys_days>("2000-02-29") == sys_days(year(2000) / 2 / 29));
  CHECK(has(unreadable<sys_days>("2000-02-29 00:00:00"), "ISO"));
  // Against the calendar of the standard library, over four centuries, on every day.
  bool equal = true;
  for (sys_days day = year(1799) / 12 / 30; day < sys_days(year(2200) / 1 / 3); day += days(1)) {
    const year_month_day date = day;
    const auto made = pg::detail::civil_of(day.time_since_epoch().count());
    equal = equal && made.year == int{date.year()} && made.month == unsigned{date.month()} && made.day == unsigned{date.day()} &&
            pg::detail::days_of(made) == day.time_since_epoch().count();
  }
  CHECK(equal);
}

TEST_CASE("given durations, when sent and read, then they are intervals of a fixed length or an error", "[postgres][codec][field-U6]") {
  CHECK(text_of(90min) == "01:30:00.000000");
  CHECK(text_of(-1500ms) == "-00:00:01.500000");
  CHECK(text_of(days(7)) == "168:00:00.000000");
  CHECK(text_of(1999ns) == "00:00:00.000001");
  CHECK(text_of(-1999ns) == "-00:00:00.000001");
  CHECK(text_of(real_seconds(0.3)) == "00:00:00.300000");
  CHECK(text_of(frames(3)) == "00:00:00.060000");
  CHECK(text_of(microseconds::max()) == "2562047788:00:54.775807");
  CHECK(text_of(microseconds::min()) == "-2562047788:00:54.775808");
  CHECK(has(unsendable(hours::max()), "its count is 9223372036854775807"));
  CHECK(has(unsendable(real_seconds(std::numeric_limits<double>::infinity())), "beyond"));
  CHECK(has(unsendable(duration<std::uint64_t, std::micro>::max()), "beyond"));
  CHECK(read<hours>("168:00:00") == 168h);
  CHECK(read<days>("7 days") == days(7));
  CHECK(read<hours>("1 day -01:00:00") == 23h);
  CHECK(read<milliseconds>("-00:00:01.5") == -1500ms);
  CHECK(read<real_seconds>("00:00:00.1") == real_seconds(0.1));
  CHECK(has(unreadable<seconds>("00:00:00.5"), "coarser"));
  CHECK(has(unreadable<days>("25:00:00"), "coarser"));
  CHECK(has(unreadable<nanoseconds>("2562048:00:00"), "too fine"));
  CHECK(has(unreadable<duration<unsigned>>("-00:00:01"), "range"));
  CHECK(has(unreadable<seconds>("1 mon"), "a month has none"));
  CHECK(has(unreadable<seconds>("infinity"), "finite"));
  CHECK(has(unreadable<seconds>("2000000000 days"), "292271 years"));
  CHECK(has(unreadable<seconds>("1 day 2562047788:00:54.775807"), "292271 years"));
  STATIC_REQUIRE(pg::encodable<weeks>);
  STATIC_REQUIRE_FALSE(pg::encodable<months>);
  STATIC_REQUIRE_FALSE(pg::decodable<years>);
}

TEST_CASE("given intervals in each style of the server, when read, then months, days and time are apart", "[postgres][codec][field-U6]") {
  using pg::interval;
  const interval full{14, -3, 4h + 5min + 6789ms};
  for (const char* text : {"1 year 2 mons -3 days +04:05:06.789", "@ 1 year 2 mons -3 days 4 hours 5 mins 6.789 secs",
                           "+1-2 -3 +4:05:06.789", "P1Y2M-3DT4H5M6.789S"}) {
    INFO(text);
    CHECK(read<interval>(text) == full);
  }
  for (const char* text : {"00:00:00", "@ 0", "0", "PT0S"}) {
    INFO(text);
    CHECK(read<interval>(text) == interval{});
  }
  CHECK(read<interval>("@ 1 year 2 mons ago") == interval{-14, 0, 0s});
  CHECK(read<interval>("@ 1 day -1 hours ago") == interval{0, -1, 1h});
  CHECK(read<interval>("-1-2") == interval{-14, 0, 0s});
  CHECK(read<interval>("-3 4:05:06") == interval{0, -3, -(4h + 5min + 6s)});
  CHECK(read<interval>("3 4:05:06") == interval{0, 3, 4h + 5min + 6s});
  CHECK(read<interval>("PT-0.000001S") == interval{0, 0, -1us});
  CHECK(read<interval>("@ 0.5 secs ago") == interval{0, 0, -500ms});
  CHECK(read<interval>("-178000000 years") == interval{-2'136'000'000, 0, 0s});
  CHECK(read<interval>("infinity") == interval::infinity());
  CHECK(text_of(interval::negative_infinity()) == "-infinity");
  CHECK(text_of(full) == "+14 mons -3 days +04:05:06.789000");
  CHECK(text_of(interval{-1, 0, -1us}) == "-1 mons +0 days -00:00:00.000001");
  CHECK(text_of(interval{0, 0, 1s}) == "00:00:01.000000");
  for (const char* broken : {"",
                             "1",
                             "1 yea",
                             "P",
                             "PT",
                             "P1",
                             "PT1",
                             "P1S",
                             "PT1D",
                             "1 day ",
                             " 1 day",
                             "1  day",
                             "00:00",
                             "1:2",
                             "1-",
                             "1 day x",
                             "1.5 day",
                             "1.5",
                             "00:00:00.",
                             "PT1.5H",
                             "00:00:00.1234567",
                             "99999999999 days",
                             "P1YT",
                             "-",
                             "1 day-1",
                             "9999999999999999999:00:00",
                             "2562047788:00:54.775808",
                             "-178956971 years"}) {
    INFO(broken);
    CHECK(has(unreadable<interval>(broken), "an interval"));
  }
}

TEST_CASE("given times of day, when they go through text, then midnight, its end and offsets survive", "[postgres][codec][field-U6]") {
  using pg::time_of_day;
  using pg::time_of_day_at_offset;
  CHECK(text_of(hands(23h + 59min + 59s + 999999us)) == "23:59:59.999999");
  CHECK(text_of(hh_mm_ss<nanoseconds>(1999ns)) == "00:00:00.000001");
  CHECK(text_of(hh_mm_ss<hours>(24h)) == "24:00:00.000000");
  CHECK(read<hands>("24:00:00").to_duration() == 24h);
  CHECK(read<hh_mm_ss<minutes>>("12:30:00").minutes() == 30min);
  CHECK(has(unreadable<hh_mm_ss<minutes>>("12:30:01"), "coarser"));
  CHECK(read<time_of_day>("04:05:06.7") == time_of_day{4h + 5min + 6700ms});
  CHECK(time_of_day{1h} < time_of_day{2h});
  CHECK(has(unsendable(hands(-1us)), "-1 us"));
  CHECK(has(unsendable(hh_mm_ss<seconds>(24h + 1s)), "86401000000 us"));
  CHECK(has(unsendable(time_of_day{25h}), "24:00"));
  CHECK(has(unreadable<time_of_day>("12:00:00+02"), "time_of_day_at_offset"));
  CHECK(has(unreadable<time_of_day>("24:00:01"), "time of day"));
  CHECK(has(unreadable<time_of_day>("25:00:00"), "ISO"));
  const time_of_day_at_offset tea{17h, 5h + 30min};
  CHECK(text_of(tea) == "17:00:00.000000+05:30:00");
  CHECK(read<time_of_day_at_offset>("17:00:00+05:30") == tea);
  CHECK(read<time_of_day_at_offset>("24:00:00-15:59:59") == time_of_day_at_offset{24h, -(15h + 59min + 59s)});
  CHECK(has(unsendable(time_of_day_at_offset{1h, -16h}), "-57600 s"));
  CHECK(has(unreadable<time_of_day_at_offset>("17:00:00"), "ISO"));
}

TEST_CASE("given times at the limits of each type, when sent to a server and read back, then they are the same", "[postgres][field-U6]") {
  NEEDS_SERVER();
  const std::string tz = "timestamp with time zone", local = "timestamp without time zone";
  const auto now = system_clock::now();
  const auto got = travel(now);
  CHECK(got.type == tz);
  CHECK(got.back.value() == floor<microseconds>(now));
  CHECK(same(moment(-1us), tz));
  CHECK(same(moment(microseconds(9'223'372'036'854'775'806) - 24h), tz));
  CHECK(same(sys_seconds(sys_days(days(-2'440'588))), tz));
  CHECK(same(sys_seconds(sys_days(year(2016) / 12 / 31)) + 24h, tz));
  CHECK(same(sys_time<nanoseconds>::max(), tz));
  CHECK(same(sys_time<milliseconds>::min(), tz));
  CHECK(same(sys_time<milliseconds>(-62'135'596'800'001ms), tz));  // the last moment before the year 1
  CHECK(same(local_seconds(local_days(year(-43) / 3 / 15)), local));
  CHECK(same(local_time<microseconds>(microseconds(9'223'372'036'854'775'806) - 24h), local));
  CHECK(same(local_seconds::max(), local));
  CHECK(same(sys_days(days(2'145'042'905)), "date"));
  CHECK(same(sys_days(days(-2'440'588)), "date"));
  CHECK(same(local_days::min(), "date"));
  CHECK(same(sys_days(year(2000) / 2 / 29), "date"));
  CHECK(same(year_month_day(year(-4712) / 1 / 1), "date"));
  CHECK(same(year_month_day(year(32767) / 12 / 31), "date"));
  CHECK(same(microseconds::max(), "interval"));
  CHECK(same(microseconds(std::numeric_limits<std::int64_t>::min() + 1), "interval"));
  CHECK(same(-1500ms, "interval"));
  CHECK(same(weeks(52), "interval"));
  CHECK(same(pg::time_of_day{24h}, "time without time zone"));
  CHECK(same(pg::time_of_day{86'399'999'999us}, "time without time zone"));
  CHECK(same(pg::time_of_day_at_offset{24h, -(15h + 59min + 59s)}, "time with time zone"));
  const auto clock = travel(hands(4h + 1us));
  CHECK(clock.back.value().to_duration() == 4h + 1us);
  const auto several = travel(std::vector<std::optional<system_clock::time_point>>{now, std::nullopt, system_clock::time_point::max()});
  CHECK(several.type == tz + "[]");
  CHECK(several.back->at(2) == system_clock::time_point::max());
  CHECK(same(std::vector<seconds>{1s, -3600s}, "interval[]"));
  CHECK(same(std::vector<sys_days>{sys_days(days(0)), sys_days::max()}, "date[]"));
  CHECK(same(std::optional(pg::interval{1, 2, 3us}), "interval"));
}

TEST_CASE("given intervals of mixed signs, when sent and read in each style, then they are the same", "[postgres][field-U6]") {
  NEEDS_SERVER();
  const std::vector<pg::interval> all{
      {},
      {14, -3, 4h + 5min + 6789ms},
      {-14, 3, -(4h + 5min + 6789ms)},
      {-14, -3, -1us},
      {0, -3, 1us},
      {0, -3, -1us},
      {1, 0, -1us},
      {0, 0, -1s},
      {-1, 0, 0s},
      {std::numeric_limits<std::int32_t>::max() - 7, std::numeric_limits<std::int32_t>::max(), microseconds::max()},
      {std::numeric_limits<std::int32_t>::min() + 8, std::numeric_limits<std::int32_t>::min() + 1,
       microseconds(std::numeric_limits<std::int64_t>::min() + 1)}};
  for (const char* style : {"postgres", "postgres_verbose", "sql_standard", "iso_8601"}) {
    INFO(style);
    const auto got = travel(all, std::string("set intervalstyle to ") + style);
    CHECK(got.type == "interval[]");
    for (std::size_t i = 0; i < all.size(); ++i) {
      CAPTURE(i, got.text);
      CHECK(got.back->at(i) == all[i]);
    }
  }
}

TEST_CASE("given a duration as a parameter, when it is added to now(), then a difference of times reads as one", "[postgres][field-U6]") {
  NEEDS_SERVER();
  const auto told = run([]() -> asio::awaitable<std::pair<hours, std::string>> {
    auto c = co_await connect();
    std::pair<hours, std::string> out;
    out.first = co_await c.one<hours>("select (now() + $1) - now()", days(40));
    const auto failure = co_await error_of(c.one<seconds>("select age(timestamp '2024-03-01', timestamp '2024-01-31') as old"));
    out.second = failure.what();
    co_return out;
  }());
  CHECK(told.first == 960h);
  CHECK(has(told.second, "column 1 \"old\" (interval) as std::chrono::seconds: not of a fixed length"));
}

}  // namespace time_cases
}  // namespace
