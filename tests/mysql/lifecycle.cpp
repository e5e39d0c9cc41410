// SPDX-License-Identifier: BSL-1.0
// tidepool - a MySQL connection from one lease to the next: what a reset leaves, what ends a statement, and how a dead session is seen.
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include <tidepool/detail/driver/address_memory.hpp>

#include "kit.hpp"

using namespace tidepool_tests;
using tidepool::failure_kind;
using tidepool::lease_end;

namespace {

asio::awaitable<my::connection> my_connect() { return my::connection::connect(my::options(my_server())); }
asio::awaitable<void> my_kill(my::connection& by, const my::connection& whom) {
  co_await by.exec("kill " + std::to_string(whom.thread_id()));
}
/// Whether the server has let go of it, in time.
asio::awaitable<bool> my_gone(my::connection& watcher, unsigned long id) {
  for (int i = 0; i < 300; ++i) {
    const int left = co_await watcher.one<int>("select count(*) from information_schema.processlist where id = ?", id);
    if (left == 0) co_return true;
    co_await pause(10ms);
  }
  co_return false;
}

}  // namespace

TEST_CASE("given error numbers, when they are classified, then each means what it should", "[mysql-S7]") {
  struct row {
    unsigned number;
    const char* message;
    bool lost, retryable;
    my::consequence means;
    failure_kind kind;
  };
  using my::consequence;
  const row rows[] = {
      {1040, "Too many connections", false, false, consequence::server_full, failure_kind::server_full},
      {1203, "max_user_connections", false, false, consequence::server_full, failure_kind::server_full},
      {1226, "exceeded the 'max_user_connections' resource", false, false, consequence::server_full, failure_kind::server_full},
      {1044, "Access denied to database", false, false, consequence::permanent, failure_kind::permanent},
      {1045, "Access denied", false, false, consequence::permanent, failure_kind::permanent},
      {1698, "Access denied", false, false, consequence::permanent, failure_kind::permanent},
      {1130, "Host is not allowed", false, false, consequence::permanent, failure_kind::permanent},
      {1049, "Unknown database", false, false, consequence::none, failure_kind::permanent},
      {3118, "Account is locked", false, false, consequence::permanent, failure_kind::permanent},
      {1053, "Server shutdown in progress", true, false, consequence::all_suspect, failure_kind::starting},
      {1205, "Lock wait timeout", false, true, consequence::none, failure_kind::transient},
      {1213, "Deadlock", false, true, consequence::none, failure_kind::transient},
      {1020, "Record has changed", false, true, consequence::none, failure_kind::transient},
      {1180, "Got error 149 during COMMIT", false, true, consequence::none, failure_kind::transient},
      {1180, "Got error 28 during COMMIT", false, false, consequence::none, failure_kind::transient},
      {3572, "NOWAIT", false, true, consequence::none, failure_kind::transient},
      {1243, "Unknown prepared statement handler", false, true, consequence::none, failure_kind::transient},
      {1615, "Prepared statement needs to be re-prepared", false, true, consequence::none, failure_kind::transient},
      {1290, "running with the --read-only option", false, false, consequence::all_suspect, failure_kind::transient},
      {1290, "running with the --secure-file-priv option", false, false, consequence::none, failure_kind::transient},
      {1836, "Running in read-only mode", false, false, consequence::all_suspect, failure_kind::transient},
      {1792, "Cannot execute statement in a READ ONLY transaction", false, false, consequence::none, failure_kind::transient},
      {1317, "Query execution was interrupted", false, false, consequence::none, failure_kind::transient},
      {1927, "Connection was killed", true, false, consequence::connection, failure_kind::transient},
      {3169, "The session was killed", true, false, consequence::connection, failure_kind::transient},
      {4031, "The client was disconnected because of inactivity", true, false, consequence::connection, failure_kind::transient},
      {1153, "Got a packet bigger than 'max_allowed_packet'", true, false, consequence::connection, failure_kind::transient},
      {2006, "Server has gone away", true, false, consequence::connection, failure_kind::transient},
      {2013, "Lost connection during query", true, false, consequence::connection, failure_kind::transient},
      {2055, "Lost connection, system error", true, false, consequence::connection, failure_kind::transient},
      {2059, "Authentication plugin cannot be loaded", false, false, consequence::none, failure_kind::permanent},
      {1062, "Duplicate entry", false, false, consequence::none, failure_kind::transient},
  };
  for (const auto& each : rows) {
    my::detail::diagnosis said;
    said.number = each.number;
    said.message = each.message;
    INFO(each.number << " " << each.message);
    const my::error failed(my::errc::server, "", said);
    CHECK(failed.connection_lost() == each.lost);
    CHECK(failed.retryable() == each.retryable);
    CHECK(failed.consequence() == each.means);
    CHECK(my::connect_error(my::errc::connect_failed, "", said).kind() == each.kind);
    CHECK(failed.is(each.number));
  }
  CHECK(my::error(my::errc::server_silent, "").code() == std::errc::timed_out);
  CHECK(my::error(my::errc::connection_lost, "").code() == std::errc::connection_reset);
  CHECK(my::error(my::errc::outcome_unknown, "").outcome_unknown());
  my::detail::diagnosis red;
  red.message = "\x1b[31m red";
  const std::string shown = my::error(my::errc::server, "", red).what();
  CHECK(shown.find('\x1b') == std::string::npos);
}

