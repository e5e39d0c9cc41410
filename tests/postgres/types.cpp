// SPDX-License-Identifier: BSL-1.0
// tidepool - types of the standard library and of users: sequences, enumerations, wide integers, decimals, composites, ranges, addresses,
// paths, variants; what does not fit them, and errors that name the parameter or the field.
#include <array>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <tidepool/postgres/detail/copy_text.hpp>
#include <tidepool/postgres/detail/request.hpp>
#include <tidepool/postgres/detail/utf8.hpp>
#include <tidepool/postgres/types.hpp>

#include "codec_words.hpp"
#include "kit.hpp"

using namespace tidepool_tests;

namespace {
namespace type_cases {

using namespace codec_words;

enum class tone { sad, happy };
enum class level : std::int16_t { low = 1, high = 300 };
enum class any_level : unsigned char { low = 1 };

class plate {
 public:
  explicit plate(std::string_view text) : text_(text) {}
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};
struct car {
  plate sign;
  int doors;
};
struct point {
  int x;
  std::optional<int> y;
  friend bool operator==(const point&, const point&) = default;
};
struct shape {
  std::string name;
  point centre;
  std::vector<point> corners;
  std::optional<std::string> note;
  std::vector<std::byte> raw;
  friend bool operator==(const shape&, const shape&) = default;
};
struct single {
  std::optional<std::string> only;
  friend bool operator==(const single&, const single&) = default;
};

}  // namespace type_cases
}  // namespace

template <>
struct tidepool::postgres::codec<type_cases::tone> : tidepool::postgres::enum_codec<type_cases::tone> {
  static constexpr std::pair<type_cases::tone, std::string_view> names[] = {{type_cases::tone::sad, "sad"},
                                                                            {type_cases::tone::happy, "happy"}};
};
template <>
struct tidepool::postgres::codec<type_cases::level> : tidepool::postgres::enum_number_codec<type_cases::level> {
  static constexpr type_cases::level values[] = {type_cases::level::low, type_cases::level::high};
};
template <>
struct tidepool::postgres::codec<type_cases::any_level> : tidepool::postgres::enum_number_codec<type_cases::any_level> {};
template <>
struct tidepool::postgres::codec<type_cases::plate> {
  static void encode(std::string& out, const type_cases::plate& value) { out += value.text(); }
  static type_cases::plate decode(std::string_view text) { return type_cases::plate(text); }
};
template <>
struct tidepool::postgres::codec<type_cases::point> : tidepool::postgres::composite_codec<type_cases::point> {};
template <>
struct tidepool::postgres::codec<type_cases::shape> : tidepool::postgres::composite_codec<type_cases::shape> {};
template <>
struct tidepool::postgres::codec<type_cases::single> : tidepool::postgres::composite_codec<type_cases::single> {};

