// SPDX-License-Identifier: BSL-1.0
// tidepool - streams, COPY and LISTEN against a real server.
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include <unistd.h>

#include <tidepool/postgres/detail/copy_watch.hpp>
#include <tidepool/postgres/detail/session.hpp>

#include "../support/on_end.hpp"
#include "fake_server.hpp"

using namespace tidepool_tests;

namespace {

/// Kilobytes of memory this process holds.
long resident() {
  std::ifstream file("/proc/self/statm");
  long total = 0;
  long pages = 0;
  file >> total >> pages;
  return pages * (::sysconf(_SC_PAGESIZE) / 1024);
}

struct item {
  int id = 0;
  std::string name;
};

}  // namespace

TEST_CASE("given a large result, when it is streamed, then all rows come, in order, in little memory", "[postgres][server][stream]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<long> {
    auto c = co_await connect();
    const long before = resident();
    auto rows = co_await c.stream<int, std::string>("select i, repeat('x', 1000) from generate_series(1, $1) i", 100000);
    int expected = 0;
    bool right = true;
    for (auto row = co_await rows.next(); row; row = co_await rows.next()) {
      right = right && std::get<0>(*row) == ++expected && std::get<1>(*row).size() == 1000;
    }
    must(right && expected == 100000, "all rows");
    const auto end = co_await rows.next();
    must(!end && c.usable(), "the end stays the end");
    co_return resident() - before;
  };
  const long grown = run(task());
  CHECK((sanitized || grown < 50'000));
}

TEST_CASE("given a stream, when it is left early, then close() saves the connection, a destructor gives it up",
          "[postgres][server][stream]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect();
    const stopwatch watch;
    for (int i = 0; i < 3; ++i) {
      // Wide ones: what is on its way is read to its end, row by row.
      auto rows = co_await c.stream<item>("select generate_series(1, 1000000000), repeat('n', 2000)");
      const auto first = co_await rows.next();
      must(first && first->name.size() == 2000, "the first row");
      const auto busy = co_await error_of(c.exec("select 1"));
      must(busy.reason() == pg::errc::busy, "busy meanwhile");
      co_await rows.close();
      const int one = co_await c.one<int>("select 1");
      must(one == 1, "usable afterwards");
    }
    must(watch.seconds() < 100, "the server was stopped");
    {
      auto rows = co_await c.stream<int>("select generate_series(1, 1000000)");
      (void)co_await rows.next();
    }
    must(c.after_lease() == tidepool::lease_end::unfinished && !c.usable(), "given up");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a stream, when its statement fails, at once or midway, then the connection lives on", "[postgres][server][stream]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect();
    auto wrong = co_await c.stream<int>("selec 1");
    const auto syntax = co_await error_of(wrong.next());
    must(syntax.is("42601"), "syntax error");
    auto rows = co_await c.stream<int>("select 10 / (5 - i) from generate_series(1, 10) i");
    int seen = 0;
    std::optional<pg::error> failure;
    try {
      for (auto row = co_await rows.next(); row; row = co_await rows.next()) ++seen;
    } catch (const pg::error& thrown) {
      failure = thrown;
    }
    must(failure && failure->is("22012"), "division by zero");
    must(seen <= 4, "no rows after it");
    auto holes = co_await c.stream<int>("select nullif(i, 2) from generate_series(1, 3) i");
    (void)co_await holes.next();
    const auto hole = co_await error_of(holes.next());
    must(hole.reason() == pg::errc::null_value, "NULL");
    int rest = 0;
    for (auto row = co_await holes.next(); row; row = co_await holes.next()) rest += *row;
    must(rest == 3 && c.usable(), "it goes on after a bad row");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a stream, a writer or a reader, when it was moved from, then it says so", "[postgres][server][stream][copy]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    const auto refused = [](auto call) {
      try {
        call();
      } catch (const pg::error& failure) {
        return failure.reason() == pg::errc::bad_usage;
      }
      return false;
    };
    auto c = co_await connect();
    auto rows = co_await c.stream<int>("select generate_series(1, 3)");
    auto kept = std::move(rows);
    const auto next = co_await error_of(rows.next());
    must(next.reason() == pg::errc::bad_usage && refused([&] { (void)rows.close(); }), "the stream");
    const auto first = co_await kept.next();
    must(first == 1, "the one it was moved to");
    co_await kept.close();
    co_await c.script("create temp table moved (n int)");
    auto out = co_await c.copy_in("copy moved from stdin");
    auto writer = std::move(out);
    must(refused([&] { (void)out.row(1); }) && refused([&] { (void)out.write("1\n"); }) && refused([&] { (void)out.finish(); }),
         "the writer");
    co_await writer.row(1);
    const auto taken = co_await writer.finish();
    must(taken == 1, "the one it was moved to");
    auto in = co_await c.copy_out("copy moved to stdout");
    auto reader = std::move(in);
    const auto row = co_await error_of(in.row<int>());
    must(row.reason() == pg::errc::bad_usage && refused([&] { (void)in.next(); }), "the reader");
    co_await reader.close();
    must(c.usable(), "usable afterwards");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given rows with everything in them, when copied in and out, then they are the same", "[postgres][server][copy]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto c = co_await connect();
    co_await c.script("create temp table t (id int, name text, score float8, data bytea, tags text[])");
    const std::vector<std::byte> bytes{std::byte{0}, std::byte{'\\'}, std::byte{'\t'}, std::byte{0xff}};
    const std::vector<std::string> tags{"a,b", "quo\"te", "back\\slash", ""};
    const std::string name = "tab\t line\n return\r back\\slash \\N caf\xc3\xa9";
    auto in = co_await c.copy_in("copy t from stdin");
    co_await in.row(1, name, 0.1, bytes, tags);
    co_await in.row(2, "\\N", std::nullopt, std::optional<std::vector<std::byte>>(), std::vector<std::string>());
    co_await in.row(3, "", std::optional<double>(-1.5), nullptr, nullptr);
    const auto copied = co_await in.finish();
    must(copied == 3, "three rows");
    using row =
        std::tuple<int, std::string, std::optional<double>, std::optional<std::vector<std::byte>>, std::optional<std::vector<std::string>>>;
    const auto stored = co_await c.all<row>("select * from t order by id");
    must(std::get<1>(stored[0]) == name && *std::get<3>(stored[0]) == bytes && *std::get<4>(stored[0]) == tags &&
             std::get<2>(stored[0]) == 0.1,
         "as written");
    must(std::get<1>(stored[1]) == "\\N" && !std::get<3>(stored[1]) && std::get<4>(stored[1])->empty(), "NULL is not its word");
    std::vector<row> read;
    auto out = co_await c.copy_out("copy (select * from t order by id) to stdout");
    for (auto next = co_await out.row<row>(); next; next = co_await out.row<row>()) read.push_back(*next);
    must(read == stored, "as stored");
    must(c.usable(), "usable");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a server that reads nothing, when much is copied in, then the writer waits, memory is bounded",
          "[postgres][server][copy][field-5]") {
  NEEDS_SERVER();
  int written = 0;
  int held_at = 0;
  long grown = 0;
  auto task = [&]() -> asio::awaitable<void> {
    auto holder = co_await connect();
    auto c = co_await connect();
    co_await c.script(
        "create temp table t (line text);"
        "create function pg_temp.hold() returns trigger language plpgsql as "
        "$$begin perform pg_advisory_xact_lock_shared(" +
        std::to_string(holder.backend_pid()) +
        "); return new; end$$;"
        "create trigger hold before insert on t for each row execute function pg_temp.hold()");
    co_await holder.exec("select pg_advisory_lock(pg_backend_pid())");
    const long before = resident();
    std::exception_ptr failure;
    bool ended = false;
    auto writer = [&]() -> asio::awaitable<void> {
      auto in = co_await c.copy_in("copy t from stdin");
      const std::string line = std::string(15999, 'x') + '\n';
      for (; written < 2500; ++written) co_await in.write(line);
      const auto copied = co_await in.finish();
      must(copied == 2500, "all rows");
    };
    const auto executor = co_await asio::this_coro::executor;
    const on_end at_end = [&](std::exception_ptr e) {
      failure = e;
      ended = true;
    };
    asio::co_spawn(executor, writer(), at_end);
    // It stands still when the first row is held, and everything between here and there is full.
    for (int same = 0; same < 10; same = written == held_at && written > 0 ? same + 1 : 0) {
      held_at = written;
      co_await pause(10ms);
    }
    grown = resident() - before;
    co_await holder.exec("select pg_advisory_unlock(pg_backend_pid())");
    while (!ended) co_await pause(1ms);
    if (failure) std::rethrow_exception(failure);
    auto out = co_await c.copy_out("copy t to stdout");
    int rows = 0;
    for (auto piece = co_await out.next(); piece; piece = co_await out.next()) ++rows;
    must(rows == 2500, "all rows back");
  };
  run(task());
  CHECK(held_at < 2000);
  CHECK(written == 2500);
  CHECK((sanitized || grown < 10'000));
}

TEST_CASE("given a COPY that fails at its first row, when more rows follow, then that is told before the end",
          "[postgres][server][copy][field-R17]") {
  NEEDS_SERVER();
  auto task = [](std::string how, bool notices) -> asio::awaitable<int> {
    auto c = co_await connect(how);
    co_await c.script(
        "create temp table t (id int, line text);"
        "create function pg_temp.talk() returns trigger language plpgsql as "
        "$$begin for i in 1..1000 loop raise notice 'SERROR VERROR %', i; end loop; notify tidepool_copy, 'E'; return new; end$$;");
    if (notices) co_await c.script("create trigger talk before insert on t for each row execute function pg_temp.talk()");
    const std::string line(1000, 'x');
    auto in = co_await c.copy_in("copy t from stdin");
    if (notices) co_await in.row(1, line);
    co_await in.row("one", line);
    int written = 0;
    std::optional<pg::error> failure;
    try {
      for (; written < 200000; ++written) co_await in.row(written, line);
    } catch (const pg::error& thrown) {
      failure = thrown;
    }
    must(failure && failure->is("22P02") && !failure->connection_lost(), "the server's error");
    must(failure->context().find("line") != std::string_view::npos, "with its place");
    const auto over = co_await error_of(in.finish());
    must(over.reason() == pg::errc::bad_usage, "over");
    must(c.usable() && c.after_lease() == tidepool::lease_end::clean, "usable");
    const auto rows = co_await c.one<int>("select count(*)::int from t");
    must(rows == 0, "nothing was taken");
    co_return written;
  };
  for (const char* how : {"", "sslmode=prefer"}) {
    CHECK(run(task(how, false)) < 40000);
    CHECK(run(task(how, true)) < 40000);
  }
}

TEST_CASE("given what a server may say during a COPY, then only a whole error is taken for one", "[postgres][copy][field-R17]") {
  using answer = pg::detail::copy_answer;
  using namespace std::string_literals;
  const auto all = [](const std::string& seen) { return pg::detail::look_for_error(seen); };
  const std::string error = spoken('E', "ERROR", "22P02", "no number");
  const std::string notice = spoken('N', "WARNING", "01000", "E ERROR VERROR CE", "routine");
  CHECK(all(error) == answer::error);
  CHECK(all(spoken('E', "FATAL", "57P01", "the end") + "rest") == answer::error);
  CHECK(all(notice + notice + error + ready()) == answer::error);
  CHECK(all(notice.substr(7) + error) == answer::error);
  CHECK(all(protocol_message('E', "SFEHLER\0VERROR\0C22P02\0\0"s)) == answer::error);
  CHECK(all(protocol_message('E', "SERROR\0C08P01\0Mquery_wait_timeout\0\0"s)) == answer::error);
  for (std::size_t cut = 1; cut < 20; ++cut) CHECK(all(notice + error.substr(0, cut)) == answer::perhaps);
  CHECK(all("") == answer::nothing);
  CHECK(all(notice) == answer::nothing);
  CHECK(all(protocol_message('S', "application_namE\0\0"s) + notice) == answer::nothing);
  // The length and the number of the process make the head of one, and the channel and the payload its fields.
  const std::string channel = "SERROR\0VERROR\0"s;
  const std::string forged = "A\0\0\0\x45\0\0\x12\x34"s + channel;
  CHECK(all(forged + forged + notice) == answer::nothing);
  CHECK(all("A\0\0\0\x45\0\0\x12\x34SERROR\0C22P02\0"s + notice) == answer::nothing);
}

TEST_CASE("given a column that cannot be sent, when its row is refused, then nothing of it is in the COPY",
          "[postgres][server][copy][field-5]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::string> {
    auto c = co_await connect();
    co_await c.script("create temp table t (id int, name text)");
    auto in = co_await c.copy_in("copy t from stdin");
    co_await in.row(1, "one");
    const std::string nul("t\0o", 3);
    std::optional<pg::error> refused;
    try {
      co_await in.row(2, nul);
    } catch (const pg::error& failure) {
      refused = failure;
    }
    must(refused && refused->reason() == pg::errc::bad_parameter, "refused");
    co_await in.row(3, "three");
    const auto rows = co_await in.finish();
    must(rows == 2, "two rows");
    co_return co_await c.one<std::string>("select string_agg(id || name, ',' order by id) from t");
  };
  CHECK(run(task()) == "1one,3three");
}

TEST_CASE("given a server that takes a COPY as fast as it comes, then others have their turns meanwhile", "[postgres][copy][field-R20]") {
  // It reads what comes, and says nothing but that it began.
  const auto talk = [](const std::string& said) {
    if (asks_for_login(said)) return welcome();
    return said[0] == 'Q' ? protocol_message('G', std::string(3, '\0')) : std::string();
  };
  fake_server server(talk, true);
  int turns = 0;
  bool over = false;
  auto others = [&]() -> asio::awaitable<void> {
    while (!over) {
      ++turns;
      co_await asio::post(asio::use_awaitable);
    }
  };
  auto task = [&]() -> asio::awaitable<void> {
    auto c = co_await pg::connection::connect(server.conninfo());
    auto in = co_await c.copy_in("copy t from stdin");
    asio::co_spawn(co_await asio::this_coro::executor, others(), asio::detached);
    const std::string line(1000, 'x');
    for (int i = 0; i < 6600; ++i) co_await in.row(line);
    over = true;
    c.abort();
  };
  run(task());
  CHECK(turns >= 100);
}

TEST_CASE("given COPY that fails or is given up, when it ends, then nothing was taken, the connection lives", "[postgres][server][copy]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    auto c = co_await connect();
    co_await c.script("create temp table t (id int primary key)");
    auto bad = co_await c.copy_in("copy t from stdin");
    auto twice = [&bad]() -> asio::awaitable<void> {
      for (int i = 0; i < 100000; ++i) co_await bad.row(i % 50000);
      co_await bad.finish();
    };
    const auto duplicate = co_await error_of(twice());
    must(duplicate.is("23505"), "duplicate key");
    auto text = co_await c.copy_in("copy t from stdin");
    co_await text.write("1\ntwo\n");
    const auto malformed = co_await error_of(text.finish());
    must(malformed.is("22P02"), "malformed");
    auto dropped = co_await c.copy_in("copy t from stdin");
    co_await dropped.row(7);
    co_await dropped.abort();
    const auto none = co_await error_of(c.copy_in("select 1"));
    const auto reverse = co_await error_of(c.copy_in("copy t to stdout"));
    const auto forward = co_await error_of(c.copy_out("copy t from stdin"));
    const auto missing = co_await error_of(c.copy_in("copy no_such_table from stdin"));
    must(none.reason() == pg::errc::bad_usage && reverse.reason() == pg::errc::bad_usage && forward.reason() == pg::errc::bad_usage,
         "bad usage");
    must(missing.is("42P01"), "no such table");
    auto early = co_await c.copy_out("copy (select repeat('x', 1000) from generate_series(1, 10000000)) to stdout");
    (void)co_await early.next();
    co_await early.close();
    must(c.usable(), "usable");
    co_return co_await c.one<int>("select count(*)::int from t");
  };
  CHECK(run(task()) == 0);
}

TEST_CASE("given two COPYs in one text, when the first ends, then the second is refused, the connection lives",
          "[postgres][server][copy][field-F13]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<int> {
    auto c = co_await connect();
    co_await c.script("create temp table t (id int)");
    auto in = co_await c.copy_in("copy t from stdin; copy t from stdin");
    co_await in.row(1);
    const auto twice_in = co_await error_of(in.finish());
    must(twice_in.reason() == pg::errc::bad_usage && c.usable(), "in");
    must(std::string(twice_in.what()).find("FROM STDIN is served only") != std::string::npos && twice_in.sqlstate().empty(),
         twice_in.what());
    auto mixed = co_await c.copy_in("copy t from stdin; copy t to stdout; select 1/0");
    co_await mixed.row(2);
    const auto later = co_await error_of(mixed.finish());
    must(later.reason() == pg::errc::bad_usage && later.is("22012") && c.usable(), "in, out, and an error");
    must(std::string(later.what()).find("TO STDOUT is served only") != std::string::npos, later.what());
    auto out = co_await c.copy_out("copy (select 7) to stdout; copy t from stdin");
    const auto row = co_await out.row<int>();
    const auto twice_out = co_await error_of(out.next());
    must(row == 7 && twice_out.reason() == pg::errc::bad_usage && c.usable(), "out");
    co_return co_await c.one<int>("select count(*)::int from t");
  };
  CHECK(run(task()) == 0);
}

