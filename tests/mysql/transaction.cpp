// SPDX-License-Identifier: BSL-1.0
// tidepool - transactions of MySQL: isolation, savepoints, deadlocks and lock waits, and what is known when COMMIT has no answer.
#include <string>

#include "../support/on_end.hpp"
#include "kit.hpp"

using namespace tidepool_tests;

namespace {

/// Runs `work(connection, table)` on a table `(id int primary key, n int)` of its own with the rows 1 and 2.
template <class Work>
void my_with_table(Work work, my::options how = my::options(my_server())) {
  my_with(std::move(how), [&work](my::connection& c) -> asio::awaitable<void> {
    const auto table = my_name("tx");
    co_await c.script("create table " + table + " (id int primary key, n int) engine = innodb; insert into " + table +
                      " values (1, 0), (2, 0)");
    std::exception_ptr failure;
    try {
      co_await work(c, table);
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) std::rethrow_exception(failure);
    co_await c.exec("drop table " + table);
  });
}
asio::awaitable<my::connection> my_other() { return my::connection::connect(my::options(my_server())); }

asio::awaitable<int> my_count(my::connection& c, const std::string& table) { return c.one<int>("select count(*) from " + table); }

/// Runs it beside the caller.
struct beside {
  bool done = false;
  std::exception_ptr failure{};
  void start(asio::any_io_executor where, asio::awaitable<void> work) {
    const on_end at_end = [this](std::exception_ptr e) {
      failure = e;
      done = true;
    };
    asio::co_spawn(where, std::move(work), at_end);
  }
  asio::awaitable<void> end() {
    for (int i = 0; i < 3000 && !done; ++i) co_await pause(10ms);
    must(done, "what runs beside has not ended");
    if (failure) std::rethrow_exception(failure);
  }
};

}  // namespace

TEST_CASE("given a transaction, when its body returns or throws, then it is committed or rolled back") {
  NEEDS_SERVER();
  my_with_table([](my::connection& c, const std::string& t) -> asio::awaitable<void> {
    auto body = [&t](my::transaction& tx) -> asio::awaitable<int> {
      co_await tx.exec("insert into " + t + " values (3, 0)");
      auto inner = [&t](my::transaction& nested) -> asio::awaitable<void> {
        co_await nested.exec("insert into " + t + " values (4, 0)");
        throw std::runtime_error("not this");
      };
      bool thrown = false;
      try {
        co_await tx.nested(inner);
      } catch (const std::runtime_error&) {
        thrown = true;
      }
      must(thrown, "thrown on");
      auto kept = [&t](my::transaction& nested) -> asio::awaitable<int> {
        co_await nested.exec("insert into " + t + " values (5, 0)");
        co_return 5;
      };
      const int inside = co_await tx.nested(kept);
      must(inside == 5, "what a savepoint returns");
      co_return co_await tx.one<int>("select count(*) from " + t);
    };
    const int inside = co_await c.transaction(body);
    must(inside == 4 && !c.in_transaction(), "one savepoint was undone, the other kept");
    auto fails = [&t](my::transaction& tx) -> asio::awaitable<void> {
      co_await tx.exec("delete from " + t);
      throw std::logic_error("no");
    };
    bool thrown = false;
    try {
      co_await c.transaction(fails);
    } catch (const std::logic_error&) {
      thrown = true;
    }
    const int count = co_await my_count(c, t);
    must(thrown && count == 4 && !c.in_transaction(), "rolled back");
  });
}

