// SPDX-License-Identifier: BSL-1.0
// tidepool - C++ types to SQLite's values and back: every type of the table in include/tidepool/sqlite/README.md.
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "kit.hpp"

namespace {
enum class colour : short { red = 1, blue = -7 };
struct point {
  int x, y;
  friend bool operator==(const point&, const point&) = default;
};
}  // namespace

template <>
struct tidepool::sqlite::codec<colour> : tidepool::sqlite::enum_codec<colour> {};
template <>
struct tidepool::sqlite::codec<point> {
  static void encode(parameter& out, const point& p) { out.text(std::to_string(p.x) + "," + std::to_string(p.y)); }
  static point decode(const value& v) {
    const auto comma = v.text().find(',');
    if (comma == std::string_view::npos) throw conversion_error("a point");
    return {std::stoi(std::string(v.text().substr(0, comma))), std::stoi(std::string(v.text().substr(comma + 1)))};
  }
};

using namespace tidepool_tests;

namespace {

/// What comes back, and what SQLite says it was.
template <class T>
struct trip {
  T value;
  std::string kind;
  std::string text;
};
template <class T>
trip<T> round_trip(const T& given) {
  return run([](T value) -> asio::awaitable<trip<T>> {
    lite::connection c = co_await lite::connection::connect(":memory:");
    lite::result row = co_await c.exec("select ?1, typeof(?1), cast(?1 as text)", value);
    co_return trip<T>{row[0][0].template as<T>(), row[0][1].as<std::string>(), row[0][2].as<std::optional<std::string>>().value_or("-")};
  }(given));
}
/// The error of reading an expression as T; empty: it can be read.
template <class T>
std::string misread(std::string expression) {
  return run([](std::string sql) -> asio::awaitable<std::string> {
    lite::connection c = co_await lite::connection::connect(":memory:");
    std::string out;
    try {
      (void)co_await c.template one<T>(sql);
    } catch (const lite::error& failure) {
      out = failure.what();
    }
    co_return out;
  }("select " + expression + " as v"));
}
template <class T>
std::string unsent(const T& value) {
  try {
    (void)lite::detail::request::of("select ?1", tidepool::no_limit, value);
  } catch (const lite::error& failure) {
    return failure.what();
  }
  return {};
}
template <class T>
void check_limits() {
  for (const T one : {std::numeric_limits<T>::min(), T(0), T(1), std::numeric_limits<T>::max()}) {
    const auto back = round_trip(one);
    CHECK(back.value == one);
    CHECK(back.kind == "integer");
  }
}

}  // namespace

TEST_CASE("given integers of every width, when they go and come back, then they are the same or refused") {
  check_limits<std::int8_t>();
  check_limits<std::int16_t>();
  check_limits<std::int32_t>();
  check_limits<std::int64_t>();
  check_limits<long long>();
  check_limits<std::uint16_t>();
  check_limits<std::uint32_t>();
  CHECK(round_trip(std::uint64_t{1} << 62U).value == std::uint64_t{1} << 62U);
  CHECK_THAT(unsent(std::numeric_limits<std::uint64_t>::max()), has_text("parameter 1: above 2^63 - 1"));
  CHECK_THAT(misread<std::int8_t>("128"), has_text("within the range of a 8-bit integer"));
  CHECK_THAT(misread<unsigned>("-1"), has_text("within the range of an unsigned 32-bit integer"));
  CHECK_THAT(misread<int>("1.5"), has_text("(real) as int: not an integer"));
  CHECK_THAT(misread<int>("'1'"), has_text("(text) as int: not an integer"));
  CHECK(round_trip(true).text == "1");
  CHECK_FALSE(round_trip(false).value);
  CHECK_THAT(misread<bool>("2"), has_text("not 0 or 1"));
}

TEST_CASE("given floating-point numbers, when they go and come back, then they are exact, and NaN is refused") {
  for (const double one : {0.1, -1e308, 5e-324, std::numeric_limits<double>::infinity()}) CHECK(round_trip(one).value == one);
  CHECK(round_trip(0.5F).value == 0.5F);
  CHECK(round_trip(1.0).kind == "real");
  CHECK_THAT(unsent(std::nan("")), has_text("NaN"));
  CHECK(misread<double>("7").empty());
  CHECK_THAT(misread<double>("9007199254740993"), has_text("not exact"));
  CHECK_THAT(misread<float>("1e300"), has_text("within the range of the floating-point type"));
  CHECK_THAT(misread<double>("'1.5'"), has_text("not a number"));
}

