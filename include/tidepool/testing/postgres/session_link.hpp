// SPDX-License-Identifier: BSL-1.0
// tidepool - the socket of a scripted server's session: bytes, waits, the login, and cancel requests.
#ifndef TIDEPOOL_TESTING_POSTGRES_SESSION_LINK_HPP
#define TIDEPOOL_TESTING_POSTGRES_SESSION_LINK_HPP

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "../../version.hpp"
#include "server_core.hpp"
#include "wire.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail {

class session_link {
 public:
  session_link(std::shared_ptr<server_core> core, server_socket socket)
      : core_(std::move(core)), handle_(std::make_shared<session_handle>(std::move(socket))) {}
  session_link(const session_link&) = delete;
  session_link& operator=(const session_link&) = delete;

 protected:
  ~session_link() = default;

  asio::awaitable<std::string> read(std::size_t size) {
    if (size > 0x3FFFFFFF) throw system_error(asio::error::make_error_code(asio::error::message_size));
    std::string out(size, '\0');
    co_await asio::async_read(handle_->socket, asio::buffer(out), asio::use_awaitable);
    co_return out;
  }
  asio::awaitable<void> flush() {
    const std::string now = std::exchange(out_, {});
    if (!now.empty()) co_await asio::async_write(handle_->socket, asio::buffer(now), asio::use_awaitable);
  }

  /// Waits, so that it can be ended by a cancel request or with the session. False: the session has ended.
  asio::awaitable<bool> pause(duration span, bool silent) {
    handle_->waiting = std::make_shared<server_timer>(core_->executor);
    handle_->silent = silent;
    handle_->cancelled = false;
    co_await handle_->waiting->wait(span);
    handle_->waiting.reset();
    co_return handle_->socket.is_open();
  }

  asio::awaitable<bool> log_in() {
    std::string body;
    for (;;) {
      const std::string head = co_await read(8);
      wire::reader at(head);
      const auto size = at.number(4);
      const auto code = at.number(4);
      if (size < 8) co_return false;
      body = co_await read(size - 8);
      if (code == wire::cancel_request) {
        cancel(wire::reader(body).number(4));
        co_return false;
      }
      if (code != wire::tls_request && code != wire::gss_request) break;
      out_ += 'N';
      co_await flush();
    }
    auto& rule = core_->connects;
    if (rule.latency > duration::zero()) {
      const bool alive = co_await pause(rule.latency, false);
      if (!alive) co_return false;
    }
    if (rule.failure && rule.times > 0) {
      if (rule.times != std::numeric_limits<std::size_t>::max()) --rule.times;
      out_ += wire::report('E', *rule.failure);
      co_await flush();
      co_return false;
    }
    id_ = ++core_->last_session;
    core_->sessions.emplace(id_, handle_);
    out_ += wire::message('R', wire::number(0, 4));
    for (const auto& [name, value] : std::initializer_list<std::pair<const char*, const char*>>{{"server_version", "15.0"},
                                                                                                {"server_encoding", "UTF8"},
                                                                                                {"client_encoding", "UTF8"},
                                                                                                {"DateStyle", "ISO, MDY"},
                                                                                                {"TimeZone", "UTC"},
                                                                                                {"in_hot_standby", "off"},
                                                                                                {"standard_conforming_strings", "on"},
                                                                                                {"integer_datetimes", "on"}}) {
      out_ += wire::parameter(name, value);
    }
    out_ += wire::message('K', wire::number(id_, 4) + wire::number(id_, 4)) + wire::ready('I');
    co_await flush();
    co_return true;
  }

  std::shared_ptr<server_core> core_;
  std::shared_ptr<session_handle> handle_;
  std::uint32_t id_ = 0;
  std::string out_;  ///< not sent yet

 private:
  void cancel(std::uint32_t id) {
    const auto found = core_->sessions.find(id);
    const auto session = found == core_->sessions.end() ? nullptr : found->second.lock();
    if (!session || !session->waiting) return;
    session->cancelled = true;
    session->waiting->cancel();
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail

#endif
