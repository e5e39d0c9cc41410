// SPDX-License-Identifier: BSL-1.0
// tidepool - a MySQL server of a few packets, in this process: answers each packet of the client with the next of its lines.
#ifndef TIDEPOOL_TESTS_MYSQL_FAKE_SERVER_HPP
#define TIDEPOOL_TESTS_MYSQL_FAKE_SERVER_HPP

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "../support/asio.hpp"
#include "kit.hpp"

namespace tidepool_tests {

inline std::string my_packet(unsigned char number, const std::string& payload) {
  std::string out{static_cast<char>(payload.size() & 0xFFU), static_cast<char>(payload.size() >> 8U), '\0', static_cast<char>(number)};
  return out + payload;
}
/// A greeting of protocol 10, with TLS or without.
inline std::string my_greeting(bool tls) {
  std::string out = "\x0a";
  out += std::string("8.0.0-fake", 11);
  out += std::string("\x01\0\0\0", 4) + "abcdefgh" + std::string(1, '\0');
  const unsigned flags = 0xf7dfU | 0x8000U;
  const unsigned low = tls ? flags | 0x0800U : flags & ~0x0800U;
  out += static_cast<char>(low & 0xFFU);
  out += static_cast<char>(low >> 8U);
  out += std::string("\x2d\x02\0\xff\x81\x15", 6) + std::string(10, '\0') + "ijklmnopqrst" + std::string(1, '\0') +
         std::string("mysql_native_password", 22);
  return my_packet(0, out);
}
inline const std::string my_ok = std::string("\0\0\0\x02\0\0\0", 7);

/// Serves each connection on the context of its owner. `replies`: to the login, then to each packet that follows; the last is repeated. An
/// empty one: no answer.
class my_fake_server {
 public:
  my_fake_server(asio::io_context& context, std::string greeting, std::vector<std::string> replies)
      : acceptor_(context, {asio::ip::address_v4::loopback(), 0}), greeting_(std::move(greeting)), replies_(std::move(replies)) {
    accept();
  }
  unsigned port() const { return acceptor_.local_endpoint().port(); }
  /// All that clients have sent.
  const std::string& received() const { return received_; }
  my::options options() const {
    my::options how;
    how.port = port();
    how.user = "app";
    how.password = "very-secret";
    how.utc = false;
    return how;
  }

 private:
  void accept() {
    acceptor_.async_accept([this](tidepool::error_code failure, asio::ip::tcp::socket socket) {
      if (failure) return;
      asio::co_spawn(acceptor_.get_executor(), serve(std::move(socket)), asio::detached);
      accept();
    });
  }
  asio::awaitable<void> serve(asio::ip::tcp::socket socket) {
    try {
      co_await asio::async_write(socket, asio::buffer(greeting_), asio::use_awaitable);
      for (std::size_t next = 0;; ++next) {
        std::array<unsigned char, 4> head;
        co_await asio::async_read(socket, asio::buffer(head), asio::use_awaitable);
        std::string body(head[0] | static_cast<std::size_t>(head[1]) << 8U | static_cast<std::size_t>(head[2]) << 16U, '\0');
        co_await asio::async_read(socket, asio::buffer(body), asio::use_awaitable);
        received_ += body;
        const auto& reply = replies_.at(std::min(next, replies_.size() - 1));
        const auto answer = my_packet(static_cast<unsigned char>(head[3] + 1), reply);
        if (!reply.empty()) co_await asio::async_write(socket, asio::buffer(answer), asio::use_awaitable);
      }
    } catch (const tidepool::system_error&) {
      // The client has closed.
    }
  }

  asio::ip::tcp::acceptor acceptor_;
  std::string greeting_;
  std::vector<std::string> replies_;
  std::string received_;
};

}  // namespace tidepool_tests

#endif
