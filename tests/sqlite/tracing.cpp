// SPDX-License-Identifier: BSL-1.0
// tidepool - spans of SQLite's statements, and the memory of a connection.
#include "kit.hpp"
#include "support/span_log.hpp"

using namespace tidepool_tests;

namespace {

template <class Work>
void lite_with_spans(Work work) {
  run([](Work body) -> asio::awaitable<void> {
    const auto spans = std::make_shared<span_log>();
    lite::options settings(":memory:");
    settings.tracing = spans;
    auto c = co_await lite::connection::connect(settings);
    (void)spans->take();
    co_await body(c, *spans);
    co_await c.close();
    must(spans->open() == 0, "each span ends");
  }(std::move(work)));
}
void lite_must_be(span_log& spans, const std::string& lines) {
  const std::string seen = joined(spans.take());
  must(seen == lines, "seen: " + seen + "; expected: " + lines);
}

}  // namespace

TEST_CASE("given tracing of SQLite, when statements run and fail, then each is a span with its tag") {
  lite_with_spans([](lite::connection& c, span_log& spans) -> asio::awaitable<void> {
    c.trace_in(trace_number(7));
    co_await c.exec("create table secrets (n integer primary key, v text unique)");
    co_await c.exec("insert into secrets (v) values (?1)", "hidden");
    lite_must_be(spans, "CREATE in 7 placed, INSERT in 7 placed");
    (void)co_await error_of(c.exec("insert into secrets (v) values (?1)", "hidden"));
    lite_must_be(spans, "INSERT in 7 placed failed: SQLITE_CONSTRAINT_UNIQUE, 2067");
    const auto body = [](lite::transaction& t) -> asio::awaitable<void> { co_await t.exec("delete from secrets"); };
    co_await c.transaction(body);
    lite_must_be(spans, "BEGIN in 7, DELETE in 7 placed, COMMIT in 7");
    c.trace_in(tidepool::trace_context());
    co_await c.ping();
    co_await c.script("select 1; select 2");
    lite_must_be(spans, "PING, SELECT placed");
    must(spans.texts().find("hidden") == std::string::npos, spans.texts());
  });
}

TEST_CASE("given tracing of SQLite, when rows are streamed, then the span lasts until the stream ends") {
  lite_with_spans([](lite::connection& c, span_log& spans) -> asio::awaitable<void> {
    auto rows = co_await c.stream<int>("with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) select i from n");
    (void)co_await rows.next();
    must(spans.open() == 1, "it is open");
    for (;;) {
      const auto next = co_await rows.next();
      if (!next) break;
    }
    lite_must_be(spans, "WITH placed");
  });
}

TEST_CASE("given a SQLite connection, when it has read pages, then its memory is what SQLite counts") {
  run([]() -> asio::awaitable<void> {
    auto c = co_await lite::connection::connect(lite::options(":memory:"));
    const auto before = c.memory_bytes();
    co_await c.exec("create table t as select randomblob(1000000) as b");
    const auto after = c.memory_bytes();
    must(after >= before + 1'000'000 && after < before + 4'000'000, std::to_string(before) + " " + std::to_string(after));
    must(lite::connection::driver_threads() >= 1, "its thread");
    co_await c.close();
    must(c.memory_bytes() == 0, "closed");
  }());
}
