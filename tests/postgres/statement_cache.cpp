// SPDX-License-Identifier: BSL-1.0
// tidepool - statements that a connection keeps prepared by itself: what is prepared, what may run again, what the server forgets.
#include <string>
#include <utility>
#include <vector>

#include <tidepool/postgres/detail/execute.hpp>
#include <tidepool/postgres/detail/session.hpp>
#include <tidepool/postgres/detail/statement_cache.hpp>

#include "kit.hpp"
#include "recording_proxy.hpp"

using namespace tidepool_tests;

namespace {

pg::options cached(std::size_t size) {
  pg::options settings = patient();
  settings.statement_cache = size;
  return settings;
}

/// How many statements of ours the server has prepared for this session; COPY is never one of them.
asio::awaitable<int> prepared(pg::connection& c) {
  auto copy = co_await c.copy_out("copy (select name from pg_prepared_statements where name like 'tidepool%') to stdout");
  int count = 0;
  for (auto row = co_await copy.row<std::string>(); row; row = co_await copy.row<std::string>()) ++count;
  co_return count;
}

/// As a migration does: another type under the old name.
constexpr const char* recreate_mood =
    "create type cache_mood_new as enum ('sad', 'happy', 'fine');"
    "alter table cache_people alter mood type cache_mood_new using mood::text::cache_mood_new;"
    "drop type cache_mood; alter type cache_mood_new rename to cache_mood";

asio::awaitable<void> make_people(pg::connection& c) {
  co_await c.script(
      "drop table if exists cache_people; drop type if exists cache_mood; drop type if exists cache_mood_new;"
      "create type cache_mood as enum ('sad', 'happy'); create table cache_people (id int, mood cache_mood);"
      "insert into cache_people values (1, 'sad'), (2, 'happy')");
}

}  // namespace

// --- what is prepared -------------------------------------------------------------------------------------------------

TEST_CASE("given a cache, when a statement is used again, then it is prepared once per parameter types", "[postgres][server][field-L2]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(cached(8));
    for (int i = 0; i < 3; ++i) {
      const auto got = co_await c.one<std::string>("select $1", std::to_string(i));
      must(got == std::to_string(i), "the wrong text");
    }
    int count = co_await prepared(c);
    must(count == 1, "one statement");
    const auto text = co_await c.one<std::string>("select $1", "text");
    const std::vector<std::byte> one_byte(1);
    const auto bytes = co_await c.one<std::vector<std::byte>>("select $1", one_byte);
    must(text == "text" && bytes.size() == 1, "types were mixed up");
    count = co_await prepared(c);
    must(count == 2, "two statements");
    // The same text and types have the same name in another session.
    auto other = co_await pg::connection::connect(cached(8));
    co_await other.one<std::string>("select $1", "text");
    const auto names = [](pg::connection& of) {
      return of.one<std::string>(
          "select name from pg_prepared_statements where statement = 'select $1' and parameter_types::text = '{text}'");
    };
    const auto here = co_await names(c);
    const auto there = co_await names(other);
    must(here == there && here.size() == 41, "the names differ");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given texts, when they are looked at, then only what has a plan, for good, is prepared", "[postgres][field-F2]") {
  using namespace tidepool::postgres::detail;
  for (const char* sql : {"select 1", " \t\nSELECT 1", "-- why\nselect 1", "/* a /* b */ c */select 1", "((select 1) union (select 2))",
                          "With x as (select 1) table x", "insert into t values (1)", "update t set a = 1", "DELETE from t",
                          "merge into t using u on true", "values (1)", "table t", "select/**/1"}) {
    INFO(sql);
    CHECK(has_plan(sql));
  }
  for (const char* sql : {"",
                          "begin",
                          "start transaction",
                          "/**/commit",
                          "end",
                          "-- x\nrollback to savepoint a",
                          "abort",
                          "savepoint a",
                          "release a",
                          "prepare transaction 'x'",
                          "commit prepared 'x'",
                          "set a = 1",
                          "reset all",
                          "discard all",
                          "deallocate x",
                          "call p()",
                          "do 'x'",
                          "explain select 1",
                          "selected",
                          "select_1",
                          "-- select 1",
                          "/* select 1",
                          ";"}) {
    INFO(sql);
    CHECK_FALSE(has_plan(sql));
  }
  for (const char* sql : {"select 'now'::timestamptz", "select date 'TODAY'", "select ' tomorrow '::date", "select $$yesterday$$::date",
                          "select now from t"}) {
    INFO(sql);
    CHECK(names_a_moment(sql));
  }
  for (const char* sql :
       {"select now()", "select Now /* */ ()", "select 1 from t for update nowait", "select known, snow from t", "select 1"}) {
    INFO(sql);
    CHECK_FALSE(names_a_moment(sql));
  }
  CHECK(may_change_meaning("set search_path to a", false));
  CHECK_FALSE(may_change_meaning("set search_path to a", true));
  CHECK(may_change_meaning("RESET ALL", true));
  CHECK(may_change_meaning("set TimeZone to 'UTC'", true));
  CHECK(may_change_meaning("", false));
  CHECK_FALSE(may_change_meaning("set local statement_timeout = 100", false));
  CHECK(may_set_meaning("select set_config('search_path', $1, true)", false));
  CHECK(may_set_meaning("select pg_catalog.set_config ( $1, $2, true)", false));
  CHECK_FALSE(may_set_meaning("select set_config('app.tenant', $1, true)", false));
  CHECK_FALSE(may_set_meaning("select search_path from t", false));
  CHECK(is_set_local(" /**/ SET LOCAL a = 1"));
  CHECK_FALSE(is_set_local("set local a = 1; set b = 1"));
  CHECK_FALSE(is_set_local("set a = 1"));
}

