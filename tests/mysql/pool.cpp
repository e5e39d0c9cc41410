// SPDX-License-Identifier: BSL-1.0
// tidepool - pool and MySQL driver together.
#include <set>
#include <string>

#include "../support/on_end.hpp"
#include "kit.hpp"

using namespace tidepool_tests;

namespace {

tidepool::pool_config my_small() {
  tidepool::pool_config config;
  config.min_size = 1;
  config.max_size = 3;
  config.acquire_timeout = 10s;
  config.connect_timeout = 10s;
  return config;
}
/// Runs `work(pool)`, and closes the pool.
template <class Work>
void my_with_pool(my::options how, tidepool::pool_config config, Work work) {
  run([](my::options to, tidepool::pool_config with, Work body) -> asio::awaitable<void> {
    my::pool pool(co_await asio::this_coro::executor, my::connector(std::move(to), with), with);
    std::exception_ptr failure;
    try {
      co_await body(pool);
    } catch (...) {
      failure = std::current_exception();
    }
    co_await pool.close(5s);
    if (failure) std::rethrow_exception(failure);
  }(std::move(how), config, std::move(work)));
}

}  // namespace

TEST_CASE("given a pool, when it is opened, used and closed, then the server sees exactly its sessions") {
  NEEDS_SERVER();
  my_with([](my::connection& watcher) -> asio::awaitable<void> {
    std::set<unsigned long> seen;
    {
      auto config = my_small();
      config.min_size = 2;
      my::pool pool(co_await asio::this_coro::executor, my::connector(my_server()), config);
      co_await pool.open();
      auto one = co_await pool.acquire();
      auto two = co_await pool.acquire();
      auto three = co_await pool.acquire();
      for (auto* each : {&one, &two, &three}) seen.insert((*each)->thread_id());
      must(seen.size() == 3 && !pool.try_acquire(), "three, and no more");
      for (auto* each : {&one, &two, &three}) each->release();
      auto again = co_await pool.acquire();
      must(seen.contains(again->thread_id()), "one of the three");
      again.release();
      must(pool.stats().total_connections == 3, "counted");
      co_await pool.close(5s);
    }
    for (const auto id : seen) {
      const int left = co_await watcher.one<int>("select count(*) from information_schema.processlist where id = ?", id);
      must(left == 0, "closed");
    }
  });
}

TEST_CASE("given a lease left in the middle of things, when it ends, then the next holder finds all clean", "[mysql-S1]") {
  NEEDS_SERVER();
  auto config = my_small();
  config.max_size = 1;
  my_with_pool(my_server(), config, [](my::pool& pool) -> asio::awaitable<void> {
    const auto table = my_name("lease");
    {
      auto lease = co_await pool.acquire();
      co_await lease->script("create table " + table + " (i int) engine = innodb; insert into " + table + " values (1), (2), (3)");
      co_await lease->script("start transaction; delete from " + table);
    }
    unsigned long same = 0;
    {
      auto lease = co_await pool.acquire();
      same = lease->thread_id();
      const int count = co_await lease->one<int>("select count(*) from " + table);
      must(count == 3 && !lease->in_transaction(), "rolled back");
      must(pool.stats().connections_created == 1, "by the same connection");
      auto rows = co_await lease->stream<int>("select seq from seq_1_to_1000000");
      (void)co_await rows.next();
    }
    {
      auto lease = co_await pool.acquire();
      must(lease->thread_id() != same, "an answer that was not read costs the connection");
      const int one = co_await lease->one<int>("select 1");
      must(one == 1, "a new one");
      const auto late =
          co_await error_of(lease->one<int>(my::within(30ms), "select count(*) from seq_1_to_1000000000000000 where seq * seq = 3"));
      must(late.reason() == my::errc::response_timeout, late.what());
      same = lease->thread_id();
    }
    auto lease = co_await pool.acquire();
    const int two = co_await lease->one<int>("select 2");
    must(two == 2 && lease->thread_id() == same, "a cancelled statement costs nothing");
    co_await lease->exec("drop table " + table);
  });
}

TEST_CASE("given reset level full, when leases end, then session state never reaches the next holder", "[mysql-S2]") {
  NEEDS_SERVER();
  my::options how(my_server());
  how.reset = my::reset_level::full;
  auto config = my_small();
  config.max_size = 1;
  my_with_pool(how, config, [](my::pool& pool) -> asio::awaitable<void> {
    for (int i = 0; i < 5; ++i) {
      auto lease = co_await pool.acquire();
      const auto before = co_await lease->one<std::optional<int>>("select @secret_of_the_last_one");
      must(!before, "nothing of the last holder");
      co_await lease->exec("set @secret_of_the_last_one = ?", i);
      co_await lease->exec("create temporary table only_mine (i int)");
    }
    must(pool.stats().connections_created == 1, "always the same connection");
  });
}

