// SPDX-License-Identifier: BSL-1.0
// tidepool - claim: SELECT 1 through the pool takes no more than 1 microsecond of the client's processor more than the same libpq loop
// without a pool.
//
//   end_to_end CONNINFO VIA     prints "WAY/QUERY/VIA/CONCURRENCY <TAB> metric <TAB> value"
//
// Ways: `pool` is postgres::pool with default traits and policies; `own` the same driver, each task with a connection of its own; `raw` is
// libpq under epoll, without Asio, coroutines or a pool: tasks wait in a plain queue. All on one thread, 8 connections. Statements are
// prepared unless VIA is `plain` or `bouncer`: a PgBouncer before 1.21 knows no prepared statements in transaction mode.
// $SECONDS_A_CASE: how long each is measured.
#include <libpq-fe.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <tidepool/postgres.hpp>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <vector>

#include "customers.hpp"

namespace {

using namespace benchmarks;

asio::awaitable<void> owner(std::string conninfo, int query, tally& seen, unsigned seed) {
  auto connection = co_await postgres::connection::connect(options_of(conninfo));
  for (;;) {
    const auto begun = steady::now();
    co_await ask(connection, query, seed);
    if (!seen.finished(begun)) break;
  }
  co_await connection.close();
}
void one_each(const std::string& conninfo, const std::string& via, int query) {
  asio::io_context io(1);
  tally seen;
  for (int i = 0; i < connections; ++i) asio::co_spawn(io, owner(conninfo, query, seen, static_cast<unsigned>(i)), rethrow);
  io.run();
  seen.print(label("own", query, via, connections));
}

// --- libpq and epoll --------------------------------------------------------------------------------------------------------------

struct raw_connection {
  PGconn* pg = nullptr;
  steady::time_point begun{};  // of the task it serves
  bool busy = false;

  ~raw_connection() { PQfinish(pg); }
};
void send(raw_connection& c, int query, unsigned& seed) {
  const std::string id = std::to_string(next_id(seed));
  const char* values[] = {id.c_str()};
  const int sent = prepared ? PQsendQueryPrepared(c.pg, names[query], query, values, nullptr, nullptr, 0)
                            : PQsendQueryParams(c.pg, texts[query], query, nullptr, values, nullptr, nullptr, 0);
  expect(sent == 1 && PQflush(c.pg) == 0, c.pg);
  c.busy = true;
}
/// True: the answer is complete.
bool receive(raw_connection& c) {
  expect(PQconsumeInput(c.pg) == 1, c.pg);
  while (PQisBusy(c.pg) == 0) {
    PGresult* result = PQgetResult(c.pg);
    if (result == nullptr) return true;
    const bool good = PQresultStatus(result) == PGRES_TUPLES_OK && std::atoi(PQgetvalue(result, 0, 0)) > 0;
    PQclear(result);
    expect(good, c.pg);
  }
  return false;
}
void raw(const std::string& conninfo, const std::string& via, int query, int concurrency) {
  std::vector<raw_connection> lines(connections);
  const int poll = ::epoll_create1(0);
  for (auto& line : lines) {
    line.pg = PQconnectdb(conninfo.c_str());
    expect(PQstatus(line.pg) == CONNECTION_OK && PQsetnonblocking(line.pg, 1) == 0, line.pg);
    if (prepared) PQclear(PQprepare(line.pg, names[query], texts[query], query, nullptr));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &line;
    ::epoll_ctl(poll, EPOLL_CTL_ADD, PQsocket(line.pg), &event);
  }
  tally seen;
  unsigned seed = 1;
  int busy = 0;
  bool stopping = false;
  std::deque<steady::time_point> waiting(static_cast<std::size_t>(concurrency), steady::now());
  const auto serve = [&](raw_connection& line) {
    if (stopping || waiting.empty()) return;
    line.begun = waiting.front();
    waiting.pop_front();
    send(line, query, seed);
    ++busy;
  };
  for (auto& line : lines) serve(line);
  while (busy > 0) {
    epoll_event events[64];
    const int ready = ::epoll_wait(poll, events, 64, -1);
    for (int i = 0; i < ready; ++i) {
      auto& line = *static_cast<raw_connection*>(events[i].data.ptr);
      if (!line.busy || !receive(line)) continue;
      line.busy = false;
      --busy;
      if (!seen.finished(line.begun)) stopping = true;
      waiting.push_back(steady::now());
      serve(line);
    }
  }
  ::close(poll);
  seen.print(label("raw", query, via, concurrency));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s CONNINFO VIA\n", argv[0]);
    return 2;
  }
  const std::string conninfo = argv[1];
  const std::string via = argv[2];
  prepared = via != "plain" && via != "bouncer";
  try {
    for (int query = 0; query < (via == "unix" ? 2 : 1); ++query) {
      for (const int concurrency : {8, 64, 1000}) {
        through_pool(conninfo, via, query, concurrency);
        raw(conninfo, via, query, concurrency);
      }
      one_each(conninfo, via, query);
    }
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "end_to_end: %s\n", failed.what());
    return 1;
  }
}
