// SPDX-License-Identifier: BSL-1.0
// tidepool - every type of the MySQL driver, there and back, at its bounds and past them.
#include "kit.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

using namespace tidepool_tests;
using namespace std::chrono;

namespace {

enum class mood { sad, happy };
enum class level : std::uint8_t { low = 1, high = 9 };

/// A value goes into a column of `type`, and comes back the same: through a parameter, and where the text protocol gives it.
template <class T>
asio::awaitable<void> there_and_back(my::connection& c, std::string type, T value) {
  const auto table = my_name("type");
  co_await c.exec("create temporary table " + table + " (v " + type + ")");
  co_await c.exec("insert into " + table + " values (?)", value);
  const auto back = co_await c.one<T>("select v from " + table);
  must(back == value, type + ": a value came back as another one");
  const auto found = co_await c.one<int>("select count(*) from " + table + " where v = ?", value);
  must(found == 1 || type == "float", type + ": the value is not found by itself");
  co_await c.exec("update " + table + " set v = null");
  const auto none = co_await c.one<std::optional<T>>("select v from " + table);
  must(!none, type + ": NULL");
  co_await c.exec("drop temporary table " + table);
}

template <class T>
asio::awaitable<std::string> refusal(my::connection& c, std::string sql) {
  const auto failure = co_await error_of(c.one<T>(sql));
  must(failure.reason() == my::errc::conversion, sql + ": " + failure.what());
  co_return failure.what();
}

}  // namespace

template <>
struct tidepool::mysql::codec<mood> : tidepool::mysql::enum_codec<mood> {
  static constexpr std::pair<mood, std::string_view> names[] = {{mood::sad, "sad"}, {mood::happy, "happy"}};
};
template <>
struct tidepool::mysql::codec<level> : tidepool::mysql::enum_number_codec<level> {};

