// SPDX-License-Identifier: BSL-1.0
// tidepool - what a wait for an answer costs in calls of epoll: one epoll_wait() and one epoll_ctl(), also after the socket was waited for
// to be written.
#include "../support/epoll_calls.hpp"

#if TIDEPOOL_TESTS_COUNT_EPOLL

#include <string>

#include <tidepool/postgres/multiplexer.hpp>

#include "kit.hpp"

using namespace tidepool_tests;

namespace {

constexpr int answers = 20;

struct spent {
  int waits;
  int controls;
  std::string text() const {
    return std::to_string(waits) + " epoll_wait() and " + std::to_string(controls) + " epoll_ctl() for " + std::to_string(answers) +
           " answers";
  }
  /// A few more, for timers.
  bool a_round(int expected) const { return waits >= answers * expected && waits < answers * expected + answers / 2; }
  bool once_each() const { return a_round(1); }
};
/// The answer comes late enough to be waited for each time.
template <class Queried>
asio::awaitable<spent> of_rounds(Queried& queried) {
  co_await queried.exec("select 1");
  const auto before = epoll_here;
  for (int i = 0; i < answers; ++i) co_await queried.exec("select pg_sleep(0.005)");
  co_return spent{epoll_here.waits - before.waits, epoll_here.controls - before.controls};
}
tidepool::pool_config one_connection() {
  tidepool::pool_config config;
  config.min_size = 0;
  config.max_size = 1;
  return config;
}

}  // namespace

TEST_CASE("given a pool, when statements wait for their answers, then each wait wakes the thread once", "[postgres][server]") {
  NEEDS_SERVER();
  for (const bool limited : {false, true}) {
    pg::options how(server());
    how.response_timeout = limited ? tidepool::time_limit(30s) : tidepool::time_limit(tidepool::no_limit);
    // With a limit the coroutine is resumed in a turn of its own, before which the loop looks for events too.
    with_pool(pg::connector(how), one_connection(), [expected = limited ? 2 : 1](pg::pool& pool) -> asio::awaitable<void> {
      auto lease = co_await pool.acquire();
      const auto seen = co_await of_rounds(*lease);
      must(seen.a_round(expected), seen.text());
    });
  }
}

TEST_CASE("given a large statement, when it was sent in parts, then later waits wake the thread once", "[postgres][server]") {
  NEEDS_SERVER();
  auto task = []() -> asio::awaitable<spent> {
    auto c = co_await connect();
    const std::string large(std::size_t{32} << 20U, 'x');
    co_await c.exec("select length($1)", large);
    co_return co_await of_rounds(c);
  };
  const auto seen = run(task());
  INFO(seen.text());
  CHECK(seen.once_each());
}

TEST_CASE("given a multiplexer without looks, when statements wait, then each wait wakes the thread once", "[postgres][server]") {
  NEEDS_SERVER();
  with_pool(pg::connector(server()), one_connection(), [](pg::pool& pool) -> asio::awaitable<void> {
    pg::multiplexer_options how;
    how.look_time = {};
    pg::multiplexer mux(pool, how);
    const auto seen = co_await of_rounds(mux);
    co_await mux.close();
    must(seen.once_each(), seen.text());
  });
}

TEST_CASE("given a socket that cannot be watched, when a statement waits, then it fails and the pool goes on", "[postgres][server]") {
  NEEDS_SERVER();
  const int open = open_descriptors();
  with_pool(pg::connector(server()), one_connection(), [](pg::pool& pool) -> asio::awaitable<void> {
    {
      auto lease = co_await pool.acquire();
      const std::string large(std::size_t{32} << 20U, 'x');
      epoll_here.refuse_add = true;
      bool failed = false;
      try {
        co_await lease->exec("select length($1)", large);  // it waits until the socket can be written, and then for the answer
      } catch (const pg::error&) {
        failed = true;
      }
      epoll_here.refuse_add = false;
      must(failed, "the wait cannot succeed");
    }
    auto next = co_await pool.acquire();
    co_await next->exec("select 1");
  });
  CHECK(settled_descriptors(open) == open);
}

#endif