TEST_CASE("given idle connections whose sessions are killed, when acquiring, then none gets a dead one") {
  NEEDS_SERVER();
  my_with_pool(my_server(), my_small(), [](my::pool& pool) -> asio::awaitable<void> {
    auto killer = co_await my::connection::connect(my::options(my_server()));
    for (int round = 0; round < 5; ++round) {
      {
        auto one = co_await pool.acquire();
        auto two = co_await pool.acquire();
        const auto first = one->thread_id(), second = two->thread_id();
        one.release();
        two.release();
        co_await killer.exec("kill " + std::to_string(first));
        co_await killer.exec("kill " + std::to_string(second));
      }
      auto lease = co_await pool.acquire();
      const int one = co_await lease->one<int>("select 1");
      must(one == 1, "alive");
    }
    co_await killer.close();
  });
}

TEST_CASE("given idle connections, when one is killed, then it is replaced at once and unasked") {
  NEEDS_SERVER();
  auto config = my_small();
  config.min_size = 2;
  my_with_pool(my_server(), config, [](my::pool& pool) -> asio::awaitable<void> {
    co_await pool.open();
    unsigned long victim = 0;
    {
      auto lease = co_await pool.acquire();
      victim = lease->thread_id();
    }
    auto killer = co_await my::connection::connect(my::options(my_server()));
    co_await killer.exec("kill " + std::to_string(victim));
    for (int i = 0; i < 1000 && pool.stats().connections_created < 3; ++i) co_await pause(10ms);
    const auto stats = pool.stats();
    must(stats.connections_created == 3 && stats.total_connections == 2, "replaced without an acquire");
    co_await killer.close();
  });
}

TEST_CASE("given a wrong password, when acquiring, then it fails at once with the reason, not the password", "[mysql-S6]") {
  NEEDS_SERVER();
  my::options how(my_server());
  how.user = "nobody_of_that_name";
  how.password = "very-secret";
  std::string text;
  my_with_pool(how, my_small(), [&text](my::pool& pool) -> asio::awaitable<void> {
    try {
      (void)co_await pool.acquire();
    } catch (const tidepool::pool_error& failure) {
      text = failure.what();
    }
  });
  CHECK_THAT(text, has_text("nobody_of_that_name"));
  CHECK(text.find("very-secret") == std::string::npos);
}

TEST_CASE("given a user with few sessions, when the pool wants more, then it keeps serving with what it has") {
  NEEDS_SERVER();
  const auto user = my_name("few");
  my_with(my_root(), [&](my::connection& root) -> asio::awaitable<void> {
    co_await root.script("create user " + user + "@localhost with max_user_connections 2; grant select on tidepool.* to " + user +
                         "@localhost");
  });
  my::options how(my_server());
  how.user = user;
  auto config = my_small();
  config.max_size = 6;
  my_with_pool(how, config, [](my::pool& pool) -> asio::awaitable<void> {
    int done = 0, failed = 0;
    auto work = [&]() -> asio::awaitable<void> {
      for (int i = 0; i < 10; ++i) {
        auto lease = co_await pool.acquire();
        done += co_await lease->one<int>("select 1");
        co_await pause(1ms);
      }
    };
    const auto executor = co_await asio::this_coro::executor;
    for (int i = 0; i < 6; ++i) {
      const on_end at_end = [&](std::exception_ptr e) {
        if (e) ++failed;
      };
      asio::co_spawn(executor, work(), at_end);
    }
    for (int i = 0; i < 2000 && done < 60 && failed == 0; ++i) co_await pause(10ms);
    must(done == 60 && failed == 0, "all were served by two connections");
  });
  my_with(my_root(), [&](my::connection& root) -> asio::awaitable<void> { co_await root.exec("drop user " + user + "@localhost"); });
}

TEST_CASE("given pre_ping or a validation query, when connections are borrowed, then they are asked") {
  NEEDS_SERVER();
  auto config = my_small();
  config.pre_ping = true;
  config.alive_bypass = 0ms;
  my_with_pool(my_server(), config, [](my::pool& pool) -> asio::awaitable<void> {
    for (int i = 0; i < 3; ++i) {
      auto lease = co_await pool.acquire();
      const int one = co_await lease->one<int>("select 1");
      must(one == 1, "after a ping");
    }
    must(pool.stats().connections_created == 1, "kept");
  });
  config.validation_query = "select 1 from no_such_table_for_validation";
  my_with_pool(my_server(), config, [](my::pool& pool) -> asio::awaitable<void> {
    for (int i = 0; i < 2; ++i) (void)co_await pool.acquire();
    must(pool.stats().connections_created > 1, "one that failed the query is replaced");
  });
}

TEST_CASE("given the presets of a pool's configuration, when they are used with MySQL, then it works") {
  NEEDS_SERVER();
  for (auto config : {tidepool::pool_config::development(), tidepool::pool_config::production(), tidepool::pool_config::high_load(),
                      tidepool::pool_config::low_latency(), tidepool::pool_config::high_throughput(), tidepool::pool_config::reliable()}) {
    config.min_size = 1;
    my_with_pool(my_server(), config, [](my::pool& pool) -> asio::awaitable<void> {
      auto lease = co_await pool.acquire();
      const int one = co_await lease->one<int>("select 1");
      must(one == 1, "served");
    });
  }
}