TEST_CASE("given options, when a transaction begins, then the server follows them, and only for this one") {
  NEEDS_SERVER();
  my_with_table([](my::connection& c, const std::string& t) -> asio::awaitable<void> {
    auto other = co_await my_other();
    /// What a transaction of that level reads before another one has committed, after that, and after a second read.
    const auto seen = [](my::connection& on, my::connection& writer, std::string table, my::isolation level,
                         bool snapshot) -> asio::awaitable<std::string> {
      co_await writer.exec("update " + table + " set n = 0");
      std::string out;
      auto body = [&](my::transaction& tx) -> asio::awaitable<void> {
        const std::string sql = "select n from " + table + " where id = 1";
        if (!snapshot) out += std::to_string(co_await tx.one<int>(sql));
        auto write = [&](my::transaction& in) -> asio::awaitable<void> {
          co_await in.exec("update " + table + " set n = 1 where id = 1");
          out += std::to_string(co_await tx.one<int>(sql));
        };
        co_await writer.transaction(write);
        out += std::to_string(co_await tx.one<int>(sql));
      };
      my::transaction_options wanted;
      wanted.level = level;
      wanted.consistent_snapshot = snapshot;
      co_await on.transaction(body, wanted);
      co_return out;
    };
    const auto dirty = co_await seen(c, other, t, my::isolation::read_uncommitted, false);
    must(dirty == "011", "read uncommitted: " + dirty);
    const auto committed = co_await seen(c, other, t, my::isolation::read_committed, false);
    must(committed == "001", "read committed: " + committed);
    const auto repeatable = co_await seen(c, other, t, my::isolation::repeatable_read, false);
    must(repeatable == "000", "repeatable read: " + repeatable);
    const auto usual = co_await seen(c, other, t, my::isolation::session_default, false);
    must(usual == "000", "the session's own: " + usual);
    const auto snapshot = co_await seen(c, other, t, my::isolation::repeatable_read, true);
    must(snapshot == "00", "a consistent snapshot: " + snapshot);
    co_await other.exec("set innodb_lock_wait_timeout = 1");
    auto serial = [&](my::transaction& tx) -> asio::awaitable<void> {
      (void)co_await tx.one<int>("select n from " + t + " where id = 1");
      const auto waited = co_await error_of(other.exec("update " + t + " set n = 1 where id = 1"));
      must(waited.is(1205) && waited.retryable() && !waited.connection_lost(), waited.what());
    };
    co_await c.transaction(serial, {.level = my::isolation::serializable});
    auto reads = [&](my::transaction& tx) -> asio::awaitable<void> {
      const auto refused = co_await error_of(tx.exec("update " + t + " set n = 1"));
      must(refused.is(1792) && refused.consequence() == my::consequence::none, refused.what());
    };
    co_await c.transaction(reads, {.read_only = true});
    co_await c.transaction(reads, {.read_only = true, .consistent_snapshot = true});
    co_await c.exec("update " + t + " set n = 1");
    co_await other.close();
  });
}

TEST_CASE("given two transactions that deadlock, when they may retry, then both are committed") {
  NEEDS_SERVER();
  my_with_table([](my::connection& c, const std::string& t) -> asio::awaitable<void> {
    auto other = co_await my_other();
    int runs = 0, arrived = 0;
    const auto both = [&t, &runs, &arrived](my::connection& on, int first, unsigned retries) -> asio::awaitable<void> {
      auto body = [&](my::transaction& tx) -> asio::awaitable<void> {
        ++runs;
        co_await tx.exec("update " + t + " set n = n + 1 where id = ?", first);
        ++arrived;
        for (int i = 0; i < 300 && arrived < 2; ++i) co_await pause(10ms);
        co_await tx.exec("update " + t + " set n = n + 1 where id = ?", 3 - first);
      };
      co_await on.transaction(body, {.retries = retries});
    };
    beside second;
    second.start(co_await asio::this_coro::executor, both(other, 2, 5));
    co_await both(c, 1, 5);
    co_await second.end();
    must(runs == 3, "one of the two ran twice, but there were " + std::to_string(runs));
    const int sum = co_await c.one<int>("select cast(sum(n) as signed) from " + t);
    must(sum == 4, "both were done, once");
    // The same, swallowed by both.
    arrived = 0;
    int deadlocks = 0, committed = 0, told = 0;
    const auto swallows = [&](my::connection& on, int first) -> asio::awaitable<void> {
      auto body = [&](my::transaction& tx) -> asio::awaitable<void> {
        co_await tx.exec("update " + t + " set n = 0 where id = ?", first);
        ++arrived;
        for (int i = 0; i < 300 && arrived < 2; ++i) co_await pause(10ms);
        bool deadlock = false;
        try {
          co_await tx.exec("update " + t + " set n = 0 where id = ?", 3 - first);
        } catch (const my::error& e) {
          deadlock = e.is(1213) && e.retryable();
        }
        if (!deadlock) co_return;
        ++deadlocks;
        must(!on.in_transaction(), "the server has rolled it back");
      };
      try {
        co_await on.transaction(body);
        ++committed;
      } catch (const my::error& e) {
        must(e.reason() == my::errc::rolled_back, e.what());
        ++told;
      }
    };
    beside again;
    again.start(co_await asio::this_coro::executor, swallows(other, 2));
    co_await swallows(c, 1);
    co_await again.end();
    must(deadlocks == 1 && committed == 1 && told == 1, "the one that was rolled back learnt of it");
    co_await other.close();
  });
}

