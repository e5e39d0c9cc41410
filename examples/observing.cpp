// SPDX-License-Identifier: BSL-1.0
// tidepool - what a pool reports: a log of events, leases that are held too long, itself in words and in numbers; and an observer.
#include <tidepool/pool.hpp>

#include <asio/steady_timer.hpp>
#include <atomic>
#include <cstdio>

using namespace std::chrono_literals;

/// A connection that connects to nothing.
struct session {};

/// Any class with some of the `on_event` members is an observer: it gets events as data. This one counts checkouts.
class watcher {
 public:
  explicit watcher(std::atomic<int>& checkouts) : checkouts_(&checkouts) {}
  void on_event(std::string_view, const tidepool::checkout_event&) { ++*checkouts_; }

 private:
  std::atomic<int>* checkouts_;
};

struct watched : tidepool::default_traits<session> {
  using observer = watcher;
};
using session_pool = tidepool::basic_pool<session, watched>;

asio::awaitable<void> forgetful(session_pool& pool) {
  auto lease = co_await pool.acquire();
  lease.label("nightly report");  // shown in reports, next to file and line of the acquire
  asio::steady_timer much_too_long(co_await asio::this_coro::executor, 300ms);
  co_await much_too_long.async_wait(asio::use_awaitable);
}

asio::awaitable<void> work(session_pool& pool) {
  co_await forgetful(pool);

  std::printf("%s\n", pool.describe().c_str());  // the pool at this moment, for people
  const tidepool::pool_stats stats = pool.stats();
  std::printf("%llu checkouts, %llu leaks reported, %llu of them came back\n", static_cast<unsigned long long>(stats.total_checkouts),
              static_cast<unsigned long long>(stats.leaks_detected), static_cast<unsigned long long>(stats.leaks_returned));
  std::printf("health: %s\n", to_string(assess(stats).status));
  std::printf("%s\n", stats.to_json().c_str());
}

int main() {
  asio::io_context io;
  tidepool::pool_config config;
  config.name = "sessions";
  config.min_size = 1;
  config.leak_timeout = 100ms;  // so that this example is short; the default is five minutes
  std::atomic<int> checkouts = 0;
  session_pool pool(
      io, []() -> asio::awaitable<session> { co_return session(); }, config, watcher(checkouts));
  // A log needs no type of one's own. The sink is any logger; it can be changed while the pool runs.
  pool.log_to([](tidepool::log_level level, const std::string& line) { std::printf("[%s] %s\n", to_string(level), line.c_str()); });
  tidepool::run(io, pool, work);
  std::printf("the observer counted %d\n", checkouts.load());
}
