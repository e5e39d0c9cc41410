// SPDX-License-Identifier: BSL-1.0
// tidepool - everything of the pool and the PostgreSQL driver, instantiated once: to be compiled in every way that users may. Run, it does
// nothing.
#include <tidepool/postgres.hpp>
#include <tidepool/prometheus.hpp>
#include <tidepool/testing.hpp>

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace {

namespace postgres = tidepool::postgres;
using tidepool::asio::awaitable;

struct item {
  int id;
  std::optional<std::string> name;
};

struct cache {
  awaitable<void> ping();
  awaitable<void> ping(std::string_view query);
  awaitable<void> reset();
  awaitable<void> close();
  bool usable() const noexcept;
  tidepool::lease_end after_lease() const noexcept;
  void abort() noexcept;
};
awaitable<void> cache::ping() { co_return; }
awaitable<void> cache::ping(std::string_view) { co_return; }
awaitable<void> cache::reset() { co_return; }
awaitable<void> cache::close() { co_return; }
bool cache::usable() const noexcept { return true; }
tidepool::lease_end cache::after_lease() const noexcept { return tidepool::lease_end::clean; }
void cache::abort() noexcept {}

struct watched : tidepool::default_traits<cache> {
  using observer = tidepool::log_observer;
};
struct one_thread : tidepool::default_traits<cache> {
  using executor_type = tidepool::asio::io_context::executor_type;
  using mutex_type = tidepool::null_mutex;
  using health_policy = tidepool::no_health_check;
  using leak_policy = tidepool::no_leak_detection;
  using scaling_policy = tidepool::no_scaling;
  using lifetime_policy = tidepool::no_lifetime;
  using breaker_policy = tidepool::no_breaker;
  using queue_policy = tidepool::fifo_queue_oldest_idle;
};

template <class Pool>
typename Pool::template awaitable<void> use(Pool& pool) {
  co_await pool.open();
  auto lease = co_await pool.acquire();
  auto other = co_await pool.acquire(std::chrono::seconds(1));
  auto now = pool.try_acquire();
  lease.label("here");
  other.discard();
  const auto mine = lease.detach();
  pool.async_acquire(std::chrono::seconds(1), [](tidepool::error_code, typename Pool::lease) {});
  auto later = co_await pool.async_acquire(std::chrono::seconds(1), tidepool::asio::use_awaitable_t<typename Pool::executor_type>());
  std::printf("%zu\n", sizeof mine);
  pool.resize(1, 2);
  pool.recycle();
  pool.suspend();
  pool.resume();
  std::printf("%s%s%s", pool.stats().to_json().c_str(), tidepool::to_prometheus(pool.stats()).c_str(), assess(pool.stats()).reason);
  co_await pool.close();
}

awaitable<void> use(postgres::connection& db) {
  auto rows = co_await db.exec("select $1::int, $2::text", 1, "two");
  for (auto [id, name] : rows.rows<int, std::string>()) std::printf("%d %s\n", id, name.c_str());
  const auto one = co_await db.one<std::int64_t>("select 1");
  const auto maybe = co_await db.opt<std::string>("select 'x' where $1", one > 0);
  const auto items = co_await db.all<item>("select 1, null");
  co_await db.script("select 1; select 2");
  co_await db.transaction([](postgres::transaction& t) -> awaitable<void> { co_await t.exec("select 1"); });
  auto batch = db.pipeline(postgres::pipeline_mode::atomic);
  auto later = batch.exec("select $1::int", 3);
  co_await batch.run();
  {
    auto stream = co_await db.stream<int, std::string>("select 1, 'a'");
    for (;;) {
      auto row = co_await stream.next();
      if (!row) break;
    }
  }
  auto in = co_await db.copy_in("copy t from stdin");
  const std::vector<int> numbers{1, 2};
  const std::optional<std::string> nothing;
  co_await in.row(1, nothing, numbers);
  co_await in.finish();
  std::printf("%zu %d\n", items.size(), maybe.has_value());
}

}  // namespace

int main() {
  tidepool::asio::io_context io;
  {
    tidepool::basic_pool<cache, watched> pool(io, []() -> awaitable<cache> { co_return cache(); });
    tidepool::asio::co_spawn(io, use(pool), tidepool::asio::detached);
  }
  {
    tidepool::basic_pool<cache, one_thread> pool(io, []() -> awaitable<cache> { co_return cache(); });
    tidepool::asio::co_spawn(io, use(pool), tidepool::asio::detached);
  }
  postgres::pool pool(io, postgres::connector("dbname=shop"));
  tidepool::asio::co_spawn(io, use(pool), tidepool::asio::detached);
  std::optional<postgres::connection> connection;
  if (connection) tidepool::asio::co_spawn(io, use(*connection), tidepool::asio::detached);
}
