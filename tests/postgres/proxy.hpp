// SPDX-License-Identifier: BSL-1.0
// tidepool - a proxy in front of the real server that cuts, changes or splits the bytes that pass.
#ifndef TIDEPOOL_TESTS_POSTGRES_PROXY_HPP
#define TIDEPOOL_TESTS_POSTGRES_PROXY_HPP

#include <array>
#include <atomic>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "kit.hpp"
#include "support/asio.hpp"

namespace tidepool_tests {

/// The faults of one direction of a connection. Positions count its bytes from 0.
struct wire_fault {
  static constexpr std::size_t never = std::numeric_limits<std::size_t>::max();
  std::size_t cut_at = never;    ///< both sockets are closed before this byte
  std::size_t spoil_at = never;  ///< this byte arrives inverted
  std::size_t piece = 4096;      ///< how many bytes are passed on at once
};

/// Forwards a port of its own, a free one by default, at a loopback address to the server, on a thread of its own. Call `set()` only while
/// no connection is open.
class proxy {
 public:
  explicit proxy(unsigned target, unsigned own = 0, const char* address = "127.0.0.1")
      : target_(asio::ip::address_v4::loopback(), static_cast<unsigned short>(target)),
        acceptor_(context_, asio::ip::tcp::endpoint(asio::ip::make_address(address), static_cast<unsigned short>(own))) {
    accept();
    thread_ = std::thread([this] {
      const auto work = asio::make_work_guard(context_);
      context_.run();
    });
  }
  ~proxy() {
    context_.stop();
    thread_.join();
  }
  unsigned port() const { return acceptor_.local_endpoint().port(); }
  void set(wire_fault to_server, wire_fault to_client) {
    asio::post(context_, [=, this] {
      to_server_ = to_server;
      to_client_ = to_client;
    });
  }

 private:
  struct pair {
    asio::ip::tcp::socket client;
    asio::ip::tcp::socket server;
    void close() {
      tidepool::error_code ignored;
      client.close(ignored);
      server.close(ignored);
    }
  };

  void accept() {
    acceptor_.async_accept([this](tidepool::error_code failure, asio::ip::tcp::socket socket) {
      if (failure) return;
      auto both = std::make_shared<pair>(pair{std::move(socket), asio::ip::tcp::socket(context_)});
      both->server.async_connect(target_, [this, both](tidepool::error_code refused) {
        if (refused) return;
        asio::co_spawn(context_, pump(both, both->client, both->server, to_server_), asio::detached);
        asio::co_spawn(context_, pump(both, both->server, both->client, to_client_), asio::detached);
      });
      accept();
    });
  }
  static asio::awaitable<void> pump(std::shared_ptr<pair> both, asio::ip::tcp::socket& from, asio::ip::tcp::socket& to, wire_fault how) {
    std::array<char, 4096> buffer;
    std::size_t passed = 0;
    try {
      while (passed < how.cut_at) {
        const auto most = std::min({buffer.size(), how.piece, how.cut_at - passed});
        const auto size = co_await from.async_read_some(asio::buffer(buffer.data(), most), asio::use_awaitable);
        if (how.spoil_at >= passed && how.spoil_at < passed + size) {
          char& byte = buffer[how.spoil_at - passed];
          byte = static_cast<char>(~static_cast<unsigned char>(byte));
        }
        co_await asio::async_write(to, asio::buffer(buffer.data(), size), asio::use_awaitable);
        passed += size;
      }
    } catch (const tidepool::system_error&) {
      // One side has closed.
    }
    both->close();
  }

  asio::io_context context_;
  asio::ip::tcp::endpoint target_;
  asio::ip::tcp::acceptor acceptor_;
  wire_fault to_server_;
  wire_fault to_client_;
  std::thread thread_;
};

}  // namespace tidepool_tests

#endif
