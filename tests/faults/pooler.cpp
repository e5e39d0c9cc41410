// SPDX-License-Identifier: BSL-1.0
// tidepool - what works through PgBouncer in transaction mode, the installed one and the newest: statement cache, settings,
// LISTEN. The driver's page, "Behind PgBouncer", says the same in words; PAUSE, RECONNECT and failover are rows of bouncer.cpp and
// failover.cpp.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <tidepool/postgres.hpp>

#include "../postgres/kit.hpp"
#include "../support/on_end.hpp"
#include "bouncer.hpp"
#include "checks.hpp"
#include "server.hpp"

using namespace tidepool_faults;
using tidepool_tests::on_end;
using tidepool_tests::run;
namespace pg = tidepool::postgres;

namespace {

std::unique_ptr<bouncer> start_bouncer(edition which, const std::string& name) {
  return std::make_unique<bouncer>(shared_server(), which, std::vector<std::string>{"default_pool_size=2"}, name);
}

/// Skips where there is no such edition, and says so.
#define FRONT(variable, which)                                                                     \
  const auto variable = start_bouncer(which, (which) == edition::installed ? "pooler" : "newest"); \
  if ((variable)->conninfo.empty()) {                                                              \
    WARN("skipped: no PgBouncer of this edition; tests/run.sh --long unpacks the newest");         \
    return;                                                                                        \
  }                                                                                                \
  static_assert(true)

std::string number_sql(int kind) { return "select $1::int + " + std::to_string(kind); }

/// Statements of a few texts in turn, so that their names are at every server process in every order; `wrong` counts the answers that
/// were another statement's, `failed` those that were none.
struct answers {
  int right = 0, wrong = 0, failed = 0;
  std::string why;
};
asio::awaitable<void> ask_in_turn(pg::connection& c, answers& out, int times, int first) {
  for (int i = 0; i < times; ++i) {
    const int kind = (first + i) % 7;
    try {
      const int got = co_await c.one<int>(number_sql(kind), i);
      ++(got == i + kind ? out.right : out.wrong);
    } catch (const pg::error& failure) {
      ++out.failed;
      out.why = failure.what();
    }
  }
}
asio::awaitable<void> ask_in_transactions(pg::connection& c, answers& out, int times) {
  for (int i = 0; i < times; ++i) {
    // More texts than the cache holds: one falls out in each transaction.
    auto body = [&out, i](pg::transaction& t) -> asio::awaitable<void> {
      for (const int kind : {100 + i, 200 + i}) {
        const int got = co_await t.one<int>(number_sql(kind), i);
        ++(got == i + kind ? out.right : out.wrong);
      }
    };
    try {
      co_await c.transaction(body);
    } catch (const pg::error& failure) {
      ++out.failed;
      out.why = failure.what();
    }
  }
}

pg::options cached(const bouncer& front, bool tracks) {
  pg::options settings(front.conninfo);
  settings.statement_cache = 4;
  settings.pooler_tracks_statements = tracks;
  return settings;
}

asio::awaitable<void> three_at_once(pg::options settings, answers& out) {
  const asio::any_io_executor here = co_await asio::this_coro::executor;
  std::vector<pg::connection> connections;
  for (int i = 0; i < 3; ++i) {
    connections.push_back(co_await pg::connection::connect(settings));
  }
  int running = 0;
  asio::steady_timer done(here, std::chrono::hours(1));
  for (auto& c : connections) {
    ++running;
    auto work = [](pg::connection& on, answers& into, int first) -> asio::awaitable<void> {
      co_await ask_in_turn(on, into, 150, first);
      co_await ask_in_transactions(on, into, 30);
    };
    const on_end at_end = [&](std::exception_ptr) {
      if (--running == 0) done.cancel();
    };
    asio::co_spawn(here, work(c, out, running), at_end);
  }
  asio::error_code ended;
  co_await done.async_wait(asio::redirect_error(asio::use_awaitable, ended));
  for (auto& c : connections) co_await c.close();
}

}  // namespace

TEST_CASE("given a pooler, when three sessions cache statements, then every answer is their own", "[faults][field-L2][field-R04]") {
  NEEDS_OWN_SERVER();
  const auto which = GENERATE(edition::installed, edition::newest);
  const bool tracks = GENERATE(false, true);
  if (tracks && which == edition::installed) return;  // an older one does not track prepared statements, so the option must not be set
  FRONT(front, which);
  answers all;
  run(three_at_once(cached(*front, tracks), all));
  INFO(all.why);
  CHECK(all.wrong == 0);
  CHECK(all.failed == 0);
  CHECK(all.right == 3 * (150 + 60));
}

TEST_CASE("given a pooler, when a pool connects, then it says so and leaves no setting behind for others", "[faults][field-L11]") {
  NEEDS_OWN_SERVER();
  const auto which = GENERATE(edition::installed, edition::newest);
  FRONT(front, which);
  // Every server process of the pooler, several times over.
  const auto settings_seen = [&front = *front] {
    std::map<std::string, int> seen;
    for (int i = 0; i < 6; ++i) {
      const auto row = ask(front.conninfo,
                           "select current_setting('extra_float_digits') || ' ' || current_setting('tcp_user_timeout') || ' ' || "
                           "current_setting('idle_in_transaction_session_timeout') || ' ' || current_setting('DateStyle')");
      ++seen[row.at(0).at(0)];
    }
    return seen;
  };
  const auto before = settings_seen();
  run([](std::string conninfo) -> asio::awaitable<void> {
    pg::options settings(conninfo);
    settings.idle_in_transaction_timeout = std::chrono::seconds(7);
    for (int i = 0; i < 4; ++i) {
      auto c = co_await pg::connection::connect(settings);
      const bool pooled = c.behind_pooler();
      if (!pooled) throw std::runtime_error("the pooler was not noticed");
      const double sum = co_await c.one<double>("select 0.1::float8 + 0.2::float8");
      if (sum != 0.1 + 0.2) throw std::runtime_error("a double was rounded");
      co_await c.close();
    }
  }(front->conninfo));
  CHECK(before.size() == 1);
  CHECK(settings_seen() == before);
}

TEST_CASE("given a pooler in transaction mode, when LISTEN is asked for, then it is refused in words", "[faults][field-L11]") {
  NEEDS_OWN_SERVER();
  const auto which = GENERATE(edition::installed, edition::newest);
  FRONT(front, which);
  std::string said;
  run([](std::string conninfo, std::string& out) -> asio::awaitable<void> {
    pg::listener inbox(pg::connector(conninfo), {"jobs"});
    try {
      (void)co_await inbox.next();
    } catch (const pg::error& failure) {
      out = failure.what();
    }
  }(front->conninfo, said));
  CHECK_THAT(said, tidepool_tests::has_text("pooler"));
}
