// SPDX-License-Identifier: BSL-1.0
// tidepool - what libpq 17 brought is used where it is there, and the old way where it is not; both give the same.
//
// Which of the two runs is seen in the calls of libpq, which are counted here, and is told in the output, for tests/matrix.sh.
#include <dlfcn.h>

#include <atomic>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "kit.hpp"

using namespace tidepool_tests;

namespace {

/// Calls since the start of the program.
struct libpq_calls {
  std::atomic<int> PQsetSingleRowMode{0}, PQsetChunkedRowsMode{0};
  std::atomic<int> PQcancel{0}, PQcancelStart{0}, PQcancelBlocking{0};
  std::atomic<int> PQsendQuery{0}, PQsendClosePrepared{0};
  std::atomic<int> PQpipelineSync{0}, PQsendPipelineSync{0};
};
libpq_calls counted;

}  // namespace

/// Stands before libpq's own.
#define COUNTED(result, name, parameters, ...)                                                               \
  extern "C" result name parameters {                                                                        \
    static const auto real = reinterpret_cast<result(*) parameters>(::dlsym(RTLD_NEXT, #name)); /* NOLINT */ \
    counted.name.fetch_add(1);                                                                               \
    return real(__VA_ARGS__);                                                                                \
  }
COUNTED(int, PQsetSingleRowMode, (PGconn * c), c)
COUNTED(int, PQcancel, (PGcancel * c, char* text, int size), c, text, size)
COUNTED(int, PQsendQuery, (PGconn * c, const char* sql), c, sql)
COUNTED(int, PQpipelineSync, (PGconn * c), c)
#ifdef LIBPQ_HAS_CHUNK_MODE
COUNTED(int, PQsetChunkedRowsMode, (PGconn * c, int rows), c, rows)
#endif
#ifdef LIBPQ_HAS_ASYNC_CANCEL
COUNTED(int, PQcancelStart, (PGcancelConn * c), c)
COUNTED(int, PQcancelBlocking, (PGcancelConn * c), c)
#endif
#ifdef LIBPQ_HAS_CLOSE_PREPARED
COUNTED(int, PQsendClosePrepared, (PGconn * c, const char* name), c, name)
#endif
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
COUNTED(int, PQsendPipelineSync, (PGconn * c), c)
#endif
#undef COUNTED

namespace {

/// What a part of a test called.
class calls_here {
 public:
  explicit calls_here(const std::atomic<int>& of) : of_(of), before_(of.load()) {}
  int count() const { return of_.load() - before_; }

 private:
  const std::atomic<int>& of_;
  int before_;
};

std::string with_libpq() {
  const int version = PQlibVersion();
  return "libpq " + std::to_string(version / 10000) + "." + std::to_string(version % 10000) + ": ";
}

}  // namespace

TEST_CASE("given a stream, when libpq can return rows in chunks, then it does, else one by one", "[postgres][server]") {
  NEEDS_SERVER();
  const calls_here single(counted.PQsetSingleRowMode);
  const calls_here chunked(counted.PQsetChunkedRowsMode);
  auto task = []() -> asio::awaitable<std::vector<int>> {
    auto c = co_await connect();
    std::vector<int> out;
    auto rows = co_await c.stream<int>("select i from generate_series(1, 1000) i");
    for (auto row = co_await rows.next(); row; row = co_await rows.next()) out.push_back(*row);
    co_return out;
  };
  std::vector<int> expected(1000);
  std::iota(expected.begin(), expected.end(), 1);
  CHECK(run(task()) == expected);
#ifdef LIBPQ_HAS_CHUNK_MODE
  WARN(with_libpq() << "rows in chunks");
  CHECK(chunked.count() == 1);
  CHECK(single.count() == 0);
#else
  WARN(with_libpq() << "rows one by one");
  CHECK(single.count() == 1);
#endif
}

TEST_CASE("given a statement to cancel, when libpq can do it without blocking, then no thread does it", "[postgres][server]") {
  NEEDS_SERVER();
  const calls_here on_a_thread(counted.PQcancel);
  const calls_here blocking(counted.PQcancelBlocking);
  const calls_here on_the_loop(counted.PQcancelStart);
  auto task = []() -> asio::awaitable<int> {
    auto c = co_await connect();
    auto sleeping = c.exec(pg::within(20ms), "select pg_sleep(60)");
    const auto late = co_await error_of(std::move(sleeping));
    must(late.reason() == pg::errc::response_timeout, late.what());
    co_return co_await c.one<int>("select 7");
  };
  CHECK(run(task()) == 7);
#ifdef LIBPQ_HAS_ASYNC_CANCEL
  WARN(with_libpq() << "cancels without blocking");
  CHECK(on_the_loop.count() >= 1);
  CHECK(blocking.count() == 0);
  CHECK(on_a_thread.count() == 0);
#else
  WARN(with_libpq() << "cancels on a thread");
  CHECK(on_a_thread.count() >= 1);
#endif
}

TEST_CASE("given a cache that drops a statement, when libpq can close it, then no SQL does it", "[postgres][server]") {
  NEEDS_SERVER();
  const calls_here by_message(counted.PQsendClosePrepared);
  auto task = []() -> asio::awaitable<std::pair<int, int>> {
    pg::options settings = patient();
    settings.statement_cache = 1;
    auto c = co_await pg::connection::connect(settings);
    (void)co_await c.one<int>("select 1");
    const calls_here by_sql(counted.PQsendQuery);
    (void)co_await c.one<int>("select 2");
    const int sql = by_sql.count();
    const auto left = co_await c.one<int>("select count(*)::int from pg_prepared_statements where name like 'tidepool%'");
    co_return std::pair(sql, left);
  };
  const auto [sql, left] = run(task());
  CHECK(left == 2);  // this one and the one before it, which is closed when this one is done
#ifdef LIBPQ_HAS_CLOSE_PREPARED
  WARN(with_libpq() << "closes statements by a message");
  CHECK(by_message.count() == 2);
  CHECK(sql == 0);
#else
  WARN(with_libpq() << "closes statements by SQL");
  CHECK(sql == 1);
#endif
}

TEST_CASE("given independent statements, when libpq can hold back a Sync, then all go out together", "[postgres][server]") {
  NEEDS_SERVER();
  const calls_here sent_each(counted.PQpipelineSync);
  const calls_here held_back(counted.PQsendPipelineSync);
  auto task = []() -> asio::awaitable<std::vector<std::string>> {
    auto c = co_await connect();
    auto batch = c.pipeline(pg::pipeline_mode::independent);
    std::vector<pg::pipeline_result> answers;
    for (int i = 0; i < 50; ++i) answers.push_back(batch.exec("select 10 / $1", i % 10));
    co_await batch.run();
    std::vector<std::string> out;
    for (const auto& answer : answers) {
      try {
        out.push_back(std::to_string(answer->one<int>()));
      } catch (const pg::error& failure) {
        out.emplace_back(failure.sqlstate());
      }
    }
    co_return out;
  };
  const auto said = run(task());
  REQUIRE(said.size() == 50);
  for (std::size_t i = 0; i < said.size(); ++i) CHECK(said[i] == (i % 10 == 0 ? "22012" : std::to_string(10 / (i % 10))));
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
  WARN(with_libpq() << "a pipeline is sent at once");
  CHECK(held_back.count() == 50);
  CHECK(sent_each.count() == 0);
#else
  WARN(with_libpq() << "a pipeline is sent with each Sync");
  CHECK(sent_each.count() == 50);
#endif
}
