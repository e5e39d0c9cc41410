// SPDX-License-Identifier: BSL-1.0
// tidepool - a sandbox on a real server: handlers work as on the database itself, and nothing of it stays.
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "kit.hpp"

#include <tidepool/testing/postgres/sandbox.hpp>

namespace {

using namespace tidepool_tests;
namespace testing = tidepool::testing;

/// A table that is really there, and empty.
std::string table() {
  static const std::string name = [] {
    run([]() -> asio::awaitable<void> {
      auto c = co_await connect();
      co_await c.script(
          "drop table if exists sandbox_child; drop table if exists sandbox_test;"
          "create table sandbox_test (id int primary key, n int not null default 0);"
          "create table sandbox_child (id int references sandbox_test deferrable initially deferred)");
    }());
    return std::string("sandbox_test");
  }();
  return name;
}
int rows_outside() {
  return run([]() -> asio::awaitable<int> {
    auto c = co_await connect();
    const int rows = co_await c.one<int>("select count(*)::int from sandbox_test");
    co_return rows;
  }());
}

template <class Work>
void in_sandbox(testing::sandbox& box, Work work, std::size_t connections = 1) {
  tidepool::pool_config config;
  config.min_size = 0;
  config.max_size = connections;
  with_pool(box.connector(), config, std::move(work));
}

asio::awaitable<int> count(pg::connection& c) {
  const int rows = co_await c.one<int>("select count(*)::int from sandbox_test");
  co_return rows;
}

}  // namespace

TEST_CASE("given a sandbox, when handlers write and commit in it, then they see it and nothing stays", "[postgres][server][field-U9]") {
  NEEDS_SERVER();
  table();
  {
    testing::sandbox box{pg::options(server())};
    in_sandbox(box, [](pg::pool& pool) -> asio::awaitable<void> {
      auto lease = co_await pool.acquire();
      co_await lease->exec("insert into sandbox_test values ($1, $2)", 1, 10);
      auto body = [](pg::transaction& tx) -> asio::awaitable<int> {
        co_await tx.exec("insert into sandbox_test values (2)");
        auto inner = [](pg::transaction& nested) -> asio::awaitable<void> {
          co_await nested.exec("insert into sandbox_test values (3)");
          throw std::runtime_error("back to the savepoint");
        };
        try {
          co_await tx.nested(inner);
        } catch (const std::runtime_error&) {
        }
        const int rows = co_await tx.one<int>("select count(*)::int from sandbox_test");
        co_return rows;
      };
      const int rows = co_await lease->transaction(body);
      must(rows == 2, "the savepoint was rolled back");
      must(!lease->in_transaction() && lease->usable(), "for the client the transaction has ended");
      const auto prepared = co_await lease->prepare("select n from sandbox_test where id = $1");
      const int n = co_await lease->one<int>(prepared, 1);
      must(n == 10, "a prepared statement");
    });
    CHECK(rows_outside() == 0);
    // Another pool of the same sandbox sees what was done.
    in_sandbox(box, [](pg::pool& pool) -> asio::awaitable<void> {
      auto lease = co_await pool.acquire();
      const int rows = co_await count(*lease);
      must(rows == 2, "committed within the sandbox");
    });
    box.start_over();
    in_sandbox(box, [](pg::pool& pool) -> asio::awaitable<void> {
      auto lease = co_await pool.acquire();
      const int rows = co_await count(*lease);
      must(rows == 0, "rolled back");
    });
  }
  CHECK(rows_outside() == 0);
}

TEST_CASE("given a sandbox, when statements and transactions fail, then only they are undone", "[postgres][server][field-U9]") {
  NEEDS_SERVER();
  table();
  testing::sandbox box{pg::options(server())};
  in_sandbox(box, [](pg::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    co_await lease->exec("insert into sandbox_test values (1)");
    const auto twice = co_await error_of(lease->exec("insert into sandbox_test values (1)"));
    must(twice.is("23505") && twice.constraint() == "sandbox_test_pkey", "the server's error");
    must(lease->usable(), "the connection goes on");
    auto fails = [](pg::transaction& tx) -> asio::awaitable<void> {
      co_await tx.exec("insert into sandbox_test values (2)");
      co_await tx.exec("select 1/0");
    };
    const auto failure = co_await error_of(lease->transaction(fails));
    must(failure.is("22012"), "the body's error");
    auto swallows = [](pg::transaction& tx) -> asio::awaitable<void> {
      co_await tx.exec("insert into sandbox_test values (3)");
      co_await error_of(tx.exec("select 1/0"));
    };
    const auto rolled_back = co_await error_of(lease->transaction(swallows));
    must(rolled_back.reason() == pg::errc::rolled_back, "COMMIT of a failed transaction");
    const auto script = co_await error_of(lease->script("insert into sandbox_test values (4); select 1/0"));
    must(script.is("22012"), "a text of two statements");
    const int rows = co_await count(*lease);
    must(rows == 1, "only the first insert is left");
  });
}

