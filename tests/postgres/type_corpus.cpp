// SPDX-License-Identifier: BSL-1.0
// tidepool - every built-in type of the server, under several settings of the session: what is read and sent back is the same value.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <tidepool/postgres/types.hpp>

#include "kit.hpp"
#include "type_corpus.hpp"

using namespace tidepool_tests;

namespace {

namespace corpus_types {
enum class tide { low, space, quote, comma, backslash, null, braces };
struct pair {
  std::optional<int> number;
  std::optional<std::string> words;
  std::optional<pg::bounded_array<std::optional<int>>> many;
};
struct nested {
  std::optional<pair> inside;
  std::optional<std::chrono::sys_time<std::chrono::microseconds>> at;
  std::optional<std::vector<std::byte>> raw;
};

}  // namespace corpus_types
}  // namespace

template <>
struct tidepool::postgres::codec<corpus_types::tide> : tidepool::postgres::enum_codec<corpus_types::tide> {
  static constexpr std::pair<corpus_types::tide, std::string_view> names[] = {
      {corpus_types::tide::low, "low"},      {corpus_types::tide::space, "with space"},      {corpus_types::tide::quote, "qu'ote\""},
      {corpus_types::tide::comma, "comma,"}, {corpus_types::tide::backslash, "back\\slash"}, {corpus_types::tide::null, "NULL"},
      {corpus_types::tide::braces, "{}"}};
};
template <>
struct tidepool::postgres::codec<corpus_types::pair> : tidepool::postgres::composite_codec<corpus_types::pair> {};
template <>
struct tidepool::postgres::codec<corpus_types::nested> : tidepool::postgres::composite_codec<corpus_types::nested> {};

namespace {

struct settings {
  const char* dates;
  const char* intervals;
  const char* zone;
  const char* bytes;
  int digits;
  bool conforming;
  const char* encoding;

  bool iso() const { return std::string_view(dates).starts_with("ISO"); }
  std::string sql() const {
    return std::string("set datestyle to ") + dates + "; set intervalstyle to " + intervals + "; set timezone to '" + zone +
           "'; set bytea_output to " + bytes + "; set extra_float_digits to " + std::to_string(digits) +
           "; set standard_conforming_strings to " + (conforming ? "on" : "off") + "; set client_encoding to " + encoding;
  }
};

constexpr const char* date_styles[] = {"ISO, MDY", "SQL, DMY", "German", "Postgres, MDY"};
constexpr const char* interval_styles[] = {"postgres", "postgres_verbose", "sql_standard", "iso_8601"};
constexpr const char* zones[] = {"UTC", "America/New_York", "Asia/Kolkata", "<-03:30>+03:30"};
constexpr const char* byte_styles[] = {"hex", "escape"};
constexpr int float_digits[] = {1, 0, -15};
constexpr const char* encodings[] = {"UTF8", "LATIN1", "EUC_JP", "WIN1252"};

// Each value of each setting at least once.
std::vector<settings> some_combinations() {
  return {{"ISO, MDY", "postgres", "UTC", "hex", 1, true, "UTF8"},
          {"ISO, YMD", "postgres_verbose", "America/New_York", "escape", 3, false, "UTF8"},
          {"SQL, DMY", "sql_standard", "Asia/Kolkata", "hex", 0, true, "LATIN1"},
          {"German", "iso_8601", "<-03:30>+03:30", "escape", -15, false, "EUC_JP"},
          {"Postgres, MDY", "postgres", "Europe/Dublin", "escape", 1, true, "WIN1252"}};
}
// All that begin with these: each list is a matter of seconds.
std::vector<settings> all_combinations(const char* dates, const char* intervals, const char* zone, const char* encoding) {
  std::vector<settings> all;
  for (const char* b : byte_styles)
    for (const int f : float_digits)
      for (const bool c : {true, false}) all.push_back({dates, intervals, zone, b, f, c, encoding});
  return all;
}

struct findings {
  std::string failures;
  std::size_t wrong = 0, values = 0, typed = 0, refused = 0, arrays = 0, rows = 0;
  std::string where;