TEST_CASE("given a literal that means the present, when its statement runs again, then the time is new", "[postgres][server][field-F5]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(cached(8));
    const auto first = co_await c.one<std::string>("select 'now'::timestamptz::text");
    co_await pause(2ms);
    const auto second = co_await c.one<std::string>("select 'now'::timestamptz::text");
    must(first != second, "time stands still");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a full list of statements, then the oldest is closed if it can be, else nothing is added", "[postgres][field-F5]") {
  using pg::detail::statement_cache;
  using pg::detail::statement_key;
  const std::vector<Oid> types;
  const statement_key a("a", types, "", "");
  const statement_key b("b", types, "", "");
  const statement_key c("c", types, "", "");
  statement_cache cache(2);
  for (const auto& key : {a, b}) {
    REQUIRE(cache.make_room(key, false));
    cache.insert(key, true, false);
  }
  CHECK_FALSE(cache.make_room(c, false));
  CHECK(cache.find(a) != nullptr);
  REQUIRE(cache.make_room(c, true));
  cache.insert(c, true, false);
  CHECK(cache.find(b) == nullptr);
  CHECK(cache.find(a) != nullptr);
  CHECK(cache.has_closing());
  CHECK(cache.next_closing() == b.id);
  CHECK_FALSE(cache.make_room(b, true));  // its name is still there
  cache.closed(b.id);
  CHECK_FALSE(cache.has_closing());
  cache.drop(a.id);
  cache.drop(c.id);
  CHECK(cache.size() == 0);
  CHECK_FALSE(cache.make_room(b, false));  // two names are still there
  cache.clear();
  CHECK_FALSE(cache.has_closing());
  CHECK(cache.make_room(b, false));
}

TEST_CASE("given two statements of one hash, when the second is looked up, then it is told apart and not added", "[postgres][field-L2]") {
  using pg::detail::statement_key;
  const std::vector<Oid> types;
  const statement_key one("select 1", types, "", "");
  statement_key two("select 2", types, "", "");
  CHECK_FALSE(one.id == two.id);
  two.id = one.id;
  pg::detail::statement_cache cache(8);
  cache.insert(one, true, false);
  CHECK(cache.find(two) == nullptr);
  CHECK_FALSE(cache.make_room(two, true));
  // Lengths count, not only bytes; and so do types and settings.
  const std::vector<Oid> number{23};
  const std::string zero("ab\0", 3);
  std::vector<pg::detail::statement_id> ids{statement_key("ab", types, "", "").id,  statement_key(zero, types, "", "").id,
                                            statement_key("ab", number, "", "").id, statement_key("ab", types, "x", "").id,
                                            statement_key("ab", types, "", "x").id, statement_key("", types, "", "").id};
  for (std::size_t i = 0; i < ids.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) CHECK_FALSE(ids[i] == ids[j]);
  }
}

