// SPDX-License-Identifier: BSL-1.0
// tidepool - statements, parameters, results and errors against a real server.
#include <unistd.h>

#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include <tidepool/postgres/detail/sql_text.hpp>

#include "kit.hpp"

using namespace tidepool_tests;

namespace {

struct person {
  std::int64_t id = 0;
  std::string name;
  std::optional<double> score;
};

template <class T>
asio::awaitable<T> echo(pg::connection& c, std::string type, T value) {
  co_return co_await c.one<T>("select $1::" + type, value);
}

using stamp = std::chrono::sys_time<std::chrono::microseconds>;
using wall = std::chrono::local_time<std::chrono::microseconds>;

enum class feeling { sad, happy };

}  // namespace

template <>
struct tidepool::postgres::codec<feeling> : tidepool::postgres::enum_codec<feeling> {
  static constexpr std::pair<feeling, std::string_view> names[] = {{feeling::sad, "sad"}, {feeling::happy, "happy"}};
};

TEST_CASE("given a connection, when every supported type is sent and read back, then it is the same", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    auto c = co_await connect();
    int checked = 0;
    const auto check = [&checked](bool equal) {
      ++checked;
      if (!equal) throw std::runtime_error("value " + std::to_string(checked) + " came back different");
    };
    check(co_await echo(c, "bool", true));
    for (const auto v : {std::numeric_limits<std::int16_t>::min(), std::numeric_limits<std::int16_t>::max()})
      check(co_await echo(c, "int2", v) == v);
    for (const auto v : {std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()})
      check(co_await echo(c, "int4", v) == v);
    for (const auto v : {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()})
      check(co_await echo(c, "int8", v) == v);
    const std::uint64_t big = std::numeric_limits<std::uint64_t>::max();
    check(co_await echo(c, "numeric", big) == big);
    for (const double v : {0.1, 1e-307, 1.0 / 3.0, std::numeric_limits<double>::max(), -std::numeric_limits<double>::infinity()})
      check(co_await echo(c, "float8", v) == v);
    for (const float v : {0.1F, 1.0F / 3.0F, std::numeric_limits<float>::max()}) check(co_await echo(c, "float4", v) == v);
    const std::string text = "quote ' back\\slash \" caf\xc3\xa9 \xf0\x9f\x90\x98\n\t";
    check(co_await echo(c, "text", text) == text);
    check(co_await echo(c, "text", std::string()) == "");
    check(co_await echo(c, "\"char\"", 'x') == 'x');
    std::vector<std::byte> bytes(256);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i);
    check(co_await echo(c, "bytea", bytes) == bytes);
    const auto id = pg::codec<pg::uuid>::decode("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
    check(co_await echo(c, "uuid", id) == id);
    const stamp at = std::chrono::sys_days(std::chrono::year(2024) / 2 / 29) + 86399s + std::chrono::microseconds(123456);
    check(co_await echo(c, "timestamptz", at) == at);
    check(co_await echo(c, "timestamptz", stamp::max()) == stamp::max());
    const stamp ancient = std::chrono::sys_days(std::chrono::year(-43) / 3 / 15) + 12h;
    check(co_await echo(c, "timestamptz", ancient) == ancient);
    const wall local(at.time_since_epoch());
    check(co_await echo(c, "timestamp", local) == local);
    const auto day = std::chrono::year(2000) / std::chrono::February / 29;
    check(co_await echo(c, "date", std::chrono::year_month_day(day)) == day);
    const pg::json doc{R"({"a": [1, 2, {"b": null}]})"};
    check(co_await echo(c, "jsonb", doc) == doc);
    check(co_await echo(c, "json", doc) == doc);
    const std::vector<std::string> words{"", "NULL", "a,b", "{}", "quo\"te", "back\\slash"};
    check(co_await echo(c, "text[]", words) == words);
    const std::vector<std::optional<std::int64_t>> holes{1, std::nullopt, 3};
    check(co_await echo(c, "int8[]", holes) == holes);
    const std::vector<std::vector<int>> table{{1, 2}, {3, 4}};
    check(co_await echo(c, "int4[][]", table) == table);
    const std::vector<stamp> stamps{at, ancient};
    check(co_await echo(c, "timestamptz[]", stamps) == stamps);
    co_await c.script("create type pg_temp.feeling as enum ('sad', 'happy')");
    const auto happy = co_await echo(c, "pg_temp.feeling", feeling::happy);
    check(happy == feeling::happy);
    const auto none = co_await echo(c, "int4", std::optional<int>());
    check(!none.has_value());
    co_await c.script("set timezone to 'Asia/Kolkata'");
    check(co_await echo(c, "timestamptz", at) == at);
    co_await c.script("set bytea_output to escape");
    check(co_await echo(c, "bytea", bytes) == bytes);
    co_return checked;
  };
  CHECK(run(task()) == 36);
}