TEST_CASE("given a session with all sorts of state, when it is reset, then each level leaves what it says") {
  NEEDS_SERVER();
  auto task = [](my::reset_level level) -> asio::awaitable<std::string> {
    auto c = co_await my_connect();
    auto other = co_await my_connect();
    const auto table = my_name("reset");
    co_await c.exec("create table " + table + " (a int)");
    co_await c.exec("set @mine = 1");
    co_await c.exec("set session wait_timeout = 12345");
    co_await c.exec("create temporary table left_behind (a int)");
    const auto lock = my_name("lock");
    (void)co_await c.one<int>("select get_lock(?, 0)", lock);
    co_await c.script("start transaction; insert into " + table + " values (1)");
    (void)co_await c.one<int>("select ? + 1", 1);
    co_await c.exec("set names latin1");
    co_await c.reset(level);
    std::string left;
    if (c.in_transaction()) left += 'X';
    if (c.statements_kept() > 0) left += 'S';
    const auto variable = co_await c.one<std::optional<int>>("select @mine");
    if (variable) left += 'V';
    const int timeout = co_await c.one<int>("select @@wait_timeout");
    if (timeout == 12345) left += 'G';
    bool temporary = true;
    try {
      (void)co_await c.exec("select * from left_behind");
    } catch (const my::error&) {
      temporary = false;
    }
    if (temporary) left += 'T';
    const int free = co_await other.one<int>("select is_free_lock(?)", lock);
    if (free == 0) left += 'L';
    const auto charset = co_await c.one<std::string>("select @@character_set_client");
    if (charset != "utf8mb4") left += 'C';
    const auto database = co_await c.one<std::string>("select database()");
    if (database != "tidepool") left += 'D';
    if (level == my::reset_level::none) co_await c.script("rollback");
    const int rows = co_await other.one<int>("select count(*) from " + table);
    if (rows != 0) left += '!';
    co_await c.close();
    co_await other.exec("drop table " + table);
    co_return left;
  };
  CHECK(run(task(my::reset_level::none)) == "XSVGTLC");
  CHECK(run(task(my::reset_level::rollback)) == "SVGTLC");
  CHECK(run(task(my::reset_level::full)).empty());
}

TEST_CASE("given the end of a lease, when something is left open, then a reset is asked for where it is needed") {
  NEEDS_SERVER();
  int runs = 0;
  my::options how(my_server());
  how.on_reset = [&runs](my::connection& c) -> asio::awaitable<void> {
    ++runs;
    co_await c.exec("set @mine = null");
  };
  my_with(how, [&runs](my::connection& c) -> asio::awaitable<void> {
    must(c.after_lease() == lease_end::clean, "untouched");
    co_await c.exec("set @mine = 1");
    must(c.after_lease() == lease_end::needs_reset, "touched");
    co_await c.reset();
    const auto kept = co_await c.one<std::optional<int>>("select @mine");
    must(runs == 1 && !kept, "reset by the hook");
    co_await c.reset(my::reset_level::full);
    must(runs == 2 && c.after_lease() == lease_end::clean, "at every level");
  });
  my_with([](my::connection& c) -> asio::awaitable<void> {
    co_await c.exec("set @mine = 1");
    must(c.after_lease() == lease_end::clean, "the level is rollback, and there is no transaction");
    co_await c.script("start transaction");
    must(c.after_lease() == lease_end::needs_reset && c.in_transaction() && !c.usable(), "a transaction");
    co_await c.reset();
    must(c.after_lease() == lease_end::clean && c.usable(), "rolled back");
    {
      auto rows = co_await c.stream<int>("select seq from seq_1_to_100000");
      (void)co_await rows.next();
      must(c.after_lease() == lease_end::broken && !c.usable(), "an answer is not read to its end");
    }
    must(c.after_lease() == lease_end::broken, "nor ever will be");
    const auto why = co_await error_of(c.exec("select 1"));
    must(std::string(why.what()).find("stream()") != std::string::npos, why.what());
  });
  my::options none(my_server());
  none.reset = my::reset_level::none;
  none.retire_after_packet_bytes = 100'000;
  my_with(none, [](my::connection& c) -> asio::awaitable<void> {
    (void)co_await c.one<std::string>("select repeat('x', 50000)");
    must(c.after_lease() == lease_end::clean, "a small row");
    co_await c.script("start transaction");
    must(c.after_lease() == lease_end::broken, "nothing may be reset");
    co_await c.script("rollback");
    (void)co_await c.one<std::string>("select repeat('x', 500000)");
    must(c.after_lease() == lease_end::retired, "a row that has grown its buffer");
  });
}