// --- what may run again -----------------------------------------------------------------------------------------------

TEST_CASE("given a failed transaction and a full cache, when exec rolls it back, then the server hears it",
          "[postgres][server][field-F2]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(cached(3));
    for (const char* sql : {"select 1", "select 2", "select 3"}) co_await c.exec(sql);
    co_await c.exec("begin");
    co_await c.exec("savepoint here");
    (void)co_await error_of(c.exec("select 1/0"));
    const auto refused = co_await error_of(c.exec("select 1"));
    must(refused.is("25P02"), "a failed transaction takes no statements");
    co_await c.exec("rollback to savepoint here");
    const int one = co_await c.one<int>("select 1");
    must(one == 1, "the transaction goes on");
    (void)co_await error_of(c.exec("select 2/0"));
    co_await c.exec("rollback");
    must(!c.in_transaction(), "rolled back");
    const int count = co_await prepared(c);
    must(count <= 3, "more than fits");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a COMMIT that the server refuses, when it is sent through a cache, then it is told as refused",
          "[postgres][server][field-F3]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(cached(3));
    co_await c.script(
        "begin; create temp table parents (k int primary key) on commit delete rows; create temp table children (k int references "
        "parents)");
    const auto refused = co_await error_of(c.exec("commit"));
    must(refused.is("0A000") && !refused.stale() && !refused.retryable(), "the server's own refusal");
    const bool there = co_await c.one<bool>("select to_regclass('pg_temp.parents') is not null");
    must(!there, "nothing was committed");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a stale plan's SQLSTATE, when something had run before the error, then nothing runs twice",
          "[postgres][server][field-F4]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(cached(8));
    // Sequences go on although their transaction is undone, so they count what ran.
    co_await c.script(
        "drop table if exists cache_paid; create table cache_paid (n int); drop sequence if exists cache_runs; create sequence cache_runs;"
        "create or replace procedure pg_temp.pay(n int, state text) language plpgsql as $$ begin insert into cache_paid values (n); "
        "commit; "
        "raise exception 'no' using errcode = state; end $$;"
        "create or replace function pg_temp.run(state text) returns int language plpgsql as $$ begin perform nextval('cache_runs'); "
        "raise exception 'prepared statement \"tidepool_1\"' using errcode = state; end $$");
    int runs = 0;
    for (const char* state : {"0A000", "26000", "42P05", "42883", "XX000"}) {
      const auto paid = co_await error_of(c.exec("call pg_temp.pay($1::int, $2::text)", 1, state));
      must(paid.is(state) && !paid.stale(), "the procedure's error");
      for (int i = 0; i < 2; ++i) {
        const auto failed = co_await error_of(c.exec("select pg_temp.run($1)", state));
        must(failed.is(state) && !failed.stale() && !failed.retryable(), "the function's error");
        ++runs;
      }
    }
    const int paid = co_await c.one<int>("select count(*)::int from cache_paid");
    must(paid == 5, "paid twice");
    const int counted = co_await c.one<int>("select last_value::int from cache_runs");
    must(counted == runs, "run twice");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given errors of all kinds, when it is judged whether the statement has run, then only proof counts", "[postgres][field-F3]") {
  const auto judged = [](const char* state, const char* routine, const char* context, int position, bool infers = true) {
    pg::detail::diagnosis said;
    said.severity = "ERROR";
    said.sqlstate = state;
    said.routine = routine;
    said.context = context;
    said.position = position;
    said.message = "prepared statement \"ours\" is what this is about";
    return pg::detail::has_not_run(pg::error(pg::errc::server, "", said), "ours", infers);
  };
  CHECK(judged("0A000", "RevalidateCachedQuery", "", 0));
  CHECK_FALSE(judged("0A000", "PreCommit_on_commit_actions", "", 0));
  CHECK_FALSE(judged("0A000", "RevalidateCachedQuery", "PL/pgSQL function f() line 1 at RETURN", 0));
  CHECK(judged("26000", "", "", 0));
  CHECK(judged("42P05", "", "", 0));
  CHECK_FALSE(judged("26000", "exec_stmt_raise", "PL/pgSQL function f() line 1 at RAISE", 0));
  CHECK_FALSE(judged("26000", "exec_stmt_raise", "PL/pgSQL function f() line 1 at RAISE", 0, false));
  CHECK(judged("42883", "op_error", "", 28));
  CHECK_FALSE(judged("42883", "op_error", "", 0));
  CHECK_FALSE(judged("42883", "op_error", "PL/pgSQL function f() line 1 at PERFORM", 28));
  CHECK_FALSE(judged("23505", "_bt_check_unique", "", 0));
  CHECK(judged("XX000", "getTypeInputInfo", "unnamed portal parameter $2", 0));
  CHECK(judged("22P02", "enum_in", "unnamed portal parameter $12 = '...'", 0));
  CHECK_FALSE(judged("22P02", "enum_in", "unnamed portal parameter $12 = '...'", 0, false));
  CHECK_FALSE(judged("22P02", "enum_in", "", 0));
  CHECK_FALSE(judged("22P02", "enum_in", "SQL function \"f$1\" statement 1", 0));
  CHECK_FALSE(judged("22P02", "enum_in", "PL/pgSQL function f()\nSQL function $1", 0));
  CHECK_FALSE(judged("22P02", "enum_in", "12", 0));
  pg::detail::diagnosis gone;
  gone.severity = "FATAL";
  gone.sqlstate = "0A000";
  gone.routine = "RevalidateCachedQuery";
  CHECK_FALSE(pg::detail::has_not_run(pg::error(pg::errc::server, "", gone), "ours", true));
}

