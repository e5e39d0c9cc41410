// SPDX-License-Identifier: BSL-1.0
// tidepool - spans of MySQL's statements, and the memory of a connection.
#include "kit.hpp"
#include "support/span_log.hpp"

using namespace tidepool_tests;

namespace {

void my_must_be(span_log& spans, const std::string& lines) {
  const std::string seen = joined(spans.take());
  must(seen == lines, "seen: " + seen + "; expected: " + lines);
}

}  // namespace

TEST_CASE("given tracing of MySQL, when statements run and fail, then each is a span with its tag, and no value") {
  NEEDS_SERVER();
  const auto spans = std::make_shared<span_log>();
  my::options settings(my_server());
  settings.tracing = spans;
  my_with(settings, [&spans](my::connection& c) -> asio::awaitable<void> {
    (void)spans->take();
    c.trace_in(trace_number(7));
    co_await c.exec("create temporary table secrets (n int primary key, v varchar(20))");
    co_await c.exec("insert into secrets values (?, ?)", 1, "hidden");
    my_must_be(*spans, "CREATE in 7 placed, INSERT in 7 placed");
    (void)co_await error_of(c.exec("insert into secrets values (?, ?)", 1, "hidden"));
    my_must_be(*spans, "INSERT in 7 placed failed: 23000");
    const auto body = [](my::transaction& t) -> asio::awaitable<void> { co_await t.exec("delete from secrets"); };
    co_await c.transaction(body);
    const auto seen = joined(spans->take());
    must(seen.find("DELETE in 7 placed") != seen.npos && seen.find("COMMIT in 7") != seen.npos, seen);
    c.trace_in(tidepool::trace_context());
    co_await c.ping();
    my_must_be(*spans, "PING");
    (void)co_await error_of(c.exec(my::within(50ms), "select sleep(30)"));
    const auto late = joined(spans->take());  // and the KILL, over a connection of its own
    must(late.find("SELECT placed failed: response_timeout") != late.npos, late);
    auto rows = co_await c.stream<int>("with recursive n(i) as (select 1 union all select i + 1 from n where i < 900) select i from n");
    (void)co_await rows.next();
    must(spans->open() == 1, "it is open");
    for (;;) {
      const auto next = co_await rows.next();
      if (!next) break;
    }
    my_must_be(*spans, "WITH placed");
    must(spans->texts().find("hidden") == std::string::npos, spans->texts());
  });
  CHECK(spans->open() == 0);
}

TEST_CASE("given a MySQL connection, when it has received a large packet, then its memory says so") {
  NEEDS_SERVER();
  my_with(my::options(my_server()), [](my::connection& c) -> asio::awaitable<void> {
    const auto before = c.memory_bytes();
    must(before > 100'000, std::to_string(before));
    co_await c.exec("select repeat('x', 300000)");
    must(c.memory_bytes() >= before + 200'000, std::to_string(before) + " " + std::to_string(c.memory_bytes()));
    must(my::connection::driver_threads() < 10, "threads");
  });
}
