// SPDX-License-Identifier: BSL-1.0
// tidepool - what must not happen whatever a caller, the data or the server does; see the list in tests/faults/README.md.
#include <sys/mman.h>

#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kit.hpp"

using namespace tidepool_tests;

namespace {

/// A pool of one connection.
my::pool my_single(const asio::any_io_executor& executor, my::options how) {
  tidepool::pool_config config;
  config.min_size = 0;
  config.max_size = 1;
  config.acquire_timeout = 30s;
  return my::pool(executor, my::connector(std::move(how), config), config);
}

}  // namespace

TEST_CASE("given a server's text with control characters, when it is told, then it is one harmless line", "[mysql-S7]") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    const auto told = co_await error_of(c.exec("select * from `two\nlines\x1b[31m\x07`"));
    const std::string_view text = told.what();
    must(told.is(1146) && text.find("two") != std::string_view::npos && text.size() < 1200, told.what());
    must(text.find_first_of("\n\x1b\x07") == std::string_view::npos, "a control character");
  });
}

TEST_CASE("given SQL in a parameter or behind a semicolon, when it is sent, then nothing of it runs", "[mysql-S9]") {
  NEEDS_SERVER();
  my_with([](my::connection& c) -> asio::awaitable<void> {
    co_await c.exec("create temporary table kept (name text)");
    for (const std::string mode : {"", "no_backslash_escapes", "ansi_quotes"}) {
      co_await c.exec("set sql_mode = ?", mode);
      for (const std::string evil : {"'); drop table kept; --", "\\'; drop table kept; -- ", "\"; drop table kept; #", "\\"}) {
        co_await c.exec("insert into kept values (?)", evil);
        const auto back = co_await c.all<std::string>("select name from kept where name = ?", evil);
        must(back.size() == 1 && back.front() == evil, evil);
        co_await c.exec("delete from kept");
      }
    }
    const auto second = co_await error_of(c.exec("select 1; drop table kept"));
    must(second.is(1064), second.what());
    const auto in_stream = co_await error_of([](my::connection& on) -> asio::awaitable<void> {
      auto rows = co_await on.stream<int>("select 1; drop table kept");
      for (auto row = co_await rows.next(); row; row = co_await rows.next()) {
      }
    }(c));
    must(in_stream.is(1064), in_stream.what());
    const int left = co_await c.one<int>("select count(*) from kept");
    must(left == 0, "the table is there");
  });
}

TEST_CASE("given a parameter above 1 GB, when a MySQL statement takes it, then it is refused unread", "[mysql-S10]") {
  constexpr std::size_t size = (std::size_t{1} << 30U) + 1;
  void* const reserved = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(reserved != MAP_FAILED);
  const std::string_view text(static_cast<const char*>(reserved), size);
  const std::span<const std::byte> bytes(static_cast<const std::byte*>(reserved), size);
  const auto refusal = [](const auto& parameter) {
    try {
      (void)my::detail::request::of("select ?, ?", tidepool::no_limit, 1, parameter);
    } catch (const my::error& said) {
      return std::string(said.what());
    }
    return std::string();
  };
  for (const auto& said : {refusal(text), refusal(std::optional(text)), refusal(bytes)}) {
    CHECK(said.find("parameter 2") != std::string::npos);
    CHECK(said.find("larger than 1 GB") != std::string::npos);
  }
  ::munmap(reserved, size);
}

TEST_CASE("given a lease with a large result, when it ends, then its connection does not keep the memory", "[mysql-S11]") {
  NEEDS_SERVER();
  run([]() -> asio::awaitable<void> {
    my::options how(my_server());
    how.retire_after_packet_bytes = 100'000;
    my::pool pool = my_single(co_await asio::this_coro::executor, how);
    unsigned long small = 0, large = 0, next = 0;
    for (auto* const seen : {&small, &large, &next}) {
      auto lease = co_await pool.acquire();
      *seen = lease->thread_id();
      const auto rows = co_await lease->one<std::string>("select repeat('x', ?)", seen == &large ? 400'000 : 10);
      must(!rows.empty(), "a row");
    }
    must(small == large && large != next, "it goes after the large one alone");
    co_await pool.close(5s);
  }());
}

TEST_CASE("given a lease that is abandoned, when its time is over, then its place serves others", "[mysql-S14]") {
  NEEDS_SERVER();
  const auto end = abandon_a_lease<my::pool, my::error>(
      [](const tidepool::pool_config& config) { return my::connector(my::options(my_server()), config); }, "select sleep(60)");
  CHECK(end.served == 1);
  REQUIRE(end.holder.has_value());
  CHECK(end.holder->connection_lost());
}
