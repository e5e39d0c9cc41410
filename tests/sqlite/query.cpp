// SPDX-License-Identifier: BSL-1.0
// tidepool - statements of a SQLite connection: rows, types, errors, scripts, streams.
#include <string>
#include <tuple>
#include <vector>

#include "kit.hpp"

using namespace tidepool_tests;

namespace {

struct person {
  std::int64_t id;
  std::string name;
  std::optional<double> height;
  friend bool operator==(const person&, const person&) = default;
};

/// A connection to a database in memory, and what is done with it.
template <class Work>
auto in_memory(Work work, lite::options how = lite::options(":memory:")) {
  return run([](Work body, lite::options settings) -> decltype(work(std::declval<lite::connection&>())) {
    auto c = co_await lite::connection::connect(std::move(settings));
    co_return co_await body(c);
  }(std::move(work), std::move(how)));
}

}  // namespace

TEST_CASE("given a table, when rows are asked for as structs, tuples and scalars, then they are those") {
  in_memory([](lite::connection& c) -> asio::awaitable<void> {
    co_await c.script("create table people (id integer primary key, name text not null, height real); -- a comment");
    const auto made =
        co_await c.exec("insert into people (name, height) values (?1, ?2), (?3, ?4)", "Ann", 1.75, std::string("Bob"), std::nullopt);
    must(made.affected() == 2 && made.last_insert_rowid() == 2, "counts");
    const auto all = co_await c.all<person>("select id, name, height from people order by id");
    must(all == std::vector<person>{{1, "Ann", 1.75}, {2, "Bob", std::nullopt}}, "structs");
    const auto pair = co_await c.one<std::tuple<std::string, int>>("select name, id from people where id = ?", 2);
    must(pair == std::tuple("Bob", 2), "tuple");
    const auto none = co_await c.opt<std::string>("select name from people where id = ?1", 7);
    must(!none, "none");
    const auto rows = co_await c.exec("select name, id from people order by id");
    std::string text;
    for (const auto& [name, id] : rows.rows<std::string_view, int>()) text += std::string(name) + std::to_string(id);
    must(text == "Ann1Bob2", "rows");
    must(rows[1]["name"].as<std::string>() == "Bob" && rows[0][1].kind() == lite::storage::integer, "fields");
  });
}

TEST_CASE("given statements that are wrong, when they run, then errors say what, where, and what to do") {
  in_memory([](lite::connection& c) -> asio::awaitable<void> {
    co_await c.exec("create table t (id integer primary key, name text unique check (length(name) < 9))");
    co_await c.exec("insert into t values (1, 'one')");
    const auto syntax = co_await error_of(c.exec("selec 1"));
    must(syntax.reason() == lite::errc::database && syntax.is(SQLITE_ERROR), "syntax");
    must(std::string_view(syntax.what()).find("at \"HERE-->selec 1\"") != std::string_view::npos, syntax.what());
    const auto unique = co_await error_of(c.exec("insert into t values (2, ?1)", "one"));
    must(unique.sqlite_code() == SQLITE_CONSTRAINT_UNIQUE && unique.is(SQLITE_CONSTRAINT), "unique");
    must(std::string_view(unique.what()).find("SQLITE_CONSTRAINT_UNIQUE, 2067") != std::string_view::npos, unique.what());
    const auto several = co_await error_of(c.exec("select 1; select 2"));
    must(several.reason() == lite::errc::bad_usage, "several");
    const auto none = co_await error_of(c.exec("  -- nothing"));
    must(none.reason() == lite::errc::bad_usage, "none");
    const auto few = co_await error_of(c.exec("select ?1, ?2", 1));
    must(few.reason() == lite::errc::bad_parameter, "few");
    must(std::string_view(few.what()) == "sqlite: 1 parameter was given, and the statement takes 2", few.what());
    const auto columns = co_await error_of(c.one<int>("select 1, 2"));
    must(columns.reason() == lite::errc::columns, "columns");
    const auto null = co_await error_of(c.one<int>("select null as n"));
    must(null.reason() == lite::errc::null_value, "null");
    must(std::string_view(null.what()) == "sqlite: row 1, column 1 \"n\" (NULL): int takes no NULL; read it as std::optional<int>",
         null.what());
    const auto text = co_await error_of(c.one<int>("select 'seven'"));
    must(text.reason() == lite::errc::conversion, "conversion");
    const auto rows = co_await error_of(c.one<int>("select 1 union select 2"));
    must(rows.reason() == lite::errc::rows, "rows");
    const auto no_rows = co_await error_of(c.one<int>("delete from t"));
    must(no_rows.reason() == lite::errc::rows, "no rows");
    const int left = co_await c.one<int>("select count(*) from t");
    must(left == 0, "the connection goes on");
  });
}

