// SPDX-License-Identifier: BSL-1.0
// tidepool - values that could be taken for others: bytes and numbers, delimiters and bounds of arrays, NaN, far dates, views.
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include <tidepool/postgres/detail/sql_text.hpp>

#include "kit.hpp"

using namespace tidepool_tests;

namespace {

template <class T>
std::string as_text(const T& value) {
  std::string out;
  pg::codec<T>::encode(out, value);
  return out;
}
template <class T>
T decoded(std::string_view text, Oid type) {
  return pg::codec<T>::decode(text, type);
}
template <class T>
std::string refusal(std::string_view text, Oid type) {
  try {
    (void)decoded<T>(text, type);
  } catch (const pg::error& failure) {
    return failure.reason() == pg::errc::conversion ? std::string(failure.explanation()) : "another reason";
  }
  return "taken";
}
bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

using bytes = std::vector<std::byte>;
using octets = std::vector<unsigned char>;
using words = std::vector<std::string>;

struct views {
  int number;
  std::string_view text;
};
struct owners {
  int number;
  std::optional<std::string> text;
};
// Of a user's: nothing but a binary form.
struct opaque {};
struct box {
  std::string text;
  friend bool operator==(const box&, const box&) = default;
};

}  // namespace

template <>
struct tidepool::postgres::codec<opaque> {
  static constexpr bool binary = true;
  static void encode(std::string&, const opaque&) {}
};
template <>
struct tidepool::postgres::codec<box> {
  static constexpr char delimiter = ';';
  static void encode(std::string& out, const box& value) { out += value.text; }
  static box decode(std::string_view text) { return {std::string(text)}; }
};

TEST_CASE("given types that cannot be sent or read, when a concept is asked, then it says no", "[postgres][codec][field-F16]") {
  using std::optional;
  using std::vector;
  STATIC_REQUIRE(pg::encodable<vector<const char*>>);
  STATIC_REQUIRE_FALSE(pg::decodable<vector<const char*>>);
  STATIC_REQUIRE(pg::encodable<vector<optional<std::string_view>>>);
  STATIC_REQUIRE_FALSE(pg::decodable<vector<std::string_view>>);
  STATIC_REQUIRE_FALSE(pg::decodable<vector<optional<std::string_view>>>);
  STATIC_REQUIRE_FALSE(pg::decodable<vector<vector<std::string_view>>>);
  STATIC_REQUIRE(pg::decodable<vector<vector<optional<int>>>>);
  STATIC_REQUIRE_FALSE(pg::encodable<vector<optional<vector<int>>>>);
  STATIC_REQUIRE_FALSE(pg::decodable<vector<optional<vector<int>>>>);
  STATIC_REQUIRE_FALSE(pg::encodable<optional<optional<int>>>);
  STATIC_REQUIRE(pg::encodable<opaque>);
  STATIC_REQUIRE_FALSE(pg::encodable<vector<opaque>>);
  STATIC_REQUIRE_FALSE(pg::encodable<vector<views>>);
  STATIC_REQUIRE(pg::encodable<vector<bytes>>);
  STATIC_REQUIRE(pg::encodable<vector<std::span<const std::byte>>>);
  STATIC_REQUIRE_FALSE(pg::decodable<vector<std::span<const std::byte>>>);
}

/// Everything that a member may be.
struct row_of_all {
  const int id;
  std::string name;
  std::optional<std::string> note;
  std::vector<int> parts;
  std::array<int, 3> three;
  std::unique_ptr<int> owned;
  owners nested;
  std::chrono::sys_days day;
  double ratio = 0;
  bool flag;
};
struct row_of_references {
  int id;
  const std::string& name;
};
struct row_of_arrays {
  int id;
  int parts[3];
  std::string name;
};
struct row_with_base : owners {
  int id;
};

TEST_CASE("given structs, when they are asked for as rows, then those that cannot be taken apart are told",
          "[postgres][codec][field-U10]") {
  using tidepool::detail::struct_misfit;
  STATIC_REQUIRE(tidepool::detail::struct_misfit_of<row_of_all> == struct_misfit::none);
  STATIC_REQUIRE(tidepool::detail::member_count<row_of_all>() == 10);
  STATIC_REQUIRE(tidepool::detail::struct_misfit_of<row_of_references> == struct_misfit::reference);
  STATIC_REQUIRE(tidepool::detail::struct_misfit_of<row_of_arrays> == struct_misfit::array);
  STATIC_REQUIRE(tidepool::detail::struct_misfit_of<row_with_base> == struct_misfit::base);
}

