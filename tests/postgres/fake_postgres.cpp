// SPDX-License-Identifier: BSL-1.0
// tidepool - a scripted server behind the real driver: what is expected, answered, recorded and complained of. Needs no server.
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <tuple>
#include <vector>

#include "kit.hpp"

#include <tidepool/testing/postgres.hpp>

namespace {

using namespace tidepool_tests;
namespace testing = tidepool::testing;
using testing::fake_postgres;

bool has_words(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

/// Runs one handler on a pool of the fake server's.
template <class Work>
void with_pool(fake_postgres& db, Work work) {
  tidepool::pool_config config;
  config.min_size = 1;
  config.max_size = 2;
  config.name = "test";
  tidepool_tests::with_pool(db.connector(), config, std::move(work));
}

struct user {
  int id;
  std::string name;
  std::optional<double> score;
};

std::string complaint(fake_postgres& db) {
  try {
    db.verify();
  } catch (const std::logic_error& said) {
    return said.what();
  }
  return "";
}

}  // namespace

TEST_CASE("given expectations, when a handler asks for them, then it gets rows, counts and tags", "[field-U9]") {
  fake_postgres db;
  db.expect("select id, name, score from users where id = $1").with(7).returns({"id", "name", {"score", "float8"}}, {{7, "ann", nullptr}});
  db.expect(testing::sql_prefix("insert into users")).with(8, "bob").affects(1);
  db.expect(testing::sql_regex("^delete\\s")).affects(3);
  db.expect("create table t (a int)");
  db.expect("select x").returns({{1}, {2}, {3}});
  with_pool(db, [](pg::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    const auto got = co_await lease->one<user>("select  id, name, score\n from users where id = $1;", 7);
    must(got.id == 7 && got.name == "ann" && !got.score, "the row");
    const auto inserted = co_await lease->exec("insert into users values ($1, $2)", 8, "bob");
    must(inserted.affected() == 1 && inserted.command() == "INSERT 0 1", "the insert");
    const auto deleted = co_await lease->exec("DELETE from users");
    must(deleted.affected() == 3, "the delete");
    co_await lease->script("create table t (a int)");
    const auto numbers = co_await lease->all<int>("select x");
    must(numbers == std::vector<int>{1, 2, 3}, "all rows");
  });
  CHECK_NOTHROW(db.verify());
  const auto asked = db.asked();
  REQUIRE(asked.size() == 5);
  CHECK(asked[1].parameters == std::vector<std::optional<std::string>>{"8", "bob"});
  CHECK(asked[1].text() == "insert into users values ($1, $2) [8, bob]");
  CHECK(asked[2].answer == "DELETE 3");
  CHECK(db.asked(testing::sql_prefix("insert")).size() == 1);
}

TEST_CASE("given a statement nobody expected, when it is run, then the words list what was expected", "[field-U9]") {
  fake_postgres db;
  db.expect("select 1").with().times(2);
  db.expect(testing::sql_where("a big one", [](const testing::sql_statement& got) { return got.sql.size() > 1000; })).any_times();
  std::string seen;
  with_pool(db, [&](pg::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    co_await lease->exec("select 1");
    const auto failure = co_await error_of(lease->exec("select $1", std::optional<int>()));
    seen = failure.what();
    must(failure.is("XX000") && !failure.connection_lost(), "the error");
    must(lease->usable(), "the connection goes on");
  });
  CHECK(has_words(seen,
                  "unexpected statement: select $1 [NULL]; expected: (1) \"select 1\" [], met 1 of 2 times (2) a big one, met 0 times"));
  const auto said = complaint(db);
  CHECK(has_words(said,
                  "unexpected statement: select $1 [NULL]; expected:\n"
                  "    (1) \"select 1\" [], met 1 of 2 times\n"
                  "    (2) a big one, met 0 times"));
  CHECK(has_words(said, "not met: \"select 1\" [], met 1 of 2 times"));
}

TEST_CASE("given functions of a script that throw, when a statement meets one, then it fails and that is told", "[field-U9]") {
  fake_postgres db;
  db.expect("made").answers([](const testing::sql_statement&) { return testing::sql_answer().returns({"a", "b"}, {{1}}); });
  db.expect("lost").answers(
      [](const testing::sql_statement&) -> testing::sql_answer { throw tidepool::system_error(tidepool::error_code()); });
  db.allow(testing::sql_where("odd", [](const testing::sql_statement& got) -> bool {
    if (got.sql.starts_with("odd")) throw 7;
    return false;
  }));
  with_pool(db, [](pg::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    const auto made = co_await error_of(lease->exec("made"));
    must(made.is("XX000") && has_words(made.what(), "threw at the statement made: returns: a row of 1 values for 2 columns"), "the words");
    for (const char* sql : {"lost", "odd", "odd $1"}) {
      const auto failure = co_await error_of(lease->exec(sql));
      must(failure.is("XX000") && lease->usable(), "the connection goes on");
    }
    co_await error_of(lease->script("odd one; odd two"));
  });
  CHECK(db.problems().size() == 5);
  db.forget();
}

TEST_CASE("given a dollar sign in a literal, when the statement is prepared, then it is no parameter", "[field-U9]") {
  fake_postgres db;
  db.expect("select '$7', $1").with(5).returns({{"$7", 5}});
  with_pool(db, [](pg::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    const auto prepared = co_await lease->prepare("select '$7', $1");
    const auto row = co_await lease->one<std::tuple<std::string, int>>(prepared, 5);
    must(std::get<1>(row) == 5, "the row");
  });
  CHECK_NOTHROW(db.verify());
}

TEST_CASE("given a client that does not read, when its session is ended, then the server does not wait for it", "[field-U9]") {
  fake_postgres db;
  db.expect("much").returns({{std::string(8'000'000, 'x')}});
  with_pool(db, [&db](pg::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    auto rows = [](pg::connection& c) -> asio::awaitable<void> { co_await error_of(c.exec("much")); };
    asio::co_spawn(co_await asio::this_coro::executor, rows(*lease), asio::detached);
    while (db.asked().empty()) co_await pause(1ms);
    std::this_thread::sleep_for(50ms);  // nobody reads meanwhile
    db.end_sessions();
    lease.discard();
  });
  CHECK(db.asked().at(0).answer == "MUCH");
}

TEST_CASE("given expectations in order, when they come in another order, then that is told", "[field-U9]") {
  fake_postgres db;
  db.in_order();
  db.expect("a");
  db.expect("b").any_times();
  db.expect("c");
  with_pool(db, [](pg::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    co_await error_of(lease->exec("c"));
    co_await lease->exec("a");
    co_await lease->exec("b");
    co_await lease->exec("b");
    co_await lease->exec("c");
    co_await error_of(lease->exec("b"));
  });
  CHECK(db.problems().size() == 2);
  db.forget();
  CHECK(db.problems().empty());
}

TEST_CASE("given one statement expected twice, when it is run twice, then each has its own answer", "[field-U9]") {
  fake_postgres db;
  db.expect("select n").returns({{1}});
  db.expect("select n").returns({{2}});
  db.allow("select n").answers([](const testing::sql_statement& got) { return testing::sql_answer().returns({{got.session + 100}}); });
  db.otherwise().returns({{"other"}});
  with_pool(db, [](pg::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    const auto first = co_await lease->one<int>("select n");
    const auto second = co_await lease->one<int>("select n");
    const auto third = co_await lease->one<int>("select n");
    const auto other = co_await lease->one<std::string>("something else");
    must(first == 1 && second == 2 && third == 101 && other == "other", "the answers");
  });
  CHECK_NOTHROW(db.verify());
}

TEST_CASE("given an error in the script, when the statement runs, then all its fields are the handler's", "[field-U9]") {
  fake_postgres db;
  db.expect("insert").fails("23505", "duplicate key").constraint("users_pkey").detail("Key (id)=(1)").hint("another id").table("users");
  with_pool(db, [](pg::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    const auto failure = co_await error_of(lease->exec("insert"));
    must(failure.is("23505") && failure.message() == "duplicate key" && failure.constraint() == "users_pkey", "message and constraint");
    must(failure.detail() == "Key (id)=(1)" && failure.hint() == "another id" && failure.table() == "users", "more fields");
  });
  CHECK(db.asked().at(0).answer == "23505");
  CHECK_THROWS_AS(db.expect("x").constraint("c"), std::logic_error);
  CHECK_THROWS_AS(db.expect("x").fails("235", "short"), std::invalid_argument);
  CHECK_THROWS_AS(db.expect("x").returns({"a", "b"}, {{1}}), std::invalid_argument);
  CHECK_THROWS_AS(testing::sql_column("a", "no_such_type"), std::invalid_argument);
  db.forget();
}

TEST_CASE("given transactions, when they commit, fail or are swallowed, then the state is a server's", "[field-U9]") {
  fake_postgres db;
  db.expect("fine").times(3);
  db.expect("bad").times(2).fails("22012", "division by zero");
  with_pool(db, [](pg::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    auto good = [](pg::transaction& tx) -> asio::awaitable<void> {
      co_await tx.exec("fine");
      auto inner = [](pg::transaction& nested) -> asio::awaitable<void> { co_await nested.exec("bad"); };
      co_await error_of(tx.nested(inner));
      co_await tx.exec("fine");
    };
    co_await lease->transaction(good);
    auto swallows = [](pg::transaction& tx) -> asio::awaitable<void> {
      co_await error_of(tx.exec("bad"));
      const auto refused = co_await error_of(tx.exec("fine"));
      must(refused.is("25P02"), "a failed transaction refuses statements");
    };
    const auto failure = co_await error_of(lease->transaction(swallows));
    must(failure.reason() == pg::errc::rolled_back, "the commit was a rollback");
    co_await lease->exec("fine");
    must(lease->usable(), "clean again");
  });
  CHECK_NOTHROW(db.verify());
  std::string all;
  for (const auto& each : db.asked()) all += each.answer + " ";
  CHECK(all == "BEGIN FINE SAVEPOINT 22012 ROLLBACK RELEASE FINE COMMIT BEGIN 22012 25P02 ROLLBACK FINE ");
}

TEST_CASE("given a connection lost at COMMIT, when it was done or not, then the handler knows what it can", "[field-U9]") {
  const bool after = GENERATE(false, true);
  fake_postgres db;
  db.expect("insert");
  if (after) {
    db.expect("commit").loses_connection_after();
  } else {
    db.expect("insert more").loses_connection_before();
  }
  with_pool(db, [after](pg::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    auto body = [after](pg::transaction& tx) -> asio::awaitable<void> {
      co_await tx.exec("insert");
      if (!after) co_await tx.exec("insert more");
    };
    const auto failure = co_await error_of(lease->transaction(body));
    must(failure.outcome_unknown() == after, "whether the outcome is unknown");
    must(failure.connection_lost(), "the connection is lost");
  });
  CHECK_NOTHROW(db.verify());
}

TEST_CASE("given connects that are refused, when a pool acquires, then it fails with the server's reason", "[field-U9]") {
  fake_postgres db;
  const bool stopped = GENERATE(false, true);
  if (stopped) {
    db.stop();
  } else {
    db.refuse_connects("57P03", "the database system is starting up");
  }
  db.expect("select 1").returns({{1}});
  std::string seen;
  with_pool(db, [&](pg::pool& pool) -> asio::awaitable<void> {
    try {
      auto none = co_await pool.acquire(300ms);
    } catch (const tidepool::pool_error& failure) {
      seen = failure.what();
    }
    stopped ? db.start() : db.accept_connects();
    auto lease = co_await pool.acquire(10s);
    const auto one = co_await lease->one<int>("select 1");
    must(one == 1, "the server is back");
  });
  CHECK(has_words(seen, stopped ? "onnect" : "starting up"));
}

TEST_CASE("given a session ended by the script, when its connection is used, then that is lost with the reason", "[field-U9]") {
  fake_postgres db;
  db.expect("select 1").times(2).returns({{1}});
  with_pool(db, [&](pg::pool& pool) -> asio::awaitable<void> {
    {
      auto lease = co_await pool.acquire();
      co_await lease->exec("select 1");
      must(db.sessions() == 1, "one session");
      db.end_sessions();
      const auto failure = co_await error_of(lease->exec("select 1"));
      must(failure.connection_lost() && failure.is("57P01"), "lost, with the reason");
    }
    auto lease = co_await pool.acquire();
    co_await lease->exec("select 1");
  });
  CHECK(db.asked().back().session == 2);
}

TEST_CASE("given an answer that never comes, when the call has a time limit, then it is cancelled and kept", "[field-U9]") {
  fake_postgres db;
  db.expect("slow").never_answers();
  db.expect("late").latency(20ms).returns({{1}});
  with_pool(db, [](pg::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    const auto failure = co_await error_of(lease->exec(pg::within(30ms), "slow"));
    must(failure.reason() == pg::errc::response_timeout, "the time limit");
    const auto late = co_await lease->one<int>("late");
    must(late == 1, "the connection is kept");
  });
  CHECK(db.asked().at(0).answer == "57014");
}

TEST_CASE("given every other verb, when it is run on the script, then it works as on a server", "[field-U9]") {
  fake_postgres db;
  std::vector<std::string> told;
  db.expect("select many").returns({"n"}, {{1}, {2}, {3}});
  db.expect("prepared $1").with(5).returns({{50}});
  db.expect("prepared $1").with(6).returns({{60}});
  db.expect("insert one").affects(1);
  db.expect("two").fails("22012", "division by zero");
  db.expect("copy t from stdin");
  db.expect("copy t to stdout").returns({"a", "b"}, {{1, "x\ty"}, {2, nullptr}});
  db.expect("with notice").notice("careful").notifies("jobs", "work");
  db.expect("bytes $1").with(std::vector<std::byte>(2, std::byte{255})).returns({{std::vector<std::byte>(1, std::byte{7})}});
  run([](fake_postgres& server, std::vector<std::string>& out) -> asio::awaitable<void> {
    pg::options settings(server.conninfo());
    settings.on_notice = [&out](const pg::notice& said) { out.emplace_back(said.message); };
    auto db_connection = co_await pg::connection::connect(settings);
    auto stream = co_await db_connection.stream<int>("select many");
    int sum = 0;
    for (;;) {
      auto next = co_await stream.next();
      if (!next) break;
      sum += *next;
    }
    must(sum == 6, "the stream");
    const auto prepared = co_await db_connection.prepare("prepared $1");
    const auto five = co_await db_connection.one<int>(prepared, 5);
    const auto six = co_await db_connection.one<int>(prepared, 6);
    must(five == 50 && six == 60, "the prepared statement");
    auto both = db_connection.pipeline(pg::pipeline_mode::independent);
    auto first = both.exec("insert one");
    auto second = both.exec("two");
    try {
      co_await both.run();
    } catch (const pg::error&) {
    }
    must(first.get().affected() == 1, "the pipeline's first");
    auto copy = co_await db_connection.copy_in("copy t from stdin");
    co_await copy.row(1, "a");
    co_await copy.row(2, "b");
    const auto copied = co_await copy.finish();
    must(copied == 2, "rows copied in");
    auto out_rows = co_await db_connection.copy_out("copy t to stdout");
    auto line = co_await out_rows.row<std::tuple<int, std::optional<std::string>>>();
    must(line && std::get<0>(*line) == 1 && std::get<1>(*line) == "x\ty", "rows copied out");
    line = co_await out_rows.row<std::tuple<int, std::optional<std::string>>>();
    must(line && !std::get<1>(*line), "NULL copied out");
    line = co_await out_rows.row<std::tuple<int, std::optional<std::string>>>();
    must(!line, "the end");
    co_await db_connection.exec("with notice");
    const std::vector<std::byte> sent(2, std::byte{255});
    const auto bytes = co_await db_connection.one<std::vector<std::byte>>("bytes $1", sent);
    must(bytes == std::vector<std::byte>(1, std::byte{7}), "bytes");
    co_await db_connection.close();
  }(db, told));
  CHECK_NOTHROW(db.verify());
  CHECK(told == std::vector<std::string>{"careful"});
  CHECK(db.asked("copy t from stdin").at(0).copied == "1\ta\n2\tb\n");
}

TEST_CASE("given a script of several statements, when it is expected in parts or whole, then both are met", "[field-U9]") {
  fake_postgres db;
  db.expect("set a to ';'");
  db.expect("set b to 2");
  db.expect("whole; text");
  with_pool(db, [](pg::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    co_await lease->script("set a to ';'; set b to 2;");
    co_await lease->script("whole; text");
  });
  CHECK_NOTHROW(db.verify());
  CHECK(db.asked().size() == 3);
}

TEST_CASE("given an error that a mock makes, when it is looked at, then it is as one of the server's", "[field-U9]") {
  const auto made = pg::server_error("23505", "duplicate key", {.detail = "Key (id)=(1)", .constraint = "users_pkey", .position = 7});
  CHECK(made.reason() == pg::errc::server);
  CHECK(made.is("23505"));
  CHECK(made.constraint() == "users_pkey");
  CHECK(made.detail() == "Key (id)=(1)");
  CHECK(made.position() == 7);
  CHECK(has_words(made.what(), "23505 duplicate key (constraint users_pkey)"));
  CHECK(pg::server_error("40001", "could not serialize").retryable());
  CHECK_FALSE(made.connection_lost());
  CHECK(pg::server_error("57P01", "terminating", {.severity = "FATAL"}).connection_lost());
}