TEST_CASE("given deferred constraints, when a sandbox commits, then they are checked then", "[postgres][server][field-U9]") {
  NEEDS_SERVER();
  table();
  testing::sandbox box{pg::options(server())};
  in_sandbox(box, [](pg::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    auto late = [](pg::transaction& tx) -> asio::awaitable<void> {
      co_await tx.exec("insert into sandbox_child values (7)");
      co_await tx.exec("insert into sandbox_test values (7)");
    };
    co_await lease->transaction(late);
    auto never = [](pg::transaction& tx) -> asio::awaitable<void> { co_await tx.exec("insert into sandbox_child values (8)"); };
    const auto failure = co_await error_of(lease->transaction(never));
    must(failure.is("23503"), "COMMIT fails");
    const auto alone = co_await error_of(lease->exec("insert into sandbox_child values (9)"));
    must(alone.is("23503"), "a statement alone fails at its end");
    const int rows = co_await lease->one<int>("select count(*)::int from sandbox_child");
    must(rows == 1, "what failed is undone");
  });
}

TEST_CASE("given every way to write BEGIN, when it runs in a sandbox, then it is a savepoint", "[postgres][server][field-U9]") {
  NEEDS_SERVER();
  table();
  testing::sandbox box{pg::options(server())};
  in_sandbox(box, [](pg::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    const auto begun = co_await lease->exec("begin");
    must(begun.command() == "BEGIN" && lease->in_transaction(), "the extended protocol");
    co_await lease->exec("insert into sandbox_test values (1)");
    const auto back = co_await lease->exec("rollback");
    must(back.command() == "ROLLBACK" && !lease->in_transaction(), "its rollback");
    co_await lease->script("begin; insert into sandbox_test values (2); commit; insert into sandbox_test values (3)");
    const int rows = co_await count(*lease);
    must(rows == 2, "one text with all of it");
    auto reads = [](pg::transaction& tx) -> asio::awaitable<void> { co_await tx.exec("insert into sandbox_test values (4)"); };
    const auto refused = co_await error_of(lease->transaction(reads, {.level = pg::isolation::serializable, .read_only = true}));
    must(refused.is("25006"), "read only");
    co_await lease->exec("insert into sandbox_test values (4)");
    auto batch = lease->pipeline(pg::pipeline_mode::atomic);
    auto one = batch.exec("insert into sandbox_test values (5)");
    auto two = batch.exec("insert into sandbox_test values (5)");
    try {
      co_await batch.run();
      must(false, "the pipeline fails");
    } catch (const pg::error& failure) {
      must(failure.is("23505"), "by its second statement");
    }
    const int after = co_await count(*lease);
    must(after == 3, "and all of it is undone");
    const auto prepared = co_await error_of(lease->script("begin; prepare transaction 'x'"));
    must(prepared.is("0A000"), "refused in words");
    must(!lease->in_transaction(), "and rolled back");
  });
}

TEST_CASE("given COPY, streams, cancels and reset levels, when they run in a sandbox, then they work", "[postgres][server][field-U9]") {
  NEEDS_SERVER();
  table();
  testing::sandbox box{pg::options(server())};
  in_sandbox(box, [](pg::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    auto in = co_await lease->copy_in("copy sandbox_test from stdin");
    for (int i = 0; i < 1000; ++i) co_await in.row(i, 2 * i);
    const auto copied = co_await in.finish();
    must(copied == 1000, "rows copied in");
    auto given_up = co_await lease->copy_in("copy sandbox_test from stdin");
    co_await given_up.row(5000, 1);
    co_await given_up.abort();
    auto stream = co_await lease->stream<int>("select n from sandbox_test order by id");
    int rows = 0;
    for (;;) {
      const auto next = co_await stream.next();
      if (!next) break;
      ++rows;
    }
    must(rows == 1000, "rows streamed");
    const auto late = co_await error_of(lease->exec(pg::within(50ms), "select pg_sleep(30)"));
    must(late.reason() == pg::errc::response_timeout, "cancelled on the server");
    co_await lease->reset(pg::reset_level::full);
    const int left = co_await count(*lease);
    must(left == 1000, "after DISCARD ALL");
  });
}

