// SPDX-License-Identifier: BSL-1.0
// tidepool - opening databases, pools of connections to them, and one writer with several readers.
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "../support/on_end.hpp"
#include "kit.hpp"

using namespace tidepool_tests;

namespace {

tidepool::pool_config small() {
  auto config = tidepool::pool_config::embedded();
  config.min_size = 1;
  config.max_size = 3;
  config.acquire_timeout = 5s;
  config.connect_timeout = 5s;
  return config;
}
/// The error of opening it.
lite::connect_error failure_of(lite::options how) {
  try {
    (void)run(lite::connection::connect(std::move(how)));
  } catch (const lite::connect_error& failure) {
    return failure;
  }
  throw std::runtime_error("it was opened");
}

}  // namespace

TEST_CASE("given places where no database can be, when one is opened, then the error says what is wrong") {
  const folder here;
  const auto missing = failure_of(here / "nowhere/test.db");
  CHECK_THAT(missing.what(), has_text("there is no folder " + here / "nowhere"));
  CHECK(missing.kind() == tidepool::failure_kind::permanent);
  const auto directory = failure_of(here / "");
  CHECK_THAT(directory.what(), has_text("it is a folder"));
  lite::options reading(here / "test.db");
  reading.read_only = true;
  CHECK_THAT(failure_of(reading).what(), has_text("there is no such file"));
  std::ofstream(here / "text.db") << std::string(4096, 'x');
  const auto other = failure_of(here / "text.db");
  CHECK(other.is(SQLITE_NOTADB));
  CHECK(other.kind() == tidepool::failure_kind::permanent);
  CHECK_THAT(other.what(), has_text("restore it from a backup"));
  run([](std::string path) -> asio::awaitable<void> { (void)co_await lite::connection::connect(path); }(here / "good.db"));
  CHECK_THAT(failure_of("file:" + here / "good.db?mode=ro").what(), has_text("no right to write it; set options::read_only"));
}

TEST_CASE("given options that cannot be, when they are used, then they are refused in words") {
  const auto words = [](lite::options how) {
    try {
      how.check();
    } catch (const lite::error& refused) {
      return std::string(refused.what());
    }
    return std::string();
  };
  CHECK_THAT(words(std::string("a\0b", 3)), has_text("NUL byte"));
  CHECK_THAT(words("file:x.db?cache=shared"), has_text("vfs=memdb"));
  CHECK_THAT(words("file:name?vfs=memdb"), has_text("with a slash"));
  lite::options how(":memory:");
  how.read_only = true;
  CHECK_THAT(words(how), has_text("empty at first"));
  lite::options limits("x.db");
  limits.busy_timeout = -1s;
  CHECK_THAT(words(limits), has_text("busy_timeout is below zero"));
  lite::options looks("x.db");
  looks.look_time = -1us;
  CHECK_THAT(words(looks), has_text("look_time is below zero"));
  CHECK(words("x.db").empty());
  CHECK_THROWS_AS(lite::options(static_cast<const char*>(nullptr)), lite::error);
  CHECK(lite::options("file:secret.db?key=secret").summary() == "secret.db");
}