TEST_CASE("given a row type that holds a view, when rows are asked for, then it points into the result", "[postgres][codec][field-F16]") {
  STATIC_REQUIRE(pg::detail::owns_data<owners>);
  STATIC_REQUIRE(pg::detail::owns_data<std::tuple<int, owners>>);
  STATIC_REQUIRE_FALSE(pg::detail::owns_data<views>);
  STATIC_REQUIRE_FALSE(pg::detail::owns_data<std::optional<std::string_view>>);
  STATIC_REQUIRE_FALSE(pg::detail::owns_data<std::pair<int, std::string_view>>);
  STATIC_REQUIRE(pg::detail::owns_data<pg::uuid>);
}

TEST_CASE("given NaNs with and without a sign, when they are sent, then each is the server's one NaN", "[postgres][codec][field-R01]") {
  const double negative = std::bit_cast<double>(std::uint64_t{0xFFF8000000000000U});
  CHECK(std::signbit(negative));
  CHECK(as_text(negative) == "NaN");
  CHECK(as_text(-std::numeric_limits<float>::quiet_NaN()) == "NaN");
  CHECK(as_text(std::bit_cast<double>(std::uint64_t{0x7FF8000000001234U})) == "NaN");
  CHECK(as_text(-std::numeric_limits<long double>::quiet_NaN()) == "NaN");
  NEEDS_SERVER();
  run([](double nan) -> asio::awaitable<void> {
    auto c = co_await connect();
    for (const char* type : {"float4", "float8", "numeric"}) {
      const std::string name = type;
      const auto one = co_await c.one<double>("select $1::" + name, nan);
      if (!std::isnan(one)) throw std::runtime_error("not a NaN");
      const std::vector<double> two{1.5, nan};
      const auto back = co_await c.one<std::vector<double>>("select $1::" + name + "[]", two);
      if (back.size() != 2 || back[0] != 1.5 || !std::isnan(back[1])) throw std::runtime_error("not a NaN in an array");
    }
    co_await c.script("create temporary table n (x numeric)");
    auto in = co_await c.copy_in("copy n from stdin");
    co_await in.row(nan);
    const auto rows = co_await in.finish();
    if (rows != 1) throw std::runtime_error("not copied");
  }(negative));
}

TEST_CASE("given sequences of bytes, when sent and read, then they are bytea, alone, in arrays and in COPY",
          "[postgres][codec][field-F6]") {
  STATIC_REQUIRE(pg::codec<octets>::oid == 17);
  STATIC_REQUIRE(pg::codec<std::vector<octets>>::oid == 1001);
  CHECK(decoded<octets>("\\xdead", 17) == octets{0xde, 0xad});
  CHECK(decoded<std::array<unsigned char, 2>>("\\xdead", 17) == std::array<unsigned char, 2>{0xde, 0xad});
  CHECK(contains(refusal<std::array<std::byte, 3>>("\\xdead", 17), "3 bytes"));
  NEEDS_SERVER();
  struct seen {
    octets alone;
    std::string stored;
    std::vector<octets> many;
    std::string copied, copied_array, mismatch, numbers;
    std::array<std::byte, 16> sixteen;
  };
  const seen got = run([]() -> asio::awaitable<seen> {
    seen out;
    auto c = co_await connect();
    co_await c.script("create temporary table b (v bytea, many bytea[]); create temporary table n (v int2[]);");
    octets all(256);
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<unsigned char>(i);
    const std::vector<octets> two{all, {}};
    const std::span<const unsigned char> view(all);
    co_await c.exec("insert into b values ($1, $2)", view, two);
    out.stored = co_await c.one<std::string>("select encode(v, 'hex') from b");
    out.alone = co_await c.one<octets>("select v from b");
    out.many = co_await c.one<std::vector<octets>>("select many from b");
    co_await c.exec("truncate b");
    auto in = co_await c.copy_in("copy b from stdin");
    co_await in.row(all, two);
    (void)co_await in.finish();
    out.copied = co_await c.one<std::string>("select encode(v, 'hex') from b");
    out.copied_array = co_await c.one<std::string>("select encode(many[1], 'hex') || ',' || length(many[2]) from b");
    const auto refused = co_await error_of(c.exec("insert into n values ($1)", all));
    out.numbers = refused.sqlstate();
    const auto text = co_await error_of(c.one<bytes>("select 'a\\101'::text as t"));
    out.mismatch = text.what();
    std::array<std::byte, 16> sixteen{};
    sixteen[15] = std::byte{7};
    out.sixteen = co_await c.one<std::array<std::byte, 16>>("select $1::bytea", sixteen);
    co_return out;
  }());
  std::string hex;
  for (int i = 0; i < 256; ++i) pg::detail::append_hex(hex, static_cast<std::byte>(i));
  CHECK(got.stored == hex);
  CHECK(got.alone.size() == 256);
  CHECK(got.many.size() == 2);
  CHECK(got.many[0] == got.alone);
  CHECK(got.copied == hex);
  CHECK(got.copied_array == hex + ",0");
  CHECK(got.numbers == "42804");
  CHECK(contains(got.mismatch, "column 1 \"t\" (text)"));
  CHECK(contains(got.mismatch, "std::string"));
  CHECK(got.sixteen[15] == std::byte{7});
}

