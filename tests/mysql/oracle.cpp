// SPDX-License-Identifier: BSL-1.0
// tidepool - the driver with a server of MySQL's own, of a newer Debian: a long run starts one (tests/support/mysql_server.sh).
#include <string>

#include "kit.hpp"

using namespace tidepool_tests;

namespace {

/// Where the server is; empty outside of a long run.
std::string oracle_dir() {
  const char* said = std::getenv("TIDEPOOL_TEST_MYSQL_ORACLE_DIR");
  return said == nullptr ? "" : said;
}
my::options oracle() {
  std::ifstream file(oracle_dir() + "/port");
  std::string port;
  file >> port;
  return {"mysql://tidepool@127.0.0.1:" + port + "/tidepool"};
}
my::options oracle_root() { return {"mysql://root@/mysql?socket=" + oracle_dir() + "/socket"}; }

#define NEEDS_ORACLE()                                                                              \
  if (oracle_dir().empty()) {                                                                       \
    WARN("skipped: TIDEPOOL_TEST_MYSQL_ORACLE_DIR, the folder of a server of MySQL's, is not set"); \
    return;                                                                                         \
  }                                                                                                 \
  static_assert(true)

my::connect_error refused_by_oracle(my::options how) {
  return run([](my::options to) -> asio::awaitable<my::connect_error> {
    std::optional<my::connect_error> caught;
    try {
      (void)co_await my::connection::connect(std::move(to));
    } catch (const my::connect_error& failure) {
      caught = failure;
    }
    if (!caught) throw std::runtime_error("a connect was to fail, and did not");
    co_return *caught;
  }(std::move(how)));
}

}  // namespace

TEST_CASE("given MySQL's own server, when users log in by caching_sha2_password, then TLS is needed once") {
  NEEDS_ORACLE();
  const auto user = my_name("sha2");
  my_with(oracle_root(), [&](my::connection& root) -> asio::awaitable<void> {
    must(!root.is_mariadb() && root.server_version() >= 80000, std::string(root.server_info()));
    co_await root.script("create user " + user + "@localhost identified with caching_sha2_password by 'right-secret'");
  });
  my::options how = oracle();
  how.database.clear();
  how.user = user;
  how.password = "right-secret";
  how.ssl_mode = my::ssl_mode::required;
  my_with(how, [](my::connection& c) -> asio::awaitable<void> {
    const int one = co_await c.one<int>("select 1");
    must(one == 1 && c.encrypted(), "the whole exchange, over TLS");
  });
  // The server remembers: now the short exchange does, without TLS too.
  how.ssl_mode = my::ssl_mode::disabled;
  my_with(how, [](my::connection& c) -> asio::awaitable<void> {
    const int one = co_await c.one<int>("select 1");
    must(one == 1 && !c.encrypted(), "the short exchange");
  });
  how.password = "wrong-secret";
  for (const auto mode : {my::ssl_mode::required, my::ssl_mode::disabled}) {
    how.ssl_mode = mode;
    const auto wrong = refused_by_oracle(how);
    INFO(wrong.what());
    CHECK(wrong.is(1045));
    CHECK(wrong.kind() == tidepool::failure_kind::permanent);
    CHECK(std::string(wrong.what()).find("secret") == std::string::npos);
  }
  my_with(oracle_root(),
          [&](my::connection& root) -> asio::awaitable<void> { co_await root.script("alter user " + user + "@localhost account lock"); });
  how.password = "right-secret";
  how.ssl_mode = my::ssl_mode::required;
  CHECK(refused_by_oracle(how).is(3118));
  my_with(oracle_root(), [&](my::connection& root) -> asio::awaitable<void> { co_await root.exec("drop user " + user + "@localhost"); });
}

TEST_CASE("given MySQL's own server, when its certificate is verified, then authority and name count") {
  NEEDS_ORACLE();
  my::options how = oracle();
  how.ssl_mode = my::ssl_mode::verify_ca;
  how.ssl_ca = oracle_dir() + "/server.crt";
  my_with(how, [](my::connection& c) -> asio::awaitable<void> {
    must(c.encrypted(), "encrypted");
    co_await c.ping();
  });
  how.ssl_mode = my::ssl_mode::verify_full;
  CHECK(refused_by_oracle(how).reason() == my::errc::tls_refused);
}

TEST_CASE("given MySQL's own server, when a session is reset in full, then the character set is utf8mb4 again") {
  NEEDS_ORACLE();
  my_with(oracle(), [](my::connection& c) -> asio::awaitable<void> {
    const std::string words = "Gr\xC3\xBC\xC3\x9F Gott \xF0\x9F\x98\x80";
    co_await c.exec("set names latin1");
    co_await c.exec("set @mine = 1");
    co_await c.exec("create temporary table only_mine (a int)");
    (void)co_await c.one<int>("select ? + 1", 1);
    co_await c.reset(my::reset_level::full);
    must(c.statements_kept() == 0, "its statements are gone");
    const auto client = co_await c.one<std::string>("select @@character_set_client");
    const auto results = co_await c.one<std::string>("select @@character_set_results");
    const auto zone = co_await c.one<std::string>("select @@time_zone");
    const auto mine = co_await c.one<std::optional<int>>("select @mine");
    must(client == "utf8mb4" && results == "utf8mb4" && zone == "+00:00" && !mine, client + " " + results + " " + zone);
    const auto back = co_await c.one<std::string>("select ?", words);
    must(back == words, "four bytes a character");
    const auto gone = co_await error_of(c.exec("select * from only_mine"));
    must(gone.is(1146), gone.what());
  });
}

