// SPDX-License-Identifier: BSL-1.0
// tidepool - a shop with a pool in a simulation, whose server does what it is told, and whose callers keep the errors they get.
#ifndef TIDEPOOL_TESTS_SHOP_HPP
#define TIDEPOOL_TESTS_SHOP_HPP

#include <tidepool/pool.hpp>
#include <tidepool/testing.hpp>

#include <memory>
#include <optional>
#include <string>

#include "call_places.hpp"
#include "rig.hpp"

namespace tidepool_tests {

/// What the server of a shop does next.
struct server_script {
  std::string connect_error;  ///< empty: it accepts
  tidepool::failure_kind kind = tidepool::failure_kind::transient;
  bool connect_hangs = false;
  bool ping_hangs = false;
  bool reset_hangs = false;
  bool close_hangs = false;
  virtual_clock::time_point silent_since{};
};

class shop_session {
 public:
  explicit shop_session(server_script& server) : server_(&server) {}
  asio::awaitable<void> ping() { return answer(server_->ping_hangs); }
  asio::awaitable<void> reset() { return answer(server_->reset_hangs); }
  asio::awaitable<void> close() { return answer(server_->close_hangs); }
  tidepool::lease_end after_lease() const noexcept {
    return server_->reset_hangs ? tidepool::lease_end::needs_reset : tidepool::lease_end::clean;
  }
  virtual_clock::time_point waiting_since() const noexcept { return server_->silent_since; }
  const std::string& peer() const noexcept { return peer_; }

  static asio::awaitable<void> answer(bool hangs) {
    if (hangs) co_await testing::sleep_for(1000h);
  }

 private:
  server_script* server_;
  std::string peer_ = "db1:5432";
};

using shop_pool = tidepool::basic_pool<shop_session, testing::simulated_traits<shop_session>>;

struct told_error {
  std::optional<error_code> code;
  std::string text;
  std::optional<tidepool::error_report> report;
  shop_pool::lease held;
  asio::cancellation_signal cancel;

  void failed(const tidepool::pool_error& e) {
    code = e.code();
    text = e.what();
    report = e.report();
  }
};
using told_error_ptr = std::shared_ptr<told_error>;

class shop {
 public:
  explicit shop(pool_config config) : sim(1) {
    config.name = "shop";
    pool = std::make_unique<shop_pool>(
        sim.get_executor(), [this]() -> asio::awaitable<shop_session> { return connect(server); }, config);
  }
  told_error_ptr acquire(tidepool::time_limit timeout = 10s, source_location where = in_orders()) {
    return start([this, timeout, where](told_error_ptr out) { return acquire_into(*pool, out, timeout, where); });
  }
  told_error_ptr open(duration patience = 10s) {
    return start([this, patience](told_error_ptr out) { return into(pool->open(patience, in_main()), out); });
  }
  told_error_ptr close(duration grace) {
    return start([this, grace](told_error_ptr out) { return into(pool->close(grace, in_main()), out); });
  }
  /// A lease taken by the nightly report.
  shop_pool::lease lease(std::string_view label = "nightly report") {
    auto out = acquire(1s, in_report());
    sim.run_while_not([&] { return out->code.has_value(); });
    REQUIRE(out->held);
    out->held.label(label);
    return std::move(out->held);
  }
  void pass(duration d) { sim.run_for(d); }
  void fails_with(tidepool::failure_kind kind, std::string text) {
    server.kind = kind;
    server.connect_error = std::move(text);
  }

  simulation sim;
  server_script server;
  std::unique_ptr<shop_pool> pool;

 private:
  template <class Make>
  told_error_ptr start(Make make) {
    auto out = std::make_shared<told_error>();
    asio::co_spawn(sim.get_executor(), make(out), asio::bind_cancellation_slot(out->cancel.slot(), asio::detached));
    sim.run_for(0s);
    return out;
  }
  static asio::awaitable<shop_session> connect(server_script& server) {
    co_await shop_session::answer(server.connect_hangs);
    if (!server.connect_error.empty()) throw tidepool::connect_error(server.kind, server.connect_error);
    co_return shop_session(server);
  }
  static asio::awaitable<void> acquire_into(shop_pool& from, told_error_ptr out, tidepool::time_limit timeout, source_location where) {
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    try {
      auto got = co_await from.acquire(timeout, where);
      out->held = std::move(got);
      out->code = error_code();
    } catch (const tidepool::pool_error& e) {
      out->failed(e);
    }
  }
  static asio::awaitable<void> into(asio::awaitable<void> what, told_error_ptr out) {
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    try {
      co_await std::move(what);
      out->code = error_code();
    } catch (const tidepool::pool_error& e) {
      out->failed(e);
    }
  }
};

inline pool_config shop_size(std::size_t min, std::size_t max) {
  auto config = calm(min, max);
  config.start = tidepool::start_mode::fail_fast;
  return config;
}

}  // namespace tidepool_tests

#endif