TEST_CASE("given two connections of one sandbox, when one is in a transaction, then the other waits", "[postgres][server][field-U9]") {
  NEEDS_SERVER();
  table();
  testing::sandbox box{pg::options(server())};
  in_sandbox(
      box,
      [&box](pg::pool& pool) -> asio::awaitable<void> {
        auto first = co_await pool.acquire();
        auto second = co_await pool.acquire();
        const auto a = co_await first->prepare("select $1::int + 1");
        const auto b = co_await second->prepare("select $1::int + 1");
        const int two = co_await first->one<int>(a, 1);
        const int three = co_await second->one<int>(b, 2);
        must(two == 2 && three == 3, "statements of the same name");
        co_await first->exec("begin");
        co_await first->exec("insert into sandbox_test values (1)");
        bool refused = false;
        try {
          box.start_over();
        } catch (const std::logic_error&) {
          refused = true;
        }
        must(refused, "no new beginning within a transaction");
        std::vector<std::string> order;
        bool counted = false;
        auto counting = [&]() -> asio::awaitable<void> {
          const int rows = co_await count(*second);
          order.push_back("counted " + std::to_string(rows));
          counted = true;
        };
        const auto executor = co_await asio::this_coro::executor;
        asio::co_spawn(executor, counting(), asio::detached);
        co_await pause(30ms);
        order.push_back("rolls back");
        co_await first->exec("rollback");
        while (!counted) co_await pause(1ms);
        must(order == std::vector<std::string>{"rolls back", "counted 0"}, "one after the other");
        // A client that goes away in the middle of a transaction leaves nothing behind.
        co_await first->exec("begin");
        co_await first->exec("insert into sandbox_test values (2)");
        first.discard();
        const int rows = co_await count(*second);
        must(rows == 0, "rolled back");
      },
      2);
}