TEST_CASE("given a statement, when its limit passes, then the server ends it and the connection is kept", "[mysql-S4]") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    for (int i = 0; i < 3; ++i) {
      const auto late =
          co_await error_of(c.one<int>(my::within(50ms), "select count(*) from seq_1_to_1000000000000000 where seq * seq = 3"));
      must(late.reason() == my::errc::response_timeout && late.is(1317) && !late.connection_lost(), late.what());
      must(c.usable(), "usable");
      const int next = co_await c.one<int>("select ?", i);
      must(next == i, "the next statement gets its own answer");
    }
    const auto text = co_await error_of(c.script(my::within(50ms), "select count(*) from seq_1_to_1000000000000000 where seq * seq = 3"));
    must(text.reason() == my::errc::response_timeout, text.what());
    auto read_all = [](my::connection& from) -> asio::awaitable<void> {
      auto rows =
          co_await from.stream<std::int64_t>(my::within(50ms), "select seq from seq_1_to_1000000000000000 where seq < 1000 or sleep(10)");
      for (auto row = co_await rows.next(); row; row = co_await rows.next()) continue;
    };
    const auto in_stream = co_await error_of(read_all(c));
    must(in_stream.reason() == my::errc::response_timeout, in_stream.what());
    const int last = co_await c.one<int>("select 7");
    must(last == 7 && c.thread_id() != 0, "the same session goes on");
  });
  // The connection that cancels is as the first one: where that needs TLS, it does too.
  auto how = my_patient();
  how.ssl_mode = my::ssl_mode::verify_ca;
  how.ssl_ca = my_dir() + "/server.crt";
  my_with(how, [](my::connection& c) -> asio::awaitable<void> {
    const auto late = co_await error_of(c.one<int>(my::within(50ms), "select count(*) from seq_1_to_1000000000000000 where seq * seq = 3"));
    must(late.reason() == my::errc::response_timeout && c.encrypted() && c.usable(), late.what());
  });
}

TEST_CASE("given two TLS sessions on a thread, when one is cut, then a statement of the other goes on") {
  NEEDS_SERVER();
  my::options how(my_server());
  how.ssl_mode = my::ssl_mode::required;
  my_with(how, [how](my::connection& c) -> asio::awaitable<void> {
    auto other = co_await my::connection::connect(how);
    co_await my_kill(c, other);
    const auto lost = co_await error_of(other.exec("select 1"));
    must(lost.connection_lost(), lost.what());
    // What OpenSSL keeps of that error is the thread's; it showed where a call had to wait.
    const int answer = co_await c.one<int>("select sleep(0.05) + 1");
    must(answer == 1, "an answer");
  });
}

TEST_CASE("given a statement, when its caller is cancelled, then the server ends it; the connection is kept") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    for (int i = 0; i < 3; ++i) {
      asio::cancellation_signal stop;
      stopped_how end;
      auto work = [&]() -> asio::awaitable<void> { co_await c.exec("select count(*) from seq_1_to_1000000000000000 where seq * seq = 3"); };
      const auto executor = co_await asio::this_coro::executor;
      asio::co_spawn(executor, work(), asio::bind_cancellation_slot(stop.slot(), end.handler()));
      co_await pause(std::chrono::milliseconds(i * 20));
      stop.emit(asio::cancellation_type::terminal);
      for (int k = 0; k < 500 && !end.done; ++k) co_await pause(10ms);
      must(end.done && end.code == asio::error::operation_aborted && c.usable(), "cancelled, and kept");
      const int next = co_await c.one<int>("select ?", i);
      must(next == i, "the next statement gets its own answer");
    }
  });
}