TEST_CASE("given a killed backend, when a COPY or a stream is under way, then it ends with the reason", "[postgres][server][copy]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<void> {
    auto watcher = co_await connect();
    auto c = co_await connect();
    co_await c.script("create temp table t (line text)");
    auto in = co_await c.copy_in("copy t from stdin");
    co_await watcher.exec("select pg_terminate_backend($1)", c.backend_pid());
    std::optional<pg::error> failure;
    const std::string line(1000, 'x');
    try {
      for (int i = 0; i < 1000000; ++i) co_await in.row(line);
    } catch (const pg::error& thrown) {
      failure = thrown;
    }
    must(failure && failure->connection_lost() && failure->is("57P01"), "lost in COPY");
    auto d = co_await connect();
    auto rows = co_await d.stream<int>("select generate_series(1, 100000000)");
    co_await watcher.exec("select pg_terminate_backend($1)", d.backend_pid());
    failure.reset();
    try {
      for (auto row = co_await rows.next(); row; row = co_await rows.next()) {
      }
    } catch (const pg::error& thrown) {
      failure = thrown;
    }
    must(failure && failure->connection_lost() && failure->is("57P01"), "lost in a stream");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a listener, when others notify, then all is heard in order, also after the connection was lost",
          "[postgres][server][listener]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<std::string> {
    auto other = co_await connect();
    pg::listener inbox(pg::connector(server()), {"tidepool \"odd\" name", "tidepool_plain"});
    const auto fresh = co_await inbox.next();
    must(!fresh, "the first thing told is that the connection is new");
    co_await other.exec("select pg_notify('tidepool_plain', 'one')");
    co_await other.exec("select pg_notify($1, 'two')", "tidepool \"odd\" name");
    co_await other.script("notify tidepool_plain; notify tidepool_other, 'unheard'");
    std::string heard;
    for (int i = 0; i < 3; ++i) {
      const auto got = co_await inbox.next();
      must(got && got->backend_pid == other.backend_pid(), "a notification");
      heard += got->channel + "=" + got->payload + ";";
    }
    co_await other.exec("select pg_terminate_backend($1)", inbox.backend_pid());
    const auto again = co_await inbox.next();
    must(!again, "told about the loss");
    co_await other.exec("select pg_notify('tidepool_plain', 'three')");
    const auto got = co_await inbox.next();
    heard += got->payload;
    co_await inbox.close();
    co_return heard;
  };
  CHECK(run(task()) == "tidepool_plain=one;tidepool \"odd\" name=two;tidepool_plain=;three");
}

