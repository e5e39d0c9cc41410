// SPDX-License-Identifier: BSL-1.0
// tidepool - the multiplexer while its server is hurt: each answer carries its question's number, each is answered, and what writers were
// told agrees with the table afterwards.
#include <signal.h>

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <tidepool/postgres.hpp>
#include <tidepool/postgres/multiplexer.hpp>

#include "../support/on_end.hpp"
#include "bouncer.hpp"
#include "checks.hpp"
#include "proxy.hpp"
#include "server.hpp"

using namespace tidepool_faults;

namespace {

namespace asio = tidepool::asio;
namespace pg = tidepool::postgres;

enum class told : std::uint8_t { not_asked, nothing, done, not_done, unknown };

/// What the callers saw. Written on the loop's thread, read by others after its end but for the counters.
struct seen {
  std::vector<told> writes;
  std::atomic<std::uint64_t> asked{0}, ended{0}, failed{0}, wrong{0}, unknown{0};
  std::atomic<bool> enough{false};
  std::string first_wrong;
  std::unordered_map<std::string, std::uint64_t> why;
};

/// Asks for `count` numbers in turn, of which a third are written, or until it is enough.
asio::awaitable<void> caller(pg::multiplexer& mux, seen& all, std::uint64_t first, std::uint64_t count) {
  for (std::uint64_t n = first; n < first + count && !all.enough; ++n) {
    ++all.asked;
    if (n % 6 < 2) all.writes[n] = told::nothing;
    const auto number = static_cast<std::int64_t>(n);
    std::int64_t said = -1;
    auto outcome = told::not_done;
    bool pause = false;
    try {
      switch (n % 6) {
        case 0:
          said = co_await mux.one<std::int64_t>("insert into ledger values ($1) returning id", number);
          outcome = told::done;
          break;
        case 1: {
          const auto rows = co_await mux.exec("insert into ledger select $1::bigint where $1::bigint >= 0", number);
          outcome = told::done;
          said = rows.affected() == 1 ? number : -2;
          break;
        }
        case 2: said = co_await mux.read_one<std::int64_t>(pg::within(2s), "select $1::bigint", number); break;
        case 3: {
          const auto rows = co_await mux.read_all<std::int64_t>("select $1::bigint + g - g from generate_series(1, 20) g", number);
          said = rows.size() == 20 ? rows[static_cast<std::size_t>(n % 20)] : -3;
          break;
        }
        case 4: {
          // A large one, so that a cut meets it.
          const auto text = co_await mux.read_one<std::string>("select $1::text || repeat('x', 3000)", std::to_string(n) + " ");
          said = std::stoll(text);
          break;
        }
        default:
          said = number;
          try {
            (void)co_await mux.read("select 1 / ($1::bigint - $1::bigint)", number);
            said = -4;
          } catch (const pg::error& failed) {
            if (!failed.is("22012")) throw;
          }
      }
      if (said != number) {
        ++all.wrong;
        if (all.first_wrong.empty()) all.first_wrong = std::to_string(n) + " got " + std::to_string(said);
      }
    } catch (const pg::error& failed) {
      if (failed.outcome_unknown()) {
        outcome = told::unknown;
        ++all.unknown;
      }
      ++all.failed;
      ++all.why[std::string(failed.code().message())];
      pause = true;
    } catch (const std::exception& failed) {
      ++all.failed;
      ++all.why[std::string(failed.what()).substr(0, 60)];
      pause = true;
    }
    if (n % 6 < 2) all.writes[n] = outcome;
    ++all.ended;
    if (pause) {
      asio::steady_timer timer(co_await asio::this_coro::executor);
      timer.expires_after(2ms);
      co_await timer.async_wait(asio::use_awaitable);
    }
  }
}

}  // namespace

