// SPDX-License-Identifier: BSL-1.0
// tidepool - claim: many callers that share 8 connections through a multiplexer are answered several times as fast as through a pool, and
// nearly as fast as libpq's pipeline mode can.
//
//   multiplexer CONNINFO VIA                    prints "WAY/read/VIA/CALLERS <TAB> metric <TAB> value"
//   multiplexer CONNINFO VIA WAY CALLERS        one case only, for a profiler
//
// Point reads, 8 connections, one thread. Prepared unless VIA is `plain` or `bouncer`; those and `tracking`, a PgBouncer that tracks
// prepared statements, do without libpq's pipeline mode and the slow statement. Ways:
//   pool          postgres::pool, a lease for each statement
//   shared        postgres::multiplexer, read(); shared_slow: beside a statement of 100 ms once a second
//   shared_exec   the same, exec()
//   batch         libpq's pipeline mode under epoll, as many statements in flight, one Sync for all that is sent at once
//   each, lazy    a Sync for each statement: flushed each, and, with libpq 17, all at once
//   threads1, 2   postgres::multiplexers, read(), on an io_context with as many threads; only VIA `threads`
// $SECONDS_A_CASE: how long each is measured.
#include <libpq-fe.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <tidepool/postgres.hpp>
#include <tidepool/postgres/multiplexer.hpp>
#include <tidepool/postgres/multiplexers.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "customers.hpp"