TEST_CASE("given a server whose dates are not ISO, when connected, then timestamps can still be read", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<stamp> {
    auto c = co_await connect("options='-c datestyle=german'");
    co_await c.reset(pg::reset_level::full);
    co_return co_await c.one<stamp>("select timestamptz '1970-01-01 00:00:01+00'");
  };
  CHECK(run(task()) == stamp(1s));
}

TEST_CASE("given rows, when read as tuples, structs, scalars and fields, then values are where they belong", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<pg::result> {
    auto c = co_await connect();
    co_return co_await c.exec(
        "select i as id, 'n' || i as name, case when i > 1 then i / 2.0 end as score from generate_series(1, 3) i order by i");
  };
  const auto r = run(task());
  CHECK(r.size() == 3);
  CHECK(r.columns() == 3);
  CHECK(r.column_name(2) == "score");
  CHECK(r.command() == "SELECT 3");
  CHECK(r.affected() == 3);
  int seen = 0;
  for (auto [id, name, score] : r.rows<int, std::string_view, std::optional<double>>()) {
    ++seen;
    CHECK(name == "n" + std::to_string(id));
    CHECK(score.has_value() == (id > 1));
  }
  CHECK(seen == 3);
  const auto people = r.all<person>();
  CHECK(people[2].score == 1.5);
  CHECK(people[1].name == "n2");
  CHECK(r[0]["name"].as<std::string>() == "n1");
  CHECK(r[0]["score"].is_null());
  CHECK(r[1].as<std::tuple<int, std::string, double>>() == std::tuple(2, std::string("n2"), 1.0));

  const auto reason = [](auto f) {
    try {
      f();
    } catch (const pg::error& failure) {
      return std::pair(failure.reason(), std::string(failure.what()));
    }
    return std::pair(pg::errc{}, std::string());
  };
  CHECK(reason([&] { (void)r[0].as<std::tuple<int, std::string, double>>(); }) ==
        std::pair(
            pg::errc::null_value,
            std::string("postgres: row 1, column 3 \"score\" (numeric) is NULL, and double takes none; read it as std::optional<double>")));
  CHECK(reason([&] { (void)r[0]["name"].as<int>(); }) ==
        std::pair(pg::errc::conversion, std::string("postgres: cannot read row 1, column 2 \"name\" (text) as int: not an integer")));
  CHECK(reason([&] { (void)r.all<int>(); }).first == pg::errc::columns);
  CHECK(reason([&] { (void)r.one<person>(); }).first == pg::errc::rows);
  CHECK(reason([&] { (void)r.opt<person>(); }).first == pg::errc::rows);
  CHECK(reason([&] { (void)r[3]; }).first == pg::errc::rows);
  CHECK(reason([&] { (void)r[0]["nobody"]; }).first == pg::errc::columns);
}

