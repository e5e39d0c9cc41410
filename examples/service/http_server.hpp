// SPDX-License-Identifier: BSL-1.0
// tidepool - a small HTTP server on Asio: one coroutine for each connection, keep-alive, answers that go on, and a shutdown that loses no
// request.
//
// An answer that goes on is bounded in memory: a client that does not take a piece in time is dropped, and the system keeps little for it.
// Otherwise it has no time limits of its own and no TLS: in production a proxy in front has both.
#ifndef TIDEPOOL_EXAMPLES_HTTP_SERVER_HPP
#define TIDEPOOL_EXAMPLES_HTTP_SERVER_HPP

#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "http_stream.hpp"

namespace http {

using tcp = asio::ip::tcp;
using std::chrono::steady_clock;

/// Must answer every request: an exception becomes a 500.
using handler = std::function<asio::awaitable<response>(const message&)>;

/// One client. Everything in it happens on its own strand.
class session : public std::enable_shared_from_this<session> {
 public:
  session(tcp::socket socket, const handler& handle, steady_clock::duration patience)
      : executor_(socket.get_executor()),
        stream_(std::move(socket), HTTP_REQUEST),
        pause_(executor_),
        too_slow_(executor_),
        patience_(patience),
        handle_(handle) {
    std::error_code unknown;
    from_loopback_ = stream_.socket().remote_endpoint(unknown).address().is_loopback() && !unknown;
  }

  asio::awaitable<void> run() {
    while (!stopping_) {
      std::optional<message> request;
      bool malformed = false;
      reading_ = true;
      try {
        request = co_await stream_.read();
      } catch (const protocol_error&) {
        malformed = true;
      }
      reading_ = false;
      if (malformed) co_await stream_.write(text_of(response(400, "{\"error\":\"malformed request\"}"), false));
      if (!request) co_return;
      request->from_loopback = from_loopback_;
      auto answer = co_await answer_to(*request);
      const bool keep = request->keep_alive && !stopping_ && !answer.more;
      co_await stream_.write(text_of(answer, keep));
      if (answer.more) co_await go_on(answer);
      if (!keep) co_return;
    }
  }
  /// No further request; the one under way is answered.
  void finish() {
    stopping_ = true;
    std::error_code closed;
    if (reading_ && stream_.quiet() && stream_.socket().available(closed) == 0) stream_.socket().cancel();
    pause_.cancel();
  }
  /// Interrupts whatever the handler awaits.
  void cancel() { cancellation_.emit(asio::cancellation_type::terminal); }

  const asio::any_io_executor& executor() const noexcept { return executor_; }
  asio::cancellation_slot slot() noexcept { return cancellation_.slot(); }

 private:
  /// A reader that is too slow for one piece is dropped.
  asio::awaitable<void> go_on(const response& answer) {
    std::error_code kept;
    stream_.socket().set_option(asio::socket_base::send_buffer_size(kept_for_a_reader), kept);
    while (!stopping_) {
      auto piece = answer.more();
      const auto number = ++pieces_;
      too_slow_.expires_after(patience_);
      too_slow_.async_wait([self = shared_from_this(), number](std::error_code cancelled) {
        std::error_code ignored;
        if (!cancelled && self->pieces_ == number) self->stream_.socket().close(ignored);
      });
      co_await stream_.write(std::move(piece));
      ++pieces_;
      too_slow_.cancel();
      if (stopping_) co_return;
      std::error_code stopped;
      pause_.expires_after(answer.every);
      co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, stopped));
    }
  }
  asio::awaitable<response> answer_to(const message& request) {
    std::string trouble;
    try {
      co_return co_await handle_(request);
    } catch (const std::exception& error) {
      trouble = error.what();
    }
    std::fprintf(stderr, "%s %s: %s\n", request.method.c_str(), request.target.c_str(), trouble.c_str());
    co_return response(500, "{\"error\":\"internal\"}");
  }
  static std::string text_of(const response& answer, bool keep) {
    return "HTTP/1.1 " + std::to_string(answer.status) + " " + http_status_str(static_cast<http_status>(answer.status)) +
           "\r\nContent-Type: " + answer.type + (answer.more ? "" : "\r\nContent-Length: " + std::to_string(answer.body.size())) + "\r\n" +
           answer.headers + (keep ? "\r\n" : "Connection: close\r\n\r\n") + answer.body;
  }

  static constexpr int kept_for_a_reader = 32 * 1024;  ///< bytes that the system keeps of what it has not taken, about

  asio::any_io_executor executor_;
  stream stream_;
  asio::steady_timer pause_;
  asio::steady_timer too_slow_;
  const steady_clock::duration patience_;
  bool from_loopback_ = false;
  std::uint64_t pieces_ = 0;
  const handler& handle_;
  asio::cancellation_signal cancellation_;
  bool reading_ = false;
  bool stopping_ = false;
};

