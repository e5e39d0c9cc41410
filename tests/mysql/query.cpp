// SPDX-License-Identifier: BSL-1.0
// tidepool - statements of the MySQL driver: parameters, rows, several results, the statement cache, streams.
#include "fake_server.hpp"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <tuple>
#include <vector>

using namespace tidepool_tests;

namespace {
struct user {
  std::int64_t id;
  std::string name;
  std::optional<double> score;
};
}  // namespace

TEST_CASE("given a server, when connecting by URL, then statements, ping, reset and close work") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    const auto one = co_await c.one<int>("select 1");
    must(one == 1, "select 1");
    const auto sum = co_await c.one<std::int64_t>("select ? + ?", 40, 2);
    must(sum == 42, "a sum of parameters");
    co_await c.ping();
    co_await c.ping("select 1");
    co_await c.reset();
    co_await c.reset(my::reset_level::full);
    const auto again = co_await c.one<int>("select 1");
    must(again == 1, "after a reset");
    must(c.usable(), "usable");
    must(c.thread_id() != 0, "thread id");
  });
}

TEST_CASE("given rows, when they are read, then all, one, opt and exec give them as types") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    co_await c.exec("create temporary table u (id bigint primary key auto_increment, name varchar(50) not null, score double)");
    const auto first = co_await c.exec("insert into u (name, score) values (?, ?), (?, ?)", "Ada", 1.5, std::string("Bob"), std::nullopt);
    must(first.affected() == 2 && first.last_insert_id() == 1 && first.size() == 0, "counts of an insert");
    const auto users = co_await c.all<user>("select id, name, score from u order by id");
    must(users.size() == 2 && users[0].name == "Ada" && users[0].score == 1.5 && !users[1].score, "structs");
    const auto pair = co_await c.one<std::tuple<std::int64_t, std::string>>("select id, name from u where id = ?", 2);
    must(std::get<1>(pair) == "Bob", "a tuple");
    const auto none = co_await c.opt<std::string>("select name from u where id = ?", 99);
    must(!none, "no row");
    const auto rows = co_await c.exec("select id, name from u order by id");
    must(rows.size() == 2 && rows.columns() == 2 && rows.column_name(1) == "name", "a result");
    int seen = 0;
    for (auto [id, name] : rows.rows<std::int64_t, std::string_view>()) seen += static_cast<int>(id) + static_cast<int>(name.size());
    must(seen == 1 + 2 + 6, "a range of rows");
    must(rows[1]["name"].as<std::string>() == "Bob", "a field by name");
    const auto same = co_await c.exec("update u set name = 'Bob' where id = 2");
    must(same.affected() == 0, "rows that an update did not change");
    const auto warned = co_await c.exec("select cast('x' as signed)");
    must(warned.warnings() == 1, "warnings");
    for (const char* sql : {"select name from u", "select name from u where id = 99"}) {
      const auto failure = co_await error_of(c.one<std::string>(sql));
      must(failure.reason() == my::errc::rows, "a wrong number of rows");
    }
    const auto columns = co_await error_of(c.all<user>("select id from u"));
    must(columns.reason() == my::errc::columns, "a wrong number of columns");
    const auto null = co_await error_of(c.all<double>("select score from u"));
    must(null.reason() == my::errc::null_value && std::string(null.what()).find("\"score\"") != std::string::npos, null.what());
  });
}

TEST_CASE("given wrong statements, when they run, then the error has its number and the connection goes on") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    const auto syntax = co_await error_of(c.exec("selct 1"));
    must(syntax.is(1064) && syntax.sqlstate() == "42000" && !syntax.connection_lost() && !syntax.retryable(), syntax.what());
    const auto table = co_await error_of(c.exec("select * from no_such_table where a = ?", 1));
    must(table.is(1146), table.what());
    const auto count = co_await error_of(c.exec("select ? + ?", 1));
    must(count.reason() == my::errc::bad_parameter &&
             std::string(count.what()).find("takes 2 parameters, and 1 was given") != std::string::npos,
         count.what());
    const auto empty = co_await error_of([](my::connection& on) -> asio::awaitable<void> { co_await on.exec(""); }(c));
    must(empty.reason() == my::errc::bad_usage, empty.what());
    const auto several = co_await error_of(c.exec("select 1; select 2"));
    must(several.is(1064), "several statements outside of script()");
    const auto nan = co_await error_of(
        [](my::connection& on) -> asio::awaitable<void> { co_await on.exec("select ?", std::numeric_limits<double>::quiet_NaN()); }(c));
    must(nan.reason() == my::errc::bad_parameter && std::string(nan.what()).find("parameter 1") != std::string::npos, nan.what());
    co_await c.exec("create temporary table once (id int primary key)");
    co_await c.exec("insert into once values (1)");
    const auto twice = co_await error_of(c.exec("insert into once values (?)", 1));
    must(twice.is(1062) && twice.sqlstate() == "23000", twice.what());
    const auto value = co_await c.one<int>("select 7");
    must(value == 7, "afterwards");
  });
}

