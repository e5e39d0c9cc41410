// SPDX-License-Identifier: BSL-1.0
// tidepool - every usual slip with the PostgreSQL driver, and exactly what the error says. Read aloud, each says what to do.
#include <cstdint>
#include <functional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "kit.hpp"

using namespace tidepool_tests;

namespace {

struct slip {
  const char* name;
  std::function<asio::awaitable<void>(pg::connection&)> make;
  std::string says;
};

struct customer {
  int id;
  std::string name;
};

asio::awaitable<std::string> words_of(asio::awaitable<void> slipping) {
  std::string said = "no error";
  try {
    co_await std::move(slipping);
  } catch (const std::exception& failure) {
    said = failure.what();
  }
  co_return said;
}

/// What differs from the table, each with the name of its row.
asio::awaitable<std::string> differences(const std::vector<slip>& table, std::string more) {
  auto c = co_await connect(more);
  co_await c.script("create temporary table users (id int primary key, name text, mail text unique)");
  co_await c.script("insert into users values (1, 'Ann', 'ann@example.org'), (2, null, null)");
  std::string out;
  for (const auto& row : table) {
    const std::string said = co_await words_of(row.make(c));
    if (said != row.says) out += std::string("\n") + row.name + "\n  said:   " + said + "\n  wanted: " + row.says;
    if (c.in_transaction()) co_await c.script("rollback");
    // After each of them the connection serves the next statement.
    const int alive = co_await c.one<int>("select 7");
    must(alive == 7, row.name);
  }
  co_return out;
}

const std::vector<slip> statements = {
    {"a column that is misspelt",
     [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("select id, nmae from users where id = $1", 1); },
     "postgres: ERROR 42703 column \"nmae\" does not exist, at character 12: \"select id, HERE-->nmae from users where id = $1\"; hint: "
     "Perhaps you meant to reference the column \"users.name\"."},
    {"a syntax error in a long text of several lines",
     [](pg::connection& c) -> asio::awaitable<void> {
       co_await c.exec(
           "select id,\n       name -- the user's\n  from users\n where mail = 'secret@example.org'\n   adn id = $1 and name like "
           "'secret%'",
           1);
     },
     "postgres: ERROR 42601 syntax error at or near \"adn\", at character 89: \"select id, name from users where mail = '...' HERE-->adn "
     "id = $1 and name like '...'\""},
    {"the end of the text", [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("select id from"); },
     "postgres: ERROR 42601 syntax error at end of input, at character 15: \"select id from HERE-->\""},
    {"a duplicate", [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("insert into users values ($1, $2)", 1, "Bob"); },
     "postgres: ERROR 23505 duplicate key value violates unique constraint \"users_pkey\""},
    {"too few parameters", [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("select $1::int, $2::text", 1); },
     "postgres: 1 parameter was given, and the statement takes 2: ERROR 08P01 bind message supplies 1 parameters, but prepared statement "
     "\"\" requires 2"},
    {"no parameter where one is needed", [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("select $1::int"); },
     "postgres: no parameter was given, and the statement takes 1: ERROR 08P01 bind message supplies 0 parameters, but prepared statement "
     "\"\" requires 1"},
    {"too many parameters", [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("select $1::int", 1, 2); },
     "postgres: 2 parameters were given, and the statement takes 1: ERROR 42P18 could not determine data type of parameter $2"},
    {"a parameter for a text without one", [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("select 1", 1); },
     "postgres: 1 parameter was given, and the statement takes none: ERROR 42P18 could not determine data type of parameter $1"},
    {"a parameter between quotes",
     [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("select * from users where name = '$1'", "Ann"); },
     "postgres: 1 parameter was given, and the statement takes none: ERROR 42P18 could not determine data type of parameter $1; a $1 "
     "between quotes is text, not a parameter"},
    {"a parameter that the statement leaves out",
     [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("select $2::int", 1, 2); },
     "postgres: ERROR 42P18 could not determine data type of parameter $1; nothing tells its type, or nothing uses it: write it with a "
     "type, like $1::int4"},
    {"a parameter without a type", [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("select $1 is null", 1); },
     "postgres: ERROR 42P18 could not determine data type of parameter $1; nothing tells its type, or nothing uses it: write it with a "
     "type, like $1::int4"},
    {"a parameter for a name", [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("select * from $1", "users"); },
     "postgres: ERROR 42601 syntax error at or near \"$1\", at character 15: \"select * from HERE-->$1\"; a parameter stands for a value "
     "in SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES, not for a name, nor in other commands (instead of SET: select set_config($1, $2, "
     "false))"},
    {"a parameter in SET", [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("set work_mem = $1", "1MB"); },
     "postgres: ERROR 42601 syntax error at or near \"$1\", at character 16: \"set work_mem = HERE-->$1\"; a parameter stands for a value "
     "in SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES, not for a name, nor in other commands (instead of SET: select set_config($1, $2, "
     "false))"},
    {"parameters of other libraries",
     [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("select * from users where id = ?", 1); },
     "postgres: ERROR 42601 syntax error at end of input, at character 33: \"select * from users where id = ? HERE-->\"; parameters are "
     "written $1, $2, ..."},
    {"parameters of other libraries, by name",
     [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("select * from users where id = :id", 1); },
     "postgres: ERROR 42601 syntax error at or near \":\", at character 32: \"select * from users where id = HERE-->:id\"; parameters are "
     "written $1, $2, ..."},
    {"a parameter of a wrong type",
     [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("select * from users where id = $1", "Ann"); },
     "postgres: ERROR 22P02 invalid input syntax for type integer: \"Ann\" (parameter $1)"},
    {"a NUL byte in a parameter",
     [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("select $1::text", std::string("a\0b", 3)); },
     "postgres: parameter $1 holds a NUL byte, which text cannot: send bytes as std::vector<std::byte>"},
    {"two statements in exec", [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("select 1; select 2"); },
     "postgres: exec() and prepare() take one statement, and this text has several: ERROR 42601 cannot insert multiple commands into a "
     "prepared statement; use script() for several without parameters, a transaction or a pipeline for several with them"},
    {"two statements in prepare", [](pg::connection& c) -> asio::awaitable<void> { co_await c.prepare("select 1; select 2"); },
     "postgres: exec() and prepare() take one statement, and this text has several: ERROR 42601 cannot insert multiple commands into a "
     "prepared statement; use script() for several without parameters, a transaction or a pipeline for several with them"},
    {"a parameter in a script", [](pg::connection& c) -> asio::awaitable<void> { co_await c.script("delete from users where id = $1"); },
     "postgres: ERROR 42P02 there is no parameter $1, at character 30: \"delete from users where id = HERE-->$1\"; script() and COPY take "
     "no parameters: use exec(sql, args...)"},
    {"COPY from the client in exec", [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("copy users from stdin"); },
     "postgres: COPY ... FROM STDIN needs copy_in(): nothing was sent"},
    {"COPY to the client in exec", [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec("copy users to stdout"); },
     "postgres: COPY ... TO STDOUT needs copy_out(): nothing was sent"},
    {"COPY that does not come first",
     [](pg::connection& c) -> asio::awaitable<void> { co_await c.script("select 1; copy users to stdout"); },
     "postgres: COPY ... TO STDOUT is served only as the first statement of copy_out(): it was run, and its rows were dropped"},
    {"a statement in copy_in", [](pg::connection& c) -> asio::awaitable<void> { co_await c.copy_in("insert into users values (3)"); },
     "postgres: copy_in() takes COPY ... FROM STDIN, and the text does not begin with it: nothing was sent; use exec()"},
    {"COPY of the other direction", [](pg::connection& c) -> asio::awaitable<void> { co_await c.copy_in("copy users to stdout"); },
     "postgres: COPY ... TO STDOUT needs copy_out(), not copy_in(): nothing was sent"},
    {"a row of COPY that is wrong",
     [](pg::connection& c) -> asio::awaitable<void> {
       auto out = co_await c.copy_in("copy users (id, name) from stdin");
       co_await out.row(3, "Bob");
       co_await out.row("four", "Eve");
       co_await out.finish();
     },
     "postgres: ERROR 22P02 invalid input syntax for type integer: \"four\" (COPY users, line 2, column id)"},
    {"a failed transaction",
     [](pg::connection& c) -> asio::awaitable<void> {
       co_await c.script("begin");
       (void)co_await error_of(c.exec("select 1/0"));
       co_await c.exec("select 1");
     },
     "postgres: ERROR 25P02 current transaction is aborted, commands ignored until end of transaction block; an earlier statement of this "
     "transaction failed, see its error: roll back; nested() around what may fail keeps the rest"},
    {"a transaction in a transaction",
     [](pg::connection& c) -> asio::awaitable<void> {
       co_await c.script("begin");
       co_await c.transaction([](pg::transaction&) -> asio::awaitable<void> { co_return; });
     },
     "postgres: a transaction is open already: use nested() of that one"},
    {"a pipeline that has not run",
     [](pg::connection& c) -> asio::awaitable<void> {
       auto batch = c.pipeline(pg::pipeline_mode::atomic);
       const auto one = batch.exec("select 1");
       (void)one->size();
       co_return;
     },
     "postgres: the pipeline has not run yet: co_await its run() first"},
    {"too many parameters in a pipeline",
     [](pg::connection& c) -> asio::
                               awaitable<void> {
                                 auto batch = c.pipeline(pg::pipeline_mode::atomic);
                                 batch.exec("select 1");
                                 batch.exec("select $1::int", 1, 2);
                                 co_await batch.run();
                               },
     "postgres: 2 parameters were given, and the statement takes 1: ERROR 42P18 could not determine data type of parameter $2"},
    {"another statement of a pipeline that fails",
     [](pg::connection& c) -> asio::
                               awaitable<void> {
                                 auto batch = c.pipeline(pg::pipeline_mode::atomic);
                                 const auto first = batch.exec("select 1");
                                 batch.exec("select 1/0");
                                 (void)co_await error_of(batch.run());
                                 (void)first.get();
                               },
     "postgres: another statement of the pipeline failed, and its error says why: this one was not done"},
    {"COPY in a pipeline",
     [](pg::connection& c) -> asio::
                               awaitable<void> {
                                 auto batch = c.pipeline(pg::pipeline_mode::atomic);
                                 batch.exec("copy users from stdin");
                                 co_await batch.run();
                               },
     "postgres: COPY ... FROM STDIN needs copy_in(): nothing was sent"},
    {"too few parameters of a stream",
     [](pg::connection& c) -> asio::
                               awaitable<void> {
                                 auto rows = co_await c.stream<int>("select $1::int + $2::int", 1);
                                 (void)co_await rows.next();
                               },
     "postgres: 1 parameter was given, and the statement takes 2: ERROR 08P01 bind message supplies 1 parameters, but prepared statement "
     "\"\" requires 2"},
    {"too many parameters of a prepared statement",
     [](pg::connection& c) -> asio::
                               awaitable<void> {
                                 const pg::statement add = co_await c.prepare("select $1::int4 + $2::int4");
                                 co_await c.exec(add, 1, 2, 3);
                               },
     "postgres: 3 parameters were given, and the prepared statement takes 2: nothing was sent"},
    {"too few parameters of a prepared statement that is known by name alone",
     [](pg::connection& c) -> asio::
                               awaitable<void> {
                                 co_await c.script("prepare mine (int) as select $1");
                                 co_await c.exec(pg::statement("mine"));
                               },
     "postgres: the number of parameters given, 0, is not that of the prepared statement: ERROR 08P01 bind message supplies 0 parameters, "
     "but prepared statement \"mine\" requires 1"},
    {"a prepared statement of another connection",
     [](pg::connection& c) -> asio::awaitable<void> { co_await c.exec(pg::statement("of_another"), 1); },
     "postgres: ERROR 26000 prepared statement \"of_another\" does not exist; a statement of prepare() is known to its own connection "
     "only, and there until DISCARD or reset_level::full"},
};

const std::vector<slip> results = {
    {"NULL into a type without it",
     [](pg::connection& c) -> asio::awaitable<void> { (void)co_await c.all<customer>("select id, name from users order by id"); },
     "postgres: row 2, column 2 \"name\" (text) is NULL, and std::string takes none; read it as std::optional<std::string>"},
    {"NULL into a type without it, in a stream",
     [](pg::connection& c) -> asio::awaitable<void> {
       auto rows = co_await c.stream<std::string>("select name from users order by id");
       (void)co_await rows.next();
       const auto failure = co_await error_of(rows.next());
       (void)co_await rows.next();
       throw pg::error(failure);
     },
     "postgres: row 2, column 1 \"name\" (text) is NULL, and std::string takes none; read it as std::optional<std::string>"},
    {"a text into an int",
     [](pg::connection& c) -> asio::awaitable<void> { (void)co_await c.one<int>("select name from users where id = 1"); },
     "postgres: cannot read row 1, column 1 \"name\" (text) as int: not an integer"},
    {"a number that is too large", [](pg::connection& c) -> asio::awaitable<void> { (void)co_await c.one<int>("select 5000000000 as n"); },
     "postgres: cannot read row 1, column 1 \"n\" (int8) as int: not within the range of a 32-bit integer"},
    {"fewer columns than the tuple has",
     [](pg::connection& c) -> asio::awaitable<void> { (void)co_await c.all<std::tuple<int, std::string>>("select id from users"); },
     "postgres: the result has 1 column (id), and std::tuple<int, std::string> takes 2; select as many as the type has members, in their "
     "order"},
    {"more columns than the struct has",
     [](pg::connection& c) -> asio::awaitable<void> { (void)co_await c.all<customer>("select * from users"); },
     "postgres: the result has 3 columns (id, name, mail), and customer takes 2; select as many as the type has members, in their order"},
    {"rows of a statement without rows",
     [](pg::connection& c) -> asio::awaitable<void> { (void)co_await c.all<int>("delete from users where id = 9"); },
     "postgres: the statement returns no rows (DELETE 0); use exec(), or add RETURNING to it"},
    {"one of a statement without rows",
     [](pg::connection& c) -> asio::awaitable<void> { (void)co_await c.one<int>("delete from users where id = 9"); },
     "postgres: the statement returns no rows (DELETE 0); use exec(), or add RETURNING to it"},
    {"one of no row", [](pg::connection& c) -> asio::awaitable<void> { (void)co_await c.one<int>("select id from users where id = 9"); },
     "postgres: one() takes exactly one row, and there is none; opt() takes no row too"},
    {"one of several", [](pg::connection& c) -> asio::awaitable<void> { (void)co_await c.one<int>("select id from users"); },
     "postgres: one() takes exactly one row, and there are 2; all() takes any number; or narrow the condition, or add LIMIT 1"},
    {"opt of several", [](pg::connection& c) -> asio::awaitable<void> { (void)co_await c.opt<int>("select id from users"); },
     "postgres: opt() takes one row or none, and there are 2; all() takes any number; or narrow the condition, or add LIMIT 1"},
    {"a column that is not there, by name",
     [](pg::connection& c) -> asio::awaitable<void> {
       const auto all = co_await c.exec("select id, name from users");
       (void)all[0]["nmae"];
     },
     "postgres: no column \"nmae\": the result has 2 columns (id, name)"},
    {"a column that is not there, by index",
     [](pg::connection& c) -> asio::awaitable<void> {
       const auto all = co_await c.exec("select id, name from users");
       (void)all[0][2];
     },
     "postgres: no column with the index 2: the result has 2 columns (id, name); indexes count from 0"},
    {"a row that is not there",
     [](pg::connection& c) -> asio::awaitable<void> {
       const auto all = co_await c.exec("select id, name from users");
       (void)all[2];
     },
     "postgres: no row with the index 2: the result has 2; indexes count from 0"},
    {"a column of COPY that is NULL",
     [](pg::connection& c) -> asio::awaitable<void> {
       auto in = co_await c.copy_out("copy (select name from users order by id) to stdout");
       (void)co_await in.row<std::string>();
       const auto failure = co_await error_of(in.row<std::string>());
       (void)co_await in.row<std::string>();
       throw pg::error(failure);
     },
     "postgres: row 2, column 1 is NULL, and std::string takes none; read it as std::optional<std::string>"},
};

}  // namespace

TEST_CASE("given usual slips with statements, when they are made, then each error says what to do", "[field-U4]") {
  NEEDS_SERVER();
  CHECK(run(differences(statements, "")) == "");
}

TEST_CASE("given usual slips with results, when they are made, then each error says what to do", "[field-U4]") {
  NEEDS_SERVER();
  CHECK(run(differences(results, "")) == "");
}