TEST_CASE("given texts, bytes and NULL, when they go and come back, then they are the same") {
  const std::string hostile = "'; drop table t; -- \xF0\x9F\x90\x8B \n\t\x01";
  CHECK(round_trip(hostile).value == hostile);
  CHECK(round_trip(std::string()).kind == "text");
  CHECK_THAT(unsent(std::string("a\0b", 3)), has_text("NUL byte"));
  const std::vector<std::byte> bytes{std::byte{0}, std::byte{255}, std::byte{39}};
  CHECK(round_trip(bytes).value == bytes);
  CHECK(round_trip(bytes).kind == "blob");
  CHECK(round_trip(std::vector<unsigned char>{}).kind == "blob");
  const std::array<std::byte, 3> three{std::byte{1}, std::byte{0}, std::byte{3}};
  CHECK(round_trip(three).value == three);
  CHECK_THAT((misread<std::array<unsigned char, 2>>("x'010203'")), has_text("a blob of 2 bytes"));
  CHECK_THAT(misread<std::string>("x'00'"), has_text("not a text"));
  CHECK_THAT(misread<std::vector<std::byte>>("'a'"), has_text("not a blob"));
  CHECK_FALSE(round_trip(std::optional<int>()).value.has_value());
  CHECK(round_trip(std::optional<std::string>("x")).value == "x");
  CHECK(round_trip(std::optional<std::string>()).kind == "null");
  CHECK(round_trip(colour::blue).value == colour::blue);
  CHECK(round_trip(point{3, -4}).text == "3,-4");
  CHECK(round_trip(point{3, -4}).value == point{3, -4});
  const char* const none = nullptr;
  CHECK(unsent(none).empty());
}

TEST_CASE("given dates and times, when they go and come back, then as text or as an integer, by choice") {
  using namespace std::chrono;
  const auto moment = sys_days(2024y / 2 / 29) + 12h + 34min + 56s + 789012345ns;
  CHECK(round_trip(floor<seconds>(moment)).text == "2024-02-29 12:34:56");
  CHECK(round_trip(floor<milliseconds>(moment)).text == "2024-02-29 12:34:56.789");
  CHECK(round_trip(floor<microseconds>(moment)).value == floor<microseconds>(moment));
  CHECK(round_trip(moment).text == "2024-02-29 12:34:56.789012345");
  CHECK(round_trip(moment).value == moment);
  CHECK(round_trip(sys_days(1969y / 12 / 31) + 1h).value == sys_days(1969y / 12 / 31) + 1h);
  CHECK(round_trip(sys_days(2024y / 2 / 29)).text == "2024-02-29");
  CHECK(round_trip(year_month_day(0y / 1 / 1)).text == "0000-01-01");
  CHECK(round_trip(lite::unix_time(floor<seconds>(moment))).kind == "integer");
  CHECK(round_trip(lite::unix_time(floor<milliseconds>(moment))).text == "1709210096789");
  CHECK(round_trip(90min).text == "90");
  const auto read = [](const std::string& expression) {
    return run([](std::string sql) -> asio::awaitable<sys_time<milliseconds>> {
      lite::connection c = co_await lite::connection::connect(":memory:");
      co_return co_await c.one<sys_time<milliseconds>>(sql);
    }("select " + expression));
  };
  const auto at = sys_days(2024y / 2 / 29) + 12h + 34min + 56s;
  CHECK(read("'2024-02-29T12:34:56Z'") == at);
  CHECK(read("'2024-02-29 14:04:56.25+01:30'") == at + 250ms);
  CHECK(read("'2024-02-29 12:34'") == at - 56s);
  CHECK(read("unixepoch('2024-02-29 12:34:56')") == at);
  CHECK(read("julianday('2024-02-29 12:34:56.500')") == at + 500ms);
  CHECK(read("datetime('2024-02-29 12:34:56')") == at);
  for (const char* const wrong : {"'2024-02-30'", "'2024-2-3'", "'2024-02-29 25:00'", "'2024-02-29 12:34:56 later'", "x'00'"}) {
    CHECK_THAT(misread<sys_seconds>(wrong), has_text("not a date or time"));
  }
  CHECK_THAT(unsent(sys_days(year(10000) / 1 / 1)), has_text("the years 0 to 9999"));
  CHECK_THAT(unsent(2023y / 2 / 29), has_text("not in the calendar"));
  CHECK_THAT((misread<sys_time<nanoseconds>>("'9999-12-31'")), has_text("within the range of the C++ type"));
}