TEST_CASE("given a type dropped and made anew, when a cached statement uses it, then it runs as without a cache",
          "[postgres][server][field-R22]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto admin = co_await connect();
    co_await make_people(admin);
    auto c = co_await pg::connection::connect(cached(8));
    constexpr const char* ask = "select id from cache_people where mood = $1";
    constexpr const char* add = "insert into cache_people values ($1, $2)";
    int id = co_await c.one<int>(ask, "happy");
    must(id == 2, "before");
    co_await c.exec(add, 3, "sad");
    for (int round = 0; round < 2; ++round) {
      co_await admin.script(recreate_mood);
      for (int i = 0; i < 2; ++i) {
        id = co_await c.one<int>(ask, "happy");
        must(id == 2, "after");
        co_await c.exec(add, 3, "fine");
      }
      const int count = co_await prepared(c);
      must(count == 2, "prepared anew, and the old ones closed");
    }
    // What is wrong without a cache is wrong with one.
    const auto wrong = co_await error_of(c.exec(ask, "unheard of"));
    must(wrong.is("22P02") && !wrong.stale(), "a bad value is the caller's error");
    const int threes = co_await c.one<int>("select count(*)::int from cache_people where id = 3");
    must(threes == 5, "each insert once");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a schema for each tenant, when search_path changes, then cached statements follow", "[postgres][server][field-R16]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    {
      auto admin = co_await connect();
      co_await admin.script(
          "drop schema if exists cache_a cascade; drop schema if exists cache_b cascade; create schema cache_a; create schema cache_b;"
          "create type cache_a.mood as enum ('a'); create type cache_b.mood as enum ('b');"
          "create table cache_a.x (id int, m cache_a.mood); create table cache_b.x (id text, m cache_b.mood);"
          "insert into cache_a.x values (1, 'a'); insert into cache_b.x values ('two', 'b')");
    }
    auto c = co_await pg::connection::connect(cached(16));
    const auto check = [](bool first, const pg::result& got) { must(got[0][0].text() == (first ? "1" : "two"), "the other tenant's row"); };
    for (int i = 0; i < 6; ++i) {
      const bool first = i % 2 == 0;
      const std::string schema = first ? "cache_a" : "cache_b";
      co_await c.script("set search_path to " + schema);
      auto got = co_await c.exec("select * from x");
      check(first, got);
      got = co_await c.exec("select id from x where m = $1", first ? "a" : "b");
      check(first, got);
    }
    int count = co_await prepared(c);
    must(count == 4, "prepared for each");
    for (int i = 0; i < 6; ++i) {
      const bool first = i % 2 == 0;
      auto body = [&](pg::transaction& t) -> asio::awaitable<void> {
        if (i < 4) {
          co_await t.script(first ? "set local search_path to cache_a" : "set local search_path to cache_b");
        } else {
          co_await t.exec("select set_config('search_path', $1, true)", first ? "cache_a" : "cache_b");
        }
        const auto got = co_await t.exec("select * from x");
        check(first, got);
      };
      co_await c.transaction(body);
      const auto after = co_await c.exec("select * from x");
      check(false, after);
    }
    count = co_await prepared(c);
    must(count == 5, "those, and the one that calls set_config()");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given settings that change how literals are read, when they change, then cached statements follow",
          "[postgres][server][field-R16]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(cached(16));
    constexpr const char* ask = "select extract(month from '01/02/2024'::date)::int";
    const auto month = [&]() { return c.one<int>(ask); };
    for (int round = 0; round < 2; ++round) {
      co_await c.script("set datestyle to 'ISO, MDY'");
      int got = co_await month();
      must(got == 1, "month first");
      co_await c.script("set datestyle to 'ISO, DMY'");
      got = co_await month();
      must(got == 2, "day first");
      co_await c.reset(pg::reset_level::light);
      got = co_await month();
      must(got == 1, "as at the start");
    }
    auto body = [&](pg::transaction& t) -> asio::awaitable<void> {
      co_await t.script("set local datestyle to 'ISO, DMY'");
      const int inside = co_await t.one<int>(ask);
      must(inside == 2, "within the transaction");
    };
    co_await c.transaction(body);
    const int after = co_await month();
    must(after == 1, "after the transaction");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given names defined anew, when cached statements look them up, then they find the new ones", "[postgres][server][field-F5]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(cached(16));
    co_await c.script(
        "drop type if exists cache_number cascade; create type cache_number as enum ('a', 'b'); drop table if exists cache_shadowed;"
        "create table cache_shadowed as select 1 as n; drop function if exists cache_twice;"
        "create function cache_twice(n numeric) returns int language sql as 'select 1'");
    const auto all = [&c]() -> asio::awaitable<std::string> {
      std::string out;
      for (const char* sql : {"select cache_twice(7)::text", "select n::text from cache_shadowed",
                              "select (oid = 'cache_named'::regproc)::text from pg_proc where proname = 'cache_named'"}) {
        const auto got = co_await c.opt<std::string>(sql);
        out += got.value_or("-") + " ";
      }
      co_return out;
    };
    co_await c.script("create or replace function cache_named() returns int language sql as 'select 1'");
    std::string got;
    for (int i = 0; i < 2; ++i) got = co_await all();
    must(got == "1 1 true ", "before");
    co_await c.exec("create function cache_twice(n int) returns int language sql as 'select 2'");
    co_await c.script("drop function cache_named; create function cache_named() returns int language sql as 'select 2'");
    co_await c.exec("create temp table cache_shadowed as select 3 as n");
    for (int i = 0; i < 2; ++i) {
      got = co_await all();
      must(got == "2 3 true ", "after");
    }
    const int count = co_await prepared(c);
    must(count == 3, "the old ones were closed");
    // Within a transaction, and when that is undone.
    auto body = [&](pg::transaction& t) -> asio::awaitable<void> {
      co_await t.script("create function pg_temp.cache_other() returns int language sql as 'select 1'; drop function cache_twice(int)");
      const int inside = co_await t.one<int>("select cache_twice(7)::text::int");
      must(inside == 1, "within the transaction");
      throw std::out_of_range("leave");
    };
    bool left = false;
    try {
      co_await c.transaction(body);
    } catch (const std::out_of_range&) {
      left = true;
    }
    got = co_await all();
    must(left && got == "2 3 true ", "after it was undone");
    co_await c.script(
        "drop function cache_twice(int); drop function cache_twice(numeric); drop function cache_named; drop type cache_number");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a stale plan within a transaction, when retries are allowed, then the whole body runs again",
          "[postgres][server][field-F8]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto admin = co_await connect();
    co_await admin.script("drop table if exists cache_ddl; create table cache_ddl as select 1 as a");
    auto c = co_await pg::connection::connect(cached(8));
    constexpr const char* ask = "select * from cache_ddl";
    co_await c.exec(ask);
    int runs = 0;
    std::size_t columns = 0;
    auto body = [&](pg::transaction& t) -> asio::awaitable<void> {
      ++runs;
      const auto got = co_await t.exec(ask);
      columns = got.columns();
    };
    co_await admin.script("alter table cache_ddl add b int");
    co_await c.transaction(body, {.retries = 1, .retry_delay = 1ms});
    must(runs == 2 && columns == 2, "run again, with the new plan");
    // Nothing is run again that nobody asked for; but the next one is right.
    co_await c.exec(ask);
    co_await admin.script("alter table cache_ddl add c int");
    const auto failed = co_await error_of(c.transaction(body));
    must(failed.is("0A000") && failed.stale() && failed.retryable() && runs == 3, "told, and not run again");
    co_await c.transaction(body);
    must(columns == 3, "prepared anew");
    const int count = co_await prepared(c);
    must(count == 1, "the old one was closed");
  };
  CHECK_NOTHROW(run(task()));
}