TEST_CASE("given a statement that waits for another client, when it is cancelled, then that one runs on", "[postgres][server][field-U9]") {
  NEEDS_SERVER();
  testing::sandbox box{pg::options(server())};
  auto task = [&box]() -> asio::awaitable<void> {
    pg::options settings(box.conninfo());
    settings.cancel_timeout = 20s;
    auto first = co_await pg::connection::connect(settings);
    auto second = co_await pg::connection::connect(settings);
    co_await second.exec("select 1");
    bool refused = false;
    bool done = false;
    auto waiting = [&]() -> asio::awaitable<void> {
      const auto failure = co_await error_of(second.exec(pg::within(50ms), "select 2"));
      refused = failure.reason() == pg::errc::response_timeout && !failure.connection_lost();
      done = true;
    };
    auto body = [&](pg::transaction& tx) -> asio::awaitable<void> {
      const auto executor = co_await asio::this_coro::executor;
      asio::co_spawn(executor, waiting(), asio::detached);
      co_await tx.exec("select pg_sleep(0.4)");  // which is what a cancel request would meet
    };
    co_await first.transaction(body);
    while (!done) co_await pause(1ms);
    must(refused, "told as cancelled, and the connection is kept");
    const int three = co_await second.one<int>("select 3");
    must(three == 3, "the next one is not cancelled");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given code that needs a second connection, when a transaction is open, then that is told", "[postgres][server][field-U9]") {
  NEEDS_SERVER();
  table();
  testing::sandbox box{pg::options(server()), 30ms};
  in_sandbox(
      box,
      [](pg::pool& pool) -> asio::awaitable<void> {
        auto first = co_await pool.acquire();
        {
          auto second = co_await pool.acquire();
          co_await first->exec("begin");
          co_await first->exec("insert into sandbox_test values (1)");
          const auto refused = co_await error_of(second->exec("select 1"));
          must(refused.is("55P03") && refused.message().find("nothing has happened in it for 0.03 s") != std::string_view::npos,
               "the words");
          const auto again = co_await error_of(second->script("select 1; select 2"));
          must(again.is("55P03") && second->usable(), "the simple protocol, and the connection goes on");
          co_await first->exec("rollback");
          const int rows = co_await count(*second);
          must(rows == 0, "when the transaction has ended");
          second.discard();
        }
        // One that is opened within a transaction.
        co_await first->exec("begin");
        std::string said;
        try {
          const auto third = co_await pool.acquire(300ms);
        } catch (const tidepool::pool_error& failure) {
          said = failure.what();
        }
        must(said.find("another connection of the sandbox is in a transaction") != std::string::npos, "said: " + said);
        co_await first->exec("rollback");
      },
      2);
}

TEST_CASE("given statements of one name, when a client drops its own, then others keep theirs", "[postgres][server][field-U9]") {
  NEEDS_SERVER();
  testing::sandbox box{pg::options(server())};
  in_sandbox(
      box,
      [](pg::pool& pool) -> asio::awaitable<void> {
        auto first = co_await pool.acquire();
        auto second = co_await pool.acquire();
        co_await first->exec("prepare mine as select 1");
        co_await second->exec("prepare mine as select 2");
        co_await second->script("prepare \"Quoted\" as select 3");
        const int two = co_await second->one<int>("execute mine");
        const int three = co_await second->one<int>("execute \"Quoted\"");
        must(two == 2 && three == 3, "each has its own");
        co_await second->script("deallocate mine");
        co_await second->exec("deallocate prepare \"Quoted\"");
        const auto gone = co_await error_of(second->exec("execute mine"));
        must(gone.is("26000"), "it is dropped");
        const int one = co_await first->one<int>("execute mine");
        must(one == 1, "the other is not");
        const auto c = co_await error_of(second->script("begin; prepare transaction 'x'"));
        must(c.is("0A000"), "not a name");
        co_await second->exec("deallocate all");
      },
      2);
}

TEST_CASE("given a client that does not read, when its sandbox ends, then that does not wait for it", "[postgres][server][field-U9]") {
  NEEDS_SERVER();
  std::optional<testing::sandbox> box;
  box.emplace(pg::options(server()));
  run([](std::optional<testing::sandbox>& where) -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(where->conninfo());
    bool lost = false;
    auto much = [&]() -> asio::awaitable<void> {
      const auto failure = co_await error_of(c.exec("select repeat('x', 8000000)"));
      lost = failure.connection_lost();
    };
    const auto executor = co_await asio::this_coro::executor;
    asio::co_spawn(executor, much(), asio::detached);
    co_await pause(1ms);
    std::this_thread::sleep_for(200ms);  // nobody reads meanwhile
    where.reset();
    while (!lost) co_await pause(1ms);
  }(box));
  CHECK_FALSE(box);
}

TEST_CASE("given a sandbox whose session is ended, when it is used, then that is told, and nothing stays", "[postgres][server][field-U9]") {
  NEEDS_SERVER();
  table();
  testing::sandbox box{pg::options(server())};
  in_sandbox(box, [](pg::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    co_await lease->exec("insert into sandbox_test values (1)");
    const auto failure = co_await error_of(lease->exec("select pg_terminate_backend(pg_backend_pid())"));
    must(failure.connection_lost() && failure.is("57P01"), "lost, with the reason");
  });
  std::string said;
  run([](testing::sandbox& where, std::string& out) -> asio::awaitable<void> {
    try {
      const auto late = co_await pg::connection::connect(pg::options(where.conninfo()));
      must(!late, "no connection");
    } catch (const pg::connect_error& failure) {
      out = failure.what();
    }
  }(box, said));
  CHECK(said.find("the session of the sandbox has ended") != std::string::npos);
  CHECK_THROWS_AS(box.start_over(), std::runtime_error);
  CHECK(rows_outside() == 0);
}

TEST_CASE("given no server, when a sandbox is opened, then it throws what a connect throws", "[field-U9]") {
  CHECK_THROWS_AS(testing::sandbox{pg::options("host=127.0.0.1 port=1 user=x dbname=x sslmode=disable")}, pg::connect_error);
}