namespace {

using namespace benchmarks;

// --- ours -------------------------------------------------------------------------------------------------------------------------

enum class verb { read, exec };

asio::awaitable<void> sharer(postgres::multiplexer& mux, verb how, tally& seen, unsigned seed) {
  for (;;) {
    const auto begun = steady::now();
    const int id = next_id(seed);
    if (how == verb::read) {
      co_await mux.read_one<int>(texts[1], id);
    } else {
      co_await mux.one<int>(texts[1], id);
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
void shared(const std::string& conninfo, const std::string& what, int callers, verb how, bool slow) {
  asio::io_context io(1);
  postgres::pool pool(io, postgres::connector(options_of(conninfo)), eight_connections());
  postgres::multiplexer_options sharing;
  sharing.max_lanes = connections;
  if (!prepared) sharing.max_statements = 1;
  postgres::multiplexer mux(pool, sharing);
  tally seen;
  int left = callers;
  if (slow) asio::co_spawn(io, sleeper(mux, left), asio::detached);
  for (int i = 0; i < callers; ++i) {
    asio::co_spawn(io, sharer(mux, how, seen, static_cast<unsigned>(i)), [&](std::exception_ptr failed) {
      rethrow(failed);
      if (--left != 0) return;
      asio::co_spawn(io, mux.close(), [&](std::exception_ptr also) {
        rethrow(also);
        asio::co_spawn(io, pool.close(), rethrow);
      });
    });
  }
  io.run();
  seen.print(what);
}

// --- threads ----------------------------------------------------------------------------------------------------------------------

/// Of one caller; only its own thread writes it.
struct count {
  std::uint64_t answered = 0;
};
asio::awaitable<void> counted(postgres::multiplexers& mux, unsigned seed, count& mine, steady::time_point warm, steady::time_point end) {
  for (;;) {
    co_await mux.read_one<int>(texts[1], next_id(seed));
    const auto now = steady::now();
    if (now >= end) co_return;
    if (now >= warm) ++mine.answered;
  }
}
void threaded(const std::string& conninfo, const std::string& what, int callers, std::size_t threads) {
  asio::io_context io(static_cast<int>(threads));
  postgres::pool pool(io, postgres::connector(options_of(conninfo)), eight_connections());
  postgres::multiplexer_options sharing;
  sharing.max_lanes = static_cast<std::size_t>(connections) / threads;
  postgres::multiplexers mux(pool, threads, sharing);
  const auto warm = steady::now() + measured_for() / 4, end = warm + measured_for();
  std::vector<count> counts(static_cast<std::size_t>(callers));
  std::atomic<int> left = callers;
  for (int i = 0; i < callers; ++i) {
    // Each on a strand of its own, as handlers of connections are.
    asio::co_spawn(asio::make_strand(io), counted(mux, static_cast<unsigned>(i), counts[static_cast<std::size_t>(i)], warm, end),
                   [&](std::exception_ptr failed) {
                     rethrow(failed);
                     if (--left != 0) return;
                     asio::co_spawn(io, mux.close(), [&](std::exception_ptr also) {
                       rethrow(also);
                       asio::co_spawn(io, pool.close(), rethrow);
                     });
                   });
  }
  double used = 0;
  std::thread watch([&] {
    std::this_thread::sleep_until(warm);
    used = cpu_us();
    std::this_thread::sleep_until(end);
    used = cpu_us() - used;
  });
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < threads; ++i) others.emplace_back([&] { io.run(); });
  io.run();
  for (auto& each : others) each.join();
  watch.join();
  double all = 0;
  for (const auto& each : counts) all += static_cast<double>(each.answered);
  std::printf("%s\tqps\t%.0f\n%s\tcpu_us\t%.3f\n", what.c_str(), all / std::chrono::duration<double>(end - warm).count(), what.c_str(),
              used / all);
  std::fflush(stdout);
}

// --- libpq and epoll --------------------------------------------------------------------------------------------------------------

enum class syncs { batch, each, lazy };

struct line {
  PGconn* pg = nullptr;
  std::deque<steady::time_point> begun = {};
  int unanswered = 0;
  ~line() { PQfinish(pg); }
};
bool send_sync(PGconn* pg, [[maybe_unused]] syncs how) {
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
  if (how == syncs::lazy) return PQsendPipelineSync(pg) == 1;
#endif
  return PQpipelineSync(pg) == 1;
}
/// Each connection is given as much as it may have in flight, and the next when all of that is answered.
void pipelined(const std::string& conninfo, const std::string& what, int callers, syncs how) {
  std::vector<line> lines(connections);
  const int poll = ::epoll_create1(0);
  for (auto& one : lines) {
    one.pg = PQconnectdb(conninfo.c_str());
    expect(PQstatus(one.pg) == CONNECTION_OK && PQsetnonblocking(one.pg, 1) == 0, one.pg);
    PQclear(PQprepare(one.pg, names[1], texts[1], 1, nullptr));
    expect(PQenterPipelineMode(one.pg) == 1, one.pg);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &one;
    ::epoll_ctl(poll, EPOLL_CTL_ADD, PQsocket(one.pg), &event);
  }
  tally seen;
  unsigned seed = 1;
  bool stopping = false;
  const auto depth = static_cast<std::size_t>(std::min(64, callers / connections));
  std::deque<steady::time_point> waiting(static_cast<std::size_t>(callers), steady::now());
  int busy = 0;
  const auto serve = [&](line& one) {
    int sent = 0;
    while (!stopping && !waiting.empty() && one.begun.size() < depth) {
      one.begun.push_back(waiting.front());
      waiting.pop_front();
      const std::string id = std::to_string(next_id(seed));
      const char* values[] = {id.c_str()};
      expect(PQsendQueryPrepared(one.pg, names[1], 1, values, nullptr, nullptr, 0) == 1, one.pg);
      if (how != syncs::batch) expect(send_sync(one.pg, how), one.pg);
      ++sent;
    }
    if (sent == 0) return;
    one.unanswered += how == syncs::batch ? 1 : sent;
    if (how == syncs::batch) expect(send_sync(one.pg, how), one.pg);
    expect(PQflush(one.pg) >= 0, one.pg);
    ++busy;
  };
  for (auto& one : lines) serve(one);
  while (busy > 0) {
    epoll_event events[64];
    const int ready = ::epoll_wait(poll, events, 64, -1);
    for (int i = 0; i < ready; ++i) {
      auto& one = *static_cast<line*>(events[i].data.ptr);
      expect(PQconsumeInput(one.pg) == 1, one.pg);
      while (one.unanswered > 0 && PQisBusy(one.pg) == 0) {
        PGresult* result = PQgetResult(one.pg);
        if (result == nullptr) continue;
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
          --one.unanswered;
        } else {
          expect(PQresultStatus(result) == PGRES_TUPLES_OK && std::atoi(PQgetvalue(result, 0, 0)) > 0, one.pg);
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
  seen.print(what);
}

struct way {
  const char* name;
  enum class when { always, direct, threads } measured;
  void (*run)(const std::string& conninfo, const std::string& via, const std::string& what, int callers);
};
constexpr way ways[] = {
    {"pool", way::when::always, [](auto& to, auto& via, auto&, int callers) { through_pool(to, via, 1, callers); }},
    {"shared", way::when::always, [](auto& to, auto&, auto& what, int callers) { shared(to, what, callers, verb::read, false); }},
    {"shared_slow", way::when::direct, [](auto& to, auto&, auto& what, int callers) { shared(to, what, callers, verb::read, true); }},
    {"batch", way::when::direct, [](auto& to, auto&, auto& what, int callers) { pipelined(to, what, callers, syncs::batch); }},
    {"shared_exec", way::when::always, [](auto& to, auto&, auto& what, int callers) { shared(to, what, callers, verb::exec, false); }},
    {"each", way::when::direct, [](auto& to, auto&, auto& what, int callers) { pipelined(to, what, callers, syncs::each); }},
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
    {"lazy", way::when::direct, [](auto& to, auto&, auto& what, int callers) { pipelined(to, what, callers, syncs::lazy); }},
#endif
    {"threads1", way::when::threads, [](auto& to, auto&, auto& what, int callers) { threaded(to, what, callers, 1); }},
    {"threads2", way::when::threads, [](auto& to, auto&, auto& what, int callers) { threaded(to, what, callers, 2); }},
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 5) {
    std::fprintf(stderr, "usage: %s CONNINFO VIA [WAY CALLERS]\n", argv[0]);
    return 2;
  }
  const std::string conninfo = argv[1], via = argv[2];
  prepared = via != "plain" && via != "bouncer";
  tracked = via == "tracking";
  const auto measured = [&](const way& one, int callers) {
    if (via == "threads") return one.measured == way::when::threads && callers == 1000;
    return one.measured == way::when::always || (prepared && !tracked && one.measured == way::when::direct);
  };
  try {
    if (argc == 5) {
      const int callers = std::atoi(argv[4]);
      for (const auto& each : ways) {
        if (std::strcmp(each.name, argv[3]) == 0) each.run(conninfo, via, label(each.name, 1, via, callers), callers);
      }
      return 0;
    }
    for (const int callers : {8, 32, 64, 256, 1000}) {
      for (const auto& each : ways) {
        if (measured(each, callers)) each.run(conninfo, via, label(each.name, 1, via, callers), callers);
      }
    }
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "multiplexer: %s\n", failed.what());
    return 1;
  }
}
