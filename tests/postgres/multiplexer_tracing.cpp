// SPDX-License-Identifier: BSL-1.0
// tidepool - spans of a multiplexer's statements: by tag and prepared name, in the trace of the caller, with the time in the queue.
#include <tidepool/postgres/multiplexers.hpp>
#include <tidepool/statement_times.hpp>

#include <thread>

#include "multiplexer_kit.hpp"
#include "support/on_end.hpp"
#include "support/span_log.hpp"

namespace mux_tracing {
namespace {

using namespace tidepool_tests;

/// Keeps the times of the spans as well.
class timed_spans final : public tidepool::tracing {
 public:
  std::optional<tidepool::trace_context> start(const tidepool::trace_start& what) noexcept override { return lines.start(what); }
  void end(const tidepool::trace_context& span, const tidepool::trace_end& how) noexcept override {
    took = how.took;
    queued = how.queued;
    lines.end(span, how);
  }
  span_log lines;
  tidepool::duration took{}, queued{};
};

/// Runs `body(mux)` with these options on a pool of `most` connections.
template <class Body>
void with_spans(Body body, const pg::multiplexer_options& options, std::size_t most = 4) {
  with_multiplexer([&](pg::multiplexer& mux, pg::pool&) { return body(mux); }, options, most);
}
void must_be(span_log& spans, const std::string& lines) {
  const std::string seen = joined(spans.take());
  must(seen == lines, "seen: " + seen + "; expected: " + lines);
}
template <class T>
asio::awaitable<std::string> what_of(asio::awaitable<T> work) {
  try {
    co_await std::move(work);
  } catch (const std::exception& failed) {
    co_return failed.what();
  }
  co_return std::string();
}

TEST_CASE("given a traced multiplexer, when statements run, then each is a span in its caller's trace") {
  NEEDS_SERVER();
  const auto spans = std::make_shared<span_log>();
  pg::multiplexer_options options;
  options.tracing = spans;
  with_spans(
      [&](pg::multiplexer& mux) -> asio::awaitable<void> {
        const auto mine = trace_number(7);
        co_await mux.exec("select 'hidden'");
        must_be(*spans, "SELECT prepared placed");
        co_await mux.read(mine, "-- really\nselect $1::text", "hidden");
        must_be(*spans, "SELECT prepared in 7 placed");
        (void)co_await mux.read_one<int>({mine, pg::within(5s)}, "select $1::int", 41);
        must_be(*spans, "SELECT prepared in 7 placed");
        (void)co_await mux.opt<int>(pg::within(5s), "values (1)");
        must_be(*spans, "VALUES prepared placed");
        co_await mux.async_read(asio::use_awaitable, mine, "select 1");
        must_be(*spans, "SELECT prepared in 7 placed");
        (void)co_await what_of(mux.exec(mine, "select 1 / (random() * 0)::int"));
        must_be(*spans, "SELECT prepared in 7 placed failed: 22012");
        must(spans->texts().find("hidden") == std::string::npos, spans->texts());
        (void)co_await what_of(mux.exec("begin"));
        (void)co_await what_of(mux.async_exec(asio::use_awaitable, "begin"));
        must_be(*spans, "");  // never a statement of it
        must(spans->open() == 0, "each span ends");
      },
      options);
}

TEST_CASE("given a traced multiplexer, when a statement is late, cancelled or refused, then its span says so") {
  NEEDS_SERVER();
  const auto spans = std::make_shared<timed_spans>();
  pg::multiplexer_options options;
  options.tracing = spans;
  options.max_lanes = 1;
  options.max_depth = 1;
  options.max_waiting = 1;
  with_spans(
      [&](pg::multiplexer& mux) -> asio::awaitable<void> {
        co_await mux.read("select 1");
        (void)spans->lines.take();
        const auto here = co_await asio::this_coro::executor;
        const auto slow = sleep_of(300ms);
        bool first_done = false;
        asio::co_spawn(here, mux.read(pg::within(10s), slow),
                       on_end_of<pg::result>([&](std::exception_ptr, const pg::result&) { first_done = true; }));
        co_await pause(20ms);
        // It waits behind that one, and is answered.
        bool second_done = false;
        asio::co_spawn(here, mux.read("select 2"),
                       on_end_of<pg::result>([&](std::exception_ptr, const pg::result&) { second_done = true; }));
        co_await pause(20ms);
        (void)co_await what_of(mux.read("select 3"));
        must_be(spans->lines, "SELECT prepared placed failed: queue_full");
        while (!second_done) co_await pause(1ms);
        must(first_done, "the first");
        must_be(spans->lines, "SELECT prepared placed, SELECT prepared placed");
        must(spans->queued >= 100ms && spans->took >= spans->queued, "queued");
        (void)co_await what_of(mux.read(pg::within(50ms), slow));
        must_be(spans->lines, "SELECT prepared placed failed: timeout");
        must(spans->queued < 40ms && spans->took >= 40ms, "sent at once");
        asio::cancellation_signal stop;
        bool stopped = false;
        asio::co_spawn(here, mux.read("select 4"),
                       asio::bind_cancellation_slot(stop.slot(),
                                                    on_end_of<pg::result>([&](std::exception_ptr, const pg::result&) { stopped = true; })));
        co_await pause(1ms);
        stop.emit(asio::cancellation_type::terminal);
        while (!stopped) co_await pause(1ms);
        must_be(spans->lines, "SELECT prepared placed failed: cancelled");
        must(spans->queued == spans->took, "it never was sent");
        must(spans->lines.open() == 0, "each span ends");
      },
      options);
}

TEST_CASE("given a traced multiplexer that closes, then the spans of those it leaves end, and say why") {
  NEEDS_SERVER();
  const auto spans = std::make_shared<span_log>();
  pg::multiplexer_options options;
  options.tracing = spans;
  options.max_lanes = 1;
  options.max_depth = 1;
  with_spans(
      [&](pg::multiplexer& mux) -> asio::awaitable<void> {
        co_await mux.exec("select 1");
        (void)spans->take();
        const auto here = co_await asio::this_coro::executor;
        int told = 0;
        const on_end_of<pg::result> count = [&](std::exception_ptr, const pg::result&) { ++told; };
        asio::co_spawn(here, mux.exec(sleep_of(30s)), count);
        asio::co_spawn(here, mux.exec("select 2"), count);
        co_await pause(20ms);
        co_await mux.close(50ms);
        while (told < 2) co_await pause(1ms);
        must_be(*spans, "SELECT prepared placed failed: closed, SELECT prepared placed failed: outcome_unknown");
        (void)co_await what_of(mux.exec("select 3"));
        must_be(*spans, "SELECT prepared placed failed: closed");
        must(spans->open() == 0, "each span ends");
      },
      options);
}

TEST_CASE("given statement_times in multiplexers, when statements run on threads, then each tag is counted") {
  NEEDS_SERVER();
  const auto times = std::make_shared<tidepool::statement_times>();
  asio::io_context io(2);
  pg::pool pool(io, pg::connector(patient()), {.min_size = 0, .max_size = 4});
  pg::multiplexer_options options;
  options.tracing = times;
  options.max_lanes = 2;
  pg::multiplexers shared(pool, 2, options);
  const auto work = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 20; ++i) co_await shared.read(trace_number(1), "select $1::int", i);
    co_await shared.exec("values (1)");
    (void)co_await what_of(shared.exec("select 1 / 0"));
    co_await shared.close();
    co_await pool.close();
  };
  std::exception_ptr failure;
  asio::co_spawn(io, work(), on_end([&](std::exception_ptr failed) { failure = failed; }));
  std::thread other([&] { io.run(); });
  io.run();
  other.join();
  if (failure) std::rethrow_exception(failure);
  std::uint64_t selects = 0, failed = 0, values = 0;
  for (const auto& one : times->read()) {
    if (one.tag == "SELECT") selects = one.times.count(), failed = one.failed;
    if (one.tag == "VALUES") values = one.times.count();
  }
  CHECK(selects == 21);
  CHECK(failed == 1);
  CHECK(values == 1);
}

}  // namespace
}  // namespace mux_tracing