  void fail(const std::string& what) {
    if (++wrong <= 20) failures += where + ": " + what + "\n";
  }
};

struct table {
  corpus_type type;
  std::string name;
};

// By the image of the values: no operator of the type decides, -0 is not 0, and NULL is NULL.
std::string identical(const std::string& a, const std::string& b) { return "record_image_eq(row(" + a + "), row(" + b + "))"; }

template <class T>
asio::awaitable<void> check_typed(pg::connection& c, const table& t, const settings& now, findings& notes) {
  const std::string same = "select " + identical("$1::" + t.type.name, "v") + " from " + t.name + " where id = $2";
  const pg::result rows = co_await c.exec("select id, v, beyond, exact from " + t.name + " order by id");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const pg::row row = rows[i];
    const auto id = row[0].as<int>();
    const bool beyond = row[2].as<bool>();
    const bool exact = row[3].as<bool>();
    std::optional<T> value;
    bool refused = false;
    try {
      value = row[1].as<std::optional<T>>();
    } catch (const pg::error& failure) {
      refused = failure.reason() == pg::errc::conversion;
    }
    const std::string what = "value " + std::to_string(id) + " of " + t.type.name;
    if (refused) {
      ++notes.refused;
      if (!beyond && exact && now.iso()) notes.fail(what + " is refused: " + std::string(row[1].text()));
      continue;
    }
    ++notes.typed;
    if (!exact) continue;
    bool unsendable = false;
    bool equal = false;
    try {
      equal = co_await c.one<bool>(same, value, id);
    } catch (const pg::error& failure) {
      unsendable = failure.reason() == pg::errc::bad_parameter;
      if (!unsendable) notes.fail(what + ": " + failure.what());
    }
    if (unsendable ? !beyond : !equal) notes.fail(what + " came back as another: " + std::string(row[1].text()));
  }
  if (t.type.delimiter == '\0') co_return;
  const std::string aggregate = "select array_agg(v order by id) from " + t.name + " where not beyond and exact";
  const pg::result many = co_await c.exec(aggregate);
  std::optional<std::vector<std::optional<T>>> values;
  try {
    values = many.one<std::optional<std::vector<std::optional<T>>>>();
  } catch (const pg::error& failure) {
    if (now.iso()) notes.fail("array of " + t.type.name + ": " + failure.what());
  }
  if (!values) co_return;
  ++notes.arrays;
  const bool equal = co_await c.one<bool>("select " + identical("$1::" + t.type.name + "[]", "(" + aggregate + ")"), values);
  if (!equal) notes.fail("an array of " + t.type.name + " came back as another");
}

// As text, each value and all in an array.
template <class Array>
asio::awaitable<void> check_text(pg::connection& c, const table& t, bool one_by_one, findings& notes) {
  const pg::result rows = co_await c.exec("select id, v, exact from " + t.name + " order by id");
  std::vector<int> ids;
  std::vector<std::optional<std::string>> texts;
  for (auto [id, text, exact] : rows.rows<int, std::optional<std::string>, bool>()) {
    ++notes.values;
    if (!exact) continue;
    ids.push_back(id);
    texts.push_back(text);
  }
  const auto different =
      co_await c.all<int>("select id from " + t.name + " join unnest($1::int[], $2::text[]) u (id, x) using (id) where " + "not " +
                              identical("x::" + t.type.name, "v"),
                          ids, texts);
  for (const int id : different)
    notes.fail("value " + std::to_string(id) + " of " + t.type.name + ", sent as an array of texts, is another");
  for (std::size_t i = 0; one_by_one && i < ids.size(); ++i) {
    const bool same =
        co_await c.one<bool>("select " + identical("$1::" + t.type.name, "v") + " from " + t.name + " where id = $2", texts[i], ids[i]);
    if (!same) notes.fail("value " + std::to_string(ids[i]) + " of " + t.type.name + ", sent as text, is another: " + *texts[i]);
  }
  if (t.type.delimiter == '\0') co_return;
  const std::string aggregate = "select array_agg(v order by id) from " + t.name + " where exact";
  const auto many = co_await c.one<std::optional<Array>>(aggregate);
  if (!many) co_return;
  ++notes.arrays;
  const auto count = co_await c.one<std::size_t>("select cardinality((" + aggregate + "))");
  if (many->values.size() != count) notes.fail("an array of " + t.type.name + " has another number of elements");
  const bool equal = co_await c.one<bool>("select " + identical("$1::" + t.type.name + "[]", "(" + aggregate + ")"), many);
  if (!equal) notes.fail("an array of " + t.type.name + ", read as texts, came back as another");
}