TEST_CASE("given statement_in_errors, when a statement fails, then its text and place are told, else not") {
  NEEDS_SERVER();
  my::options with(my_server());
  with.statement_in_errors = true;
  my_with(with, [](my::connection& c) -> asio::awaitable<void> {
    const auto told = co_await error_of(c.exec("select secret_column from nowhere"));
    must(told.statement() == "select secret_column from nowhere" && told.called_from().line() != 0, told.what());
    const auto read = co_await error_of(c.one<int>("select 'abc' as word"));
    must(std::string(read.what()).find("abc") != std::string::npos, read.what());
  });
  my_with([](my::connection& c) -> asio::awaitable<void> {
    const auto quiet = co_await error_of(c.one<int>("select 'abc' as word"));
    must(std::string(quiet.what()).find("abc") == std::string::npos && quiet.statement().empty(), quiet.what());
  });
}

namespace {
/// How many statements this session has prepared so far.
asio::awaitable<int> prepared_so_far(my::connection& c) {
  const auto got = co_await c.exec("select variable_value from information_schema.session_status where variable_name = 'COM_STMT_PREPARE'");
  co_return std::stoi(got[0][0].as<std::string>());
}
}  // namespace

TEST_CASE("given a cache of statements, when it is full or the session is reset, then statements leave it") {
  NEEDS_SERVER();
  my::options few(my_server());
  few.statement_cache = 3;
  my_with(few, [](my::connection& c) -> asio::awaitable<void> {
    const int before = co_await prepared_so_far(c);
    for (int i = 0; i < 5; ++i) must(co_await c.one<int>("select ? + 1", i) == i + 1, "a sum");
    const int once = co_await prepared_so_far(c);
    must(once == before + 1, "prepared once for five uses, but " + std::to_string(once - before));
    for (int i = 0; i < 5; ++i) {
      const std::string sql = "select ? + " + std::to_string(100 + i);
      must(co_await c.one<int>(sql, 1) == 101 + i, "another sum");
    }
    must(c.statements_kept() == 3, "three are kept");
    co_await c.reset(my::reset_level::full);
    must(c.statements_kept() == 0, "none after a reset");
    must(co_await c.one<int>("select ? + 104", 1) == 105, "after a reset");
    const auto s = co_await c.prepare("select ? + ? as total");
    must(s.parameters() == 2 && s.columns().size() == 1 && s.columns()[0] == "total", "what a statement tells");
    must(co_await c.one<int>(s, 20, 22) == 42, "a prepared statement");
  });
  few.statement_cache = 0;
  my_with(few, [](my::connection& c) -> asio::awaitable<void> {
    for (int i = 0; i < 3; ++i) must(co_await c.one<int>("select ? + 1", i) == i + 1, "without a cache");
    must(c.statements_kept() == 0, "nothing is kept");
  });
}

TEST_CASE("given a table that changes, when a kept statement runs again, then it gives the new columns") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    const auto name = my_name("change");
    co_await c.exec("create table " + name + " (a int)");
    co_await c.exec("insert into " + name + " values (1)");
    const std::string sql = "select * from " + name + " where 1 = ?";
    const auto first = co_await c.exec(sql, 1);
    must(first.columns() == 1, "one column");
    co_await c.exec("alter table " + name + " add b varchar(20) default 'x', modify a varchar(10)");
    const auto second = co_await c.exec(sql, 1);
    must(second.columns() == 2 && second[0][0].as<std::string>() == "1" && second[0][1].as<std::string>() == "x", "two columns");
    co_await c.exec("alter table " + name + " rename column a to c");
    const auto third = co_await c.exec(sql, 1);
    must(third.column_name(0) == "c", "a new name");
    co_await c.exec("drop table " + name);
    const auto gone = co_await error_of(c.exec(sql, 1));
    must(gone.is(1146), gone.what());
  });
}