// --- cache and server agree ---------------------------------------------------------------------------------------------

TEST_CASE("given statements forgotten behind the cache's back, when used again, then they run", "[postgres][server][field-F5]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(cached(8));
    auto body = [](pg::transaction& t) -> asio::awaitable<int> { co_return co_await t.one<int>("select 1 + $1", 2); };
    for (const char* forget : {"discard all", "deallocate all", "do $$begin execute 'deallocate all'; end$$"}) {
      const int twice = co_await c.one<int>("select 2 * $1", 3);
      const int before = co_await c.one<int>("select 1 + $1", 1);
      co_await c.script(forget);
      // One is found missing, so within a transaction, where nothing could be tried again, the other is not relied on.
      const int again = co_await c.one<int>("select 2 * $1", 3);
      const int inside = co_await c.transaction(body);
      must(twice == 6 && again == 6 && before == 2 && inside == 3, "a wrong number");
      for (int i = 0; i < 2; ++i) {
        const int after = co_await c.one<int>("select 1 + $1", 1);
        const int last = co_await c.one<int>("select 2 * $1", 3);
        must(after == 2 && last == 6, "a wrong number afterwards");
      }
      const int count = co_await prepared(c);
      must(count == 2, "the cache and the server disagree");
    }
    // Rolled back or not: DEALLOCATE knows no transactions.
    (void)co_await error_of(c.script("deallocate all; select 1/0"));
    const int inside = co_await c.transaction(body);
    must(inside == 3, "not known to be gone");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given the caller's own errors about prepared statements, when repeated, then nothing grows", "[postgres][server][field-F5]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(cached(6));
    for (int round = 0; round < 5; ++round) {
      for (int i = 0; i < 4; ++i) co_await c.exec("select $1::int + " + std::to_string(i), i);
      const auto missing = co_await error_of(c.exec("deallocate nosuch"));
      must(missing.is("26000"), "the caller's own");
      (void)co_await error_of(c.script("prepare mine as select 1; prepare mine as select 1"));
      (void)co_await error_of(c.exec("select 1/$1::int", 0));
      const int count = co_await prepared(c);
      must(count == 4, "the cache and the server disagree");
      co_await c.script("deallocate all");
    }
    // More statements than fit, and all of them with an error.
    for (int i = 0; i < 20; ++i) (void)co_await error_of(c.exec("select 1/$1::int + " + std::to_string(i), 0));
    int count = co_await prepared(c);
    must(count == 0, "one that fails is closed");
    for (int i = 0; i < 20; ++i) co_await c.exec("select $1::int + " + std::to_string(i), i);
    count = co_await prepared(c);
    must(count == 6, "as many as fit");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a name that is taken already, when its statement is used, then it runs all the same", "[postgres][server][field-F5]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(cached(8));
    const std::vector<Oid> any{0};  // as the server infers it
    const auto name = pg::detail::statement_id("select 1 + $1", any, "", c.parameter("search_path")).text();
    const std::string take = std::string("prepare ") + name.data() + " as select 0";
    for (int round = 0; round < 2; ++round) {
      co_await c.script("deallocate all; " + take);
      auto body = [](pg::transaction& t) -> asio::awaitable<int> { co_return co_await t.one<int>("select 1 + $1", 2); };
      if (round == 0) {
        for (int i = 0; i < 3; ++i) {
          const int sum = co_await c.one<int>("select 1 + $1", 1);
          must(sum == 2, "somebody else's statement");
        }
      } else {
        const auto failed = co_await error_of(c.transaction(body));
        must(failed.is("42P05") && failed.retryable(), "within a transaction the caller decides");
      }
      const int inside = co_await c.transaction(body);
      must(inside == 3, "somebody else's statement in a transaction");
      const int count = co_await prepared(c);
      must(count <= 1, "the cache and the server disagree");
    }
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a long transaction, when it meets many statements, then none of the cache's own SQL is in it",
          "[postgres][server][field-R04]") {
  NEEDS_SERVER();
  recording_proxy wire(server_port());
  auto task = [&]() -> asio::awaitable<void> {
    auto settings = through(wire.port());
    settings.statement_cache = 4;
    auto c = co_await pg::connection::connect(settings);
    for (int i = 0; i < 4; ++i) co_await c.exec("select $1::int + " + std::to_string(i), i);
    const auto before = wire.heard().size();
    auto body = [&](pg::transaction& t) -> asio::awaitable<void> {
      for (int i = 0; i < 10; ++i) {
        const int sum = co_await t.one<int>("select $1::int + " + std::to_string(i), 1);
        must(sum == 1 + i, "a wrong sum");
        auto fails = [i](pg::transaction& inner) -> asio::awaitable<void> {
          co_await inner.exec("select $1::int / " + std::to_string(i) + " / 0", 1);
        };
        const auto failed = co_await error_of(t.nested(fails));
        must(failed.is("22012"), "the statement's own error");
      }
      const auto said = wire.heard().substr(before);
      must(said.find("deallocate") == std::string::npos && said.find("current_setting") == std::string::npos, "SQL of our own");
    };
    co_await c.transaction(body);
    co_await c.exec("select $1::int", 1);
    const int count = co_await prepared(c);
    must(count <= 4, "more than fit");
    const auto names = co_await c.all<std::string>("select 'x' || $1::int", 1);
    must(names[0] == "x1", "goes on");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given housekeeping that fails, when a statement is done, then its caller does not hear of it", "[postgres][server][field-R04]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(cached(1));
    co_await c.exec("select 10 / $1::int", 1);
    // Dropped in a failed transaction, so to be closed later; and gone by then.
    co_await c.script("begin");
    const auto failed = co_await error_of(c.exec("select 10 / $1::int", 0));
    must(failed.is("22012"), "the statement's own error");
    co_await c.script("rollback");
    must(c.session()->prepared.has_closing(), "to be closed later");
    co_await c.script("do $$begin execute 'deallocate all'; end$$");
    for (int i = 0; i < 4; ++i) {
      const int got = co_await c.one<int>("select $1::int + " + std::to_string(i), i);
      must(got == 2 * i, "a wrong number");
    }
    const int count = co_await prepared(c);
    must(count == 1, "the cache and the server disagree");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given functions and domains that change, when cached statements use them, then they follow",
          "[postgres][server][field-machine]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(cached(8));
    co_await c.script(
        "create function pg_temp.which(anyelement) returns text language sql as $$ select 'any' $$;"
        "create domain pg_temp.amount as int default 3; create temp table amounts (a pg_temp.amount)");
    const auto before = co_await c.one<std::string>("select pg_temp.which(1)");
    must(before == "any", "before");
    co_await c.exec("insert into amounts default values");
    co_await c.script(
        "create function pg_temp.which(int) returns text language sql as $$ select 'int' $$;"
        "alter domain pg_temp.amount set default 42");
    const auto after = co_await c.one<std::string>("select pg_temp.which(1)");
    must(after == "int", "the function that was meant before");
    co_await c.exec("insert into amounts default values");
    const auto amounts = co_await c.all<int>("select a from amounts order by a");
    must(amounts == std::vector<int>{3, 42}, "the default of before");
    // Tables need no such care: the server notices their changes.
    const int kept = co_await prepared(c);
    co_await c.script("create temp table other (a int); drop table other");
    const int still = co_await prepared(c);
    must(kept > 0 && still == kept, "the cache and the server disagree");
  };
  run(task());
}
