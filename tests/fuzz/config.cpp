// SPDX-License-Identifier: BSL-1.0
// tidepool - libFuzzer target: any bytes as a pool_config. What validate() lets pass, a pool must be able to live with.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize=function -I include tests/fuzz/config.cpp -o fuzz_config
//   ./fuzz_config -max_len=512 -max_total_time=60 tests/fuzz/corpus/config
#include <tidepool/pool.hpp>
#include <tidepool/testing.hpp>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace tidepool_fuzz {
namespace {

using tidepool::duration;

// Takes values from the input until it is used up, then zeros.
class reader {
 public:
  reader(const std::uint8_t* data, std::size_t size) : at_(data), left_(size) {}

  template <class T>
  T number() {
    T out{};
    const std::size_t n = std::min(sizeof out, left_);
    std::memcpy(&out, at_, n);
    skip(n);
    return out;
  }
  // The first byte says how: as it is, no limit, small.
  std::size_t count() {
    switch (number<std::uint8_t>() % 4) {
      case 0: return number<std::size_t>();
      case 1: return tidepool::no_limit;
      default: return number<std::uint8_t>() % 8;
    }
  }
  duration span() {
    switch (number<std::uint8_t>() % 4) {
      case 0: return duration(number<duration::rep>());
      case 1: return tidepool::no_limit;
      default: return std::chrono::milliseconds(number<std::uint16_t>());
    }
  }
  bool flag() { return number<std::uint8_t>() % 2 == 1; }
  std::string_view text(std::size_t most) {
    const std::size_t n = std::min({static_cast<std::size_t>(number<std::uint16_t>()), most, left_});
    const std::string_view out(reinterpret_cast<const char*>(at_), n);
    skip(n);
    return out;
  }

 private:
  void skip(std::size_t n) {
    at_ += n;
    left_ -= n;
  }
  const std::uint8_t* at_;
  std::size_t left_;
};

tidepool::pool_config read(reader in) {
  tidepool::pool_config c;
  if (in.flag()) c.name.assign(in.text(100));
  c.min_size = in.count();
  c.max_size = in.count();
  c.min_idle = in.count();
  c.max_connecting = in.count();
  c.max_waiting = in.count();
  c.acquire_timeout = in.span();
  c.connect_timeout = in.span();
  c.validation_timeout = in.span();
  c.reset_timeout = in.span();
  c.close_timeout = in.span();
  c.close_grace = in.span();
  c.slow_acquire = in.span();
  c.stall_threshold = in.span();
  c.advice_interval = in.span();
  c.wait_goal = in.span();
  c.idle_timeout = in.span();
  c.max_lifetime = in.span();
  c.lifetime_jitter = in.number<double>();
  c.max_uses = in.count();
  c.pre_ping = in.flag();
  c.test_on_borrow = in.flag();
  if (in.flag()) c.validation_query.assign(in.text(300));
  c.alive_bypass = in.span();
  c.health_check_interval = in.span();
  c.max_retries = in.count();
  c.retry_delay = in.span();
  c.max_retry_delay = in.span();
  c.breaker_threshold = in.count();
  c.breaker_open_time = in.span();
  c.wait_when_refused = in.flag();
  c.auto_scale = in.flag();
  c.scale_up_threshold = in.number<double>();
  c.scale_down_threshold = in.number<double>();
  c.scale_check_interval = in.span();
  c.leak_detection = in.flag();
  c.leak_timeout = in.span();
  c.abandon_timeout = in.span();
  c.response_timeout = in.span();
  c.start = in.flag() ? tidepool::start_mode::lazy : tidepool::start_mode::fail_fast;
  return c;
}

using connection = tidepool::testing::fake_connection;
using fuzzed_pool = tidepool::basic_pool<connection, tidepool::testing::simulated_traits<connection>>;

asio::awaitable<void> use(fuzzed_pool& from, int& count) {
  fuzzed_pool::lease lease = co_await from.acquire(std::chrono::seconds(1));
  count += static_cast<bool>(lease);
  co_await tidepool::testing::sleep_for(std::chrono::milliseconds(5));
}

}  // namespace
}  // namespace tidepool_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tidepool_fuzz;
  const tidepool::pool_config config = read(reader(data, size));
  for (const auto& fault : config.validate()) {
    if (fault.field.empty() || fault.rule.empty() || fault.text().empty()) std::abort();
  }
  try {  // any bytes as text, too
    (void)tidepool::pool_config::from_string({reinterpret_cast<const char*>(data), size});
  } catch (const std::invalid_argument&) {
  }
  if (config.validate().empty()) {
    const std::string text = config.to_string();
    if (tidepool::pool_config::from_string(text).to_string() != text) std::abort();
  }
  if (!config.validate().empty() || config.min_size > 64 || config.min_idle > 64) return 0;

  tidepool::testing::simulation sim(1);
  tidepool::testing::world server(sim);
  {
    fuzzed_pool pool(sim.get_executor(), server.connector(), config);
    int served = 0;
    for (int i = 0; i < 3; ++i) asio::co_spawn(sim.get_executor(), use(pool, served), asio::detached);
    sim.run_for(std::chrono::seconds(3), 1'000'000);
    // The server works and answers in a millisecond: with that much time and room to wait a caller is served.
    const auto ample = std::chrono::milliseconds(2);
    if (served == 0 && config.max_waiting >= 3 && config.connect_timeout > ample && config.validation_timeout > ample &&
        config.max_lifetime > ample) {
      std::abort();
    }
    const tidepool::pool_stats stats = pool.stats();
    if (stats.total_connections > config.max_size || stats.to_json().empty()) std::abort();
  }
  sim.run_for(std::chrono::seconds(1), 1'000'000);
  return 0;
}