TEST_CASE("given procedures and scripts, when they run, then all result sets come, and errors end a script") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    const auto name = my_name("proc");
    co_await c.exec("create procedure " + name + "(in n int) begin select n as first; select n + 1, n + 2; end");
    const auto got = co_await c.exec("call " + name + "(?)", 5);
    must(got.sets() == 3, "three sets: two selects and the end, but " + std::to_string(got.sets()));
    must(got[0][0].as<int>() == 5 && got.set(1)[0][1].as<int>() == 7 && got.set(2).columns() == 0, "their rows");
    const auto again = co_await c.exec("call " + name + "(?)", 6);
    must(again.set(1)[0][0].as<int>() == 7, "a second call");
    co_await c.exec("drop procedure " + name);
    co_await c.script("create temporary table s (a int); insert into s values (1), (2); select * from s;");
    must(co_await c.one<int>("select count(*) from s") == 2, "a script");
    const auto failed = co_await error_of(c.script("insert into s values (3); selct; insert into s values (4)"));
    must(failed.is(1064), failed.what());
    must(co_await c.one<int>("select count(*) from s") == 3, "until its error");
    const auto several = co_await error_of(c.exec("select 1; select 2"));
    must(several.is(1064), "and several statements are refused again");
  });
}

TEST_CASE("given many rows, when they are streamed, then all come in order, and a stream can be closed early") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    const char* const sql = "select seq, repeat('x', 100) from seq_1_to_20000 where seq > ?";
    auto rows = co_await c.stream<std::int64_t, std::string>(sql, 0);
    std::int64_t expected = 0;
    for (auto row = co_await rows.next(); row; row = co_await rows.next()) {
      ++expected;
      must(std::get<0>(*row) == expected && std::get<1>(*row).size() == 100, "row " + std::to_string(expected));
    }
    must(expected == 20000, "all of them");
    auto early = co_await c.stream<std::int64_t, std::string>(sql, 0);
    for (int i = 0; i < 300; ++i) (void)co_await early.next();
    const auto second = co_await error_of(c.exec("select 1"));
    must(second.reason() == my::errc::busy && std::string(second.what()).find("stream() is open") != std::string::npos, second.what());
    co_await early.close();
    must(co_await c.one<int>("select 1") == 1, "after an early end");
    auto wrong = co_await c.stream<int>("select if(seq = 3000, null, seq) from seq_1_to_5000");
    std::optional<my::error> failure;
    int count = 0;
    try {
      for (auto row = co_await wrong.next(); row; row = co_await wrong.next()) ++count;
    } catch (const my::error& e) {
      failure = e;
    }
    must(failure && failure->reason() == my::errc::null_value && std::string(failure->what()).find("row 3000") != std::string::npos &&
             count == 2999,
         "NULL in a row");
    co_await wrong.close();
    const auto syntax = co_await error_of(c.stream<int>("selct"));
    must(syntax.is(1064), syntax.what());
    must(co_await c.one<int>("select 1") == 1, "after errors");
  });
}

TEST_CASE("given LOAD DATA LOCAL, when it is allowed or not, then a file is read or none is") {
  NEEDS_SERVER();
  const std::string path = std::filesystem::temp_directory_path() / my_name("lines");
  std::ofstream(path) << "one\ntwo\n";
  for (const bool allowed : {false, true}) {
    my::options how(my_server());
    how.local_infile = allowed;
    my_with(how, [&](my::connection& c) -> asio::awaitable<void> {
      co_await c.exec("create temporary table l (line varchar(200))");
      std::optional<my::error> refused;
      try {
        co_await c.script("load data local infile '" + path + "' into table l");
      } catch (const my::error& e) {
        refused = e;
      }
      const int count = co_await c.one<int>("select count(*) from l");
      must(refused.has_value() != allowed && count == (allowed ? 2 : 0), refused ? refused->what() : "no error");
      must(!refused || !refused->connection_lost(), "the connection is kept");
    });
  }
  std::filesystem::remove(path);
}

