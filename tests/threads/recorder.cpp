// SPDX-License-Identifier: BSL-1.0
// tidepool - the flight recorder while several threads write it and another one copies it.
#include <tidepool/policy/recorder.hpp>
#include <tidepool/pool.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "support/asio.hpp"
#include "support/catch.hpp"
#include "support/on_end.hpp"
#include "support/stashing_traits.hpp"

namespace tidepool_tests {
namespace {
namespace recorder_threads {

using namespace std::chrono_literals;
using tidepool::recorded_event;
using tidepool::recorded_kind;
using tidepool::recording;

struct link {
  bool usable() const noexcept { return true; }
};
struct recorded_traits : stashing<tidepool::default_traits<link>> {
  using recorder_policy = tidepool::recorder;
};
using pool_type = tidepool::basic_pool<link, recorded_traits>;

int rounds(int base) {
  const char* more = std::getenv("TIDEPOOL_STRESS_ROUNDS");
  return more ? base * std::atoi(more) / 150 : base;
}

/// Leases of one connection that overlap: each begins after the one before has ended, however many threads there are.
int overlaps(const recording& in) {
  int found = 0;
  std::unordered_map<std::uint64_t, bool> leased;
  for (const recorded_event& e : in.events) {
    if (e.kind == recorded_kind::taken) found += std::exchange(leased[e.subject], true);
    if (e.kind == recorded_kind::granted) found += std::exchange(leased[e.value], true);
    if (e.kind == recorded_kind::returned) leased[e.subject] = false;
  }
  return found;
}

/// Does something right after it was read, once, where a thread has asked for that.
struct interrupted_clock {
  using duration = std::chrono::steady_clock::duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<interrupted_clock>;
  static time_point now() noexcept {
    const time_point read(std::chrono::steady_clock::now().time_since_epoch());
    if (reads_until > 0 && --reads_until == 0) then();
    return read;
  }
  static inline thread_local int reads_until = 0;
  static inline std::function<void()> then;
};
struct interrupted_traits : recorded_traits {
  using clock_type = interrupted_clock;
};

}  // namespace recorder_threads
}  // namespace

using namespace recorder_threads;

TEST_CASE("given threads that write a ring, when it is copied all the time, then no copied event is torn") {
  tidepool::detail::event_ring ring(1 << 14);
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (std::uint32_t t = 1; t <= 3; ++t) {
    writers.emplace_back([&, t] {
      for (std::uint64_t i = 1; !stop; ++i) ring.write(t, i, i * 3 + t, i * 7 + t);
    });
  }
  while (ring.read().lost == 0) std::this_thread::yield();
  std::uint64_t copied = 0;
  int wrong = 0;
  std::uint64_t lost = 0;
  for (int i = 0; i < rounds(300); ++i) {
    const auto found = ring.read();
    for (const auto& e : found.events) wrong += e.second != e.first * 3 + e.head || e.third != e.first * 7 + e.head;
    copied += found.events.size();
    lost = found.lost;
  }
  stop = true;
  for (std::thread& t : writers) t.join();
  CHECK(wrong == 0);
  CHECK(copied > 0);
  CHECK(lost > 0);
}

TEST_CASE("given a lease stashed while another caller looks for one, then the next one begins after its end") {
  int stashed_meanwhile = 0;
  for (int reads = 1; reads <= 6; ++reads) {
    asio::io_context io(1);
    tidepool::pool_config config;
    config.min_size = config.max_size = 1;
    config.auto_scale = false;
    tidepool::basic_pool<link, interrupted_traits> pool(
        io, []() -> asio::awaitable<link> { co_return link(); }, config);
    asio::co_spawn(io, pool.open(), on_end([&io](std::exception_ptr) { io.stop(); }));
    io.run();
    for (int i = 0; i < 10; ++i) (void)pool.try_acquire();  // the first leases are timed, and not stashed
    auto lease = pool.try_acquire();
    REQUIRE(lease);
    std::atomic<bool> begin{false}, done{false};
    std::thread other([&] {
      while (!begin) std::this_thread::yield();
      lease.release();
      done = true;
    });
    interrupted_clock::then = [&] {
      begin = true;
      // One that takes the lock cannot end before this caller has it no more.
      for (const auto until = std::chrono::steady_clock::now() + 200ms; !done && std::chrono::steady_clock::now() < until;) {
        std::this_thread::yield();
      }
      stashed_meanwhile += done;
    };
    interrupted_clock::reads_until = reads;
    auto next = pool.try_acquire();
    interrupted_clock::reads_until = 0;
    begin = true;
    other.join();
    next.release();
    INFO("after " << reads << " reads");
    CHECK(overlaps(pool.recorded()) == 0);
    asio::co_spawn(io, pool.close(), on_end([](std::exception_ptr) {}));
    io.restart();
    io.run();
  }
  CHECK(stashed_meanwhile >= 2);  // before the lock is taken, and under it
}

TEST_CASE("given threads that use a pool, when its recorder is copied, then each copy is in order") {
  asio::io_context io(1);
  tidepool::pool_config config;
  config.min_size = 2;
  config.max_size = 3;
  config.recorder_memory = 1 << 16;
  pool_type pool(
      io, []() -> asio::awaitable<link> { co_return link(); }, config);
  auto work = asio::make_work_guard(io);
  std::thread loop([&] { io.run(); });
  asio::co_spawn(io, pool.open(), asio::use_future).get();

  std::atomic<int> handed_out{0};
  pool.record_to([&](const recording& made) { handed_out += !made.events.empty(); });
  std::atomic<int> users_left{4};
  std::vector<std::thread> users;
  for (int t = 0; t < 4; ++t) {
    users.emplace_back([&] {
      for (int i = 0; i < rounds(4000); ++i) {
        if (i % 8 == 0) {
          auto lease = pool.async_acquire(1s, asio::use_future).get();
        } else {
          auto lease = pool.try_acquire();
        }
      }
      --users_left;
    });
  }
  int copies = 0;
  int overlapping = 0;
  bool readable = true;
  while (users_left > 0) {
    const recording made = pool.recorded();
    readable = readable && recording::from_bytes(made.to_bytes()) == made;
    if (made.torn == 0) overlapping += overlaps(made);
    if (++copies % 4 == 0) pool.record_now();
  }
  for (std::thread& t : users) t.join();
  overlapping += overlaps(pool.recorded());
  pool.record_now();
  asio::co_spawn(io, pool.close(), asio::use_future).get();
  work.reset();
  loop.join();
  CHECK(copies > 0);
  CHECK(readable);
  CHECK(overlapping == 0);
  CHECK(handed_out > 0);
}

}  // namespace tidepool_tests