TEST_CASE("given values of every type, when they are written and read, then they are the same") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    // Aggregates have names: GCC 12 cannot have them in a `co_await` expression.
    const my::decimal exact{"-12345678901234567890123456789012345.012345678901234567890123456789"};
    const my::json document{R"({"a": [1, 2]})"};
    const std::array<std::byte, 16> sixteen{std::byte{1}};
    const std::vector<unsigned char> three{0, 1, 255};
    const auto id = my::uuid::parse("123e4567-e89b-12d3-a456-426655440000");
    const auto id_without_dashes = my::uuid::parse("123E4567E89B12D3A456426655440000");
    co_await there_and_back<bool>(c, "boolean", true);
    co_await there_and_back<std::int8_t>(c, "tinyint", -128);
    co_await there_and_back<std::uint8_t>(c, "tinyint unsigned", 255);
    co_await there_and_back<std::int16_t>(c, "smallint", -32768);
    co_await there_and_back<std::uint16_t>(c, "smallint unsigned", 65535);
    co_await there_and_back<std::int32_t>(c, "mediumint", -8388608);
    co_await there_and_back<std::uint32_t>(c, "mediumint unsigned", 16777215);
    co_await there_and_back<std::int32_t>(c, "int", std::numeric_limits<std::int32_t>::min());
    co_await there_and_back<std::uint32_t>(c, "int unsigned", std::numeric_limits<std::uint32_t>::max());
    co_await there_and_back<std::int64_t>(c, "bigint", std::numeric_limits<std::int64_t>::min());
    co_await there_and_back<std::int64_t>(c, "bigint", std::numeric_limits<std::int64_t>::max());
    co_await there_and_back<std::uint64_t>(c, "bigint unsigned", std::numeric_limits<std::uint64_t>::max());
    co_await there_and_back<int>(c, "year", 2155);
    co_await there_and_back<float>(c, "float", 0.1F);
    co_await there_and_back<float>(c, "float", std::numeric_limits<float>::max());
    co_await there_and_back<double>(c, "double", 0.1);
    co_await there_and_back<double>(c, "double", -std::numeric_limits<double>::max());
    co_await there_and_back<double>(c, "double", std::numeric_limits<double>::min());
    co_await there_and_back<my::decimal>(c, "decimal(65,30)", exact);
    co_await there_and_back<std::int64_t>(c, "decimal(20,0)", 1234567890123);
    co_await there_and_back<std::string>(c, "varchar(50) character set utf8mb4", "Gr\xC3\xBC\xC3\x9F Gott \xF0\x9F\x98\x80");
    co_await there_and_back<std::string>(c, "text", "");
    co_await there_and_back<std::string>(c, "longtext", std::string(300'000, 'x'));
    co_await there_and_back<std::string>(c, "varchar(50)", std::string("nul\0byte", 8));
    co_await there_and_back<std::string>(c, "enum('sad','happy')", "happy");
    co_await there_and_back<mood>(c, "enum('sad','happy')", mood::happy);
    co_await there_and_back<level>(c, "tinyint", level::high);
    co_await there_and_back<std::string>(c, "set('a','b','c')", "a,c");
    co_await there_and_back<std::vector<std::byte>>(c, "blob", std::vector<std::byte>(256, std::byte{0xFF}));
    co_await there_and_back<std::vector<unsigned char>>(c, "varbinary(10)", three);
    co_await there_and_back<std::array<std::byte, 16>>(c, "binary(16)", sixteen);
    co_await there_and_back<std::uint64_t>(c, "bit(64)", 0x8000000000000001U);
    co_await there_and_back<bool>(c, "bit(1)", true);
    co_await there_and_back<sys_days>(c, "date", sys_days(2024y / February / 29));
    co_await there_and_back<year_month_day>(c, "date", 9999y / December / 31);
    co_await there_and_back<sys_time<microseconds>>(c, "datetime(6)", sys_days(2024y / February / 29) + 23h + 59min + 59s + 999999us);
    co_await there_and_back<sys_time<seconds>>(c, "datetime", sys_days(1y / January / 1) + 1s);
    co_await there_and_back<local_time<milliseconds>>(c, "datetime(3)", local_days(2000y / January / 1) + 5ms);
    co_await there_and_back<sys_time<seconds>>(c, "timestamp", sys_days(2024y / July / 1) + 12h);
    co_await there_and_back<microseconds>(c, "time(6)", -(838h + 59min + 59s) + 1us);
    co_await there_and_back<seconds>(c, "time", 838h + 59min + 59s);
    if (c.is_mariadb()) {
      co_await there_and_back<my::json>(c, "json", document);
      co_await there_and_back<my::uuid>(c, "uuid", id);
    } else {
      co_await c.exec("create temporary table j (v json)");
      co_await c.exec("insert into j values (?)", document);
      const auto read = co_await c.one<my::json>("select v from j");
      must(read.text == document.text, "json");
    }
    co_await there_and_back<my::uuid>(c, "char(36)", id_without_dashes);
  });
}

TEST_CASE("given the text protocol, when a statement cannot be prepared, then its values are read the same") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    // The validation query of a pool and what is not preparable go as text: here a script's counterpart, by a table that shows it.
    co_await c.exec(
        "create temporary table v (a bigint unsigned, b double, d decimal(6,2), t time(6), m datetime(6), y date, x bit(5), f float)");
    co_await c.exec(
        "insert into v values (18446744073709551615, 0.1, -1.50, '-12:34:56.000001', '2024-02-29 01:02:03.4', '2024-02-29', b'10101', "
        "0.1)");
    using row = std::tuple<std::uint64_t, double, my::decimal, microseconds, sys_time<microseconds>, sys_days, unsigned, float>;
    const auto binary = co_await c.one<row>("select * from v");
    must(std::get<0>(binary) == std::numeric_limits<std::uint64_t>::max() && std::get<6>(binary) == 21, "binary");
    must(std::get<3>(binary) == -(12h + 34min + 56s + 1us), "time");
    must(std::get<4>(binary) == sys_days(2024y / February / 29) + 1h + 2min + 3s + 400ms, "datetime");
  });
}