TEST_CASE("given two operations at once, when the second begins, then it is refused and the first goes on") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    std::optional<int> slow;
    auto first = [](my::connection& on, std::optional<int>& out) -> asio::awaitable<void> {
      out = co_await on.one<int>("select sleep(0.2)");
    };
    asio::co_spawn(co_await asio::this_coro::executor, first(c, slow), asio::detached);
    co_await pause(50ms);
    const auto second = co_await error_of(c.exec("select 1"));
    must(second.reason() == my::errc::busy, second.what());
    while (!slow) co_await pause(10ms);
    must(*slow == 0, "the first");
    must(co_await c.one<int>("select 1") == 1, "afterwards");
  });
}

TEST_CASE("given a reader that is slow, when rows are streamed, then the server waits and memory stays small") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    auto watcher = co_await my::connection::connect(my::options(my_server()));
    const auto resident = [] {
      std::ifstream file("/proc/self/statm");
      long all = 0, now = 0;
      file >> all >> now;
      return now * 4 / 1024;
    };
    const auto before = resident();
    auto rows = co_await c.stream<std::string>("select repeat('x', 10000) from seq_1_to_100000");  // 1 GB
    for (int i = 0; i < 1000; ++i) (void)co_await rows.next();
    bool waits = false;
    for (int i = 0; i < 500 && !waits; ++i) {
      const auto state =
          co_await watcher.opt<std::optional<std::string>>("select state from information_schema.processlist where id = ?", c.thread_id());
      waits = state && *state && (*state)->find("net") != std::string::npos;
      if (!waits) co_await pause(10ms);
    }
    must(waits, "the server waits for the reader");
    must(resident() - before < 64, "a thousand rows later: " + std::to_string(resident() - before) + " MB more");
    co_await rows.close();
    const int one = co_await c.one<int>("select 1");
    must(one == 1, "and the connection is kept");
    co_await watcher.close();
  });
}

namespace {
/// A statement without parameters and columns was prepared.
const std::string prepared = std::string("\0\x01\0\0\0\0\0\0\0\0\0\0", 12);
const std::string unknown_statement = "\xff\xdb\x04#HY000Unknown prepared statement handler";

/// Runs "do 1" twice on a server that no longer knows the statement the second time.
std::optional<my::error> twice_on(my_fake_server& server, asio::io_context& context) {
  std::optional<my::error> failed;
  bool done = false;
  auto work = [&]() -> asio::awaitable<void> {
    auto c = co_await my::connection::connect(server.options());
    co_await c.exec("do 1");
    try {
      co_await c.exec("do 1");
    } catch (const my::error& e) {
      failed = e;
    }
    must(!failed || c.statements_kept() == 0, "what failed is not kept");
    done = true;
  };
  asio::co_spawn(context, work(), asio::detached);
  for (int i = 0; i < 1000 && !done; ++i) context.run_for(10ms);
  if (!done) throw std::runtime_error("the statement hangs");
  return failed;
}
}  // namespace

TEST_CASE("given a server that no longer knows a kept statement, when it runs, then it is prepared anew, once") {
  asio::io_context context;
  my_fake_server server(context, my_greeting(false), {my_ok, prepared, my_ok, unknown_statement, "", prepared, my_ok});
  CHECK_FALSE(twice_on(server, context));
  const auto& sent = server.received();
  const auto first = sent.find("do 1");
  CHECK(sent.find("do 1", first + 1) != std::string::npos);
  asio::io_context other;
  my_fake_server again(other, my_greeting(false), {my_ok, prepared, my_ok, unknown_statement, "", prepared, unknown_statement, ""});
  const auto still = twice_on(again, other);
  REQUIRE(still);
  CHECK(still->stale());
}

TEST_CASE("given a transaction, when a kept statement is no longer known, then the body is run again instead") {
  asio::io_context context;
  const std::string in_transaction("\0\0\0\x03\0\0\0", 7);
  my_fake_server server(context, my_greeting(false), {in_transaction, prepared, in_transaction, unknown_statement, ""});
  const auto failed = twice_on(server, context);
  REQUIRE(failed);
  CHECK(failed->stale());
  CHECK(failed->retryable());
  CHECK_FALSE(failed->connection_lost());
}