TEST_CASE("given all, one and opt, when rows are many, one or none, then each says what it must", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect();
    const auto all = co_await c.all<int>("select i from generate_series(1, $1) i", 4);
    const auto one = co_await c.one<std::pair<int, std::string>>("select 1, 'x'");
    const auto some = co_await c.opt<int>("select 5");
    const auto none = co_await c.opt<int>("select 5 where false");
    const auto two = co_await error_of(c.one<int>("select generate_series(1, 2)"));
    const auto wide = co_await error_of(c.opt<int>("select 1, 2 where false"));
    if (all != std::vector<int>{1, 2, 3, 4} || one.second != "x" || some != 5 || none) throw std::runtime_error("wrong values");
    if (two.reason() != pg::errc::rows || wide.reason() != pg::errc::columns) throw std::runtime_error("wrong errors");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given parameters with quotes, NULLs or lists, then they never become part of the statement", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect();
    const std::string evil = "'; drop table x; --";
    const auto back = co_await c.one<std::string>("select $1", evil);
    const char* nothing = nullptr;
    const auto nulls = co_await c.one<int>("select num_nulls($1::text, $2::text, $3::int, $4::text)", nullptr, std::nullopt,
                                           std::optional<int>(), nothing);
    const auto literal = co_await c.one<std::string>("select $1", "literal");
    const std::vector<int> ids{2, 4, 99};
    const auto any = co_await c.one<int>("select count(*)::int from generate_series(1, 9) i where i = any($1)", ids);
    const auto nul = co_await error_of([&]() -> asio::awaitable<void> { co_await c.exec("select $1", std::string_view("a\0b", 3)); }());
    if (back != evil || nulls != 4 || literal != "literal" || any != 2) throw std::runtime_error("wrong values");
    if (nul.reason() != pg::errc::bad_parameter || std::string(nul.what()).find("$1") == std::string::npos)
      throw std::runtime_error("NUL was not refused");
    co_await c.ping();
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given few and many parameters, when they are sent, then each arrives in its place", "[postgres][server][field-5]") {
  NEEDS_SERVER();
  // The sum of place times value tells a parameter that is missing, doubled or out of its place.
  const auto sum = []<int... Place>(pg::connection & c, bool prepared, std::integer_sequence<int, Place...>)->asio::awaitable<long> {
    const auto value = [](int place) { return (place * 7919) % 1000; };
    std::string sql = "select 0";
    ((sql += " + " + std::to_string(Place + 1) + " * length($" + std::to_string(Place + 1) + "::bytea)"), ...);
    const auto bytes = [&value](int place) { return std::vector<std::byte>(static_cast<std::size_t>(value(place))); };
    long expected = 0;
    ((expected += long{Place + 1} * value(Place)), ...);
    long got = 0;
    if (prepared) {
      const auto statement = co_await c.prepare(sql);
      got = co_await c.one<long>(statement, bytes(Place)...);
    } else {
      got = co_await c.one<long>(sql, bytes(Place)...);
    }
    if (got != expected) throw std::runtime_error(std::to_string(sizeof...(Place)) + " parameters: " + std::to_string(got));
    co_return got;
  };
  auto task = [&]() -> asio::awaitable<void> {
    auto c = co_await connect();
    for (const bool prepared : {false, true}) {
      (void)co_await sum(c, prepared, std::make_integer_sequence<int, 8>());
      (void)co_await sum(c, prepared, std::make_integer_sequence<int, 9>());
      (void)co_await sum(c, prepared, std::make_integer_sequence<int, 16>());
      (void)co_await sum(c, prepared, std::make_integer_sequence<int, 17>());
      (void)co_await sum(c, prepared, std::make_integer_sequence<int, 60>());
    }
    // Text, binary and NULL side by side.
    const std::vector<std::byte> two(2);
    const auto mixed = co_await c.one<std::string>(
        "select concat_ws(',', $1::int, length($2::bytea), $3::text, $4::int, $5::int, $6::int, $7::int, $8::int, $9::int, $10::int, "
        "$11::int, $12::int, $13::int, $14::int, $15::int, $16::int, $17::int, length($18::bytea))",
        1, two, std::optional<std::string>(), 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, two);
    if (mixed != "1,2,4,5,6,7,8,9,10,11,12,13,14,15,16,17,2") throw std::runtime_error(mixed);
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a failing statement, when its error is caught, then it has what the server told", "[postgres][server]") {
  NEEDS_SERVER();
  std::optional<pg::error> unique;
  std::optional<pg::error> syntax;
  bool usable = false;
  auto task = [&]() -> asio::awaitable<void> {
    auto c = co_await connect();
    co_await c.script("create temp table t (id int constraint only_one unique, secret text); insert into t values (1, 'x')");
    unique = co_await error_of(c.exec("insert into t values ($1, $2)", 1, "hidden"));
    syntax = co_await error_of(c.exec("selec 1"));
    usable = c.usable();
  };
  run(task());
  CHECK(unique->reason() == pg::errc::server);
  CHECK(unique->sqlstate() == "23505");
  CHECK(unique->severity() == "ERROR");
  CHECK(unique->constraint() == "only_one");
  CHECK(unique->table() == "t");
  CHECK(unique->detail() == "Key (id)=(1) already exists.");
  CHECK_FALSE(unique->connection_lost());
  CHECK(std::string(unique->what()).find("only_one") != std::string::npos);
  CHECK(std::string(unique->what()).find("hidden") == std::string::npos);
  CHECK(syntax->sqlstate() == "42601");
  CHECK(syntax->position() == 1);
  CHECK(usable);
}

TEST_CASE("given a script, when one of its statements fails, then nothing of it stays", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    auto c = co_await connect();
    co_await c.script("create temp table t (i int); insert into t values (1); select 1");
    (void)co_await error_of(c.script("insert into t values (2); select 1/0; insert into t values (3)"));
    co_return co_await c.one<int>("select count(*)::int from t");
  };
  CHECK(run(task()) == 1);
}

