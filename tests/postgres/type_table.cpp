// SPDX-License-Identifier: BSL-1.0
// tidepool - the table of types in the driver's reference: each of its pairs is sent to a server and read back, and no pair lacks a row.
#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <tidepool/postgres/types.hpp>

#include "kit.hpp"

using namespace tidepool_tests;

namespace {
namespace table_cases {

enum class tone { sad, happy };
enum class level : std::int16_t { low = 1, high = 300 };
struct place {
  int number;
  std::optional<std::string> street;
  friend bool operator==(const place&, const place&) = default;
};

using pairs = std::set<std::pair<std::string, std::string>>;

/// What stands in backticks.
std::vector<std::string> quoted_in(std::string_view cell) {
  std::vector<std::string> out;
  for (;;) {
    const auto from = cell.find('`');
    if (from == std::string_view::npos) return out;
    const auto to = cell.find('`', from + 1);
    if (to == std::string_view::npos) return out;
    out.emplace_back(cell.substr(from + 1, to - from - 1));
    cell.remove_prefix(to + 1);
  }
}
/// Each C++ type of a row with each type of PostgreSQL of that row.
pairs in_the_reference() {
  const auto page = std::filesystem::path(__FILE__).parent_path() / "../../include/tidepool/postgres/README.md";
  std::ifstream in(page);
  pairs out;
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("## ")) inside = line == "## Types";
    if (!inside || !line.starts_with("| `")) continue;
    const auto middle = line.find(" | ");
    const auto end = line.find(" |", middle + 3);
    for (const auto& cpp : quoted_in(std::string_view(line).substr(0, middle))) {
      for (const auto& sql : quoted_in(std::string_view(line).substr(middle, end - middle))) out.emplace(cpp, sql);
    }
  }
  return out;
}
std::string listed(const pairs& all) {
  std::string out;
  for (const auto& [cpp, sql] : all) out += cpp + " and " + sql + "; ";
  return out;
}

/// What a value is when it is read: of views and spans, what owns it.
template <class T, class Read>
bool equal(const T& sent, const Read& read) {
  if constexpr (requires {
                  { sent == read } -> std::convertible_to<bool>;
                }) {
    return sent == read;
  } else if constexpr (requires { sent.to_duration(); }) {
    return sent.to_duration() == read.to_duration();
  } else if constexpr (requires { sent.begin(); }) {
    return std::equal(sent.begin(), sent.end(), read.begin(), read.end());
  } else {
    return std::string_view(read) == std::string_view(sent);
  }
}

class checker {
 public:
  explicit checker(pg::connection& db) : db_(db) {}

  pairs seen;
  std::string wrong;

  /// Plans to send `value` as each of the types, alone, as an optional, NULL, and in arrays, and to read it as `Read`. No coroutine, so
  /// that the values may be temporaries: GCC 12 destroys some of those in an expression that awaits twice.
  template <class Read, class T>
  void both(std::string cpp, std::vector<std::string> types, T value, bool arrays = true) {
    planned_.push_back(check<Read, T>(std::move(cpp), std::move(types), std::move(value), arrays));
  }
  template <class T>
  void same(std::string cpp, std::vector<std::string> types, T value, bool arrays = true) {
    both<T>(std::move(cpp), std::move(types), std::move(value), arrays);
  }
  asio::awaitable<void> run() {
    for (auto& one : planned_) co_await std::move(one);
  }

 private:
  template <class Read, class T>
  asio::awaitable<void> check(std::string cpp, std::vector<std::string> types, T value, bool arrays) {
    for (const auto& name : types) {
      seen.emplace(cpp, name);
      const std::string type = real(name), what = cpp + " as " + name;
      const std::string named = pg::detail::codec_oid<pg::detail::codec_for<T>>() != 0 ? "" : "::" + type;
      try {
        const pg::result got = co_await db_.exec("select pg_typeof($1" + named + ") = '" + type + "'::regtype, $1" + named, value);
        if (!got[0][0].as<bool>()) wrong += what + ": of another type; ";
        if (!equal(value, got[0][1].as<Read>())) wrong += what + ": another value, " + std::string(got[0][1].text()) + "; ";
        if constexpr (pg::encodable<std::optional<T>>) {
          const std::optional<T> some(value), none;
          const pg::result maybe = co_await db_.exec("select $1" + named + ", $2" + named, some, none);
          if (!equal(value, maybe[0][0].as<std::optional<Read>>().value())) wrong += what + ": another optional; ";
          if (maybe[0][1].as<std::optional<Read>>()) wrong += what + ": NULL is a value; ";
          if constexpr (pg::encodable<std::vector<std::optional<T>>> && pg::decodable<std::vector<std::optional<Read>>>) {
            if (arrays) {
              const std::vector<std::optional<T>> many{some, none, some};
              const auto list = co_await db_.one<std::vector<std::optional<Read>>>("select $1::" + type + "[]", many);
              if (list.size() != 3 || !equal(value, list[2].value()) || list[1]) wrong += what + ": another array; ";
            }
          } else if (arrays) {
            wrong += what + ": no arrays of it; ";
          }
        }
      } catch (const pg::error& failure) {
        wrong += what + ": " + failure.what() + "; ";
      }
    }
  }
  static std::string real(const std::string& name) {
    if (name == "enum") return "pg_temp.tone";
    if (name == "composite") return "pg_temp.place";
    if (name == "T[]") return "int4[]";
    return name;
  }

