// SPDX-License-Identifier: BSL-1.0
// tidepool - a pooler in transaction mode that gives each transaction to the next of its server connections, whichever client asks.
#ifndef TIDEPOOL_TESTS_POSTGRES_ROTATING_POOLER_HPP
#define TIDEPOOL_TESTS_POSTGRES_ROTATING_POOLER_HPP

#include <array>
#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fake_server.hpp"
#include "recording_proxy.hpp"
#include "support/asio.hpp"

namespace tidepool_tests {

/// Speaks the protocol so far as it has to: no TLS, no password, no cancel requests. One client at a time may have something running.
class rotating_pooler {
 public:
  /// `tracks`: it knows which client has prepared what, and ends one that prepares a name again.
  rotating_pooler(unsigned target, std::size_t connections, bool tracks = false)
      : tracks_(tracks), acceptor_(context_, asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    for (std::size_t i = 0; i < connections; ++i) servers_.emplace_back(context_);
    asio::co_spawn(context_, start(static_cast<unsigned short>(target)), asio::detached);
    thread_ = std::thread([this] {
      const auto work = asio::make_work_guard(context_);
      context_.run();
    });
  }
  ~rotating_pooler() {
    context_.stop();
    thread_.join();
  }
  unsigned port() const { return acceptor_.local_endpoint().port(); }
  /// How often a client had sent more before it was told that what it had sent was done.
  std::size_t ahead() const { return ahead_; }
  /// Clients that were ended.
  std::size_t ended() const { return ended_; }

 private:
  using socket = asio::ip::tcp::socket;

  static std::string number(std::size_t value) {
    std::string out;
    for (unsigned shift = 32; shift > 0; shift -= 8) out += static_cast<char>(value >> (shift - 8) & 0xFFU);
    return out;
  }
  static std::size_t number_at(const std::string& text, std::size_t at) {
    std::size_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = value << 8U | static_cast<unsigned char>(text[at + i]);
    return value;
  }
  static std::string login() {
    const pg::options direct(server());
    std::string out;
    for (const auto& part :
         {std::string("user"), std::string(direct.get("user")), std::string("database"), std::string(direct.get("dbname"))}) {
      out += part;
      out += '\0';
    }
    return out + '\0';
  }
  /// One message, with its kind and length.
  static asio::awaitable<std::string> message(socket& from) {
    std::string out(5, '\0');
    co_await asio::async_read(from, asio::buffer(out), asio::use_awaitable);
    const auto size = number_at(out, 1);
    out.resize(1 + size);
    co_await asio::async_read(from, asio::buffer(out.data() + 5, size - 4), asio::use_awaitable);
    co_return out;
  }

  asio::awaitable<void> start(unsigned short target) {
    for (auto& each : servers_) {
      co_await each.async_connect(asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), target), asio::use_awaitable);
      each.set_option(asio::ip::tcp::no_delay(true));
      const std::string body = number(196608) + login();
      const std::string hello = number(body.size() + 4) + body;
      co_await asio::async_write(each, asio::buffer(hello), asio::use_awaitable);
      parameters_.clear();
      for (std::string got = co_await message(each); got[0] != 'Z'; got = co_await message(each)) {
        if (got[0] == 'S') parameters_ += got;
      }
    }
    for (;;) {
      socket client = co_await acceptor_.async_accept(asio::use_awaitable);
      client.set_option(asio::ip::tcp::no_delay(true));
      asio::co_spawn(context_, serve(std::move(client)), asio::detached);
    }
  }

  asio::awaitable<void> serve(socket client) {
    try {
      std::string hello(4, '\0');
      co_await asio::async_read(client, asio::buffer(hello), asio::use_awaitable);
      hello.resize(number_at(hello, 0) - 4);
      co_await asio::async_read(client, asio::buffer(hello), asio::use_awaitable);
      // The pid and the key are made up.
      const std::string welcome =
          protocol_message('R', number(0)) + parameters_ + protocol_message('K', number(4242) + number(17)) + protocol_message('Z', "I");
      co_await asio::async_write(client, asio::buffer(welcome), asio::use_awaitable);
      socket* chosen = nullptr;  // of the transaction
      std::set<std::string> names;
      for (;;) {
        const std::string said = co_await message(client);
        if (said[0] == 'X') co_return;
        if (tracks_ && said[0] == 'C' && said[5] == 'S') names.erase(said.c_str() + 6);
        if (tracks_ && said[0] == 'P' && said[5] != '\0' && !names.insert(said.c_str() + 5).second) {
          ++ended_;
          co_return;
        }
        if (chosen == nullptr) chosen = &servers_[turn_++ % servers_.size()];
        co_await asio::async_write(*chosen, asio::buffer(said), asio::use_awaitable);
        if (said[0] != 'S' && said[0] != 'Q') continue;
        std::string answer;
        do {
          answer = co_await message(*chosen);
          if (answer[0] == 'Z' && client.available() > 0) ++ahead_;
          co_await asio::async_write(client, asio::buffer(answer), asio::use_awaitable);
        } while (answer[0] != 'Z');
        if (answer[5] == 'I') chosen = nullptr;
      }
    } catch (const tidepool::system_error&) {
      // The client has gone.
    }
  }

  bool tracks_;
  asio::io_context context_;
  asio::ip::tcp::acceptor acceptor_;
  std::vector<socket> servers_;
  std::string parameters_;
  std::size_t turn_ = 0;
  std::atomic<std::size_t> ahead_{0};
  std::atomic<std::size_t> ended_{0};
  std::thread thread_;
};

}  // namespace tidepool_tests

#endif