TEST_CASE("given MySQL's own server, when statements run, then their results are as with MariaDB's") {
  NEEDS_ORACLE();
  my_with(oracle(), [](my::connection& c) -> asio::awaitable<void> {
    using row = std::tuple<std::uint64_t, double, my::decimal, std::chrono::microseconds, std::chrono::sys_time<std::chrono::microseconds>,
                           std::chrono::sys_days, unsigned, float, my::json>;
    co_await c.exec(
        "create temporary table v (a bigint unsigned, b double, d decimal(6,2), t time(6), m datetime(6), y date, x bit(5), f float, j "
        "json)");
    co_await c.exec("insert into v values (?, ?, ?, ?, ?, ?, ?, ?, ?)", std::uint64_t{18446744073709551615U}, 0.1, my::decimal{"-1.50"},
                    -std::chrono::microseconds(1), std::chrono::sys_time<std::chrono::microseconds>(std::chrono::microseconds(1)),
                    std::chrono::sys_days(std::chrono::days(1)), 21U, 0.1F, my::json{R"({"a": 1})"});
    const auto got = co_await c.one<row>("select * from v where a = ?", std::uint64_t{18446744073709551615U});
    must(std::get<2>(got).text == "-1.50" && std::get<3>(got) == -1us && std::get<6>(got) == 21 && std::get<8>(got).text == R"({"a": 1})",
         "types");
    const auto name = my_name("proc");
    co_await c.exec("create procedure " + name + "(in n int) begin select n; select n + 1, n + 2; end");
    const auto sets = co_await c.exec("call " + name + "(?)", 5);
    must(sets.sets() == 3 && sets.set(1)[0][1].as<int>() == 7, "several sets");
    co_await c.exec("drop procedure " + name);
    co_await c.exec("set cte_max_recursion_depth = 100000");
    auto rows =
        co_await c.stream<int>("with recursive n(i) as (select 1 union all select i + 1 from n where i < ?) select i from n", 50000);
    int count = 0;
    for (auto one = co_await rows.next(); one; one = co_await rows.next()) ++count;
    must(count == 50000, "a stream");
    co_await c.script("create temporary table s (a int); insert into s values (1), (2)");
    const int two = co_await c.one<int>("select count(*) from s");
    must(two == 2, "a script");
  });
}

TEST_CASE("given MySQL's own server, when things go wrong, then its numbers mean what they should") {
  NEEDS_ORACLE();
  my_with(oracle(), [](my::connection& c) -> asio::awaitable<void> {
    // MySQL ends SLEEP by KILL QUERY with a row, which is an answer: a query that computes is needed.
    const std::string endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";
    co_await c.exec("set cte_max_recursion_depth = 4294967295");
    const auto late = co_await error_of(c.one<int>(my::within(100ms), endless));
    must(late.reason() == my::errc::response_timeout && c.usable(), late.what());
    const auto table = my_name("nowait");
    co_await c.exec("create table " + table + " (id int primary key)");
    co_await c.exec("insert into " + table + " values (1)");
    auto other = co_await my::connection::connect(oracle());
    auto holds = [&](my::transaction& tx) -> asio::awaitable<void> {
      (void)co_await tx.exec("select * from " + table + " for update");
      const auto locked = co_await error_of(other.exec("select * from " + table + " for update nowait"));
      must(locked.is(3572) && locked.retryable(), locked.what());
    };
    co_await c.transaction(holds);
    co_await c.exec("drop table " + table);
    // Idle for too long: the reason arrives before the end, and is told by the next statement.
    co_await other.exec("set session wait_timeout = 1");
    for (int i = 0; i < 500 && other.usable(); ++i) co_await pause(10ms);
    must(!other.usable(), "ended by the server");
    auto third = co_await my::connection::connect(oracle());
    co_await third.exec("set session wait_timeout = 1");
    co_await pause(2500ms);
    const auto idle = co_await error_of(third.one<int>("select 1"));
    must(idle.connection_lost(), idle.what());
    auto victim = co_await my::connection::connect(oracle());
    co_await c.exec("kill " + std::to_string(victim.thread_id()));
    const auto killed = co_await error_of(victim.one<int>("select 1"));
    must(killed.connection_lost(), killed.what());
  });
}

TEST_CASE("given MySQL's own server, when it becomes read-only, then connections that write are outdated") {
  NEEDS_ORACLE();
  run([]() -> asio::awaitable<void> {
    auto root = co_await my::connection::connect(oracle_root());
    my::options how = oracle();
    how.writable = true;
    auto c = co_await my::connection::connect(how);
    const auto table = my_name("read_only");
    co_await c.exec("create table " + table + " (a int)");
    co_await root.exec("set global super_read_only = 1");
    const auto refusal = co_await error_of(c.exec("insert into " + table + " values (1)"));
    co_await root.exec("set global super_read_only = 0");
    co_await root.exec("set global read_only = 0");
    must(refusal.is(1290) && refusal.consequence() == my::consequence::all_suspect, refusal.what());
    must(c.after_lease() == tidepool::lease_end::outdated, "outdated");
    auto again = co_await my::connection::connect(how);
    co_await again.exec("drop table " + table);
  }());
}