TEST_CASE("given a uuid, when it is sent where bytes are expected, then that is an error instead of its digits",
          "[postgres][codec][field-F6]") {
  NEEDS_SERVER();
  const auto state = run([]() -> asio::awaitable<std::string> {
    auto c = co_await connect();
    co_await c.script("create temporary table b (v bytea, many bytea[])");
    const pg::uuid id{};
    const std::vector<pg::uuid> ids{id};
    const auto one = co_await error_of(c.exec("insert into b (v) values ($1)", id));
    const auto many = co_await error_of(c.exec("insert into b (many) values ($1)", ids));
    const auto found = co_await c.one<bool>("select $1 = any($2)", id, ids);
    co_return std::string(one.sqlstate()) + std::string(many.sqlstate()) + (found ? " found" : " not found");
  }());
  CHECK(state == "4280442804 found");
}

TEST_CASE("given times in an array, when sent for timestamps of the other kind, then their zone counts", "[postgres][codec][field-F6]") {
  NEEDS_SERVER();
  const auto same = run([]() -> asio::awaitable<bool> {
    auto c = co_await connect();
    co_await c.script("set timezone to 'Asia/Kolkata'; create temporary table t (one timestamp, many timestamp[])");
    const std::chrono::sys_time<std::chrono::microseconds> at{};
    const std::vector<std::chrono::sys_time<std::chrono::microseconds>> many{at};
    co_await c.exec("insert into t values ($1, $2)", at, many);
    co_return co_await c.one<bool>("select one = many[1] from t");
  }());
  CHECK(same);
}

TEST_CASE("given arrays that are not separated by commas, when read, then in their own pieces or not at all",
          "[postgres][codec][field-R14]") {
  constexpr Oid box_array = 1020, unknown = 16500, text_array = 1009;
  const std::string two = "{(1,1),(0,0);(2,2),(1,1)}";
  CHECK(decoded<words>(two, box_array) == words{"(1,1),(0,0)", "(2,2),(1,1)"});
  CHECK(decoded<std::vector<box>>(two, unknown) == std::vector<box>{{"(1,1),(0,0)"}, {"(2,2),(1,1)"}});
  CHECK(as_text(std::vector<box>{{"a"}, {"b"}}) == "{\"a\";\"b\"}");
  CHECK(decoded<words>("{a,b}", text_array) == words{"a", "b"});
  CHECK(contains(refusal<words>("{a,b}", unknown), "select it as text[]"));
  CHECK(contains(refusal<std::vector<std::optional<std::string>>>("{}", unknown), "select it as text[]"));
  CHECK(contains(refusal<std::vector<words>>("{{a}}", unknown), "select it as text[]"));
  using by_comma = pg::bounded_array<std::string, ','>;
  CHECK(decoded<by_comma>("{a;b,c}", unknown).values == words{"a;b", "c"});
  using by_colon = pg::bounded_array<std::string, ':'>;
  CHECK(decoded<by_colon>("{01:02}", unknown).values == words{"01", "02"});
  CHECK(as_text(by_colon{{"a", "b"}, {}}) == "{\"a\":\"b\"}");
  // Numbers say by themselves when they are cut at the wrong place.
  CHECK(decoded<std::vector<int>>("{1,2}", unknown) == std::vector<int>{1, 2});
  CHECK(refusal<std::vector<int>>("{1:2}", unknown) != "taken");
  // What prints braces and is no array.
  CHECK(refusal<words>("{[1,3),[5,7)}", 4451) != "taken");
  CHECK(refusal<std::vector<int>>("{}", 3802) != "taken");
  CHECK(contains(refusal<std::vector<int>>("1 2", 22), "int2[]"));
  // COPY says no types: what is cut in halves is seen, boxes and multiranges.
  CHECK(contains(refusal<words>(two, 0), "delimiter"));
  CHECK(contains(refusal<words>("{[1,3)}", 0), "delimiter"));
  CHECK(decoded<words>("{(a),:-),b}", 0) == words{"(a)", ":-)", "b"});
  CHECK(decoded<pg::bounded_array<std::string, ';'>>(two, 0).values.size() == 2);
}