TEST_CASE("given a wait for a lock that is too long, when the body goes on, then the rest is committed") {
  NEEDS_SERVER();
  my_with_table([](my::connection& c, const std::string& t) -> asio::awaitable<void> {
    auto other = co_await my_other();
    co_await other.exec("set innodb_lock_wait_timeout = 1");
    int runs = 0;
    auto holds = [&](my::transaction& tx) -> asio::awaitable<void> {
      co_await tx.exec("update " + t + " set n = 7 where id = 1");
      auto goes_on = [&](my::transaction& in) -> asio::awaitable<void> {
        co_await in.exec("insert into " + t + " values (9, 9)");
        const auto waited = co_await error_of(in.exec("update " + t + " set n = 8 where id = 1"));
        must(waited.is(1205), waited.what());
      };
      co_await other.transaction(goes_on);
      auto repeats = [&](my::transaction& in) -> asio::awaitable<void> {
        if (++runs > 1) co_return;
        co_await in.exec("update " + t + " set n = 8 where id = 1");
      };
      co_await other.transaction(repeats, {.retries = 1});
    };
    co_await c.transaction(holds);
    const int nine = co_await c.one<int>("select n from " + t + " where id = 9");
    must(nine == 9 && runs == 2, "the rest was committed, and the other one ran again");
    co_await other.close();
  });
}

TEST_CASE("given a body that ends its transaction itself, when it returns, then that is an error") {
  NEEDS_SERVER();
  my_with_table([](my::connection& c, const std::string& t) -> asio::awaitable<void> {
    for (const char* ends : {"commit", "create or replace table t_ended_by_ddl (a int)"}) {
      auto body = [&](my::transaction& tx) -> asio::awaitable<void> {
        co_await tx.exec("update " + t + " set n = n + 1");
        co_await tx.exec(ends);
      };
      const auto told = co_await error_of(c.transaction(body));
      must(told.reason() == my::errc::bad_usage, told.what());
      must(c.usable(), "the connection is as before");
    }
    co_await c.exec("drop table t_ended_by_ddl");
    auto twice = [&](my::transaction&) -> asio::awaitable<void> {
      auto again = [](my::transaction&) -> asio::awaitable<void> { co_return; };
      co_await c.transaction(again);
    };
    const auto open = co_await error_of(c.transaction(twice));
    must(open.reason() == my::errc::bad_usage && std::string(open.what()).find("nested()") != std::string::npos, open.what());
  });
}

TEST_CASE("given a COMMIT that waits, when it is killed or cancelled, then what is known of it is told") {
  NEEDS_SERVER();
  my_with_table([](my::connection& c, const std::string& t) -> asio::awaitable<void> {
    auto root = co_await my::connection::connect(my_root());
    auto holder = co_await my::connection::connect(my_root());
    auto other = co_await my_other();
    asio::cancellation_signal stop;
    std::optional<my::error> failed;
    bool aborted = false, done = false;
    auto body = [&](my::transaction& tx) -> asio::awaitable<void> {
      co_await tx.exec("insert into " + t + " values (10, 0)");
      co_await holder.exec("flush tables with read lock");  // COMMIT waits for it
    };
    const auto commits = [&](my::connection& on) -> asio::awaitable<void> {
      try {
        co_await on.transaction(body);
      } catch (const my::error& e) {
        failed = e;
      } catch (const tidepool::system_error& e) {
        aborted = e.code() == asio::error::operation_aborted;
      }
      done = true;
    };
    const auto waits_for_lock = [&](unsigned long id) -> asio::awaitable<void> {
      for (int i = 0; i < 300; ++i) {
        const auto state =
            co_await root.opt<std::string>("select state from information_schema.processlist where id = ? and info = 'commit'", id);
        if (state && state->find("lock") != std::string::npos) co_return;
        co_await pause(10ms);
      }
      must(false, "COMMIT does not wait");
    };
    const auto here = co_await asio::this_coro::executor;
    asio::co_spawn(here, commits(other), asio::detached);
    co_await waits_for_lock(other.thread_id());
    co_await root.exec("kill " + std::to_string(other.thread_id()));
    for (int i = 0; i < 500 && !done; ++i) co_await pause(10ms);
    must(failed && failed->outcome_unknown() && failed->connection_lost() && !failed->retryable(), failed ? failed->what() : "no error");
    co_await holder.exec("unlock tables");
    co_await c.exec("delete from " + t + " where id = 10");
    // Cancelled: the server ends COMMIT and says so, so that nothing is unknown.
    done = false;
    failed.reset();
    asio::co_spawn(here, commits(c), asio::bind_cancellation_slot(stop.slot(), asio::detached));
    co_await waits_for_lock(c.thread_id());
    stop.emit(asio::cancellation_type::terminal);
    for (int i = 0; i < 500 && !done; ++i) co_await pause(10ms);
    co_await holder.exec("unlock tables");
    must(done && aborted && !failed, failed ? failed->what() : "cancelled");
    co_await c.reset();
    const int there = co_await my_count(c, t);
    must(there == 2, "nothing was committed");
    co_await root.close();
  });
}