TEST_CASE("given options, when a database is opened, then it is as they say") {
  const folder here;
  lite::options how(here / "test.db");
  how.synchronous = lite::sync::full;
  how.cache_kib = 512;
  bool hooked = false;
  how.on_connect = [&hooked](lite::connection& c) -> asio::awaitable<void> {
    co_await c.exec("create table if not exists made (i)");
    hooked = true;
  };
  run([](lite::options settings) -> asio::awaitable<void> {
    auto c = co_await lite::connection::connect(std::move(settings));
    const auto mode = co_await c.one<std::string>("pragma journal_mode");
    const int level = co_await c.one<int>("pragma synchronous");
    const int keys = co_await c.one<int>("pragma foreign_keys");
    const int cache = co_await c.one<int>("pragma cache_size");
    const int trusted = co_await c.one<int>("pragma trusted_schema");
    must(mode == "wal" && level == 2 && keys == 1 && cache == -512 && trusted == 0, "pragmas");
    co_await c.close();
    must(!c, "closed");
    const auto refused = co_await error_of(c.exec("select 1"));
    must(refused.connection_lost(), refused.what());
  }(how));
  CHECK(hooked);
  CHECK_FALSE(std::filesystem::exists(here / "test.db-wal"));
  lite::options reading("file:" + here / "test.db?mode=ro");
  reading.read_only = true;
  run([](lite::options settings) -> asio::awaitable<void> {
    auto c = co_await lite::connection::connect(std::move(settings));
    auto body = [](lite::transaction& tx) -> asio::awaitable<int> { co_return co_await tx.one<int>("select count(*) from made"); };
    const int count = co_await c.transaction(body);
    const auto refused = co_await error_of(c.exec("insert into made values (1)"));
    must(count == 0 && c.reads_only() && refused.reason() == lite::errc::read_only && c.usable(), refused.what());
  }(reading));
  lite::options plain(here / "plain.db");
  plain.journal_mode = lite::journal::truncate;
  run([](lite::options settings) -> asio::awaitable<void> {
    auto c = co_await lite::connection::connect(std::move(settings));
    const auto mode = co_await c.one<std::string>("pragma journal_mode");
    must(mode == "truncate", mode);
  }(plain));
}

TEST_CASE("given a lease left in a transaction or a stream, when it ends, then the next holder finds all clean", "[sqlite-S1]") {
  const folder here;
  auto config = small();
  config.max_size = 1;
  with_pool(here / "test.db", config, [&here](lite::pool& pool) -> asio::awaitable<void> {
    {
      auto lease = co_await pool.acquire();
      co_await lease->script("create table t (i); insert into t values (1), (2), (3)");
      co_await lease->script("begin; delete from t");
    }
    {
      auto lease = co_await pool.acquire();
      const int count = co_await lease->one<int>("select count(*) from t");
      must(count == 3 && !lease->in_transaction(), "rolled back");
      auto rows = co_await lease->stream<int>("select a.i from t a, t b, t c, t d, t e, t f, t g");
      (void)co_await rows.next();
    }
    auto lease = co_await pool.acquire();
    co_await lease->exec("insert into t values (4)");
    // A read transaction that is left open stops this.
    auto other = co_await lite::connection::connect(here / "test.db");
    const auto checkpoint = co_await other.one<std::tuple<int, int, int>>("pragma wal_checkpoint(truncate)");
    const auto [busy, log, done] = checkpoint;
    must(busy == 0 && log == 0 && done == 0, "the log was copied and cut");
    must(pool.stats().connections_created == 1, "the same connection");
  });
}

TEST_CASE("given a pool of an in-memory database, when it is made for several, then it is refused in words") {
  asio::io_context io;
  const auto refused = [&io](const char* path, const tidepool::pool_config& config) {
    try {
      const lite::pool pool(io, lite::connector(path), config);
    } catch (const lite::error& failure) {
      return std::string(failure.what());
    }
    return std::string();
  };
  CHECK_THAT(refused(":memory:", tidepool::pool_config::embedded()),
             has_text("max_size must be 1") && has_text("min_size must be 1") && has_text("idle_timeout must be") && has_text("memdb"));
  CHECK_THAT(refused("", {}), has_text("max_lifetime must be tidepool::no_limit"));
  CHECK(refused(":memory:", lite::memory_config()).empty());
  auto none = tidepool::pool_config::embedded();
  none.min_size = 0;
  CHECK_THAT(refused("file:/refused?vfs=memdb", none), has_text("min_size must be 1 or more"));
  CHECK(refused("file:/refused?vfs=memdb", {}).empty());
}