TEST_CASE("given a listener that waits, when it is cancelled, then it ends, and goes on later without loss",
          "[postgres][server][listener]") {
  NEEDS_SERVER();
  asio::io_context context;
  std::exception_ptr failure;
  std::string heard;
  auto task = [&]() -> asio::awaitable<void> {
    auto other = co_await connect();
    pg::listener inbox(pg::connector(server()), {"tidepool_cancel"});
    (void)co_await inbox.next();
    asio::cancellation_signal signal;
    bool ended = false;
    auto waiter = [&]() -> asio::awaitable<void> { (void)co_await inbox.next(); };
    asio::co_spawn(context, waiter(),
                   asio::bind_cancellation_slot(signal.slot(), on_end([&](std::exception_ptr e) { ended = e != nullptr; })));
    co_await pause(30ms);
    signal.emit(asio::cancellation_type::terminal);
    while (!ended) co_await pause(1ms);
    co_await other.exec("select pg_notify('tidepool_cancel', 'kept')");
    const auto got = co_await inbox.next();
    heard = got->payload;
    co_await inbox.close();
  };
  asio::co_spawn(context, task(), on_end([&](std::exception_ptr e) { failure = e; }));
  context.run_for(hang);
  if (failure) std::rethrow_exception(failure);
  CHECK(heard == "kept");
}

