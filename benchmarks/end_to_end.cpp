// SPDX-License-Identifier: BSL-1.0
// tidepool - claim: SELECT 1 through the pool takes no more than 1 microsecond of the client's processor more than the same libpq loop
// without a pool.
//
//   end_to_end CONNINFO VIA     prints "WAY/QUERY/VIA/CONCURRENCY <TAB> metric <TAB> value"
//
//              or   end_to_end CONNINFO VIA WAY CONCURRENCY QUERY     one case only, for a profiler
//
// Ways: `shared` and `shared_exec` are postgres::multiplexer, by read() and by exec(); `batch` and `each` libpq's pipeline mode under epoll
// with as many statements in flight, with one Sync for all that is sent at once, and with one for each. `pool` is postgres::pool with
// default traits and policies; `own` the same driver, each task with a connection of its own; `raw` is libpq under epoll, without Asio,
// coroutines or a pool: tasks wait in a plain queue. All on one thread, 8 connections. Statements are prepared unless VIA is `plain` or
// `bouncer`: a PgBouncer before 1.21 knows no prepared statements in transaction mode. $SECONDS_A_CASE: how long each is measured.
#include <libpq-fe.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <tidepool/postgres.hpp>
#include <tidepool/postgres/multiplexer.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "measure.hpp"

namespace {

namespace asio = tidepool::asio;
namespace postgres = tidepool::postgres;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr int connections = 8;
bool prepared = true;
constexpr const char* texts[] = {"select 1", "select balance from accounts where id = $1::int4"};
constexpr const char* names[] = {"select1", "read"};

/// Counts from the end of the warm-up to the end of the measurement.
class tally {
 public:
  tally() : warm_(steady::now() + measured_for() / 4), end_(warm_ + measured_for()) { waits_.reserve(1 << 20); }

  /// False: stop.
  bool finished(steady::time_point begun) {
    const auto now = steady::now();
    if (now >= end_) {
      if (stopped_ == steady::time_point()) {
        stopped_ = now;
        cpu_ = cpu_us() - cpu_;
      }
      return false;
    }
    if (now >= warm_) {
      if (waits_.empty()) {
        started_ = now;
        cpu_ = cpu_us();
      }
      waits_.push_back(static_cast<std::uint32_t>(std::min<std::int64_t>((now - begun).count() / 10, UINT32_MAX)));
    }
    return true;
  }
  void print(const std::string& what) {
    const double seconds = std::chrono::duration<double>(stopped_ - started_).count();
    const auto count = static_cast<double>(waits_.size());
    std::sort(waits_.begin(), waits_.end());
    const auto at = [&](double q) { return static_cast<double>(waits_[static_cast<std::size_t>(q * (count - 1))]) / 100; };
    std::printf("%s\tqps\t%.0f\n%s\tcpu_us\t%.3f\n", what.c_str(), count / seconds, what.c_str(), cpu_ / count);
    std::printf("%s\tp50_us\t%.1f\n%s\tp99_us\t%.1f\n%s\tp999_us\t%.1f\n", what.c_str(), at(0.5), what.c_str(), at(0.99), what.c_str(),
                at(0.999));
    std::fflush(stdout);
  }