TEST_CASE("given values out of range, when they are read or sent, then the error says so and nothing is cut") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    (void)co_await refusal<std::int8_t>(c, "select 128");
    (void)co_await refusal<std::uint8_t>(c, "select -1");
    (void)co_await refusal<std::int64_t>(c, "select 9223372036854775808");
    (void)co_await refusal<std::uint64_t>(c, "select cast(-1 as signed)");
    (void)co_await refusal<bool>(c, "select 2");
    (void)co_await refusal<int>(c, "select 1.5");
    (void)co_await refusal<int>(c, "select 'abc'");
    (void)co_await refusal<float>(c, "select 1e300");
    (void)co_await refusal<float>(c, "select 16777217");
    (void)co_await refusal<double>(c, "select 9007199254740993");
    (void)co_await refusal<std::string>(c, "select 1");
    (void)co_await refusal<sys_days>(c, "select now()");
    (void)co_await refusal<sys_time<nanoseconds>>(c, "select cast('2263-01-01' as datetime)");
    (void)co_await refusal<minutes>(c, "select 5");
    (void)co_await refusal<mood>(c, "select 'angry'");
    (void)co_await refusal<my::uuid>(c, "select 'not-a-uuid'");
    (void)co_await refusal<std::vector<std::byte>>(c, "select 'text'");
    must(co_await c.one<std::int64_t>("select sum(seq) from seq_1_to_10") == 55, "a sum, which is a DECIMAL");
    must(co_await c.one<double>("select avg(seq) from seq_1_to_2") == 1.5, "an average");
    must(co_await c.one<int>("select 7.00") == 7, "a decimal without a fraction");
    const auto late = co_await error_of(
        [](my::connection& on) -> asio::awaitable<void> { co_await on.exec("select ?", sys_days(10000y / January / 1)); }(c));
    must(late.reason() == my::errc::bad_parameter, late.what());
    const auto span = co_await error_of([](my::connection& on) -> asio::awaitable<void> { co_await on.exec("select ?", 839h); }(c));
    must(span.reason() == my::errc::bad_parameter, span.what());
    const auto digits =
        co_await error_of([](my::connection& on) -> asio::awaitable<void> { co_await on.exec("select ?", my::decimal{"1; drop"}); }(c));
    must(digits.reason() == my::errc::bad_parameter, digits.what());
  });
}

TEST_CASE("given zero dates, when they are read, then they are an error, or none where that is asked for") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    co_await c.exec("set sql_mode = ''");
    co_await c.exec("create temporary table z (d date, m datetime, p date)");
    co_await c.exec("insert into z values ('0000-00-00', '0000-00-00 00:00:00', '2024-00-00')");
    const auto said = co_await refusal<sys_days>(c, "select d from z");
    must(said.find("zero date") != std::string::npos, said);
    (void)co_await refusal<sys_time<seconds>>(c, "select m from z");
    (void)co_await refusal<sys_days>(c, "select p from z");
    must(!co_await c.one<std::optional<sys_days>>("select d from z"), "a zero date as none");
    must(!co_await c.one<std::optional<sys_time<seconds>>>("select m from z"), "a zero datetime as none");
  });
}

TEST_CASE("given another time zone of the server, when a TIMESTAMP is read, then it is the same moment") {
  NEEDS_SERVER();
  my::options as_it_is(my_server());
  as_it_is.utc = false;
  my_with([](my::connection& c) -> asio::awaitable<void> {
    must(co_await c.one<std::string>("select @@time_zone") == "+00:00", "UTC");
    const auto now = co_await c.one<sys_time<seconds>>("select from_unixtime(86400)");
    must(now == sys_seconds(86400s), "the epoch's second day");
    co_await c.reset(my::reset_level::full);
    must(co_await c.one<std::string>("select @@time_zone") == "+00:00", "UTC after a reset");
    must(co_await c.one<std::string>("select @@character_set_client") == "utf8mb4", "utf8mb4 after a reset");
  });
  my_with(as_it_is, [](my::connection& c) -> asio::awaitable<void> {
    must(co_await c.one<std::string>("select @@time_zone") == "SYSTEM", "as the server has it");
  });
}
