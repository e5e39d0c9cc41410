// SPDX-License-Identifier: BSL-1.0
// tidepool - a pool in a simulation, with callers of both kinds: callbacks and coroutines.
#ifndef TIDEPOOL_TESTS_SHELL_RIG_HPP
#define TIDEPOOL_TESTS_SHELL_RIG_HPP

#include <tidepool/pool.hpp>
#include <tidepool/testing.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace tidepool_tests {

using namespace std::chrono_literals;
namespace asio = tidepool::asio;
namespace testing = tidepool::testing;
using testing::fake_connection;
using testing::operation;
using testing::server_state;
using testing::simulation;
using testing::virtual_clock;
using tidepool::close_reason;
using tidepool::duration;
using tidepool::errc;
using tidepool::error_code;
using tidepool::no_limit;
using tidepool::pool_config;
using tidepool::pool_state;
using tidepool::pool_stats;

/// Keeps every event as a line of text, and can be made to do something at each of them.
class recorder {
 public:
  struct log {
    std::vector<std::string> lines;
    std::string last_stack;
    std::size_t last_alike = 0;
    std::function<void(const std::string&)> on_line;
    bool has(const std::string& part) const { return count(part) > 0; }
    std::size_t count(const std::string& part) const {
      std::size_t n = 0;
      for (const std::string& line : lines) n += line.find(part) != std::string::npos;
      return n;
    }
  };
  recorder() : log_(std::make_shared<log>()) {}
  const std::shared_ptr<log>& events() const noexcept { return log_; }

  void on_event(std::string_view, const tidepool::created_event& e) { add("created " + std::to_string(e.id)); }
  void on_event(std::string_view, const tidepool::destroyed_event& e) {
    add("destroyed " + std::to_string(e.id) + " " + to_string(e.reason));
  }
  void on_event(std::string_view, const tidepool::checkout_event& e) { add("checkout " + std::to_string(e.id)); }
  void on_event(std::string_view, const tidepool::checkin_event& e) { add("checkin " + std::to_string(e.id)); }
  void on_event(std::string_view, const tidepool::connect_failed_event& e) {
    log_->last_alike = e.alike;
    add("connect failed x" + std::to_string(e.failures_in_a_row) + ": " + std::string(e.error));
  }
  void on_event(std::string_view, const tidepool::health_failed_event& e) {
    add("health failed " + std::to_string(e.id) + ": " + std::string(e.error));
  }
  void on_event(std::string_view, const tidepool::leak_event& e) {
    log_->last_stack = e.stack;
    constexpr const char* kinds[] = {"detected", "returned", "reclaimed"};
    add(std::string("leak ") + kinds[static_cast<int>(e.what)] + " " + std::to_string(e.lease.id) + " '" +
        std::string(e.lease.label.view()) + "' line " + std::to_string(e.lease.acquired_at.line()) +
        (e.stack.empty() ? " without stack" : " with stack"));
  }
  void on_event(std::string_view, const tidepool::scaled_event& e) {
    add("scaled " + std::to_string(e.from) + " to " + std::to_string(e.to));
  }
  void on_event(std::string_view, const tidepool::breaker_event& e) {
    add(std::string("breaker ") + to_string(e.from) + " to " + to_string(e.to));
  }
  void on_event(std::string_view, const tidepool::state_event& e) {
    add(std::string("state ") + to_string(e.from) + " to " + to_string(e.to) + ": " + std::string(e.reason));
  }
  void on_event(std::string_view, const tidepool::reconfigured_event& e) { add("reconfigured: " + std::string(e.changes)); }
  void on_event(std::string_view, const tidepool::stall_event& e) {
    add("stall: late " + std::to_string(e.late / 1ms) + " ms, slept " + std::to_string(e.suspended / 1ms) + " ms");
  }
  void on_event(std::string_view, const tidepool::idle_horizon_event& e) {
    add("idle horizon " + std::to_string(e.horizon / 1s) + " s, limit " + std::to_string(e.limit / 1s) + (e.kept ? " s, kept" : " s"));
  }
  void on_event(std::string_view, const tidepool::advice_event& e) { add("advice " + std::to_string(e.advice.max_size)); }
  void on_event(std::string_view, const tidepool::slow_acquire_event& e) { add("slow acquire line " + std::to_string(e.where.line())); }

 private:
  void add(const std::string& line) {
    testing::checked_mutex::expect_unlocked("an observer is told");
    log_->lines.push_back(line);
    if (log_->on_line) log_->on_line(line);
  }
  std::shared_ptr<log> log_;
};

template <class Connection>
struct watched_traits : testing::simulated_traits<Connection> {
  using observer = recorder;
};

/// How a caller asks for a connection.
enum class way { callback, coroutine };
inline std::ostream& operator<<(std::ostream& out, way w) { return out << (w == way::callback ? "callback" : "coroutine"); }

/// No upkeep of its own accord that a test does not ask for.
inline pool_config calm(std::size_t min_size, std::size_t max_size) {
  pool_config c;
  c.min_size = min_size;
  c.max_size = max_size;
  c.auto_scale = false;
  c.leak_detection = false;
  c.health_check_interval = no_limit;
  c.idle_timeout = no_limit;
  c.max_lifetime = no_limit;
  c.pre_ping = c.test_on_borrow = false;
  c.slow_acquire = no_limit;
  c.advice_interval = no_limit;
  return c;
}

