// SPDX-License-Identifier: BSL-1.0
// tidepool - HTTP/1.1 messages over a socket, parsed by libhttp-parser. For the server's side and the client's.
#ifndef TIDEPOOL_EXAMPLES_HTTP_STREAM_HPP
#define TIDEPOOL_EXAMPLES_HTTP_STREAM_HPP

#include <http_parser.h>

#include <array>
#include <asio/buffer.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "http_message.hpp"

namespace http {

/// The other side does not speak HTTP, or says too much.
class protocol_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Takes bytes in pieces of any size and gives messages.
class parser {
 public:
  explicit parser(http_parser_type type) {
    http_parser_init(&state_, type);
    state_.data = this;
  }
  parser(const parser&) = delete;
  parser& operator=(const parser&) = delete;

  /// Returns how many bytes it took: not all of them when a message is complete. An empty piece: the end of the stream.
  std::size_t feed(std::string_view bytes) {
    const std::size_t taken = http_parser_execute(&state_, &callbacks(), bytes.data(), bytes.size());
    const auto problem = HTTP_PARSER_ERRNO(&state_);
    if (problem == HPE_PAUSED) {
      http_parser_pause(&state_, 0);
    } else if (problem != HPE_OK) {
      throw protocol_error(http_errno_description(problem));
    }
    return taken;
  }
  bool started() const noexcept { return started_; }
  bool complete() const noexcept { return complete_; }
  message take() {
    started_ = complete_ = false;
    return std::exchange(message_, message());
  }

 private:
  static constexpr std::size_t longest_body = 1 << 20;
  static constexpr std::size_t longest_header = 1000;

  static parser& self(http_parser* state) { return *static_cast<parser*>(state->data); }

  static const http_parser_settings& callbacks() {
    static const http_parser_settings settings = [] {
      http_parser_settings s;
      http_parser_settings_init(&s);
      s.on_message_begin = [](http_parser* p) {
        self(p).started_ = true;
        return 0;
      };
      s.on_url = [](http_parser* p, const char* at, std::size_t size) {
        self(p).message_.target.append(at, size);
        return 0;
      };
      s.on_header_field = [](http_parser* p, const char* at, std::size_t size) {
        self(p).name(at, size);
        return 0;
      };
      s.on_header_value = [](http_parser* p, const char* at, std::size_t size) { return self(p).value(at, size) ? 0 : 1; };
      s.on_body = [](http_parser* p, const char* at, std::size_t size) {
        self(p).message_.body.append(at, size);
        return self(p).message_.body.size() > longest_body ? 1 : 0;
      };
      s.on_message_complete = [](http_parser* p) {
        message& done = self(p).message_;
        done.method = http_method_str(static_cast<http_method>(p->method));
        done.status = static_cast<int>(p->status_code);
        done.keep_alive = http_should_keep_alive(p) != 0 && p->upgrade == 0;
        self(p).complete_ = true;
        http_parser_pause(p, 1);  // what follows belongs to the next message
        return 0;
      };
      return s;
    }();
    return settings;
  }

  void name(const char* at, std::size_t size) {
    if (std::exchange(in_value_, false)) name_.clear();
    for (const char* c = at; c != at + size && name_.size() < longest_header; ++c)
      name_ += *c >= 'A' && *c <= 'Z' ? static_cast<char>(*c - 'A' + 'a') : *c;
  }
  /// Those that a handler may ask for.
  bool value(const char* at, std::size_t size) {
    in_value_ = true;
    std::string* const kept = name_ == "host"            ? &message_.host
                              : name_ == "origin"        ? &message_.origin
                              : name_ == "authorization" ? &message_.authorization
                                                         : nullptr;
    if (kept) kept->append(at, size);
    return !kept || kept->size() <= longest_header;
  }

  http_parser state_{};
  message message_;
  std::string name_;
  bool in_value_ = false;
  bool started_ = false;
  bool complete_ = false;
};

/// A socket that carries messages.
class stream {
 public:
  stream(asio::ip::tcp::socket socket, http_parser_type type) : socket_(std::move(socket)), parser_(type) {}

  /// The next message; none when the other side has closed between two of them. Throws protocol_error, std::system_error.
  asio::awaitable<std::optional<message>> read() {
    while (!parser_.complete()) {
      if (begin_ == end_) {
        std::error_code failure;
        begin_ = end_ = 0;
        end_ = co_await socket_.async_read_some(asio::buffer(buffer_), asio::redirect_error(asio::use_awaitable, failure));
        if (failure == asio::error::eof) {
          if (!parser_.started()) co_return std::nullopt;
          parser_.feed({});
          if (!parser_.complete()) throw protocol_error("the stream ended within a message");
          break;
        } else if (failure) {
          throw std::system_error(failure);
        }
      }
      begin_ += parser_.feed({buffer_.data() + begin_, end_ - begin_});
    }
    co_return parser_.take();
  }
  asio::awaitable<void> write(std::string text) { co_await asio::async_write(socket_, asio::buffer(text), asio::use_awaitable); }

  /// Nothing of a next message has arrived.
  bool quiet() const noexcept { return begin_ == end_ && !parser_.started(); }
  asio::ip::tcp::socket& socket() noexcept { return socket_; }

 private:
  asio::ip::tcp::socket socket_;
  parser parser_;
  std::array<char, 8192> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace http

#endif
