// SPDX-License-Identifier: BSL-1.0
// tidepool - reads a recording of a flight recorder: its story, a picture, and what would have been with other options.
//
//   replay FILE                               the story, and what other sizes would have come to
//   replay FILE --with max_size=30 --with acquire_timeout=2s    ... and other options; as in pool_config::from_string()
//   replay FILE --svg PICTURE.svg
//   replay FILE --json                        each event as a line of JSON
//   replay --sample FILE                      makes one: a bad quarter of a minute of a simulated service
#include <tidepool/policy/recorder.hpp>
#include <tidepool/pool.hpp>
#include <tidepool/testing.hpp>
#include <tidepool/testing/replay.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "picture.hpp"
#include "story.hpp"

namespace {

using namespace std::chrono_literals;
namespace asio = tidepool::asio;
namespace testing = tidepool::testing;
using tidepool::duration;
using tidepool::recording;

// --- the sample: a shop whose nightly report holds connections for long --------------------------------------------------

struct shop_traits : testing::simulated_traits<testing::fake_connection> {
  using recorder_policy = tidepool::recorder;
};
using shop_pool = tidepool::basic_pool<testing::fake_connection, shop_traits>;

asio::awaitable<void> show_order(shop_pool& pool, duration work) {
  auto lease = co_await pool.acquire();
  co_await testing::sleep_for(work);
}
asio::awaitable<void> nightly_report(shop_pool& pool, duration work) {
  auto lease = co_await pool.acquire();
  co_await testing::sleep_for(work);
}
asio::awaitable<void> traffic(shop_pool& pool) {
  tidepool::detail::splitmix random(7);
  const auto up_to = [&random](duration most) {
    return duration(static_cast<duration::rep>(random.unit() * static_cast<double>(most.count())));
  };
  const auto unheard = [](std::exception_ptr) {};  // a failed request is in the recording
  const auto here = co_await asio::this_coro::executor;
  co_await pool.open();
  for (int i = 0; i < 1500; ++i) {
    co_await testing::sleep_for(up_to(16ms));
    if (i % 75 == 74 && i > 500) asio::co_spawn(here, nightly_report(pool, 1s + up_to(2s)), unheard);
    asio::co_spawn(here, show_order(pool, 5ms + up_to(30ms)), unheard);
  }
}

recording sample() {
  testing::simulation sim(1);
  testing::world server(sim);
  server.plan()[testing::operation::connect].latency = 12ms;
  tidepool::pool_config config;
  config.name = "orders";
  config.min_size = 2;
  config.max_size = 6;
  config.acquire_timeout = 150ms;
  shop_pool pool(sim.get_executor(), server.connector(), config);
  // The first caller that runs out of time has it made; what follows is of interest here, too.
  std::optional<recording> made;
  pool.record_to([&](const recording& first) {
    if (!made) made = first;
  });
  asio::co_spawn(sim.get_executor(), traffic(pool), [](std::exception_ptr) {});
  sim.run_for(15s);
  recording out = pool.recorded();
  if (made) out.reason = made->reason;
  return out;
}

// --- what would have been --------------------------------------------------------------------------------------------

void compare_one(const recording& seen, const std::string& name, const tidepool::pool_config& with) {
  const auto f = testing::replay(seen, with).figures();
  std::printf("  %-34s %7llu %9llu %10.1f ms %10.1f ms %8zu %9llu\n", name.c_str(), static_cast<unsigned long long>(f.served),
              static_cast<unsigned long long>(f.timeouts), story::ms(f.wait_p50), story::ms(f.wait_p99), f.most_open,
              static_cast<unsigned long long>(f.connects));
}
void compare(const recording& seen, const std::string& options) {
  const auto was = seen.figures();
  std::printf("\nwhat would have been                  served  timeouts      wait p50      wait p99     open  connects\n");
  std::printf("  %-34s %7llu %9llu %10.1f ms %10.1f ms %8zu %9llu\n", "as it was", static_cast<unsigned long long>(was.served),
              static_cast<unsigned long long>(was.timeouts), story::ms(was.wait_p50), story::ms(was.wait_p99), was.most_open,
              static_cast<unsigned long long>(was.connects));
  const auto config = seen.config();
  compare_one(seen, "replayed", config);
  if (!options.empty()) {
    std::string name = options;
    std::replace(name.begin(), name.end(), '\n', ' ');
    return compare_one(seen, "with " + name, tidepool::pool_config::from_string(options, config));
  }
  std::set<std::size_t> sizes;
  for (const std::size_t percent : {75u, 125u, 150u, 200u}) sizes.insert(std::max<std::size_t>(1, config.max_size * percent / 100));
  for (const std::size_t size : sizes) {
    if (size == config.max_size || size < config.min_size) continue;
    auto other = config;
    other.max_size = size;
    other.min_idle = std::min(other.min_idle, size);
    compare_one(seen, "with max_size = " + std::to_string(size), other);
  }
}

int usage() {
  std::fprintf(stderr, "usage: replay FILE [--with OPTION=VALUE]... [--svg PICTURE] [--json]\n       replay --sample FILE\n");
  return 2;
}

int run(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == "--sample") {
    sample().save(argv[2]);
    return 0;
  }
  if (argc < 2 || argv[1][0] == '-') return usage();
  const recording seen = recording::load(argv[1]);
  std::string options;
  std::string picture;
  bool json = false;
  for (int i = 2; i < argc; ++i) {
    const std::string what = argv[i];
    if (what == "--json") {
      json = true;
    } else if (what == "--with" && i + 1 < argc) {
      options += std::string(argv[++i]) + "\n";
    } else if (what == "--svg" && i + 1 < argc) {
      picture = argv[++i];
    } else {
      return usage();
    }
  }
  if (!picture.empty()) {
    std::ofstream out(picture);
    out << story::picture(seen).svg();
    out.close();
    if (!out) throw std::runtime_error("'" + picture + "' cannot be written");
    return 0;
  }
  if (json) {
    std::cout << seen.to_json_lines();
    return 0;
  }
  story::print(seen);
  compare(seen, options);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "replay: %s\n", failed.what());
    return 1;
  }
}
