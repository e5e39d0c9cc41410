// SPDX-License-Identifier: BSL-1.0
// tidepool - what is told of a COMMIT: done, not done, or not known; and how bodies are handed over.
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <tidepool/postgres/detail/session.hpp>

#include "kit.hpp"
#include "recording_proxy.hpp"

using namespace tidepool_tests;

namespace {

/// How a coroutine ended that was cancelled at some time.
struct commit_ending {
  bool done = false;
  bool aborted = false;
  std::optional<pg::error> failure;
};

/// Runs an operation and cancels it once `when` says so.
template <class When>
asio::awaitable<commit_ending> cancelled(asio::awaitable<void> operation, When when) {
  auto end = std::make_shared<commit_ending>();
  asio::cancellation_signal signal;
  auto watch = [](asio::awaitable<void> running, std::shared_ptr<commit_ending> out) -> asio::awaitable<void> {
    try {
      co_await std::move(running);
    } catch (const pg::error& failure) {
      out->failure = failure;
    } catch (const tidepool::system_error& failure) {
      out->aborted = failure.code() == asio::error::operation_aborted;
    }
    out->done = true;
  };
  const auto executor = co_await asio::this_coro::executor;
  asio::co_spawn(executor, watch(std::move(operation), end), asio::bind_cancellation_slot(signal.slot(), asio::detached));
  while (!when()) co_await pause(2ms);
  signal.emit(asio::cancellation_type::terminal);
  while (!end->done) co_await pause(2ms);
  co_return *end;
}

asio::awaitable<void> make_table(pg::connection& c) {
  co_await c.script("drop table if exists commit_rows; create table commit_rows (i int)");
}
asio::awaitable<int> rows(pg::connection& c) { return c.one<int>("select count(*)::int from commit_rows"); }
asio::awaitable<void> add_row(pg::transaction& t) { co_await t.exec("insert into commit_rows values (1)"); }

/// COMMIT waits in here. Cancelled, it commits with 1, and fails with anything else.
constexpr const char* slow_commit =
    "create temp table slow (i int);"
    "create function pg_temp.wait() returns trigger language plpgsql as $$begin "
    "perform pg_sleep(60); return null; exception when query_canceled then if new.i = 1 then return null; end if; raise; end$$;"
    "create constraint trigger wait after insert on slow deferrable initially deferred for each row execute function pg_temp.wait()";

}  // namespace