// Out of one table by COPY and into another.
template <class Array>
asio::awaitable<void> check_copy(pg::connection& c, const table& t, findings& notes) {
  const std::string array = t.type.delimiter == '\0' ? "null::text[]" : "array[v, null]";
  pg::copy_reader out = co_await c.copy_out("copy (select id, v, " + array + " from " + t.name + " where exact order by id) to stdout");
  std::vector<std::tuple<int, std::optional<std::string>, std::optional<Array>>> rows;
  for (;;) {
    auto row = co_await out.row<std::tuple<int, std::optional<std::string>, std::optional<Array>>>();
    if (!row) break;
    rows.push_back(std::move(*row));
  }
  co_await c.script("delete from copied_" + t.name);
  pg::copy_writer in = co_await c.copy_in("copy copied_" + t.name + " from stdin");
  for (const auto& [id, text, many] : rows) co_await in.row(id, text, many);
  const auto taken = co_await in.finish();
  if (taken != rows.size()) notes.fail("COPY of " + t.type.name + " has another number of rows");
  notes.rows += rows.size();
  const std::string elements = t.type.delimiter == '\0' ? "" : " or not " + identical("n.many[1]", "o.v") + " or cardinality(n.many) <> 2";
  const auto different = co_await c.all<int>("select id from " + t.name + " o join copied_" + t.name + " n using (id) where (not " +
                                             identical("n.v", "o.v") + elements + ")");
  for (const int id : different) notes.fail("value " + std::to_string(id) + " of " + t.type.name + " is another after COPY");
}

template <char Delimiter>
asio::awaitable<void> check_as_text(pg::connection& c, const table& t, bool one_by_one, findings& notes) {
  using array = pg::bounded_array<std::optional<std::string>, Delimiter>;
  co_await check_text<array>(c, t, one_by_one, notes);
  co_await check_copy<array>(c, t, notes);
}

asio::awaitable<void> check_type(pg::connection& c, const table& t, const settings& now, bool one_by_one, findings& notes) {
  using std::vector;
  const std::string& name = t.type.name;
  (void)co_await c.exec("update " + t.name + " set exact = pg_temp.readable(v)");
  if (t.type.delimiter == ';') {
    co_await check_as_text<';'>(c, t, one_by_one, notes);
  } else {
    co_await check_as_text<','>(c, t, one_by_one, notes);
  }
  if (name == "bool") co_await check_typed<bool>(c, t, now, notes);
  if (name == "int2") co_await check_typed<std::int16_t>(c, t, now, notes);
  if (name == "int4" || name == "pg_temp.small") co_await check_typed<std::int32_t>(c, t, now, notes);
  if (name == "int8") co_await check_typed<std::int64_t>(c, t, now, notes);
  if (name == "oid" || name == "xid" || name == "cid") co_await check_typed<std::uint32_t>(c, t, now, notes);
  if (name == "xid8") co_await check_typed<std::uint64_t>(c, t, now, notes);
  if (name == "float4") co_await check_typed<float>(c, t, now, notes);
  if (name == "float4" || name == "float8") co_await check_typed<double>(c, t, now, notes);
  if (name == "\"char\"") co_await check_typed<char>(c, t, now, notes);
  if (name == "bytea") {
    co_await check_typed<vector<std::byte>>(c, t, now, notes);
    co_await check_typed<vector<unsigned char>>(c, t, now, notes);
  }
  if (name == "uuid") co_await check_typed<pg::uuid>(c, t, now, notes);
  if (name == "json" || name == "jsonb") co_await check_typed<pg::json>(c, t, now, notes);
  if (name == "date") {
    co_await check_typed<std::chrono::year_month_day>(c, t, now, notes);
    co_await check_typed<std::chrono::sys_days>(c, t, now, notes);
  }
  if (name == "time") co_await check_typed<pg::time_of_day>(c, t, now, notes);
  if (name == "timetz") co_await check_typed<pg::time_of_day_at_offset>(c, t, now, notes);
  if (name == "interval") co_await check_typed<pg::interval>(c, t, now, notes);
  if (name == "timestamp") co_await check_typed<std::chrono::local_time<std::chrono::microseconds>>(c, t, now, notes);
  if (name == "timestamptz") co_await check_typed<std::chrono::sys_time<std::chrono::microseconds>>(c, t, now, notes);
  if (name == "pg_temp.tide") co_await check_typed<corpus_types::tide>(c, t, now, notes);
  if (name == "pg_temp.pair") co_await check_typed<corpus_types::pair>(c, t, now, notes);
  if (name == "pg_temp.nested") co_await check_typed<corpus_types::nested>(c, t, now, notes);
  if (name == "numeric") co_await check_typed<pg::numeric>(c, t, now, notes);
  if (name == "inet" || name == "cidr") co_await check_typed<pg::inet>(c, t, now, notes);
  if (name == "int4range") co_await check_typed<pg::range<int>>(c, t, now, notes);
  if (name == "int8range") co_await check_typed<pg::range<std::int64_t>>(c, t, now, notes);
  if (name == "numrange") co_await check_typed<pg::range<pg::numeric>>(c, t, now, notes);
  if (name == "daterange") co_await check_typed<pg::range<std::chrono::sys_days>>(c, t, now, notes);
  if (name == "tsrange") co_await check_typed<pg::range<std::chrono::local_time<std::chrono::microseconds>>>(c, t, now, notes);
  if (name == "tstzrange") co_await check_typed<pg::range<std::chrono::sys_time<std::chrono::microseconds>>>(c, t, now, notes);
  if (name == "int4multirange") co_await check_typed<pg::multirange<int>>(c, t, now, notes);
  if (name == "tstzmultirange") co_await check_typed<pg::multirange<std::chrono::sys_seconds>>(c, t, now, notes);
}