  pg::connection& db_;
  std::vector<asio::awaitable<void>> planned_;
};

void plan_all(checker& c) {
  using namespace std::chrono;
  using strings = std::vector<std::string>;
  const strings integers{"int2", "int4", "int8", "numeric"}, texts{"text", "varchar"};
  c.same("bool", {"bool"}, true);
  c.same("std::int16_t", integers, std::int16_t{-32768});
  c.same("std::int32_t", integers, std::int32_t{-32768});
  c.same("std::int64_t", integers, std::int64_t{32767});
  c.same("std::uint32_t", integers, std::uint32_t{32767});
  c.same("std::uint32_t", {"oid"}, std::uint32_t{4294967295});
#if defined(__SIZEOF_INT128__)
  using wide = pg::detail::int128;
  c.same("__int128", {"int8", "numeric"}, wide{-9'223'372'036'854'775'807});
#endif
  c.same("float", {"float4", "float8"}, 0.1F);
  c.same("double", {"float8", "numeric"}, 0.1);
  c.same("postgres::numeric", {"numeric", "int4", "float8"}, pg::numeric(-12));
  c.same("std::string", texts, std::string("a,\"b\"\\ {}"));
  c.same("std::u8string", texts, std::u8string(u8"\u00e9\u00df"));
  c.same("std::filesystem::path", texts, std::filesystem::path("/tmp/a b"));
  c.both<std::string>("std::string_view", texts, std::string_view("view"));
  c.both<std::string>("const char*", texts, static_cast<const char*>("pointer"));
  c.both<std::u8string>("std::u8string_view", texts, std::u8string_view(u8"\u00e9"));
  c.same("char", {"\"char\"", "text"}, 'x');
  static const std::vector<std::byte> bytes{std::byte{0}, std::byte{0x5c}, std::byte{0xff}};
  static const std::vector<unsigned char> octets{0, 0x5c, 0xff};
  c.same("std::vector<std::byte>", {"bytea"}, bytes);
  c.same("std::vector<unsigned char>", {"bytea"}, octets);
  c.same("std::array<std::byte, N>", {"bytea"}, std::array<std::byte, 2>{std::byte{1}, std::byte{2}});
  c.both<std::vector<std::byte>>("std::span<const std::byte>", {"bytea"}, std::span<const std::byte>(bytes));
  c.both<std::vector<unsigned char>>("std::span<const unsigned char>", {"bytea"}, std::span<const unsigned char>(octets));
  c.same("postgres::uuid", {"uuid"}, pg::codec<pg::uuid>::decode("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"));
  c.same("postgres::json", {"json", "jsonb"}, pg::json{"{\"a\": [1, \"x\"]}"});
  const auto day = sys_days(year(2024) / 2 / 29);
  c.same("std::chrono::sys_time<D>", {"timestamptz"}, sys_time<milliseconds>(day + 1500ms));
  c.same("std::chrono::system_clock::time_point", {"timestamptz"}, system_clock::time_point(day + 1us));
  c.same("std::chrono::local_time<D>", {"timestamp"}, local_seconds(1s));
  c.same("std::chrono::sys_days", {"date"}, day);
  c.same("std::chrono::local_days", {"date"}, local_days(days(-1)));
  c.same("std::chrono::year_month_day", {"date"}, year_month_day(day));
  c.same("std::chrono::duration<R, P>", {"interval"}, -90min);
  c.same("postgres::interval", {"interval"}, pg::interval{14, -3, 1us});
  c.same("std::chrono::hh_mm_ss<D>", {"time"}, hh_mm_ss<milliseconds>(4h + 1ms));
  c.same("postgres::time_of_day", {"time"}, pg::time_of_day{24h});
  c.same("postgres::time_of_day_at_offset", {"timetz"}, pg::time_of_day_at_offset{1h, -(5h + 30min)});
  static const std::vector<int> numbers{1, 2, 3};
  c.same("std::vector<T>", {"T[]"}, numbers, false);
  c.same("std::array<T, N>", {"T[]"}, std::array<int, 3>{1, 2, 3}, false);
  c.same("postgres::bounded_array<T>", {"T[]"}, pg::bounded_array<int>{{7, 8}, {0}}, false);
  c.both<std::vector<int>>("std::span<const T>", {"T[]"}, std::span<const int>(numbers), false);
  c.same("enum_codec<E>", {"enum", "text"}, tone::happy);
  c.same("enum_number_codec<E>", {"int2", "int4"}, level::high);
  c.same("composite_codec<T>", {"composite"}, place{7, "a, \"b\" (c)\\"});
  c.same("postgres::range<T>", {"int4range", "int8range"}, pg::range<int>{1, 10});
  c.same("postgres::range<T>", {"numrange"}, pg::range<pg::numeric>{pg::numeric("1.50"), std::nullopt, false});
  c.same("postgres::range<T>", {"daterange"}, pg::range<sys_days>{day, day + days(1)});
  c.same("postgres::range<T>", {"tsrange"}, pg::range<local_seconds>{local_seconds(0s), local_seconds(1s), false, true});
  c.same("postgres::range<T>", {"tstzrange"}, pg::range<sys_seconds>{std::nullopt, sys_seconds(1s)});
  c.same("postgres::multirange<T>", {"int4multirange"}, pg::multirange<int>{{{1, 3}, {5, std::nullopt}}});
  c.same("postgres::multirange<T>", {"nummultirange"}, pg::multirange<pg::numeric>{});
  c.same("postgres::multirange<T>", {"datemultirange"}, pg::multirange<sys_days>{{{day, day + days(1)}}});
  c.same("postgres::multirange<T>", {"tstzmultirange"}, pg::multirange<sys_seconds>{{{std::nullopt, sys_seconds(1s)}}});
  using asio::ip::make_address;
  c.same("asio::ip::address", {"inet"}, make_address("2001:db8::1"));
  c.same("asio::ip::address_v4", {"inet"}, asio::ip::address_v4({10, 0, 0, 1}));
  c.same("asio::ip::address_v6", {"inet"}, asio::ip::address_v6::loopback());
  c.same("postgres::inet", {"inet"}, pg::inet(make_address("192.168.0.1"), 24));
  c.same("postgres::inet", {"cidr"}, pg::inet(make_address("192.168.0.0"), 24));
  c.same("asio::ip::network_v4", {"inet", "cidr"}, asio::ip::network_v4(asio::ip::address_v4({10, 0, 0, 0}), 8));
  c.same("asio::ip::network_v6", {"inet", "cidr"}, asio::ip::network_v6(make_address("2001:db8::").to_v6(), 32));
  using any = std::variant<std::monostate, int, double, sys_seconds, std::string>;
  c.same("std::variant<Ts...>", {"int4"}, any(7));
  c.same("std::variant<Ts...>", {"float8"}, any(0.5));
  c.same("std::variant<Ts...>", {"text"}, any("seven"));
}

}  // namespace table_cases
}  // namespace