TEST_CASE("given a canceller, when it is used, then the statement fails with 1317 and no later one does", "[mysql-S15]") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    auto stops = c.canceller();
    std::optional<my::error> failed;
    auto work = [&]() -> asio::awaitable<void> {
      const auto e = co_await error_of(c.exec("select count(*) from seq_1_to_1000000000000000 where seq * seq = 3"));
      failed = e;
    };
    const auto executor = co_await asio::this_coro::executor;
    asio::co_spawn(executor, work(), asio::detached);
    co_await pause(50ms);
    const bool sent = co_await stops.cancel();
    for (int i = 0; i < 500 && !failed; ++i) co_await pause(10ms);
    must(sent && failed && failed->reason() == my::errc::server && failed->is(1317) && !failed->connection_lost(),
         failed ? failed->what() : "no error");
    bool done = false;
    auto late = [&]() -> asio::awaitable<void> {
      (void)co_await stops.cancel();
      done = true;
    };
    asio::co_spawn(executor, late(), asio::detached);
    co_await pause(0ms);
    must(done || (!c.usable() && c.after_lease() == lease_end::broken), "it could hit the next holder");
    for (int i = 0; i < 500 && !done; ++i) co_await pause(10ms);
    must(done, "it ends");
  });
}

TEST_CASE("given a server without room for KILL QUERY, when a limit passes, then the socket is shut in time") {
  NEEDS_SERVER();
  my::options how(my_server());
  how.cancel_timeout = 300ms;
  my_with(how, [](my::connection& c) -> asio::awaitable<void> {
    // A session that takes no KILL QUERY for a while: it waits for this lock within a statement that KILL cannot end at once is not to be
    // had, so the credentials that the second connection needs are gone instead.
    auto root = co_await my::connection::connect(my_root());
    co_await root.exec("set global max_connections = 10");
    std::vector<my::connection> all;
    for (int i = 0; i < 300; ++i) {
      bool full = false;
      try {
        all.push_back(co_await my_connect());
      } catch (const my::connect_error& failure) {
        full = failure.kind() == failure_kind::server_full;
      }
      if (full) break;
    }
    const auto before = std::chrono::steady_clock::now();
    const auto lost = co_await error_of(c.one<int>(my::within(50ms), "select sleep(30)"));
    const auto spent = std::chrono::steady_clock::now() - before;
    co_await root.exec("set global max_connections = 200");
    for (auto& each : all) co_await each.close();
    co_await root.close();
    must(lost.reason() == my::errc::server_silent && lost.connection_lost(), lost.what());
    must(spent < 20s, "in time");
    must(c.after_lease() == lease_end::broken && !c.usable(), "and is not used again");
  });
}

TEST_CASE("given a running statement, when another thread aborts its connection, then it fails with the reason") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    std::thread elsewhere([&c] {
      std::this_thread::sleep_for(50ms);
      c.abort("taken back for the test");
    });
    const auto failed = co_await error_of(c.exec("select sleep(30)"));
    elsewhere.join();
    must(failed.connection_lost() && failed.explanation() == "taken back for the test", failed.what());
    must(!c.usable() && c.after_lease() == lease_end::broken && c.why_broken() == "taken back for the test", "broken");
    const auto later = co_await error_of(c.ping());
    must(later.connection_lost(), later.what());
  });
}

TEST_CASE("given an idle connection, when its session is killed, then watch and usable() tell") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    auto victim = co_await my_connect();
    auto unwatched = co_await my_connect();
    int told = 0, unwanted = 0;
    victim.watch([&told] { ++told; });
    unwatched.watch([&unwanted] { ++unwanted; });
    unwatched.watch({});
    must(victim.usable() && unwatched.usable(), "usable at first");
    co_await my_kill(c, victim);
    co_await my_kill(c, unwatched);
    for (auto* each : {&victim, &unwatched}) {
      const bool gone = co_await my_gone(c, each->thread_id());
      must(gone, "gone");
    }
    for (int i = 0; i < 1000 && told == 0; ++i) co_await pause(1ms);
    co_await pause(20ms);
    must(told == 1 && unwanted == 0, "told once, and not without a watch");
    must(!victim.usable() && victim.after_lease() == lease_end::broken, "usable() sees it");
    const auto lost = co_await error_of(unwatched.one<int>("select 1"));
    must(lost.connection_lost(), lost.what());
    const auto pinged = co_await error_of(unwatched.ping());
    must(pinged.connection_lost(), pinged.what());
  });
}

TEST_CASE("given a server with wait_timeout, when it ends an idle session, then usable() sees that") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    co_await c.exec("set session wait_timeout = 1");
    for (int i = 0; i < 500 && c.usable(); ++i) co_await pause(10ms);
    must(!c.usable(), "ended by the server");
  });
}