TEST_CASE("given a COMMIT without an answer, when its caller cancels, then the outcome is unknown", "[postgres][server][field-R21]") {
  NEEDS_SERVER();
  recording_proxy wire(server_port(), std::string("commit\0", 7));
  auto task = [&]() -> asio::awaitable<void> {
    auto admin = co_await connect();
    co_await make_table(admin);
    auto settings = through(wire.port());
    settings.cancel_timeout = 50ms;
    auto c = co_await pg::connection::connect(settings);
    auto operation = c.transaction(add_row);
    const auto end = co_await cancelled(std::move(operation), [&] { return wire.holds(); });
    must(end.failure.has_value() && end.failure->outcome_unknown() && !end.failure->retryable(), "not told as unknown");
    must(c.after_lease() == tidepool::lease_end::broken && !c.usable(), "still usable");
    int there = 0;
    for (int i = 0; i < 500 && there == 0; ++i) {
      co_await pause(5ms);
      there = co_await rows(admin);
    }
    must(there == 1, "it was committed");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a COMMIT without an answer, when its time is up, then the outcome is unknown, and why is told",
          "[postgres][server][field-R21]") {
  NEEDS_SERVER();
  recording_proxy wire(server_port(), std::string("commit\0", 7));
  auto task = [&]() -> asio::awaitable<void> {
    auto admin = co_await connect();
    co_await make_table(admin);
    auto settings = through(wire.port());
    settings.cancel_timeout = 50ms;
    settings.response_timeout = 500ms;
    auto c = co_await pg::connection::connect(settings);
    const auto failure = co_await error_of(c.transaction(add_row));
    must(failure.outcome_unknown(), "not told as unknown");
    must(std::string(failure.what()).find("silent") != std::string::npos, "the reason is lost");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a COMMIT that takes long, when its caller cancels, then the server's answer is what is told",
          "[postgres][server][field-R21]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto admin = co_await connect();
    for (const bool commits : {true, false}) {
      co_await make_table(admin);
      pg::options settings = patient();
      auto c = co_await pg::connection::connect(settings);
      co_await c.script(slow_commit);
      const int pid = c.backend_pid();
      auto body = [&](pg::transaction& t) -> asio::awaitable<void> {
        co_await add_row(t);
        co_await t.exec("insert into slow values ($1)", commits ? 1 : 2);
      };
      bool commit_runs = false;
      auto look = [&]() -> asio::awaitable<void> {
        while (!commit_runs) {
          commit_runs = co_await admin.one<bool>(
              "select exists (select from pg_stat_activity where pid = $1 and query = 'commit' and wait_event = 'PgSleep')", pid);
        }
      };
      const auto executor = co_await asio::this_coro::executor;
      asio::co_spawn(executor, look(), asio::detached);
      auto operation = c.transaction(body);
      const auto end = co_await cancelled(std::move(operation), [&] { return commit_runs; });
      must(!end.failure.has_value() && end.aborted == !commits, "not what the server said");
      const int there = co_await rows(admin);
      must(there == (commits ? 1 : 0), "not what was told");
      co_await c.reset();
      must(c.usable(), "the connection is kept");
    }
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a body that swallows a lost connection, when it returns, then it is told as not committed",
          "[postgres][server][field-R21]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto admin = co_await connect();
    co_await make_table(admin);
    {
      auto c = co_await connect();
      auto body = [](pg::transaction& t) -> asio::awaitable<void> {
        co_await add_row(t);
        (void)co_await error_of(t.exec("select pg_terminate_backend(pg_backend_pid())"));
      };
      const auto failure = co_await error_of(c.transaction(body));
      must(failure.reason() == pg::errc::connection_lost && !failure.outcome_unknown(), "COMMIT was never sent");
      must(failure.is("57P01") && std::string(failure.what()).find("nothing is committed") != std::string::npos, "the reason is lost");
    }
    {
      auto c = co_await connect();
      auto body = [&c](pg::transaction& t) -> asio::awaitable<void> {
        co_await add_row(t);
        c.abort();
      };
      const auto failure = co_await error_of(c.transaction(body));
      must(failure.reason() == pg::errc::connection_lost && !failure.outcome_unknown(), "COMMIT was never sent");
      must(std::string(failure.what()).find("aborted before COMMIT") != std::string::npos, "the reason is lost");
    }
    const int there = co_await rows(admin);
    must(there == 0, "committed");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a body that swallows its cancellation, when it returns, then COMMIT is not sent", "[postgres][server][field-R21]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto admin = co_await connect();
    co_await make_table(admin);
    auto c = co_await connect();
    bool waiting = false;
    auto body = [&](pg::transaction& t) -> asio::awaitable<void> {
      co_await add_row(t);
      waiting = true;
      try {
        co_await pause(60s);
      } catch (const tidepool::system_error&) {
        // As a careless body does.
      }
    };
    auto operation = c.transaction(body);
    const auto end = co_await cancelled(std::move(operation), [&] { return waiting; });
    must(end.aborted && !end.failure, "not told as cancelled");
    must(c.after_lease() == tidepool::lease_end::needs_reset, "the transaction is open");
    co_await c.reset();
    const int there = co_await rows(admin);
    must(there == 0 && c.usable(), "committed");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a read-only transaction, when it is over, then a refused write counts again", "[postgres][server][field-reads-only]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto admin = co_await connect();
    co_await make_table(admin);
    auto c = co_await connect("target_session_attrs=read-write");
    co_await c.script(
        "create temp table mine (i int);"
        "create function pg_temp.write() returns trigger language plpgsql as $$begin insert into commit_rows values (1); return null; "
        "end$$;"
        "create constraint trigger write after insert on mine deferrable initially deferred for each row execute function pg_temp.write()");
    auto reads = [](pg::transaction& t) -> asio::awaitable<void> { co_await t.exec("select 1"); };
    auto writes = [](pg::transaction& t) -> asio::awaitable<void> { co_await add_row(t); };
    auto writes_late = [](pg::transaction& t) -> asio::awaitable<void> { co_await t.exec("insert into mine values (1)"); };
    co_await c.transaction(reads, {.read_only = true});
    must(!c.session()->reads_only, "after COMMIT");
    for (int i = 0; i < 2; ++i) {
      auto operation = i == 0 ? c.transaction(writes, {.read_only = true}) : c.transaction(writes_late, {.read_only = true});
      const auto failure = co_await error_of(std::move(operation));
      must(failure.is("25006"), "refused");
      must(!c.session()->reads_only, "after an error");
      must(!c.session()->role_unconfirmed && c.usable(), "the caller's own transaction says nothing of the server");
    }
    co_await c.script("set default_transaction_read_only = on");
    const auto failure = co_await error_of(c.exec("insert into commit_rows values (1)"));
    must(failure.is("25006") && c.session()->role_unconfirmed, "a refused write of a server that has to take them");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given bodies of all kinds, when they are handed over, then each is destroyed as often as it was made",
          "[postgres][server][field-N7]") {
  NEEDS_SERVER();
  using pg::detail::survives_co_await;
  const std::string text = "a text too long for a place without the heap";
  auto by_value = [text](pg::transaction&) -> asio::awaitable<std::string> { co_return text; };
  auto by_reference = [&text](pg::transaction&) -> asio::awaitable<std::string> { co_return text; };
  const auto shared = std::make_shared<int>(7);
  // What GCC 12 gets wrong does not compile: a temporary that has something to destroy.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
  STATIC_REQUIRE_FALSE(survives_co_await<decltype(by_value)>);
#else
  STATIC_REQUIRE(survives_co_await<decltype(by_value)>);
#endif
  STATIC_REQUIRE(survives_co_await<decltype(by_value)&>);
  STATIC_REQUIRE(survives_co_await<const decltype(by_value)&>);
  STATIC_REQUIRE(survives_co_await<decltype(by_reference)>);
  auto task = [&]() -> asio::awaitable<void> {
    auto c = co_await connect();
    for (int i = 0; i < 2; ++i) {
      std::string got = co_await c.transaction(by_value);
      must(got == text, "by value");
      got = co_await c.transaction([&text](pg::transaction&) -> asio::awaitable<std::string> { co_return text; });
      must(got == text, "by reference");
    }
    auto counts = [shared](pg::transaction& t) -> asio::awaitable<long> {
      auto inner = [shared](pg::transaction&) -> asio::awaitable<long> { co_return shared.use_count(); };
      co_return co_await t.nested(inner);
    };
    const long most = co_await c.transaction(counts);
    must(most > 2, "counted");
#if defined(__clang__) || __GNUC__ >= 13
    const long temporary = co_await c.transaction([shared](pg::transaction&) -> asio::awaitable<long> { co_return shared.use_count(); });
    must(temporary > 2, "counted");
#endif
    // One that cannot be copied is lent.
    auto only = [owned = std::make_unique<int>(3)](pg::transaction&) -> asio::awaitable<int> { co_return *owned; };
    const int lent = co_await c.transaction(std::ref(only));
    must(lent == 3, "lent");
  };
  CHECK_NOTHROW(run(task()));
  CHECK(shared.use_count() == 1);
}

TEST_CASE("given a read-only transaction, when a nested one ends, then a refused write is the caller's own",
          "[postgres][server][field-5]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect();
    auto inner = [](pg::transaction& t) -> asio::awaitable<void> { co_await t.exec("select 1"); };
    auto body = [&](pg::transaction& t) -> asio::awaitable<void> {
      co_await t.nested(inner);
      must(c.session()->reads_only, "it is forgotten after the nested one");
    };
    pg::transaction_options wanted;
    wanted.read_only = true;
    co_await c.transaction(body, wanted);
    must(!c.session()->reads_only, "it sticks after COMMIT");
  };
  run(task());
}
