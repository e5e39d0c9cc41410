// SPDX-License-Identifier: BSL-1.0
// tidepool - a process that writes is killed: what was confirmed is there, and nothing by halves. 200 times in a long run.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <random>
#include <string>

#include "kit.hpp"

using namespace tidepool_tests;

namespace {

constexpr int tasks = 4;

/// Writes until it is killed, and tells each transaction that was confirmed: task and number.
[[noreturn]] void write_for_ever(const std::string& path, int tell) {
  try {
    asio::io_context io;
    lite::database db(io, path, 1);
    const auto work = [&](int task) -> asio::awaitable<void> {
      for (;;) {
        auto lease = co_await db.write();
        auto body = [&](lite::transaction& tx) -> asio::awaitable<int> {
          const int number = co_await tx.one<int>("select coalesce(max(n), 0) + 1 from a where task = ?1", task);
          co_await tx.exec("insert into a values (?1, ?2, zeroblob(2000))", task, number);
          co_await tx.exec("insert into b values (?1, ?2)", task, number);
          co_return number;
        };
        const int number = co_await lease->transaction(body);
        const std::array<int, 2> confirmed{task, number};
        if (::write(tell, confirmed.data(), sizeof confirmed) != sizeof confirmed) std::_Exit(1);
      }
    };
    for (int i = 0; i < tasks; ++i) asio::co_spawn(io, work(i), asio::detached);
    io.run();
  } catch (...) {
  }
  std::_Exit(1);
}

/// By SQLite alone: this process has no threads, so that it can fork.
int ask(sqlite3* db, const std::string& sql) {
  int out = -1;
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
    out = sqlite3_column_int(statement, 0);
  }
  sqlite3_finalize(statement);
  return out;
}

}  // namespace

TEST_CASE("given a process that writes, when it is killed in the middle, then all that was confirmed is there") {
  const folder here;
  const std::string path = here / "test.db";
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
  REQUIRE(sqlite3_exec(db, "create table a (task, n, filler, primary key (task, n)); create table b (task, n, primary key (task, n))",
                       nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(db);
  const int rounds = std::getenv("TIDEPOOL_LONG") != nullptr ? 200 : 8;
  std::minstd_rand random(7);
  std::array<int, tasks> confirmed{};
  int most = 0;
  for (int round = 0; round < rounds; ++round) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::close(ends[0]);
      write_for_ever(path, ends[1]);
    }
    ::close(ends[1]);
    std::array<int, 2> one{};
    const auto read_one = [&] { return ::read(ends[0], one.data(), sizeof one) == sizeof one; };
    REQUIRE(read_one());  // it works
    confirmed[static_cast<std::size_t>(one[0])] = one[1];
    ::usleep(static_cast<useconds_t>(random() % 30'000));
    REQUIRE(::kill(child, SIGKILL) == 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    while (read_one()) confirmed[static_cast<std::size_t>(one[0])] = one[1];
    ::close(ends[0]);

    REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    CHECK(ask(db, "select count(*) from pragma_integrity_check where integrity_check = 'ok'") == 1);
    CHECK(ask(db, "select count(*) from (select task, n from a except select task, n from b)") == 0);
    CHECK(ask(db, "select count(*) from (select task, n from b except select task, n from a)") == 0);
    for (int task = 0; task < tasks; ++task) {
      const int there = ask(db, "select coalesce(max(n), 0) from a where task = " + std::to_string(task));
      CHECK(there >= confirmed[static_cast<std::size_t>(task)]);
      CHECK(there <= confirmed[static_cast<std::size_t>(task)] + 1);
      CHECK(ask(db, "select count(*) from a where task = " + std::to_string(task)) == there);
      confirmed[static_cast<std::size_t>(task)] = there;
      most = std::max(most, there);
    }
    sqlite3_close(db);
  }
  if (rounds > 8) WARN(rounds << " runs, " << most << " transactions of one of " << tasks << " tasks");
}
