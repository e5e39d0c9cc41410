// SPDX-License-Identifier: BSL-1.0
// tidepool - the words of SQL errors: the place in the statement, and by choice its text, the place of the call and the value.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tidepool/postgres/detail/error_text.hpp>
#include <tidepool/postgres/detail/sql_tokens.hpp>

#include "kit.hpp"

using namespace tidepool_tests;

namespace {

std::string excerpt(std::string_view sql, int position, bool backslashes = false) {
  return pg::detail::excerpt_of(sql, position, backslashes);
}
bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

/// Of a library of strings that is not the standard's.
struct foreign_text {
  std::string inside;
  operator std::string_view() const { return inside; }
};

/// A function of a program that passes statements on.
asio::awaitable<int> number(pg::connection& c, pg::query_text sql) { co_return co_await c.one<int>(sql); }

asio::awaitable<pg::connection> connect_with_statements(std::size_t cached = 0) {
  pg::options settings = patient();
  settings.statement_in_errors = true;
  settings.statement_cache = cached;
  return pg::connection::connect(std::move(settings));
}

std::string called_at(int line) { return "; called at error_text.cpp:" + std::to_string(line); }

}  // namespace

TEST_CASE("given a position, when the statement is quoted around it, then it counts characters and stays short", "[field-U4]") {
  CHECK(excerpt("select nmae", 8) == "select HERE-->nmae");
  CHECK(excerpt("nmae", 1) == "HERE-->nmae");
  CHECK(excerpt("select", 7) == "select HERE-->");
  CHECK(excerpt("select", 99) == "select HERE-->");
  CHECK(excerpt("select", 0).empty());
  CHECK(excerpt("select \"größe\", nmae", 17) == "select \"größe\", HERE-->nmae");
  CHECK(excerpt("select '日本語', nmae", 15) == "select '...', HERE-->nmae");
  // Bytes that are no UTF-8 before the place: it is not known.
  CHECK(excerpt("select \"gr\xf6\xdf\x65\", nmae", 17).empty());
  CHECK(excerpt("select nmae, \"gr\xf6\xdf\x65\"", 8) == "select HERE-->nmae, \"gr\xf6\xdf\x65\"");
  CHECK(excerpt("select\n\t id, -- the key\n /* a /* deep */ one */ nmae\r\nfrom t", 49) == "select id, HERE-->nmae from t");
  CHECK(excerpt("select \x1b[31mnmae", 12) == "select \\x1b[31HERE-->mnmae");
  const std::string before(1000, 'a'), after(1000, 'b');
  const auto long_one = excerpt(before + " nmae " + after, 1002);
  CHECK(long_one == "..." + std::string(59, 'a') + " HERE-->nmae " + std::string(35, 'b') + "...");
  // A cut is never in the middle of a character.
  std::string umlauts;
  for (int i = 0; i < 200; ++i) umlauts += "ü";
  for (const int shift : {0, 1}) {
    const auto cut = excerpt(std::string(static_cast<std::size_t>(shift), 'x') + umlauts + " nmae" + umlauts, 202 + shift);
    INFO(cut);
    CHECK(cut.starts_with("...ü"));
    CHECK(cut.ends_with("ü..."));
    CHECK(cut.size() < 150);
  }
}

TEST_CASE("given secrets between quotes, when any place of the statement is quoted, then none is told", "[field-U4]") {
  for (const std::string sql :
       {"alter role app password 'S3CRET' nmae", "select E'it\\'s S3CRET', 'S3CRET' nmae", "select e'\\\\', 'S3CRET'",
        "select 'C:\\', 'S3CRET', nmae", "select 'it''s S3CRET' nmae", "select $$S3CRET$$, $x$ $$ S3CRET $x$, nmae",
        "select U&'\\0053S3CRET' nmae, N'S3CRET', b'1'", "select 'S3CRET", "select $t$S3CRET $$ ", "select E'S3CRET\\'",
        "select \"a'b\", 'S3CRET'", "-- it's\nselect 'S3CRET'", "/* ' /* ' */ ' */ select 'S3CRET' nmae", "select a$1$b, 'S3CRET'",
        "select $1, 'S3CRET', $2"}) {
    for (int position = 1; position <= static_cast<int>(sql.size()) + 2; ++position) {
      const auto told = excerpt(sql, position);
      INFO(told);
      CHECK_FALSE(told.empty());
      CHECK_FALSE(has(told, "S3CRET"));
    }
  }
  // Where the session lets a backslash escape in every literal.
  for (int position = 1; position < 40; ++position) CHECK_FALSE(has(excerpt("select 'it\\'s S3CRET' nmae", position, true), "S3CRET"));
}