TEST_CASE("given COPY by a verb that cannot serve it, then it is refused before anything is done", "[postgres][server][field-F13]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    auto c = co_await connect();
    co_await c.script("create temp table t (i int); insert into t values (1)");
    const std::string out = " -- so\n /* and /* so */ */ ; Copy (delete from t where true returning ')', 1) to STDOUT";
    const auto refused = [](const pg::error& failure) {
      return failure.reason() == pg::errc::bad_usage && std::string(failure.what()).find("nothing was sent") != std::string::npos;
    };
    const auto by_exec = co_await error_of(c.exec(out));
    const auto by_script = co_await error_of(c.script(out + "; select 1"));
    const auto by_stream = co_await error_of(c.stream<int>(out));
    const auto by_prepare = co_await error_of(c.prepare("copy t from stdin"));
    const auto in = co_await error_of(c.exec("copy pg_temp.t (i) from stdin"));
    const auto insert = co_await error_of(c.copy_in("insert into t values (2)"));
    const auto reverse = co_await error_of(c.copy_in(out));
    const auto forward = co_await error_of(c.copy_out("copy t from stdin"));
    const auto remove = co_await error_of(c.copy_out("delete from t"));
    for (const auto* each : {&by_exec, &by_script, &by_stream, &by_prepare, &in, &insert, &reverse, &forward, &remove}) {
      if (!refused(*each)) throw std::runtime_error(std::string("not refused: ") + each->what());
    }
    if (!c.usable() || c.after_lease() != tidepool::lease_end::clean) throw std::runtime_error("the connection lives");
    // The server's own files are no business of the verbs for COPY.
    const auto file = co_await error_of(c.exec("copy t from '/nonexistent/tidepool'"));
    const auto program = co_await error_of(c.exec("copy t from program 'exit 1'"));
    if (!file.is("58P01") || !program.is("38000")) throw std::runtime_error("a COPY of the server's own was kept from it");
    co_return co_await c.one<int>("select count(*)::int from t");
  };
  CHECK(run(task()) == 1);
}