TEST_CASE("given a pool of an in-memory database, when its connection is lost, then no empty one follows") {
  auto config = lite::memory_config();
  config.acquire_timeout = 5s;
  with_pool(":memory:", config, [](lite::pool& pool) -> asio::awaitable<void> {
    {
      auto lease = co_await pool.acquire();
      co_await lease->exec("create table t (i)");
    }
    {
      auto lease = co_await pool.acquire();
      (void)co_await lease->one<int>("select count(*) from t");
      lease.discard();
    }
    std::string text;
    try {
      (void)co_await pool.acquire();
    } catch (const tidepool::pool_error& failure) {
      text = failure.what();
    }
    must(text.find("a new one would be empty") != std::string::npos, text);
  });
}

TEST_CASE("given an in-memory database with a name, when several connections use it, then they see the same") {
  with_pool("file:/shared_by_name?vfs=memdb", small(), [](lite::pool& pool) -> asio::awaitable<void> {
    auto one = co_await pool.acquire();
    auto two = co_await pool.acquire();
    co_await one->script("create table t (i); insert into t values (7)");
    const int seen = co_await two->one<int>("select i from t");
    must(seen == 7, "the same");
  });
}

TEST_CASE("given a file that is replaced or damaged, when a connection meets it, then it leaves the pool") {
  const folder here;
  with_pool(here / "test.db", small(), [&here](lite::pool& pool) -> asio::awaitable<void> {
    {
      auto lease = co_await pool.acquire();
      co_await lease->script("create table t (i); insert into t values (1)");
      std::filesystem::rename(here / "test.db", here / "moved.db");
      const auto gone = co_await error_of(lease->ping());
      must(gone.connection_lost() && std::string_view(gone.what()).find("moved, replaced or deleted") != std::string_view::npos,
           gone.what());
    }
    std::filesystem::rename(here / "moved.db", here / "test.db");
    {
      auto lease = co_await pool.acquire();
      must(lease->usable(), "a new one");
      std::filesystem::rename(here / "test.db", here / "moved.db");
      auto body = [](lite::transaction& tx) -> asio::awaitable<void> { co_await tx.exec("insert into t values (2)"); };
      const auto refused = co_await error_of(lease->transaction(body));
      must(refused.connection_lost(), refused.what());
      std::filesystem::rename(here / "moved.db", here / "test.db");
    }
    {
      auto lease = co_await pool.acquire();
      co_await lease->exec("pragma wal_checkpoint(truncate)");
      std::fstream file(here / "test.db", std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(4096);
      file << std::string(4096, '\x7f');
      file.close();
      co_await lease->exec("pragma shrink_memory");
      const auto broken = co_await error_of(lease->one<int>("select count(*) from t"));
      must(broken.is(SQLITE_CORRUPT) && broken.connection_lost(), broken.what());
      must(broken.consequence() == lite::consequence::all_suspect, "others too");
    }
    must(pool.stats().closed(tidepool::close_reason::broken) == 3, "all three are gone");
  });
}

TEST_CASE("given a database, when readers write, then that is refused, and when a writer does, then they see it") {
  const folder here;
  run([](std::string path) -> asio::awaitable<void> {
    lite::database db(co_await asio::this_coro::executor, path, 2);
    co_await db.open();
    {
      auto writer = co_await db.write();
      co_await writer->exec("create table t (i)");
      auto body = [](lite::transaction& tx) -> asio::awaitable<void> { co_await tx.exec("insert into t values (1)"); };
      co_await writer->transaction(body);
      auto reader = co_await db.read();
      must(reader->reads_only() && !writer->reads_only(), "kinds");
      const int seen = co_await reader->one<int>("select count(*) from t");
      must(seen == 1, "seen");
      const auto refused = co_await error_of(reader->exec("insert into t values (2)"));
      must(refused.reason() == lite::errc::read_only && std::string_view(refused.what()).find("write()") != std::string_view::npos,
           refused.what());
      auto both = [](lite::transaction& tx) -> asio::awaitable<int> { co_return co_await tx.one<int>("select count(*) from t"); };
      const int again = co_await reader->transaction(both);
      must(again == 1, "a deferred transaction");
    }
    must(db.writers().stats().total_connections == 1 && db.readers().stats().total_connections == 2, "sizes");
    must(db.writers().config().name.view() == "pool-write", "names");
    co_await db.close(5s);
  }(here / "test.db"));
  asio::io_context io;
  CHECK_THROWS_AS(lite::database(io, ":memory:"), lite::error);
  lite::options reading("x.db");
  reading.read_only = true;
  CHECK_THROWS_AS(lite::database(io, reading), lite::error);
}

TEST_CASE("given a database, when run() works on it, then it is opened before and closed on every path") {
  const folder here;
  for (const bool fails : {false, true}) {
    asio::io_context io;
    lite::database db(io, here / "test.db", 2);
    const auto work = [fails](lite::database& on) -> asio::awaitable<int> {
      must(on.readers().stats().total_connections == 2, "open");
      auto lease = co_await on.read();
      if (fails) throw std::runtime_error("no work today");
      co_return co_await lease->one<int>("select 7");
    };
    if (fails) {
      CHECK_THROWS_WITH(tidepool::run(io, db, work), "no work today");
    } else {
      CHECK(tidepool::run(io, db, work, {.threads = 2}).value == 7);
    }
    CHECK(db.writers().state() == tidepool::pool_state::closed);
    CHECK(db.readers().stats().total_connections == 0);
  }
}

TEST_CASE("given a database locked by another process, when a pool opens it, then callers wait and learn why") {
  const folder here;
  sqlite3* other = nullptr;
  REQUIRE(sqlite3_open((here / "test.db").c_str(), &other) == SQLITE_OK);
  REQUIRE(sqlite3_exec(other, "create table t (i); begin exclusive", nullptr, nullptr, nullptr) == SQLITE_OK);
  lite::options how(here / "test.db");
  how.busy_timeout = 20ms;
  auto config = small();
  config.max_retries = 1;
  config.retry_delay = 10ms;
  std::string text;
  try {
    with_pool(how, config, [](lite::pool& pool) -> asio::awaitable<void> { co_await pool.open(); });
  } catch (const tidepool::pool_error& failure) {
    text = failure.what();
  }
  CHECK_THAT(text, has_text("SQLITE_BUSY") && has_text("another process holds the lock"));
  sqlite3_close(other);
}

TEST_CASE("given threads for fewer connections, when more work at once, then they take turns") {
  const folder here;
  lite::options how(here / "test.db");
  how.threads = 1;
  const lite::connector place(how);
  with_pool(place, small(), [&place](lite::pool& pool) -> asio::awaitable<void> {
    auto one = co_await pool.acquire();
    auto two = co_await pool.acquire();
    auto endlessly = [&]() -> asio::awaitable<void> { co_await one->exec(lite::within(200ms), endless); };
    int ended = 0;
    const auto executor = co_await asio::this_coro::executor;
    asio::co_spawn(executor, endlessly(), on_end([&](std::exception_ptr) { ++ended; }));
    co_await pause(20ms);
    asio::cancellation_signal stop;
    auto waits = [&]() -> asio::awaitable<void> { co_await two->exec("select 1"); };
    bool before = false;
    const on_end at_end = [&](std::exception_ptr failure) {
      before = ended == 0 && failure;
      ++ended;
    };
    asio::co_spawn(executor, waits(), asio::bind_cancellation_slot(stop.slot(), at_end));
    co_await pause(20ms);
    stop.emit(asio::cancellation_type::terminal);
    for (int i = 0; i < 500 && ended < 2; ++i) co_await pause(10ms);
    must(before && place.threads() == 1, "cancelled while it waited");
    (void)co_await two->one<int>("select 1");
  });
}