template <class Connection = fake_connection, class Traits = watched_traits<Connection>>
class rig {
 public:
  using pool_type = tidepool::basic_pool<Connection, Traits>;
  using lease = typename pool_type::lease;

  explicit rig(const pool_config& config, std::uint64_t seed = 1) : sim(seed), server(sim) {
    const recorder watcher;
    events = watcher.events();
    if constexpr (std::is_same_v<typename Traits::observer, recorder>) {
      pool = std::make_unique<pool_type>(sim.get_executor(), testing::basic_fake_connector<Connection>(server), config, watcher);
    } else {
      pool = std::make_unique<pool_type>(sim.get_executor(), testing::basic_fake_connector<Connection>(server), config);
    }
  }

  /// One acquire and what came of it.
  struct request {
    std::optional<error_code> result;
    std::string text;  ///< of the exception
    lease held;
    virtual_clock::time_point ended{};
    asio::cancellation_signal signal;

    bool pending() const { return !result; }
    bool failed_with(errc e) const { return result && *result == e; }
    bool served() const { return result && !*result && held; }
  };
  using request_ptr = std::shared_ptr<request>;

  request_ptr ask(duration timeout = 10s, way how = way::callback) {
    auto out = std::make_shared<request>();
    if (how == way::callback) {
      pool->async_acquire(timeout, asio::bind_cancellation_slot(out->signal.slot(),
                                                                asio::bind_executor(sim.get_executor(), [out](error_code ec, lease got) {
                                                                  out->result = ec;
                                                                  out->held = std::move(got);
                                                                  out->ended = virtual_clock::now();
                                                                })));
    } else {
      asio::co_spawn(sim.get_executor(), acquire_into(*pool, out, timeout),
                     asio::bind_cancellation_slot(out->signal.slot(), asio::detached));
    }
    return out;
  }
  /// The coroutine way needs a step before it has asked.
  request_ptr asked(duration timeout = 10s, way how = way::callback) {
    auto out = ask(timeout, how);
    if (how == way::coroutine) settle();
    return out;
  }
  /// A lease, now or after some virtual time.
  lease take(duration timeout = 10s) {
    auto r = ask(timeout);
    sim.run_while_not([&] { return !r->pending(); });
    REQUIRE(r->served());
    return std::move(r->held);
  }
  /// Everything that can happen without time passing.
  void settle() { sim.run_for(0s); }

  /// What `open()` or `close()` came to; empty while it is pending.
  struct outcome {
    std::optional<error_code> result;
    std::string text;
    virtual_clock::time_point ended{};
    asio::cancellation_signal signal;
  };
  using outcome_ptr = std::shared_ptr<outcome>;
  outcome_ptr start_open() {
    auto out = std::make_shared<outcome>();
    asio::co_spawn(sim.get_executor(), into(pool->open(), out), asio::bind_cancellation_slot(out->signal.slot(), asio::detached));
    return out;
  }
  outcome_ptr start_close(duration grace) {
    auto out = std::make_shared<outcome>();
    asio::co_spawn(sim.get_executor(), into(pool->close(grace), out), asio::bind_cancellation_slot(out->signal.slot(), asio::detached));
    return out;
  }
  void open() {
    auto o = start_open();
    sim.run_while_not([&] { return o->result.has_value(); });
    REQUIRE(o->result == error_code());
  }
  /// Closes the pool and checks that nothing is left of it.
  void close_and_check() {
    auto o = start_close(0s);
    sim.run_while_not([&] { return o->result.has_value(); });
    REQUIRE(o->result == error_code());
    settle();
    CHECK(pool->state() == pool_state::closed);
    CHECK(pool->stats().total_connections == 0);
    CHECK(pool->stats().waiting == 0);
  }

  pool_stats stats() const { return pool->stats(); }

  simulation sim;
  testing::world server;
  std::shared_ptr<recorder::log> events;
  std::unique_ptr<pool_type> pool;

 private:
  static asio::awaitable<void> acquire_into(pool_type& from, request_ptr out, duration timeout) {
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    error_code result;
    std::string text;
    try {
      lease got = co_await from.acquire(timeout);
      out->held = std::move(got);
    } catch (const tidepool::system_error& e) {
      result = e.code();
      text = e.what();
    }
    out->text = text;
    out->ended = virtual_clock::now();
    out->result = result;
  }
  static asio::awaitable<void> into(asio::awaitable<void> what, outcome_ptr out) {
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    error_code result;
    std::string text;
    try {
      co_await std::move(what);
    } catch (const tidepool::system_error& e) {
      result = e.code();
      text = e.what();
    }
    out->text = text;
    out->ended = virtual_clock::now();
    out->result = result;
  }
};

}  // namespace tidepool_tests

#if defined(TIDEPOOL_TEST_INSTANCES)
TIDEPOOL_DECLARE_POOL(tidepool::testing::fake_connection, tidepool_tests::watched_traits<tidepool::testing::fake_connection>);
#endif

#endif