TEST_CASE("given a text, when its parameters are counted, then those in quotes and comments are none", "[field-U4]") {
  const auto highest = [](std::string_view sql) { return pg::detail::highest_parameter(sql, false); };
  CHECK(highest("select 1") == 0);
  CHECK(highest("select $2, $10, $1") == 10);
  CHECK(highest("select '$3', \"$4\", $$ $5 $$, a$6, $1 -- $7\n /* $8 */") == 1);
  CHECK(highest("select $1$2") == 2);
  CHECK(highest("select $99999999999999999999") == 999999);
}

TEST_CASE("given the default options, when a statement fails, then neither its text nor the place is told", "[field-U4]") {
  NEEDS_SERVER();
  const auto failure = run([]() -> asio::awaitable<pg::error> {
    auto c = co_await connect();
    co_return co_await error_of(c.exec("select 'S3CRET', nmae"));
  }());
  CHECK(failure.excerpt() == "select '...', HERE-->nmae");
  CHECK(failure.position() == 18);
  CHECK(failure.statement().empty());
  CHECK(failure.called_from().line() == 0);
  CHECK(std::string(failure.what()) ==
        "postgres: ERROR 42703 column \"nmae\" does not exist, at character 18: \"select '...', HERE-->nmae\"");
}

TEST_CASE("given statement_in_errors, when any verb fails, then its text and the line of the call are told", "[field-U4]") {
  NEEDS_SERVER();
  struct wanted {
    std::string said, statement;
    int line;
  };
  const auto all = run([]() -> asio::awaitable<std::vector<wanted>> {
    std::vector<wanted> out;
    auto c = co_await connect_with_statements();
    const std::string text = "select 1 / 0";
    const auto add = [&out](const pg::error& failure, int line, std::string statement = "select 1 / 0") {
      out.push_back({failure.what(), std::move(statement), line});
    };
    const auto literal = co_await error_of(c.exec("select 1 / 0"));
    add(literal, __LINE__ - 1);
    const auto owned = co_await error_of(c.exec(text));
    add(owned, __LINE__ - 1);
    const auto view = co_await error_of(c.exec(std::string_view(text)));
    add(view, __LINE__ - 1);
    const auto pointer = co_await error_of(c.exec(text.c_str()));
    add(pointer, __LINE__ - 1);
    const foreign_text other{text};
    const auto foreign = co_await error_of(c.exec(other));
    add(foreign, __LINE__ - 1);
    const auto with_parameter = co_await error_of(c.exec("select 1 / $1::int", 0));
    add(with_parameter, __LINE__ - 1, "select 1 / $1::int");
    const auto within = co_await error_of(c.exec(pg::within(5s), "select 1 / 0"));
    add(within, __LINE__ - 1);
    const auto one = co_await error_of(c.one<int>("select 1 / 0"));
    add(one, __LINE__ - 1);
    const auto every = co_await error_of(c.all<int>(pg::within(5s), "select 1 / 0"));
    add(every, __LINE__ - 1);
    const auto opt = co_await error_of(c.opt<int>("select 1 / 0"));
    add(opt, __LINE__ - 1);
    const auto script = co_await error_of(c.script("select 1 / 0"));
    add(script, __LINE__ - 1);
    auto rows = co_await c.stream<int>("select 1 / 0");
    const int stream_line = __LINE__ - 1;
    const auto stream = co_await error_of(rows.next());
    add(stream, stream_line);
    const auto copy = co_await error_of(c.copy_out("copy (select 1 / 0) to stdout"));
    add(copy, __LINE__ - 1, "copy (select 1 / 0) to stdout");
    const auto refused = co_await error_of(c.exec("copy t from stdin"));
    add(refused, __LINE__ - 1, "copy t from stdin");
    auto batch = c.pipeline(pg::pipeline_mode::atomic);
    batch.exec("select 1");
    batch.exec("select 1 / 0");
    const int batch_line = __LINE__ - 1;
    const auto pipeline = co_await error_of(batch.run());
    add(pipeline, batch_line);
    const auto prepare = co_await error_of(c.prepare("select nmae"));
    add(prepare, __LINE__ - 1, "select nmae");
    const pg::statement divide = co_await c.prepare("select 1 / $1::int");
    const auto prepared = co_await error_of(c.exec(divide, 0));
    add(prepared, __LINE__ - 1, "select 1 / $1::int");
    const auto passed_on = co_await error_of(number(c, "select 1 / 0"));
    add(passed_on, __LINE__ - 1);
    auto cached = co_await connect_with_statements(4);
    const auto from_cache = co_await error_of(cached.exec("select nmae"));
    add(from_cache, __LINE__ - 1, "select nmae");
    const auto late = co_await error_of(c.exec(pg::within(20ms), "select pg_sleep(30)"));
    add(late, __LINE__ - 1, "select pg_sleep(30)");
    const auto lost = co_await error_of(c.exec("select pg_terminate_backend(pg_backend_pid())"));
    add(lost, __LINE__ - 1, "select pg_terminate_backend(pg_backend_pid())");
    co_return out;
  }());
  CHECK(all.size() == 21);
  for (const auto& each : all) {
    INFO(each.said);
    CHECK(each.said.ends_with("; statement: " + each.statement + called_at(each.line)));
  }
}

