// SPDX-License-Identifier: BSL-1.0
// tidepool - pipelines: whose error is whose, and what is told of writes when the connection is lost.
#include <poll.h>

#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "../support/on_end.hpp"
#include "fake_server.hpp"

using namespace tidepool_tests;
using tidepool::lease_end;

namespace {

/// A result's command, or the error's reason and SQLSTATE.
std::string told(const pg::pipeline_result& answer) {
  try {
    return std::string(answer->command());
  } catch (const pg::error& failure) {
    switch (failure.reason()) {
      case pg::errc::rolled_back: return "undone";
      case pg::errc::outcome_unknown: return "unknown " + std::string(failure.sqlstate());
      case pg::errc::connection_lost: return "lost " + std::string(failure.sqlstate());
      case pg::errc::bad_usage: return "not run";
      default: return std::string(failure.sqlstate());
    }
  }
}

/// What `run()` throws; "fine" when nothing.
asio::awaitable<std::string> outcome_of(pg::pipeline& batch) {
  std::string said = "fine";
  try {
    co_await batch.run();
  } catch (const pg::error& failure) {
    said = failure.reason() == pg::errc::outcome_unknown   ? "unknown"
           : failure.reason() == pg::errc::connection_lost ? "lost"
                                                           : std::string(failure.sqlstate());
  }
  co_return said;
}

/// A child whose parent is looked for when its transaction commits.
constexpr const char* family =
    "create temp table parent (id int primary key); create temp table child (id int references parent deferrable initially deferred)";

}  // namespace

TEST_CASE("given a pipeline, when all is well, then every answer is there after one round trip", "[postgres][server][pipeline]") {
  NEEDS_SERVER();
  auto task = [](pg::pipeline_mode mode) -> asio::awaitable<int> {
    auto c = co_await connect();
    co_await c.script("create temp table t (i int)");
    auto batch = c.pipeline(mode);
    std::vector<pg::pipeline_result> answers;
    for (int i = 0; i < 1000; ++i) answers.push_back(batch.exec("insert into t values ($1) returning i, repeat('x', 2000)", i));
    auto sum = batch.exec("select sum(i)::int from t");
    bool early = false;
    try {
      (void)sum.get();
    } catch (const pg::error& failure) {
      early = failure.reason() == pg::errc::bad_usage;
    }
    co_await batch.run();
    must(early && answers[999].get()[0]["i"].as<int>() == 999 && c.usable(), "answers");
    const int one = co_await c.one<int>("select 1");
    must(one == 1, "usable");
    co_return sum->one<int>();
  };
  CHECK(run(task(pg::pipeline_mode::atomic)) == 499500);
  CHECK(run(task(pg::pipeline_mode::independent)) == 499500);
}

TEST_CASE("given a pipeline, when one statement fails, then its mode decides about the others", "[postgres][server][pipeline]") {
  NEEDS_SERVER();
  auto task = [](pg::pipeline_mode mode) -> asio::awaitable<std::string> {
    auto c = co_await connect();
    co_await c.script("create temp table t (i int)");
    auto batch = c.pipeline(mode);
    auto before = batch.exec("insert into t values (1)");
    auto wrong = batch.exec("select 1 / $1::int", 0);
    auto after = batch.exec("insert into t values (2)");
    std::string said;
    try {
      co_await batch.run();
    } catch (const pg::error& failure) {
      said = "threw " + std::string(failure.sqlstate()) + " ";
    }
    const auto state = [](const pg::pipeline_result& r) -> std::string {
      try {
        (void)r.get();
        return "ok ";
      } catch (const pg::error& failure) {
        return failure.reason() == pg::errc::rolled_back ? "undone " : std::string(failure.sqlstate()) + " ";
      }
    };
    said += state(before) + state(wrong) + state(after);
    must(c.usable(), "usable");
    co_return said + co_await c.one<std::string>("select count(*)::text from t");
  };
  CHECK(run(task(pg::pipeline_mode::atomic)) == "threw 22012 undone 22012 undone 0");
  CHECK(run(task(pg::pipeline_mode::independent)) == "ok 22012 ok 2");
}

