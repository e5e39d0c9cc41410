// SPDX-License-Identifier: BSL-1.0
// tidepool - a scripted server's socket and its state; sessions have a header of their own.
#ifndef TIDEPOOL_TESTING_POSTGRES_SERVER_CORE_HPP
#define TIDEPOOL_TESTING_POSTGRES_SERVER_CORE_HPP

#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "../../detail/driver/asio_io.hpp"
#include "../../detail/driver/asio_local.hpp"
#include "../../version.hpp"
#include "../simulation.hpp"
#include "../virtual_timer.hpp"
#include "script.hpp"
#include "socket_folder.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail {

/// A wait in virtual time where the executor is a simulation's, else in real time.
class server_timer {
 public:
  explicit server_timer(const asio::any_io_executor& executor) {
    if (asio::has_service<simulation_marker>(asio::query(executor, asio::execution::context))) {
      simulated_.emplace(executor);
    } else {
      real_.emplace(executor);
    }
  }
  /// Returns when the time is up, or `cancel()` was called.
  asio::awaitable<void> wait(duration span) {
    error_code ignored;
    if (simulated_) {
      simulated_->expires_after(span);
      co_await simulated_->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    } else {
      real_->expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(span));
      co_await real_->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
  }
  void cancel() {
    if (simulated_) simulated_->cancel();
    if (real_) real_->cancel();
  }

 private:
  std::optional<virtual_timer> simulated_;
  std::optional<asio::steady_timer> real_;  // NOLINT(clock): where time is real
};

/// What a connect meets.
struct connect_rule {
  std::optional<error_fields> failure = {};
  std::size_t times = 0;  ///< connects that still fail
  duration latency = duration::zero();
};

using server_socket = asio::local::stream_protocol::socket;

/// One session, as the server's other parts see it.
struct session_handle {
  explicit session_handle(server_socket s) : socket(std::move(s)) {}
  void close() {
    error_code ignored;
    socket.close(ignored);
    if (waiting) waiting->cancel();
  }
  server_socket socket;
  std::shared_ptr<server_timer> waiting = {};  ///< for the time of an answer that takes long
  bool silent = false;                         ///< ... which comes only when the statement is cancelled
  bool cancelled = false;
};

/// Used on its executor only, but for the script.
class server_core : public std::enable_shared_from_this<server_core> {
 public:
  explicit server_core(asio::any_io_executor on) : executor(std::move(on)) {}

  void listen() {
    if (acceptor_) return;
    ::unlink(folder.socket().c_str());
    acceptor_.emplace(executor, asio::local::stream_protocol::endpoint(folder.socket()));
    accept();
  }
  /// From now on connects are refused, as by a host on which no server runs.
  void refuse() { acceptor_.reset(); }
  void end_sessions(const error_fields& why);
  void shut() {
    refuse();
    ended = true;
    const auto open = sessions;  // closing one may end it
    for (const auto& [id, each] : open) {
      if (const auto session = each.lock()) session->close();
    }
  }

  asio::any_io_executor executor;
  socket_folder folder;
  testing::detail::script script;
  std::map<std::uint32_t, std::weak_ptr<session_handle>> sessions;
  connect_rule connects;
  std::uint32_t last_session = 0;
  bool ended = false;

 private:
  void accept();

  std::optional<asio::local::stream_protocol::acceptor> acceptor_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail

#endif
