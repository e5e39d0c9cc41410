// SPDX-License-Identifier: BSL-1.0
// tidepool - disks that are full or fail, by a file system of SQLite's own that does so on demand; and what a file from elsewhere may not
// do.
#include <atomic>
#include <cstring>
#include <string>

#include "kit.hpp"

using namespace tidepool_tests;

namespace {

std::atomic<int> write_fault{SQLITE_OK}, read_fault{SQLITE_OK}, sync_fault{SQLITE_OK};

/// Passes all calls on to the real file, or fails.
struct faulty_file {
  sqlite3_file base;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
sqlite3_file* real(sqlite3_file* of) { return reinterpret_cast<faulty_file*>(of)->real(); }
const sqlite3_io_methods* methods(sqlite3_file* of) { return real(of)->pMethods; }

const sqlite3_io_methods* faulty_methods() {
  static const sqlite3_io_methods all = [] {
    sqlite3_io_methods m{};
    m.iVersion = 2;
    m.xClose = [](sqlite3_file* f) { return methods(f)->xClose(real(f)); };
    m.xRead = [](sqlite3_file* f, void* to, int size, sqlite3_int64 at) {
      return read_fault != SQLITE_OK ? read_fault.load() : methods(f)->xRead(real(f), to, size, at);
    };
    m.xWrite = [](sqlite3_file* f, const void* from, int size, sqlite3_int64 at) {
      return write_fault != SQLITE_OK ? write_fault.load() : methods(f)->xWrite(real(f), from, size, at);
    };
    m.xTruncate = [](sqlite3_file* f, sqlite3_int64 size) { return methods(f)->xTruncate(real(f), size); };
    m.xSync = [](sqlite3_file* f, int how) { return sync_fault != SQLITE_OK ? sync_fault.load() : methods(f)->xSync(real(f), how); };
    m.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) { return methods(f)->xFileSize(real(f), size); };
    m.xLock = [](sqlite3_file* f, int how) { return methods(f)->xLock(real(f), how); };
    m.xUnlock = [](sqlite3_file* f, int how) { return methods(f)->xUnlock(real(f), how); };
    m.xCheckReservedLock = [](sqlite3_file* f, int* held) { return methods(f)->xCheckReservedLock(real(f), held); };
    m.xFileControl = [](sqlite3_file* f, int what, void* about) { return methods(f)->xFileControl(real(f), what, about); };
    m.xSectorSize = [](sqlite3_file* f) { return methods(f)->xSectorSize(real(f)); };
    m.xDeviceCharacteristics = [](sqlite3_file* f) { return methods(f)->xDeviceCharacteristics(real(f)); };
    m.xShmMap = [](sqlite3_file* f, int region, int size, int extend, void volatile** at) {
      return methods(f)->xShmMap(real(f), region, size, extend, at);
    };
    m.xShmLock = [](sqlite3_file* f, int at, int count, int how) { return methods(f)->xShmLock(real(f), at, count, how); };
    m.xShmBarrier = [](sqlite3_file* f) { methods(f)->xShmBarrier(real(f)); };
    m.xShmUnmap = [](sqlite3_file* f, int gone) { return methods(f)->xShmUnmap(real(f), gone); };
    return m;
  }();
  return &all;
}

/// While it lives, `?vfs=faulty` in a URI is a disk that may fail.
class faulty_disk {
 public:
  faulty_disk() {
    auto* const real_vfs = sqlite3_vfs_find(nullptr);
    vfs_ = *real_vfs;
    vfs_.zName = "faulty";
    vfs_.pNext = nullptr;
    vfs_.szOsFile = static_cast<int>(sizeof(faulty_file)) + real_vfs->szOsFile;
    vfs_.xOpen = [](sqlite3_vfs*, const char* name, sqlite3_file* out, int how, int* got) {
      auto* const one = reinterpret_cast<faulty_file*>(out);
      std::memset(static_cast<void*>(one->real()), 0, sizeof(sqlite3_file));
      auto* const below = sqlite3_vfs_find(nullptr);
      const int code = below->xOpen(below, name, one->real(), how, got);
      one->base.pMethods = one->real()->pMethods != nullptr ? faulty_methods() : nullptr;
      return code;
    };
    sqlite3_vfs_register(&vfs_, 0);
  }
  faulty_disk(const faulty_disk&) = delete;
  faulty_disk& operator=(const faulty_disk&) = delete;
  ~faulty_disk() {
    heal();
    sqlite3_vfs_unregister(&vfs_);
  }
  static void heal() { write_fault = read_fault = sync_fault = SQLITE_OK; }

 private:
  sqlite3_vfs vfs_{};
};

/// Runs `work(pool)` on a pool of one connection to a table `t (i)` on such a disk.
template <class Work>
void on_faulty_disk(Work work) {
  const folder here;
  const faulty_disk disk;
  lite::options how("file:" + here / "test.db?vfs=faulty");
  how.synchronous = lite::sync::full;
  auto config = tidepool::pool_config::embedded();
  config.min_size = config.max_size = 1;
  config.acquire_timeout = 5s;
  with_pool(how, config, [&](lite::pool& pool) -> asio::awaitable<void> {
    {
      auto lease = co_await pool.acquire();
      co_await lease->exec("create table t (i)");
    }
    co_await work(pool);
  });
}
asio::awaitable<void> insert(lite::transaction& tx) { co_await tx.exec("insert into t values (1)"); }

}  // namespace

TEST_CASE("given a full disk, when a transaction is committed, then it is rolled back and all goes on") {
  on_faulty_disk([](lite::pool& pool) -> asio::awaitable<void> {
    auto lease = co_await pool.acquire();
    write_fault = SQLITE_FULL;
    const auto full = co_await error_of(lease->transaction(insert));
    faulty_disk::heal();
    must(full.is(SQLITE_FULL) && !full.connection_lost() && !full.retryable(), full.what());
    must(lease->usable(), "usable");
    co_await lease->transaction(insert);
    const int count = co_await lease->one<int>("select count(*) from t");
    must(count == 1, "the second one alone");
  });
}