TEST_CASE("given a transaction, when a pipeline runs in it, then it commits or rolls back with it", "[postgres][server][pipeline]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    auto c = co_await connect();
    co_await c.script("create temp table t (i int)");
    auto good = [](pg::transaction& t) -> asio::awaitable<void> {
      auto batch = t.pipeline(pg::pipeline_mode::atomic);
      batch.exec("insert into t values (1)");
      batch.exec("insert into t values (2)");
      co_await batch.run();
    };
    co_await c.transaction(good);
    auto bad = [](pg::transaction& t) -> asio::awaitable<void> {
      auto batch = t.pipeline(pg::pipeline_mode::independent);
      batch.exec("insert into t values (3)");
      co_await batch.run();
      throw std::out_of_range("leave");
    };
    try {
      co_await c.transaction(bad);
    } catch (const std::out_of_range&) {
    }
    co_return co_await c.one<int>("select count(*)::int from t");
  };
  CHECK(run(task()) == 2);
}

TEST_CASE("given a killed backend, when a pipeline is under way, then run() says that the connection is lost",
          "[postgres][server][pipeline]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect();
    auto batch = c.pipeline(pg::pipeline_mode::independent);
    batch.exec("select 1");
    batch.exec("select pg_terminate_backend(pg_backend_pid())");
    batch.exec("select 3");
    const auto failure = co_await error_of(batch.run());
    must(failure.connection_lost() && failure.is("57P01") && c.after_lease() == tidepool::lease_end::broken, "lost");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given an error at the commit of a pipeline, then what was not done is told, the connection stays",
          "[postgres][server][pipeline][field-F1]") {
  NEEDS_SERVER();
  auto task = [](pg::pipeline_mode mode) -> asio::awaitable<std::string> {
    auto c = co_await connect();
    co_await c.script(family);
    auto batch = c.pipeline(mode);
    const auto before = batch.exec("insert into parent values (1)");
    const auto orphan = batch.exec("insert into child values (2)");
    const auto child = batch.exec("insert into child values (1)");
    const auto query = batch.exec("select 1");
    std::string said = co_await outcome_of(batch);
    for (const auto* each : {&before, &orphan, &child, &query}) said += ", " + told(*each);
    must(c.usable() && c.after_lease() == lease_end::clean, "healthy");
    const auto kept = co_await c.one<std::string>("select count(*)::text from child");
    co_return said + ", " + kept;
  };
  CHECK(run(task(pg::pipeline_mode::independent)) == "fine, INSERT 0 1, 23503, INSERT 0 1, SELECT 1, 1");
  CHECK(run(task(pg::pipeline_mode::atomic)) == "23503, 23503, 23503, 23503, 23503, 0");
}

TEST_CASE("given a deferred trigger that fails, when a statement or COPY ends, then the error is theirs too",
          "[postgres][server][field-F1]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    for (const std::size_t cached : {0U, 4U}) {
      pg::options settings = patient();
      settings.statement_cache = cached;
      auto c = co_await pg::connection::connect(settings);
      co_await c.script(family);
      const auto exec = co_await error_of(c.exec("insert into child values ($1)", 1));
      const auto script = co_await error_of(c.script("insert into child values (1); select 1"));
      auto rows = co_await c.stream<int>("insert into child select i from generate_series(1, 3) i returning id");
      int delivered = 0;
      std::optional<pg::error> late;
      try {
        for (auto row = co_await rows.next(); row; row = co_await rows.next()) ++delivered;
      } catch (const pg::error& failure) {
        late = failure;
      }
      must(delivered == 3 && late && late->is("23503"), "rows, and then the truth");
      auto copy = co_await c.copy_in("copy child from stdin");
      co_await copy.row(1);
      const auto finish = co_await error_of(copy.finish());
      must(exec.is("23503") && script.is("23503") && finish.is("23503"), "each");
      must(c.usable(), "healthy");
      const auto kept = co_await c.one<int>("select count(*)::int from child");
      must(kept == 0, "nothing was done");
    }
    co_return 1;
  };
  CHECK(run(task()) == 1);
}

/// Answers a login, perhaps a BEGIN, then the first statements of a pipeline, and is gone.
fake_server dying_after(std::string answers) {
  auto talk = [answers](const std::string& said) {
    if (asks_for_login(said)) return welcome();
    if (said[0] == 'Q') return protocol_message('C', std::string("BEGIN\0", 6)) + ready('T');
    return answers + hang_up;
  };
  return fake_server(talk, true);
}