TEST_CASE("given a row that cannot be read, when its error is told, then value and statement only by choice", "[sqlite-S6]") {
  const auto text_of = [](bool told) {
    lite::options how(":memory:");
    how.statement_in_errors = told;
    return in_memory(
        [](lite::connection& c) -> asio::awaitable<std::string> {
          const auto failed = co_await error_of(c.one<int>("select 'secret' where 'token' = ?1", "token"));
          co_return failed.what();
        },
        how);
  };
  const auto silent = text_of(false);
  CHECK_THAT(silent, has_text("row 1, column 1") && !has_text("secret") && !has_text("token"));
  CHECK_THAT(text_of(true), has_text("secret") && has_text("query.cpp:"));
}

TEST_CASE("given two operations of one connection at once, when the second begins, then it is refused as busy") {
  in_memory([](lite::connection& c) -> asio::awaitable<void> {
    auto rows = co_await c.stream<int>("with recursive n(i) as (select 1 union all select i + 1 from n limit 2000) select i from n");
    const auto second = co_await error_of(c.exec("select 1"));
    must(second.reason() == lite::errc::busy, "busy");
    must(c.after_lease() == tidepool::lease_end::broken, "in use");
    std::int64_t sum = 0;
    for (auto row = co_await rows.next(); row; row = co_await rows.next()) sum += *row;
    must(sum == 2001000, "all rows of several chunks");
    must(c.after_lease() == tidepool::lease_end::clean, "ended");
    co_await c.exec("select 1");
  });
}

TEST_CASE("given a stream that is left in the middle, when the connection is reset, then it is as new") {
  in_memory([](lite::connection& c) -> asio::awaitable<void> {
    {
      auto rows = co_await c.stream<int>("with recursive n(i) as (select 1 union all select i + 1 from n limit 2000) select i from n");
      (void)co_await rows.next();
    }
    must(!c.usable() && c.after_lease() == tidepool::lease_end::needs_reset, "needs a reset");
    const auto refused = co_await error_of(c.exec("select 1"));
    must(refused.reason() == lite::errc::needs_reset, "refused");
    co_await c.reset();
    must(c.usable(), "usable");
    auto again = co_await c.stream<int>("with recursive n(i) as (select 1 union all select i + 1 from n limit 2000) select i from n");
    (void)co_await again.next();
    co_await again.close();
    const int one = co_await c.one<int>("select 1");
    must(one == 1 && c.after_lease() == tidepool::lease_end::clean, "closed early");
    const auto wrong = co_await error_of(c.stream<int>("select 1 from nowhere"));
    must(wrong.reason() == lite::errc::database, "a wrong statement fails at once");
    co_await c.exec("select 1");
  });
}

TEST_CASE("given a function for run(), when it throws or returns, then so does the call, off the loop's thread") {
  in_memory([](lite::connection& c) -> asio::awaitable<void> {
    const auto here = std::this_thread::get_id();
    auto there = co_await c.run([&](sqlite3* db) {
      sqlite3_exec(db, "create table t (i); insert into t values (1), (2)", nullptr, nullptr, nullptr);
      return std::this_thread::get_id();
    });
    must(here != there, "on another thread");
    const int count = co_await c.one<int>("select count(*) from t");
    must(count == 2, "it ran");
    bool thrown = false;
    try {
      co_await c.run([](sqlite3*) { throw std::logic_error("mine"); });
    } catch (const std::logic_error&) {
      thrown = true;
    }
    must(thrown, "thrown on");
  });
}

TEST_CASE("given prepared statements and a cache, when they run again, then they are kept up to its size") {
  lite::options how(":memory:");
  how.statement_cache = 2;
  in_memory(
      [](lite::connection& c) -> asio::awaitable<void> {
        co_await c.script("create table t (i integer)");
        const auto insert = co_await c.prepare("insert into t values (?1)");
        must(insert.parameters() == 1 && insert.columns().empty(), "described");
        for (int i = 0; i < 5; ++i) co_await c.exec(insert, i);
        const auto select = co_await c.prepare("select i, i as twice from t");
        must(select.columns() == std::vector<std::string>{"i", "twice"}, "columns");
        must(c.cached_statements() == 2, "two");
        (void)co_await c.one<int>("select count(*) from t");
        must(c.cached_statements() == 2, "the oldest is gone");
        const auto before = co_await c.exec("select * from t");
        must(before.columns() == 1, "one column");
        co_await c.exec("alter table t add column more text");
        const auto rows = co_await c.exec("select * from t");
        must(rows.columns() == 2 && rows.size() == 5, "a changed schema");
        const auto wrong = co_await error_of(c.prepare("select * from nowhere"));
        must(wrong.is(SQLITE_ERROR), "wrong");
      },
      how);
}