TEST_CASE("given COPY later in a script, then the error tells what was done, and what the server said after it",
          "[postgres][server][field-F13]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect();
    co_await c.script("create temp table t (i int); insert into t values (1)");
    const auto count = [&c] { return c.one<int>("select count(*)::int from t"); };
    const auto says = [](const pg::error& failure, const char* part) {
      return failure.reason() == pg::errc::bad_usage && std::string(failure.what()).find(part) != std::string::npos;
    };
    const auto in = co_await error_of(c.script("insert into t values (2); copy t from stdin; insert into t values (3)"));
    const auto after_in = co_await count();
    if (!says(in, "given up, and its transaction failed") || !in.sqlstate().empty() || after_in != 1) throw std::runtime_error("in");
    const auto later = co_await error_of(c.script("select 1; copy (delete from t returning 1) to stdout; select 1/0"));
    const auto after_later = co_await count();
    if (!says(later, "it was run") || !later.is("22012") || after_later != 1) throw std::runtime_error("a later error");
    const auto out = co_await error_of(c.script("select 1; copy (delete from t returning 1) to stdout"));
    const auto after_out = co_await count();
    if (!says(out, "it was run") || !out.sqlstate().empty() || after_out != 0) throw std::runtime_error("out");
    if (!c.usable()) throw std::runtime_error("the connection lives");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a text, when it is looked at for COPY, then only what is one is taken for it", "[postgres][field-F13]") {
  using kind = pg::detail::copy_kind;
  const auto of = [](std::string_view sql) { return pg::detail::may_be_copy(sql) ? pg::detail::copy_kind_of(sql) : kind::none; };
  for (const char* sql :
       {"", " ", "select 1", "/* copy t from stdin", "--copy t from stdin", "copyright", "commit", "\"copy\" t from stdin",
        "insert into t values ('copy t from stdin')", "(select 1)", "\xef\xbb\xbf", "'", ";;", "copy2 t from stdin"}) {
    CHECK(of(sql) == kind::none);
  }
  for (const char* sql :
       {"copy t from stdin", "COPY t FROM STDIN", "copy t from stdout", "copy binary t from stdin", "copy\"from\"from stdin",
        "copy a.\"to\"\"to\" (\"from\", b) from/**/stdin with (format csv)", "--x\ncopy t from stdin;"}) {
    CHECK(of(sql) == kind::from_client);
  }
  for (const char* sql : {"copy t to stdout", "copy (select $$ ) to 'x' $$, $a$ $$ ) $a$, ') to ', 1) to stdout",
                          "copy (select (1)) to stdin", "copy (select 1 /* ) */ -- )\n, 2) to stdout"}) {
    CHECK(of(sql) == kind::to_client);
  }
  CHECK(of("copy t from 'stdin'") == kind::server_file);
  CHECK(of("copy t to program 'stdout'") == kind::server_file);
  // A backslash in a string means this or that, by a setting.
  CHECK(of("copy (select '\\', ') from stdin --') to stdout") == kind::unclear);
  CHECK(of("copy") == kind::unclear);
  CHECK(of("copy t") == kind::unclear);
  CHECK(of("copy t; copy u from stdin") == kind::unclear);
}

TEST_CASE("given results and parameters of many megabytes, then they arrive whole and the connection retires",
          "[postgres][server][field-F7]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<bool> {
    auto c = co_await connect();
    if (c.after_lease() != tidepool::lease_end::clean) throw std::runtime_error("not clean at first");
    const std::string large(20'000'000, 'x');
    const auto length = co_await c.one<int>("select length($1)", large);
    if (c.after_lease() != tidepool::lease_end::clean) throw std::runtime_error("a large parameter is no reason");
    const auto back = co_await c.one<std::string>("select repeat('y', 20000000)");
    co_return length == 20'000'000 && back.size() == 20'000'000 && c.after_lease() == tidepool::lease_end::retired;
  };
  CHECK(run(task()));
}