TEST_CASE("given a session that is killed in the body, when the body ends, then nothing is committed") {
  NEEDS_SERVER();
  my_with_table([](my::connection& c, const std::string& t) -> asio::awaitable<void> {
    for (const bool swallows : {false, true}) {
      auto other = co_await my_other();
      auto body = [&](my::transaction& tx) -> asio::awaitable<void> {
        co_await tx.exec("insert into " + t + " values (20, 0)");
        co_await c.exec("kill " + std::to_string(other.thread_id()));
        if (swallows) {
          (void)co_await error_of(tx.exec("select 1"));
        } else {
          co_await tx.exec("select 1");
        }
      };
      const auto lost = co_await error_of(other.transaction(body));
      must(lost.connection_lost() && !lost.outcome_unknown(), lost.what());
    }
    const int count = co_await my_count(c, t);
    must(count == 2, "nothing");
  });
}

TEST_CASE("given a limit for a whole transaction, when it passes, then all of it is rolled back") {
  NEEDS_SERVER();
  my_with_table([](my::connection& c, const std::string& t) -> asio::awaitable<void> {
    auto slow = [&](my::transaction& tx) -> asio::awaitable<void> {
      co_await tx.exec("insert into " + t + " values (30, 0)");
      (void)co_await tx.one<int>("select sleep(30)");
    };
    const auto late = co_await error_of(c.transaction(my::within(100ms), slow));
    must(late.reason() == my::errc::response_timeout && !c.in_transaction() && c.usable(), late.what());
    auto waits = [&](my::transaction& tx) -> asio::awaitable<void> {
      co_await tx.exec("insert into " + t + " values (31, 0)");
      auto inner = [](my::transaction&) -> asio::awaitable<void> { co_await pause(30s); };
      const auto inside = co_await error_of(tx.nested(my::within(50ms), inner));
      must(inside.reason() == my::errc::response_timeout, inside.what());
    };
    co_await c.transaction(waits);
    const int count = co_await my_count(c, t);
    must(count == 3, "the one is rolled back, the other is there");
  });
}

TEST_CASE("given a transaction whose caller is cancelled, when the connection is reset, then it is rolled back") {
  NEEDS_SERVER();
  my_with_table([](my::connection& c, const std::string& t) -> asio::awaitable<void> {
    asio::cancellation_signal stop;
    bool ended = false;
    auto work = [&]() -> asio::awaitable<void> {
      auto body = [&](my::transaction& tx) -> asio::awaitable<void> {
        co_await tx.exec("insert into " + t + " values (40, 0)");
        (void)co_await tx.one<int>("select sleep(30)");
      };
      co_await c.transaction(body);
    };
    const auto executor = co_await asio::this_coro::executor;
    asio::co_spawn(executor, work(), asio::bind_cancellation_slot(stop.slot(), on_end([&](std::exception_ptr) { ended = true; })));
    co_await pause(100ms);
    stop.emit(asio::cancellation_type::terminal);
    for (int i = 0; i < 500 && !ended; ++i) co_await pause(10ms);
    must(ended && c.in_transaction() && !c.usable(), "left open");
    must(c.after_lease() == tidepool::lease_end::needs_reset, "to be reset");
    const auto refused = co_await error_of(c.exec("select 1"));
    must(refused.reason() == my::errc::needs_reset, refused.what());
    co_await c.reset();
    const int count = co_await my_count(c, t);
    must(count == 2, "rolled back");
  });
}