TEST_CASE("given callers on 8 shared connections, when the server is hurt in every way, then the truth is told", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  db.admin("drop table if exists ledger");
  db.admin("create table ledger (id bigint)");
  // Else a crash may lose what was committed.
  db.admin("alter system set synchronous_commit = on");
  db.admin("select pg_reload_conf()");
  db.admin("grant all on ledger to public");
  proxy net(db.port());
  const std::uint64_t callers = 200;
  const std::uint64_t each = long_mode() ? 5000 : 1500;
  seen all;
  all.writes.resize(callers * each, told::not_asked);

  asio::io_context io(1);
  pg::options settings(net.before(db.conninfo()) + " application_name=shared connect_timeout=1");
  settings.cancel_timeout = 300ms;
  tidepool::pool_config sizes;
  sizes.max_size = 8;
  sizes.acquire_timeout = 3s;
  sizes.connect_timeout = 1s;
  pg::pool pool(io, pg::connector(settings), sizes);
  pg::multiplexer_options sharing;
  sharing.timeout = 4s;
  sharing.give_up_after = 500ms;
  sharing.lane_lifetime = 2s;
  pg::multiplexer mux(pool, sharing);
  std::uint64_t left = callers;
  std::atomic<bool> over{false};
  pg::multiplexer_stats counted;
  const auto end = [&]() -> asio::awaitable<void> {
    counted = mux.stats();
    co_await mux.close(3s);
    co_await pool.close(3s);
    over = true;
  };
  for (std::uint64_t i = 0; i < callers; ++i) {
    const tidepool_tests::on_end at_end = [&](std::exception_ptr failed) {
      if (failed) ++all.wrong;
      if (--left == 0) asio::co_spawn(io, end(), asio::detached);
    };
    asio::co_spawn(io, caller(mux, all, i * each, each), at_end);
  }
  std::thread loop([&] { io.run(); });

  std::mt19937 random(7);
  const auto below = [&](unsigned bound) { return static_cast<unsigned>(random() % bound); };
  const auto deadline = clock::now() + (long_mode() ? 1200s : 45s);
  int faults = 0;
  for (; !over && clock::now() < deadline; ++faults) {
    wait_for(milliseconds(20 + below(60)));
    if (!long_mode() && faults == 16) all.enough = true;
    try {
      switch (faults % 8) {
        case 0:
        case 1:
        case 2: {
          const auto sessions = db.sessions("shared");
          if (sessions.empty()) break;
          db.admin("select pg_terminate_backend(" +
                   std::to_string(*std::next(sessions.begin(), below(static_cast<unsigned>(sessions.size())))) + ")");
          break;
        }
        case 3: {
          const auto sessions = db.sessions("shared");
          if (sessions.empty()) break;
          const auto whom = *sessions.begin();
          db.signal(whom, SIGSTOP);
          wait_for(milliseconds(50 + below(200)));
          db.signal(whom, SIGCONT);
          break;
        }
        case 4:
          net.cut_next(way::to_client, 500 + below(60'000));
          db.terminate_all("shared");
          break;
        case 5:
          net.cut_next(way::to_server, 200 + below(20'000));
          db.terminate_all("shared");
          break;
        case 6:
          net.reset_everything(true);
          wait_for(20ms);
          net.reset_everything(false);
          break;
        default:
          if (faults % 32 == 7) {
            db.stop("immediate");
            db.start();
          } else if (faults % 32 == 15) {
            net.black_hole(true);
            wait_for(700ms);
            net.black_hole(false);
          }
      }
    } catch (const std::exception&) {  // the server was not ready, or the process had ended
    }
  }
  CHECK(over);
  if (!over) io.stop();
  loop.join();
  db.admin("alter system reset synchronous_commit");
  db.admin("select pg_reload_conf()");

  std::vector<int> times(all.writes.size(), 0);
  for (const auto& row : db.admin("select id from ledger")) ++times[std::stoull(row[0])];
  std::uint64_t lost = 0, kept = 0, twice = 0, unanswered = 0, done = 0;
  for (std::uint64_t n = 0; n < all.writes.size(); ++n) {
    if (n % 6 >= 2) continue;
    unanswered += all.writes[n] == told::nothing;
    done += all.writes[n] == told::done;
    lost += all.writes[n] == told::done && times[n] == 0;
    kept += all.writes[n] == told::not_done && times[n] != 0;
    twice += times[n] > 1;
  }
  std::string why;
  for (const auto& [text, count] : all.why) why += std::to_string(count) + " x " + text + "; ";
  WARN("statements " << all.ended << ", faults " << faults << ", failed " << all.failed << " (" << why << "), unknown " << all.unknown
                     << ", " << counted.to_json());
  INFO(all.first_wrong);
  CHECK(all.wrong == 0);
  CHECK(all.ended == all.asked);
  if (long_mode()) CHECK(all.asked == callers * each);
  CHECK(unanswered == 0);
  CHECK(lost == 0);  // told as done
  CHECK(kept == 0);  // told as not done
  CHECK(twice == 0);
  CHECK(done > 0);
  CHECK(faults > 5);
  CHECK(counted.lanes_lost > 5);
}

TEST_CASE("given PgBouncer in transaction mode, when callers share lanes, then nothing is set or mixed up", "[faults]") {
  NEEDS_OWN_SERVER();
  auto& db = shared_server();
  const auto which = GENERATE(edition::installed, edition::newest);
  const bouncer before(db, which, {"default_pool_size=3"}, "bouncer-shared");
  if (before.conninfo.empty()) {
    WARN("skipped: no such PgBouncer");
    return;
  }
  db.admin("drop table if exists bounced");
  db.admin("create table bounced (id int)");
  db.admin("grant all on bounced to public");
  asio::io_context io(1);
  pg::options settings(before.conninfo);
  settings.exact_doubles = false;
  settings.pooler_tracks_statements = which == edition::newest;
  tidepool::pool_config sizes;
  sizes.max_size = 6;
  pg::pool pool(io, pg::connector(settings), sizes);
  pg::multiplexer_options sharing;
  sharing.max_lanes = 6;
  sharing.lane_lifetime = 200ms;
  pg::multiplexer mux(pool, sharing);
  std::string wrong;
  int left = 60, refused = 0, done = 0;
  pg::multiplexer_stats counted;
  const auto end = [&]() -> asio::awaitable<void> {
    counted = mux.stats();
    co_await mux.close(3s);
    co_await pool.close(3s);
  };
  const auto one = [&](int i) -> asio::awaitable<void> {
    for (int k = 0; k < 60; ++k) {
      const int number = i * 100 + k;
      const auto said = co_await mux.read_one<int>("select $1::int4", number);
      if (said != number) wrong += "an answer of somebody else; ";
      if (k % 10 == 3) {
        try {
          (void)co_await mux.read("insert into bounced values (-1)");
          wrong += "a read has written; ";
        } catch (const pg::error& failed) {
          if (failed.is("25006")) ++refused;
        }
      }
      if (k % 10 == 5) {
        const auto rows = co_await mux.exec("insert into bounced values ($1)", number);
        done += static_cast<int>(rows.affected());
      }
    }
  };
  for (int i = 0; i < 60; ++i) {
    const tidepool_tests::on_end at_end = [&](std::exception_ptr failed) {
      try {
        if (failed) std::rethrow_exception(failed);
      } catch (const std::exception& thrown) {
        wrong += thrown.what();
      }
      if (--left == 0) asio::co_spawn(io, end(), asio::detached);
    };
    asio::co_spawn(io, one(i), at_end);
  }
  io.run_for(hang);
  INFO(counted.to_json());
  CHECK(wrong == "");
  CHECK(left == 0);
  CHECK(refused == 60 * 6);
  CHECK(done == 60 * 6);
  CHECK(db.admin("select count(*), count(*) filter (where id < 0) from bounced").at(0) == std::vector<std::string>{"360", "0"});
  // What its server processes have is as it was: a plain session through it may write.
  for (int i = 0; i < 6; ++i) (void)ask(before.conninfo, "insert into bounced values (1)");
}
