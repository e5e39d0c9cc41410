// SPDX-License-Identifier: BSL-1.0
// tidepool - a pooler in between that gives each transaction to another server process.
#include <tidepool/postgres/detail/live_session.hpp>

#include <string>

#include "kit.hpp"
#include "rotating_pooler.hpp"

using namespace tidepool_tests;

TEST_CASE("given a transaction pooler, when two clients with caches alternate, then each gets its own answer",
          "[postgres][server][field-L2]") {
  NEEDS_SERVER();
  rotating_pooler pooler(server_port(), 2);
  auto task = [&]() -> asio::awaitable<void> {
    auto settings = through(pooler.port());
    settings.statement_cache = 8;
    auto a = co_await pg::connection::connect(settings);
    auto b = co_await pg::connection::connect(settings);
    must(a.behind_pooler() && b.behind_pooler(), "not noticed");
    for (int i = 0; i < 60; ++i) {
      auto& c = i % 3 == 0 ? a : b;
      const int product = co_await c.one<int>("select 2 * $1", i);
      const int sum = co_await c.one<int>("select 1000 + $1", i);
      must(product == 2 * i && sum == 1000 + i, "another statement's answer");
    }
    const auto refused = co_await error_of(a.prepare("select 1"));
    must(refused.reason() == pg::errc::bad_usage, "a statement that another process will not know");
    must(std::string(refused.what()).find("pooler_tracks_statements") != std::string::npos, "what to do");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a pooler wrongly said to track statements, then answers are right or errors", "[postgres][server][field-L2]") {
  NEEDS_SERVER();
  rotating_pooler pooler(server_port(), 2);
  auto task = [&]() -> asio::awaitable<void> {
    auto settings = through(pooler.port());
    settings.statement_cache = 8;
    settings.pooler_tracks_statements = true;
    auto a = co_await pg::connection::connect(settings);
    auto b = co_await pg::connection::connect(settings);
    for (int i = 0; i < 60; ++i) {
      auto& c = i % 3 == 0 ? a : b;
      const int product = co_await c.one<int>("select 2 * $1", i);
      const int sum = co_await c.one<int>("select 1000 + $1", i);
      must(product == 2 * i && sum == 1000 + i, "another statement's answer");
    }
    // By hand: its name says what it is, so it is there or it is not.
    const auto first = co_await a.prepare("select 1");
    const auto second = co_await b.prepare("select 2");
    must(first.name() != second.name(), "one name for two statements");
  };
  CHECK_NOTHROW(run(task()));
}

TEST_CASE("given a pooler that tracks statements, when one cannot be prepared, then its name is not sent again", "[postgres][server]") {
  NEEDS_SERVER();
  rotating_pooler pooler(server_port(), 1, true);
  auto task = [&]() -> asio::awaitable<void> {
    auto settings = through(pooler.port());
    settings.statement_cache = 8;
    settings.pooler_tracks_statements = true;
    auto c = co_await pg::connection::connect(settings);
    for (int i = 0; i < 3; ++i) {
      const auto failed = co_await error_of(c.exec("select * from is_not_there where id = $1", i));
      must(failed.is("42P01"), failed.what());
      const int said = co_await c.one<int>("select 2 * $1", i);
      must(said == 2 * i, "another statement's answer");
    }
  };
  CHECK_NOTHROW(run(task()));
  CHECK(pooler.ended() == 0);
}

TEST_CASE("given a pooler that tracks statements, when it keeps thousands, then the connection retires", "[postgres]") {
  asio::io_context io(1);
  const auto s = std::make_shared<pg::detail::live_session>(io.get_executor(), std::make_shared<const pg::options>());
  int names = 0, known = 0;
  for (; names < 100'000 && !s->retire; ++names) {
    known += s->name_at_pooler(pg::detail::statement_id(std::to_string(names), {}, {}, {})) ? 0 : 1;
  }
  CHECK(known == 0);
  CHECK(names == 2000);
  CHECK_FALSE(s->name_at_pooler(pg::detail::statement_id("7", {}, {}, {})));
  CHECK_THAT(s->why_broken(), has_text("pooler"));
}