TEST_CASE("given arrays of boxes, ranges, enums and points, when read as text, then each element is whole",
          "[postgres][codec][field-R14]") {
  NEEDS_SERVER();
  struct seen {
    words boxes, points, ranges, cast;
    std::vector<box> sent;
    std::string refused, multirange, copied, vector;
  };
  const seen got = run([]() -> asio::awaitable<seen> {
    seen out;
    auto c = co_await connect();
    out.boxes = co_await c.one<words>("select '{(1,1),(0,0);(2,2),(1,1)}'::box[]");
    const std::vector<box> two{{"(1,1),(0,0)"}, {"(2,2),(1,1)"}};
    out.sent = co_await c.one<std::vector<box>>("select $1::box[]", two);
    out.points = co_await c.one<words>("select array[point(1,2), point(3,4)]");
    out.ranges = co_await c.one<words>("select array['[1,3)'::int4range, 'empty']");
    co_await c.script("create type pg_temp.tide as enum ('low', 'high')");
    const auto refused = co_await error_of(c.one<words>("select array['low','high']::pg_temp.tide[] as tides"));
    out.refused = refused.what();
    out.cast = co_await c.one<words>("select array['low','high']::pg_temp.tide[]::text[]");
    const auto multirange = co_await error_of(c.one<words>("select '{[1,3),[5,7)}'::int4multirange"));
    out.multirange = multirange.what();
    const auto vector = co_await error_of(c.one<std::vector<int>>("select '1 2'::int2vector"));
    out.vector = vector.what();
    auto copy = co_await c.copy_out("copy (select '{(1,1),(0,0);(2,2),(1,1)}'::box[]) to stdout");
    const auto copied = co_await error_of(copy.row<words>());
    out.copied = copied.what();
    co_await copy.close();
    co_return out;
  }());
  CHECK(got.boxes == words{"(1,1),(0,0)", "(2,2),(1,1)"});
  CHECK(got.sent.size() == 2);
  CHECK(got.points == words{"(1,2)", "(3,4)"});
  CHECK(got.ranges == words{"[1,3)", "empty"});
  CHECK(contains(got.refused, "\"tides\" (type "));
  CHECK(contains(got.refused, "select it as text[]"));
  CHECK(got.cast == words{"low", "high"});
  CHECK(contains(got.multirange, "(int4multirange) as std::vector<std::string>: not an array"));
  CHECK(contains(got.vector, "int2[]"));
  CHECK(contains(got.copied, "delimiter"));
}