template <>
struct tidepool::postgres::codec<table_cases::tone> : tidepool::postgres::enum_codec<table_cases::tone> {
  static constexpr std::pair<table_cases::tone, std::string_view> names[] = {{table_cases::tone::sad, "sad"},
                                                                             {table_cases::tone::happy, "happy"}};
};
template <>
struct tidepool::postgres::codec<table_cases::level> : tidepool::postgres::enum_number_codec<table_cases::level> {
  static constexpr table_cases::level values[] = {table_cases::level::low, table_cases::level::high};
};
template <>
struct tidepool::postgres::codec<table_cases::place> : tidepool::postgres::composite_codec<table_cases::place> {};

namespace {
namespace table_cases {

TEST_CASE("given the table of types in the reference, when each pair is sent, then it comes back the same", "[postgres][field-U6]") {
  NEEDS_SERVER();
  const auto [seen, wrong] = run([]() -> asio::awaitable<std::pair<pairs, std::string>> {
    auto db = co_await connect("options='-c client_min_messages=error'");
    co_await db.script("create type pg_temp.tone as enum ('sad', 'happy'); create type pg_temp.place as (number int4, street text)");
    checker c(db);
    plan_all(c);
    co_await c.run();
    co_return std::pair(c.seen, c.wrong);
  }());
  CHECK(wrong == "");
  const pairs told = in_the_reference();
  pairs untold, unchecked;
  for (const auto& pair : seen)
    if (!told.contains(pair)) untold.insert(pair);
  for (const auto& pair : told)
    if (!seen.contains(pair)) unchecked.insert(pair);
  CHECK(listed(untold) == "");
  CHECK(listed(unchecked) == "");
  CHECK(told.size() > 60);
}

TEST_CASE("given parameters that own memory, when a co_await expression makes them, then each is destroyed once", "[postgres][server]") {
  NEEDS_SERVER();
  const std::string seen = run([]() -> asio::awaitable<std::string> {
    auto c = co_await connect();
    const std::string word(60, 'w');
    const std::vector<std::string> words{word};
    const std::vector<int> bounds{3};
    const pg::numeric least(std::string(40, '1'));
    const std::vector<pg::range<pg::numeric>> parts{{least, std::nullopt}};
    // GCC 12 destroys aggregates of such an expression twice.
    auto out = co_await c.one<std::string>("select $1::jsonb ->> 0", pg::json("[\"" + word + "\"]"));
    out += co_await c.one<std::string>("select $1::text[]::text", pg::bounded_array<std::string>(words, bounds));
    out += co_await c.one<std::string>("select $1::numrange::text", pg::range<pg::numeric>(least, std::nullopt));
    out += co_await c.one<std::string>("select $1::nummultirange::text", pg::multirange<pg::numeric>(parts));
    co_return out;
  }());
  const std::string word(60, 'w');
  const std::string least(40, '1');
  CHECK(seen == word + "[3:3]={" + word + "}[" + least + ",){[" + least + ",)}");
}

}  // namespace table_cases
}  // namespace