TEST_CASE("given a burst of notifications, when it is heard, then the event loop serves others in between",
          "[postgres][listener][field-R20]") {
  constexpr int count = 40000;
  const auto talk = [](const std::string& said) {
    if (asks_for_login(said)) return welcome();
    std::string burst = protocol_message('C', std::string("LISTEN\0", 7)) + ready();
    for (int i = 0; i < count; ++i)
      burst += protocol_message('A', std::string("\0\0\0\1jobs\0", 9) + std::to_string(i) + std::string(100, 'x') + '\0');
    return burst;
  };
  fake_server server(talk, true);
  int turns = 0;
  bool in_order = true;
  bool over = false;
  auto task = [&]() -> asio::awaitable<void> {
    const auto here = co_await asio::this_coro::executor;
    auto others = [](bool& ended, int& counted) -> asio::awaitable<void> {
      while (!ended) {
        ++counted;
        co_await asio::post(asio::use_awaitable);
      }
    };
    pg::listener inbox(pg::connector(server.conninfo()), {"jobs"});
    (void)co_await inbox.next();
    co_await pause(100ms);  // so that much of it is there to be read at once
    asio::co_spawn(here, others(over, turns), asio::detached);
    for (int i = 0; i < count; ++i) {
      const auto got = co_await inbox.next();
      in_order = in_order && got && std::stoi(got->payload) == i;
    }
    over = true;
    co_await inbox.close();
  };
  run(task());
  CHECK(in_order);
  CHECK(turns > 300);
}

TEST_CASE("given a burst of notifications, when an idle connection is looked at, then it reads only a part", "[postgres][field-R20]") {
  // What a lease that left a LISTEN behind does to the next look at the connection.
  std::string burst;
  for (int i = 0; i < 20000; ++i) burst += protocol_message('A', std::string("\0\0\0\1jobs\0", 9) + std::string(1000, 'x') + '\0');
  fake_server server([&](const std::string& said) { return asks_for_login(said) ? welcome() : done("LISTEN") + ready() + burst; }, true);
  auto task = [&]() -> asio::awaitable<int> {
    auto c = co_await pg::connection::connect(server.conninfo());
    c.session()->listening = true;
    co_await c.exec("listen jobs");
    co_await pause(50ms);
    int looks = 0;
    std::size_t before = 0;
    for (; c.session()->inbox.size() < 20000; ++looks) {
      before = c.session()->inbox.size();
      must(c.usable(), "usable");
      must(c.session()->inbox.size() - before < 2000, "a part of it");
    }
    co_return looks;
  };
  CHECK(run(task()) > 10);
}
