// SPDX-License-Identifier: BSL-1.0
// tidepool - a proxy that records what a client sends, and can hold the server's answers back.
#ifndef TIDEPOOL_TESTS_POSTGRES_RECORDING_PROXY_HPP
#define TIDEPOOL_TESTS_POSTGRES_RECORDING_PROXY_HPP

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "kit.hpp"
#include "support/asio.hpp"

namespace tidepool_tests {

/// Forwards a loopback port of its own to a server's, on a thread of its own. Once the client has sent `hold_at`, nothing of the server is
/// passed on any more.
class recording_proxy {
 public:
  explicit recording_proxy(unsigned target, std::string hold_at = {})
      : target_(asio::ip::address_v4::loopback(), static_cast<unsigned short>(target)),
        acceptor_(context_, asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
        hold_at_(std::move(hold_at)) {
    accept();
    thread_ = std::thread([this] {
      const auto work = asio::make_work_guard(context_);
      context_.run();
    });
  }
  ~recording_proxy() {
    context_.stop();
    thread_.join();
  }
  unsigned port() const { return acceptor_.local_endpoint().port(); }
  /// All that clients have sent so far.
  std::string heard() const {
    const std::lock_guard lock(mutex_);
    return heard_;
  }
  bool holds() const { return !hold_at_.empty() && heard().find(hold_at_) != std::string::npos; }

 private:
  struct pair {
    asio::ip::tcp::socket client;
    asio::ip::tcp::socket server;
  };

  void accept() {
    acceptor_.async_accept([this](tidepool::error_code failure, asio::ip::tcp::socket socket) {
      if (failure) return;
      auto both = std::make_shared<pair>(pair{std::move(socket), asio::ip::tcp::socket(context_)});
      both->server.async_connect(target_, [this, both](tidepool::error_code refused) {
        if (refused) return;
        asio::co_spawn(context_, pump(both, both->client, both->server, true), asio::detached);
        asio::co_spawn(context_, pump(both, both->server, both->client, false), asio::detached);
      });
      accept();
    });
  }
  asio::awaitable<void> pump(std::shared_ptr<pair> both, asio::ip::tcp::socket& from, asio::ip::tcp::socket& to, bool from_client) {
    std::array<char, 4096> buffer;
    try {
      for (;;) {
        const auto size = co_await from.async_read_some(asio::buffer(buffer), asio::use_awaitable);
        if (from_client) {
          const std::lock_guard lock(mutex_);
          heard_.append(buffer.data(), size);
        } else if (holds()) {
          continue;
        }
        co_await asio::async_write(to, asio::buffer(buffer.data(), size), asio::use_awaitable);
      }
    } catch (const tidepool::system_error&) {
      // One side has closed.
    }
    tidepool::error_code ignored;
    both->client.close(ignored);
    both->server.close(ignored);
  }

  asio::io_context context_;
  asio::ip::tcp::endpoint target_;
  asio::ip::tcp::acceptor acceptor_;
  std::string hold_at_;
  mutable std::mutex mutex_;
  std::string heard_;
  std::thread thread_;
};

inline pg::options through(unsigned port) {
  pg::options settings(server());
  settings.set("host", "127.0.0.1").set("hostaddr", "").set("port", std::to_string(port));
  return settings;
}

}  // namespace tidepool_tests

#endif