asio::awaitable<findings> run_corpus(std::vector<settings> all, bool one_by_one) {
  findings notes;
  auto c = co_await connect("options='-c client_min_messages=error'");
  co_await c.script(corpus_types_sql);
  std::vector<table> tables;
  for (auto& type : type_corpus()) {
    table made{std::move(type), "corpus_" + std::to_string(tables.size())};
    const std::string array = made.type.delimiter == '\0' ? "text[]" : made.type.name + "[]";
    co_await c.script("create temporary table copied_" + made.name + " (id int, v " + made.type.name + ", many " + array + ")");
    std::string sql = "create temporary table " + made.name + " (id int, beyond bool, exact bool, v " + made.type.name + "); insert into " +
                      made.name + " values (0, false, true, null)";
    int id = 0;
    for (const auto& value : made.type.values) {
      const bool beyond = value.starts_with('!');
      sql += ", (" + std::to_string(++id) + ", " + (beyond ? "true, true, " : "false, true, ") + value.substr(beyond ? 1 : 0) + ")";
    }
    co_await c.script(sql);
    tables.push_back(std::move(made));
  }
  for (const auto& now : all) {
    co_await c.script(now.sql());
    for (const auto& t : tables) {
      notes.where = now.sql();
      bool lacking = false;
      try {
        co_await check_type(c, t, now, one_by_one, notes);
      } catch (const pg::error& failure) {
        // The encoding has no such character: told, and the type is left to the others.
        lacking = failure.is("22P05") && std::string_view(now.encoding) != "UTF8";
        if (!lacking) notes.fail(t.type.name + ": " + failure.what());
      }
    }
  }
  co_return notes;
}

}  // namespace

TEST_CASE("given values of every type, when read and sent back under some settings, then they are the same",
          "[postgres][codec][corpus][field-F6][field-R14]") {
  NEEDS_SERVER();
  const findings notes = run(run_corpus(some_combinations(), true));
  INFO(notes.failures);
  CHECK(notes.wrong == 0);
  CAPTURE(notes.values, notes.typed, notes.refused, notes.arrays, notes.rows);
  CHECK(notes.values > 1000);
  CHECK(notes.typed > 500);
  CHECK(notes.arrays > 300);
  CHECK(notes.rows > 1000);
}

TEST_CASE("given values of every type, when read and sent back under all settings, then they are the same", "[postgres][codec][corpus]") {
  NEEDS_SERVER();
  if (std::getenv("TIDEPOOL_LONG") == nullptr) return;
  const auto check = [](const char* dates, const char* intervals, const char* zone, const char* encoding) {
    const findings notes = run(run_corpus(all_combinations(dates, intervals, zone, encoding), false));
    INFO(notes.failures);
    CHECK(notes.wrong == 0);
    CHECK(notes.values > 1000);
  };
  for (const char* dates : date_styles)
    for (const char* intervals : interval_styles)
      for (const char* zone : zones)
        for (const char* encoding : encodings) check(dates, intervals, zone, encoding);
}
