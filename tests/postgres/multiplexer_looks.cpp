// SPDX-License-Identifier: BSL-1.0
// tidepool - the multiplexer looks for the answers of few statements for a moment before its event loop sleeps.
#include <time.h>

#include <tidepool/postgres/multiplexer.hpp>
#include <tidepool/postgres/multiplexers.hpp>

#include <exception>
#include <stdexcept>
#include <string>

#include "../support/on_end.hpp"
#include "kit.hpp"

using namespace tidepool_tests;

namespace {

/// What the event loop did while the first answer to some slow statements was awaited.
struct loop_seen {
  std::size_t handlers = 0;
  std::chrono::nanoseconds worked{};  ///< processor time
};

/// Of this thread.
std::chrono::nanoseconds processor_time() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

/// `count` statements of this length at once, on two lanes, after some quick ones, which are worth a look.
loop_seen watch_the_loop(tidepool::duration look_time, int count, const std::string& seconds) {
  asio::io_context io(1);
  pg::pool pool(io, pg::connector(patient()), tidepool::pool_config{.min_size = 0, .max_size = 2});
  pg::multiplexer_options options;
  options.max_lanes = 2;
  options.look_time = look_time;
  pg::multiplexer mux(pool, options);
  loop_seen out;
  bool awaited = false, done = false;
  int left = count;
  std::exception_ptr failure;
  const std::string slow = "select pg_sleep(" + seconds + ")";
  const auto task = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 50; ++i) co_await mux.read("select 1");
    // Both lanes are of the kind that is asked for next.
    for (int i = 0; i < 2; ++i) mux.async_read([](std::exception_ptr, pg::result) {}, "select pg_sleep(0.01)");
    co_await pause(40ms);
    for (int i = 0; i < 50; ++i) co_await mux.read("select 1");
    awaited = true;
    for (int i = 0; i < count; ++i) {
      mux.async_read(
          [&](std::exception_ptr failed, pg::result) {
            awaited = false;
            if (failed) failure = failed;
            --left;
          },
          slow);
    }
    while (left > 0) co_await pause(100ms);
    co_await mux.close();
    co_await pool.close();
  };
  const on_end at_end = [&](std::exception_ptr failed) {
    if (failed) failure = failed;
    done = true;
  };
  asio::co_spawn(io, task(), at_end);
  auto last = processor_time();
  const auto end = std::chrono::steady_clock::now() + hang;
  while (io.run_one_until(end) > 0) {
    const auto now = processor_time();
    if (awaited) ++out.handlers;
    if (awaited) out.worked += now - last;
    last = now;
  }
  if (!done) throw std::runtime_error("the coroutine hangs");
  if (failure) std::rethrow_exception(failure);
  return out;
}
/// Whether it looks, by the handlers that it runs. Again where it was not seen: a busy machine may keep this thread from running for as
/// long as it may look.
bool looks(tidepool::duration look_time, int count) {
  for (int i = 0; i < 3; ++i) {
    if (watch_the_loop(look_time, count, "0.05").handlers > 100) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("given few statements, when their answers are awaited, then the loop looks for look_time, then sleeps") {
  NEEDS_SERVER();
  CHECK(looks(10ms, 1));
  CHECK(watch_the_loop(0ms, 1, "0.05").handlers < 100);
  // Where it did not stop looking it would take all the time that it gets.
  CHECK(watch_the_loop(1ms, 1, "0.6").worked < 30ms);
}
TEST_CASE("given more statements than lanes, when their answers are awaited, then the loop does not look") {
  NEEDS_SERVER();
  CHECK(looks(10ms, 2));
  CHECK(watch_the_loop(10ms, 5, "0.05").handlers < 100);
}
TEST_CASE("given multiplexers of several threads, when they are made, then none of them looks") {
  asio::io_context io;
  pg::pool pool(io, pg::connector(pg::options("host=nowhere")));
  CHECK(pg::multiplexers(pool, 2).at(1).options().look_time == 0us);
  CHECK(pg::multiplexers(pool, 1).at(0).options().look_time == pg::multiplexer_options().look_time);
  pg::multiplexer_options wrong;
  wrong.look_time = 11ms;
  CHECK(wrong.faults() == "look_time has to be from 0 to 10 ms");
  wrong.look_time = -1us;
  CHECK_THROWS_WITH(pg::multiplexer(pool, wrong), has_text("look_time"));
}