TEST_CASE("given a disk that fails, when a transaction is committed, then its outcome is unknown") {
  on_faulty_disk([](lite::pool& pool) -> asio::awaitable<void> {
    {
      auto lease = co_await pool.acquire();
      sync_fault = SQLITE_IOERR_FSYNC;
      const auto failed = co_await error_of(lease->transaction(insert, {.retries = 3}));
      faulty_disk::heal();
      must(failed.outcome_unknown() && failed.connection_lost() && failed.is(SQLITE_IOERR_FSYNC) && !failed.retryable(), failed.what());
      must(failed.code() == std::errc::connection_reset, "as of other databases");
    }
    auto lease = co_await pool.acquire();
    must(pool.stats().closed(tidepool::close_reason::broken) == 1, "replaced");
    const int count = co_await lease->one<int>("select count(*) from t");
    must(count <= 1, "there or not");
    const auto sound = co_await lease->one<std::string>("pragma integrity_check");
    must(sound == "ok", sound);
  });
}

TEST_CASE("given a disk that fails or is read-only, when a statement meets that, then only the first is fatal") {
  on_faulty_disk([](lite::pool& pool) -> asio::awaitable<void> {
    {
      auto lease = co_await pool.acquire();
      write_fault = SQLITE_READONLY;
      const auto refused = co_await error_of(lease->transaction(insert));
      faulty_disk::heal();
      must(refused.reason() == lite::errc::read_only && !refused.connection_lost() && lease->usable(), refused.what());
      must(std::string_view(refused.what()).find("permissions") != std::string_view::npos, refused.what());
      co_await lease->exec("pragma wal_checkpoint(truncate)");
      co_await lease->exec("pragma shrink_memory");
      read_fault = SQLITE_IOERR_READ;
      const auto failed = co_await error_of(lease->one<int>("select count(*) from t"));
      faulty_disk::heal();
      must(failed.connection_lost() && failed.is(SQLITE_IOERR_READ), failed.what());
      must(failed.consequence() == lite::consequence::connection && !lease->why_broken().empty(), "gone");
    }
    auto lease = co_await pool.acquire();
    const int count = co_await lease->one<int>("select count(*) from t");
    must(count == 0 && pool.stats().closed(tidepool::close_reason::broken) == 1, "a new one");
  });
}

TEST_CASE("given a database to attach that cannot be opened, when that fails, then the connection is kept") {
  const folder here;
  run([](std::string missing) -> asio::awaitable<void> {
    auto c = co_await lite::connection::connect(":memory:");
    co_await c.exec("create table t (i)");
    const auto failed = co_await error_of(c.exec("attach ?1 as other", missing));
    must(failed.is(SQLITE_CANTOPEN) && !failed.connection_lost() && c.usable(), failed.what());
    must(std::string_view(failed.what()).find(missing) != std::string_view::npos, failed.what());
    const std::string sql = "attach '" + missing + "' as other";
    auto attach = [&](sqlite3* db) { return sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr); };
    const int code = co_await c.run(attach);
    must((code & 0xFF) == SQLITE_CANTOPEN && c.usable(), "in run()");
    const int count = co_await c.one<int>("select count(*) from t");
    must(count == 0, "the same database in memory");
  }(here / "missing/other.db"));
}

TEST_CASE("given a file that others made, when it calls functions with effects, then they are refused", "[sqlite-S8]") {
  const folder here;
  run([](std::string path) -> asio::awaitable<void> {
    auto c = co_await lite::connection::connect(path);
    // What a program may have: a function with effects.
    co_await c.run([](sqlite3* db) {
      const auto effect = [](sqlite3_context* to, int, sqlite3_value**) { sqlite3_result_int(to, 1); };
      sqlite3_create_function(db, "effect", 0, SQLITE_UTF8, nullptr, effect, nullptr, nullptr);
    });
    co_await c.exec("create view trap as select effect() as i");
    const auto refused = co_await error_of(c.one<int>("select i from trap"));
    must(std::string_view(refused.what()).find("unsafe use of") != std::string_view::npos, refused.what());
    const int direct = co_await c.one<int>("select effect()");
    must(direct == 1, "by the program itself");
    const auto library = co_await error_of(c.exec("select load_extension('evil.so')"));
    must(std::string_view(library.what()).find("not authorized") != std::string_view::npos, library.what());
  }(here / "test.db"));
}

TEST_CASE("given text with control characters or quotes, when it is told or sent, then it is data", "[sqlite-S7]") {
  run([]() -> asio::awaitable<void> {
    auto c = co_await lite::connection::connect(":memory:");
    co_await c.exec("create table t (name text)");
    const std::string evil = "'); drop table t; --";
    co_await c.exec("insert into t values (?1)", evil);
    const auto back = co_await c.one<std::string>("select name from t where name = ?1", evil);
    must(back == evil, "a parameter is never part of the text");
    const auto told = co_await error_of(c.exec("select * from \"two\nlines\x1b[31m\""));
    const std::string_view text = told.what();
    must(text.find('\n') == std::string_view::npos && text.find('\x1b') == std::string_view::npos, told.what());
    must(text.find("no such table") != std::string_view::npos && text.size() < 1200, told.what());
    const auto nul = co_await error_of(
        [](lite::connection& on) -> asio::awaitable<void> { co_await on.exec(std::string("select 1\0; drop table t", 23)); }(c));
    must(nul.reason() == lite::errc::bad_parameter, nul.what());
  }());
}