/// Listens and keeps the list of clients. Its own state lives on a strand, so the io_context may have several threads.
class server {
 public:
  /// `patience`: how long a client may take for one piece of an answer that goes on.
  server(asio::any_io_executor executor, const tcp::endpoint& where, handler handle,
         steady_clock::duration patience = std::chrono::seconds(5))
      : executor_(executor),
        strand_(asio::make_strand(executor)),
        acceptor_(strand_, where),
        all_gone_(strand_),
        patience_(patience),
        handle_(std::move(handle)) {}

  unsigned short port() const { return acceptor_.local_endpoint().port(); }

  /// What the loop throws, if ever, is thrown by `io_context::run()`.
  void start() {
    asio::co_spawn(strand_, accept(), [](std::exception_ptr failed) {
      if (failed) std::rethrow_exception(failed);
    });
  }

  /// Stops accepting, closes idle clients, lets requests under way end; after `grace` cancels what is left. Then no handler runs.
  asio::awaitable<void> stop(steady_clock::duration grace) { return asio::co_spawn(strand_, stop_here(grace), asio::use_awaitable); }

 private:
  asio::awaitable<void> accept() {
    for (;;) {
      std::error_code failure;
      asio::any_io_executor own = asio::make_strand(executor_);
      auto socket = co_await acceptor_.async_accept(own, asio::redirect_error(asio::use_awaitable, failure));
      if (!acceptor_.is_open()) co_return;
      if (failure) {  // out of file descriptors, most likely: they come back
        asio::steady_timer pause(strand_, std::chrono::milliseconds(100));
        co_await pause.async_wait(asio::use_awaitable);
        continue;
      }
      welcome(std::move(socket));
    }
  }
  void welcome(tcp::socket socket) {
    std::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    auto client = std::make_shared<session>(std::move(socket), handle_, patience_);
    clients_.insert(client);
    auto gone = asio::bind_executor(strand_, [this, client](std::exception_ptr) {
      clients_.erase(client);
      if (clients_.empty()) all_gone_.cancel();
    });
    asio::co_spawn(client->executor(), client->run(), asio::bind_cancellation_slot(client->slot(), std::move(gone)));
  }
  asio::awaitable<void> stop_here(steady_clock::duration grace) {
    acceptor_.close();
    for (const auto& client : clients_) asio::post(client->executor(), [client] { client->finish(); });
    co_await clients_gone(grace);
    while (!clients_.empty()) {
      for (const auto& client : clients_) asio::post(client->executor(), [client] { client->cancel(); });
      co_await clients_gone(std::chrono::seconds(1));
    }
  }
  asio::awaitable<void> clients_gone(steady_clock::duration limit) {
    if (clients_.empty()) co_return;
    std::error_code cancelled;
    all_gone_.expires_after(limit);
    co_await all_gone_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }

  asio::any_io_executor executor_;
  asio::any_io_executor strand_;
  tcp::acceptor acceptor_;
  asio::steady_timer all_gone_;
  const steady_clock::duration patience_;
  handler handle_;
  std::set<std::shared_ptr<session>> clients_;
};

}  // namespace http

#endif