 private:
  steady::time_point warm_, end_, started_{}, stopped_{};
  double cpu_ = 0;
  std::vector<std::uint32_t> waits_;  // of 10 ns
};

// --- ours -----------------------------------------------------------------------------------------------------------------------

postgres::options options_of(const std::string& conninfo) {
  postgres::options out(conninfo);
  out.statement_cache = prepared ? 16 : 0;
  return out;
}
asio::awaitable<void> ask(postgres::connection& c, int query, unsigned& seed) {
  if (query == 0) {
    co_await c.one<int>(texts[0]);
  } else {
    seed = seed * 1664525u + 1013904223u;
    co_await c.one<int>(texts[1], static_cast<int>(seed % 100000u) + 1);
  }
}
asio::awaitable<void> customer(postgres::pool& pool, int query, tally& seen, unsigned seed) {
  for (;;) {
    const auto begun = steady::now();
    auto lease = co_await pool.acquire();
    co_await ask(*lease, query, seed);
    lease.release();
    if (!seen.finished(begun)) co_return;
  }
}
asio::awaitable<void> owner(std::string conninfo, int query, tally& seen, unsigned seed) {
  auto connection = co_await postgres::connection::connect(options_of(conninfo));
  for (;;) {
    const auto begun = steady::now();
    co_await ask(connection, query, seed);
    if (!seen.finished(begun)) break;
  }
  co_await connection.close();
}
void rethrow(std::exception_ptr failed) {
  if (failed) std::rethrow_exception(failed);
}

std::string label(const char* way, int query, const std::string& via, int concurrency) {
  return std::string(way) + '/' + names[query] + '/' + via + '/' + std::to_string(concurrency);
}
void through_pool(const std::string& conninfo, const std::string& via, int query, int concurrency) {
  asio::io_context io(1);
  tidepool::pool_config config;
  config.min_size = config.max_size = config.max_connecting = connections;
  postgres::pool pool(io, postgres::connector(options_of(conninfo)), config);
  asio::co_spawn(io, pool.open(), [&](std::exception_ptr failed) {
    rethrow(failed);
    io.stop();
  });
  io.run();
  io.restart();
  tally seen;
  int left = concurrency;
  for (int i = 0; i < concurrency; ++i) {
    asio::co_spawn(io, customer(pool, query, seen, static_cast<unsigned>(i)), [&](std::exception_ptr failed) {
      rethrow(failed);
      if (--left == 0) asio::co_spawn(io, pool.close(), rethrow);
    });
  }
  io.run();
  seen.print(label("pool", query, via, concurrency));
}
void one_each(const std::string& conninfo, const std::string& via, int query) {
  asio::io_context io(1);
  tally seen;
  for (int i = 0; i < connections; ++i) asio::co_spawn(io, owner(conninfo, query, seen, static_cast<unsigned>(i)), rethrow);
  io.run();
  seen.print(label("own", query, via, connections));
}

asio::awaitable<void> sharer(postgres::multiplexer& mux, int query, bool reads, tally& seen, unsigned seed) {
  for (;;) {
    const auto begun = steady::now();
    if (query == 0) {
      if (reads) {
        co_await mux.read_one<int>(texts[0]);
      } else {
        co_await mux.one<int>(texts[0]);
      }
    } else {
      seed = seed * 1664525u + 1013904223u;
      const int id = static_cast<int>(seed % 100000u) + 1;
      if (reads) {
        co_await mux.read_one<int>(texts[1], id);
      } else {
        co_await mux.one<int>(texts[1], id);
      }
    }
    if (!seen.finished(begun)) co_return;
  }
}
/// Once a second, until the others have ended.
asio::awaitable<void> sleeper(postgres::multiplexer& mux, const int& left) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  while (left > 0) {
    co_await mux.read("select pg_sleep(0.1)");
    timer.expires_after(900ms);
    co_await timer.async_wait(asio::use_awaitable);
  }
}
void through_multiplexer(const std::string& conninfo, const std::string& via, int query, int concurrency, bool reads, bool slow = false) {
  asio::io_context io(1);
  tidepool::pool_config config;
  config.min_size = config.max_size = config.max_connecting = connections;
  postgres::pool pool(io, postgres::connector(options_of(conninfo)), config);
  postgres::multiplexer_options sharing;
  sharing.max_lanes = connections;
  if (!prepared) sharing.max_statements = 1;
  postgres::multiplexer mux(pool, sharing);
  tally seen;
  int left = concurrency;
  if (slow) asio::co_spawn(io, sleeper(mux, left), asio::detached);
  for (int i = 0; i < concurrency; ++i) {
    asio::co_spawn(io, sharer(mux, query, reads, seen, static_cast<unsigned>(i)), [&](std::exception_ptr failed) {
      rethrow(failed);
      if (--left != 0) return;
      asio::co_spawn(io, mux.close(), [&](std::exception_ptr also) {
        rethrow(also);
        asio::co_spawn(io, pool.close(), rethrow);
      });
    });
  }
  io.run();
  seen.print(label(slow ? "shared_slow" : reads ? "shared" : "shared_exec", query, via, concurrency));
}

// --- libpq and epoll --------------------------------------------------------------------------------------------------------------

struct raw_connection {
  PGconn* pg = nullptr;
  steady::time_point begun{};  // of the task it serves
  bool busy = false;