TEST_CASE("given arrays with lower bounds, when read and written back, then a bounded_array keeps them", "[postgres][codec][field-F15]") {
  using numbers = pg::bounded_array<int>;
  using table = pg::bounded_array<std::vector<int>>;
  CHECK(decoded<numbers>("{1,2}", 1007) == numbers{{1, 2}, {}});
  CHECK(decoded<numbers>("[0:1]={7,8}", 1007) == numbers{{7, 8}, {0}});
  CHECK(decoded<table>("[-1:0][5:6]={{1,2},{3,4}}", 1007) == table{{{1, 2}, {3, 4}}, {-1, 5}});
  CHECK(as_text(numbers{{7, 8}, {0}}) == "[0:1]={\"7\",\"8\"}");
  CHECK(as_text(table{{{1}, {2}}, {-1, 5}}) == "[-1:0][5:5]={{\"1\"},{\"2\"}}");
  CHECK(as_text(numbers{{}, {3}}) == "{}");
  CHECK_THROWS_AS(as_text(numbers{{1}, {1, 1}}), pg::error);
  CHECK_THROWS_AS(as_text(table{std::vector<std::vector<int>>(1), {0, 0}}), pg::error);
  // The elements alone, for who asks for no more.
  CHECK(decoded<std::vector<int>>("[0:1]={7,8}", 1007) == std::vector<int>{7, 8});
  for (const char* broken :
       {"[0:2]={7,8}", "[0:1][0:0]={7,8}", "[1:0]={}", "[a:b]={1}", "[0:1={7,8}", "[0]={1}", "[0:99999999999]={1}", "[0:0]{1}"}) {
    INFO(broken);
    CHECK(refusal<numbers>(broken, 1007) != "taken");
  }
  for (const char* broken : {"{{1,2},{3}}", "{{},{1}}", "{1,,2}", "{1,}", "{ 1}", "{a\"b}", "{a\\b}"}) {
    INFO(broken);
    CHECK(refusal<std::vector<words>>(broken, 1009) != "taken");
    CHECK(refusal<words>(broken, 1009) != "taken");
  }
  NEEDS_SERVER();
  const auto equal = run([]() -> asio::awaitable<bool> {
    auto c = co_await connect();
    co_await c.script(
        "create temporary table a (v int[]); insert into a values ('[-1:0][5:6]={{1,2},{3,4}}'), ('[0:1]={7,8}'), ('{}'), ('{1}')");
    bool same = true;
    for (const char* where : {"array_ndims(v) = 2", "array_lower(v, 1) = 0", "v = '{}'", "v = '{1}'"}) {
      const std::string condition = where;
      if (condition == "array_ndims(v) = 2") {
        const auto value = co_await c.one<table>("select v from a where " + condition);
        const auto found = co_await c.one<bool>("select v = $1 from a where " + condition, value);
        same = same && found;
      } else {
        const auto value = co_await c.one<numbers>("select v from a where " + condition);
        const auto found = co_await c.one<bool>("select v = $1 from a where " + condition, value);
        same = same && found;
      }
    }
    co_return same;
  }());
  CHECK(equal);
}

TEST_CASE("given a \"char\" of the catalogues, when it is zero or above 127, then it is read", "[postgres][codec][field-F17]") {
  CHECK(decoded<char>("", 18) == '\0');
  CHECK(decoded<char>("\\351", 18) == '\xe9');
  CHECK(decoded<char>("\\", 18) == '\\');
  CHECK(refusal<char>("", 25) != "taken");
  CHECK(refusal<char>("\\351", 25) != "taken");
  CHECK(refusal<char>("\\999", 18) != "taken");
  CHECK(decoded<std::vector<char>::value_type>("x", 0) == 'x');
  NEEDS_SERVER();
  const auto zero = run([]() -> asio::awaitable<std::pair<char, std::string>> {
    auto c = co_await connect();
    std::pair<char, std::string> out;
    out.first = co_await c.one<char>("select attidentity from pg_attribute where attrelid = 'pg_class'::regclass and attnum = 1");
    const auto empty = co_await error_of(c.one<char>("select ''::text as t"));
    out.second = empty.what();
    co_return out;
  }());
  CHECK(zero.first == '\0');
  CHECK(contains(zero.second, "column 1 \"t\" (text) as char: not one character"));
}

TEST_CASE("given dates beyond the calendar type, when read, then the error says so and names the column", "[postgres][codec][field-F17]") {
  using date = std::chrono::year_month_day;
  using stamp = std::chrono::sys_time<std::chrono::microseconds>;
  const auto said = [](auto f) {
    try {
      f();
    } catch (const pg::error& failure) {
      return std::string(failure.what());
    }
    return std::string();
  };
  for (const char* far : {"5874897-12-31", "294276-12-31", "99999-01-01", "32768-01-01"}) {
    INFO(far);
    CHECK(contains(said([far] { (void)pg::codec<date>::decode(far); }), "-32767 to 32767"));
  }
  for (const char* far : {"5874897-12-31", "294276-12-31", "294247-01-11"}) {
    INFO(far);
    CHECK(contains(said([far] { (void)pg::codec<stamp>::decode(std::string(far) + " 00:00:00+00"); }), "294246"));
  }
  CHECK(contains(said([] { (void)pg::codec<date>::decode("infinity"); }), "infinity"));
  CHECK(contains(said([] { (void)pg::codec<date>::decode("-infinity"); }), "infinity"));
  CHECK(contains(said([] { (void)pg::codec<stamp>::decode("2024-02-29 24:00:00+00"); }), "ISO"));
  CHECK(contains(said([] { (void)pg::codec<stamp>::decode("2024-02-29 23:60:00+00"); }), "ISO"));
  NEEDS_SERVER();
  const auto told = run([]() -> asio::awaitable<std::string> {
    auto c = co_await connect();
    const auto failure = co_await error_of(c.one<date>("select '5874897-12-31'::date as born"));
    co_return failure.what();
  }());
  CHECK(contains(told, "row 1, column 1 \"born\" (date) as std::chrono::year_month_day: not within the years -32767 to 32767"));
}

