// SPDX-License-Identifier: BSL-1.0
// tidepool - requests and responses as the handlers see them: no sockets, no parser, so that handlers can be tested without either.
#ifndef TIDEPOOL_EXAMPLES_HTTP_MESSAGE_HPP
#define TIDEPOOL_EXAMPLES_HTTP_MESSAGE_HPP

#include <chrono>
#include <functional>
#include <string>
#include <utility>

namespace http {

/// A request (method, target) or a response (status).
struct message {
  std::string method;
  std::string target;
  int status = 0;
  std::string body;
  bool keep_alive = false;
  std::string host{};  ///< these three as the client sent them, empty without
  std::string origin{};
  std::string authorization{};
  bool from_loopback = false;  ///< the client is on this machine
};

struct response {
  response(int code, std::string text, const char* content_type = "application/json")
      : status(code), body(std::move(text)), type(content_type) {}

  int status;
  std::string body;
  const char* type;
  std::string headers{};                ///< more of them, each with its end of line
  std::function<std::string()> more{};  ///< what follows the body, again and again, until the client goes
  std::chrono::milliseconds every{1000};
};

}  // namespace http

#endif