namespace {
namespace type_cases {

TEST_CASE("given arrays of a fixed length, when read, then exactly as many elements are needed", "[postgres][codec][field-U6]") {
  using three = std::array<int, 3>;
  using grid = std::array<std::array<std::optional<int>, 2>, 2>;
  CHECK(read<three>("{1,2,3}") == three{1, 2, 3});
  CHECK(text_of(three{1, 2, 3}) == "{\"1\",\"2\",\"3\"}");
  for (const char* other : {"{}", "{1,2}", "{1,2,3,4}"}) CHECK(has(unreadable<three>(other), "an array of exactly 3 elements"));
  CHECK(read<std::array<int, 0>>("{}").empty());
  CHECK(has(unreadable<std::array<int, 0>>("{1}"), "exactly 0"));
  CHECK(read<grid>("{{1,2},{3,NULL}}") == grid{{{1, 2}, {3, std::nullopt}}});
  CHECK(has(unreadable<grid>("{{1,2}}"), "exactly 2"));
  CHECK(has(unreadable<grid>("{{1},{2}}"), "exactly 2"));
  CHECK(has(unreadable<grid>("{1,2}"), "an array"));
  CHECK(read<std::vector<std::array<int, 2>>>("{{1,2},{3,4}}") == std::vector<std::array<int, 2>>{{1, 2}, {3, 4}});
  CHECK(read<std::array<bool, 2>>("{t,f}") == std::array<bool, 2>{true, false});
  CHECK(has(unreadable<three>("{1,NULL,3}", pg::errc::null_value), "NULL"));
  STATIC_REQUIRE_FALSE(pg::decodable<std::array<std::string_view, 2>>);
}

TEST_CASE("given spans, when sent, then they are arrays, and bytea of bytes, and cannot be read", "[postgres][codec][field-U6]") {
  std::vector<int> numbers{1, 2};
  CHECK(text_of(std::span<const int>(numbers)) == "{\"1\",\"2\"}");
  CHECK(text_of(std::span<int>(numbers)) == "{\"1\",\"2\"}");
  const std::array<std::string_view, 2> words{"a", "b\""};
  CHECK(text_of(std::span<const std::string_view, 2>(words)) == "{\"a\",\"b\\\"\"}");
  const std::vector<std::vector<int>> table{{1}, {2}};
  CHECK(text_of(std::span(table)) == "{{\"1\"},{\"2\"}}");
  CHECK(pg::codec<std::span<const std::chrono::seconds>>::oid == 1187);
  STATIC_REQUIRE(pg::encodable<std::span<unsigned char>>);
  STATIC_REQUIRE_FALSE(pg::decodable<std::span<const int>>);
  STATIC_REQUIRE_FALSE(pg::encodable<std::span<const char>>);
}

TEST_CASE("given text that is not UTF-8, when sent as char8_t or as a path, then it is refused", "[postgres][codec][field-U6]") {
  using namespace std::string_literals;
  for (const char* well : {"", "a", "\xc3\xa9", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    CHECK(pg::detail::is_utf8(well));
  }
  for (const char* broken : {"\x80", "\xc1\xbf", "\xc3", "\xc3(", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe2\x82", "\xf0\x8f\xbf\xbf",
                             "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xe2(\xa1", "\xe2\x82(", "\xf0\x9f\x8c("}) {
    CHECK_FALSE(pg::detail::is_utf8(broken));
    CHECK(has(unsendable(std::filesystem::path(broken)), "bytea"));
    CHECK(has(unreadable<std::u8string>(broken), "client_encoding"));
    CHECK(has(unreadable<std::filesystem::path>(broken), "client_encoding"));
    CHECK(has(unsendable(std::u8string(reinterpret_cast<const char8_t*>(broken))), "char8_t"));
  }
  CHECK(text_of(std::u8string_view(u8"\u00e9")) == "\xc3\xa9");
  CHECK(read<std::u8string>("\xc3\xa9") == u8"\u00e9");
}

TEST_CASE("given integers of 128 bits, when they go through text, then their bounds hold", "[postgres][codec][field-U6]") {
#if defined(__SIZEOF_INT128__)
  using wide = pg::detail::int128;
  using unsigned_wide = pg::detail::uint128;
  const wide most = static_cast<wide>(~unsigned_wide{0} >> 1U), least = -most - 1;
  CHECK(text_of(most) == "170141183460469231731687303715884105727");
  CHECK(text_of(least) == "-170141183460469231731687303715884105728");
  CHECK(text_of(~unsigned_wide{0}) == "340282366920938463463374607431768211455");
  CHECK((read<wide>(text_of(most)) == most));
  CHECK((read<wide>(text_of(least)) == least));
  CHECK((read<unsigned_wide>(text_of(~unsigned_wide{0})) == ~unsigned_wide{0}));
  CHECK((read<wide>("0") == 0));
  CHECK((read<wide>("-00012") == -12));
  CHECK(has(unreadable<wide>("170141183460469231731687303715884105728"), "range"));
  CHECK(has(unreadable<wide>("-170141183460469231731687303715884105729"), "range"));
  CHECK(has(unreadable<wide>("9999999999999999999999999999999999999999999"), "range"));
  CHECK(has(unreadable<unsigned_wide>("340282366920938463463374607431768211456"), "range"));
  CHECK(has(unreadable<unsigned_wide>("-1"), "range"));
  for (const char* broken : {"", "-", "1.5", "1e5", "NaN", "+1", "--1"}) CHECK(has(unreadable<wide>(broken), "an integer"));
#endif
}

TEST_CASE("given enumerations, when sent and read, then only names or numbers of theirs are taken", "[postgres][codec][field-U6]") {
  CHECK(has(unsendable(static_cast<tone>(9)), "value 9 has no name"));
  CHECK(has(unreadable<tone>("angry"), "known name"));
  CHECK(text_of(level::high) == "300");
  CHECK(read<level>("1") == level::low);
  CHECK(has(unreadable<level>("2"), "known number"));
  CHECK(has(unreadable<level>("40000"), "16-bit"));
  CHECK(has(unsendable(static_cast<level>(2)), "value 2 is not one"));
  CHECK(read<any_level>("255") == static_cast<any_level>(255));
  CHECK(has(unreadable<any_level>("256"), "8-bit"));
  CHECK(read<std::vector<tone>>("{sad,happy}") == std::vector<tone>{tone::sad, tone::happy});
}

TEST_CASE("given a type of the library, when it is named in an error, then as programs write it", "[postgres][codec][field-U6]") {
  CHECK(pg::detail::type_words<pg::numeric>() == "tidepool::postgres::numeric");
  CHECK(pg::detail::type_words<std::optional<pg::numeric>>() == "std::optional<tidepool::postgres::numeric>");
}

TEST_CASE("given decimals, when made of text and numbers, then they are exact, and compare by value", "[postgres][codec][field-U6]") {
  using pg::numeric;
  CHECK(numeric().text() == "0");
  CHECK(numeric("-12.50").text() == "-12.50");
  CHECK(numeric("+007.0").text() == "7.0");
  CHECK(numeric("-0.00").text() == "0.00");
  CHECK(numeric(".5").text() == "0.5");
  CHECK(numeric("5.").text() == "5");
  CHECK(numeric(std::numeric_limits<std::uint64_t>::max()).text() == "18446744073709551615");
  CHECK(numeric::from_double(0.1).text() == "0.1");
  CHECK(numeric::from_double(-1e300).text().size() == 302);
  CHECK(numeric::from_double(5e-324).scale() == 324);
  CHECK(numeric::from_double(std::numeric_limits<double>::max()).to_double() == std::numeric_limits<double>::max());
  CHECK(numeric::from_double(-std::numeric_limits<double>::infinity()).text() == "-Infinity");
  CHECK(numeric::from_double(std::numeric_limits<double>::quiet_NaN()).is_nan());
  for (const char* broken : {"", "-", ".", "1e5", "1,5", " 1", "1 ", "0x1", "nan", "Infinity ", "--1", "1.2.3", "+Infinity"}) {
    INFO(broken);
    CHECK(has(refused(pg::errc::bad_parameter, [&] { (void)numeric(broken); }), "not a decimal number"));
    CHECK(has(unreadable<numeric>(broken), "a decimal number"));
  }
  CHECK(numeric("12.00").to_integer<int>() == 12);
  CHECK(numeric("-0.0").to_integer<unsigned>() == 0);
  CHECK(numeric("-9223372036854775808").to_integer<std::int64_t>() == std::numeric_limits<std::int64_t>::min());
  CHECK(has(refused(pg::errc::conversion, [] { (void)numeric("1.5").to_integer<int>(); }), "whole"));
  CHECK(has(refused(pg::errc::conversion, [] { (void)numeric("2147483648").to_integer<int>(); }), "32-bit"));
  CHECK(has(refused(pg::errc::conversion, [] { (void)numeric("-1.0").to_integer<unsigned>(); }), "32-bit"));
  CHECK(has(refused(pg::errc::conversion, [] { (void)numeric("NaN").to_integer<int>(); }), "finite"));
  CHECK(numeric("1.10") == numeric("1.1"));
  CHECK(numeric("-0.0") == numeric(0));
  CHECK(numeric("1.10") < numeric("1.11"));
  CHECK(numeric("1.1") < numeric("1.1000001"));
  CHECK(numeric("9") < numeric("10"));
  CHECK(numeric("-9") > numeric("-10"));
  CHECK(numeric("-0.5") < numeric("0.5"));
  CHECK(numeric("-Infinity") < numeric("-1"));
  CHECK(numeric("Infinity") > numeric("1"));
  CHECK(numeric("NaN") > numeric("Infinity"));
  CHECK(numeric("NaN") == numeric("NaN"));
}

TEST_CASE("given composites, when they go through text, then quotes, NULLs, nested ones and arrays survive",
          "[postgres][codec][field-U6]") {
  const shape odd{"a,\"b\" (c)\\", {1, std::nullopt}, {{2, 3}, {4, std::nullopt}}, std::nullopt, {std::byte{0}, std::byte{0x5c}}};
  CHECK(read<shape>(text_of(odd)) == odd);
  CHECK(read<shape>("(\"\",\"(1,)\",\"{\"\"(2,3)\"\"}\",,\"\\\\x005c\")") ==
        shape{"", {1, {}}, {{2, 3}}, {}, {std::byte{0}, std::byte{0x5c}}});
  CHECK(read<point>("(1,2)") == point{1, 2});
  CHECK(text_of(point{1, std::nullopt}) == "(\"1\",)");
  CHECK(read<single>("()") == single{});
  CHECK(read<single>("(\"\")") == single{""});
  CHECK(read<single>("(a]b{c)") == single{"a]b{c"});
  CHECK(text_of(single{}) == "()");
  CHECK(read<std::vector<point>>("{\"(1,2)\",\"(3,)\"}") == std::vector<point>{{1, 2}, {3, {}}});
  for (const char* broken :
       {"", "(", "1,2", "(1)", "(1,2,3)", "(1,2", "(1,2)x", "(1,2),", "(1, 2)", "(1,\"2)", "(\"1\"0,2)", "(1,2\\)", "(\"\\1\",2)"}) {
    INFO(broken);
    CHECK(has(unreadable<point>(broken), "a composite of 2 fields"));
  }
  CHECK(has(unreadable<point>("(x,2)"), "field 1 of the composite: not an integer"));
  CHECK(has(unreadable<point>("(1,x)"), "field 2 of the composite: not an integer"));
  CHECK(has(unreadable<point>("(,2)", pg::errc::null_value), "field 1 of the composite is NULL"));
  CHECK(has(unreadable<shape>("(a,\"(1,x)\",{},,)"), "field 2 of the composite: field 2 of the composite: not an integer"));
}

TEST_CASE("given ranges, when they go through text, then bounds, infinity and emptiness survive", "[postgres][codec][field-U6]") {
  using numbers = pg::range<int>;
  using texts = pg::range<std::string>;
  CHECK(read<numbers>("[1,10)") == numbers{1, 10});
  CHECK(read<numbers>("(1,10]") == numbers{1, 10, false, true});
  CHECK(read<numbers>("(,5)") == numbers{{}, 5});
  CHECK(read<numbers>("(,)") == numbers{});
  CHECK(read<numbers>("empty") == numbers::nothing());
  CHECK_FALSE(read<numbers>("[1,10)") == numbers{1, 10, true, true});
  CHECK_FALSE(numbers::nothing() == numbers{});
  CHECK(text_of(numbers{1, {}}) == "[\"1\",)");
  CHECK(text_of(numbers{}) == "(,)");
  CHECK(text_of(numbers::nothing()) == "empty");
  const texts odd{"", "a\"],\\ ", false, true};
  CHECK(read<texts>(text_of(odd)) == odd);
  CHECK(read<texts>("[\"\",\"a\"\"b\")") == texts{"", "a\"b"});
  CHECK(numbers{1, 10}.contains(1));
  CHECK_FALSE(numbers{1, 10}.contains(10));
  CHECK(numbers{1, 10, false, true}.contains(10));
  CHECK_FALSE(numbers{1, 10, false, true}.contains(1));
  CHECK_FALSE(numbers::nothing().contains(1));
  CHECK(numbers{}.contains(1));
  for (const char* broken : {"", "[", "[1", "[1,", "[1,2", "1,2", "[1,2)x", "[1 ,2)", "[1,2,3)", "[\"1,2)", "Empty", "[1,2}"}) {
    INFO(broken);
    CHECK(has(unreadable<numbers>(broken), "a range"));
  }
  CHECK(has(unreadable<numbers>("[x,2)"), "an integer"));
  using many = pg::multirange<int>;
  CHECK(read<many>("{}") == many{});
  CHECK(read<many>("{[1,3),[5,)}") == many{{{1, 3}, {5, {}}}});
  CHECK(text_of(many{{{1, 3}, {5, {}}}}) == "{[\"1\",\"3\"),[\"5\",)}");
  for (const char* broken : {"", "{", "{[1,3)", "{[1,3),}", "{[1,3)}x", "[1,3)", "{[1,3) ,[5,7)}", "{empty}"}) {
    INFO(broken);
    CHECK(has(unreadable<many>(broken), "range"));
  }
  CHECK(read<std::vector<numbers>>("{\"[1,3)\",empty,\"(,)\"}") == std::vector<numbers>{{1, 3}, numbers::nothing(), {}});
}

TEST_CASE("given addresses, when read, then a prefix is kept, or its loss is an error", "[postgres][codec][field-U6]") {
  using asio::ip::make_address;
  using pg::inet;
  CHECK(read<inet>("192.168.0.1/24") == inet(make_address("192.168.0.1"), 24));
  CHECK(read<inet>("::1") == inet(make_address("::1"), 128));
  CHECK(read<inet>("0.0.0.0/0").prefix_length() == 0);
  CHECK(text_of(inet(make_address("10.0.0.1"))) == "10.0.0.1");
  CHECK(text_of(inet(make_address("2001:db8::"), 32)) == "2001:db8::/32");
  CHECK(read<asio::ip::network_v4>("10.1.2.3/8").address() == asio::ip::address_v4({10, 1, 2, 3}));
  CHECK(has(unreadable<asio::ip::address>("192.168.0.1/24"), "postgres::inet"));
  CHECK(has(unreadable<asio::ip::address_v4>("::1"), "IPv4"));
  CHECK(has(unreadable<asio::ip::network_v6>("10.0.0.0/8"), "IPv6"));
  for (const char* broken : {"", "1.2.3", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/8x", "::1/129", "fe80::1%1", "1.2.3.4 "}) {
    INFO(broken);
    CHECK(has(unreadable<inet>(broken), "an IP address"));
  }
  CHECK(has(refused(pg::errc::bad_parameter, [] { (void)inet(make_address("1.2.3.4"), 33); }), "33 bits for an address of 32"));
  CHECK(has(unsendable(make_address("fe80::1%7")), "zone"));
}

TEST_CASE("given a variant, when read, then the column's type chooses the alternative that fits best", "[postgres][codec][field-U6]") {
  using std::variant;
  using any = variant<std::monostate, double, std::int64_t, int, bool, pg::uuid, tone, std::string>;
  const auto chosen = [](std::string_view text, Oid type) { return pg::codec<any>::decode(text, type).index(); };
  CHECK(chosen("7", 23) == 3);
  CHECK(chosen("7", 20) == 2);
  CHECK(chosen("7", 21) == 2);  // the first that is wide enough
  CHECK(chosen("7.5", 700) == 1);
  CHECK(chosen("7.5", 1700) == 7);  // no double: it would be rounded
  CHECK(chosen("t", 16) == 4);
  CHECK(chosen("t", 25) == 7);
  CHECK(chosen("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", 2950) == 5);
  CHECK(chosen("sad", 16500) == 7);
  CHECK(chosen("7", 0) == 7);
  CHECK(has(refused(pg::errc::conversion, [] { (void)pg::codec<variant<int, bool>>::decode("x", 25); }), "alternative"));
  CHECK(std::get<pg::numeric>(pg::codec<variant<int, pg::numeric>>::decode("1.5", 1700)).text() == "1.5");
  CHECK(pg::codec<any>::oid_of(any(pg::uuid{})) == 2950);
  CHECK(pg::codec<any>::oid_of(any(1)) == 0);
  CHECK(pg::detail::is_null(any()));
  CHECK_FALSE(pg::detail::is_null(any(1)));
  CHECK(pg::detail::is_null(variant<int, std::optional<double>>(std::optional<double>())));
  const std::vector<std::byte> bytes{std::byte{255}};
  CHECK(text_of(variant<int, std::vector<std::byte>>(bytes)) == "\\xff");
}

TEST_CASE("given a parameter that cannot be sent, when a statement is made of it, then its number is told", "[postgres][codec][field-U6]") {
  const auto second = [](const auto& value) {
    return refused(pg::errc::bad_parameter, [&] { (void)pg::detail::request::parameters("select $1, $2", 1, value); });
  };
  CHECK(has(second(static_cast<tone>(9)), "parameter $2: an enumeration's value 9"));
  CHECK(has(second(std::chrono::hours::max()), "parameter $2: a duration beyond"));
  CHECK(has(second(std::vector<std::chrono::sys_days>{std::chrono::sys_days(std::chrono::days(2'145'042'906))}), "parameter $2: a date"));
  CHECK(has(second(std::string("a\0b", 3)), "parameter $2 holds a NUL byte"));
  std::string line;
  const auto said = refused(pg::errc::bad_parameter, [&] { pg::detail::append_copy_row(line, 1, "x", static_cast<tone>(9)); });
  CHECK(has(said, "column 3: an enumeration's value 9"));
}

TEST_CASE("given members without a default constructor, when rows are read, then they are made of their values",
          "[postgres][codec][field-U6]") {
  STATIC_REQUIRE(tidepool::detail::row_width<car, pg::detail::codecs>() == 2);
  STATIC_REQUIRE(tidepool::detail::row_width<point, pg::detail::codecs>() == 1);
  STATIC_REQUIRE(tidepool::detail::member_count<point>() == 2);
  NEEDS_SERVER();
  const auto got = run([]() -> asio::awaitable<std::string> {
    auto c = co_await connect();
    const car found = co_await c.one<car>("select 'KI-XY 1', 5");
    const std::optional<plate> none = co_await c.one<std::optional<plate>>("select null");
    co_return found.sign.text() + (none ? " and another" : "") + std::to_string(found.doors);
  }());
  CHECK(got == "KI-XY 15");
}

TEST_CASE("given composites of a server, when read and sent back, then NULLs, nested ones and arrays survive", "[postgres][field-U6]") {
  NEEDS_SERVER();
  struct seen {
    shape back;
    std::vector<std::optional<point>> points;
    std::string anonymous, copied, wrong;
    std::optional<point> none;
    bool same = false;
  };
  const shape odd{"a,\"b\" (c)\\ \n'", {1, std::nullopt}, {{2, 3}, {4, std::nullopt}}, std::nullopt, {std::byte{0}, std::byte{0x5c}}};
  const seen got = run([](shape sent) -> asio::awaitable<seen> {
    seen out;
    auto c = co_await connect();
    co_await c.script(
        "create type pg_temp.point_of as (x int, y int);"
        "create type pg_temp.shape_of as (name text, centre pg_temp.point_of, corners pg_temp.point_of[], note text, raw bytea);"
        "create temporary table shapes (id int, v pg_temp.shape_of)");
    co_await c.exec("insert into shapes values (1, $1)", sent);
    out.back = co_await c.one<shape>("select v from shapes");
    out.same = co_await c.one<bool>("select v = $1::pg_temp.shape_of from shapes", out.back);
    out.points = co_await c.one<std::vector<std::optional<point>>>("select array[row(1, 2), null, row(3, null)]::pg_temp.point_of[]");
    const point loose = co_await c.one<point>("select row(7, null)");
    out.anonymous = std::to_string(loose.x);
    out.none = co_await c.one<std::optional<point>>("select null::pg_temp.point_of");
    co_await c.exec("truncate shapes");
    auto in = co_await c.copy_in("copy shapes from stdin");
    co_await in.row(2, sent);
    (void)co_await in.finish();
    auto from = co_await c.copy_out("copy (select v from shapes) to stdout");
    const std::optional<shape> copied = co_await from.row<shape>();
    out.copied = copied && *copied == sent ? "same" : "another";
    (void)co_await from.next();
    const auto failure = co_await error_of(c.one<point>("select row(1, 'x') as p"));
    out.wrong = failure.what();
    co_return out;
  }(odd));
  CHECK(got.back == odd);
  CHECK(got.same);
  CHECK(got.points == std::vector<std::optional<point>>{point{1, 2}, std::nullopt, point{3, std::nullopt}});
  CHECK(got.anonymous == "7");
  CHECK_FALSE(got.none);
  CHECK(got.copied == "same");
  CHECK(has(got.wrong, "column 1 \"p\" (record) as type_cases::point: field 2 of the composite: not an integer"));
}

TEST_CASE("given limits of ranges, decimals and addresses, when sent and read, then they are the same", "[postgres][field-U6]") {
  NEEDS_SERVER();
  struct seen {
    std::string wrong;
  };
  const seen got = run([]() -> asio::awaitable<seen> {
    using namespace std::chrono;
    seen out;
    auto c = co_await connect("options='-c timezone=Asia/Kolkata'");
    const auto same = [&]<class T>(const char* type, T value) -> asio::awaitable<void> {
      const std::string sql = "select $1::" + std::string(type) + ", pg_typeof($1::" + type + ") = '" + type + "'::regtype";
      const pg::result answer = co_await c.exec(sql, value);
      if (!(answer[0][0].template as<T>() == value)) out.wrong += std::string(type) + ": " + std::string(answer[0][0].text()) + "; ";
    };
    // GCC 12 wants the values named before the expression that awaits.
    const auto v0 = pg::range<std::int64_t>{std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()};
    const auto v1 = pg::range<int>::nothing();
    const auto v2 = pg::range<int>{};
    const auto v3 = pg::range<pg::numeric>{pg::numeric("-Infinity"), pg::numeric("NaN"), false, true};
    const auto v4 = pg::range<sys_days>{sys_days(days(-2'440'588)), sys_days::max()};
    const auto v5 = pg::range<sys_time<microseconds>>{sys_days(year(-4712) / 1 / 1), sys_time<microseconds>::max(), true, true};
    const auto v6 = pg::range<local_seconds>{local_seconds::min(), local_days(year(1883) / 11 / 18), false, false};
    const auto v7 = std::vector<std::optional<pg::range<int>>>{pg::range<int>{1, 3}, std::nullopt, pg::range<int>::nothing()};
    const auto v8 = pg::multirange<std::int64_t>{{{std::nullopt, -5}, {7, std::nullopt}}};
    const auto v9 = pg::multirange<sys_seconds>{{{sys_seconds(0s), sys_seconds(1s)}, {sys_seconds(5s), {}}}};
    const auto v10 = pg::numeric("-" + std::string(1000, '9') + "." + std::string(500, '1'));
    const auto v11 = pg::numeric("0." + std::string(1000, '0') + "1");
    co_await same("int8range", v0);
    co_await same("int4range", v1);
    co_await same("int4range", v2);
    co_await same("numrange", v3);
    co_await same("daterange", v4);
    co_await same("tstzrange", v5);
    co_await same("tsrange", v6);
    co_await same("int4range[]", v7);
    co_await same("int8multirange", v8);
    co_await same("tstzmultirange", v9);
    co_await same("numeric", v10);
    co_await same("numeric", v11);
    const std::vector<std::string> specials{"NaN", "Infinity", "-Infinity", "0.000", "-1.10"};
    for (const auto& special : specials) {
      const pg::numeric value(special);
      const auto back = co_await c.one<pg::numeric>("select $1::numeric", value);
      if (back.text() != value.text()) out.wrong += special + "; ";
    }
    const pg::inet everywhere(asio::ip::make_address("255.255.255.255"), 0), mapped(asio::ip::make_address("::ffff:1.2.3.4"), 96);
    const pg::inet all_six(asio::ip::make_address("::"), 0), too_many(asio::ip::make_address("10.0.0.1"), 8);
    const std::vector<asio::ip::address> both{asio::ip::make_address("::1"), asio::ip::make_address("10.0.0.1")};
    co_await same("inet", everywhere);
    co_await same("inet", mapped);
    co_await same("cidr", all_six);
    co_await same("inet[]", both);
    const auto bits = co_await error_of(c.exec("select $1::cidr", too_many));
    if (!bits.is("22P02")) out.wrong += "a cidr with bits beyond its prefix; ";
#if defined(__SIZEOF_INT128__)
    const auto most = static_cast<pg::detail::int128>(~pg::detail::uint128{0} >> 1U), least = -most - 1;
    co_await same("numeric", most);
    co_await same("numeric", least);
#endif
    const std::array<std::u8string, 2> texts{u8"\u00e9", u8"\U0001F30A"};
    co_await same("text[]", texts);
    const std::filesystem::path path("/tmp/\xc3\xa9 \"x\"");
    co_await same("text", path);
    const pg::numeric half("1.5");
    const auto fraction = co_await error_of(c.exec("select $1::int", half));
    if (!fraction.is("22P02")) out.wrong += "a fraction for an integer; ";
    co_return out;
  }());
  CHECK(got.wrong == "");
}

TEST_CASE("given a variant as parameter and column, when sent and read, then type, value and NULL are kept", "[postgres][field-U6]") {
  NEEDS_SERVER();
  using any = std::variant<std::monostate, int, std::chrono::sys_seconds, std::vector<std::byte>, std::string>;
  struct seen {
    std::vector<std::string> types;
    std::vector<any> rows, element;
    std::string null_told;
  };
  const seen got = run([]() -> asio::awaitable<seen> {
    seen out;
    auto c = co_await connect();
    const std::vector<any> all{any(std::chrono::sys_seconds(std::chrono::seconds(1))), any(std::vector<std::byte>{std::byte{255}})};
    for (const any& one : all) {
      const pg::result answer = co_await c.exec("select pg_typeof($1)::text, $1", one);
      out.types.push_back(answer[0][0].as<std::string>());
      out.rows.push_back(answer[0][1].as<any>());
    }
    const any seven = 7, nothing;
    const pg::result more = co_await c.exec("select $1::int, $2::int, 'x'::text, interval '1 day'", seven, nothing);
    for (int column = 0; column < 4; ++column) out.rows.push_back(more[0][column].as<any>());
    out.element = co_await c.one<std::vector<any>>("select array[1, null]");
    const auto failure = co_await error_of(c.one<std::variant<int, std::string>>("select null::int as n"));
    out.null_told = failure.what();
    co_return out;
  }());
  CHECK(got.types == std::vector<std::string>{"timestamp with time zone", "bytea"});
  CHECK(got.rows.at(0) == any(std::chrono::sys_seconds(std::chrono::seconds(1))));
  CHECK(got.rows.at(1) == any(std::vector<std::byte>{std::byte{255}}));
  CHECK(got.rows.at(2) == any(7));
  CHECK(got.rows.at(3) == any());
  CHECK(got.rows.at(4) == any("x"));
  CHECK(got.rows.at(5) == any("1 day"));
  CHECK(got.element == std::vector<any>{any(1), any()});
  CHECK(has(got.null_told, "column 1 \"n\" (int4) is NULL"));
}

}  // namespace type_cases
}  // namespace