TEST_CASE("given bits, when they are read as a number, then their digits are not taken for decimal ones", "[postgres][codec][field-F6]") {
  NEEDS_SERVER();
  const auto said = run([]() -> asio::awaitable<std::vector<std::string>> {
    std::vector<std::string> out;
    auto c = co_await connect();
    const auto integer = co_await error_of(c.one<int>("select b'101' as b"));
    out.emplace_back(integer.what());
    const auto real = co_await error_of(c.one<double>("select b'101'::varbit as b"));
    out.emplace_back(real.what());
    const auto many = co_await error_of(c.one<std::vector<int>>("select array[b'101'] as b"));
    out.emplace_back(many.what());
    out.push_back(co_await c.one<std::string>("select b'101'"));
    const int cast = co_await c.one<int>("select b'101'::int");
    out.push_back(std::to_string(cast));
    co_return out;
  }());
  CHECK(contains(said.at(0), "column 1 \"b\" (bit) as int: not an integer"));
  CHECK(contains(said.at(1), "column 1 \"b\" (varbit) as double: not a number"));
  CHECK(contains(said.at(2), "column 1 \"b\" (bit[]) as std::vector<int>: not an integer"));
  CHECK(said.at(3) == "101");
  CHECK(said.at(4) == "5");
}

TEST_CASE("given a COPY of another form, when its rows are asked for, then that is refused", "[postgres][codec][field-R09]") {
  for (const char* plain :
       {"copy t from stdin", "copy \"csv\" (header, \"null\") from stdin with (freeze)", "COPY t TO STDOUT (FORMAT text)",
        "copy t from stdin where a is not null", "copy (select 1 as csv, 'to stdout csv' from x) to stdout", "copy t to stdout -- csv",
        "copy t from stdin (freeze true) where a <> 'csv'"}) {
    INFO(plain);
    CHECK(pg::detail::copies_plain_text(plain));
  }
  for (const char* other :
       {"copy t from stdin csv", "copy t from stdin with binary", "copy t to stdout (format csv)", "COPY t TO STDOUT (FORMAT 'binary')",
        "copy t from stdin (freeze, delimiter ';')", "copy t to stdout with delimiter as ';'", "copy t to stdout with null as ''",
        "copy t to stdout (header)", "copy t to stdout (encoding 'SJIS')", "copy (select ')') to stdout (format /* text */ csv)"}) {
    INFO(other);
    CHECK_FALSE(pg::detail::copies_plain_text(other));
  }
  NEEDS_SERVER();
  const auto said = run([]() -> asio::awaitable<std::vector<std::string>> {
    std::vector<std::string> out;
    auto c = co_await connect();
    co_await c.script("create temporary table t (v text)");
    auto in = co_await c.copy_in("copy t from stdin (format csv)");
    try {
      co_await in.row("a\tb");
      out.emplace_back("taken");
    } catch (const pg::error& failure) {
      out.emplace_back(failure.what());
    }
    co_await in.write("\"a\tb\"\n");
    (void)co_await in.finish();
    auto from = co_await c.copy_out("copy t to stdout (format csv)");
    const auto refused = co_await error_of(from.row<std::string>());
    out.emplace_back(refused.what());
    const auto raw = co_await from.next();
    out.emplace_back(*raw);
    (void)co_await from.next();
    out.push_back(co_await c.one<std::string>("select v from t"));
    co_return out;
  }());
  CHECK(contains(said.at(0), "use write()"));
  CHECK(contains(said.at(1), "use next()"));
  CHECK(said.at(2) == "a\tb\n");
  CHECK(said.at(3) == "a\tb");
}