TEST_CASE("given what a connection transfers, then one large message retires it, many small ones do not", "[postgres][server][field-F7]") {
  NEEDS_SERVER();
  enum class verb { exec, script, failure, notice, stream, copy_out, refused, closed, pipeline, sent, sent_pipeline };
  auto task = [](verb how, int rows, int bytes) -> asio::awaitable<bool> {
    pg::options settings = patient();
    settings.retire_after_result_bytes = 100'000;
    settings.retire_after_sent_bytes = 100'000;
    auto c = co_await pg::connection::connect(settings);
    const std::string size = std::to_string(bytes);
    const std::string query = "select repeat('x', " + size + ") from generate_series(1, " + std::to_string(rows) + ")";
    const std::string text(static_cast<std::size_t>(bytes), 'x');
    switch (how) {
      case verb::exec: co_await c.exec(query); break;
      case verb::script: co_await c.script(query + "; select 1"); break;
      case verb::failure: (void)co_await error_of(c.script("do $$begin raise '%', repeat('x', " + size + "); end$$")); break;
      case verb::notice: co_await c.script("do $$begin raise notice '%', repeat('x', " + size + "); end$$"); break;
      case verb::stream:
      case verb::closed: {
        auto all = co_await c.stream<std::string>(query);
        auto row = co_await all.next();
        if (how == verb::closed) {
          co_await all.close();
        } else {
          while (row) row = co_await all.next();
        }
        break;
      }
      case verb::copy_out: {
        auto out = co_await c.copy_out("copy (" + query + ") to stdout");
        auto row = co_await out.next();
        while (row) row = co_await out.next();
        break;
      }
      case verb::refused: (void)co_await error_of(c.script("select 1; copy (" + query + ") to stdout")); break;
      case verb::pipeline: {
        auto batch = c.pipeline(pg::pipeline_mode::atomic);
        batch.exec(query);
        co_await batch.run();
        break;
      }
      case verb::sent:
        for (int i = 0; i < rows; ++i) co_await c.exec("select length($1)", text);
        break;
      case verb::sent_pipeline: {
        auto batch = c.pipeline(pg::pipeline_mode::atomic);
        batch.exec("select length($1)", text);
        batch.exec("select length($1)", text);
        co_await batch.run();
        break;
      }
    }
    const auto end = c.after_lease();
    if (end != tidepool::lease_end::retired && end != tidepool::lease_end::clean) throw std::runtime_error("neither");
    co_return end == tidepool::lease_end::retired;
  };
  for (const auto how : {verb::exec, verb::script, verb::failure, verb::notice, verb::stream, verb::copy_out, verb::refused, verb::closed,
                         verb::pipeline, verb::sent}) {
    INFO(static_cast<int>(how));
    CHECK(run(task(how, 1, 110'000)));
    CHECK_FALSE(run(task(how, 2000, 200)));
  }
  CHECK(run(task(verb::sent_pipeline, 1, 60'000)));
}

TEST_CASE("given a server that talks while we send, when both have much to say, then neither waits for ever", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    auto c = co_await connect();
    // Every statement raises a notice of 1 kB; the script is far larger than the socket buffers.
    std::string script = "set client_min_messages to notice;";
    for (int i = 0; i < 30000; ++i) script += "do $$begin raise notice '%', repeat('n', 1000); end$$;";
    co_await c.script(script);
    co_return co_await c.one<int>("select 1");
  };
  CHECK(run(task()) == 1);
}

TEST_CASE("given an operation in progress, when another is started, then it fails at once and the first goes on", "[postgres][server]") {
  NEEDS_SERVER();
  int first = 0;
  std::optional<pg::error> second;
  asio::io_context context;
  auto task = [&]() -> asio::awaitable<void> {
    auto c = co_await connect();
    auto slow = [&]() -> asio::awaitable<void> { first = co_await c.one<int>("select 1 from pg_sleep(0.2)"); };
    asio::co_spawn(context, slow(), asio::detached);
    co_await pause(50ms);
    second = co_await error_of(c.exec("select 2"));
    while (first == 0) co_await pause(10ms);
  };
  asio::co_spawn(context, task(), asio::detached);
  context.run_for(hang);
  CHECK(first == 1);
  CHECK(second.value().reason() == pg::errc::busy);
}

TEST_CASE("given notices, when the server sends them, then the hook gets them and stderr nothing", "[postgres][server]") {
  NEEDS_SERVER();
  std::vector<std::string> heard;
  // libpq prints by default; what goes to stderr is caught in a file.
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  std::fflush(stderr);
  const int saved = ::dup(2);
  ::dup2(::fileno(file), 2);
  auto task = [&]() -> asio::awaitable<void> {
    pg::options settings = patient();
    settings.on_notice = [&heard](const pg::notice& n) { heard.push_back(std::string(n.severity) + " " + std::string(n.message)); };
    auto c = co_await pg::connection::connect(settings);
    co_await c.script("do $$begin raise notice 'hear me'; raise warning 'me too'; end$$; rollback");
    auto quiet = co_await connect();
    co_await quiet.script("do $$begin raise warning 'unheard'; end$$");
    auto victim = co_await connect();
    const auto killed = co_await c.one<bool>("select pg_terminate_backend($1)", victim.backend_pid());
    for (int i = 0; i < 500 && victim.usable(); ++i) co_await pause(10ms);
    if (!killed) throw std::runtime_error("not killed");
  };
  std::exception_ptr failure;
  try {
    run(task());
  } catch (...) {
    failure = std::current_exception();
  }
  std::fflush(stderr);
  ::dup2(saved, 2);
  ::close(saved);
  const long written = (std::fseek(file, 0, SEEK_END), std::ftell(file));
  std::fclose(file);
  if (failure) std::rethrow_exception(failure);
  CHECK(heard == std::vector<std::string>{"NOTICE hear me", "WARNING me too", "WARNING there is no transaction in progress"});
  CHECK(written == 0);
}

TEST_CASE("given a prepared statement, when executed, then its parameters are taken", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    auto c = co_await connect();
    const auto add = co_await c.prepare("select $1::int + $2::int");
    int sum = 0;
    for (int i = 0; i < 3; ++i) sum += co_await c.one<int>(add, i, 10);
    const auto wrong = co_await error_of(c.prepare("selec"));
    if (!wrong.is("42601")) throw std::runtime_error("a bad statement was prepared");
    co_return sum;
  };
  CHECK(run(task()) == 33);
}

TEST_CASE("given a statement cache, when tables change and statements are deallocated, then results stay right", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    pg::options settings = patient();
    settings.statement_cache = 2;
    auto c = co_await pg::connection::connect(settings);
    const auto prepared = [&c]() { return c.one<int>("select count(*)::int from pg_prepared_statements where name like 'tidepool%'"); };
    co_await c.script("create temp table t as select 1 as a");
    for (int i = 0; i < 3; ++i) {
      const auto row = co_await c.exec("select * from t");
      if (row.columns() != 1) throw std::runtime_error("wrong row");
    }
    co_await c.script("alter table t add b int");
    const auto wider = co_await c.exec("select * from t");
    if (wider.columns() != 2) throw std::runtime_error("the old plan was used");
    co_await c.script("deallocate all");
    const auto again = co_await c.exec("select * from t");
    if (again.columns() != 2) throw std::runtime_error("wrong after deallocate");
    for (int i = 0; i < 10; ++i) {
      const auto echoed = co_await c.one<int>("select $1 + " + std::to_string(i), 1);
      if (echoed != i + 1) throw std::runtime_error("wrong sum");
    }
    const int kept = co_await prepared();
    if (kept > 3) throw std::runtime_error("the cache does not keep its size");
    // Another parameter type is another statement.
    const auto text = co_await c.one<std::string>("select $1", "text");
    const std::vector<std::byte> one_byte(1);
    const auto bytes = co_await c.one<std::vector<std::byte>>("select $1", one_byte);
    if (text != "text" || bytes.size() != 1) throw std::runtime_error("types were mixed up");
    // A change of one's own is seen.
    auto body = [](pg::transaction& t) -> asio::awaitable<void> {
      co_await t.script("alter table t add c int");
      const auto wider_still = co_await t.exec("select * from t");
      if (wider_still.columns() != 3) throw std::runtime_error("the old plan was used in a transaction");
      throw std::out_of_range("leave");
    };
    bool left = false;
    try {
      co_await c.transaction(body);
    } catch (const std::out_of_range&) {
      left = true;
    }
    const auto after = co_await c.exec("select * from t");
    if (!left || after.columns() != 2) throw std::runtime_error("wrong after rollback");
    co_await c.reset(pg::reset_level::full);
    co_await c.exec("select 1");
  };
  CHECK_NOTHROW(run(task()));
}