TEST_CASE("given a connection lost in a pipeline, then what was answered stands, and what was not is unknown",
          "[postgres][pipeline][field-F1]") {
  enum class within { nothing, transaction };
  auto task = [](std::string conninfo, pg::pipeline_mode mode, within where, std::string last) -> asio::awaitable<std::string> {
    auto c = co_await pg::connection::connect(conninfo);
    if (where == within::transaction) co_await c.script("begin");
    auto batch = c.pipeline(mode);
    const auto one = batch.exec("insert 1");
    const auto two = batch.exec("insert 2");
    const auto three = batch.exec(last);
    std::string said = co_await outcome_of(batch);
    for (const auto* each : {&one, &two, &three}) said += ", " + told(*each);
    must(c.after_lease() == lease_end::broken, "the connection is not used again");
    co_return said;
  };
  const auto each = pg::pipeline_mode::independent;
  const auto all = pg::pipeline_mode::atomic;
  const std::string failed = spoken('E', "ERROR", "23505", "there is one already");
  const std::string ended = spoken('E', "FATAL", "57P01", "terminating");
  const auto ask = [&](std::string answers, pg::pipeline_mode mode, within where = within::nothing, std::string last = "insert 3") {
    const fake_server server = dying_after(std::move(answers));
    return run(task(server.conninfo(), mode, where, std::move(last)));
  };
  CHECK(ask(done("INSERT 0 1") + ready() + done("INSERT 0 2") + ended, each) == "unknown, INSERT 0 1, unknown 57P01, unknown 57P01");
  CHECK(ask(failed + ready() + ended, each) == "unknown, 23505, unknown 57P01, unknown 57P01");
  CHECK(ask(failed + ready(), each) == "unknown, 23505, unknown , unknown ");
  CHECK(ask(done("INSERT 0 1") + done("INSERT 0 2") + done("INSERT 0 3"), all) == "unknown, unknown , unknown , unknown ");
  // An error undoes all of it, and so does the end of an open transaction.
  CHECK(ask(done("INSERT 0 1") + failed, all) == "lost, undone, 23505, undone");
  CHECK(ask(done("INSERT 0 1") + ended, all, within::transaction) == "lost, lost 57P01, lost 57P01, lost 57P01");
  CHECK(ask(done("INSERT 0 1") + ended, all, within::transaction, " COMMIT") == "unknown, unknown 57P01, unknown 57P01, unknown 57P01");
}

TEST_CASE("given a pipeline that is cancelled, then nothing of it is told as not run", "[postgres][pipeline][field-F1]") {
  fake_server silent([](const std::string& said) { return asks_for_login(said) ? welcome() : ""; }, true);
  std::string said;
  auto task = [&]() -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(silent.conninfo());
    auto batch = c.pipeline(pg::pipeline_mode::independent);
    const auto one = batch.exec("insert 1");
    said = told(one);
    asio::cancellation_signal signal;
    bool ended = false;
    const auto here = co_await asio::this_coro::executor;
    asio::co_spawn(here, batch.run(),
                   asio::bind_cancellation_slot(signal.slot(), on_end([&](std::exception_ptr e) { ended = e != nullptr; })));
    co_await pause(20ms);
    signal.emit(asio::cancellation_type::terminal);
    while (!ended) co_await pause(1ms);
    said += ", " + told(one);
  };
  run(task());
  CHECK(said == "not run, unknown ");
}

TEST_CASE("given COPY in a pipeline, when it runs, then it is refused before anything is sent", "[postgres][server][pipeline][field-F13]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    auto c = co_await connect();
    co_await c.script("create temp table t (i int)");
    auto batch = c.pipeline(pg::pipeline_mode::independent);
    const auto before = batch.exec("insert into t values (1)");
    batch.exec("copy t from stdin");
    const auto refused = co_await error_of(batch.run());
    must(refused.reason() == pg::errc::bad_usage && told(before) == "not run", "refused");
    must(c.usable() && c.after_lease() == lease_end::clean, "the connection lives");
    co_return co_await c.one<int>("select count(*)::int from t");
  };
  CHECK(run(task()) == 0);
}