TEST_CASE("given statement_in_errors, when a result cannot be read, then value, statement and place are told", "[field-U4]") {
  NEEDS_SERVER();
  const auto all = run([]() -> asio::awaitable<std::vector<std::pair<std::string, int>>> {
    std::vector<std::pair<std::string, int>> out;
    auto c = co_await connect_with_statements();
    const auto unread = co_await error_of(c.all<int>("select 'twelve'::text as n"));
    out.emplace_back(unread.what(), __LINE__ - 1);
    const auto long_value = co_await error_of(c.one<int>("select repeat(E'x\\n', 100) as n"));
    out.emplace_back(long_value.what(), __LINE__ - 1);
    const auto more = co_await error_of(c.one<int>("select 1 union select 2"));
    out.emplace_back(more.what(), __LINE__ - 1);
    // The result is read long after its statement, when the connection has run others.
    const auto kept = co_await c.exec("select null::int as n");
    const int kept_line = __LINE__ - 1;
    co_await c.exec("select 1");
    try {
      (void)kept.one<int>();
    } catch (const pg::error& failure) {
      out.emplace_back(failure.what(), kept_line);
    }
    auto rows = co_await c.stream<int>("select case when i <> 4 then i::text else 'four' end as n from generate_series(1, 5) i");
    const int stream_line = __LINE__ - 1;
    for (int i = 0; i < 3; ++i) (void)co_await rows.next();
    const auto streamed = co_await error_of(rows.next());
    out.emplace_back(streamed.what(), stream_line);
    const auto after = co_await rows.next();
    const auto end = co_await rows.next();
    must(after == 5 && !end, "the stream goes on");
    co_return out;
  }());
  CHECK(all.at(0).first ==
        "postgres: cannot read row 1, column 1 \"n\" (text) as int: not an integer: \"twelve\"; statement: select "
        "'twelve'::text as n" +
            called_at(all.at(0).second));
  CHECK(has(all.at(1).first, "not an integer: \"x x x x x x x x x x x x x x x x x x x x ...\"; statement: "));
  CHECK(has(all.at(2).first, "one() takes exactly one row, and there are 2; all() takes any number"));
  CHECK(has(all.at(2).first, "; statement: select 1 union select 2" + called_at(all.at(2).second)));
  CHECK(all.at(3).first ==
        "postgres: row 1, column 1 \"n\" (int4) is NULL, and int takes none; read it as std::optional<int>; statement: select "
        "null::int as n" +
            called_at(all.at(3).second));
  CHECK(has(all.at(4).first, "cannot read row 4, column 1 \"n\" (text) as int: not an integer: \"four\"; statement: select case"));
  CHECK(all.at(4).first.ends_with(called_at(all.at(4).second)));
}

TEST_CASE("given a long statement, when its text is told, then it is one line, cut, and says how long it is", "[field-U4]") {
  const auto text = [](std::string_view sql) { return pg::detail::statement_text(sql); };
  CHECK(text("select\n   1,\n\t2") == "select 1, 2");
  CHECK(text("select '\x1b[2J'") == "select '\\x1b[2J'");
  const std::string large = "select '" + std::string(100000, 'x') + "'";
  CHECK(text(large) == "select '" + std::string(292, 'x') + "... (100009 bytes in all)");
}