TEST_CASE("given options::writable, when the server is or becomes read-only, then that is told") {
  NEEDS_SERVER();
  // As a user without the right to write nevertheless.
  run([]() -> asio::awaitable<void> {
    auto root = co_await my::connection::connect(my_root());
    my::options how(my_server());
    how.writable = true;
    auto c = co_await my::connection::connect(how);
    auto plain = co_await my_connect();
    const auto table = my_name("read_only");
    co_await plain.exec("create table " + table + " (a int)");
    co_await root.exec("set global read_only = 1");
    std::exception_ptr failure;
    try {
      const auto refused = co_await error_of(c.exec("insert into " + table + " values (1)"));
      must(refused.is(1290) && refused.consequence() == my::consequence::all_suspect && !refused.connection_lost(), refused.what());
      must(c.after_lease() == lease_end::outdated && !c.usable(), "its server has another role now");
      const auto same = co_await error_of(plain.exec("insert into " + table + " values (1)"));
      must(same.is(1290) && plain.after_lease() == lease_end::clean, "who does not ask for a writable one keeps it");
      std::optional<my::connect_error> none;
      try {
        (void)co_await my::connection::connect(how);
      } catch (const my::connect_error& e) {
        none = e;
      }
      must(none && none->kind() == failure_kind::wrong_role, none ? none->what() : "connected");
    } catch (...) {
      failure = std::current_exception();
    }
    co_await root.exec("set global read_only = 0");
    co_await plain.exec("drop table " + table);
    if (failure) std::rethrow_exception(failure);
    auto again = co_await my::connection::connect(how);
    co_await root.exec("set global read_only = 1");
    co_await again.ping();
    const bool usable = again.usable();
    co_await root.exec("set global read_only = 0");
    must(!usable, "a ping asks for the role");
  }());
}

TEST_CASE("given close(), when it returns, then the server has let the session go") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    for (int i = 0; i < 20; ++i) {
      my::options how(my_server());
      how.ssl_mode = i % 2 == 0 ? my::ssl_mode::disabled : my::ssl_mode::required;
      auto each = co_await my::connection::connect(how);
      const auto id = each.thread_id();
      co_await each.close();
      must(!each, "closed");
      const bool gone = co_await my_gone(c, id);
      must(gone, "gone");
      co_await each.close();
    }
  });
}

TEST_CASE("given connections made, used, killed and dropped, when all is over, then no descriptor is left") {
  NEEDS_SERVER();
  const auto round = [] {
    my_with([](my::connection& c) -> asio::awaitable<void> {
      for (int i = 0; i < 15; ++i) {
        auto each = co_await my_connect();
        if (i % 3 == 0) {
          co_await my_kill(c, each);
          (void)co_await error_of(each.exec("select 1"));
        }
        if (i % 3 == 1) co_await each.close();
      }
    });
    asio::io_context context;
    auto work = []() -> asio::awaitable<void> {
      auto c = co_await my_connect();
      auto body = [](my::transaction& tx) -> asio::awaitable<void> { co_await tx.exec("select sleep(30)"); };
      co_await c.transaction(body);
    };
    asio::co_spawn(context, work(), asio::detached);
    context.run_for(50ms);
  };
  round();
  const int before = open_descriptors();
  round();
  CHECK(open_descriptors() == before);
}

TEST_CASE("given an empty connection, when it is used, then it is an error and no crash") {
  my::connection none;
  CHECK_FALSE(none.usable());
  CHECK(none.after_lease() == lease_end::broken);
  CHECK_FALSE(none);
  none.abort();
  none.context_gone();
  none.rejected();
  none.watch({});
  CHECK(none.peer().empty());
  CHECK_THROWS_AS(none.exec("select 1"), my::error);
  CHECK_NOTHROW(run(none.close()));
}

TEST_CASE("given a connection of one context, when it is used from another's thread, then it works there") {
  NEEDS_SERVER();
  asio::io_context home, away;
  auto keep = asio::make_work_guard(home);
  std::thread home_thread([&] { home.run(); });
  const auto here = std::this_thread::get_id();
  int sum = 0;
  bool right_thread = true;
  auto user = [&]() -> asio::awaitable<void> {
    auto c = co_await my::connection::connect(home.get_executor(), std::make_shared<const my::options>(my_server()),
                                              std::make_shared<my::detail::address_memory>());
    for (int i = 0; i < 20; ++i) {
      sum += co_await c.one<int>("select 1");
      if (std::this_thread::get_id() != here) right_thread = false;
    }
    co_await c.close();
  };
  for (int i = 0; i < 4; ++i) asio::co_spawn(away, user(), asio::detached);
  away.run_for(hang);
  keep.reset();
  home_thread.join();
  CHECK(sum == 80);
  CHECK(right_thread);
}