TEST_CASE("given an atomic pipeline that is cancelled, then no answer of it can be read as done",
          "[postgres][server][pipeline][field-F1]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::vector<std::string>> {
    const asio::any_io_executor here = co_await asio::this_coro::executor;
    auto c = co_await connect();
    co_await c.script("create temp table t (i int)");
    auto batch = c.pipeline(pg::pipeline_mode::atomic);
    const auto written = batch.exec("insert into t values (1)");
    const auto slow = batch.exec("select pg_sleep(30)");
    asio::cancellation_signal stop;
    asio::steady_timer timer(here, 100ms);
    timer.async_wait([&stop](tidepool::error_code) { stop.emit(asio::cancellation_type::terminal); });
    auto running = [](pg::pipeline& all) -> asio::awaitable<void> { co_await all.run(); };
    auto task_of = running(batch);
    auto token = asio::bind_cancellation_slot(stop.slot(), asio::use_awaitable);
    std::string ended = "fine";
    try {
      co_await asio::co_spawn(here, std::move(task_of), token);
    } catch (const tidepool::system_error& failure) {
      ended = failure.code() == asio::error::operation_aborted ? "aborted" : failure.what();
    }
    std::vector<std::string> said{ended, told(written), told(slow)};
    said.push_back(std::to_string(co_await c.one<int>("select count(*)::int from t")));
    co_return said;
  };
  const auto said = run(task());
  CHECK(said == std::vector<std::string>{"aborted", "undone", "57014", "0"});
}

TEST_CASE("given an atomic pipeline that ends its transaction too early, then nothing of it is sent",
          "[postgres][server][pipeline][field-F1]") {
  NEEDS_SERVER();
  auto task = [](std::string end) -> asio::awaitable<std::string> {
    auto c = co_await connect();
    co_await c.script("create temp table t (i int)");
    auto batch = c.pipeline(pg::pipeline_mode::atomic);
    (void)batch.exec("insert into t values (1)");
    (void)batch.exec(end);
    (void)batch.exec("select 1 / 0");
    std::string said;
    try {
      co_await batch.run();
    } catch (const pg::error& failure) {
      said = failure.what();
    }
    const int rows = co_await c.one<int>("select count(*)::int from t");
    must(rows == 0, "it was sent");
    // As the last one it is what it says.
    auto other = c.pipeline(pg::pipeline_mode::atomic);
    (void)other.exec("begin");
    (void)other.exec("savepoint s");
    (void)other.exec("insert into t values (2)");
    (void)other.exec("rollback to s");
    (void)other.exec("ROLLBACK work /* so far */ TO SAVEPOINT s");
    (void)other.exec("insert into t values (3)");
    (void)other.exec("commit");
    co_await other.run();
    const int kept = co_await c.one<int>("select i from t");
    must(kept == 3 && !c.in_transaction(), "a whole transaction did not commit");
    co_return said;
  };
  for (const char* end : {"commit", "/* so */ END", "rollback", "abort", "prepare transaction 'x'"}) {
    INFO(end);
    CHECK_THAT(run(task(end)), has_text("statement 2 of an atomic pipeline ends the transaction"));
  }
}

TEST_CASE("given a large atomic pipeline whose end was not sent, when it is lost, then all is told as not done",
          "[postgres][pipeline][field-F1]") {
  auto task = [](std::string conninfo) -> asio::awaitable<std::string> {
    auto c = co_await pg::connection::connect(conninfo);
    auto batch = c.pipeline(pg::pipeline_mode::atomic);
    const std::string much(std::size_t{256} << 10U, 'x');
    const auto one = batch.exec("insert 1", much);
    for (int i = 0; i < 100; ++i) (void)batch.exec("insert 2", much);
    const auto end = batch.exec("insert 3", much);
    const std::string said = co_await outcome_of(batch);
    co_return said + ", " + told(one) + ", " + told(end);
  };
  // It is gone when it has read some of it.
  const fake_server server = dying_after("");
  CHECK(run(task(server.conninfo())) == "lost, lost , lost ");
}

TEST_CASE("given a pipeline lost while it is sent, then what was not sent is told as not done", "[postgres][pipeline][field-F1]") {
  auto task = [](std::string conninfo) -> asio::awaitable<std::string> {
    auto c = co_await pg::connection::connect(conninfo);
    co_await c.exec("set a to 1");
    pollfd closed{PQsocket(c.native()), POLLRDHUP, 0};
    must(::poll(&closed, 1, 60'000) == 1, "the server hangs up");
    auto batch = c.pipeline(pg::pipeline_mode::independent);
    const std::string much(std::size_t{256} << 10U, 'x');
    const auto one = batch.exec("insert 1", much);
    const auto two = batch.exec("insert 2", much);
    const auto three = batch.exec("insert 3", much);
    const std::string said = co_await outcome_of(batch);
    co_return said + ", " + told(one) + ", " + told(two) + ", " + told(three);
  };
  const fake_server server(after_login([](const std::string&) { return done("SET") + ready() + hang_up; }), true);
  CHECK(run(task(server.conninfo())) == "unknown, unknown , lost , lost ");
}
