// SPDX-License-Identifier: BSL-1.0
// tidepool - connections that are taken from their users: what they are told, by whom and why.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rig.hpp"

namespace tidepool_tests {

namespace {

/// Keeps what it was told.
struct told {
  struct log {
    std::vector<std::string> reasons;
    int silent = 0;  ///< aborts without a reason
    bool hangs = false;
  };
  explicit told(std::shared_ptr<log> to) : kept(std::move(to)) {}
  asio::awaitable<void> ping() { return hang(kept); }
  void abort() noexcept { ++kept->silent; }
  void abort(std::string_view why) noexcept {
    testing::checked_mutex::expect_unlocked("a connection is aborted");
    kept->reasons.emplace_back(why);
  }
  static asio::awaitable<void> hang(std::shared_ptr<log> of) {
    if (of->hangs) co_await testing::sleep_for(1h);
  }
  std::shared_ptr<log> kept;
};
/// The same without a place for the reason.
struct not_told {
  explicit not_told(std::shared_ptr<told::log> to) : kept(std::move(to)) {}
  void abort() noexcept { ++kept->silent; }
  std::shared_ptr<told::log> kept;
};

template <class C>
using pool_of = tidepool::basic_pool<C, testing::simulated_traits<C>>;

/// A pool, its only lease, and what its connection was told.
template <class C>
struct holder {
  explicit holder(const pool_config& config) {
    auto connector = [to = log]() -> asio::awaitable<C> { co_return C(to); };
    pool = std::make_unique<pool_of<C>>(sim.get_executor(), connector, config);
  }
  void take() {
    auto work = [](holder& self) -> asio::awaitable<void> { self.lease = co_await self.pool->acquire(); };
    asio::co_spawn(sim.get_executor(), work(*this), asio::detached);
    sim.run_while_not([&] { return bool(lease); });
  }
  void close(duration grace) {
    auto work = [](holder& self, duration after) -> asio::awaitable<void> {
      co_await self.pool->close(after);
      self.closed = true;
    };
    asio::co_spawn(sim.get_executor(), work(*this, grace), asio::detached);
    sim.run_while_not([&] { return closed; });
  }
  simulation sim;
  std::shared_ptr<told::log> log = std::make_shared<told::log>();
  std::unique_ptr<pool_of<C>> pool;
  typename pool_of<C>::lease lease;
  bool closed = false;
};

}  // namespace

TEST_CASE("given abandon_timeout, when it takes a connection, then that is told how long and where from", "[field-U7]") {
  auto config = calm(0, 1);
  config.leak_detection = true;
  config.leak_timeout = 10s;
  config.abandon_timeout = 60s;
  holder<told> h(config);
  h.take();
  h.sim.run_for(61s);
  REQUIRE(h.log->reasons.size() == 1);
  CHECK(h.log->reasons[0].find("the pool took this connection back: held for 60 s, abandon_timeout is 60 s; acquired at taken.cpp:") == 0);
  CHECK(h.log->silent == 0);
  h.lease.release();
}

TEST_CASE("given leases at the end of close()'s grace, then they are told of the shortest grace", "[field-U7]") {
  holder<told> h(calm(0, 1));
  h.take();
  h.sim.run_for(2s);
  auto patient = [](holder<told>& self) -> asio::awaitable<void> { co_await self.pool->close(1h); };
  asio::co_spawn(h.sim.get_executor(), patient(h), asio::detached);
  h.sim.run_for(1s);
  h.close(5s);
  REQUIRE(h.log->reasons.size() == 1);
  CHECK(h.log->reasons[0].find(
            "the pool took this connection back: held for 8 s, closed by pool.close() after its grace of 5 s; acquired at taken.cpp:") ==
        0);
  h.lease.release();
}

TEST_CASE("given close() without a grace, then the reason says so", "[field-U7]") {
  holder<told> h(calm(0, 1));
  h.take();
  h.close(0s);
  REQUIRE(h.log->reasons.size() == 1);
  CHECK(h.log->reasons[0].find(", closed by pool.close() after its grace of 0 s; acquired at ") != std::string::npos);
  h.lease.release();
}

TEST_CASE("given a connection without a place for the reason, when it is taken, then it is aborted as before", "[field-U7]") {
  holder<not_told> h(calm(0, 1));
  h.take();
  h.close(0s);
  CHECK(h.log->silent == 1);
  h.lease.release();
}

TEST_CASE("given a validation that takes too long, when the pool ends it, then the reason says so", "[field-U7]") {
  auto config = calm(1, 1);
  config.pre_ping = true;
  config.alive_bypass = 0s;
  config.validation_timeout = 3s;
  holder<told> h(config);
  h.take();
  h.lease.release();
  h.log->hangs = true;
  auto ask = [](holder<told>& self) -> asio::awaitable<void> {
    try {
      self.lease = co_await self.pool->acquire(5s);
    } catch (const tidepool::pool_error&) {
    }
  };
  asio::co_spawn(h.sim.get_executor(), ask(h), asio::detached);
  h.sim.run_for(4s);
  REQUIRE_FALSE(h.log->reasons.empty());
  CHECK(h.log->reasons[0] == "no answer within the validation timeout");
  h.log->hangs = false;
  h.sim.run_for(10s);
  h.lease.release();
  h.close(0s);
}

}  // namespace tidepool_tests