  ~raw_connection() { PQfinish(pg); }
};
void expect(bool good, PGconn* pg) {
  if (!good) throw std::runtime_error(PQerrorMessage(pg));
}
void send(raw_connection& c, int query, unsigned& seed) {
  seed = seed * 1664525u + 1013904223u;
  const std::string id = std::to_string(seed % 100000u + 1);
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

struct raw_pipeline {
  raw_connection line;
  std::deque<steady::time_point> begun;
  int unanswered = 0;
};
void pipelined(const std::string& conninfo, const std::string& via, int query, int concurrency, bool each) {
  std::vector<raw_pipeline> lines(connections);
  const int poll = ::epoll_create1(0);
  for (auto& one : lines) {
    auto& line = one.line;
    line.pg = PQconnectdb(conninfo.c_str());
    expect(PQstatus(line.pg) == CONNECTION_OK && PQsetnonblocking(line.pg, 1) == 0, line.pg);
    PQclear(PQprepare(line.pg, names[query], texts[query], query, nullptr));
    expect(PQenterPipelineMode(line.pg) == 1, line.pg);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &one;
    ::epoll_ctl(poll, EPOLL_CTL_ADD, PQsocket(line.pg), &event);
  }
  tally seen;
  unsigned seed = 1;
  bool stopping = false;
  constexpr int depth = 64;
  std::deque<steady::time_point> waiting(static_cast<std::size_t>(concurrency), steady::now());
  int busy = 0;
  const auto serve = [&](raw_pipeline& one) {
    int sent = 0;
    while (!stopping && !waiting.empty() &&
           one.begun.size() < std::min<std::size_t>(depth, static_cast<std::size_t>(concurrency / connections))) {
      one.begun.push_back(waiting.front());
      waiting.pop_front();
      seed = seed * 1664525u + 1013904223u;
      const std::string id = std::to_string(seed % 100000u + 1);
      const char* values[] = {id.c_str()};
      expect(PQsendQueryPrepared(one.line.pg, names[query], query, values, nullptr, nullptr, 0) == 1, one.line.pg);
      if (each) expect(PQpipelineSync(one.line.pg) == 1, one.line.pg);
      ++sent;
    }
    if (sent == 0) return;
    one.unanswered += each ? sent : 1;
    if (!each) expect(PQpipelineSync(one.line.pg) == 1, one.line.pg);
    expect(PQflush(one.line.pg) >= 0, one.line.pg);
    ++busy;
  };
  for (auto& one : lines) serve(one);
  while (busy > 0) {
    epoll_event events[64];
    const int ready = ::epoll_wait(poll, events, 64, -1);
    for (int i = 0; i < ready; ++i) {
      auto& one = *static_cast<raw_pipeline*>(events[i].data.ptr);
      PGconn* const pg = one.line.pg;
      expect(PQconsumeInput(pg) == 1, pg);
      while (one.unanswered > 0 && PQisBusy(pg) == 0) {
        PGresult* result = PQgetResult(pg);
        if (result == nullptr) continue;
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
          --one.unanswered;
        } else {
          expect(PQresultStatus(result) == PGRES_TUPLES_OK && std::atoi(PQgetvalue(result, 0, 0)) > 0, pg);
          if (!seen.finished(one.begun.front())) stopping = true;
          one.begun.pop_front();
          waiting.push_back(steady::now());
        }
        PQclear(result);
      }
      if (one.unanswered > 0) continue;
      --busy;
      serve(one);
    }
  }
  ::close(poll);
  seen.print(label(each ? "each" : "batch", query, via, concurrency));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 6) {
    const std::string way = argv[3];
    const int concurrency = std::atoi(argv[4]), query = std::atoi(argv[5]);
    if (way == "pool") through_pool(argv[1], argv[2], query, concurrency);
    if (way == "raw") raw(argv[1], argv[2], query, concurrency);
    if (way == "shared") through_multiplexer(argv[1], argv[2], query, concurrency, true);
    if (way == "shared_exec") through_multiplexer(argv[1], argv[2], query, concurrency, false);
    if (way == "shared_slow") through_multiplexer(argv[1], argv[2], query, concurrency, true, true);
    if (way == "batch") pipelined(argv[1], argv[2], query, concurrency, false);
    if (way == "each") pipelined(argv[1], argv[2], query, concurrency, true);
    return 0;
  }
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
        through_multiplexer(conninfo, via, query, concurrency, true);
        through_multiplexer(conninfo, via, query, concurrency, false);
        if (!prepared) continue;
        if (query == 1) through_multiplexer(conninfo, via, query, concurrency, true, true);
        pipelined(conninfo, via, query, concurrency, false);
        pipelined(conninfo, via, query, concurrency, true);
      }
      one_each(conninfo, via, query);
    }
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "end_to_end: %s\n", failed.what());
    return 1;
  }
}
